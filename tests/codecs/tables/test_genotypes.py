"""Genotypes: what is a row, and that calls are those of the reference implementation."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from cyvcf2 import VCF
from hypothesis import given
from hypothesis import strategies as st
from seen import DATA, rows

from edgehold.codecs.tables import genotypes
from edgehold.codecs.tables.arrays import derive_array
from edgehold.codecs.tables.form import schema_of
from edgehold.codecs.tables.variants import derive_variants
from edgehold.errors import BadRow, IntakeLimit, NoTable, SeveralPersons

HEAD = b"##fileformat=VCFv4.2\n"
NAMES = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tme\n"


def vcf(*lines: str, head: bytes = HEAD) -> bytes:
    return head + NAMES + "".join(line.replace(" ", "\t") + "\n" for line in lines).encode()


def alleles(*lines: str) -> list[tuple[Any, ...]]:
    """Place, end, reference, alternate, dosage, ploidy and phase of each row."""
    found = rows(derive_variants([vcf(*lines)]).files)
    return [
        tuple(row[name] for name in ("position", "end", "ref", "alt", "dosage", "ploidy", "phased")) for row in found
    ]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("1 100 . A G . . . GT 0/1", [(100, 100, "A", "G", 1, 2, 0)]),
        ("1 100 . A G . . . GT 1/1", [(100, 100, "A", "G", 2, 2, 0)]),
        ("1 100 . A G . . . GT 0|0", [(100, 100, "A", "G", 0, 2, 1)]),
        ("1 100 . A G . . . GT 0|1", [(100, 100, "A", "G", 1, 2, 1)]),
        ("1 100 . A G . . . GT 1|0", [(100, 100, "A", "G", 1, 2, 2)]),
        ("1 100 . A G . . . GT 1|1", [(100, 100, "A", "G", 2, 2, 1)]),
        ("X 100 . A G . . . GT 1", [(100, 100, "A", "G", 1, 1, 0)]),
        ("X 100 . A G . . . GT /1", [(100, 100, "A", "G", 1, 1, 0)]),
        ("X 100 . A G . . . GT 0", [(100, 100, "A", "G", 0, 1, 0)]),
        ("1 100 . A G . . . GT ./.", [(100, 100, "A", "G", 255, 2, 0)]),
        ("1 100 . A G . . . GT ./1", [(100, 100, "A", "G", 255, 2, 0)]),
        ("1 100 . A G . . . GT .", [(100, 100, "A", "G", 255, 1, 0)]),
        ("1 100 . A G . . . DP 31", [(100, 100, "A", "G", 255, 0, 0)]),
        ("1 100 . A T,C . . . GT:DP 1/2:31", [(100, 100, "A", "C", 1, 2, 0), (100, 100, "A", "T", 1, 2, 0)]),
        ("1 100 . A T,C . . . GT 2|1", [(100, 100, "A", "C", 1, 2, 2), (100, 100, "A", "T", 1, 2, 1)]),
        ("1 100 . A T,<NON_REF> . . . GT 0/1", [(100, 100, "A", "T", 1, 2, 0)]),
        ("1 100 . A T,<NON_REF> . . . GT 0/2", [(100, 100, "A", "<NON_REF>", 1, 2, 0), (100, 100, "A", "T", 0, 2, 0)]),
        ("1 100 . A <NON_REF> . . END=180 GT:DP 0/0:30", [(100, 180, "A", "", 0, 2, 0)]),
        ("1 100 . A <*> . . DP=3;END=180;X GT 0/0", [(100, 180, "A", "", 0, 2, 0)]),
        ("1 100 . A <NON_REF>,<*> . . . GT 0/0", [(100, 100, "A", "", 0, 2, 0)]),
        ("1 100 . A <NON_REF> . . END=180 GT ./.", [(100, 180, "A", "", 255, 2, 0)]),
        ("1 100 . A . . . . GT 0/0", [(100, 100, "A", "", 0, 2, 0)]),
        ("1 100 . ACGT A . . . GT 0/1", [(100, 103, "ACGT", "A", 1, 2, 0)]),
        ("1 100 . A <DEL> . . SVTYPE=DEL;END=900 GT 0/1", [(100, 900, "A", "<DEL>", 1, 2, 0)]),
        ("1 100 . A G,* . . END=7 GT 1/2", [(100, 100, "A", "*", 1, 2, 0), (100, 100, "A", "G", 1, 2, 0)]),
        ("1 100 . A G . . . GT 0/1/1/1", [(100, 100, "A", "G", 3, 4, 0)]),
    ],
)
def test_what_rows_a_line_gives(line: str, expected: list[tuple[Any, ...]]) -> None:
    assert alleles(line) == expected


def test_rows_are_sorted_and_have_names_filters_and_qualities() -> None:
    found = derive_variants(
        [
            vcf(
                "chr2 5 rs9 A G 30 PASS . GT 0/1",
                "GL000192.1 7 . A G . q10;s50 . GT 1/1",
                "chrX 5 . A G 1e2 . . GT 1",
                "chrM 1 . A G -0.0 PASS . GT 1",
                "chr1 9 . T C 0.5 PASS . GT 0/1",
                "",
                "chr1 9 . T A 0.5 PASS . GT 0/1",
                "HLA-A*01:01 3 . T A . PASS . GT 0/1",
            )
        ]
    )
    seen = rows(found.files)
    assert [(row["chromosome"], row["position"], row["alt"]) for row in seen] == [
        *((1, 9, "A"), (1, 9, "C"), (2, 5, "G"), (23, 5, "G"), (26, 1, "G"), (27, 7, "G"), (28, 3, "A")),
    ]
    assert [row["name"] for row in seen] == ["", "", "rs9", "", "", "", ""]
    assert [row["filter"] for row in seen] == ["", "", "", "", "", "q10;s50", ""]
    assert [row["quality"] for row in seen][:5] == [0.5, 0.5, 30.0, 100.0, 0.0]
    assert math.isnan(seen[5]["quality"])
    assert math.copysign(1, seen[4]["quality"]) == 1
    assert schema_of(found.files)["chromosomes"] == {"27": "GL000192.1", "28": "HLA-A*01:01"}
    assert found.years is None


def test_sequences_that_are_too_many_share_a_number() -> None:
    lines = [f"s{number} 1 . A G . . . GT 0/1" for number in range(300)]
    found = derive_variants([vcf(*lines)]).files
    assert max(row["chromosome"] for row in rows(found)) == 255
    assert len(schema_of(found)["chromosomes"]) == 255 - 27


@pytest.mark.parametrize(
    ("head", "assembly", "years"),
    [
        (b"##contig=<ID=chr1,length=248956422>\n##fileDate=20240131\n", "GRCh38", (2024, 2024)),
        (b'##contig=<ID=1,assembly="b37",length=249250621,md5=1>\n', "GRCh37", None),
        (b"##reference=file:///x/human_g1k_v37.fasta\n##fileDate=yesterday\n", "GRCh37", None),
        (b"##reference=Homo_sapiens_assembly38 (hg38)\n", "GRCh38", None),
        (b"##contig=<ID=1,length=5>\n##contig=<ID=other,length=248956422>\n", "", None),
    ],
)
def test_the_assembly_and_the_year_are_known_by_the_header(
    head: bytes, assembly: str, years: tuple[int, int] | None
) -> None:
    found = derive_variants([vcf("1 100 . A G . . . GT 0/1", head=HEAD + head)])
    assert schema_of(found.files)["assembly"] == assembly
    assert found.years == years


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (HEAD, BadRow, "#CHROM is missing"),
        (HEAD + b"CHROM\n", BadRow, "#CHROM is missing"),
        (HEAD + NAMES.replace(b"\tFORMAT\tme", b""), NoTable, "line 2: no person"),
        (HEAD + NAMES.replace(b"me", b"me\tyou"), SeveralPersons, "line 2: 2 persons"),
        (vcf("1 100 . A G . . . GT"), BadRow, "line 3: 9 columns"),
        (vcf("1 100 . A G . . . GT 0/1 0/1"), BadRow, "line 3: 11 columns"),
        (vcf("1 x . A G . . . GT 0/1"), BadRow, "line 3: the position"),
        (vcf("1 -5 . A G . . . GT 0/1"), BadRow, "line 3: the position"),
        (vcf("1 99999999999 . A G . . . GT 0/1"), BadRow, "line 3: the position"),
        (vcf("1 9999999999 . A G . . . GT 0/1"), BadRow, "no chromosome has"),
        (vcf("1 1 . A G . . END=x GT 0/1"), BadRow, "END"),
        (vcf("1 1 . A G . . END=9999999999 GT 0/1"), BadRow, "no chromosome has"),
        (vcf("1 1 . A G . . A;END= GT 0/1"), BadRow, "END"),
        (vcf("1 1 . A G 1_0 . . GT 0/1"), BadRow, "quality"),
        (vcf("1 1 . A G inf . . GT 0/1"), BadRow, "quality"),
        (vcf("1 1 . A G . . . GT 0/2"), BadRow, "an allele that is not there"),
        (vcf("1 1 . A . . . . GT 0/1"), BadRow, "an allele that is not there"),
        (vcf("1 1 . A " + "G," * 1500 + "G . . . GT 0/1"), BadRow, "too many"),
        (vcf("1 1 . A G . . . GT 0/a"), BadRow, "no call"),
        (vcf("1 1 . A G . . . GT "), BadRow, "no call"),
        (vcf("1 1 . A G . . . GT 0/1", "1 1 . A"), BadRow, "line 4"),
        (vcf("1 1 . A G . . . GT 0/1") + b"\xff\n", BadRow, "not UTF-8"),
    ],
)
def test_what_is_no_vcf_of_one_person_is_refused_at_its_line(text: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        derive_variants([text])


def test_too_many_rows_or_strings_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(genotypes, "MOST_ROWS", 1)
    with pytest.raises(IntakeLimit):
        derive_variants([vcf("1 1 . A G . . . GT 0/1", "1 2 . A G . . . GT 0/1")])
    monkeypatch.setattr(genotypes, "MOST_ROWS", 100)
    monkeypatch.setattr(genotypes, "MOST_NAMES", 2)
    with pytest.raises(IntakeLimit):
        derive_array(b"rs1\t1\t5\tAG\n")


def by_reference(path: Path) -> list[tuple[int, str, list[int], bool]]:
    """Position, reference, alleles of the call and phase of each line, as htslib reads them."""
    return [
        (one.POS, one.REF, one.genotypes[0][:-1], bool(one.genotypes[0][-1])) for one in VCF(str(path), strict_gt=True)
    ]


def as_rows(text: bytes) -> set[tuple[int, str, str, int]]:
    found = rows(derive_variants([text]).files)
    return {(row["position"], row["ref"], row["alt"], row["dosage"]) for row in found}


def test_the_calls_of_a_real_file_are_those_of_the_reference() -> None:
    path = DATA / "lines" / "small.vcf"
    found = as_rows(path.read_bytes())
    expected = set()
    for one in VCF(str(path)):
        called = one.genotypes[0][:-1]
        for number, alt in enumerate(one.ALT, 1):
            expected.add((one.POS, one.REF, alt, 255 if -1 in called else called.count(number)))
        if not one.ALT:
            expected.add((one.POS, one.REF, "", 255 if -1 in called else 0))
    assert found == expected
    assert len(found) > 50


@given(
    calls=st.lists(
        st.tuples(st.integers(1, 10**6), st.lists(st.integers(-1, 3), min_size=1, max_size=2), st.booleans()),
        min_size=1,
        max_size=8,
        unique_by=lambda one: one[0],
    )
)
def test_any_calls_are_those_of_the_reference(
    calls: list[tuple[int, list[int], bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = []
    for position, call, is_phased in sorted(calls):
        said = ("|" if is_phased else "/").join("." if one < 0 else str(one) for one in call)
        lines.append(f"1 {position} . A C,G,T 5 PASS . GT {said}")
    head = (
        HEAD
        + b'##contig=<ID=1>\n##FILTER=<ID=PASS,Description="x">\n##FORMAT=<ID=GT,Number=1,Type=String,Description="x">\n'
    )
    text = vcf(*lines, head=head)
    path = tmp_path_factory.mktemp("vcf") / "x.vcf"
    path.write_bytes(text)
    found = rows(derive_variants([text]).files)
    assert len(found) == 3 * len(lines)
    for position, _, called, is_phased in by_reference(path):
        for row in (row for row in found if row["position"] == position):
            number = "?CGT".index(row["alt"])
            assert row["ploidy"] == len(called)
            assert row["dosage"] == (255 if -1 in called else called.count(number))
            if len(called) == 2:
                assert bool(row["phased"]) == is_phased


# ── arrays ────────────────────────────────────────────────────────────────────────────────────────────────────────


def array_rows(text: bytes) -> list[tuple[Any, ...]]:
    names = ("chromosome", "position", "name", "ref", "alt", "dosage", "ploidy")
    return [tuple(row[name] for name in names) for row in rows(derive_array(text).files)]


def test_a_line_of_an_array_gives_a_row_for_each_allele() -> None:
    head = b"# 23andMe\n# rsid\tchromosome\tposition\tgenotype\n"
    text = head + b"rs1\t1\t10\tAG\nrs2\t1\t20\tCC\nrs3\tMT\t5\tT\nrs4\tX\t7\t--\ni5\t2\t9\tDI\n"
    assert array_rows(text) == [
        (1, 10, "rs1", "", "A", 1, 2),
        (1, 10, "rs1", "", "G", 1, 2),
        (1, 20, "rs2", "", "C", 2, 2),
        (2, 9, "i5", "", "D", 1, 2),
        (2, 9, "i5", "", "I", 1, 2),
        (23, 7, "rs4", "", "", 255, 2),
        (26, 5, "rs3", "", "T", 1, 1),
    ]


def test_five_columns_are_read_as_four() -> None:
    four = b"rs1\t1\t10\tAG\nrs2\t23\t20\t--\n"
    ancestry = (
        b"#AncestryDNA\nrsid\tchromosome\tposition\tallele1\tallele2\r\nrs1\t1\t10\tA\tG\r\nrs2\t23\t20\t0\t0\r\n"
    )
    heritage = b'RSID,CHROMOSOME,POSITION,RESULT\n"rs1","1","10","AG"\n"rs2","X","20","--"\n'
    assert array_rows(ancestry) == array_rows(heritage) == array_rows(four)


def test_the_real_file_of_an_array_is_read_whole() -> None:
    text = (DATA / "lines" / "array.txt").read_bytes()
    lines = [line.split("\t") for line in text.decode().splitlines() if not line.startswith("#")]
    found = derive_array(text)
    assert schema_of(found.files)["assembly"] == "GRCh37"
    expected = sorted((int(position), name, "".join(sorted(call))) for name, _, position, call in lines)
    seen: dict[tuple[int, str], str] = {}
    for row in rows(found.files):
        key = (row["position"], row["name"])
        seen[key] = seen.get(key, "") + (row["alt"] * row["dosage"] if row["alt"] else "--")
    assert sorted((position, name, call) for (position, name), call in seen.items()) == expected


def test_bad_lines_cost_only_the_speed_of_their_block() -> None:
    """Empty lines and comments between lines are passed over, and lines are counted all the same."""
    assert array_rows(b"rs1\t1\t10\tAG\n\n# more\nrs2\t1\t20\tCC") == array_rows(b"rs1\t1\t10\tAG\nrs2\t1\t20\tCC\n")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (b"# x\nrs1\t1\t10\n", "line 2: 3 columns"),
        (b"rs1\t1\t10\tAG\nrs1\t1\tx\tAG\n", "line 2: the position"),
        (b"rs1\t1\t1000000000\tAG\n", "line 1: the position"),
        (b"rs1\t1\t10\tAG\nrs2\t1\t10\tAGT\n", "line 2: no call"),
        (b"rs1\t1\t10\tXY\n", "line 1: no call"),
        (b"rs1\t1\t10\t\n", "line 1: no call"),
        (b"rs1,1,10,AG\n\nr\ts,1,10,AG\n", "line 3: 4 columns"),
        (b"rs1\t1\t10\tA\xff\n", "not UTF-8"),
        (b"rs1\t1\t10\tAG\n" + b"x" * (1 << 20) + b"\n" + b"y" * (1 << 20), "longer than"),
    ],
)
def test_what_is_no_line_of_an_array_is_named(text: bytes, says: str) -> None:
    with pytest.raises(BadRow, match=says):
        derive_array(text)


@pytest.mark.untraced
def test_an_array_of_several_blocks_or_of_none() -> None:
    lines = b"".join(b"rs%d\t1\t%d\tAC\n" % (number, number) for number in range(1, 90_000))
    assert schema_of(derive_array(lines).files)["rows"] == 2 * 89_999
    assert array_rows(b"# nothing") == []
    assert derive_array(b"# generated by AncestryDNA at: 12/27/2018 11:07:07 UTC\n").years == (2018, 2018)
