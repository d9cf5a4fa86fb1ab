"""The next version of what is encoded part by part: which parts it shares with the one before, and what it costs then."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.codecs import cuts
from edgehold.codecs.choice import codec_named, codecs_for, encode_smallest, parts_codec
from edgehold.codecs.cuts import cut_tables
from edgehold.codecs.general import ZSTD
from edgehold.codecs.genotypes import GENOTYPES
from edgehold.codecs.parts import (
    AFTER,
    INSIDE,
    PACKING,
    SAME,
    WITHIN,
    Head,
    Measured,
    Parts,
    PartsCodec,
    Versions,
    Ways,
    Whole,
    find_stretch,
    gaps_of,
    measured,
    part_digest,
    same_places,
)
from edgehold.codecs.record import shipped_record_codec
from edgehold.errors import CannotDecode
from edgehold.wire.data import Kind
from edgehold.wire.ids import Digest

CODEC = parts_codec(Kind.LAB)
NUMBERS = Random(1)
LINES = [b"2025-01-%02d,%d,mmol/L\n" % (number % 28 + 1, NUMBERS.randrange(10**9)) for number in range(2000)]
HEAD = b"date,value,unit\n"
TEXT = HEAD + b"".join(LINES)
MOST = 1 << 20


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "TABLE_PART", 4000)


def cut(text: bytes) -> list[bytes]:
    return list(cut_tables(io.BytesIO(text)))


def opened(encodings: Sequence[bytes]) -> Parts:
    """The last of some versions, each after the one before."""
    parts = None
    for encoded in encodings:
        parts = CODEC.opened([encoded], MOST, parts)
    assert parts is not None
    return parts


def after(encodings: Sequence[bytes], text: bytes) -> bytes:
    """The next version after others."""
    parts = cut(text)
    known = CODEC.measured_parts([encodings[-1]], MOST)
    versions = Versions(opened(encodings), known, CODEC.measured(parts))
    return b"".join(CODEC.encoded_parts(parts, versions))


def decoded(parts: Parts) -> Iterator[bytes]:
    while parts.next():
        yield parts.part()


NEXT = {
    "grown": TEXT + LINES[0] * 3 + b"2025-02-01,1,g\n",
    "shrunk": TEXT[: len(TEXT) // 2],
    "changed in the middle": TEXT.replace(LINES[1000], b"2026-01-01,5,mg\n2026-01-01,6,mg\n"),
    "with another head": b"# exported today\n" + TEXT,
    "moved": HEAD + b"".join([*LINES[1200:], *LINES[:1200]]),
    "the same": TEXT,
}


@pytest.mark.parametrize("name", NEXT)
def test_the_next_version_costs_what_is_new(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    text = NEXT[name]
    first = b"".join(CODEC.encoded_parts(cut(TEXT)))
    alone = b"".join(CODEC.encoded_parts(cut(text)))
    encoded = after([first], text)
    assert b"".join(decoded(opened([first, encoded]))) == text
    assert len(encoded) < (0.7 if name == "moved" else 0.25) * len(alone)
    again = after([first, encoded], text + LINES[7])
    assert b"".join(decoded(opened([first, encoded, again]))) == text + LINES[7]
    assert len(again) < 0.25 * len(alone)


def test_what_resembles_nothing_is_told_by_itself() -> None:
    text = b"".join(b"%d;%d\n" % (NUMBERS.randrange(10**9), number) for number in range(500))
    first = b"".join(CODEC.encoded_parts(cut(TEXT)))
    assert after([first], text) == b"".join(CODEC.encoded_parts(cut(text)))


def test_a_version_encoded_by_itself_needs_no_other() -> None:
    first = b"".join(CODEC.encoded_parts(cut(TEXT)))
    second = after([first], NEXT["changed in the middle"])
    third = after([first, second], NEXT["changed in the middle"] + LINES[5])
    alone = b"".join(CODEC.alone_parts(opened([first, second, third])))
    assert CODEC.decode(alone, MOST) == NEXT["changed in the middle"] + LINES[5]
    assert alone == b"".join(CODEC.encoded_parts(cut(NEXT["changed in the middle"] + LINES[5])))
    with pytest.raises(CannotDecode, match="no version before"):
        CODEC.decode(third, MOST)
    assert 0 < len(list(CODEC.inside(third))) < 4


def test_only_what_is_named_of_the_version_before_is_decoded() -> None:
    first = b"".join(CODEC.encoded_parts(cut(TEXT)))
    encoded = after([first], TEXT)
    before = opened([first])
    parts = CODEC.opened([encoded], MOST, before)
    while parts.next():
        assert parts.head.how == SAME
    assert not before.head.size


def test_what_nothing_was_found_in_is_not_held_any_longer() -> None:
    known = [b"".join(LINES[start : start + 60]) for start in range(0, 1200, 60)]
    following = [part if number % 2 else b"%d;\n" % number * 400 for number, part in enumerate(known)]
    first = b"".join(CODEC.encoded_parts(known))
    versions = Versions(opened([first]), list(map(measured, known)), list(map(measured, following)))
    for number, part in enumerate(following):
        if number % 2 == 0:
            assert versions.likely_before(number, part) is None
        assert len(versions._before._held) <= 1


def test_a_version_before_that_cannot_be_read_is_left_out() -> None:
    parts = cut(TEXT)
    first = b"".join(CODEC.encoded_parts(parts))
    known = CODEC.measured_parts([first], MOST)
    text = NEXT["changed in the middle"]
    versions = Versions(CODEC.opened([first[:-1]], 10), known, list(map(measured, cut(text))))
    encoded = b"".join(CODEC.encoded_parts(cut(text), versions))
    assert b"".join(decoded(opened([first, encoded]))) == text


def test_what_is_found_there_and_cannot_be_told_so_is_told_by_itself() -> None:
    codec = PartsCodec(codec_named, encode_smallest, Ways(codecs_for(Kind.LAB), [shipped_record_codec(None)]))
    text = NEXT["changed in the middle"]
    first = b"".join(codec.encoded_parts(cut(TEXT)))
    versions = Versions(opened([first]), codec.measured_parts([first], MOST), list(map(measured, cut(text))))
    encoded = b"".join(codec.encoded_parts(cut(text), versions))
    assert b"".join(decoded(opened([first, encoded]))) == text


def test_a_part_that_the_plan_does_not_know_is_told_by_itself() -> None:
    first = b"".join(CODEC.encoded_parts(cut(TEXT)))
    versions = Versions(opened([first]), CODEC.measured_parts([first], MOST), [])
    assert b"".join(CODEC.encoded_parts(cut(TEXT), versions)) == first


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (Head(SAME, part_digest(b"abc"), 3, 1), "no part 1"),
        (Head(SAME, part_digest(b"abc"), 3, 1 << 62), "no part"),
        (Head(SAME, part_digest(b"abcd"), 4, 0), "names one of 3"),
        (Head(SAME, part_digest(b"xyz"), 3, 0), "another than it was"),
        (Head(AFTER, part_digest(b""), 0, 0, 0, 3, ZSTD, None, 0), "told after 3"),
        (Head(AFTER, part_digest(b"abc"), 3, 0, 0, 4, ZSTD, None, 0), "no part 1"),
        (Head(AFTER, part_digest(b"abc"), 3, 0, 9, 1, ZSTD, None, 0), "no place 9"),
        (Head(AFTER, part_digest(b"abc"), 3, 0, 3, 0, ZSTD, None, 0), "no place 3"),
        (Head(AFTER, part_digest(b"abc"), 3, 0, 0, 3, GENOTYPES, None, 0), "knows no versions"),
        (Head(WITHIN, part_digest(b"bc"), 2, 0, 2), "no part 1"),
        (Head(WITHIN, part_digest(b"bc"), 2, 0, 3), "no place 3"),
        (Head(WITHIN, part_digest(b"bc"), 2, 0, 0), "another than it was"),
        (Head(WITHIN, part_digest(b""), 0, 0, 9), "no place 9"),
        (Head(SAME | 1, part_digest(b"abc"), 3), "nobody wrote"),
        (Head(PACKING | INSIDE, part_digest(b"abc"), 3), "nobody wrote"),
    ],
)
def test_what_nobody_wrote_is_refused(head: Head, words: str) -> None:
    before = CODEC.opened([CODEC.encode(b"abc")], MOST)
    with pytest.raises(CannotDecode, match=words):
        list(CODEC.decoded_parts([head.written()], MOST, before))


@pytest.mark.parametrize(
    ("head", "words"),
    [
        (Head(SAME, part_digest(b"abc"), 3, 1), "no part 1"),
        (Head(SAME, part_digest(b"abcd"), 4, 0), "3 bytes instead of 4"),
        (Head(WITHIN, part_digest(b"bcd"), 3, 0, 1), "no part 1"),
        (Head(WITHIN, part_digest(b"bc"), 2, 0, 3), "no place 3"),
        (Head(WITHIN, part_digest(b"bc"), 2, 0, 0), "another than it was"),
    ],
)
def test_what_nobody_wrote_after_what_is_kept_at_once_is_refused(head: Head, words: str) -> None:
    with pytest.raises(CannotDecode, match=words):
        list(CODEC.decoded_parts([head.written()], MOST, Whole(lambda: b"abc")))


@pytest.mark.parametrize("by_itself", [None, 0, 9000])
@pytest.mark.parametrize("name", sorted(set(NEXT) - {"moved"}))
def test_what_is_kept_at_once_is_followed_as_well(name: str, by_itself: int | None) -> None:
    text, whole = NEXT[name], Whole(lambda: TEXT)
    parts = cut(text)
    alone = b"".join(CODEC.encoded_parts(parts))
    versions = Versions(whole, CODEC.measured(cut(TEXT)), CODEC.measured(parts), by_itself)
    encoded = b"".join(CODEC.encoded_parts(parts, versions))
    assert len(encoded) < 0.25 * len(alone)
    assert versions.is_half(len(encoded)) == (by_itself is not None and 2 * len(encoded) <= by_itself)
    assert b"".join(CODEC.decoded_parts([encoded], MOST, whole)) == text
    more = cut(text + LINES[7])
    before = CODEC.opened([encoded], MOST, whole)
    versions = Versions(before, CODEC.measured_parts([encoded], MOST), CODEC.measured(more))
    again = b"".join(CODEC.encoded_parts(more, versions))
    assert len(again) < 0.25 * len(alone)
    third = CODEC.opened([again], MOST, CODEC.opened([encoded], MOST, whole))
    assert b"".join(CODEC.alone_parts(third)) == b"".join(CODEC.encoded_parts(more))


def test_what_has_to_be_alike_is_given_up_where_it_is_not() -> None:
    whole = Whole(lambda: TEXT)
    strange = cut(b"".join(b"%d;%d\n" % (NUMBERS.randrange(10**9), number) for number in range(900)))
    for parts in (strange, [*cut(TEXT[: len(TEXT) // 8]), *strange]):
        measures = CODEC.measured(cut(TEXT)), CODEC.measured(parts)
        versions = Versions(whole, *measures, 9000)
        with pytest.raises(CannotDecode, match=r"part \d+ and those before it are not alike"):
            list(CODEC.encoded_parts(parts, versions))
        assert list(CODEC.encoded_parts(parts, Versions(whole, *measures)))


def test_an_altered_version_is_refused_or_bounded() -> None:
    text = NEXT["changed in the middle"]
    first = b"".join(CODEC.encoded_parts(cut(TEXT)))
    encoded = after([first], text)
    for seed in range(20):
        dice = Random(seed)
        altered = bytearray(encoded)
        altered[dice.randrange(len(encoded))] ^= 1 << dice.randrange(8)
        with suppress(CannotDecode):
            found = list(CODEC.decoded_parts([bytes(altered)], len(text), CODEC.opened([first], MOST)))
            assert b"".join(found) == text


def test_a_codec_that_is_not_known_is_named_before_anything_is_decoded() -> None:
    head = Head(0, Digest(bytes(32)), 3, codec=Digest(bytes(32)))
    with pytest.raises(CannotDecode, match="not known"):
        CODEC.measured_parts([head.written()], MOST)


sizes = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 100)), max_size=12)


@given(known=sizes, following=sizes)
def test_places_go_forwards_and_gaps_lie_between(
    known: list[tuple[int, int]], following: list[tuple[int, int]]
) -> None:
    had, come = (
        [Measured(Digest(bytes([name, size]) + bytes(30)), size) for name, size in one] for one in (known, following)
    )
    places = same_places(had, come)
    gaps = gaps_of(places, len(had))
    assert len(places) == len(come) == len(gaps)
    named = [place for place in places if place is not None]
    assert all(first <= second for first, second in pairwise(named))
    assert all(had[place] == come[number] for number, place in enumerate(places) if place is not None)
    for place, (begin, end) in zip(places, gaps, strict=True):
        assert 0 <= begin <= len(had) >= end >= 0
        assert place is None or end >= place >= begin - 1
    if had == come and len(set(had)) == len(had):
        assert places == list(range(len(had)))


def test_the_same_parts_are_as_many_as_can_be() -> None:
    parts = [Measured(part_digest(b"%d" % number), 10) for number in range(9)]
    new = Measured(part_digest(b"new"), 9)
    assert same_places(parts, [parts[8], *parts[:8]]) == [None, *range(8)]
    changed = same_places(parts, [*parts[:3], new, *parts[4:]])
    assert changed == [0, 1, 2, None, 4, 5, 6, 7, 8]
    assert gaps_of(changed, 9)[3] == (3, 4)
    assert gaps_of(same_places(parts, [*parts, new]), 9)[-1] == (9, 9)
    assert same_places(parts, parts[:2] + parts[5:]) == [0, 1, 5, 6, 7, 8]
    assert same_places(parts[:1], [parts[0], parts[0]]) == [0, 0]
    assert same_places([], parts) == [None] * 9


@given(begin=st.integers(0, 300), count=st.integers(200, 600), more=st.integers(0, 20))
def test_a_stretch_has_the_lines_of_a_part(begin: int, count: int, more: int) -> None:
    known = b"".join(LINES[:1500])
    kept = LINES[begin : begin + count]
    part = b"".join([*kept[:100], *[b"2026-01-01,%d,new\n" % number for number in range(more)], *kept[100:]])
    found = find_stretch(known, part)
    assert found is not None
    start, end, sure, _ = found
    assert b"".join(kept) in known[start:end]
    assert start <= sure <= known.index(b"".join(kept)) + len(b"".join(kept))
    assert known[start:end].endswith(b"\n")


def test_what_is_found_nowhere_has_no_stretch() -> None:
    assert find_stretch(TEXT, b"other\n" * 1000) is None
    assert find_stretch(b"", TEXT) is None
    assert find_stretch(TEXT, b"") is None
    indented = b"".join(b"   <a b=%d c=111111111111111111111111111111111111111111/>\n" % number for number in range(90))
    found = find_stretch(indented, indented[3:])
    assert found is not None
    assert indented[found[0] :].startswith(b"<a b=0")
