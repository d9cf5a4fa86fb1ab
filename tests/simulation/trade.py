"""What the members and organisations of a simulated consortium send: good transactions, and every kind of bad one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

from msgspec.structs import replace
from signed_chain import key_of

from edgehold.bench import traffic
from edgehold.bench.traffic import CREDITS, FOUNDERS, OWN_CREDITS, Traffic
from edgehold.crypto.cose import open1
from edgehold.crypto.names import (
    account_id,
    network_id,
    order_id,
    payload_digest,
    proposal_id,
    validator_key_message,
)
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.wire.account import Role, Transfer
from edgehold.wire.governance import Genesis, Propose, RotateKey, SetPower, Validator, Vote, Voting
from edgehold.wire.ids import AccountId, Digest, Height, NetworkId, OrderId
from edgehold.wire.order import PlaceOrder, WithdrawOrder
from edgehold.wire.tx import Body, Receipt

MEMBERS = 4
POWER = 10
ORGANISATIONS = 3
EXPIRY = 12
"""Heights; a transaction may not be good for longer."""

FAR = 900
"""The last height of what founds the network."""

GENESIS = replace(
    traffic.GENESIS,
    chain="simulated",
    validators=tuple(Validator(key_of(number).public, POWER) for number in range(1, MEMBERS + 1)),
    parameters=replace(traffic.GENESIS.parameters, expiry=FAR),
    voting=Voting(longest=20, notice=3, rotation=2),
)
OPERATORS = [account_id(Role.ORGANISATION, key.public) for key in FOUNDERS]


def envelope_of(transaction: bytes) -> Digest:
    """The name under which a transaction is answered."""
    return payload_digest(open1(transaction).payload)


@dataclass(frozen=True)
class Made:
    """A transaction that its sender signed."""

    transaction: bytes
    envelope: Digest
    expires: Height
    sender: AccountId
    body: Body


class Trade(Traffic):
    """Everybody who may send something, and all that they signed, by its bytes."""

    def __init__(self, genesis: Genesis = GENESIS) -> None:
        super().__init__(ORGANISATIONS)
        self._network: NetworkId = network_id(genesis)
        self.made: dict[bytes, Made] = {}
        self._expires = FAR
        self._number = 0

    @property
    def accounts(self) -> list[AccountId]:
        """All that may have credits."""
        return [*OPERATORS, *self._accounts]

    def copied(self) -> Trade:
        """The same network for another history."""
        other = Trade()
        other.made = dict(self.made)
        return other

    def _sign(self, key: SigningKey, sender: Digest, body: Body) -> bytes:
        transaction = sign_transaction(key, self._network, sender, self._expires, body)
        made = Made(transaction, envelope_of(transaction), self._expires, AccountId(sender), body)
        self.made[transaction] = made
        return transaction

    # ── good ones ─────────────────────────────────────────────────────────────────────────────────────────────────

    def some(self, dice: Random, height: Height) -> bytes:
        """Something that an organisation sends; it may expire soon, and the rules may refuse it."""
        self._number += 1
        self._expires = height + dice.choice((1, 2, 4, EXPIRY, EXPIRY, EXPIRY))
        place = dice.randrange(len(self._accounts))
        sender, key = self._accounts[place], self._keys[place]
        match dice.choice(("transfer", "transfer", "transfer", "too much", "panel", "order", "withdrawal")):
            case "transfer":
                body: Body = Transfer(dice.choice(self.accounts), 1 + self._number)
            case "too much":
                body = Transfer(dice.choice(self.accounts), OWN_CREDITS * 100 + self._number)
            case "panel":
                body = self._panel_of(f"panel {self._number}", 5)
            case "order":
                order = self._order_of(f"order {self._number}", 5)
                assert isinstance(order, PlaceOrder)
                body = replace(order, price=self._number)
            case _:
                body = self._withdrawal(dice, sender) or Transfer(sender, self._number)
        return self._sign(key, sender, body)

    def _withdrawal(self, dice: Random, sender: AccountId) -> Body | None:
        placed = [
            order_id(sender, made.body)
            for made in self.made.values()
            if made.sender == sender and isinstance(made.body, PlaceOrder)
        ]
        return WithdrawOrder(dice.choice(placed)) if placed else None

    def rotation(self, height: Height, number: int, fresh: SigningKey) -> bytes:
        """A member's validator gets another key."""
        self._expires = height + EXPIRY
        possession = fresh.sign(validator_key_message(self._network, OPERATORS[number], fresh.public))
        return self._sign(FOUNDERS[number], OPERATORS[number], RotateKey(fresh.public, possession))

    def proposal(self, dice: Random, height: Height) -> list[bytes]:
        """A member proposes another power for one, and others vote for it."""
        self._expires = height + EXPIRY
        change = SetPower(operator=dice.choice(OPERATORS), power=dice.randrange(POWER - 3, POWER + 4))
        proposer, *voters = dice.sample(range(MEMBERS), dice.choice((3, 3, 4)))
        proposed = Propose(change=change, until=height + 15)
        sent = [self._sign(FOUNDERS[proposer], OPERATORS[proposer], proposed)]
        ballot = Vote(proposal=proposal_id(OPERATORS[proposer], proposed), yes=True)
        return sent + [self._sign(FOUNDERS[voter], OPERATORS[voter], ballot) for voter in voters]

    # ── bad ones ──────────────────────────────────────────────────────────────────────────────────────────────────

    def bad(self, dice: Random, height: Height) -> bytes:
        """Something that belongs into no block of this height."""
        good = self._sign_again(dice, height)
        match dice.choice(("signature", "stranger", "expired", "network", "garbage", "changed")):
            case "signature":
                return good[:-1] + bytes([good[-1] ^ 1])
            case "stranger":
                body = Transfer(self._accounts[0], 1)
                return sign_transaction(self._keys[0], self._network, Digest(dice.randbytes(32)), height + 5, body)
            case "expired":
                self._expires = dice.randrange(height)
                return self._sign(self._keys[0], self._accounts[0], Transfer(self._accounts[1], dice.randrange(1, 99)))
            case "network":
                other = NetworkId(Digest(dice.randbytes(32)))
                body = Transfer(self._accounts[1], 1)
                return sign_transaction(self._keys[0], other, self._accounts[0], height + 5, body)
            case "garbage":
                return dice.randbytes(dice.randrange(300))
            case _:
                place = dice.randrange(len(good))
                return good[:place] + bytes([good[place] ^ 1 << dice.randrange(8)]) + good[place + 1 :]

    def _sign_again(self, dice: Random, height: Height) -> bytes:
        self._number += 1
        self._expires = height + EXPIRY
        return self._sign(self._keys[0], self._accounts[0], Transfer(self._accounts[1], self._number))


class Book:
    """What a consortium's blocks must come to, kept by the simplest means: what was answered, and who has how much."""

    def __init__(self, trade: Trade) -> None:
        self.trade = trade
        self.answered: dict[Digest, Height] = {}
        self.credits = dict.fromkeys(trade.accounts, 0) | dict.fromkeys(OPERATORS, CREDITS)
        self.orders: dict[OrderId, tuple[AccountId, int]] = {}

    def copied(self, trade: Trade) -> Book:
        """The same for another history."""
        other = Book(trade)
        other.answered, other.credits, other.orders = dict(self.answered), dict(self.credits), dict(self.orders)
        return other

    def objection(self, height: Height, transactions: Iterable[bytes]) -> str | None:
        """Why a block of this height may not hold these."""
        seen: set[Digest] = set()
        for transaction in transactions:
            made = self.trade.made.get(transaction)
            if made is None:
                return "nobody signed it"
            if made.expires < height:
                return "it has expired"
            if made.envelope in self.answered or made.envelope in seen:
                return "it comes a second time"
            seen.add(made.envelope)
        return None

    def add(self, height: Height, transactions: Iterable[bytes], receipts: Iterable[Receipt]) -> None:
        """A block was decided, and came to this."""
        for transaction, receipt in zip(transactions, receipts, strict=True):
            made = self.trade.made[transaction]
            self.answered[made.envelope] = height
            if receipt.number == 0:
                for account, credits in self._moved(made):
                    self.credits[account] += credits

    def _moved(self, made: Made) -> Iterator[tuple[AccountId, int]]:
        match made.body:
            case Transfer(to=to, credits=credits):
                yield made.sender, -credits
                yield AccountId(to), credits
            case PlaceOrder(price=price) as body:
                self.orders[order_id(made.sender, body)] = made.sender, price
                yield made.sender, -price
            case WithdrawOrder(order=order):
                yield made.sender, self.orders.pop(order)[1]
            case _:
                pass
