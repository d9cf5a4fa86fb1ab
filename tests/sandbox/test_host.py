"""Runs of the sandbox: what a program gets, what it gives, and that each run is alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest

from edgehold.errors import DeadlineExceeded, MemoryExceeded, NoTables, ProgramFailed, ProgramTooLarge, SandboxError
from edgehold.sandbox import host
from edgehold.sandbox.host import MOST_PARAMS, Sandbox
from edgehold.sandbox.limits import DEFAULT_LIMITS

NO_WORLD = """
import datetime, os, random, sys, time
def main(person):
    first = [random.random(), os.urandom(4).hex(), hash("a")]
    return {
        "clocks": [time.time(), time.monotonic(), time.perf_counter(), str(datetime.datetime.now())],
        "environment": dict(os.environ), "arguments": sys.argv[1:], "dice": first, "input": sys.stdin.read(),
        "folder": sorted(os.listdir("/in")),
    }
"""

WORK = """
import math
def main(person):
    return [math.fsum(math.sin(x) for x in range(2000)), float("inf") - float("inf") != 0, [*{"b", "a", "c"}]]
"""


def test_a_program_reads_columns_and_parameters(sandbox: Sandbox, tables: Path) -> None:
    source = (
        "def main(p): return [p.params['least'], [e.value for e in p.events.rows('LOINC//39156-5')], len(p.events)]"
    )
    answer = sandbox.run(source, tables, '{"least": 30}', DEFAULT_LIMITS)
    assert json.loads(answer.text) == [30, [29.0, 31.5], 3]


def test_clocks_dice_and_environment_are_empty_shadows(sandbox: Sandbox, tables: Path) -> None:
    seen = json.loads(sandbox.run(NO_WORLD, tables, "{}", DEFAULT_LIMITS).text)
    assert seen["clocks"] == [0.0, 0.0, 0.0, "1970-01-01 00:00:00"]
    assert seen["environment"] == {}
    assert seen["arguments"] == []
    assert seen["input"] == ""
    assert seen["dice"][1] == "00000000"
    assert set(seen["folder"]) == {path.name for path in tables.iterdir()}
    assert json.loads(sandbox.run(NO_WORLD, tables, "{}", DEFAULT_LIMITS).text) == seen


def test_a_run_repeats_with_the_same_answer_and_fuel_in_another_process(
    sandbox: Sandbox, tables: Path, runtime: Path
) -> None:
    here = [sandbox.run(WORK, tables, "{}", DEFAULT_LIMITS) for _ in range(2)]
    script = (
        "import sys; from pathlib import Path; from edgehold.sandbox.host import Sandbox\n"
        "from edgehold.sandbox.limits import DEFAULT_LIMITS as limits\n"
        "answer = Sandbox(Path(sys.argv[1])).run(sys.argv[3], Path(sys.argv[2]), '{}', limits)\n"
        "print(answer.text, answer.fuel)"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "PYTHONHASHSEED": "7"}
    command = [sys.executable, "-c", script, str(runtime), str(tables), WORK]
    there = subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()
    assert here[0] == here[1]
    assert there == f"{here[0].text} {here[0].fuel}"


def test_nothing_of_one_run_is_seen_by_the_next(sandbox: Sandbox, tables: Path) -> None:
    poison = "import builtins, json\nbuiltins.trace = 1\njson.trace = 1\ndef main(p): return 1"
    sandbox.run(poison, tables, "{}", DEFAULT_LIMITS)
    look = "import builtins, json\ndef main(p): return hasattr(builtins, 'trace') or hasattr(json, 'trace')"
    assert sandbox.run(look, tables, "{}", DEFAULT_LIMITS).text == "false"


def test_several_threads_share_one_sandbox_and_errors_stay_with_their_runs(sandbox: Sandbox, tables: Path) -> None:
    def run(number: int) -> object:
        if number % 4 == 3:
            with pytest.raises(SandboxError) as stopped:
                sandbox.run("import os\ndef main(p): os._exit(1)", tables, "{}", DEFAULT_LIMITS)
            return stopped.type.__name__
        return sandbox.run(f"def main(p): return {number}", tables, "{}", DEFAULT_LIMITS).text

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(run, range(40)))
    assert answers == ["ForbiddenCapability" if number % 4 == 3 else str(number) for number in range(40)]


def test_too_little_memory_for_the_runtime_is_memory_exceeded(sandbox: Sandbox, tables: Path) -> None:
    with pytest.raises(MemoryExceeded):
        sandbox.run(
            "def main(p): return 1", tables, "{}", msgspec.structs.replace(DEFAULT_LIMITS, memory_bytes=1 << 20)
        )


def test_a_deadline_passes_even_after_the_pulse_has_rested(
    runtime: Path, tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "IDLE_BEATS", 1)
    limits = msgspec.structs.replace(DEFAULT_LIMITS, fuel=10**13, deadline_ms=50)
    with Sandbox(runtime) as sandbox:
        sandbox.run("def main(p): return 1", tables, "{}", DEFAULT_LIMITS)
        with sandbox._pulse._changed:
            while not sandbox._pulse._resting:
                sandbox._pulse._changed.wait(0.01)
        with pytest.raises(DeadlineExceeded):
            sandbox.run("while True: pass", tables, "{}", limits)


def test_a_closed_sandbox_runs_nothing(runtime: Path, tables: Path) -> None:
    with Sandbox(runtime) as sandbox:
        pass
    with pytest.raises(ProgramFailed, match="closed"):
        sandbox.run("def main(p): return 1", tables, "{}", DEFAULT_LIMITS)


def test_tables_must_exist_and_parameters_be_short(sandbox: Sandbox, tables: Path) -> None:
    with pytest.raises(NoTables):
        sandbox.run("def main(p): return 1", tables / "absent", "{}", DEFAULT_LIMITS)
    with pytest.raises(ProgramTooLarge):
        sandbox.run("def main(p): return 1", tables, " " * (MOST_PARAMS + 1), DEFAULT_LIMITS)
