"""Play histories by their seeds, and print their digests: `python tests/simulation/play.py SEED…`."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "service")]

from disk import DiskSystem  # noqa: E402
from founding import found_network  # noqa: E402
from history import History  # noqa: E402

from edgehold.demo.seeded import SeededRandomness  # noqa: E402


def main() -> None:
    """Found the network and play each seed."""
    with tempfile.TemporaryDirectory() as folder:
        founded = found_network(Path(folder) / "world")
        disks = DiskSystem(SeededRandomness(0, "salts").draw)
        for seed in map(int, sys.argv[1:]):
            print(History(founded, disks, seed).play().digest())
        disks.close()


if __name__ == "__main__":
    main()
