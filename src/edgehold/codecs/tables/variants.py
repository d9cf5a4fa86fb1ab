"""Genotypes from VCF and gVCF text of one person.

*Rows.* A line gives a row for each of its alternate alleles, the symbolic ones too (`<DEL>`, `*`, breakends): its dosage is
how often the call names it. `<NON_REF>` and `<*>`, which stand for "anything else", give a row only if the call names
them. A line without other alternates is a row of the reference: `alt` is empty, dosage 0 if the call is made of the
reference alone, and the row reaches to `END`. So in `A  T,C  1/2` both alleles have dosage 1.

*Calls.* `1` is haploid (ploidy 1). A call with a `.` in it is missing as a whole (dosage 255), as is a line whose FORMAT
has no GT (ploidy 0). `|` between alleles means phased; a haploid call is not.

*Place.* A row ends at `END`, else with the last base of REF, and never before its position.

A file of several persons, or of none, has no table.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from edgehold.codecs.tables.form import Derived, in_steps
from edgehold.codecs.tables.genotypes import CHROMOSOMES, MISSING, NAN, GenotypeRows, assembly_of
from edgehold.errors import BadRow, IntakeLimit, NoTable, SeveralPersons

MAGIC: Final = b"##fileformat=VCF"
TAB: Final = b"\t"
NAMES: Final = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
MOST_HEADER: Final = 1 << 18
"""Bytes of the header that are searched for the assembly and the year."""
CONTIG: Final = re.compile(rb"##contig=<ID=([^,>\n]{1,40})(?:,[^>\n]{0,400}?)?,length=(\d{1,10})[,>]")
YEAR: Final = re.compile(rb"##fileDate=\D{0,9}((?:19|20)\d\d)")
QUALITY: Final = re.compile(rb"[+-]?(?:\d{1,20}(?:\.\d{0,30})?|\.\d{1,30})(?:[eE][+-]?\d{1,2})?")
CALL: Final = re.compile(rb"[/|]?(?:\d{1,4}|\.)(?:[/|](?:\d{1,4}|\.)){0,7}")
REST: Final = (b"<NON_REF>", b"<*>")
"""Alternates that stand for anything else."""
MOST_ALTERNATES: Final = 1000
OFTEN: Final = 1 << 12
"""So many lines after one another it is looked whether they are too many."""
STEP: Final = 1 << 20
"""Bytes whose lines are looked for at once."""
MOST_LINE: Final = 1 << 24
"""Bytes."""
TOO_LONG: Final = f"a line of more than {MOST_LINE} bytes"
MOST_POSITION: Final = 2**31 - 1


class Call(NamedTuple):
    """What a GT says."""

    counts: dict[int, int]
    """Copies of each allele that is named; empty if the call is missing."""
    ploidy: int
    is_phased: bool
    first: int
    """The allele on the first haplotype."""


NO_CALL: Final = Call({}, 0, False, -1)


def derive_variants(pieces: Iterable[bytes]) -> Derived:
    """The genotypes of a VCF text; raises `IntakeError`, which names the line."""
    lines = lines_of(pieces)
    header, number, samples = _read_header(lines)
    if samples != 1:
        if samples:
            raise SeveralPersons(f"line {number}: {samples} persons; a hub keeps one person's data")
        raise NoTable(f"line {number}: no person, only places")
    rows = GenotypeRows()
    _read_lines(lines, number, rows)
    lengths = {CHROMOSOMES[name]: int(length) for name, length in CONTIG.findall(header) if name in CHROMOSOMES}
    year = YEAR.search(header)
    words = header.decode("utf-8", "replace")
    return rows.derived(assembly_of(lengths, words), None if year is None else int(year[1]))


def lines_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a text in pieces, with their ends; raises `BadRow` if it is no UTF-8, `IntakeLimit` for a line that is too
    long."""
    held, at = b"", 0
    for piece in in_steps(pieces, STEP):
        end = piece.rfind(b"\n") + 1
        if end:
            text = held + piece[:end]
            if len(held) + piece.index(b"\n") >= MOST_LINE:
                raise IntakeLimit(TOO_LONG)
            check_text(text, at)
            yield from io.BytesIO(text)
            held, at = b"", at + len(text)
        held += piece[end:]
        if len(held) > MOST_LINE:
            raise IntakeLimit(TOO_LONG)
    if held:
        check_text(held, at)
        yield held


def check_text(data: bytes, at: int = 0) -> None:
    """Raise `BadRow` if a text, which begins at that byte of a file, is no UTF-8."""
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError as error:
            raise BadRow(f"byte {at + error.start}: not UTF-8") from error


def _read_header(lines: Iterator[bytes]) -> tuple[bytes, int, int]:
    """How the header begins, its lines, and how many persons it names."""
    header = bytearray()
    for number, line in enumerate(lines, 1):
        if len(header) < MOST_HEADER:
            header += line
        if not line.startswith(b"##"):
            line = line.rstrip(b"\r\n")
            if line != NAMES and not line.startswith(NAMES + b"\t"):
                break
            return bytes(header[:MOST_HEADER]), number, max(0, line.count(b"\t") - 8)
    raise BadRow("the line that begins with #CHROM is missing")


def _read_lines(lines: Iterator[bytes], number: int, rows: GenotypeRows) -> None:
    calls: dict[bytes, Call] = {}
    chromosomes: dict[bytes, int] = {}
    place = rows.strings.place
    add_chromosome, add_position, add_end = rows.chromosomes.append, rows.positions.append, rows.ends.append
    add_dosage, add_ploidy, add_phased = rows.dosages.append, rows.ploidies.append, rows.phased.append
    add_quality = rows.qualities.append
    add_ref, add_alt = rows.refs.append, rows.alts.append
    add_name, add_filter = rows.names.append, rows.filters.append
    for line in lines:
        number += 1
        if not number % OFTEN:
            rows.settle(number)
        fields = line.rstrip(b"\r\n").split(b"\t", 10)
        if len(fields) != 10:
            if fields == [b""]:
                continue
            raise BadRow(f"line {number}: {line.count(TAB) + 1} columns instead of 10")
        contig, position_text, name, ref, alt, quality_text, failed, info, form, sample = fields
        try:
            chromosome = chromosomes[contig]
        except KeyError:
            chromosome = chromosomes[contig] = rows.chromosome(contig)
        if not position_text.isdigit() or len(position_text) > 10:
            raise BadRow(f"line {number}: the position is no number")
        position = int(position_text)
        if info.startswith(b"END="):
            end = _end(info[4:], number)
        else:
            at = info.find(b";END=")
            end = _end(info[at + 5 :], number) if at >= 0 else position + len(ref) - 1
        if position > MOST_POSITION or end > MOST_POSITION:
            raise BadRow(f"line {number}: a position that no chromosome has")
        if quality_text == b".":
            quality = NAN
        elif QUALITY.fullmatch(quality_text):
            quality = float(quality_text) + 0.0
        else:
            raise BadRow(f"line {number}: the quality is no number")
        if form.startswith(b"GT") and form[2:3] in (b"", b":"):
            said = sample.partition(b":")[0]
            found = calls.get(said)
            if found is None:
                found = _call(said, number)
                if len(calls) < 1000:
                    calls[said] = found
        else:
            found = NO_CALL
        counts, ploidy, is_phased, first = found
        most = 0 if alt == b"." else alt.count(b",") + 1
        if most > MOST_ALTERNATES or (counts and max(counts) > most):
            raise BadRow(f"line {number}: the call names an allele that is not there, or there are too many")
        alternates = _alternates(alt, counts)
        ref_place = place(ref)
        name_place = 0 if name == b"." else place(name)
        filter_place = 0 if failed in (b"PASS", b".") else place(failed)
        for index, allele in alternates:
            copies = counts.get(index, 0)
            add_chromosome(chromosome)
            add_position(position)
            add_end(end if end > position else position)
            add_dosage(copies if counts else MISSING)
            add_ploidy(ploidy)
            add_phased(is_phased + (is_phased and first == index and copies < ploidy))
            add_quality(quality)
            add_ref(ref_place)
            add_alt(place(allele) if allele else 0)
            add_name(name_place)
            add_filter(filter_place)


def _alternates(alt: bytes, counts: dict[int, int]) -> list[tuple[int, bytes]]:
    """The alleles of a line that have a row, each with its number in calls."""
    if b"," not in alt:
        if alt == b"." or (alt in REST and 1 not in counts):
            return REFERENCE_ALONE
        return [(1, alt)]
    alleles = alt.split(b",")
    found = [(index, one) for index, one in enumerate(alleles, 1) if one not in REST or index in counts]
    return found or REFERENCE_ALONE


REFERENCE_ALONE: Final = [(-1, b"")]
"""A row that counts no allele."""


def _call(said: bytes, number: int) -> Call:
    """What a GT says; raises `BadRow`."""
    if not CALL.fullmatch(said):
        raise BadRow(f"line {number}: no call of a genotype")
    alleles = re.split(rb"[/|]", said.lstrip(b"/|"))
    is_phased = b"|" in said and b"/" not in said and len(alleles) > 1
    if b"." in alleles:
        return Call({}, len(alleles), is_phased, -1)
    indices = [int(allele) for allele in alleles]
    return Call({index: indices.count(index) for index in indices}, len(indices), is_phased, indices[0])


def _end(text: bytes, number: int) -> int:
    digits = text.partition(b";")[0]
    if not digits.isdigit() or len(digits) > 10:
        raise BadRow(f"line {number}: END is no number")
    return int(digits)
