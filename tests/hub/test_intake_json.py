"""JSON as a hub takes it in: one reading, or a reason with its place."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.errors import IntakeError, IntakeLimit, NotJson
from edgehold.hub.intake.json_text import read_json

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(values, st.sampled_from([None, 2]), st.booleans())
def test_a_value_is_read_as_it_was_written(value: Any, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    try:
        assert read_json(text.encode()) == value
    except NotJson as error:
        assert "range" in str(error) or "surrogate" in str(error)  # noqa: PT017  # beyond a double


@given(st.binary(max_size=60))
def test_any_bytes_are_a_value_or_an_intake_error(data: bytes) -> None:
    try:
        read_json(data)
    except IntakeError as error:
        assert str(error).startswith("/")  # noqa: PT017


@given(values, st.data())
def test_a_document_that_lost_or_changed_a_byte_is_a_value_or_an_intake_error(value: Any, data: st.DataObject) -> None:
    text = bytearray(json.dumps(value).encode())
    position = data.draw(st.integers(0, len(text) - 1))
    if data.draw(st.booleans()):
        del text[position:]
    else:
        text[position] = data.draw(st.integers(0, 255))
    try:
        read_json(bytes(text))
    except IntakeError as error:
        assert str(error).startswith("/")  # noqa: PT017


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "/: the document ends too early"),
        (b'{"a":1', "/a: the document ends too early"),
        (b'{"a":[1,{"b":1,"b":2}]}', "/a/1/b: the key is given twice"),
        (b'{"a":1,"\\u0061":2}', "/a: the key is given twice"),
        (b'{"a" :1,"a" :"x\\u003ay"}', "/a: the key is given twice"),
        (b"[NaN]", "/0: not JSON"),
        (b"[-Infinity]", "/0: not JSON"),
        (b"[1e999]", "/0: a number out of range"),
        (b"[" + b"1" * 5000 + b"]", "/0: a number out of range"),
        (b'{"a":["' + b"1" * 400 + b'",-' + b"9" * 309 + b"]}", "/a/1: a number out of range"),
        (b"[01]", "/0: not JSON"),
        (b'["\\ud800"]', "/0: half of a surrogate pair"),
        (b'["\x01"]', "/0: not JSON"),
        (b'{"a":"\xff"}', "/: byte 6 is not UTF-8"),
        (b"\xef\xbb\xbf{}", "/: begins with a byte order mark"),
        (b"{} {}", "/: something follows the document"),
        (b"[]]", "/: something follows the document"),
        (b"{1:2}", "/: an object's key is missing"),
        (b'{"a":1,}', "/a: an object's key is missing"),
        (b'{"a" 1}', "/a: a colon is missing"),
        (b'{"a":1 "b":2}', "/a: a comma is missing"),
        (b"[1,]", "/1: a value is missing"),
        (b'{"a":{"Ada Lovelace":}', "/a/?: a value is missing"),
    ],
)
def test_each_fault_is_named_with_its_place(text: bytes, message: str) -> None:
    with pytest.raises(NotJson) as refused:
        read_json(text)
    assert str(refused.value).startswith(message)


def test_many_numbers_of_many_digits_are_not_even_looked_at() -> None:
    """Each takes time with the square of its digits."""
    number = b"9" * 4000
    with pytest.raises(IntakeLimit, match="more than 100 numbers of more than 308 digits"):
        read_json(b"[" + b",".join([number] * 4000) + b"]")
    text = b'"' + number + b'"'
    assert len(read_json(b"[" + b",".join([text] * 200) + b"]")) == 200


def test_depth_is_limited_exactly() -> None:
    assert read_json(b"[" * 64 + b"]" * 64)
    for deep in (b"[" * 65 + b"]" * 65, b'{"a":' * 65 + b"1" + b"}" * 65, b"[" * 100_000):
        with pytest.raises(IntakeLimit, match="more than 64 containers"):
            read_json(deep)
    assert read_json(b'["[[[[", "]"]', max_depth=1) == ["[[[[", "]"]


def test_colons_in_strings_are_not_mistaken_for_keys() -> None:
    assert read_json(b'{"a:b":"::","c":"\\u003a"}') == {"a:b": "::", "c": ":"}
