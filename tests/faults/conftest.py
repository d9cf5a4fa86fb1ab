"""Lets these tests use one another's modules and the small worlds of hubs, services and scenarios."""

import sys
from pathlib import Path

for folder in ("service", "hub", "scenarios", "remote", "faults"):
    sys.path.append(str(Path(__file__).parents[1] / folder))
