"""What a hub believes of the ledger, and what it proves of services that break their word."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hub_world import OPEN, World, account_of, digest, key_of
from msgspec.structs import replace

from edgehold.aggregation.report import report_digest
from edgehold.crypto.names import receipt_message
from edgehold.errors import BadHeader, BadProof, HeaderMoved
from edgehold.hub.hub import Hub
from edgehold.hub.journal import RunState
from edgehold.hub.watch import Feed, prior_of, see_task
from edgehold.ledger.state import State, get_account, get_configuration, get_standing
from edgehold.service.node import ServiceNode
from edgehold.verify.view import ProofCache, proved_state
from edgehold.wire.account import Attestation, Claim, Transfer
from edgehold.wire.batch import UploadReceipt
from edgehold.wire.codec import decode, encode
from edgehold.wire.credibility import Prior
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.ids import PanelId, TaskId
from edgehold.wire.order import Order
from edgehold.wire.panel import Panel
from edgehold.wire.report import decode_report
from edgehold.wire.service import Receipted, Request, Upload
from edgehold.wire.task import Revoke
from edgehold.wire.tx import Envelope, Receipt


def four_hubs(world: World) -> tuple[list[Hub], PanelId]:
    """Hubs of four persons in one closed panel."""
    hubs = [world.admit(person) for person in ("ada", "bea", "cleo", "dora")]
    panel = world.panel(slots=2)
    for hub in hubs:
        hub.enrol(world.desk, panel)
    world.close_panel(panel)
    return hubs, panel


# ── evidence ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_receipted_report_that_is_in_no_list_convicts_the_leader(tmp_path: Path) -> None:
    world = World(tmp_path)
    hubs, panel = four_hubs(world)
    task = world.open_task(panel)
    honest = world.lines["leader"].answer
    dropped = []

    def dropping(message: bytes) -> bytes:
        """The leader signs for the first report and throws it away."""
        asked = decode(message, Request)
        if not isinstance(asked, Upload) or dropped:
            return honest(message)
        dropped.append(asked)
        metadata = decode_report(asked.report).metadata
        receipt = UploadReceipt(task, metadata.report, metadata.permit.slot_key, report_digest(asked.report))
        return encode(Receipted(receipt=receipt, signature=key_of("leader").sign(receipt_message(receipt))))

    world.lines["leader"].answer = dropping  # type: ignore[method-assign]
    world.tick(*hubs, count=14)
    world.lines["leader"].answer = honest  # type: ignore[method-assign]
    checks = {hub.account: hub.check_batch(task) for hub in hubs}
    (accused,) = [check for check in checks.values() if check is not None and not check.included]
    assert accused.evidence is not None
    world.settle(accused.evidence)
    state, _ = proved_state(world.ledger, ProofCache())
    assert get_standing(state, account_of("leader")).suspended_at is not None
    assert get_standing(state, account_of("helper")).suspended_at is None
    (victim,) = [hub for hub in hubs if hub.history()[0].included is False]
    assert victim._journal.experience(account_of("leader")) == (0, 1)
    assert victim._journal.experience(account_of("helper")) == (0, 0)


class Deaf(ServiceNode):
    """A service that overlooks revocations on the ledger."""

    def _notice(self, envelope: Envelope, receipt: Receipt) -> None:
        if not isinstance(envelope.body, Revoke):
            super()._notice(envelope, receipt)


def test_a_report_that_counts_although_it_was_revoked_convicts_both(tmp_path: Path) -> None:
    world = World(tmp_path, services=Deaf)
    hubs, panel = four_hubs(world)
    task = world.open_task(panel)
    while hubs[0].history() == [] or hubs[0].history()[0].state is not RunState.SENT:
        world.tick(*hubs)
    for name in ("leader", "helper"):
        world.lines[name].cut = True
    envelope = hubs[0].revoke(task)
    for name in ("leader", "helper"):
        world.lines[name].cut = False
    assert envelope is not None
    world.settle(envelope)
    world.tick(*hubs, count=12)
    check = hubs[0].check_batch(task)
    assert check is not None
    assert check.included
    assert check.evidence is not None
    world.settle(check.evidence)
    state, _ = proved_state(world.ledger, ProofCache())
    assert [get_standing(state, account_of(name)).suspended_at is None for name in ("leader", "helper")] == [False] * 2
    assert hubs[0]._journal.experience(account_of("helper")) == (0, 1)


def test_own_bad_experience_outweighs_the_ledgers_score(tmp_path: Path) -> None:
    world = World(tmp_path)
    hubs, panel = four_hubs(world)
    for hub in hubs:
        hub.set_policy(replace(OPEN, least_credibility=replace(OPEN.least_credibility, aggregate=300_000)))
    first = world.open_task(panel)
    world.tick(*hubs, count=6)
    hubs[0]._journal.set_included(first, included=False, good=(), bad=[account_of("leader")] * 4)
    world.open_task(panel)
    world.tick(*hubs, count=6)
    assert [hub.history()[1].state for hub in hubs] == [RunState.REFUSED] + [RunState.SENT] * 3


# ── proofs ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Liar:
    """A node that answers `prove` in its own way."""

    def __init__(self, ledger: Any, key: bytes, lie: Any) -> None:
        self._ledger, self._key, self._lie = ledger, key, lie

    def __getattr__(self, name: str) -> Any:
        return getattr(self._ledger, name)

    def prove(self, key: bytes) -> Any:
        answer = self._ledger.prove(key)
        return self._lie(*answer) if key == self._key else answer


def account_key() -> bytes:
    """Where the leader's account lies."""
    return entry_key(Collection.ACCOUNT, account_of("leader"))


def test_entries_are_read_by_proof_and_remembered_under_their_header(tmp_path: Path) -> None:
    world = World(tmp_path)
    cache = ProofCache()
    state, header = proved_state(world.ledger, cache)
    assert get_account(state, account_of("leader")).key == key_of("leader").public
    assert set(cache.entries) == {account_key()}
    again, same = proved_state(world.ledger, cache)
    assert (again.height, same) == (state.height, header)
    world.ledger.advance()
    later, other = proved_state(world.ledger, cache)
    assert later.height == state.height + 1
    assert (other == header, cache.entries) == (False, {})


@pytest.mark.parametrize(
    "lie",
    [
        lambda header, value, proof: (header, value + b"\x00", proof),
        lambda header, value, proof: (header, None, proof),
        lambda header, value, proof: (header, value, replace(proof, siblings=proof.siblings[::-1])),
    ],
)
def test_a_node_that_lies_about_an_entry_is_not_believed(tmp_path: Path, lie: Any) -> None:
    world = World(tmp_path)
    state, _ = proved_state(Liar(world.ledger, account_key(), lie), ProofCache())
    with pytest.raises(BadProof):
        get_account(state, account_of("leader"))


def test_a_header_of_others_is_not_believed(tmp_path: Path) -> None:
    world = World(tmp_path)
    anchor = entry_key(Collection.PARAMETERS)

    def forged(signed: Any, value: Any, proof: Any) -> Any:
        return replace(signed, header=replace(signed.header, app_hash=bytes(32))), value, proof

    with pytest.raises(BadHeader):
        proved_state(Liar(world.ledger, anchor, forged), ProofCache())


def test_entries_of_two_states_are_not_mixed(tmp_path: Path) -> None:
    world = World(tmp_path)
    state, _ = proved_state(world.ledger, ProofCache())
    world.do("treasurer", Transfer(account_of("customer"), 1))
    with pytest.raises(HeaderMoved):
        get_account(state, account_of("leader"))


# ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def with_entry(state: State, key: bytes, value: bytes) -> State:
    """A state in which one entry is another: what a rule's mistake would leave."""
    return State(
        read=lambda asked: value if asked == key else state.read(asked),
        height=state.height,
        header_hash=state.header_hash,
        network=state.network,
    )


@pytest.mark.parametrize("wrong", ["configuration", "order", "panel"])
def test_a_task_whose_parts_do_not_fit_together_is_not_answered(tmp_path: Path, wrong: str) -> None:
    world = World(tmp_path)
    hubs, panel = four_hubs(world)
    task = world.open_task(panel)
    state, _ = proved_state(world.ledger, ProofCache())
    journal = hubs[0]._journal
    seen = see_task(state, task, [panel], journal)
    assert seen is not None
    assert seen.question.task == task
    configuration = get_configuration(state, task)
    match wrong:
        case "configuration":
            key, value = entry_key(Collection.CONFIGURATION, task), replace(configuration, least_batch=9)
        case "order":
            key = entry_key(Collection.ORDER, configuration.order)
            value = replace(decode(state.read(key) or b"", Order), task=TaskId(digest("another")))
        case _:
            key = entry_key(Collection.PANEL, panel)
            value = replace(decode(state.read(key) or b"", Panel), enrolled=99)
    with pytest.raises(BadProof):
        see_task(with_entry(state, key, encode(value)), task, [panel], journal)


def test_the_feed_reads_every_block_once(tmp_path: Path) -> None:
    world = World(tmp_path)
    _, panel = four_hubs(world)
    task = world.open_task(panel)
    feed = Feed()
    assert feed.after(world.ledger, 0) == [task]
    assert feed.read_until == world.ledger.height()
    assert feed.after(world.ledger, world.ledger.height()) == []
    assert feed.after(world.ledger, 0) == [task]


def test_hubs_on_many_threads_share_proofs_and_feed(tmp_path: Path) -> None:
    world = World(tmp_path)
    hubs, panel = four_hubs(world)
    task = world.open_task(panel)
    with ThreadPoolExecutor(4) as threads:
        for _ in range(6):
            list(threads.map(Hub.follow, hubs))
            for name in ("leader", "helper"):
                world.nodes[name].step()
            world.ledger.advance()
    assert [(line.task, line.state) for hub in hubs for line in hub.history()] == [(task, RunState.SENT)] * 4
    assert [one for _, one in world.outside.feed.tasks] == [task]


@pytest.mark.parametrize(
    ("claims", "prior"),
    [
        ((), Prior.UNKNOWN),
        ((Claim.ETHICS,), Prior.UNKNOWN),
        ((Claim.VERIFIED,), Prior.VERIFIED),
        ((Claim.VERIFIED, Claim.ACCREDITED), Prior.ACCREDITED),
        ((Claim.INDEPENDENT,), Prior.UNKNOWN),
    ],
)
def test_a_prior_follows_from_attestations(claims: tuple[Claim, ...], prior: Prior) -> None:
    live = [
        Attestation(
            attestor=account_of("accreditor"), claim=claim, since=0, until=1, statement=digest("x"), withdrawn_at=None
        )
        for claim in claims
    ]
    assert prior_of(live) is prior
