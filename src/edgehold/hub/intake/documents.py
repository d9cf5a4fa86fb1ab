"""A FHIR document of any size, read element by element, each as strictly as a document that is read at once.

The entries of a bundle are the elements of its list. What is around them is read when the last has come: a document without
its elements is one too, in which nothing may be given twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from edgehold import _native
from edgehold.codecs.events import Event, EventReader, EventRows
from edgehold.codecs.tables.form import Derived
from edgehold.codecs.tables.runs import MOST_TEXT
from edgehold.errors import BadField, CannotDecode, IntakeError, IntakeLimit, LargeFile
from edgehold.hub.intake.fhir import DEFAULT_LIMITS, Limits, Record, has_resource, parse_document
from edgehold.hub.intake.json_text import read_json

NEXT: Final = ord(",")
"""Behind an element that is not the last."""
LONG: Final = 256
"""Letters from which it is counted how many words of events have."""


class Elements:
    """The elements of the list of a document that comes in pieces, one after another, and what is around them."""

    def __init__(self, pieces: Iterable[bytes], place: str, limits: Limits) -> None:
        self._pieces, self._place, self._limits = pieces, place, limits
        self.count = 0
        """How many were given out before the one at hand."""
        self._bytes = 0
        self.around = bytearray()
        """The document without those; all of it behind the last."""

    def __iter__(self) -> Iterator[bytes]:
        scanner, held, is_inside = _native.ElementScanner(), bytearray(), False
        for piece in self._pieces:
            at = 0
            while (end := scanner.mark(piece, at)) is not None:
                held += piece[at:end]
                at = end
                self._check_size(held, is_inside)
                if not is_inside:
                    self.around, held, is_inside = held, bytearray(), True
                    continue
                last = held.pop()
                element, held = bytes(held), bytearray()
                is_inside = last == NEXT
                if is_inside or self.count or (element and not element.isspace()):
                    yield from self._counted(element)
                else:
                    held += element  # nothing but spaces, if they are those of JSON
                if not is_inside:
                    held.append(last)
            held += piece[at:]
            self._check_size(held, is_inside)
        if is_inside:
            yield from self._counted(bytes(held))
        else:
            self.around += held

    def _counted(self, element: bytes) -> Iterator[bytes]:
        self._bytes += len(element) + 1
        if self.count >= self._limits.resources + self._bytes // self._limits.entry_bytes:
            raise IntakeLimit(f"{self._place}: /entry: {self.count + 1} entries in no more than {self._bytes} bytes")
        yield element
        self.count += 1

    def _check_size(self, held: bytearray, is_inside: bool) -> None:
        if len(held) + len(self.around) * (not is_inside) > self._limits.element_bytes:
            pointer = f"entry/{self.count}" if is_inside else ""
            raise IntakeLimit(
                f"{self._place}: /{pointer}: more than {self._limits.element_bytes} bytes that are read at once"
            )


def read_document(pieces: Iterable[bytes], place: str, limits: Limits = DEFAULT_LIMITS) -> Iterator[Record]:
    """The entries of a bundle one by one, each as a record, and at the end what else it says; or the one resource that a
    document is. `pieces` can be had again. Raises `IntakeError`s on the way, naming place and reason: let what was read have
    an effect only after the last record."""
    elements, is_bundle = Elements(pieces, place, limits), False
    for element in elements:
        index = elements.count
        if index == 0:
            is_bundle = type_of(elements, pieces, place, limits) == "Bundle"
        entry = _read(element, place, f"/entry/{index}", limits.depth - 2)
        if is_bundle and has_resource(entry, place, index):
            pointers = [f"/entry/{index}/resource"]
            yield Record(place=place, original=element, resources=[entry["resource"]], pointers=pointers)
    yield parse_document(bytes(elements.around), place, limits)


def type_of(begun: Elements, pieces: Iterable[bytes], place: str, limits: Limits) -> Any:
    """The type that a document says it has before its elements, or else behind them."""
    stated = _read(bytes(begun.around) + b"]}", place, "", limits.depth).get("resourceType")
    if stated is not None:
        return stated
    elements = Elements(pieces, place, limits)
    for _ in elements:
        pass
    return _read(bytes(elements.around), place, "", limits.depth).get("resourceType")


def _read(data: bytes, place: str, pointer: str, depth: int) -> Any:
    try:
        return read_json(data, depth)
    except IntakeError as error:
        where, _, reason = str(error).partition(": ")
        inside = where if where != "/" or not pointer else ""
        raise type(error)(f"{place}: {pointer}{inside}: {reason}") from error


class _Events:
    """The events of a document, up to as many, and as long ones, as a table may have."""

    def __init__(self) -> None:
        self._rows = EventRows()
        self._long: set[int] = set()
        self._letters = 0
        self._excess = ""

    def add(self, event: Event) -> None:
        """One more, unless there are too many."""
        if self._excess:
            return
        for word in (event.code, event.text, event.unit):
            if len(word) > LONG and hash(word) not in self._long:
                self._long.add(hash(word))
                self._letters += len(word)
        if self._letters > MOST_TEXT:
            self._excess = f"words of more than {MOST_TEXT} letters together"
            self._rows = EventRows()
            return
        try:
            self._rows.add(*event)
        except (IntakeLimit, CannotDecode) as error:
            self._excess = str(error)

    def derived(self) -> Derived:
        """Their table; raises `LargeFile`."""
        if self._excess:
            raise LargeFile(self._excess)
        try:
            return self._rows.derived()
        except (IntakeLimit, CannotDecode) as error:
            raise LargeFile(str(error)) from error


def derive_document(
    pieces: Iterable[bytes],
    place: str,
    limits: Limits = DEFAULT_LIMITS,
    check: Callable[[Record], None] = lambda _: None,
) -> Derived:
    """The table of the events of a document, of which `check` hears each record. Raises `IntakeError`s as `read_document`
    does, `BadField`, and `LargeFile` if only its table is too large."""
    events = _Events()
    reader = EventReader(events.add)
    for record in read_document(pieces, place, limits):
        check(record)
        for resource, pointer in zip(record.resources, record.pointers, strict=True):
            try:
                reader.read(resource, pointer)
            except (BadField, IntakeLimit) as error:
                raise type(error)(f"{place}: {error}") from error
    reader.finish()
    return events.derived()
