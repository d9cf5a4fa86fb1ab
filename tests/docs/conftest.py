"""Lets the tests of the pages use the small demo's folder of the commands, and the worlds of hubs and certificates."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.extend(str(Path(__file__).parents[1] / folder) for folder in ("cli", "hub", "verify"))

from cli_story import edgehold, here, story

__all__ = ["edgehold", "here", "story"]
