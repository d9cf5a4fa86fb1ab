"""Lets the tests of this folder use its modules, and the scenarios' small network with its fixtures."""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / folder) for folder in ("privacy", "scenarios", "service", "remote")]

_found = spec_from_file_location("scenario_fixtures", TESTS / "scenarios" / "conftest.py")
assert _found is not None
assert _found.loader is not None
scenario_fixtures = module_from_spec(_found)
_found.loader.exec_module(scenario_fixtures)

founded = scenario_fixtures.founded
open_world = scenario_fixtures.open_world
world = scenario_fixtures.world
