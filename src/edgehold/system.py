"""The real outside: the operating system's dice and clock. Only faces hand them to parties."""

from __future__ import annotations

import ctypes
import os
import time
from contextlib import suppress

MMAP_THRESHOLD = -3
"""Of `mallopt`: from which size on a piece of memory is the system's and not the heap's."""
LARGE_PIECE = 1 << 19


class SystemRandomness:
    """The operating system's randomness (`ports.Randomness`)."""

    def draw(self, count: int) -> bytes:
        return os.urandom(count)


class SystemClock:
    """The operating system's clock (`ports.Clock`)."""

    def now(self) -> int:
        return time.time_ns()


def return_large_pieces() -> None:
    """Ask the GNU C library to give pieces of half a megabyte back when they are freed, instead of keeping the room."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(MMAP_THRESHOLD, LARGE_PIECE)
