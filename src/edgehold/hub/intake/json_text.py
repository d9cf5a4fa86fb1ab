"""JSON as a hub takes it in: one document that can be read in one way only.

RFC 8259 in UTF-8, and stricter: no key twice in an object, no number beyond the range of a double, no half of a
surrogate pair, limited depth and number of values. A good document is read by compiled code; a bad one is read again
by hand, to say where it is bad and why, as far as that takes no long time.
"""

from __future__ import annotations

import json
import re
import sys
from itertools import islice
from typing import Any

import msgspec

from edgehold.errors import IntakeLimit, NotJson

MAX_DEPTH = 64
"""Containers inside each other; FHIR records have about 20."""
MAX_VALUES = 1_000_000
"""Values of a document, each counted once or twice: an empty list has three bytes here and 70 in memory. A FHIR record
of 16 MB has 700,000."""
MAX_TOKENS = 200_000
"""How far a bad document is read by hand."""

TOKEN = re.compile(
    r'(?P<string>"(?:[^"\\\x00-\x1f]++|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*+")'
    r"|(?P<number>-?(?:0|[1-9][0-9]*+)(?:\.[0-9]++)?+(?:[eE][+-]?[0-9]++)?+(?![0-9a-zA-Z.+-]))"
    r"|(?P<word>(?:true|false|null)(?![0-9a-zA-Z]))"
    r"|(?P<mark>[{}\[\],:])"
)
SPACE = re.compile(r"[ \t\n\r]*+")
HIDDEN_COLON = re.compile(rb"(?<!\\)(?:\\\\)*+\\u003[aA]")
"""A colon that a string writes as an escape: after an even number of backslashes."""
LONG_NUMBER = re.compile(rb"[0-9]{309}")
"""Digits of which a whole number may be made that is no double; most often they stand in a string."""
MAX_LONG_NUMBERS = 100
"""Numbers of such length are refused, but reading one takes time with the square of its digits."""
DIGITS = re.compile(rb"[0-9]{4}")
LIKELY_NUMBER = re.compile(rb"[\[:,\s]-?[0-9]{309}")
"""A long number by what stands before it, as it hardly stands in a string."""
MAX_POINTER = 200
ELEMENT = re.compile(r"_?[A-Za-z]{1,48}(?:64[A-Za-z]*)?")
"""How elements of FHIR are named, `valueBase64Binary` the oddest; a key that is none may be a word about somebody."""


def read_json(data: bytes, max_depth: int = MAX_DEPTH) -> Any:
    """The value that the text stands for. Raises `NotJson` or `IntakeLimit`, which begin with the place (a JSON
    pointer)."""
    excess = find_excess(data)
    if excess is not None:
        raise IntakeLimit(f"/: {excess}")
    try:
        value = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _explain(data, max_depth, str(error)) from error
    if not _has_depth(value, max_depth) or _has_repeated_key(data, value) or _has_huge_number(data, value):
        raise _explain(data, max_depth, "cannot be read in one way only")
    return value


def find_excess(data: bytes) -> str | None:
    """What a text may ask of its reader beyond all measure, seen without reading it: values, each of which follows a
    comma or begins inside a bracket, or the digits of numbers."""
    if data.count(b",") + data.count(b"[") + data.count(b"{") > MAX_VALUES:
        return f"more than {MAX_VALUES} values"
    if not _may_have_long_number(data):
        return None
    if sum(1 for _ in islice(LIKELY_NUMBER.finditer(data), MAX_LONG_NUMBERS + 1)) > MAX_LONG_NUMBERS:
        return f"more than {MAX_LONG_NUMBERS} numbers of more than 308 digits"
    return None


def _may_have_long_number(data: bytes) -> bool:
    """Whether every 64th byte, looked at alone, leaves it possible: 309 digits show as four there, one after another."""
    return DIGITS.search(data[::64]) is not None


def _has_depth(value: Any, limit: int) -> bool:
    """Whether at most `limit` containers lie inside each other: goes down level by level, all containers of a level at
    once."""
    level = [value]
    for _ in range(limit + 1):
        level = [container for container in level if type(container) is dict or type(container) is list]
        if not level:
            return True
        inside: list[Any] = []
        for container in level:
            inside.extend(container.values() if type(container) is dict else container)
        level = inside
    return False


def _has_repeated_key(data: bytes, value: Any) -> bool:
    """Whether some object names a key twice, of which the reader then kept one.

    Each pair has one colon, and the colons in strings, escaped or not, are written as they are: so written out again
    there are as many colons as before exactly if no pair was lost.
    """
    colons = data.count(b":")
    if b"\\u003" in data:
        colons += sum(1 for _ in HIDDEN_COLON.finditer(data))
    return msgspec.json.encode(value).count(b":") != colons


def _has_huge_number(data: bytes, value: Any) -> bool:
    """Whether some whole number is beyond the range of a double; the reader has those as they are."""
    if not _may_have_long_number(data) or LONG_NUMBER.search(data) is None:
        return False
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if type(one) is dict or type(one) is list:
            waiting.extend(one.values() if type(one) is dict else one)
        elif type(one) is int and abs(one) > sys.float_info.max:
            return True
    return False


def _explain(data: bytes, max_depth: int, otherwise: str) -> NotJson | IntakeLimit:
    """The error for a text that was refused, with the first place that a reader by hand stumbles over."""
    if data.startswith(b"\xef\xbb\xbf"):
        return NotJson("/: begins with a byte order mark, which JSON in UTF-8 has not")
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return NotJson(f"/: byte {error.start} is not UTF-8")
    return _find_fault(text, max_depth) or NotJson(f"/: {otherwise}")


def _find_fault(text: str, max_depth: int) -> NotJson | IntakeLimit | None:
    """Read token by token; the first fault as an error that names its place, or None if there is none so far."""
    stack: list[_Container] = []
    expected = "value"
    position = 0

    def fault(reason: str) -> NotJson:
        return NotJson(f"{_pointer(stack)}: {reason} (character {position})")

    for _ in range(MAX_TOKENS):
        position = SPACE.match(text, position).end()  # type: ignore[union-attr]  # matches always
        if expected == "end":
            return fault("something follows the document") if position < len(text) else None
        if position == len(text):
            return fault("the document ends too early")
        token = TOKEN.match(text, position)
        if token is None:
            return fault("not JSON")
        word, kind = token[0], token.lastgroup
        if (
            word in ("}", "]")
            and stack
            and word == stack[-1].closes
            and expected in ("key or end", "value or end", "comma")
        ):
            stack.pop()
            expected = "comma" if stack else "end"
        elif expected in ("key or end", "key"):
            if kind != "string":
                return fault("an object's key is missing")
            key = json.loads(word)
            repeated = key in stack[-1].keys
            stack[-1].key = key
            stack[-1].keys.add(key)
            if repeated:
                return fault("the key is given twice")
            expected = "colon"
        elif expected == "colon":
            if word != ":":
                return fault("a colon is missing")
            expected = "value"
        elif expected == "comma":
            if word != ",":
                return fault("a comma is missing")
            stack[-1].index += 1
            expected = "key" if stack[-1].closes == "}" else "value"
        elif word in ("{", "["):
            if len(stack) == max_depth:
                return IntakeLimit(f"{_pointer(stack)}: more than {max_depth} containers inside each other")
            stack.append(_Container("}" if word == "{" else "]"))
            expected = "key or end" if word == "{" else "value or end"
        elif kind == "mark":
            return fault("a value is missing")
        else:
            reason = _bad_scalar(word, kind)
            if reason:
                return fault(reason)
            expected = "comma" if stack else "end"
        position = token.end()
    return None


class _Container:
    """An object or array that is being read."""

    def __init__(self, closes: str) -> None:
        self.closes = closes
        self.index = 0
        self.key: str | None = None
        self.keys: set[str] = set()


def _bad_scalar(word: str, kind: str | None) -> str | None:
    if kind == "number":
        if len(word) > 4300 or float(word) in (float("inf"), float("-inf")):
            return "a number out of range"
    elif kind == "string" and "\\u" in word:
        try:
            json.loads(word).encode()
        except UnicodeEncodeError:
            return "half of a surrogate pair"
    return None


def _pointer(stack: list[_Container]) -> str:
    """JSON pointer (RFC 6901) to where reading stands, with a `?` for every key that is no name of an element."""
    steps = (str(one.index) if one.closes == "]" else _shown(one.key) for one in stack)
    return "".join(f"/{step}" for step in steps if step is not None)[:MAX_POINTER] or "/"


def _shown(key: str | None) -> str | None:
    return key if key is None or ELEMENT.fullmatch(key) else "?"
