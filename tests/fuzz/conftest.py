"""Lets the tests of this folder use its modules, and the worlds from which they take what is valid."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / folder) for folder in ("fuzz", "mutants", "service", "verify", "hub", "remote")]
