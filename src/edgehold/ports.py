"""The outside as the inside sees it; each Protocol is cut to what its callers use."""

from __future__ import annotations

from typing import Protocol


class Randomness(Protocol):
    """Where every party gets its dice: the operating system's, or (in tests and the seeded demo only) a seed's."""

    def draw(self, count: int) -> bytes:
        """That many uniformly random bytes, never given out before."""
        ...
