"""What a light client trusts and keeps: signed headers with the validators around them, and the proof of a fork."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from edgehold.wire.header import SignedHeader, ValidatorSet
from edgehold.wire.ids import NetworkId


class LightBlock(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="edgehold.light/1"):
    """A signed header, the validators that signed it, and those it names as next; None if they are the same."""

    signed: SignedHeader
    validators: ValidatorSet
    next_validators: ValidatorSet | None

    @property
    def height(self) -> int:
        """Of the header."""
        return self.signed.header.height

    @property
    def following(self) -> ValidatorSet:
        """Who signs the next header."""
        return self.next_validators or self.validators


class ValidatorChange(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The last header that one set of validators signed, and the set that it names as next."""

    signed: SignedHeader
    validators: ValidatorSet


Trace = Annotated[tuple[LightBlock, ...], Meta(min_length=1, max_length=128)]
"""Headers, each of which is trusted because the one before it is."""


class Fork(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="edgehold.fork/1"):
    """Two ways from one trusted header to two headers of one height: validators signed what they must not."""

    network: NetworkId
    common: LightBlock
    first: Trace
    second: Trace
