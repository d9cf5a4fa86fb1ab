"""The real outside: the operating system's dice and clock. Only faces hand them to parties."""

from __future__ import annotations

import os
import time


class SystemRandomness:
    """The operating system's randomness (`ports.Randomness`)."""

    def draw(self, count: int) -> bytes:
        return os.urandom(count)


class SystemClock:
    """The operating system's clock (`ports.Clock`)."""

    def now(self) -> int:
        return time.time_ns()
