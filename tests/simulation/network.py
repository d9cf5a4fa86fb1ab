"""The simulated network: messages between parties and transactions on their way to the ledger.

A request is answered at once or not at all, as `ports.Peer` has it. Requests are lost before they arrive or their answers
afterwards; what was sent may arrive again later, out of order; a byte may change on the way; two parties may be cut off from
each other. Submitting to the ledger does not wait for an answer: a transaction is lost, late or doubled without a word.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from zlib import crc32

from universe import SECOND, Died, Machine, Universe, Violation

from edgehold.crypto.names import envelope_digest
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.errors import BadSignature, EdgeholdError, Malformed, WrongNetwork
from edgehold.ledger.transition import open_envelope
from edgehold.wire.governance import Genesis
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import AccountId, Digest, NetworkId
from edgehold.wire.proof import MapProof
from edgehold.wire.tx import Receipt


@dataclass
class Weather:
    """How bad the network is: probabilities for each message."""

    lose_request: float = 0.0
    lose_answer: float = 0.0
    double: float = 0.0
    change: float = 0.0
    lose_transaction: float = 0.0
    delay_transaction: float = 0.0
    double_transaction: float = 0.0
    lie: float = 0.0
    """A hub's view of the ledger shows an entry that is not there, or an old header."""


class Network:
    """Who reaches whom; whoever wants to know is told of what arrived."""

    def __init__(self, universe: Universe, weather: Weather) -> None:
        self.universe = universe
        self.weather = weather
        self.cut: set[frozenset[str]] = set()
        """Pairs of machines that do not reach each other."""
        self.on_departure: Callable[[Machine, Machine, bytes], None] = lambda sender, receiver, message: None
        self.on_answer: Callable[[Machine, Machine, bytes, bytes], None] = lambda sender, receiver, message, answer: (
            None
        )
        self.on_transaction: Callable[[Machine, bytes], None] = lambda sender, transaction: None
        self.on_receipt: Callable[[Digest, Receipt], None] = lambda envelope, receipt: None

    def is_cut(self, one: str, other: str) -> bool:
        """Whether two machines do not reach each other."""
        return bool(self.cut) and frozenset((one, other)) in self.cut

    def send(self, sender: Machine, receiver: Machine, message: bytes) -> bytes:
        """A message and its answer; raises `ConnectionError`."""
        universe, weather = self.universe, self.weather
        sender.reach_out()
        self.on_departure(sender, receiver, message)
        if self.is_cut(sender.name, receiver.name) or not receiver.is_up:
            raise ConnectionError(f"{receiver.name} cannot be reached")
        if universe.chance(weather.lose_request):
            universe.count("lost messages")
            raise ConnectionError("the request was lost")
        if universe.chance(weather.double):
            universe.count("doubled messages")
            late = universe.dice.randrange(10 * SECOND)
            universe.after(late, lambda: self._deliver_again(sender, receiver, message))
        arriving = self._perhaps_changed(message)
        answer = self._deliver(sender, receiver, arriving)
        sender.reach_out()
        if universe.chance(weather.lose_answer):
            universe.count("lost messages")
            raise ConnectionError("the answer was lost")
        return self._perhaps_changed(answer)

    def _deliver(self, sender: Machine, receiver: Machine, message: bytes) -> bytes:
        answer = self._handled(receiver, message)
        self.universe.note(sender.name, "to", receiver.name, crc32(message), crc32(answer))
        self.on_answer(sender, receiver, message, answer)
        return answer

    def _handled(self, receiver: Machine, message: bytes) -> bytes:
        try:
            answer: bytes = receiver.party.handle(message)
            receiver.reach_out()
        except Died as death:
            if death.machine is not receiver:
                raise
            receiver.bury()
            raise ConnectionError(f"{receiver.name} is gone") from death
        except (EdgeholdError, ConnectionError) as error:
            if receiver.is_ghost:
                receiver.bury()
            elif not (receiver.is_full or receiver.is_broken or isinstance(error, ConnectionError)):
                raise Violation(f"{receiver.name} does not answer but raises {error!r}") from error
            raise ConnectionError(f"{receiver.name} does not answer: {type(error).__name__}") from error
        return answer

    def _deliver_again(self, sender: Machine, receiver: Machine, message: bytes) -> None:
        if receiver.is_up:
            with suppress(ConnectionError):
                self._deliver(sender, receiver, message)
            self.universe.note("again to", receiver.name, len(message))

    def _perhaps_changed(self, data: bytes) -> bytes:
        if not self.universe.chance(self.weather.change):
            return data
        self.universe.count("changed messages")
        return self.changed(data)

    def changed(self, data: bytes) -> bytes:
        """The same bytes but for one bit."""
        place = self.universe.dice.randrange(len(data))
        return data[:place] + bytes([data[place] ^ (1 << self.universe.dice.randrange(8))]) + data[place + 1 :]


@dataclass(frozen=True)
class Way:
    """The way from one machine to another (`ports.Peer`)."""

    network: Network
    sender: Machine
    receiver: Machine

    def send(self, message: bytes) -> bytes:
        """Deliver a message and return the answer."""
        return self.network.send(self.sender, self.receiver, message)


@dataclass(frozen=True)
class Ways:
    """The ways from one machine to all others, by their accounts: a mapping for services, a function for hubs."""

    network: Network
    sender: Machine
    others: dict[AccountId, Machine]

    def __getitem__(self, account: AccountId) -> Way:
        return Way(self.network, self.sender, self.others[account])

    def get(self, account: AccountId) -> Way | None:
        """The way to an account, if there is one."""
        return self[account] if account in self.others else None

    def __call__(self, account: AccountId) -> Way:
        if account not in self.others:
            raise ConnectionError(f"nobody answers for {account.hex()}")
        return self[account]


class LedgerLine:
    """The ledger as one machine reaches it (`ports.Ledger`): what it reads arrives or not, what it submits may be lost."""

    def __init__(self, network: Network, sender: Machine, ledger: Machine, genesis: Genesis, name: NetworkId) -> None:
        self.genesis = genesis
        self.network = name
        self._network = network
        self._sender = sender
        self._ledger = ledger
        self._shown: tuple[SignedHeader, bytes | None, MapProof] | None = None

    def _reach(self) -> EmbeddedLedger:
        self._sender.reach_out()
        if not self._ledger.is_up or self._network.is_cut(self._sender.name, self._ledger.name):
            raise ConnectionError("the ledger cannot be reached")
        ledger: EmbeddedLedger = self._ledger.party
        return ledger

    def height(self) -> int:
        return self._reach().height()

    def receipt(self, envelope: Digest) -> Receipt | None:
        receipt = self._reach().receipt(envelope)
        if receipt is not None:
            self._network.on_receipt(envelope, receipt)
        return receipt

    def read(self, key: bytes) -> bytes | None:
        return self._reach().read(key)

    def header(self, height: int) -> SignedHeader | None:
        return self._reach().header(height)

    def transactions(self, first: int, last: int) -> Iterator[tuple[int, bytes, Receipt]]:
        return self._reach().transactions(first, last)

    def prove(self, key: bytes) -> tuple[SignedHeader, bytes | None, MapProof]:
        """The answer, or where lines lie: another value, or what was shown before."""
        shown = self._reach().prove(key)
        if not self._network.universe.chance(self._network.weather.lie):
            self._shown = self._shown or shown
            return shown
        self._network.universe.count("lies about the ledger")
        if self._shown is not None and self._network.universe.chance(0.5):
            return self._shown
        header, value, proof = shown
        return header, None if value else b"\x01", proof

    def submit(self, transaction: bytes) -> Digest:
        """Send a transaction; it is on its way when this returns, and may arrive late, twice or never."""
        universe, weather = self._network.universe, self._network.weather
        ledger = self._reach()
        self._network.on_transaction(self._sender, transaction)
        envelope = envelope_digest(open_envelope(transaction, self.network).envelope)
        if universe.chance(weather.lose_transaction):
            universe.count("lost transactions")
            return envelope
        if universe.chance(weather.double_transaction):
            universe.count("doubled transactions")
            universe.after(universe.dice.randrange(8 * SECOND), lambda: self._arrive(transaction))
        if universe.chance(weather.delay_transaction):
            universe.count("late transactions")
            universe.after(universe.dice.randrange(4 * SECOND), lambda: self._arrive(transaction))
            return envelope
        if universe.chance(weather.change):
            universe.count("changed transactions")
            universe.after(0, lambda: self._arrive(self._network.changed(transaction)))
        return ledger.submit(transaction)

    def _arrive(self, transaction: bytes) -> None:
        if self._ledger.is_up:
            with suppress(Malformed, WrongNetwork, BadSignature):  # expired, or a byte of it changed on the way
                self._ledger.party.submit(transaction)
