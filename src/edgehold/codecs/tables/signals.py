"""Signals: the table `edgehold.signals/1` of one signal file of a WFDB record, and the header that says how to read it.

A record of WFDB is a header (`100.hea`) and the files that it names (`100.dat`; there may be several), and a hub keeps each
as an object of its own. *Each signal file has the table of its own channels*, made of the file and of the header with the
same stem beside it; so to erase a file is to erase its samples, and nothing of it lies elsewhere. The tables of one record
name it (`record`), and have the same rate, start and number of rows.

    column         what
    ─────────────  ────────────────────────────────────────────────────────────────────────────────────────────────
    sample_0.i64   the samples of the file's first channel as the converter gave them, one a row
    sample_1.i64   those of the second, and so on

`schema.json` says what holds of all rows: `record`, `file`, `rate` (rows a second), `start` (seconds since 1970 of the first
row, as if the header's local time were UTC; null without a date), and of each channel `name`, `column`, `unit`, `gain`,
`baseline` (a sample is (sample − baseline) / gain of the unit), `missing` (the sample that stands for none) and `every`: a
channel that has fewer samples than another repeats each over so many rows.

*Formats* 16, 61, 80 and 212, from an offset on; a MATLAB 4 matrix is format 16 behind 24 bytes. Rows are frames, times the
least common multiple of the samples that the channels have in a frame. A channel with a skew is moved up by as many frames, and
ends with missing samples.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from edgehold.codecs.events import days_since_1970
from edgehold.codecs.tables.form import Column, Derived, table_files, years_between
from edgehold.errors import BadSignal, IntakeLimit, NoTable

SCHEMA: Final = "edgehold.signals/1"
MOST_HEADER: Final = 1 << 20
"""Bytes."""
MOST_CHANNELS: Final = 256
MOST_SAMPLES: Final = 1 << 24
"""Of one table, repeated ones too; eight bytes each."""
MOST_ROWS_A_FRAME: Final = 1 << 10

RECORD: Final = re.compile(
    r"([\w./-]{1,200}?)(?:/(\d{1,6}))?[ \t]+(\d{1,6})"
    r"(?:[ \t]+([\d.]{1,30}(?:[eE][+-]?\d{1,2})?)(?:/[^\s]*)?(?:[ \t]+(\d{1,15})(?:[ \t]+([\d:.]+)(?:[ \t]+([\d/]+))?)?)?)?\s*",
    re.ASCII,
)
CHANNEL: Final = re.compile(
    r"(\S{1,200})[ \t]+(\d{1,3})(?:x(\d{1,5}))?(?::(\d{1,9}))?(?:\+(\d{1,10}))?"
    r"(?:[ \t]+([+-]?[\d.]{1,30}(?:[eE][+-]?\d{1,2})?)(?:\((-?\d{1,10})\))?(?:/(\S{1,40}))?"
    r"(?:[ \t]+(-?\d{1,3})(?:[ \t]+(-?\d{1,10})"
    r"(?:[ \t]+(?:-?\d+)(?:[ \t]+(?:-?\d+)(?:[ \t]+(?:\d+)(?:[ \t]+(.{0,400}?))?)?)?)?)?)?)?\s*",
    re.ASCII,
)
CLOCK: Final = re.compile(r"(?:(?:(\d{1,2}):)?(\d{1,2}):)?(\d{1,2})(?:\.(\d{1,9}))?", re.ASCII)
DAY: Final = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})", re.ASCII)

MISSING: Final = {16: -(2**15), 61: -(2**15), 80: -(2**7), 212: -(2**11)}
"""The formats that are read, and the sample that stands for none in each."""
LEAST_RATE, MOST_RATE = 1e-3, 1e9
DEFAULT_RATE: Final = 250.0
DEFAULT_GAIN: Final = 200.0

_SIGN: Final = bytes(0xFF if high & 0x80 else 0 for high in range(256))
_OFFSET: Final = bytes(low ^ 0x80 for low in range(256))
_OFFSET_SIGN: Final = bytes(0 if low & 0x80 else 0xFF for low in range(256))
_LOW_NIBBLE: Final = bytes((both & 15) | (0xF0 if both & 8 else 0) for both in range(256))
_HIGH_NIBBLE: Final = bytes((both >> 4) | (0xF0 if both & 128 else 0) for both in range(256))


@dataclass(frozen=True, kw_only=True)
class Channel:
    """What a header says of one channel."""

    file: str
    format: int
    samples: int
    """In a frame."""
    skew: int
    """Frames by which it is to be moved up."""
    offset: int
    gain: float
    baseline: int
    unit: str
    name: str


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a header says of a record."""

    record: str
    segments: int
    """If it only names other records, how many; else 0."""
    rate: float
    """Frames a second."""
    frames: int | None
    start: float | None
    """Seconds since 1970."""
    channels: Sequence[Channel]


def derive_signals(data: bytes, name: str, header: bytes) -> Derived:
    """The channels of a signal file of this name; raises `IntakeError`."""
    about = read_header(header)
    places = [(place, one) for place, one in enumerate(about.channels) if one.file == name]
    if not places:
        raise NoTable(f"the header of record {about.record} names no channel of this file")
    channels = [one for _, one in places]
    first = channels[0]
    if first.format not in MISSING:
        raise NoTable(f"a signal of format {first.format}; read are {', '.join(map(str, MISSING))}")
    if any((one.format, one.offset) != (first.format, first.offset) for one in channels):
        raise BadSignal("the channels of one file are of different formats")
    frame = sum(one.samples for one in channels)
    rows_a_frame = math.lcm(*(one.samples for one in about.channels))
    here = samples_in(len(data) - first.offset, first.format) // frame
    frames = here if about.frames is None else min(here, about.frames)
    rows = frames * rows_a_frame
    if not rows:
        raise NoTable(f"{len(data)} bytes hold no whole frame of {frame} samples")
    if rows_a_frame > MOST_ROWS_A_FRAME or rows * len(channels) > MOST_SAMPLES:
        raise IntakeLimit(f"{rows} rows of {len(channels)} channels are more than {MOST_SAMPLES} samples")
    low, high = unpack(data[first.offset :], first.format, frames * frame)
    columns, facts = [], []
    at = 0
    for number, channel in enumerate(channels):
        column = Column(f"sample_{number}", "i64", f"(sample - baseline) / gain {channel.unit}")
        columns.append((column, widen(low, high, at, frame, channel, rows_a_frame)))
        at += channel.samples
        facts.append(
            {
                "name": channel.name,
                "column": column.file,
                "unit": channel.unit,
                "gain": channel.gain,
                "baseline": channel.baseline,
                "missing": MISSING[channel.format],
                "every": rows_a_frame // channel.samples,
            }
        )
    rate = about.rate * rows_a_frame
    files = table_files(
        SCHEMA, rows, columns, record=about.record, file=name, rate=rate, start=about.start, channels=facts
    )
    end = None if about.start is None else int(about.start + max(0, rows - 1) / rate)
    note = "" if about.frames is None or here >= about.frames else f"it ends after {here} of {about.frames} frames"
    years = years_between(None if about.start is None else int(about.start), end)
    return Derived(schema=SCHEMA, table=files, years=years, note=note)


# ── the header ────────────────────────────────────────────────────────────────────────────────────────────────────


def read_header(data: bytes) -> Header:
    """Read a header (`header(5)` of WFDB); raises `BadSignal`, which names the line, `IntakeLimit`."""
    if len(data) > MOST_HEADER:
        raise IntakeLimit(f"a header of more than {MOST_HEADER} bytes")
    lines = [
        (number, line)
        for number, line in enumerate(data.decode("utf-8", "replace").split("\n"), 1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    match = RECORD.fullmatch(lines[0][1].strip()) if lines else None
    if match is None:
        raise BadSignal("line 1: no record of WFDB")
    record, segments, count, rate, frames, clock, day = match.groups()
    if int(count) > MOST_CHANNELS:
        raise IntakeLimit(f"line {lines[0][0]}: more than {MOST_CHANNELS} channels")
    channels = []
    if segments is None:
        if len(lines) <= int(count):
            raise BadSignal(f"line {lines[-1][0]}: {count} channels are said, {len(lines) - 1} are described")
        channels = [_channel(number, line) for number, line in lines[1 : int(count) + 1]]
    frames_a_second = _number(rate, DEFAULT_RATE, lines[0][0])
    if not LEAST_RATE <= frames_a_second <= MOST_RATE:
        raise BadSignal(f"line {lines[0][0]}: no rate of samples")
    return Header(
        record=record,
        segments=int(segments or 0),
        rate=frames_a_second,
        frames=int(frames) if frames and int(frames) else None,
        start=_start(clock, day, lines[0][0]),
        channels=channels,
    )


def _channel(number: int, line: str) -> Channel:
    match = CHANNEL.fullmatch(line.strip())
    if match is None:
        raise BadSignal(f"line {number}: no channel of WFDB")
    file, kind, samples, skew, offset, gain, baseline, unit, _, zero, name = match.groups()
    if samples is not None and not int(samples):
        raise BadSignal(f"line {number}: a channel without samples")
    return Channel(
        file=file,
        format=int(kind),
        samples=int(samples or 1),
        skew=int(skew or 0),
        offset=int(offset or 0),
        gain=_number(gain, DEFAULT_GAIN, number) or DEFAULT_GAIN,
        baseline=int(baseline if baseline is not None else zero or 0),
        unit=unit or "mV",
        name=(name or "").strip(),
    )


def _number(text: str | None, otherwise: float, line: int) -> float:
    try:
        return float(text) if text else otherwise
    except ValueError as error:
        raise BadSignal(f"line {line}: no number") from error


def _start(clock: str | None, day: str | None, line: int) -> float | None:
    """Seconds since 1970 of a time and a date; None without a date."""
    if clock is None or day is None:
        return None
    time, date = CLOCK.fullmatch(clock), DAY.fullmatch(day)
    if time is None or date is None or not 1 <= int(date[2]) <= 12 or not 1 <= int(date[1]) <= 31:
        raise BadSignal(f"line {line}: no time and date")
    try:
        days = days_since_1970(int(date[3]), int(date[2]), int(date[1]))
    except ValueError as error:
        raise BadSignal(f"line {line}: {error}") from error
    seconds = 3600 * int(time[1] or 0) + 60 * int(time[2] or 0) + int(time[3])
    return 86400 * days + seconds + float(f"0.{time[4] or 0}")


# ── samples ───────────────────────────────────────────────────────────────────────────────────────────────────────


def samples_in(size: int, form: int) -> int:
    """How many samples so many bytes of a format hold."""
    if size <= 0:
        return 0
    if form == 80:
        return size
    return size * 2 // 3 if form == 212 else size // 2


def unpack(data: bytes, form: int, count: int) -> tuple[bytes, bytes]:
    """The low and the high bytes of so many samples, as 16-bit numbers with a sign. All are taken at once: no sample goes
    through the interpreter."""
    if form == 80:
        return data[:count].translate(_OFFSET), data[:count].translate(_OFFSET_SIGN)
    if form == 212:
        pairs = -(-count // 2)
        data = data[: 3 * pairs].ljust(3 * pairs, b"\0")
        both = data[1::3]
        low, high = bytearray(2 * pairs), bytearray(2 * pairs)
        low[0::2], low[1::2] = data[0::3], data[2::3]
        high[0::2], high[1::2] = both.translate(_LOW_NIBBLE), both.translate(_HIGH_NIBBLE)
        return bytes(low[:count]), bytes(high[:count])
    low_at = 1 if form == 61 else 0
    data = data[: 2 * count]
    return data[low_at::2], data[1 - low_at :: 2]


def widen(low: bytes, high: bytes, at: int, frame: int, channel: Channel, rows_a_frame: int) -> bytes:
    """The column of a channel, whose samples begin at a place of each frame: eight bytes a row, moved up by its skew."""
    frames = len(low) // frame
    rows = frames * rows_a_frame
    every = rows_a_frame // channel.samples
    missing = MISSING[channel.format].to_bytes(2, "little", signed=True)
    moved = min(channel.skew, frames) * rows_a_frame
    column = bytearray(8 * rows)
    sign: Any = b""
    for byte, source in enumerate((low, high)):
        one = bytearray(rows)
        for row in range(rows_a_frame):
            one[row::rows_a_frame] = source[at + row // every :: frame]
        one = one[moved:] + missing[byte : byte + 1] * moved
        column[byte::8] = one
        sign = one.translate(_SIGN)
    for byte in range(2, 8):
        column[byte::8] = sign
    return bytes(column)
