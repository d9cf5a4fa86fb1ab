"""Set-up says everything that is missing, at once, and how to get it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.system


def test_a_missing_tool_is_named_with_the_way_to_get_it(tmp_path: Path) -> None:
    result = subprocess.run(
        [sys.executable, ROOT / "tools" / "setup.py"],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "Rust: install it with rustup" in result.stderr
    assert "A C compiler" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_old_rust_is_named_with_both_versions(tmp_path: Path) -> None:
    for name, prints in (("cargo", "cargo 1.70.0 (abc 2023-01-01)"), ("cc", "")):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{prints}'\n")
        (tmp_path / name).chmod(0o755)
    result = subprocess.run(
        [sys.executable, ROOT / "tools" / "setup.py"],
        env={"PATH": f"{tmp_path}:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    assert "Rust 1.89 or newer (found 1.70): `rustup update stable`" in result.stderr
