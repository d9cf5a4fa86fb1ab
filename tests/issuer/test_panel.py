"""An enrolment visit at the issuer's desk: every check, by its own error, and that nothing stays that could link."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_world import SLOTS, World, account_of
from msgspec.structs import replace

from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.signatures import SigningKey
from edgehold.errors import (
    BadSignature,
    CannotBlind,
    EnrolledBefore,
    Malformed,
    NotAnAdult,
    NotInvited,
    NotTheRecord,
    PanelNotOpen,
    RootDiffers,
)
from edgehold.hub.hub import Hub
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import Kind
from edgehold.wire.enrolment import Blinded, Declined, Enrol, Enrolled, FromIssuer, ToIssuer, Visit
from edgehold.wire.ids import AccountId, Digest, NetworkId, PanelId


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A network with nobody enrolled."""
    return World(tmp_path)


def last_visit(world: World) -> Enrol:
    """What the issuer was asked last."""
    asked: ToIssuer = decode(world.desk.received[-1], ToIssuer)
    assert isinstance(asked, Enrol)
    return asked


def ask(world: World, hub: Hub, visit: Visit, key: SigningKey | None = None) -> FromIssuer:
    """Send a visit, signed by the hub or another key, and read the answer."""
    signature = (key or hub.keys.signing).sign(tagged_hash("visit", encode(visit)))
    answer: FromIssuer = decode(world.issuer.handle(encode(Enrol(visit=visit, signature=signature))), FromIssuer)
    return answer


def refusal(world: World, hub: Hub, visit: Visit, key: SigningKey | None = None) -> int:
    """The number of the error that a visit gets."""
    answer = ask(world, hub, visit, key)
    assert isinstance(answer, Declined), answer
    return answer.number


def visited(world: World, hub: Hub, panel: PanelId) -> Visit:
    """A good visit, as it was made."""
    hub.enrol(world.desk, panel)
    return last_visit(world).visit


def test_the_same_visit_gets_the_same_answer_and_counts_once(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()
    visit = visited(world, hub, panel)
    first, second = ask(world, hub, visit), ask(world, hub, visit)
    assert first == second
    assert isinstance(first, Enrolled)
    assert len(first.signatures) == SLOTS
    assert world.register.enrolled(panel) == 1


def test_a_visit_whose_answer_was_lost_is_repeated_even_after_the_panel_closed(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()
    for person in ("bea", "cleo"):
        world.admit(person).enrol(world.desk, panel)
    hub.enrol(world.desk, panel)
    world.close_panel(panel)
    hub.enrol(world.desk, panel)
    assert world.register.enrolled(panel) == 3


def test_a_person_has_one_place_in_a_scheme_and_period(world: World) -> None:
    hub, panel, other = world.admit("ada"), world.panel(0), world.panel(1)
    hub.enrol(world.desk, panel)
    with pytest.raises(EnrolledBefore):
        hub.enrol(world.desk, other)
    visit = last_visit(world).visit
    shifted = replace(visit, panel=panel, blinded=visit.blinded[1:] + visit.blinded[:1])
    assert refusal(world, hub, shifted) == EnrolledBefore.number
    assert (world.register.enrolled(panel), world.register.enrolled(other)) == (1, 0)


def test_another_hub_of_the_same_person_gets_no_second_place(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()
    visit = visited(world, hub, panel)
    stranger = world.new_hub("ada again")
    moved = replace(visit, account=stranger.account)
    assert refusal(world, stranger, moved) == NotInvited.number


def test_minors_are_not_enrolled(world: World) -> None:
    hub = world.admit("kid", born="2015-01-01")
    with pytest.raises(NotAnAdult):
        hub.enrol(world.desk, world.panel())


def test_a_hub_made_for_a_minor_does_not_even_ask(world: World) -> None:
    hub = world.new_hub("kid", minor=True)
    with pytest.raises(NotAnAdult):
        hub.enrol(world.desk, world.panel())
    assert world.desk.received == []


def test_an_account_of_nobody_is_not_enrolled(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()
    visit = visited(world, hub, panel)
    assert refusal(world, hub, replace(visit, account=account_of("leader"))) in (BadSignature.number, NotInvited.number)
    unknown = AccountId(Digest(bytes(32)))
    assert refusal(world, hub, replace(visit, account=unknown)) == NotInvited.number


def test_a_visit_of_another_network_or_signed_by_another_key_is_refused(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()
    visit = visited(world, hub, panel)
    assert refusal(world, hub, replace(visit, network=NetworkId(Digest(bytes(32))))) == NotInvited.number
    assert refusal(world, hub, visit, SigningKey(bytes(32))) == BadSignature.number


def test_an_opening_under_an_earlier_root_is_refused(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()
    early = _prepared(world, hub, panel)
    world.tick(count=5)
    envelope = hub.commit()
    assert envelope is not None
    world.settle(envelope)
    assert refusal(world, hub, early) == RootDiffers.number
    hub.enrol(world.desk, panel)


def test_a_hub_without_a_root_is_refused(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()
    _, signed = world.hand_out("bea")
    bare = world.new_hub("bea")
    world.settle(bare.ask_account(world.desk, account_of("issuer"), signed.invitation))
    good = _prepared(world, hub, panel)
    unsigned = replace(good.opening, descriptor=replace(good.opening.descriptor, signature=None))
    assert refusal(world, bare, replace(good, account=bare.account)) == NotTheRecord.number
    assert refusal(world, bare, replace(good, account=bare.account, opening=unsigned)) == NotTheRecord.number


def test_an_altered_opening_is_refused(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()
    good = _prepared(world, hub, panel)
    flipped = replace(good.opening, salt=type(good.opening.salt)(bytes(32)))
    assert refusal(world, hub, replace(good, opening=flipped)) == RootDiffers.number
    other_commitment = replace(good.opening, commitment=Digest(bytes(32)))
    assert refusal(world, hub, replace(good, opening=other_commitment)) == NotTheRecord.number
    assert world.register.enrolled(panel) == 0


def test_another_persons_signed_record_is_refused(world: World) -> None:
    record, signed = world.hand_out("ada")
    _, invitation = world.hand_out("bob")
    hub = world.new_hub("bob")
    world.settle(hub.ask_account(world.desk, account_of("issuer"), invitation.invitation))
    world.take_home(hub, "bob", record, signed.signature)
    with pytest.raises(NotTheRecord):
        hub.enrol(world.desk, world.panel())


def test_unsigned_records_are_refused_where_the_grade_is_signed(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()
    good = _prepared(world, hub, panel)
    unsigned = replace(good.opening.descriptor, signature=None)
    assert refusal(world, hub, replace(good, opening=replace(good.opening, descriptor=unsigned))) == NotTheRecord.number


def test_records_of_another_kind_or_schema_are_refused(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()
    good = _prepared(world, hub, panel)
    for wrong in ({"kind": Kind.GENOTYPE}, {"schema": "edgehold.genotypes/1"}, {"tombstone": True}):
        opening = replace(good.opening, descriptor=replace(good.opening.descriptor, **wrong))
        assert refusal(world, hub, replace(good, opening=opening)) == NotTheRecord.number


def test_a_closed_a_full_or_an_unknown_panel_enrols_nobody(world: World) -> None:
    hubs = [world.admit(f"person {number}") for number in range(7)]
    panel = world.panel(slots=1)
    for hub in hubs[:6]:
        hub.enrol(world.desk, panel)
    with pytest.raises(PanelNotOpen, match="6 persons"):
        hubs[6].enrol(world.desk, panel)
    visit = replace(last_visit(world).visit, panel=PanelId(Digest(bytes(32))))
    assert refusal(world, hubs[6], visit) == PanelNotOpen.number
    world.close_panel(panel)
    with pytest.raises(PanelNotOpen, match="closed"):
        hubs[6].enrol(world.desk, panel)


def test_one_blinded_key_a_slot_is_needed_and_each_must_be_one(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()
    good = _prepared(world, hub, panel)
    assert refusal(world, hub, replace(good, blinded=good.blinded[:-1])) == PanelNotOpen.number
    too_large = (Blinded(b"\xff" * 256), *good.blinded[1:])
    assert refusal(world, hub, replace(good, blinded=too_large)) == CannotBlind.number
    assert world.register.enrolled(panel) == 0


def test_the_issuer_keeps_no_salts_paths_or_blinded_keys(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()
    visit = visited(world, hub, panel)
    world.register.close()
    files = b"".join(path.read_bytes() for path in world.folder.glob("issuer.sqlite*"))
    secrets = (visit.opening.salt, visit.opening.root_salt, *visit.opening.path, *visit.blinded)
    assert not any(bytes(secret) in files for secret in secrets)


def test_malformed_visits_are_refused(world: World) -> None:
    answer: FromIssuer = decode(world.issuer.handle(b"\x85\x05"), FromIssuer)
    assert isinstance(answer, Declined)
    assert answer.number == Malformed.number


def _prepared(world: World, hub: Hub, panel: PanelId) -> Visit:
    """A good visit that the issuer has not seen: what the hub would send, caught on the way."""
    answer, caught = world.desk.answer, []

    def catch(message: bytes) -> bytes:
        asked: ToIssuer = decode(message, ToIssuer)
        if isinstance(asked, Enrol):
            caught.append(asked.visit)
            raise ConnectionError("the line is cut")
        return answer(message)

    world.desk.answer = catch
    with pytest.raises(ConnectionError):
        hub.enrol(world.desk, panel)
    world.desk.answer = answer
    return caught[0]
