"""A whole network on one machine: homes of several validators in one folder, as processes that outlive the command."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from edgehold.errors import FolderInUse, NodeError, NodeNotReady, NotFound
from edgehold.ports import Randomness
from edgehold.server.cometbft import Settings, find_cometbft, require_version
from edgehold.server.founding import read_founder_file
from edgehold.server.home import Home, found_home, make_home, open_home, peer_name, read_settings
from edgehold.server.inspection import Status, ask_status
from edgehold.server.pair import running
from edgehold.wire.founding import FounderClaim
from edgehold.wire.governance import Genesis

VALIDATORS = "validators"
LOG = "node.log"
PATIENCE = 90.0
"""Seconds in which a network on one machine makes its first block, or a node ends."""

LOOK = 0.1
FIRST_PORT, LAST_PORT = 15_000, 32_000


def homes_in(folder: Path) -> list[Home]:
    """The homes of a network's folder, in their order; raises `NotFound`."""
    found = sorted((folder / VALIDATORS).glob("*/config/config.toml"), key=lambda path: int(path.parts[-3]))
    if not found:
        raise NotFound(f"{folder} is no network of several validators: there is no {VALIDATORS}/1 in it")
    return [open_home(path.parent.parent) for path in found]


def make_homes(folder: Path, count: int, block_interval_ms: int, randomness: Randomness) -> list[FounderClaim]:
    """Make the homes of so many validators, on free ports; raises `FolderInUse`."""
    if (folder / VALIDATORS).exists():
        raise FolderInUse(f"{folder} has validators")
    claims = []
    ports = free_ports(3 * count)
    for number in range(1, count + 1):
        peer, rpc, health = (f"127.0.0.1:{port}" for port in ports[3 * number - 3 : 3 * number])
        settings = Settings(
            name=f"validator-{number}", address=peer, rpc=rpc, health=health, block_interval_ms=block_interval_ms
        )
        home = make_home(folder / VALIDATORS / str(number), settings, randomness)
        claims.append(read_founder_file(home.founder))
    return claims


def found_homes(folder: Path, genesis: Genesis) -> None:
    """Let every home of a folder belong to one network, and know all others."""
    claims = [read_founder_file(home.founder) for home in homes_in(folder)]
    for home, own in zip(homes_in(folder), claims, strict=True):
        found_home(home, genesis, [peer_name(claim) for claim in claims if claim != own])


def bring_up(folder: Path) -> list[Status]:
    """Start every node that does not run, and wait until the network makes blocks; raises `NodeNotReady`."""
    require_version(find_cometbft())
    homes = homes_in(folder)
    start_nodes([home for home in homes if running(home) is None])
    return [wait_for_height(home, 1) for home in homes]


def start_nodes(homes: Sequence[Home]) -> None:
    """Start nodes that go on when this process has ended; each starts again by itself when one of its two dies."""
    started = [(home, _spawn(home)) for home in homes]
    end = time.monotonic() + PATIENCE
    for home, process in started:
        while running(home) is None:
            if process.poll() is not None or time.monotonic() > end:
                raise NodeNotReady(f"the node in {home.folder} did not start; {home.folder / LOG} says why")
            time.sleep(LOOK)
        process.returncode = 0  # it stays; `take_down` ends it


def _spawn(home: Home) -> subprocess.Popen[bytes]:
    start = ["node", "start", "--restart", "--json", "--home", str(home.folder.resolve())]
    with (home.folder / LOG).open("ab") as log:
        return subprocess.Popen(  # noqa: S603  this program
            [sys.executable, "-m", "edgehold.cli", *start],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
        )


def wait_for_height(home: Home, height: int, seconds: float = PATIENCE) -> Status:
    """The status of a node as soon as it has a block of this height, and all that others have; raises `NodeNotReady`."""
    end, trouble = time.monotonic() + seconds, "it does not answer yet"
    while time.monotonic() < end:
        try:
            status = ask_status(read_settings(home).rpc)
        except NodeError as error:
            trouble = str(error)
        else:
            if status.height >= height and not status.catching_up:
                return status
            trouble = f"height {status.height}{', catching up' if status.catching_up else ''}"
        time.sleep(LOOK)
    raise NodeNotReady(f"the node in {home.folder} has not reached height {height} within {seconds:.0f} s: {trouble}")


def take_down(folder: Path) -> list[int]:
    """Stop every node of a folder; nothing of them is left when this returns. Returns the processes that were stopped."""
    homes = homes_in(folder)
    pids = [pid for home in homes if (pid := running(home)) is not None]
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
    end = time.monotonic() + PATIENCE
    for pid in pids:
        while _is_there(pid):
            if time.monotonic() > end:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)  # its application ends with it, and CometBFT with that
            time.sleep(LOOK)
    for home in homes:
        for path in (home.socket, home.lock):
            path.unlink(missing_ok=True)
    return pids


def _is_there(pid: int) -> bool:
    """Whether a process has not ended; one that this process started is let go of when it has."""
    try:
        return os.waitpid(pid, os.WNOHANG) == (0, 0)
    except ChildProcessError:
        pass
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def free_ports(count: int) -> Sequence[int]:
    """Ports of the loopback address that nobody listens on now, all different.

    They are below those that a system gives to outgoing connections, which would take them while a node is down.
    """
    ports: list[int] = []
    while len(ports) < count:
        port = FIRST_PORT + secrets.randbelow(LAST_PORT - FIRST_PORT)
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            if port not in ports:
                ports.append(port)
    return ports
