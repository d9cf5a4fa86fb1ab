"""A program, its run over one person's tables, and the outcome: a measurement within bounds, or why there is none.

Whatever goes wrong, the hub reports the *neutral* measurement, which is of the same size as any other; the reason stays
with the owner. Nothing here decides when a report leaves: that height was drawn before the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import assert_never

import msgspec

from edgehold.crypto.hash import tagged_hash
from edgehold.errors import BadAnswer, BadManifest, ProgramDiffers, ProgramFailed, ProgramTooLarge, SandboxError
from edgehold.sandbox.compiled import runtime_digest
from edgehold.sandbox.engine import ENGINE_VERSION
from edgehold.sandbox.host import MOST_SOURCE, Sandbox
from edgehold.sandbox.manifest import Manifest, parse_manifest
from edgehold.wire.ids import Digest
from edgehold.wire.program import MeasurementKind, MeasurementType, PublishProgram

Measurement = int | list[int]
"""One number (count, sum, the place in a histogram), or one for each label."""


@dataclass(frozen=True)
class Program:
    """The exact bytes of a source, and what it says of itself."""

    source: bytes
    manifest: Manifest

    @property
    def source_digest(self) -> Digest:
        """Names the source on the ledger."""
        return source_digest(self.source)

    @property
    def descriptor(self) -> PublishProgram:
        """What a service publishes: source, runtime, engine, tables, measurement, limits."""
        return PublishProgram(
            source=self.source_digest,
            runtime=runtime_digest(),
            engine=ENGINE_VERSION,
            schema=self.manifest.reads,
            kinds=self.manifest.kinds,
            sensitivity=self.manifest.sensitivity,
            measurement=self.manifest.measurement.type,
            limits=self.manifest.run_limits,
            capabilities=self.manifest.capabilities,
        )


@dataclass(frozen=True)
class Measured:
    """The program gave a measurement of the declared type."""

    measurement: Measurement
    fuel: int
    """What the run took; the same for the same data, so it stays in the hub."""


@dataclass(frozen=True)
class Failed:
    """The program was stopped, or gave no measurement; for the owner's eyes only."""

    reason: SandboxError


Outcome = Measured | Failed


def source_digest(source: bytes) -> Digest:
    """`tagged_hash("program-source", exact bytes)`."""
    return tagged_hash("program-source", source)


def load_program(path: Path) -> Program:
    """Read `NAME.py` and the manifest `NAME.toml` beside it.

    Raises `BadManifest` (also when a file is missing) and `ProgramTooLarge`.
    """
    manifest = path.with_suffix(".toml")
    for file in (path, manifest):
        if not file.is_file():
            raise BadManifest(f"{file} does not exist; a program is a source with a manifest beside it")
    return make_program(path.read_bytes(), parse_manifest(manifest.read_bytes(), str(manifest)))


def make_program(source: bytes, manifest: Manifest) -> Program:
    """Put source and manifest together; raises `ProgramTooLarge`, `ProgramFailed` for a source that is not UTF-8."""
    if len(source) > MOST_SOURCE:
        raise ProgramTooLarge(f"source of {len(source)} bytes, at most {MOST_SOURCE} are allowed")
    decode_source(source)
    return Program(source, manifest)


def decode_source(source: bytes) -> str:
    """The text of a source; raises `ProgramFailed` when it is not UTF-8."""
    try:
        return source.decode("utf-8")
    except UnicodeDecodeError as error:
        raise ProgramFailed(f"the source is not UTF-8: {error}") from error


def run_program(
    sandbox: Sandbox, source: bytes, descriptor: PublishProgram, tables: Path, params: str = "{}"
) -> Outcome:
    """Run a published program over one person's tables; every failure of the program is an outcome, not an error.

    `descriptor` is what the ledger says of the program: another source, runtime or engine is not run.
    """
    try:
        check_identity(source, descriptor)
        answer = sandbox.run(decode_source(source), tables, params, descriptor.limits, descriptor.capabilities)
        return Measured(check_measurement(answer.text, descriptor.measurement), answer.fuel)
    except SandboxError as error:
        return Failed(error)


def check_identity(source: bytes, descriptor: PublishProgram) -> None:
    """Raise `ProgramDiffers` unless source, runtime and engine are those that were published."""
    for what, here, published in (
        ("source", source_digest(source).hex(), descriptor.source.hex()),
        ("runtime", runtime_digest().hex(), descriptor.runtime.hex()),
        ("engine", ENGINE_VERSION, descriptor.engine),
    ):
        if here != published:
            raise ProgramDiffers(f"the {what} here is {here}, published is {published}")


def check_measurement(text: str, measurement: MeasurementType) -> Measurement:
    """Read a program's answer: whole numbers of the declared kind and within its bounds, and nothing else.

    Raises `BadAnswer`, whose message does not repeat the answer.
    """
    is_vector = measurement.kind in (MeasurementKind.MULTIHOT, MeasurementKind.SUMVEC, MeasurementKind.L1BOUND)
    try:
        numbers = msgspec.json.decode(text, type=list[int]) if is_vector else [msgspec.json.decode(text, type=int)]
    except msgspec.DecodeError as error:
        expected = f"{measurement.length} whole numbers" if is_vector else "one whole number"
        raise BadAnswer(f"a {measurement.kind.value} is {expected} as JSON: {error}") from error
    most_each, most_total = bounds(measurement)
    if len(numbers) != (measurement.length if is_vector else 1):
        raise BadAnswer(f"{len(numbers)} numbers instead of {measurement.length}")
    if min(numbers) < 0 or max(numbers) > most_each:
        raise BadAnswer(f"a number lies outside 0 to {most_each}")
    if sum(numbers) > most_total:
        raise BadAnswer(f"the numbers add up to more than {most_total}")
    return numbers if is_vector else numbers[0]


def bounds(measurement: MeasurementType) -> tuple[int, int]:
    """The largest single number and the largest total of a measurement's numbers."""
    match measurement.kind:
        case MeasurementKind.COUNT:
            return 1, 1
        case MeasurementKind.HISTOGRAM:
            return measurement.length - 1, measurement.length - 1
        case MeasurementKind.MULTIHOT:
            return 1, measurement.weight
        case MeasurementKind.SUM | MeasurementKind.L1BOUND:
            return measurement.bound, measurement.bound
        case MeasurementKind.SUMVEC:
            return measurement.bound, measurement.bound * measurement.length
        case _:
            assert_never(measurement.kind)
