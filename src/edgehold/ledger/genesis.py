"""Where a network begins: the document everybody agrees on beforehand, and the state that follows from it."""

from __future__ import annotations

import json
from collections.abc import Sequence

from edgehold.crypto.names import account_id, network_id
from edgehold.errors import BadGenesis, BadParameters
from edgehold.ledger.rules.governance import require_consistent
from edgehold.ledger.state import Changes, Network, flatten
from edgehold.ledger.words import show
from edgehold.wire.account import Account, Role
from edgehold.wire.codec import decode, encode
from edgehold.wire.governance import Agenda, Founder, Genesis, Offices, Rules, RulesFrom, Seat, Seats
from edgehold.wire.ids import AccountId

MAX_CREDITS = 2**53
"""All credits of a network together."""


def read_genesis(data: bytes) -> Genesis:
    """Read a genesis file: the canonical bytes of a document from which a network can start.

    Raises `Malformed`, `BadGenesis`.
    """
    genesis = decode(data, Genesis)
    check_genesis(genesis)
    return genesis


def write_genesis(genesis: Genesis) -> bytes:
    """The bytes of a genesis file; raises `BadGenesis`."""
    check_genesis(genesis)
    return encode(genesis)


def show_genesis(genesis: Genesis) -> str:
    """A genesis document as JSON for people: names for positions, hexadecimal for bytes. It is never read back."""
    return json.dumps({"network": network_id(genesis).hex(), "genesis": show(genesis)}, indent=2, ensure_ascii=False)


def check_genesis(genesis: Genesis) -> None:
    """Check that a network can start from a document; raises `BadGenesis`.

    1. Founders differ in name and in account, and hold no more credits together than an account can hold.
    2. Accreditors are listed ascending, each once; every office is held by a founder that is an organisation.
    3. Validators differ, and each has an operator of its own, a founder that is an organisation.
    4. The parameters do not contradict each other.
    """
    founders = genesis.founders
    _require_distinct("founders' names", [founder.name for founder in founders])
    _require_distinct("founders' accounts", [_account_of(founder) for founder in founders])
    credits = sum(founder.credits for founder in founders)
    if credits > MAX_CREDITS:
        raise BadGenesis(f"{credits} credits are more than {MAX_CREDITS}")
    if list(genesis.accreditors) != sorted(set(genesis.accreditors)):
        raise BadGenesis("accreditors do not ascend, or one is named twice")
    for office in (*genesis.accreditors, genesis.treasurer, *genesis.operators):
        if office >= len(founders) or founders[office].role is not Role.ORGANISATION:
            raise BadGenesis(f"founder {office} of {len(founders)} is no organisation that could hold an office")
    _require_distinct("validators' keys", [validator.key for validator in genesis.validators])
    if len(genesis.operators) != len(genesis.validators) or len(set(genesis.operators)) != len(genesis.operators):
        raise BadGenesis(f"{len(genesis.validators)} validators do not have an operator of their own each")
    try:
        require_consistent(genesis.parameters)
    except BadParameters as error:
        raise BadGenesis(str(error)) from error


def found_network(genesis: Genesis) -> Network:
    """What the document fixes for ever."""
    return Network(id=network_id(genesis), voting=genesis.voting)


def founding_accreditors(genesis: Genesis) -> tuple[AccountId, ...]:
    """Who accredits from the beginning."""
    return _founding_offices(genesis).accreditors


def initial_state(genesis: Genesis) -> dict[bytes, bytes]:
    """The entries at height 0, under their flat keys; raises `BadGenesis`."""
    check_genesis(genesis)
    changes = Changes(
        accounts={_account_of(founder): _founding_account(founder) for founder in genesis.founders},
        parameters={(): genesis.parameters},
        aggregators={(): ()},
        seats={(): _founding_seats(genesis)},
        offices={(): _founding_offices(genesis)},
        rules={(): Rules(current=RulesFrom(version=1, height=0), following=None)},
        agenda={(): Agenda(open=())},
    )
    return {key: value for key, value in flatten(changes).items() if value is not None}


def _account_of(founder: Founder) -> AccountId:
    return account_id(founder.role, founder.key)


def _founding_account(founder: Founder) -> Account:
    return Account(
        role=founder.role,
        key=founder.key,
        owner_key=None,
        sponsor=None,
        credits=founder.credits,
        opened_at=0,
        quota_period=0,
        hubs_sponsored=0,
    )


def _founding_seats(genesis: Genesis) -> Seats:
    seats = (
        Seat(operator=_account_of(genesis.founders[operator]), key=validator.key, power=validator.power, key_since=0)
        for validator, operator in zip(genesis.validators, genesis.operators, strict=True)
    )
    return Seats(seats=tuple(sorted(seats, key=lambda seat: seat.operator)), changed_at=0)


def _founding_offices(genesis: Genesis) -> Offices:
    accounts = [_account_of(founder) for founder in genesis.founders]
    return Offices(
        accreditors=tuple(sorted(accounts[accreditor] for accreditor in genesis.accreditors)),
        treasurer=accounts[genesis.treasurer],
    )


def _require_distinct(name: str, items: Sequence[str | bytes]) -> None:
    if len(set(items)) != len(items):
        raise BadGenesis(f"{name} are not distinct")
