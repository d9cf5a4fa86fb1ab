"""Sharing: one record, for one named account, until a height, as a sealed parcel fetched from the hub; what is too long for
one message follows in pieces."""

from __future__ import annotations

from typing import Annotated, NewType, TypeAlias

from msgspec import Meta, Struct

from edgehold.wire.codec import MAX_MESSAGE
from edgehold.wire.data import LeafOpening
from edgehold.wire.ids import AccountId, Digest, Height, NetworkId, SealKey, Signature

Nonce = NewType("Nonce", Annotated[bytes, Meta(min_length=16, max_length=16)])


class Grant(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Who may fetch what a hub shares, and until when; its digest (tag "share") names it. Never on the ledger."""

    network: NetworkId
    hub: AccountId
    recipient: AccountId
    until: Height  # the last height at which the hub serves it
    nonce: Nonce  # so that the share's name says nothing to who was not told it


class Fetch(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a recipient signs (under tagged_hash "fetch") with its account key: the share, a key for this answer."""

    network: NetworkId
    share: Digest
    recipient: AccountId
    seal_key: SealKey
    height: Height  # the ledger's, as the recipient sees it: an old request is not served again


class FetchRecord(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """A recipient asks a hub for a shared record."""

    fetch: Fetch
    signature: Signature


class FetchPiece(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=4):
    """A recipient asks for the next piece of a record, or once more for the one before, signed with its account key under
    tagged_hash "fetch-piece"."""

    fetch: Digest  # tagged_hash "fetch" of the fetch that the parcel answered
    number: Annotated[int, Meta(ge=0, lt=1 << 32)]
    signature: Signature


class Parcel(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """The record: `ParcelContent` in COSE_Sign1 by the hub key, sealed to the fetch's key with the fetch as AAD."""

    sealed: Annotated[bytes, Meta(max_length=MAX_MESSAGE)]


class SealedPiece(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=5):
    """One piece of a record, sealed with the key in its parcel: fetch, number and count of all pieces are bound to it."""

    sealed: Annotated[bytes, Meta(max_length=MAX_MESSAGE)]


class NoParcel(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=3):
    """The hub says no: the number of the error and its facts."""

    number: Annotated[int, Meta(ge=0, lt=1000)]
    facts: Annotated[str, Meta(max_length=400)]


class Pieces(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A record that follows its parcel: how long it is, and the key that seals its pieces and nothing else."""

    size: Annotated[int, Meta(gt=0, lt=1 << 48)]
    key: Annotated[bytes, Meta(min_length=32, max_length=32)]

    def __repr__(self) -> str:
        return f"Pieces(size={self.size}, key=…)"


class ParcelContent(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the hub signs: for whom and until when, the original bytes or how they follow, their leaf, and the issuer's
    signature."""

    grant: Grant
    record: bytes | Pieces
    opening: LeafOpening  # under the hub's root on the ledger
    issuer_signature: Annotated[bytes, Meta(max_length=1024)] | None  # the detached JWS over the record


ToHub: TypeAlias = FetchRecord | FetchPiece
FromHub: TypeAlias = Parcel | NoParcel | SealedPiece
