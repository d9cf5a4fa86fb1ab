"""gzip and ZIP files of any size ↔ sparse bytes, part by part: what they hold, by the codec of its kind, and how it was
packed.

`docs/formats.md`, stretches/1. What is inside comes in parts of its own, cut as it would be if it were not packed, so that a
version before may have the same; behind them a part says how it was packed. A deflate stream is cut between two of its
blocks, and so within a byte. What zlib would have in mind there, and what is known of the text beyond the cut, goes over
from part to part: a part is decoded behind those before it. What cannot be unpacked stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from pathlib import PurePath
from typing import Final

from edgehold import _native
from edgehold.codecs.compared import compared
from edgehold.codecs.cuts import LEAST_TABLE, LEAST_TEXT, SAMPLES_PART, TABLE_PART, TEXT_PART, find_cut
from edgehold.codecs.general import Codec, shipped_codec
from edgehold.codecs.packed import SAMPLE, TOGETHER, TRAILER, Numbers, kind_to_encode, written
from edgehold.codecs.packs import (
    DEFLATED,
    GZIP,
    IS_ENCRYPTED,
    LOCAL,
    MOST_MEMBERS,
    MOST_UNPACKED,
    STORED,
    ZIP,
    is_pack,
    most_inside,
    name_of,
    sizes_of,
    stream_start,
)
from edgehold.codecs.parts import (
    INSIDE,
    PACKING,
    Head,
    PartsCodec,
    Stream,
    Versions,
    Ways,
    headed,
    part_digest,
)
from edgehold.crypto.hash import tagged_hash
from edgehold.errors import CannotDecode
from edgehold.wire.data import Kind
from edgehold.wire.ids import Digest

STRETCHES: Final = tagged_hash("codec", b"stretches/1")
LOOK: Final = 1 << 17
AHEAD: Final = 1 << 23
"""Packed bytes in which blocks are looked for: first, and at most."""
LOOKAHEAD: Final = 1 << 9
"""Bytes of text behind a stretch that should be known: zlib looks so far for the longest match, and for the one after it."""
MOST_BLOCK: Final = 1 << 24
"""Bytes of text of a block, beyond those that are wanted."""
GAP: Final = 1 << 23
"""Packed bytes with which a part is full."""
ROOM: Final = 20 << 20
"""Bytes of what is inside of a part, unless one stretch has more."""
HEAD: Final = 1 << 18
"""Bytes in which what stands before a stream has to end."""
IS_DESCRIBED_BEHIND: Final = 8
"""Of the flags of a part of a ZIP file: lengths and checksum stand behind it."""
DESCRIPTIONS: Final = (0, 12, 16, 20, 24)
"""Bytes that may stand there, with or without a mark, of ZIP64 and of others."""

CONTENT, WHOLE, BROKEN, GOING = 0, 1, 2, 3
"""Forms of a row: bytes as they are; blocks up to the stream's last; some after which nothing more of it is unpacked; some
that are followed by others in the next row."""


class StretchesCodec:
    """The codec of how parts of packed files were packed, each of which goes on where the one before ended."""

    name = STRETCHES
    base: Digest | None = None

    def begin(self) -> StretchesDecoder:
        """What decodes the parts of a file in turn."""
        return StretchesDecoder()

    def encode(self, data: bytes) -> bytes:
        """A part in which nothing is unpacked."""
        part = _Part()
        part.put_gap(data)
        return compared(self, data, part.encoded())

    def decode(self, encoded: bytes, limit: int) -> bytes:
        """The first part of a file, of which nothing is inside."""
        return self.begin().decode(encoded, b"", limit)


class StretchesDecoder:
    """The parts of one file on their way out, in turn; after an error there are no more."""

    def __init__(self) -> None:
        self._streams = _native.StretchReader()
        self._packed = self._content = 0

    def decode(self, encoded: bytes, inside: bytes, limit: int) -> bytes:
        """The next part, of which this is inside; time and memory are bounded by the limit, whatever the encoding says."""
        reader = Numbers(encoded)
        outline = Numbers(shipped_codec(None).decode(reader.bytes(reader.take()), 2 * limit + (1 << 12)))
        self._streams.begin(reader.bytes(reader.left))
        count, groups = outline.take(), outline.take()
        if count > MOST_MEMBERS or groups > count:
            raise CannotDecode(f"{count} stretches and {groups} groups are more than there may be")
        rows = [_read_row(outline, groups) for _ in range(count)]
        places = [0] * (groups + 1)
        for row in rows:
            places[row.group + 1] += row.content
        places = list(accumulate(places))
        if places[-1] != len(inside):
            raise CannotDecode(f"the stretches hold {places[-1]} bytes instead of {len(inside)}")
        self._content += len(inside)
        if len(inside) > MOST_UNPACKED or self._content > most_inside(self._packed + limit):
            raise CannotDecode(f"the stretches hold {len(inside)} bytes, more than is believed of {limit}")
        part = bytearray()
        for row in rows:
            place = places[row.group]
            places[row.group] += row.content
            part += outline.bytes(row.gap)
            part += self._stretch(row, inside[place : places[row.group]], limit - len(part))
        part += outline.bytes(outline.left)
        if len(part) > limit:
            raise CannotDecode(f"the encoding holds more than {limit} bytes")
        self._packed += len(part)
        return bytes(part)

    def _stretch(self, row: _Row, content: bytes, left: int) -> bytes:
        if self._streams.is_inside and (row.form == CONTENT or row.gap):
            raise CannotDecode("a stream that goes on does not go on")
        if row.form == CONTENT:
            return content
        blocks = None if row.form == WHOLE else row.blocks
        try:
            return self._streams.hear(content, blocks, row.form != GOING, max(left, 0))
        except ValueError as error:
            raise CannotDecode(f"a stretch of {row.content} bytes is not told: {error}") from error


class PackedPartsCodec(PartsCodec):
    """The codec of packed files that are too large to be encoded at once; it is given a file in pieces of any size."""

    has_inside = True

    def __init__(
        self,
        codec_named: Callable[[Digest, Digest | None], Codec],
        encode_smallest: Callable[[bytes, Sequence[Codec]], tuple[Codec, bytes]],
        ways_for: Callable[[Kind | None], Ways],
        share: int = 1,
    ) -> None:
        super().__init__(codec_named, encode_smallest, ways_for(None))
        self._ways_for = ways_for
        """The codecs of what is inside, by its kind; none if it is packed itself."""
        self._share = share
        """A part has at most one in so many of the bytes that it may have."""

    def encoded_parts(self, parts: Iterable[bytes], versions: Versions | None = None) -> Iterator[bytes]:
        """The encoding in pieces, one a part: what is inside, and behind it how it was packed, which was decoded once and
        compared. From what does not come back on the file stays as it is."""
        decoder: StretchesDecoder | None = StretchesDecoder()
        number = 0
        for part in _Packing(Stream(parts), _native.StretchWriter(), self._share).parts():
            encoded, head = part.encoded(), Head(0, part_digest(bytes(part.packed)), len(part.packed))
            if decoder is not None and not gives_back(decoder, part, encoded):
                decoder = None  # it knows no longer what goes over to the next
            if decoder is None:
                yield self.encoded_part(head, bytes(part.packed), self._ways, number, versions)
                number += 1
                continue
            for kind, text in part.texts():
                inside = Head(INSIDE, part_digest(text), len(text))
                yield self.encoded_part(inside, text, self._ways_for(kind), number, versions)
                number += 1
            yield headed(replace(head, how=PACKING), StretchesCodec(), encoded)

    def named_parts(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """The parts of what is inside."""
        for part in _Packing(Stream(parts), share=self._share).parts():
            for _, text in part.texts():
                yield text


def gives_back(decoder: StretchesDecoder, part: _Part, encoded: bytes) -> bool:
    """Whether an encoding gives a part back."""
    inside = b"".join(text for _, text in part.texts())
    try:
        return decoder.decode(encoded, inside, len(part.packed)) == part.packed
    except CannotDecode:
        return False


def texts_of(content: bytes, share: int = 1) -> Iterator[bytes]:
    """A content in parts of at most one in so many of the bytes that they may have, cut as if it were not packed or were
    inside of a large packed file."""
    return _Way.of(0, "", content[:SAMPLE], share).texts(content)


# ── a file on its way into parts ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Row:
    """A stretch of blocks, or bytes that were stored as they are."""

    form: int
    blocks: int = 0
    gap: int = 0
    """Bytes between the row before and this one."""
    group: int = 0
    content: int = 0


def _read_row(outline: Numbers, groups: int) -> _Row:
    gap, form, content = outline.take(), outline.take(), outline.take()
    group, form = divmod(form, 4)
    if group >= groups:
        raise CannotDecode(f"there is no group {group}")
    return _Row(form, outline.take() if form in (BROKEN, GOING) else 0, gap, group, content)


@dataclass
class _Group:
    """What is inside of a part and goes together."""

    number: int
    way: _Way
    texts: list[list[bytes]] = field(default_factory=list)
    left: int = 0
    """Bytes of other contents that may be put behind the last text."""

    def put(self, content: bytes, *, is_alone: bool) -> None:
        """One more content; of a long one, which is cut where it would be if it were not packed, nothing goes together
        with others."""
        if not content:
            return
        if not is_alone and len(content) <= self.left:
            self.texts[-1].append(content)
        else:
            self.texts += ([text] for text in self.way.texts(content))
            self.left = 0 if is_alone else self.way.most
        self.left -= min(len(content), self.left)


@dataclass
class _Part:
    """A part on its way."""

    packed: bytearray = field(default_factory=bytearray)
    rows: list[_Row] = field(default_factory=list)
    gaps: bytearray = field(default_factory=bytearray)
    groups: dict[object, _Group] = field(default_factory=dict)
    gap: int = 0
    """Bytes since the last row."""
    size: int = 0
    """Of everything that is inside."""
    told: bytes = b""

    def put_gap(self, data: bytes) -> None:
        """Bytes that are in no row."""
        self.packed += data
        self.gaps += data
        self.gap += len(data)

    def put(self, packed: bytes, row: _Row, content: bytes, way: _Way, *, is_alone: bool) -> None:
        """One more row."""
        group = self.groups.setdefault(way.group, _Group(len(self.groups), way))
        group.put(content, is_alone=is_alone)
        self.rows.append(replace(row, gap=self.gap, group=group.number, content=len(content)))
        self.packed += packed
        self.gap = 0
        self.size += len(content)

    def has_room_for(self, size: int) -> bool:
        """Whether so many bytes should come into it."""
        return not self.is_full and (not self.rows or self.size + size <= ROOM)

    @property
    def is_full(self) -> bool:
        """Whether nothing large should come into it."""
        return len(self.packed) >= GAP or len(self.rows) >= MOST_MEMBERS

    def texts(self) -> Iterator[tuple[Kind | None, bytes]]:
        """What is inside, each with its kind."""
        for group in self.groups.values():
            for text in group.texts:
                yield group.way.kind, b"".join(text)

    def encoded(self) -> bytes:
        """How it was packed."""
        numbers = [len(self.rows), len(self.groups)]
        for row in self.rows:
            numbers += [row.gap, row.form + 4 * row.group, row.content]
            numbers += [row.blocks] if row.form in (BROKEN, GOING) else []
        outline = shipped_codec(None).encode(written(numbers) + bytes(self.gaps))
        return written([len(outline)]) + outline + self.told


@dataclass(frozen=True)
class _Way:
    """How a content is encoded, by how it begins."""

    kind: Kind | None
    """None if it is packed itself."""
    group: object
    is_markup: bool
    share: int

    @classmethod
    def of(cls, number: int, name: str, start: bytes, share: int) -> _Way:
        """That of a content; contents of one kind whose names end alike are encoded together, as in `deflate/1`."""
        kind = None if is_pack(start) else kind_to_encode(start)
        group = (kind, PurePath(name).suffix) if kind in TOGETHER else number
        return cls(kind, group, start.lstrip().startswith(b"<"), share)

    @property
    def most(self) -> int:
        """Bytes of a part."""
        if self.kind is Kind.IMAGE:
            return SAMPLES_PART
        return (TABLE_PART if self.is_table else TEXT_PART) // self.share

    @property
    def least(self) -> int:
        """Bytes of a part that is not the last."""
        return self.most * (LEAST_TABLE if self.is_table else LEAST_TEXT) // 4

    @property
    def is_table(self) -> bool:
        """Whether it is a table or markup, of which parts are smaller."""
        return self.kind in (Kind.EHR, Kind.LAB, Kind.WEARABLE)

    def cut(self, text: bytes, known: int) -> int:
        """Where a text is cut that goes on, of which so much is known before; images anywhere."""
        end = min(known + self.most, len(text))
        if self.kind is Kind.IMAGE:
            return end
        return known + find_cut(text[known:end], self.least, is_markup=self.is_markup)

    def texts(self, content: bytes) -> Iterator[bytes]:
        """A content in parts."""
        at = 0
        while len(content) - at > self.most:
            cut = self.cut(content, at)
            yield content[at:cut]
            at = cut
        yield content[at:]


class _Packing:
    """A packed file that is cut into parts; how they were packed is told if there is a teller."""

    def __init__(self, stream: Stream, teller: _native.StretchWriter | None = None, share: int = 1) -> None:
        self._stream, self._share = stream, share
        self._part = _Part()
        self._streams = _native.StretchFinder()
        self._teller = teller
        self._number = 0
        self._packed = self._content = 0
        """Bytes of the parts before, and of what is inside of all."""

    def parts(self) -> Iterator[_Part]:
        """All of them: each when it is full."""
        self._stream.has(len(GZIP))
        yield from self._gzip() if self._stream.held.startswith(GZIP) else self._zip()
        while self._stream.has(1):
            yield from self._gap(GAP)
        if self._part.packed:
            yield self._finish()

    def _finish(self) -> _Part:
        part, self._part = self._part, _Part()
        part.told = b"" if self._teller is None else self._teller.finish()
        self._packed += len(part.packed)
        return part

    def _gap(self, size: int) -> Iterator[_Part]:
        """So many bytes, or all that are left, stay as they are."""
        while size and self._stream.has(1):
            if self._part.is_full:
                yield self._finish()
            step = min(size, GAP)
            self._stream.has(step)
            data = bytes(self._stream.held[:step])
            self._part.put_gap(data)
            self._stream.drop(len(data))
            size -= len(data)

    def _gzip(self) -> Iterator[_Part]:
        """One member after another, up to the first that is none or cannot be unpacked."""
        skip, is_whole = 0, True
        while is_whole:
            self._stream.has(HEAD)
            start = stream_start(bytes(self._stream.held[:HEAD]), skip)
            if start is None:
                return
            yield from self._gap(start)
            is_whole = yield from self._stretches("")
            skip = TRAILER

    def _zip(self) -> Iterator[_Part]:
        """One part of the ZIP file after another, by what stands before each; up to where none is, or one of which nobody
        knows where it ends."""
        while True:
            self._stream.has(HEAD)
            head = bytes(self._stream.held[:HEAD])
            at = next((at for at in DESCRIPTIONS if head.startswith(ZIP, at)), None)
            if at is None or len(head) < at + LOCAL.size:
                return
            _, _, flags, method, _, _, _, packed, size, names, extras = LOCAL.unpack_from(head, at)
            at += LOCAL.size
            name = name_of(head[at : at + names], flags)
            sizes = sizes_of(head[at + names : at + names + extras], size, packed, 0)
            left = None if sizes is None or flags & IS_DESCRIBED_BEHIND else sizes[1]
            yield from self._gap(at + names + extras)
            if method == STORED and left is not None and not flags & IS_ENCRYPTED:
                left = yield from self._stored(name, left)
            elif method == DEFLATED and not flags & IS_ENCRYPTED:
                before = self._packed + len(self._part.packed)
                is_whole = yield from self._stretches(name)
                if left is not None:
                    left -= self._packed + len(self._part.packed) - before
                elif is_whole:
                    left = 0
            if left is None or left < 0:
                return
            yield from self._gap(left)

    def _stored(self, name: str, left: int) -> Generator[_Part, None, int]:
        """So many bytes that are stored as they are; how many of them are left."""
        self._stream.has(min(left, SAMPLE))
        way, is_begun = self._way(name, bytes(self._stream.held[: min(left, SAMPLE)])), False
        while left and self._stream.has(1):
            step = min(left, way.most)
            self._stream.has(step)
            content = bytes(self._stream.held[:step])
            content = content if left < way.most else content[: way.cut(content, 0)]
            if not self._part.has_room_for(len(content)):
                yield self._finish()
            is_begun = is_begun or len(content) < left
            self._part.put(content, _Row(CONTENT), content, way, is_alone=is_begun)
            self._content += len(content)
            self._stream.drop(len(content))
            left -= len(content)
        return left

    def _stretches(self, name: str) -> Generator[_Part, None, bool]:
        """The stream that begins here, in stretches; whether it was unpacked up to its end."""
        first = self._look(SAMPLE, LOOK)
        if not first.ends:
            return False
        way, known, is_begun = self._way(name, first.text), 0, False
        found = first if first.is_whole else None
        while True:
            found = found or self._look(known + way.most, AHEAD)
            stretch = found.stretch(way, known)
            size = stretch.cut - known
            if self._content + size > most_inside(self._packed + len(self._part.packed) + found.packed(stretch.blocks)):
                if not is_begun:
                    return False
                stretch = found.least_stretch(known) if known else _Stretch(BROKEN, 0, 0)
                size = stretch.cut - known
            if not self._part.has_room_for(size):
                found = None  # nobody needs room for it while the part is encoded
                yield self._finish()
                continue
            is_begun = is_begun or stretch.form == GOING
            packed = self._tell(found, stretch)
            row = _Row(stretch.form, stretch.blocks)
            self._part.put(packed, row, found.text[known : stretch.cut], way, is_alone=is_begun)
            self._content += size
            self._stream.drop(len(packed))
            if stretch.form != GOING:
                self._streams.end()
                return stretch.form == WHOLE
            end, place = found.ends[stretch.blocks - 1]
            self._streams.pass_to(found.text[:end], place)
            known, found = stretch.cut - end, None

    def _tell(self, found: _Found, stretch: _Stretch) -> bytes:
        """Tell a stretch; its packed bytes, without the last if it is not full and others follow."""
        size = found.packed(stretch.blocks)
        packed = bytes(self._stream.held[: max(size, 1)])
        if self._teller is not None:
            blocks = None if stretch.form == WHOLE else stretch.blocks
            self._teller.tell(packed, found.text[: stretch.cut], blocks, stretch.form != GOING)
        return packed[: found.place(stretch.blocks) // 8 if stretch.form == GOING else size]

    def _way(self, name: str, content: bytes) -> _Way:
        self._number += 1
        return _Way.of(self._number, name, content[:SAMPLE], self._share)

    def _look(self, wanted: int, size: int) -> _Found:
        """The blocks that follow, until they stand for so many bytes: first in so many packed ones, then in more."""
        while True:
            is_last = not self._stream.has(size) or size >= AHEAD
            packed = bytes(self._stream.held[:size])
            text, ends, is_whole = self._streams.look(packed, wanted, wanted + MOST_BLOCK)
            if is_last or is_whole or len(text) >= wanted:
                reached = ends[-1][1] // 8 if ends else 0
                is_over = len(text) < wanted and (len(packed) < size or reached < size // 2)
                return _Found(text, ends, is_whole, is_over, self._streams.bits)
            size *= 8


@dataclass(frozen=True)
class _Stretch:
    """So many blocks, and where the text is cut with them."""

    form: int
    blocks: int
    cut: int


@dataclass(frozen=True)
class _Found:
    """Whole blocks that follow."""

    text: bytes
    ends: Sequence[tuple[int, int]]
    """Where each ends: in the text, and behind how many bits."""
    is_whole: bool
    """Whether the last of them is the stream's."""
    is_over: bool
    """Whether no others can be read."""
    bits: int
    """Of the first byte, that belong to what is before."""

    def place(self, blocks: int) -> int:
        """Behind how many bits so many blocks end."""
        return self.ends[blocks - 1][1] if blocks else self.bits

    def packed(self, blocks: int) -> int:
        """Packed bytes that so many blocks take."""
        return -(-self.place(blocks) // 8)

    def stretch(self, way: _Way, known: int) -> _Stretch:
        """The stretch that comes next: the blocks that end before the text is cut, or all if it is not."""
        is_last = self.is_whole or self.is_over
        cut = len(self.text) if is_last and len(self.text) - known < way.most else way.cut(self.text, known)
        blocks = max(sum(end <= cut - LOOKAHEAD for end, _ in self.ends), 1)
        if is_last and (cut == len(self.text) or blocks >= len(self.ends)):
            return _Stretch(WHOLE if self.is_whole else BROKEN, len(self.ends), len(self.text))
        return _Stretch(GOING, blocks, max(cut, self.ends[blocks - 1][0]))

    def least_stretch(self, known: int) -> _Stretch:
        """The last stretch of a stream of which nothing more is unpacked than what is known."""
        blocks = sum(end < known for end, _ in self.ends) + 1
        return _Stretch(BROKEN, blocks, self.ends[blocks - 1][0])
