"""Variants that are too large to be in memory, with their qualities in steps: they are put in steps each time they are read."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Final

from edgehold.codecs.choice import Cut, Profile, cut_for
from edgehold.codecs.lossy import Losses, Steps
from edgehold.codecs.tables.variants import MAGIC, MOST_LINE, TOO_LONG
from edgehold.errors import IntakeLimit
from edgehold.wire.data import Kind

BLOCK: Final = 1 << 20
"""Bytes of lines that are passed on together."""


@dataclass(frozen=True, kw_only=True)
class SteppedFile:
    """A text in steps, as often as it is read."""

    source: Callable[[], Iterable[bytes]]
    """The exact text in pieces."""
    size: int
    """Bytes of the text in steps."""
    losses: Losses

    def pieces(self) -> Iterator[bytes]:
        """The text in steps; raises `IntakeLimit` for a line that is too long."""
        return in_blocks(Steps().step(lines_of(self.source())))

    def cut(self, profile: Profile) -> Cut:
        """How to cut it."""
        return cut_for(MAGIC, self.size, Kind.GENOTYPE, profile)

    def parts(self, cut: Cut) -> Iterator[bytes]:
        """Its parts."""
        return cut.parts(io.BufferedReader(Joined(self.pieces())))


def step_file(source: Callable[[], Iterable[bytes]], first_time: Iterable[bytes]) -> SteppedFile | None:
    """A text with its qualities in steps; none if it is no VCF, or nothing of it is lost. Raises `IntakeLimit` for a line that
    is too long. Its pieces come here for the first time, later from their source."""
    lines = lines_of(first_time)
    first = next(lines, b"")
    if not first.startswith(MAGIC):
        return None
    steps = Steps()
    size = sum(map(len, steps.step(chain((first,), lines))))
    losses = steps.losses()
    return None if losses is None else SteppedFile(source=source, size=size, losses=losses)


def lines_of(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The lines of a text in pieces, with their ends; raises `IntakeLimit` for one that is too long."""
    held = b""
    for piece in pieces:
        text = held + piece
        end = text.rfind(b"\n") + 1
        yield from io.BytesIO(text[:end])
        held = text[end:]
        if len(held) > MOST_LINE:
            raise IntakeLimit(TOO_LONG)
    if held:
        yield held


def in_blocks(lines: Iterable[bytes]) -> Iterator[bytes]:
    """Lines together, so that each step of whoever reads them is worth its while."""
    block = bytearray()
    for line in lines:
        block += line
        if len(block) >= BLOCK:
            yield bytes(block)
            block.clear()
    if block:
        yield bytes(block)


class Joined(io.RawIOBase):
    """Pieces as a file that is read from its beginning to its end."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        super().__init__()
        self._pieces, self._held, self._at = pieces, b"", 0

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, room: memoryview) -> int:  # type: ignore[override]
        """As many bytes as there is room for, and the piece has."""
        while self._at == len(self._held):
            piece = next(self._pieces, None)
            if piece is None:
                return 0
            self._held, self._at = piece, 0
        part = self._held[self._at : self._at + len(room)]
        room[: len(part)] = part
        self._at += len(part)
        return len(part)
