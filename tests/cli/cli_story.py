"""The folder that the tests of the commands live in: a small demo, played once, and what happened after it."""

import contextlib
import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from edgehold.cli import run
from edgehold.crypto.age import read_identities
from once import made_once

DEMO = "demo --hubs 24 --dir story --seed 1"
"""How the folder is made; also the first example of `edgehold demo --help`."""

RIVERBEND = "demo-out/organisations/riverbend"
ONE = "demo-out/hubs/0001"


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Edgehold = Callable[..., Ran]


def make_story() -> None:
    """In the present folder: play the demo, then go on with commands."""
    assert run(DEMO.split()) == 0
    Path("story").rename("demo-out")
    shutil.copy(f"{ONE}/recovery.kit", "recovery.kit")
    secret = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
    Path("key.txt").write_text(f"# as age-keygen writes it\n{secret}\n")
    Path("keys.txt").write_text(f"{read_identities(secret, 'key.txt')[0].recipient}\n")
    assert run(["hub", "policy", "--write", "policy.toml", "--hub", ONE]) == 0
    policy = Path("policy.toml").read_text().replace('mode = "always"', 'mode = "ask"')
    Path("policy.toml").write_text(policy)
    assert run(["hub", "policy", "--set", "policy.toml", "--hub", ONE]) == 0
    declare = ["--scheme", "riverbend-adults", "--period", "3", "--slots", "2", "--issuer", RIVERBEND]
    assert run(["issuer", "panel", "declare", *declare]) == 0
    dataset = only_dataset(Path(ONE))
    share = ["--with", "dr-lindqvist", "--until", "10000", "--out", "record.json", "--hub", ONE]
    assert run(["hub", "share", dataset, *share]) == 0
    make_stranger(Path("record.json"))
    assert run(["issuer", "sign", "record.json", "--issuer", RIVERBEND]) == 0
    assert run(["order", "new", "--program", "feasibility", "--epsilon", "0.5", "--hold"]) == 0


def only_dataset(folder: Path) -> str:
    """The id of a hub's one dataset."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        assert run(["hub", "show", "--json", "--hub", str(folder)]) == 0
    (dataset,) = json.loads(said.getvalue())["objects"]
    return str(dataset["id"])


def make_stranger(file: Path) -> None:
    """The same record of somebody whom no issuer knows yet."""
    text = file.read_text()
    entries = json.loads(text)["entry"]
    (patient,) = [entry["resource"]["id"] for entry in entries if entry["resource"]["resourceType"] == "Patient"]
    file.write_text(text.replace(patient, "abcd" + patient[4:]))


@contextmanager
def inside(folder: Path) -> Iterator[None]:
    before = Path.cwd()
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(before)


@pytest.fixture(scope="session")
def story(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `demo-out`, a task that waits for the owner of hub 0001, and a stranger's signed `record.json`."""

    def make(folder: Path) -> None:
        with inside(folder):
            make_story()

    return made_once(tmp_path_factory, "story of the commands", make)


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
