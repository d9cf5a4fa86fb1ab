"""Reports and jobs on the wire: one value, one encoding, and everything else is `Malformed`."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from edgehold.errors import Malformed
from edgehold.wire.ids import Digest, PublicKey, ReportId, Signature, SlotKey, TaskId, Token
from edgehold.wire.report import (
    MAX_JOB,
    Continued,
    HpkeCiphertext,
    PermitExtension,
    Rejected,
    Report,
    ReportError,
    ReportMetadata,
    ReportShare,
    VerifyInit,
    decode_input_share,
    decode_job,
    decode_job_answer,
    decode_report,
    encode_input_share,
    encode_job,
    encode_job_answer,
    encode_metadata,
    encode_report,
    encode_share_aad,
)


def exactly(count: int) -> some.SearchStrategy[bytes]:
    """Any so many bytes."""
    return some.binary(min_size=count, max_size=count)


permits = some.builds(
    PermitExtension,
    permit=exactly(64),
    panel=some.integers(0, 3),
    slot_key=exactly(32),
    token=exactly(256),
    leader_share=exactly(32),
    helper_share=exactly(32),
)
metadata = some.builds(ReportMetadata, report=exactly(16), time=some.integers(0, 2**64 - 1), permit=permits)
ciphertexts = some.builds(HpkeCiphertext, enc=exactly(32), payload=some.binary(min_size=1, max_size=40))
reports = some.builds(
    Report, metadata=metadata, public_share=some.binary(max_size=40), leader=ciphertexts, helper=ciphertexts
)
inits = some.builds(
    VerifyInit,
    share=some.builds(ReportShare, metadata=metadata, public_share=some.binary(max_size=9), sealed=ciphertexts),
    payload=some.binary(min_size=1, max_size=40),
)
answers = some.one_of(
    some.builds(Continued, report=exactly(16), payload=some.binary(min_size=1, max_size=40)),
    some.builds(Rejected, report=exactly(16), error=some.sampled_from(ReportError)),
)

SAMPLE = Report(
    metadata=ReportMetadata(
        report=ReportId(bytes(range(16))),
        time=7,
        permit=PermitExtension(
            permit=Signature(b"\x01" * 64),
            panel=2,
            slot_key=SlotKey(PublicKey(b"\x02" * 32)),
            token=Token(b"\x03" * 256),
            leader_share=Digest(b"\x04" * 32),
            helper_share=Digest(b"\x05" * 32),
        ),
    ),
    public_share=b"public",
    leader=HpkeCiphertext(enc=b"\x06" * 32, payload=b"leader"),
    helper=HpkeCiphertext(enc=b"\x07" * 32, payload=b"helper"),
)


@given(reports)
def test_a_report_is_read_as_it_was_written(report: Report) -> None:
    assert decode_report(encode_report(report)) == report


@given(some.lists(inits, min_size=1, max_size=4))
def test_a_job_is_read_as_it_was_written(job: list[VerifyInit]) -> None:
    assert decode_job(encode_job(job)) == job


@given(some.lists(answers, min_size=1, max_size=4))
def test_an_answer_is_read_as_it_was_written(given_answers: list[Continued | Rejected]) -> None:
    assert decode_job_answer(encode_job_answer(given_answers)) == given_answers


@given(some.binary(min_size=1, max_size=60))
def test_an_input_share_is_read_as_it_was_written(payload: bytes) -> None:
    assert decode_input_share(encode_input_share(payload)) == payload


@given(
    some.sampled_from([decode_report, decode_job, decode_job_answer, decode_input_share]),
    some.one_of(some.binary(max_size=80), reports.map(encode_report)),
    some.integers(0, 2000),
    some.binary(max_size=3),
)
def test_any_bytes_are_malformed_or_canonical(
    read: Callable[[bytes], object], data: bytes, place: int, inserted: bytes
) -> None:
    place %= len(data) + 1
    data = data[:place] + inserted + data[place + len(inserted) // 2 :]
    writers = {
        decode_report: encode_report,
        decode_job: encode_job,
        decode_job_answer: encode_job_answer,
        decode_input_share: encode_input_share,
    }
    try:
        value = read(data)
    except Malformed:
        return
    assert writers[read](value) == data


def test_a_report_cut_anywhere_is_malformed() -> None:
    data = encode_report(SAMPLE)
    for end in range(len(data)):
        with pytest.raises(Malformed):
            decode_report(data[:end])
    with pytest.raises(Malformed, match="1 bytes after its end"):
        decode_report(data + b"\x00")


def test_the_bytes_of_a_report_are_those_of_the_presentation_language() -> None:
    permit = b"\x01" * 64 + b"\x02" + b"\x02" * 32 + b"\x03" * 256 + b"\x04" * 32 + b"\x05" * 32
    extension = b"\xff\x45" + len(permit).to_bytes(2, "big") + permit
    head = bytes(range(16)) + bytes(7) + b"\x07" + len(extension).to_bytes(2, "big") + extension
    assert encode_metadata(SAMPLE.metadata) == head
    shares = b"\x00\x00\x20" + b"\x06" * 32 + b"\x00\x00\x00\x06leader" + b"\x00\x00\x20" + b"\x07" * 32
    assert encode_report(SAMPLE) == head + b"\x00\x00\x00\x06public" + shares + b"\x00\x00\x00\x06helper"
    assert encode_share_aad(TaskId(Digest(b"t" * 32)), SAMPLE.metadata, b"public") == (
        b"t" * 32 + head + b"\x00\x00\x00\x06public"
    )


def test_a_job_has_a_verification_key_number_and_no_parameter_or_extension() -> None:
    share = ReportShare(metadata=SAMPLE.metadata, public_share=b"", sealed=SAMPLE.helper)
    job = encode_job([VerifyInit(share=share, payload=b"m")])
    assert job[:7] == bytes(7)
    for place in range(7):
        with pytest.raises(Malformed):
            decode_job(job[:place] + b"\x01" + job[place + 1 :])
    with pytest.raises(Malformed, match="no reports"):
        decode_job(bytes(7))
    with pytest.raises(Malformed, match=f"more than {MAX_JOB} reports"):
        decode_job(bytes(7) + job[7:] * (MAX_JOB + 1))


def test_unknown_answers_and_errors_are_malformed() -> None:
    report = bytes(16)
    for tail in (b"\x01", b"\x03", b"\x02\x00", b"\x02\x0c", b"\x00\x00\x00\x00\x00", b""):
        with pytest.raises(Malformed):
            decode_job_answer(report + tail)
    assert decode_job_answer(report + b"\x02\x06") == [Rejected(ReportId(report), ReportError.VDAF_VERIFY_ERROR)]


def test_a_report_with_other_extensions_is_malformed() -> None:
    data = encode_report(SAMPLE)
    for place, byte in ((24, 0xFE), (26, 0xFE), (27, 0x46), (30 + 64, 4)):
        with pytest.raises(Malformed):
            decode_report(data[:place] + bytes([byte]) + data[place + 1 :])
    with pytest.raises(Malformed):
        decode_input_share(b"\x00\x01x" + b"\x00\x00\x00\x01p")
