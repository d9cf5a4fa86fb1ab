"""In which of five classes lies the person's latest body mass index?"""

from bisect import bisect_right

from edgehold.sandbox.person import Person

BODY_MASS_INDEX = "LOINC//39156-5"
CLASSES = (18.5, 25, 30, 35)  # kg/m2; a value on a limit belongs to the class above it
NOT_AVAILABLE = 5


def main(person: Person) -> int:
    latest = person.events.latest(BODY_MASS_INDEX, unit="kg/m2")
    return NOT_AVAILABLE if latest is None else bisect_right(CLASSES, latest.value)
