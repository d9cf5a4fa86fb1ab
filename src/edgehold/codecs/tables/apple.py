"""Events from an Apple Health export (`export.xml`).

    element                 code                                    time        value, text, unit
    ──────────────────────  ──────────────────────────────────────  ──────────  ──────────────────────────────────────────
    Record, a quantity      APPLE//HKQuantityTypeIdentifierHeartRate  startDate  value; unit
    Record, a category      APPLE//HKCategoryTypeIdentifierSleepAnalysis  startDate  seconds until endDate; text: its value
    Workout                 APPLE//HKWorkoutActivityTypeRunning     startDate   duration; durationUnit
    Me                      MEDS_BIRTH; GENDER//female              birth; missing

Whatever is not named here makes no event. What stands inside a Correlation also stands outside it, and is counted once.

*Markup.* The document type is stepped over and never read: real exports have one that is not well formed, and nobody needs
its entities, which are refused wherever they are used. Real exports also break off, or hold characters that XML has not:
the table ends there, and says where.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import chain
from typing import Any, Final
from xml.parsers import expat

from edgehold.codecs.events import MISSING_TIME, EventRows, parse_time
from edgehold.codecs.tables.form import Derived, in_steps
from edgehold.codecs.tables.laboratory import value_of
from edgehold.codecs.tables.moments import Moments
from edgehold.errors import BadRow, IntakeLimit, NoTable

PIECE: Final = 1 << 16
MOST_TAG: Final = 1 << 18
"""Bytes of markup that is not finished."""
MOST_ELEMENTS: Final = 1 << 20
"""Beside those that belong to records."""
OF_RECORD: Final = 16
"""Elements, such as what is said of a record and how the heart beat in it."""
MOST_DEPTH: Final = 32

BEGIN: Final = re.compile(rb"(?:\xef\xbb\xbf)?\s*+(?:<\?xml[^>]{0,200}\?>\s*+)?")
DOCUMENT_TYPE: Final = b"<!DOCTYPE"
MARK: Final = re.compile(rb"<!--|\]\s{0,99}>")
MOST_TYPE: Final = 1 << 18
"""Bytes of a document type."""
HEAD: Final = 1 << 20
"""Bytes in which it begins and ends."""
SEXES: Final = {"Male": "male", "Female": "female", "Other": "other"}


def derive_apple(pieces: Iterable[bytes]) -> Derived:
    """The events of an export; raises `NoTable` if there are none, `IntakeLimit`."""
    reader = _Reader()
    steps = in_steps(pieces, HEAD)
    head = without_document_type(next(steps, b""))
    note = reader.read(in_steps(chain((head,), steps), PIECE))
    if not len(reader.rows):
        raise NoTable(note or "it holds no records")
    return reader.rows.derived(note)


def without_document_type(data: bytes) -> bytes:
    """How a document begins, with blanks in the place of its document type, so that lines and columns stay what they are. One
    of more than `MOST_TYPE` bytes, comments before it included, stays where it is, and is refused."""
    match = BEGIN.match(data)
    start = 0 if match is None else match.end()
    while data.startswith(b"<!--", start) and start < MOST_TYPE:
        end = data.find(b"-->", start)
        if end < 0:
            return data
        start = end + 3
        while data[start : start + 1].isspace():
            start += 1
    if not data.startswith(DOCUMENT_TYPE, start):
        return data
    behind = _end_of_document_type(data[: start + MOST_TYPE], start)
    if behind is None:
        return data
    return data[:start] + re.sub(rb"[^\n]", b" ", data[start:behind]) + data[behind:]


def _end_of_document_type(data: bytes, start: int) -> int | None:
    """Behind the last character of a document type: its first `>` or, if it has brackets, the one behind these."""
    simple, inside = data.find(b">", start), data.find(b"[", start)
    if simple < 0:
        return None
    if inside < 0 or simple < inside:
        return simple + 1
    at = inside + 1
    while True:
        mark = MARK.search(data, at)
        if mark is None:
            return None
        at = mark.end()
        if mark[0].startswith(b"]"):
            return at
        at = data.find(b"-->", at) + 3
        if at < 3:
            return None


class _Reader:
    """Collects the events of one document while it is parsed."""

    def __init__(self) -> None:
        self.rows = EventRows()
        self._moments = Moments()
        self._elements = 0
        self._depth = 0
        self._correlations = 0

    def read(self, pieces: Iterable[bytes]) -> str:
        """Take in a document; returns where and why it ends too early, or nothing."""
        parser = expat.ParserCreate("UTF-8")  # as all exports are, whatever they say
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = _refuse
        parser.EntityDeclHandler = _refuse
        parser.ExternalEntityRefHandler = _refuse
        parser.SkippedEntityHandler = _refuse
        end = 0
        try:
            for piece in pieces:
                parser.Parse(piece, False)
                end += len(piece)
                if end - parser.CurrentByteIndex > MOST_TAG + PIECE:
                    raise IntakeLimit(
                        f"line {parser.CurrentLineNumber}: more than {MOST_TAG} bytes of unfinished markup"
                    )
            parser.Parse(b"", True)
        except expat.ExpatError as error:
            return f"it ends at line {error.lineno}, column {error.offset}: {expat.ErrorString(error.code)}"
        except BadRow as error:
            return f"it ends at line {parser.CurrentLineNumber}: {error}"
        return ""

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self._elements += 1
        self._depth += 1
        if self._elements > MOST_ELEMENTS + OF_RECORD * len(self.rows) or self._depth > MOST_DEPTH:
            raise IntakeLimit(f"more than {MOST_ELEMENTS} elements beside records, or {MOST_DEPTH} inside each other")
        if name == "Correlation":
            self._correlations += 1
        elif name == "Record":
            if not self._correlations:
                self._record(attributes)
        elif name == "Workout":
            value, words = value_of(attributes.get("duration", ""))
            code = attributes.get("workoutActivityType", "")
            self.rows.add(
                self._time(attributes, "startDate"), f"APPLE//{code}", value, words, attributes.get("durationUnit", "")
            )
        elif name == "Me":
            self._person(attributes)

    def _end(self, name: str) -> None:
        self._depth -= 1
        if name == "Correlation":
            self._correlations -= 1

    def _record(self, attributes: dict[str, str]) -> None:
        code = f"APPLE//{attributes.get('type', '')}"
        start, said = self._time(attributes, "startDate"), attributes.get("value", "")
        value, words = value_of(said)
        if value is not None:
            self.rows.add(start, code, value, words, attributes.get("unit", ""))
        elif "endDate" in attributes:
            self.rows.add(start, code, float(self._time(attributes, "endDate") - start), said, "s")
        else:
            self.rows.add(start, code, None, said, attributes.get("unit", ""))

    def _person(self, attributes: dict[str, str]) -> None:
        kind = "HKCharacteristicTypeIdentifier"
        born, sex = attributes.get(f"{kind}DateOfBirth", ""), attributes.get(f"{kind}BiologicalSex", "")
        if born:
            try:
                self.rows.add(parse_time(born), "MEDS_BIRTH")
            except ValueError as error:
                raise BadRow(f"date of birth: {error}") from error
        gender = SEXES.get(sex.removeprefix("HKBiologicalSex"))
        if gender:
            self.rows.add(MISSING_TIME, f"GENDER//{gender}")

    def _time(self, attributes: dict[str, str], name: str) -> int:
        try:
            return self._moments.read(attributes.get(name, ""))
        except ValueError as error:
            raise BadRow(f"{name}: {error}") from error


def _refuse(*_: Any) -> int:
    raise BadRow("a document type or an entity, which is never read")
