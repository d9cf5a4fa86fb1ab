"""Lets these tests use the small worlds of services and hubs."""

import sys
from pathlib import Path

for folder in ("service", "hub"):
    sys.path.append(str(Path(__file__).parents[1] / folder))
