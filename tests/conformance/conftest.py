"""Lets the suites use their helpers."""

import sys
from pathlib import Path

for folder in (Path(__file__).parent, Path(__file__).parents[1] / "remote"):
    sys.path.insert(0, str(folder))
