"""Tables of many rows: whatever way a file is cut, and wherever runs end, its table is the same to the last byte."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seen import DATA
from test_form import EVENTS
from test_genotypes import HEAD, NAMES

from edgehold.codecs import segments
from edgehold.codecs.events import Event, EventRows, decode_table, encode_table
from edgehold.codecs.segments import Files, cut, cut_table, join
from edgehold.codecs.tables import genotypes, laboratory, runs, variants
from edgehold.codecs.tables.form import Derived, in_steps, joined_strings
from edgehold.codecs.tables.laboratory import derive_laboratory
from edgehold.codecs.tables.runs import Merged, Words
from edgehold.codecs.tables.variants import derive_variants, lines_of
from edgehold.errors import BadRow, IntakeError, IntakeLimit, LargeFile
from edgehold.hub.intake import derive
from edgehold.hub.intake.derive import derive_table
from edgehold.wire.data import Kind

FILES = {
    "variants/hg00268.g.vcf": Kind.GENOTYPE,
    "variants/isaac.g.vcf": Kind.GENOTYPE,
    "variants/nist.vcf": Kind.GENOTYPE,
    "variants/platinum.vcf": Kind.GENOTYPE,
    "lines/small.vcf": Kind.GENOTYPE,
    "lines/array.txt": Kind.GENOTYPE,
    "lines/export.xml": Kind.WEARABLE,
    "lines/minutes.csv": Kind.WEARABLE,
    "lines/observations.csv": Kind.LAB,
}


@contextmanager
def small_runs(rows: int = 3, block: int = 2) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "RUN", rows)
        patch.setattr(runs, "BLOCK", block)
        patch.setattr(variants, "OFTEN", 1)
        yield


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


@given(st.lists(EVENTS), st.integers(1, 5), st.integers(1, 4))
def test_events_are_the_same_table_wherever_runs_end(events: list[Event], run: int, block: int) -> None:
    def derived() -> Derived:
        rows = EventRows()
        for event in events:
            rows.add(*event)
        return rows.derived(said={"date": "a"})

    known = derived()
    with small_runs(run, block):
        found = derived()
        assert isinstance(found.table, Merged) == (len(events) > run)
        assert (found.files, found.rows, found.years) == (known.files, known.rows, known.years)


LINES = st.lists(
    st.builds(
        "\t".join,
        st.tuples(
            st.sampled_from(["1", "chr1", "2", "odd"]),
            st.sampled_from(["5", "7"]),
            st.sampled_from([".", "rs1", "rs2", "é"]),
            st.sampled_from(["A", "AC"]),
            st.sampled_from([".", "G", "G,T", "<NON_REF>"]),
            st.sampled_from([".", "1", "2", "3"]),
            st.sampled_from(["PASS", "q10"]),
            st.sampled_from([".", "END=9"]),
            st.just("GT"),
            st.sampled_from(["0/0", "0|1", "./."]),
        ),
    )
)


def without_bad_calls(lines: list[str]) -> list[str]:
    return [line for line in lines if not (line.endswith("0|1") and "\t.\t" in line[line.index("A") :][:6])]


@given(LINES, st.integers(1, 5), st.integers(1, 4), st.integers(1, 90))
def test_genotypes_are_the_same_table_wherever_runs_and_pieces_end(
    lines: list[str], run: int, block: int, size: int
) -> None:
    text = HEAD + NAMES + "".join(f"{line}\n" for line in without_bad_calls(lines)).encode()
    known = derive_variants([text])
    with small_runs(run, block):
        found = derive_variants(in_pieces(text, size))
        assert found.files == known.files, "rows that are equal but for their quality stay in the order of the file"


@pytest.mark.parametrize("name", FILES)
def test_a_real_file_in_pieces_packed_or_not_has_the_table_that_it_has_at_once(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segments, "LEAST_GROUP", 300)
    original, path = (DATA / name).read_bytes(), Path(name)
    known = derive_table([original], kind=FILES[name], name=path.name)
    assert known is not None
    groups = cut(known.files)
    with small_runs(7, 3):
        for data, size in ((original, 1000), (gzip.compress(original), 1000), (original, len(original))):
            found = derive_table(in_pieces(data, size), kind=FILES[name], name=path.name)
            assert found is not None
            assert isinstance(found.table, Merged)
            assert (found.schema, found.years, found.note) == (known.schema, known.years, known.note)
            assert found.files == known.files
            outline, some = cut_table(found.table)
            assert (outline, list(some)) == groups
            assert join(*groups) == known.files


SHEETS = st.lists(
    st.builds(
        ",".join,
        st.tuples(
            st.sampled_from(["1/2/2020", "03/04/2019", "13/1/2020", "1/13/2020", "2020-05-06", "", "no date"]),
            st.sampled_from(["K", "Größe", '"a ""b"""', "2345-7"]),
            st.sampled_from(["1", "<5", "4.5", "positiv", '"1,5"']),
        ),
    ),
    min_size=1,
)


@given(SHEETS, st.integers(1, 60), st.sampled_from(["utf-8", "cp1252", "mixed"]), st.sampled_from(["", "\ufeff"]))
def test_a_table_in_lines_is_read_the_same_however_it_is_cut(
    lines: list[str], size: int, encoding: str, mark: str
) -> None:
    text = mark + "date,test,result\n" + "\n".join(lines)
    data = text.encode("utf-8" if encoding == "mixed" else encoding, "replace") + b"\xe4" * (encoding == "mixed")

    def outcome(pieces: list[bytes]) -> object:
        try:
            derived = derive_laboratory(pieces)
        except IntakeError as error:
            return type(error)
        return derived.files, derived.years

    known = outcome([data])
    with small_runs():
        assert outcome(in_pieces(data, size)) == known


def test_a_text_is_no_utf_8_from_its_first_byte_to_its_last() -> None:
    data = "date,test,result\n2020-01-01,Größe,1\n".encode()
    for tail, name in ((b"", "Größe"), (b"2020-01-01,K\xf6rper,2\n", "GrÃ¶ÃŸe")):
        found = derive_laboratory(in_pieces(data + tail, 7))
        assert any(event.code == f"LAB//{name}" for event in decode_table(found.files))
    with pytest.raises(BadRow, match="line 2"):
        derive_laboratory([b"date,test,result\n2020-99-99,a,1\n"])
    with pytest.raises(BadRow, match="line 2"):
        derive_laboratory([b"date,test,result\n2020-99-99,a,1\n2020-01-01,\xf6,1\n"])


def test_a_column_of_dates_is_looked_through_only_where_it_matters() -> None:
    class Counted:
        def __init__(self, data: bytes) -> None:
            self.data, self.times = data, 0

        def __iter__(self) -> Iterator[bytes]:
            self.times += 1
            return iter([self.data])

    for date, times in ((b"2020-01-13", 1), (b"13/1/2020", 2)):
        pieces = Counted(b"date,test,result\n2020-01-02,a,1\n" + date + b",b,1\n")
        derive_laboratory(pieces)
        assert pieces.times == times


def test_a_document_comes_in_steps_of_one_size() -> None:
    data = bytes(range(50))
    for size in range(1, 60):
        for piece in (1, 7, 50, 60):
            assert list(in_steps(in_pieces(data, piece), size)) == in_pieces(data, size)
    assert list(in_steps([], 5)) == []


def test_a_merged_table_is_given_out_in_stretches_of_any_length_and_again() -> None:
    with small_runs():
        derived = derive_table([(DATA / "lines" / "small.vcf").read_bytes()], kind=Kind.GENOTYPE, name="x")
        assert derived is not None
        table = derived.table
        assert isinstance(table, Merged)
        assert Files(derived.files).files() == derived.files
        for rows in (1, 7, table.rows, table.rows + 1):
            assert list(table.stretches(rows)) == list(Files(table.files()).stretches(rows))


def test_many_strings_take_little_and_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    words = Words()
    for word in ("", "a", "é"):
        words.append(word.encode())
    assert list(words) == ["", "a", "é"]
    assert joined_strings(words) == '["","a","é"]'.encode()
    assert joined_strings([]) == b"[]"
    monkeypatch.setattr(runs, "MOST_TEXT", 5)
    with pytest.raises(IntakeLimit, match="5 bytes"):
        words.append(b"abc")


def test_too_many_strings_of_all_runs_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgehold.codecs.events.MOST_NAMES", 6)
    for most in (5, 6):
        rows = EventRows()
        with small_runs():
            for number in range(most):
                rows.add(number, f"code {number}")
            if most == 5:
                assert rows.derived().rows == 5
            else:
                with pytest.raises(IntakeLimit, match="6 different"):
                    rows.derived()


def test_strings_that_rows_share_have_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    files = encode_table([Event(number, "A", text="long words") for number in range(9)])
    assert cut(files)[0].rows == 9
    monkeypatch.setattr(segments, "MOST_STRINGS", 10)
    with pytest.raises(IntakeLimit, match="share"):
        cut(files)


def test_lines_are_put_together_from_any_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "a\n\nlonger é\nend".encode()
    for size in range(1, len(text) + 1):
        assert list(lines_of(in_pieces(text, size))) == [b"a\n", b"\n", "longer é\n".encode(), b"end"]
    with pytest.raises(BadRow, match="byte 5: not UTF-8"):
        list(lines_of([b"ab\n", b"cd\xff\n"]))
    with pytest.raises(BadRow, match="byte 5: not UTF-8"):
        list(lines_of([b"ab\nc", b"d\xff"]))
    monkeypatch.setattr(variants, "MOST_LINE", 3)
    assert list(lines_of([b"ab\n", b"abc"])) == [b"ab\n", b"abc"]
    for pieces in ([b"abc\n"], [b"ab", b"c\n"], [b"abcd"], [b"ab", b"cd"]):
        with pytest.raises(IntakeLimit, match="line of more"):
            list(lines_of(pieces))


def test_what_is_read_at_once_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DATA / "lines" / "array.txt").read_bytes()
    assert derive_table(in_pieces(text, 100), kind=Kind.GENOTYPE, name="x") is not None
    monkeypatch.setattr(derive, "MOST_AT_ONCE", 100)
    with pytest.raises(LargeFile, match="more than 100 bytes"):
        derive_table(in_pieces(text, 100), kind=Kind.GENOTYPE, name="x")


def test_lines_of_a_table_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(laboratory, "MOST_EMPTY", 3)
    monkeypatch.setattr(laboratory, "MOST_LINE", 20)
    monkeypatch.setattr(laboratory, "MOST_ROW", 50)
    head = b"date,test,result\n"
    for pieces, words in (
        ([head, b",\n" * 5], "empty lines"),
        ([head, b'"",\n' * 5], "hold nothing"),
        ([head, b"x" * 21], "a line of more"),
        ([head, b"x" * 15, b"x" * 15], "a line of more"),
        ([head, b"2020-01-01,a," + b'"b\n","b\n",' * 5], "a row of more"),
    ):
        with pytest.raises(IntakeLimit, match=words):
            derive_laboratory(pieces)
    found = derive_laboratory([head, b'2020-01-01,"a"', b",1"])  # rows are counted each by itself
    assert decode_table(found.files) == [Event(1577836800, "LAB//a", 1.0)]


def test_rows_and_lines_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    text = (DATA / "lines" / "small.vcf").read_bytes()
    monkeypatch.setattr(genotypes, "MOST_ROWS", 40)
    with small_runs(), pytest.raises(IntakeLimit, match="40 rows"):
        derive_variants([text])
    monkeypatch.setattr(genotypes, "MOST_ROWS", 400)
    monkeypatch.setattr(genotypes, "MOST_EMPTY", 70)
    with small_runs(), pytest.raises(IntakeLimit, match="70 lines"):
        derive_variants([text + b"\n" * 70])
