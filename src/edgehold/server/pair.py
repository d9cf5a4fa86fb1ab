"""A node of the ledger is two processes that live and die together: CometBFT, and our application on its socket.

CometBFT ends with code 0 when its application dies, and an application without CometBFT does nothing: so both are
watched, whoever ends takes the other along, and then both start again from what was committed, or the whole ends with
an error so that what supervises it (systemd) starts it again. A CometBFT whose consensus failed only says so and stays:
that counts as its end.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TextIO, cast

from edgehold.errors import EdgeholdError, NodeEnded, NodeRuns, NotInstalled
from edgehold.server.cometbft import find_cometbft, require_version
from edgehold.server.health import Vitals, serve_health
from edgehold.server.home import Home, network_of_home, read_settings
from edgehold.server.inspection import ask_status
from edgehold.server.logs import Log

APPLICATION, COMETBFT = "application", "cometbft"

GRACE = 20.0
"""Seconds that a process has to end after it was told to."""

ORPHANED = 3.0
"""The same for one whose other half is gone: CometBFT may wait for it for ever, and has nothing left to do."""

CONSENSUS_FAILED = b"CONSENSUS FAILURE!!!"
"""What CometBFT says when it will decide nothing any more: its application is wrong, or two thirds of the others are."""

CATCHING_UP_FAILED = re.compile(rb"Error in validation.*wrong Block\.Header\.(AppHash|LastResultsHash)")
"""The same while it catches up; it has verified before that two thirds of the others signed the block, and would ask every
peer for another one, for ever."""

RESTARTS, WITHIN = 5, 120.0
"""So many times in so many seconds the pair is started again; a node that fails more often needs somebody to look."""

PAUSE = 1.0
"""Seconds before it is started again."""

DRAIN = 0.5
"""Seconds for the last lines of processes that have ended."""

LOOK = 0.05
FOLLOWED = 1.0
"""Seconds within which it is seen that what CometBFT followed had ended."""
LOCK_TRIES = 20


@dataclass(frozen=True)
class Duty:
    """How a node is run: whether it starts again by itself, and where it speaks."""

    restart: bool
    log: Log


def run_node(home: Home, duty: Duty) -> None:
    """Run a node until SIGTERM or SIGINT. Raises `NodeRuns`, `NodeEnded`, `NoCometBft`, `NotInstalled`, `NodeNotFounded`."""
    network_of_home(home)
    settings = read_settings(home)
    program = find_cometbft()
    require_version(program)
    if find_spec("google.protobuf") is None:
        raise NotInstalled("a node needs the extra `node`: pip install 'edgehold[node]'")
    with only_one(home):
        vitals = Vitals(ask=lambda: ask_status(settings.rpc), interval=settings.block_interval_ms / 1000)
        with serve_health(settings.health, vitals):
            duty.log.take_library_messages()
            asyncio.run(_Supervisor(home, program, duty, vitals).run())


@contextmanager
def only_one(home: Home) -> Iterator[None]:
    """Hold the home's lock, with this process's number in it; the system lets go of it however this process ends."""
    with _locked(home) as file:
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            home.lock.unlink(missing_ok=True)


def _locked(home: Home) -> TextIO:
    """The lock's file, locked; raises `NodeRuns`. Who only looks (`running`) holds it for a moment."""
    for _ in range(LOCK_TRIES):
        file = home.lock.open("a+")
        with suppress(OSError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(file.fileno()).st_ino == home.lock.stat().st_ino:  # not one that its holder removed meanwhile
                return file
        file.close()
        time.sleep(LOOK)
    raise NodeRuns(f"process {running(home)} runs the node in {home.folder}")


def running(home: Home) -> int | None:
    """The process that runs the node of a home, if one does."""
    try:
        with home.lock.open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read() or 0)
    except FileNotFoundError:
        return None
    return None


class _Supervisor:
    def __init__(self, home: Home, program: Path, duty: Duty, vitals: Vitals) -> None:
        self._home = home
        self._program = program
        self._duty = duty
        self._log = duty.log
        self._vitals = vitals
        self._told = asyncio.Event()
        self._halted = asyncio.Event()
        self._processes: dict[str, asyncio.subprocess.Process] = {}
        self._pumps: list[asyncio.Task[None]] = []
        self._announcing: asyncio.Task[None] | None = None

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._told.set)
        died: deque[float] = deque(maxlen=RESTARTS)
        while True:
            ended = await self._live()
            if ended is None:
                self._log.say("stopped")
                return
            self._log.say(ended, level="error")
            died.append(time.monotonic())
            is_hopeless = len(died) == RESTARTS and died[-1] - died[0] < WITHIN
            if not self._duty.restart or is_hopeless:
                raise NodeEnded(ended + (f"; that was {RESTARTS} times within {WITHIN:.0f} s" if is_hopeless else ""))
            self._vitals.restarts += 1
            with suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), PAUSE)

    async def _live(self) -> str | None:
        """One life of the pair: how it ended by itself, or None if it was told to."""
        told = asyncio.create_task(self._told.wait())
        self._halted.clear()
        try:
            return await self._start(told) or await self._watch(told)
        finally:
            told.cancel()
            await self._stop()

    async def _start(self, told: asyncio.Task[Any]) -> str | None:
        self._home.socket.unlink(missing_ok=True)
        folder = str(self._home.folder.resolve())
        await self._spawn(APPLICATION, *application_command(folder))
        while not self._home.socket.exists():
            if (ended := await self._first_end(told, LOOK)) is not None or told.done():
                return ended
        await self._spawn(COMETBFT, str(self._program), "start", "--home", folder)
        self._announcing = asyncio.ensure_future(self._announce())
        return None

    async def _watch(self, told: asyncio.Task[Any]) -> str | None:
        while not told.done():
            if (ended := await self._first_end(told, None)) is not None:
                return ended
        return None

    async def _first_end(self, told: asyncio.Task[Any], seconds: float | None) -> str | None:
        """Wait until a process ends, or this one is told to stop, or so many seconds: which process ended, and how."""
        waits = {asyncio.create_task(process.wait()): name for name, process in self._processes.items()}
        halted = asyncio.create_task(self._halted.wait())
        all_of_them: list[asyncio.Task[Any]] = [*waits, halted, told]
        done, _ = await asyncio.wait(all_of_them, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if [(waits[one], one.result()) for one in done if one in waits] == [(COMETBFT, 0)] and len(waits) > 1:
            # it ends when its application does, and may be seen to before that
            late, _ = await asyncio.wait(waits.keys() - done, timeout=FOLLOWED)
            done |= late
        ended = [f"the {waits[one]} ended {_how(one.result())}" for one in done if one in waits]
        if halted in done:
            ended.append(f"the {COMETBFT} decides nothing any more: consensus failed, its log says why")
        for one in (*waits, halted):
            one.cancel()
        return " and ".join(sorted(ended)) or None

    async def _spawn(self, name: str, *command: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self._home.folder,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=1 << 20,
            start_new_session=True,  # a terminal's Ctrl-C is for the supervisor, which stops both in their order
        )
        self._processes[name] = process
        self._vitals.processes[name] = process.pid
        self._pumps.append(asyncio.ensure_future(self._pump(name, cast(asyncio.StreamReader, process.stdout))))
        self._log.say(f"{name} started", pid=process.pid)

    async def _pump(self, name: str, output: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await output.readline()
            except ValueError:  # longer than the limit
                continue
            if not line:
                return
            self._log.pass_on(name, line)
            if name == COMETBFT and (CONSENSUS_FAILED in line or CATCHING_UP_FAILED.search(line)):
                self._halted.set()

    async def _announce(self) -> None:
        """Tell systemd when the node answers."""
        while True:
            with suppress(EdgeholdError):
                status = await asyncio.to_thread(self._vitals.ask)
                self._log.say("answers", height=status.height, node=status.node)
                tell_systemd("READY=1")
                return
            await asyncio.sleep(0.2)

    async def _stop(self) -> None:
        """CometBFT first: it would take the end of its application for a fault."""
        if self._told.is_set():
            tell_systemd("STOPPING=1")
        grace = GRACE if all(process.returncode is None for process in self._processes.values()) else ORPHANED
        for name in (COMETBFT, APPLICATION):
            process = self._processes.pop(name, None)
            if process is not None and process.returncode is None:
                await _end(process, grace)
            self._vitals.processes.pop(name, None)
        self._home.socket.unlink(missing_ok=True)
        if self._pumps:
            await asyncio.wait(self._pumps, timeout=DRAIN)  # what a process said last is why it ended
        beside = [*self._pumps, *([self._announcing] if self._announcing else [])]
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        self._pumps.clear()


def application_command(folder: str) -> list[str]:
    """Our half of the node in a folder."""
    return [sys.executable, "-m", "edgehold.server.application", folder]


async def _end(process: asyncio.subprocess.Process, grace: float) -> None:
    """Signals are sent by number: `terminate` would look whether it has ended, and take that from who waits for it."""
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGTERM)
    try:
        await asyncio.wait_for(process.wait(), grace)
    except TimeoutError:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
        await process.wait()


def _how(code: int) -> str:
    return f"by {signal.Signals(-code).name}" if code < 0 else f"with code {code}"


def tell_systemd(state: str, environment: Callable[[str], str | None] = os.environ.get) -> None:
    """Tell who started this process how it is (`sd_notify`), if it wants to know."""
    name = environment("NOTIFY_SOCKET")
    if not name:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one, suppress(OSError):
        one.connect("\0" + name[1:] if name.startswith("@") else name)
        one.send(state.encode())
