"""In which of eight classes lies the latest systolic blood pressure, and was hypertension ever diagnosed?"""

from bisect import bisect_right

from edgehold.sandbox.person import Person

SYSTOLIC_PRESSURE = "LOINC//8480-6"
CLASSES = (100, 110, 120, 130, 140, 150, 160)  # mm[Hg]; a value on a limit belongs to the class above it
HYPERTENSION = (
    "SNOMED//38341003",  # hypertensive disorder
    "SNOMED//59621000",  # essential hypertension
    "SNOMED//1201005",  # benign essential hypertension
    "SNOMED//78975002",  # malignant essential hypertension
    "SNOMED//10725009",  # benign hypertension
    "SNOMED//70272006",  # malignant hypertension
    "SNOMED//56218007",  # systolic hypertension
    "SNOMED//48146000",  # diastolic hypertension
    "SNOMED//31992008",  # secondary hypertension
)
NOT_AVAILABLE = 16


def main(person: Person) -> int:
    latest = person.events.latest(SYSTOLIC_PRESSURE, unit="mm[Hg]")
    if latest is None:
        return NOT_AVAILABLE
    group = 8 if person.events.has(*HYPERTENSION) else 0
    return group + bisect_right(CLASSES, latest.value)
