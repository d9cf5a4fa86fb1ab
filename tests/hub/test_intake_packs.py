"""Packed files as a hub takes them in: known by what is inside, kept byte for byte, and what is wrong with them is said."""

from __future__ import annotations

import gzip
import json
import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.codecs.choice import codec_title
from edgehold.codecs.events import SCHEMA, Event, decode_table, encode_table, join_tables
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import BadSignature, BrokenPack, IntakeError, NestedPack, NotJson, PackLimit, SeveralPersons
from edgehold.hub.intake import packs
from edgehold.hub.intake.fhir import Limits, bulk_type
from edgehold.hub.intake.imports import Imported, Together
from edgehold.hub.intake.kinds import format_of
from edgehold.hub.intake.packs import find_fault, look_inside, unpacked, unpacked_pieces
from edgehold.hub.intake.take_in import import_file
from edgehold.hub.originals import whole_of, write_originals
from edgehold.hub.runs import find_dataset, find_together
from edgehold.hub.store import NO_TABLE, Store
from edgehold.wire.data import Kind

DATA = Path(__file__).parent.parent / "data"
DICE = SeededRandomness(1, "packs")
VCF = (DATA / "lines" / "small.vcf").read_bytes()
CSV = (DATA / "lines" / "observations.csv").read_bytes()
XML = (DATA / "lines" / "export.xml").read_bytes()


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store.sqlite", bytes(32), DICE)


def take(store: Store, path: Path, content: bytes, together: Together | None = None) -> Imported:
    """Import a file of this content, and have it back."""
    path.write_bytes(content)
    done = import_file(store, path, together=together, randomness=DICE)
    for one in done.added:
        if " line " not in one.name:
            assert store.get_original(one.id) == content
    assert store.check() == []
    return done


def zipped(files: dict[str, bytes]) -> bytes:
    target = BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files.items():
            file.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()


# ── what is inside ────────────────────────────────────────────────────────────────────────────────────────────────

BGZIP = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0"


def bgzipped(text: bytes) -> bytes:
    packer = zlib.compressobj(6, zlib.DEFLATED, -15)
    stream = packer.compress(text) + packer.flush()
    return BGZIP + struct.pack("<H", len(stream) + 25) + stream + struct.pack("<2I", zlib.crc32(text), len(text))


APPLE = {
    "apple_health_export/export.xml": b'<?xml version="1.0"?>\n<!DOCTYPE HealthData [\n'
    + b"<!ELEMENT HealthData ANY>\n" * 400
    + b"]>\n"
    + XML[XML.index(b"<HealthData") :],
    "apple_health_export/export_cda.xml": b'<?xml version="1.0"?>\n<ClinicalDocument>\n</ClinicalDocument>\n',
    "apple_health_export/workout-routes/route_1.gpx": b'<?xml version="1.0"?>\n<gpx></gpx>\n',
    "apple_health_export/clinical-records/a.json": b'{"resourceType": "Observation"}',
}
FORMATS = {
    "a.vcf.gz": (gzip.compress(VCF), Kind.GENOTYPE, "VCF in gzip"),
    "b.vcf.bgz": (bgzipped(VCF), Kind.GENOTYPE, "VCF in bgzip"),
    "c.csv.gz": (gzip.compress(CSV), Kind.LAB, "table of a laboratory in gzip"),
    "d.gz": (gzip.compress(gzip.compress(CSV)), Kind.OTHER, "a file of no known format in gzip"),
    "e.gz": (b"\x1f\x8b\x08" + bytes(30), Kind.OTHER, "a file of no known format in gzip"),
    "export.zip": (zipped(APPLE), Kind.WEARABLE, "Apple Health export with ehr in ZIP of 4 parts"),
    "routes.zip": (zipped({"a.gpx": b"<gpx></gpx>"}), Kind.WEARABLE, "route (GPX) in ZIP of 1 parts"),
    "cda.zip": (zipped({"a.xml": b"<ClinicalDocument/>"}), Kind.EHR, "clinical document (CDA) in ZIP of 1 parts"),
    "minutes.zip": (
        zipped({"m.csv": b"time,heart_rate\n1,2\n", "x": b"?"}),
        Kind.WEARABLE,
        "table of a wearable in ZIP of 2 parts",
    ),
    "image.zip": (
        zipped({"a.dcm": (DATA / "samples" / "CT_small.dcm").read_bytes()}),
        Kind.IMAGE,
        "DICOM in ZIP of 1 parts",
    ),
    "array.zip": (
        zipped({"a.txt": (DATA / "lines" / "array.txt").read_bytes()}),
        Kind.GENOTYPE,
        "genotypes of an array in ZIP of 1 parts",
    ),
    "broken.zip": (zipped(APPLE)[:900], Kind.OTHER, "a file of no known format in ZIP of 0 parts"),
    "stored.zip": (
        b"PK\x05\x06" + bytes(18),
        Kind.OTHER,
        "a file of no known format in ZIP of 0 parts",
    ),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_packed_file_is_of_the_kind_of_what_it_holds(store: Store, tmp_path: Path, name: str) -> None:
    content, kind, title = FORMATS[name]
    done = take(store, tmp_path / name, content)
    (stored,) = done.added
    assert (stored.descriptor.kind, stored.name, done.format) == (kind, name, title)
    assert take(store, tmp_path / name, content).added == ()
    written, altered = write_originals(store, tmp_path / "out")
    assert [(one.path.name, one.path.read_bytes()) for one in written] == [(name, content)]
    assert not altered


def test_an_apple_export_takes_the_room_of_what_is_in_it(store: Store, tmp_path: Path) -> None:
    stored = take(store, tmp_path / "export.zip", zipped(APPLE)).added[0]
    plain = take(store, tmp_path / "export.xml", APPLE["apple_health_export/export.xml"]).added[0]
    assert plain.descriptor.kind is Kind.WEARABLE
    assert codec_title(stored.descriptor.codec) == "deflate/1"
    assert stored.encoded < plain.encoded + 800


def test_markup_that_is_malformed_is_kept_as_it_is(store: Store, tmp_path: Path) -> None:
    text = APPLE["apple_health_export/export.xml"]
    bomb = b'<!DOCTYPE HealthData [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]>\n<HealthData>&b;</HealthData>\n'
    for number, content in enumerate(
        [text[:-500], text.replace(b"unit", b"\xff\x07\x80"), bomb, b"<HealthData " * 3000]
    ):
        done = take(store, tmp_path / f"{number}.xml", content)
        assert [one.descriptor.kind for one in done.added] == [Kind.WEARABLE]
    content = text.replace(b"unit", b"\x01\x01")
    assert take(store, tmp_path / "control.xml", content).added[0].received == len(content)


# ── what is wrong with it ─────────────────────────────────────────────────────────────────────────────────────────

WHOLE = gzip.compress(CSV)


def changed(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + bytes([value]) + data[at + 1 :]


def entry_of(data: bytes) -> int:
    return data.index(b"PK\x01\x02")


ZIP = zipped({"a": CSV, "b": b"text"})
FAULTS: dict[str, tuple[bytes, type[IntakeError], str]] = {
    "broken off": (WHOLE[:-9], BrokenPack, r"x\.gz: the gzip member at byte 0 breaks off"),
    "second member broken off": (WHOLE + WHOLE[:50], BrokenPack, f"member at byte {len(WHOLE)} breaks off"),
    "checksum": (changed(WHOLE, len(WHOLE) - 8, WHOLE[-8] ^ 1), BrokenPack, "member at byte 0 is broken"),
    "something behind": (WHOLE + b"rest", BrokenPack, f"4 bytes follow the last gzip member, at byte {len(WHOLE)}"),
    "bomb": (gzip.compress(bytes(1 << 25)), PackLimit, "unpacks to more than"),
    "pack in a pack": (gzip.compress(WHOLE), NestedPack, "holds a packed file"),
    "many members": (gzip.compress(b"") * 9_000, PackLimit, "more than 8192 gzip members"),
    "zip broken off": (ZIP[:-5], BrokenPack, "directory of the ZIP file is missing"),
    "zip checksum": (changed(ZIP, entry_of(ZIP) + 16, ZIP[entry_of(ZIP) + 16] ^ 1), BrokenPack, "/a: its length or"),
    "zip size": (changed(ZIP, entry_of(ZIP) + 24, ZIP[entry_of(ZIP) + 24] ^ 1), BrokenPack, "/a: "),
    "zip method": (changed(ZIP, entry_of(ZIP) + 10, 12), BrokenPack, "/a: packed by method 12"),
    "zip stream": (changed(ZIP, 31, 0xFF), BrokenPack, "/a: is broken"),
    "zip stream broken off": (
        ZIP[: entry_of(ZIP) + 20] + struct.pack("<I", 100) + ZIP[entry_of(ZIP) + 24 :],
        BrokenPack,
        "/a: breaks off",
    ),
    "pack in a zip": (zipped({"a.gz": WHOLE}), NestedPack, r"/a\.gz: holds a packed file"),
}


@pytest.mark.parametrize("what", FAULTS)
def test_what_is_wrong_is_said_with_its_place_and_the_file_is_kept(store: Store, tmp_path: Path, what: str) -> None:
    content, error, says = FAULTS[what]
    fault = find_fault(content, "x.gz")
    assert fault is not None
    assert type(fault) is error
    with pytest.raises(error, match=says):
        raise fault
    done = take(store, tmp_path / "x.gz", content)
    assert done.notes == (f"kept as it is: {fault.code} {fault}",)
    assert done.added[0].descriptor.schema == NO_TABLE


def test_nothing_is_wrong_with_what_is_whole(store: Store, tmp_path: Path) -> None:
    for content in (WHOLE, WHOLE * 3, WHOLE + bytes(20), ZIP, zipped(APPLE), zipped({"a/": b"", "b": b""})):
        assert find_fault(content, "x") is None
    stored = BytesIO()
    with zipfile.ZipFile(stored, "w") as file:
        file.writestr("a", CSV)
        file.writestr("b", b"")
    assert find_fault(stored.getvalue(), "x") is None
    assert take(store, tmp_path / "x.zip", stored.getvalue()).notes == ()
    assert unpacked(WHOLE * 2, "x") == CSV * 2
    assert look_inside(WHOLE).kind is Kind.LAB


def test_a_part_that_unpacks_to_more_than_it_says_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(packs, "STEP", 100)
    at = entry_of(ZIP) + 24
    fault = find_fault(ZIP[:at] + struct.pack("<I", 150) + ZIP[at + 4 :], "x.zip")
    assert "/a: unpacks to more than is stated" in str(fault)


# ── packed records ────────────────────────────────────────────────────────────────────────────────────────────────


def resource(kind: str, number: int, person: str = "ada", **more: Any) -> bytes:
    about = {"id": person} if kind == "Patient" else {"id": str(number), "subject": {"reference": f"Patient/{person}"}}
    return json.dumps({"resourceType": kind, **about, **more}).encode() + b"\n"


def weight(number: int, person: str = "ada", day: int = 1) -> bytes:
    return resource(
        "Observation",
        number,
        person,
        code={"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
        effectiveDateTime=f"2024-03-{day:02}",
        valueQuantity={"value": 70 + number, "unit": "kg"},
    )


PATIENT = resource("Patient", 0, birthDate="1980-02-03", gender="female")
WEIGHTS = b"".join(weight(number) for number in range(5))


def test_records_that_are_packed_are_one_dataset_that_programs_read(store: Store, tmp_path: Path) -> None:
    done = take(store, tmp_path / "all.ndjson.gz", gzip.compress(PATIENT + WEIGHTS))
    (stored,) = done.added
    assert (stored.descriptor.schema, stored.descriptor.last_year) == (SCHEMA, 2024)
    assert len(decode_table(store.table(stored.id))) == 7
    assert codec_title(stored.descriptor.codec) == "deflate/1"
    assert format_of(tmp_path / "all.ndjson.gz").title == "FHIR in gzip"


def test_packed_records_are_refused_like_any_others(store: Store, tmp_path: Path) -> None:
    for content, error in (
        (PATIENT + b'{"resourceType": 1}\n{\n', IntakeError),
        (PATIENT[:-3] + b'\n"resourceType"', NotJson),
        (PATIENT + resource("Patient", 0, "bea"), SeveralPersons),
    ):
        with pytest.raises(error, match=r"x\.gz"):
            take(store, tmp_path / "x.gz", gzip.compress(content))
    assert store.objects() == []
    (tmp_path / "x.gz").write_bytes(gzip.compress(PATIENT))
    with pytest.raises(BadSignature):
        import_file(store, tmp_path / "x.gz", signature=b"?", randomness=DICE)


def test_packed_records_that_break_off_are_kept_without_a_table(store: Store, tmp_path: Path) -> None:
    done = take(store, tmp_path / "x.ndjson.gz", gzip.compress(PATIENT + WEIGHTS)[:-4])
    assert [one.descriptor.schema for one in done.added] == [NO_TABLE]
    assert "EH480" in done.notes[0]


# ── a Bulk Data export ────────────────────────────────────────────────────────────────────────────────────────────


def test_what_came_together_is_run_over_together(store: Store, tmp_path: Path) -> None:
    together = Together("export")
    take(store, tmp_path / "Patient.ndjson", PATIENT, together)
    take(store, tmp_path / "Observation.ndjson.gz", gzip.compress(WEIGHTS), together)
    take(store, tmp_path / "Observation.2.ndjson", weight(3) + weight(9), together)
    other = take(store, tmp_path / "other.json", resource("Patient", 0, birthDate="1980-02-03").strip()).added[0]
    found = find_together(store, find_dataset(store, SCHEMA, frozenset(Kind)))
    assert sorted(one.name for one in found) == [
        "export/Observation.2.ndjson line 1",
        "export/Observation.ndjson.gz",
        "export/Patient.ndjson",
    ]
    rows = decode_table(join_tables([store.table(one.id) for one in found]))
    assert [row.value for row in rows if row.value] == [
        70.0,
        71.0,
        72.0,
        73.0,
        74.0,
        79.0,
    ]  # once, what two files state
    assert find_together(store, other) == [other]
    for one in found:
        store.erase(one.id, DICE)
    assert find_dataset(store, SCHEMA, frozenset(Kind)).id == other.id


def test_of_versions_of_one_file_the_newest_is_run_over(store: Store, tmp_path: Path) -> None:
    together, weights = Together("export"), [weight(number) for number in range(120)]
    take(store, tmp_path / "Patient.ndjson", PATIENT, together)
    (old,) = take(store, tmp_path / "Observation.ndjson", b"".join(weights), together).added
    weights[7] = weights[7].replace(b'"value": 77', b'"value": 99')
    (new,) = take(store, tmp_path / "Observation.ndjson", b"".join(weights), together).added
    assert new.after == old.id
    found = {one.id for one in find_together(store, find_dataset(store, SCHEMA, frozenset(Kind)))}
    assert new.id in found
    assert old.id not in found
    assert len(found) == 2


def test_bundles_of_one_file_are_run_over_together(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "two.ndjson"
    path.write_bytes(
        b"".join(
            b'{"resourceType":"Bundle","type":"collection","entry":[{"resource":%s}]}\n' % one.strip()
            for one in (weight(1), weight(2))
        )
    )
    done = import_file(store, path, randomness=DICE)
    assert {one.id for one in find_together(store, done.added[0])} == {one.id for one in done.added}
    assert len(done.added) == 2


def test_a_large_file_of_lines_comes_back_as_one_if_all_of_it_is_there(store: Store, tmp_path: Path) -> None:
    path, limits = tmp_path / "many.ndjson", Limits(joined_bytes=600)
    path.write_bytes(PATIENT + b"".join(weight(number) for number in range(1, 9)))
    done = import_file(store, path, limits=limits, randomness=DICE)
    assert len(done.added) == 4
    written, _ = write_originals(store, tmp_path / "out")
    assert {one.path.name for one in written} == {"many.ndjson"}
    assert (tmp_path / "out" / "many.ndjson").read_bytes() == path.read_bytes()
    assert {one.id for one in find_together(store, done.added[0])} == {one.id for one in done.added}
    store.erase(done.added[1].id, DICE)
    written, _ = write_originals(store, tmp_path / "less")
    assert len({one.path.name for one in written}) == 3


def test_an_export_is_of_one_person_whoever_is_named_where(store: Store, tmp_path: Path) -> None:
    together = Together("export")
    take(store, tmp_path / "Patient.ndjson", PATIENT, together)
    with pytest.raises(SeveralPersons, match=r"Observation\.ndjson line 1: /line 1/subject: a second person"):
        take(store, tmp_path / "Observation.ndjson", weight(1) + weight(2, "bea"), together)
    others = resource("Condition", 1, subject={"reference": "urn:uuid:1"}) + resource("Condition", 2, subject="?")
    take(store, tmp_path / "Condition.ndjson", others, Together("export"))
    packed = gzip.compress(resource("Immunization", 1, patient={"reference": "https://a.b/fhir/Patient/bea"}))
    with pytest.raises(SeveralPersons):
        take(store, tmp_path / "Immunization.ndjson.gz", packed, together)


def test_a_file_of_an_export_is_known_by_its_lines(tmp_path: Path) -> None:
    for name, content, kind in (
        ("1.Observation.ndjson", WEIGHTS, "Observation"),
        ("x.ndjson.gz", gzip.compress(PATIENT), "Patient"),
        ("b.ndjson", b'{"resourceType":"Bundle"}\n', None),
        ("c.ndjson", b'{"resourceType":"Nothing"}\n', None),
        ("d.ndjson", b"[]\n", None),
        ("e.json", PATIENT, None),
    ):
        (tmp_path / name).write_bytes(content)
        assert bulk_type(tmp_path / name) == kind


def test_names_say_what_came_together() -> None:
    assert whole_of("a.json") is None
    assert whole_of("a.ndjson line 3") == "a.ndjson"
    assert whole_of("export/a.ndjson line 3") == whole_of("export/b.ndjson") == "export/"


def test_joined_tables_state_what_any_of_them_states() -> None:
    one, two = Event(1, "A"), Event(2, "B", 1.5, "", "kg")
    first, second = encode_table([one, one, two]), encode_table([one, two, two])
    assert decode_table(join_tables([first, second])) == [one, one, two, two]
    assert join_tables([first]) == first


# ── gzip of any size, in pieces ───────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5), st.integers(1, 100), st.integers(0, 3))
def test_a_gzip_file_is_unpacked_as_it_comes(members: list[bytes], size: int, zeros: int) -> None:
    packed = b"".join(map(gzip.compress, members)) + bytes(zeros)
    pieces = [packed[at : at + size] for at in range(0, len(packed), size)]
    assert b"".join(unpacked_pieces(pieces, "x.gz")) == b"".join(members) == unpacked(packed, "x.gz")


def test_what_is_wrong_with_a_gzip_file_in_pieces_is_said() -> None:
    def pieces(data: bytes) -> list[bytes]:
        return [data[at : at + 10] for at in range(0, len(data), 10)]

    whole = gzip.compress(bytes(range(200)))
    for data, words in (
        (whole[:-9], "member at byte 0 breaks off"),
        (whole + whole[:-1], f"member at byte {len(whole)} breaks off"),
        (whole + b"rest of it and more", f"19 bytes follow the last gzip member, at byte {len(whole)}"),
        (whole[:-8] + bytes(8), "is broken"),
    ):
        with pytest.raises(BrokenPack, match=words):
            list(unpacked_pieces(pieces(data), "x.gz"))
    with pytest.raises(PackLimit, match="more than"):
        for _ in unpacked_pieces([gzip.compress(bytes(20_000_000))], "x.gz"):
            pass
    assert not any(unpacked_pieces([gzip.compress(b"")] * 9_000, "x.gz"))
