"""The columns of a row group, each in the form that packs best.

`docs/formats.md`, "The hub's store". A group in its forms begins with one byte a column that names its form; columns and
strings follow in the order that they have in the group, in as many bytes.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import zstandard

from edgehold import _native
from edgehold.codecs.segments import Outline, columns_of, format_of, width_of
from edgehold.errors import CannotDecode

TRIAL_LEVEL: Final = 1
"""The level of zstd at which the forms of a column are compared."""


class Form(IntEnum):
    """How a column lies in its group."""

    PLAIN = 0
    """Number after number."""
    PLANES = 1
    """The lowest bytes of all numbers, then those above them."""
    STEPS = 2
    """In planes, and each number as what it is more than the one before, modulo its width."""


def in_forms(outline: Outline, number: int, group: bytes) -> bytes:
    """A row group with each of its columns in the form of the fewest bytes; raises `Malformed` if it has another length
    than the outline says."""
    trial = zstandard.ZstdCompressor(level=TRIAL_LEVEL)
    chosen = [
        min(
            [(form, _folded(form, name, column)) for form in forms_of(name)],
            key=lambda one: len(trial.compress(one[1])),
        )
        for name, column in columns_of(outline, number, group)
    ]
    return b"".join(
        [bytes(form for form, _ in chosen), *(column for _, column in chosen), _words(outline, number, group)]
    )


def out_of_forms(outline: Outline, number: int, folded: bytes) -> bytes:
    """The row group again; raises `CannotDecode` for a form that no column of its kind has, `Malformed` for another
    length than the outline says."""
    named, group = folded[: len(outline.columns)], folded[len(outline.columns) :]
    columns = [
        _unfolded(form, name, column)
        for form, (name, column) in zip(named, columns_of(outline, number, group), strict=True)
    ]
    return b"".join([*columns, _words(outline, number, group)])


def most_in_forms(outline: Outline, number: int) -> int:
    """Bytes that a group has in its forms."""
    return len(outline.columns) + outline.size_of(number)


def forms_of(name: str) -> list[Form]:
    """The forms that a column of this name can have: bytes have one plane, and floating-point numbers no steps."""
    is_wide, is_whole = width_of(name) > 1, format_of(name) != "d"
    return [Form.PLAIN, *([Form.PLANES] if is_wide else []), *([Form.STEPS] if is_whole else [])]


def _folded(form: Form, name: str, column: bytes) -> bytes:
    if form is Form.PLAIN:
        return column
    return _native.column_fold(column, width_of(name), form is Form.STEPS)


def _unfolded(form: int, name: str, column: bytes) -> bytes:
    if form not in forms_of(name):
        raise CannotDecode(f"a column {name} has no form {form}")
    return column if form == Form.PLAIN else _native.column_unfold(column, width_of(name), form == Form.STEPS)


def _words(outline: Outline, number: int, group: bytes) -> bytes:
    return group[outline.columns_in(number) :]
