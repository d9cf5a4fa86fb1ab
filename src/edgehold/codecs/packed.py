"""gzip, bgzip and ZIP files ↔ sparse bytes: what they hold, by the codec of its kind, and how it was packed.

`docs/formats.md`, deflate/1. The native module unpacks each deflate stream and tells what its writer chose beside what
zlib would have chosen; bytes that are in no stream (headers, directories) are kept too. So the packed file comes back
bit for bit, and its content takes the room that it would have taken plain. Of a version that follows another, what is
inside is told as the difference from what is inside of that one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Final
from zlib import MAX_WBITS, crc32, decompressobj
from zlib import error as BrokenStream  # noqa: N812

from edgehold import _native
from edgehold.codecs.compared import compared
from edgehold.codecs.general import Codec, Following, shipped_codec
from edgehold.codecs.packs import (
    DEFLATED,
    GZIP,
    MOST_MEMBERS,
    MOST_STREAMS,
    STORED,
    is_block,
    is_pack,
    room_for,
    stream_start,
    zip_members,
)
from edgehold.codecs.recognise import kind_of_bytes
from edgehold.crypto.hash import tagged_hash
from edgehold.errors import CannotDecode, IntakeError
from edgehold.wire.data import Kind
from edgehold.wire.ids import Digest

DEFLATE: Final = tagged_hash("codec", b"deflate/1")
SAMPLE: Final = 1 << 16
TOGETHER: Final = frozenset({Kind.EHR, Kind.LAB, Kind.WEARABLE, Kind.OTHER})
"""Kinds of which several parts are encoded as one text, if their names end alike."""
MOST_KNOWN: Final = 3 << 22
"""Bytes of a content, and of the one before it, of which one is told as the difference from the other."""
WINDOW: Final = 1 << 16
"""Bytes of a stream that are unpacked at a time."""
TRAILER: Final = 8
"""Bytes behind a stream in a gzip file: checksum and length of its text."""


@dataclass(frozen=True)
class Piece:
    """A part of the file whose content is encoded: a deflate stream, or bytes that were stored as they are."""

    gap: bytes
    """The bytes between the piece before and this one."""
    is_deflated: bool
    size: int
    """Of the packed piece."""
    content: bytes
    group: int


@dataclass
class Pieces:
    """A packed file on its way into pieces."""

    found: list[Piece] = field(default_factory=list)
    groups: dict[object, int] = field(default_factory=dict)
    left: int = 0
    """How many more bytes the content may have."""
    end: int = 0
    """Where the last piece ends."""
    told: _native.DeflateWriter = field(default_factory=_native.DeflateWriter)

    def put(self, data: bytes, start: int, end: int, content: bytes, group: object, *, is_deflated: bool) -> None:
        """One more piece."""
        number = self.groups.setdefault(group, len(self.groups))
        self.found.append(Piece(data[self.end : start], is_deflated, end - start, content, number))
        self.left -= len(content)
        self.end = end


@dataclass(frozen=True)
class _Opened:
    """An encoding of which the groups are decoded."""

    outline: Numbers
    """From the first gap on."""
    told: _native.DeflateReader
    is_gzip: bool
    rows: Sequence[tuple[int, int, int]]
    last: int
    """Bytes of the last gap."""
    contents: Sequence[bytes]
    """The groups."""


class PackedCodec:
    """The codec of packed files. One object serves any number of hubs and threads."""

    name = DEFLATE
    base: Digest | None = None

    def __init__(
        self, codecs_for: Callable[[Kind], Sequence[Codec]], codec_named: Callable[[Digest, Digest | None], Codec]
    ) -> None:
        self._codecs_for = codecs_for
        self._codec_named = codec_named
        self._before: Mapping[object, bytes] | None = None

    def after(self, before: bytes) -> PackedCodec:
        """The codec for a version that follows this one, packed or not."""
        following = copy(self)
        following._before = contents_of(before)
        return following

    def encode(self, data: bytes) -> bytes:
        """Fewer bytes, which were decoded once and compared before they are returned; raises `CannotDecode` if there
        are none, because nothing in the data is packed, or more than is believed, or nothing in it can follow what was in
        the version before."""
        if not is_pack(data):
            raise CannotDecode(f"{len(data)} bytes are not gzip or ZIP")
        is_gzip = data.startswith(GZIP)
        pieces = gzip_pieces(data) if is_gzip else zip_pieces(data)
        if not pieces.found:
            raise CannotDecode(f"of {len(data)} bytes nothing can be unpacked")
        contents: list[list[bytes]] = [[] for _ in pieces.groups]
        for one in pieces.found:
            contents[one.group].append(one.content)
        inside = {key: b"".join(parts) for key, parts in zip(pieces.groups, contents, strict=True)}
        if self._before is not None and not any(map(self._known_before, inside, inside.values())):
            raise CannotDecode(f"nothing inside of {len(data)} bytes can be told after the version before")
        groups = [self._encode_group(content, key) for key, content in inside.items()]
        gaps = [*(one.gap for one in pieces.found), data[pieces.end :]]
        if is_gzip:
            gaps = folded(gaps, [(one.content, one.size) for one in pieces.found])
        numbers = [int(is_gzip), len(pieces.found), len(groups)]
        for one, gap in zip(pieces.found, gaps, strict=False):
            numbers += [len(gap), int(one.is_deflated) + 2 * one.group, len(one.content)]
        numbers.append(len(gaps[-1]))
        outline = shipped_codec(None).encode(written([*numbers]) + b"".join(gaps))
        told = pieces.told.finish()
        encoded = written([len(outline), len(told)]) + outline + told
        encoded += b"".join(written_group(*group) for group in groups)
        return compared(self, data, encoded)

    def _encode_group(self, content: bytes, key: object) -> tuple[Codec, int, bytes]:
        """The smallest encoding of what is packed, and which content of the version before it follows, from one; a pack
        in a pack stays as it is."""
        codecs = () if is_pack(content) else self._codecs_for(kind_to_encode(content))
        ways = [(codec, 0) for codec in codecs or (shipped_codec(None),)]
        if known := self._known_before(key, content):
            place = 1 + list(self._before or ()).index(key)
            ways += [(codec.after(known), place) for codec in codecs if isinstance(codec, Following)]
        found: list[tuple[Codec, int, bytes]] = []
        for codec, follows in ways:
            try:
                found.append((codec, follows, codec.encode(content)))
            except CannotDecode:
                continue
        return min(found, key=lambda one: len(one[2]))

    def _known_before(self, key: object, content: bytes) -> bytes:
        """The content of the version before that one can be told after; empty if there is none."""
        known = (self._before or {}).get(key, b"")
        return known if max(len(known), len(content)) <= MOST_KNOWN else b""

    def decode(self, encoded: bytes, limit: int) -> bytes:
        """The bytes again; time and memory are bounded by the limit, whatever the encoding says."""
        opened = self._opened(encoded, limit)
        outline, told, is_gzip = opened.outline, opened.told, opened.is_gzip
        contents = [memoryview(one) for one in opened.contents]
        places = [0] * len(contents)
        parts: list[bytes] = []
        size = 0
        before: tuple[bytes, int] | None = None
        for gap_size, kind, content_size in opened.rows:
            group = kind // 2
            content = bytes(contents[group][places[group] : places[group] + content_size])
            places[group] += content_size
            gap = outline.bytes(gap_size)
            size += gap_size
            try:
                piece = told.hear(content, limit - min(size, limit)) if kind % 2 else content
            except ValueError as error:
                raise CannotDecode(f"a stream of {content_size} bytes is not told: {error}") from error
            size += len(piece)
            if size > limit:
                break
            if is_gzip:
                gap = unfolded(gap, before, len(piece))
                before = content, len(piece)
            parts += [gap, piece]
        gap = outline.bytes(opened.last)
        if size + opened.last > limit:
            raise CannotDecode(f"the encoding holds more than {limit} bytes")
        outline.end()
        return b"".join([*parts, unfolded(gap, before, None) if is_gzip else gap])

    def contents(self, encoded: bytes, limit: int) -> Sequence[bytes]:
        """What is inside of a file of at most so many bytes, group by group, without packing it again; bounded as `decode`
        is."""
        return self._opened(encoded, limit).contents

    def _opened(self, encoded: bytes, limit: int) -> _Opened:
        """An encoding up to where its groups are decoded."""
        reader = Numbers(encoded)
        outline_size, told_size = reader.take(), reader.take()
        outline = Numbers(shipped_codec(None).decode(reader.bytes(outline_size), 2 * limit + (1 << 12)))
        told = _native.DeflateReader(reader.bytes(told_size))
        is_gzip, count, groups = outline.take(), outline.take(), outline.take()
        if count > MOST_MEMBERS or groups > count:
            raise CannotDecode(f"{count} pieces and {groups} groups are more than there may be")
        rows = [(outline.take(), outline.take(), outline.take()) for _ in range(count)]
        last = outline.take()
        sizes = [0] * groups
        for _, kind, size in rows:
            if kind // 2 >= groups:
                raise CannotDecode(f"there is no group {kind // 2}")
            sizes[kind // 2] += size
        if sum(sizes) > room_for(limit):
            raise CannotDecode(f"the pieces hold {sum(sizes)} bytes, of {limit} at most {room_for(limit)} are believed")
        contents = [self._decode_group(reader, size) for size in sizes]
        reader.end()
        return _Opened(outline, told, bool(is_gzip), rows, last, contents)

    def inside(self, encoded: bytes) -> Iterator[tuple[Digest, Digest | None, bytes]]:
        """Of each group: the name of its codec, that of its base, and its encoding; raises `CannotDecode`."""
        reader = Numbers(encoded)
        reader.bytes(reader.take() + reader.take())
        while not reader.is_at_end:
            name, base, _, encoding = read_group(reader)
            yield name, base, encoding

    def _decode_group(self, reader: Numbers, size: int) -> bytes:
        name, base, follows, encoding = read_group(reader)
        if name == DEFLATE:
            raise CannotDecode("a pack in a pack")
        codec = self._codec_named(name, base)
        if follows:
            before = list((self._before or {}).values())
            if follows > len(before) or not isinstance(codec, Following):
                raise CannotDecode(f"there is no content {follows} that this one could follow")
            codec = codec.after(before[follows - 1])
        content = codec.decode(encoding, size)
        if len(content) != size:
            raise CannotDecode(f"a group holds {len(content)} bytes instead of {size}")
        return content


def written_group(codec: Codec, follows: int, encoding: bytes) -> bytes:
    """A group, as it is read."""
    head = codec.name + written([int(codec.base is not None) + 2 * follows]) + (codec.base or b"")
    return head + written([len(encoding)]) + encoding


def read_group(reader: Numbers) -> tuple[Digest, Digest | None, int, bytes]:
    """The codec of a group, its base, which content it follows, from one, and its encoding."""
    name = Digest(reader.bytes(32))
    follows, has_base = divmod(reader.take(), 2)
    base = Digest(reader.bytes(32)) if has_base else None
    return name, base, follows, reader.bytes(reader.take())


# ── pieces ────────────────────────────────────────────────────────────────────────────────────────────────────────


def gzip_pieces(data: bytes) -> Pieces:
    """The streams of a gzip file, of which everything is one text; what follows the last whole one is in no piece."""
    pieces = Pieces(left=room_for(len(data)))
    start = stream_start(data, 0)
    while start is not None and len(pieces.found) < MOST_STREAMS:
        try:
            content, end = pieces.told.tell(data, start, len(data), pieces.left)
        except ValueError:
            break
        pieces.put(data, start, end, content, None, is_deflated=True)
        start = stream_start(data, end + TRAILER)
    return pieces


def zip_pieces(data: bytes) -> Pieces:
    """The parts of a ZIP file that can be unpacked; raises `CannotDecode` if it has no directory that can be
    believed."""
    pieces = Pieces(left=room_for(len(data)))
    try:
        members = zip_members(data, "")
    except IntakeError as error:
        raise CannotDecode(f"{len(data)} bytes are not a ZIP file that can be believed: {error}") from error
    for number, one in enumerate(members):
        end = one.start + one.packed
        if one.method == STORED and one.packed == one.size <= pieces.left:
            content = data[one.start : end]
        elif one.method == DEFLATED:
            try:
                content, end = pieces.told.tell(data, one.start, end, min(one.size, pieces.left))
            except ValueError:
                continue
        else:
            continue
        group = group_of(number, one.name, content)
        pieces.put(data, one.start, end, content, group, is_deflated=one.method == DEFLATED)
    return pieces


def group_of(number: int, name: str, content: bytes) -> object:
    """With what else of a ZIP file a part is encoded; what is the same goes together."""
    kind = kind_to_encode(content)
    return (kind, PurePath(name).suffix) if kind in TOGETHER and not is_pack(content) else number


def size_inside(data: bytes) -> int:
    """Bytes that a packed file says are inside of it, which may be untrue; of one that is not packed, its own."""
    if not is_pack(data):
        return len(data)
    if data.startswith(GZIP):
        return int.from_bytes(data[-4:], "little")
    try:
        return sum(one.size for one in zip_members(data, ""))
    except IntakeError:
        return 0


def contents_of(data: bytes) -> dict[object, bytes]:
    """What is inside a version, put together as it would be encoded; of one that is not packed, itself. What cannot be
    unpacked, is more than is believed, or more than anything is told after, is left out."""
    if not is_pack(data):
        return {None: data}
    found: dict[object, list[bytes]] = {}
    sizes = Counter[object]()
    for number, name, content in contents_of_gzip(data) if data.startswith(GZIP) else contents_of_zip(data):
        key = None if name is None else group_of(number, name, content)
        sizes[key] += len(content)
        if sizes.total() > room_for(len(data)):
            break
        found.setdefault(key, []).append(content)
        if sizes[key] > MOST_KNOWN:
            found[key] = []
    return {key: b"".join(parts) for key, parts in found.items()}


def contents_of_gzip(data: bytes) -> Iterator[tuple[int, None, bytes]]:
    """The texts of a gzip file, as long as there are whole ones that are not too large."""
    start = stream_start(data, 0)
    for number in range(MOST_STREAMS):
        one = None if start is None else inflated(data, start, MOST_KNOWN)
        if one is None:
            return
        content, end = one
        yield number, None, content
        start = stream_start(data, end + TRAILER)


def contents_of_zip(data: bytes) -> Iterator[tuple[int, str, bytes]]:
    """The parts of a ZIP file that can be unpacked and are not too large, with their places and names."""
    try:
        members = zip_members(data, "")
    except IntakeError:
        return
    for number, one in enumerate(members):
        if one.method == STORED:
            yield number, one.name, data[one.start : one.start + one.packed]
        elif one.method == DEFLATED and (found := inflated(data, one.start, MOST_KNOWN)) is not None:
            yield number, one.name, found[0]


def inflated(data: bytes, start: int, most: int) -> tuple[bytes, int] | None:
    """What the deflate stream that begins at a place holds, and where it ends; none if it breaks off, or holds more than
    so many bytes."""
    stream, content = decompressobj(-MAX_WBITS), bytearray()
    for at in range(start, len(data), WINDOW):
        try:
            content += stream.decompress(data[at : at + WINDOW], most + 1 - len(content))
        except BrokenStream:
            return None
        if len(content) > most:
            return None
        if stream.eof:
            return bytes(content), min(at + WINDOW, len(data)) - len(stream.unused_data)
    return None


def kind_to_encode(content: bytes) -> Kind:
    """The kind whose codecs suit a content best; markup of any kind is encoded as that of wearables is."""
    kind = kind_of_bytes(content[:SAMPLE])
    return Kind.WEARABLE if kind is not Kind.IMAGE and content[:SAMPLE].lstrip().startswith(b"<") else kind


# ── gaps ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def folded(gaps: Sequence[bytes], pieces: Sequence[tuple[bytes, int]]) -> list[bytes]:
    """The bytes between the streams of a gzip file, with zeros for what follows from the streams."""
    before = [None, *pieces]
    after = [*(size for _, size in pieces), None]
    return [unfolded(gap, one, size) for gap, one, size in zip(gaps, before, after, strict=True)]


def unfolded(gap: bytes, before: tuple[bytes, int] | None, after: int | None) -> bytes:
    """Bytes between two streams with what is expected of them, as bits that differ: done twice it is undone.

    Expected are behind a stream its text's checksum and length, and before one, in the header of a bgzip block, the
    block's size.
    """
    expected = bytearray(len(gap))
    if before is not None and len(gap) >= TRAILER:
        expected[:TRAILER] = crc32(before[0]).to_bytes(4, "little") + len(before[0]).to_bytes(4, "little")
    if after is not None and is_block(gap, is_first=before is None):
        expected[-2:] = ((18 + after + TRAILER - 1) & 0xFFFF).to_bytes(2, "little")
    return (int.from_bytes(gap, "little") ^ int.from_bytes(expected, "little")).to_bytes(len(gap), "little")


# ── numbers ───────────────────────────────────────────────────────────────────────────────────────────────────────


def written(numbers: Sequence[int]) -> bytes:
    """Numbers with seven bits a byte, the lowest first; all but the last byte of one have the highest bit set."""
    found = bytearray()
    for number in numbers:
        while number > 0x7F:
            found.append(number & 0x7F | 0x80)
            number >>= 7
        found.append(number)
    return bytes(found)


class Numbers:
    """Numbers and bytes that follow one another; whatever is not there is refused."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.place = 0
        """How many bytes were taken."""

    def take(self) -> int:
        """The next number."""
        number = shift = 0
        while shift < 63 and self.place < len(self._data):
            byte = self._data[self.place]
            self.place += 1
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
            shift += 7
        raise CannotDecode("a number is missing or too long")

    def bytes(self, size: int) -> bytes:
        """The next bytes."""
        found = self._data[self.place : self.place + size]
        if len(found) != size:
            raise CannotDecode(f"{size} bytes are missing")
        self.place += size
        return found

    @property
    def left(self) -> int:
        """How many bytes follow."""
        return len(self._data) - self.place

    @property
    def is_at_end(self) -> bool:
        """Whether nothing follows."""
        return self.place == len(self._data)

    def end(self) -> None:
        """Refuse what follows."""
        if not self.is_at_end:
            raise CannotDecode("something follows that nobody wrote")
