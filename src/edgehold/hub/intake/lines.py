"""Texts in lines, such as exports of laboratories, wearables and genotyping services: known by how they begin.

They are kept byte for byte; `derive` makes tables of them.
"""

from __future__ import annotations

import re

from edgehold.wire.data import Kind

SEPARATORS = re.compile(rb"[\t;,|]")
GENOTYPE = re.compile(rb'^"?[A-Za-z]+\d+"?[\t,]"?(?:\d+|X|Y|XY|MT)"?[\t,]"?\d+"?[\t,]"?[ACGTDI0-]', re.MULTILINE)
"""A line of genotypes: name, chromosome, position, alleles, as 23andMe, AncestryDNA and MyHeritage write them."""
ARRAY = frozenset({b"rsid", b"chromosome", b"position"})
"""Names of columns of genotypes, where no comment is before them."""
WORDS = {
    Kind.WEARABLE: frozenset({b"heart_rate", b"heartrate", b"bpm", b"steps", b"calories", b"intensity", b"sleep"}),
    Kind.LAB: frozenset({b"loinc", b"code", b"value", b"unit", b"units", b"result", b"reference_range"}),
}
"""Names of columns by which a table is known."""


def recognise(sample: bytes) -> Kind | None:
    """The kind of a text that begins so; none if it is not one of those that hubs know."""
    if sample.startswith(b"##fileformat=VCF"):
        return Kind.GENOTYPE
    if sample.startswith(b"#") and GENOTYPE.search(sample):
        return Kind.GENOTYPE
    if sample.lstrip().startswith(b"<") and b"<HealthData" in sample:
        return Kind.WEARABLE
    header, is_line, _ = sample.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
    if not is_line or header.lstrip()[:1] in (b"{", b"[", b"<", b"#"):
        return None
    names = {name.strip(b" \"'").lower().replace(b" ", b"_") for name in SEPARATORS.split(header.strip())}
    if len(names) < 2 or b"\0" in sample:
        return None
    if names >= ARRAY:
        return Kind.GENOTYPE
    return next((kind for kind, words in WORDS.items() if names & words), None)
