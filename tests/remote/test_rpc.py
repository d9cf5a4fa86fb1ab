"""What nodes say: a real node's answers are read, and whatever is none is refused in bounded time and memory."""

from __future__ import annotations

import json
import socket
import threading
import time
from base64 import b64decode
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served_node import ServedNode, signed_json
from signed_chain import FOUR, SignedChain, grown

from edgehold.errors import (
    BadNodeAnswer,
    Malformed,
    NodeSaysNo,
    NodeUnreachable,
    QueueFull,
    StateNotKept,
    UsageError,
)
from edgehold.remote.node import Node
from edgehold.remote.rpc import Rpc
from edgehold.verify.header import (
    hash_header,
    hash_results,
    hash_transactions,
    hash_validators,
    order_validators,
    verify_header,
)
from edgehold.wire.header import VoteFlag

RECORDED: dict[str, Any] = json.loads((Path(__file__).parents[1] / "vectors" / "cometbft_rpc.json").read_text())
ANSWERS: dict[str, dict[str, Any]] = RECORDED["answers"]


Ask = Callable[..., Node]


def replay(served: ServedNode, name: str) -> None:
    """Let a node give one recorded answer, whatever is asked."""

    def raw(handler: BaseHTTPRequestHandler) -> None:
        body = ANSWERS[name]["body"].encode()
        handler.send_response(ANSWERS[name]["status"])
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    served.raw = raw


@pytest.fixture
def replayed(served: ServedNode, ask: Ask) -> Callable[[str], Node]:
    """The node when it gives one recorded answer, whatever is asked."""

    def one(name: str) -> Node:
        replay(served, name)
        return ask(served)  # a client's first call has number 1, as the recorded ones

    return one


@pytest.fixture
def served(serve: Callable[[SignedChain], ServedNode]) -> ServedNode:
    return serve(grown(30, every=10))


@pytest.fixture
def node(served: ServedNode, ask: Ask) -> Node:
    return ask(served)


# ── a real node's answers ─────────────────────────────────────────────────────────────────────────────────────────


def test_a_real_header_is_signed_by_the_real_validators(replayed: Callable[[str], Node]) -> None:
    for commit, validators in (("commit", "validators"), ("commit_last", "validators_last")):
        signed = replayed(commit).signed_header(1)
        signers = replayed(validators).validators(1)
        header = verify_header(signed, RECORDED["genesis"]["chain_id"], signers)
        assert header.validators_hash == hash_validators(signers)
        assert VoteFlag.ABSENT in {vote.flag for vote in signed.commit.signatures}


def test_real_validators_come_in_the_order_that_we_give_them(replayed: Callable[[str], Node]) -> None:
    changed = replayed("validators_last").validators(1)
    assert [one.power for one in changed.validators] == [3, 1, 1, 1]
    assert order_validators(changed.validators) == changed


def test_a_real_block_is_what_its_header_and_the_next_say(replayed: Callable[[str], Node]) -> None:
    header, transactions = replayed("block").block(1)
    following, nothing = replayed("block_next").block(1)
    results = replayed("block_results").results(1)
    assert transactions == [b"a=b"]
    assert hash_transactions(transactions) == header.data_hash
    assert hash_results(results) == following.last_results_hash
    assert following.last_block.hash == hash_header(header)
    assert (nothing, replayed("block_results_empty").results(1)) == ([], [])
    assert replayed("blockchain").headers(1, 2) == [header, following]


def test_real_answers_of_the_application_are_read(replayed: Callable[[str], Node]) -> None:
    assert replayed("query").query("/store", b"a").value == b"b"
    assert replayed("query_nothing").query("/store", b"zz").value == b""
    status = replayed("status").status()
    assert (status.chain, status.is_catching_up) == (RECORDED["genesis"]["chain_id"], False)
    assert replayed("sent").broadcast(b"a=b").code == 0
    assert replayed("sent_again").broadcast(b"a=b").code == 0
    assert replayed("refused").broadcast(b"nonsense").code == 2


@pytest.mark.parametrize(
    ("name", "call", "error"),
    [
        ("commit_above", lambda node: node.signed_header(10**6), StateNotKept),
        ("commit_zero", lambda node: node.signed_header(0), NodeSaysNo),
        ("validators_no_page", lambda node: node.validators(1), NodeSaysNo),
        ("too_large", lambda node: node.broadcast(b"x"), Malformed),
        ("unknown_method", lambda node: node.status(), NodeSaysNo),
        ("bad_parameter", lambda node: node.signed_header(1), NodeSaysNo),
    ],
)
def test_a_real_nodes_refusal_has_its_error(
    replayed: Callable[[str], Node], name: str, call: Callable[[Node], Any], error: type[Exception]
) -> None:
    with pytest.raises(error) as caught:
        call(replayed(name))
    assert caught.type is error


# ── what is no answer ─────────────────────────────────────────────────────────────────────────────────────────────


def test_what_is_served_here_is_what_a_node_serves(
    served: ServedNode, node: Node, replayed: Callable[[str], Node]
) -> None:
    """The stand-in writes a real node's header as the real node does, byte for byte of JSON."""
    signed = replayed("commit").signed_header(1)
    assert signed_json(signed) == json.loads(ANSWERS["commit"]["body"])["result"]["signed_header"]
    served.raw = None
    chain = served.served
    assert isinstance(chain, SignedChain)
    assert node.signed_header() == chain.blocks[-1].signed
    assert node.validators(1) == FOUR
    assert node.headers(5, 9) == [chain.header(height) for height in range(5, 10)]


BODIES = {
    "nothing": b"",
    "no JSON": b"<html>",
    "half": b'{"jsonrpc":"2.0","id":1,"result":{"signed_',
    "a list": b"[]",
    "no result": b'{"jsonrpc":"2.0","id":1}',
    "null": b'{"jsonrpc":"2.0","id":1,"result":null}',
    "another id": b'{"jsonrpc":"2.0","id":999,"result":{}}',
    "no id": b'{"jsonrpc":"2.0","result":{}}',
    "deep": b'{"jsonrpc":"2.0","id":1,"result":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "not text": b'{"jsonrpc":"2.0","id":1,"result":"\xff\xfe"}',
    "a bad error": b'{"jsonrpc":"2.0","id":1,"error":"no"}',
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_what_is_no_answer_is_refused(served: ServedNode, node: Node, body: bytes) -> None:
    def raw(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    served.raw = raw
    with pytest.raises(BadNodeAnswer):
        node.signed_header()


def test_the_answer_to_another_call_is_refused(served: ServedNode, replayed: Callable[[str], Node]) -> None:
    node = replayed("commit")
    node.signed_header()
    with pytest.raises(BadNodeAnswer, match="with the answer to 1"):
        node.signed_header()


def change(path: str, value: Any) -> Callable[[Any, Any], Any]:
    """A lie: one place of the result is another."""

    def lie(_: Any, result: Any) -> Any:
        *way, last = path.split("/")
        place = result
        for step in way:
            place = place[int(step) if step.isdigit() else step]
        place[int(last) if last.isdigit() else last] = value
        return result

    return lie


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("signed_header", None),
        ("signed_header/header/height", 5),
        ("signed_header/header/height", "-5"),
        ("signed_header/header/height", "05"),
        ("signed_header/header/height", "9" * 19),
        ("signed_header/header/height", "٣"),
        ("signed_header/header/time", "yesterday"),
        ("signed_header/header/time", "2026-02-30T00:00:00Z"),
        ("signed_header/header/time", "1969-12-31T23:59:59Z"),
        ("signed_header/header/time", "٢026-01-01T00:00:00Z"),
        ("signed_header/header/app_hash", "zz"),
        ("signed_header/header/app_hash", "00" * 33),
        ("signed_header/header/proposer_address", ""),
        ("signed_header/header/chain_id", "x" * 65),
        ("signed_header/header/version/block", "x"),
        ("signed_header/header/last_block_id/parts/total", -1),
        ("signed_header/commit/round", 2**31),
        ("signed_header/commit/signatures", [{}]),
        ("signed_header/commit/signatures/0/block_id_flag", 7),
        ("signed_header/commit/signatures/0/block_id_flag", 1),
        ("signed_header/commit/signatures/0/signature", "%%%"),
        ("signed_header/commit/signatures/0/signature", "A" * 100),
    ],
)
def test_a_field_that_no_node_writes_is_refused(served: ServedNode, node: Node, path: str, value: Any) -> None:
    served.lies["commit"] = change(path, value)
    with pytest.raises(BadNodeAnswer):
        node.signed_header()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("validators", []),
        ("validators/0/pub_key/type", "tendermint/PubKeySecp256k1"),
        ("validators/0/pub_key/value", "AAAA"),
        ("validators/0/voting_power", "0"),
        ("total", "200"),
    ],
)
def test_validators_that_no_node_has_are_refused(served: ServedNode, node: Node, path: str, value: Any) -> None:
    served.lies["validators"] = change(path, value)
    with pytest.raises(BadNodeAnswer):
        node.validators(3)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), name=st.sampled_from(["commit", "validators", "block", "block_results", "query"]))
def test_any_changed_byte_of_an_answer_is_read_or_refused(served: ServedNode, data: st.DataObject, name: str) -> None:
    body = bytearray(ANSWERS[name]["body"].encode())
    for _ in range(data.draw(st.integers(1, 3))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))

    def raw(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(bytes(body))

    served.raw = raw
    node = Node(Rpc(served.address))
    calls: dict[str, Callable[[], Any]] = {
        "commit": node.signed_header,
        "validators": lambda: node.validators(1),
        "block": lambda: node.block(1),
        "block_results": lambda: node.results(1),
        "query": lambda: node.query("/store", b"a"),
    }
    try:
        with suppress(BadNodeAnswer, StateNotKept):
            calls[name]()
    finally:
        node.close()


# ── bytes and time ────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_answer_without_end_is_read_to_its_limit(served: ServedNode, ask: Ask) -> None:
    sent = 0

    def raw(handler: BaseHTTPRequestHandler) -> None:
        nonlocal sent
        handler.send_response(200)
        handler.end_headers()
        try:
            while sent < 1 << 30:
                handler.wfile.write(b" " * 65_536)
                sent += 65_536
        finally:
            handler.close_connection = True

    served.raw = raw
    with pytest.raises(BadNodeAnswer, match="more than 1000000 bytes"):
        ask(served, limit=1_000_000).status()
    assert sent < 50 << 20


def drip(handler: BaseHTTPRequestHandler) -> None:
    """A byte now and then, each in time."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(100):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.05)


def drip_headers(handler: BaseHTTPRequestHandler) -> None:
    for _ in range(100):
        handler.connection.sendall(b"H")
        time.sleep(0.05)


def silence(_: BaseHTTPRequestHandler) -> None:
    time.sleep(3)


@pytest.mark.parametrize("slow", [drip, drip_headers, silence])
def test_a_call_has_one_deadline(served: ServedNode, ask: Ask, slow: Callable[[BaseHTTPRequestHandler], None]) -> None:
    served.raw = slow
    begun = time.monotonic()
    with pytest.raises(NodeUnreachable, match="timed out"):
        ask(served, seconds=0.3).status()
    assert time.monotonic() - begun < 2.5


def test_nobody_there_and_no_http_are_unreachable() -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with pytest.raises(NodeUnreachable):
            Node(Rpc(address)).status()
        listening.listen()

        def greet() -> None:
            one, _ = listening.accept()
            one.sendall(b"220 mail.example ESMTP\r\n")
            one.close()

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(NodeUnreachable):
            Node(Rpc(address)).status()
        thread.join()


def test_a_connection_is_used_again_and_opened_again_when_the_node_closed_it(served: ServedNode, node: Node) -> None:
    for _ in range(5):
        node.status()
    assert served.connections == 1
    served.hangs_up = True
    node.status()
    for connections in (2, 3):
        node.status()
        assert served.connections == connections


@pytest.mark.parametrize("address", ["", "127.0.0.1:26657", "ftp://x", "http://", "http://u:p@host", "http://h?x=1"])
def test_what_is_no_address_is_said_at_once(address: str) -> None:
    with pytest.raises(UsageError):
        Rpc(address)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("mempool is full: number of txs 5000 (max: 5000)", QueueFull),
        ("Tx too large. Max size is 65536, but got 70000", Malformed),
        ("something else", NodeSaysNo),
    ],
)
def test_what_a_node_says_of_a_transaction_has_its_error(
    served: ServedNode, node: Node, words: str, error: type[Exception]
) -> None:
    body = json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "", "data": words}}).encode()

    def raw(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(500)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    served.raw = raw
    with pytest.raises(error):
        node.broadcast(b64decode("AAAA"))
