"""`edgehold bench sandbox`: what it costs that a program runs in WebAssembly, beside the same program outside it.

The same source, through the same `Person`, over the same files, runs in the sandbox and in this process; both answers
must be equal. A run in the sandbox is whole: a fresh instance, the program compiled, its tables read, its answer checked.
A score with `vec` stands beside numpy, which reads the same files, in the usual way and in the fastest that we know;
numpy uses one thread, as the sandbox does.

Programs are started as an installed Python starts them, from bytecode that an earlier start has written.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import random
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from wasmtime import Store, WasiConfig

from edgehold.bench.measure import Row, Work, interleave, make_row
from edgehold.codecs.events import Event, encode_table
from edgehold.errors import NotInstalled, Unavailable
from edgehold.sandbox.capabilities import make_linker
from edgehold.sandbox.compiled import default_cache, load_runtime, prepare_runtime
from edgehold.sandbox.engine import make_engine
from edgehold.sandbox.host import Sandbox
from edgehold.sandbox.limits import MOST_LIMITS
from edgehold.sandbox.person import Person, PlainVec
from edgehold.sandbox.vec import Vec
from edgehold.wire.program import Capability

MILLISECONDS: Final = 1e3
RUNS_AT_ONCE: Final = 10
"""Empty runs whose mean is one figure; a single one is too short for the clock of a busy machine."""

EMPTY: Final = "def main(person): return 1"

BY_COLUMNS: Final = """
def main(person):
    events, counts, sums = person.events, {}, {}
    for code, value in zip(events.code, events.value):
        if value > 0:
            counts[code] = counts.get(code, 0) + 1
            sums[code] = sums.get(code, 0.0) + value
    return {events.strings[code]: sums[code] / counts[code] for code in sorted(counts)}
"""

BY_ROWS: Final = """
def main(person):
    counts, sums = {}, {}
    for event in person.events.rows():
        if event.value > 0:
            counts[event.code] = counts.get(event.code, 0) + 1
            sums[event.code] = sums.get(event.code, 0.0) + event.value
    return {code: sums[code] / counts[code] for code in sorted(counts)}
"""

BY_LOOP: Final = """
def main(person):
    score = 0.0
    for dosage, weight in zip(person.column("dosage.u8"), person.column("weight.f64")):
        if dosage:
            score += dosage * weight
    return score
"""

BY_VEC: Final = 'def main(person): return person.vec.dot("dosage.u8", "weight.f64")'

COLD: Final = """
import sys
from pathlib import Path
from edgehold.sandbox.compiled import default_cache, prepare_runtime
from edgehold.sandbox.host import Sandbox
from edgehold.sandbox.limits import MOST_LIMITS
with Sandbox(prepare_runtime(default_cache())) as sandbox:
    print(sandbox.run(sys.argv[1], Path(sys.argv[2]), "{}", MOST_LIMITS).text)
"""

Main: TypeAlias = Callable[[Person], object]


def measure(work: Work) -> list[Row]:
    """Every figure of the sandbox."""
    numpy = import_numpy()
    runtime = prepare_runtime(default_cache(), work.say)
    tables = write_tables(work.folder / "tables", events=2_000 if work.quick else 100_000, sites=variants(work))
    with Sandbox(runtime) as sandbox:
        return [
            *measure_empty(work, sandbox, runtime, tables),
            *measure_cold(work, tables),
            *measure_programs(work, sandbox, tables),
            *measure_vec(work, sandbox, tables, numpy),
        ]


def import_numpy() -> Any:
    """The rival of `vec`, on one thread; raises `NotInstalled`."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        return importlib.import_module("numpy")
    except ImportError as error:
        raise NotInstalled("the bench of the sandbox needs numpy, of the extra `bench`") from error


def variants(work: Work) -> int:
    """How many variants a score has."""
    return 10_000 if work.quick else 1_000_000


def write_tables(folder: Path, events: int, sites: int) -> Path:
    """Tables of one person: events of fifty codes, and dosages and weights of many sites."""
    folder.mkdir()
    dice = random.Random(1)  # noqa: S311 - the same tables at every call
    codes = [f"LOINC//{number}-{number % 10}" for number in range(10_000, 10_050)]
    rows = [
        Event(dice.randrange(2**31), dice.choice(codes), round(dice.gauss(1, 1), 3), "", "kg") for _ in range(events)
    ]
    files = encode_table(rows) | {
        "dosage.u8": bytes(dice.choices((0, 1, 2), k=sites)),
        "weight.f64": struct.pack(f"<{sites}d", *(dice.gauss(0, 0.01) for _ in range(sites))),
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


def milliseconds(do: Callable[[], object]) -> float:
    """How long something takes, by the clock."""
    begun = time.perf_counter()
    do()
    return (time.perf_counter() - begun) * MILLISECONDS


# ── starting ──────────────────────────────────────────────────────────────────────────────────────────────────────


def measure_empty(work: Work, sandbox: Sandbox, runtime: Path, tables: Path) -> list[Row]:
    """A program that does nothing, in a process that has run others; its limit is an instance that runs nothing."""
    work.say("an empty program in a warm process")
    engine = make_engine()
    component = load_runtime(engine, runtime)
    linker = make_linker(engine, component)

    def instantiate() -> None:
        store = Store(engine)
        store.set_fuel(MOST_LIMITS.fuel)
        store.set_epoch_deadline(1)
        store.set_wasi(WasiConfig())
        linker.instantiate(store, component)
        store.close()

    def run() -> None:
        sandbox.run(EMPTY, tables, "{}", MOST_LIMITS)

    found = interleave_mean(work, {"run": run, "instance": instantiate})
    return [make_row("empty run, warm", "ms", found["run"], "an instance that runs nothing", found["instance"])]


def interleave_mean(work: Work, subjects: Mapping[str, Callable[[], None]]) -> dict[str, list[float]]:
    """Milliseconds of things too short to be measured singly; the first time of each does not count."""

    def several(do: Callable[[], None]) -> Callable[[], float]:
        def repeat() -> None:
            for _ in range(RUNS_AT_ONCE):
                do()

        do()
        return lambda: milliseconds(repeat) / RUNS_AT_ONCE

    return interleave(work.runs, {name: several(do) for name, do in subjects.items()})


def measure_cold(work: Work, tables: Path) -> list[Row]:
    """A process from its start to its exit; its limit is one that imports the engine's binding and does nothing."""
    work.say("cold processes")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    environment |= {
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        "PYTHONPYCACHEPREFIX": str(work.folder / "bytecode"),
    }

    def start(*arguments: str, says: str = "") -> Callable[[], float]:
        command = [sys.executable, "-c", *arguments]

        def process() -> None:
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603
            if done.returncode != 0 or done.stdout.strip() != says:
                raise Unavailable(f"a process said {done.stdout!r}, not {says!r}: {done.stderr[-500:]}")

        process()
        return lambda: milliseconds(process)

    found = interleave(
        work.runs,
        {
            "run": start(COLD, EMPTY, str(tables), says="1"),
            "binding": start("import wasmtime, wasmtime.component"),
            "python": start("pass"),
        },
    )
    return [
        make_row("empty run, cold process", "ms", found["run"], "Python that imports wasmtime", found["binding"]),
        make_row("Python that imports wasmtime", "ms", found["binding"], "Python that does nothing", found["python"]),
    ]


# ── computing ─────────────────────────────────────────────────────────────────────────────────────────────────────


def measure_programs(work: Work, sandbox: Sandbox, tables: Path) -> list[Row]:
    """Programs in the sandbox and in this process, with equal answers."""
    events, sites = len(Person(folder=str(tables)).events), variants(work)
    programs = {
        f"{events:,} events by columns": BY_COLUMNS,
        f"{events:,} events by rows": BY_ROWS,
        f"score of {sites:,} variants, loop": BY_LOOP,
    }
    return [measure_program(work, name, sandbox, source, tables) for name, source in programs.items()]


def measure_program(work: Work, name: str, sandbox: Sandbox, source: str, tables: Path) -> Row:
    """One program beside itself outside the sandbox; raises `Unavailable` if the answers differ."""
    work.say(name)

    def inside() -> str:
        return sandbox.run(source, tables, "{}", MOST_LIMITS).text

    def outside() -> str:
        return json.dumps(compile_main(source)(Person(folder=str(tables))), separators=(",", ":"))

    if inside() != outside():
        raise Unavailable(f"{name}: the sandbox and Python give different answers")
    found = interleave(work.runs, {"inside": lambda: milliseconds(inside), "outside": lambda: milliseconds(outside)})
    return make_row(name, "ms", found["inside"], "the same in this Python", found["outside"])


def compile_main(source: str) -> Main:
    """The function `main` of a program's source, in this process."""
    names: dict[str, Any] = {}
    exec(compile(source, "program.py", "exec"), names)  # noqa: S102 - one of the sources above
    main: Main = names["main"]
    return main


def measure_vec(work: Work, sandbox: Sandbox, tables: Path, numpy: Any) -> list[Row]:
    """A score by `vec` beside numpy: as a whole run, and the sum alone, without the program around it."""
    name = f"score of {variants(work):,} variants, vec"
    work.say(name)
    ways = ways_of_numpy(numpy, tables)
    engine = make_engine()
    vec = Vec(engine)

    def run() -> float:
        return float(json.loads(sandbox.run(BY_VEC, tables, "{}", MOST_LIMITS, [Capability.VEC]).text))

    def add_up() -> float:
        store = Store(engine)
        store.set_fuel(MOST_LIMITS.fuel)
        store.set_epoch_deadline(1)
        with vec.serving(store, tables):
            total = float(vec.answers()["dot"](store, "dosage.u8", "weight.f64"))
        store.close()
        return total

    check_scores([run(), add_up()], [way() for way in ways], PlainVec(str(tables)))
    found = interleave(
        work.runs,
        {
            "run": lambda: milliseconds(run),
            "sum": lambda: milliseconds(add_up),
            "usual": lambda: milliseconds(ways[0]),
            "fastest": lambda: min(milliseconds(way) for way in ways[1:]),
        },
    )
    usual = "numpy: fromfile, @"
    return [
        make_row(name, "ms", found["run"], usual, found["usual"]),
        make_row(f"{name}'s sum alone", "ms", found["sum"], usual, found["usual"]),
        make_row(usual, "ms", found["usual"], "numpy, the faster of two more ways", found["fastest"]),
    ]


def ways_of_numpy(numpy: Any, tables: Path) -> list[Callable[[], float]]:
    """Ways to read both columns and get the score: the usual one first, then two that convert by small parts."""
    dosage, weight = tables / "dosage.u8", tables / "weight.f64"

    def read() -> tuple[Any, Any]:
        return numpy.fromfile(dosage, "u1"), numpy.fromfile(weight, "f8")

    def product() -> float:
        dosages, weights = read()
        return float(dosages @ weights)

    def einstein() -> float:
        return float(numpy.einsum("i,i", *read()))

    def mapped() -> float:
        return float(numpy.einsum("i,i", numpy.memmap(dosage, "u1", "r"), numpy.memmap(weight, "f8", "r")))

    return [product, einstein, mapped]


def check_scores(ours: Sequence[float], numpys: Sequence[float], plain: PlainVec) -> None:
    """Ours are equal to the last bit; numpy adds in another order. Raises `Unavailable`."""
    expected = plain.dot("dosage.u8", "weight.f64")
    if any(score != expected for score in ours):
        raise Unavailable(f"the score is {expected!r}, the sandbox gives {ours}")
    if not all(math.isclose(score, expected, rel_tol=1e-9, abs_tol=1e-9) for score in numpys):
        raise Unavailable(f"the score is {expected!r}, numpy gives {numpys}")
