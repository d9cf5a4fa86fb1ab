"""The files that were imported, written out again as they were."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from edgehold.durable import write_file
from edgehold.errors import AlteredBlob, FolderInUse
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


def write_originals(store: Store, folder: Path) -> tuple[list[Written], list[AlteredBlob]]:
    """Write every original that was not erased into an empty folder, readable by its owner only.

    Each has the name it came with; a record that was a line of a file is named by both. What was altered is not
    written, and is returned. Raises `FolderInUse`, `StorageFailed`.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderInUse(f"{folder} is not empty")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    written: list[Written] = []
    altered: list[AlteredBlob] = []
    taken: set[str] = set()
    for one in store.objects():
        if one.descriptor.tombstone:
            continue
        name = file_name(one.name, one.id, taken)
        try:
            original = store.get_original(one.id)
        except AlteredBlob as error:
            altered.append(error)
            continue
        write_file(folder / name, original)
        taken.add(name)
        written.append(Written(one.id, folder / name, len(original)))
    return written, altered


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
