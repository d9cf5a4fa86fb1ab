"""The files that were imported, written out again as they were."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edgehold.durable import storage_failures, write_pieces
from edgehold.errors import AlteredBlob, FolderInUse
from edgehold.hub.sealed import StoredObject
from edgehold.hub.store import Store
from edgehold.wire.data import ObjectId

LINE = re.compile(r"(.*) line (\d+)")
"""How a record is named that was a line of a file."""


@dataclass(frozen=True)
class Written:
    """One original that lies in the folder now."""

    id: ObjectId
    path: Path
    size: int
    lossy: str | None = None
    """What it lost before it was kept; none if it is as it was imported."""


def write_originals(store: Store, folder: Path) -> tuple[list[Written], list[AlteredBlob]]:
    """Write every original that was not erased into an empty folder, readable by its owner only.

    Each has the name it came with. A record that was a line of a file is named by both, unless all records of the file
    are there and give the file again. What was altered is not written, and is returned. Raises `FolderInUse`,
    `StorageFailed`; then nothing was written.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderInUse(f"{folder} is not empty")
    with _empty_folder(folder) as write_one:
        return _write_into(store, folder, write_one)


@contextmanager
def _empty_folder(folder: Path) -> Iterator[Callable[[str, Iterable[bytes]], None]]:
    """A way to write files into an empty folder; if an error leaves the block, they and the folder are gone again."""
    is_new = not folder.exists()
    names: list[str] = []

    def write(name: str, pieces: Iterable[bytes]) -> None:
        names.append(name)
        write_pieces(folder / name, pieces)

    with storage_failures(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield write
    except BaseException:
        with suppress(OSError):
            for name in names:
                (folder / name).unlink(missing_ok=True)
            if is_new:
                folder.rmdir()
        raise


def _write_into(
    store: Store, folder: Path, write_one: Callable[[str, Iterable[bytes]], None]
) -> tuple[list[Written], list[AlteredBlob]]:
    written: list[Written] = []
    altered: list[AlteredBlob] = []
    taken: set[str] = set()

    def write(name: str, records: Sequence[StoredObject]) -> None:
        write_one(name, (piece for one in records for piece in store.read_original(one.id)))
        taken.add(name)
        written.extend(Written(one.id, folder / name, one.received, one.descriptor.lossy) for one in records)

    def count(record: StoredObject) -> int | None:
        """The lines of a record; none if it was altered."""
        try:
            return count_lines(store.read_original(record.id))
        except AlteredBlob as error:
            altered.append(error)
            return None

    objects: list[StoredObject] = []
    for object_id in store.ids():
        try:
            objects.append(store.get_object(object_id))
        except AlteredBlob as error:
            altered.append(error)
    for place, records in of_one_file(objects).items():
        counts = [count(one) for one in records] if len(records) > 1 else [0]  # before any is written, and none is kept
        pairs = list(zip(records, counts, strict=True))
        if len(records) > 1 and is_whole(pairs):
            write(file_name(place, records[0].id, taken), records)
            continue
        for one in (one for one, lines in pairs if lines is not None):
            try:
                write(file_name(one.name, one.id, taken), [one])
            except AlteredBlob as error:
                altered.append(error)
    return written, altered


def count_lines(pieces: Iterable[bytes]) -> int:
    """The lines of a record; 0 if the last has no end."""
    count, last = 0, b""
    for piece in pieces:
        count += piece.count(b"\n")
        last = piece[-1:] or last
    return count if last == b"\n" else 0


def of_one_file(objects: Sequence[StoredObject]) -> dict[str, list[StoredObject]]:
    """What was not erased, the records of a file together in the order of their lines, anything else by itself."""
    found: dict[str, list[tuple[int, StoredObject]]] = {}
    for number, one in enumerate(objects):
        line = LINE.fullmatch(one.name)
        if not one.descriptor.tombstone:
            place = line[1] if line else f"{one.name} alone {number}"
            found.setdefault(place, []).append((int(line[2]) if line else 0, one))
    return {place: [one for _, one in sorted(ones, key=lambda pair: pair[0])] for place, ones in found.items()}


def is_whole(records: Sequence[tuple[StoredObject, int | None]]) -> bool:
    """Whether records, each with its number of lines, are all lines of their file, from the first on."""
    following = 1
    for one, lines in records:
        line = LINE.fullmatch(one.name)
        if line is None or int(line[2]) != following or not lines:
            return False
        following += lines
    return True


def whole_of(place: str) -> str | None:
    """What a record of this place was taken in together with: the folder of an export, or the file that it was a line
    of; none if it came alone."""
    line = LINE.fullmatch(place)
    file = line[1] if line else place
    folder, slash, _ = file.rpartition("/")
    return folder + slash if slash else file if line else None


def file_name(place: str, object_id: ObjectId, taken: set[str]) -> str:
    """The name of a file for a record of this place, one that was not taken."""
    line = LINE.fullmatch(place)
    path = Path(Path(line[1] if line else place).name.lstrip("."))
    stem = f"{path.stem}.line-{line[2]}" if line else path.stem
    name = f"{stem}{path.suffix}"
    if not path.name or name in taken:
        name = f"{stem or 'record'}.{object_id.hex()[:8]}{path.suffix}"
    return name
