"""One CometBFT with our application, as real processes in one folder, reached over RPC."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from edgehold.crypto.signatures import SigningKey
from edgehold.ledger.genesis import write_genesis
from edgehold.server.abci.genesis import cometbft_genesis
from edgehold.server.loopback import free_ports
from edgehold.verify.header import SECOND, address_of
from edgehold.wire.codec import decode
from edgehold.wire.governance import Genesis
from edgehold.wire.header import (
    Address,
    BlockId,
    Commit,
    CommitSignature,
    Header,
    PartSetHeader,
    SignedHeader,
    VoteFlag,
)
from edgehold.wire.query import ENTRY, RECEIPT, EntryAnswer, ReceiptAnswer

COMETBFT = Path(sys.executable).with_name("cometbft")
DYING = Path(__file__).with_name("dying_application.py")
SETTINGS = {
    "timeout_propose": '"300ms"',
    "timeout_commit": '"20ms"',
    "create_empty_blocks": "false",
    "pex": "false",
    "addr_book_strict": "false",
}


class OneValidator:
    """The two processes; each can be started, killed and started again on what it left."""

    def __init__(self, folder: Path, genesis: Genesis, seed: bytes, **more: str) -> None:
        self.folder = folder
        self.genesis = genesis
        self.port, self.peer_port = free_ports(2)
        self.app: subprocess.Popen[bytes] | None = None
        self.node: subprocess.Popen[bytes] | None = None
        (folder / "genesis.cbor").write_bytes(write_genesis(genesis))
        run = [COMETBFT, "init", "--home", folder / "node"]
        subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
        config = folder / "node" / "config"
        (config / "genesis.json").write_text(json.dumps(cometbft_genesis(genesis)))
        (config / "priv_validator_key.json").write_text(json.dumps(private_key(seed)))
        text = (config / "config.toml").read_text()
        for name, value in (SETTINGS | more).items():
            text, found = re.subn(rf"(?m)^{name} = .*$", lambda _, line=f"{name} = {value}": line, text)
            assert found == 1, name
        (config / "config.toml").write_text(text)

    def start(self, *options: str, dies: str | None = None) -> None:
        """Start both; with `dies` the application kills itself at that point of the next block that is not empty."""
        program = [str(DYING), dies] if dies else ["-m", "edgehold.server.abci"]
        place = self.folder / "app.sock"
        where = ["--genesis", self.folder / "genesis.cbor", "--folder", self.folder / "replica", "--socket", place]
        log = (self.folder / "log").open("ab")
        self.app = subprocess.Popen([sys.executable, *program, *where, *options], stdout=log, stderr=log)
        wait_for(place.exists, "the application's socket")
        rpc, peers = f"tcp://127.0.0.1:{self.port}", f"tcp://127.0.0.1:{self.peer_port}"
        addresses = ["--proxy_app", f"unix://{place}", "--rpc.laddr", rpc, "--p2p.laddr", peers]
        self.node = subprocess.Popen(
            [COMETBFT, "start", "--home", self.folder / "node", *addresses], stdout=log, stderr=log
        )
        log.close()
        wait_for(self._answers, "CometBFT's RPC")

    def address(self) -> str:
        """Where other nodes find this one."""
        return f"{self.rpc('status')['node_info']['id']}@127.0.0.1:{self.peer_port}"

    def stop(self) -> None:
        """End both, however far they are."""
        for process in (self.node, self.app):
            if process:
                process.kill()
                process.wait()

    def wait_for_death(self) -> None:
        """Wait until the application killed itself, and CometBFT ended because of it."""
        assert self.app is not None
        assert self.node is not None
        assert self.app.wait(30) == -signal.SIGKILL
        assert self.node.wait(30) == 0
        (self.folder / "app.sock").unlink()

    def log(self) -> str:
        """What both wrote."""
        return (self.folder / "log").read_text()

    # ── over RPC ──────────────────────────────────────────────────────────────────────────────────────────────────

    def rpc(self, method: str, **arguments: Any) -> Any:
        """Call a method of CometBFT's RPC."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": arguments}).encode()
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request("POST", "/", body, {"Content-Type": "application/json"})
            answered = json.loads(connection.getresponse().read())
        finally:
            connection.close()
        assert "error" not in answered, answered["error"]
        return answered["result"]

    def submit(self, transaction: bytes) -> int:
        """The code with which the application takes or refuses a transaction at the door."""
        return int(self.rpc("broadcast_tx_sync", tx=b64encode(transaction).decode())["code"])

    def height(self) -> int:
        return int(self.rpc("status")["sync_info"]["latest_block_height"])

    def entry(self, key: bytes) -> EntryAnswer:
        return decode(self._query(ENTRY, key), EntryAnswer)

    def receipt(self, envelope: bytes) -> ReceiptAnswer:
        return decode(self._query(RECEIPT, envelope), ReceiptAnswer)

    def header(self, height: int) -> SignedHeader:
        """The signed header of a height, as soon as there is one."""
        wait_for(lambda: self.height() >= height, f"height {height}")
        return read_signed_header(self.rpc("commit", height=str(height))["signed_header"])

    def transactions(self, height: int) -> list[bytes]:
        return [b64decode(one) for one in self.rpc("block", height=str(height))["block"]["data"]["txs"]]

    def _query(self, path: str, data: bytes) -> bytes:
        response = self.rpc("abci_query", path=path, data=data.hex())["response"]
        assert response["code"] == 0, response
        return b64decode(response["value"])

    def _answers(self) -> bool:
        assert self.node is not None
        assert self.node.poll() is None, self.log()
        try:
            self.rpc("health")
        except OSError:
            return False
        return True


def wait_for(holds: Callable[[], bool], what: str, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.02)


def private_key(seed: bytes) -> dict[str, Any]:
    """The file in which CometBFT keeps a validator's key."""
    public = SigningKey(seed).public
    return {
        "address": address_of(public).hex().upper(),
        "pub_key": {"type": "tendermint/PubKeyEd25519", "value": b64encode(public).decode()},
        "priv_key": {"type": "tendermint/PrivKeyEd25519", "value": b64encode(seed + public).decode()},
    }


def read_signed_header(found: dict[str, Any]) -> SignedHeader:
    """A header and its commit as RPC tells them."""
    header, commit = found["header"], found["commit"]
    names = ("last_commit", "data", "validators", "next_validators", "consensus", "app", "last_results", "evidence")
    hashes = {f"{name}_hash": bytes.fromhex(header[f"{name}_hash"]) for name in names}
    return SignedHeader(
        header=Header(
            block_version=int(header["version"]["block"]),
            app_version=int(header["version"].get("app", 0)),
            chain=header["chain_id"],
            height=int(header["height"]),
            time=read_time(header["time"]),
            last_block=read_block_id(header["last_block_id"]),
            proposer=Address(bytes.fromhex(header["proposer_address"])),
            **hashes,
        ),
        commit=Commit(
            height=int(commit["height"]),
            round=int(commit["round"]),
            block=read_block_id(commit["block_id"]),
            signatures=tuple(
                CommitSignature(
                    flag=VoteFlag(vote["block_id_flag"]),
                    address=bytes.fromhex(vote["validator_address"]),
                    time=read_time(vote["timestamp"]),
                    signature=b64decode(vote["signature"]),
                )
                for vote in commit["signatures"]
            ),
        ),
    )


def read_block_id(found: dict[str, Any]) -> BlockId:
    parts = PartSetHeader(total=int(found["parts"]["total"]), hash=bytes.fromhex(found["parts"]["hash"]))
    return BlockId(hash=bytes.fromhex(found["hash"]), parts=parts)


def read_time(text: str) -> int:
    seconds, _, rest = text.removesuffix("Z").partition(".")
    return int(datetime.fromisoformat(f"{seconds}+00:00").timestamp()) * SECOND + int(rest.ljust(9, "0") or 0)
