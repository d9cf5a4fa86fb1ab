"""The issuer signs records, sponsors accounts, declares and closes panels."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest
from hub_world import TODAY, World, account_of, bundle, digest, key_of
from hypothesis import given
from hypothesis import strategies as st

from edgehold.crypto.jws import verify_detached
from edgehold.errors import BadSignature, CannotOpen, Malformed, NotFhir, NotInvited, PanelNotOpen
from edgehold.hub.enrolment import ask_panel_keys
from edgehold.issuer.issuer import is_adult
from edgehold.issuer.register import Register
from edgehold.ledger.state import find_account, get_panel
from edgehold.verify.view import ProofCache, proved_state
from edgehold.wire.codec import decode, encode
from edgehold.wire.enrolment import AskAccount, Declined, FromIssuer, Invitation
from edgehold.wire.ids import Digest, PanelId, Signature


def test_a_record_is_signed_over_its_exact_bytes(tmp_path: Path) -> None:
    world = World(tmp_path)
    record, signed = world.hand_out("ada")
    key = key_of("issuer").public
    assert verify_detached(signed.signature, record, lambda _: key) == account_of("issuer")
    altered = bytes([record[0] ^ 1]) + record[1:]
    with pytest.raises(BadSignature):
        verify_detached(signed.signature, altered, lambda _: key)


def test_a_person_keeps_the_first_invitation(tmp_path: Path) -> None:
    world = World(tmp_path)
    _, first = world.hand_out("ada")
    _, second = world.hand_out("ada", bmi=30.0)
    assert first.invitation == second.invitation
    assert first.signature != second.signature


@pytest.mark.parametrize(
    "record",
    [
        b"",
        b"[]",
        b'{"entry": 3}',
        b"[" * 100_000,
        json.dumps({"entry": []}).encode(),
        json.dumps({"entry": [{"resource": {"resourceType": "Patient", "id": "x"}}]}).encode(),
        bundle("x", born="yesterday"),
        bundle("x", born="1990-13"),
    ],
)
def test_what_is_no_record_of_one_person_is_not_signed(tmp_path: Path, record: bytes) -> None:
    with pytest.raises(NotFhir):
        World(tmp_path).issuer.sign_record(record, TODAY)


@pytest.mark.parametrize(
    ("born", "adult"),
    [
        ("2008-11-24", True),
        ("2008-11-25", False),
        ("2008", False),
        ("2007", True),
        ("2008-10", True),
        ("2008-11", False),
    ],
)
def test_adults_have_had_their_eighteenth_birthday(tmp_path: Path, born: str, adult: bool) -> None:
    _, signed = World(tmp_path).hand_out("ada", born=born)
    assert signed.adult is adult


@given(st.dates(date(1900, 1, 1), date(2020, 12, 31)))
def test_nobody_is_adult_a_day_before_the_birthday(born: date) -> None:
    try:
        birthday = born.replace(year=born.year + 18)
    except ValueError:
        birthday = date(born.year + 18, 3, 1)
    assert is_adult(born, birthday)
    assert not is_adult(born, date.fromordinal(birthday.toordinal() - 1))


def test_an_invited_hub_gets_its_account_and_asking_again_changes_nothing(tmp_path: Path) -> None:
    world = World(tmp_path)
    _, signed = world.hand_out("ada")
    hub = world.new_hub("ada")
    world.settle(hub.ask_account(world.desk, account_of("issuer"), signed.invitation))
    state, _ = proved_state(world.ledger, ProofCache())
    account = find_account(state, hub.account)
    assert account is not None
    assert (account.key, account.sponsor) == (hub.keys.signing.public, account_of("issuer"))
    hub.ask_account(world.desk, account_of("issuer"), signed.invitation)


def test_an_invitation_opens_one_account(tmp_path: Path) -> None:
    world = World(tmp_path)
    _, signed = world.hand_out("ada")
    world.settle(world.new_hub("ada").ask_account(world.desk, account_of("issuer"), signed.invitation))
    with pytest.raises(NotInvited):
        world.new_hub("bob").ask_account(world.desk, account_of("issuer"), signed.invitation)
    with pytest.raises(NotInvited):
        world.new_hub("cleo").ask_account(world.desk, account_of("issuer"), Invitation(bytes(16)))


def test_an_altered_request_binds_nobody_to_a_key_that_the_ledger_refuses(tmp_path: Path) -> None:
    world = World(tmp_path)
    _, signed = world.hand_out("ada")
    hub = world.new_hub("ada")
    key, possession = key_of("stranger").public, Signature(bytes(64))
    owner_key = hub.keys.owner_key
    asked = AskAccount(invitation=signed.invitation, key=key, owner_key=owner_key, possession=possession)
    answer: FromIssuer = decode(world.issuer.handle(encode(asked)), FromIssuer)
    assert isinstance(answer, Declined)
    world.settle(hub.ask_account(world.desk, account_of("issuer"), signed.invitation))


@pytest.fixture(scope="module")
def quiet(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world in which nothing happens."""
    return World(tmp_path_factory.mktemp("quiet"))


@given(data=st.binary(max_size=200))
def test_any_bytes_get_an_answer(quiet: World, data: bytes) -> None:
    answer: FromIssuer = decode(quiet.issuer.handle(data), FromIssuer)
    assert isinstance(answer, Declined)
    assert answer.number == Malformed.number


def test_a_panel_is_declared_with_the_keys_that_are_shown(tmp_path: Path) -> None:
    world = World(tmp_path)
    panel = world.panel(slots=2)
    entry = get_panel(proved_state(world.ledger, ProofCache())[0], panel)
    assert entry.issuer == account_of("issuer")
    assert entry.descriptor.slots == 2 == len(world.issuer.moduli(panel))
    assert entry.enrolled is None


def test_the_slot_keys_lie_sealed(tmp_path: Path) -> None:
    world = World(tmp_path)
    panel = world.panel(slots=1)
    (private,) = world.register.private_keys(panel)
    world.register.close()
    files = b"".join(path.read_bytes() for path in tmp_path.glob("issuer.sqlite*"))
    assert private[-128:] not in files
    with pytest.raises(CannotOpen):
        Register(tmp_path / "issuer.sqlite", digest("another key")).private_keys(panel)


def test_a_panel_closes_with_the_number_of_its_persons(tmp_path: Path) -> None:
    world = World(tmp_path)
    hubs = [world.admit(person) for person in ("ada", "bea", "cleo")]
    panel = world.panel(slots=1)
    for hub in hubs:
        hub.enrol(world.desk, panel)
    assert world.issuer.close_panel(panel) == 3
    world.ledger.advance()
    entry = get_panel(proved_state(world.ledger, ProofCache())[0], panel)
    assert (entry.enrolled, entry.closed_at is None) == (3, False)


def test_another_issuers_panel_is_neither_closed_nor_shown(tmp_path: Path) -> None:
    world = World(tmp_path)
    unknown = PanelId(Digest(bytes(32)))
    with pytest.raises(PanelNotOpen):
        world.issuer.close_panel(unknown)
    with pytest.raises(PanelNotOpen):
        ask_panel_keys(world.desk, unknown)
