"""Elements of a list in JSON ↔ sparse bytes: a part of a document that is too large to be encoded at once.

`docs/formats.md`, elements/1. Whole elements with the commas and spaces behind them are told as if they were all that a
bundle has, by `record/1`; the elements of the next version after those of this one. A document by itself is one element.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy
from functools import cache
from typing import Final

from edgehold import _native
from edgehold.codecs.compared import compared
from edgehold.codecs.packed import Numbers, written
from edgehold.codecs.record import RecordCodec, shipped_record_codec
from edgehold.crypto.hash import tagged_hash
from edgehold.errors import CannotDecode
from edgehold.wire.ids import Digest

ELEMENTS: Final = tagged_hash("codec", b"elements/1")
OPENS: Final = b'{"resourceType":"Bundle","entry":['
CLOSES: Final = b"]}"
"""What elements stand between when they are told."""
AROUND: Final = len(OPENS) + len(CLOSES)
SPACES: Final = b" \t\r\n"
SOUGHT: Final = 32
"""How many elements at either end, and of all, are looked for in the version before."""


class ElementsCodec:
    """The codec of elements of a list. One object serves any number of hubs and threads."""

    name = ELEMENTS

    def __init__(self, record: RecordCodec) -> None:
        self.base = record.base
        self._record = record
        self._before: bytes | None = None

    def after(self, before: bytes) -> ElementsCodec:
        """The codec for elements that follow some of these; where whole ones begin and end among them it finds itself."""
        following = copy(self)
        following._before = before
        return following

    def encode(self, data: bytes) -> bytes:
        """Fewer bytes, which were decoded once and compared before they are returned; raises `CannotDecode` if there
        are none, because the data are no elements, or nothing of them was in the version before."""
        elements = data.rstrip(SPACES).removesuffix(b",").rstrip(SPACES)
        end = data[len(elements) :]
        head, record = written([len(end)]) + end, self._record
        if self._before is not None:
            start, stop = find_elements(self._before, elements)
            head += written([start, stop - start])
            record = record.after(framed(self._before[start:stop]))
        document = framed(elements)
        del elements  # one copy is enough while the model has much
        return compared(self, data, head + record.tell(document))

    def decode(self, encoded: bytes, limit: int) -> bytes:
        """The bytes again; time and memory are bounded by the limit, whatever the encoding says."""
        reader = Numbers(encoded)
        end, record = reader.bytes(reader.take()), self._record
        if self._before is not None:
            start = reader.take()
            record = record.after(framed(self._before[start : start + reader.take()]))
        document = record.decode(encoded[reader.place :], limit + AROUND)
        if len(document) < AROUND or not document.startswith(OPENS) or not document.endswith(CLOSES):
            raise CannotDecode(f"a document of {len(document)} bytes is no list of elements")
        if len(document) - AROUND + len(end) > limit:
            raise CannotDecode(f"elements of {len(document) - AROUND + len(end)} bytes are more than {limit}")
        return document[len(OPENS) : -len(CLOSES)] + end


def framed(elements: bytes) -> bytes:
    """Elements as they are told."""
    return OPENS + elements + CLOSES


def elements_of(data: bytes) -> Iterator[bytes]:
    """The elements of some that follow one another, without the spaces around them."""
    scanner, document, start = _native.ElementScanner(), framed(data), 0
    while (end := scanner.mark(document, start)) is not None:
        if start:
            yield document[start : end - 1].strip(SPACES)
        start = end


def find_elements(known: bytes, data: bytes) -> tuple[int, int]:
    """From where to where what is known has whole elements of these, by the first and the last of them that are there;
    raises `CannotDecode` if none is."""
    elements = list(elements_of(data))
    found = next(((at, one) for one in sought(elements) if (at := known.find(one)) >= 0), None)
    if found is None:
        raise CannotDecode(f"of {len(elements)} elements none was known before")
    start, first = found
    ends = (at + len(one) for one in sought(elements[::-1]) if (at := known.rfind(one, start)) >= 0)
    return start, next(ends, start + len(first))


def sought(elements: list[bytes]) -> Iterable[bytes]:
    """Some elements, the first ones and then fewer and fewer."""
    yield from elements[:SOUGHT]
    yield from elements[SOUGHT :: max(len(elements) // SOUGHT, 1)]


@cache
def elements_codec(base: Digest | None) -> ElementsCodec:
    """The codec above the base of that digest; raises `CannotDecode` if this package does not ship it or it was altered."""
    return ElementsCodec(shipped_record_codec(base))
