"""Every message of the protocol: written in one way, read back, and nothing else is read."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Struct

from edgehold.errors import Malformed
from edgehold.ledger.state import ENTRY_TYPES
from edgehold.wire.codec import MAX_MESSAGE, decode, encode
from edgehold.wire.entry import Collection
from edgehold.wire.tx import Body, Envelope, tag_of

VECTORS = Path(__file__).parents[1] / "vectors" / "rules" / "entries.json"
EXAMPLES: list[dict[str, Any]] = json.loads(VECTORS.read_text())
MODULES = [
    importlib.import_module(f"edgehold.wire.{name}")
    for name in (
        "account",
        "batch",
        "governance",
        "light",
        "order",
        "panel",
        "program",
        "query",
        "root",
        "snapshot",
        "task",
        "tx",
    )
]


def kind_of(example: dict[str, Any]) -> Any:
    if "collection" in example:
        return ENTRY_TYPES[Collection[example["collection"]]]
    return next(getattr(module, example["type"]) for module in MODULES if hasattr(module, example["type"]))


def all_structs() -> set[type[Struct]]:
    found: set[type[Struct]] = set()
    for module in MODULES:
        members = vars(module).values()
        found |= {member for member in members if isinstance(member, type) and issubclass(member, Struct)}
    return found - {Struct}


@pytest.mark.parametrize("kind", sorted(all_structs(), key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__)
def test_every_message_is_frozen_positional_and_closed(kind: type[Struct]) -> None:
    config = kind.__struct_config__
    assert (config.frozen, config.array_like, config.forbid_unknown_fields) == (True, True, True)
    assert kind.__doc__


def test_no_tag_is_used_twice() -> None:
    tags = [kind.__struct_config__.tag for kind in Body.__args__]
    assert len(set(tags)) == len(tags) == 26
    assert all(isinstance(tag, int) for tag in tags)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["type"])
def test_what_is_written_is_read_back(example: dict[str, Any]) -> None:
    data = bytes.fromhex(example["bytes"])
    message = decode(data, kind_of(example))
    assert encode(message) == data
    if "tag" in example:
        assert tag_of(message) == example["tag"]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["type"])
def test_a_byte_more_or_less_is_malformed(example: dict[str, Any]) -> None:
    data, kind = bytes.fromhex(example["bytes"]), kind_of(example)
    for other in (data + b"\x00", data[:-1], b""):
        with pytest.raises(Malformed):
            decode(other, kind)


@given(example=st.sampled_from(EXAMPLES), data=st.data())
def test_any_changed_byte_is_another_message_or_malformed(example: dict[str, Any], data: st.DataObject) -> None:
    whole = bytearray.fromhex(example["bytes"])
    place = data.draw(st.integers(0, len(whole) - 1))
    whole[place] ^= data.draw(st.integers(1, 255))
    kind = kind_of(example)
    try:
        message = decode(bytes(whole), kind)
    except Malformed:
        return
    assert message != decode(bytes.fromhex(example["bytes"]), kind)
    assert encode(message) == bytes(whole)


@given(st.binary(max_size=300))
def test_any_bytes_are_malformed_or_canonical(data: bytes) -> None:
    for kind in (Envelope, *ENTRY_TYPES.values()):
        try:
            message = decode(data, kind)
        except Malformed:
            continue
        assert encode(message) == data


def test_no_message_is_larger_than_the_protocols_most() -> None:
    with pytest.raises(Malformed, match="more than"):
        decode(bytes(MAX_MESSAGE + 1), Envelope)


@pytest.mark.parametrize(
    "spelling",
    [
        "9f01ff",  # an array of indefinite length
        "811801",  # an integer in two bytes
        "81f90001",  # a float
        "81c101",  # a tag around the integer
        "81f5",  # true
        "d9d9f78101",  # the self-describing tag
        "818101",  # one array too many
    ],
)
def test_another_spelling_of_a_value_is_malformed(spelling: str) -> None:
    kind = ENTRY_TYPES[Collection.REVOCATION]
    assert encode(decode(bytes.fromhex("8101"), kind)) == b"\x81\x01"
    with pytest.raises(Malformed):
        decode(bytes.fromhex(spelling), kind)
