"""What a program sees of a person, read outside the sandbox by the same module."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from small_tables import Row, write_tables

from edgehold.sandbox.person import NO_TIME, Person

CODES = ("", "LOINC//1", "LOINC//2", "SNOMED//3")
ROWS = st.tuples(
    st.sampled_from([NO_TIME, -5, 0, 7]) | st.integers(-(2**63), 2**63 - 1),
    st.sampled_from(CODES),
    st.none() | st.floats(allow_nan=False),
    st.sampled_from(["", "<", "words"]),
    st.sampled_from(["", "kg", "mm[Hg]"]),
)


def person_with(rows: list[Row]) -> Person:
    with tempfile.TemporaryDirectory() as name:
        person = Person(folder=str(write_tables(Path(name), rows)))
        _ = [len(person.events), person.events.strings, person.events.time, person.events.value]
        _ = [person.events.text, person.events.unit]
    return person


@given(st.lists(ROWS, max_size=12), st.sampled_from(CODES))
def test_rows_and_latest_agree_with_the_plain_list_of_events(rows: list[Row], code: str) -> None:
    events = person_with(rows).events
    assert len(events) == len(rows)
    assert len(list(events.rows())) == len(rows)
    assert [event.time for event in events.rows(code)] == sorted(row[0] for row in rows if row[1] == code)
    assert events.has(code) is any(row[1] == code for row in rows)
    assert (events.code_index(code) is not None) >= events.has(code)
    plain = [
        (row[0], row[2])
        for row in rows
        if row[1] == code and row[2] is not None and math.isfinite(row[2]) and row[3] == "" and row[4] == "kg"
    ]
    newest = max((row for row in plain if row[0] != NO_TIME), default=None)
    latest = events.latest(code, unit="kg")
    assert (latest and (latest.time, latest.value)) == newest


def test_a_person_without_events_has_nothing() -> None:
    events = person_with([]).events
    assert len(events) == 0
    assert not events.has("LOINC//1")
    assert events.latest("LOINC//1", unit="kg") is None
    assert list(events.rows("LOINC//1")) == []
