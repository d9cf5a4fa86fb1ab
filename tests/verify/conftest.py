"""Lets the tests of this folder share what makes certificates and signed chains."""

import sys
from pathlib import Path

for folder in (Path(__file__).parent, Path(__file__).parents[1] / "remote"):
    sys.path.insert(0, str(folder))
