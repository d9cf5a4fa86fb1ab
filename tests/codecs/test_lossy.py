"""Qualities in steps: only what was asked for is lost, and whoever asks at a bound gets the same answer."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.codecs.lossy import (
    DEPTH_STEPS,
    QUALITY_STEPS,
    step_depth,
    step_logarithm,
    step_phred,
    step_qualities,
)
from edgehold.codecs.tables.variants import derive_variants

DATA = Path(__file__).parents[1] / "data" / "variants"
FILES = {name: (DATA / name).read_bytes() for name in ("hg00268.g.vcf", "isaac.g.vcf", "nist.vcf")}
HEAD = b"##fileformat=VCFv4.2\n"
NAMES = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tme\n"
SAID = b"##edgehold.lossy=qualities/1\n"


def line(quality: str, keys: str, cell: str) -> bytes:
    return "\t".join(["1", "7", "rs24", "A", "G", quality, "q24", "DP=24;GQ=24", keys, cell]).encode() + b"\n"


@given(st.integers(0, 10**9 - 1))
def test_a_number_becomes_the_lower_bound_of_its_step(number: int) -> None:
    for step, steps in ((step_phred, QUALITY_STEPS), (step_depth, DEPTH_STEPS)):
        found = int(step(b"%d" % number))
        assert found in steps
        assert [found >= bound for bound in steps] == [number >= bound for bound in steps]
    assert step_phred(b"%d.5" % number) == step_phred(b"%d" % number)


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        ("-0.0", "0"),
        ("0", "0"),
        ("-0.04", "0"),
        ("-0.19", "-0.1"),
        ("-2.4", "-2"),
        ("-2.59", "-2.5"),
        ("-12.345", "-9.9"),
        ("-20", "-20"),
        ("1.5", "1.5"),
        (".", "."),
        ("-1e-3", "-1e-3"),
    ],
)
def test_a_likelihood_goes_with_the_quality_it_is_a_tenth_of(number: str, expected: str) -> None:
    found = step_logarithm(number.encode())
    assert found == expected.encode()
    assert step_logarithm(found) == found


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (line("268.81", "GT:GQ:PL", "0/1:24:299,0,3"), line("200", "GT:GQ:PL", "0/1:20:200,0,2")),
        (line(".", "GT:DP:MIN_DP", "0/0:24:."), line(".", "GT:DP:MIN_DP", "0/0:20:.")),
        (line("9", "GT:AD:DP", "0/1:7,17:24"), line("2", "GT:AD:DP", "0/1:7,17:24")),  # AD tells the depth
        (line("30", "GT:GL:GQX", "0/1:-2.4,0,-9"), line("30", "GT:GL:GQX", "0/1:-2,0,-9")),
        (
            line("24", "DP:GQ", "7:.") + line("30", "DP:GQ", "24"),
            line("20", "DP:GQ", "6:.") + line("30", "DP:GQ", "20"),
        ),
        (line("30", "GT:GQ", "0/1:24")[:-1] + b"\r\n", line("30", "GT:GQ", "0/1:20")[:-1] + b"\r\n"),
        (line("24", "", "")[:-2] + b"\n", line("20", "", "")[:-2] + b"\n"),  # nobody's genotype
    ],
)
def test_only_qualities_change_and_the_header_says_so(before: bytes, after: bytes) -> None:
    found = step_qualities(HEAD + NAMES + before)
    assert found is not None
    assert found.text == HEAD + SAID + NAMES + after
    assert step_qualities(found.text) is None


@pytest.mark.parametrize(
    "text",
    [
        b"",
        HEAD,
        HEAD + line("24", "GQ", "24"),  # before the names of columns
        HEAD + NAMES,
        HEAD + NAMES + b"1\t7\t.\tA\tG\t24\n",
        HEAD + NAMES + line("1e9", "GT:GQ:PL:DP:GP", "0/1:-3:.,0x9,+1:9999999999:24,24,24"),
        HEAD + NAMES + line("24", "GQ", "24\t24"),  # of several persons
        HEAD + NAMES + line("20", "GQ", "24," * 1000),
        HEAD + NAMES + line("20", "GT:GQ:PL:DP", "0/1:99:20,0,200:100"),
    ],
)
def test_where_nothing_would_be_lost_nothing_is_touched(text: bytes) -> None:
    assert step_qualities(text) is None


def test_the_header_keeps_its_line_ends() -> None:
    text = (HEAD + NAMES + line("24", "GQ", "24")).replace(b"\n", b"\r\n")
    found = step_qualities(text)
    assert found is not None
    assert found.text.count(b"\r\n") == found.text.count(b"\n") == 4
    again = step_qualities(found.text.replace(b"20\r", b"21\r"))
    assert again is not None
    assert again.text == found.text, "it is said once"


@pytest.mark.parametrize("name", FILES)
def test_of_real_files_all_else_stays(name: str) -> None:
    text = FILES[name]
    found = step_qualities(text)
    assert found is not None
    assert 0 < sum(found.losses.lost.values()) <= sum(found.losses.of.values())
    before, after = (
        [row.split(b"\t") for row in one.splitlines() if not row.startswith(b"#")] for one in (text, found.text)
    )
    assert [row[:5] + row[6:9] for row in before] == [row[:5] + row[6:9] for row in after]
    assert [row[9].split(b":")[0] for row in before] == [row[9].split(b":")[0] for row in after]
    assert [row for row in text.splitlines() if row.startswith(b"#")] == [
        row for row in found.text.splitlines() if row.startswith(b"#") and row + b"\n" != SAID
    ]
    tables = [dict(derive_variants([one]).files) for one in (text, found.text)]
    for table in tables:
        table.pop("quality.f64")
    assert tables[0] == tables[1]


@given(st.binary(max_size=200))
def test_whatever_is_put_in_steps_stays_there(noise: bytes) -> None:
    found = step_qualities(HEAD + NAMES + line("7", "GQ:DP", "77:77") + noise)
    assert found is not None
    assert step_qualities(found.text) is None
