"""What tests see of a table: its rows as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgehold.codecs.events import Event, decode_table
from edgehold.codecs.tables.form import Derived, column_of, schema_of, strings_of

DATA = Path(__file__).parents[2] / "data"


def rows(files: Mapping[str, bytes]) -> list[dict[str, Any]]:
    """The rows of any table, with text for places in the strings."""
    schema, strings = schema_of(files), strings_of(files)
    columns = {about["name"]: column_of(files, about["file"]) for about in schema["columns"]}
    words = {about["name"] for about in schema["columns"] if about["unit"] == "index into strings.json"}
    assert all(len(column) == schema["rows"] for column in columns.values())
    return [
        {name: strings[column[row]] if name in words else column[row] for name, column in columns.items()}
        for row in range(schema["rows"])
    ]


def events(derived: Derived) -> list[Event]:
    """The rows of a table of events, whose files are the only ones for them."""
    assert derived.schema == "edgehold.events/1"
    return decode_table(derived.files)
