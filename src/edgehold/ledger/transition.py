"""From the bytes of a transaction to a receipt and what is written: open, find the signer, judge, apply.

A known refusal is a number in the receipt and writes nothing. Any other exception is a mistake in this program and
stops the node: a halt beats a fork.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec import Struct

from edgehold.crypto.cose import open1, signed_bytes
from edgehold.crypto.names import payload_digest
from edgehold.crypto.signatures import verify
from edgehold.errors import (
    BadSignature,
    EdgeholdError,
    Expired,
    ExpiresTooFar,
    Malformed,
    Refusal,
    UnknownRules,
    WrongNetwork,
)
from edgehold.ledger.rules.accounts import attest, open_account, transfer, withdraw_attestation
from edgehold.ledger.rules.data import commit_root
from edgehold.ledger.rules.evidence import report_conflict, report_dropped, report_ignored
from edgehold.ledger.rules.governance import propose, rotate_key, vote
from edgehold.ledger.rules.orders import place_order, settle_order, withdraw_order
from edgehold.ledger.rules.panels import close_panel, declare_panel
from edgehold.ledger.rules.programs import publish_program, review_program
from edgehold.ledger.rules.tasks import (
    accept_result,
    close_batch,
    dispute_result,
    join_task,
    post_share,
    request_task,
    revoke,
    settle_task,
)
from edgehold.ledger.state import Changes, State, flatten, get_account, rules_version
from edgehold.wire.account import Attest, OpenAccount, Transfer, WithdrawAttestation
from edgehold.wire.codec import decode
from edgehold.wire.governance import Propose, RotateKey, Vote
from edgehold.wire.ids import AccountId, Digest, NetworkId, PublicKey, Signature
from edgehold.wire.order import PlaceOrder, WithdrawOrder
from edgehold.wire.panel import ClosePanel, DeclarePanel
from edgehold.wire.program import PublishProgram, ReviewProgram
from edgehold.wire.root import CommitRoot
from edgehold.wire.task import (
    AcceptResult,
    CloseBatch,
    DisputeResult,
    JoinTask,
    PostShare,
    ReportConflict,
    ReportDropped,
    ReportIgnored,
    RequestTask,
    Revoke,
    SettleOrder,
    SettleTask,
)
from edgehold.wire.tx import MAX_TRANSACTION, Body, Envelope, Receipt, is_slot_signed

KNOWN_RULES = frozenset({1})
"""Versions of the rules that this program has. A version is another `apply`, chosen by `state.rules` and height."""

MAX_FACTS = 400
"""Characters of a refusal's message that a receipt carries."""


class SignedEnvelope(Struct, frozen=True):
    """A transaction that was read and not yet judged."""

    envelope: Envelope
    digest: Digest
    message: bytes
    signature: Signature

    def item(self, signer: PublicKey) -> tuple[PublicKey, bytes, Signature]:
        """What `verify` and `verify_many` check."""
        return signer, self.message, self.signature


def open_envelope(tx: bytes, network: NetworkId) -> SignedEnvelope:
    """Read a transaction.

    1. It has at most 64 kB and is a COSE_Sign1 message in its one spelling.
    2. The payload is the canonical encoding of an envelope with a known body.
    3. The envelope names this network.

    Raises `Malformed`, `WrongNetwork`.
    """
    if len(tx) > MAX_TRANSACTION:
        raise Malformed(f"{len(tx)} bytes are more than the {MAX_TRANSACTION} of a transaction")
    message = open1(tx)
    envelope = decode(message.payload, Envelope)
    if envelope.network != network:
        raise WrongNetwork(f"signed for network {envelope.network.hex()}, this is {network.hex()}")
    return SignedEnvelope(
        envelope=envelope,
        digest=payload_digest(message.payload),
        message=signed_bytes(message.payload, network),
        signature=message.signature,
    )


def require_known_rules(state: State) -> None:
    """Raises `UnknownRules` if the block of this state follows rules that this program does not have."""
    require_known_version(rules_version(state.rules, state.height), state.height)


def require_known_version(version: int, height: int) -> None:
    """Raises `UnknownRules` if the block of this height follows a version of the rules that this program does not have."""
    if version not in KNOWN_RULES:
        known = ", ".join(str(one) for one in sorted(KNOWN_RULES))
        raise UnknownRules(f"block {height} follows version {version} of the rules; this program has {known}")


def signer_of(state: State, envelope: Envelope) -> PublicKey:
    """The key that must have signed: the slot key itself, or the sender's account key; raises `UnknownAccount`."""
    if is_slot_signed(envelope.body):
        return PublicKey(envelope.sender)
    return get_account(state, AccountId(envelope.sender)).key


def check_expiry(state: State, envelope: Envelope) -> None:
    """Raises `Expired` or `ExpiresTooFar` unless the envelope may take effect at the state's height."""
    if envelope.expires < state.height:
        raise Expired(f"expired at height {envelope.expires}, this is {state.height}")
    latest = state.height + state.parameters.expiry
    if envelope.expires > latest:
        raise ExpiresTooFar(f"expires at height {envelope.expires}, later than {latest}")


def execute(state: State, tx: bytes, signature_ok: bool | None = None) -> tuple[Receipt, dict[bytes, bytes | None]]:
    """Read and judge a transaction: its receipt, and what is written under which flat key.

    `signature_ok` is what a batch verification found (see `judge`). The caller remembers envelopes' digests: the same
    envelope again gives the same receipt.
    """
    try:
        opened = open_envelope(tx, state.network.id)
    except Malformed:
        # The reader's own words depend on the versions of libraries; receipts must not.
        return _refused(state, Malformed("the bytes are not a signed transaction")), {}
    except WrongNetwork as refusal:
        return _refused(state, refusal), {}
    return judge(state, opened, signature_ok)


def judge(
    state: State, opened: SignedEnvelope, signature_ok: bool | None = None
) -> tuple[Receipt, dict[bytes, bytes | None]]:
    """Judge a transaction that was read: its receipt, and what is written under which flat key.

    `signature_ok` says that the signature was verified under the key that `signer_of` names at this very state;
    otherwise it is verified here, and the words of a refusal are always the same.
    """
    try:
        check_expiry(state, opened.envelope)
        if not signature_ok:
            verify(*opened.item(signer_of(state, opened.envelope)))
        changes = apply(state, opened.envelope)
    except (Refusal, BadSignature) as refusal:
        return _refused(state, refusal), {}
    return Receipt(number=0, height=state.height, made=changes.made, facts=""), flatten(changes)


def _refused(state: State, refusal: EdgeholdError) -> Receipt:
    return Receipt(number=refusal.number, height=state.height, made=None, facts=str(refusal)[:MAX_FACTS])


RULES: Mapping[type[Body], Callable[[State, Any, Any], Changes]] = {
    OpenAccount: open_account,
    Attest: attest,
    WithdrawAttestation: withdraw_attestation,
    Transfer: transfer,
    DeclarePanel: declare_panel,
    ClosePanel: close_panel,
    CommitRoot: commit_root,
    PublishProgram: publish_program,
    ReviewProgram: review_program,
    PlaceOrder: place_order,
    WithdrawOrder: withdraw_order,
    RequestTask: request_task,
    JoinTask: join_task,
    Revoke: revoke,
    CloseBatch: close_batch,
    PostShare: post_share,
    AcceptResult: accept_result,
    DisputeResult: dispute_result,
    SettleTask: settle_task,
    SettleOrder: settle_order,
    ReportConflict: report_conflict,
    ReportDropped: report_dropped,
    ReportIgnored: report_ignored,
    Propose: propose,
    Vote: vote,
    RotateKey: rotate_key,
}
"""Each body's rule: it takes the state, the sender (an account, or a slot key for `SLOT_SIGNED`) and the body."""


def apply(state: State, envelope: Envelope) -> Changes:
    """What the body's rule wants written; raises a `Refusal`. Network, expiry and signature were checked."""
    return RULES[type(envelope.body)](state, envelope.sender, envelope.body)
