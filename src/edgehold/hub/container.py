"""What lies inside a hub's archive: a tar whose every byte follows from what it holds.

Its members come in one order: who and when (`edgehold-hub`), the small files of the folder, each database as its schema
and its rows, at last the digests of all of them. Rows are taken as SQLite gives them, whatever the tables are, so that
what is sealed stays as it is. A reader refuses whatever a writer would not have written (`docs/formats.md`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable, Iterator
from hashlib import sha256
from itertools import pairwise
from typing import TypeAlias

from msgspec import Struct

from edgehold.crypto.padding import padme
from edgehold.errors import ArchiveUnknown, Malformed
from edgehold.wire.codec import decode, encode
from edgehold.wire.ids import AccountId

VERSION = "edgehold.hub/1"
HEAD, DIGESTS, SCHEMA = "edgehold-hub", "digests", "schema"

PART = 1 << 20
"""A part of a table ends with the row that reaches so many bytes."""
MOST = 1 << 28
"""Bytes of one member; a row is never cut."""
MOST_CELLS = PART + 4096
"""Cells of one part: each takes a byte at least."""
BLOCK = 512
PLAIN_NAME = re.compile(r"[a-z_]{1,40}")
"""How a table is called that can be a member's name."""

Cell: TypeAlias = int | str | bytes | None
Row: TypeAlias = tuple[Cell, ...]
Take: TypeAlias = Callable[[str, bytes], None]
"""What is told of each member, in their order."""


class Head(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Whose archive it is, and how far the hub had followed the ledger."""

    version: str
    account: AccountId
    height: int


class Statement(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One thing of a database's schema: how it is made."""

    kind: str
    """`table` or `index`."""
    name: str
    sql: str


class Schema(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How an empty database of this form is made."""

    page_size: int
    user_version: int
    statements: tuple[Statement, ...]


# ── writing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def pack(members: Iterable[tuple[str, bytes]]) -> Iterator[bytes]:
    """The container of these members, piece by piece: each of them, their digests, and zeros up to a rounded size."""
    digests, size = [], 0
    for name, content in members:
        digests.append((name, sha256(content).hexdigest()))
        piece = _member(name, content)
        size += len(piece)
        yield piece
    piece = _member(DIGESTS, digest_list(digests))
    yield piece
    size += len(piece) + 2 * BLOCK
    yield bytes(2 * BLOCK)
    for _ in range(padme(size // BLOCK) - size // BLOCK):
        yield bytes(BLOCK)


def digest_list(digests: Iterable[tuple[str, str]]) -> bytes:
    """A line for each member, as `sha256sum --check` reads it."""
    return "".join(f"{digest}  {name}\n" for name, digest in digests).encode()


def table_parts(database: str, table: str, rows: Iterable[Row]) -> Iterator[tuple[str, bytes]]:
    """A table's rows as members; one at least, so that an empty table is one too."""
    number, part = 0, bytearray()
    for row in rows:
        part += encode_row(row)
        if len(part) >= PART:
            yield part_name(database, table, number), bytes(part)
            number, part = number + 1, bytearray()
    if part or not number:
        yield part_name(database, table, number), bytes(part)


def part_name(database: str, table: str, number: int) -> str:
    """How a part of a table is called."""
    return f"{database}/{table}/{number:08d}"


def encode_row(row: Row) -> bytes:
    """Each cell is one byte that says what it is, then for a number eight bytes, for text and bytes their length and they."""
    cells = bytearray()
    for cell in row:
        match cell:
            case None:
                cells += b"\0"
            case int():
                cells += b"\1" + cell.to_bytes(8, "big", signed=True)
            case str():
                text = cell.encode()
                cells += b"\2" + len(text).to_bytes(8, "big") + text
            case bytes():
                cells += b"\3" + len(cell).to_bytes(8, "big") + cell
            case _:
                raise TypeError(f"no table of a hub has a {type(cell).__name__}")
    return bytes(cells)


def _header(name: str, size: int) -> bytes:
    """A header of tar (POSIX 1003.1-1988, ustar) of which nothing depends on machine, time or library."""
    before = (
        name.encode("ascii").ljust(100, b"\0") + b"0000600\0" + b"0000000\0" * 2 + b"%011o\0" % size + b"0" * 11 + b"\0"
    )
    after = (b"0" + bytes(100) + b"ustar\00000").ljust(BLOCK - len(before) - 8, b"\0")
    checksum = sum(before) + sum(after) + 8 * ord(" ")
    return before + b"%06o\0 " % checksum + after


def _member(name: str, content: bytes) -> bytes:
    return _header(name, len(content)) + content + bytes(-len(content) % BLOCK)


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────


class Unpacker:
    """Takes a container in pieces of any size and tells of each member when it is whole. `close` it after the last.

    Raises `Malformed` and whatever it is told raises; then it is of no more use.
    """

    def __init__(self, take: Take) -> None:
        self._held = bytearray()
        self._steps = _read(take)
        self._wanted = next(self._steps)

    def write(self, data: bytes) -> int:
        """The next piece."""
        self._held += data
        while len(self._held) >= self._wanted:
            piece = bytes(self._held[: self._wanted])
            del self._held[: self._wanted]
            self._wanted = self._steps.send(piece)
        return len(data)

    def close(self) -> None:
        """That was all; raises `Malformed` unless it is a whole container."""
        rest = bytes(self._held)
        try:
            self._steps.send(rest)
        except StopIteration:
            return
        raise Malformed("the container is cut")


def _read(take: Take) -> Generator[int, bytes, None]:
    """Asks for so many bytes and is sent them, or, at the end, fewer."""
    digests: list[tuple[str, str]] = []
    size = 0
    while not digests or digests[-1][0] != DIGESTS:
        name, length = _read_header(_whole((yield BLOCK), BLOCK))
        padded = length + -length % BLOCK
        content = _whole((yield padded), padded) if padded else b""
        if any(content[length:]):
            raise Malformed(f"member {name} is not followed by zeros")
        content = content[:length]
        if name == DIGESTS and content != digest_list(digests):
            raise Malformed("the digests are not those of the members")
        if name != DIGESTS:
            take(name, content)
        digests.append((name, sha256(content).hexdigest()))
        size += BLOCK + padded
    size += 2 * BLOCK
    end = _whole((yield 2 * BLOCK), 2 * BLOCK)
    for _ in range(padme(size // BLOCK) - size // BLOCK):
        end += _whole((yield BLOCK), BLOCK)
        if any(end):
            break
        end = b""
    if any(end):
        raise Malformed("something comes after the digests")
    if (yield 1):
        raise Malformed("the container is longer than it should be")


def _whole(piece: bytes, size: int) -> bytes:
    if len(piece) < size:
        raise Malformed("the container is cut")
    return piece


def _read_header(header: bytes) -> tuple[str, int]:
    try:
        name, size = header[:100].rstrip(b"\0").decode("ascii"), int(header[124:135], 8)
        is_ours = 0 <= size <= MOST and _header(name, size) == header
    except ValueError as error:
        raise Malformed("not a member of a container") from error
    if not is_ours:
        raise Malformed("not a member as we write it")
    return name, size


def read_head(content: bytes) -> Head:
    """Whose archive it is; raises `Malformed`, `ArchiveUnknown` for one of another version."""
    if VERSION.encode() not in content[:40]:
        raise ArchiveUnknown(f"the archive is not of version {VERSION}")
    return decode(content, Head)


def decode_rows(part: bytes, columns: int) -> list[Row]:
    """The rows of a part, each of so many cells; raises `Malformed`."""
    cells: list[Cell] = []
    at = 0
    while at < len(part):
        if len(cells) == MOST_CELLS:
            raise Malformed(f"a part has more than {MOST_CELLS} cells")
        kind, at = part[at], at + 1
        if kind == 0:
            cells.append(None)
            continue
        if kind > 3 or at + 8 > len(part):
            raise Malformed(f"no cell at byte {at}")
        number, at = part[at : at + 8], at + 8
        if kind == 1:
            cells.append(int.from_bytes(number, "big", signed=True))
            continue
        end = at + int.from_bytes(number, "big")
        if end > len(part):
            raise Malformed(f"a cell that begins at byte {at} is cut")
        cells.append(part[at:end] if kind == 3 else _text(part[at:end]))
        at = end
    if not columns or len(cells) % columns:
        raise Malformed(f"{len(cells)} cells are no rows of {columns}")
    return [tuple(cells[first : first + columns]) for first in range(0, len(cells), columns)]


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Malformed("a text that is not UTF-8") from error


def read_part_name(name: str) -> tuple[str, str, int]:
    """Database, table and number of a part; raises `Malformed`."""
    words = name.split("/")
    if len(words) != 3 or not PLAIN_NAME.fullmatch(words[1]) or not re.fullmatch(r"[0-9]{8}", words[2]):
        raise Malformed(f"{name!r} is no part of a table")
    return words[0], words[1], int(words[2])


def encode_schema(schema: Schema) -> bytes:
    """A schema as it is written."""
    return encode(schema)


def read_schema(content: bytes) -> Schema:
    """A schema of tables and indices, each once, tables first; raises `Malformed`, `ArchiveUnknown`."""
    schema = decode(content, Schema)
    if schema.page_size not in {1 << power for power in range(9, 17)} or not 0 <= schema.user_version < 1 << 31:
        raise Malformed(f"no database has pages of {schema.page_size} bytes and version {schema.user_version}")
    kinds = [one.kind for one in schema.statements]
    if any(kind not in ("table", "index") for kind in kinds):
        raise ArchiveUnknown("a database of the archive has more than tables and indices")
    if any(later > earlier for earlier, later in pairwise(kinds)):
        raise Malformed("tables come before indices")
    if not all(PLAIN_NAME.fullmatch(one.name) for one in schema.statements):
        raise Malformed("a table has a name that no table of a hub has")
    if any("\0" in one.sql for one in schema.statements):
        raise Malformed("a statement with a zero in it")
    return schema
