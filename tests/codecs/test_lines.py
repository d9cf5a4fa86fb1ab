"""The codec of texts in lines: every byte comes back, whatever is altered is refused or bounded, and it is sparse."""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from random import Random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from edgehold.codecs.choice import codec_named, codecs_for, encode_smallest
from edgehold.codecs.general import ZSTD
from edgehold.codecs.record import LINES, RECORD_BASE, lines_codec
from edgehold.errors import CannotDecode
from edgehold.wire.data import Kind

FILES = sorted(path for path in (Path(__file__).parent.parent / "data" / "lines").glob("*") if path.suffix != ".md")
CODEC = lines_codec()

CELLS = st.one_of(
    st.integers().map(str),
    st.decimals(allow_nan=False, allow_infinity=False, places=3).map(str),
    st.datetimes().map(lambda one: one.isoformat(sep=" ", timespec="seconds")),
    st.sampled_from(
        ["", "-0", "-0.0", "007", "1.", ".5", "1e9", "999999999", "9999999999", "-1.50", "+3", "2020-02-30 00:00:00"]
    ),
    st.text(st.characters(exclude_characters="\0\1\n,"), max_size=12),
)


@given(
    rows=st.lists(st.lists(CELLS, min_size=3, max_size=3), min_size=2, max_size=12),
    ending=st.sampled_from(["\n", "\r\n"]),
)
def test_every_table_comes_back(rows: list[list[str]], ending: str) -> None:
    table = ending.join([",".join(["time", "code", "value"]), *map(",".join, rows)]).encode("utf-8", "replace")
    with suppress(CannotDecode):  # cells with line ends make it no table
        assert CODEC.decode(CODEC.encode(table), len(table)) == table


NUMBERS = st.one_of(
    st.integers(-999_999_999, 999_999_999).map(str),
    st.integers(-3, 3).map(str),
    st.integers(0, 200).map(str),
    st.integers(-999, 999).map(lambda one: f"{one / 10:.1f}"),
    st.sampled_from(["", "-0", "007", "12.345", "none"]),
)


@given(
    columns=st.lists(st.tuples(NUMBERS, NUMBERS, st.integers(1, 60)), min_size=1, max_size=3),
    steps=st.lists(st.sampled_from([60, 60, 60, 120, 3600, 61, 0, -60]), min_size=60, max_size=90),
    dice=st.randoms(use_true_random=False),
)
def test_every_table_of_long_columns_comes_back(
    columns: list[tuple[str, str, int]], steps: list[int], dice: Random
) -> None:
    """Columns that are numbers for long, now and then something else, beside times at a pace with gaps."""
    moment, lines = datetime(2020, 2, 28, 23, 0), []
    for place, step in enumerate(steps):
        moment += timedelta(seconds=step if place > 40 else 60)
        cells = [usual if dice.randrange(60) < often else rare for usual, rare, often in columns]
        lines.append(",".join([str(moment), str(dice.randrange(10)), *cells]))
    table = "\n".join([",".join(["time", "count", *"abc"[: len(columns)]]), *lines]).encode()
    assert CODEC.decode(CODEC.encode(table), len(table)) == table


def minutes(count: int) -> bytes:
    """A person's minutes: a pulse that wanders, and steps in bouts."""
    dice, moment, pulse, walks = Random(7), datetime(2021, 3, 4, 7, 0), 70.0, False
    lines = ["time,pulse,level,steps"]
    for place in range(count):
        moment += timedelta(seconds=60 if place % 200 else 3600)
        walks = walks if dice.random() < 0.9 else not walks
        pulse += dice.gauss(0, 3) + (0.1 * (110 - pulse) if walks else 0.1 * (65 - pulse))
        steps = max(0, round(dice.gauss(60, 30))) if walks else 0
        lines.append(f"{moment},{round(pulse)},{(steps > 0) + (steps > 90)},{steps}")
    return "\n".join(lines).encode()


def test_columns_of_numbers_take_what_chance_put_in_them() -> None:
    table = minutes(3000)
    encoded = CODEC.encode(table)
    # of a normal distribution 3.6 bits are what is in a step of the pulse, 7 in the steps of a minute walked
    assert len(encoded) < 1.12 * 3000 * (3.6 + 7 / 2 + 0.3) / 8
    assert CODEC.decode(encoded, len(table)) == table
    with pytest.raises(CannotDecode, match=r"limit|larger"):
        CODEC.decode(encoded, len(table) - 1)


def test_altered_columns_of_numbers_are_refused_or_bounded() -> None:
    original = minutes(300)
    encoded = CODEC.encode(original)
    dice = Random(2)
    for _ in range(30):
        altered = bytearray(encoded)
        altered[dice.randrange(60, len(altered))] ^= 1 << dice.randrange(8)
        with suppress(CannotDecode):
            assert len(CODEC.decode(bytes(altered), len(original))) <= len(original)


def test_more_columns_than_have_weights_share_them() -> None:
    rows = [",".join(str((row * (column + 3)) % 50) for column in range(20)) for row in range(60)]
    table = "\n".join([",".join(f"c{column}" for column in range(20)), *rows]).encode()
    assert CODEC.decode(CODEC.encode(table), len(table)) == table


def test_a_table_after_another_goes_on_from_its_columns() -> None:
    before, table = minutes(300), minutes(301)
    following = CODEC.after(before)
    encoded = following.encode(table)
    assert following.decode(encoded, len(table)) == table
    assert len(encoded) < len(CODEC.encode(table)) / 4


def test_the_base_of_records_is_known_and_may_be_left_out() -> None:
    table = b"date,code,description,value\n" + b"".join(
        b"2020-01-%02d,8302-2,Body Height,%d\n" % (day, 170) for day in range(1, 29)
    )
    bare = lines_codec(None)
    assert (CODEC.base, bare.base) == (RECORD_BASE, None)
    assert bare.decode(bare.encode(table), len(table)) == table
    assert len(CODEC.encode(table)) < len(bare.encode(table)) - 8
    named = codec_named(LINES, None)
    assert named.decode(bare.encode(table), len(table)) == table


@given(inner=st.text(st.characters(exclude_characters="\0\1"), max_size=200))
def test_every_markup_comes_back(inner: str) -> None:
    markup = f'<a b="{inner}">{inner}</a>\n<c d="1"/>'.encode("utf-8", "replace")
    assert CODEC.decode(CODEC.encode(markup), len(markup)) == markup


@pytest.mark.parametrize("path", FILES, ids=[path.name for path in FILES])
def test_real_texts_come_back_from_fewer_bytes_than_zstd_has(path: Path) -> None:
    original = path.read_bytes()
    codec, encoded = encode_smallest(original, codecs_for(Kind.LAB))
    assert codec.name == LINES
    assert codec_named(codec.name, codec.base).decode(encoded, len(original)) == original
    assert len(encoded) < 0.8 * len(zstandard.ZstdCompressor(level=22).compress(original))


@pytest.mark.parametrize("data", [b"", b"prose of one line", b"a,b\n1,\0", b"a,b\n1,\1", bytes(range(256))])
def test_what_is_no_text_in_lines_is_left_to_the_general_codec(data: bytes) -> None:
    codec, encoded = encode_smallest(data, codecs_for(Kind.LAB))
    assert codec.name == ZSTD
    assert codec_named(codec.name, codec.base).decode(encoded, len(data)) == data
    with pytest.raises(CannotDecode, match="not a table"):
        CODEC.encode(data)


def test_altered_bytes_give_no_more_than_the_limit_or_are_refused() -> None:
    original = FILES[0].read_bytes()
    encoded = CODEC.encode(original)
    dice = Random(1)
    for _ in range(200):
        altered = bytearray(encoded)
        for _ in range(dice.randrange(1, 4)):
            altered[dice.randrange(len(altered))] ^= 1 << dice.randrange(8)
        del altered[dice.randrange(len(altered) // 2, len(altered) + 1) :]
        with suppress(CannotDecode):
            assert len(CODEC.decode(bytes(altered), len(original))) <= len(original)


def test_a_limit_below_the_text_refuses_it() -> None:
    text = b"a,b\n" + b"1,2\n" * 100
    with pytest.raises(CannotDecode, match=r"limit|larger"):
        CODEC.decode(CODEC.encode(text), len(text) - 1)
