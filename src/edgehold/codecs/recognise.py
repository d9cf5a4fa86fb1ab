"""What kind of data bytes are, by how they begin: records, images, exports of laboratories, wearables and genotyping
services.

They are kept byte for byte, whatever they are taken for; the kind says which codecs are worth trying.
"""

from __future__ import annotations

import re

from edgehold.codecs.dicom import is_dicom
from edgehold.wire.data import Kind

VCF = b"##fileformat=VCF"
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
MARKUP = {
    b"<HealthData": Kind.WEARABLE,
    b"<!DOCTYPE HealthData": Kind.WEARABLE,
    b"<gpx": Kind.WEARABLE,
    b"<ClinicalDocument": Kind.EHR,
}
"""How the first elements of an Apple Health export begin, of a route and of a clinical document in it."""


def kind_of_bytes(sample: bytes) -> Kind:
    """The kind of bytes that begin so; `Kind.OTHER` if they are of no format that hubs know."""
    if is_dicom(sample):
        return Kind.IMAGE
    if is_fhir_text(sample):
        return Kind.EHR
    return recognise(sample) or Kind.OTHER


def title_of(kind: Kind, sample: bytes) -> str:
    """What bytes that begin so are called, if they are of this kind."""
    start = sample.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_markup = start.startswith(b"<")
    match kind:
        case Kind.EHR:
            return "clinical document (CDA)" if is_markup else "FHIR"
        case Kind.GENOTYPE:
            return "VCF" if start.startswith(VCF) else "genotypes of an array"
        case Kind.WEARABLE if is_markup:
            return "route (GPX)" if b"<gpx" in sample else "Apple Health export"
        case Kind.WEARABLE:
            return "table of a wearable"
        case Kind.LAB:
            return "table of a laboratory"
        case Kind.IMAGE:
            return "DICOM"
        case _:
            return "a file of no known format"


def is_fhir_text(sample: bytes) -> bool:
    """Whether a text that begins so is a FHIR bundle or resource in JSON, or several in lines."""
    return sample.lstrip().startswith(b"{") and b'"resourceType"' in sample


def recognise(sample: bytes) -> Kind | None:
    """The kind of a text that begins so; none if it is not one of those that hubs know."""
    if sample.startswith(VCF):
        return Kind.GENOTYPE
    if sample.startswith(b"#") and GENOTYPE.search(sample):
        return Kind.GENOTYPE
    if sample.removeprefix(b"\xef\xbb\xbf").lstrip().startswith(b"<"):
        return next((kind for start, kind in MARKUP.items() if start in sample), None)
    header, is_line, _ = sample.removeprefix(b"\xef\xbb\xbf").partition(b"\n")
    if not is_line or header.lstrip()[:1] in (b"{", b"[", b"#"):
        return None
    names = {name.strip(b" \"'").lower().replace(b" ", b"_") for name in SEPARATORS.split(header.strip())}
    if len(names) < 2 or b"\0" in sample:
        return None
    if names >= ARRAY:
        return Kind.GENOTYPE
    return next((kind for kind, words in WORDS.items() if names & words), None)
