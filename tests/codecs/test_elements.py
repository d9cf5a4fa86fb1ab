"""Elements of a list come back byte for byte, those of the next version after these; where documents are cut."""

from __future__ import annotations

import io
import json
import random
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgehold import _native
from edgehold.codecs import cuts
from edgehold.codecs.choice import codec_named, parts_codec
from edgehold.codecs.cuts import cut_documents
from edgehold.codecs.elements import CLOSES, ELEMENTS, OPENS, elements_codec, elements_of, find_elements
from edgehold.codecs.packed import written
from edgehold.codecs.record import RECORD_BASE, shipped_record_codec
from edgehold.errors import CannotDecode
from edgehold.wire.data import Kind

CODEC = elements_codec(RECORD_BASE)
RANDOM = random.Random(1)
ELEMENT = [
    json.dumps({"resource": {"resourceType": "Observation", "id": f"{RANDOM.getrandbits(64):x}", "note": [{"a": n}]}})
    for n in range(60)
]
RUN = ",\n  ".join(ELEMENT).encode() + b",\n  "


@pytest.mark.parametrize("end", [b"", b",", b" \n", b",\n  ", b" , ", b"\t,\r\n"])
def test_elements_come_back_with_what_is_behind_them(end: bytes) -> None:
    for run in (b"", b"{}", b"1,2", b'{"a":1} , {"b":[{}]}', RUN.rstrip(b",\n ")):
        encoded = CODEC.encode(run + end)
        assert CODEC.decode(encoded, len(run + end)) == run + end
        if run + end:
            with pytest.raises(CannotDecode):
                CODEC.decode(encoded, len(run + end) - 1)


def test_the_codec_is_the_one_that_its_name_says() -> None:
    assert (CODEC.name, CODEC.base) == (ELEMENTS, RECORD_BASE)
    assert codec_named(ELEMENTS, RECORD_BASE) is CODEC
    assert codec_named(ELEMENTS, None).base is None


@pytest.mark.parametrize("data", [b"{", b"1 2", b"1,,2", b",1", b"],[", b"1]}[{", b"\xff", b'{"a":1]'])
def test_what_is_no_run_of_elements_has_no_such_encoding(data: bytes) -> None:
    with pytest.raises(CannotDecode):
        CODEC.encode(data)


def test_what_is_no_list_between_the_right_words_is_refused() -> None:
    record = shipped_record_codec(RECORD_BASE)
    for document in (
        b"{}",
        OPENS + b"1]} ",
        b" " + OPENS + b"1]}",
        b'{"resourceType":"Bundle","entry":[]}'[:-2] + b"]}1",
    ):
        encoded = written([0]) + record.encode(document)
        with pytest.raises(CannotDecode, match="no list"):
            CODEC.decode(encoded, 1000)
    encoded = written([900]) + b" " * 900 + record.encode(OPENS + b"1," * 60 + b"1" + CLOSES)
    with pytest.raises(CannotDecode, match="more than 1000"):
        CODEC.decode(encoded, 1000)


@given(st.binary(max_size=60), st.booleans())
@example(b"", True)
def test_other_bytes_are_refused_or_decoded_within_the_limit(data: bytes, follows: bool) -> None:
    codec = CODEC.after(RUN[:900]) if follows else CODEC
    with suppress(CannotDecode):
        assert len(codec.decode(data, 500)) <= 500


def test_the_next_elements_are_told_after_those_before_wherever_these_begin() -> None:
    more = (RUN[: RUN.index(b"{", 500)] + ELEMENT[0].replace("Obs", "obs").encode() + b",\n  ") + RUN[
        RUN.index(b"{", 500) :
    ]
    for before in (RUN, RUN[100:-200], b"]} " + RUN + b' "'):
        codec = CODEC.after(before)
        encoded = codec.encode(more)
        assert codec.decode(encoded, len(more)) == more
        assert len(encoded) < 0.3 * len(CODEC.encode(more))
    with pytest.raises(CannotDecode, match="none was known"):
        CODEC.after(b'{"other":1}').encode(RUN)
    with pytest.raises(CannotDecode, match="not JSON"):
        CODEC.after(ELEMENT[3].encode() + b"] x " + ELEMENT[9].encode()).encode(RUN)


def test_elements_that_were_known_are_found_by_the_first_and_the_last() -> None:
    run = b"1111,2222,3333"
    assert list(elements_of(b" {} , [1,{}]\n, 3")) == [b"{}", b"[1,{}]", b"3"]
    assert find_elements(b"xx 2222 , 3333 x", run) == (3, 14)
    assert find_elements(b"3333 2222", run) == (5, 9)
    many = b",".join(b"%08d" % number for number in range(200))
    assert find_elements(b"00000131,00000132,00000134", many) == (18, 26)


def test_a_part_of_a_document_is_told_after_those_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "ELEMENTS_PART", 2000)
    codec = parts_codec(Kind.EHR)
    document = b'{"resourceType":"Bundle","type":"batch","entry":[\n  ' + RUN[:-4] + b"]}"
    encoded = b"".join(codec.encoded_parts(cut_documents(io.BytesIO(document))))
    assert codec.decode(encoded, len(document)) == document
    assert {name for name, _, _ in codec.inside(encoded)} > {ELEMENTS}


# ── where documents are cut ───────────────────────────────────────────────────────────────────────────────────────────


PIECES = [
    b'{"entry":[',
    b'{"a":"],["},',
    b" ",
    b"{}",
    b",",
    b"]",
    b"}",
    b'"',
    b"\\",
    b'{"entry":[{},[1],"\\""]}',
    b"x" * 30,
]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map(b"".join), st.integers(1, 40), st.integers(0, 60))
def test_every_byte_of_a_document_is_in_one_part(document: bytes, most: int, more: int) -> None:
    with pytest.MonkeyPatch.context() as small:
        small.setattr(cuts, "ELEMENTS_PART", most)
        small.setattr(cuts, "ELEMENT_PART", most + more)
        found = list(cut_documents(io.BytesIO(document)))
    assert b"".join(found) == document
    assert all(0 < len(part) <= most + more for part in found)


def test_a_document_is_cut_between_its_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "ELEMENTS_PART", 1000)
    monkeypatch.setattr(cuts, "ELEMENT_PART", 5000)
    long = json.dumps({"long": "x" * 3000}).encode()
    endless = json.dumps({"endless": "x" * 9000}).encode()
    head, tail = b'{"entry" : [ ', b'], "a": "' + b"x" * 7000 + b'"}'
    run = RUN + long + b",\n" + RUN + endless + b" ,\n" + RUN[:-4]
    parts = list(cut_documents(io.BytesIO(head + run + tail)))
    assert b"".join(parts) == head + run + tail
    assert (parts[0], parts[-2] + parts[-1]) == (head, tail)
    assert any(part.endswith(long + b",\n") for part in parts)
    broken = [part for part in parts[1:-2] if not (part.startswith(b"{") and part.rstrip(b", \n").endswith(b"}"))]
    assert 0 < len(broken) <= 2
    assert sum(250 <= len(part) <= 1000 for part in parts) > 8


def test_the_same_elements_are_in_the_same_parts_when_others_come_before_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "ELEMENTS_PART", 1000)
    first = list(cut_documents(io.BytesIO(b'{"entry":[' + RUN + b"{}]}")))
    other = list(cut_documents(io.BytesIO(b'{"entry":[{"new":1}, ' + RUN + b"{}]}")))
    assert len(set(first) & set(other)) > len(first) - 4


def test_a_scanner_goes_on_where_it_was() -> None:
    text, found = b'{"entry":[{"a":"]\\","},[1,2]]}', []
    for place in range(len(text)):
        scanner = _native.ElementScanner()
        scanner.skip(text[:place])
        ends, at = [], place
        while (end := scanner.mark(text, at)) is not None:
            ends.append(end)
            at = end
        found.append(ends)
    assert found[0] == [10, 23, 29]
    assert all(ends == [end for end in (10, 23, 29) if end > place] for place, ends in enumerate(found))
