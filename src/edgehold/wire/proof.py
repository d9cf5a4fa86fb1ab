"""Proofs that something is, or is not, what a root stands for; `crypto.merkle` makes and checks them."""

from __future__ import annotations

from typing import Annotated, NewType, TypeAlias

from msgspec import Meta, Struct

from edgehold.wire.ids import Digest

BUCKET_BITS = 18
"""Leading bits of a key's hash that name its bucket in the state map; the map has that many levels."""

SMALL_BUCKET = 12
"""A bucket with more entries than this is a Merkle tree of its own."""

Path = NewType("Path", Annotated[tuple[Digest, ...], Meta(max_length=64)])
"""The siblings from a leaf of a list up to its root (RFC 9162, section 2.1.3); a level without a sibling gives none."""

MapEntry = NewType("MapEntry", Annotated[bytes, Meta(min_length=64, max_length=64)])
"""Digest of a key, then digest of its value."""


class SmallBucket(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=0):
    """Everything that a bucket holds, in the order of the keys' digests."""

    entries: Annotated[tuple[MapEntry, ...], Meta(max_length=SMALL_BUCKET)]


class PlacedEntry(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One entry of a large bucket, its place and its path to the bucket's own root."""

    index: Annotated[int, Meta(ge=0, le=2**32)]
    entry: MapEntry
    path: Path


class LargeBucket(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=1):
    """Of a bucket with `size` entries those that decide: the key's own, or the one or two beside its place."""

    size: Annotated[int, Meta(gt=SMALL_BUCKET, le=2**32)]
    entries: Annotated[tuple[PlacedEntry, ...], Meta(min_length=1, max_length=2)]


Bucket: TypeAlias = SmallBucket | LargeBucket


class MapProof(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the state map says about one key: its bucket and the siblings of the bucket up to the root."""

    bucket: Bucket
    siblings: Annotated[tuple[Digest, ...], Meta(min_length=BUCKET_BITS, max_length=BUCKET_BITS)]
