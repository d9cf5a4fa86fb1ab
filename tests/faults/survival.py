"""What is left after a power cut, opened with the party's own classes and held against what it had acknowledged.

SQLite recovers every crash state by itself; the product sees only what comes out. So each state is recovered, and what
comes out is judged by the product's own opening once: equal databases after recovery have equal verdicts. Every
`AGAIN`-th state is judged anew all the same.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from pathlib import Path
from random import Random
from typing import Any

import apsw
from crash_states import CrashState, Cut, crash_states
from recording import Mark, Recording

from edgehold.errors import EdgeholdError

AGAIN = 250
"""One state in so many is judged although its like was judged before."""

GO_ON = 4
"""From one in so many of the databases that come out of recovery the party also lives on."""


@dataclass(frozen=True)
class History:
    """One party's recorded life, and how to look at what is left of it."""

    recording: Recording
    beside: Mapping[str, bytes]
    """Files that are no databases, such as keys; they were durable before."""
    opened: Callable[[Path], AbstractContextManager[Any]]
    """The party, opened again in a folder with its own classes."""
    faults: Callable[[Any], Iterable[str]]
    """What must never be, whatever was acknowledged."""
    go_on: Callable[[Path, CrashState], None]
    """The party lives on in this folder; raises if it cannot."""

    @property
    def marks(self) -> list[Mark]:
        """What was acknowledged, in the order of time."""
        return [one for one in self.recording.operations if isinstance(one, Mark)]


@dataclass(frozen=True)
class Verdict:
    """What became of one disk."""

    faults: tuple[str, ...]
    lost: tuple[int, ...]
    """The places of the marks that do not hold."""


@dataclass
class Survey:
    """What was found in the states of one history."""

    states: int = 0
    """Distinct disks."""
    recovered: int = 0
    """Distinct databases after recovery."""
    went_on: int = 0
    violations: list[str] = field(default_factory=list)


def survey(history: History, cuts: Sequence[Cut], random: Random) -> Survey:
    """Check the states of these cuts, each distinct disk once against all that was acknowledged before its latest."""
    found, seen, verdicts = Survey(), dict[bytes, int](), dict[bytes, Verdict]()
    marks = history.marks
    with memory_folder() as folder:
        for state in crash_states(history.recording, cuts, random):
            disk = state.digest()
            if seen.get(disk, -1) >= state.marks:
                continue
            found.states += disk not in seen
            seen[disk] = state.marks
            image = recover(folder / "recovered", state)
            if image not in verdicts or found.states % AGAIN == 0:
                verdict = judge(history, folder / "judged", state)
                if verdicts.setdefault(image, verdict) != verdict:
                    found.violations.append(f"{state.cut}: judged {verdict}, before {verdicts[image]}")
                is_new, found.recovered = found.recovered < len(verdicts), len(verdicts)
                if is_new and not verdict.faults and found.recovered % GO_ON == 1:
                    found.violations += _go_on(history, folder / "going on", state)
                    found.went_on += 1
            verdict = verdicts[image]
            found.violations += [f"{state.cut}: {fault}" for fault in verdict.faults if state.marks]
            lost = [marks[place].name for place in verdict.lost if place < state.marks]
            found.violations += [f"{state.cut}: lost: {name}" for name in lost[:1]]
    return found


def recover(folder: Path, state: CrashState) -> bytes:
    """Let SQLite recover the state; equal bytes mean that equal databases came out."""
    write_files(folder, state.files)
    hashed = sha1(usedforsecurity=False)
    for name in sorted(state.files):
        if name.endswith(("-wal", "-journal")):
            continue
        hashed.update(name.encode())
        try:
            database = apsw.Connection(str(folder / name))
            database.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            database.execute("PRAGMA locking_mode=EXCLUSIVE")
            hashed.update(database.serialize("main") or b"")
            database.close()
        except apsw.Error as error:
            hashed.update(f"{error}".encode() + state.digest())
    return hashed.digest()


def judge(history: History, folder: Path, state: CrashState) -> Verdict:
    """Open what is left as the party does after a restart, and look for everything that was ever acknowledged."""
    write_files(folder, {**history.beside, **state.files})
    marks = history.marks
    try:
        with history.opened(folder) as opened:
            faults = tuple(history.faults(opened))
            return Verdict(faults, tuple(place for place, mark in enumerate(marks) if not _holds(mark, opened)))
    except (EdgeholdError, apsw.Error, OSError) as error:
        return Verdict((f"it does not open: {type(error).__name__} {error}",), tuple(range(len(marks))))


def _holds(mark: Mark, opened: Any) -> bool:
    try:
        return mark.holds(opened)
    except EdgeholdError:
        return False


def _go_on(history: History, folder: Path, state: CrashState) -> list[str]:
    write_files(folder, {**history.beside, **state.files})
    try:
        history.go_on(folder, state)
    except (EdgeholdError, apsw.Error, OSError, AssertionError) as error:
        return [f"{state.cut}: it does not go on: {type(error).__name__} {error}"]
    return []


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Make a folder hold exactly these files."""
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name not in files:
            path.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(0o600)


@contextmanager
def memory_folder() -> Iterator[Path]:
    """A folder in memory where the system has such a place."""
    parent = "/dev/shm" if Path("/dev/shm").is_dir() else None
    folder = Path(tempfile.mkdtemp(prefix="edgehold-crash-states-", dir=parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
