"""The codec of variants: every byte of every line comes back, what is altered is refused or bounded, and it is sparse."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from edgehold.codecs.choice import codec_named, codec_title, codecs_for, encode_smallest
from edgehold.codecs.variants import VARIANTS, variants_codec
from edgehold.errors import CannotDecode
from edgehold.wire.data import Kind

DATA = Path(__file__).parent.parent / "data"
FILES = [*sorted((DATA / "variants").glob("*.vcf")), DATA / "lines" / "small.vcf"]
CODEC = variants_codec()
VECTOR = (
    "9a000000e30600008119935c4eb6cac0e6ccf2fd1af302216d863b5ce6f047d4a9b51fac1d7f73ae75b4f5849b9b614b35a0"
    "3a1f3788a57d90f2b3b1ffd35f6cb4f79844dae5d02edaeaf4190f2a931e2f732a32e4bc89532b6b5853c7316882b64a9e53"
    "62517ab644d242d80b39d004d389f7539ba2196994f6cd379186c4d217a141153cd5acbd6677a3a0c6cc2b448b964e6435bd"
    "eb0b8a9932fb3594d466a807"
)
"""Forty blocks of reference, a variant, and a line that is neither, as they were once encoded."""

NUMBERS = st.one_of(
    st.integers(0, 200).map(str),
    st.integers(-(2**40), 2**40).map(str),
    st.integers(-99999, 99999).map(lambda one: str(one / 1000)),
    st.sampled_from(["0", "-0", "-0.0", "007", "1.", ".5", "1e-05", "1.50", "999999999", "-999999999", "1073741823"]),
    st.sampled_from(["0.12345678", "0.123456789012", "123456789.123456789", "1.2.3", "-", "--1", "+3", "nan", "rs012"]),
    st.just("1" * 70),
)
LISTS = st.tuples(NUMBERS, st.integers(0, 20)).map(lambda one: ",".join([one[0]] * one[1]))
WORDS = st.one_of(
    st.sampled_from(["", ".", "PASS", "a=b", "x\x1fy", "\x01", "é"]),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=3),
)
INFO = st.lists(
    st.one_of(
        WORDS,
        st.tuples(st.sampled_from(["DP", "END", "AF", "CSQ", "", "X1"]), st.one_of(NUMBERS, LISTS, WORDS)).map(
            "=".join
        ),
    ),
    max_size=3,
).map(";".join)
ALLELES = st.one_of(
    st.sampled_from(["A", "C", "AC", "A,AT", "<X>", ".", "*,A", "]1:5]A"]), st.text("ACGT,", max_size=4)
)
GENOTYPES = st.lists(st.one_of(st.sampled_from(["0/0", "0|1", "./.", "."]), LISTS, WORDS), max_size=3).map(":".join)


@st.composite
def rows(draw: st.DrawFn, samples: int) -> str:
    """A line that is, or nearly is, one of a variant."""
    fields = [
        draw(st.sampled_from(["chr1", "1", "X", "HLA:01"])),
        draw(st.one_of(st.integers(0, 10**9).map(str), st.sampled_from(["01", "", "x", "-1", "12345678901"]))),
        draw(st.one_of(NUMBERS, st.just("."), WORDS)),
        draw(ALLELES),
        draw(ALLELES),
        draw(st.one_of(NUMBERS, st.just("."))),
        draw(st.sampled_from(["PASS", ".", "q10;s50"])),
        draw(INFO),
    ]
    if samples:
        fields.append(draw(st.sampled_from(["GT", "GT:DP:PL", "GT:GT:A", "", "DP:GT"])))
        fields.extend(draw(st.lists(GENOTYPES, min_size=samples, max_size=samples)))
    row = "\t".join(fields)
    return draw(st.sampled_from([row, row, row, row, row + "\t", row[:-1], "#" + row, row.replace("\t", " ")]))


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """A header and lines, with one kind of line end or both."""
    body = draw(st.lists(rows(draw(st.sampled_from([0, 1, 1, 2]))), min_size=1, max_size=6))
    lines = [
        "##fileformat=VCFv4.2",
        "#CHROM\tPOS",
        "1\t5\t.\tA\tC\t.\tPASS\tDP=1",
        *body,
        draw(st.sampled_from(["", "1"])),
    ]
    ends = draw(st.sampled_from([["\n"], ["\r\n"], ["\n", "\n", "\r\n"]]))
    return "".join(line + ends[number % len(ends)] for number, line in enumerate(lines)).encode()


@given(text=texts(), cut=st.integers(0, 3))
@settings(max_examples=200)
def test_every_line_comes_back(text: bytes, cut: int) -> None:
    text = text[: len(text) - cut]
    assert CODEC.decode(CODEC.encode(text), len(text)) == text


@given(data=st.binary(max_size=300))
def test_what_is_no_text_of_variants_comes_back_or_has_no_such_encoding(data: bytes) -> None:
    for text in (data, b"1\t5\t.\tA\tC\t.\tPASS\tDP=1\n" + data):
        with suppress(CannotDecode):
            assert CODEC.decode(CODEC.encode(text), len(text)) == text


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_real_variants_come_back_from_fewer_bytes_than_zstd_has(path: Path) -> None:
    original = path.read_bytes()
    codec, encoded = encode_smallest(original, codecs_for(Kind.GENOTYPE))
    assert codec_title(codec.name) == "variants/1"
    assert codec_named(codec.name, codec.base).decode(encoded, len(original)) == original
    assert len(encoded) < 0.75 * len(zstandard.ZstdCompressor(level=22).compress(original))


@pytest.mark.parametrize("data", [b"", b"##fileformat=VCFv4.2\n", b"a,b\n1,2\n", b"1\t5\t.\tA\tC\t.\tPASS\tDP=\0\n"])
def test_what_holds_no_variants_is_left_to_the_general_codec(data: bytes) -> None:
    with pytest.raises(CannotDecode, match="variants"):
        CODEC.encode(data)
    assert encode_smallest(data, codecs_for(Kind.GENOTYPE))[0].name != VARIANTS


def test_what_follows_from_other_columns_costs_next_to_nothing() -> None:
    dice = Random(1)
    sizes = []
    for is_told in (False, True):
        lines = []
        for place in range(2000):
            depth, allele = dice.randrange(10, 90), dice.randrange(1, 10)
            told = f";QD={depth / allele:.2f};SUM={depth + allele};END={place * 100 + 99}" if is_told else ""
            lines.append(f"chr1\t{place * 100}\t.\tA\t<X>\t.\t.\tDP={depth};AD={allele}{told}\n")
        text = "".join(lines).replace("DP=", "Q=").encode()
        sizes.append(len(CODEC.encode(text)))
    assert sizes[1] < sizes[0] + 700


def test_what_was_encoded_once_is_read_for_ever() -> None:
    blocks = [f"chr1\t{at}\t.\tG\t<X>\t.\t.\tEND={at + 6}\tGT:DP\t0/0:{31 + at % 3}\n" for at in range(100, 380, 7)]
    variant = "chr1\t900\trs5\tC\tCT\t50.25\tPASS\tDP=30;AF=0.5\tGT:DP\t0/1:30\nbroken\n"
    text = "".join(["##fileformat=VCFv4.2\n", *blocks, variant]).encode()
    assert CODEC.decode(bytes.fromhex(VECTOR), len(text)) == text


def test_lines_beyond_a_block_come_back() -> None:
    line = b"1\t%d\t.\tA\tC\t.\tPASS\tDP=1\n"
    text = b"".join(line % place for place in range(270_000))
    encoded = CODEC.encode(text)
    assert len(encoded) < 1000
    assert CODEC.decode(encoded, len(text)) == text


def test_altered_bytes_give_no_more_than_the_limit_or_are_refused() -> None:
    dice = Random(1)
    original = FILES[0].read_bytes()[-6000:]
    encoded = CODEC.encode(original)
    for _ in range(300):
        altered = bytearray(encoded)
        altered[dice.randrange(len(altered))] ^= 1 << dice.randrange(8)
        with suppress(CannotDecode):
            assert len(CODEC.decode(bytes(altered), len(original))) <= len(original)
    for refused, limit in (
        (encoded, len(original) - 1),
        (encoded[:-1], len(original)),
        (encoded[: len(encoded) // 2], len(original)),
        (encoded + b"\0", len(original)),
        (b"\x08\0\0\0" + encoded[4:16], len(original)),
        (encoded[:4] + b"\x09\0\0\0" + encoded[8:], len(original)),
        (encoded[:4] + b"\xff\xff\0\0" + encoded[8:], 1 << 16),
    ):
        with pytest.raises(CannotDecode):
            CODEC.decode(refused, limit)
