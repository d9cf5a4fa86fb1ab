"""Archives of hubs, and the keys that they are sealed to and opened with."""

from __future__ import annotations

import io
import shutil
import struct
from pathlib import Path

from bombs import CBOR, MEGA, Bombs
from hub_world import World
from mutation import BY_BYTES
from target import BY_TOKENS, Reader, Target, require

from edgehold.crypto.age import identity_of, open_stream, read_identities, read_recipients, seal_stream
from edgehold.errors import ArchiveDamaged, ArchiveUnknown, BadIdentity, BadRecipient, Malformed, SealedToOthers
from edgehold.hub.archive import Unpacked, export_hub
from edgehold.hub.container import (
    Head,
    Schema,
    Unpacker,
    decode_rows,
    encode_row,
    pack,
    part_name,
    read_head,
    read_schema,
    table_parts,
)
from edgehold.wire.codec import encode

FRIEND, OTHER = identity_of(bytes(range(32))), identity_of(bytes(32))


def members(folder: Path) -> list[tuple[str, bytes]]:
    """What lies in the archive of a small hub."""
    hub = World(folder).new_hub("ada")
    (folder / "some.csv").write_bytes(b"code,value\n1,2\n")
    hub.import_file(folder / "some.csv")
    hub.close()
    export_hub(folder / "ada", folder / "hub.age", [FRIEND.recipient])
    found: list[tuple[str, bytes]] = []
    unpacker = Unpacker(lambda name, content: found.append((name, content)))
    with (folder / "hub.age").open("rb") as source:
        open_stream(source, unpacker, [FRIEND])
    unpacker.close()
    return found


def sealed(folder: Path) -> Reader:
    """A sealed stream, as whoever brings an archive may have made it: what comes out is what was sealed."""
    contents = [b"", b"some words" * 30, bytes(70_000)]
    sealed = []
    for content in contents:
        sink = io.BytesIO()
        seal_stream(io.BytesIO(content), sink, [OTHER.recipient, FRIEND.recipient])
        sealed.append(sink.getvalue())

    def read(data: bytes) -> None:
        opened = io.BytesIO()
        open_stream(io.BytesIO(data), opened, [FRIEND])
        require(opened.getvalue() in contents, "something comes out that was never sealed")

    return Reader(read, sealed)


def container(folder: Path) -> Reader:
    """A container as bytes: read, it is one that would be written so."""
    some: list[list[tuple[str, bytes]]] = [[], [("a", b"x"), ("b", bytes(600))]]

    def read(data: bytes) -> None:
        found: list[tuple[str, bytes]] = []
        unpacker = Unpacker(lambda name, content: found.append((name, content)))
        for at in range(0, len(data), 500):
            unpacker.write(data[at : at + 500])
        unpacker.close()
        require(b"".join(pack(found)) == data, "accepted in a spelling that is not ours")

    return Reader(read, [b"".join(pack(one)) for one in some])


SEAM = b"\xff|\xff"


def archived(folder: Path) -> Reader:
    """The members of a container, each with its digest as it should be, made a folder of."""
    good, place = members(folder), folder / "unpacked"
    names = [name for name, _ in good]

    def read(data: bytes) -> None:
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        changed = data.split(SEAM)[: len(good)]
        contents = [*changed, *(content for _, content in good[len(changed) :])]
        with Unpacked(place) as found:
            for piece in pack(zip(names, contents, strict=True)):
                found.write(piece)
            found.finish()

    return Reader(read, [SEAM.join(content for _, content in good)])


def rows(folder: Path) -> Reader:
    """Rows of a table, of three columns."""
    seeds = [encode_row((1, "two", b"three")), encode_row((None, -1, "")) * 3]

    def read(data: bytes) -> None:
        found = decode_rows(data, 3)
        require(b"".join(map(encode_row, found)) == data, "accepted in a spelling that is not ours")
        parts = list(table_parts("store", "t", found))
        require(parts[0][0] == part_name("store", "t", 0), "another name")
        require(b"".join(part for _, part in parts) == data, "cut into something else")

    return Reader(read, seeds)


def said(folder: Path) -> Reader:
    """Whose archive it is, and how a database of it is made."""
    good = dict(members(folder))

    def read(data: bytes) -> None:
        found: Head | Schema = read_head(data) if b"edgehold" in data else read_schema(data)
        require(encode(found) == data, "accepted in a spelling that is not ours")

    return Reader(read, [content for name, content in good.items() if name.endswith(("/schema", "-hub"))])


def keys(folder: Path) -> Reader:
    """A file of identities, or of recipients."""
    secret = b"AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"

    def read(text: bytes) -> None:
        words = text.decode("utf-8", "replace")
        if "age1" in words:
            require(bool(read_recipients(words, "a file")), "no recipient")
        else:
            require(bool(read_identities(words, "a file")), "no identity")

    return Reader(read, [b"# created\n" + secret + b"\n", f"{FRIEND.recipient}\n".encode() * 2])


CELLS = Bombs(
    lambda: bytes(8 * MEGA),
    b"\3" + struct.pack(">Q", 1 << 60),
    b"\2" + struct.pack(">Q", 1 << 40) + bytes(100),
    lambda: (b"\3" + bytes(8)) * 2 * MEGA,
)

_AGE = b"age-encryption.org/v1\n"

STANZAS = Bombs(
    lambda: _AGE + b"-> X25519 " + b"A" * 15 * MEGA,
    lambda: _AGE + b"-> X25519 A\n" * MEGA,
    lambda: _AGE + b"-> X25519" + b" A" * 7 * MEGA + b"\n",
    lambda: _AGE + b"-> a\n" + (b"A" * 64 + b"\n") * 200_000,
    lambda: _AGE + (b"-> X25519 " + b"A" * 43 + b"\n" + b"A" * 43 + b"\n") * 20_000 + b"--- " + b"A" * 43 + b"\n",
    _AGE + b"-> scrypt " + b"A" * 22 + b" 30\n" + b"A" * 43 + b"\n--- " + b"A" * 43 + b"\n",
    lambda: b"-----BEGIN AGE ENCRYPTED FILE-----\n" + (b"A" * 64 + b"\n") * 200_000,
)

TARGETS: dict[str, Target] = {
    "sealed archive": Target(sealed, (ArchiveDamaged, SealedToOthers), BY_BYTES, STANZAS),
    "container": Target(container, (Malformed,), BY_BYTES),
    "archive of a hub": Target(archived, (Malformed, ArchiveUnknown), BY_BYTES),
    "rows of an archive": Target(rows, (Malformed,), BY_BYTES, CELLS),
    "head and schema of an archive": Target(said, (Malformed, ArchiveUnknown), BY_BYTES, CBOR),
    "keys of age": Target(keys, (BadIdentity, BadRecipient), BY_TOKENS),
}
