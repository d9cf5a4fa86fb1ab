"""The shipped programs against answers computed directly from FHIR documents, without tables and without the sandbox.

The two ways share nothing: the documents are read by hand here, once into tables for the sandbox and once into answers.
"""

from __future__ import annotations

import importlib
import io
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import zstandard
from small_tables import Row, write_tables

from edgehold.analyses import FOLDER, shipped_programs
from edgehold.codecs.events import derive_events, encode_table
from edgehold.sandbox.host import Sandbox
from edgehold.sandbox.person import Person
from edgehold.sandbox.program import Measured, Measurement, load_program, run_program
from edgehold.vdaf.prio3 import neutral

ROOT = Path(__file__).resolve().parents[2]
COHORT = ROOT / "src" / "edgehold" / "shipped" / "cohort" / "synthea_400_ma.ndjson.zst"
PEOPLE = 60

Bundle = dict[str, Any]

HYPERTENSION = {
    "38341003", "59621000", "1201005", "78975002", "10725009", "70272006", "56218007", "48146000", "31992008",
}  # fmt: skip
DISORDERS = (
    "59621000", "414545008", "127013003", "237602007", "271737000", "55822004", "40055000", "444814009", "66383009",
    "109570002",
)  # fmt: skip


@pytest.fixture(scope="module")
def bundles() -> list[Bundle]:
    with COHORT.open("rb") as file:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), encoding="utf-8")
        return [json.loads(line) for _, line in zip(range(PEOPLE), lines, strict=False)]


def resources(bundle: Bundle, kind: str) -> Iterator[dict[str, Any]]:
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == kind:
            yield entry["resource"]


def seconds(text: str) -> int:
    moment = datetime.fromisoformat(text)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


# ── into tables ───────────────────────────────────────────────────────────────────────────────────────────────────


def rows(bundle: Bundle) -> Iterator[Row]:
    """The observations with numbers and the conditions of one document."""
    for resource in resources(bundle, "Observation"):
        for part in (resource, *resource.get("component", ())):
            quantity = part.get("valueQuantity")
            if quantity is not None:
                code = f"LOINC//{part['code']['coding'][0]['code']}"
                yield seconds(resource["effectiveDateTime"]), code, float(quantity["value"]), "", quantity["code"]
    for resource in resources(bundle, "Condition"):
        yield seconds(resource["onsetDateTime"]), f"SNOMED//{resource['code']['coding'][0]['code']}", None, "", ""


# ── into answers ──────────────────────────────────────────────────────────────────────────────────────────────────


def latest(bundle: Bundle, code: str) -> float | None:
    found = [
        (datetime.fromisoformat(resource["effectiveDateTime"]), part["valueQuantity"]["value"])
        for resource in resources(bundle, "Observation")
        for part in (resource, *resource.get("component", ()))
        if part["code"]["coding"][0]["code"] == code and "valueQuantity" in part
    ]
    return max(found)[1] if found else None


def diagnosed(bundle: Bundle) -> set[str]:
    return {resource["code"]["coding"][0]["code"] for resource in resources(bundle, "Condition")}


def exact_bmi(bundle: Bundle) -> int:
    value = latest(bundle, "39156-5")
    if value is None:
        return 5
    return sum(value >= limit for limit in (18.5, 25, 30, 35))


def exact_pressure(bundle: Bundle) -> int:
    value = latest(bundle, "8480-6")
    if value is None:
        return 16
    return sum(value >= limit for limit in range(100, 170, 10)) + 8 * bool(diagnosed(bundle) & HYPERTENSION)


def exact_disorders(bundle: Bundle) -> list[int]:
    answer, left = [], 4
    for code in DISORDERS:
        has = int(left > 0 and code in diagnosed(bundle))
        left -= has
        answer.append(has)
    return answer


def exact_feasibility(bundle: Bundle) -> int:
    value = latest(bundle, "39156-5")
    return int(value is not None and value >= 30 and bool(diagnosed(bundle) & {"38341003", "59621000"}))


EXACT = {
    "bmi": exact_bmi,
    "pressure_by_hypertension": exact_pressure,
    "disorders": exact_disorders,
    "feasibility": exact_feasibility,
}


def run(sandbox: Sandbox, name: str, folder: Path) -> Measurement:
    program = shipped_programs()[name]
    outcome = run_program(sandbox, program.source, program.descriptor, folder)
    assert isinstance(outcome, Measured), outcome
    return outcome.measurement


@pytest.mark.parametrize("name", EXACT)
def test_a_program_gives_the_exact_answer_for_sixty_people(
    sandbox: Sandbox, bundles: list[Bundle], tmp_path: Path, name: str
) -> None:
    answers = [run(sandbox, name, write_tables(tmp_path / str(n), rows(bundle))) for n, bundle in enumerate(bundles)]
    assert answers == [EXACT[name](bundle) for bundle in bundles]
    assert len({str(answer) for answer in answers}) > 1, "the sixty people differ"


@pytest.mark.parametrize("name", EXACT)
def test_a_program_gives_the_exact_answer_on_the_tables_of_a_hub(
    sandbox: Sandbox, bundles: list[Bundle], tmp_path: Path, name: str
) -> None:
    for bundle in bundles[:12]:
        files = encode_table(derive_events([entry["resource"] for entry in bundle["entry"]]))
        for file, data in files.items():
            (tmp_path / file).write_bytes(data)
        assert run(sandbox, name, tmp_path) == EXACT[name](bundle)


@pytest.mark.parametrize("name", [*EXACT, "template"])
def test_a_program_gives_the_same_answer_outside_the_sandbox(
    sandbox: Sandbox, bundles: list[Bundle], tmp_path: Path, name: str
) -> None:
    program = load_program(FOLDER / f"{name}.py")
    main = importlib.import_module(f"edgehold.analyses.{name}").main
    for number, bundle in enumerate([{"entry": []}, *bundles[:8]]):
        folder = write_tables(tmp_path / str(number), rows(bundle))
        outcome = run_program(sandbox, program.source, program.descriptor, folder)
        assert isinstance(outcome, Measured)
        assert outcome.measurement == main(Person(folder=str(folder)))


@pytest.mark.parametrize("name", EXACT)
def test_a_person_without_data_gives_the_neutral_measurement(sandbox: Sandbox, tmp_path: Path, name: str) -> None:
    folder = write_tables(tmp_path, [(0, "MEDS_BIRTH", None, "", "")])
    assert run(sandbox, name, folder) == neutral(shipped_programs()[name].descriptor.measurement)


@pytest.mark.parametrize(
    ("value", "place"), [(18.4, 0), (18.5, 1), (24.9, 1), (25.0, 2), (30.0, 3), (34.9, 3), (35.0, 4), (90.0, 4)]
)
def test_a_value_on_a_limit_belongs_to_the_class_above(
    sandbox: Sandbox, tmp_path: Path, value: float, place: int
) -> None:
    assert run(sandbox, "bmi", write_tables(tmp_path, [(9, "LOINC//39156-5", value, "", "kg/m2")])) == place


def test_only_the_latest_plain_number_in_the_right_unit_counts(sandbox: Sandbox, tmp_path: Path) -> None:
    events: list[Row] = [
        (100, "LOINC//39156-5", 27.0, "", "kg/m2"),
        (50, "LOINC//39156-5", 40.0, "", "kg/m2"),
        (200, "LOINC//39156-5", 16.0, "<", "kg/m2"),
        (300, "LOINC//39156-5", 16.0, "", "[lb_av]"),
        (400, "LOINC//39156-5", None, "refused", ""),
        (500, "LOINC//8302-2", 180.0, "", "cm"),
    ]
    assert run(sandbox, "bmi", write_tables(tmp_path, events)) == 2


def test_labels_are_as_many_as_the_numbers_and_name_the_classes_in_order() -> None:
    programs = shipped_programs()
    assert {name: len(program.manifest.measurement.labels) for name, program in programs.items()} == {
        "bmi": 6,
        "pressure_by_hypertension": 17,
        "disorders": 10,
        "feasibility": 1,
    }
    pressure = programs["pressure_by_hypertension"].manifest.measurement
    assert [label.split(",")[0] for label in pressure.labels[:16]] == ["not diagnosed"] * 8 + ["diagnosed"] * 8
    assert pressure.groups == ("not diagnosed", "diagnosed")
