"""What a node says of itself, over its own RPC."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from msgspec import Meta, Struct

from edgehold.remote.rpc import Rpc

SECONDS = 5.0
"""In which a node on this machine answers."""

Number = Annotated[str, Meta(pattern=r"^-?[0-9]{1,19}$")]
"""CometBFT writes 64-bit integers as text."""


class _Info(Struct):
    id: str
    network: str
    moniker: str
    version: str = ""


class _Sync(Struct):
    latest_block_height: Number
    latest_block_time: datetime
    earliest_block_height: Number
    catching_up: bool


class _PublicKey(Struct):
    value: str


class _Own(Struct):
    pub_key: _PublicKey
    voting_power: Number


class _Status(Struct):
    node_info: _Info
    sync_info: _Sync
    validator_info: _Own


class _Peer(Struct):
    node_info: _Info
    remote_ip: str


class _NetInfo(Struct):
    peers: list[_Peer]


class _Validator(Struct):
    pub_key: _PublicKey
    voting_power: Number


class _Validators(Struct):
    validators: list[_Validator]
    total: Number


class _AppInfo(Struct):
    last_block_height: Number = "0"
    last_block_app_hash: str = ""


class _AbciInfo(Struct):
    response: _AppInfo


@dataclass(frozen=True)
class Status:
    """How a node is."""

    node: str
    name: str
    chain: str
    height: int
    first_height: int
    """Of the earliest block that is kept."""
    block_time: datetime
    catching_up: bool
    power: int
    """Its own voting power; 0 for a node that only follows."""
    validators: dict[str, int]
    """Power by consensus key."""
    peers: dict[str, str]
    """Names of the nodes it is connected to, by id."""
    application_height: int
    application_root: str

    @property
    def block_age(self) -> float:
        """Seconds since the last block's time, by this machine's clock."""
        return (datetime.now(UTC) - self.block_time).total_seconds()

    def as_json(self) -> dict[str, Any]:
        return {
            "node": self.node,
            "name": self.name,
            "chain": self.chain,
            "height": self.height,
            "first_height": self.first_height,
            "block_time": self.block_time.isoformat(),
            "block_age_seconds": round(self.block_age, 3),
            "catching_up": self.catching_up,
            "power": self.power,
            "validators": self.validators,
            "peers": self.peers,
            "application_height": self.application_height,
            "application_root": self.application_root,
        }


def ask_status(address: str) -> Status:
    """Ask a node at HOST:PORT; raises `NodeError`."""
    rpc = Rpc(f"http://{reachable(address)}", seconds=SECONDS)
    try:
        status = rpc.call("status", _Status)
        peers = rpc.call("net_info", _NetInfo).peers
        validators = rpc.call("validators", _Validators, per_page="100").validators
        application = rpc.call("abci_info", _AbciInfo).response
    finally:
        rpc.close()
    sync = status.sync_info
    return Status(
        node=status.node_info.id,
        name=status.node_info.moniker,
        chain=status.node_info.network,
        height=int(sync.latest_block_height),
        first_height=int(sync.earliest_block_height),
        block_time=sync.latest_block_time,
        catching_up=sync.catching_up,
        power=int(status.validator_info.voting_power),
        validators={b64decode(one.pub_key.value).hex(): int(one.voting_power) for one in validators},
        peers={peer.node_info.id: peer.node_info.moniker for peer in peers},
        application_height=int(application.last_block_height),
        application_root=b64decode(application.last_block_app_hash).hex(),
    )


def reachable(address: str) -> str:
    """Where to ask a node that listens on an address: on all means on this machine too."""
    host, _, port = address.rpartition(":")
    return f"127.0.0.1:{port}" if host in ("", "0.0.0.0") else address  # noqa: S104  compared, not listened on
