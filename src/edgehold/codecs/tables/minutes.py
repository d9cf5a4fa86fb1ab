"""Events from a table of what a wearable counted, minute by minute: a column of times, and one for each measure.

The codes are the schema names of Open mHealth and IEEE 1752.1 where these have one, and the maker's word where they have
none. An empty cell makes no event; a zero does.

    column                           code                        unit
    ───────────────────────────────  ──────────────────────────  ────────────
    heart_rate, heartrate, bpm, hr   OMH//heart-rate             beats/min
    steps, step_count                OMH//step-count             steps
    calories                         OMH//calories-burned        kcal
    spo2, oxygen_saturation          OMH//oxygen-saturation      %
    respiratory_rate                 OMH//respiratory-rate       breaths/min
    intensity (0 to 3)               FITBIT//intensity           —
    sleep (1 asleep to 3 awake)      FITBIT//sleep               —
    mets (tenths)                    FITBIT//mets                —
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Final

from edgehold.codecs.events import EventRows
from edgehold.codecs.tables.form import Derived
from edgehold.codecs.tables.laboratory import Sheet, Text, in_its_encoding, normalised, order_in, value_of
from edgehold.codecs.tables.moments import Moments
from edgehold.errors import BadRow, SeveralPersons, UnknownColumns

HEART_RATE: Final = ("OMH//heart-rate", "beats/min")
STEPS: Final = ("OMH//step-count", "steps")
OXYGEN: Final = ("OMH//oxygen-saturation", "%")
MEASURES: Final = {
    "heart_rate": HEART_RATE,
    "heartrate": HEART_RATE,
    "bpm": HEART_RATE,
    "hr": HEART_RATE,
    "steps": STEPS,
    "step_count": STEPS,
    "calories": ("OMH//calories-burned", "kcal"),
    "spo2": OXYGEN,
    "oxygen_saturation": OXYGEN,
    "respiratory_rate": ("OMH//respiratory-rate", "breaths/min"),
    "intensity": ("FITBIT//intensity", ""),
    "sleep": ("FITBIT//sleep", ""),
    "mets": ("FITBIT//mets", ""),
}
TIMES: Final = (
    "time",
    "datetime",
    "date_time",
    "timestamp",
    "activityminute",
    "activity_minute",
    "activityhour",
    "date",
)
REMEMBERED: Final = 1 << 12
"""Cells, of which a wearable has few different ones."""
PERSONS: Final = ("id", "user_id", "participant_id", "subject_id")


def derive_minutes(pieces: Iterable[bytes]) -> Derived:
    """The events of a table of minutes; raises `IntakeError`, which names the line. `pieces` are gone through again where
    the encoding, or which comes first of day and month, is seen late."""
    return in_its_encoding(pieces, _derive)


def _derive(text: Text) -> Derived:
    sheet = Sheet(text)
    header = list(map(normalised, sheet.header))
    time = next((header.index(name) for name in TIMES if name in header), None)
    measures = sorted((MEASURES[name], place) for place, name in enumerate(header) if name in MEASURES)
    if time is None or not measures:
        raise UnknownColumns(f"line 1: no column is known to hold the {'time' if time is None else 'measure'}")
    person_at = next((header.index(name) for name in PERSONS if name in header), None)
    places = {
        "time": time,
        "person": time if person_at is None else person_at,
        "last": max(place for _, place in measures),
    }
    moments = Moments(partial(order_in, text, places, "time"))
    rows = EventRows()
    values: dict[str, tuple[float | None, str]] = {}
    person: str | None = None
    for number, line in sheet.lines(places):
        if person_at is not None:
            if person is not None and line[person_at] != person:
                raise SeveralPersons(f"line {number}: a second person; a hub keeps one person's data")
            person = line[person_at]
        try:
            moment = moments.read(line[time].strip())
        except ValueError as error:
            raise BadRow(f"line {number}: {error}") from error
        for (code, unit), place in measures:
            cell = line[place].strip()
            if cell:
                read = values.get(cell)
                if read is None:
                    read = value_of(cell)
                    if len(values) < REMEMBERED:
                        values[cell] = read
                rows.add(moment, code, *read, unit)
    return rows.derived()
