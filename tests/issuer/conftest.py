"""The issuer's tests borrow the hubs' world: an issuer is met by hubs."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "hub"))
