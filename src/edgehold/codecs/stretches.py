"""gzip and ZIP files of any size ↔ sparse bytes, part by part: what they hold, by the codec of its kind, and how it was
packed.

`docs/formats.md`, stretches/1. A deflate stream is cut between two of its blocks, and so within a byte; its text is cut behind
a line. What zlib would have in mind there, and what is known of the text beyond the cut, goes over from part to part: a
part is decoded behind those before it. What cannot be unpacked stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final

from edgehold import _native
from edgehold.codecs.compared import compared
from edgehold.codecs.cuts import SAMPLES_PART, TABLE_PART, TEXT_PART
from edgehold.codecs.general import Codec, shipped_codec
from edgehold.codecs.packed import (
    DEFLATE,
    SAMPLE,
    TOGETHER,
    TRAILER,
    Numbers,
    kind_to_encode,
    read_group,
    written,
    written_group,
)
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
from edgehold.codecs.parts import PARTS, Head, PartsCodec, Stream, Versions, headed, part_digest
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
HEAD: Final = 1 << 18
"""Bytes in which what stands before a stream has to end."""
IS_DESCRIBED_BEHIND: Final = 8
"""Of the flags of a part of a ZIP file: lengths and checksum stand behind it."""
DESCRIPTIONS: Final = (0, 12, 16, 20, 24)
"""Bytes that may stand there, with or without a mark, of ZIP64 and of others."""

CONTENT, WHOLE, BROKEN, GOING = 0, 1, 2, 3
"""Forms of a row: bytes as they are; blocks up to the stream's last; some after which nothing more of it is unpacked; some
that are followed by others in the next part."""


class StretchesCodec:
    """The codec of parts of packed files, each of which goes on where the one before ended."""

    name = STRETCHES
    base: Digest | None = None

    def __init__(
        self,
        codecs_for: Callable[[Kind], Sequence[Codec]],
        codec_named: Callable[[Digest, Digest | None], Codec],
        encode_smallest: Callable[[bytes, Sequence[Codec]], tuple[Codec, bytes]],
    ) -> None:
        self._codecs_for = codecs_for
        self._codec_named = codec_named
        self._encode_smallest = encode_smallest

    def begin(self) -> StretchesDecoder:
        """What decodes the parts of a file in turn."""
        return StretchesDecoder(self._codec_named)

    def encode(self, data: bytes) -> bytes:
        """A file in one part; raises `CannotDecode` if it is none, or more than a part."""
        found = [encoded for part, encoded in self.encoded([data]) if encoded is not None and part == data]
        if not found:
            raise CannotDecode(f"{len(data)} bytes are not one part of a packed file")
        return compared(self, data, found[0])

    def decode(self, encoded: bytes, limit: int) -> bytes:
        """The first part of a file."""
        return self.begin().decode(encoded, limit)

    def encoded(self, pieces: Iterable[bytes]) -> Iterator[tuple[bytes, bytes | None]]:
        """The parts of a packed file, and their encodings, which were decoded once and compared; of those that stay as
        they are, none. It comes in pieces of any size; a few megabytes of it are in memory at once."""
        decoder: StretchesDecoder | None = self.begin()
        for part in _Packing(Stream(pieces)).parts():
            packed = bytes(part.packed)
            if decoder is None:
                yield packed, None
                continue
            try:
                encoded = compared(decoder, packed, self._encode_part(part))
            except CannotDecode:  # it knows no longer what goes over to the next
                decoder = encoded = None
            yield packed, encoded

    def _encode_part(self, part: _Part) -> bytes:
        numbers = [len(part.rows), len(part.contents)]
        for row in part.rows:
            numbers += [row.gap, row.form + 4 * row.group, row.content]
            numbers += [row.blocks] if row.form in (BROKEN, GOING) else []
        outline = shipped_codec(None).encode(written(numbers) + bytes(part.gaps))
        encoded = [written([len(outline), len(part.told)]), outline, part.told]
        for _, kind, content in part.contents.values():
            codecs = () if kind is None else self._codecs_for(kind)
            codec, group = self._encode_smallest(b"".join(content), codecs or (shipped_codec(None),))
            encoded.append(written_group(codec, 0, group))
        return b"".join(encoded)

    def inside(self, encoded: bytes) -> Iterator[tuple[Digest, Digest | None, bytes]]:
        """Of each group: the name of its codec, that of its base, and its encoding; raises `CannotDecode`."""
        reader = Numbers(encoded)
        reader.bytes(reader.take() + reader.take())
        while not reader.is_at_end:
            name, base, _, encoding = read_group(reader)
            yield name, base, encoding


class StretchesDecoder:
    """The parts of one file on their way out, in turn; after an error there are no more."""

    def __init__(self, codec_named: Callable[[Digest, Digest | None], Codec]) -> None:
        self._codec_named = codec_named
        self._streams = _native.StretchReader()
        self._packed = self._content = 0

    def decode(self, encoded: bytes, limit: int) -> bytes:
        """The next part; time and memory are bounded by the limit, whatever the encoding says."""
        reader = Numbers(encoded)
        outline_size, told_size = reader.take(), reader.take()
        outline = Numbers(shipped_codec(None).decode(reader.bytes(outline_size), 2 * limit + (1 << 12)))
        self._streams.begin(reader.bytes(told_size))
        count, groups = outline.take(), outline.take()
        if count > MOST_MEMBERS or groups > count:
            raise CannotDecode(f"{count} stretches and {groups} groups are more than there may be")
        rows = [_read_row(outline, groups) for _ in range(count)]
        sizes = [0] * groups
        for row in rows:
            sizes[row.group] += row.content
        self._content += sum(sizes)
        if sum(sizes) > MOST_UNPACKED or self._content > most_inside(self._packed + limit):
            raise CannotDecode(f"the stretches hold {sum(sizes)} bytes, more than is believed of {limit}")
        contents = [memoryview(self._decode_group(reader, size)) for size in sizes]
        reader.end()
        places = [0] * groups
        part = bytearray()
        for row in rows:
            place = places[row.group]
            places[row.group] += row.content
            part += outline.bytes(row.gap)
            part += self._stretch(row, bytes(contents[row.group][place : places[row.group]]), limit - len(part))
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

    def _decode_group(self, reader: Numbers, size: int) -> bytes:
        name, base, follows, encoding = read_group(reader)
        if name in (DEFLATE, STRETCHES, PARTS) or follows:
            raise CannotDecode("a pack in a pack, or a version of one")
        content = self._codec_named(name, base).decode(encoding, size)
        if len(content) != size:
            raise CannotDecode(f"a group holds {len(content)} bytes instead of {size}")
        return content


class PackedPartsCodec(PartsCodec):
    """The codec of packed files that are too large to be encoded at once; it is given a file in pieces of any size."""

    has_versions = False

    def __init__(
        self,
        codec_named: Callable[[Digest, Digest | None], Codec],
        encode_smallest: Callable[[bytes, Sequence[Codec]], tuple[Codec, bytes]],
        stretches: StretchesCodec,
    ) -> None:
        super().__init__(codec_named, encode_smallest, (shipped_codec(None),))
        self._stretches = stretches

    def encoded_parts(self, parts: Iterable[bytes], versions: Versions | None = None) -> Iterator[bytes]:
        """The encoding in pieces, one a part; nothing of it is told after a version before."""
        for part, encoded in self._stretches.encoded(parts):
            if encoded is None:
                yield from super().encoded_parts([part])
            else:
                yield headed(Head(0, part_digest(part), len(part)), self._stretches, encoded)


# ── a file on its way into parts ──────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class _Row:
    """A stretch of blocks, or bytes that were stored as they are."""

    gap: int
    """Bytes between the row before and this one."""
    form: int
    group: int
    content: int
    blocks: int = 0


def _read_row(outline: Numbers, groups: int) -> _Row:
    gap, form, content = outline.take(), outline.take(), outline.take()
    group, form = divmod(form, 4)
    if group >= groups:
        raise CannotDecode(f"there is no group {group}")
    return _Row(gap, form, group, content, outline.take() if form in (BROKEN, GOING) else 0)


@dataclass
class _Part:
    """A part on its way."""

    packed: bytearray = field(default_factory=bytearray)
    rows: list[_Row] = field(default_factory=list)
    gaps: bytearray = field(default_factory=bytearray)
    contents: dict[object, tuple[int, Kind | None, list[bytes]]] = field(default_factory=dict)
    """By group: its number, its kind, or none if it is packed itself, and its contents."""
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

    def put(self, packed: bytes, form: int, content: bytes, way: _Way, blocks: int = 0) -> None:
        """One more row."""
        number, _, contents = self.contents.setdefault(way.group, (len(self.contents), way.kind, []))
        contents.append(content)
        self.rows.append(_Row(self.gap, form, number, len(content), blocks))
        self.packed += packed
        self.gap = 0
        self.size += len(content)

    @property
    def is_full(self) -> bool:
        """Whether nothing large should come into it."""
        return len(self.packed) >= GAP or len(self.rows) >= MOST_MEMBERS


@dataclass(frozen=True)
class _Way:
    """How a content is encoded, by how it begins."""

    kind: Kind | None
    """None if it is packed itself."""
    group: object
    is_markup: bool = False

    @classmethod
    def of(cls, number: int, name: str, start: bytes) -> _Way:
        """That of a content; contents of one kind whose names end alike are encoded together, as in `deflate/1`."""
        kind = None if is_pack(start) else kind_to_encode(start)
        group = (kind, PurePath(name).suffix) if kind in TOGETHER else number
        return cls(kind, group, start.lstrip().startswith(b"<"))

    @property
    def most(self) -> int:
        """Bytes of a part."""
        if self.kind is Kind.IMAGE:
            return SAMPLES_PART
        return TABLE_PART if self.kind in (Kind.EHR, Kind.LAB, Kind.WEARABLE) else TEXT_PART

    def cut(self, text: bytes, known: int) -> int:
        """Where a text is cut, of which so much is known before, to be as long as a part: behind a line, in markup
        behind what the next is indented by too; images anywhere."""
        end = min(known + self.most, len(text))
        if self.kind is Kind.IMAGE:
            return end
        last = text.rfind(b"<", known, end) + 1 or end if self.is_markup else end
        line = text.rfind(b"\n", known, last) + 1 or end
        while self.is_markup and text.startswith((b" ", b"\t"), line):
            line += 1
        return line


class _Packing:
    """A packed file that is cut into parts."""

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._part = _Part()
        self._streams = _native.StretchWriter()
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
        part.told = self._streams.finish()
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
        way = self._way(name, bytes(self._stream.held[: min(left, SAMPLE)]))
        while left and self._stream.has(1):
            if self._part.is_full or (self._part.size and self._part.size + min(left, way.most) > way.most):
                yield self._finish()
            step = min(left, way.most)
            self._stream.has(step)
            content = bytes(self._stream.held[:step])
            content = content if step == left else content[: way.cut(content, 0)]
            self._part.put(content, CONTENT, content, way)
            self._content += len(content)
            self._stream.drop(len(content))
            left -= len(content)
        return left

    def _stretches(self, name: str) -> Generator[_Part, None, bool]:
        """The stream that begins here, in stretches; whether it was unpacked up to its end."""
        found = self._look(SAMPLE, LOOK)
        if not found.ends:
            return False
        way, known, is_begun = self._way(name, found.text), 0, False
        while True:
            if not found.is_whole:
                found = self._look(known + way.most, AHEAD)
            stretch = found.stretch(way, known)
            inside = self._content + stretch.cut - known
            if inside > most_inside(self._packed + len(self._part.packed) + found.packed(stretch.blocks)):
                if not is_begun:
                    return False
                stretch = found.least_stretch(known) if known else _Stretch(BROKEN, 0, 0)
            part = self._part
            if part.rows and (part.is_full or stretch.form != WHOLE or part.size + stretch.cut > way.most):
                yield self._finish()
            text = found.text[: stretch.cut]
            packed = bytes(self._stream.held[: max(found.packed(stretch.blocks), 1)])
            blocks = None if stretch.form == WHOLE else stretch.blocks
            size = self._streams.tell(packed, text, blocks, stretch.form != GOING)
            self._part.put(packed[:size], stretch.form, text[known:], way, stretch.blocks)
            self._content += stretch.cut - known
            self._stream.drop(size)
            if stretch.form != GOING:
                return stretch.form == WHOLE
            yield self._finish()
            is_begun = True
            known = stretch.cut - found.ends[stretch.blocks - 1][0]

    def _way(self, name: str, content: bytes) -> _Way:
        self._number += 1
        return _Way.of(self._number, name, content[:SAMPLE])

    def _look(self, wanted: int, size: int) -> _Found:
        """The blocks that follow, until they stand for so many bytes: first in so many packed ones, then in more."""
        while True:
            is_last = not self._stream.has(size) or size >= AHEAD
            packed = bytes(self._stream.held[:size])
            text, ends, is_whole = self._streams.look(packed, wanted, wanted + MOST_BLOCK)
            if is_last or is_whole or len(text) >= wanted:
                reached = ends[-1][1] if ends else 0
                is_over = len(text) < wanted and (len(packed) < size or reached < size // 2)
                return _Found(text, ends, is_whole, is_over)
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
    """Where each ends: in the text, and in which packed byte."""
    is_whole: bool
    """Whether the last of them is the stream's."""
    is_over: bool
    """Whether no others can be read."""

    def packed(self, blocks: int) -> int:
        """Packed bytes that so many blocks take."""
        return self.ends[blocks - 1][1] if blocks else 0

    def stretch(self, way: _Way, known: int) -> _Stretch:
        """The stretch that comes next: the blocks that end before the text is cut."""
        if self.is_whole or self.is_over:
            return _Stretch(WHOLE if self.is_whole else BROKEN, len(self.ends), len(self.text))
        cut = way.cut(self.text, known)
        blocks = max(sum(end <= cut - LOOKAHEAD for end, _ in self.ends), 1)
        return _Stretch(GOING, blocks, max(cut, self.ends[blocks - 1][0]))

    def least_stretch(self, known: int) -> _Stretch:
        """The last stretch of a stream of which nothing more is unpacked than what is known."""
        blocks = sum(end < known for end, _ in self.ends) + 1
        return _Stretch(BROKEN, blocks, self.ends[blocks - 1][0])
