"""The walks of this folder, typed as they stand there, from an empty folder.

In a block ```console, a line `$ command` is run by a shell; `# exit code N` at its end says what it returns if not 0. The
lines below it are fragments of what it prints, in their order; `…` stands for anything. An id in hexadecimal stands for
whatever id comes at its place, there and in all later commands. A block ```json NAME is saved as the file NAME.

The demo with which most walks begin is the same under its seed, whoever plays it: it is played once a run, in an empty
folder, and each walk gets a copy of what it left and said.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from edgehold.sandbox.compiled import default_cache
from edgehold.server.home import Home
from edgehold.server.pair import running
from once import made_once

WALKS = sorted(Path(__file__).parent.glob("*.md"))
ID = re.compile(r"\b(?=[0-9a-f]*[0-9])(?=[0-9a-f]*[a-f])[0-9a-f]{8,64}\b")
SECONDS = 120
DEMO = "edgehold demo --hubs 24 --dir d --seed 1"


@dataclass
class Step:
    """One command of a walk and what it prints; or, without a command, a file to save."""

    command: str
    fragments: list[str] = field(default_factory=list)
    code: int = 0
    file: str = ""


def steps(text: str) -> Iterator[Step]:
    """What a reader types, in its order."""
    for kind, body in re.findall(r"^```(console|json \S+)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        if kind != "console":
            yield Step(command="", fragments=[body], file=kind.split()[1])
            continue
        step: Step | None = None
        for line in re.sub(r"\\\n\s*", "", body).splitlines():
            if line.startswith("$ "):
                if step:
                    yield step
                command, _, code = line[2:].partition("  # exit code ")
                step = Step(command, code=int(code or 0))
            elif step and line.strip():
                step.fragments.append(line.strip())
        if step:
            yield step


@dataclass
class Walk:
    """A walk under way: where, with what environment, and which ids were met."""

    place: Path
    environment: dict[str, str]
    demo: Path
    """What `DEMO` left in an empty folder, and what it said."""
    ids: dict[str, str] = field(default_factory=dict)

    def take(self, step: Step) -> None:
        """Run one step and compare."""
        if step.file:
            (self.place / step.file).write_text(step.fragments[0])
            return
        command = ID.sub(lambda found: self.ids.get(found[0], found[0]), step.command)
        if command == DEMO:
            shutil.copytree(self.demo / "left", self.place, dirs_exist_ok=True)
            code, said = 0, (self.demo / "said").read_text()
        else:
            code, said = run(command, self.place, self.environment)
        assert code == step.code, f"$ {command}\n{said}"
        at = 0
        for fragment in step.fragments:
            found = re.compile(self.pattern(fragment)).search(said, at)
            assert found, f"$ {command}\ndoes not print\n  {fragment}\nafter what came before, but\n{said}"
            self.ids.update({shown: found[f"id{shown}"] for shown in dict.fromkeys(ID.findall(fragment))})
            at = found.end()

    def pattern(self, fragment: str) -> str:
        """What a fragment matches: its ids are the known ones, or any that are as long."""
        parts: list[str] = []
        here: set[str] = set()
        for word in re.split(rf"({ID.pattern}|…|\s+)", fragment):
            if word == "…":
                parts.append(".*?")
            elif word.isspace():
                parts.append(r"\s+")
            elif not ID.fullmatch(word):
                parts.append(re.escape(word))
            elif word in here:
                parts.append(f"(?P=id{word})")
            else:
                known = self.ids.get(word)
                parts.append(f"(?P<id{word}>{known or f'[0-9a-f]{{{len(word)}}}'})")
                here.add(word)
        return "".join(parts)


def run(command: str, place: Path, environment: dict[str, str]) -> tuple[int, str]:
    """What a shell returns and prints."""
    ran = subprocess.run(
        ["/bin/sh", "-c", command],
        cwd=place,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    return ran.returncode, ran.stdout + ran.stderr


def environment_in(folder: Path) -> dict[str, str]:
    """A user's: a home of their own, `edgehold` on the path, the runtime that set-up compiled."""
    commands = folder / "bin"
    commands.mkdir()
    script = commands / "edgehold"
    script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m edgehold.cli "$@"\n')
    script.chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if name in ("PYTHONPATH", "LANG", "TMPDIR")}
    if "PYTHONPATH" in kept:
        kept["PYTHONPATH"] = os.pathsep.join(str(Path(part).resolve()) for part in kept["PYTHONPATH"].split(os.pathsep))
    return kept | {
        "HOME": str(folder / "home"),
        "PATH": f"{commands}:/usr/local/bin:/usr/bin:/bin",
        "XDG_CACHE_HOME": str(default_cache().parent),
        "PYTHONUTF8": "1",
    }


def play_demo(folder: Path) -> None:
    """Play the demo in an empty folder, and keep what it says; it leaves nothing anywhere else."""
    (folder / "left").mkdir()
    code, said = run(DEMO, folder / "left", environment_in(folder))
    assert code == 0, said
    assert not (folder / "home").exists()
    (folder / "said").write_text(said)


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Played once a run."""
    return made_once(tmp_path_factory, "demo of the walks", play_demo)


@pytest.mark.parametrize("walk", WALKS, ids=lambda walk: walk.stem)
def test_a_walk_goes_as_it_is_written(walk: Path, tmp_path: Path, demo: Path) -> None:
    place = tmp_path / "empty"
    place.mkdir()
    found = list(steps(walk.read_text(encoding="utf-8")))
    assert len(found) > 8
    going = Walk(place, environment_in(tmp_path), demo)
    try:
        for step in found:
            going.take(step)
    finally:
        left = stop_nodes(place)
    assert left == 0, "a walk stops what it started"


def stop_nodes(place: Path) -> int:
    """End the nodes that a walk left running; how many there were."""
    left = [pid for lock in place.glob("*/node.lock") if (pid := running(Home(lock.parent))) is not None]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    return len(left)
