"""Small changes to valid bytes: by the bit, by the byte, by the field, and in the spelling only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random
from typing import Any

import cbor2

Mutator = Callable[[bytes, Sequence[bytes], Random], bytes]
"""From valid bytes, other valid bytes of the same kind, and chance: other bytes."""


def flip_bit(data: bytes, others: Sequence[bytes], dice: Random) -> bytes:
    """One bit is the other way round."""
    at = dice.randrange(8 * len(data))
    return _put(data, at // 8, bytes([data[at // 8] ^ 1 << at % 8]))


def set_byte(data: bytes, others: Sequence[bytes], dice: Random) -> bytes:
    """One byte is another."""
    return _put(data, dice.randrange(len(data)), dice.choice((b"\x00", b"\xff", b"\x80", dice.randbytes(1))))


def insert(data: bytes, others: Sequence[bytes], dice: Random) -> bytes:
    """A byte more."""
    at = dice.randrange(len(data) + 1)
    return data[:at] + dice.choice((b"\x00", dice.randbytes(1))) + data[at:]


def delete(data: bytes, others: Sequence[bytes], dice: Random) -> bytes:
    """A few bytes less."""
    at = dice.randrange(len(data))
    return data[:at] + data[at + dice.choice((1, 1, 2, 8)) :]


def duplicate(data: bytes, others: Sequence[bytes], dice: Random) -> bytes:
    """A part stands there twice."""
    at, size = dice.randrange(len(data)), dice.choice((1, 16, 32, 64))
    return data[: at + size] + data[at:]


def swap(data: bytes, others: Sequence[bytes], dice: Random) -> bytes:
    """Two parts have changed places."""
    size = dice.choice((1, 4, 32))
    first, second = sorted(dice.randrange(max(1, len(data) - size)) for _ in range(2))
    one, other = data[first : first + size], data[second : second + size]
    return _put(_put(data, first, other), second, one)[: len(data)]


def cut(data: bytes, others: Sequence[bytes], dice: Random) -> bytes:
    """The end is missing."""
    return data[: dice.randrange(len(data))]


def extend(data: bytes, others: Sequence[bytes], dice: Random) -> bytes:
    """Something follows."""
    return data + dice.choice((b"\x00", dice.randbytes(4), data[:1], data))


def transplant(data: bytes, others: Sequence[bytes], dice: Random) -> bytes:
    """A part is as in another valid one, at the same place."""
    other = dice.choice(others)
    at, size = dice.randrange(len(data)), dice.choice((1, 16, 32, 64, 256))
    return _put(data, at, other[at : at + size])[: len(data)]


def change_field(data: bytes, others: Sequence[bytes], dice: Random) -> bytes:
    """One field of a CBOR message has another value, in the canonical spelling."""
    value = _read(data)
    places = list(_leaves(value))
    if not places:
        return flip_bit(data, others, dice)
    inside, key = dice.choice(places)
    inside[key] = _other(inside[key], [leaf for other in others for leaf in _values(_read(other))], dice)
    return cbor2.dumps(value, canonical=True)


def spell_longer(data: bytes, others: Sequence[bytes], dice: Random) -> bytes:
    """The same CBOR value, one of its heads longer than need be or of indefinite length, or with a tag in front."""
    heads = [at for at in range(len(data)) if data[at] & 31 < 24 and data[at] >> 5 < 6]
    at = dice.choice(heads or [0])
    major, small = data[at] & 0xE0, data[at] & 31
    kind = dice.randrange(3)
    if kind == 0:
        return data[:at] + bytes([major | 24, small]) + data[at + 1 :]
    if kind == 1 and major == 0x80 and at == 0:
        return b"\x9f" + data[1:] + b"\xff"
    return data[:at] + dice.choice((b"\xd9\xd9\xf7", b"\xc1", b"\xd8\x40")) + data[at:]


BY_BYTES: tuple[Mutator, ...] = (flip_bit, flip_bit, set_byte, insert, delete, duplicate, swap, cut, extend, transplant)
BY_FIELDS: tuple[Mutator, ...] = (*BY_BYTES, change_field, change_field, change_field, spell_longer)


def mutate(data: bytes, others: Sequence[bytes], mutators: Sequence[Mutator], dice: Random) -> bytes:
    """Other bytes than these."""
    while True:
        changed = dice.choice(mutators)(data, others, dice)
        if changed != data:
            return changed


def mutate_part(data: bytes, start: int, end: int, others: Sequence[bytes], dice: Random) -> bytes:
    """Other bytes in this part, of the same length."""
    parts = [other[start:end] for other in others]
    while True:
        part = dice.choice((flip_bit, flip_bit, set_byte, swap, transplant))(data[start:end], parts, dice)
        if part != data[start:end] and len(part) == end - start:
            return data[:start] + part + data[end:]


def _put(data: bytes, at: int, part: bytes) -> bytes:
    return data[:at] + part + data[at + len(part) :]


def _read(data: bytes) -> Any:
    try:
        return cbor2.loads(data)
    except (cbor2.CBORDecodeError, ValueError):
        return None


def _leaves(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, list):
        return []
    found: list[tuple[Any, Any]] = []
    for place, one in enumerate(value):
        found += _leaves(one) if isinstance(one, list) else [(value, place)]
    return found


def _values(value: Any) -> list[Any]:
    return [inside[key] for inside, key in _leaves(value)]


def _other(value: Any, pool: Sequence[Any], dice: Random) -> Any:
    """Another value of this kind, rather one that stands in another message."""
    if isinstance(value, bool) or value is None:
        return dice.choice((None, True, False, 0, 1))
    if isinstance(value, int):
        return dice.choice((value + 1, value - 1, 0, -1, 2**63, 2**64, value * 2 + 1))
    same = [one for one in pool if type(one) is type(value) and one != value and len(one) == len(value)]
    if same and dice.random() < 0.7:
        return dice.choice(same)
    if isinstance(value, str):
        return dice.choice((value + "x", value[:-1], "", value.upper()))
    return flip_bit(value, (), dice) if value else b"\x00"
