"""Reports and aggregation jobs in the presentation language of DAP-18 (draft-ietf-ppm-dap-18, sections 4.4 and 4.5).

Integers are big-endian, a vector carries the length of its bytes in front, the last vector of a job reaches to the end
of the message. Every reader takes exactly what the writer writes and raises `Malformed` for anything else. Where the
draft leaves room or describes what we do not need, this is the choice:

- `time` is the task's opening height, the same for everybody, so that it says nothing about anybody.
- A task has one HPKE key for each aggregator, so that `config_id` is 0.
- The additional data of a share name the task by its id. Draft 18 repeats the task's configuration there; our task id
  is the digest of the configuration, so that the id binds the same.
- A report has exactly one public extension, ours, of a type code from the range for private use, and no private one.
- A job has one verification key (number 0), no aggregation parameter and no job extensions: one task is one batch.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Any, TypeVar

from msgspec import Struct

from edgehold.errors import Malformed
from edgehold.wire.batch import ReportLeaf
from edgehold.wire.ids import Digest, ReportId, Signature, SlotKey, TaskId, Token

T = TypeVar("T")

PERMIT_EXTENSION = 0xFF45
"""Type code of our public report extension: permit and token."""

CONFIG_ID = 0
VERIFICATION_KEY_ID = 0

MAX_JOB = 256
"""Reports in one aggregation job."""

MAX_PANELS = 4


class ReportError(IntEnum):
    """Why an aggregator rejects a report (DAP-18, section 4.1)."""

    BATCH_COLLECTED = 1
    REPORT_REPLAYED = 2
    REPORT_DROPPED = 3
    HPKE_UNKNOWN_CONFIG_ID = 4
    HPKE_DECRYPT_ERROR = 5
    VDAF_VERIFY_ERROR = 6
    TASK_EXPIRED = 7
    INVALID_MESSAGE = 8
    REPORT_TOO_EARLY = 9
    TASK_NOT_STARTED = 10
    OUTDATED_CONFIG = 11


class PermitExtension(Struct, frozen=True):
    """Our public extension: who permits (a slot key with its token), and what (exactly these two plaintext shares)."""

    permit: Signature
    panel: int
    """Index into the task's panels."""
    slot_key: SlotKey
    token: Token
    leader_share: Digest
    helper_share: Digest


class ReportMetadata(Struct, frozen=True):
    """What both aggregators and everybody else may see of a report."""

    report: ReportId
    time: int
    permit: PermitExtension

    def leaf(self) -> ReportLeaf:
        """The same as a leaf of the batch's lists."""
        permit = self.permit
        return ReportLeaf(
            report=self.report,
            panel=permit.panel,
            slot_key=permit.slot_key,
            token=permit.token,
            permit=permit.permit,
            leader_share=permit.leader_share,
            helper_share=permit.helper_share,
        )


class HpkeCiphertext(Struct, frozen=True):
    """One sealed share: the encapsulated key (32 bytes, X25519) and the ciphertext."""

    enc: bytes
    payload: bytes


class Report(Struct, frozen=True):
    """What a hub uploads."""

    metadata: ReportMetadata
    public_share: bytes
    leader: HpkeCiphertext
    helper: HpkeCiphertext


class ReportShare(Struct, frozen=True):
    """What the helper gets of a report."""

    metadata: ReportMetadata
    public_share: bytes
    sealed: HpkeCiphertext


class VerifyInit(Struct, frozen=True):
    """One report in a job: the helper's part of it and the leader's first message of its verification."""

    share: ReportShare
    payload: bytes


class Continued(Struct, frozen=True):
    """The helper's answer to one report that it counts: its message to the leader."""

    report: ReportId
    payload: bytes


class Rejected(Struct, frozen=True):
    """The helper's answer to one report that it does not count."""

    report: ReportId
    error: ReportError


VerifyResp = Continued | Rejected
"""The draft's third answer, `finish`, does not occur: Prio3 always returns a message to the leader."""

_CONTINUE, _REJECT = 0, 2

_METADATA = struct.Struct(">16s Q H HH 64s B 32s 256s 32s 32s")
"""Report id, time, length of the extensions, type and length of the one extension, and what is in it."""

_EXTENSION = (64 + 1 + 32 + 256 + 32 + 32, PERMIT_EXTENSION)
"""Bytes of our extension, and its type."""

_CIPHERTEXT = struct.Struct(">B H 32s I")
"""HPKE configuration, length of the encapsulated key, the key, length of the payload."""


def encode_metadata(metadata: ReportMetadata) -> bytes:
    """ReportMetadata {report_id[16], time u64, public_extensions<0..2^16-1>}."""
    permit = metadata.permit
    size, kind = _EXTENSION
    return _METADATA.pack(
        metadata.report,
        metadata.time,
        size + 4,
        kind,
        size,
        permit.permit,
        permit.panel,
        permit.slot_key,
        permit.token,
        permit.leader_share,
        permit.helper_share,
    )


def encode_report(report: Report) -> bytes:
    """Report {metadata, public_share<0..2^32-1>, leader's HpkeCiphertext, helper's HpkeCiphertext}."""
    shares = _ciphertext(report.leader) + _ciphertext(report.helper)
    return encode_metadata(report.metadata) + _vector(report.public_share, 4) + shares


def decode_report(data: bytes) -> Report:
    """Read an upload; raises `Malformed`."""
    return _whole(data, "report", _read_report)


def encode_input_share(payload: bytes) -> bytes:
    """PlaintextInputShare {private_extensions<0..2^16-1>, payload<1..2^32-1>}, without extensions."""
    return _vector(b"", 2) + _vector(payload, 4)


def decode_input_share(data: bytes) -> bytes:
    """The VDAF's input share inside a plaintext input share; raises `Malformed`."""

    def read(reader: _Reader) -> bytes:
        reader.expect("private extensions", b"\x00\x00")
        return reader.vector("payload", 4, least=1)

    return _whole(data, "plaintext input share", read)


def encode_share_aad(task: TaskId, metadata: ReportMetadata, public_share: bytes) -> bytes:
    """InputShareAad {task_id[32], metadata, public_share<0..2^32-1>}: what a sealed share is bound to."""
    return task + encode_metadata(metadata) + _vector(public_share, 4)


def encode_job(inits: list[VerifyInit]) -> bytes:
    """AggregationJobInitReq {verification_key_id u8, agg_param<0..2^32-1>, extensions<0..2^16-1>, verify_inits}."""
    head = VERIFICATION_KEY_ID.to_bytes(1, "big") + _vector(b"", 4) + _vector(b"", 2)
    return head + b"".join(
        encode_metadata(init.share.metadata)
        + _vector(init.share.public_share, 4)
        + _ciphertext(init.share.sealed)
        + _vector(init.payload, 4)
        for init in inits
    )


def decode_job(data: bytes) -> list[VerifyInit]:
    """Read a job of 1 to `MAX_JOB` reports; raises `Malformed`."""

    def read(reader: _Reader) -> list[VerifyInit]:
        reader.expect("verification key, aggregation parameter, extensions", bytes(7))
        return reader.rest("reports", MAX_JOB, _read_init)

    return _whole(data, "aggregation job", read)


def encode_job_answer(responses: list[VerifyResp]) -> bytes:
    """AggregationJobResp {verify_resps to the end}, in the order of the request."""
    parts = []
    for response in responses:
        match response:
            case Continued(report, payload):
                parts.append(report + _CONTINUE.to_bytes(1, "big") + _vector(payload, 4))
            case Rejected(report, error):
                parts.append(report + _REJECT.to_bytes(1, "big") + error.to_bytes(1, "big"))
    return b"".join(parts)


def decode_job_answer(data: bytes) -> list[VerifyResp]:
    """Read the answer to a job; raises `Malformed`."""
    return _whole(data, "answer to an aggregation job", lambda reader: reader.rest("answers", MAX_JOB, _read_response))


class _Reader:
    """A cursor over bytes that refuses to run past their end."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._place = 0

    @property
    def left(self) -> int:
        return len(self._data) - self._place

    def take(self, what: str, count: int) -> bytes:
        if count > self.left:
            raise Malformed(f"{what} needs {count} bytes at {self._place}, {self.left} are left")
        start, self._place = self._place, self._place + count
        return self._data[start : self._place]

    def unpack(self, what: str, parts: struct.Struct) -> tuple[Any, ...]:
        """Parts of fixed sizes, one after the other."""
        start = self._place
        if parts.size > len(self._data) - start:
            raise Malformed(f"{what} needs {parts.size} bytes at {start}, {self.left} are left")
        self._place = start + parts.size
        return parts.unpack_from(self._data, start)

    def integer(self, what: str, width: int) -> int:
        return int.from_bytes(self.take(what, width), "big")

    def vector(self, what: str, width: int, *, least: int = 0) -> bytes:
        length = self.integer(what, width)
        if length < least:
            raise Malformed(f"{what} has {length} bytes, at least {least} are needed")
        return self.take(what, length)

    def expect(self, what: str, only: bytes) -> None:
        if (found := self.take(what, len(only))) != only:
            raise Malformed(f"{what}: {found.hex()} where only {only.hex()} can stand")

    def rest(self, what: str, most: int, read: Callable[[_Reader], T]) -> list[T]:
        items: list[T] = []
        while self.left:
            if len(items) == most:
                raise Malformed(f"more than {most} {what}")
            items.append(read(self))
        if not items:
            raise Malformed(f"no {what}")
        return items


def _whole(data: bytes, what: str, read: Callable[[_Reader], T]) -> T:
    reader = _Reader(data)
    try:
        value = read(reader)
    except Malformed as error:
        raise Malformed(f"not a {what}: {error}") from error
    if reader.left:
        raise Malformed(f"not a {what}: {reader.left} bytes after its end")
    return value


def _read_metadata(reader: _Reader) -> ReportMetadata:
    report, time, extensions, kind, size, *data = reader.unpack("metadata", _METADATA)
    if (size, kind) != _EXTENSION or extensions != size + 4:
        raise Malformed(f"{extensions} bytes of public extensions, the first of type {kind:#x}, are not one permit")
    permit = PermitExtension(*data)
    if permit.panel >= MAX_PANELS:
        raise Malformed(f"panel {permit.panel} of at most {MAX_PANELS}")
    return ReportMetadata(report, time, permit)


def _read_ciphertext(reader: _Reader) -> HpkeCiphertext:
    configuration, key_size, enc, size = reader.unpack("sealed share", _CIPHERTEXT)
    if configuration != CONFIG_ID or key_size != len(enc):
        raise Malformed(f"HPKE configuration {configuration}, or an encapsulated X25519 key of {key_size} bytes")
    if size < 1:
        raise Malformed("a sealed share has 0 bytes, at least 1 are needed")
    return HpkeCiphertext(enc, reader.take("sealed share", size))


def _read_report(reader: _Reader) -> Report:
    return Report(
        metadata=_read_metadata(reader),
        public_share=reader.vector("public share", 4),
        leader=_read_ciphertext(reader),
        helper=_read_ciphertext(reader),
    )


def _read_init(reader: _Reader) -> VerifyInit:
    share = ReportShare(
        metadata=_read_metadata(reader),
        public_share=reader.vector("public share", 4),
        sealed=_read_ciphertext(reader),
    )
    return VerifyInit(share=share, payload=reader.vector("message of the leader", 4, least=1))


def _read_response(reader: _Reader) -> VerifyResp:
    report = ReportId(reader.take("report id", 16))
    kind = reader.integer("kind of answer", 1)
    if kind == _CONTINUE:
        return Continued(report=report, payload=reader.vector("message of the helper", 4, least=1))
    if kind != _REJECT:
        raise Malformed(f"{kind} is neither `continue` nor `reject`")
    error = reader.integer("error", 1)
    if error not in set(ReportError):
        raise Malformed(f"{error} is no reason to reject a report")
    return Rejected(report=report, error=ReportError(error))


def _vector(data: bytes, width: int) -> bytes:
    return len(data).to_bytes(width, "big") + data


def _ciphertext(sealed: HpkeCiphertext) -> bytes:
    return _CIPHERTEXT.pack(CONFIG_ID, len(sealed.enc), sealed.enc, len(sealed.payload)) + sealed.payload
