"""Events: what is stated becomes a row with the right time, code and value; the table has one form only."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.codecs.events import (
    CANONICAL_NAN,
    MISSING_TIME,
    Event,
    decode_table,
    derive_events,
    encode_table,
    parse_time,
)
from edgehold.errors import BadField, Malformed
from edgehold.hub.intake.fhir import read_records

FHIR = Path(__file__).parent.parent / "data" / "fhir"
LOINC = "http://loinc.org"
SNOMED = "http://snomed.info/sct"
RXNORM = "http://www.nlm.nih.gov/research/umls/rxnorm"


def coded(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def observation(**fields: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "status": "final", "code": coded(LOINC, "39156-5"), **fields}


def only(resource: dict[str, Any]) -> Event:
    (event,) = derive_events([resource])
    return event


def test_a_quantity_gives_value_and_unit() -> None:
    event = only(observation(effectiveDateTime="2024-01-02", valueQuantity={"value": 31, "unit": "kg/m2"}))
    assert event == Event(1704153600, "LOINC//39156-5", 31.0, "", "kg/m2")


def test_a_bound_keeps_its_comparator_as_text() -> None:
    event = only(observation(valueQuantity={"value": 5, "comparator": "<", "code": "mg/L", "unit": "milligram"}))
    assert (event.value, event.text, event.unit) == (5.0, "<", "mg/L")


@pytest.mark.parametrize(
    ("answer", "value", "text"),
    [
        ({"valueCodeableConcept": coded(SNOMED, "266919005")}, None, "SNOMED//266919005"),
        ({"valueCodeableConcept": {"text": "never"}}, None, "never"),
        ({"valueString": "clear"}, None, "clear"),
        ({"valueBoolean": False}, 0.0, ""),
        ({"valueInteger": 7}, 7.0, ""),
        ({"valueDateTime": "2020"}, None, "2020"),
        ({"valueQuantity": {"value": -0.0}}, 0.0, ""),
        ({}, None, ""),
    ],
)
def test_every_kind_of_answer_has_its_column(answer: dict[str, Any], value: float | None, text: str) -> None:
    event = only(observation(**answer))
    assert (event.value, event.text) == (value, text)
    assert event.value is None or math.copysign(1, event.value) == 1


def test_a_blood_pressure_is_two_rows_without_one_for_the_group() -> None:
    components = [
        {"code": coded(LOINC, "8480-6"), "valueQuantity": {"value": 121.5, "unit": "mm[Hg]"}},
        {"code": coded(LOINC, "8462-4"), "valueQuantity": {"value": 80, "unit": "mm[Hg]"}},
    ]
    events = derive_events([observation(code=coded(LOINC, "85354-9"), component=components)])
    assert [(event.code, event.value) for event in events] == [("LOINC//8480-6", 121.5), ("LOINC//8462-4", 80.0)]


def test_something_observed_is_never_the_diagnosis() -> None:
    assert only(observation(code=coded(SNOMED, "59621000"))).code == "OBSERVATION//SNOMED//59621000"
    assert only({"resourceType": "Condition", "code": coded(SNOMED, "59621000")}).code == "SNOMED//59621000"


def test_an_allergy_is_never_a_prescription() -> None:
    aspirin = coded(RXNORM, "1191")
    assert only({"resourceType": "AllergyIntolerance", "code": aspirin}).code == "ALLERGY//RXNORM//1191"
    prescription = {"resourceType": "MedicationRequest", "status": "active", "medicationCodeableConcept": aspirin}
    assert only(prescription).code == "RXNORM//1191"


def test_the_home_vocabulary_is_preferred_and_words_are_the_last_resort() -> None:
    both = {"coding": [{"system": "urn:local", "code": "x"}, {"system": LOINC, "code": "1-8"}]}
    assert only(observation(code=both)).code == "LOINC//1-8"
    assert only(observation(code=coded("urn:local", "x"))).code == "OBSERVATION//urn:local//x"
    words = only({"resourceType": "Condition", "code": {"text": "tired"}})
    assert (words.code, words.text) == ("CONDITION//", "tired")


@pytest.mark.parametrize(
    "reference", ["#med", "Medication/med", "urn:uuid:med", "https://clinic.example/fhir/Medication/med"]
)
def test_a_prescription_may_refer_to_its_medication(reference: str) -> None:
    medication = {"resourceType": "Medication", "id": "med", "code": coded(RXNORM, "310798")}
    request: dict[str, Any] = {"resourceType": "MedicationRequest", "medicationReference": {"reference": reference}}
    assert only(request | {"contained": [medication]}).code == "RXNORM//310798"
    assert derive_events([request, medication])[0].code == "RXNORM//310798"
    assert only(request).code == "MEDICATION//"


@pytest.mark.parametrize(
    "resource",
    [
        observation(status="entered-in-error"),
        {"resourceType": "Condition", "verificationStatus": coded("", "refuted")},
        {"resourceType": "AllergyIntolerance", "verificationStatus": coded("", "entered-in-error")},
        {"resourceType": "Procedure", "status": "not-done"},
        {"resourceType": "Immunization", "status": "not-done"},
        {"resourceType": "MedicationRequest", "status": "cancelled"},
        {"resourceType": "MedicationRequest", "status": "active", "doNotPerform": True},
        {"resourceType": "Encounter", "status": "planned"},
        {"resourceType": "Claim"},
    ],
)
def test_what_did_not_happen_makes_no_event(resource: dict[str, Any]) -> None:
    assert derive_events([resource]) == []


def test_a_person_is_born_dies_and_has_a_gender() -> None:
    patient = {"resourceType": "Patient", "gender": "female", "birthDate": "1950-05", "deceasedDateTime": "2020-01-01"}
    assert derive_events([patient]) == [
        Event(-620784000, "MEDS_BIRTH"),
        Event(1577836800, "MEDS_DEATH"),
        Event(MISSING_TIME, "GENDER//female"),
    ]


def test_procedures_immunizations_and_encounters_have_their_own_times() -> None:
    period = {"start": "2024-01-01T00:00:00Z", "end": "2025-01-01"}
    procedure = {"resourceType": "Procedure", "code": coded(SNOMED, "1"), "performedPeriod": period}
    shot = {
        "resourceType": "Immunization",
        "vaccineCode": coded("http://hl7.org/fhir/sid/cvx", "140"),
        "occurrenceDateTime": "2024-01-01",
    }
    visit = {"resourceType": "Encounter", "class": {"code": "AMB"}, "type": [coded(SNOMED, "2")], "period": period}
    assert derive_events([procedure, shot, visit]) == [
        Event(1704067200, "SNOMED//1"),
        Event(1704067200, "CVX//140"),
        Event(1704067200, "ENCOUNTER//AMB", None, "SNOMED//2"),
    ]


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("1970", 0),
        ("1970-02", 31 * 86400),
        ("1970-01-02", 86400),
        ("1970-01-01T00:00:01Z", 1),
        ("1970-01-01T00:00:01.999Z", 1),
        ("1970-01-01T02:00:00+02:00", 0),
        ("1969-12-31T19:00:00-05:00", 0),
        ("2016-12-31T23:59:60Z", 1483228800),
        ("2024-02-29", 1709164800),
        ("0001-01-01", -62135596800),
    ],
)
def test_times_of_every_precision_and_zone_become_seconds(text: str, time: int) -> None:
    assert parse_time(text) == time


@given(st.datetimes(timezones=st.just(UTC)))
def test_times_agree_with_the_calendar(moment: datetime) -> None:
    text = moment.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
    assert parse_time(text) == (moment.replace(microsecond=0) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()


@pytest.mark.parametrize(
    "text",
    ["yesterday", "2024-13", "2023-02-29", "1900-02-29", "2024-01-01T10:00:00", "2024-01-01T24:00:00Z", "٢٠٢٤", "0000",
     "2024-01-01 ", "2024-01-01T10:00Z"],
)  # fmt: skip
def test_what_is_no_time_of_fhir_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(BadField, match=r"^/entry/3/resource: "):
        derive_events([observation(effectiveDateTime=text)], ["/entry/3/resource"])


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"code": "39156-5"}, "/0/code"),
        ({"code": {"coding": [{"code": 5}]}}, "/0/code/coding/0/code"),
        ({"valueQuantity": {"value": "31"}}, "/0/valueQuantity/value"),
        ({"valueInteger": 10**400}, "/0/valueInteger"),
        ({"valueQuantity": {"value": 10**400}}, "/0/valueQuantity/value"),
        ({"component": {}}, "/0/component"),
        ({"status": None}, "/0/status"),
    ],
)
def test_a_field_of_another_type_is_refused_with_its_place(fields: dict[str, Any], pointer: str) -> None:
    with pytest.raises(BadField, match=f"^{pointer}: "):
        derive_events([observation(**fields)])


def test_a_contained_medication_of_another_type_is_refused() -> None:
    medication = {"resourceType": "Medication", "id": "med", "code": 5}
    request = {"resourceType": "MedicationRequest", "medicationReference": {"reference": "#med"}}
    with pytest.raises(BadField):
        derive_events([request | {"contained": [medication]}])


events = st.builds(
    Event,
    time=st.integers(-(2**63), 2**63 - 1),
    code=st.text(min_size=1, max_size=5),
    value=st.none() | st.floats(allow_nan=False).map(lambda value: value + 0.0),
    text=st.text(max_size=3),
    unit=st.sampled_from(["", "kg"]),
)


@given(st.lists(events, max_size=20), st.randoms())
def test_a_table_is_read_back_and_does_not_depend_on_the_order(rows: list[Event], dice: Any) -> None:
    files = encode_table(rows)
    shuffled = rows.copy()
    dice.shuffle(shuffled)
    assert encode_table(shuffled) == files
    assert sorted(map(repr, decode_table(files))) == sorted(map(repr, rows))


def test_the_layout_is_fixed_to_the_byte() -> None:
    files = encode_table([Event(2, "B", 1.5, "t", "u"), Event(MISSING_TIME, "A")])
    assert files == {
        "time.i64": b"\x00" * 7 + b"\x80" + b"\x02" + b"\x00" * 7,
        "code.u32": b"\x01\x00\x00\x00\x02\x00\x00\x00",
        "value.f64": CANONICAL_NAN + b"\x00\x00\x00\x00\x00\x00\xf8\x3f",
        "text.u32": b"\x00\x00\x00\x00\x03\x00\x00\x00",
        "unit.u32": b"\x00\x00\x00\x00\x04\x00\x00\x00",
        "strings.json": b'["","A","B","t","u"]',
        "schema.json": files["schema.json"],
    }
    assert files["schema.json"].startswith(b'{"schema":"edgehold.events/1","rows":2,"columns":[{"name":"time",')


@pytest.mark.parametrize("name", sorted(encode_table([])))
def test_another_byte_or_a_missing_file_is_no_table(name: str) -> None:
    files = encode_table([Event(2, "B", 1.5, "t", "u")])
    spoilt = [files[name] + b"\x00", files[name][:-1]]
    if name not in ("time.i64", "value.f64"):
        spoilt.append(b"\xff" + files[name][1:])
    for altered in spoilt:
        with pytest.raises(Malformed):
            decode_table(files | {name: altered})
    del files[name]
    with pytest.raises(Malformed):
        decode_table(files)


def test_real_documents_give_the_events_they_state() -> None:
    (ips,) = read_records(FHIR / "ips_example_bundle.json")
    codes = {event.code for event in ips.events()}
    assert {"MEDS_BIRTH", "GENDER//female"} <= codes
    assert any(code.startswith("LOINC//") for code in codes)
    assert any(code.startswith("ALLERGY//") for code in codes)
