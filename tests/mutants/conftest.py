"""Lets the tests of this folder use its modules, the two aggregators' small network, and what forges certificates."""

import sys
from pathlib import Path

TESTS = Path(__file__).parents[1]
sys.path[:0] = [str(TESTS / folder) for folder in ("mutants", "service", "verify")]
