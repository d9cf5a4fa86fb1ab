"""The home of a node of the ledger: keys, settings and state of CometBFT and of our application, in one folder.

config/config.toml               settings of both
config/genesis.cbor              the network's document; genesis.json is CometBFT's, made from it
config/priv_validator_key.json   the consensus key: it votes; with a signer it lies there and not here
config/node_key.json             the key by which other nodes know this one
account/key                      the founder's account on the ledger; the node itself never reads it
founder.cbor                     what others need of this founder; nothing in it is secret
data/                            CometBFT's blocks, its state, and what the consensus key signed last
replica/                         the state of the ledger
trusted.sqlite                   what `edgehold gov` knows of headers
app.sock, node.lock              while the node runs
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from edgehold.crypto.names import founder_message
from edgehold.crypto.signatures import SigningKey
from edgehold.durable import PUBLIC, storage_failures, write_file
from edgehold.errors import BadNodeSettings, FolderInUse, NodeNotFounded, NoNode
from edgehold.ledger.genesis import read_genesis, show_genesis, write_genesis
from edgehold.ports import Randomness
from edgehold.server.abci.genesis import cometbft_genesis
from edgehold.server.cometbft import (
    NOTHING_SIGNED,
    Settings,
    Sync,
    consensus_key_file,
    node_id,
    node_key_file,
    read_key_file,
    write_settings,
)
from edgehold.wire.codec import encode
from edgehold.wire.founding import FounderClaim, FounderFile
from edgehold.wire.governance import Genesis


@dataclass(frozen=True)
class Home:
    """Where everything lies."""

    folder: Path

    @property
    def settings(self) -> Path:
        return self.folder / "config" / "config.toml"

    @property
    def genesis(self) -> Path:
        return self.folder / "config" / "genesis.cbor"

    @property
    def cometbft_genesis(self) -> Path:
        return self.folder / "config" / "genesis.json"

    @property
    def consensus_key(self) -> Path:
        return self.folder / "config" / "priv_validator_key.json"

    @property
    def node_key(self) -> Path:
        return self.folder / "config" / "node_key.json"

    @property
    def account_key(self) -> Path:
        return self.folder / "account" / "key"

    @property
    def founder(self) -> Path:
        return self.folder / "founder.cbor"

    @property
    def signed_last(self) -> Path:
        return self.folder / "data" / "priv_validator_state.json"

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def replica(self) -> Path:
        return self.folder / "replica"

    @property
    def socket(self) -> Path:
        return self.folder / "app.sock"

    @property
    def lock(self) -> Path:
        return self.folder / "node.lock"


def open_home(folder: Path) -> Home:
    """The home in a folder; raises `NoNode`."""
    home = Home(folder)
    if not home.settings.is_file():
        raise NoNode(f"{folder} is not a node's home: there is no config/config.toml in it")
    return home


# ── making ────────────────────────────────────────────────────────────────────────────────────────────────────────


def make_home(folder: Path, settings: Settings, randomness: Randomness) -> Home:
    """Make fresh keys, a founder file and settings; raises `FolderInUse`."""
    home = Home(folder)
    if folder.exists() and any(folder.iterdir()):
        raise FolderInUse(f"{folder} is not empty")
    with storage_failures(folder):
        for path in (home.settings.parent, home.data, home.account_key.parent):
            path.mkdir(mode=0o700, parents=True)
    folder.chmod(0o700)
    seeds = [randomness.draw(32) for _ in range(3)]
    account, consensus, node = (SigningKey(seed) for seed in seeds)
    write_file(home.account_key, seeds[0].hex() + "\n")
    write_file(home.consensus_key, consensus_key_file(consensus, seeds[1]))
    write_file(home.node_key, node_key_file(node, seeds[2]))
    write_file(home.signed_last, NOTHING_SIGNED)
    claim = FounderClaim(
        name=settings.name,
        account_key=account.public,
        consensus_key=consensus.public,
        node=node_id(node),
        address=settings.address,
    )
    write_file(home.founder, encode(sign_claim(claim, account, consensus)), mode=PUBLIC)
    write_file(home.settings, write_settings(settings))
    return home


def sign_claim(claim: FounderClaim, account: SigningKey, consensus: SigningKey) -> FounderFile:
    """A founder's claim under both of its keys."""
    message = founder_message(claim)
    return FounderFile(
        claim=claim, account_signature=account.sign(message), consensus_signature=consensus.sign(message)
    )


def found_home(home: Home, genesis: Genesis, peers: Sequence[str]) -> None:
    """Let a home belong to a network: its document, and the other nodes. Raises `FolderInUse` if it has one already."""
    data = write_genesis(genesis)
    if home.genesis.is_file() and home.genesis.read_bytes() != data:
        raise FolderInUse(f"{home.folder} belongs to a network already")
    settings = replace(read_settings(home), peers=tuple(peers), block_interval_ms=genesis.parameters.block_interval_ms)
    write_file(home.settings, write_settings(settings))
    write_file(home.cometbft_genesis, json.dumps(cometbft_genesis(genesis), indent=1) + "\n", mode=PUBLIC)
    write_file(home.folder / "config" / "network.json", show_genesis(genesis) + "\n", mode=PUBLIC)
    write_file(home.genesis, data, mode=PUBLIC)


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────


def read_settings(home: Home) -> Settings:
    """What config.toml says of this node; raises `BadNodeSettings`."""
    try:
        found = tomllib.loads(home.settings.read_text(encoding="utf-8"))
        instruments = found.get("instrumentation", {})
        return Settings(
            name=found["moniker"],
            address=found["p2p"]["external_address"],
            rpc=found["rpc"]["laddr"].removeprefix("tcp://"),
            health=found["edgehold"]["health"],
            metrics=instruments["prometheus_listen_addr"] if instruments.get("prometheus") else None,
            signer=found.get("priv_validator_laddr", "").removeprefix("tcp://") or None,
            peers=tuple(peer for peer in found["p2p"]["persistent_peers"].split(",") if peer),
            block_interval_ms=int(found["consensus"]["create_empty_blocks_interval"].removesuffix("ms")),
            keep_blocks=int(found["edgehold"]["keep_blocks"]),
            snapshot_every=int(found["edgehold"].get("snapshot_every", 0)),
            sync=_read_sync(found.get("statesync", {})),
        )
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise BadNodeSettings(f"{home.settings}: {type(error).__name__}: {error}") from error


def _read_sync(found: dict[str, Any]) -> Sync | None:
    if not found.get("enable"):
        return None
    servers = dict.fromkeys(found["rpc_servers"].split(","))
    return Sync(tuple(servers), int(found["trust_height"]), found["trust_hash"])


def network_of_home(home: Home) -> Genesis:
    """The document of the home's network; raises `NodeNotFounded`, `Malformed`, `BadGenesis`."""
    if not home.genesis.is_file():
        raise NodeNotFounded(f"{home.folder} belongs to no network yet")
    return read_genesis(home.genesis.read_bytes())


def peer_name(claim: FounderClaim) -> str:
    """A node as other nodes' settings name it."""
    return f"{claim.node}@{claim.address}"


def consensus_key_of(home: Home) -> SigningKey:
    """The key that votes; raises `KeysUnusable`, also if a signer has it."""
    return read_key_file(home.consensus_key)
