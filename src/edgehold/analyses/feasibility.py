"""Would this person fit a study of obesity with hypertension: latest body mass index of 30 or more, and a diagnosis?"""

from edgehold.sandbox.person import Person

BODY_MASS_INDEX = "LOINC//39156-5"
HYPERTENSION = ("SNOMED//38341003", "SNOMED//59621000")


def main(person: Person) -> int:
    latest = person.events.latest(BODY_MASS_INDEX, unit="kg/m2")
    return int(latest is not None and latest.value >= 30 and person.events.has(*HYPERTENSION))
