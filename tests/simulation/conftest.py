"""Lets these tests use one another's modules, the misbehaving services and the nodes; founds each network once a process."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "simulation"), str(TESTS / "service"), str(TESTS / "remote")]

from consortium import Consortium, FoundedConsortium, found_consortium  # noqa: E402
from disk import DiskSystem  # noqa: E402
from files import simulated  # noqa: E402
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


@pytest.fixture(scope="session")
def founded_consortium() -> FoundedConsortium:
    """The consortium that every history of one begins with."""
    disks = DiskSystem(SeededRandomness(0, "salts").draw)
    try:
        with simulated(disks):
            return found_consortium(disks)
    finally:
        disks.close()


@pytest.fixture
def consortium_of(founded_consortium: FoundedConsortium) -> Iterator[Callable[..., Consortium]]:
    """The consortium of a seed (and of a regime, if one is given); replicas live on simulated disks meanwhile."""
    disks = DiskSystem(SeededRandomness(0, "salts").draw)
    with simulated(disks):
        yield lambda seed, regime=None: Consortium(founded_consortium, disks, seed, regime)
    disks.close()
