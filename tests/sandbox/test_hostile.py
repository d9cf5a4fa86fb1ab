"""Every hostile program is stopped by its own error, or finds nothing, within its budget, and leaves nothing behind.

Two budgets: a program that is given little fuel may take twice the time in which a plain loop burns as much; one that
is given a short deadline may take twice as long. Time is the thread's own, so that a busy machine does not count.
"""

from __future__ import annotations

import ctypes
import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from mmap import mmap
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import pytest
from hostile import LITTLE, PROGRAMS, SHORT, Hostile, body
from hostile_bombs import BOMBS
from hostile_tricks import TRICKS, VAIN, Vain
from hostile_twice import outcomes
from msgspec.structs import replace

from edgehold.errors import FuelExhausted, ProgramFailed, SandboxError
from edgehold.sandbox.host import Answer, Pulse, Sandbox
from edgehold.sandbox.limits import DEFAULT_LIMITS
from edgehold.wire.program import RunLimits

if TYPE_CHECKING:
    from conftest import Figures

pytestmark = pytest.mark.untraced

ALL = (*PROGRAMS, *BOMBS, *TRICKS)

PROBE = "import json, random\ndef main(person): return [len(person.events), random.random(), json.dumps([])]"

MEGABYTE = 1 << 20
MOST_GROWTH = 64
"""Megabytes that the host may grow by beyond the memory that a program was granted; and by which all together."""

BURNS = (body("while True: pass"), "while True: pass", body("x = []", "while True: x.append(object())"))
"""Loops that burn fuel: two do nothing else, the third keeps what it makes. Fuel counts instructions alone, and memory
that is touched for the first time takes half as long again for each."""


class Undisturbed(NamedTuple):
    """What the probe gives before any hostile program ran, and how long loops take for little fuel."""

    answer: Answer
    seconds: float


@pytest.fixture(scope="module")
def undisturbed(sandbox: Sandbox, tables: Path) -> Iterator[Undisturbed]:
    """How things are before the corpus; after it, this process holds hardly more memory than before."""
    answer = sandbox.run(PROBE, tables, "{}", DEFAULT_LIMITS)
    seconds = seconds_of_fuel(sandbox, tables)
    before = in_use()
    yield Undisturbed(answer, seconds)
    assert in_use() - before <= MOST_GROWTH


def in_use() -> float:
    """Megabytes of this process without what was freed: the C library keeps pieces of tens of megabytes for the next
    that asks, some after one program and some after another."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    return resident("VmRSS")


def resident(line: str) -> float:
    """Megabytes of this process: `VmRSS` now, `VmHWM` at most since `forget_most`."""
    (kilobytes,) = (one.split()[1] for one in Path("/proc/self/status").read_text().splitlines() if line in one)
    return int(kilobytes) / 1024


def forget_most() -> None:
    """The most memory that was held is counted from now on."""
    Path("/proc/self/clear_refs").write_text("5")


def stop(sandbox: Sandbox, tables: Path, source: str, limits: RunLimits) -> tuple[SandboxError, float]:
    """Run what a sandbox stops: the error, and for how many seconds this thread computed."""
    begun = time.thread_time()
    with pytest.raises(SandboxError) as stopped:
        sandbox.run(source, tables, "{}", limits)
    return stopped.value, time.thread_time() - begun


def seconds_of_fuel(sandbox: Sandbox, tables: Path) -> float:
    """How long a loop takes here and now for as much fuel as little."""
    return max(stop(sandbox, tables, loop, LITTLE)[1] for loop in BURNS)


def budget(limits: RunLimits, seconds: float) -> float:
    """The seconds that a program may take, if loops burn little fuel in so many."""
    return limits.deadline_ms / 1000 if limits.fuel >= SHORT.fuel else seconds * limits.fuel / LITTLE.fuel


def share_again(sandbox: Sandbox, tables: Path, hostile: Hostile, share: float) -> float:
    """The share of its budget that a program took; if that was too much, the least of five more looks, since another
    process may have been in the way."""
    for _ in range(5):
        if share > 2:
            allowed = budget(hostile.limits, seconds_of_fuel(sandbox, tables))
            share = min(share, stop(sandbox, tables, hostile.source, hostile.limits)[1] / allowed)
    return share


@pytest.mark.parametrize("hostile", ALL, ids=lambda hostile: hostile.tries.replace(" ", "_"))
def test_a_hostile_program_is_stopped_and_the_next_run_is_as_before(
    sandbox: Sandbox,
    tables: Path,
    undisturbed: Undisturbed,
    hostile: Hostile,
    capfd: pytest.CaptureFixture[str],
    figures: Figures,
) -> None:
    files = {path.name: path.read_bytes() for path in tables.parent.rglob("*") if path.is_file()}
    forget_most()
    before = resident("VmRSS")
    error, seconds = stop(sandbox, tables, hostile.source, hostile.limits)
    grown, granted = resident("VmHWM") - before, hostile.limits.memory_bytes / MEGABYTE
    assert type(error) is hostile.stopped_by, error
    assert len(str(error)) <= 2_100
    assert grown <= granted + MOST_GROWTH
    assert sandbox.run(PROBE, tables, "{}", DEFAULT_LIMITS) == undisturbed.answer
    assert {path.name: path.read_bytes() for path in tables.parent.rglob("*") if path.is_file()} == files
    assert capfd.readouterr() == ("", "")
    share = share_again(sandbox, tables, hostile, seconds / budget(hostile.limits, undisturbed.seconds))
    assert share <= 2
    figures.add("hostile programs stopped, each by its own error", 1)
    figures.most("hostile programs: largest growth of host memory, MB", grown)
    figures.most("hostile programs: largest growth beyond the 64 MB they are granted, MB", max(0, grown - granted))
    figures.most("hostile programs: largest share of the time budget", share)


def test_a_program_that_takes_longer_than_its_budget_would_be_noticed(sandbox: Sandbox, tables: Path) -> None:
    loop = Hostile("a loop that burns five times as much", BURNS[1], FuelExhausted)
    allowed = budget(LITTLE, seconds_of_fuel(sandbox, tables))
    seconds = [stop(sandbox, tables, loop.source, replace(LITTLE, fuel=5 * LITTLE.fuel))[1] for _ in range(3)]
    assert min(seconds) / allowed > 2
    assert share_again(sandbox, tables, loop, 5) <= 2, "the loop itself is in order"


@contextmanager
def other_work() -> Iterator[None]:
    """Three threads that compute, and do not let go of the interpreter before they have to."""
    done = threading.Event()

    def compute() -> None:
        while not done.is_set():
            sum(range(1000))

    threads = [threading.Thread(target=compute) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        done.set()
        for thread in threads:
            thread.join()


def overrun(sandbox: Sandbox, tables: Path) -> float:
    """How many times its deadline a loop runs while the process has other work."""
    limits = replace(SHORT, deadline_ms=400)
    with other_work():
        begun = time.monotonic()
        stop(sandbox, tables, BURNS[0], limits)
        return (time.monotonic() - begun) * 1000 / limits.deadline_ms


def test_a_deadline_is_kept_also_while_other_threads_are_busy(
    sandbox: Sandbox, tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert any(overrun(sandbox, tables) <= 2 for _ in range(5))
    monkeypatch.setattr(Pulse, "_catch_up", lambda pulse: pulse._engine.increment_epoch())
    assert overrun(sandbox, tables) > 2, "a clock that counts its own beats goes slow, and this would find it"


def test_memory_that_the_host_takes_would_be_noticed() -> None:
    forget_most()
    before = resident("VmRSS")
    with mmap(-1, 100 * MEGABYTE) as taken:  # a bytearray may lie in memory that this process never gave back
        for _ in range(100):
            taken.write(os.urandom(MEGABYTE))
        assert resident("VmHWM") - before > 90


@pytest.mark.parametrize("vain", VAIN, ids=lambda vain: vain.tries.replace(" ", "_"))
def test_what_could_tell_time_place_or_chance_tells_nothing(
    sandbox: Sandbox, tables: Path, vain: Vain, figures: Figures
) -> None:
    first, second = (sandbox.run(vain.source, tables, "{}", DEFAULT_LIMITS) for _ in range(2))
    assert first == second
    assert first.text == vain.gets or not vain.gets
    figures.add("hostile programs that find nothing", 1)


# ── the same everywhere ───────────────────────────────────────────────────────────────────────────────────────────

PLACES = (
    {"PYTHONHASHSEED": "1", "TZ": "Asia/Kathmandu", "LC_ALL": "C"},
    {"PYTHONHASHSEED": "2", "TZ": "America/St_Johns", "HOME": "/nowhere", "SECRET": "of the host"},
    {"PYTHONHASHSEED": "random", "PYTHONMALLOC": "malloc", "COLUMNS": "7"},
)
"""Processes that differ in all that a process can be given."""


def in_another_process(runtime: Path, tables: Path, fuel: int, place: dict[str, str], folder: Path) -> object:
    environment = os.environ | place | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    script = str(Path(__file__).with_name("hostile_twice.py"))
    command = [sys.executable, script, str(runtime), str(tables), str(fuel)]
    ran = subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, text=True)
    assert ran.stderr == ""
    return json.loads(ran.stdout)


def test_answers_errors_and_fuel_are_the_same_in_every_process(
    sandbox: Sandbox, runtime: Path, tables: Path, tmp_path: Path, is_long: bool, figures: Figures
) -> None:
    fuel = LITTLE.fuel if is_long else LITTLE.fuel // 20
    here = outcomes(sandbox, tables, fuel)
    for number, place in enumerate(PLACES):
        folder = tmp_path / f"place {number}"
        folder.mkdir()
        there = in_another_process(runtime, tables, fuel, place, folder)
        assert isinstance(there, dict)
        assert {name: there[name] for name in here if there[name] != here[name]} == {}
    figures.add("runs compared between four processes, bit for bit", len(here))


GOOD = "def main(person):\n    total = 0\n    for number in range({rounds}):\n        total += number\n    return total"
"""A good program that computes for as long as it is told."""


@pytest.mark.slow
def test_the_next_run_takes_as_long_after_a_hostile_program_as_after_a_good_one(
    sandbox: Sandbox, tables: Path, figures: Figures
) -> None:
    """Medians over runs that take turns: a probe after a hostile program, a probe after a good one of the same length.

    After a pause, or other work, of some milliseconds any run takes a third longer than one of many in a row.
    """

    def run(source: str) -> float:
        begun = time.thread_time()
        sandbox.run(source, tables, "{}", DEFAULT_LIMITS)
        return time.thread_time() - begun

    short, long = (min(run(GOOD.format(rounds=rounds)) for _ in range(3)) for rounds in (1, 500_000))
    after, beside = [], []
    for hostile in ALL * 5:
        begun = time.thread_time()
        with pytest.raises(SandboxError):
            sandbox.run(hostile.source, tables, "{}", hostile.limits)
        took = time.thread_time() - begun
        after.append(run(PROBE))
        run(GOOD.format(rounds=int(500_000 * max(took - short, 0) / (long - short))))
        beside.append(run(PROBE))
    ratio = median(after) / median(beside)
    figures.most("time of the run after a hostile program, beside one after a good one", ratio)
    assert ratio <= 1.05


# ── limits, shown ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_limit_shown_a_program_can_tell_when_and_where_its_tables_were_written(sandbox: Sandbox, tables: Path) -> None:
    """What a file system says of files: times, numbers, and the order in which it lists them."""
    look = body("s = os.stat('/in/time.i64')", "return [int(s.st_ctime), len(os.listdir('/in'))]", imports="import os")
    seen, names = json.loads(sandbox.run(look, tables, "{}", DEFAULT_LIMITS).text)
    assert abs(seen - (tables / "time.i64").stat().st_ctime) <= 1
    assert names == len(list(tables.iterdir()))


def test_limit_shown_a_program_can_hold_open_as_many_files_as_the_process_may_until_it_ends(
    sandbox: Sandbox, tables: Path
) -> None:
    opens = body("return len([os.open('/in/time.i64', os.O_RDONLY) for _ in range(500)])", imports="import os")
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert sandbox.run(opens, tables, "{}", DEFAULT_LIMITS).text == "500"
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    with pytest.raises(ProgramFailed, match="OSError"):
        sandbox.run(opens.replace("500", "10 ** 6"), tables, "{}", replace(LITTLE, fuel=10**11))
    assert len(list(Path("/proc/self/fd").iterdir())) == before
