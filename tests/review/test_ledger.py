"""Attacks on the ledger by those who have no account, and by orders that nobody could answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_world import World as HubWorld
from hub_world import account_of, digest
from msgspec.structs import replace
from service_world import World, key_of

from edgehold.aggregation.task import report_size
from edgehold.crypto.merkle import tree_root
from edgehold.crypto.transactions import sign_transaction
from edgehold.engine import embedded
from edgehold.errors import BadCredential, Expired, MeasurementUnfit, PanelUnsuited, QueueFull
from edgehold.ledger.rules.programs import MOST_BITS, is_well_bounded
from edgehold.wire.account import Transfer
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import Grade, Kind
from edgehold.wire.enrolment import AskAccount, Declined, FromIssuer
from edgehold.wire.ids import Digest, PanelId, SlotKey, TaskId
from edgehold.wire.panel import ClosePanel, DeclarePanel, SlotCredential
from edgehold.wire.program import MeasurementKind, MeasurementType, PublishProgram, RunLimits, Sensitivity
from edgehold.wire.service import Bulk
from edgehold.wire.task import Revoke
from edgehold.wire.tx import Receipt


def test_whoever_is_in_no_panel_leaves_nothing_in_the_log(tmp_path: Path) -> None:
    world = World(tmp_path)
    run = world.open_task()
    described = run.configuration.panels[0]
    stranger = key_of("a stranger")
    moduli = world.keys.moduli(described.panel)
    credential = SlotCredential(
        panel=described.panel,
        slot=described.slot,
        key=SlotKey(stranger.public),
        token=run.token(3),
        modulus=moduli[described.slot],
        path=(),
    )
    before = world.ledger.height()
    for task in (run.task, TaskId(digest("no task"))):
        receipt = world.transact_as(stranger, Digest(stranger.public), Revoke(task=task, credential=credential))
        assert receipt.number != 0
    assert receipt.number != BadCredential.number
    assert list(world.ledger.transactions(before + 1, world.ledger.height())) == []


def test_what_expired_fills_no_log_however_often_it_is_sent(tmp_path: Path) -> None:
    world = World(tmp_path)
    body = Transfer(to=account_of("customer"), credits=1)
    network, sender = world.ledger.network, account_of("treasurer")
    old = sign_transaction(key_of("treasurer"), network, sender, world.ledger.height() + 1, body)
    name = world.ledger.submit(old)
    world.ledger.advance()
    first = world.ledger.receipt(name)
    assert isinstance(first, Receipt)
    assert first.number == 0
    world.ledger.advance(1200)
    before = world.ledger.height()
    for _ in range(3):
        world.ledger.submit(old)
        world.ledger.advance()
    late = world.ledger.receipt(name)
    assert late is not None
    assert late.number == Expired.number
    assert list(world.ledger.transactions(before + 1, world.ledger.height())) == []
    world.ledger.check()


def test_strangers_fill_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(tmp_path)
    monkeypatch.setattr(embedded, "MAX_WAITING_BYTES", 4000)
    network, expires = world.ledger.network, world.ledger.height() + 5
    body = Transfer(to=account_of("customer"), credits=1)
    strangers = [key_of(f"stranger {number}") for number in range(100)]
    flood = [sign_transaction(key, network, Digest(key.public), expires, body) for key in strangers]
    for one in flood[:10]:
        world.ledger.submit(one)
    with pytest.raises(QueueFull):
        world.ledger.submit_many(flood)
    world.ledger.advance()
    world.ledger.submit(sign_transaction(key_of("treasurer"), network, account_of("treasurer"), expires, body))


@pytest.mark.parametrize("kind", [MeasurementKind.SUMVEC, MeasurementKind.L1BOUND])
def test_no_program_is_published_whose_report_no_hub_could_send(kind: MeasurementKind) -> None:
    largest = MeasurementType(kind=kind, length=MOST_BITS // 16 - 1, bound=65535, weight=0)
    assert is_well_bounded(largest)
    most = Bulk.__metadata__[0].max_length  # type: ignore[attr-defined]
    assert report_size(largest) <= most
    assert not is_well_bounded(replace(largest, length=100_000))


def test_the_ledger_refuses_a_measurement_on_which_every_hub_would_choke(tmp_path: Path) -> None:
    world = World(tmp_path)
    too_much = PublishProgram(
        source=digest("source"),
        runtime=digest("runtime"),
        engine="wasmtime 50",
        schema="edgehold.events/1",
        kinds=(Kind.EHR,),
        sensitivity=Sensitivity.AGGREGATE,
        measurement=MeasurementType(kind=MeasurementKind.SUMVEC, length=100_000, bound=65535, weight=0),
        limits=RunLimits(fuel=10**9, memory_bytes=2**26, output_bytes=2**16, deadline_ms=1000),
    )
    assert world.transact("customer", too_much).number == MeasurementUnfit.number


def test_an_order_names_no_panels_that_may_share_persons(tmp_path: Path) -> None:
    world = World(tmp_path)
    moduli = world.keys.moduli(world.panels["panel"])
    declared = DeclarePanel(
        scheme="another",
        period=0,
        number=0,
        kinds=(Kind.EHR,),
        grade=Grade.SIGNED,
        schemas=("edgehold.events/1",),
        slots=len(moduli),
        keys_root=tree_root(moduli),
    )
    other = PanelId(world.do("issuer", declared))
    world.do("issuer", ClosePanel(panel=other, enrolled=20))
    world.panels["other"] = other
    with pytest.raises(AssertionError, match=f"EH{PanelUnsuited.number}"):
        world.order(panels=("panel", "other"))


def test_an_issuer_survives_a_person_who_claims_anothers_hub(tmp_path: Path) -> None:
    world = HubWorld(tmp_path)
    victim = world.admit("ada")
    _, signed = world.hand_out("eve")
    asked = AskAccount(
        invitation=signed.invitation,
        key=victim.keys.signing.public,
        owner_key=victim.keys.owner_key,
        possession=victim.keys.signing.sign(b"whatever"),
    )
    assert isinstance(decode(world.issuer.handle(encode(asked)), FromIssuer), Declined)
