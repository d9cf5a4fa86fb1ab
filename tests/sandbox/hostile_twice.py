"""Run the hostile programs and print what came of each, for comparison between processes.

    python tests/sandbox/hostile_twice.py RUNTIME TABLES FUEL

Programs that are stopped by their deadline are left out: where they stand then is not repeatable, and nobody sees it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hostile import PROGRAMS
from hostile_bombs import BOMBS
from hostile_tricks import TRICKS, VAIN
from msgspec.structs import replace

from edgehold.errors import DeadlineExceeded, SandboxError
from edgehold.sandbox.host import Sandbox
from edgehold.sandbox.limits import DEFAULT_LIMITS
from edgehold.wire.program import RunLimits

STOPPED = tuple(one for one in (*PROGRAMS, *BOMBS, *TRICKS) if one.stopped_by is not DeadlineExceeded)


def outcomes(sandbox: Sandbox, tables: Path, fuel: int) -> dict[str, list[object]]:
    """What each program answers, and for how much fuel; or by which error it is stopped, and in which words."""
    found = {one.tries: outcome(sandbox, tables, one.source, DEFAULT_LIMITS) for one in VAIN}
    for one in STOPPED:
        limits = replace(one.limits, fuel=min(fuel, one.limits.fuel))
        found[one.tries] = outcome(sandbox, tables, one.source, limits)
    return found


def outcome(sandbox: Sandbox, tables: Path, source: str, limits: RunLimits) -> list[object]:
    """One run."""
    try:
        answer = sandbox.run(source, tables, "{}", limits)
    except SandboxError as error:
        return [type(error).__name__, str(error)]
    return [answer.text, answer.fuel]


if __name__ == "__main__":
    with Sandbox(Path(sys.argv[1])) as made:
        print(json.dumps(outcomes(made, Path(sys.argv[2]), int(sys.argv[3]))))
