"""Fuzzes decoders with atheris, each in a process of its own that is forked from one which has imported everything.

    python tests/fuzz/run.py TARGET --runs 2000 --seed 1      one decoder, and what came of it
    python tests/fuzz/run.py --serve                          the same for each line of JSON on stdin, for the tests

atheris never returns, and an input may end the process. So every input is noted in memory shared with the parent before
it is read, with the count, the slowest and the largest: what they say holds also of a process that was killed.
"""

from __future__ import annotations

import argparse
import contextlib
import faulthandler
import json
import mmap
import os
import resource
import signal
import struct
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, NoReturn

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), *(str(HERE.parent / folder) for folder in ("mutants", "service", "verify", "hub", "remote"))]

CPU_SECONDS = 1.0
"""Processor time of one input. The clock on the wall would measure what else runs on the machine."""

MEMORY = 256 << 20
"""Bytes by which the process may grow, all inputs together."""

BLOCKED_SECONDS = 60
"""An input that waits, using no processor time, is ended after so long."""

MOST_SLOW = 3
"""How often a target may be slow with an input that is not when it is read again alone."""

ROOM = 16 << 20
"""Bytes that fit into the notes."""


class TooSlow(Exception):
    """An input took more processor time than any may."""


class TooLarge(Exception):
    """An input took more memory than any may."""


class Notes:
    """What parent and child share: count, accepted, slowest (s), growth (bytes), and the input that was read last."""

    LAYOUT = struct.Struct("<QQdQQ")

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, ROOM + self.LAYOUT.size)
        self.count, self.accepted, self.slowest, self.growth = 0, 0, 0.0, 0
        self._size = 0

    def begin(self, data: bytes) -> None:
        """An input is about to be read."""
        self.count += 1
        self._size = min(len(data), ROOM)
        self._memory[self.LAYOUT.size : self.LAYOUT.size + self._size] = data[: self._size]
        self.write()

    def write(self) -> None:
        """Let the parent see the numbers."""
        self.LAYOUT.pack_into(self._memory, 0, self.count, self.accepted, self.slowest, self.growth, self._size)

    def read(self) -> dict[str, Any]:
        """What the child last said."""
        count, accepted, slowest, growth, size = self.LAYOUT.unpack_from(self._memory)
        last = self._memory[self.LAYOUT.size : self.LAYOUT.size + size]
        return {"count": count, "accepted": accepted, "slowest": slowest, "growth": growth, "last": last.hex()}


# ── in the child ──────────────────────────────────────────────────────────────────────────────────────────────────


class Meter:
    """Reads inputs one by one and measures each; what is no refusal of the decoder's, or takes too much, is raised."""

    def __init__(self, notes: Notes, read: Callable[[bytes], object], refusals: tuple[type[Exception], ...]) -> None:
        self._notes = notes
        self._read = read
        self._refusals = refusals
        self._start = 0
        self.refusal: Exception | None = None
        """How the last input was refused, if it was."""

    def start(self) -> None:
        """From here on memory is counted; more than is allowed is not to be had, so that nothing harms the machine."""
        self._start = forget_peak()
        used = next(int(line.split()[1]) for line in status() if line.startswith("VmData:")) << 10
        resource.setrlimit(resource.RLIMIT_DATA, (used + MEMORY + (64 << 20), resource.RLIM_INFINITY))

    def __call__(self, data: bytes) -> None:
        """Read one input."""
        notes = self._notes
        notes.begin(data)
        began = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, CPU_SECONDS + 0.2)  # kills also what never comes back to Python
        try:
            self._read(data)
            notes.accepted += 1
            self.refusal = None
        except self._refusals as refusal:
            self.refusal = refusal.with_traceback(None)
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
        took = time.process_time() - began
        notes.slowest = max(notes.slowest, took)
        notes.growth = max(notes.growth, peak() - self._start)
        notes.write()
        if took > CPU_SECONDS:
            raise TooSlow(f"{len(data)} bytes took {took:.2f} s")
        if notes.growth > MEMORY:
            raise TooLarge(f"after {len(data)} bytes the process had grown by {notes.growth >> 20} MB")


def peak() -> int:
    """The most memory that the process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def forget_peak() -> int:
    """Begin to measure the peak anew; returns what the process has now."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


def status() -> list[str]:
    """What the system says of this process."""
    return Path("/proc/self/status").read_text().splitlines()


def fuzz(asked: dict[str, Any], notes: Notes, folder: Path) -> NoReturn:
    """Build what the decoder needs, see that its examples pass, and let atheris do the rest; never returns."""
    import atheris
    from decoders import TARGETS

    target = TARGETS[asked["target"]]
    (folder / "world").mkdir()
    reader = target.prepare(folder / "world")
    found = [path.read_bytes() for path in sorted((HERE / "found").glob(f"{asked['target'].replace(' ', '_')}.*"))]
    longest = 2 * max(len(seed) for seed in (*reader.seeds, *found, *target.bombs.short())) + 64
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate([*reader.seeds, *found, *target.bombs.short()]):
        (corpus / f"{number:03}").write_bytes(seed)

    def change(data: bytes, most: int, seed: int) -> bytes:
        """Half of the inputs libFuzzer makes of what it found, half are examples changed by who knows the format."""
        dice = Random(seed)
        if dice.random() < 0.5:
            return atheris.Mutate(data, most)
        changed = dice.choice(target.mutators)(dice.choice(reader.seeds), reader.seeds, dice)[:most]
        return changed if dice.random() < 0.8 else atheris.Mutate(changed, most)

    meter = Meter(notes, reader.read, target.refusals)
    options = {
        "runs": asked["runs"],
        "seed": asked["seed"],
        "max_len": longest,
        "timeout": BLOCKED_SECONDS,
        "rss_limit_mb": 0,  # the meter measures what the inputs take, not what the process had before
        "keep_seed": 1,
        "artifact_prefix": f"{folder}/",
        "print_final_stats": 1,
    }
    atheris.Setup(
        ["fuzz", *(f"-{name}={value}" for name, value in options.items()), str(corpus)], meter, custom_mutator=change
    )
    meter.start()
    for seed in reader.seeds:
        meter(seed)
        if meter.refusal is not None:
            raise AssertionError("an example is refused, and such a one shows nothing") from meter.refusal
    notes.count = notes.accepted = 0  # from here on it is atheris that counts
    atheris.Fuzz()
    raise AssertionError("atheris ends the process")


def read_bombs(asked: dict[str, Any], notes: Notes, folder: Path) -> None:
    """Read each fixed bomb of a decoder, and say of each what it took."""
    from decoders import TARGETS

    target = TARGETS[asked["target"]]
    reader = target.prepare(folder)
    meter = Meter(notes, reader.read, target.refusals)
    for bombs, good in ((target.bombs, False), (target.heavy, True)):
        for bomb in bombs:
            meter.start()
            meter(bomb)
            if (meter.refusal is None) is not good:
                raise AssertionError(f"{len(bomb)} bytes, {bomb[:60]!r}…: {meter.refusal or 'accepted'}")


def read_again(asked: dict[str, Any], notes: Notes, folder: Path) -> None:
    """Read one input again, after the examples."""
    from decoders import TARGETS

    target = TARGETS[asked["target"]]
    reader = target.prepare(folder)
    meter = Meter(notes, reader.read, target.refusals)
    meter.start()
    for data in (*reader.seeds, bytes.fromhex(asked["again"])):
        meter(data)


# ── in the parent ─────────────────────────────────────────────────────────────────────────────────────────────────


def run(asked: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked; returns how it ended, its notes, the end of what it printed, and how often it was slow once.

    An input that took too long is read again alone: on a machine that does much else, processor time is more as well.
    If it is quick then, the others follow, from another seed.
    """
    came = {**attempt(asked), "slow once": 0}
    while came["outcome"] == "slow" and came["slow once"] < MOST_SLOW and is_quick_alone(asked["target"], came):
        slow = came["slow once"] + 1
        if asked["runs"]:
            runs, seed = max(1, asked["runs"] - came["count"]), asked["seed"] + slow * 1_000_003
            before, came = came, attempt({**asked, "runs": runs, "seed": seed})
            came["count"], came["accepted"] = came["count"] + before["count"], came["accepted"] + before["accepted"]
        else:
            came = attempt(asked)
        came["slow once"] = slow
    return came


def is_quick_alone(target: str, came: dict[str, Any]) -> bool:
    """Whether the input that was read last, and took too long, does not when nothing else was read but examples."""
    return attempt({"target": target, "again": came["last"]})["outcome"] == "passed"


def attempt(asked: dict[str, Any]) -> dict[str, Any]:
    """Do what is asked in a forked process; returns how it ended, its notes, and the end of what it printed."""
    notes = Notes()
    with tempfile.TemporaryDirectory(prefix="edgehold-fuzz-") as name:
        folder = Path(name)
        child = os.fork()
        if child == 0:
            _in_child(asked, notes, folder)
        _, how = os.waitpid(child, 0)
        log = (folder / "log").read_text(errors="replace")
    ended = os.waitstatus_to_exitcode(how)
    return {"outcome": outcome_of(ended, log), "ended": ended, "log": log[-4000:], **notes.read()}


def outcome_of(ended: int, log: str) -> str:
    """One word for how a process ended: `passed`, `slow`, `large`, or `crashed`."""
    if ended == 0:
        return "passed"
    if ended == -signal.SIGPROF or "TooSlow" in log or "libFuzzer: timeout" in log:
        return "slow"
    return "large" if "TooLarge" in log or "MemoryError" in log else "crashed"


def _in_child(asked: dict[str, Any], notes: Notes, folder: Path) -> NoReturn:
    log = os.open(folder / "log", os.O_CREAT | os.O_WRONLY, 0o600)
    for stream in (1, 2):
        os.dup2(log, stream)
    faulthandler.register(signal.SIGPROF, file=2, all_threads=False, chain=True)  # says where it was, then dies
    code = 1
    try:
        if "again" in asked:
            read_again(asked, notes, folder)
        elif asked["runs"]:
            fuzz(asked, notes, folder)
        else:
            read_bombs(asked, notes, folder)
        code = 0
    except BaseException:
        traceback.print_exc()
    sys.stderr.flush()
    os._exit(code)


@contextlib.contextmanager
def instrumented() -> Iterator[None]:
    """What is imported meanwhile tells atheris which branches an input takes; it says so at length on stderr."""
    import atheris

    silence, stderr = os.open(os.devnull, os.O_WRONLY), os.dup(2)
    os.dup2(silence, 2)
    try:
        with atheris.instrument_imports(include=["edgehold"]):
            yield
    finally:
        os.dup2(stderr, 2)


def main() -> int:
    """Run one target, or serve."""
    parser = argparse.ArgumentParser(description="Fuzz a decoder.")
    parser.add_argument("target", nargs="?")
    parser.add_argument("--runs", type=int, default=2000, help="inputs; none of them means the fixed bombs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--serve", action="store_true")
    parser.add_argument("--plain", action="store_true", help="without instrumentation, which slows Python down")
    given = parser.parse_args()
    with contextlib.nullcontext() if given.plain else instrumented():
        import decoders
    if given.serve:
        for line in sys.stdin:
            print(json.dumps(run(json.loads(line))), flush=True)
        return 0
    if given.target not in decoders.TARGETS:
        parser.error(f"one of: {', '.join(decoders.TARGETS)}")
    came = run({"target": given.target, "runs": given.runs, "seed": given.seed})
    print(came.pop("log"))
    print(json.dumps(came, indent=1))
    return int(came["outcome"] != "passed")


if __name__ == "__main__":
    sys.exit(main())
