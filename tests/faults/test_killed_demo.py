"""The demo's process is killed anywhere: what it had promised is there at once, and the work goes on to its end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from once import made_once

if TYPE_CHECKING:
    from conftest import Figures

HERE = Path(__file__).parent
DEMO = ["demo", "--hubs", "6", "--seed", "1", "--json"]
ORDER = ["new", "--program", "feasibility", "--epsilon", "0.5"]
GOLDEN = 0.6180339887
"""Multiples of it, modulo 1, lie evenly however many there are."""
MOMENT = 0.02
"""Seconds; an order makes some fifty promises in half a second."""

REOPENING = 1.0
"""Seconds within which every party is open again, all of them together; of the processor, since a clock also counts what
else the machine does."""
PATIENCE = 120


@dataclass(frozen=True)
class Undisturbed:
    """A command that nobody kills: how many steps and promises it has."""

    steps: int
    promises: int

    def after(self, promises: int) -> Undisturbed:
        """What is left of it when so many were made."""
        left = max(1, self.promises - promises)
        return Undisturbed(max(1, self.steps * left // self.promises), left)


@dataclass(frozen=True)
class Base:
    """A demo's folder on which orders are placed, and what an undisturbed demo and an order on the folder take."""

    folder: Path
    demo: Undisturbed
    order: Undisturbed


@dataclass(frozen=True)
class Kill:
    """When a process dies: by itself at a step, or from outside some seconds after so many promises."""

    fate: dict[str, Any]
    promises: int | None = None
    seconds: float = 0.0


NEVER = Kill({})


def environment() -> dict[str, str]:
    """A user's, in which the programs of this folder find each other."""
    paths = [str(HERE), str(HERE.parent / "hub"), str(HERE.parent / "service"), os.environ.get("PYTHONPATH", "")]
    path = os.pathsep.join(filter(None, paths))
    return os.environ | {"PYTHONPATH": path, "PYTHONUTF8": "1", "PYTHONFAULTHANDLER": "1"}


def edgehold(words: list[str], notes: Path, kill: Kill, planted: str | None = None) -> int:
    """Run a command in a process of its own, kill it, and return how it ended."""
    told = {"words": words, "notes": str(notes), "fate": kill.fate, "planted": planted}
    with notes.with_suffix(".said").open("w") as words_said:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "witness.py"), json.dumps(told)],
            env=environment(),
            stdout=words_said,
            stderr=words_said,
        )
        if kill.promises is not None:
            wait_for(process, notes, kill.promises)
            time.sleep(kill.seconds)
            process.kill()
        code = process.wait(PATIENCE)
    end_at_a_line(notes)
    return code


def end_at_a_line(notes: Path) -> None:
    """Take away a note that death cut off: its promise was not made yet."""
    if notes.exists():
        made = notes.read_bytes()
        notes.write_bytes(made[: made.rfind(b"\n") + 1])


def wait_for(process: subprocess.Popen[bytes], notes: Path, promises: int) -> None:
    """Until a process has made so many promises, or none will come."""
    already = count_lines(notes)
    while process.poll() is None and count_lines(notes) < already + promises:
        time.sleep(0.002)


def count_lines(notes: Path) -> int:
    """How many promises were made so far."""
    return notes.read_bytes().count(b"\n") if notes.exists() else 0


def reopen(folder: Path, notes: Path, planted: str | None = None) -> dict[str, Any]:
    """What a fresh process finds."""
    told = {"folder": str(folder), "notes": str(notes), "planted": planted, "words": ORDER}
    done = subprocess.run(
        [sys.executable, str(HERE / "reopening.py"), json.dumps(told)],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def undisturbed(words: list[str], notes: Path) -> Undisturbed:
    """Run a command to its end and count."""
    assert edgehold(words, notes, NEVER) == 0, said(notes)
    *made, end = promises(notes)
    return Undisturbed(end["steps"], len(made))


def said(notes: Path) -> str:
    """The last words of a process."""
    return notes.with_suffix(".said").read_text()[-3000:]


def make_base(place: Path) -> None:
    """The folder is of a demo that was killed early and gone on with: its ledger is shorter by a period."""
    demo = undisturbed([*DEMO, "--dir", str(place / "whole")], place / "whole.notes")
    early = Kill({"after": "order", "times": 3})
    assert edgehold([*DEMO, "--dir", str(place / "demo")], place / "demo.notes", early) == -signal.SIGKILL
    assert reopen(place / "demo", place / "demo.notes")["violations"] == []
    shutil.copytree(place / "demo", place / "ordered")
    order = undisturbed(["order", *ORDER, "--dir", str(place / "ordered")], place / "order.notes")
    (place / "undisturbed.json").write_text(json.dumps([asdict(demo), asdict(order)]))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Base:
    """Made once a run."""
    place = made_once(tmp_path_factory, "killed demo", make_base)
    demo, order = (Undisturbed(**counts) for counts in json.loads((place / "undisturbed.json").read_text()))
    return Base(place / "demo", demo, order)


def kill_of(number: int, whole: Undisturbed) -> Kill:
    """The kill of a number: the points lie evenly over the command, in its steps or in its promises and a moment."""
    point = (number + 0.5) * GOLDEN % 1
    if number % 2:
        return Kill({}, promises=1 + int(point * whole.promises), seconds=MOMENT * (number * GOLDEN**2 % 1))
    return Kill({"step": 1 + int(point * whole.steps)})


def play(number: int, base: Base, place: Path) -> list[int]:
    """Every seventh number kills a demo, the others an order on a demo's folder, every third also what goes on with it."""
    folder, notes = place / "demo", place / "notes"
    if number % 7 == 0:
        return [edgehold([*DEMO, "--dir", str(folder)], notes, kill_of(number // 7, base.demo))]
    shutil.copytree(base.folder, folder)
    codes = [edgehold(["order", *ORDER, "--dir", str(folder)], notes, kill_of(number, base.order))]
    made = promises(notes)
    placed = [note["id"] for note in made if note["promise"] == "order"]
    if placed and number % 3 == 0:
        words = ["order", "result", placed[0], "--dir", str(folder)]
        codes.append(edgehold(words, notes, kill_of(number + 1, base.order.after(len(made)))))
    return codes


def promises(notes: Path) -> list[dict[str, Any]]:
    """What was promised so far."""
    notes.touch()
    return [json.loads(line) for line in notes.read_text().splitlines()]


@pytest.mark.system
@pytest.mark.campaign(test=5, long=200, shard=20)
def test_the_demo_is_killed_anywhere(numbers: range, base: Base, tmp_path: Path, figures: Figures) -> None:
    for number in numbers:
        place = tmp_path / f"{number}"
        place.mkdir()
        codes = play(number, base, place)
        assert set(codes) <= {0, -signal.SIGKILL}, f"number {number}: {said(place / 'notes')}"
        figures.add("promises made before kill -9, and kept", len(promises(place / "notes")))
        found = reopen(place / "demo", place / "notes")
        assert not found["violations"], f"number {number}: {found['violations'][:5]}"
        count(figures, codes, found)
        shutil.rmtree(place)


def count(figures: Figures, codes: list[int], found: dict[str, Any]) -> None:
    """Note what was found after one cycle, and that it was found in time."""
    figures.add("demo processes killed", len(codes) - codes.count(0))
    figures.add("demo processes that ended before they were killed", codes.count(0))
    figures.add("demos killed before they were founded", not found["founded"])
    figures.add("orders interrupted by kill -9 and brought to their end", found["interrupted"])
    figures.add("programs that ran at kill -9 and are not run again", found["running"])
    for kind, (clock, processor) in found["seconds"].items():
        figures.most(f"reopening after kill -9, seconds: {kind}", clock)
        figures.most(f"reopening after kill -9, processor seconds: {kind}", processor)
        assert processor <= REOPENING, f"{kind}: {processor} s"


@pytest.fixture
def place(base: Base, tmp_path: Path) -> Iterator[Path]:
    """A folder with a copy of the demo's."""
    shutil.copytree(base.folder, tmp_path / "demo")
    yield tmp_path
    shutil.rmtree(tmp_path)


@pytest.mark.system
def test_a_demo_killed_while_it_is_founded_says_what_to_do(tmp_path: Path) -> None:
    words, kill = [*DEMO, "--dir", str(tmp_path / "demo")], Kill({"after": "enrol"})
    assert edgehold(words, tmp_path / "notes", kill) == -signal.SIGKILL
    found = reopen(tmp_path / "demo", tmp_path / "notes")
    assert found["violations"] == []
    assert not found["founded"]


PLANTS = [
    ("debit_after_the_report", {"before": "INSERT INTO debits"}, "report True, debit False"),
    ("answer_before_the_commit", {"after": "answer Upload"}, "lost: answer Upload"),
    ("block_before_the_commit", {"after": "header", "times": 5}, "lost: header"),
    ("run_again", {"after": "run"}, "ran 2 times"),
]


@pytest.mark.system
@pytest.mark.parametrize(("planted", "fate", "finding"), PLANTS, ids=[one[0] for one in PLANTS])
def test_what_a_kill_reveals_is_found(place: Path, planted: str, fate: dict[str, Any], finding: str) -> None:
    words = ["order", *ORDER, "--dir", str(place / "demo")]
    assert edgehold(words, place / "notes", Kill(fate), planted) == -signal.SIGKILL
    shutil.copytree(place / "demo", place / "again")
    violations = reopen(place / "again", place / "notes", planted)["violations"]
    assert any(finding in one for one in violations), violations


@pytest.mark.system
@pytest.mark.parametrize(
    "fate",
    [pytest.param(one[1], marks=[pytest.mark.slow] if place else [], id=one[0]) for place, one in enumerate(PLANTS)],
)
def test_without_the_fault_nothing_is_found(place: Path, fate: dict[str, Any]) -> None:
    words = ["order", *ORDER, "--dir", str(place / "demo")]
    assert edgehold(words, place / "notes", Kill(fate)) == -signal.SIGKILL
    found = reopen(place / "demo", place / "notes")
    assert found["violations"] == []
    assert found["interrupted"] == 1
