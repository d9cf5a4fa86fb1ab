"""Lets these tests borrow the network of the service tests: a real ledger and two real nodes."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "service"))
sys.path.insert(0, str(Path(__file__).parent))
