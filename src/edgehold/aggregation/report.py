"""One report: made by a hub, checked by each aggregator by itself.

The order of the checks is that of cost, and the same at both aggregators: size, task open, slot key unseen, token,
permit, HPKE, share digest; only then the verification of the measurement, which they do together (`edgehold.vdaf`).

The digests of both plaintext shares are public. They tell nothing: each share contains at least 128 random bits that
the other aggregator does not have (the proof's randomness), so that nobody finds a share by trying measurements.
"""

from __future__ import annotations

from edgehold.aggregation.task import (
    Phase,
    ServedTask,
    input_share_info,
    phase,
    prio3_for,
    share_sizes,
    vdaf_context,
)
from edgehold.crypto.blind import verify_token
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.names import input_share_digest, permit_message, task_id
from edgehold.crypto.seal import ENCAPSULATED, OVERHEAD, SealKeyPair, open_sealed, seal
from edgehold.crypto.signatures import SigningKey
from edgehold.errors import (
    BadSignature,
    BadToken,
    CannotOpen,
    Malformed,
    ReportRefused,
    ShareDiffers,
    ShareUnreadable,
    SlotKeyRevoked,
    SlotKeySeen,
    TaskNotOpen,
    WrongSize,
    WrongTask,
)
from edgehold.ports import Randomness
from edgehold.vdaf.prio3 import Measurement
from edgehold.wire.batch import Permit
from edgehold.wire.ids import Digest, ReportId, Signature, SlotKey, TaskId, Token
from edgehold.wire.report import (
    HpkeCiphertext,
    PermitExtension,
    Report,
    ReportError,
    ReportMetadata,
    decode_input_share,
    decode_report,
    encode_input_share,
    encode_report,
    encode_share_aad,
)
from edgehold.wire.task import Party, TaskConfiguration


def make_report(
    configuration: TaskConfiguration,
    measurement: Measurement,
    *,
    panel: int,
    slot_key: SigningKey,
    token: Token,
    randomness: Randomness,
) -> bytes:
    """Shard a measurement, permit exactly these shares, seal them: the bytes that a hub stores and uploads.

    Every report of a task has the same size. `panel` is the place of the hub's panel in the task; `token` is the
    issuer's for `slot_key` and the slot that the task has there. Raises `OutOfBounds` for a value that the task's
    type does not have.
    """
    task = task_id(configuration)
    vdaf = prio3_for(configuration.measurement)
    report = ReportId(randomness.draw(16))
    random = randomness.draw(vdaf.random_length)
    public_share, (leader, helper) = vdaf.shard(vdaf_context(task), measurement, report, random)
    leader_share, helper_share = encode_input_share(leader), encode_input_share(helper)
    leader_digest, helper_digest = input_share_digest(leader_share), input_share_digest(helper_share)
    permit = permit_message(Permit(task=task, report=report, leader_share=leader_digest, helper_share=helper_digest))
    metadata = ReportMetadata(
        report=report,
        time=configuration.opened_at,
        permit=PermitExtension(
            permit=slot_key.sign(permit),
            panel=panel,
            slot_key=SlotKey(slot_key.public),
            token=token,
            leader_share=leader_digest,
            helper_share=helper_digest,
        ),
    )
    aad = encode_share_aad(task, metadata, public_share)
    for_leader = seal(configuration.leader.seal_key, input_share_info(Party.LEADER), aad, leader_share, randomness)
    for_helper = seal(configuration.helper.seal_key, input_share_info(Party.HELPER), aad, helper_share, randomness)
    return encode_report(
        Report(
            metadata=metadata,
            public_share=public_share,
            leader=_ciphertext(for_leader),
            helper=_ciphertext(for_helper),
        )
    )


def report_digest(data: bytes) -> Digest:
    """What the leader's receipt says of a report's bytes."""
    return tagged_hash("report", data)


def read_upload(served: ServedTask, height: int, data: bytes) -> Report:
    """The checks of an upload that need no key.

    1. It has the one size of the task's reports (`WrongSize`).
    2. It is a report in its only spelling, for this task's opening height and one of its panels (`Malformed`,
       `WrongTask`).
    3. Its task takes reports at this height (`TaskNotOpen`).
    """
    if len(data) != served.report_size:
        raise WrongSize(f"{len(data)} bytes, every report of task {served.task.hex()} has {served.report_size}")
    report = decode_report(data)
    check_metadata(served, report.metadata)
    check_sizes(served, Party.LEADER, report.public_share, report.leader)
    check_sizes(served, Party.HELPER, report.public_share, report.helper)
    if phase(served.configuration, height) is not Phase.UPLOAD:
        ended = served.configuration.upload_until
        raise TaskNotOpen(f"task {served.task.hex()} took reports until height {ended}, now is {height}")
    return report


def check_metadata(served: ServedTask, metadata: ReportMetadata) -> None:
    """The public part names this task's opening height and one of its panels; raises `WrongTask`."""
    configuration = served.configuration
    if metadata.time != configuration.opened_at:
        raise WrongTask(f"time {metadata.time}, task {served.task.hex()} opened at {configuration.opened_at}")
    if metadata.permit.panel >= len(configuration.panels):
        raise WrongTask(f"panel {metadata.permit.panel} of {len(configuration.panels)}")


def check_sizes(served: ServedTask, party: Party, public_share: bytes, sealed: HpkeCiphertext) -> None:
    """The parts have the sizes that this task's measurement gives them, whatever is measured; raises `WrongSize`."""
    public, leader, helper = share_sizes(served.configuration.measurement)
    expected = (leader if party is Party.LEADER else helper) + OVERHEAD - ENCAPSULATED
    if len(public_share) != public or len(sealed.payload) != expected:
        raise WrongSize(
            f"public share of {len(public_share)} bytes and the {party.value}'s of {len(sealed.payload)}, "
            f"{public} and {expected} are expected"
        )


def check_token(served: ServedTask, panel: int, slot_key: SlotKey, token: Token) -> None:
    """The panel's issuer signed this slot key for this task's slot; raises `BadToken`."""
    try:
        verify_token(served.moduli[panel], slot_key, token)
    except BadSignature as error:
        described = served.configuration.panels[panel]
        raise BadToken(f"slot key {slot_key.hex()}, slot {described.slot} of panel {described.panel.hex()}") from error


def permit_claim(task: TaskId, metadata: ReportMetadata) -> tuple[SlotKey, bytes, Signature]:
    """Who is said to have signed what: the arguments of a signature check for this report's permit."""
    permit = metadata.permit
    signed = Permit(
        task=task,
        report=metadata.report,
        leader_share=permit.leader_share,
        helper_share=permit.helper_share,
    )
    return permit.slot_key, permit_message(signed), permit.permit


def open_input_share(
    served: ServedTask,
    party: Party,
    pair: SealKeyPair,
    metadata: ReportMetadata,
    public_share: bytes,
    sealed: HpkeCiphertext,
) -> bytes:
    """Open this aggregator's share and compare it with the permit; returns the VDAF's input share.

    Raises `ShareUnreadable` if it does not open or is none inside, `ShareDiffers` if another share was permitted.
    """
    aad = encode_share_aad(served.task, metadata, public_share)
    try:
        plaintext = open_sealed(pair, input_share_info(party), aad, sealed.enc + sealed.payload)
    except CannotOpen as error:
        raise ShareUnreadable(f"report {metadata.report.hex()}: the {party.value}'s share does not open") from error
    permitted = metadata.permit.leader_share if party is Party.LEADER else metadata.permit.helper_share
    if input_share_digest(plaintext) != permitted:
        raise ShareDiffers(f"report {metadata.report.hex()}: the {party.value}'s share is not the permitted one")
    try:
        return decode_input_share(plaintext)
    except Malformed as error:
        raise ShareUnreadable(f"report {metadata.report.hex()}: {error}") from error


def error_code(reason: ReportRefused) -> ReportError:
    """The nearest word that DAP-18 has for a reason."""
    match reason:
        case SlotKeySeen():
            return ReportError.REPORT_REPLAYED
        case SlotKeyRevoked():
            return ReportError.REPORT_DROPPED
        case TaskNotOpen():
            return ReportError.TASK_EXPIRED
        case ShareUnreadable():
            return ReportError.HPKE_DECRYPT_ERROR
        case _:
            return ReportError.INVALID_MESSAGE


def _ciphertext(sealed: bytes) -> HpkeCiphertext:
    return HpkeCiphertext(enc=sealed[:ENCAPSULATED], payload=sealed[ENCAPSULATED:])
