"""The codec of JSON records: every spelling comes back, whatever is altered is refused or bounded, and it is sparse."""

from __future__ import annotations

import json
from base64 import b64encode
from contextlib import suppress
from datetime import timedelta, timezone
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.codecs import record
from edgehold.codecs.choice import codec_named, codecs_for, encode_smallest
from edgehold.codecs.general import SHIPPED_BASE, ZSTD, Zstd, shipped_codec
from edgehold.codecs.record import RECORD_BASE, RecordCodec, base_digest, shipped_record_codec
from edgehold.errors import CannotDecode
from edgehold.wire.data import Kind

FHIR = Path(__file__).parent.parent / "data" / "fhir"
FILES = sorted(FHIR.glob("*json"))
BARE, BASED = RecordCodec(), shipped_record_codec(RECORD_BASE)

UUID = "0b03e41b-06a6-66fa-b972-acc5a83b134a"
ZONES = st.integers(-840, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))
TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from([UUID, f"urn:uuid:{UUID}", f"Patient/{UUID}/_history/1", UUID.upper(), "aGVsbG8gd29ybGQh" * 4]),
    st.dates().map(str),
    st.datetimes().map(lambda one: one.isoformat()),
    st.datetimes(timezones=ZONES).map(lambda one: one.isoformat(timespec="milliseconds")),
    st.sampled_from(
        ["2020-02-30", "9999-12-31", "2020-01-01T24:00:00Z", "2020-01-01T23:59:60Z", "2020-01-01T00:00:00.Z"]
    ),
)
LEAVES = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXTS)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=5),
        st.dictionaries(
            st.one_of(st.sampled_from(["resourceType", "code", "id"]), st.text(max_size=5)), inner, max_size=5
        ),
    ),
    max_leaves=30,
)


def spelled(value: object, style: int) -> bytes:
    """A value in one of the usual spellings."""
    indent = (None, None, 0, 2, 4)[style]
    separators = (",", ":") if style == 0 else None
    return json.dumps(value, ensure_ascii=style % 2 == 0, indent=indent, separators=separators).encode(
        "utf-8", "replace"
    )


@given(values=st.lists(VALUES, min_size=1, max_size=3), style=st.integers(0, 4), dice=st.integers())
def test_every_spelling_comes_back(values: list[object], style: int, dice: int) -> None:
    documents = b"\n".join(spelled(value, style) for value in values) + (b"\r\n" if dice % 2 else b"")
    for codec in (BARE, BASED):
        assert codec.decode(codec.encode(documents), len(documents)) == documents


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_real_records_come_back_from_fewer_bytes_than_zstd_has(path: Path) -> None:
    original = path.read_bytes()
    codec, encoded = encode_smallest(original, codecs_for(Kind.EHR))
    assert codec.name == record.RECORD
    assert codec_named(codec.name, codec.base).decode(encoded, len(original)) == original
    assert len(encoded) < 0.9 * len(shipped_codec(SHIPPED_BASE).encode(original))


def test_what_the_base_says_already_is_hardly_said_again() -> None:
    original = (FHIR / "ips_example_bundle.json").read_bytes()
    assert len(RecordCodec(original).encode(original)) < 0.1 * len(BARE.encode(original))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b'{"a":}',
        b"[1,]",
        b'"\x01"',
        b'"\\',
        b"[" * 200 + b"]" * 200,
        b"\xff",
        b'{"a" 1}',
        b"tru",
        b"\0",
        b"+",
    ],
)
def test_what_is_no_json_is_left_to_the_general_codec(data: bytes) -> None:
    codec, encoded = encode_smallest(data, codecs_for(Kind.EHR))
    assert codec_named(codec.name, codec.base).decode(encoded, len(data)) == data
    if data not in (b"", b"+"):
        assert codec.name == ZSTD
        with pytest.raises(CannotDecode, match="not JSON"):
            BARE.encode(data)


def test_clinical_documents_are_markup_and_json_is_no_table() -> None:
    entry = b'  <entry>\n    <id root="%d"/>\n    <code code="8302-2" displayName="Body height"/>\n  </entry>\n'
    document = b"<?xml version='1.0'?>\n<ClinicalDocument>\n%s</ClinicalDocument>\n" % b"".join(
        entry % (number * number) for number in range(200)
    )
    codec, encoded = encode_smallest(document, codecs_for(Kind.EHR))
    assert (codec.name, codec.decode(encoded, len(document))) == (record.LINES, document)
    assert len(encoded) < 0.9 * len(shipped_codec(SHIPPED_BASE).encode(document))
    for text in (b'{"a": 1, "b": 2}\n', b"[1, 2]\n[3, 4]\n"):
        with pytest.raises(CannotDecode, match="not a table"):
            record.lines_codec().encode(text)


def test_a_document_of_too_many_values_is_left_to_the_general_codec() -> None:
    documents = b"[" + b"{}," * (1 << 20) + b"{}]"
    codec, encoded = encode_smallest(documents, codecs_for(Kind.EHR))
    assert codec.name == ZSTD
    assert len(encoded) < 1000


NOTE = b"Seen today for hypertension; the blood pressure was normal. "
BLOCK = 4096


def attached(content: bytes) -> bytes:
    """A record that carries something along."""
    return json.dumps({"resourceType": "Binary", "data": b64encode(content).decode()}).encode()


@pytest.mark.parametrize(
    "size",
    [29, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 3 * BLOCK + 17],
    ids=lambda size: f"{size} bytes",
)
def test_attachments_that_were_packed_before_take_their_bytes(size: int) -> None:
    content = Random(size).randbytes(size)
    document = attached(content)
    encoded = BASED.encode(document)
    assert BASED.decode(encoded, len(document)) == document
    assert len(encoded) < 1.02 * size + 60


@pytest.mark.parametrize("order", ["tp", "pt", "tpt", "ptp", "ttpp", "t"])
def test_attachments_of_text_and_packed_pages_come_back(order: str) -> None:
    dice = Random(order)
    pages = {"t": lambda: NOTE * 150, "p": lambda: dice.randbytes(dice.randrange(BLOCK, 3 * BLOCK))}
    content = b"".join(pages[page]() for page in order)
    document = attached(content)
    encoded = BARE.encode(document)
    assert BARE.decode(encoded, len(document)) == document
    assert len(encoded) < len(content) - order.count("t") * 140 * len(NOTE) + 2 * BLOCK
    with pytest.raises(CannotDecode):
        BARE.decode(encoded, len(document) // 2)
    for length in range(1, len(encoded), 499):
        with suppress(CannotDecode):
            assert len(BARE.decode(encoded[:length], len(document))) <= len(document)


@pytest.mark.untraced
def test_altered_bytes_give_no_more_than_the_limit_or_are_refused() -> None:
    documents = json.dumps(json.loads((FHIR / "ips_example_bundle.json").read_bytes())["entry"][:4]).encode()
    encoded = BARE.encode(documents)
    dice = Random(1)
    for _ in range(100):
        altered = bytearray(encoded)
        for _ in range(dice.randrange(1, 4)):
            altered[dice.randrange(len(altered))] ^= 1 << dice.randrange(8)
        del altered[dice.randrange(len(altered) // 2, len(altered) + 1) :]
        with suppress(CannotDecode):
            assert len(BARE.decode(bytes(altered), len(documents))) <= len(documents)


def test_a_limit_below_the_record_refuses_it() -> None:
    documents = b'[{"a": "some text"}, {"a": "some text"}]'
    encoded = BARE.encode(documents)
    with pytest.raises(CannotDecode, match=r"limit|larger"):
        BARE.decode(encoded, len(documents) - 1)


def test_a_base_that_is_not_there_or_altered_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = base_digest(b"{}")
    with pytest.raises(CannotDecode, match="not shipped"):
        shipped_record_codec(missing)
    monkeypatch.setattr(record, "BASES", tmp_path)
    path = tmp_path / f"{missing.hex()}.ndjson.zst"
    for altered in (b"altered", Zstd().encode(b"[]")):
        path.write_bytes(altered)
        with pytest.raises(CannotDecode, match="altered"):
            shipped_record_codec(missing)


def test_a_codec_of_another_version_is_refused_by_its_name() -> None:
    with pytest.raises(CannotDecode, match="not known to this version"):
        codec_named(base_digest(b"another"), None)


def test_without_a_codec_nothing_is_encoded() -> None:
    with pytest.raises(CannotDecode, match="no codec"):
        encode_smallest(b"{}", ())
