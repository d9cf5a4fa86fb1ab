"""The tables that programs see of an object: derived from its original, kept sealed in row groups, laid out as files for a
sandbox.

A table is kept under a key of its own, drawn anew each time it is kept, so that it can be derived again at any time: its
outline with that key is sealed under the object's, each row group as a chunk under the table's.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree

from msgspec import Struct

from edgehold.codecs.columns import in_forms, most_in_forms, out_of_forms
from edgehold.codecs.events import encode_table
from edgehold.codecs.general import TABLES_BASE, shipped_codec
from edgehold.codecs.packs import is_pack
from edgehold.codecs.segments import Outline, Segments, check_outline, cut_table
from edgehold.codecs.tables.form import Derived, Table
from edgehold.crypto.aead import open_chunk, seal_chunk
from edgehold.crypto.padding import pad, unpad
from edgehold.durable import require_files, storage_failures
from edgehold.hub.intake.derive import Begun, at_once
from edgehold.hub.intake.documents import derive_document
from edgehold.hub.intake.fhir import events_of
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import ObjectId
from edgehold.wire.ids import Digest

MOST_OUTLINE = 1 << 26


class KeptTable(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How a kept table is read: its key and its outline."""

    key: Digest
    outline: Outline

    def __repr__(self) -> str:
        return "KeptTable(…)"


@dataclass(frozen=True)
class Rows:
    """Some rows of a table."""

    columns: dict[str, bytes]
    """The values of each column that was asked for."""
    strings: dict[int, str]
    """The strings that rows of the groups that were read can point to, by their places in the list of all."""
    others: dict[str, bytes]
    """What is neither column nor string: the schema."""
    read: int
    """Sealed bytes that were read for it."""


def derive_large(original: Iterable[bytes]) -> Mapping[str, bytes] | Table:
    """The events table of FHIR that is kept part by part: of a document of any size, or of what is packed and not large."""
    pieces = Begun(original)
    if is_pack(pieces.first):
        return derive_tables(at_once(pieces))
    return derive_document(pieces, "stored object").table


def derive_tables(original: bytes) -> dict[str, bytes]:
    """The files of the events table of an original in FHIR."""
    return encode_table(events_of(original, "stored object"))


@dataclass(frozen=True, kw_only=True)
class Made:
    """A table that was derived, cut into row groups, to be kept."""

    schema: str
    years: tuple[int, int] | None
    segments: Segments


def make_table(derived: Derived) -> Made:
    """A derived table as it can be kept; raises `IntakeLimit` if its rows share more strings than a hub keeps in one piece."""
    return Made(schema=derived.schema, years=derived.years, segments=cut_table(derived.table))


def close_table(key: Digest, object_id: ObjectId, segments: Segments) -> tuple[bytes, Iterator[bytes]]:
    """A table as it is kept, under a key that seals nothing else: what goes under the object's key (`open_table` takes
    it again), and its sealed row groups."""
    total = segments.outline.groups
    sealed = (
        seal_chunk(
            key, object_id, number, total, pad(shipped_codec(None).encode(in_forms(segments.outline, number, group)))
        )
        for number, group in enumerate(segments.groups)
    )
    return pad(shipped_codec(TABLES_BASE).encode(encode(KeptTable(key, segments.outline)))), sealed


def open_table(kept: bytes) -> KeptTable:
    """What was kept of a table under the object's key; raises `Malformed`, `CannotDecode`."""
    opened = decode(shipped_codec(TABLES_BASE).decode(unpad(kept), MOST_OUTLINE), KeptTable)
    check_outline(opened.outline)
    return opened


def open_group(kept: KeptTable, object_id: ObjectId, number: int, sealed: bytes) -> bytes:
    """One row group of a table; raises `CannotOpen` if it was altered, `Malformed`, `CannotDecode`."""
    opened = open_chunk(kept.key, object_id, number, kept.outline.groups, sealed)
    folded = shipped_codec(None).decode(unpad(opened), most_in_forms(kept.outline, number))
    return out_of_forms(kept.outline, number, folded)


# ── as files ──────────────────────────────────────────────────────────────────────────────────────────────────────


SPARE_FILES = 8
"""Files that a sandbox has open beside the tables. A program that cannot open its own would have failed, not the system."""


@contextmanager
def tables_directory(tables: Mapping[str, bytes]) -> Iterator[Path]:
    """Files for a sandbox in a new directory that only this user can read, in memory where the system has such a place.

    It is removed on the way out, however that is taken; what a killed process left is removed by the next that comes
    here.
    """
    parent = Path("/dev/shm") if os.access("/dev/shm", os.W_OK) else Path(tempfile.gettempdir())  # noqa: S108
    with storage_failures(parent):
        remove_abandoned(parent)
        directory = Path(tempfile.mkdtemp(prefix=f"edgehold-tables-{os.getpid()}-", dir=parent))
    try:
        for name, content in tables.items():
            with storage_failures(directory / name):
                (directory / name).write_bytes(content)
        require_files(len(tables) + SPARE_FILES, directory)
        yield directory
    finally:
        for (
            name
        ) in tables:  # nothing is opened for it: a process without free files leaves nothing readable behind either
            (directory / name).unlink(missing_ok=True)
        directory.rmdir()


def remove_abandoned(parent: Path) -> None:
    """Remove the tables of this user's processes that are no more."""
    for directory in parent.glob("edgehold-tables-*-*"):
        with suppress(OSError, ValueError):
            if directory.stat().st_uid == os.getuid() and not _is_running(int(directory.name.split("-")[2])):
                rmtree(directory, ignore_errors=True)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
