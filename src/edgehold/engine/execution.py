"""What a block comes to: its transactions executed in order, each on what the ones before it wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from edgehold.crypto.signatures import verify
from edgehold.engine.machine import Request, StateMachine, View
from edgehold.errors import BadSignature
from edgehold.wire.ids import Digest, PublicKey
from edgehold.wire.tx import Receipt

Verified = tuple[Request, PublicKey | None]
"""A transaction and the key under which its signature was found good, if it was looked at."""

Answered = tuple[Request, Receipt]
"""A transaction and its receipt."""


@dataclass(frozen=True)
class Executed:
    """What the transactions of a block came to: those that count, those unsigned or expired, and all writes."""

    answered: list[Answered]
    unsigned: list[Answered]
    writes: Mapping[bytes, bytes | None]


def execute_block(machine: StateMachine, view: View, requests: Iterable[Verified]) -> Executed:
    """Execute transactions in order, each on what the ones before it wrote; an envelope that comes twice, once."""
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
    return Executed(list(answered.values()), unsigned, writes)


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
