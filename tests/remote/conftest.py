"""Lets the tests of this folder share the chain, the node that serves it, and its lies."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
