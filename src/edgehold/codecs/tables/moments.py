"""Dates and times as tables write them.

Understood are ISO 8601 (`2024-03-01`, `2024-03-01T08:15:00Z`, a blank for the `T`, no seconds, fractions, a zone with or
without colon, `20240301`), days with points (`1.3.2024`, the day first), and with slashes, where somebody has to say which
comes first (`order`); a time of these may have AM or PM. What states no zone counts as UTC. Fractions are cut off.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from edgehold.codecs.events import days_since_1970

CLOCK: Final = r"(?:(?:[T ]|, ?)(\d{1,2}):(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?(?: ?([AaPp])[Mm])?)?"
ZONE: Final = r"(?: ?(Z|[+-]\d\d(?::?\d\d)?))?"
YEAR_FIRST: Final = re.compile(r"(\d{4})([-/.]?)(\d\d)\2(\d\d)" + CLOCK + ZONE, re.ASCII)
YEAR_LAST: Final = re.compile(r"(\d{1,2})([-/.])(\d{1,2})\2(\d{4})" + CLOCK + ZONE, re.ASCII)
SECOND: Final = re.compile("[0-5][0-9]")
REMEMBERED: Final = 1 << 12

ORDERS: Final = ("DMY", "MDY")
"""Day, month and year as they follow one another where the year is last."""


class Moments:
    """Reads the moments of one table. `order` says which comes first of day and month, or finds it out when it matters."""

    def __init__(self, order: str | Callable[[], str] = "") -> None:
        self._order = order
        self._minutes: dict[str, int] = {}

    def read(self, text: str) -> int:
        """Seconds since 1970 UTC; ValueError if it is no moment, or could be two."""
        if text[13:14] != ":" or text[16:17] != ":" or not SECOND.fullmatch(text, 17, 19):
            return self._read(text)
        minute = text[:16] + text[19:]  # most tables count seconds, and have many in a minute
        start = self._minutes.get(minute)
        if start is None:
            if len(self._minutes) >= REMEMBERED:
                self._minutes.clear()
            start = self._minutes[minute] = self._read(text) - int(text[17:19])
        return start + int(text[17:19])

    def _read(self, text: str) -> int:
        match = YEAR_FIRST.fullmatch(text)
        if match is not None:
            year, _, month, day, *clock = match.groups()
        else:
            match = YEAR_LAST.fullmatch(text)
            if match is None:
                raise ValueError("no date or time")
            first, mark, second, year, *clock = match.groups()
            if not self._is_day_first(mark, clock[3]):
                first, second = second, first
            day, month = first, second
        return moment_of(int(year), int(month), int(day), clock)

    def _is_day_first(self, mark: str, noon: str | None) -> bool:
        if mark == ".":
            return True
        if callable(self._order):
            self._order = self._order()
        if self._order:
            return self._order == "DMY"
        if noon:
            return False
        raise ValueError("a date of which nobody says whether the day or the month is first")


def moment_of(year: int, month: int, day: int, clock: list[str | None]) -> int:
    """Seconds since 1970 UTC of a day and of hour, minute, second, A or P, and zone as they are written; ValueError."""
    if not 1 <= month <= 12 or not 1 <= day <= 31:
        raise ValueError("a day that does not exist")
    hour_text, minute, second, noon, zone = clock
    hour = int(hour_text or 0)
    if noon:
        if not 1 <= hour <= 12:
            raise ValueError("an hour that does not exist")
        hour = hour % 12 + 12 * (noon in "Pp")
    if hour > 23 or int(minute or 0) > 59 or int(second or 0) > 60:
        raise ValueError("a time that does not exist")
    moment = 86400 * days_since_1970(year, month, day) + 3600 * hour + 60 * int(minute or 0) + int(second or 0)
    return moment - seconds_of_zone(zone)


def seconds_of_zone(zone: str | None) -> int:
    """How far a zone (`Z`, `+01:00`, `+0100`, `+01`, none) is east of UTC; ValueError if none is so far."""
    if zone is None or zone == "Z":
        return 0
    hours, minutes = int(zone[1:3]), int(zone[3:].lstrip(":") or 0)
    if hours > 14 or minutes > 59:
        raise ValueError("a zone that does not exist")
    return (3600 * hours + 60 * minutes) * (1 if zone[0] == "+" else -1)


def order_of_dates(texts: Iterable[str]) -> str:
    """Whether the day or the month comes first in a column, if any of its dates can be read in one way only."""
    for text in texts:
        match = YEAR_LAST.match(text)
        if match is not None and match[2] != ".":
            if int(match[1]) > 12:
                return "DMY"
            if int(match[3]) > 12:
                return "MDY"
    return ""
