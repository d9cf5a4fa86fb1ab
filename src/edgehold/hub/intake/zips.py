"""The parts of a ZIP file in turn, as its bytes come: so that the table of what is inside needs neither the directory, which
comes last, nor all of the file at once.

What stands before each part says what it is (APPNOTE 4.3.7), and a deflate stream says itself where it ends. Of several
parts the one that a table is made of is the largest of the file's kind; other files of an export lie beside it.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from edgehold.codecs.packs import (
    DEFLATED,
    IS_ENCRYPTED,
    LOCAL,
    MOST_MEMBERS,
    STORED,
    ZIP,
    is_pack,
    most_inside,
    name_of,
    sizes_of,
)
from edgehold.codecs.recognise import kind_of_bytes
from edgehold.errors import BrokenPack, NestedPack, NoTable, PackLimit
from edgehold.hub.intake.packs import RAW, SAMPLE, STEP, Ahead, inflated
from edgehold.wire.data import Kind

IS_DESCRIBED_BEHIND: Final = 8
"""Of the flags: lengths and checksum stand behind the part."""
BEHIND: Final = b"PK\x07\x08"
"""May stand before them."""
AFTER_ALL: Final = (b"PK\x01\x02", b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x08")
"""How what follows the last part begins."""
FORMS_BEHIND: Final = (struct.Struct("<I2Q"), struct.Struct("<3I"))
"""Checksum and both lengths, of ZIP64 and of others."""


@dataclass(frozen=True)
class Part:
    """A part of a ZIP file, whose content can be had once, before the next part is asked for."""

    name: str
    content: Iterator[bytes]


class Content:
    """What the largest part of a kind holds, in pieces, as often as that can be had."""

    def __init__(self, pieces: Iterable[bytes], kind: Kind, place: str) -> None:
        """Raises `NoTable` if no part is of the kind, `BrokenPack`, `PackLimit`."""
        self._pieces, self._place = pieces, place
        sizes = {number: size for number, (found, size) in enumerate(measured(pieces, place)) if found is kind}
        if not sizes:
            raise NoTable(f"none of its parts holds data of kind {kind.value}")
        self._number = max(sizes, key=lambda number: (sizes[number], -number))

    def __iter__(self) -> Iterator[bytes]:
        for number, part in enumerate(parts_of(self._pieces, self._place)):
            if number == self._number:
                yield from part.content
                return


def measured(pieces: Iterable[bytes], place: str) -> Iterator[tuple[Kind, int]]:
    """The kind of each part, and how many bytes it holds."""
    for part in parts_of(pieces, place):
        start, size = b"", 0
        for chunk in part.content:
            start += chunk[: SAMPLE - len(start)]
            size += len(chunk)
        yield kind_of_bytes(start), size


def parts_of(pieces: Iterable[bytes], place: str) -> Iterator[Part]:
    """The parts that are no folders, in the order in which they lie; raises `BrokenPack` for what is none and for a wrong
    checksum, `NestedPack` for a part that is packed itself, `PackLimit` for more than is believed."""
    ahead, room = Ahead(pieces), _Room(place)
    for _ in range(MOST_MEMBERS):
        fields = ahead.look(LOCAL.size)
        if fields.startswith(AFTER_ALL):
            return
        if len(fields) < LOCAL.size or not fields.startswith(ZIP):
            raise BrokenPack(f"{place}: byte {ahead.done}: neither a part of the ZIP file nor its directory")
        local = _read_local(ahead, place)
        content = _checked(local, _content(ahead, local, room), ahead)
        if not local.name.endswith("/"):
            yield Part(local.name, content)
        for _ in content:  # what nobody asked for
            pass
    raise PackLimit(f"{place}: /: more than {MOST_MEMBERS} parts")


# ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Local:
    """What stands before a part."""

    name: str
    place: str
    method: int
    is_described_behind: bool
    checksum: int
    packed: int
    size: int


@dataclass
class _Room:
    """How much more may be unpacked."""

    place: str
    content: int = 0

    def take(self, size: int, seen: int) -> None:
        """So many bytes more, of a file of which so many have been seen; raises `PackLimit`."""
        self.content += size
        if self.content > most_inside(seen):
            raise PackLimit(f"{self.place}: /: unpacks to more than {most_inside(seen)} bytes")


def _read_local(ahead: Ahead, place: str) -> _Local:
    """What stands before the next part, which is done with then; raises `BrokenPack`."""
    _, _, flags, method, _, _, checksum, packed, size, names, extras = LOCAL.unpack(ahead.look(LOCAL.size))
    ahead.skip(LOCAL.size)
    words = ahead.look(names + extras)
    name = name_of(words[:names], flags)
    where = f"{place}: /{name}"
    sizes = sizes_of(words[names:], size, packed, 0)
    is_behind = bool(flags & IS_DESCRIBED_BEHIND)
    if len(words) < names + extras or sizes is None:
        raise BrokenPack(f"{where}: has no sizes")
    if flags & IS_ENCRYPTED or method not in (STORED, DEFLATED) or (method == STORED and is_behind):
        raise BrokenPack(f"{where}: is encrypted, or packed in a way that hubs do not know")
    ahead.skip(len(words))
    return _Local(name, where, method, is_behind, checksum, sizes[1], sizes[0])


def _content(ahead: Ahead, local: _Local, room: _Room) -> Iterator[bytes]:
    """What a part holds; raises `BrokenPack` if it breaks off."""
    if local.method == STORED:
        left = local.packed
        while left:
            chunk = ahead.look(min(left, STEP))[:left]
            if not chunk:
                raise BrokenPack(f"{local.place}: breaks off")
            ahead.skip(len(chunk))
            left -= len(chunk)
            room.take(len(chunk), ahead.seen)
            yield chunk
        return
    for chunk in inflated(ahead, RAW, f"{local.place}:"):
        room.take(len(chunk), ahead.seen)
        yield chunk


def _checked(local: _Local, chunks: Iterator[bytes], ahead: Ahead) -> Iterator[bytes]:
    """The same, and behind it whether it has the length and the checksum that are stated of it."""
    begun, size, checksum = ahead.done, 0, 0
    for chunk in chunks:
        if not size and is_pack(chunk):
            raise NestedPack(f"{local.place}: holds a packed file itself")
        size += len(chunk)
        checksum = zlib.crc32(chunk, checksum)
        yield chunk
    found = (checksum, ahead.done - begun, size)
    stated = _stated_behind(ahead, found) if local.is_described_behind else (local.checksum, local.packed, local.size)
    if stated != found:
        raise BrokenPack(f"{local.place}: its length or checksum is not the stated one")


def _stated_behind(ahead: Ahead, found: tuple[int, int, int]) -> tuple[int, ...] | None:
    """What stands behind a part, with or without a mark before it, in the width that the file goes on behind; none if it
    is not what was found."""
    mark = len(BEHIND) if ahead.look(len(BEHIND)) == BEHIND else 0
    for form in FORMS_BEHIND:
        size = mark + form.size
        fields = ahead.look(size + len(ZIP))
        if fields[size:] in (ZIP, *AFTER_ALL) and form.unpack(fields[mark:size]) == found:
            ahead.skip(size)
            return found
    return None
