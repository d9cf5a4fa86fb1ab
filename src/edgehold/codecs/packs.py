"""Where in a gzip, bgzip or ZIP file its packed parts lie (RFC 1952, SAM specification 4.1, PKWARE's APPNOTE 6.3).

Nothing is unpacked here, and nothing believed: sizes and places that a file states are checked against its length and
against each other. What is refused is refused by name; whoever keeps the file whole need not mind.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from mmap import mmap
from typing import Final, TypeAlias

from edgehold.errors import BrokenPack, PackLimit

Bytes: TypeAlias = bytes | mmap
"""Of a file that is in memory, or looked at where it lies."""

GZIP: Final = b"\x1f\x8b\x08"
ZIP: Final = b"PK\x03\x04"
EMPTY_ZIP: Final = b"PK\x05\x06"

MOST_UNPACKED: Final = 1 << 26
"""Bytes of everything that is packed in one file."""
MOST_RATIO: Final = 200
"""How many times larger than packed something may be, beyond `LEAST_ROOM`; records pack to a tenth or fiftieth."""
LEAST_ROOM: Final = 1 << 16
MOST_MEMBERS: Final = 1 << 14
"""Parts of one ZIP file; an Apple Health export has a route for each workout."""
MOST_STREAMS: Final = 1 << 13
"""Members of one gzip file; bgzip has one for each 64 KiB."""

STORED, DEFLATED = 0, 8
"""Methods of ZIP."""

_HAS_CHECKSUM, _HAS_EXTRA, _HAS_NAME, _HAS_COMMENT, _RESERVED = 2, 4, 8, 16, 0xE0
_END: Final = struct.Struct("<4s4H2IH")
_END_64: Final = struct.Struct("<4sQ2H2I4Q")
_LOCATOR: Final = struct.Struct("<4sIQI")
_ENTRY: Final = struct.Struct("<4s6H3I5H2I")
LOCAL: Final = struct.Struct("<4s5H3I2H")
IS_ENCRYPTED, _IS_UTF8 = 1, 1 << 11


def is_pack(sample: bytes) -> bool:
    """Whether a file that begins so is gzip, bgzip or ZIP."""
    return sample.startswith((GZIP, ZIP, EMPTY_ZIP))


def room_for(packed: int) -> int:
    """How many bytes so many packed ones may hold, if they are unpacked at once."""
    return min(MOST_UNPACKED, most_inside(packed))


def most_inside(packed: int) -> int:
    """How many bytes so many packed ones may hold at all."""
    return MOST_RATIO * packed + LEAST_ROOM


# ── gzip ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def stream_start(data: bytes, at: int) -> int | None:
    """Where the deflate stream of the gzip member at a place begins; none if no member begins there."""
    if len(data) < at + 10 or not data.startswith(GZIP, at):
        return None
    flags = data[at + 3]
    start = at + 10
    if flags & _RESERVED:
        return None
    if flags & _HAS_EXTRA:
        start += 2 + int.from_bytes(data[start : start + 2], "little")
    for flag in (_HAS_NAME, _HAS_COMMENT):
        if flags & flag:
            end = data.find(b"\0", start)
            if end < 0:
                return None
            start = end + 1
    if flags & _HAS_CHECKSUM:
        start += 2
    return start if start <= len(data) else None


def is_block(gap: bytes, *, is_first: bool) -> bool:
    """Whether bytes between two streams end with the header of a bgzip block, which states the block's size."""
    least = 18 if is_first else 26
    return len(gap) >= least and gap[-18:-14] == b"\x1f\x8b\x08\x04" and gap[-8:-2] == b"\x06\0BC\x02\0"


# ── ZIP ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Member:
    """One part of a ZIP file, as its directory has it."""

    name: str
    method: int
    start: int
    """Where its bytes begin, behind its own header."""
    packed: int
    size: int
    checksum: int


def zip_members(data: Bytes, place: str, most: int | None = None) -> list[Member]:
    """The parts of a ZIP file that are no folders and not encrypted, in the order in which they lie.

    Raises `BrokenPack` if the directory is none, leads outside, or says that parts overlap; `PackLimit` if it has too
    many, or says that they hold more than `most` bytes, or more than is believed of a file that is unpacked at once.
    """
    most = room_for(len(data)) if most is None else most
    begin, size, count = _directory(data, place)
    if count > MOST_MEMBERS:
        raise PackLimit(f"{place}: /: {count} parts are more than {MOST_MEMBERS}")
    found = sorted(_entries(data, begin, size, count, place), key=lambda one: one.start)
    for one, other in pairwise(found):
        if one.start + one.packed > other.start:
            raise BrokenPack(f"{place}: /{other.name}: lies where /{one.name} does")
    if found and found[-1].start + found[-1].packed > begin:
        raise BrokenPack(f"{place}: /{found[-1].name}: lies where the directory does")
    if sum(one.size for one in found) > most:
        raise PackLimit(f"{place}: /: says that it holds more than {most} bytes")
    return found


def _directory(data: Bytes, place: str) -> tuple[int, int, int]:
    """Where the directory begins, how many bytes and entries it has."""
    end = len(data) - _END.size + 1
    least = max(end - 0x10000, 0)
    while True:
        end = data.rfind(EMPTY_ZIP, least, max(end + 3, 0))
        if end < 0:
            raise BrokenPack(f"{place}: /: the directory of the ZIP file is missing, as if it broke off")
        _, disk, first, here, count, size, begin, comment = _END.unpack_from(data, end)
        if end + _END.size + comment == len(data):
            break
    if 0xFFFF in (count, here) or 0xFFFFFFFF in (size, begin):
        end, count, size, begin = _directory_64(data, end, place)
    elif disk or first or here != count:
        raise BrokenPack(f"{place}: /: is one of several files of an archive")
    if begin + size > end:
        raise BrokenPack(f"{place}: /: the directory of the ZIP file is not where it is said to be")
    return begin, size, count


def _directory_64(data: Bytes, end: int, place: str) -> tuple[int, int, int, int]:
    at = end - _LOCATOR.size
    if at >= 0:
        magic, _, begin, _ = _LOCATOR.unpack_from(data, at)
        if magic == b"PK\x06\x07" and begin + _END_64.size <= at and data[begin : begin + 4] == b"PK\x06\x06":
            *_, here, count, size, first = _END_64.unpack_from(data, begin)
            if here == count:
                return begin, count, size, first
    raise BrokenPack(f"{place}: /: the directory of the ZIP64 file is missing")


def _entries(data: Bytes, at: int, size: int, count: int, place: str) -> Iterator[Member]:
    end = at + size
    for number in range(count):
        if at + _ENTRY.size > end or data[at : at + 4] != b"PK\x01\x02":
            raise BrokenPack(f"{place}: /: entry {number} of {count} in the directory is missing")
        fields = _ENTRY.unpack_from(data, at)
        flags, method, checksum, packed, plain, names, extras, comments = *fields[3:5], *fields[7:13]
        header = fields[16]
        at += _ENTRY.size
        name = name_of(data[at : at + names], flags)
        sizes = sizes_of(data[at + names : at + names + extras], plain, packed, header)
        if sizes is None:
            raise BrokenPack(f"{place}: /{name}: has no sizes")
        plain, packed, header = sizes
        at += names + extras + comments
        if name.endswith("/") or flags & IS_ENCRYPTED:
            continue
        yield Member(name, method, _start(data, header, packed, f"{place}: /{name}"), packed, plain, checksum)


def name_of(name: bytes, flags: int) -> str:
    """What a part is called."""
    return name.decode("utf-8" if flags & _IS_UTF8 else "cp437", "replace")


def sizes_of(extra: bytes, plain: int, packed: int, header: int) -> tuple[int, int, int] | None:
    """Size, packed size and place of a part, where they are too large for their fields from the extra field of ZIP64."""
    if 0xFFFFFFFF not in (plain, packed, header):
        return plain, packed, header
    while len(extra) >= 4:
        number, size = struct.unpack_from("<2H", extra)
        value, extra = extra[4 : 4 + size], extra[4 + size :]
        if number == 1:
            wide = iter(struct.unpack_from(f"<{len(value) // 8}Q", value))
            found = [next(wide, -1) if one == 0xFFFFFFFF else one for one in (plain, packed, header)]
            return None if -1 in found else (found[0], found[1], found[2])
    return None


def _start(data: Bytes, header: int, packed: int, place: str) -> int:
    if header + LOCAL.size > len(data) or data[header : header + 4] != ZIP:
        raise BrokenPack(f"{place}: does not begin at byte {header}")
    *_, names, extras = LOCAL.unpack_from(data, header)
    start = header + LOCAL.size + names + extras
    if start + packed > len(data):
        raise BrokenPack(f"{place}: breaks off")
    return int(start)
