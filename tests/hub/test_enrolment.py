"""An enrolment visit, from the hub's side: what it checks before it keeps a token."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hub_world import World, account_of
from msgspec.structs import replace

from edgehold.crypto.blind import verify_token
from edgehold.errors import BadPanelKeys, BadSignature, EnrolmentError, Malformed, NoService, NotCommitted, PanelNotOpen
from edgehold.wire.codec import decode, encode
from edgehold.wire.enrolment import BlindSignature, Declined, Enrolled, FromIssuer, PanelKeys
from edgehold.wire.ids import Digest, Modulus, PanelId, SlotKey
from edgehold.wire.panel import DeclarePanel


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A network."""
    return World(tmp_path)


def answering(world: World, change: Any) -> None:
    """Let the issuer's answers reach hubs changed."""
    honest = world.desk.answer

    def changed(message: bytes) -> bytes:
        answer: FromIssuer = decode(honest(message), FromIssuer)
        return encode(change(answer))

    world.desk.answer = changed  # type: ignore[method-assign]


def test_a_person_takes_a_record_home_and_enrols(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()
    hub.enrol(world.desk, panel)
    assert hub.panels() == [panel]
    for slot, modulus in enumerate(world.issuer.moduli(panel)):
        key = SlotKey(hub.keys.slot_key(panel, slot).public)
        verify_token(modulus, key, hub._journal.token(panel, slot))


def test_a_broken_visit_is_repeated_byte_for_byte(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()
    world.desk.lose_replies = 1
    with pytest.raises(ConnectionError):
        hub.enrol(world.desk, panel)
    hub.close()
    again = world.open_hub("ada")
    answering(world, lambda answer: answer)
    again.enrol(world.desk, panel)
    again.enrol(world.desk, panel)
    assert again.panels() == [panel]
    assert len({message for message in world.desk.received if len(message) > 1000}) == 1


def test_a_panel_that_is_not_on_the_ledger_is_not_joined(world: World) -> None:
    hub = world.admit("ada")
    with pytest.raises(PanelNotOpen):
        hub.enrol(world.desk, PanelId(Digest(bytes(32))))


def test_keys_that_differ_from_the_ledgers_are_refused(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()

    def other_keys(answer: FromIssuer) -> FromIssuer:
        if not isinstance(answer, PanelKeys):
            return answer
        first = Modulus(answer.moduli[0][:-1] + bytes([answer.moduli[0][-1] ^ 2]))
        return replace(answer, moduli=(first, *answer.moduli[1:]))

    answering(world, other_keys)
    with pytest.raises(BadPanelKeys, match="under its root"):
        hub.enrol(world.desk, panel)
    assert hub.panels() == []


@pytest.mark.parametrize("wrong", ["swapped", "zeros", "too few", "another panel"])
def test_signatures_that_give_no_tokens_are_refused(world: World, wrong: str) -> None:
    hub, panel = world.admit("ada"), world.panel()

    def bad(answer: FromIssuer) -> FromIssuer:
        if not isinstance(answer, Enrolled):
            return answer
        signed = answer.signatures
        match wrong:
            case "swapped":
                return replace(answer, signatures=signed[::-1])
            case "zeros":
                return replace(answer, signatures=(BlindSignature(bytes(256)), *signed[1:]))
            case "too few":
                return replace(answer, signatures=signed[:-1])
            case _:
                return replace(answer, panel=PanelId(Digest(bytes(32))))

    answering(world, bad)
    with pytest.raises(BadPanelKeys):
        hub.enrol(world.desk, panel)
    assert hub.panels() == []


def test_an_issuer_that_answers_something_else_is_no_issuer(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()
    answering(world, lambda answer: Enrolled(panel=panel, signatures=(BlindSignature(bytes(256)),)))
    with pytest.raises(NoService, match="Enrolled"):
        hub.enrol(world.desk, panel)
    world.desk.answer = lambda message: b"?"  # type: ignore[method-assign]
    with pytest.raises(Malformed):
        hub.enrol(world.desk, panel)


def test_a_refusal_comes_as_the_issuers_own_error(world: World) -> None:
    hub, panel = world.admit("ada"), world.panel()
    answering(world, lambda answer: Declined(number=PanelNotOpen.number, facts="it is full"))
    with pytest.raises(PanelNotOpen, match="it is full"):
        hub.enrol(world.desk, panel)
    world.desk.answer = lambda message: encode(Declined(number=BadSignature.number, facts="not signed"))
    with pytest.raises(EnrolmentError, match="not signed"):
        hub.enrol(world.desk, panel)


def test_data_that_are_not_committed_are_not_shown(world: World) -> None:
    record, signed = world.hand_out("ada")
    hub = world.new_hub("ada")
    world.settle(hub.ask_account(world.desk, account_of("issuer"), signed.invitation))
    path = world.folder / "ada" / "record.json"
    path.write_bytes(record)
    hub.import_file(path)
    with pytest.raises(NotCommitted):
        hub.enrol(world.desk, world.panel())


def test_a_panel_of_an_unknown_descriptor_does_not_decode() -> None:
    with pytest.raises(Malformed):
        decode(b"\x80", DeclarePanel)
