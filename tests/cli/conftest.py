"""Lets the tests of this folder share one small demo's folder, played once a run and copied for each test."""

import os
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from cli_story import Edgehold, Ran, inside, locked, make_story

from edgehold.cli import run


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `demo-out`, a task that waits for the owner of hub 0001, and a stranger's signed `record.json`.

    Workers share it: the first makes it, the others wait for the lock.
    """
    base = tmp_path_factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "story of the commands"
    with locked(shared.with_suffix(".lock")):
        if not shared.exists():
            making = shared.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            with inside(making):
                make_story()
            making.rename(shared)
    return shared


@pytest.fixture
def here(story: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fresh copy of the story's folder as the present one; a home of its own."""
    place = tmp_path / "here"
    shutil.copytree(story, place)
    monkeypatch.chdir(place)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    return place


@pytest.fixture
def edgehold(capsys: pytest.CaptureFixture[str]) -> Edgehold:
    """Run a command in this process: `edgehold("hub", "show")`."""

    def call(*words: str) -> Ran:
        capsys.readouterr()
        code = run(list(words))
        said = capsys.readouterr()
        return Ran(code, said.out, said.err)

    return call
