"""The application of a validator that is not honest, or whose disk is full.

python lying_application.py LIE HOME
"""

from __future__ import annotations

import resource
import signal
import sys
from pathlib import Path
from typing import Any

from edgehold.server import application
from edgehold.server.abci.application import Application
from edgehold.server.abci.messages import types_pb2 as abci

ROOM = 128 << 10
"""Bytes beyond which no file grows on a disk that is full."""


def main() -> int:
    lie, home = sys.argv[1:]
    match lie:
        case "wrong root" | "wrong root at once":
            finalize = Application.finalize_block

            def wrong_root(self: Application, request: Any) -> Any:
                response = finalize(self, request)
                if request.txs or lie == "wrong root at once":
                    response.app_hash = bytes(32)
                return response

            Application.finalize_block = wrong_root  # type: ignore[method-assign]
        case "invalid proposals":
            prepare = Application.prepare_proposal

            def with_an_invalid_one(self: Application, request: Any) -> Any:
                chosen = list(prepare(self, request).txs)
                return abci.ResponsePrepareProposal(txs=[*chosen, b"nobody signed this"])

            Application.prepare_proposal = with_an_invalid_one  # type: ignore[method-assign]
        case "votes against all":

            def reject(self: Application, request: Any) -> Any:
                return abci.ResponseProcessProposal(status=abci.ResponseProcessProposal.REJECT)

            Application.process_proposal = reject  # type: ignore[method-assign]
        case "disk full":
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM, resource.RLIM_INFINITY))
        case _:
            raise ValueError(lie)
    return application.main(Path(home))


if __name__ == "__main__":
    sys.exit(main())
