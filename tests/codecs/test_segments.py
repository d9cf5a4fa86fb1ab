"""Tables in row groups: they come back whole, and rows that are asked for come without the others."""

from __future__ import annotations

import json
import struct
from array import array
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from edgehold.codecs.segments import (
    GROUPS,
    LEAST_GROUP,
    ROW,
    SOUGHT,
    STRINGS,
    Column,
    Outline,
    Where,
    _kept_strings,
    check_outline,
    columns_of,
    cut,
    find_groups,
    join,
    select,
)
from edgehold.codecs.tables.form import STRING
from edgehold.errors import Malformed


def table(rows: int, **more: bytes) -> dict[str, bytes]:
    """Numbers 3, 4, 5 …, whether they are even, and their halves."""
    numbers = range(3, rows + 3)
    return {
        "n.i64": struct.pack(f"<{rows}q", *numbers),
        "even.u8": bytes(number % 2 == 0 for number in numbers),
        "half.f64": struct.pack(f"<{rows}d", *(number / 2 for number in numbers)),
        **more,
    }


def ask(files: dict[str, bytes], names: list[str], where: Where) -> tuple[dict[str, bytes], int]:
    outline, groups = cut(files)
    numbers = find_groups(outline, where)
    return select(outline, [(number, groups[number]) for number in numbers], names, where)[0], len(numbers)


@given(
    st.integers(min_value=0, max_value=3000), st.dictionaries(st.sampled_from(["a.json", "b"]), st.binary(max_size=20))
)
def test_a_table_comes_back_whole(rows: int, others: dict[str, bytes]) -> None:
    files = table(rows, **others)
    outline, groups = cut(files)
    assert join(outline, groups) == files
    assert outline.rows == rows
    assert sum(map(len, groups)) == 17 * rows
    assert [outline.size_of(number) for number in range(outline.groups)] == [len(group) for group in groups]


def test_groups_are_of_a_size_that_suits_the_table() -> None:
    assert [cut(table(rows))[0].groups for rows in (0, 1, LEAST_GROUP // 17, LEAST_GROUP // 17 + 1)] == [0, 1, 1, 2]
    large = 3 * GROUPS * LEAST_GROUP // 17
    assert GROUPS <= cut(table(large))[0].groups <= GROUPS + 1
    wide = {f"{number}.f64": bytes(8) for number in range(5000)}
    assert cut(wide)[0].groups == 1


@given(st.integers(0, 6000), st.integers(0, 6000), st.sampled_from(["n.i64", ROW]))
def test_rows_that_are_asked_for_come_and_no_others(low: int, high: int, name: str) -> None:
    rows = 5000
    found, read = ask(table(rows), ["n.i64", "half.f64"], {name: (low, high), "even.u8": (1, 1)})
    first = 3 if name == ROW else 0
    wanted = [n for n in range(3, rows + 3) if low <= n - first <= high and n % 2 == 0]
    assert list(memoryview(found["n.i64"]).cast("q")) == wanted
    assert list(memoryview(found["half.f64"]).cast("d")) == [n / 2 for n in wanted]
    assert read <= max(0, high - low) * 17 // LEAST_GROUP + 2


def test_a_condition_on_what_has_no_whole_numbers_is_refused() -> None:
    for name in ("half.f64", "other.i64", "strings.json"):
        with pytest.raises(Malformed, match="no column of whole numbers"):
            ask(table(10), ["n.i64"], {name: (0, 1)})


@pytest.mark.parametrize("files", [table(3) | {"n.i64": bytes(16)}, {"n.i64": bytes(9)}, table(3) | {"x.u8": b""}])
def test_columns_of_different_lengths_are_no_table(files: dict[str, Any]) -> None:
    with pytest.raises(Malformed, match="different lengths"):
        cut(files)


def test_groups_of_another_outline_are_refused() -> None:
    outline, groups = cut(table(1000))
    with pytest.raises(Malformed, match="was given"):
        join(outline, groups[:-1])
    with pytest.raises(Malformed, match="was given"):
        join(outline, [*groups, groups[-1]])
    with pytest.raises(Malformed, match="rows"):
        list(columns_of(outline, 0, groups[0][1:]))


def test_an_outline_that_no_table_has_is_refused() -> None:
    outline, _ = cut(table(1000))
    assert check_outline(outline) == outline
    even, half, numbers = outline.columns
    for columns in (
        (half, even, numbers),
        (even, even, half),
        (Column("x.json", (), ()),),
        (Column("n.i64", (1,), ()),),
        (),
    ):
        with pytest.raises(Malformed, match="outline"):
            check_outline(replace(outline, columns=columns))
    with pytest.raises(Malformed, match="strings of 1 groups"):
        check_outline(replace(outline, words=(0,)))


# ── strings ───────────────────────────────────────────────────────────────────────────────────────────────────────

FIRST, ROWS = 3, 4000


def named(names: list[str], **others: bytes) -> dict[str, bytes]:
    """Rows that point to a code that is rare, and each to a name of its own."""
    strings = sorted({"", "common", "rare", *names})
    codes = ["rare" if row == FIRST else "common" for row in range(len(names))]
    columns = {SOUGHT: codes, "name.u32": names}
    about = [{"file": file, "unit": STRING} for file in columns]
    return {
        **{file: array("I", map(strings.index, values)).tobytes() for file, values in columns.items()},
        STRINGS: json.dumps(strings, separators=(",", ":"), ensure_ascii=False).encode(),
        "schema.json": json.dumps({"columns": about}).encode(),
        **others,
    }


NAMES = named([f"rs{row * 7919 % 1009}" + "é" * (row % 3) for row in range(ROWS)])


def test_strings_of_one_group_lie_with_it() -> None:
    outline, groups = cut(NAMES)
    assert join(outline, groups) == NAMES
    everything = json.loads(NAMES[STRINGS])
    alone, total = _kept_strings(outline)
    assert total == len(everything)
    assert {"", "common", "rare"} <= set(alone.values())  # rows are looked for by code
    columns, some = select(outline, [(1, groups[1])], ["name.u32"], {})
    assert len(alone) < len(some) < total
    assert all(everything[place] == string for place, string in some.items())
    assert set(array("I", columns["name.u32"])) <= set(some)
    assert outline.size_of(1) == len(groups[1]) > outline.columns_in(1)


@pytest.mark.parametrize(
    "files",
    [
        named(["a"]),  # one group
        NAMES | {"schema.json": b"{"},
        NAMES | {"schema.json": b"{}"},
        NAMES | {STRINGS: b'["a"]'},  # fewer than rows point to
        NAMES | {STRINGS: b" " + NAMES[STRINGS]},  # spelled otherwise
        NAMES | {STRINGS: b"\xff"},
    ],
)
def test_where_they_cannot_be_told_apart_all_strings_stay(files: dict[str, bytes]) -> None:
    outline, groups = cut(files)
    assert not any(outline.words)
    assert join(outline, groups) == files


def test_strings_that_no_table_has_are_refused() -> None:
    outline, groups = cut(NAMES)
    others = dict(outline.others)
    holes = json.loads(others[STRINGS])

    def with_strings(strings: bytes) -> Outline:
        return replace(outline, others=tuple(sorted((others | {STRINGS: strings}).items())))

    for strings in (b"", b"[0]", b"[-1]", json.dumps([*holes, 1]).encode(), json.dumps([2**32, *holes]).encode()):
        with pytest.raises(Malformed):
            join(with_strings(strings), groups)
    for strings in (holes[:-1], [2**31, *holes[1:]], [*holes[:-1], 2**31]):
        with pytest.raises(Malformed, match="strings"):
            join(with_strings(json.dumps(strings).encode()), groups)
    size = outline.columns_in(0)
    for tail in (b"[]".ljust(outline.words[0]), b"\xff" * outline.words[0], b'["x"]'.ljust(outline.words[0])):
        with pytest.raises(Malformed, match="strings"):
            join(outline, [groups[0][:size] + tail, *groups[1:]])
