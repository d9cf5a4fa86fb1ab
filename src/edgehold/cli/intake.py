"""What an import takes in, file by file or export by export, and what it says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgehold.cli.output import wrap
from edgehold.codecs.events import SCHEMA as EVENTS
from edgehold.codecs.lossy import QUALITIES, Losses
from edgehold.codecs.tables.genotypes import SCHEMA as GENOTYPES
from edgehold.codecs.tables.images import SCHEMA as IMAGES
from edgehold.codecs.tables.signals import SCHEMA as SIGNALS
from edgehold.errors import (
    EdgeholdError,
    NotFound,
)
from edgehold.hub.intake.fhir import bulk_type
from edgehold.hub.intake.imports import Imported

ROWS = {
    EVENTS: "events",
    GENOTYPES: "genotypes",
    SIGNALS: "moments of a signal",
    IMAGES: "image",
}
"""What the rows of a table are."""


def acts_of(path: Path) -> list[list[Path]]:
    """The files of a path as they are taken in: one by one, but for those of a Bulk Data export, which are one act.

    An export is what in one folder lies of NDJSON files with one resource a line, if there are several.
    """
    files = files_of(path)
    if path.is_file():
        return [files]
    acts: dict[Path, list[Path]] = {}
    for file in files:
        acts.setdefault(file.parent if is_of_export(file) else file, []).append(file)
    return list(acts.values())


def is_of_export(path: Path) -> bool:
    """Whether a file is of a Bulk Data export; one that cannot be read is none, and is refused when it is its turn."""
    try:
        return bulk_type(path) is not None
    except EdgeholdError:
        return False


def size_of(path: Path) -> int:
    """The bytes of a file; none if it is gone by now."""
    return path.stat().st_size if path.is_file() else 0


def files_of(path: Path) -> list[Path]:
    """A file, or those of a folder and of the folders in it, but for hidden ones, links, and signatures, which are found beside
    what they sign; raises `NotFound` if there is none."""
    if path.is_file():
        return [path]
    found = [
        file
        for file in sorted(path.rglob("*"))
        if file.is_file()
        and not file.is_symlink()
        and file.suffix != ".jws"
        and not any(part.startswith(".") for part in file.relative_to(path).parts)
    ]
    if not found:
        raise NotFound(f"there is no file {'in ' if path.is_dir() else ''}{path}")
    return found


def imported_facts(path: Path, imported: Imported) -> dict[str, Any]:
    """What an import did, as JSON values."""
    return {
        "file": str(path),
        "records_added": len(imported.added),
        "records_known": len(imported.known),
        "bytes_received": imported.bytes_received,
        "bytes_kept": imported.bytes_kept,
        "format": imported.format,
        "kinds": sorted({one.descriptor.kind.value for one in (*imported.added, *imported.known)}),
        "events": imported.rows.get(EVENTS, 0),
        "tables": dict(imported.rows),
        "notes": list(imported.notes),
        "lossy": None if imported.lost is None else lost_facts(imported.lost),
        "signed": all(one.descriptor.signature is not None for one in (*imported.added, *imported.known)),
        "datasets": [one.id.hex() for one in imported.added],
    }


def imported_lines(facts: dict[str, Any]) -> list[str]:
    """What an import did, for people."""
    if not facts["records_added"]:
        return [f"{facts['file']}: your hub holds this already; nothing was added", *noted(facts)]
    received, kept = facts["bytes_received"], facts["bytes_kept"]
    signed = "signed by an issuer of this network" if facts["signed"] else "not signed by anybody"
    counted = [f"{count:,} {ROWS[schema]}" for schema, count in facts["tables"].items()]
    records = f", {facts['records_added']:,} records" if facts["records_added"] > 1 else ""
    holds = ", ".join(counted) if any(facts["tables"].values()) else f"{', '.join(facts['kinds'])}, no events"
    return [
        *wrap(f"{facts['file']}: {holds}, {signed} ({facts['format']}{records})", "  "),
        f"  {received:,} bytes received, {kept:,} kept (sealed, 1 : {received / kept:.1f})",
        *lost_lines(facts["lossy"]),
        *noted(facts),
    ]


def lost_facts(lost: Losses) -> dict[str, Any]:
    """What a file lost before it was kept, as JSON values: of each field how many numbers were replaced, and of how many."""
    return {"by": QUALITIES, "replaced": dict(lost.lost), "of": {name: lost.of[name] for name in lost.lost}}


def lost_lines(facts: dict[str, Any] | None) -> list[str]:
    """The same for people."""
    if facts is None:
        return []
    fields = [f"{name} {count:,} of {facts['of'][name]:,}" for name, count in facts["replaced"].items()]
    words = (
        f"  lost for good, as you asked: exact numbers of {', '.join(fields)} ({facts['by']}: lower bounds of steps)"
    )
    return wrap(words, "    ")


def noted(facts: dict[str, Any]) -> list[str]:
    """What a table lacks, or why there is none."""
    return [line for note in facts["notes"] for line in wrap(f"  {note}", "    ")]
