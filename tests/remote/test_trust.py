"""The light client over real HTTP: what it trusts, keeps and finds out, whatever the nodes say."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kept_chain import GENESIS, NETWORK
from msgspec.structs import replace
from served_node import ServedNode, header_json, signed_json
from signed_chain import FOUR, SECOND, START, SignedChain, altered, commit_of, set_of

from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import (
    BadHeader,
    BadNodeAnswer,
    ForkFound,
    LyingNode,
    NodeError,
    NodeUnreachable,
    StaleNode,
    StateNotKept,
    TrustExpired,
    UsageError,
    WrongLedger,
)
from edgehold.remote.node import Node
from edgehold.remote.nodes import Nodes
from edgehold.remote.trust import DAY, KEPT, LightClient, Trust, TrustStore
from edgehold.verify.header import hash_header, hash_validators
from edgehold.verify.light import validators_at, verify_changes, verify_fork
from edgehold.wire.codec import decode
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import Digest, NetworkId
from edgehold.wire.light import Fork

Serve = Callable[[Any], ServedNode]
Follow = Callable[..., LightClient]


class At:
    """A clock that stands until the test moves it."""

    def __init__(self, now: int) -> None:
        self.time = now

    def now(self) -> int:
        return self.time


def chain_of(count: int, every: int = 0) -> SignedChain:
    """A chain of the network of the tests, with a validator exchanged every so many heights."""
    chain, members = SignedChain(GENESIS.chain), [1, 2, 3, 4]
    for height in range(1, count + 1):
        changed = bool(every) and height % every == 0
        if changed:
            members = [*members[1:], members[-1] % 29 + 1]
        chain.append(next_validators=set_of(*members) if changed else None)
    return chain


@pytest.fixture
def follow(ask: Callable[..., Node]) -> Iterator[Follow]:
    """Makes light clients of nodes; their stores are closed when the test ends."""
    made: list[LightClient] = []

    def one(*nodes: ServedNode, clock: Any, path: Path | None = None, **trust: Any) -> LightClient:
        store = TrustStore(path, NETWORK)
        asked = Nodes([ask(node, seconds=1) for node in nodes])
        made.append(LightClient(asked, GENESIS, store, clock, SeededRandomness(1, "light"), Trust(**trust)))
        return made[-1]

    yield one
    for client in made:
        client.close()


# ── honest nodes ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_newcomer_trusts_from_genesis_on(serve: Serve, follow: Follow) -> None:
    chain = chain_of(40)
    node = serve(chain)
    client = follow(node, clock=chain)
    assert client.newest() == chain.light(40)
    assert node.asked.count("commit") == 2
    assert "validators" not in node.asked
    assert client.newest() == chain.light(40)
    chain.append()
    assert client.newest() == chain.light(41)


def test_changed_validators_are_followed_over_http(serve: Serve, follow: Follow) -> None:
    chain = chain_of(400, every=20)
    node = serve(chain)
    client = follow(node, clock=chain)
    assert client.newest() == chain.light(400)
    assert node.asked.count("commit") < 30
    assert client.at(401) is None
    for height in (1, 19, 20, 21, 200, 399):
        found = client.at(height)
        assert found is not None
        assert found == chain.light(height)
    assert client.at(0) is None


def test_headers_are_known_by_those_that_follow(serve: Serve, follow: Follow) -> None:
    chain = chain_of(50)
    client = follow(serve(chain), clock=chain)
    assert client.headers(11, 30) == [chain.header(height) for height in range(11, 31)]
    assert client.headers(50, 50) == [chain.header(50)]
    with pytest.raises(NodeError, match="no header 51 yet"):
        client.headers(50, 51)


def test_a_header_shown_by_anybody_is_checked(serve: Serve, follow: Follow) -> None:
    chain = chain_of(9)
    client = follow(serve(chain), clock=chain)
    assert client.verify(chain.blocks[4].signed) == chain.header(5)
    with pytest.raises(BadHeader):
        client.verify(altered(chain.blocks[4].signed, FOUR, app_hash=b"\x01" * 32))


def test_what_is_trusted_is_kept_and_shared_between_processes(serve: Serve, follow: Follow, tmp_path: Path) -> None:
    chain, path = chain_of(30), tmp_path / "hub" / "trusted.sqlite"
    node = serve(chain)
    assert follow(node, clock=chain, path=path).newest().height == 30
    other = follow(node, clock=chain, path=path)
    node.asked.clear()
    assert other.at(30) == other.seen == chain.light(30)
    assert node.asked == []
    assert other.newest() == chain.light(30)
    assert node.asked == ["commit"]
    with pytest.raises(WrongLedger, match="network is another"):
        TrustStore(path, NetworkId(Digest(bytes(32))))


def test_the_file_does_not_grow_for_ever(serve: Serve, follow: Follow, tmp_path: Path) -> None:
    chain = chain_of(1)
    client = follow(serve(chain), clock=chain, path=tmp_path / "trusted.sqlite")
    for _ in range(KEPT + 20):
        chain.append()
        client.newest()
    store = TrustStore(tmp_path / "trusted.sqlite", NETWORK)
    assert store._db.execute("SELECT count(*), min(height), max(height) FROM trusted").fetchall() == [(101, 1, 121)]
    store.close()


def test_what_became_too_old_is_reached_backwards(serve: Serve, follow: Follow) -> None:
    """From what is trusted now to what was, by the hashes alone: nothing has to be trusted for long."""
    chain = chain_of(1)
    clock = At(START + SECOND)
    node = serve(chain)
    client = follow(node, clock=clock, period=100 * SECOND, age=DAY)
    for _ in range(3):
        for _ in range(60):
            chain.append()
        clock.time = chain.now()
        client.newest()
    found = client.at(37)
    assert found is not None
    assert found == chain.light(37)
    # Those who signed it long ago may have sold their keys meanwhile; the hashes after it do not change for that.
    node.lies["commit"] = shows(altered(chain.block(38).signed, FOUR, app_hash=b"\x01" * 32))
    with pytest.raises(LyingNode, match="header 38 is not the one that header 39"):
        client.at(38)


def test_the_validators_since_genesis_are_told_for_whoever_has_only_genesis(serve: Serve, follow: Follow) -> None:
    chain = chain_of(400, every=37)
    client = follow(serve(chain), clock=chain)
    for heights in ((1,), (37, 38), (39, 200), (400, 300), ()):
        changes = client.changes(heights)
        reigns = verify_changes(changes, GENESIS.chain, FOUR)
        assert len(changes) == max((height - 1 for height in heights), default=0) // 37
        for height in heights:
            assert validators_at(reigns, height) == chain.validators(height)
    with pytest.raises(StateNotKept, match="no header 401 yet"):
        client.changes([401])


def test_a_set_that_came_back_is_told_where_it_matters(serve: Serve, follow: Follow) -> None:
    chain = SignedChain(GENESIS.chain)
    for height in range(1, 31):
        chain.append(next_validators={9: set_of(1, 2, 3, 11), 19: FOUR}.get(height))
    client = follow(serve(chain), clock=chain)
    assert client.changes([30]) == ()
    reigns = verify_changes(client.changes([15, 30]), GENESIS.chain, FOUR)
    assert [reign.since for reign in reigns] == [1, 10, 20]


# ── where trust begins and ends ───────────────────────────────────────────────────────────────────────────────────


def test_trust_that_ended_begins_again_only_with_a_header_that_somebody_vouches_for(
    serve: Serve, follow: Follow
) -> None:
    chain = chain_of(40, every=7)
    clock = At(chain.now())
    node = serve(chain)
    with pytest.raises(TrustExpired):
        follow(node, clock=clock, period=30 * SECOND).newest()
    known = hash_header(chain.header(25))
    assert follow(node, clock=clock, period=30 * SECOND, anchor=(25, known)).newest() == chain.light(40)
    with pytest.raises(LyingNode, match="header 25 is not"):
        follow(node, clock=clock, anchor=(25, Digest(bytes(32)))).newest()


def test_a_chain_that_did_not_begin_with_the_validators_of_genesis_is_not_the_ledger(
    serve: Serve, follow: Follow
) -> None:
    strangers = SignedChain(GENESIS.chain, set_of(11, 12, 13, 14))
    other = SignedChain("another-chain")
    for chain in (strangers, other):
        chain.append()
        chain.append()
        with pytest.raises(LyingNode):
            follow(serve(chain), clock=chain).newest()


# ── one node that lies or lags ────────────────────────────────────────────────────────────────────────────────────


def shows(signed: SignedHeader) -> Callable[[Any, Any], Any]:
    """A node that shows this header, whatever is asked."""
    return lambda params, result: {"signed_header": signed_json(signed), "canonical": False}


def forged_signature(chain: SignedChain) -> SignedHeader:
    signed = chain.blocks[-1].signed
    votes = [replace(vote, signature=bytes(64)) for vote in signed.commit.signatures]
    return replace(signed, commit=replace(signed.commit, signatures=tuple(votes)))


LIES: dict[str, Callable[[SignedChain], SignedHeader]] = {
    "another application hash": lambda chain: replace(
        chain.blocks[-1].signed, header=replace(chain.header(20), app_hash=b"\x01" * 32)
    ),
    "forged signatures": forged_signature,
    "too few votes": lambda chain: SignedHeader(chain.header(20), commit_of(chain.header(20), FOUR, [0, 1])),
    "strangers": lambda chain: altered(
        chain.blocks[-1].signed,
        set_of(11, 12, 13, 14),
        validators_hash=hash_validators(set_of(11, 12, 13, 14)),
        next_validators_hash=hash_validators(set_of(11, 12, 13, 14)),
    ),
    "another chain": lambda chain: altered(chain.blocks[-1].signed, FOUR, chain="another"),
    "the future": lambda chain: altered(chain.blocks[-1].signed, FOUR, time=chain.now() + 60 * SECOND),
    "the votes of another height": lambda chain: replace(
        chain.blocks[-1].signed, commit=chain.blocks[-2].signed.commit
    ),
    "another next set": lambda chain: altered(
        chain.blocks[-1].signed, FOUR, next_validators_hash=hash_validators(set_of(11, 12))
    ),
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_a_lie_about_the_last_header_is_refused_and_the_next_node_asked(
    serve: Serve, follow: Follow, lie: Callable[[SignedChain], SignedHeader]
) -> None:
    chain = chain_of(10)
    liar, honest = serve(chain), serve(chain)
    client = follow(liar, clock=chain)
    assert client.newest() == chain.light(10)
    for _ in range(10):
        chain.append()
    liar.lies["commit"] = shows(lie(chain))
    chain.append()
    with pytest.raises(NodeError) as caught:
        client.newest()
    assert caught.type in (LyingNode, StaleNode)
    assert liar.address in str(caught.value)
    assert follow(liar, honest, clock=chain).newest() == chain.light(21)


def test_an_old_validator_set_signs_nothing_any_more(serve: Serve, follow: Follow) -> None:
    """Those who left, all four of them, sign a header of their own at a later height."""
    chain = SignedChain(GENESIS.chain)
    for height in range(1, 31):
        chain.append(next_validators=set_of(11, 12, 13, 14) if height == 10 else None)
    node = serve(chain)
    client = follow(node, clock=chain)
    assert client.newest() == chain.light(30)
    chain.append()
    late = {"validators_hash": hash_validators(FOUR), "next_validators_hash": hash_validators(FOUR)}
    node.lies["commit"] = shows(altered(chain.blocks[-1].signed, FOUR, **late))
    with pytest.raises(LyingNode):
        client.newest()


def test_false_validators_and_false_headers_below_are_refused(serve: Serve, follow: Follow) -> None:
    chain = chain_of(60, every=15)
    node = serve(chain)
    client = follow(node, clock=chain)
    client.newest()
    fresh = follow(node, clock=chain)
    node.lies["validators"] = lambda params, result: result | {"validators": result["validators"][:3], "total": "3"}
    with pytest.raises(LyingNode, match="its validators of height"):
        fresh.newest()
    node.lies = {"blockchain": lambda params, result: result | {"block_metas": result["block_metas"][1:]}}
    with pytest.raises(LyingNode, match="does not give headers"):
        client.headers(30, 40)
    wrong = header_json(replace(chain.header(35), app_hash=b"\x01" * 32))
    node.lies = {
        "blockchain": lambda params, result: (
            result
            | {
                "block_metas": [
                    {"header": wrong} if m["header"]["height"] == "35" else m for m in result["block_metas"]
                ]
            }
        )
    }
    with pytest.raises(LyingNode, match="header 35 is not the one"):
        client.headers(30, 40)


def test_a_node_that_is_behind_is_stale_also_after_a_restart(serve: Serve, follow: Follow, tmp_path: Path) -> None:
    chain, path = chain_of(30), tmp_path / "trusted.sqlite"
    behind = SignedChain(GENESIS.chain)
    behind.blocks = chain.blocks[:20]
    ahead, lags = serve(chain), serve(behind)
    follow(ahead, clock=chain, path=path).newest()
    with pytest.raises(StaleNode, match="height 20, height 30 was seen before"):
        follow(lags, clock=chain, path=path).newest()
    assert follow(lags, ahead, clock=chain, path=path).newest() == chain.light(30)


def test_a_node_that_stands_still_is_stale(serve: Serve, follow: Follow) -> None:
    chain = chain_of(30)
    clock = At(chain.now())
    client = follow(serve(chain), clock=clock, age=600 * SECOND)
    assert client.newest().height == 30
    clock.time += 601 * SECOND
    with pytest.raises(StaleNode, match="is 602 s old"):
        client.newest()


# ── several nodes ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_all_reasons_are_told_when_no_node_helps(serve: Serve, follow: Follow) -> None:
    chain = chain_of(5)
    dead, garbage = serve(chain), serve(chain)
    dead.close()
    garbage.lies["commit"] = lambda params, result: "garbage"
    with pytest.raises(NodeError) as caught:
        follow(dead, garbage, clock=chain).newest()
    assert caught.type is NodeError
    assert dead.address in str(caught.value)
    assert garbage.address in str(caught.value)
    with pytest.raises(NodeUnreachable):
        follow(dead, clock=chain).newest()
    with pytest.raises(BadNodeAnswer):
        follow(garbage, clock=chain).newest()
    with pytest.raises(UsageError):
        Nodes([])


def test_a_node_that_failed_is_asked_last_for_a_while(serve: Serve, follow: Follow) -> None:
    chain = chain_of(5)
    garbage, honest = serve(chain), serve(chain)
    garbage.lies["commit"] = lambda params, result: "garbage"
    client = follow(garbage, honest, clock=chain)
    client.newest()
    before = len(garbage.asked)
    chain.append()
    client.newest()
    assert len(garbage.asked) == before


def test_a_slow_node_holds_nobody_for_long(serve: Serve, follow: Follow) -> None:
    chain = chain_of(5)
    slow, honest = serve(chain), serve(chain)
    slow.raw = lambda handler: time.sleep(3)
    begun = time.monotonic()
    assert follow(slow, honest, clock=chain).newest() == chain.light(5)
    assert time.monotonic() - begun < 2.5


def test_a_witness_confirms_and_one_that_lies_or_lags_does_not_disturb(serve: Serve, follow: Follow) -> None:
    chain = chain_of(20)
    behind = SignedChain(GENESIS.chain)
    behind.blocks = chain.blocks[:15]
    nodes = [serve(chain), serve(behind), serve(chain), serve(chain)]
    nodes[2].lies["commit"] = shows(LIES["strangers"](chain))
    client = follow(*nodes[:3], clock=chain)
    assert client.newest() == chain.light(20)
    assert client.confirmed_at == 0
    client = follow(*nodes, clock=chain)
    assert client.newest() == chain.light(20)
    assert client.confirmed_at == 20


def test_a_fork_is_found_kept_and_ends_all_trust(serve: Serve, follow: Follow, tmp_path: Path) -> None:
    """Three of four validators sign two headers of one height; each node shows one of them."""
    chain, path = chain_of(20), tmp_path / "trusted.sqlite"
    other = chain.fork(20, absent=[3])
    nodes = [serve(chain), serve(other)]
    client = follow(*nodes, clock=chain, path=path)
    with pytest.raises(ForkFound, match=r"kept in fork-20\.cbor"):
        client.newest()
    fork = decode((tmp_path / "fork-20.cbor").read_bytes(), Fork)
    guilty = verify_fork(fork, GENESIS.chain)
    assert set(guilty) == {validator.key for validator in FOUR.validators[:3]}
    assert {hash_header(way[-1].signed.header) for way in (fork.first, fork.second)} == {
        hash_header(chain.header(20)),
        hash_header(other.header(20)),
    }
    for again in (client, follow(nodes[0], clock=chain, path=path)):
        for call in (again.newest, lambda again=again: again.at(3), lambda again=again: again.headers(1, 3)):
            with pytest.raises(ForkFound, match=guilty[0].hex()):
                call()


def test_a_fork_shown_later_by_the_same_node_is_found(serve: Serve, follow: Follow, tmp_path: Path) -> None:
    chain = chain_of(20)
    client = follow(serve(chain), clock=chain, path=tmp_path / "trusted.sqlite")
    client.at(12)
    chain.append()
    client.newest()
    other = chain.fork(21)
    chain.blocks = other.blocks
    with pytest.raises(ForkFound, match="height 21"):
        client.newest()


def test_a_second_header_of_too_few_is_a_lie_and_no_fork(serve: Serve, follow: Follow, tmp_path: Path) -> None:
    chain = chain_of(20)
    weak = chain.fork(20, absent=[2, 3])
    client = follow(serve(chain), serve(weak), clock=chain, path=tmp_path / "trusted.sqlite")
    assert client.newest() == chain.light(20)
    assert list(tmp_path.glob("fork*")) == []


def test_ten_thousand_headers_behind_are_soon_caught_up_over_http(
    serve: Serve, follow: Follow, figures: Any, is_long: bool
) -> None:
    count = 10_000 if is_long else 1_000
    chain = chain_of(count, every=count // 20)
    node = serve(chain)
    client = follow(node, clock=chain)
    begun = time.monotonic()
    assert client.newest() == chain.light(count)
    figures.most(f"remote: {count:,} headers behind over HTTP, ms", (time.monotonic() - begun) * 1e3)
    figures.most("remote: calls for that", len(node.asked))
    assert len(node.asked) < 100
