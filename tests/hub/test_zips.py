"""Tables of what is inside ZIP files: exports of phones, genotypes, portals; however they were packed, and however large."""

from __future__ import annotations

import gzip
import io
import json
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest

from edgehold.codecs.choice import codec_title
from edgehold.codecs.events import SCHEMA as EVENTS
from edgehold.codecs.events import encode_table
from edgehold.codecs.tables.genotypes import SCHEMA as GENOTYPES
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import BrokenPack, NestedPack, NoTable, PackLimit, SeveralPersons
from edgehold.hub.intake import kinds, large, packs, zips
from edgehold.hub.intake.derive import derive_table
from edgehold.hub.intake.fhir import read_original
from edgehold.hub.intake.imports import Imported
from edgehold.hub.intake.kinds import format_of
from edgehold.hub.intake.take_in import import_file
from edgehold.hub.intake.zips import Content, parts_of
from edgehold.hub.store import NO_TABLE, Store
from edgehold.wire.data import Kind

DATA = Path(__file__).parent.parent / "data"
DICE = SeededRandomness(1, "zips")
XML = (DATA / "lines" / "export.xml").read_bytes()
ARRAY = (DATA / "lines" / "array.txt").read_bytes()
CSV = (DATA / "lines" / "observations.csv").read_bytes()
DOCUMENT = (
    b'<?xml version="1.0"?>\n<ClinicalDocument>' + b"<observation/>" * (len(XML) // 10) + b"</ClinicalDocument>\n"
)
APPLE = {
    "apple_health_export/export_cda.xml": DOCUMENT,
    "apple_health_export/workout-routes/": b"",
    "apple_health_export/workout-routes/one.gpx": b'<?xml version="1.0"?>\n<gpx></gpx>\n',
    "apple_health_export/exportación.xml": XML,
}
PATIENT = {"resourceType": "Patient", "id": "p", "birthDate": "1970-02-03"}
WEIGHT = {
    "resourceType": "Observation",
    "id": "w",
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
    "subject": {"reference": "Patient/p"},
    "effectiveDateTime": "2020-05-06",
    "valueQuantity": {"value": 70.5, "code": "kg"},
}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / "store.sqlite", bytes(32), DICE) as made:
        yield made


class Unseekable(io.RawIOBase):
    """What is written to so has its sizes behind each part."""

    def __init__(self) -> None:
        self.data = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        self.data += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]


HOW = {
    "deflated": (zipfile.ZIP_DEFLATED, False),
    "stored": (zipfile.ZIP_STORED, False),
    "deflated, sizes behind": (zipfile.ZIP_DEFLATED, True),
}


def zipped(files: dict[str, bytes], how: str = "deflated", *, force_64: bool = False) -> bytes:
    method, is_stream = HOW[how]
    target = Unseekable() if is_stream else io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as file:
        for name, content in files.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = method
            with file.open(info, "w", force_zip64=force_64) as part:
                part.write(content)
    return bytes(target.data) if isinstance(target, Unseekable) else target.getvalue()


def take(store: Store, path: Path, content: bytes) -> Imported:
    path.write_bytes(content)
    done = import_file(store, path, randomness=DICE)
    assert b"".join(store.read_original(done.added[0].id)) == content
    assert store.check() == []
    return done


def in_pieces(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]


# ── tables ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("force_64", [False, True])
def test_an_export_of_a_phone_has_the_events_of_its_largest_part(
    store: Store, tmp_path: Path, how: str, force_64: bool
) -> None:
    done = take(store, tmp_path / "export.zip", zipped(APPLE, how, force_64=force_64))
    (one,) = done.added
    assert (one.descriptor.kind, one.descriptor.schema, done.notes) == (Kind.WEARABLE, EVENTS, ())
    plain = derive_table([XML], kind=Kind.WEARABLE, name="export.xml")
    assert plain is not None
    assert store.table(one.id) == dict(plain.files)
    assert done.rows == {EVENTS: plain.rows}
    assert plain.rows > 0


def test_genotypes_come_zipped(store: Store, tmp_path: Path) -> None:
    done = take(store, tmp_path / "genome.zip", zipped({"genome.txt": ARRAY, "notes.txt": b"thank you"}))
    plain = derive_table([ARRAY], kind=Kind.GENOTYPE, name="genome.txt")
    assert plain is not None
    assert done.added[0].descriptor.schema == GENOTYPES
    assert store.table(done.added[0].id) == dict(plain.files)


def test_records_of_a_portal_come_zipped(store: Store, tmp_path: Path) -> None:
    files = {"a/p.json": PATIENT, "a/w.json": WEIGHT, "b/w.json": WEIGHT | {"id": "w2"}}
    encoded = {name: json.dumps(one).encode() for name, one in files.items()}
    done = take(store, tmp_path / "records.zip", zipped({**encoded, "letter.xml": DOCUMENT}))
    events = [event for one in encoded.values() for event in read_original(one, "x").events()]
    assert store.table(done.added[0].id) == encode_table(events)
    assert done.added[0].descriptor.schema == EVENTS


def test_records_of_two_persons_in_one_file_are_refused(store: Store, tmp_path: Path) -> None:
    two = {str(number): json.dumps(PATIENT | {"id": str(number)}).encode() for number in range(2)}
    with pytest.raises(SeveralPersons):
        take(store, tmp_path / "records.zip", zipped(two))


@pytest.mark.parametrize(
    ("files", "says"),
    [
        ({"letter.xml": DOCUMENT}, "none of its parts is FHIR"),
        ({"p.json": b'{"resourceType": "Patient", "id": 5'}, "/p.json"),
        ({"one.gpx": APPLE["apple_health_export/workout-routes/one.gpx"]}, "EH"),
    ],
)
def test_what_has_no_table_is_kept_and_the_reason_is_said(
    store: Store, tmp_path: Path, files: dict[str, bytes], says: str
) -> None:
    done = take(store, tmp_path / "x.zip", zipped(files))
    assert done.added[0].descriptor.schema == NO_TABLE
    assert "kept without a table" in done.notes[0]
    assert says in done.notes[0]


# ── large ones ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", HOW)
def test_a_large_file_has_the_same_table(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    plain = derive_table([XML], kind=Kind.WEARABLE, name="export.xml")
    assert plain is not None
    monkeypatch.setattr(kinds, "MOST_UNPACKED", 1000)
    path = tmp_path / "export.zip"
    done = take(store, path, zipped(APPLE, how))
    assert kinds.is_large(path, format_of(path))
    assert codec_title(done.added[0].descriptor.codec) == "parts/1"
    assert store.table(done.added[0].id) == dict(plain.files)
    assert done.notes == ()
    assert b"".join(store.read_original(done.added[0].id)) == path.read_bytes()


def test_what_a_file_holds_says_whether_it_is_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Random(1).randbytes(3000)
    files = {
        "a.gz": gzip.compress(noise),
        "b.gz": gzip.compress(noise[:1000]) + gzip.compress(noise[1000:]),
        "c.zip": zipped({"a": noise[:1500], "b": noise[1500:]}),
    }
    for most, is_large in ((2999, True), (3000, False)):
        monkeypatch.setattr(kinds, "MOST_UNPACKED", most)
        monkeypatch.setattr(packs, "MOST_UNPACKED", most)
        for name, data in files.items():
            (tmp_path / name).write_bytes(data)
            assert kinds.is_large(tmp_path / name, format_of(tmp_path / name)) == is_large
    broken = tmp_path / "broken.zip"
    broken.write_bytes(files["c.zip"][:-5])
    assert not kinds.is_large(broken, format_of(broken))


def test_a_bomb_is_not_large(tmp_path: Path) -> None:
    for name, data in {"a.gz": gzip.compress(bytes(1 << 27)), "a.zip": zipped({"a": bytes(1 << 27)})}.items():
        (tmp_path / name).write_bytes(data)
        assert not kinds.is_large(tmp_path / name, format_of(tmp_path / name))


def test_a_large_file_whose_parts_cannot_be_followed_is_kept_without_a_table(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (kinds, large):
        monkeypatch.setattr(module, "MOST_BYTES" if module is kinds else "AT_ONCE", 500)
    whole = zipped(APPLE)
    altered = bytearray(whole)
    altered[14] ^= 1  # the checksum before the first part
    done = take(store, tmp_path / "export.zip", bytes(altered))
    assert done.added[0].descriptor.schema == NO_TABLE
    assert any("checksum" in note for note in done.notes)


# ── parts in turn ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("size", [1, 7, 1000, 1 << 20])
def test_the_parts_are_those_of_the_directory_in_pieces_of_any_size(how: str, size: int) -> None:
    data = zipped({"a": CSV, "b/": b"", "b/c": b"", "d": b"text"}, how)
    found = {part.name: b"".join(part.content) for part in parts_of(in_pieces(data, size), "x.zip")}
    assert found == {"a": CSV, "b/c": b"", "d": b"text"}
    names = [part.name for part in parts_of(in_pieces(data, size), "x.zip")]  # nobody reads what they hold
    assert names == ["a", "b/c", "d"]


@pytest.mark.parametrize("size", [(1 << 20) - 1, 1 << 20, (1 << 20) + 1, 3 << 20])
def test_what_follows_a_part_of_any_length_is_found(size: int) -> None:
    text = Random(1).randbytes(1000) * (size // 1000) + bytes(size % 1000)
    found = {part.name: b"".join(part.content) for part in parts_of([zipped({"a": text, "b": b"text"})], "x.zip")}
    assert found == {"a": text, "b": b"text"}
    assert packs.unpacked(gzip.compress(text) + gzip.compress(b"text"), "x.gz") == text + b"text"


def test_a_content_can_be_had_again_and_is_the_largest_of_its_kind() -> None:
    small = b"time,heart_rate\n2020-01-01 00:00:00,60\n"
    large = small + b"2020-01-01 00:01:00,61\n"
    pieces = in_pieces(zipped({"a": small, "b": large, "c": large, "d": CSV}), 50)
    content = Content(pieces, Kind.WEARABLE, "x.zip")
    assert [b"".join(content), b"".join(content)] == [large, large]
    with pytest.raises(NoTable):
        Content(pieces, Kind.GENOTYPE, "x.zip")


def local(data: bytes, at: int, form: str, value: int) -> bytes:
    """A file with another number in what stands before its first part."""
    size = struct.calcsize(form)
    return data[:at] + struct.pack(form, value) + data[at + size :]


TWO = zipped({"a": CSV, "b": b"text"})
BEHIND = zipped({"a": CSV}, "deflated, sizes behind")
STORED = zipped({"a": b"text"}, "stored")
BROKEN = {
    "breaks off in a stream": (TWO[:200], BrokenPack, "breaks off"),
    "breaks off in what is stored": (STORED[:33], BrokenPack, "breaks off"),
    "breaks off before a part": (TWO[:20], BrokenPack, "byte 0: neither a part"),
    "breaks off in a name": (TWO[:30], BrokenPack, "no sizes"),
    "encrypted": (local(TWO, 6, "<H", 1), BrokenPack, "encrypted"),
    "another method": (local(TWO, 8, "<H", 12), BrokenPack, "packed in a way"),
    "stored, sizes behind": (local(STORED, 6, "<H", 8), BrokenPack, "packed in a way"),
    "a wrong checksum": (local(TWO, 14, "<I", 5), BrokenPack, "checksum"),
    "a wrong length": (local(TWO, 22, "<I", 5), BrokenPack, "length"),
    "sizes of ZIP64 that are not there": (local(TWO, 22, "<I", 0xFFFFFFFF), BrokenPack, "no sizes"),
    "a wrong checksum behind": (BEHIND.replace(b"PK\x07\x08", b"PK\x07\x08\xff"), BrokenPack, "checksum"),
    "something between": (TWO.replace(b"PK\x01\x02", b"PK\x01\x03", 1), BrokenPack, "neither a part"),
    "no deflate stream": (TWO[:31] + b"\xff" * 40 + TWO[71:], BrokenPack, "is broken"),
    "packed twice": (zipped({"a": TWO}), NestedPack, "packed file itself"),
    "a bomb": (zipped({"a": bytes(1 << 25)}), PackLimit, "unpacks to more"),
}


@pytest.mark.parametrize("what", BROKEN)
@pytest.mark.parametrize("size", [13, 1 << 20])
def test_what_is_no_zip_file_is_refused_by_name(what: str, size: int) -> None:
    data, error, says = BROKEN[what]
    with pytest.raises(error, match=says):
        list(parts_of(in_pieces(data, size), "x.zip"))


def test_too_many_parts_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zips, "MOST_MEMBERS", 1)
    with pytest.raises(PackLimit, match="more than 1 parts"):
        list(parts_of([TWO], "x.zip"))
