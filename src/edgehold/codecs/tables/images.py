"""Images: the table `edgehold.images/1`, one row that says what a DICOM file shows, and nothing of whom.

    column         element                     what
    ─────────────  ──────────────────────────  ─────────────────────────────────────────────────────────────────────
    time.i64       acquisition, content,       seconds since 1970, as if the scanner's time were UTC; the first of these
                   series or study date        dates that is there, missing if none is
    study.u32      (0020,000D)                 identifiers; ours are the file's own
    series.u32     (0020,000E)
    instance.u32   (0008,0018)
    class.u32      (0008,0016)                 what kind of object it is
    modality.u32   (0008,0060)                 CT, MR, CR …
    body.u32       (0018,0015)                 the part of the body, as a code such as CHEST
    rows.u32       (0028,0010)                 of pixels
    columns.u32    (0028,0011)
    frames.u32     (0028,0008)                 1 if nothing is said
    bits.u8        (0028,0101)                 that are used of a sample

Only identifiers, codes, dates and numbers are read, each in the form that DICOM gives it: words, which could name
somebody, are not. What has another form counts as not said.
"""

from __future__ import annotations

import re
import struct
from typing import Final

from edgehold.codecs.dicom import COLUMNS as COLUMN_COUNT
from edgehold.codecs.dicom import (
    EXPLICIT,
    MAGIC,
    PREAMBLE,
    ROWS,
    SYNTAXES,
    TRANSFER_SYNTAX,
    Tag,
    elements,
    is_dicom,
    read_element,
)
from edgehold.codecs.events import MISSING_TIME
from edgehold.codecs.tables.form import SECONDS, STRING, Column, Derived, Strings, table_files, years_between
from edgehold.codecs.tables.moments import moment_of
from edgehold.errors import BadImage, NoTable

SCHEMA: Final = "edgehold.images/1"
DEFLATED: Final = b"1.2.840.10008.1.2.1.99"

UID: Final = re.compile(rb"\d(?:\d|\.(?=\d)){0,63}")
CODE: Final = re.compile(rb"[A-Z0-9][A-Z0-9_ ]{0,15}")
DATE: Final = re.compile(r"(\d{4})\.?(\d\d)\.?(\d\d)", re.ASCII)
TIME: Final = re.compile(r"(\d\d):?(\d\d)?:?(\d\d)?(?:\.\d{1,6})?", re.ASCII)
WHOLE: Final = re.compile(rb"\d{1,9}")

FRAMES: Final = (0x0028, 0x0008)
BITS: Final = (0x0028, 0x0101)
IDENTIFIERS: Final = {
    (0x0020, 0x000D): "study",
    (0x0020, 0x000E): "series",
    (0x0008, 0x0018): "instance",
    (0x0008, 0x0016): "class",
}
CODES: Final = {(0x0008, 0x0060): "modality", (0x0018, 0x0015): "body"}
MOMENTS: Final = (
    ((0x0008, 0x0022), (0x0008, 0x0032)),
    ((0x0008, 0x0023), (0x0008, 0x0033)),
    ((0x0008, 0x0021), (0x0008, 0x0031)),
    ((0x0008, 0x0020), (0x0008, 0x0030)),
)
"""Date and time of acquisition, content, series and study."""
READ: Final = frozenset(
    {*IDENTIFIERS, *CODES, FRAMES, BITS, ROWS, COLUMN_COUNT, *(tag for both in MOMENTS for tag in both)}
)
LAST: Final = max(READ)
"""Behind it nothing is read, so that what follows it, however much, is never walked through."""
MOST_HEADER: Final = 1 << 20
"""Bytes in which all of them have to lie."""
LONGEST: Final = 64
"""Bytes of a value that is read."""

WORDS: Final = ("study", "series", "instance", "class", "modality", "body")
NUMBERS: Final = ("rows", "columns", "frames")
COLUMNS: Final = (
    Column("time", "i64", SECONDS),
    *(Column(name, "u32", STRING) for name in WORDS),
    *(Column(name, "u32", "count") for name in NUMBERS),
    Column("bits", "u8", "count"),
)


def derive_image(data: bytes) -> Derived:
    """The row of a DICOM file; raises `BadImage`, `NoTable`."""
    values, order, note = read_values(data)
    strings = Strings("")
    words = {name: _text(values, tag, UID) for tag, name in IDENTIFIERS.items()}
    words |= {name: _text(values, tag, CODE) for tag, name in CODES.items()}
    if not words["instance"]:
        raise BadImage(note or "no element says which image it is (0008,0018)")
    for word in words.values():
        strings.place(word)
    ordered, _ = strings.take_sorted()
    time = next((time for time in (_moment(values, *both) for both in MOMENTS) if time is not None), None)
    numbers = (
        _short(values, ROWS, order),
        _short(values, COLUMN_COUNT, order),
        int(_text(values, FRAMES, WHOLE) or 1),
    )
    cells = (
        struct.pack("<q", MISSING_TIME if time is None else time),
        *(struct.pack("<I", ordered.index(words[name])) for name in WORDS),
        *(struct.pack("<I", number) for number in numbers),
        bytes((min(255, _short(values, BITS, order)),)),
    )
    files = table_files(SCHEMA, 1, zip(COLUMNS, cells, strict=True), ordered)
    return Derived(schema=SCHEMA, table=files, years=years_between(time, time), note=note)


def read_values(data: bytes) -> tuple[dict[Tag, bytes], str, str]:
    """The values of the elements that are read, which byte is first in those that are numbers, and what keeps them from
    being followed further, if something does. Raises `BadImage`, `NoTable`."""
    if not is_dicom(data):
        raise BadImage("not a DICOM file")
    data = data[:MOST_HEADER]
    at = PREAMBLE + len(MAGIC)
    name = b""
    values: dict[Tag, bytes] = {}
    syntax = EXPLICIT  # also where pixels are compressed: they lie among elements that are not
    try:
        while data[at : at + 2] == b"\x02\x00":
            element = read_element(data, at, EXPLICIT)
            if element.is_open:
                return values, syntax.order, "an element of the file's own has no end"
            if element.tag == TRANSFER_SYNTAX:
                name = data[element.start : element.start + min(element.size, LONGEST)].rstrip(b"\0 ")
            at = element.start + element.size
        if name == DEFLATED:
            raise NoTable("its elements are deflated")
        syntax = SYNTAXES.get(name, EXPLICIT)
        for element in elements(data, at, len(data), syntax):
            if element.tag in READ and element.size <= LONGEST:
                values.setdefault(element.tag, data[element.start : element.start + element.size])
            if element.tag >= LAST:
                break
    except (struct.error, ValueError, RecursionError) as error:
        return values, syntax.order, f"its elements cannot all be followed: {error}"
    return values, syntax.order, ""


def _text(values: dict[Tag, bytes], tag: Tag, form: re.Pattern[bytes]) -> str:
    """A value of a form; empty if it has another."""
    value = values.get(tag, b"").strip(b"\0 ")
    return value.decode("ascii") if form.fullmatch(value) else ""


def _short(values: dict[Tag, bytes], tag: Tag, order: str) -> int:
    value = values.get(tag, b"")
    if len(value) != 2:
        return 0
    number: int = struct.unpack(order + "H", value)[0]
    return number


def _moment(values: dict[Tag, bytes], day: Tag, clock: Tag) -> int | None:
    """A date with its time; None if there is no date that there is."""
    date = DATE.fullmatch(values.get(day, b"").strip(b"\0 ").decode("ascii", "replace"))
    time = TIME.fullmatch(values.get(clock, b"").strip(b"\0 ").decode("ascii", "replace"))
    if date is None:
        return None
    hour, minute, second = time.groups() if time is not None else (None, None, None)
    try:
        return moment_of(int(date[1]), int(date[2]), int(date[3]), [hour, minute, second, None, None])
    except ValueError:
        return None
