"""What a block comes to: its transactions executed in order, each on what the ones before it wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from edgehold.crypto.signatures import verify
from edgehold.engine.machine import Request, StateMachine, View
from edgehold.errors import BadSignature
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.ids import Digest, PublicKey
from edgehold.wire.tx import Receipt

SEATS = entry_key(Collection.SEATS)

Verified = tuple[Request, PublicKey | None]
"""A transaction and the key under which its signature was found good, if it was looked at."""

Answered = tuple[Request, Receipt]
"""A transaction and its receipt."""


@dataclass(frozen=True)
class Executed:
    """What the transactions of a block came to: those that count, those unsigned or expired, and all writes.

    `powers` has each validator's power that is another than before, by its key; 0 for one that left. `next_rules` is
    the version of the rules that the next block follows.
    """

    answered: list[Answered]
    unsigned: list[Answered]
    writes: Mapping[bytes, bytes | None]
    powers: Mapping[PublicKey, int]
    next_rules: int


def execute_block(machine: StateMachine, view: View, requests: Iterable[Verified]) -> Executed:
    """Execute transactions in order, each on what the ones before it wrote; an envelope that comes twice, once.

    Raises `UnknownRules` before anything if the block follows rules that this program does not have.
    """
    machine.require_rules(view)
    writes: dict[bytes, bytes | None] = {}
    overlaid = View(_overlay(writes, view.read), view.height, view.header_hash)
    answered: dict[Digest, Answered] = {}
    unsigned: list[Answered] = []
    for request, verified_by in requests:
        if request.envelope in answered:
            continue
        signer = machine.signer(overlaid, request)
        is_signed = signer is not None and (signer == verified_by or has_signed(signer, request))
        receipt, changes = machine.execute(overlaid, request, is_signed)
        # What expired is public, and its answer may be forgotten: kept again, it could fill the log as often as sent.
        if is_signed and request.expires >= view.height:
            answered[request.envelope] = request, receipt
            writes.update(changes)
        else:
            unsigned.append((request, receipt))
    return Executed(
        answered=list(answered.values()),
        unsigned=unsigned,
        writes=writes,
        powers=changed_powers(machine, view, overlaid) if SEATS in writes else {},
        next_rules=machine.rules(View(overlaid.read, view.height + 1, view.header_hash)),
    )


def changed_powers(machine: StateMachine, before: View, after: View) -> dict[PublicKey, int]:
    """Which validators have another power in a state than in the one before, in the order of their keys."""
    old, new = ({one.key: one.power for one in machine.validators(view)} for view in (before, after))
    return {key: new.get(key, 0) for key in sorted(old | new) if old.get(key, 0) != new.get(key, 0)}


def has_signed(signer: PublicKey, request: Request) -> bool:
    """Whether the signature of a transaction is the signer's."""
    try:
        verify(signer, request.message, request.signature)
    except BadSignature:
        return False
    return True


def _overlay(
    writes: Mapping[bytes, bytes | None], read: Callable[[bytes], bytes | None]
) -> Callable[[bytes], bytes | None]:
    def read_through(key: bytes) -> bytes | None:
        return writes[key] if key in writes else read(key)

    return read_through
