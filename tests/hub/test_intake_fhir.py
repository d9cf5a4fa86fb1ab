"""FHIR intake: real files are read whole, anything else is refused with file, place and reason."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from edgehold.errors import (
    BadField,
    IntakeError,
    IntakeLimit,
    NotFhir,
    NotFound,
    NotJson,
    SeveralPersons,
)
from edgehold.hub.intake.fhir import (
    Limits,
    birth_date,
    check_one_person,
    is_fhir,
    parse_document,
    read_original,
    read_records,
)

FHIR = Path(__file__).parent.parent / "data" / "fhir"
PATIENT = {"resourceType": "Patient", "id": "p", "birthDate": "1980-02-29"}


def bundle(*resources: Any, **fields: Any) -> bytes:
    entries = [{"resource": resource} for resource in resources]
    return json.dumps({"resourceType": "Bundle", "type": "collection", "entry": entries} | fields).encode()


def write(folder: Path, content: bytes, name: str = "x.json") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_bundle_file_is_one_record_with_its_exact_bytes() -> None:
    path = FHIR / "ips_example_bundle.json"
    (record,) = read_records(path)
    assert record.original == path.read_bytes()
    assert len(record.resources) == 42
    assert record.pointers[1] == "/entry/1/resource"
    assert is_fhir(path)


def test_lines_of_single_resources_are_one_record_with_their_exact_bytes() -> None:
    path = FHIR / "hl7_r4_examples.ndjson"
    (record,) = read_records(path)
    assert record.original == path.read_bytes()
    assert len(record.resources) == 25
    assert len(record.events()) > 10
    assert read_original(record.original, "again").resources == record.resources


def test_lines_of_bundles_are_a_record_each_and_blank_lines_are_none(tmp_path: Path) -> None:
    first, second = bundle(PATIENT), bundle()
    single = json.dumps(PATIENT).encode()
    path = write(tmp_path, first + b"\n\n" + second + b"\r\n" + single + b"\n" + single + b"\n")
    assert [record.original for record in read_records(path)] == [first, second, (single + b"\n") * 2]
    assert [record.place for record in read_records(path)] == ["x.json line 1", "x.json line 3", "x.json line 4"]


def test_a_document_over_several_lines_is_one_record(tmp_path: Path) -> None:
    pretty = json.dumps(json.loads(bundle(PATIENT)), indent=2).encode()
    (record,) = read_records(write(tmp_path, pretty))
    assert record.original == pretty


def test_a_zstd_file_is_read_as_what_it_holds(tmp_path: Path) -> None:
    lines = bundle(PATIENT) + b"\n" + bundle() + b"\n"
    path = write(tmp_path, zstandard.compress(lines))
    assert len(list(read_records(path))) == 2
    assert is_fhir(path)
    with pytest.raises(IntakeError):
        list(read_records(write(tmp_path, zstandard.compress(lines)[:-9])))
    with pytest.raises(IntakeError, match="zstd"):
        list(read_records(write(tmp_path, b"\x28\xb5\x2f\xfd" + bytes(range(256)))))


@pytest.mark.parametrize(
    ("content", "kind", "place"),
    [
        (b'{"a":1', NotJson, "x.json: /a: "),
        (b"[]", NotFhir, "x.json: /: "),
        (b"5", NotFhir, "x.json: /: "),
        (b'{"name":"no FHIR"}', NotFhir, "x.json: /resourceType: "),
        (b'{"resourceType":"Spaceship"}', NotFhir, "x.json: /resourceType: "),
        (b'{"resourceType":["Bundle"]}', NotFhir, "x.json: /resourceType: "),
        (b'{"resourceType":"Bundle"}', NotFhir, "x.json: /type: "),
        (b'{"resourceType":"Bundle","type":["x"]}', NotFhir, "x.json: /type: "),
        (bundle(type="party"), NotFhir, "x.json: /type: "),
        (bundle(entry={}), NotFhir, "x.json: /entry: "),
        (bundle(entry=[{}, 5]), NotFhir, "x.json: /entry/1: "),
        (bundle(PATIENT, {}), NotFhir, "x.json: /entry/1/resource/resourceType: "),
        (bundle(PATIENT, None), NotFhir, "x.json: /entry/1/resource: "),
        (b'{"resourceType":"Patient","id":"a","id":"b"}', NotJson, "x.json: /id: "),
        (bundle() + b"\n" + b"{]\n", NotJson, "x.json line 2: /: "),
        (bundle(PATIENT) + b" x", NotJson, "x.json: /: "),
        (b"", NotJson, "x.json: /: "),
    ],
)
def test_what_is_no_fhir_is_refused_with_file_and_place(
    tmp_path: Path, content: bytes, kind: type[IntakeError], place: str
) -> None:
    with pytest.raises(kind) as refused:
        list(read_records(write(tmp_path, content)))
    assert str(refused.value).startswith(place)


def test_a_bad_field_is_refused_with_file_and_place(tmp_path: Path) -> None:
    observation = {"resourceType": "Observation", "code": {"coding": [{"code": 5}]}}
    (record,) = read_records(write(tmp_path, bundle(PATIENT, observation)))
    with pytest.raises(BadField, match=r"^x\.json: /entry/1/resource/code/coding/0/code: "):
        record.events()


def test_limits_hold_for_bytes_depth_and_resources(tmp_path: Path) -> None:
    path = write(tmp_path, bundle(*[PATIENT] * 10))
    size = path.stat().st_size
    assert list(read_records(path, Limits(document_bytes=size, resources=10)))
    for limits in (Limits(document_bytes=size - 1), Limits(resources=9), Limits(depth=3)):
        with pytest.raises(IntakeLimit, match=r"^x\.json: /"):
            list(read_records(path, limits))
    pretty = write(tmp_path, json.dumps(json.loads(bundle(PATIENT)), indent=2).encode())
    with pytest.raises(IntakeLimit):
        list(read_records(pretty, Limits(document_bytes=100)))
    lines = write(tmp_path, (json.dumps(PATIENT).encode() + b"\n") * 10)
    with pytest.raises(IntakeLimit):
        list(read_records(lines, Limits(document_bytes=20)))


@pytest.mark.parametrize("limits", [Limits(joined_bytes=200), Limits(resources=3)])
def test_many_single_resources_in_lines_are_several_records(tmp_path: Path, limits: Limits) -> None:
    line = json.dumps(PATIENT).encode() + b"\n"
    path = write(tmp_path, line * 7 + bundle(PATIENT) + b"\n" + line * 2)
    found = list(read_records(path, limits))
    assert b"".join(one.original for one in found) == path.read_bytes().replace(
        bundle(PATIENT) + b"\n", bundle(PATIENT)
    )
    assert len(found) > 4
    assert all(
        len(one.resources) <= 3 and len(one.original) <= 200 for one in found if one.pointers != ["/entry/0/resource"]
    )
    assert [read_original(one.original, "x").resources for one in found] == [one.resources for one in found]


def test_a_huge_file_is_refused_without_being_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.json"
    with path.open("wb") as file, zstandard.ZstdCompressor().stream_writer(file) as packed:
        for _ in range(64):
            packed.write(b'{"resourceType":' + b" " * (1 << 20))
    with pytest.raises(IntakeLimit):
        list(read_records(path))


def test_memory_holds_one_line_at_a_time(tmp_path: Path) -> None:
    records = read_records(write(tmp_path, bundle(PATIENT) + b"\n" + b"not json\n"))
    assert next(records).resources == [PATIENT]
    with pytest.raises(NotJson):
        next(records)


@pytest.mark.parametrize("content", [b"", b"##fileformat=VCFv4.2", b'{"hello":"world"}', b"[]", b"\x00\xff"])
def test_another_format_is_not_fhir(tmp_path: Path, content: bytes) -> None:
    assert not is_fhir(write(tmp_path, content))


def test_a_file_that_is_not_there_or_a_folder_is_said_so(tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        list(read_records(tmp_path / "none.json"))
    with pytest.raises(IntakeError, match="cannot be read"):
        is_fhir(tmp_path)


def test_stored_bytes_are_one_record() -> None:
    assert read_original(bundle(PATIENT), "stored").resources == [PATIENT]
    with pytest.raises(NotFhir, match="2 records"):
        read_original(bundle() + b"\n" + bundle(), "stored")


@pytest.mark.parametrize(
    ("stated", "known"),
    [
        ("1980-02-29", date(1980, 2, 29)),
        ("1980-02", date(1980, 2, 29)),
        ("1980", date(1980, 12, 31)),
        ("1980-02-30", None),
        ("1980-13", None),
        ("0000", None),
        ("long ago", None),
        (1980, date(1980, 12, 31)),
    ],
)
def test_nobody_is_taken_for_older_than_is_known(stated: Any, known: date | None) -> None:
    assert birth_date([{"resourceType": "Observation"}, {"resourceType": "Patient", "birthDate": stated}]) == known


def test_without_a_patient_there_is_no_birth_date() -> None:
    assert birth_date([]) is None
    assert birth_date([{"resourceType": "Patient"}]) is None


def test_a_second_person_is_refused() -> None:
    persons: set[str] = set()
    check_one_person(persons, parse_document(bundle(PATIENT, PATIENT), "a"))
    with pytest.raises(SeveralPersons, match="b: /entry/0/resource"):
        check_one_person(persons, parse_document(bundle(PATIENT | {"id": "q"}), "b"))


FRAGMENTS = [
    b'{"resourceType":"Bundle","type":"collection","entry":[',
    b'{"resource":',
    b'{"resourceType":"Observation"',
    b'{"resourceType":"Patient"',
    b'"code":{"coding":[{"system":"http://loinc.org","code":"1-8"}]}',
    b'"effectiveDateTime":"2020"',
    b'"birthDate":"1970"',
    b'"valueQuantity":{"value":1e5}',
    b'"status":"final"',
    *(b"{", b"}", b"]", b",", b"null", b"\n"),
]


@given(st.lists(st.sampled_from(FRAGMENTS) | st.binary(max_size=3), max_size=20).map(b"".join) | st.binary(max_size=80))
def test_any_bytes_are_records_or_an_intake_error(content: bytes) -> None:
    try:
        read_original(content, "fuzz").events()
    except IntakeError as error:
        assert str(error).startswith("fuzz")  # noqa: PT017


@given(st.data())
def test_a_real_file_with_a_changed_byte_is_a_record_or_an_intake_error(data: st.DataObject) -> None:
    content = bytearray((FHIR / "hl7_r4_examples.ndjson").read_bytes()[:4036])
    content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read_original(bytes(content), "fuzz").events()
    except IntakeError as error:
        assert str(error).startswith("fuzz")  # noqa: PT017
