"""What an organisation says of itself when it founds a network together with others: its founder file."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from edgehold.wire.ids import PublicKey, Short, Signature

NodeId = Annotated[str, Meta(pattern="^[0-9a-f]{40}$")]
"""By which CometBFT's nodes know each other: the first 20 bytes of SHA-256 of the node's key, in hexadecimal."""

HostAndPort = Annotated[str, Meta(pattern=r"^[A-Za-z0-9.\-]{1,253}:[0-9]{1,5}$")]
"""Where a node is reached by the others; a name, or an IPv4 address."""


class FounderClaim(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who founds, with which keys, and where its node is reached."""

    name: Short
    account_key: PublicKey
    consensus_key: PublicKey
    node: NodeId
    address: HostAndPort


class FounderFile(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="edgehold.founder/1"):
    """A claim, signed by both of its keys: nobody lists a key that is not its own."""

    claim: FounderClaim
    account_signature: Signature
    consensus_signature: Signature
