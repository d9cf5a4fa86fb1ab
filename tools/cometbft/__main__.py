"""`python -m tools.cometbft` builds CometBFT, unless it was built from these sources already."""

from __future__ import annotations

from tools.cometbft import build
from tools.setup import step

if __name__ == "__main__":
    step("cometbft", ["tools/cometbft/go.*", "tools/cometbft/*.py"], build)
