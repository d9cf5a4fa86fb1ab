"""The codec of texts in lines: every byte comes back, whatever is altered is refused or bounded, and it is sparse."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from random import Random

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from edgehold.codecs.choice import codec_named, codecs_for, encode_smallest
from edgehold.codecs.general import ZSTD
from edgehold.codecs.record import LINES, lines_codec
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
