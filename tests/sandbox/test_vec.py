"""Sums over whole columns: the kernel adds in the order that is written down, for programs that declare it only."""

from __future__ import annotations

import json
import math
import os
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from wasmtime import Engine, Store

from edgehold.errors import (
    DeadlineExceeded,
    ForbiddenCapability,
    FuelExhausted,
    MemoryExceeded,
    ProgramFailed,
    SandboxError,
)
from edgehold.sandbox import vec
from edgehold.sandbox.engine import make_engine
from edgehold.sandbox.host import Answer, Sandbox
from edgehold.sandbox.limits import DEFAULT_LIMITS
from edgehold.sandbox.person import FORMATS, Person, PlainVec
from edgehold.sandbox.vec import BLOCK, BYTE_FUEL, CALL_FUEL, Vec
from edgehold.wire.program import Capability, RunLimits

VEC = (Capability.VEC,)
SMALL = msgspec.structs.replace(DEFAULT_LIMITS, fuel=10**9)

NUMBERS = {
    "u8": st.integers(0, 2**8 - 1),
    "u32": st.integers(0, 2**32 - 1),
    "i64": st.integers(-(2**63), 2**63 - 1),
    "f64": st.floats(),
}


def write_column(folder: Path, kind: str, numbers: Sequence[float], name: str = "column") -> str:
    (folder / f"{name}.{kind}").write_bytes(struct.pack(f"<{len(numbers)}{FORMATS[kind]}", *numbers))
    return f"{name}.{kind}"


def bits(number: float) -> bytes:
    """What a number is, to the last bit; those that are no number are one."""
    return b"not a number" if math.isnan(number) else struct.pack("<d", number)


@pytest.fixture(scope="session")
def engine() -> Engine:
    return make_engine()


@pytest.fixture(scope="session")
def kernel(engine: Engine) -> Vec:
    return Vec(engine)


def sum_by(kernel: Vec, engine: Engine, folder: Path, *names: str) -> float:
    """What the kernel gives outside any program."""
    store = Store(engine)
    store.set_fuel(10**10)
    store.set_epoch_deadline(10**6)
    with kernel.serving(store, folder):
        total = kernel.answers()["dot" if len(names) == 2 else "sum"](store, *names)
    store.close()
    return float(total)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(NUMBERS)), st.sampled_from(sorted(NUMBERS)), st.integers(0, 40), st.data())
def test_any_two_columns_are_added_in_the_order_that_is_written_down(
    kernel: Vec, engine: Engine, tmp_path: Path, left: str, right: str, rows: int, data: st.DataObject
) -> None:
    columns = [
        write_column(tmp_path, kind, data.draw(st.lists(NUMBERS[kind], min_size=rows, max_size=rows)), name)
        for name, kind in (("left", left), ("right", right))
    ]
    plain = PlainVec(str(tmp_path))
    assert bits(sum_by(kernel, engine, tmp_path, *columns)) == bits(plain.dot(*columns))
    assert bits(sum_by(kernel, engine, tmp_path, columns[0])) == bits(plain.sum(columns[0]))


def uneven(kind: str, rows: int) -> list[float]:
    """Numbers whose sum depends on the order they are added in, if they are no integers."""
    if kind == "f64":
        return [math.sin(row) * 10.0 ** (row % 13) for row in range(rows)]
    return [row * 7919 % 251 for row in range(rows)]


@pytest.mark.parametrize("rows", [1023, 1024, 1025, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 1031])
@pytest.mark.parametrize("kind", ["u8", "f64"])
def test_columns_of_several_blocks_are_added_as_one(
    kernel: Vec, engine: Engine, tmp_path: Path, kind: str, rows: int
) -> None:
    left = write_column(tmp_path, kind, uneven(kind, rows), "left")
    right = write_column(tmp_path, "f64", uneven("f64", rows), "right")
    assert bits(sum_by(kernel, engine, tmp_path, left, right)) == bits(PlainVec(str(tmp_path)).dot(left, right))


@pytest.mark.parametrize(
    ("written", "instead"),
    [
        ("(f64x2.extract_lane 1 (global.get $lanes01))", "(f64x2.extract_lane 0 (global.get $lanes23))"),
        ("(i32.const 1024)", "(i32.const 1001)"),
        ("load64_zero", "load32_zero"),
        ("(i32.const 7)", "(i32.const 0)"),
    ],
)
def test_a_kernel_that_adds_in_another_order_would_be_noticed(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: str, instead: str
) -> None:
    text = vec.KERNEL.read_text()
    assert written in text
    (tmp_path / "other.wat").write_text(text.replace(written, instead))
    monkeypatch.setattr(vec, "KERNEL", tmp_path / "other.wat")
    left = write_column(tmp_path, "u32", uneven("u32", 3001), "left")
    right = write_column(tmp_path, "f64", uneven("f64", 3001), "right")
    assert sum_by(Vec(engine), engine, tmp_path, left, right) != PlainVec(str(tmp_path)).dot(left, right)


# ── programs ──────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def genotypes(tmp_path: Path) -> Path:
    """Dosages and weights of 3,001 sites, and what is no column beside them."""
    folder = tmp_path / "genotypes"
    folder.mkdir()
    write_column(folder, "u8", [row % 3 for row in range(3001)], "dosage")
    write_column(folder, "f64", [math.sin(row) / 100 for row in range(3001)], "weight")
    write_column(folder, "u32", range(7), "site")
    (folder / "empty.f64").touch()
    (folder / "odd.f64").write_bytes(b"123456789")
    (folder / "folder.u8").mkdir()
    (folder / "link.u8").symlink_to(folder / "dosage.u8")
    os.mkfifo(folder / "pipe.u8")
    return folder


def returns(what: str) -> str:
    return f"def main(person): return {what}"


SCORE = returns('[person.vec.dot("dosage.u8", "weight.f64"), person.vec.sum("dosage.u8"), person.vec.sum("empty.f64")]')


def test_a_program_that_declares_it_gets_what_plain_python_gets(sandbox: Sandbox, genotypes: Path) -> None:
    answer = sandbox.run(SCORE, genotypes, "{}", DEFAULT_LIMITS, VEC)
    person = Person(folder=str(genotypes))
    dosage, weight = person.column("dosage.u8"), person.column("weight.f64")
    assert json.loads(answer.text)[0] == pytest.approx(sum(map(float.__mul__, map(float, dosage), weight)))
    names: dict[str, Callable[[Person], object]] = {}
    exec(SCORE, names)  # noqa: S102 - the same source, outside
    assert json.loads(answer.text) == names["main"](person)


def test_a_program_that_does_not_declare_it_is_stopped(sandbox: Sandbox, genotypes: Path) -> None:
    for _ in range(2):
        with pytest.raises(ForbiddenCapability, match=r"edgehold:sandbox/vec@1\.0\.0 dot"):
            sandbox.run(SCORE, genotypes, "{}", DEFAULT_LIMITS)
        sandbox.run(SCORE, genotypes, "{}", DEFAULT_LIMITS, VEC)


@pytest.mark.parametrize(
    ("call", "stopped_by", "says"),
    [
        ('sum("absent.u8")', ProgramFailed, "no column absent.u8"),
        ('sum("odd.f64")', ProgramFailed, "whole rows of 8 bytes"),
        ('sum("folder.u8")', ProgramFailed, "whole rows"),
        ('sum("pipe.u8")', ProgramFailed, "whole rows"),
        ('sum("link.u8")', ProgramFailed, "no column link.u8"),
        ('sum("../beside.u8")', ProgramFailed, "no name of a column"),
        ('sum("/etc/passwd")', ProgramFailed, "no name of a column"),
        ('sum("dosage.u8\\n")', ProgramFailed, "no name of a column"),
        ('sum("dosage.u8\\0")', ProgramFailed, "no name of a column"),
        ('sum("d" * 10**6)', ProgramFailed, "no name of a column"),
        ('dot("dosage.u8", "site.u32")', ProgramFailed, "differ in length, 3001 rows in dosage.u8 and 7 rows in site"),
        ("dot(1, None)", ProgramFailed, "'1' is no name of a column"),
    ],
)
def test_what_is_no_column_ends_the_run(
    sandbox: Sandbox, genotypes: Path, call: str, stopped_by: type[SandboxError], says: str
) -> None:
    write_column(genotypes.parent, "u8", [1], "beside")
    caught = f"try: person.vec.{call}\n    except BaseException: pass\n"
    for source in (returns(f"person.vec.{call}"), f"def main(person):\n    {caught}    return 1"):
        with pytest.raises(SandboxError) as stopped:
            sandbox.run(source, genotypes, "{}", SMALL, VEC)
        assert stopped.type is stopped_by, stopped.value
        assert says in str(stopped.value)
        assert len(str(stopped.value)) < 300


def test_a_call_costs_the_same_fuel_everywhere_and_what_is_written_down(sandbox: Sandbox, genotypes: Path) -> None:
    def fuel(calls: int) -> int:
        source = returns(f'[person.vec.sum("dosage.u8") for _ in range({calls})]')
        answers = {sandbox.run(source, genotypes, "{}", DEFAULT_LIMITS, VEC) for _ in range(2)}
        (answer,) = answers
        assert isinstance(answer, Answer)
        return answer.fuel

    call = (fuel(12) - fuel(2)) / 10
    assert CALL_FUEL + 3001 * BYTE_FUEL < call < 1.2 * CALL_FUEL


FOREVER = 'def main(person):\n    while True: person.vec.sum("site.u32")'


@pytest.mark.parametrize(
    ("source", "limits", "stopped_by"),
    [
        (returns('person.vec.sum("dosage.u8")'), RunLimits(1_400_000, 96 << 20, 4096, 60_000), FuelExhausted),
        (FOREVER, SMALL, FuelExhausted),
        (FOREVER, RunLimits(10**13, 96 << 20, 4096, 100), DeadlineExceeded),
        (returns('person.vec.sum("wide.f64")'), RunLimits(10**8, 96 << 20, 4096, 60_000), FuelExhausted),
    ],
)
def test_sums_end_at_the_limits_of_the_run(
    sandbox: Sandbox, genotypes: Path, source: str, limits: RunLimits, stopped_by: type[SandboxError]
) -> None:
    with (genotypes / "wide.f64").open("wb") as file:
        file.truncate(1 << 30)
    with pytest.raises(stopped_by):
        sandbox.run(source, genotypes, "{}", limits, VEC)
    assert sandbox.run(SCORE, genotypes, "{}", SMALL, VEC).text.endswith(",0.0]")


def test_the_kernel_stops_at_the_deadline_and_at_the_last_unit_of_fuel(engine: Engine, tmp_path: Path) -> None:
    name = write_column(tmp_path, "u8", bytes(BLOCK))
    for fuel, beats, says in ((10**10, 0, "interrupt"), (CALL_FUEL + 2 * BLOCK + 100, 100, "fuel")):
        store = Store(engine)
        store.set_fuel(fuel)
        store.set_epoch_deadline(beats)
        kernel = Vec(engine)
        with kernel.serving(store, tmp_path), pytest.raises(vec.WasmtimeError, match=says):
            kernel.answers()["sum"](store, name)
        store.close()


def test_the_kernel_has_no_more_memory_than_the_run(engine: Engine, tmp_path: Path) -> None:
    name = write_column(tmp_path, "u8", b"1")
    store = Store(engine)
    store.set_fuel(10**10)
    store.set_limits(memory_size=1 << 20)
    kernel = Vec(engine)
    with kernel.serving(store, tmp_path), pytest.raises(vec.WasmtimeError, match="memory"):
        kernel.answers()["sum"](store, name)


def test_a_column_that_becomes_shorter_is_refused(tmp_path: Path) -> None:
    file = os.open(tmp_path, os.O_RDONLY)
    shorter = os.open(tmp_path / write_column(tmp_path, "u8", b"12"), os.O_RDONLY)
    buffer = vec.ctypes.create_string_buffer(64)
    with pytest.raises(vec.WasmtimeError, match="shorter"):
        vec.read_block(vec.Column("column.u8", shorter, 0, 1, 3), 0, 3, vec.ctypes.addressof(buffer))
    os.close(file)
    os.close(shorter)


def test_several_threads_add_up_each_for_its_own_run(sandbox: Sandbox, tmp_path: Path) -> None:
    def run(number: int) -> str:
        folder = tmp_path / str(number)
        folder.mkdir()
        write_column(folder, "u8", [number] * 10, "dosage")
        return sandbox.run(returns('person.vec.sum("dosage.u8")'), folder, "{}", DEFAULT_LIMITS, VEC).text

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(run, range(24))) == [f"{10 * number}.0" for number in range(24)]


def test_memory_that_a_run_lacks_for_the_kernel_is_memory_exceeded(sandbox: Sandbox, genotypes: Path) -> None:
    limits = msgspec.structs.replace(DEFAULT_LIMITS, memory_bytes=1 << 20)
    with pytest.raises(MemoryExceeded):
        sandbox.run(SCORE, genotypes, "{}", limits, VEC)
