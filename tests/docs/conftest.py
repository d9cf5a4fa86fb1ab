"""Lets the tests of the pages use the small demo's folder of the commands."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "cli"))

from cli_story import edgehold, here, story

__all__ = ["edgehold", "here", "story"]
