"""Packed files as a hub takes them in: what is inside by how it begins, whether all of it can be unpacked, and the text
of a packed record.

A packed file is kept whole: it comes back byte for byte, broken or not. So what is wrong with it is said, not refused;
and no more is unpacked than a file of its size can honestly hold.
"""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePath
from typing import Final

from edgehold.codecs.packs import (
    DEFLATED,
    GZIP,
    LEAST_ROOM,
    MOST_STREAMS,
    MOST_UNPACKED,
    STORED,
    Bytes,
    Member,
    is_block,
    is_pack,
    most_inside,
    room_for,
    zip_members,
)
from edgehold.codecs.recognise import is_fhir_text, kind_of_bytes, title_of
from edgehold.errors import BrokenPack, IntakeError, NestedPack, PackLimit
from edgehold.wire.data import Kind

SAMPLE: Final = 1 << 16
STEP: Final = 1 << 20
"""Bytes that are unpacked at once."""
LEAST_STEP: Final = 1 << 12
"""Of each member of a gzip file at first: there may be many."""
MOST_LOOKED_INTO: Final = 256
"""Parts of a ZIP file, the largest first, by which its kind is known."""
UNPACKED: Final = frozenset({".gz", ".bgz", ".gzip"})
"""Ends of names that a file loses with its packing."""
_WITH_HEADER, RAW = 31, -15


@dataclass(frozen=True)
class Inside:
    """What a packed file holds."""

    pack: str
    """How it is packed, for people."""
    kind: Kind
    title: str
    """What it holds, for people."""


def look_inside(data: Bytes) -> Inside:
    """What the beginning of a packed file tells of its content; of a ZIP file the whole is needed, else the kind is
    `Kind.OTHER`."""
    if data[: len(GZIP)] == GZIP:
        start = beginning(data)
        kind = Kind.OTHER if is_pack(start) else kind_of_bytes(start)
        return Inside("bgzip" if is_block(data[:18], is_first=True) else "gzip", kind, title_of(kind, start))
    try:
        members = zip_members(data, "", most_inside(len(data)))
    except IntakeError:
        members = []
    sizes = Counter[Kind]()
    titles: dict[Kind, str] = {}
    for one in sorted(members, key=lambda one: -one.size)[:MOST_LOOKED_INTO]:
        start = _beginning_of(data, one)
        kind = kind_of_bytes(start)
        if kind is not Kind.OTHER:
            sizes[kind] += 0 if is_document(kind, start) else one.size
            titles.setdefault(kind, title_of(kind, start))
    kind = max(sizes, key=lambda kind: (sizes[kind], kind), default=Kind.OTHER)
    others = [one.value for one in sorted(sizes) if one is not kind]
    title = titles.get(kind, title_of(Kind.OTHER, b"")) + (f" with {', '.join(others)}" if others else "")
    return Inside(f"ZIP of {len(members)} parts", kind, title)


def is_document(kind: Kind, start: bytes) -> bool:
    """Whether a part is a clinical document: Apple Health writes one beside its export, of the same data and often longer."""
    return kind is Kind.EHR and not is_fhir_text(start)


def beginning(data: Bytes) -> bytes:
    """How the content of a gzip file begins, as far as it can be unpacked."""
    return _first_bytes(data[: SAMPLE + (1 << 12)], _WITH_HEADER)


def unpacked(data: bytes, place: str) -> bytes:
    """The content of a gzip file; raises `BrokenPack` or `PackLimit`."""
    return b"".join(_unpack_whole(data, place))


def unpacked_name(name: str) -> str:
    """What a file is called when it is unpacked."""
    path = PurePath(name)
    return path.stem if path.suffix in UNPACKED else name


def holds_more(pieces: Iterable[bytes]) -> bool:
    """Whether a gzip file holds more than is unpacked at once, but no more than is believed of it."""
    content = 0
    with suppress(IntakeError):
        for chunk in unpacked_pieces(pieces, ""):
            content += len(chunk)
            if content > MOST_UNPACKED:
                return True
    return False


def find_fault(data: bytes, place: str) -> IntakeError | None:
    """What is wrong with a packed file: the first thing that keeps anybody from unpacking it once and for all."""
    try:
        if data.startswith(GZIP):
            _check(_unpack_whole(data, place), place)
        else:
            _check_zip(data, place)
    except IntakeError as error:
        return error
    return None


# ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────


def _first_bytes(data: bytes, form: int) -> bytes:
    try:
        return zlib.decompressobj(form).decompress(data, SAMPLE)
    except zlib.error:
        return b""


def _beginning_of(data: Bytes, member: Member) -> bytes:
    packed = data[member.start : member.start + min(member.packed, SAMPLE)]
    if member.method == STORED:
        return packed
    return _first_bytes(packed, RAW) if member.method == DEFLATED else b""


def _check(chunks: Iterator[bytes], place: str) -> tuple[int, int]:
    """The length and checksum of a content, all of which is looked at once; raises `NestedPack` if it is packed
    itself."""
    size = checksum = 0
    for chunk in chunks:
        if not size and is_pack(chunk):
            raise NestedPack(f"{place}: holds a packed file itself")
        size += len(chunk)
        checksum = zlib.crc32(chunk, checksum)
    return size, checksum


class Ahead:
    """Bytes that come in pieces, of which some are looked at before they are done with."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self._held, self._at = b"", 0
        self.done = 0

    @property
    def seen(self) -> int:
        """How many bytes have come."""
        return self.done + len(self._held) - self._at

    def look(self, size: int) -> bytes:
        """So many of the next bytes, or all that are left."""
        while len(self._held) - self._at < size and (piece := next(self._pieces, None)) is not None:
            self._held, self._at = self._held[self._at :] + piece, 0
        return self._held[self._at : self._at + size]

    def skip(self, size: int) -> None:
        """So many bytes that were looked at are done with."""
        self._at += size
        self.done += size


def inflated(ahead: Ahead, form: int, what: str) -> Iterator[bytes]:
    """What the stream that comes next holds, which is done with then; raises `BrokenPack`, which says what it is."""
    stream, step = zlib.decompressobj(form), LEAST_STEP
    while not stream.eof:
        packed = ahead.look(step)
        try:
            chunk = stream.decompress(packed, STEP)
        except zlib.error as error:
            raise BrokenPack(f"{what} is broken: {error}") from error
        if not packed and not chunk:
            raise BrokenPack(f"{what} breaks off")
        # of a stream that has ended the tail is an older one
        ahead.skip(len(packed) - len(stream.unused_data if stream.eof else stream.unconsumed_tail))
        step = min(4 * step, STEP)
        yield chunk


def unpacked_pieces(pieces: Iterable[bytes], place: str) -> Iterator[bytes]:
    """The content of a gzip file of any size, in pieces; raises `BrokenPack` or `PackLimit`."""
    return _unpack_gzip(pieces, place, most_inside, None)


def _unpack_whole(data: bytes, place: str) -> Iterator[bytes]:
    return _unpack_gzip([data], place, room_for, MOST_STREAMS)


def _unpack_gzip(pieces: Iterable[bytes], place: str, room: Callable[[int], int], most: int | None) -> Iterator[bytes]:
    ahead = Ahead(pieces)
    content = members = 0
    while ahead.look(len(GZIP)) == GZIP:
        members += 1
        if most is not None and members > most:
            raise PackLimit(f"{place}: /: more than {most} gzip members")
        for chunk in inflated(ahead, _WITH_HEADER, f"{place}: the gzip member at byte {ahead.done}"):
            content += len(chunk)
            if content > room(ahead.seen):
                raise PackLimit(f"{place}: /: unpacks to more than {room(ahead.seen)} bytes")
            yield chunk
    behind, is_empty = ahead.done, True
    while rest := ahead.look(STEP):
        is_empty = is_empty and not rest.strip(b"\0")
        ahead.skip(len(rest))
    if not is_empty:
        raise BrokenPack(f"{place}: {ahead.done - behind} bytes follow the last gzip member, at byte {behind}")


def _check_zip(data: bytes, place: str) -> None:
    left = room_for(len(data)) + LEAST_ROOM
    for member in zip_members(data, place):
        where = f"{place}: /{member.name}"
        if member.method not in (STORED, DEFLATED):
            raise BrokenPack(f"{where}: packed by method {member.method}, which hubs do not know")
        size, checksum = _check(_unpack_member(data, member, where, min(left, member.size)), where)
        left -= size
        if size != member.size or checksum != member.checksum:
            raise BrokenPack(f"{where}: its length or checksum is not the stated one")


def _unpack_member(data: bytes, member: Member, place: str, most: int) -> Iterator[bytes]:
    packed = data[member.start : member.start + member.packed]
    if member.method == STORED:
        yield packed
        return
    for chunk in inflated(Ahead([packed]), RAW, f"{place}:"):
        most -= len(chunk)
        if most < 0:
            raise BrokenPack(f"{place}: unpacks to more than is stated")
        yield chunk
