"""Data of any size ↔ sparse bytes, part by part, so that neither writing nor reading needs all of it at once.

`docs/formats.md`, parts/1. Each part is encoded by itself, by the smallest codec for its kind; or, in the next version of a
file, as the same as a part of the version before, or after one. Of a packed file some parts are of what is inside of it,
and others say how that was packed, each going on where the one before ended.

    parts_of(file) → encoded_parts(parts) → stored, and back by decoded_parts(stored) → the same parts

Both versions are read forwards only, step by step, so that few parts of each are in memory at once.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import BinaryIO, Final

from edgehold.codecs.compared import compared
from edgehold.codecs.general import Codec, Following, Going, GoingOn
from edgehold.codecs.packed import Numbers, written
from edgehold.codecs.packs import MOST_UNPACKED, most_inside
from edgehold.crypto.hash import tagged_hash
from edgehold.errors import AlteredBlob, CannotDecode
from edgehold.wire.ids import Digest

PARTS: Final = tagged_hash("codec", b"parts/1")
PART: Final = 1 << 25
"""Bytes of a part; the last may have fewer."""
PIECE: Final = 1 << 20
"""Bytes that are read at once where nothing is cut."""
MOST_HEAD: Final = 1 + 32 + 4 * 9 + 32 + 32 + 9
"""Bytes before the encoding of a part."""
BASED, AFTER, SAME, INSIDE, PACKING = 1, 2, 4, 8, 16
"""Of the byte before a part: its codec has a base; it is told after a part of the version before; it is the same as one; it
is of what is inside of the file; it says how that was packed."""
WITHIN: Final = SAME | AFTER
"""It is the same as some bytes of the version before."""
HOWS: Final = frozenset({PACKING} | {inside | how for inside in (0, INSIDE) for how in (0, 1, 2, 3, SAME, WITHIN)})
"""What that byte may be."""
MOST_LONGER: Final = 8
"""How many times as long that may be which a part is told after: to read it should take no more time than it gives."""
SNIPPETS, SNIPPET, LASTS = 64, 48, 4
"""How many stretches of a part are looked for in the version before, their least bytes, and how many say where it ends."""
LEAST_ALIKE, SLACK = 8, 8
"""How many of them are found at least in a part of what has to be alike; a part of it in so many may be unlike more than what
is alike before."""


@dataclass(frozen=True)
class Head:
    """What stands before the encoding of a part."""

    how: int
    digest: Digest
    """Of the part."""
    size: int
    """Bytes of the part."""
    passed: int = 0
    """How many parts of the version before lie between the one that was named last and the one that this names."""
    offset: int = 0
    """Bytes of that part before those that this one is told after, or is the same as."""
    length: int = 0
    """How many these are; they may go on in the parts that follow."""
    codec: Digest = PARTS
    base: Digest | None = None
    encoded: int = 0
    """Bytes of the encoding."""

    @property
    def is_based(self) -> bool:
        """Whether its codec has a base."""
        return bool(self.how & BASED)

    @property
    def is_after(self) -> bool:
        """Whether it is told after a part of the version before."""
        return self.how & WITHIN == AFTER

    @property
    def is_same(self) -> bool:
        """Whether it is the same as a part of the version before, or as bytes within it."""
        return bool(self.how & SAME)

    @property
    def is_within(self) -> bool:
        """Whether it is the same as bytes within a part of the version before, which may go on in the parts that follow."""
        return self.how & WITHIN == WITHIN

    @property
    def is_inside(self) -> bool:
        """Whether it is of what is inside of the file."""
        return bool(self.how & INSIDE)

    @property
    def is_packing(self) -> bool:
        """Whether it says how what is inside was packed; no version names it."""
        return self.how == PACKING

    def written(self) -> bytes:
        """Its bytes."""
        found = bytes([self.how]) + self.digest + written([self.size])
        if self.is_after or self.is_same:
            found += written([self.passed])
        if self.is_within:
            found += written([self.offset])
        if self.is_same:
            return found
        if self.is_after:
            found += written([self.offset, self.length])
        return found + self.codec + (self.base or b"") + written([self.encoded])


def read_head(reader: Numbers) -> Head:
    """What stands before a part; raises `CannotDecode`."""
    how, digest, size = reader.bytes(1)[0], Digest(reader.bytes(32)), reader.take()
    if how not in HOWS:
        raise CannotDecode(f"a part begins with {how}, which nobody wrote")
    head = Head(how, digest, size)
    if head.is_after or head.is_same:
        head = replace(head, passed=reader.take())
    if head.is_within:
        head = replace(head, offset=reader.take())
    if head.is_same:
        return head
    if head.is_after:
        head = replace(head, offset=reader.take(), length=reader.take())
    codec = Digest(reader.bytes(32))
    base = Digest(reader.bytes(32)) if head.is_based else None
    if codec == PARTS:
        raise CannotDecode("a part of parts")
    return replace(head, codec=codec, base=base, encoded=reader.take())


def part_digest(part: bytes) -> Digest:
    """The digest by which a part is known again."""
    return tagged_hash("part", part)


@dataclass(frozen=True)
class Measured:
    """A part as it is compared: nothing but its digest and its length."""

    digest: Digest
    size: int


def measured(part: bytes) -> Measured:
    """A part as it is compared."""
    return Measured(part_digest(part), len(part))


class Parts:
    """An encoding that is read forwards, part by part, with the version before it if it has one; what is passed over is
    not decoded. No more than one part and its encoding are in memory with what the pieces hold, and of a version before
    those parts that one is told after."""

    def __init__(
        self,
        codec_named: Callable[[Digest, Digest | None], Codec],
        pieces: Iterable[bytes],
        limit: int,
        before: Parts | Whole | None = None,
    ) -> None:
        self._codec_named = codec_named
        self._stream = Stream(pieces)
        self._left, self._left_inside = limit, most_inside(limit)
        self._before = None if before is None else Held(before)
        self.number = -1
        """Of the part at hand, counted from 0; those that say how something was packed are not counted."""
        self._named = 0
        """The part of the version before that was named last."""
        self._encoding = b""
        self._inside = bytearray()
        """What the parts since the last that said how it was packed are of."""
        self._going: dict[Digest, Going] = {}
        """What decodes parts of which each goes on where the one before ended."""
        self._part: bytes | None = None
        self.head = Head(0, PARTS, 0)
        """Of the part at hand."""

    def next(self) -> bool:
        """Go to the next part, if there is one. Raises `CannotDecode`."""
        if not self._stream.has(1):
            return False
        self._stream.has(MOST_HEAD)
        reader = Numbers(bytes(self._stream.held[:MOST_HEAD]))
        self.head = head = read_head(reader)
        self._left -= 0 if head.is_inside else head.size
        self._left_inside -= head.size if head.is_inside else 0
        if head.size > PART or min(self._left, self._left_inside) < 0 or head.encoded > 2 * PART:
            raise CannotDecode(f"a part of {head.size} bytes, encoded in {head.encoded}, is larger than it may be")
        self._stream.drop(reader.place)
        if not self._stream.has(head.encoded):
            raise CannotDecode(f"an encoding of {head.encoded} bytes breaks off")
        self._encoding = bytes(self._stream.held[: head.encoded])
        self._stream.drop(head.encoded)
        self._part = None
        self.number += 0 if head.is_packing else 1
        self._named += head.passed
        return True

    def decoded(self) -> Iterator[bytes]:
        """The parts of the file; what is inside of it is held until it is packed again. Raises `CannotDecode`."""
        while self.next():
            part = self.part()
            if not self.head.is_inside:
                yield part
                continue
            self._inside += part
            if len(self._inside) > MOST_UNPACKED:
                raise CannotDecode(f"{len(self._inside)} bytes are more than are packed at once")
        if self._inside:
            raise CannotDecode(f"nothing says how {len(self._inside)} bytes are packed")

    def go_to(self, number: int) -> None:
        """Go on to a part, counted from 0; raises `CannotDecode` if there is none."""
        while self.number < number:
            if not self.next():
                raise CannotDecode(f"the version before has no part {number}")

    def part(self) -> bytes:
        """The part at hand; raises `CannotDecode`."""
        if self._part is None:
            part = self._told()
            if len(part) != self.head.size:
                raise CannotDecode(f"a part has {len(part)} bytes instead of {self.head.size}")
            if part_digest(part) != self.head.digest:
                raise CannotDecode(f"a part of {len(part)} bytes is another than it was")
            self._part = part
        return self._part

    def alone(self) -> tuple[Head, bytes] | None:
        """The part at hand as it is encoded by itself, in this version or the one that it is the same in; none if it is
        told after others, or lies within them."""
        if not self.head.is_same:
            return None if self.head.is_after else (self.head, self._encoding)
        if self.head.is_within:
            return None
        if (found := self._known().alone(self._named)) is None:
            return None
        head, encoding = found
        return replace(head, how=head.how & ~INSIDE | self.head.how & INSIDE), encoding

    def _known(self) -> Held:
        """The version before, from the part on that the one at hand names."""
        if self._before is None:
            raise CannotDecode("there is no version before, of which a part is named")
        self._before.drop(self._named)
        return self._before

    def _told(self) -> bytes:
        head = self.head
        if head.is_within:
            return self._known().stretch(self._named, head.offset, head.size)
        if head.is_same:
            return self._known().part(self._named, head.size)
        codec = self._codec_named(head.codec, head.base)
        if head.is_packing:
            return self._packed(codec)
        if head.is_after:
            if not isinstance(codec, Following):
                raise CannotDecode(f"codec {codec.name.hex()} knows no versions")
            if head.length > min(MOST_LONGER * head.size, PART):
                raise CannotDecode(f"a part of {head.size} bytes is told after {head.length}")
            codec = codec.after(self._known().stretch(self._named, head.offset, head.length))
        return codec.decode(self._encoding, head.size)

    def _packed(self, codec: Codec) -> bytes:
        """What was inside, as it was packed."""
        if not isinstance(codec, GoingOn):
            raise CannotDecode(f"codec {codec.name.hex()} packs nothing")
        if codec.name not in self._going:
            self._going[codec.name] = codec.begin()
        inside, self._inside = bytes(self._inside), bytearray()
        return self._going[codec.name].decode(self._encoding, inside, self.head.size)


class Whole:
    """A version before that is not kept in parts, but at once: it counts as one part, which is decoded if it is named."""

    number = 0

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read

    def go_to(self, number: int) -> None:
        """Raises `CannotDecode` for another part than the first."""
        if number > self.number:
            raise CannotDecode(f"the version before is kept at once: it has no part {number}")

    def part(self) -> bytes:
        """All of it; raises `AlteredBlob`, `CannotDecode`."""
        return self._read()

    def alone(self) -> None:
        """No part of it is encoded by itself."""


class Held:
    """A version, of which some parts are held while the next is read or written; it goes forwards too."""

    def __init__(self, parts: Parts | Whole) -> None:
        self._parts = parts
        self._held = OrderedDict[int, tuple[bytes, tuple[Head, bytes] | None]]()

    def drop(self, number: int) -> None:
        """The parts before this one are done with."""
        while self._held and next(iter(self._held)) < number:
            self._held.popitem(last=False)

    def alone(self, number: int) -> tuple[Head, bytes] | None:
        """A part as it is encoded by itself, if it is; raises `CannotDecode`."""
        if number in self._held:
            return self._held[number][1]
        self._parts.go_to(number)
        return self._parts.alone()

    def part(self, number: int, size: int | None = None) -> bytes:
        """A part, which is held from now on; raises `CannotDecode` if it has another size than this."""
        if number not in self._held:
            self._parts.go_to(number)
            if isinstance(self._parts, Parts) and size not in (None, self._parts.head.size):
                raise CannotDecode(f"a part of {size} bytes names one of {self._parts.head.size}")
            self._held[number] = self._parts.part(), self._parts.alone()
        return self._held[number][0]

    def stretch(self, number: int, offset: int, length: int) -> bytes:
        """Bytes from a place in a part on, which may go on in the parts behind it; raises `CannotDecode`."""
        if offset >= len(self.part(number)):
            raise CannotDecode(f"a part of {len(self.part(number))} bytes has no place {offset}")
        found = bytearray()
        while len(found) < length:
            part = self.part(number)
            found += part[offset : offset + length - len(found)]
            number, offset = number + 1, max(offset - len(part), 0)
        return bytes(found)


@dataclass(frozen=True)
class Likely:
    """What a part is likely to follow."""

    place: int
    """In which part of the version before it begins."""
    offset: int
    """Where there."""
    stretch: bytes


class Versions:
    """What is known of the version before while the next is encoded: of each part of the next, which it is the same as, or
    between which it lies. If it is known what the next is likely to take `by_itself`, it is given up where more of it is
    unlike than alike, and a part that takes at most half of its share after others is not encoded by itself."""

    def __init__(
        self,
        before: Parts | Whole,
        known: Sequence[Measured],
        following: Sequence[Measured],
        by_itself: int | None = None,
    ) -> None:
        self._before, self._is_whole = Held(before), isinstance(before, Whole)
        self._known = known
        self._size, self._by_itself = sum(one.size for one in following), by_itself
        self._unlike_left = self._size // SLACK
        """Bytes that may be unlike before it is given up."""
        self._starts = [0, *accumulate(one.size for one in known)]
        self._places = same_places(known, following)
        self._gaps = gaps_of(self._places, len(known))
        self._gap = (0, 0)
        self._cursor = 0
        """Where in the version before goes on what the last part was told after."""
        self.named: int | None = None
        """The part that was named last, if one was."""

    def same_as(self, number: int, head: Head) -> Head | None:
        """What stands in place of the n-th part of the next version if it is the same as another; none if it is not."""
        place = self._places[number] if number < len(self._places) else None
        if place is None or self._known[place].digest != head.digest:
            return None
        self._unlike_left += head.size
        if self._is_whole:
            return replace(head, how=head.how | WITHIN, passed=self.pass_to(0), offset=self._starts[place])
        return replace(head, how=head.how | SAME, passed=self.pass_to(place))

    def likely_before(self, number: int, part: bytes) -> Likely | None:
        """What the n-th part is likely to follow; none if nothing of it is found there, or it cannot be read: the part is
        then told without it. Raises `CannotDecode` if it has to be alike, and is not."""
        found = self._find(number, part)
        self._unlike_left += -len(part) if found is None else len(part)
        if self._by_itself is not None and self._unlike_left < 0:
            raise CannotDecode(f"part {number} and those before it are not alike those of the version before")
        return found

    def expected(self, size: int) -> int | None:
        """What so many bytes of a part are likely to take by themselves, if that is known."""
        return None if self._by_itself is None else self._by_itself * size // max(self._size, 1)

    def is_half(self, encoded: int) -> bool:
        """Whether so many bytes are at most half of what the next version is likely to take by itself."""
        return self._by_itself is not None and 2 * encoded <= self._by_itself

    def _find(self, number: int, part: bytes) -> Likely | None:
        gap = self._gaps[number] if number < len(self._gaps) else (0, 0)
        if gap != self._gap:
            self._gap, self._cursor = gap, self._starts[gap[0]]
            self._before.drop(self._place_of(self._cursor)[0])
        length = min(self._starts[gap[1]] - self._cursor, len(part) + len(part) // 2, PART)
        if length <= 0:
            return None
        try:
            seen = self._before.stretch(*self._place_of(self._cursor), length)
        except (AlteredBlob, CannotDecode):
            return None
        found = find_stretch(seen, part)
        if found is None or (self._by_itself is not None and found[3] < LEAST_ALIKE):
            return None
        begin, end, sure, _ = found
        place, offset = self._place_of(self._cursor + begin)
        self._cursor += sure
        self._before.drop(self._place_of(self._cursor)[0])  # nothing before it is looked at again
        return Likely(place, offset, seen[begin:end])

    def _place_of(self, at: int) -> tuple[int, int]:
        """In which part of the version before a byte is, and where there."""
        if self._is_whole:
            return 0, at
        place = bisect_right(self._starts, at) - 1
        return place, at - self._starts[place]

    def pass_to(self, place: int) -> int:
        """Name a part; how many are passed over."""
        passed, self.named = place - (self.named or 0), place
        return passed


@dataclass(frozen=True)
class Ways:
    """The codecs of a part."""

    codecs: Sequence[Codec]
    following: Sequence[Following] = ()
    """Those by which it may be told after a part of the version before."""


class PartsCodec:
    """The codec of what is too large to be encoded at once. One object serves any number of hubs and threads."""

    name = PARTS
    base: Digest | None = None
    has_inside = False
    """Whether the file has to be unpacked to know its parts."""

    def __init__(
        self,
        codec_named: Callable[[Digest, Digest | None], Codec],
        encode_smallest: Callable[[bytes, Sequence[Codec]], tuple[Codec, bytes]],
        ways: Ways,
        inside: Sequence[Codec] = (),
    ) -> None:
        self._codec_named = codec_named
        self._encode_smallest = encode_smallest
        self._ways = ways
        self._inside = inside
        """The codecs of what is inside of packed files, of whatever kind it is."""

    def encode(self, data: bytes) -> bytes:
        """Fewer bytes, which were decoded once and compared before they are returned."""
        parts = (data[at : at + PART] for at in range(0, len(data), PART))
        return compared(self, data, b"".join(self.encoded_parts(parts)))

    def decode(self, encoded: bytes, limit: int) -> bytes:
        """The bytes again; raises `CannotDecode` if they are none of this codec's or would be more than `limit`."""
        return b"".join(self.decoded_parts([encoded], limit))

    def encoded_parts(self, parts: Iterable[bytes], versions: Versions | None = None) -> Iterator[bytes]:
        """The encoding in pieces, one a part."""
        for number, part in enumerate(parts):
            yield self.encoded_part(Head(0, part_digest(part), len(part)), part, self._ways, number, versions)

    def encoded_part(self, head: Head, part: bytes, ways: Ways, number: int, versions: Versions | None) -> bytes:
        """The n-th of the parts that versions name, behind its head."""
        if versions is not None and (same := versions.same_as(number, head)) is not None:
            return same.written()
        likely = versions.likely_before(number, part) if versions is not None and ways.following else None
        if versions is None or likely is None:
            return headed(head, *self._encode_smallest(part, ways.codecs))
        expected = versions.expected(len(part))
        alone = None if expected is not None else self._encode_smallest(part, ways.codecs)
        place, offset, length = likely.place, likely.offset, len(likely.stretch)
        codecs = [codec.after(likely.stretch) for codec in ways.following]
        likely = None  # who has no other use for the stretch holds it no longer
        told = self._after(part, codecs)
        if told is None or expected is None or 2 * len(told[1]) > expected:
            alone = alone or self._encode_smallest(part, ways.codecs)
            if told is None or 2 * len(told[1]) > len(alone[1]):
                return headed(head, *alone)
        passed = versions.pass_to(place)
        return headed(replace(head, how=head.how | AFTER, passed=passed, offset=offset, length=length), *told)

    def alone_parts(self, parts: Parts) -> Iterator[bytes]:
        """The encoding in pieces of what needs no version before, of a version that does."""
        while parts.next():
            if (found := parts.alone()) is not None:
                head, encoded = found
                yield head.written() + encoded
            else:
                codecs = self._inside if parts.head.is_inside else self._ways.codecs
                codec, encoded = self._encode_smallest(parts.part(), codecs)
                yield headed(Head(parts.head.how & INSIDE, parts.head.digest, parts.head.size), codec, encoded)

    def inside(self, encoded: bytes) -> Iterator[tuple[Digest, Digest | None, bytes]]:
        """Of each part that has an encoding: the name of its codec, that of its base, and itself; raises
        `CannotDecode`."""
        reader = Numbers(encoded)
        while not reader.is_at_end:
            head = read_head(reader)
            if not head.is_same:
                yield head.codec, head.base, reader.bytes(head.encoded)

    def opened(self, pieces: Iterable[bytes], limit: int, before: Parts | Whole | None = None) -> Parts:
        """An encoding in pieces of any size, to be read part by part."""
        return Parts(self._codec_named, pieces, limit, before)

    def named_parts(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """The parts of a file that versions name, in turn."""
        yield from parts

    def measured(self, parts: Iterable[bytes]) -> list[Measured]:
        """What these are compared by."""
        return list(map(measured, self.named_parts(parts)))

    def measured_parts(self, pieces: Iterable[bytes], limit: int) -> list[Measured]:
        """The same of an encoding, of which nothing is decoded; raises `CannotDecode`, also for a codec that is not
        known."""
        parts, found = self.opened(pieces, limit), []
        while parts.next():
            if not parts.head.is_same:
                self._codec_named(parts.head.codec, parts.head.base)
            if not parts.head.is_packing:
                found.append(Measured(parts.head.digest, parts.head.size))
        return found

    def decoded_parts(
        self, pieces: Iterable[bytes], limit: int, before: Parts | Whole | None = None
    ) -> Iterator[bytes]:
        """The parts of the file again. Raises `CannotDecode` on the way."""
        yield from self.opened(pieces, limit, before).decoded()

    def _after(self, part: bytes, codecs: Sequence[Codec]) -> tuple[Codec, bytes] | None:
        """The fewest bytes for a part after others; none if it cannot be told so."""
        try:
            return self._encode_smallest(part, codecs)
        except CannotDecode:
            return None


def headed(head: Head, codec: Codec, encoded: bytes) -> bytes:
    """An encoding behind its head."""
    how = head.how if codec.base is None else head.how | BASED
    return replace(head, how=how, codec=codec.name, base=codec.base, encoded=len(encoded)).written() + encoded


# ── versions ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def same_places(known: Sequence[Measured], following: Sequence[Measured]) -> list[int | None]:
    """Of each part of the next version the part of the version before that is the same, so that they go forwards only and
    are as many as can be."""
    first: dict[Digest, int] = {}
    for place, one in enumerate(known):
        first.setdefault(one.digest, place)
    lasts: list[int] = []  # of the best chain of each length, the last place
    ends: list[int] = []  # and the number of the part there
    before: list[int | None] = [None] * len(following)
    for number, one in enumerate(following):
        if (found := first.get(one.digest)) is not None:
            length = bisect_right(lasts, found)
            before[number] = ends[length - 1] if length else None
            lasts[length : length + 1], ends[length : length + 1] = [found], [number]
    places: list[int | None] = [None] * len(following)
    at = ends[-1] if ends else None
    while at is not None:
        places[at] = first[following[at].digest]
        at = before[at]
    return places


def gaps_of(places: Sequence[int | None], count: int) -> list[tuple[int, int]]:
    """Of each part of the next version, between which parts of the version before those lie that it may follow: behind the
    one that the last before it is the same as, up to the one that the next behind it is the same as, or its end."""
    begins, ends = [0], [count]
    for place in places:
        begins.append(begins[-1] if place is None else place + 1)
    for place in reversed(places):
        ends.append(ends[-1] if place is None else place)
    return list(zip(begins, reversed(ends[:-1]), strict=False))


def find_stretch(known: bytes, part: bytes) -> tuple[int, int, int, int] | None:
    """From where to where what is known is likely to have the lines of a part, or the objects in its one line, by some that
    are looked for one after another, up to where it surely has nothing of what comes next, and how many are there; none if
    none is."""
    found: list[tuple[int, int]] = []
    stop = b"\n" if b"\n" in part[:-1] else b"}"
    for number in range(SNIPPETS):
        start = part.rfind(stop, 0, number * len(part) // SNIPPETS + 1) + 1
        end = part.find(stop, start + SNIPPET) + 1
        at = known.find(part[start:end], found[-1][1] if found else 0) if end else -1
        if at >= 0:
            found.append((start, at))
    if not found:
        return None
    start, at = found[0]
    begin = known.rfind(stop, 0, max(at - start, 0)) + 1
    while known[begin : begin + 1] in (b" ", b"\t"):  # markup begins with a tag
        begin += 1
    ends = [at + len(part) - start for start, at in found[-LASTS:]]
    slack = len(part) // SNIPPETS
    end = known.find(stop, max(ends) + slack) + 1 or len(known)
    return begin, end, max(begin, min(*ends, len(known)) - slack), len(found)


class Stream:
    """Bytes that come in pieces."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = iter(pieces)
        self.held = bytearray()

    def has(self, size: int) -> bool:
        """Whether so many more bytes come; they are held then."""
        while len(self.held) < size:
            piece = next(self._pieces, None)
            if piece is None:
                return False
            self.held += piece
        return True

    def drop(self, size: int) -> None:
        """So many bytes are done with."""
        del self.held[:size]


def parts_of(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of a file of any size, part after part."""
    while part := file.read(PART):
        yield part


def pieces_of(file: BinaryIO) -> Iterator[bytes]:
    """The bytes of a file of any size, few at a time, for a codec that cuts it itself."""
    while piece := file.read(PIECE):
        yield piece
