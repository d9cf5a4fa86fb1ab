"""Lets these tests use one another's modules and the misbehaving services; founds the network once a process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "simulation"), str(TESTS / "service")]

from disk import DiskSystem  # noqa: E402
from founding import Founded, found_network  # noqa: E402
from history import History  # noqa: E402

from edgehold.demo.seeded import SeededRandomness  # noqa: E402


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Founded:
    """The network that every history begins with."""
    return found_network(tmp_path_factory.mktemp("simulation") / "world")


@pytest.fixture
def history_of(founded: Founded) -> Iterator[Callable[..., History]]:
    """The history of a seed (and of a regime, if one is given); the simulated disks are the file system meanwhile."""
    disks = DiskSystem(SeededRandomness(0, "salts").draw)
    yield lambda seed, regime=None: History(founded, disks, seed, regime)
    disks.close()
