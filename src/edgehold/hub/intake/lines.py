"""Texts in lines, such as exports of laboratories, wearables and genotyping services: known by how they begin.

They are kept byte for byte. Tables for programs are not derived from them yet.
"""

from __future__ import annotations

import re
from pathlib import Path

from edgehold.durable import storage_failures
from edgehold.errors import IntakeError, IntakeLimit, UnknownFormat
from edgehold.wire.data import Kind

SAMPLE = 1 << 12
MOST_BYTES = 1 << 26
"""Of one file."""

SEPARATORS = re.compile(rb"[\t;,|]")
GENOTYPE = re.compile(rb"^[A-Za-z]+\d+\t(?:\d+|X|Y|XY|MT)\t\d+\t[ACGTDI0-]", re.MULTILINE)
"""A line of genotypes: name, chromosome, position, alleles, as 23andMe and AncestryDNA write them."""
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
    return next((kind for kind, words in WORDS.items() if names & words), None)


def kind_of(path: Path) -> Kind | None:
    """The kind of a file, by its first bytes; raises `IntakeError` if it cannot be read."""
    try:
        with storage_failures(path), path.open("rb") as file:
            return recognise(file.read(SAMPLE))
    except OSError as error:
        raise IntakeError(f"{path}: cannot be read: {error.strerror}") from error


def read_text(path: Path) -> bytes:
    """The whole of a text; raises `IntakeLimit` if it is larger than a hub takes in at once, `UnknownFormat` if it is
    none."""
    try:
        with storage_failures(path), path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise IntakeError(f"{path}: cannot be read: {error.strerror}") from error
    if len(text) > MOST_BYTES:
        raise IntakeLimit(f"{path.name}: /: more than {MOST_BYTES} bytes")
    if b"\0" in text:
        raise UnknownFormat(f"{path.name}: byte {text.index(0)}: a zero, which no text has")
    return text
