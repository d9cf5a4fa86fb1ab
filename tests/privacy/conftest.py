"""Lets the tests of this folder use its modules and the scenarios' small network."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / "privacy"), str(TESTS / "scenarios"), str(TESTS / "service")]
