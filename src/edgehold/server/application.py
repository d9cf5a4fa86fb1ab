"""`python -m edgehold.server.application HOME`: our half of a node, as its supervisor starts it.

It ends when its standard input does: a supervisor that is killed leaves nobody behind, since CometBFT ends when its
application does.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path

from edgehold.errors import EdgeholdError
from edgehold.server.home import Home, network_of_home, read_settings


def main(folder: Path) -> int:
    """Keep the replica of a home until told to stop; what went wrong is one JSON line on standard error."""
    threading.Thread(target=_end_with_the_supervisor, daemon=True).start()
    home = Home(folder)
    try:
        from edgehold.server.abci.server import serve_application

        network_of_home(home)
        settings = read_settings(home)
        serve_application(
            home.genesis,
            home.replica,
            home.socket.relative_to(home.folder),
            keep_blocks=settings.keep_blocks,
            snapshot_every=settings.snapshot_every,
        )
    except EdgeholdError as error:
        _say(f"{error.code} {type(error).__name__}: {error}")
        return 1
    except Exception as error:
        _say(f"{type(error).__name__}: {error}")
        raise
    return 0


def _end_with_the_supervisor() -> None:
    while os.read(0, 1024):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


def _say(message: str) -> None:
    print(json.dumps({"level": "error", "message": message}), file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
