"""The scenarios' network: founded once, copied for each scenario; misbehaving services are those of the service's tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "service")]

from scenario_world import SEED, ScenarioWorld, copy_scenario, found_scenario, open_scenario  # noqa: E402

from edgehold.service.node import ServiceNode  # noqa: E402


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the founded network, closed."""
    folder = tmp_path_factory.mktemp("founded") / "world"
    found_scenario(folder, SEED)
    return folder


@pytest.fixture
def open_world(founded: Path, tmp_path: Path) -> Iterator[Callable[..., ScenarioWorld]]:
    """Open a copy of the network; services named by keyword are of that kind. Closed with the test."""
    opened: list[ScenarioWorld] = []

    def open_one(**kinds: type[ServiceNode]) -> ScenarioWorld:
        folder = copy_scenario(founded, tmp_path / f"world {len(opened)}")
        opened.append(open_scenario(folder, kinds))
        return opened[-1]

    yield open_one
    for world in opened:
        world.close()


@pytest.fixture
def world(open_world: Callable[..., ScenarioWorld]) -> ScenarioWorld:
    """A network in which all parties are honest."""
    return open_world()
