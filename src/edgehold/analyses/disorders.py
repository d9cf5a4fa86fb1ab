"""Which of ten disorders were ever diagnosed? Of those that were, the first four of the list count."""

from edgehold.sandbox.person import Person

DISORDERS = (
    "SNOMED//59621000",  # essential hypertension
    "SNOMED//414545008",  # ischemic heart disease
    "SNOMED//127013003",  # disorder of kidney due to diabetes mellitus
    "SNOMED//237602007",  # metabolic syndrome X
    "SNOMED//271737000",  # anemia
    "SNOMED//55822004",  # hyperlipidemia
    "SNOMED//40055000",  # chronic sinusitis
    "SNOMED//444814009",  # viral sinusitis
    "SNOMED//66383009",  # gingivitis
    "SNOMED//109570002",  # primary dental caries
)
MOST = 4  # what one person can add to the result; fewer would need less noise


def main(person: Person) -> list[int]:
    diagnosed = [disorder for disorder in DISORDERS if person.events.has(disorder)]
    return [int(disorder in diagnosed[:MOST]) for disorder in DISORDERS]
