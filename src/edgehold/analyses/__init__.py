"""Programs for the sandbox that come with Edgehold, each a source with its manifest, and one to start a new one from.

The sources are texts for the sandbox; nobody imports them here.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Final

from edgehold.sandbox.program import Program, load_program

NAMES: Final = ("bmi", "pressure_by_hypertension", "disorders", "feasibility")

FOLDER: Final = Path(__file__).parent


@cache
def shipped_programs() -> dict[str, Program]:
    """The programs by name, in the order of `NAMES`."""
    return {name: load_program(FOLDER / f"{name}.py") for name in NAMES}


def template(name: str) -> tuple[str, str]:
    """Source and manifest of a new program with this name; it can be run as it is."""
    source = (FOLDER / "template.py").read_text(encoding="utf-8")
    manifest = (FOLDER / "template.toml").read_text(encoding="utf-8")
    return source, manifest.replace('name = "template"', f'name = "{name}"')
