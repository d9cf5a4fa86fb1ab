"""One value, one encoding: positional arrays in deterministic CBOR (RFC 8949, section 4.2).

A message is a frozen `msgspec.Struct` with `array_like=True`. Its bytes are what `encode` writes; `decode` refuses every other
spelling of the same value, so that a digest names a message and not one of its many encodings.
"""

from __future__ import annotations

from types import UnionType
from typing import Any, TypeVar, overload

import cbor2
import msgspec

from edgehold.errors import Malformed

T = TypeVar("T")

MAX_MESSAGE = 1 << 24
"""Bytes; no single message of the protocol is larger (lists of leaves are sent in parts)."""


def encode(message: Any) -> bytes:
    """Write a message; two equal messages have equal bytes."""
    return cbor2.dumps(msgspec.to_builtins(message, builtin_types=(bytes,)), canonical=True)


@overload
def decode(data: bytes, kind: type[T]) -> T: ...
@overload
def decode(data: bytes, kind: UnionType) -> Any: ...
def decode(data: bytes, kind: Any) -> Any:
    """Read a message, refusing bytes that any other writer would have written differently.

    Raises `Malformed` for whatever is wrong: not CBOR, trailing bytes, a type or limit that does not hold, another spelling.
    """
    if len(data) > MAX_MESSAGE:
        raise Malformed(f"{len(data)} bytes are more than the {MAX_MESSAGE} of any {name_of(kind)}")
    try:
        message = msgspec.convert(cbor2.loads(data), type=kind)
    except (
        cbor2.CBORDecodeError,
        msgspec.ValidationError,
        ValueError,
        TypeError,
        RecursionError,
        OverflowError,
    ) as error:
        raise Malformed(f"not a {name_of(kind)}: {error}") from error
    if encode(message) != data:
        raise Malformed(f"not the canonical encoding of a {name_of(kind)}")
    return message


def name_of(kind: Any) -> str:
    """A type's name for messages; a union is named by its members."""
    return getattr(kind, "__name__", None) or str(kind)
