"""Where the pixels lie in a DICOM file whose pixels are native, that is not compressed.

DICOM PS3.5 (data elements, transfer syntaxes) and PS3.10 (files). Elements are only stepped over: what they mean is no
matter here, but for the few that say how the pixels lie.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

PREAMBLE: Final = 128
MAGIC: Final = b"DICM"
UNDEFINED: Final = 0xFFFFFFFF
MOST_DEPTH: Final = 16
"""Of sequences within sequences."""
MOST_HEAD: Final = 1 << 10
"""Elements that say what kind of file it is; there are 24 (PS3.10, 7.1)."""
MOST_ELEMENTS: Final = 1 << 18
"""That are stepped over on the way to the pixels; images with thousands of frames have some ten thousand."""

LONG_FORMS: Final = frozenset(
    {b"OB", b"OW", b"OF", b"OD", b"OL", b"OV", b"SQ", b"UC", b"UR", b"UT", b"UN", b"SV", b"UV"}
)
"""Kinds of values whose length has four bytes (PS3.5, table 7.1-1)."""

TRANSFER_SYNTAX: Final = (0x0002, 0x0010)
SAMPLES: Final = (0x0028, 0x0002)
PLANAR: Final = (0x0028, 0x0006)
ROWS: Final = (0x0028, 0x0010)
COLUMNS: Final = (0x0028, 0x0011)
ALLOCATED: Final = (0x0028, 0x0100)
SIGNED: Final = (0x0028, 0x0103)
PIXELS: Final = (0x7FE0, 0x0010)
ITEM: Final = 0xFFFE
SEQUENCE_END: Final = (0xFFFE, 0xE0DD)
ITEM_END: Final = (0xFFFE, 0xE00D)

Tag = tuple[int, int]


@dataclass(frozen=True)
class Syntax:
    """How elements are written."""

    order: str
    is_explicit: bool


EXPLICIT: Final = Syntax("<", True)
SYNTAXES: Final = {
    b"1.2.840.10008.1.2": Syntax("<", False),
    b"1.2.840.10008.1.2.1": EXPLICIT,
    b"1.2.840.10008.1.2.2": Syntax(">", True),
}
"""Transfer syntaxes with native pixels."""


@dataclass(frozen=True)
class Pixels:
    """Where the pixels lie in a file, and how."""

    start: int
    size: int
    rows: int
    columns: int
    channels: int
    is_planar: bool
    bits: int
    """Of a sample as it lies there: 8 or 16."""
    is_signed: bool
    is_big_endian: bool


@dataclass(frozen=True)
class Element:
    """One element: its value is `data[start : start + size]`, or a sequence that ends somewhere."""

    tag: Tag
    start: int
    size: int

    @property
    def is_open(self) -> bool:
        """Whether only a delimiter says where it ends."""
        return self.size == UNDEFINED


def is_dicom(data: bytes) -> bool:
    """Whether bytes begin like a DICOM file."""
    return data[PREAMBLE : PREAMBLE + len(MAGIC)] == MAGIC


def find_pixels(data: bytes, size: int | None = None) -> Pixels | None:
    """The pixels of a file; None if it is no DICOM file, or not one of native pixels that fill whole images. With the
    size of the file its beginning does, as far as to the pixels."""
    try:
        return _find_pixels(data, len(data) if size is None else size)
    except (struct.error, ValueError, RecursionError):
        return None


def _find_pixels(data: bytes, size: int) -> Pixels | None:
    if not is_dicom(data):
        return None
    syntax: Syntax | None = None
    numbers: dict[Tag, int] = {}
    at = PREAMBLE + len(MAGIC)
    steps = iter(range(MOST_HEAD))
    while data[at : at + 2] == b"\x02\x00":
        element = read_element(data, at, EXPLICIT)
        if element.tag == TRANSFER_SYNTAX:
            syntax = SYNTAXES.get(data[element.start : element.start + element.size].rstrip(b"\0 "))
        at = after(element, steps)
    if syntax is None:
        return None
    for element in elements(data, at, size, syntax):
        if element.tag == PIXELS:
            return describe(element, numbers, syntax)
        if element.tag[0] == 0x0028 and element.size == 2:
            (numbers[element.tag],) = struct.unpack_from(syntax.order + "H", data, element.start)
    return None


def describe(element: Element, numbers: dict[Tag, int], syntax: Syntax) -> Pixels | None:
    """How pixels lie; None if it is in no way that is known here."""
    bits, channels = numbers.get(ALLOCATED, 0), numbers.get(SAMPLES, 1)
    rows, columns = numbers.get(ROWS, 0), numbers.get(COLUMNS, 0)
    image = rows * columns * channels * bits // 8
    if element.is_open or bits not in (8, 16) or not image or element.size < image:
        return None
    return Pixels(
        start=element.start,
        size=element.size // image * image,
        rows=rows,
        columns=columns,
        channels=channels,
        is_planar=channels > 1 and numbers.get(PLANAR, 0) == 1,
        bits=bits,
        is_signed=numbers.get(SIGNED, 0) == 1,
        is_big_endian=syntax.order == ">",
    )


def elements(data: bytes, at: int, end: int, syntax: Syntax) -> Iterator[Element]:
    """The elements between two places, sequences stepped over; ValueError if there are too many."""
    steps = iter(range(MOST_ELEMENTS))
    while at + 8 <= end:
        element = read_element(data, at, syntax, end)
        yield element
        at = end_of_sequence(data, element.start, syntax, 1, steps) if element.is_open else after(element, steps)


def after(element: Element, steps: Iterator[int]) -> int:
    """Where an element ends that says so; ValueError if no more steps are left."""
    if next(steps, None) is None:
        raise ValueError("more elements than any file has")
    return element.start + element.size


def read_element(data: bytes, at: int, syntax: Syntax, end: int | None = None) -> Element:
    """The element that begins at a place; ValueError unless it ends within the data, or before another end."""
    order = syntax.order
    end = len(data) if end is None else end
    group, number = struct.unpack_from(order + "HH", data, at)
    if syntax.is_explicit and group != ITEM:
        if data[at + 4 : at + 6] in LONG_FORMS:
            (size,) = struct.unpack_from(order + "I", data, at + 8)
            return checked(end, Element((group, number), at + 12, size))
        (size,) = struct.unpack_from(order + "H", data, at + 6)
        return checked(end, Element((group, number), at + 8, size))
    (size,) = struct.unpack_from(order + "I", data, at + 4)
    return checked(end, Element((group, number), at + 8, size))


def checked(end: int, element: Element) -> Element:
    """The element, if it ends within the file."""
    if not element.is_open and element.start + element.size > end:
        raise ValueError("an element is longer than the file")
    return element


def end_of_sequence(data: bytes, at: int, syntax: Syntax, depth: int, steps: Iterator[int]) -> int:
    """Where a sequence without a length ends."""
    if depth > MOST_DEPTH:
        raise ValueError("too many sequences within sequences")
    while True:
        item = read_element(data, at, syntax)
        if item.tag == SEQUENCE_END:
            return item.start
        at = end_of_item(data, item.start, syntax, depth, steps) if item.is_open else after(item, steps)


def end_of_item(data: bytes, at: int, syntax: Syntax, depth: int, steps: Iterator[int]) -> int:
    """Where an item without a length ends."""
    while True:
        element = read_element(data, at, syntax)
        if element.tag == ITEM_END:
            return element.start
        is_open = element.is_open
        at = end_of_sequence(data, element.start, syntax, depth + 1, steps) if is_open else after(element, steps)
