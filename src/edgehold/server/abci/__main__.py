"""`python -m edgehold.server.abci` keeps a replica for the CometBFT that connects to its socket."""

from __future__ import annotations

import argparse
from pathlib import Path

from edgehold.server.abci.server import serve_application

if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="edgehold.server.abci", description=__doc__)
    parser.add_argument("--genesis", type=Path, required=True, help="the network's genesis file")
    parser.add_argument("--folder", type=Path, required=True, help="where the replica lies")
    parser.add_argument("--socket", type=Path, required=True, help="the unix socket for CometBFT")
    parser.add_argument("--keep-blocks", type=int, default=0, help="blocks that CometBFT keeps; 0 for all")
    parser.add_argument("--snapshot-every", type=int, default=0, help="heights between snapshots; 0 for none")
    chosen = parser.parse_args()
    serve_application(
        chosen.genesis,
        chosen.folder,
        chosen.socket,
        keep_blocks=chosen.keep_blocks,
        snapshot_every=chosen.snapshot_every,
    )
