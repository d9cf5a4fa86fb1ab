"""One value, one encoding: positional arrays in deterministic CBOR (RFC 8949, section 4.2).

A message is a frozen `msgspec.Struct` with `array_like=True`. Its bytes are what `encode` writes; `decode` refuses every other
spelling of the same value, so that a digest names a message and not one of its many encodings.
"""

from __future__ import annotations

from contextlib import suppress
from threading import Lock
from types import UnionType
from typing import Any, NoReturn, TypeVar, overload

import cbor2
import msgspec

from edgehold.errors import Malformed

T = TypeVar("T")

MAX_MESSAGE = 1 << 24
"""Bytes; no single message of the protocol is larger (lists of leaves are sent in parts)."""

MANY_BYTES = 1 << 18
"""From so many bytes on a message's items are counted before it is read: an empty list is one byte here and 70 in memory."""

MOST_ITEMS = 1 << 17
"""Items of a message of many bytes; a full part of a list has 9,000."""

MOST_DEPTH = 32
"""Containers inside each other; no message of ours has more than 12."""


def _no_tag(*_: object) -> NoReturn:
    raise cbor2.CBORDecodeError("a tag, which no message has")


_TAGS_WITH_MEANING = (0, 1, 2, 3, 4, 5, 25, 28, 29, 30, 35, 36, 37, 52, 54, 100, 256, 258, 260, 261, 1004, 43000, 55799)
_NO_TAGS = dict.fromkeys(_TAGS_WITH_MEANING, _no_tag)
"""The library gives these a meaning (dates, e-mail, regular expressions), which costs whoever reads; we have none."""


_known: set[Any] = set()
_learning = Lock()
"""The types of which a value was read, and whose turn it is to read the first."""


def encode(message: Any) -> bytes:
    """Write a message; two equal messages have equal bytes."""
    return cbor2.dumps(msgspec.to_builtins(message, builtin_types=(bytes,)), canonical=True)


def encode_bytes(data: bytes) -> bytes:
    """As `encode` of a byte string of less than 4 GiB: its head (RFC 8949, section 3) and itself."""
    size = len(data)
    if size < 24:
        return bytes([0x40 | size]) + data
    width = 0 if size < 1 << 8 else 1 if size < 1 << 16 else 2
    return bytes([0x58 | width]) + size.to_bytes(1 << width, "big") + data


@overload
def decode(data: bytes, kind: type[T]) -> T: ...
@overload
def decode(data: bytes, kind: UnionType) -> Any: ...
def decode(data: bytes, kind: Any) -> Any:
    """Read a message, refusing bytes that any other writer would have written differently.

    Raises `Malformed` for whatever is wrong: not CBOR, trailing bytes, a type or limit that does not hold, another spelling.
    """
    message = decode_stored(data, kind)
    if encode(message) != data:
        raise Malformed(f"not the canonical encoding of a {name_of(kind)}")
    return message


def decode_stored(data: bytes, kind: Any) -> Any:
    """Read a message whose bytes `encode` is known to have written, such as an entry of the state; raises `Malformed`.

    Without the knowledge, use `decode`: this reads other spellings too.
    """
    if len(data) > MAX_MESSAGE:
        raise Malformed(f"{len(data)} bytes are more than the {MAX_MESSAGE} of any {name_of(kind)}")
    try:
        if len(data) > MANY_BYTES:
            _count_items(data)
        plain = cbor2.loads(
            data, tag_hook=_no_tag, semantic_decoders=_NO_TAGS, max_depth=MOST_DEPTH, allow_indefinite=False
        )
        return convert(plain, kind)
    except (
        cbor2.CBORDecodeError,
        msgspec.ValidationError,
        ValueError,
        TypeError,
        RecursionError,
        OverflowError,
    ) as error:
        raise Malformed(f"not a {name_of(kind)}: {error}") from error


@overload
def convert(value: Any, kind: type[T]) -> T: ...
@overload
def convert(value: Any, kind: UnionType) -> Any: ...
def convert(value: Any, kind: Any) -> Any:
    """As `msgspec.convert`, but two threads may read their first value of a type at once."""
    _learn(kind)
    return msgspec.convert(value, kind)


def decode_json(data: bytes | msgspec.Raw, kind: type[T]) -> T:
    """As `msgspec.json.decode`, but two threads may read their first value of a type at once."""
    _learn(kind)
    return msgspec.json.decode(data, type=kind)


def _learn(kind: Any) -> None:
    """Let one thread alone read the first value of a type.

    What the library learns of a struct it keeps with the class before it is complete: a second thread that uses it then
    ends the process.
    """
    if kind not in _known:
        with _learning:
            with suppress(msgspec.ValidationError):
                msgspec.convert(None, kind)
            _known.add(kind)


def _count_items(data: bytes) -> None:
    """Go from head to head (RFC 8949, section 3) without building anything; raises `ValueError` for too many."""
    place = 0
    for _ in range(MOST_ITEMS):
        if place >= len(data):
            return
        major, argument = data[place] >> 5, data[place] & 31
        width = (0, 1, 2, 4, 8)[max(0, argument - 23)] if argument < 28 else 0
        length = int.from_bytes(data[place + 1 : place + 1 + width], "big") if width else argument
        place += 1 + width + (length if major in (2, 3) else 0)
    raise ValueError(f"more than {MOST_ITEMS} items")


def name_of(kind: Any) -> str:
    """A type's name for messages; a union is named by its members."""
    return getattr(kind, "__name__", None) or str(kind)
