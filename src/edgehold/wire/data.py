"""What a hub says of its datasets to those whom its owner shows them: descriptors, and leaves under its root."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, NewType

from msgspec import Meta, Struct

from edgehold.wire.ids import Digest, Short
from edgehold.wire.proof import Path

ObjectId = NewType("ObjectId", Annotated[bytes, Meta(min_length=16, max_length=16)])
"""Random name of one stored original, known to its hub alone."""
Salt = NewType("Salt", Annotated[bytes, Meta(min_length=32, max_length=32)])
"""32 random bytes that make a leaf or root unguessable; destroyed, what it salted links to nothing."""
Year = Annotated[int, Meta(ge=1, le=9999)]


class Kind(StrEnum):
    """What kind of medical data a dataset or panel has."""

    EHR = "ehr"
    GENOTYPE = "genotype"
    SIGNAL = "signal"
    WEARABLE = "wearable"
    LAB = "lab"
    IMAGE = "image"
    OTHER = "other"


class Grade(StrEnum):
    """Who vouches for the data of a panel."""

    SIGNED = "signed"
    SELF_REPORTED = "self_reported"


class DatasetDescriptor(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, kw_only=True):
    """What is said about one dataset; with salt and commitment it is a leaf under the hub's root."""

    version: Annotated[int, Meta(ge=1, le=1)] = 1
    schema: Short
    """Id of the table that programs see, for example `edgehold.events/1`."""
    kind: Kind
    first_year: Year | None
    last_year: Year | None
    codec: Digest
    """How the original is encoded."""
    base: Digest | None
    """The public dictionary it is encoded against."""
    key_wrap: Annotated[int, Meta(ge=1, le=255)] = 1
    """How the object's key is wrapped by the hub key."""
    policy: Digest | None = None
    """The owner's policy at the time."""
    previous: Digest | None = None
    """The leaf of the version that this one follows."""
    signature: Digest | None = None
    """Digest of the issuer's signature over the original."""
    tombstone: bool = False
    """The dataset was erased; nothing else here means anything."""
    lossy: Short | None = None
    """What the original lost before it was committed to, because its owner asked, for example `qualities/1`."""


class LeafOpening(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Shows one dataset under a hub's root, and nothing of the others (nor how many there are)."""

    descriptor: DatasetDescriptor
    salt: Salt
    commitment: Digest
    """Tagged digest of the original bytes."""
    index: Annotated[int, Meta(ge=0, lt=2**20)]
    size: Annotated[int, Meta(ge=1, le=2**20)]
    path: Path
    root_salt: Salt
    """The salt of this posting of the root."""
