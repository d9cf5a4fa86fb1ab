"""Large packed files: unpacked part by part, each part going on where the one before ended."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgehold import _native
from edgehold.codecs import cuts, parts, stretches
from edgehold.codecs.choice import (
    Profile,
    bases_of,
    codec_named,
    cut_for,
    encode_smallest,
    stretches_codec,
    ways_inside,
)
from edgehold.codecs.general import ZSTD, shipped_codec
from edgehold.codecs.packed import Numbers, written
from edgehold.codecs.parts import INSIDE, PACKING, PARTS, Head, Measured, part_digest, read_head
from edgehold.codecs.record import LINES
from edgehold.codecs.samples import SAMPLES
from edgehold.codecs.stretches import BROKEN, CONTENT, GOING, STRETCHES, WHOLE, PackedPartsCodec
from edgehold.errors import CannotDecode
from edgehold.wire.data import Kind

DATA = Path(__file__).parent.parent / "data"
TABLE = (DATA / "lines" / "observations.csv").read_bytes()
XML = (DATA / "lines" / "export.xml").read_bytes()
CODEC = PackedPartsCodec(codec_named, encode_smallest, ways_inside)
NOISE = Random(1).randbytes(30_000)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, size in (
        ("TABLE_PART", 20_000),
        ("TEXT_PART", 20_000),
        ("SAMPLES_PART", 30_000),
        ("SAMPLE", 2000),
        ("LOOK", 1 << 10),
        ("AHEAD", 1 << 13),
        ("GAP", 1 << 14),
        ("ROOM", 40_000),
    ):
        monkeypatch.setattr(stretches, name, size)


def deflated(text: bytes, level: int = 6, memory: int = 3, strategy: int = 0) -> bytes:
    """A stream of many blocks."""
    stream = zlib.compressobj(level, zlib.DEFLATED, -15, memory, strategy)
    return stream.compress(text) + stream.flush()


def gzipped(text: bytes, level: int = 6, memory: int = 3, strategy: int = 0) -> bytes:
    """A file of one stream of many blocks."""
    behind = struct.pack("<2I", zlib.crc32(text), len(text))
    return b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + deflated(text, level, memory, strategy) + behind


def member(name: str, body: bytes, size: int, *, method: int = 8, flags: int = 0, packed: int | None = None) -> bytes:
    """A part of a ZIP file."""
    packed = len(body) if packed is None else packed
    return struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, flags, method, 0, 0, 0, packed, size, len(name), 0) + (
        name.encode() + body
    )


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, *, is_streamed: bool = False) -> bytes:
    """A ZIP file, the same at any time; one whose writer cannot go back describes its parts behind them."""
    made = io.BytesIO()

    class Stream(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: bytes) -> int:  # type: ignore[override]
            return made.write(data)

    with zipfile.ZipFile(Stream() if is_streamed else made, "w", method) as file:  # type: ignore[arg-type]
        for name, content in files.items():
            file.writestr(zipfile.ZipInfo(name), content, method)
    return made.getvalue()


def encoded(data: bytes, codec: PackedPartsCodec = CODEC) -> list[bytes]:
    """The parts; they come back, in whatever pieces the file and its encoding came."""
    parts = list(codec.encoded_parts(data[at : at + 700] for at in range(0, len(data), 700)))
    whole = b"".join(parts)
    pieces = (whole[at : at + 900] for at in range(0, len(whole), 900))
    assert b"".join(codec_parts(pieces, len(data))) == data
    heads = [read_head(Numbers(part)) for part in parts]
    named = [Measured(head.digest, head.size) for head in heads if not head.is_packing]
    assert named == codec.measured([data]) or not all(head.is_inside or head.is_packing for head in heads)
    return parts


def codec_parts(pieces: Iterator[bytes], limit: int) -> Iterator[bytes]:
    codec = codec_named(PARTS, None)
    assert hasattr(codec, "decoded_parts")
    yield from codec.decoded_parts(pieces, limit)


def insides(parts: list[bytes]) -> list[bytes]:
    """The codecs of what is inside of each part."""
    return [name for part in parts if part[0] & INSIDE for name, _, _ in CODEC.inside(part)]


def texts(parts: list[bytes]) -> list[bytes]:
    """What is inside."""
    return [
        codec_named(name, base).decode(one, 1 << 20)
        for part in parts
        if part[0] & INSIDE
        for name, base, one in CODEC.inside(part)
    ]


def packed_together(parts: list[bytes]) -> list[int]:
    """How many parts of what is inside stand before each that says how they were packed."""
    found = [0]
    for part in parts:
        found[-1] += bool(part[0] & INSIDE)
        found += [0] if part[0] == PACKING else []
    return found


def packings(parts: list[bytes]) -> list[bytes]:
    """How it was packed."""
    return [one for part in parts if part[0] == PACKING for _, _, one in CODEC.inside(part)]


# ── gzip ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("level", "strategy"), [(1, 0), (3, 0), (4, 0), (6, 0), (9, 0), (6, 4), (6, 3)])
def test_a_long_stream_is_unpacked_part_by_part(level: int, strategy: int) -> None:
    data = gzipped(TABLE, level, strategy=strategy)
    parts = encoded(data)
    assert len(parts) > 2
    assert LINES in insides(parts)
    assert max(map(len, packings(parts))) < 8000
    assert bases_of(CODEC, next(part for part in parts if part[0] == PACKING)) == ()


def test_what_zlib_would_do_is_known_where_a_part_begins() -> None:
    for level in (1, 3, 6, 9):
        stream = deflated(TABLE, level, 8)
        finder, writer, reader = _native.StretchFinder(), _native.StretchWriter(), _native.StretchReader()
        at = known = told = 0
        while at < len(stream):
            text, ends, is_whole = finder.look(stream[at:], 20_000, 1 << 20)
            blocks = None if is_whole or len(ends) < 2 else len(ends) - 1
            cut = len(text)
            size = writer.tell(stream[at:], text[:cut], blocks, blocks is None)
            reader.begin(one := writer.finish())
            told += len(one)
            assert reader.hear(text[known:cut], blocks, blocks is None, size) == stream[at : at + size]
            if blocks is not None:
                end, place = ends[blocks - 1]
                assert place // 8 == size
                finder.pass_to(text[:end], place)
                assert finder.bits == place % 8
                known = cut - end
            at += size
        assert not reader.is_inside
        assert told < 40


def test_a_text_that_ends_within_a_line_is_one_of_whole_lines() -> None:
    data = gzipped(TABLE, memory=1)
    found = texts(encoded(data))
    assert b"".join(found) == TABLE
    assert all(text.endswith(b"\n") for text in found)


@pytest.mark.parametrize(
    "data",
    [
        gzipped(TABLE)[:-9],
        gzipped(TABLE)[:5000],
        gzipped(TABLE)[:12],
        gzipped(TABLE) + b"what follows",
        gzipped(b"") * 5 + gzipped(TABLE[:500]) * 3 + gzipped(TABLE) * 2 + NOISE,
        gzipped(TABLE)[:8000] + NOISE + gzipped(TABLE)[8000:],
        gzipped(NOISE * 3),
        gzipped(XML * 3, memory=1),
        gzipped(b"a" * 100_000 + TABLE),
        gzipped(bytes(3_000_000), memory=8),
        gzipped(gzipped(TABLE) * 3),
        gzipped(TABLE[:30_000], 0) + gzipped(TABLE, 0, 9),
        b"\x1f\x8b\x08",
        b"\x1f\x8b\x08" + NOISE,
    ],
)
def test_any_file_that_begins_like_gzip_comes_back(data: bytes) -> None:
    encoded(data)


def test_what_breaks_off_is_unpacked_as_far_as_it_goes() -> None:
    whole, cut = encoded(gzipped(TABLE)), encoded(gzipped(TABLE)[:-2000])
    assert insides(cut)
    assert sum(map(len, cut)) < sum(map(len, whole)) + 2000


def test_markup_is_cut_before_a_tag() -> None:
    text = b"<HealthData>\n" + b" <Record/>\n" * 9000
    found = texts(encoded(gzipped(text, memory=1, strategy=zlib.Z_HUFFMAN_ONLY)))
    assert len(found) > 2
    assert all(text.startswith(b"<") for text in found)


def test_a_text_is_cut_as_if_it_were_not_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuts, "TABLE_PART", 20_000)
    for text, cut in ((TABLE, cuts.cut_tables), (XML * 5, cuts.cut_markup)):
        plain = list(cut(io.BytesIO(text)))
        assert len(plain) > 2
        assert texts(encoded(gzipped(text))) == plain
        assert texts(encoded(zipped({"a": text, "b": b"a,b\n1,2\n"}, zipfile.ZIP_STORED)))[: len(plain)] == plain


def test_a_stream_that_becomes_a_bomb_is_unpacked_before_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "most_inside", lambda packed: 15 * packed + 10_000)
    data = gzipped(TABLE + b"a" * 200_000, memory=1)
    parts = encoded(data)
    assert LINES in insides(parts)
    assert sum(map(len, parts)) < len(data)
    decoder, inside = stretches_codec().begin(), texts(parts)
    monkeypatch.setattr(stretches, "most_inside", lambda packed: 2 * packed)
    with pytest.raises(CannotDecode, match="believed"):
        decoder.decode(packings(parts)[0], b"".join(inside[: packed_together(parts)[0]]), 3000)


def test_images_are_encoded_as_such_and_cut_anywhere() -> None:
    image = (DATA / "samples" / "CT_small.dcm").read_bytes()
    assert SAMPLES in insides(encoded(member("a.dcm", deflated(image), len(image))))
    assert list(map(len, texts(encoded(zipped({"a.dcm": image}, zipfile.ZIP_STORED))))) == [30_000, len(image) - 30_000]


def test_a_stream_of_blocks_that_hold_nothing_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "AHEAD", 1 << 15)
    stream = zlib.compressobj(6, zlib.DEFLATED, -15)
    empty = b"\0\0\0\xff\xff" * 5000
    data = gzipped(TABLE)[:10] + stream.compress(b"a") + stream.flush(zlib.Z_SYNC_FLUSH) + empty + stream.flush()
    assert len(packings(encoded(data))) == 2


# ── ZIP ───────────────────────────────────────────────────────────────────────────────────────────────────────────

FILES = {
    "export/": b"",
    "export/export.xml": XML * 2,
    "export/one.gpx": b"<gpx>\n  <trk/>\n</gpx>\n" * 30,
    "export/two.gpx": b"<gpx>\n  <trk>2</trk>\n</gpx>\n" * 30,
    "export/results.csv": TABLE,
    "export/more.csv": TABLE[:5000],
    "export/noise": NOISE,
    "export/inner.zip": zipped({"a.csv": TABLE}),
    "export/empty": b"",
}


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
def test_a_zip_file_is_unpacked_part_by_part(method: int) -> None:
    data = zipped(FILES, method)
    parts = encoded(data)
    assert LINES in insides(parts)
    assert sum(map(len, parts)) < 120_000


def test_the_writer_need_not_have_gone_back() -> None:
    parts = encoded(zipped(FILES, is_streamed=True))
    assert sum(map(len, parts)) < sum(map(len, encoded(zipped(FILES)))) + 500


STREAM = deflated(TABLE)


@pytest.mark.parametrize(
    "data",
    [
        member("a", STREAM, len(TABLE), packed=len(STREAM) - 900) + zipped(FILES),
        member("a", STREAM + NOISE, len(TABLE)) + zipped(FILES),
        member("a", STREAM[:-1500] + bytes(1500), len(TABLE)) + zipped(FILES),
        member("a", STREAM[:-1500], len(TABLE), flags=8, packed=0),
        member("a", STREAM, len(TABLE), flags=8, packed=0) + b"neither this nor that",
        member("a", NOISE, 5, flags=1) + zipped(FILES),
        member("a", NOISE, 5, method=12) + zipped(FILES),
        member("a", NOISE, 5, method=12, flags=8),
        member("a", NOISE, 5, method=0, flags=8),
        member("a", NOISE, 5, method=0, flags=1) + zipped(FILES),
        member("a", STREAM, 0xFFFFFFFF, packed=0xFFFFFFFF),
        member("a", TABLE, len(TABLE), method=0)[:-30_000],
        member("a", deflated(bytes(3_000_000), memory=8), 3_000_000) + zipped(FILES),
        member("a", deflated(TABLE + bytes(3_000_000), memory=8), 3_000_000) + zipped(FILES),
        zipped(FILES)[:20],
        zipped({}),
        b"PK\x03\x04" + NOISE,
    ],
    ids=lambda data: str(len(data)),
)
def test_any_file_that_begins_like_zip_comes_back(data: bytes) -> None:
    encoded(data)


def test_a_bomb_in_the_middle_of_a_stream_keeps_nothing_behind_it_packed() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15, 8)
    blocks = packer.compress(TABLE) + packer.flush(zlib.Z_BLOCK) + packer.compress(bytes(8_000_000)) + packer.flush()
    bomb, behind = member("a", blocks, 8_000_000 + len(TABLE)), zipped(FILES)
    assert len(insides(encoded(bomb + behind))) > len(insides(encoded(behind))) > 1


def test_what_is_small_goes_together() -> None:
    parts = encoded(zipped({f"{number}.gpx": b"<gpx>\n<a>%d</a>\n</gpx>\n" % number * 20 for number in range(50)}))
    assert len(insides(parts)) == 2
    assert len(packings(parts)) == 1


# ── codec ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_does_not_come_back_is_left_as_it_is_from_there_on(monkeypatch: pytest.MonkeyPatch) -> None:
    kept, done = stretches.StretchesDecoder.decode, []

    def altered(self: stretches.StretchesDecoder, told: bytes, inside: bytes, limit: int) -> bytes:
        done.append(limit)
        return kept(self, told, inside, limit)[len(done) // 2 :]

    with monkeypatch.context() as patched:
        patched.setattr(stretches.StretchesDecoder, "decode", altered)
        parts = list(CODEC.encoded_parts([gzipped(TABLE * 3, memory=1)]))
    codecs = [read_head(Numbers(part)).codec for part in parts if not part[0] & INSIDE]
    assert codecs[:2] == [STRETCHES, ZSTD]
    assert set(codecs[2:]) == {ZSTD}
    assert b"".join(codec_parts(iter(parts), 1 << 20)) == gzipped(TABLE * 3, memory=1)


def test_a_part_in_which_nothing_is_unpacked_is_one_of_any_codec() -> None:
    codec = codec_named(STRETCHES, None)
    for data in (b"", NOISE, gzipped(TABLE)):
        assert codec.decode(codec.encode(data), len(data)) == data


def test_packed_files_are_cut_so_in_the_profile_of_fewest_bytes() -> None:
    data = zipped(FILES)
    small, fast = (cut_for(data, len(data), Kind.WEARABLE, profile) for profile in (Profile.SMALL, Profile.FAST))
    assert (small.is_known, fast.is_known) == (True, False)
    assert isinstance(small.codec, PackedPartsCodec)
    assert b"".join(small.parts(io.BytesIO(data))) == data


def part_of(rows: list[list[int]], gaps: bytes = b"", told: bytes = b"", groups: int = 1) -> bytes:
    """A part as it is written."""
    numbers = [len(rows), groups, *(number for row in rows for number in row)]
    outline = shipped_codec(None).encode(written(numbers) + gaps)
    return written([len(outline)]) + outline + told


def begun() -> bytes:
    """A stream that begins, and goes on before its first block."""
    writer = _native.StretchWriter()
    assert writer.tell(STREAM, b"", 0, is_end=False) == 0
    return writer.finish()


def heard(encoded: bytes, inside: bytes, limit: int = 5) -> bytes:
    return stretches_codec().begin().decode(encoded, inside, limit)


def test_what_nobody_wrote_is_refused() -> None:
    plain = part_of([[2, CONTENT, 3]], b"ab")
    assert heard(plain, b"cde") == b"abcde"
    for one, inside in (
        (plain, b"cdef"),
        (plain, b""),
        (part_of([[2, CONTENT, 3]], b"abc"), b"cde"),
        (part_of([[3, CONTENT, 3]], b"ab"), b"cde"),
        (part_of([[0, CONTENT + 4, 3]]), b"cde"),
        (part_of([], groups=1), b""),
        (part_of([[0, CONTENT, 0]] * 20_000), b""),
        (part_of([[0, WHOLE, 3]]), b"cde"),
        (part_of([[0, BROKEN, 3, 5]]), b"cde"),
        (part_of([[0, GOING, 3, 1], [0, CONTENT, 2]]), b"cdefg"),
        (part_of([[0, CONTENT, 100_000]]), bytes(100_000)),
        (plain[:-4], b"cde"),
        (b"\xff" * 20, b""),
    ):
        with pytest.raises(CannotDecode):
            heard(one, inside)
    going = part_of([[0, GOING, 3, 0]], told=begun())
    for rows, gaps in (([[0, CONTENT, 0]], b""), ([[1, BROKEN, 0, 0]], b"x")):
        decoder = stretches_codec().begin()
        assert decoder.decode(going, b"cde", 5) == b""
        with pytest.raises(CannotDecode, match="does not go on"):
            decoder.decode(part_of(rows, gaps), b"", 5)


def inner(text: bytes) -> bytes:
    """A part of what is inside."""
    one = shipped_codec(None).encode(text)
    return Head(INSIDE, part_digest(text), len(text), codec=ZSTD, encoded=len(one)).written() + one


def outer(packed: bytes, encoded: bytes, codec: bytes = STRETCHES) -> bytes:
    """A part that says how it was packed."""
    head = Head(PACKING, part_digest(packed), len(packed), codec=codec, encoded=len(encoded))  # type: ignore[arg-type]
    return head.written() + encoded


def test_what_is_inside_has_to_be_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = outer(b"abcde", part_of([[2, CONTENT, 3]], b"ab"))
    assert b"".join(codec_parts(iter([inner(b"cd") + inner(b"e") + plain]), 5)) == b"abcde"
    for whole, words in (
        (inner(b"cde"), "nothing says how"),
        (inner(b"cde") + outer(b"cde", shipped_codec(None).encode(b"cde"), ZSTD), "packs nothing"),
        (inner(b"cd") + plain, "instead of"),
        (inner(bytes(70_000)) + plain, "larger than it may be"),
        (bytes([INSIDE | PACKING]) + plain[1:], "nobody wrote"),
        (inner(bytes(60)) + inner(bytes(60)) + plain, "more than are packed at once"),
    ):
        monkeypatch.setattr(parts, "MOST_UNPACKED", 100 if "at once" in words else 1 << 26)
        with pytest.raises(CannotDecode, match=words):
            list(codec_parts(iter([whole]), 5))


def test_a_stretch_that_goes_on_has_more_blocks_behind_it() -> None:
    with pytest.raises(ValueError, match="nothing follows"):
        _native.StretchReader().hear(b"", None, is_end=False, most=5)


def test_more_of_the_text_than_may_be_known_is_refused() -> None:
    reader = _native.StretchReader()
    reader.begin(begun())
    with pytest.raises(ValueError, match="more of the text"):
        reader.hear(bytes((1 << 26) + 1), 0, is_end=False, most=5)
    with pytest.raises(ValueError, match="too long"):
        reader.hear(bytes(1 << 30), 0, is_end=False, most=5)


def test_what_is_known_ahead_is_not_gone_through_again_and_again() -> None:
    text, gap = bytes(30 << 20), b"x" * 200_000

    def rows(count: int) -> bytes:
        numbers = [count, 1, *(number for row in range(count) for number in (0, GOING, 0 if row else len(text), 0))]
        outline = shipped_codec(None).encode(written(numbers))
        return written([len(outline)]) + outline + b"\xff" * 100

    for count in (1, 20):
        decoder = stretches_codec().begin()
        decoder.decode(stretches_codec().encode(gap), b"", len(gap))
        if count == 1:
            assert decoder.decode(rows(count), text, 0) == b""
            continue
        with pytest.raises(CannotDecode, match="again and again"):
            decoder.decode(rows(count), text, 0)


def test_an_altered_encoding_is_refused_or_bounded() -> None:
    data = zipped({"a.csv": TABLE, "b.csv": TABLE[:3000]})
    whole = b"".join(CODEC.encoded_parts([data]))
    for seed in range(60):
        dice = Random(seed)
        altered = bytearray(whole)
        altered[dice.choice([dice.randrange(200), dice.randrange(len(whole))])] ^= 1 << dice.randrange(8)
        with suppress(CannotDecode):
            assert len(b"".join(codec_parts(iter([bytes(altered)]), len(data)))) <= len(data)


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.sampled_from([TABLE[:9000], XML[:7000], NOISE[:500], b"ab\n" * 3000, b""]), max_size=6),
    st.integers(0, 9),
    st.integers(1, 9),
    st.integers(0, 1 << 15),
    st.booleans(),
)
def test_any_file_comes_back(texts: list[bytes], level: int, memory: int, flaw: int, is_whole: bool) -> None:
    text = b"".join(texts)
    for data in (
        gzipped(text, level, memory),
        member("a.csv", deflated(text, level, memory), len(text), flags=8, packed=0),
    ):
        altered = bytearray(data)
        if not is_whole and flaw < len(data):
            altered[flaw] ^= 0x55
        encoded(bytes(altered))
