"""Programs: what runs at a hub, named by its source and its runtime, with the type of what may come out."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from edgehold.wire.data import Kind
from edgehold.wire.ids import AccountId, Counter, Digest, Height, ProgramId, Short


class MeasurementKind(StrEnum):
    """The Prio3 types a measurement can have (VDAF-18, section 7)."""

    COUNT = "count"
    SUM = "sum"
    HISTOGRAM = "histogram"
    MULTIHOT = "multihot"
    SUMVEC = "sumvec"
    L1BOUND = "l1bound"


class MeasurementType(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Kind and bounds; fields a kind does not use are 1 (`length`) or 0.

    count: nothing · sum: bound · histogram: length (the last bucket is "n/a") · multihot: length, weight ·
    sumvec: length, bound · l1bound: length, bound.
    """

    kind: MeasurementKind
    length: Annotated[int, Meta(ge=1, le=100_000)]
    bound: Annotated[int, Meta(ge=0, lt=2**32)]
    weight: Annotated[int, Meta(ge=0, le=100_000)]


class RunLimits(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What a run may use; part of the program's name, so that every hub stops at the same place."""

    fuel: Annotated[int, Meta(ge=1, lt=2**48)]
    memory_bytes: Annotated[int, Meta(ge=2**20, lt=2**32)]
    output_bytes: Annotated[int, Meta(ge=16, le=2**20)]
    deadline_ms: Annotated[int, Meta(ge=10, le=600_000)]


class Sensitivity(StrEnum):
    """How much an order's outcome can say about persons; the owner's threshold depends on it."""

    AGGREGATE = "aggregate"
    MODEL = "model"
    RECORD = "record"


class Capability(StrEnum):
    """What a program may call beyond reading its tables; it has none that it does not declare."""

    VEC = "vec"  # sums over whole columns


class PublishProgram(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=20):
    """A service or customer publishes a program; the source itself is public off the ledger."""

    source: Digest  # tagged_hash("program-source", exact bytes)
    runtime: Digest  # tagged_hash("runtime", bytes of the uncompressed component)
    engine: Short  # name and version of the WebAssembly engine
    schema: Short  # of the tables it reads
    kinds: Annotated[tuple[Kind, ...], Meta(min_length=1, max_length=7)]  # sorted
    sensitivity: Sensitivity
    measurement: MeasurementType
    limits: RunLimits
    capabilities: Annotated[tuple[Capability, ...], Meta(max_length=7)] = ()  # sorted


class ReviewProgram(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=21):
    """An attested organisation says that it read the program; shown to people, weight 0 in the score."""

    program: ProgramId
    approves: bool
    statement: Digest


class Program(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: one published program."""

    publisher: AccountId
    descriptor: PublishProgram
    published_at: Height
    approvals: Counter
    objections: Counter


class Review(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: one organisation's last word on one program."""

    approves: bool
    statement: Digest
    at: Height
