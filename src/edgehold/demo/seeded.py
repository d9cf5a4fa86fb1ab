"""Dice and clock that repeat: reached by the demo's `--seed` and by tests, and from nowhere else.

What they give is *not private*: whoever knows the seed knows every key and every noise.
"""

from __future__ import annotations

from hashlib import shake_256


class SeededRandomness:
    """A stream of bytes that follows from a seed and a party's label (`ports.Randomness`)."""

    def __init__(self, seed: int, label: str) -> None:
        self._key = b"edgehold seeded" + seed.to_bytes(8, "big", signed=True) + label.encode()
        self._drawn = 0

    def draw(self, count: int) -> bytes:
        self._drawn += 1
        return shake_256(self._key + b"\x00" + self._drawn.to_bytes(8, "big")).digest(count)


class SteppingClock:
    """A clock that moves on by one interval at each reading (`ports.Clock`), so that block times repeat."""

    def __init__(self, start: int, interval: int) -> None:
        self._now = start
        self._interval = interval

    def now(self) -> int:
        self._now += self._interval
        return self._now
