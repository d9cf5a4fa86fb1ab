"""From a published program to an outcome: identity, bounds, neutral measurements."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_tables import write_tables

from edgehold.analyses import shipped_programs, template
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.names import program_id
from edgehold.errors import (
    BadAnswer,
    BadManifest,
    ForbiddenCapability,
    FuelExhausted,
    ProgramDiffers,
    ProgramFailed,
    ProgramTooLarge,
    SandboxError,
)
from edgehold.sandbox.engine import ENGINE_VERSION
from edgehold.sandbox.host import Sandbox
from edgehold.sandbox.manifest import parse_manifest
from edgehold.sandbox.program import (
    Failed,
    Measured,
    Program,
    bounds,
    check_measurement,
    load_program,
    make_program,
    run_program,
)
from edgehold.vdaf.prio3 import neutral
from edgehold.wire.program import Capability, MeasurementKind, MeasurementType

COUNT = MeasurementType(MeasurementKind.COUNT, 1, 0, 0)
SUM = MeasurementType(MeasurementKind.SUM, 1, 100, 0)
HISTOGRAM = MeasurementType(MeasurementKind.HISTOGRAM, 6, 0, 0)
MULTIHOT = MeasurementType(MeasurementKind.MULTIHOT, 4, 0, 2)
SUMVEC = MeasurementType(MeasurementKind.SUMVEC, 3, 7, 0)
L1BOUND = MeasurementType(MeasurementKind.L1BOUND, 3, 7, 0)
ALL = (COUNT, SUM, HISTOGRAM, MULTIHOT, SUMVEC, L1BOUND)

MANIFEST = b"""
name = "probe"
title = "Counts something for a test."
reads = "edgehold.events/1"
kinds = ["ehr"]
sensitivity = "aggregate"
measurement = {kind = "count", labels = ["people"]}
limits = {fuel = 1_000_000_000}
"""


def counting(*lines: str) -> Program:
    """A program that should give 0 or 1."""
    source = "\n".join(["def main(person):", *(f"    {line}" for line in lines)])
    return make_program(source.encode(), parse_manifest(MANIFEST, "probe.toml"))


@pytest.mark.parametrize(
    ("measurement", "text", "value"),
    [
        (COUNT, "1", 1),
        (SUM, "100", 100),
        (HISTOGRAM, "5", 5),
        (MULTIHOT, "[1,0,0,1]", [1, 0, 0, 1]),
        (SUMVEC, "[7,7,7]", [7, 7, 7]),
        (L1BOUND, "[7,0,0]", [7, 0, 0]),
    ],
)
def test_an_answer_at_its_bounds_is_a_measurement(measurement: MeasurementType, text: str, value: object) -> None:
    assert check_measurement(text, measurement) == value


@pytest.mark.parametrize(
    ("measurement", "text"),
    [
        (COUNT, "2"),
        (COUNT, "-1"),
        (COUNT, "1.0"),
        (COUNT, "1e0"),
        (COUNT, "true"),
        (COUNT, "null"),
        (COUNT, '"1"'),
        (COUNT, "[1]"),
        (COUNT, ""),
        (COUNT, "NaN"),
        (COUNT, "[" * 4000),
        (SUM, "101"),
        (SUM, "1" * 4000),
        (HISTOGRAM, "6"),
        (HISTOGRAM, "[0]"),
        (MULTIHOT, "[1,1,1,0]"),
        (MULTIHOT, "[2,0,0,0]"),
        (MULTIHOT, "[1,0,0]"),
        (MULTIHOT, "[true,false,false,false]"),
        (MULTIHOT, "[]"),
        (MULTIHOT, "1"),
        (SUMVEC, "[8,0,0]"),
        (SUMVEC, "[0,0,-1]"),
        (SUMVEC, "[0,0,0.5]"),
        (L1BOUND, "[7,1,0]"),
        (L1BOUND, "{}"),
    ],
)
def test_any_other_answer_is_refused_without_being_repeated(measurement: MeasurementType, text: str) -> None:
    with pytest.raises(BadAnswer) as refused:
        check_measurement(text, measurement)
    assert len(str(refused.value)) < 200


@given(
    st.sampled_from(ALL), st.text() | st.lists(st.integers() | st.floats() | st.booleans(), max_size=6).map(json.dumps)
)
def test_an_answer_is_a_measurement_within_bounds_or_refused(measurement: MeasurementType, text: str) -> None:
    try:
        value = check_measurement(text, measurement)
    except BadAnswer:
        return
    numbers = value if isinstance(value, list) else [value]
    most_each, most_total = bounds(measurement)
    assert all(type(number) is int and 0 <= number <= most_each for number in numbers)
    assert sum(numbers) <= most_total


@pytest.mark.parametrize("measurement", ALL, ids=lambda measurement: measurement.kind.value)
def test_the_neutral_measurement_is_a_valid_one_of_the_same_shape(measurement: MeasurementType) -> None:
    value = neutral(measurement)
    assert check_measurement(json.dumps(value), measurement) == value
    assert (len(value) if isinstance(value, list) else 1) == measurement.length or measurement is HISTOGRAM
    assert neutral(HISTOGRAM) == 5


def test_a_program_that_fails_on_one_bit_of_the_data_has_an_outcome_either_way(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    program = counting("if person.events.has('SNOMED//1'): raise ValueError(person.events.strings)", "return 1")
    outcomes = []
    for name, code in (("with", "SNOMED//1"), ("without", "SNOMED//2")):
        folder = write_tables(tmp_path / name, [(1, code, None, "", "")])
        outcomes.append(run_program(sandbox, program.source, program.descriptor, folder))
    failed, measured = outcomes
    assert isinstance(failed, Failed)
    assert isinstance(failed.reason, ProgramFailed)
    assert isinstance(measured, Measured)
    assert measured.measurement == 1
    assert type(neutral(program.descriptor.measurement)) is type(measured.measurement)


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["while True: pass"], FuelExhausted),
        (["return 0.5"], BadAnswer),
        (["return True"], BadAnswer),
        (["return [0]"], BadAnswer),
        (["return 1 / 0"], ProgramFailed),
    ],
)
def test_every_failure_of_a_program_is_an_outcome(
    sandbox: Sandbox, tables: Path, lines: list[str], reason: type[SandboxError]
) -> None:
    program = counting(*lines)
    outcome = run_program(sandbox, program.source, program.descriptor, tables)
    assert isinstance(outcome, Failed)
    assert type(outcome.reason) is reason


def test_a_program_has_the_capabilities_that_were_published_with_it(sandbox: Sandbox, tables: Path) -> None:
    manifest = parse_manifest(b'capabilities = ["vec"]' + MANIFEST, "probe.toml")
    program = make_program(b"def main(person): return int(person.vec.sum('value.f64') > 0)", manifest)
    assert program.descriptor.capabilities == (Capability.VEC,)
    columns = tables.parent / "numbers"
    columns.mkdir()
    (columns / "value.f64").write_bytes(struct.pack("<2d", 0.5, 1.5))
    measured = run_program(sandbox, program.source, program.descriptor, columns)
    assert isinstance(measured, Measured)
    assert measured.measurement == 1
    without = msgspec.structs.replace(program.descriptor, capabilities=())
    assert program_id(without) != program_id(program.descriptor)
    failed = run_program(sandbox, program.source, without, columns)
    assert isinstance(failed, Failed)
    assert isinstance(failed.reason, ForbiddenCapability)


def test_only_the_published_source_runtime_and_engine_are_run(sandbox: Sandbox, tables: Path) -> None:
    program = counting("return 1")
    others = {"source": bytes(32), "runtime": bytes(32), "engine": "wasmtime 1.0.0"}
    for field, value in others.items():
        descriptor = msgspec.structs.replace(program.descriptor, **{field: value})
        outcome = run_program(sandbox, program.source, descriptor, tables)
        assert isinstance(outcome, Failed)
        assert isinstance(outcome.reason, ProgramDiffers)
        assert field in str(outcome.reason)


def test_a_program_is_named_by_its_exact_bytes() -> None:
    program = counting("return 1")
    assert program.descriptor.source == program.source_digest == tagged_hash("program-source", program.source)
    assert program.descriptor.engine == ENGINE_VERSION
    assert program.descriptor.limits.fuel == 10**9
    changed = make_program(program.source + b"\n", program.manifest)
    assert changed.source_digest != program.source_digest


def test_a_source_that_is_too_long_or_no_text_makes_no_program(sandbox: Sandbox, tables: Path) -> None:
    manifest = parse_manifest(MANIFEST, "probe.toml")
    with pytest.raises(ProgramTooLarge):
        make_program(b"#" * 70_000, manifest)
    with pytest.raises(ProgramFailed, match="UTF-8"):
        make_program(b"\xff", manifest)


def test_a_program_needs_its_manifest_beside_it(tmp_path: Path) -> None:
    (tmp_path / "alone.py").write_text("def main(person): return 1")
    with pytest.raises(BadManifest, match=r"alone\.toml"):
        load_program(tmp_path / "alone.py")


def test_the_template_is_a_program_that_runs(sandbox: Sandbox, tmp_path: Path) -> None:
    source, manifest = template("mine")
    (tmp_path / "mine.py").write_text(source)
    (tmp_path / "mine.toml").write_text(manifest)
    program = load_program(tmp_path / "mine.py")
    assert program.manifest.name == "mine"
    folder = write_tables(tmp_path / "tables", [(1, "SNOMED//44054006", None, "", "")])
    outcome = run_program(sandbox, program.source, program.descriptor, folder)
    assert isinstance(outcome, Measured)
    assert outcome.measurement == 1


def test_the_shipped_programs_describe_themselves() -> None:
    programs = shipped_programs()
    assert list(programs) == ["bmi", "pressure_by_hypertension", "disorders", "feasibility"]
    for name, program in programs.items():
        assert program.manifest.name == name
        assert len(program.source.splitlines()) <= 40, "a program is a few dozen lines"
