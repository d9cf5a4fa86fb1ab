"""Every way to say no.

    EdgeholdError            what went wrong, where, what to do about it
    ├── Malformed            bytes or text that are not what they claim to be            100–149
    ├── CryptoError          a signature, a seal or a proof that does not hold           150–199
    ├── Refusal              the ledger's rules say no: a number in the receipt          200–399
    ├── EngineError          the keeper of the ledger cannot go on                       400–449
    ├── IntakeError          a record that cannot be taken in                            450–499
    ├── HubError             the hub's store, keys, policy or budget                     500–549
    ├── SandboxError         a program that was stopped, and why                         550–599
    ├── AggregationError     a report, job or batch that does not count                  600–649
    ├── VerificationError    a certificate, record or parcel that does not verify        650–699
    └── UsageError           a command that cannot be carried out as it was given        700–749

An expected answer is a value (`Decision`, `Receipt`); a broken rule is one of these. The message holds the facts (which id,
which height, which place in a document), never medical content or keys. `number` is stable for ever: receipts on the
ledger carry it, `edgehold explain` looks it up, and no number is used twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import ClassVar


class EdgeholdError(Exception):
    """Base of all our errors: the message says what and where, `remedy` what to do, `exit_code` what a command returns."""

    number: ClassVar[int] = 0
    remedy: ClassVar[str] = "Report this: every error has a more precise class."
    exit_code: ClassVar[int] = 1

    @property
    def code(self) -> str:
        """The stable name that `edgehold explain` takes, for example EH207."""
        return f"EH{self.number:03d}"


# ── bytes and text ────────────────────────────────────────────────────────────────────────────────────────────────


class Malformed(EdgeholdError):
    """Bytes that our own writer would not have written for this type of message."""

    number = 100
    remedy = "Ask the sender for the bytes as they were first written; nothing was stored."


# ── cryptography ──────────────────────────────────────────────────────────────────────────────────────────────────


class CryptoError(EdgeholdError):
    """A cryptographic check failed."""

    number = 150
    remedy = "The bytes or the key are not the ones that were meant; fetch them again from their source."
    exit_code = 8


class BadSignature(CryptoError):
    """A signature does not fit its message and key."""

    number = 151
    remedy = "Check that the message is unchanged and that the key is the signer's current one."


class CannotOpen(CryptoError):
    """A sealed message does not open with this key and context."""

    number = 152
    remedy = "Check that it was sealed to this key and for this purpose, and that no byte was lost."


class BadProof(CryptoError):
    """An inclusion or absence proof does not lead to the root it names."""

    number = 153
    remedy = "Ask another node for the proof; a node that gives this one lies or is stale."


# ── the ledger's rules ────────────────────────────────────────────────────────────────────────────────────────────


class Refusal(EdgeholdError):
    """The rules of the ledger refuse a transaction; the state is as before."""

    number = 200
    remedy = "See the rule in docs/protocol.md; the transaction had no effect."
    exit_code = 5


# ── the keeper of the ledger ──────────────────────────────────────────────────────────────────────────────────────


class EngineError(EdgeholdError):
    """The engine that keeps the ledger cannot go on."""

    number = 400
    remedy = "Stop the engine and run `edgehold ledger check`."


# ── intake ────────────────────────────────────────────────────────────────────────────────────────────────────────


class IntakeError(EdgeholdError):
    """A file that cannot be taken into a hub; nothing of it was stored."""

    number = 450
    remedy = "Check the file with the clinic or program that wrote it."


# ── hub ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class HubError(EdgeholdError):
    """The hub cannot do what was asked; its data are as before."""

    number = 500
    remedy = "Run `edgehold hub check`."


# ── sandbox ───────────────────────────────────────────────────────────────────────────────────────────────────────


class SandboxError(EdgeholdError):
    """A program was stopped; only the owner's log says why."""

    number = 550
    remedy = "Try the program with `edgehold program test` on sample data."


# ── aggregation ───────────────────────────────────────────────────────────────────────────────────────────────────


class AggregationError(EdgeholdError):
    """A report, an aggregation job or a batch that does not count."""

    number = 600
    remedy = "The other reports are unaffected; the sender may be faulty or hostile."


# ── verification ──────────────────────────────────────────────────────────────────────────────────────────────────


class VerificationError(EdgeholdError):
    """What was claimed does not hold; do not rely on it."""

    number = 650
    remedy = "Do not rely on it. Ask its maker for the original and for the ledger's genesis file."
    exit_code = 8


# ── commands ──────────────────────────────────────────────────────────────────────────────────────────────────────


class UsageError(EdgeholdError):
    """The command cannot be carried out as it was given."""

    number = 700
    remedy = "See --help of the command."
    exit_code = 2


class NotFound(UsageError):
    """Something named in the command does not exist."""

    number = 701
    remedy = "Check the name or id; list what there is with the matching `show` command."
    exit_code = 6


def all_errors() -> Iterator[type[EdgeholdError]]:
    """Every error class that is loaded, the base first, each once."""
    pending: list[type[EdgeholdError]] = [EdgeholdError]
    while pending:
        kind = pending.pop(0)
        yield kind
        pending.extend(kind.__subclasses__())
