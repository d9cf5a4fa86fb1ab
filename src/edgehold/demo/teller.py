"""Where the story goes: lines of at most 100 columns, progress on long work, seconds by part."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol

WIDTH = 100


class Bar(Protocol):
    """Progress of one long piece of work."""

    def advance(self, count: int = 1) -> None: ...
    def end(self) -> None: ...


@dataclass
class Teller:
    """Where the story goes: lines for people, progress, and seconds by part."""

    say: Callable[[str], None]
    bar: Callable[[str, int], Bar]
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def part(self, name: str, label: str = "", total: int = 0) -> Iterator[Callable[[], None]]:
        """One timed part; gives what to call for each piece that is done."""
        started = time.monotonic()
        bar = self.bar(label, total) if total else None
        try:
            yield (lambda: bar.advance()) if bar else (lambda: None)
        finally:
            if bar:
                bar.end()
            self.seconds[name] = round(self.seconds.get(name, 0) + time.monotonic() - started, 3)

    def act(self, number: int, title: str) -> None:
        """The heading of an act."""
        heading = f"── Act {number}: {title} "
        self.say("")
        self.say(heading + "─" * (WIDTH - len(heading)))

    def text(self, words: str, indent: str = "  ") -> None:
        """A paragraph."""
        for line in textwrap.wrap(words, WIDTH - len(indent)):
            self.say(indent + line)
