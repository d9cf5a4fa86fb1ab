"""How much a program may take when its manifest does not say: the type is `wire.program.RunLimits`."""

from __future__ import annotations

from typing import Final

from edgehold.wire.program import PublishProgram, RunLimits

DEFAULT_LIMITS: Final = RunLimits(fuel=10**10, memory_bytes=96 << 20, output_bytes=16 << 10, deadline_ms=10_000)
"""Fuel counts what the program executes and is the same on every machine: it decides. Ten billion are about a second.
The runtime itself needs 16 MiB of the memory. The deadline is wall time and protects the hub from what fuel does not
count, such as reading files."""

MOST_LIMITS: Final = RunLimits(fuel=10**11, memory_bytes=512 << 20, output_bytes=1 << 20, deadline_ms=10_000)
"""What a hub gives at most. The ledger lets a program declare hours and gigabytes; a hub that gave them could be held up
for as long, and how long it was held up would show in when its reports leave."""


def is_affordable(program: PublishProgram) -> bool:
    """Whether a program's limits are within what a hub gives at most."""
    asked, most = program.limits, MOST_LIMITS
    return (
        asked.fuel <= most.fuel
        and asked.memory_bytes <= most.memory_bytes
        and asked.output_bytes <= most.output_bytes
        and asked.deadline_ms <= most.deadline_ms
    )
