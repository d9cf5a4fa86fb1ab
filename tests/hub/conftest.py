"""Lets the tests of this folder, and those that borrow from it, share their world."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
