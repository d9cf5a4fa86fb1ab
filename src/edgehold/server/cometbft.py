"""CometBFT as a program and as files: where it is, which version, its keys, and its settings as this network wants them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgehold.crypto.signatures import SigningKey
from edgehold.errors import KeysUnusable, NoCometBft
from edgehold.verify.header import address_of

VERSION = "0.38.26"
"""The one that `tools/cometbft` builds."""

VARIABLE = "EDGEHOLD_COMETBFT"


def find_cometbft() -> Path:
    """The program: as the environment names it, beside this Python, or on the PATH; raises `NoCometBft`."""
    named = os.environ.get(VARIABLE)
    beside = Path(sys.executable).with_name("cometbft")
    found = named or (str(beside) if beside.is_file() else shutil.which("cometbft"))
    if found is None or not os.access(found, os.X_OK):
        raise NoCometBft(f"there is no program cometbft {f'at {found}' if found else 'beside Python or on the PATH'}")
    return Path(found)


def require_version(program: Path) -> None:
    """Raises `NoCometBft` for a version other than ours: another one may order or hash differently."""
    try:
        said = subprocess.run(  # noqa: S603  the program that the operator named
            [program, "version"], capture_output=True, text=True, timeout=20, check=False
        ).stdout.strip()
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NoCometBft(f"{program} does not run: {error}") from error
    if said.partition("+")[0] != VERSION:
        raise NoCometBft(f"{program} says it is version {said or 'nothing'}; this network runs {VERSION}")


# ── keys ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def consensus_key_file(key: SigningKey, seed: bytes) -> str:
    """The file in which CometBFT keeps the key that signs votes."""
    return json.dumps(
        {
            "address": address_of(key.public).hex().upper(),
            "pub_key": {"type": "tendermint/PubKeyEd25519", "value": b64encode(key.public).decode()},
            "priv_key": {"type": "tendermint/PrivKeyEd25519", "value": b64encode(seed + key.public).decode()},
        },
        indent=1,
    )


def node_key_file(key: SigningKey, seed: bytes) -> str:
    """The file in which CometBFT keeps the key by which other nodes know it."""
    value = b64encode(seed + key.public).decode()
    return json.dumps({"priv_key": {"type": "tendermint/PrivKeyEd25519", "value": value}}, indent=1)


def node_id(key: SigningKey) -> str:
    """By which other nodes know it."""
    return address_of(key.public).hex()


def read_key_file(path: Path) -> SigningKey:
    """The key in either file; raises `KeysUnusable`."""
    try:
        private = b64decode(json.loads(path.read_bytes())["priv_key"]["value"], validate=True)
        return SigningKey(private[:32])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise KeysUnusable(f"{path}: {type(error).__name__}") from error


NOTHING_SIGNED = json.dumps({"height": "0", "round": 0, "step": 0})
"""What a key that has signed nothing yet remembers; CometBFT keeps a validator from signing twice by this file."""


# ── settings ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Sync:
    """Where a newcomer takes a snapshot from, and the header by which it knows the true one."""

    servers: tuple[str, ...]
    """RPC addresses, HOST:PORT each."""
    height: int
    hash: str


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What differs from one node to the other."""

    name: str
    address: str
    """Host and port at which other nodes reach this one."""
    rpc: str
    """Host and port at which hubs, services and customers ask this one."""
    health: str
    """Host and port for /healthz, /readyz and /metrics."""
    metrics: str | None = None
    """Host and port for CometBFT's own metrics."""
    signer: str | None = None
    """Host and port at which the signer reaches this node that has its consensus key; None if the key lies here."""
    peers: Sequence[str] = ()
    block_interval_ms: int = 30_000
    keep_blocks: int = 0
    snapshot_every: int = 0
    sync: Sync | None = None


def listens_at(address: str) -> str:
    """Where a node listens for those who reach it at an address: on every interface, or on this machine alone."""
    host, _, port = address.rpartition(":")
    return address if host.startswith("127.") or host == "localhost" else f"0.0.0.0:{port}"


def write_settings(one: Settings) -> str:
    """The text of config.toml: what differs from CometBFT's own defaults, and what this program reads itself."""
    is_loopback = listens_at(one.address) == one.address
    tables: dict[str, dict[str, Any]] = {
        "": {
            "moniker": one.name,
            "proxy_app": "unix://app.sock",
            "log_level": "main:info,state:error,*:error",
            "log_format": "json",
            **({"priv_validator_laddr": f"tcp://{one.signer}"} if one.signer else {}),
        },
        "edgehold": {"health": one.health, "keep_blocks": one.keep_blocks, "snapshot_every": one.snapshot_every},
        "rpc": {
            "laddr": f"tcp://{one.rpc}",
            "max_request_batch_size": 100,
            "max_body_bytes": 4 << 20,
        },
        "p2p": {
            "laddr": f"tcp://{listens_at(one.address)}",
            "external_address": one.address,
            "persistent_peers": ",".join(one.peers),
            "addr_book_strict": False,
            "allow_duplicate_ip": is_loopback,
            "send_rate": 20 << 20,
            "recv_rate": 20 << 20,
            "flush_throttle_timeout": "10ms",
        },
        "mempool": {"size": 20_000, "cache_size": 40_000, "max_txs_bytes": 64 << 20},
        "consensus": {
            "timeout_propose": "1s",
            "timeout_commit": "150ms",
            "create_empty_blocks_interval": f"{one.block_interval_ms}ms",
            "peer_gossip_sleep_duration": "10ms",
        },
        "tx_index": {"indexer": "null"},
        "instrumentation": {
            "prometheus": one.metrics is not None,
            "prometheus_listen_addr": one.metrics or "",
        },
    }
    if one.sync:
        tables["statesync"] = {
            "enable": True,
            "rpc_servers": ",".join(one.sync.servers if len(one.sync.servers) > 1 else one.sync.servers * 2),
            "trust_height": one.sync.height,
            "trust_hash": one.sync.hash,
            "discovery_time": "5s",
        }
    lines = ["# Settings of CometBFT that differ from its defaults, and our own below [edgehold].", ""]
    for table, values in tables.items():
        lines += [f"[{table}]"] if table else []
        lines += [line for name, value in values.items() for line in _setting(table, name, value)]
        lines.append("")
    return "\n".join(lines)


_REASONS = {
    "proxy_app": "our application; the path is below this home, where both are started",
    "priv_validator_laddr": "where the signer comes that has the consensus key; nobody else may reach it",
    "edgehold.health": "/healthz, /readyz and /metrics",
    "edgehold.keep_blocks": "how many blocks CometBFT keeps, 0 for all; a newcomer needs all from somebody",
    "edgehold.snapshot_every": "heights between snapshots for newcomers, 0 for none",
    "statesync.enable": "begins with a snapshot that the header below proves; without effect once there is a state",
    "statesync.rpc_servers": "who is asked for headers; one that stands twice is asked by itself only",
    "rpc.laddr": "for hubs, services and customers; in earnest behind a proxy with TLS",
    "p2p.persistent_peers": "the other nodes, ID@HOST:PORT each",
    "p2p.addr_book_strict": "nodes in one private network are nodes too",
    "p2p.allow_duplicate_ip": "several nodes on one machine",
    "mempool.size": "transactions that may wait",
    "consensus.timeout_propose": "a proposer that is down costs the others so long; each further round waits longer",
    "consensus.timeout_commit": "0 is slower under load: blocks with little in them",
    "consensus.create_empty_blocks_interval": "`block_interval_ms` of the network's parameters: heights are its clock",
    "consensus.peer_gossip_sleep_duration": "votes and block parts go on at once",
    "tx_index.indexer": "receipts are the application's; nothing is looked up by content",
}


def _setting(table: str, name: str, value: object) -> list[str]:
    """One setting, its reason above it."""
    reason = _REASONS.get(f"{table}.{name}" if table else name)
    return [f"# {reason}"] * bool(reason) + [f"{name} = {json.dumps(value, ensure_ascii=False)}"]
