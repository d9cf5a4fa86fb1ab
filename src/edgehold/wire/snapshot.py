"""Snapshots: the whole of what a replica knows after one block, in pieces, for a node that did not see the blocks.

Every replica cuts the same state into the same pieces. The manifest names them by digest; the entries are proved by the
application hash of the next header, which a light client verified. Answers and header hashes stand beside the root:
no hash proves them. A node that was lied to about them comes to other results than its peers and halts.
"""

from __future__ import annotations

from typing import Annotated, TypeAlias

from msgspec import Meta, Struct

from edgehold.wire.ids import Digest, Height, NetworkId

FORMAT = 1
"""CometBFT's number for what is described here."""

MAX_PIECES = 1 << 16

PIECE = 1 << 20
"""Bytes of content after which a piece ends."""

MAX_PIECE_ITEMS = 10_000
"""Entries, answers or heights of one piece."""


class Manifest(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="edgehold.snapshot/1"):
    """What a snapshot is of, and the digests (tag "snapshot-piece") of its pieces in order."""

    network: NetworkId
    height: Height
    pieces: Annotated[tuple[Digest, ...], Meta(min_length=1, max_length=MAX_PIECES)]


class KeptHeight(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A height that passed: its header's hash (empty for 0) and time, and the root of the state after it."""

    height: Height
    header: Annotated[bytes, Meta(max_length=32)]
    time: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    root: Digest


class KeptAnswer(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """An envelope that may not take effect again, and its receipt; `epoch` is where a storage keeps it."""

    epoch: Annotated[int, Meta(ge=0, le=2**63 - 1)]
    envelope: Digest
    height: Height
    place: Annotated[int, Meta(ge=0, lt=2**32)]
    receipt: Annotated[bytes, Meta(max_length=2048)]


class HeightsPiece(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=0):
    """The last heights, ascending."""

    heights: Annotated[tuple[KeptHeight, ...], Meta(max_length=MAX_PIECE_ITEMS)]


class AnswersPiece(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """Answers whose envelopes have not expired, by epoch and envelope."""

    answers: Annotated[tuple[KeptAnswer, ...], Meta(max_length=MAX_PIECE_ITEMS)]


class EntriesPiece(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=2):
    """Flat keys and values, by the hash of the key."""

    entries: Annotated[tuple[tuple[bytes, bytes], ...], Meta(max_length=MAX_PIECE_ITEMS)]


Piece: TypeAlias = HeightsPiece | AnswersPiece | EntriesPiece
