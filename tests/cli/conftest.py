"""Lets the tests of this folder share one small demo's folder, played once a run and copied for each test."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from cli_story import edgehold, here, story

__all__ = ["edgehold", "here", "story"]
