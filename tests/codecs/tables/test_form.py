"""What all tables have in common: one order of rows, one form of strings, years, and what is no table."""

from __future__ import annotations

from array import array
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seen import DATA

from edgehold.codecs.events import MISSING_TIME, Event, EventRows, decode_table, encode_table
from edgehold.codecs.tables.annotations import derive_annotations, read_annotations
from edgehold.codecs.tables.form import (
    Strings,
    column_of,
    order_of,
    schema_of,
    strings_of,
    year_of,
    years_between,
)
from edgehold.codecs.tables.laboratory import derive_laboratory
from edgehold.codecs.tables.variants import derive_variants
from edgehold.errors import IntakeLimit, Malformed, NoTable
from edgehold.hub.intake.derive import derive_again, derive_table, header_name
from edgehold.hub.intake.kinds import header_beside
from edgehold.wire.data import Kind


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3), st.floats(0, 2))))
def test_rows_come_in_one_order(rows: list[tuple[int, int, float]]) -> None:
    first, second, third = (
        array(code, column)
        for code, column in zip("qId", zip(*rows, strict=True) if rows else ((), (), ()), strict=True)
    )
    order = order_of(first, second, third)
    assert [rows[row] for row in order] == sorted(rows)
    assert sorted(order) == list(range(len(rows)))


EVENTS = st.builds(
    Event,
    st.one_of(st.just(MISSING_TIME), st.integers(-3, 3)),
    st.sampled_from("ABÅ"),
    st.one_of(st.none(), st.floats(allow_nan=False), st.just(-0.0)),
    st.sampled_from(["", "<", "é"]),
    st.sampled_from(["", "mg"]),
)


@given(st.lists(EVENTS))
def test_events_are_sorted_as_their_page_says(events: list[Event]) -> None:
    expected = sorted(
        (event._replace(value=None if event.value is None else event.value + 0.0) for event in events),
        key=lambda row: (row.time, row.code, row.value is not None, row.value or 0.0, row.text, row.unit),
    )
    assert decode_table(encode_table(events)) == expected


def test_what_was_said_stays_in_the_table() -> None:
    files = encode_table([Event(1, "A")], {"date": "a"})
    assert decode_table(files) == [Event(1, "A")]
    assert schema_of(files)["said"] == {"date": "a"}
    with pytest.raises(Malformed):
        decode_table({**files, "schema.json": files["schema.json"].replace(b'"a"', b"1")})


def test_births_and_what_has_no_time_are_of_no_year() -> None:
    for is_stated, years in ((False, None), (True, (1970, 1970))):
        rows = EventRows()
        rows.add(MISSING_TIME, "A")
        rows.add(-(10**9), "MEDS_BIRTH")
        if is_stated:
            rows.add(0, "A")
        assert len(rows) == 2 + is_stated
        assert rows.derived().years == years


@given(st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31)))
def test_the_year_of_a_moment(moment: datetime) -> None:
    assert year_of(int(moment.replace(tzinfo=UTC).timestamp() // 1)) == moment.year


def test_years_that_no_descriptor_can_name_are_none() -> None:
    assert years_between(0, 31536000) == (1970, 1971)
    assert years_between(None, 0) is None
    assert years_between(-(10**12), 0) is None
    assert years_between(0, 10**12) is None


def test_strings_are_sorted_by_code_point_also_as_bytes() -> None:
    words = ["b", "", "ä", "a", "\U0001f600", "\uffff", "a"]
    by_text, by_bytes = Strings(""), Strings(b"")
    places = [(by_text.place(word), by_bytes.place(word.encode())) for word in words]
    assert by_text.find("nowhere") is None
    (texts, final), (others, other_final) = by_text.take_sorted(), by_bytes.take_sorted()
    assert texts == others == sorted(set(words))
    for word, (one, other) in zip(words, places, strict=True):
        assert texts[final[one]] == others[other_final[other]] == word


def test_what_is_no_table_is_malformed() -> None:
    files = {"a.u32": bytes(4), "b.i64": bytes(7), "strings.json": b"[1]", "schema.json": b"["}
    for name in ("b.i64", "c.u8", "strings.json", "d"):
        with pytest.raises(Malformed):
            column_of(files, name)
    assert column_of(files, "a.u32").tolist() == [0]
    with pytest.raises(Malformed):
        strings_of(files)
    with pytest.raises(Malformed):
        schema_of(files)
    assert strings_of({}) == [""]


def test_limits_of_lines_and_annotations() -> None:
    with pytest.raises(IntakeLimit, match="empty lines"):
        derive_laboratory([b"date,test,result\n" + b"\n" * 200_000])
    with pytest.raises(IntakeLimit):
        read_annotations(bytes((1 << 21) + 2))


def test_more_calls_than_are_remembered_are_read_all_the_same() -> None:
    alts = ",".join("ACGT"[place % 4] * (place // 4 + 1) for place in range(40))
    lines = b"".join(
        f"1\t{place}\t.\tN\t{alts}\t.\t.\t.\tGT\t{place % 41}/{place % 37}\n".encode() for place in range(1, 1200)
    )
    head = b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tme\n"
    assert schema_of(derive_variants([head + lines]).files)["rows"] == 1199 * 40


def test_a_header_has_no_header_and_other_kinds_no_table() -> None:
    assert header_name("100.hea") is None
    assert header_name("a.b.dat") == "a.b.hea"
    assert derive_table([b"100 0 360\n"], kind=Kind.SIGNAL, name="100.hea") is None
    assert derive_table([b"x"], kind=Kind.OTHER, name="x") is None
    assert header_beside(DATA / "samples" / "CT_small.dcm") is None
    assert header_beside(DATA / "samples" / "100.hea") is None
    with pytest.raises(NoTable):
        derive_table([b"x"], kind=Kind.SIGNAL, name="x.dat")


def test_what_was_said_of_a_kept_table_is_read_as_strictly() -> None:
    kept = encode_table([], {"date": "a"})
    with pytest.raises(Malformed, match="said of columns"):
        list(derive_again([b""], kind=Kind.LAB, name="x", kept=kept, beside=lambda _: []))


def test_the_resolution_that_annotations_say_is_used_only_where_it_is_one() -> None:
    words = b"## time resolution: 0.0001"
    note = (22 << 10).to_bytes(2, "little") + (63 << 10 | len(words)).to_bytes(2, "little") + words + bytes(2)
    derived = derive_annotations(note, b"r 0 360\n")
    assert schema_of(derived.files)["rows"] == 1
