"""Was type 2 diabetes ever diagnosed? Replace this sentence, the code and the manifest by your own."""

from edgehold.sandbox.person import Person

TYPE_2_DIABETES = "SNOMED//44054006"


def main(person: Person) -> int:
    # person.events.rows("LOINC//…") gives the events of a code, oldest first; person.events.latest(code, unit=…) the
    # newest number; person.params what the order asks for. See edgehold.sandbox.person and `edgehold schema show`.
    return int(person.events.has(TYPE_2_DIABETES))
