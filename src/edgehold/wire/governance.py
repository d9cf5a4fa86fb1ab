"""Genesis and parameters: what a network starts from and the numbers its rules read."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from edgehold.wire.account import Role
from edgehold.wire.ids import Counter, Credits, PublicKey, Short

Positive = Annotated[int, Meta(ge=1, le=2**40)]


class Parameters(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: the numbers that the rules read. Heights where not said otherwise."""

    period: Positive  # heights of a ledger period (in earnest a quarter)
    root_interval: Positive  # every hub posts its root once in this many heights
    block_interval_ms: Positive  # a block at least this often
    least_panel: Positive  # persons
    most_panel: Positive
    least_batch: Positive  # the network's floor for an order's minimum batch
    hub_quota: Positive  # hubs an issuer may sponsor in a period
    expiry: Annotated[int, Meta(ge=1, le=1000)]  # a transaction may name an expiry this far ahead
    abort_fee: Annotated[int, Meta(ge=0, le=1000)]  # per mille of the price that services keep of a small batch
    helper_share: Annotated[int, Meta(ge=0, le=1000)]  # per mille of a payment that goes to the helper
    acceptance_cap: Annotated[int, Meta(ge=0, le=1_000_000)]  # ppm: acceptances never lift a score past it
    suspension: Positive  # heights before a suspended service may be attested again, doubled each time


class SetParameters(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=60):
    """The governor named in genesis changes the parameters for every later transaction."""

    parameters: Parameters


class Founder(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An account that exists from genesis."""

    name: Short
    key: PublicKey
    role: Role
    credits: Credits


class Validator(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A consensus key and its voting power."""

    key: PublicKey
    power: Annotated[int, Meta(ge=1, le=2**40)]


class Genesis(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What everybody must agree on beforehand; its digest (tag "genesis") is the network id."""

    chain: Short  # chain_id in headers
    time: Annotated[int, Meta(ge=0)]  # nanoseconds since 1970-01-01 UTC of height 0
    founders: Annotated[tuple[Founder, ...], Meta(min_length=1, max_length=64)]
    accreditors: Annotated[tuple[Counter, ...], Meta(min_length=1, max_length=16)]  # indices into `founders`
    treasurer: Counter
    governor: Counter
    validators: Annotated[tuple[Validator, ...], Meta(min_length=1, max_length=200)]
    parameters: Parameters
