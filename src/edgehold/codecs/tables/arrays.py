"""Genotypes from the text of a genotyping array: 23andMe's four columns, AncestryDNA's five, separated by tabs or commas.

The format does not say which allele is the reference, so `ref` is empty. A line gives a row for each allele that was found:
`AG` gives one for A and one for G, both of dosage 1, and `AA` one of dosage 2. A single letter is a haploid call. `I` and `D`
stand for an insertion and a deletion, as they are written. A call with `-` or `0` in it is missing: one row without an
allele, of dosage 255.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterable, Iterator
from typing import Final

from edgehold.codecs.tables.form import Derived
from edgehold.codecs.tables.genotypes import MISSING, NAN, GenotypeRows, assembly_of
from edgehold.codecs.tables.variants import check_text
from edgehold.errors import BadRow

BLOCK: Final = 1 << 20
"""Bytes whose lines are read at once."""
MOST_HEADER: Final = 1 << 16
MOST_DIGITS: Final = 9
"""Of a position."""
TITLES: Final = (b"rsid", b"snp", b"name", b"marker")
"""How the line of names begins, where it is no comment."""
YEAR: Final = re.compile(rb"\bat: [^\n]{0,40}?\b((?:19|20)\d\d)\b")
BASES: Final = frozenset(b"ACGTDI")
NOTHING: Final = frozenset(b"-0.?")


def derive_array(data: bytes) -> Derived:
    """The genotypes of an array's text; raises `IntakeError`, which names the line."""
    check_text(data)
    rows = GenotypeRows()
    start, number = _end_of_header(data)
    header = data[: min(start, MOST_HEADER)]
    mark = b"\t" if b"\t" in data[start : start + 200].partition(b"\n")[0] else b","
    while start < len(data):
        end = len(data) if len(data) - start <= BLOCK else data.rfind(b"\n", start, start + BLOCK) + 1
        if end <= start:
            raise BadRow(f"line {number + 1}: longer than {BLOCK} bytes")
        lines = data[start:end].splitlines()
        _read_lines(lines, mark, number, rows)
        number += len(lines)
        rows.settle(number)
        start = end
    year = YEAR.search(header)
    words = header.decode("utf-8", "replace")
    return rows.derived(assembly_of({}, words), None if year is None else int(year[1]))


def _end_of_header(data: bytes) -> tuple[int, int]:
    """Where the lines of genotypes begin, and how many lines are before them."""
    start = number = 0
    while data.startswith(b"#", start) or data[start : start + 7].strip(b'"').lower().startswith(TITLES):
        end = data.find(b"\n", start)
        if end < 0:
            return len(data), number
        start, number = end + 1, number + 1
    return start, number


def _read_lines(lines: list[bytes], mark: bytes, number: int, rows: GenotypeRows) -> None:
    """Add the rows of lines; they are taken apart all at once, and one by one only to say which of them is bad."""
    fields = mark.join(lines).replace(b'"', b"").split(mark)
    width = len(fields) // len(lines) if lines else 0
    is_even = width in (4, 5) and all(line.count(mark) == width - 1 for line in lines)
    names, chromosomes, positions = (fields[at::width] if is_even else [] for at in range(3))
    calls = fields[3::4] if width == 4 else list(map(bytes.__add__, fields[3::5], fields[4::5]))
    alleles = {call: _alleles(call) for call in set(calls)} if is_even else {b"": None}
    is_read = all(map(bytes.isdigit, positions)) and max(map(len, positions), default=0) <= MOST_DIGITS
    if not is_read or None in alleles.values():
        _read_each(lines, mark, number, rows)
        return
    numbers = {name: rows.chromosome(name) for name in dict.fromkeys(chromosomes)}
    found = list(map(alleles.__getitem__, calls))
    counts = array("B", (len(one or ()) for one in found))

    def spread(values: Iterable[int]) -> Iterator[int]:
        return (value for value, count in zip(values, counts, strict=True) for _ in range(count))

    rows.positions.extend(spread(map(int, positions)))
    rows.names.extend(spread(map(rows.strings.place, names)))
    rows.chromosomes.extend(spread(map(numbers.__getitem__, chromosomes)))
    place = rows.strings.place
    rows.alts.extend(place(allele) for one in found for allele, _, _ in one or ())
    rows.dosages.extend(copies for one in found for _, copies, _ in one or ())
    rows.ploidies.extend(ploidy for one in found for _, _, ploidy in one or ())
    total = sum(counts)
    rows.ends.extend(rows.positions[-total:])
    rows.phased.frombytes(bytes(total))
    rows.qualities.extend([NAN] * total)
    for column in (rows.refs, rows.filters):
        column.frombytes(bytes(4 * total))


def _read_each(lines: list[bytes], mark: bytes, number: int, rows: GenotypeRows) -> None:
    """The same, one line after the other: empty ones are passed over, and the first bad one is named."""
    for at, line in enumerate(lines, number + 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        fields = line.replace(b'"', b"").split(mark)
        if len(fields) not in (4, 5) or (mark != b"\t" and b"\t" in line):
            raise BadRow(f"line {at}: {len(fields)} columns instead of 4 or 5")
        if not fields[2].isdigit() or len(fields[2]) > MOST_DIGITS:
            raise BadRow(f"line {at}: the position is no number of a base")
        if _alleles(b"".join(fields[3:])) is None:
            raise BadRow(f"line {at}: no call of a genotype")
        _read_lines([b"\t".join([*fields[:3], b"".join(fields[3:])])], b"\t", at - 1, rows)


def _alleles(call: bytes) -> list[tuple[bytes, int, int]] | None:
    """Each allele of a call with its copies and the ploidy; None if it is no call."""
    call = call.strip().replace(b"/", b"")
    if not 1 <= len(call) <= 2:
        return None
    letters = set(call)
    if letters & NOTHING and letters <= NOTHING | BASES:
        return [(b"", MISSING, len(call))]
    if not letters <= BASES:
        return None
    return [(bytes((letter,)), call.count(letter), len(call)) for letter in sorted(letters)]
