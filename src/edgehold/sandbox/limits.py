"""How much a program may take when its manifest does not say: the type is `wire.program.RunLimits`."""

from __future__ import annotations

from typing import Final

from edgehold.wire.program import RunLimits

DEFAULT_LIMITS: Final = RunLimits(fuel=10**10, memory_bytes=96 << 20, output_bytes=16 << 10, deadline_ms=10_000)
"""Fuel counts what the program executes and is the same on every machine: it decides. Ten billion are about a second.
The runtime itself needs 16 MiB of the memory. The deadline is wall time and protects the hub from what fuel does not
count, such as reading files."""
