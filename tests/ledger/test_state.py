"""Reading entries, and writing changes."""

from __future__ import annotations

from dataclasses import replace as changed

import pytest
from msgspec.structs import replace
from small_world import ACCREDITOR, CUSTOMER, GENESIS, HELPER, LEADER, STRANGER_TASK, World, digest, story_until

from edgehold.crypto.names import network_id
from edgehold.errors import UnknownTask
from edgehold.ledger.state import (
    ENTRY_TYPES,
    Changes,
    flatten,
    get_account,
    get_configuration,
    get_standing,
    is_live,
    live_attestations,
    merge,
)
from edgehold.wire.account import Claim
from edgehold.wire.codec import decode
from edgehold.wire.credibility import Standing
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.task import Counted


def test_every_collection_has_its_type_and_its_changes() -> None:
    assert set(ENTRY_TYPES) == set(Collection)
    assert len(Changes.__struct_fields__) == len(Collection) + 1


def test_a_stranger_has_an_empty_standing() -> None:
    assert get_standing(World().state, LEADER.id) == Standing()


def test_a_task_that_is_not_there_has_no_configuration() -> None:
    with pytest.raises(UnknownTask):
        get_configuration(World().state, STRANGER_TASK)


def test_a_state_that_was_not_founded_stops_the_node() -> None:
    with pytest.raises(LookupError):
        _ = changed(World().state, read=lambda key: None).parameters


def test_changes_lie_under_flat_keys_in_order() -> None:
    state = story_until("place").world.state
    customer, leader = get_account(state, CUSTOMER.id), get_account(state, LEADER.id)
    flat = flatten(
        Changes(
            accounts={LEADER.id: leader, CUSTOMER.id: customer},
            counted={(LEADER.id, CUSTOMER.id, 7): Counted(at=1), (HELPER.id, CUSTOMER.id, 7): None},
        )
    )
    assert list(flat) == sorted(flat)
    assert decode(flat[entry_key(Collection.ACCOUNT, LEADER.id)] or b"", type(leader)) == leader
    assert flat[entry_key(Collection.COUNTED, HELPER.id, CUSTOMER.id, (7).to_bytes(8, "big"))] is None


def test_parts_of_a_rule_come_together() -> None:
    one, other = (
        Changes(standings={LEADER.id: Standing()}),
        Changes(standings={HELPER.id: Standing()}, made=digest("x")),
    )
    both = merge(one, other)
    assert both.standings == {LEADER.id: Standing(), HELPER.id: Standing()}
    assert both.made == digest("x")


def test_two_writes_to_one_key_are_a_mistake() -> None:
    one = Changes(standings={LEADER.id: Standing()})
    with pytest.raises(ValueError, match="standings"):
        merge(one, one)


def test_one_rule_makes_one_thing() -> None:
    with pytest.raises(ValueError, match="one thing"):
        merge(Changes(made=digest("x")), Changes(made=digest("y")))


def test_a_claim_is_live_from_its_height_to_its_end() -> None:
    state = story_until("place").world.state
    (claim,) = live_attestations(state, LEADER.id)
    assert claim.attestor == ACCREDITOR.id
    assert claim.claim is Claim.ACCREDITED
    assert [is_live(claim, height) for height in (claim.since - 1, claim.since, claim.until, claim.until + 1)] == [
        False,
        True,
        True,
        False,
    ]
    withdrawn = replace(claim, withdrawn_at=10)
    assert [is_live(withdrawn, height) for height in (10, 11)] == [True, False]


def test_the_network_is_the_genesis_documents() -> None:
    assert World().state.network.id == network_id(GENESIS)
