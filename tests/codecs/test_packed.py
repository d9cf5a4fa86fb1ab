"""The codec of packed files: they come back bit for bit, whoever packed them; what is altered is refused or bounded."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgehold import _native
from edgehold.codecs import packed
from edgehold.codecs.choice import bases_of, codec_named, codecs_for, encode_smallest, packed_codec, parts_codec
from edgehold.codecs.general import shipped_codec
from edgehold.codecs.packed import DEFLATE, Numbers, folded, unfolded, written
from edgehold.codecs.packs import LEAST_ROOM, is_block, room_for, stream_start, zip_members
from edgehold.codecs.record import RECORD_BASE
from edgehold.errors import BrokenPack, CannotDecode, PackLimit
from edgehold.wire.data import Kind

DATA = Path(__file__).parent.parent / "data"
CODEC = packed_codec()
TEXTS = {
    "vcf": (DATA / "lines" / "small.vcf").read_bytes(),
    "csv": (DATA / "lines" / "observations.csv").read_bytes(),
    "json": (DATA / "fhir" / "ips_example_bundle.json").read_bytes(),
    "image": (DATA / "samples" / "CT_small.dcm").read_bytes(),
    "zeros": bytes(70_000),
    "noise": Random(1).randbytes(40_000),
    "short": b"a",
    "none": b"",
}


def deflated(text: bytes, level: int = 6, *, bits: int = 15, memory: int = 8, strategy: int = 0) -> bytes:
    packer = zlib.compressobj(level, zlib.DEFLATED, -bits, memory, strategy)
    return packer.compress(text) + packer.flush()


def bgzipped(text: bytes, size: int = 65280) -> bytes:
    """As bgzip packs: blocks that state their sizes, an empty one at the end."""
    blocks = [text[at : at + size] for at in range(0, len(text), size)]
    found = []
    for block in [*blocks, b""]:
        stream = deflated(block)
        head = b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff\x06\0BC\x02\0" + struct.pack("<H", len(stream) + 25)
        found.append(head + stream + struct.pack("<2I", zlib.crc32(block), len(block)))
    return b"".join(found)


def told_and_back(stream: bytes, text: bytes) -> bytes:
    """What is told of a stream, after it came back."""
    writer = _native.DeflateWriter()
    assert writer.tell(stream, 0, len(stream), len(text)) == (text, len(stream))
    told = writer.finish()
    assert _native.DeflateReader(told).hear(text, len(stream)) == stream
    return told


# ── streams ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("level", range(10))
def test_of_a_stream_by_zlib_little_is_left_but_its_level(name: str, level: int) -> None:
    stream = deflated(TEXTS[name], level)
    assert (
        len(told_and_back(stream, TEXTS[name])) < 32 + len(stream) // 20
    )  # other builds of zlib choose a bit otherwise


@pytest.mark.parametrize("strategy", [zlib.Z_FILTERED, zlib.Z_HUFFMAN_ONLY, zlib.Z_RLE, zlib.Z_FIXED])
@pytest.mark.parametrize("bits", [9, 15])
def test_any_strategy_and_window_comes_back(strategy: int, bits: int) -> None:
    for text in TEXTS.values():
        stream = deflated(text, bits=bits, memory=4, strategy=strategy)
        assert len(told_and_back(stream, text)) < 64 + len(stream)


@given(st.lists(st.tuples(st.sampled_from([b"ab", b"abcabc", b"x", b"\0" * 300]), st.integers(0, 40)), max_size=30))
@settings(max_examples=100)
def test_streams_with_empty_and_stored_blocks_come_back(parts: list[tuple[bytes, int]]) -> None:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    stream = b""
    for number, (text, times) in enumerate(parts):
        stream += packer.compress(text * times) + packer.flush((zlib.Z_SYNC_FLUSH, zlib.Z_FULL_FLUSH)[number % 2])
    stream += packer.flush()
    told_and_back(stream, b"".join(text * times for text, times in parts))


@pytest.mark.parametrize("path", sorted((DATA / "packed").glob("*.gz")), ids=lambda path: str(path.name))
def test_what_other_writers_chose_is_told_in_fewer_bytes_than_they_took(path: Path) -> None:
    file = path.read_bytes()
    start = stream_start(file, 0)
    assert start is not None
    text = gzip.decompress(file)
    stream = file[start:-8]
    assert len(told_and_back(stream, text)) < 0.65 * len(stream)
    encoded = CODEC.encode(file)
    assert codec_named(DEFLATE, None).decode(encoded, len(file)) == file


class Bits:
    """Bits, the first lowest, as deflate has them."""

    def __init__(self) -> None:
        self.value = self.count = 0

    def put(self, *pairs: tuple[int, int]) -> Bits:
        for value, bits in pairs:
            self.value |= value << self.count
            self.count += bits
        return self

    def bytes(self) -> bytes:
        return self.value.to_bytes((self.count + 7) // 8, "little")


ORDER = (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15)


def dynamic(of_runs: Sequence[int], *runs: tuple[int, int]) -> Bits:
    """The beginning of a last block with codes of its own, of 257 letters and one distance."""
    head = Bits().put((1, 1), (2, 2), (0, 5), (0, 5), (15, 4))
    return head.put(*((of_runs[symbol], 3) for symbol in ORDER), *runs)


def reversed_bits(value: int, bits: int) -> int:
    return int(f"{value:0{bits}b}"[::-1], 2)


def odd_stream(text: bytes, *, joined: bool) -> bytes:
    """A block that no library writes: codes of eight bits for all letters but the last, told without runs or, of both
    codes as one list, in threes of 16."""
    letters = [*range(255), 256]
    lengths = [8 if symbol in letters else 0 for symbol in range(258)]
    code = {symbol: (reversed_bits(place, 2), 2) for place, symbol in enumerate((0, 8, 16, 17))}
    runs: list[tuple[int, int]] = []
    at = 0
    while at < len(lengths):
        if joined and at and len(set(lengths[at - 1 : at + 3])) == 1 and at + 3 <= len(lengths):
            runs += [code[16], (0, 2)]
            at += 3
        else:
            runs.append(code[lengths[at]])
            at += 1
    stream = dynamic([2 if symbol in code else 0 for symbol in range(19)], *runs)
    return stream.put(*((reversed_bits(letters.index(symbol), 8), 8) for symbol in [*text, 256])).bytes()


@pytest.mark.parametrize("joined", [False, True])
def test_a_block_whose_codes_are_told_oddly_comes_back(joined: bool) -> None:
    text = b"deflate, but not as we know it; " * 3
    stream = odd_stream(text, joined=joined)
    assert zlib.decompress(stream, -15) == text
    told_and_back(stream, text)


def test_bits_that_fill_bytes_up_come_back() -> None:
    ends = Bits().put((1, 1), (1, 2), (0, 7), (0b101010, 6)).bytes()  # an empty block of fixed codes
    assert told_and_back(ends, b"")
    stored = Bits().put((1, 1), (0, 2), (0b10110, 5), (2, 16), (0xFFFD, 16)).bytes() + b"ab"
    told_and_back(stored, b"ab")


BROKEN = {
    "nothing": b"",
    "a block of the fourth kind": Bits().put((1, 1), (3, 2)).bytes(),
    "a stored size that is not twice there": Bits().put((1, 1), (0, 2), (0, 5), (2, 16), (2, 16)).bytes() + b"ab",
    "a stored block that breaks off": Bits().put((1, 1), (0, 2), (0, 5), (2, 16), (0xFFFD, 16)).bytes() + b"a",
    "a match before the beginning": Bits().put((1, 1), (1, 2), (0b1000000, 7), (0, 5), (0, 7)).bytes(),
    "a letter above all": Bits().put((1, 1), (1, 2), (reversed_bits(0b11000110, 8), 8), (0, 7)).bytes(),
    "a distance above all": Bits()
    .put((1, 1), (1, 2), (reversed_bits(0x30, 8), 8), (0b1000000, 7), (reversed_bits(30, 5), 5))
    .bytes(),
    "a longest match with another's code": Bits()
    .put((1, 1), (1, 2), (reversed_bits(0x30, 8), 8), (reversed_bits(0b11000100, 8), 8), (31, 5), (0, 5), (0, 7))
    .bytes(),
    "lengths of no code": Bits().put((1, 1), (2, 2), (0, 5), (0, 5), (15, 4), *[(1, 3)] * 19).bytes() + bytes(9),
    "a run of nothing before": dynamic([one in (0, 16) for one in range(19)], (1, 1), (0, 2)).bytes() + bytes(9),
    "codes that leave bits over": dynamic([2 if one in (0, 8, 16) else 0 for one in range(19)]).bytes() + bytes(9),
    "runs that are too long": dynamic([one == 18 for one in range(19)], *[(0xFE, 8)] * 4).bytes() + bytes(9),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_no_stream_is_refused_and_nothing_is_told(what: str) -> None:
    writer = _native.DeflateWriter()
    with pytest.raises(ValueError, match=r"deflate stream|block"):
        writer.tell(BROKEN[what], 0, len(BROKEN[what]), 1000)
    good = deflated(b"good")
    writer.tell(good, 0, len(good), 4)
    assert _native.DeflateReader(writer.finish()).hear(b"good", 100) == good


def test_more_than_is_allowed_is_refused() -> None:
    for stream in (deflated(bytes(1000)), deflated(bytes(1000), 0), deflated(bytes(9)), deflated(b"abc", 0)):
        writer = _native.DeflateWriter()
        with pytest.raises(ValueError, match="more bytes"):
            writer.tell(stream, 0, len(stream), 2)
        with pytest.raises(ValueError, match="no such bytes"):
            writer.tell(stream, 9, 8, 2)
    told = told_and_back(deflated(TEXTS["vcf"]), TEXTS["vcf"])
    with pytest.raises(ValueError, match="larger"):
        _native.DeflateReader(told).hear(TEXTS["vcf"], 100)


@pytest.mark.parametrize("seed", range(120))
def test_an_altered_telling_gives_other_bytes_or_is_refused(seed: int) -> None:
    dice = Random(seed)
    text = TEXTS["vcf"]
    stream = (
        deflated(text, 1 + seed % 9, bits=(9, 15)[seed % 2], strategy=(0, zlib.Z_RLE)[seed % 2])
        if seed % 3
        else odd_stream(text[:500], joined=bool(seed % 2))
    )
    text = zlib.decompress(stream, -15)
    told = bytearray(told_and_back(stream, text))
    for _ in range(dice.randint(1, 3)):
        told[dice.randrange(len(told))] ^= 1 << dice.randrange(8)
    with suppress(ValueError):
        made = _native.DeflateReader(bytes(told)).hear(text, 4 * len(text))
        assert len(made) <= 4 * len(text)


# ── gzip ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_of_bgzip_nothing_is_left_between_the_streams() -> None:
    file = bgzipped(TEXTS["csv"], 5000)
    found = packed.gzip_pieces(file)
    assert len(found.found) == 15
    gaps = folded(
        [*(one.gap for one in found.found), file[found.end :]], [(one.content, one.size) for one in found.found]
    )
    assert set(gaps[1:-1]) == {bytes(8) + gaps[0]}
    assert gaps[0].endswith(b"BC\x02\0\0\0")
    assert gaps[-1] == bytes(8)
    plain = min(len(codec.encode(TEXTS["csv"])) for codec in codecs_for(Kind.LAB) if codec.name != DEFLATE)
    assert len(CODEC.encode(file)) < plain + 200


GZIPS = {
    "a name, a comment, more, a checksum": b"\x1f\x8b\x08\x1f" + bytes(6) + b"\x03\0abcname\0a comment\0\x12\x34",
    "a name": b"\x1f\x8b\x08\x08" + bytes(6) + b"name\0",
    "nothing": b"\x1f\x8b\x08" + bytes(7),
}


@pytest.mark.parametrize("head", GZIPS)
def test_any_header_and_whatever_follows_come_back(head: str) -> None:
    text = TEXTS["json"][:12_000]
    member = GZIPS[head] + deflated(text) + struct.pack("<2I", zlib.crc32(text), len(text))
    wrong = GZIPS[head] + deflated(text) + b"12345678"
    for file in (member, member * 3, member + b"rest", member + bytes(9), member[:-3], wrong, member + wrong[:200]):
        encoded = CODEC.encode(file)
        assert len(encoded) < len(file)
        assert CODEC.decode(encoded, len(file)) == file


@pytest.mark.parametrize(
    "file",
    [
        b"",
        b"plain",
        b"\x1f\x8b\x08",
        b"\x1f\x8b\x08\xe0" + bytes(30),  # flags that mean nothing
        b"\x1f\x8b\x08\x08" + b"a" * 30,  # a name without an end
        b"\x1f\x8b\x08\x04" + bytes(6) + b"\xff\xff",
        gzip.compress(TEXTS["csv"])[:300],
        gzip.compress(bytes(1 << 27)),
        b"PK\x03\x04" + bytes(100),
    ],
)
def test_what_cannot_be_unpacked_is_left_to_others(file: bytes) -> None:
    with pytest.raises(CannotDecode):
        CODEC.encode(file)
    codec, encoded = encode_smallest(file, codecs_for(Kind.OTHER))
    assert codec.decode(encoded, len(file)) == file


def test_what_is_folded_twice_is_as_before() -> None:
    gap = bytes(range(8)) + b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0\x12\x34"
    assert is_block(gap, is_first=False)
    assert not is_block(gap[8:], is_first=False)
    once = unfolded(gap, (b"text", 10), 20)
    assert once != gap
    assert unfolded(once, (b"text", 10), 20) == gap
    assert unfolded(gap, None, None) == gap
    assert unfolded(gap[:7], (b"text", 10), 20) == gap[:7]


def test_a_pack_in_a_pack_stays_as_it_is() -> None:
    inner = gzip.compress(TEXTS["csv"])
    for file in (gzip.compress(inner), zipped({"a.gz": inner, "b.csv": TEXTS["csv"]})):
        encoded = CODEC.encode(file)
        assert CODEC.decode(encoded, len(file)) == file
        assert encoded.count(bytes(DEFLATE)) == 0


def test_what_begins_like_a_record_and_is_none_is_packed_as_anything_else() -> None:
    file = gzip.compress(b'{"resourceType": "Patient"' + TEXTS["csv"])
    assert CODEC.decode(CODEC.encode(file), len(file)) == file


# ── ZIP ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED, *, stream: bool = False) -> bytes:
    """A ZIP file; written to a stream its sizes stand behind the parts."""

    class Stream(io.RawIOBase):
        def __init__(self) -> None:
            self.data = b""

        def writable(self) -> bool:
            return True

        def write(self, data: object) -> int:
            self.data += bytes(data)  # type: ignore[call-overload]
            return len(bytes(data))  # type: ignore[call-overload]

    target = Stream() if stream else io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as file:
        for name, content in files.items():
            file.writestr(zipfile.ZipInfo(name), content, method)
    return target.data if isinstance(target, Stream) else target.getvalue()


PARTS = {
    "export/export.xml": (DATA / "lines" / "export.xml").read_bytes(),
    "export/routes/one.gpx": b'<?xml version="1.0"?>\n<gpx><trkpt lon="1.5"/>\n<trkpt lon="1.6"/>\n</gpx>' * 20,
    "export/routes/two.gpx": b'<?xml version="1.0"?>\n<gpx><trkpt lon="2.5"/>\n<trkpt lon="2.6"/>\n</gpx>' * 20,
    "export/clinical/a.json": TEXTS["json"],
    "export/ct.dcm": TEXTS["image"],
    "export/mr.dcm": (DATA / "samples" / "MR_small.dcm").read_bytes(),
    "export/note": b"prose",
    "export/empty": b"",
    "export/folder/": b"",
}


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_STORED])
@pytest.mark.parametrize("stream", [False, True])
def test_a_zip_file_comes_back_from_what_its_parts_take(method: int, stream: bool) -> None:
    file = zipped(PARTS, method, stream=stream)
    encoded = CODEC.encode(file)
    assert CODEC.decode(encoded, len(file)) == file
    alone = sum(len(encode_smallest(part, codecs_for(packed.kind_to_encode(part)))[1]) for part in PARTS.values())
    assert len(encoded) < alone + 150 * len(PARTS)
    found = packed.zip_pieces(file)
    assert len(found.groups) == 6  # both routes are one, and what is nothing in particular


def test_parts_that_cannot_be_unpacked_stay_as_they_are() -> None:
    files = {"a.csv": TEXTS["csv"], "b.csv": TEXTS["csv"]}
    whole = zipped(files)
    other = zipped(files, zipfile.ZIP_BZIP2)
    with pytest.raises(CannotDecode):
        CODEC.encode(other)
    first, second = zip_members(whole, "x.zip")
    encrypted = bytearray(whole)
    directory = whole.index(b"PK\x01\x02")
    encrypted[directory + 8] |= 1
    broken = bytearray(whole)
    broken[first.start] = 0xFF
    for file in (bytes(encrypted), bytes(broken)):
        pieces = packed.zip_pieces(file).found
        assert [one.content for one in pieces] == [TEXTS["csv"]]
        assert CODEC.decode(CODEC.encode(file), len(file)) == file
    assert second.start > first.start


def test_a_zip64_file_is_read() -> None:
    content = TEXTS["csv"]
    stream = deflated(content)
    wide = struct.pack("<2H3Q", 1, 24, len(content), len(stream), 0)
    crc = zlib.crc32(content)
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 45, 0, 8, 0, 0, crc, 0xFFFFFFFF, 0xFFFFFFFF, 1, 20)
    local += b"a" + wide[:20]
    entry = struct.pack(
        "<4s6H3I5H2I", b"PK\x01\x02", 45, 45, 0, 8, 0, 0, crc, 0xFFFFFFFF, 0xFFFFFFFF, 1, 32, 0, 0, 0, 0, 0xFFFFFFFF
    )
    entry += b"a" + struct.pack("<2H", 9, 0) + wide
    begin = len(local) + len(stream)
    end = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 1, 1, len(entry), begin)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, begin + len(entry), 1)
    last = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    file = local + stream + entry + end + locator + last
    (member,) = zip_members(file, "x.zip")
    assert (member.start, member.size) == (len(local), len(content))
    assert CODEC.decode(CODEC.encode(file), len(file)) == file
    for lacking in (
        file.replace(b"PK\x06\x07", b"PK\x06\x08"),
        file.replace(struct.pack("<2H", 1, 24), struct.pack("<2H", 2, 24)),
        file.replace(wide, struct.pack("<2H", 1, 8) + wide[4:]),
        last,
    ):
        with pytest.raises(BrokenPack):
            zip_members(lacking, "x.zip")


def test_a_directory_that_cannot_be_believed_is_refused_by_name() -> None:
    file = zipped({"a": TEXTS["csv"], "b": TEXTS["json"]})
    entry = file.index(b"PK\x01\x02")
    end = file.index(b"PK\x05\x06")
    second = file.index(b"PK\x01\x02", entry + 1)

    def changed(at: int, form: str, value: int) -> bytes:
        return file[:at] + struct.pack(form, value) + file[at + struct.calcsize(form) :]

    for bad, says in {
        file[:end]: "directory of the ZIP file is missing",
        file[:-1]: "directory of the ZIP file is missing",
        file[end : end + 12]: "directory of the ZIP file is missing",
        changed(end + 4, "<H", 1): "several files",
        changed(end + 16, "<I", end): "not where it is said",
        changed(end + 8, "<I", 3 << 16 | 3): "entry 2 of 3",
        changed(entry, "<I", 0): "entry 0 of 2",
        changed(entry + 42, "<I", 5): "does not begin at byte 5",
        changed(entry + 42, "<I", len(file)): "does not begin",
        changed(entry + 20, "<I", len(file)): "breaks off",
        changed(second + 42, "<I", 0): "lies where",
        changed(second + 20, "<I", zip_members(file, "")[1].packed + 40): "where the directory does",
    }.items():
        with pytest.raises(BrokenPack, match=says):
            zip_members(bad, "x.zip")
    with pytest.raises(PackLimit, match="more than"):
        zip_members(changed(entry + 24, "<I", 1 << 30), "x.zip")
    assert room_for(0) == LEAST_ROOM


def test_a_directory_of_too_many_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgehold.codecs.packs.MOST_MEMBERS", 1)
    with pytest.raises(PackLimit, match="2 parts"):
        zip_members(zipped({"a": b"1", "b": b"2"}), "x.zip")
    with pytest.raises(CannotDecode):
        CODEC.encode(zipped({"a": b"1", "b": b"2"}))


# ── encodings that nobody wrote ───────────────────────────────────────────────────────────────────────────────────


def encoding(numbers: Sequence[int], gaps: bytes, told: bytes, groups: bytes) -> bytes:
    outline = shipped_codec(None).encode(written(numbers) + gaps)
    return written([len(outline), len(told)]) + outline + told + groups


def group_of(content: bytes) -> bytes:
    codec = shipped_codec(None)
    encoded = codec.encode(content)
    return bytes(codec.name) + b"\0" + written([len(encoded)]) + encoded


def test_an_encoding_is_read_as_it_is_described() -> None:
    data = encoding([0, 1, 1, 2, 0, 4, 1], b"<<>", b"", group_of(b"text"))
    assert CODEC.decode(data, 100) == b"<<text>"


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80" * 20,
        encoding([0, 1 << 20, 0], b"", b"", b""),
        encoding([0, 1, 2, 0, 0, 4, 0], b"", b"", group_of(b"text")),
        encoding([0, 1, 1, 0, 2, 4, 0], b"", b"", group_of(b"text")),  # group 1 of 1
        encoding([0, 1, 1, 0, 0, 1 << 40, 0], b"", b"", group_of(b"text")),
        encoding([0, 1, 1, 0, 0, 5, 0], b"", b"", group_of(b"text")),
        encoding([0, 1, 1, 0, 0, 3, 0], b"", b"", group_of(b"text")),
        encoding([0, 1, 1, 2, 0, 4, 1], b"<<>>", b"", group_of(b"text")),
        encoding([0, 1, 1, 2, 0, 4, 2], b"<<>", b"", group_of(b"text")),
        encoding([0, 1, 1, 2, 0, 4, 1], b"<<>", b"", group_of(b"text") + b"?"),
        encoding([0, 1, 1, 2, 0, 4, 99], b"<<" + b">" * 99, b"", group_of(b"text")),
        encoding([0, 1, 1, 0, 0, 200, 0], b"", b"", group_of(bytes(200))),
        encoding([1, 1, 1, 0, 1, 4, 0], b"", b"\xff" * 40, group_of(b"text")),
        encoding([0, 1, 1, 0, 0, 4, 0], b"", b"", bytes(DEFLATE) + b"\0\x01a"),
        encoding([0, 1, 1, 0, 0, 4, 0], b"", b"", bytes(32) + b"\0\x01a"),
        encoding([0, 1, 1, 0, 0, 4, 0], b"", b"", bytes(32) + b"\x01" + bytes(32) + b"\x01a"),
    ],
)
def test_what_nobody_wrote_is_refused(data: bytes) -> None:
    with pytest.raises(CannotDecode):
        CODEC.decode(data, 100)


@cache
def example(number: int) -> tuple[bytes, bytes]:
    """A packed file and its encoding."""
    file = bgzipped(TEXTS["vcf"], 4000) if number else zipped(PARTS)
    return file, CODEC.encode(file)


@pytest.mark.parametrize("seed", range(200))
def test_an_altered_encoding_is_refused_or_bounded(seed: int) -> None:
    dice = Random(seed)
    file, encoded = example(seed % 2)
    altered = bytearray(encoded)
    for _ in range(dice.randint(1, 3)):
        altered[dice.randrange(len(altered))] ^= 1 << dice.randrange(8)
    with suppress(CannotDecode):
        assert len(CODEC.decode(bytes(altered), len(file))) <= len(file)


@given(st.lists(st.integers(0, 2**62)))
def test_numbers_are_read_as_they_were_written(numbers: list[int]) -> None:
    reader = Numbers(written(numbers))
    assert [reader.take() for _ in numbers] == numbers
    reader.end()


def test_bases_of_what_is_inside_are_named() -> None:
    packed_record = gzip.compress(TEXTS["json"])
    assert bases_of(CODEC, CODEC.encode(packed_record)) == (RECORD_BASE,)
    assert bases_of(CODEC, CODEC.encode(gzip.compress(TEXTS["vcf"]))) == ()
    in_parts = parts_codec(Kind.EHR)
    assert bases_of(in_parts, in_parts.encode(packed_record)) == (RECORD_BASE,)
    assert bases_of(shipped_codec(None), b"") == ()
    with pytest.raises(CannotDecode):
        bases_of(CODEC, CODEC.encode(packed_record)[:-1])


# ── versions ──────────────────────────────────────────────────────────────────────────────────────────────────────


def longer(text: bytes) -> bytes:
    """A text with its last line once more."""
    return text + text[text.rindex(b"\n", 0, -1) + 1 :]


def next_of(parts: dict[str, bytes]) -> dict[str, bytes]:
    """The parts of a ZIP file of a later day: a line more, a record more, a route more."""
    return {
        **parts,
        "export/export.xml": longer(parts["export/export.xml"]),
        "export/clinical/b.json": parts["export/clinical/a.json"].replace(b"1", b"2", 1),
        "export/routes/three.gpx": parts["export/routes/one.gpx"].replace(b"1.5", b"3.5"),
    }


TABLE = (DATA / "lines" / "observations.csv").read_bytes()
VERSIONS = {
    "gzip": (gzip.compress(TABLE), gzip.compress(longer(TABLE))),
    "bgzip": (bgzipped(TABLE, 4000), bgzipped(longer(TABLE), 4000)),
    "zip": (zipped(PARTS), zipped(next_of(PARTS))),
    "stored": (zipped(PARTS, zipfile.ZIP_STORED), zipped(next_of(PARTS))),
    "not packed before": (TABLE, gzip.compress(longer(TABLE))),
}


@pytest.mark.parametrize("how", VERSIONS)
def test_a_version_takes_what_is_new_inside(how: str) -> None:
    before, file = VERSIONS[how]
    following = CODEC.after(before)
    encoded, alone = following.encode(file), CODEC.encode(file)
    assert following.decode(encoded, len(file)) == file
    assert len(encoded) < (0.3 if how in {"zip", "stored"} else 0.15) * len(alone)
    with pytest.raises(CannotDecode):
        CODEC.decode(encoded, len(file))
    with pytest.raises(CannotDecode):
        CODEC.after(b"another").decode(encoded, len(file))
    assert list(CODEC.inside(encoded))


@pytest.mark.parametrize(
    "before",
    [
        b"",
        gzip.compress(TABLE)[:-20],  # it breaks off
        b"\x1f\x8b\x08\0\0\0\0\0\0\xff" + b"\xff" * 20,
        b"PK\x03\x04 and no directory",
        zipped({"of another kind.gpx": PARTS["export/routes/one.gpx"]}),
        gzip.compress(bytes(packed.MOST_KNOWN + 1)),
    ],
)
def test_after_what_tells_nothing_nothing_is_told(before: bytes) -> None:
    with pytest.raises(CannotDecode, match="nothing inside"):
        CODEC.after(before).encode(gzip.compress(TABLE))


def test_the_contents_of_a_version_are_those_that_can_be_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert packed.contents_of(TABLE) == {None: TABLE}
    assert packed.contents_of(bgzipped(TABLE, 4000) + b"rest") == {None: TABLE}
    assert packed.contents_of(zipped({"a/x.json": b"{}", "b/y.json": b"[]", "z.bin": b"\1"})) == {
        (Kind.OTHER, ".json"): b"{}[]",
        (Kind.OTHER, ".bin"): b"\1",
    }
    monkeypatch.setattr(packed, "room_for", lambda size: len(TABLE) - 1)
    assert packed.contents_of(gzip.compress(TABLE)) == {}
    assert packed.contents_of(zipped({"x.csv": TABLE}, zipfile.ZIP_STORED)) == {}


def test_a_content_that_follows_what_cannot_be_followed_is_refused() -> None:
    text = shipped_codec(None)
    after_one = bytes(text.name) + b"\2" + written([len(text.encode(b"text"))]) + text.encode(b"text")
    data = encoding([0, 1, 1, 0, 0, 4, 0], b"", b"", after_one)
    with pytest.raises(CannotDecode, match="no content 1"):
        CODEC.decode(data, 100)
