"""Lets the tests of the server play CometBFT."""

import sys
from pathlib import Path

sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in ("conformance", "remote"))
