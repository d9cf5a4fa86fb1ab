"""Packed files, and files of any kind that a hub is given: importers and the codecs of what is packed and large."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

from bombs import DICOM, GZIP, MARKUP, PACKED_JSON, ZIP, Bombs, overlapping_zip, small_zip
from mutation import BY_BYTES
from of_proofs import LARGE
from of_records import resources, small_image, texts_in_lines
from target import BY_TOKENS, Reader, Target, require

from edgehold import _native
from edgehold.codecs.choice import codecs_for, cut_for, encode_smallest, packed_codec, parts_codec, stretches_codec
from edgehold.codecs.cuts import content_of_blocks
from edgehold.codecs.dicom import find_pixels
from edgehold.codecs.packs import GZIP as GZIP_MAGIC
from edgehold.codecs.packs import MOST_RATIO, most_inside, room_for, zip_members
from edgehold.codecs.parts import PartsCodec, Versions, Whole, measured
from edgehold.errors import CannotDecode, IntakeError
from edgehold.hub.intake.derive import derive_table
from edgehold.hub.intake.fhir import bulk_type, events_of
from edgehold.hub.intake.kinds import format_of
from edgehold.hub.intake.packs import find_fault, look_inside, unpacked
from edgehold.hub.intake.zips import parts_of
from edgehold.wire.data import Kind


def zipped(*contents: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A ZIP file of these parts."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for number, content in enumerate(contents):
            file.writestr(zipfile.ZipInfo(f"{number}.csv"), content, method)
    return target.getvalue()


def deflated(text: bytes, level: int = 6, strategy: int = 0) -> bytes:
    """A deflate stream."""
    packer = zlib.compressobj(level, zlib.DEFLATED, -15, 8, strategy)
    return packer.compress(text) + packer.flush()


def packs() -> list[bytes]:
    """Small packed files."""
    texts = texts_in_lines()
    return [
        *(gzip.compress(text, mtime=0) for text in texts),
        gzip.compress(texts[0], mtime=0) + gzip.compress(texts[1], mtime=0),
        zipped(*texts),
        zipped(texts[0], texts[0], b"", method=zipfile.ZIP_STORED),
    ]


def pack_to_keep(folder: Path) -> Reader:
    """Any file that the codec of packed files is given, and the general one after it."""
    codecs = codecs_for(Kind.OTHER)

    def read(file: bytes) -> None:
        codec, encoded = encode_smallest(file, codecs)
        require(codec.decode(encoded, len(file)) == file, "other bytes came back")

    return Reader(read, packs())


def sparse_pack(folder: Path) -> Reader:
    """A packed file as its codec keeps it; a few bytes may stand for many, up to the limit."""
    codec, most = packed_codec(), 1 << 11

    def read(sparse: bytes) -> None:
        require(len(codec.decode(sparse, most)) <= most, "more bytes than were allowed")

    return Reader(read, [codec.encode(one) for one in packs() if len(one) <= most])


def stream(folder: Path) -> Reader:
    """A deflate stream, as it is told and told again."""

    def read(packed: bytes) -> None:
        writer = _native.DeflateWriter()
        text, end = writer.tell(packed, 0, len(packed), room_for(len(packed)))
        made = _native.DeflateReader(writer.finish()).hear(text, end)
        require(made == packed[:end], "other bytes came back")
        require(zlib.decompressobj(-15).decompress(packed, room_for(len(packed))) == text, "another text")

    texts = texts_in_lines()
    return Reader(
        read, [deflated(text, level, strategy) for text in texts for level in (0, 1, 6) for strategy in (0, 4)]
    )


def told_stream(folder: Path) -> Reader:
    """What is told of a stream, beside its text; a few bytes may stand for many, up to the limit."""
    text, most = texts_in_lines()[0], 1 << 13

    def read(told: bytes) -> None:
        require(len(_native.DeflateReader(told).hear(text, most)) <= most, "more bytes than were allowed")

    seeds = []
    for one in (deflated(text), deflated(text, 1), deflated(text, 6, zlib.Z_RLE), deflated(text, 6, zlib.Z_FIXED)):
        writer = _native.DeflateWriter()
        writer.tell(one, 0, len(one), len(text))
        seeds.append(writer.finish())
    return Reader(read, seeds)


def pack_to_take_in(folder: Path) -> Reader:
    """A packed file that is imported: what it holds, and what is wrong with it."""

    def read(file: bytes) -> None:
        look_inside(file)
        fault = find_fault(file, "x")
        if fault is not None:
            raise fault
        if file.startswith(GZIP_MAGIC):
            content = unpacked(file, "x")
            require(len(content) <= room_for(len(file)), "more bytes than are believed")
            require(content == gzip.decompress(file), "another content than other readers see")
        else:
            zip_members(file, "x")

    return Reader(read, packs())


def packed_records(folder: Path) -> Reader:
    """Records that are packed."""
    some = resources()
    return Reader(
        lambda file: events_of(file, "x"), [*(gzip.compress(one, mtime=0) for one in some), zipped(*some[:3])]
    )


def parts_in_turn(folder: Path) -> Reader:
    """A ZIP file whose parts are read as they come."""

    def read(file: bytes) -> None:
        half = len(file) // 2
        size = sum(len(chunk) for part in parts_of((file[:half], file[half:]), "x") for chunk in part.content)
        require(size <= most_inside(len(file)), "more bytes than are believed")

    texts = texts_in_lines()
    return Reader(read, [zipped(*texts), zipped(texts[0], b"", method=zipfile.ZIP_STORED)])


def large_data(folder: Path) -> Reader:
    """Data in parts as their codec keeps them."""
    codec, most = parts_codec(Kind.LAB), 1 << 12

    def read(sparse: bytes) -> None:
        require(len(codec.decode(sparse, most)) <= most, "more bytes than were allowed")

    packed = cut_for(GZIP_MAGIC, 1 << 27, Kind.LAB).codec
    seeds = [codec.encode(one) for one in (*texts_in_lines(), *packs())]
    return Reader(read, [*seeds, *(b"".join(packed.encoded_parts([one])) for one in packs() if len(one) <= most)])


def large_pack(folder: Path) -> Reader:
    """A packed file on its way into parts; they come back, whatever it holds."""
    codec = cut_for(GZIP_MAGIC, 1 << 27, Kind.LAB).codec

    def read(file: bytes) -> None:
        require(codec.decode(b"".join(codec.encoded_parts([file])), len(file)) == file, "other bytes")

    return Reader(read, packs())


def packing(folder: Path) -> Reader:
    """How the first part of a packed file was packed, as its codec keeps it, beside what is inside of it."""
    text, most = texts_in_lines()[0], 1 << 12
    codec = cut_for(GZIP_MAGIC, 1 << 27, Kind.LAB).codec

    def read(sparse: bytes) -> None:
        require(len(stretches_codec().begin().decode(sparse, text, most)) <= most, "more bytes than were allowed")

    files = [
        *(deflate_file(text, level, strategy) for level in (0, 1, 6) for strategy in (0, 4)),
        zipped(text[:700], text[700:]),
        zipped(text[:700], text[700:], method=zipfile.ZIP_STORED),
    ]
    seeds = []
    for file in files:
        *_, last = codec.encoded_parts([file])
        seeds += [encoding for _, _, encoding in codec.inside(last)]
    return Reader(read, seeds)


def deflate_file(text: bytes, level: int, strategy: int) -> bytes:
    """A gzip file of one stream."""
    return GZIP_MAGIC + bytes(7) + deflated(text, level, strategy) + bytes(8)


def told_stretch(folder: Path) -> Reader:
    """What is told of the first blocks of a stream, beside a text of which more is known than they reach."""
    text, most = texts_in_lines()[0], 1 << 13

    def read(told: bytes) -> None:
        reader = _native.StretchReader()
        reader.begin(told)
        require(len(reader.hear(text, 1, False, most)) <= most, "more bytes than were allowed")

    seeds = []
    for level, strategy in ((6, 0), (1, 0), (6, zlib.Z_RLE), (6, zlib.Z_FIXED)):
        packer = zlib.compressobj(level, zlib.DEFLATED, -15, 8, strategy)
        packed = packer.compress(text[:900]) + packer.flush(zlib.Z_SYNC_FLUSH) + packer.compress(text[900:])
        writer = _native.StretchWriter()
        writer.tell(packed + packer.flush(), text, 1, False)
        seeds.append(writer.finish())
    return Reader(read, seeds)


def large_versions(folder: Path) -> Reader:
    """The next version of data in parts, packed or not, as their codec keeps it."""
    codec, most = parts_codec(Kind.LAB), 1 << 12
    packed = cut_for(GZIP_MAGIC, 1 << 27, Kind.LAB).codec
    text = texts_in_lines()[0]
    middle = text.index(b"\n", len(text) // 2) + 1
    known = [text[:middle], text[middle:]]
    before = b"".join(codec.encoded_parts(known))

    def encoded(parts: list[bytes], codec: PartsCodec = codec) -> bytes:
        measures = list(map(measured, known)), codec.measured(parts)
        return b"".join(codec.encoded_parts(parts, Versions(codec.opened([before], most), *measures)))

    def read(sparse: bytes) -> None:
        codec.measured_parts([sparse], most)
        parts = codec.opened([sparse], most, codec.opened([before], most))
        alone = b"".join(codec.alone_parts(parts))
        found = b"".join(codec.decoded_parts([sparse], most, codec.opened([before], most)))
        require(len(found) <= most, "more bytes than were allowed")
        require(codec.decode(alone, most) == found, "other bytes by itself")

    files = [zipped(*known), zipped(text + known[1][:90]), gzip.compress(text + known[0], mtime=0)]
    return Reader(
        read,
        [
            *map(encoded, (known, [known[0], known[1] + known[1][:90]], [*known, text])),
            *(encoded([file], packed) for file in files),
        ],
    )


def next_versions(folder: Path) -> Reader:
    """The next version, in parts, of data that are kept at once."""
    codec, most = parts_codec(Kind.LAB), 1 << 12
    packed = cut_for(GZIP_MAGIC, 1 << 27, Kind.LAB).codec
    text = texts_in_lines()[0]
    middle = text.index(b"\n", len(text) // 2) + 1
    halves = [text[:middle], text[middle:]]
    before = Whole(lambda: text)

    def encoded(parts: list[bytes], codec: PartsCodec = codec) -> bytes:
        measures = list(map(measured, halves)), codec.measured(parts)
        return b"".join(codec.encoded_parts(parts, Versions(before, *measures)))

    def read(sparse: bytes) -> None:
        found = b"".join(codec.decoded_parts([sparse], most, before))
        require(len(found) <= most, "more bytes than were allowed")
        alone = b"".join(codec.alone_parts(codec.opened([sparse], most, before)))
        require(codec.decode(alone, most) == found, "other bytes by itself")

    files = [zipped(*halves), gzip.compress(text + halves[0], mtime=0)]
    return Reader(
        read,
        [
            *map(encoded, (halves, [halves[0], halves[1] + halves[1][:90]], [halves[1], text])),
            *(encoded([file], packed) for file in files),
        ],
    )


def blocks(text: bytes) -> bytes:
    """A bgzip file of small blocks."""
    found = b""
    for at in range(0, len(text), 500):
        content = text[at : at + 500]
        stream = deflated(content)
        found += b"\x1f\x8b\x08\x04" + bytes(5) + b"\xff\x06\0BC\x02\0" + (len(stream) + 25).to_bytes(2, "little")
        found += stream + zlib.crc32(content).to_bytes(4, "little") + len(content).to_bytes(4, "little")
    return found


def large_file(folder: Path) -> Reader:
    """A file that is cut into parts, whatever it is taken for."""

    def read(file: bytes) -> None:
        require(content_of_blocks(io.BytesIO(file)) >= 0, "less than nothing")
        for kind in Kind:
            cut = cut_for(file[: 1 << 20], len(file), kind)
            require(b"".join(cut.parts(io.BytesIO(file))) == file, "other bytes in its parts")

    return Reader(read, [small_image(), *packs(), *texts_in_lines(), *map(blocks, texts_in_lines())])


def pixels(folder: Path) -> Reader:
    """A DICOM file whose pixels are looked for."""

    def read(file: bytes) -> None:
        found = find_pixels(file)
        if found is None:
            raise CannotDecode("no pixels")
        require(found.start > 0 and found.start + found.size <= len(file), "pixels outside of the file")

    return Reader(read, [small_image()])


def any_file(folder: Path) -> Reader:
    """A file of any kind, with a header of a signal beside it that may be its own."""
    path, header = folder / "x.ndjson", folder / "x.hea"
    wfdb = b"x 2 360 650000\nx.dat 212 200 11 1024 995 -22131 0 MLII\nx.dat 212 200 11 1024 1011 20052 0 V5\n"

    def read(file: bytes) -> None:
        path.write_bytes(file)
        header.write_bytes(file)
        for one in (path, header):
            found = format_of(one)
            require(isinstance(json.dumps([found.kind.value, found.title]), str), "no words for it")
            with suppress(IntakeError):
                derive_table([file], kind=found.kind, name=one.name, header=file)
        bulk_type(path)

    xml = b'<?xml version="1.0"?>\n<!DOCTYPE HealthData [<!ELEMENT HealthData ANY>]>\n<HealthData>\n</HealthData>\n'
    return Reader(read, [wfdb, xml, small_image(), *packs(), *texts_in_lines(), *resources()[:4]])


RATIO = Bombs(lambda: deflated(bytes(1 << 28)), lambda: b"\0\0\0\xff\xff" * (1 << 21), lambda: bytes(1 << 24))

IN_TURN = Bombs(lambda: overlapping_zip(65535, 1), lambda: small_zip(20_000), lambda: zipped(bytes(1 << 28)))

require(MOST_RATIO < 1032, "the best that deflate does")

TARGETS: dict[str, Target] = {
    "pack to keep": Target(pack_to_keep, (CannotDecode,), BY_BYTES, heavy=GZIP + ZIP),
    "sparse pack": Target(sparse_pack, (CannotDecode,), BY_BYTES, LARGE),
    "deflate stream": Target(stream, (ValueError,), BY_BYTES, RATIO),
    "told deflate stream": Target(told_stream, (ValueError,), BY_BYTES),
    "pack to take in": Target(pack_to_take_in, (IntakeError,), BY_BYTES, GZIP + ZIP),
    "packed records": Target(packed_records, (IntakeError,), BY_BYTES, GZIP + PACKED_JSON),
    "parts of a ZIP file": Target(parts_in_turn, (IntakeError,), BY_BYTES, IN_TURN),
    "data in parts": Target(large_data, (CannotDecode,), BY_BYTES, LARGE),
    "large pack": Target(large_pack, (), BY_BYTES, heavy=GZIP + ZIP),
    "parts of a pack": Target(packing, (CannotDecode,), BY_BYTES, LARGE),
    "told stretch of a stream": Target(told_stretch, (ValueError,), BY_BYTES),
    "versions of data in parts": Target(large_versions, (CannotDecode,), BY_BYTES, LARGE),
    "versions of data at once": Target(next_versions, (CannotDecode,), BY_BYTES, LARGE),
    "large file": Target(large_file, (), BY_BYTES, heavy=DICOM + GZIP),
    "DICOM": Target(pixels, (CannotDecode,), BY_BYTES, DICOM),
    "any file": Target(any_file, (IntakeError,), BY_TOKENS, heavy=MARKUP + GZIP + ZIP),
}
