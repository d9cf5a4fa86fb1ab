"""The helper of a bench's pair as a process: messages on the standard streams, until an empty one."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from edgehold.bench.pair import Pair, read_message, write_message
from edgehold.wire.program import MeasurementKind, MeasurementType


def main() -> None:
    """Make the pair, and answer as its helper."""
    folder, kind, length, bound, persons = sys.argv[1:]
    measurement = MeasurementType(kind=MeasurementKind(kind), length=int(length), bound=int(bound), weight=0)
    pair = Pair(Path(folder), measurement, int(persons))
    write_message(sys.stdout.buffer, b"ready")
    started = time.process_time()
    while message := read_message(sys.stdin.buffer):
        write_message(sys.stdout.buffer, pair.helper.handle(message))
    write_message(sys.stdout.buffer, str(time.process_time() - started).encode())
    pair.close()


if __name__ == "__main__":
    main()
