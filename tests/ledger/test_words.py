"""The log in words."""

from __future__ import annotations

import pytest
from rule_cases import Case, all_cases
from small_world import CUSTOMER, LEADER, PANEL, story_until

from edgehold.crypto.cose import open1
from edgehold.errors import Malformed
from edgehold.ledger.transition import execute, open_envelope
from edgehold.ledger.words import describe, describe_entry, describe_envelope, describe_receipt, show
from edgehold.wire.account import Transfer
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.tx import Receipt


def test_a_transfer_reads_as_a_sentence_of_fields() -> None:
    assert describe(Transfer(to=LEADER.id, credits=5)) == f"transfer (to {LEADER.id[:8].hex()}…, credits 5)"


def test_values_that_are_not_there_and_lists_have_words() -> None:
    assert describe((None, True, False, b"", 7, PANEL.grade)) == "[none, yes, no, empty, 7, signed]"
    assert describe(b"x" * 256) == "7878787878787878… (256 bytes)"


def test_every_entry_of_every_rule_reads() -> None:
    seen = set()
    for case in all_cases():
        _, writes = execute(case.world.state, case.tx)
        for key, value in writes.items():
            assert value is not None
            words = describe_entry(key, value)
            seen.add(words.split()[0].rstrip(":"))
            assert "\n" not in words
    assert seen == {collection.name.lower() for collection in Collection}


def test_an_entry_of_another_kind_is_malformed() -> None:
    with pytest.raises(Malformed):
        describe_entry(entry_key(Collection.TASK, bytes(32)), b"\x80")
    for key in (b"", b"\x00", b"\xff" * 33):
        with pytest.raises(Malformed):
            describe_entry(key, b"\x80")


def test_a_key_with_anything_after_its_ids_is_malformed() -> None:
    case = next(case for case in all_cases() if case.error is None)
    key, value = next(iter(execute(case.world.state, case.tx)[1].items()))
    assert value is not None
    assert describe_entry(key, value)
    with pytest.raises(Malformed, match="9 bytes after its ids"):
        describe_entry(key + bytes(9), value)


@pytest.mark.parametrize("case", [case for case in all_cases() if case.error is None], ids=lambda case: case.says)
def test_a_transaction_reads_and_shows_whole(case: Case) -> None:
    envelope = open_envelope(case.tx, case.world.state.network.id).envelope
    assert describe_envelope(envelope).startswith(envelope.sender[:8].hex())
    shown = show(envelope)
    assert isinstance(shown, dict)
    assert shown["body"]["is"] == type(envelope.body).__name__
    assert shown["sender"] == envelope.sender.hex()
    assert open1(case.tx).payload


def test_receipts_say_what_became_of_it() -> None:
    story = story_until("place")
    assert describe_receipt(Receipt(number=0, height=3, made=None, facts="")) == "done at height 3"
    made = Receipt(number=0, height=3, made=story.order, facts="")
    assert describe_receipt(made) == f"done at height 3, made {story.order[:8].hex()}…"
    refused = story.world.run(story.world.sign(CUSTOMER, Transfer(to=CUSTOMER.id, credits=1)))
    assert describe_receipt(refused).startswith("refused at height 1: EH229 ")
