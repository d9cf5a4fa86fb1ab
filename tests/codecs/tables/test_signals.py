"""Signals: every sample is the one that the reference implementation reads, and a header says how."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracle import wfdb
from seen import DATA, events

from edgehold.codecs.events import MISSING_TIME
from edgehold.codecs.tables.annotations import derive_annotations, mark_of, read_annotations
from edgehold.codecs.tables.form import column_of, schema_of
from edgehold.codecs.tables.signals import MISSING, MOST_CHANNELS, derive_signals, read_header, samples_in
from edgehold.errors import BadSignal, IntakeLimit, NoTable

SAMPLES = DATA / "samples"

pytestmark = pytest.mark.filterwarnings("ignore:The inplace keyword")
"""What the reference implementation still asks of its libraries."""


def table(folder: Path, record: str, file: str) -> dict[str, bytes]:
    return dict(derive_signals((folder / file).read_bytes(), file, (folder / f"{record}.hea").read_bytes()).files)


def columns(files: dict[str, bytes]) -> list[np.ndarray[Any, Any]]:
    return [np.frombuffer(files[one["column"]], "<i8") for one in schema_of(files)["channels"]]


def write(folder: Path, record: str, header: str, **files: bytes) -> None:
    (folder / f"{record}.hea").write_text(header)
    for name, data in files.items():
        (folder / f"{record}.{name}").write_bytes(data)


@pytest.mark.parametrize(("record", "frames"), [("100", 10_000), ("3975656_0005", 12_000)])
def test_samples_and_units_are_those_of_the_reference(tmp_path: Path, record: str, frames: int) -> None:
    """The files here are the first bytes of their records; the reference wants the header to say so."""
    header = (SAMPLES / f"{record}.hea").read_text()
    said = next(line for line in header.splitlines() if line.startswith(record))
    (tmp_path / f"{record}.hea").write_text(header.replace(said.split()[3], str(frames), 1))
    shutil.copy(SAMPLES / f"{record}.dat", tmp_path)
    read = wfdb.rdrecord(str(tmp_path / record), physical=False)
    files = table(tmp_path, record, f"{record}.dat")
    found = columns(files)
    assert len(found) == read.n_sig
    for place, column in enumerate(found):
        assert np.array_equal(column, read.d_signal[:, place])
    schema = schema_of(files)
    assert (schema["rows"], schema["rate"], schema["record"]) == (frames, read.fs, record)
    for place, channel in enumerate(schema["channels"]):
        assert channel["gain"] == pytest.approx(read.adc_gain[place])
        assert (channel["baseline"], channel["unit"]) == (read.baseline[place], read.units[place])
        assert channel["name"] == read.sig_name[place]


PACKED = {16: 2, 61: 2, 80: 1, 212: 1.5}


@pytest.mark.parametrize("form", PACKED)
@given(data=st.data())
def test_each_format_is_read_as_the_reference_reads_it(
    form: int, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Any bytes are samples, also behind an offset, with channels of several samples a frame, and moved up by skews: the
    reference fails on some of these, so it reads without them, and its samples are moved here."""
    folder = tmp_path_factory.mktemp("record")
    per_frame = data.draw(st.lists(st.sampled_from([1, 2, 4]), min_size=1, max_size=3))
    frames = data.draw(st.integers(4, 12)) * 2
    offset = data.draw(st.sampled_from([0, 24]))
    skews = [data.draw(st.integers(0, 3)) for _ in per_frame]
    size = int(frames * sum(per_frame) * PACKED[form])
    body = data.draw(st.binary(min_size=offset + size, max_size=offset + size))

    def header(moved: list[int], form: int = form) -> str:
        said = [
            f"r.dat {form}{'' if each == 1 else f'x{each}'}{f':{skew}' if skew else ''}{f'+{offset}' if offset else ''} 200 12 0"
            for each, skew in zip(per_frame, moved, strict=True)
        ]
        return f"r {len(per_frame)} 100 {frames}\n" + "\n".join(said) + "\n"

    if form == 61:  # of which the reference reads nothing: it is 16 with the bytes of each sample in the other order
        write(folder, "r", header([0] * len(skews), 16), dat=np.frombuffer(body, "<i2").byteswap().tobytes())
    else:
        write(folder, "r", header([0] * len(skews)), dat=body)
    read = wfdb.rdrecord(str(folder / "r"), physical=False, smooth_frames=False)
    write(folder, "r", header(skews), dat=body)
    files = table(folder, "r", "r.dat")
    most = max(per_frame)
    assert schema_of(files)["rows"] == frames * most
    assert schema_of(files)["rate"] == 100 * most
    for place, (each, column) in enumerate(zip(per_frame, columns(files), strict=True)):
        every = schema_of(files)["channels"][place]["every"]
        assert every == most // each
        moved = read.e_d_signal[place][skews[place] * each :]
        assert np.array_equal(column[::every], [*moved, *[MISSING[form]] * (skews[place] * each)])
        assert np.array_equal(column, np.repeat(column[::every], every))


def test_a_matlab_matrix_is_read_behind_its_header(tmp_path: Path) -> None:
    """As the records of the PhysioNet challenges are."""
    samples = np.arange(-300, 300, dtype="<i2").reshape(300, 2)
    head = struct.pack("<5I", 30, 2, 300, 0, 4) + b"val\0"
    header = "a1 2 500 300\na1.mat 16+24 1000/mV 16 0 0 0 0 I\na1.mat 16+24 1000/mV 16 0 0 0 0 II\n"
    write(tmp_path, "a1", header, mat=head + samples.tobytes())
    found = columns(table(tmp_path, "a1", "a1.mat"))
    assert np.array_equal(np.column_stack(found), samples)
    assert np.array_equal(np.column_stack(found), wfdb.rdrecord(str(tmp_path / "a1"), physical=False).d_signal)


def test_each_file_of_a_record_has_the_table_of_its_own_channels(tmp_path: Path) -> None:
    header = "r 3 10 4 12:00:00.5 01/02/2003\nr.dat 16\nr.dat 16 100(7)/mmHg 16 0 0 0 0 ABP\nr.xyz 80 26/mV 8 0 -5 0 0 MCL 1\n"
    write(tmp_path, "r", header, dat=struct.pack("<8h", *range(8)), xyz=bytes((128, 129, 127, 0)))
    first, second = table(tmp_path, "r", "r.dat"), table(tmp_path, "r", "r.xyz")
    assert [column.tolist() for column in columns(first)] == [[0, 2, 4, 6], [1, 3, 5, 7]]
    assert [column.tolist() for column in columns(second)] == [[0, 1, -1, -128]]
    one, other = schema_of(first), schema_of(second)
    assert one["start"] == other["start"] == 1044100800.5
    assert [channel["name"] for channel in one["channels"] + other["channels"]] == ["", "ABP", "MCL 1"]
    assert one["channels"][0] | one["channels"][1] == {
        "name": "ABP",
        "column": "sample_1.i64",
        "unit": "mmHg",
        "gain": 100.0,
        "baseline": 7,
        "missing": -32768,
        "every": 1,
    }
    derived = derive_signals((tmp_path / "r.dat").read_bytes(), "r.dat", header.encode())
    assert derived.years == (2003, 2003)


def test_a_signal_that_breaks_off_says_so() -> None:
    derived = derive_signals(bytes(7), "r.dat", b"r 1 10 100\nr.dat 16\n")
    assert derived.note == "it ends after 3 of 100 frames"
    assert schema_of(derived.files)["rows"] == 3


def test_a_skew_longer_than_the_signal_leaves_nothing() -> None:
    derived = derive_signals(struct.pack("<3h", 1, 2, 3), "r.dat", b"r 1\nr.dat 16:9\n")
    assert column_of(derived.files, "sample_0.i64").tolist() == [MISSING[16]] * 3
    assert schema_of(derived.files)["rate"] == 250


@pytest.mark.parametrize(
    ("header", "error", "says"),
    [
        ("", BadSignal, "line 1"),
        ("# only words\n", BadSignal, "line 1"),
        ("r x 100\n", BadSignal, "line 1"),
        ("r 2 100\nr.dat 16\n", BadSignal, "2 channels are said, 1 are described"),
        ("r 1 100\nr.dat\n", BadSignal, "line 2"),
        ("r 1 100\nr.dat 16x0\n", BadSignal, "without samples"),
        ("r 1 0\nr.dat 16\n", BadSignal, "rate"),
        ("r 1 1.2.3\nr.dat 16\n", BadSignal, "no number"),
        ("r 1 1e99\nr.dat 16\n", BadSignal, "rate"),
        ("r 1 100\nr.dat 16 1..2\n", BadSignal, "no number"),
        ("r 1 100 5 12:00:00 31/02/2020\nr.dat 16\n", BadSignal, "a day that does not exist"),
        ("r 1 100 5 12:00:00 31/13/2020\nr.dat 16\n", BadSignal, "no time and date"),
        ("r 1 100 5 12:00 1/1\nr.dat 16\n", BadSignal, "no time and date"),
        (f"r {MOST_CHANNELS + 1} 100\n", IntakeLimit, "channels"),
        ("r/3 2 100 10\nr1 5\n", NoTable, "names no channel"),
        ("r 1 100\nother.dat 16\n", NoTable, "names no channel"),
        ("r 1 100\nr.dat 310\n", NoTable, "format 310"),
        ("r 2 100\nr.dat 16\nr.dat 80\n", BadSignal, "different formats"),
        ("r 1 100\nr.dat 16+999\n", NoTable, "no whole frame"),
        ("r 2 100\nr.dat 16x99991\nr.dat 16x99989\n", NoTable, "no whole frame"),
        ("r 2 100\nr.dat 16x7\nr.dat 16x500\n", NoTable, "no whole frame"),
        ("r 3 100\nr.dat 16x3\nr.dat 16x17\nother 16x97\n", IntakeLimit, "samples"),
    ],
)
def test_what_is_no_record_is_refused_with_the_reason(header: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        derive_signals(bytes(64), "r.dat", header.encode())


def test_headers_have_comments_other_line_ends_and_few_fields() -> None:
    read = read_header(b"# words\r\n\r\nr 1 360/360(0) 0\r\n  r.dat 212 \r\n# more")
    assert (read.record, read.rate, read.frames, read.start, read.segments) == ("r", 360.0, None, None, 0)
    assert (read.channels[0].gain, read.channels[0].unit, read.channels[0].baseline) == (200.0, "mV", 0)
    assert read_header(b"r/4 2 100 10\nr1 5\n").segments == 4
    assert read_header(b"r 1 100\nr.dat 16 0 11 1024 0 0 0 II\n").channels[0].baseline == 1024
    with pytest.raises(IntakeLimit):
        read_header(bytes(1 << 21))


def test_how_many_samples_bytes_hold() -> None:
    assert [samples_in(7, form) for form in (16, 61, 80, 212)] == [3, 3, 7, 4]
    assert samples_in(-1, 16) == 0


# ── annotations ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_annotations_are_those_of_the_reference() -> None:
    read = wfdb.rdann(str(SAMPLES / "100"), "atr")
    found = read_annotations((SAMPLES / "100.atr").read_bytes())
    assert [sample for sample, _, _ in found] == list(read.sample)
    assert [mark_of(code) for _, code, _ in found] == list(read.symbol)
    assert [words.rstrip("\0") for _, _, words in found] == [words.rstrip("\0") for words in read.aux_note]
    derived = derive_annotations((SAMPLES / "100.atr").read_bytes(), (SAMPLES / "100.hea").read_bytes())
    first, second = events(derived)[:2]
    assert first == (MISSING_TIME, "WFDB//+", pytest.approx(18 / 360), "(N", "s")
    assert second.value is not None
    assert derived.years is None


def test_written_by_the_reference_they_are_read_with_their_time_and_resolution(tmp_path: Path) -> None:
    samples = np.array([0, 5, 2000, 2000, 900_000, 3_000_000_0])
    marks, words = list("N+VN~Q"), ["", "(AFIB", "", "", "", ""]
    wfdb.wrann("r", "qrs", samples, marks, aux_note=words, fs=500, write_dir=str(tmp_path))
    header = b"r 0 250 0 10:00:00 24/12/1999\n"
    derived = derive_annotations((tmp_path / "r.qrs").read_bytes(), header)
    found = events(derived)
    assert sorted((one.value, one.code, one.text) for one in found) == [
        (0.0, "WFDB//N", ""),
        (0.01, "WFDB//+", "(AFIB"),
        (4.0, "WFDB//N", ""),
        (4.0, "WFDB//V", ""),
        (1800.0, "WFDB//~", ""),
        (60000.0, "WFDB//Q", ""),
    ]
    assert [one.time - 946029600 for one in found] == [0, 0, 4, 4, 1800, 60000]
    assert derived.years == (1999, 1999)


def word(code: int, step: int) -> bytes:
    return struct.pack("<H", code << 10 | step)


END = word(0, 0)


def test_what_annotations_say_besides_marks() -> None:
    skip = word(59, 0) + struct.pack("<hH", 1, 5)
    text = word(63, 3) + b"abc\0"
    data = skip + word(1, 2) + word(60, 1) + word(61, 1) + word(62, 1) + text + word(45, 3) + END
    assert read_annotations(data) == [(65543, 1, "abc"), (65546, 45, "")]
    assert mark_of(45) == "45"


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "without an end"),
        (word(1, 1), "without an end"),
        (word(1, 1) + END + b"x", "follows the end"),
        (word(59, 0) + b"ab", "half of a number"),
        (word(63, 1) + b"a\0" + END, "belong to no annotation"),
        (word(1, 1) + word(63, 9) + b"a\0", "belong to no annotation"),
        (word(60, 1) + END, "belongs to no annotation"),
        (word(50, 1) + END, "no code"),
        (word(59, 0) + struct.pack("<hH", -1, 0) + word(1, 1) + END, "before"),
    ],
)
def test_what_are_no_annotations_is_refused_at_its_byte(data: bytes, says: str) -> None:
    with pytest.raises(BadSignal, match=rf"byte \d+: .*{says}"):
        read_annotations(data)
