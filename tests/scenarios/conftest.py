"""The scenarios' network: founded once, copied for each scenario; misbehaving services are those of the service's tests."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "service"), str(HERE.parent / "remote")]

from scenario_world import SEED, ScenarioWorld, copy_scenario, found_scenario, open_scenario  # noqa: E402

from edgehold.service.node import ServiceNode  # noqa: E402


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every scenario is played on a ledger of four validators too, in `make test` those that are marked so."""
    if "founded" in metafunc.fixturenames:
        on_four = metafunc.config.getoption("--long") or metafunc.definition.get_closest_marker("on_validators")
        metafunc.parametrize("founded", [1, 4] if on_four else [1], indirect=True, scope="session", ids=NAMES.get)


NAMES = {1: "one keeper", 4: "four validators"}


@pytest.fixture(scope="session")
def founded(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """The folder of the founded network, closed."""
    folder = tmp_path_factory.mktemp("founded") / "world"
    found_scenario(folder, SEED, validators=getattr(request, "param", 1))
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
