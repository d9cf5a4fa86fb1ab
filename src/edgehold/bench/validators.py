"""Four validators as processes on the loopback address, with one of three applications under the same settings."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any

from msgspec import Struct

from edgehold.bench.relay import Relay
from edgehold.bench.traffic import GENESIS, VALIDATORS
from edgehold.crypto.signatures import SigningKey
from edgehold.errors import NodeError
from edgehold.ledger.genesis import write_genesis
from edgehold.remote.node import Node
from edgehold.remote.rpc import Rpc
from edgehold.server.abci.genesis import cometbft_genesis
from edgehold.server.cometbft import (
    NOTHING_SIGNED,
    consensus_key_file,
    find_cometbft,
    node_id,
    node_key_file,
    require_version,
)
from edgehold.server.loopback import free_ports

PATIENCE = 60.0
LOOK = 0.02
"""Seconds between two looks at a node."""

TICKS = os.sysconf("SC_CLK_TCK")
SECTOR = 512

SETTINGS: dict[str, dict[str, Any]] = {
    "": {"log_level": "error"},
    "rpc": {"max_body_bytes": 20_000_000, "max_request_batch_size": 1000},
    "p2p": {
        "addr_book_strict": False,
        "allow_duplicate_ip": True,
        "pex": False,
        "send_rate": 50_000_000,
        "recv_rate": 50_000_000,
        "flush_throttle_timeout": "10ms",
    },
    "mempool": {"size": 100_000, "cache_size": 200_000, "max_txs_bytes": 1 << 30, "recheck": False},
    "consensus": {"timeout_commit": "100ms", "create_empty_blocks": False, "peer_gossip_sleep_duration": "10ms"},
    "tx_index": {"indexer": "null"},
}
"""What differs from CometBFT's defaults, for every application alike."""


class Kind(StrEnum):
    """Which application the validators run."""

    OURS = "ours"
    SOCKET = "CometBFT's kvstore behind a socket, which verifies nothing"
    BUILTIN = "CometBFT's kvstore inside the node, which verifies nothing"


class _Info(Struct):
    last_block_height: str = "0"
    last_block_app_hash: str = ""


class _Answer(Struct):
    response: _Info


class Processor(Struct, frozen=True):
    """Processor seconds of all nodes, and of all applications."""

    nodes: float
    applications: float


class Network:
    """The processes of four validators, which reach each other directly or through a relay."""

    def __init__(self, folder: Path, kind: Kind, relay: Relay | None = None) -> None:
        self._cometbft = find_cometbft()
        require_version(self._cometbft)
        self._kind = kind
        self._homes = [folder / str(number) for number in range(1, len(VALIDATORS) + 1)]
        ports = free_ports(2 * len(VALIDATORS))
        self.ports: Sequence[int] = ports[: len(VALIDATORS)]
        self._peer_ports = ports[len(VALIDATORS) :]
        self._relay = relay
        for place in range(len(VALIDATORS)):
            self._write_home(place)
        self._rpcs = [Rpc(f"http://127.0.0.1:{port}", seconds=PATIENCE) for port in self.ports]
        self.node = Node(self._rpcs[0])
        """The first one."""
        self._nodes: list[subprocess.Popen[bytes]] = []
        self._applications: list[subprocess.Popen[bytes]] = []

    @contextmanager
    def running(self) -> Iterator[Network]:
        """This network from its first block on; it is stopped at the end."""
        try:
            self._start()
            yield self
        finally:
            self._stop()

    # ── what is asked of it ───────────────────────────────────────────────────────────────────────────────────────

    def applied(self, place: int = 0) -> tuple[int, str]:
        """The height that a node's application has committed, and the root it gave."""
        info = self._rpcs[place].call("abci_info", _Answer).response
        return int(info.last_block_height), info.last_block_app_hash

    def agree(self, height: int) -> int:
        """Wait until all applications have committed a height, and the same one with the same root; returns it."""
        found: list[set[tuple[int, str]]] = []

        def is_agreed() -> bool:
            found.append({self.applied(place) for place in range(len(VALIDATORS))})
            return len(found[-1]) == 1 and min(found[-1])[0] >= height

        self._wait(is_agreed, f"all applications at height {height}")
        return min(found[-1])[0]

    def processor(self) -> Processor:
        """What the processes have used so far."""
        return Processor(sum(map(processor_seconds, self._nodes)), sum(map(processor_seconds, self._applications)))

    def disk_bytes(self) -> int:
        """What lies on the disk of all nodes, in blocks that are taken."""
        files = (path for home in self._homes for path in home.rglob("*") if path.is_file() and path.name != "log")
        return sum(path.stat().st_blocks * SECTOR for path in files)

    # ── processes ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _start(self) -> None:
        commands = {
            Kind.OURS: [
                *(sys.executable, "-m", "edgehold.server.abci", "--genesis", "genesis.cbor"),
                *("--folder", "replica", "--socket", "app.sock"),
            ],
            Kind.SOCKET: [
                *(str(self._cometbft.with_name("abci-cli")), "kvstore", "--address", "unix://app.sock"),
                *("--log_level", "error"),
            ],
        }
        if self._kind in commands:
            self._applications = [_spawn(home, commands[self._kind]) for home in self._homes]
            for home in self._homes:
                self._wait((home / "app.sock").exists, "an application's socket")
        self._nodes = [_spawn(home, [str(self._cometbft), "start", "--home", str(home)]) for home in self._homes]
        for place in range(len(VALIDATORS)):
            self._wait(lambda place=place: self._has_begun(place), "the first block")  # type: ignore[misc]

    def _has_begun(self, place: int) -> bool:
        try:
            return self.applied(place)[0] >= 1
        except NodeError:
            return False

    def _wait(self, holds: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            ended = [process.args for process in (*self._nodes, *self._applications) if process.poll() is not None]
            if ended or time.monotonic() > end:
                logs = "".join((home / "log").read_text()[-300:] for home in self._homes)
                raise RuntimeError(f"waited for {what}; ended: {ended}; {logs}")
            time.sleep(LOOK)

    def _stop(self) -> None:
        """At once: what was measured is measured, and nobody starts from what they leave."""
        for process in (*self._nodes, *self._applications):
            process.kill()
            process.wait()
        for rpc in self._rpcs:
            rpc.close()

    def _write_home(self, place: int) -> None:
        home, seed = self._homes[place], VALIDATORS[place]
        for folder in (home / "config", home / "data"):
            folder.mkdir(parents=True)
        node_seeds = [bytes([101 + number]) * 32 for number in range(len(VALIDATORS))]
        names = [node_id(SigningKey(one)) for one in node_seeds]
        peers = [
            f"{name}@127.0.0.1:{self._relay.link(place, other, port) if self._relay else port}"
            for other, (name, port) in enumerate(zip(names, self._peer_ports, strict=True))
            if other != place
        ]
        own = {
            "": {"proxy_app": "kvstore" if self._kind is Kind.BUILTIN else "unix://app.sock"},
            "rpc": {"laddr": f"tcp://127.0.0.1:{self.ports[place]}"},
            "p2p": {
                "laddr": f"tcp://127.0.0.1:{self._peer_ports[place]}",
                "persistent_peers": ",".join(peers),
            },
        }
        (home / "config" / "config.toml").write_text(_toml(SETTINGS, own))
        (home / "config" / "genesis.json").write_text(json.dumps(cometbft_genesis(GENESIS)))
        (home / "config" / "priv_validator_key.json").write_text(consensus_key_file(SigningKey(seed), seed))
        node_seed = node_seeds[place]
        (home / "config" / "node_key.json").write_text(node_key_file(SigningKey(node_seed), node_seed))
        (home / "data" / "priv_validator_state.json").write_text(NOTHING_SIGNED)
        (home / "genesis.cbor").write_bytes(write_genesis(GENESIS))


def _spawn(home: Path, command: Sequence[str]) -> subprocess.Popen[bytes]:
    own = os.environ | {"TMPDIR": str(home)}  # kvstore leaves what it keeps among the system's temporary files
    with (home / "log").open("ab") as log:
        return subprocess.Popen(command, cwd=home, env=own, stdin=subprocess.DEVNULL, stdout=log, stderr=log)  # noqa: S603


def processor_seconds(process: subprocess.Popen[bytes]) -> float:
    """Processor time of a process, its own and the kernel's for it."""
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def _toml(*settings: dict[str, dict[str, Any]]) -> str:
    lines: list[str] = []
    for table in settings[0]:
        lines += [f"[{table}]"] if table else []
        lines += [f"{name} = {json.dumps(value)}" for one in settings for name, value in one.get(table, {}).items()]
    return "\n".join(lines) + "\n"
