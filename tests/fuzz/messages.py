"""Valid messages of any type, made from its fields and their limits: seeds for kinds that no short story contains."""

from __future__ import annotations

import re
import types
import typing
from enum import Enum
from random import Random
from typing import Any

from msgspec import Meta, Struct

from edgehold.wire.codec import encode

TEXTS = ("0", "311/1000", "1/5", "7", "0123456789abcdef0123456789abcdef01234567", "node.example.org:26656")
"""Texts for the forms of text that messages prescribe."""

LONGEST = 40
"""Bytes, characters or items, unless the type asks for more."""


def messages(kind: Any, count: int = 8) -> list[bytes]:
    """So many different messages of a type, as they are written; the same ones every time."""
    dice = Random(f"messages of {kind}")
    return sorted({encode(example(kind, dice)) for _ in range(3 * count)}, key=len)[:count]


def example(kind: Any, dice: Random, limits: dict[str, int] | None = None) -> Any:
    """One value of a type."""
    limits = limits or {}
    if isinstance(kind, typing.NewType):
        return example(kind.__supertype__, dice, limits)
    match typing.get_origin(kind):
        case typing.Annotated:
            inner, *notes = typing.get_args(kind)
            return example(inner, dice, _limits(notes) | limits)
        case typing.Union | types.UnionType:
            return example(dice.choice(typing.get_args(kind)), dice)
        case origin if origin in (tuple, list):
            return origin(_items(typing.get_args(kind), dice, limits))
        case origin if origin is dict:
            key, value = typing.get_args(kind)
            return {example(key, dice): example(value, dice) for _ in range(_length(dice, limits, 3))}
    if kind is type(None):
        return None
    if isinstance(kind, type) and issubclass(kind, Struct):
        hints = typing.get_type_hints(kind, include_extras=True)
        return kind(**{name: example(hints[name], dice) for name in kind.__struct_fields__})
    if isinstance(kind, type) and issubclass(kind, Enum):
        return dice.choice(list(kind))
    return _scalar(kind, dice, limits)


def _limits(notes: list[Any]) -> dict[str, Any]:
    names = ("ge", "le", "gt", "lt", "min_length", "max_length", "pattern")
    found = {name: getattr(note, name) for note in notes if isinstance(note, Meta) for name in names}
    return {name: limit for name, limit in found.items() if limit is not None}


def _items(kinds: tuple[Any, ...], dice: Random, limits: dict[str, int]) -> list[Any]:
    if len(kinds) == 2 and kinds[1] is not Ellipsis:
        return [example(one, dice) for one in kinds]
    return [example(kinds[0], dice) for _ in range(_length(dice, limits, 3))]


def _scalar(kind: Any, dice: Random, limits: dict[str, Any]) -> Any:
    if kind is bool:
        return dice.random() < 0.5
    if kind is int:
        least = limits.get("ge", limits.get("gt", -1) + 1)
        most = limits.get("le", limits.get("lt", 2**64) - 1)
        return dice.choice((least, most, dice.randint(least, most), min(most, least + dice.randrange(300))))
    if kind is bytes:
        return dice.randbytes(_length(dice, limits, LONGEST))
    if kind is str:
        if (form := limits.get("pattern")) is not None:
            return dice.choice([text for text in TEXTS if re.search(form, text)])
        return "".join(dice.choices("abc 0/:µ", k=_length(dice, limits, LONGEST)))
    raise TypeError(f"no example of {kind}")


def _length(dice: Random, limits: dict[str, int], usual: int) -> int:
    least = limits.get("min_length", 0)
    return dice.randint(least, max(least, min(usual, limits.get("max_length", usual))))
