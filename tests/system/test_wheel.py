"""The wheel in a bare environment: no Rust, no checkout, no cache; the demo runs and its certificates verify."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent

pytestmark = pytest.mark.system


def run(*command: object, environment: dict[str, str] | None = None, folder: Path = ROOT) -> str:
    """Run a command that has to succeed; returns its standard output."""
    words = [str(word) for word in command]
    result = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{' '.join(words)}: {result.stderr[-2000:]}"
    return result.stdout


def locked_for_a_hub() -> list[str]:
    """The distributions that a hub installs, by the lock file."""
    return re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements" / "hub.txt").read_text(), re.MULTILINE)


def copy_distributions(names: list[str], target: Path) -> None:
    """Put distributions as they are installed here into another environment: no network is needed after set-up."""
    for name in names:
        for file in distribution(name).files or []:
            if ".." not in file.parts and "__pycache__" not in file.parts:
                (target / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(file.locate(), target / file)


@pytest.mark.slow
def test_the_wheel_installs_and_the_demo_runs_without_rust(tmp_path: Path) -> None:
    run(TOOLS / "maturin", "build", "--release", "--locked", "--quiet", "--out", tmp_path)
    (wheel,) = tmp_path.glob("edgehold-*.whl")
    run(TOOLS / "uv", "venv", "--quiet", "--python", sys.executable, tmp_path / "bare")
    python = tmp_path / "bare" / "bin" / "python"
    copy_distributions(locked_for_a_hub(), next((tmp_path / "bare").glob("lib/python*/site-packages")))
    run(TOOLS / "uv", "pip", "install", "--quiet", "--offline", "--python", python, "--no-deps", wheel)
    bare = {"PATH": f"{python.parent}:/usr/bin:/bin", "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    printed = run("edgehold", "demo", "--hubs", "12", "--dir", "story", "--json", environment=bare, folder=tmp_path)
    facts = json.loads(printed)
    assert facts["hubs"] == 12
    certificates = [order["certificate"] for order in facts["orders"] if order["certificate"]]
    assert certificates
    for certificate in certificates:
        run("edgehold", "verify", certificate, "--genesis", facts["genesis"], environment=bare, folder=tmp_path)
    assert not list((tmp_path / "story" / "charts").glob("*.svg")), "drawing needs the extra `charts`"
    assert list((tmp_path / "story" / "charts").glob("*.vl.json"))


def test_a_hub_installs_at_most_thirty_distributions() -> None:
    assert 1 <= len(locked_for_a_hub()) <= 30
