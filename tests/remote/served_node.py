"""A node's RPC over real HTTP, as CometBFT v0.38 writes it, for a chain in this process; and every way in which it lies."""

from __future__ import annotations

import json
import threading
from base64 import b64decode, b64encode
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Protocol

from signed_chain import Block

from edgehold.verify.header import SECOND, address_of
from edgehold.wire.header import BlockId, Commit, CommitSignature, Header, SignedHeader, ValidatorSet, VoteFlag

Params = dict[str, Any]
Lie = Callable[[Params, Any], Any]
"""Makes another result of what was asked and the true result."""


class Served(Protocol):
    """What a node has: blocks, and an application that is asked and takes transactions."""

    @property
    def height(self) -> int: ...
    def block(self, height: int) -> Block: ...
    def validators(self, height: int) -> ValidatorSet: ...
    def query(self, path: str, data: bytes, height: int) -> tuple[int, str, bytes]: ...
    def broadcast(self, transaction: bytes) -> tuple[int, str]: ...


class Says(Exception):
    """An error of the node's own."""


class ServedNode:
    """One node. `lies` maps a method to what becomes of its results, `raw` to bytes sent instead of any answer."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.lies: dict[str, Lie] = {}
        self.raw: Callable[[BaseHTTPRequestHandler], None] | None = None
        self.asked: list[str] = []
        self.connections = 0
        self.hangs_up = False
        node = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if node.raw is not None:
                    node.raw(self)
                    return
                answer = json.dumps(node.answer(json.loads(body)), separators=(",", ":")).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)
                self.close_connection = node.hangs_up

            def setup(self) -> None:
                node.connections += 1
                super().setup()

            def log_message(self, *_: object) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, *_: object) -> None:
                """A client that gives up is no news."""

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, asked: dict[str, Any]) -> dict[str, Any]:
        method, params = asked["method"], asked["params"]
        self.asked.append(method)
        reply = {"jsonrpc": "2.0", "id": asked["id"]}
        try:
            result = getattr(self, f"do_{method}")(params)
        except Says as error:
            return reply | {"error": {"code": -32603, "message": "Internal error", "data": str(error)}}
        if method in self.lies:
            result = self.lies[method](params, result)
        return reply | {"result": result}

    # ── one method each ───────────────────────────────────────────────────────────────────────────────────────────

    def _height(self, params: Params, above: int = 0) -> int:
        last = self.served.height + above
        height = int(params.get("height", last))
        if height <= 0:
            raise Says(f"height must be greater than 0, but got {height}")
        if height > last:
            raise Says(f"height {height} must be less than or equal to the current blockchain height {last}")
        return height

    def do_status(self, params: Params) -> Any:
        header = self.served.block(self.served.height).signed.header
        return {
            "node_info": {"network": header.chain},
            "sync_info": {"latest_block_height": str(header.height), "catching_up": False},
        }

    def do_commit(self, params: Params) -> Any:
        height = self._height(params)
        return {
            "signed_header": signed_json(self.served.block(height).signed),
            "canonical": height < self.served.height,
        }

    def do_validators(self, params: Params) -> Any:
        height = self._height(params, above=1)
        every = self.served.validators(height).validators
        first, count = (int(params["page"]) - 1) * int(params["per_page"]), int(params["per_page"])
        page = every[first : first + count]
        if not page:
            raise Says(f"page should be within [1, 1] range, given {params['page']}")
        return {
            "block_height": str(height),
            "validators": [
                {
                    "address": address_of(one.key).hex().upper(),
                    "pub_key": {"type": "tendermint/PubKeyEd25519", "value": b64encode(one.key).decode()},
                    "voting_power": str(one.power),
                    "proposer_priority": "0",
                }
                for one in page
            ],
            "count": str(len(page)),
            "total": str(len(every)),
        }

    def do_blockchain(self, params: Params) -> Any:
        last = min(int(params["maxHeight"]), self.served.height)
        first = max(int(params["minHeight"]), last - 19, 1)
        headers = [self.served.block(height).signed.header for height in range(last, first - 1, -1)]
        return {
            "last_height": str(self.served.height),
            "block_metas": [{"header": header_json(header), "num_txs": "0"} for header in headers],
        }

    def do_block(self, params: Params) -> Any:
        block = self.served.block(self._height(params))
        return {
            "block_id": id_json(block.signed.commit.block),
            "block": {
                "header": header_json(block.signed.header),
                "data": {"txs": [b64encode(one).decode() for one in block.transactions]},
                "evidence": {"evidence": []},
            },
        }

    def do_block_results(self, params: Params) -> Any:
        height = self._height(params)
        results = [
            {"code": code, "data": b64encode(data).decode() or None, "log": "", "gas_wanted": "0", "gas_used": "0"}
            for code, data in self.served.block(height).results
        ]
        return {"height": str(height), "txs_results": results or None, "app_hash": ""}

    def do_abci_query(self, params: Params) -> Any:
        code, log, value = self.served.query(params["path"], bytes.fromhex(params["data"]), int(params["height"]))
        response = {"code": code, "log": log, "value": b64encode(value).decode() or None, "height": "0"}
        return {"response": response}

    def do_broadcast_tx_sync(self, params: Params) -> Any:
        code, log = self.served.broadcast(b64decode(params["tx"]))
        return {"code": code, "data": "", "log": log, "codespace": "", "hash": ""}


# ── as Go writes it ───────────────────────────────────────────────────────────────────────────────────────────────


def hexed(data: bytes) -> str:
    return data.hex().upper()


def time_json(time: int) -> str:
    seconds, rest = divmod(time, SECOND)
    text = (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{text}.{rest:09d}".rstrip("0").rstrip(".") + "Z"


def id_json(block: BlockId) -> Any:
    return {"hash": hexed(block.hash), "parts": {"total": block.parts.total, "hash": hexed(block.parts.hash)}}


def header_json(header: Header) -> Any:
    hashes = {name: hexed(getattr(header, name)) for name in Header.__struct_fields__ if name.endswith("_hash")}
    return {
        "version": {"block": str(header.block_version), "app": str(header.app_version)},
        "chain_id": header.chain,
        "height": str(header.height),
        "time": time_json(header.time),
        "last_block_id": id_json(header.last_block),
        **hashes,
        "proposer_address": hexed(header.proposer),
    }


def vote_json(vote: CommitSignature) -> Any:
    if vote.flag is VoteFlag.ABSENT:
        return {
            "block_id_flag": 1,
            "validator_address": "",
            "timestamp": "0001-01-01T00:00:00Z",
            "signature": None,
        }
    return {
        "block_id_flag": int(vote.flag),
        "validator_address": hexed(vote.address),
        "timestamp": time_json(vote.time),
        "signature": b64encode(vote.signature).decode(),
    }


def commit_json(commit: Commit) -> Any:
    return {
        "height": str(commit.height),
        "round": commit.round,
        "block_id": id_json(commit.block),
        "signatures": [vote_json(vote) for vote in commit.signatures],
    }


def signed_json(signed: SignedHeader) -> Any:
    return {"header": header_json(signed.header), "commit": commit_json(signed.commit)}
