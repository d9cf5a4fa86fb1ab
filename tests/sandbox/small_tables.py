"""A writer of `edgehold.events/1` for tests of the sandbox, apart from the one in `codecs`."""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable
from pathlib import Path

Row = tuple[int, str, float | None, str, str]
"""Time, code, value, text, unit."""


def write_tables(folder: Path, rows: Iterable[Row]) -> Path:
    """Write the columns of some events into a new folder."""
    events = sorted(rows, key=lambda row: (row[0], row[1], -math.inf if row[2] is None else row[2], row[3], row[4]))
    strings = sorted({"", *(string for row in events for string in (row[1], row[3], row[4]))})
    place = {string: index for index, string in enumerate(strings)}
    columns = {
        "time.i64": [struct.pack("<q", row[0]) for row in events],
        "code.u32": [struct.pack("<I", place[row[1]]) for row in events],
        "value.f64": [struct.pack("<d", math.nan if row[2] is None else row[2]) for row in events],
        "text.u32": [struct.pack("<I", place[row[3]]) for row in events],
        "unit.u32": [struct.pack("<I", place[row[4]]) for row in events],
        "strings.json": [json.dumps(strings).encode()],
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, parts in columns.items():
        (folder / name).write_bytes(b"".join(parts))
    return folder
