"""What an engine needs from the rules: read a transaction, name its signer, execute it on a view of the state.

Engines order transactions, keep the state and prove it; they know nothing of orders or panels.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from msgspec import Struct

from edgehold.errors import BadCredential, UnknownAccount, UnknownTask
from edgehold.ledger.credential import verify_credential
from edgehold.ledger.genesis import found_network, initial_state
from edgehold.ledger.state import State, get_configuration, rules_version
from edgehold.ledger.transition import SignedEnvelope, judge, open_envelope, require_known_rules, signer_of
from edgehold.wire.governance import Genesis, Validator
from edgehold.wire.ids import Digest, Height, PublicKey, Signature, SlotKey, TaskId
from edgehold.wire.task import ReportDropped
from edgehold.wire.tx import Receipt, SlotSigned, is_slot_signed


@dataclass(frozen=True)
class View:
    """The state as the transactions of one block see it.

    `read` gives the bytes under a flat key, `height` is that of the block being made, `header_hash` knows the last
    1,000 headers below it.
    """

    read: Callable[[bytes], bytes | None]
    height: int
    header_hash: Callable[[int], Digest | None]


class Request(Struct, frozen=True):
    """A transaction that was read and not yet judged: its bytes, its envelope's digest and end, what was signed."""

    transaction: bytes
    envelope: Digest
    expires: Height
    message: bytes
    signature: Signature
    content: Any  # the machine's own form of it


class StateMachine(Protocol):
    """The rules as an engine sees them: deterministic, without effects, the same on every node."""

    def initial_state(self) -> Mapping[bytes, bytes]:
        """The entries at height 0."""
        ...

    def rules(self, view: View) -> int:
        """The version of the rules that the block being made follows: what headers call the application's version."""
        ...

    def require_rules(self, view: View) -> None:
        """Raises `UnknownRules` if the block being made follows rules that are not here."""
        ...

    def validators(self, view: View) -> Sequence[Validator]:
        """Who signs blocks, as this state says; CometBFT lets them two heights after a change."""
        ...

    def open(self, transaction: bytes) -> Request:
        """Read a transaction; raises `Malformed`, `WrongNetwork`."""
        ...

    def signer(self, view: View, request: Request) -> PublicKey | None:
        """Whose signature it must carry, if the state knows its sender."""
        ...

    def execute(self, view: View, request: Request, signed: bool) -> tuple[Receipt, Mapping[bytes, bytes | None]]:
        """Its receipt and what it writes (`None` removes).

        `signed` says that the signature holds under the key that `signer` names at this very view. A refusal is a
        receipt and writes nothing; an exception is a mistake in the rules.
        """
        ...


class LedgerMachine:
    """The rules of the ledger (`ledger.transition`) for the network that a genesis document founds."""

    def __init__(self, genesis: Genesis) -> None:
        self._genesis = genesis
        self._network = found_network(genesis)
        self._seen: tuple[View, State] | None = None

    def initial_state(self) -> Mapping[bytes, bytes]:
        """The entries at height 0; raises `BadGenesis`."""
        return initial_state(self._genesis)

    def rules(self, view: View) -> int:
        """What the state says of this height."""
        return rules_version(self._state(view).rules, view.height)

    def require_rules(self, view: View) -> None:
        """Raises `UnknownRules` unless this program has the rules of this height."""
        require_known_rules(self._state(view))

    def validators(self, view: View) -> Sequence[Validator]:
        """The seats of the state."""
        return [Validator(key=seat.key, power=seat.power) for seat in self._state(view).seats.seats]

    def open(self, transaction: bytes) -> Request:
        """Read a transaction; raises `Malformed`, `WrongNetwork`."""
        opened = open_envelope(transaction, self._network.id)
        return Request(
            transaction=transaction,
            envelope=opened.digest,
            expires=opened.envelope.expires,
            message=opened.message,
            signature=opened.signature,
            content=opened,
        )

    def signer(self, view: View, request: Request) -> PublicKey | None:
        """The key of the sender's account, or the slot key itself if the issuer of one of the task's panels signed it.

        Anybody can make a key; without this everybody could fill the log with what no panel's person said.
        """
        opened: SignedEnvelope = request.content
        state, envelope, body = self._state(view), opened.envelope, opened.envelope.body
        try:
            if is_slot_signed(body):
                configuration = get_configuration(state, task_of(body))
                verify_credential(configuration, body.credential, SlotKey(PublicKey(envelope.sender)))
            return signer_of(state, envelope)
        except (UnknownAccount, UnknownTask, BadCredential):
            return None

    def execute(self, view: View, request: Request, signed: bool) -> tuple[Receipt, Mapping[bytes, bytes | None]]:
        """Judge and apply one transaction."""
        return judge(self._state(view), request.content, True if signed else None)

    def _state(self, view: View) -> State:
        """What the rules read of a view; one view serves a whole block."""
        if self._seen is None or self._seen[0] is not view:
            self._seen = view, State(view.read, view.height, view.header_hash, self._network)
        return self._seen[1]


def task_of(body: SlotSigned) -> TaskId:
    """The task that a body signed by a slot key is about."""
    return body.receipt.task if isinstance(body, ReportDropped) else body.task
