"""Files that people bring: health records, policies, programs, purposes, keys; and what programs answer."""

from __future__ import annotations

import gzip
import json
import lzma
import struct
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, suppress
from datetime import date
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import zstandard
from bombs import (
    ANNOTATIONS,
    ARRAYS,
    BUNDLED,
    CBOR,
    HEAVY_JSON,
    IMAGES,
    JSON,
    LINES,
    LISTED,
    MARKUP,
    PACKED_RECORDS,
    SHEETS,
    SIGNALS,
    TOML,
    UNNAMED,
    VARIANTS,
    XZ,
    ZSTD,
)
from hub_world import bundle
from mutation import BY_BYTES
from of_proofs import LARGE, TYPES
from target import BY_TOKENS, Reader, Target, require
from wasmtime import WasmtimeError

from edgehold._native import ElementScanner
from edgehold.cli.hub import read_invitation, read_text
from edgehold.cli.network import require_network
from edgehold.cli.order import parse_purpose
from edgehold.codecs.choice import packed_codec
from edgehold.codecs.elements import elements_codec
from edgehold.codecs.events import SCHEMA as EVENTS_SCHEMA
from edgehold.codecs.events import Event, decode_table, encode_table
from edgehold.codecs.general import SHIPPED_BASE, Following, shipped_codec
from edgehold.codecs.genotypes import ARRAY_BASE, GenotypesCodec, shipped_genotypes_codec
from edgehold.codecs.lossy import Steps, step_qualities
from edgehold.codecs.pco import pco_codec
from edgehold.codecs.recognise import recognise
from edgehold.codecs.record import RECORD_BASE, lines_codec, shipped_record_codec
from edgehold.codecs.samples import samples_codec
from edgehold.codecs.segments import GROUPS, ROW, Outline, check_outline, cut, cut_table, find_groups, join, select
from edgehold.codecs.sparse import Sparse, decode_matrix, encode_matrix
from edgehold.codecs.tables.annotations import derive_annotations
from edgehold.codecs.tables.apple import derive_apple
from edgehold.codecs.tables.arrays import derive_array
from edgehold.codecs.tables.form import STRING, Derived, column_of, schema_of, strings_of
from edgehold.codecs.tables.images import derive_image
from edgehold.codecs.tables.laboratory import derive_laboratory, read_columns
from edgehold.codecs.tables.minutes import derive_minutes
from edgehold.codecs.tables.variants import derive_variants
from edgehold.codecs.variants import variants_codec
from edgehold.errors import (
    BadAnswer,
    BadManifest,
    BadPolicy,
    BadPurpose,
    BrokenRuntime,
    CannotDecode,
    FileUnusable,
    IntakeError,
    Malformed,
    NotANetwork,
    NotFhir,
    NotInvited,
    ProgramFailed,
    UsageError,
)
from edgehold.hub.intake.derive import derive_table
from edgehold.hub.intake.documents import derive_document
from edgehold.hub.intake.fhir import (
    birth_date,
    check_one_person,
    parse_document,
    read_original,
    read_records,
)
from edgehold.hub.intake.json_text import read_json
from edgehold.hub.intake.kinds import kind_of
from edgehold.hub.intake.steps import lines_of
from edgehold.hub.intake.take_in import years_of
from edgehold.hub.rows import Wanted, readable
from edgehold.hub.tables import Rows, close_table, open_table
from edgehold.issuer.issuer import read_patient
from edgehold.policy.policy import Policy, policy_id, read_policy, write_policy
from edgehold.sandbox.compiled import read_component
from edgehold.sandbox.manifest import parse_manifest
from edgehold.sandbox.program import bounds, check_measurement, make_program
from edgehold.sandbox.vec import open_column
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import Kind, ObjectId
from edgehold.wire.ids import Digest
from edgehold.wire.program import PublishProgram
from edgehold.wire.purpose import Modifier, Permission, PermittedUse, Purpose, Term

TESTS = Path(__file__).parents[1]
ANALYSES = TESTS.parent / "src" / "edgehold" / "analyses"
MOST = 4_000
"""Bytes of an example; a larger one costs its time at every input."""

LARGEST = 1 << 20
"""Bytes of a table that is made up here."""


# ── health records ────────────────────────────────────────────────────────────────────────────────────────────────


@cache
def resources() -> list[bytes]:
    """One resource of each type that the published examples have, none of them long."""
    found: dict[str, bytes] = {}
    for line in (TESTS / "data" / "fhir" / "hl7_r4_examples.ndjson").read_bytes().splitlines():
        one = json.loads(line)
        one.pop("text", None)
        short = json.dumps(one).encode()
        kept = found.get(one["resourceType"])
        if len(short) < MOST and (kept is None or len(short) < len(kept)):
            found[one["resourceType"]] = short
    return list(found.values())


def as_plain(text: bytes) -> Any:
    """The value of a JSON text, as another reader sees it; no key may stand twice in an object."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        require(len({key for key, _ in pairs}) == len(pairs), "a key that stands there twice is accepted")
        return dict(pairs)

    return json.loads(text.decode(), object_pairs_hook=once)


def json_text(folder: Path) -> Reader:
    """JSON that can be read in one way only."""

    def read(text: bytes) -> None:
        require(read_json(text) == as_plain(text), "another value than other readers see")

    plain = [b'{"a": [1, -2.5e3, "\\u00e9\\n", null, true, {}], "b": {"a:": ":"}}', b"[]", b'"\\u003a\\\\u003a"', b"0"]
    return Reader(read, [*plain, *resources()[:6]])


def use_records(records: list[Any]) -> None:
    """What an import does with records that were read."""
    persons: set[str] = set()
    for record in records:
        check_one_person(persons, record)
        birth_date(record.resources)
        events = record.events()
        years_of(events)
        table = encode_table(events)
        require(encode_table(decode_table(table)) == table, "the table is read back as another")


def document(folder: Path) -> Reader:
    """A bundle or resource in JSON."""

    def read(text: bytes) -> None:
        record = read_original(text, "record.json")
        require(record.original == text, "another original than the one that was given")
        use_records([record])

    return Reader(read, [bundle("ada"), *resources()])


def document_in_elements(folder: Path) -> Reader:
    """A document that comes in pieces and is read element by element; it is what it is at once."""

    def read(text: bytes) -> None:
        size = 40 if len(text) < MOST else 1 << 18
        derived = derive_document([text[at : at + size] for at in range(0, len(text), size)], "record.json")
        if len(text) < MOST:
            known = encode_table(parse_document(text, "record.json").events())
            require(dict(derived.files) == known, "another table than at once")

    behind = b'{"entry":[{"resource":{"resourceType":"Patient","birthDate":"1980"}},{}],"type":"batch","resourceType":"Bundle"}'
    return Reader(read, [bundle("ada"), behind, b'{"resourceType":"List","entry":[{"item":{}},1]}', *resources()[:6]])


def file_of_records(folder: Path) -> Reader:
    """A file as it is imported: JSON, NDJSON, plain or packed."""
    path = folder / "records"

    def read(content: bytes) -> None:
        path.write_bytes(content)
        kind_of(path)
        use_records(list(read_records(path)))

    lines = b"\n".join(one for one in resources() if len(one) < 1_500) + b"\n"
    bundles = bundle("ada") + b"\r\n\n" + bundle("ada", bmi=30) + b"\n"
    plain = [lines[: lines.rindex(b"\n", 0, MOST) + 1], bundles, bundle("ada")]
    return Reader(read, [*plain, *(zstandard.ZstdCompressor().compress(one) for one in plain)])


def patient(folder: Path) -> Reader:
    """What an issuer reads of a record that it signs."""

    def read(text: bytes) -> None:
        name, born = read_patient(text)
        require(isinstance(name, str) and isinstance(born, date), "no person")

    return Reader(read, [bundle("ada"), bundle("bea", born="1980"), bundle("cyd", born="1980-02")])


def packed_record(folder: Path) -> Reader:
    """A record as it is stored."""
    codec, most = shipped_codec(SHIPPED_BASE), 1 << 24

    def read(packed: bytes) -> None:
        require(len(codec.decode(packed, most)) <= most, "more bytes than were allowed")

    return Reader(read, [codec.encode(one) for one in (b"", bundle("ada"), *resources()[:6])])


def attachment() -> bytes:
    """A record that carries a page along that was packed before, with a text before and behind it."""
    note = b"Seen today; the blood pressure was normal. "
    content = note + Random("page").randbytes(9000) + note * 20
    return b'{"resourceType":"Binary","data":"%s"}' % b64encode(content)


def sparse_record(folder: Path) -> Reader:
    """A record as the codec of JSON keeps it; a few bytes may stand for many, up to the limit."""
    codec, most = shipped_record_codec(RECORD_BASE), 1 << 15

    def read(sparse: bytes) -> None:
        require(len(codec.decode(sparse, most)) <= most, "more bytes than were allowed")

    return Reader(read, [codec.encode(one) for one in (b"{}", bundle("ada"), attachment(), *resources()[:6])])


def record_to_keep(folder: Path) -> Reader:
    """Any text that the codec of JSON is given; encoding takes its time, so that there are no bombs."""
    codec = shipped_record_codec(RECORD_BASE)

    def read(text: bytes) -> None:
        require(codec.decode(codec.encode(text), len(text)) == text, "other bytes came back")

    return Reader(read, [bundle("ada"), attachment(), *resources()[:6]])


def runs_of_elements() -> list[bytes]:
    """Elements as they follow one another in a document."""
    return [b",\n ".join(resources()[:2]) + b",\n ", b'{"a":1},{"b":[{}]} ', b"", resources()[3]]


def sparse_elements(folder: Path) -> Reader:
    """Elements of a list as their codec keeps them; a few bytes may stand for many, up to the limit."""
    codec, most = elements_codec(RECORD_BASE), 1 << 15

    def read(sparse: bytes) -> None:
        require(len(codec.decode(sparse, most)) <= most, "more bytes than were allowed")

    return Reader(read, [codec.encode(one) for one in runs_of_elements()])


def elements_to_keep(folder: Path) -> Reader:
    """Any text that is cut as a document, and that the codec of elements is given."""
    codec = elements_codec(RECORD_BASE)

    def read(text: bytes) -> None:
        scanner, at = ElementScanner(), 0
        while end := scanner.cut(text[at:], 20, 90):
            at += end
        require(at <= len(text), "a cut behind the end")
        require(codec.decode(codec.encode(text), len(text)) == text, "other bytes came back")

    return Reader(read, [*filter(None, runs_of_elements()), bundle("ada")])


def texts_in_lines() -> list[bytes]:
    """The beginnings of real ones."""
    folder = Path(__file__).parent.parent / "data" / "lines"
    return [(folder / name).read_bytes()[:1000] for name in ("observations.csv", "minutes.csv", "export.xml")]


def sparse_lines(folder: Path) -> Reader:
    """A text in lines as its codec keeps it; a few bytes may stand for many, up to the limit."""
    codec, most = lines_codec(), 1 << 13

    def read(sparse: bytes) -> None:
        require(len(codec.decode(sparse, most)) <= most, "more bytes than were allowed")

    return Reader(read, [codec.encode(one) for one in texts_in_lines()])


def lines_to_keep(folder: Path) -> Reader:
    """Any text that the codec of lines is given, and the kind that a hub takes it for."""
    codec = lines_codec()

    def read(text: bytes) -> None:
        recognise(text)
        require(codec.decode(codec.encode(text), len(text)) == text, "other bytes came back")

    return Reader(read, texts_in_lines())


def next_version(folder: Path) -> Reader:
    """A version as each codec that knows versions tells it after another, behind a byte that says which; a few bytes may
    stand for many, up to the limit."""
    plain: tuple[Following, ...] = (shipped_codec(SHIPPED_BASE), shipped_record_codec(RECORD_BASE), lines_codec())
    codecs = (*plain, packed_codec(), elements_codec(RECORD_BASE))
    record, lines, run = resources()[0], texts_in_lines()[0], runs_of_elements()[0]
    before, most = (record, record, lines, gzip.compress(lines), run), 1 << 13
    following = [codec.after(one) for codec, one in zip(codecs, before, strict=True)]

    def read(sparse: bytes) -> None:
        codec = following[sum(sparse[:1]) % len(following)]
        require(len(codec.decode(sparse[1:], most)) <= most, "more bytes than were allowed")

    after = (before[0] + b" ", before[1].replace(b"}", b', "id": "b"}', 1), before[2] + before[2][-90:])
    after = (*after, gzip.compress(after[2]), run + b'{"new":1}')
    return Reader(read, [bytes([which]) + following[which].encode(one) for which, one in enumerate(after)])


def small_image() -> bytes:
    """A DICOM file of two images of 12 by 9 pixels."""

    def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
        form = "<HH2s2xI" if vr == b"OW" else "<HH2sH"
        return struct.pack(form, group, number, vr, len(value)) + value

    sizes = {2: 1, 0x10: 9, 0x11: 12, 0x100: 16, 0x103: 0}
    said = b"".join(element(0x28, number, b"US", struct.pack("<H", size)) for number, size in sizes.items())
    pixels = struct.pack("<216H", *(1000 + place * place % 97 for place in range(216)))
    syntax = element(2, 0x10, b"UI", b"1.2.840.10008.1.2.1\0")
    return bytes(128) + b"DICM" + syntax + said + element(0x7FE0, 0x10, b"OW", pixels)


def named_image() -> bytes:
    """The same with identifiers and a date."""

    def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
        return struct.pack("<HH2sH", group, number, vr, len(value)) + value

    said = [
        element(8, 0x16, b"UI", b"1.2.840.10008.5.1.4.1.1.2\0"),
        element(8, 0x18, b"UI", b"1.2.3\0"),
        element(8, 0x20, b"DA", b"20200229"),
        element(8, 0x30, b"TM", b"101112.5"),
        element(8, 0x60, b"CS", b"CT"),
        struct.pack("<HH2s2xI", 8, 0x1115, b"SQ", 0xFFFFFFFF),
        struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF) + element(0x20, 0xD, b"UI", b"9.9\0"),
        struct.pack("<HHIHHI", 0xFFFE, 0xE00D, 0, 0xFFFE, 0xE0DD, 0),
        element(0x20, 0xD, b"UI", b"1.2\0"),
    ]
    image = small_image()
    at = image.index(struct.pack("<HH", 0x28, 2))
    return image[:at] + b"".join(said) + image[at:]


def samples() -> list[bytes]:
    """The beginnings of real signals, and a small image."""
    folder = Path(__file__).parent.parent / "data" / "samples"
    return [*((folder / name).read_bytes()[:480] for name in ("100.dat", "s0010_re.dat")), small_image()]


def sparse_samples(folder: Path) -> Reader:
    """Samples as their codec keeps them; a few bytes may stand for many, up to the limit."""
    codec, most = samples_codec(), 1 << 13

    def read(sparse: bytes) -> None:
        require(len(codec.decode(sparse, most)) <= most, "more bytes than were allowed")

    return Reader(read, [codec.encode(one) for one in samples()])


def packed_samples(folder: Path) -> Reader:
    """Samples as columns of numbers; a few bytes may stand for many, up to the limit."""
    codec, most = pco_codec(), 1 << 13

    def read(packed: bytes) -> None:
        require(len(codec.decode(packed, most)) <= most, "more bytes than were allowed")

    return Reader(read, [codec.encode(one) for one in samples()])


def samples_to_pack(folder: Path) -> Reader:
    """Any file that the codec of columns of numbers is given."""
    codec = pco_codec()

    def read(file: bytes) -> None:
        require(codec.decode(codec.encode(file), len(file)) == file, "other bytes came back")

    return Reader(read, samples())


def samples_to_keep(folder: Path) -> Reader:
    """Any file that the codec of signals and images is given."""
    codec = samples_codec()

    def read(file: bytes) -> None:
        require(codec.decode(codec.encode(file), len(file)) == file, "other bytes came back")

    return Reader(read, samples())


def sampled(name: str, most: int = 2_000) -> bytes:
    """The first lines of a public file."""
    data = (TESTS / "data" / name).read_bytes()
    return data[: data.rindex(b"\n", 0, most) + 1]


def use_table(derived: Derived) -> None:
    """What a hub and its owner do with a table: every column has its rows, every place its string, events one form only."""
    files, about = derived.files, schema_of(derived.files)
    strings = strings_of(files)
    require(strings == sorted(set(strings)) and strings[0] == "", "strings in no order")
    for column in about["columns"]:
        numbers = column_of(files, column["file"])
        require(len(numbers) == about["rows"], "columns of other lengths")
        if column["unit"] == STRING:
            require(max(numbers, default=0) < len(strings), "a place without a string")
    if derived.schema == EVENTS_SCHEMA:
        decode_table(files)
    require(join(*cut(files)) == files, "kept in row groups it is another table")
    for _ in islice(readable(files), 50):
        pass
    if derived.years is not None:
        require(1 <= derived.years[0] <= derived.years[1] <= 9999, "years in no order")


def table_of(derive: Callable[[bytes], Derived | None], *seeds: bytes) -> Callable[[Path], Reader]:
    """A reader of files from which a table is made."""

    def read(data: bytes) -> None:
        derived = derive(data)
        if derived is not None:
            use_table(derived)

    return lambda folder: Reader(read, seeds)


def pieced(derive: Callable[[Iterable[bytes]], Derived]) -> Callable[[bytes], Derived]:
    """A reader of files that come in pieces: wherever one is cut, its table is the same."""

    def read(data: bytes) -> Derived:
        at = sum(data) % (len(data) + 1)
        derived = derive([data])
        require(derive([data[:at], data[at:]]).files == derived.files, "cut in two it has another table")
        return derived

    return read


EXPORT = (
    b'<?xml version="1.0"?><!DOCTYPE HealthData [<!ELEMENT a (b)>]>\n<HealthData locale="en"><Me HKCharacteristicType'
    b'IdentifierDateOfBirth="1970-01-01"/><Record type="HKQuantityTypeIdentifierHeartRate" unit="count/min" value="61" '
    b'startDate="2016-04-01 03:41:11 +0100" endDate="2016-04-01 03:41:40 +0100"><MetadataEntry key="a" value="b"/></Record>\n'
    b'<Record type="HKCategoryTypeIdentifierSleepAnalysis" value="HKCategoryValueSleepAnalysisAsleep" startDate="2016-04-01 '
    b'03:41:11 +0100" endDate="2016-04-01 07:41:40 +0100"/></HealthData>\n'
)
VCF = (
    b"##fileformat=VCFv4.2\n##contig=<ID=chr1,length=248956422>\n##fileDate=20240101\n"
    b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tme\n"
    b"chr1\t9\trs1\tA\tG,T\t30.5\tPASS\tDP=3\tGT:DP\t1|2:3\nchr1\t12\t.\tAC\t<NON_REF>\t.\t.\tEND=40\tGT\t0/0\n"
    b"chrX\t5\t.\tC\t*\t1e2\tq10\t.\tGT\t.\n"
)


def recorded(form: int) -> bytes:
    """A header and a signal of a format."""
    channels = f"r.dat {form}+2 200(3)/mV 12 0 5 0 0 II\nr.dat {form}x2:1+2 0 8 1024\n"
    return f"r 2 10 8 10:00:00.5 01/01/2000\n{channels}\0".encode() + bytes(range(54))


def derive_recorded(data: bytes) -> Derived | None:
    """A header and, behind a zero, what lies beside it."""
    header, _, signal = data.partition(b"\0")
    for name in ("r.dat", "r.atr"):
        with suppress(IntakeError):
            found = derive_table([signal], kind=Kind.SIGNAL, name=name, header=header)
            if found is not None:
                use_table(found)
    return derive_table([signal], kind=Kind.SIGNAL, name="r.dat", header=header)


def derive_said(data: bytes) -> Derived | None:
    """What an owner says of columns and, behind a zero, the table."""
    said, _, text = data.partition(b"\0")
    return derive_laboratory([text], read_columns(said.decode("utf-8", "replace")))


def derive_noted(data: bytes) -> Derived:
    """A header and, behind a zero, annotations."""
    header, _, words = data.partition(b"\0")
    return derive_annotations(words, header)


def annotated() -> bytes:
    """A header and the first annotations of a record."""
    words = (TESTS / "data" / "samples" / "100.atr").read_bytes()[:300]
    return b"r 0 360\n\0" + words[: len(words) // 2 * 2] + b"\0\0"


def variants() -> list[bytes]:
    """Some lines of real ones."""
    folder = Path(__file__).parent.parent / "data" / "variants"
    return [path.read_bytes()[-1500:] for path in sorted(folder.glob("*.vcf"))]


def sparse_variants(folder: Path) -> Reader:
    """Variants as their codec keeps them; a few bytes may stand for many, up to the limit."""
    codec, most = variants_codec(), 1 << 13

    def read(sparse: bytes) -> None:
        require(len(codec.decode(sparse, most)) <= most, "more bytes than were allowed")

    return Reader(read, [codec.encode(one) for one in variants()])


def variants_to_keep(folder: Path) -> Reader:
    """Any text that the codec of variants is given."""
    codec = variants_codec()

    def read(text: bytes) -> None:
        require(codec.decode(codec.encode(text), len(text)) == text, "other bytes came back")

    return Reader(read, variants())


def genotypes() -> list[bytes]:
    """The first rows of a real array, and the like in the styles of other services."""
    beginning = (Path(__file__).parent.parent / "data" / "lines" / "array.txt").read_bytes()[:1800]
    lines = beginning.splitlines()[:-1]
    rows = [line.split(b"\t") for line in lines if line[:1] != b"#"]
    parted = [b"\t".join([*row[:3], row[3][:1], row[3][1:]]) for row in rows]
    quoted = [b",".join(b'"' + field + b'"' for field in row) for row in rows]
    strange = [b"rs%d\tMT\t%d\t%s" % (place * place, place, b"--" if place % 3 else b"A") for place in range(20)]
    return [beginning, b"\r\n".join([*parted, b""]), b"\n".join(quoted), b"\n".join(strange)]


def genotype_codecs() -> list[GenotypesCodec]:
    """Without a base, and above the shipped one."""
    return [shipped_genotypes_codec(None), shipped_genotypes_codec(ARRAY_BASE)]


def variants_to_lose_of(folder: Path) -> Reader:
    """Any text whose qualities are put in steps: what came of it stays so, and nobody loses more than numbers."""

    def read(data: bytes) -> None:
        found = step_qualities(data)
        if found is None:
            raise Malformed("nothing would be lost")
        require(step_qualities(found.text) is None, "what is in steps goes in others")
        require(found.text.count(b"\t") == data.count(b"\t"), "a field is lost")
        require(found.text.count(b"\n") <= data.count(b"\n") + 1, "a line is lost or made")
        pieces = [data[start : start + 50] for start in range(0, len(data), 50)]
        in_pieces = b"".join(Steps().step(lines_of(pieces)))
        require(in_pieces == found.text, "in pieces another text comes of it")

    named = [b"#CHROM\tPOS\n" + one for one in variants()]
    return Reader(read, [one for one in named if step_qualities(one) is not None])


def sparse_genotypes(folder: Path) -> Reader:
    """Genotypes as their codec keeps them, behind a byte that says with which base; a few bytes may stand for many, up to
    the limit."""
    codecs, most = genotype_codecs(), 1 << 13

    def read(sparse: bytes) -> None:
        codec = codecs[sum(sparse[:1]) % 2]
        require(len(codec.decode(sparse[1:], most)) <= most, "more bytes than were allowed")

    return Reader(read, [bytes([which]) + codecs[which].encode(one) for one in genotypes() for which in (0, 1)])


def genotypes_to_keep(folder: Path) -> Reader:
    """Any text that the codec of genotypes is given."""
    codecs = genotype_codecs()

    def read(text: bytes) -> None:
        codec = codecs[len(text) % 2]
        require(codec.decode(codec.encode(text), len(text)) == text, "other bytes came back")

    return Reader(read, genotypes())


def sites_of_a_base(folder: Path) -> Reader:
    """A public base of sites; one that is accepted has room for a person."""
    before = b"edgehold.sites/1\n" + struct.pack("<II", 2, 9) + b"\1\1" + b"1" + struct.pack("<I", 2) + b"\1\2rs"
    columns = b"\7\1\0\0\0\0\0\0" + b"\0\0" + b"\x08\x09\0\0\0\0\0\0" + b"AC" + b"GT"
    person = b"rs7\t1\t7\tAG\nrs8\t1\t8\tCC\n"

    def read(sites: bytes) -> None:
        codec = GenotypesCodec(sites)
        require(codec.decode(codec.encode(person), len(person)) == person, "other bytes came back")

    return Reader(read, [before + columns + b"\4\5" + b"\0\1\7\1"])


def sparse_matrix(folder: Path) -> Reader:
    """A matrix as its codec keeps it."""
    matrices = [Sparse.of(4, [{0: 1, 3: 7}, {}, {1: 1}]), Sparse.of(0, []), Sparse.of(900, [{899: 2**32 - 1}] * 5)]

    def read(sparse: bytes) -> None:
        found = decode_matrix(sparse, 1000)
        require(decode_matrix(encode_matrix(found), 1000) == found, "another matrix came back")

    return Reader(read, [encode_matrix(one) for one in matrices])


def packed_table(folder: Path) -> Reader:
    """How a stored table is read, packed."""
    events = [
        Event(-(2**63), "GENDER//female"),
        Event(0, "LOINC//39156-5", 27.5, "", "kg/m2"),
        Event(1, "A", None, "b"),
    ]
    tables = [encode_table(events), encode_table([])]

    def read(packed: bytes) -> None:
        check_outline(open_table(packed).outline)

    return Reader(read, [close_table(Digest(bytes(32)), ObjectId(bytes(16)), cut_table(one))[0] for one in tables])


def outline(folder: Path) -> Reader:
    """How a table is cut into row groups, opened: whatever is accepted takes row groups of its sizes, and no others."""
    rows = [Event(time, "LOINC//39156-5", time / 7, "", "kg/m2") for time in range(700)]
    tables = [cut(encode_table(one))[0] for one in (rows, [])]

    def read(message: bytes) -> None:
        found = check_outline(decode(message, Outline))
        if found.groups > GROUPS:
            raise Malformed("larger than this test likes")
        sizes = [found.size_of(number) for number in range(found.groups)]
        if sum(sizes) > LARGEST:
            raise Malformed("larger than this test likes")
        files = join(found, [bytes(size) for size in sizes])
        require(set(files) >= {column.name for column in found.columns}, "a column is missing")
        numbers = find_groups(found, {ROW: (0, 2**63)})
        require(numbers == list(range(found.groups)), "a row is in no group")
        groups = [(number, bytes(sizes[number])) for number in numbers]
        names = [column.name for column in found.columns]
        require(set(select(found, groups, names, {})[0]) == set(names), "a column is missing among the rows")

    return Reader(read, [encode(one) for one in tables])


def table(folder: Path) -> Reader:
    """The files of a table, in one message here."""
    events = [
        Event(-(2**63), "GENDER//female"),
        Event(0, "LOINC//39156-5", 27.5, "", "kg/m2"),
        Event(1, "A", None, "b"),
    ]

    def read(message: bytes) -> None:
        files: Mapping[str, bytes] = dict(decode(message, list[tuple[str, bytes]]))
        require(encode_table(decode_table(files)) == files, "accepted in another spelling")

    return Reader(read, [encode(sorted(encode_table(one).items())) for one in (events, [])])


def asked(folder: Path) -> Reader:
    """What somebody asks of a table: a code, the first and the last moment, a region."""
    events = encode_table([Event(0, "LOINC//39156-5", 27.5, "", "kg/m2")])
    genotypes = derive_variants([VCF])
    require(genotypes is not None, "no table of variants")

    def read(typed: bytes) -> None:
        words = typed.decode("utf-8", "replace").split("|")
        code, since, until, region = [*(word or None for word in words), None, None, None, None][:4]
        Wanted(code=code, since=since, until=until).where(Rows({}, {0: "LOINC//39156-5"}, events, 0))
        Wanted(region=region).where(Rows({}, {}, genotypes.files, 0))

    return Reader(read, [b"LOINC//39156-5|1970|1970-01|chr1:1-20", b"|2000-02-29T10:00:00Z|2001-01-01|X", b"|||MT:5"])


# ── policies, programs, purposes ──────────────────────────────────────────────────────────────────────────────────


def policy(folder: Path) -> Reader:
    """An owner's policy; whatever is accepted can be stored, read back, and written out."""
    path = folder / "policy.toml"
    terms = (Term(Modifier.PUB), Term(Modifier.TS, "12"))
    uses = (PermittedUse(Permission.DS, ("MONDO:0005148",), terms), PermittedUse(Permission.HMB))

    def read(text: bytes) -> None:
        path.write_bytes(text)
        found = read_policy(read_text(path))
        require(read_policy(write_policy(found)) == found, "written out it is another policy")
        require(decode(encode(found), Policy) == found, "stored it is another policy")
        policy_id(found)

    return Reader(read, [write_policy(one).encode() for one in (Policy(), Policy(uses=uses, trusted=(bytes(32),)))])


def manifest(folder: Path) -> Reader:
    """A program's manifest; whatever is accepted can be published."""

    def read(text: bytes) -> None:
        descriptor = make_program(b"", parse_manifest(text, "program.toml")).descriptor
        require(decode(encode(descriptor), PublishProgram) == descriptor, "published it is another program")

    return Reader(read, [one.read_bytes() for one in sorted(ANALYSES.glob("*.toml"))])


def source(folder: Path) -> Reader:
    """A program's text."""
    described = parse_manifest((ANALYSES / "bmi.toml").read_bytes(), "bmi.toml")
    return Reader(
        lambda text: make_program(text, described).descriptor,
        [one.read_bytes() for one in sorted(ANALYSES.glob("*.py"))[:3]],
    )


def purpose(folder: Path) -> Reader:
    """A purpose as it is typed; what is accepted can be ordered."""

    def read(typed: bytes) -> None:
        found = parse_purpose(typed.decode("utf-8", "replace"))
        require(decode(encode(found), Purpose) == found, "sent it is another purpose")

    return Reader(read, [b"HMB", b"gru", b"DS:MONDO:0005148,MONDO:0005149", b"poa"])


def answer(name: str) -> Target:
    """What a program says in the end, as text from the sandbox."""
    measurement, value = TYPES[name]

    def read(text: bytes) -> None:
        found = check_measurement(text.decode("utf-8", "replace"), measurement)
        each, total = bounds(measurement)
        numbers = found if isinstance(found, list) else [found]
        require(all(type(one) is int and 0 <= one <= each for one in numbers), "a number out of bounds")
        require(sum(numbers) <= total, "a total out of bounds")
        require(len(numbers) == (measurement.length if isinstance(found, list) else 1), "another number of numbers")

    return Target(lambda folder: Reader(read, [json.dumps(value).encode()]), (BadAnswer,), BY_TOKENS, JSON)


def column(folder: Path) -> Reader:
    """A column that a program names for its sums: a file of its own tables, and nothing else."""
    tables = folder / "tables"
    tables.mkdir()
    (folder / "secret.u8").write_bytes(b"x")
    (tables / "link.u8").symlink_to(folder / "secret.u8")
    (tables / "half.f64").write_bytes(bytes(7))
    for name in ("time.i64", "value.f64", "dosage.u8", "schema.json"):
        (tables / name).write_bytes(bytes(16))
    valid = [b"time.i64", b"value.f64", b"dosage.u8"]

    def read(name: bytes) -> None:
        with ExitStack() as files:
            open_column(tables, name.decode("utf-8", "replace"), files)
        require(name in valid, "a file that is no column is opened")

    return Reader(read, valid)


# ── files of parties ──────────────────────────────────────────────────────────────────────────────────────────────


def file_reader(name: str, mode: int, read: Callable[[Path], object], *seeds: bytes) -> Callable[[Path], Reader]:
    """A reader of one file of a folder."""

    def prepare(folder: Path) -> Reader:
        path = folder / name
        path.touch(mode)

        def check(content: bytes) -> None:
            path.write_bytes(content)
            read(path)

        return Reader(check, seeds)

    return prepare


def world_file(folder: Path) -> Reader:
    """What a network's folder says of itself."""
    (folder / "ledger").mkdir()
    for name in ("genesis.cbor", "ledger/ledger.sqlite"):
        (folder / name).touch()
    facts = {"organisations": {"ashby": "Ashby Analytics"}, "adults": [True, False], "panels": ["aa"], "seed": 1}

    def read(content: bytes) -> None:
        (folder / "world.json").write_bytes(content)
        require_network(folder)

    return Reader(read, [msgspec.json.encode(facts)])


def component(folder: Path) -> Reader:
    """The packed runtime: other bytes than those that were shipped are never taken. The real one is too large here."""
    path = folder / "component.xz"
    seeds = [lzma.compress(bytes(count), preset=0) for count in (0, 1000)]

    def read(packed: bytes) -> None:
        path.write_bytes(packed)
        try:
            read_component(path)
        except BrokenRuntime as error:
            if packed in seeds and " holds " in str(error):
                return  # it was unpacked, which is all that an example can do here
            raise
        require(False, "another runtime is taken")

    return Reader(read, seeds)


TARGETS: dict[str, Target] = {
    "JSON": Target(json_text, (IntakeError,), BY_TOKENS, JSON, HEAVY_JSON),
    "FHIR document": Target(document, (IntakeError,), BY_TOKENS, BUNDLED + LINES),
    "FHIR document in elements": Target(document_in_elements, (IntakeError,), BY_TOKENS, BUNDLED + LISTED + UNNAMED),
    "FHIR file": Target(file_of_records, (IntakeError,), BY_TOKENS, LINES + PACKED_RECORDS),
    "FHIR patient": Target(patient, (NotFhir,), BY_TOKENS, JSON + BUNDLED),
    "packed record": Target(packed_record, (CannotDecode,), BY_BYTES, ZSTD + LARGE),
    "sparse record": Target(sparse_record, (CannotDecode,), BY_BYTES),
    "record to keep": Target(record_to_keep, (CannotDecode,), BY_TOKENS),
    "sparse elements": Target(sparse_elements, (CannotDecode,), BY_BYTES),
    "elements to keep": Target(elements_to_keep, (CannotDecode,), BY_TOKENS),
    "sparse lines": Target(sparse_lines, (CannotDecode,), BY_BYTES),
    "lines to keep": Target(lines_to_keep, (CannotDecode,), BY_TOKENS),
    "next version": Target(next_version, (CannotDecode,), BY_BYTES),
    "sparse samples": Target(sparse_samples, (CannotDecode,), BY_BYTES),
    "samples to keep": Target(samples_to_keep, (CannotDecode,), BY_BYTES),
    "packed samples": Target(packed_samples, (CannotDecode,), BY_BYTES),
    "samples to pack": Target(samples_to_pack, (CannotDecode,), BY_BYTES),
    "table of a laboratory": Target(
        table_of(pieced(derive_laboratory), sampled("lines/observations.csv"), b"date;test;result\n1.3.2024;K;<5,3\n"),
        (IntakeError,),
        BY_TOKENS,
        SHEETS,
    ),
    "table of said columns": Target(
        table_of(derive_said, b'date = "a"\ncode = "b"\nvalue = "c"\ndates = "DMY"\0a,b,c\n1/2/2024,K,5\n'),
        (IntakeError,),
        BY_TOKENS,
        TOML,
    ),
    "table of minutes": Target(
        table_of(pieced(derive_minutes), sampled("lines/minutes.csv", 900)), (IntakeError,), BY_TOKENS, SHEETS
    ),
    "table of Apple Health": Target(
        table_of(pieced(derive_apple), EXPORT, sampled("lines/export.xml", 4_000)), (IntakeError,), BY_TOKENS, MARKUP
    ),
    "table of variants": Target(
        table_of(pieced(derive_variants), VCF, sampled("lines/small.vcf", 4_000)), (IntakeError,), BY_TOKENS, VARIANTS
    ),
    "table of an array": Target(
        table_of(
            derive_array, sampled("lines/array.txt", 900), b"rsid,chromosome,position,allele1,allele2\nrs1,1,5,A,G\n"
        ),
        (IntakeError,),
        BY_TOKENS,
        ARRAYS,
    ),
    "table of a signal": Target(
        table_of(derive_recorded, *map(recorded, (16, 61, 80, 212))),
        (IntakeError,),
        BY_TOKENS,
        SIGNALS,
    ),
    "table of annotations": Target(
        table_of(derive_noted, annotated()),
        (IntakeError,),
        BY_BYTES,
        ANNOTATIONS,
    ),
    "table of an image": Target(table_of(derive_image, named_image()), (IntakeError,), BY_BYTES, IMAGES),
    "sparse variants": Target(sparse_variants, (CannotDecode,), BY_BYTES),
    "variants to keep": Target(variants_to_keep, (CannotDecode,), BY_TOKENS),
    "variants to lose of": Target(variants_to_lose_of, (Malformed,), BY_TOKENS, VARIANTS),
    "sparse genotypes": Target(sparse_genotypes, (CannotDecode,), BY_BYTES),
    "genotypes to keep": Target(genotypes_to_keep, (CannotDecode,), BY_TOKENS),
    "sites of a base": Target(sites_of_a_base, (ValueError,), BY_BYTES),
    "sparse matrix": Target(sparse_matrix, (CannotDecode,), BY_BYTES),
    "packed table": Target(packed_table, (CannotDecode, Malformed), BY_BYTES, ZSTD + LARGE),
    "table": Target(table),
    "outline": Target(outline, bombs=CBOR),
    "asked of a table": Target(asked, (UsageError,), BY_TOKENS),
    "policy": Target(policy, (BadPolicy, FileUnusable), BY_TOKENS, TOML),
    "manifest": Target(manifest, (BadManifest,), BY_TOKENS, TOML),
    "source": Target(source, (ProgramFailed,), BY_TOKENS),
    "purpose": Target(purpose, (UsageError, BadPurpose), BY_TOKENS),
    **{f"answer of a program: {name}": answer(name) for name in ("count", "histogram", "sumvec")},
    "column": Target(column, (WasmtimeError,), BY_TOKENS, LARGE),
    "invitation": Target(
        file_reader("invitation", 0o600, lambda path: read_invitation(str(path)), b"00-ff" * 8 + b"\n", b"0f" * 16),
        (NotInvited, FileUnusable),
        BY_TOKENS,
    ),
    "world file": Target(world_file, (NotANetwork,), BY_TOKENS, JSON),
    "component": Target(component, (BrokenRuntime,), BY_BYTES, XZ),
}
