"""What keeps a node from starting, or from being right: looked at one after the other, each with what to do about it."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.util import find_spec

from edgehold.errors import EdgeholdError
from edgehold.ledger.genesis import show_genesis
from edgehold.remote.ledger import NO_TRANSACTIONS
from edgehold.remote.node import Node
from edgehold.remote.rpc import Rpc
from edgehold.server.abci.genesis import cometbft_genesis
from edgehold.server.cometbft import find_cometbft, listens_at, read_key_file, require_version
from edgehold.server.founding import voting_key
from edgehold.server.home import Home, consensus_key_of, network_of_home, read_settings
from edgehold.server.inspection import ask_status, reachable
from edgehold.server.pair import running

LEAST_FREE = 2 << 30
"""Bytes on the disk."""

MOST_SKEW = 10.0
"""Seconds that this clock may be off the network's: light clients take no header from further ahead."""

TRIES, PAUSE = 30, 0.2
"""How often, and with how many seconds between, a header is waited for."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    what: str
    ok: bool
    says: str
    remedy: str = ""


def examine(home: Home) -> Iterator[Finding]:
    """Look at everything; a check that cannot be made because of an earlier one is left out."""
    is_up = running(home) is not None
    yield _check("program", _program)
    yield _check("application", _application)
    yield _check("keys", lambda: _keys(home))
    yield _check("settings", lambda: _settings(home))
    yield _check("genesis", lambda: _genesis(home))
    yield _check("disk", lambda: _disk(home))
    yield _check("ports", lambda: _ports(home, is_up=is_up))
    if is_up:
        yield _check("clock", lambda: _clock(home))
        yield _check("state", lambda: _state(home))
    else:
        yield _check("clock", lambda: _clock_of_genesis(home))


class _Unwell(Exception):
    """What is wrong, and what to do."""

    def __init__(self, says: str, remedy: str) -> None:
        super().__init__(says)
        self.remedy = remedy


def _check(what: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(what, True, look())
    except _Unwell as trouble:
        return Finding(what, False, str(trouble), trouble.remedy)
    except EdgeholdError as error:
        return Finding(what, False, f"{error.code} {error}", error.remedy)
    except OSError as error:
        return Finding(what, False, str(error), "See that the file is there and yours.")


def _program() -> str:
    program = find_cometbft()
    require_version(program)
    return f"{program} is the version that this network runs"


def _application() -> str:
    if find_spec("google.protobuf") is None:
        raise _Unwell("the library protobuf is missing", "pip install 'edgehold[node]'")
    return "what the application needs is installed"


def _keys(home: Home) -> str:
    has_signer = read_settings(home).signer is not None
    # CometBFT makes itself a key that votes for nobody where there is none.
    if has_signer and home.consensus_key.exists() and consensus_key_of(home).public == voting_key(home):
        raise _Unwell(
            f"{home.consensus_key} lies here, and its signer has it too",
            "Move it to the signer with data/priv_validator_state.json: a key in two places signs twice.",
        )
    for path in (home.node_key,) if has_signer else (home.consensus_key, home.node_key):
        read_key_file(path)
    secrets = [path for path in (home.consensus_key, home.node_key, home.account_key) if path.exists()]
    open_to_others = [path for path in secrets if path.stat().st_mode & 0o077]
    if open_to_others:
        names = " ".join(str(path) for path in open_to_others)
        raise _Unwell(f"others may read {names}", f"chmod 600 {names}")
    if not has_signer and not home.signed_last.is_file():
        raise _Unwell(
            f"{home.signed_last} is missing: what the key signed last is forgotten, and it could sign twice",
            "Restore it from the machine that ran last. Never run one consensus key in two places.",
        )
    where = "; the consensus key is its signer's" if has_signer else ""
    kept = "; the account key lies here too: better in a safe place" if home.account_key.exists() else ""
    return f"readable by their owner only{where}{kept}"


def _settings(home: Home) -> str:
    settings = read_settings(home)
    interval = network_of_home(home).parameters.block_interval_ms
    if settings.block_interval_ms != interval:
        raise _Unwell(
            f"create_empty_blocks_interval is {settings.block_interval_ms} ms, the network founded with {interval}",
            "Set it in config/config.toml, unless the network has changed `block_interval_ms` since.",
        )
    return f"a block at least every {interval / 1000:g} s; {len(settings.peers)} peers are named"


def _genesis(home: Home) -> str:
    genesis = network_of_home(home)
    if json.loads(home.cometbft_genesis.read_bytes()) != cometbft_genesis(genesis):
        raise _Unwell(
            "config/genesis.json is not the one that config/genesis.cbor makes",
            "Take both from the founding: `edgehold network accept`, or `edgehold node init --join`, in a fresh home.",
        )
    network = json.loads(show_genesis(genesis))["network"]
    key = voting_key(home)
    role = "a founding validator" if key in {one.key for one in genesis.validators} else "no founding validator"
    return f"network {network}; this node is {role}"


def _disk(home: Home) -> str:
    free = shutil.disk_usage(home.folder).free
    if free < LEAST_FREE:
        raise _Unwell(f"{free / 1e9:.1f} GB are free", "Make room, or set keep_blocks in config/config.toml.")
    return f"{free / 1e9:.0f} GB are free"


def _ports(home: Home, *, is_up: bool) -> str:
    settings = read_settings(home)
    named = {"rpc": settings.rpc, "health": settings.health, "peers": listens_at(settings.address)}
    if is_up:
        for name, address in named.items():
            if not _answers(reachable(address)):
                raise _Unwell(
                    f"nobody listens at {address} ({name})", "Look at the node's log; it may still be starting."
                )
        return "the node listens at all of them"
    for name, address in named.items():
        if _answers(reachable(address)):
            raise _Unwell(f"{address} ({name}) is taken by another program", "Stop it, or change config/config.toml.")
    return "all of them are free"


def _answers(address: str) -> bool:
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=3).close()
    except OSError:
        return False
    return True


def _clock(home: Home) -> str:
    status = ask_status(read_settings(home).rpc)
    if status.height and status.block_age < -MOST_SKEW:
        raise _Unwell(
            f"the last block is {-status.block_age:.0f} s in this clock's future",
            "Set the clock (`timedatectl`, an NTP service): the clock is behind the other validators'.",
        )
    limit = 3 * network_of_home(home).parameters.block_interval_ms / 1000 + MOST_SKEW
    if status.height and status.block_age > limit and not status.catching_up:
        raise _Unwell(
            f"the last block is {status.block_age:.0f} s old",
            "Fewer than two thirds of the validators are up or reached, or this clock is ahead: compare both.",
        )
    return f"the last block is {status.block_age:.1f} s old"


def _clock_of_genesis(home: Home) -> str:
    now, founded = datetime.now(UTC).timestamp(), network_of_home(home).time / 1e9
    if now + MOST_SKEW < founded:
        raise _Unwell("by this clock the network is not founded yet", "Set the clock (`timedatectl`, an NTP service).")
    return f"it is after the founding; {now - founded:.0f} s"


def _state(home: Home) -> str:
    """Whether the application's root is what a header signs: the next one, or its own if its block was empty."""
    settings = read_settings(home)
    node = Node(Rpc(f"http://{reachable(settings.rpc)}"))
    try:
        for _ in range(TRIES):
            status, header = ask_status(settings.rpc), node.signed_header().header
            is_empty = header.data_hash == NO_TRANSACTIONS
            if header.height == status.application_height + 1 or (
                is_empty and header.height == status.application_height
            ):
                break
            time.sleep(PAUSE)
        else:
            raise _Unwell("no header came that signs the application's state", "See `clock`; then ask again.")
    finally:
        node.close()
    if header.app_hash.hex() != status.application_root:
        raise _Unwell(
            f"after block {status.application_height} the application has root {status.application_root}, "
            f"the validators signed {header.app_hash.hex()}",
            "Stop this node; `edgehold node verify` finds the block, `edgehold node rollback` begins anew.",
        )
    return f"the application has the root that header {header.height} signs"
