"""Where a network begins."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace
from small_world import ACCREDITOR, FUNDS, GENESIS, MEMBERS, OTHER_ACCREDITOR, PARAMETERS, TREASURER, World

from edgehold.crypto.names import network_id
from edgehold.errors import BadGenesis, Malformed
from edgehold.ledger.genesis import (
    found_network,
    founding_accreditors,
    initial_state,
    read_genesis,
    show_genesis,
    write_genesis,
)
from edgehold.ledger.state import get_account, get_aggregators
from edgehold.wire.account import Role
from edgehold.wire.governance import Agenda, Genesis, Rules, RulesFrom

FOUNDER, VALIDATOR = GENESIS.founders[0], GENESIS.validators[0]


def test_a_genesis_file_is_read_as_it_was_written() -> None:
    assert read_genesis(write_genesis(GENESIS)) == GENESIS


def test_a_genesis_file_with_a_byte_more_is_malformed() -> None:
    with pytest.raises(Malformed):
        read_genesis(write_genesis(GENESIS) + b"\x00")


def test_the_offices_are_the_founders_accounts() -> None:
    assert found_network(GENESIS).id == network_id(GENESIS)
    assert found_network(GENESIS).voting == GENESIS.voting
    offices = World().state.offices
    assert set(offices.accreditors) == {ACCREDITOR.id, OTHER_ACCREDITOR.id}
    assert offices.accreditors == founding_accreditors(GENESIS) == tuple(sorted(offices.accreditors))
    assert offices.treasurer == TREASURER.id


def test_each_validator_is_its_operators() -> None:
    seats = World().state.seats
    assert {(seat.operator, seat.key, seat.power) for seat in seats.seats} == {
        (actor.id, validator.key, 10) for actor, validator in zip(MEMBERS, GENESIS.validators, strict=True)
    }
    assert [seat.operator for seat in seats.seats] == sorted(actor.id for actor in MEMBERS)
    assert seats.changed_at == 0


def test_the_state_begins_with_the_founders_and_the_parameters() -> None:
    state = World().state
    assert state.parameters == PARAMETERS
    assert get_account(state, TREASURER.id).credits == FUNDS
    assert get_aggregators(state) == ()
    assert state.rules == Rules(current=RulesFrom(version=1, height=0), following=None)
    assert state.agenda == Agenda(open=())
    assert len(initial_state(GENESIS)) == len(GENESIS.founders) + 6


def test_another_genesis_is_another_network() -> None:
    assert network_id(replace(GENESIS, time=GENESIS.time + 1)) != network_id(GENESIS)


def test_people_read_the_genesis_as_json() -> None:
    shown = json.loads(show_genesis(GENESIS))
    assert shown["network"] == network_id(GENESIS).hex()
    assert shown["genesis"]["founders"][0]["role"] == "organisation"


@pytest.mark.parametrize(
    "bad",
    [
        replace(GENESIS, founders=(FOUNDER, FOUNDER, *GENESIS.founders[2:])),
        replace(GENESIS, founders=(FOUNDER, replace(FOUNDER, name="twin"), *GENESIS.founders[2:])),
        replace(GENESIS, founders=(replace(FOUNDER, credits=2**53), *GENESIS.founders[1:])),
        replace(GENESIS, founders=(replace(FOUNDER, role=Role.HUB), *GENESIS.founders[1:])),
        replace(GENESIS, accreditors=(1, 0)),
        replace(GENESIS, accreditors=(0, 0)),
        replace(GENESIS, treasurer=len(GENESIS.founders)),
        replace(GENESIS, validators=(VALIDATOR, VALIDATOR), operators=(0, 1)),
        replace(GENESIS, operators=(0, 1, 2)),
        replace(GENESIS, operators=(0, 1, 2, 2)),
        replace(GENESIS, operators=(0, 1, 2, 4)),
        replace(GENESIS, parameters=replace(PARAMETERS, least_panel=101)),
    ],
    ids=[
        "founders of one name",
        "founders of one key",
        "too many credits",
        "a hub as accreditor",
        "accreditors that do not ascend",
        "an accreditor named twice",
        "a treasurer that is no founder",
        "one validator twice",
        "a validator without an operator",
        "an operator of two validators",
        "an operator that is no founder",
        "parameters that contradict each other",
    ],
)
def test_no_network_starts_from(bad: Genesis) -> None:
    with pytest.raises(BadGenesis):
        initial_state(bad)
