"""Where a network begins."""

from __future__ import annotations

import json

import pytest
from msgspec.structs import replace
from small_world import ACCREDITOR, FUNDS, GENESIS, GOVERNOR, OTHER_ACCREDITOR, PARAMETERS, TREASURER, World

from edgehold.crypto.names import network_id
from edgehold.errors import BadGenesis, Malformed
from edgehold.ledger.genesis import found_network, initial_state, read_genesis, show_genesis, write_genesis
from edgehold.ledger.state import get_account, get_aggregators
from edgehold.wire.account import Role
from edgehold.wire.governance import Genesis

FOUNDER, VALIDATOR = GENESIS.founders[0], GENESIS.validators[0]


def test_a_genesis_file_is_read_as_it_was_written() -> None:
    assert read_genesis(write_genesis(GENESIS)) == GENESIS


def test_a_genesis_file_with_a_byte_more_is_malformed() -> None:
    with pytest.raises(Malformed):
        read_genesis(write_genesis(GENESIS) + b"\x00")


def test_the_offices_are_the_founders_accounts() -> None:
    network = found_network(GENESIS)
    assert network.id == network_id(GENESIS)
    assert network.accreditors == (ACCREDITOR.id, OTHER_ACCREDITOR.id)
    assert (network.treasurer, network.governor) == (TREASURER.id, GOVERNOR.id)


def test_the_state_begins_with_the_founders_and_the_parameters() -> None:
    state = World().state
    assert state.parameters == PARAMETERS
    assert get_account(state, TREASURER.id).credits == FUNDS
    assert get_aggregators(state) == ()
    assert len(initial_state(GENESIS)) == len(GENESIS.founders) + 2


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
        replace(GENESIS, validators=(VALIDATOR, VALIDATOR)),
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
        "parameters that contradict each other",
    ],
)
def test_no_network_starts_from(bad: Genesis) -> None:
    with pytest.raises(BadGenesis):
        initial_state(bad)
