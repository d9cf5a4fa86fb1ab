"""Genotypes: the table `edgehold.genotypes/1`, one row for each allele that was looked for at a place.

A row says how many copies of the allele `alt` the person has. So a sum of `dosage` times the weight of an allele is a
score, whichever format the row came from.

    column         what
    ─────────────  ────────────────────────────────────────────────────────────────────────────────────────────────
    chromosome.u8  1 to 22; 23 is X, 24 Y, 25 the part that X and Y share, 26 the mitochondria; from 27 on other
                   sequences in the order in which the file names them (`chromosomes` in schema.json), 255 for those
                   that are too many
    position.u32   the first base, from 1
    end.u32        the last base that the row speaks of: of a reference block the last of the block
    dosage.u8      copies of `alt`; 255 if the call, or a part of it, is missing
    ploidy.u8      alleles of the call, missing ones too: 2, or 1 on a chromosome of which there is one; 0 if nothing is
                   said
    phased.u8      0 if not; 1 if phased; 2 if phased with `alt` on the first haplotype alone
    quality.f64    the quality of the place (QUAL); NaN where there is none
    ref.u32        the reference allele; "" where the format does not tell it
    alt.u32        the allele that is counted; "" where only the reference was found, or nothing
    name.u32       the variant's name, such as rs123; "" for none
    filter.u32     the filters that the place failed; "" if it passed, or none was applied

Rows are sorted by chromosome, position, end, ref, alt, name, dosage, ploidy, phase and filter. `assembly` in schema.json is
`GRCh37`, `GRCh38`, or empty if the file does not tell it: positions of different assemblies do not compare.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from typing import Any, Final

from edgehold.codecs.tables.form import STRING, Column, Derived, Strings
from edgehold.codecs.tables.runs import Columns, RunRows
from edgehold.errors import IntakeLimit

SCHEMA: Final = "edgehold.genotypes/1"
MISSING: Final = 255
MOST_ROWS: Final = 1 << 23
MOST_NAMES: Final = 1 << 23
"""Of distinct strings."""
MOST_EMPTY: Final = 1 << 19
"""Lines, of a header too, that have no row."""
NAN: Final = float("nan")
FIRST_OTHER: Final = 27

COLUMNS: Final = (
    Column("chromosome", "u8", "1 to 22, X 23, Y 24, XY 25, MT 26, others from 27"),
    Column("position", "u32", "bases from 1"),
    Column("end", "u32", "bases from 1"),
    Column("dosage", "u8", "copies of alt; 255 for a missing call"),
    Column("ploidy", "u8", "alleles of the call"),
    Column("phased", "u8", "0 no, 1 yes, 2 yes and alt is on the first haplotype alone"),
    Column("quality", "f64", "phred; NaN for none"),
    Column("ref", "u32", STRING),
    Column("alt", "u32", STRING),
    Column("name", "u32", STRING),
    Column("filter", "u32", STRING),
)

_NUMBERS: Final = {str(number): number for number in range(1, 27)} | {"X": 23, "Y": 24, "XY": 25, "MT": 26, "M": 26}
CHROMOSOMES: Final = {
    name.encode(): number
    for short, number in _NUMBERS.items()
    for name in (short, f"chr{short}", f"chr{short.lower()}", short.lower())
}
"""The numbers of chromosomes by what files call them; 23 to 26 are also written as such."""

LENGTHS: Final = {
    "GRCh37": {1: 249250621, 2: 243199373, 20: 63025520, 21: 48129895, 22: 51304566, 23: 155270560},
    "GRCh38": {1: 248956422, 2: 242193529, 20: 64444167, 21: 46709983, 22: 50818468, 23: 156040895},
}
"""Of a few chromosomes, by which an assembly is known."""


class GenotypeRows:
    """The rows of a table that is being made, in any order. Who adds to the columns keeps them of one length, and says after
    some lines that they are whole (`settle`)."""

    def __init__(self) -> None:
        self._rows = RunRows(COLUMNS, b"", _keys)
        self.strings: Strings[bytes] = self._rows.strings
        self.chromosomes, self.positions, self.ends, self.dosages, *others = self._rows.columns
        self.ploidies, self.phased, self.qualities, self.refs, self.alts, self.names, self.filters = others
        self._others: dict[bytes, int] = {}

    def chromosome(self, name: bytes) -> int:
        """The number of a chromosome or of another sequence."""
        number = CHROMOSOMES.get(name)
        if number is None:
            number = self._others.setdefault(name, len(self._others) + FIRST_OTHER)
        return min(number, MISSING)

    def settle(self, lines: int = 0) -> None:
        """All rows of so many lines are there. Strings may have other places afterwards. Raises `IntakeLimit` if there are more
        rows, lines or strings than a table is made of."""
        if lines - len(self._rows) > MOST_EMPTY:
            raise IntakeLimit(f"more than {MOST_EMPTY} lines that have no row")
        if len(self._rows) > MOST_ROWS or len(self.strings) > MOST_NAMES:
            raise IntakeLimit(f"more than {MOST_ROWS} rows, or {MOST_NAMES} different names and alleles")
        if self._rows.is_full:
            self._rows.close_run()

    def derived(self, assembly: str, year: int | None) -> Derived:
        """The table; the rows are gone afterwards."""
        self.settle()
        others = {str(number): name.decode() for name, number in self._others.items() if number < MISSING}
        table = self._rows.table(SCHEMA, MOST_NAMES, assembly=assembly, chromosomes=others)
        return Derived(schema=SCHEMA, table=table, years=None if year is None else (year, year))


def _keys(columns: Columns) -> list[Sequence[Any]]:
    """By what rows are sorted."""
    chromosomes, positions, ends, dosages, ploidies, phased, _, refs, alts, names, filters = columns
    places = array("q", (c << 32 | p for c, p in zip(chromosomes, positions, strict=True)))
    return [places, ends, refs, alts, names, dosages, ploidies, phased, filters]


def assembly_of(lengths: dict[int, int], words: str) -> str:
    """The assembly that chromosomes of such lengths are of; else the one that is named in words, if one is."""
    for name, known in LENGTHS.items():
        if any(known.get(number) == length for number, length in lengths.items()):
            return name
    lower = words.lower()
    if any(word in lower for word in ("grch37", "hg19", "b37", "build 37", "human_g1k_v37", "hs37")):
        return "GRCh37"
    return "GRCh38" if any(word in lower for word in ("grch38", "hg38", "b38", "build 38", "hs38")) else ""
