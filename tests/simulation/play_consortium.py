"""Play histories of consortia by their seeds, and print their digests: `python tests/simulation/play_consortium.py SEED…`."""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "remote")]

from consortium import Consortium, found_consortium  # noqa: E402
from disk import DiskSystem  # noqa: E402
from files import simulated  # noqa: E402

from edgehold.demo.seeded import SeededRandomness  # noqa: E402


def main() -> None:
    """Found the consortium and play each seed."""
    disks = DiskSystem(SeededRandomness(0, "salts").draw)
    with simulated(disks):
        founded = found_consortium(disks)
        for seed in map(int, sys.argv[1:]):
            print(Consortium(founded, disks, seed).play().digest())
    disks.close()


if __name__ == "__main__":
    main()
