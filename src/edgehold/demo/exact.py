"""The exact answers, computed directly from the people's bundles: what a result is compared with.

Written from the programs' descriptions and from FHIR alone; it shares no code with intake, tables or sandbox, so that a
mistake there shows as a difference.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

Resource = dict[str, Any]

HYPERTENSION = {
    "38341003", "59621000", "1201005", "78975002", "10725009", "70272006", "56218007", "48146000", "31992008",
}  # fmt: skip
DISORDERS = [
    "59621000", "414545008", "127013003", "237602007", "271737000",
    "55822004", "40055000", "444814009", "66383009", "109570002",
]  # fmt: skip


def bmi(person: list[Resource]) -> list[int]:
    """Five classes of the latest body mass index, and n/a."""
    value = latest(person, "39156-5", "kg/m2")
    return one_of(6, 5 if value is None else sum(value >= limit for limit in (18.5, 25, 30, 35)))


def pressure_by_hypertension(person: list[Resource]) -> list[int]:
    """Eight classes of the latest systolic pressure for the undiagnosed, eight for the diagnosed, and n/a."""
    value = latest(person, "8480-6", "mm[Hg]")
    if value is None:
        return one_of(17, 16)
    diagnosed = bool(conditions(person) & HYPERTENSION)
    return one_of(17, 8 * diagnosed + sum(value >= limit for limit in (100, 110, 120, 130, 140, 150, 160)))


def disorders(person: list[Resource]) -> list[int]:
    """Ten disorders, of which the first four that were diagnosed count."""
    found = [code in conditions(person) for code in DISORDERS]
    return [int(here and sum(found[:place]) < 4) for place, here in enumerate(found)]


def feasibility(person: list[Resource]) -> list[int]:
    """Obesity together with hypertension."""
    value = latest(person, "39156-5", "kg/m2")
    return [int(value is not None and value >= 30 and bool(conditions(person) & {"38341003", "59621000"}))]


MEASURE: dict[str, Callable[[list[Resource]], list[int]]] = {
    "bmi": bmi,
    "pressure_by_hypertension": pressure_by_hypertension,
    "disorders": disorders,
    "feasibility": feasibility,
}
"""Each shipped program's measurement of one person, as the vector that it adds to the result."""


def resources_of(bundle: bytes) -> list[Resource]:
    """The resources of one bundle."""
    return [entry["resource"] for entry in json.loads(bundle)["entry"]]


def add_up(measurements: Iterable[list[int]], length: int) -> list[int]:
    """The sum that a batch of these measurements has without noise."""
    total = [0] * length
    for measurement in measurements:
        total = [one + other for one, other in zip(total, measurement, strict=True)]
    return total


def one_of(length: int, place: int) -> list[int]:
    return [int(here == place) for here in range(length)]


def latest(person: list[Resource], loinc: str, unit: str) -> float | None:
    """The newest value of an observation or component; of several at one time the largest."""
    found: list[tuple[datetime, float]] = []
    for resource in person:
        if resource["resourceType"] != "Observation" or resource.get("status") == "entered-in-error":
            continue
        for part in [resource, *resource.get("component", [])]:
            quantity = part.get("valueQuantity", {})
            if has_code(part.get("code", {}), "http://loinc.org", loinc) and quantity.get("code") == unit:
                found.append((moment(resource["effectiveDateTime"]), quantity["value"]))
    return max(found)[1] if found else None


def conditions(person: list[Resource]) -> set[str]:
    """SNOMED codes of what was diagnosed."""
    return {
        coding["code"]
        for resource in person
        if resource["resourceType"] == "Condition"
        for coding in resource["code"]["coding"]
        if coding["system"] == "http://snomed.info/sct"
    }


def has_code(concept: Resource, system: str, code: str) -> bool:
    return any(coding.get("system") == system and coding.get("code") == code for coding in concept.get("coding", []))


def moment(text: str) -> datetime:
    when = datetime.fromisoformat(text)
    return when if when.tzinfo else when.replace(tzinfo=UTC)
