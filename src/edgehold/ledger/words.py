"""Any entry or transaction of the ledger in words, for people who read its log."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, IntEnum

import msgspec

from edgehold.errors import Malformed
from edgehold.ledger.state import ENTRY_TYPES
from edgehold.wire.codec import decode
from edgehold.wire.entry import Collection
from edgehold.wire.tx import Envelope, Receipt

SHOWN = 8
"""Bytes of an id that are shown; it is told by them among the few that a reader sees at once."""


def describe(message: object) -> str:
    """What a message says, on one line: its name, then its fields by theirs; long bytes are cut."""
    match message:
        case msgspec.Struct():
            return f"{_spaced(type(message).__name__)} ({_fields(message)})"
        case None:
            return "none"
        case bool():
            return "yes" if message else "no"
        case bytes():
            return _bytes(message)
        case tuple():
            return f"[{', '.join(describe(item) for item in message)}]"
        case IntEnum():
            return message.name.lower()
        case Enum():
            return str(message.value)
        case _:
            return str(message)


def describe_envelope(envelope: Envelope) -> str:
    """Who asks for what, and until when."""
    return f"{_bytes(envelope.sender)} until height {envelope.expires}: {describe(envelope.body)}"


def describe_receipt(receipt: Receipt) -> str:
    """What became of a transaction."""
    if receipt.number:
        return f"refused at height {receipt.height}: EH{receipt.number:03d} {receipt.facts}"
    made = f", made {_bytes(receipt.made)}" if receipt.made is not None else ""
    return f"done at height {receipt.height}{made}"


def describe_entry(key: bytes, value: bytes) -> str:
    """An entry of the state map from its flat key and its bytes; raises `Malformed` for what no rule writes."""
    try:
        collection = Collection(int.from_bytes(key[:1], "big"))
    except ValueError as error:
        raise Malformed(f"{key[:1].hex() or 'nothing'} is no collection") from error
    entry = decode(value, ENTRY_TYPES[collection])
    name = " ".join([collection.name.lower(), *_ids(collection, key[1:])])
    return f"{name}: {_fields(entry) if isinstance(entry, msgspec.Struct) else describe(entry)}"


def show(message: object) -> object:
    """The whole message as JSON values: fields by name, bytes in hexadecimal, nothing cut."""
    match message:
        case msgspec.Struct():
            fields = {name: show(getattr(message, name)) for name in message.__struct_fields__}
            return {"is": type(message).__name__, **fields}
        case tuple():
            return [show(item) for item in message]
        case bytes():
            return message.hex()
        case IntEnum():
            return message.name
        case Enum():
            return message.value
        case _:
            return message


def _ids(collection: Collection, rest: bytes) -> Iterator[str]:
    """The parts of a flat key: ids of 32 bytes, then a claim in letters or a period in 8 bytes."""
    while len(rest) >= 32:
        yield _bytes(rest[:32])
        rest = rest[32:]
    if collection is Collection.ATTESTATION:
        yield rest.decode("ascii", "replace")
    elif len(rest) > 8:
        raise Malformed(f"a key with {len(rest)} bytes after its ids")
    elif rest:
        yield f"period {int.from_bytes(rest, 'big')}"


def _fields(message: msgspec.Struct) -> str:
    named = ((name.replace("_", " "), getattr(message, name)) for name in message.__struct_fields__)
    return ", ".join(f"{name} {describe(value)}" for name, value in named)


def _bytes(value: bytes) -> str:
    if len(value) <= SHOWN:
        return value.hex() or "empty"
    return f"{value[:SHOWN].hex()}…" if len(value) == 32 else f"{value[:SHOWN].hex()}… ({len(value)} bytes)"


def _spaced(name: str) -> str:
    return "".join(f" {letter.lower()}" if letter.isupper() else letter for letter in name).strip()
