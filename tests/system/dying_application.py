"""The application, killing itself at a named point of the first block that is not empty.

python dying_application.py POINT --genesis … --folder … --socket …
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
from collections.abc import Callable
from typing import Any

from edgehold.engine import replicated
from edgehold.engine.replicated import Block, Replica
from edgehold.engine.storage import Storage

POINTS = ("before finalizing", "after finalizing", "before the commit", "inside the commit", "after the commit")


def main() -> None:
    point = sys.argv.pop(1)
    assert point in POINTS
    seen = False
    finalize, commit = Replica.finalize, Replica.commit

    def dying_finalize(replica: Replica, block: Block) -> Any:
        nonlocal seen
        seen = bool(block.transactions)
        die_if(seen and point == "before finalizing")
        result = finalize(replica, block)
        die_if(seen and point == "after finalizing")
        return result

    def dying_commit(replica: Replica) -> None:
        die_if(seen and point == "before the commit")
        if seen and point == "inside the commit":
            Storage.forget = dying(Storage.forget)  # type: ignore[method-assign]
        commit(replica)
        die_if(seen and point == "after the commit")

    Replica.finalize, Replica.commit = dying_finalize, dying_commit  # type: ignore[method-assign]
    assert replicated.Replica is Replica
    runpy.run_module("edgehold.server.abci", run_name="__main__", alter_sys=True)


def dying(function: Callable[..., Any]) -> Callable[..., Any]:
    def dies(*arguments: Any, **options: Any) -> None:
        function(*arguments, **options)
        die_if(True)

    return dies


def die_if(condition: bool) -> None:
    if condition:
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
