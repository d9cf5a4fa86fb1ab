"""Whether a text is likely to be the next version of another, by the little that was kept of that one.

A sketch is some lines of a text, chosen by what they are: so most of them are the same in both versions, wherever they have
moved to. To decode the other only to find that nothing of it is there would take as long as to encode the text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from edgehold.codecs.cuts import find_cut
from edgehold.crypto.hash import tagged_hash

EVERY: Final = 1 << 21
"""Bytes of which one line is chosen at least."""
SEEN: Final = 1 << 8
"""Bytes up to the end of a line that are noted of it."""
NOTE: Final = 8
"""Bytes of a note."""
MOST: Final = 1 << 7
"""Notes of a sketch: 64 MiB in one part have at most half of them, and many small parts might have any number."""
LEAST: Final = 8
"""One in so many of the fewer notes has to be the same."""


def sketch_of(texts: Iterable[bytes]) -> bytes:
    """The sketch of a text that comes in some parts, cut wherever; no more parts are read than are noted."""
    return b"".join(islice((note for text in texts for note in _notes(text)), MOST))


def _notes(text: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(text):
        end = at + find_cut(text[at : at + EVERY], EVERY // 2)
        yield tagged_hash("sketch", text[max(end - SEEN, at) : end])[:NOTE]
        at = end


def is_alike(sketch: bytes, other: bytes) -> bool:
    """Whether the texts of two sketches are likely to have much in common."""
    notes, others = ({one[at : at + NOTE] for at in range(0, len(one), NOTE)} for one in (sketch, other))
    return LEAST * len(notes & others) >= max(min(len(notes), len(others)), 1)
