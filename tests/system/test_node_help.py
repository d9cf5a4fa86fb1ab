"""Every example in the help of the commands for validators runs, in an order in which somebody would type them."""

from __future__ import annotations

import io
import json
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import click
import pytest

from edgehold.cli import edgehold as whole
from edgehold.cli import run
from edgehold.cli.output import WIDTH
from edgehold.server.home import open_home
from edgehold.server.loopback import free_ports, wait_for_height

pytestmark = pytest.mark.system

GROUPS = ("node", "network", "gov", "up", "down")
OPTIONS = ("address", "rpc", "health")
ORDER = (
    "node init --home alpha",
    "network create",
    "network show",
    "network accept",
    "OTHERS",
    "node start",
    "node doctor",
    "node status",
    "node init --home delta",
    "BLOCKS",
    "gov propose parameters",
    "gov show",
    "gov vote",
    "gov candidate",
    "gov propose",
    "gov rotate",
    "STOP",
    "node verify",
    "node snapshot",
    "node rollback",
    "up",
    "down",
)
"""How the examples begin, in the order in which they are tried; in between the other founders start, and alpha stops."""


def commands(group: click.Command, path: tuple[str, ...]) -> Iterator[tuple[str, click.Command]]:
    if not isinstance(group, click.Group):
        yield " ".join(path), group
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield from commands(found, (*path, name))


def all_examples() -> list[str]:
    """Every example below "Examples:", without the name of the program."""
    found: list[str] = []
    for name in GROUPS:
        command = whole.get_command(click.Context(whole), name)
        assert command is not None
        for _, one in commands(command, (name,)):
            shown = re.sub(r"\\\n *", "", (one.help or "").partition("Examples:")[2])
            examples = re.findall(r"^ *edgehold (.+)$", shown, re.MULTILINE)
            assert examples
            found += examples
    return found


class Validator:
    """Somebody at a shell, whose ports are free ones instead of those in the examples."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports: dict[str, str] = {}
        self.proposal = "PROPOSAL"
        self.nodes: dict[str, subprocess.Popen[bytes]] = {}

    def words(self, example: str) -> list[str]:
        def free(found: re.Match[str]) -> str:
            if found[1] not in self.ports:
                self.ports[found[1]] = str(free_ports(1)[0])
            return f"127.0.0.1:{self.ports[found[1]]}"

        peers = self.folder / "network" / "peers.txt"
        peer = peers.read_text().split()[0] if peers.exists() else "PEER"
        filled = re.sub(r"127\.0\.0\.1:(\d+)", free, example).replace("PEER", peer).replace("PROPOSAL", self.proposal)
        return shlex.split(filled)

    def run(self, example: str) -> None:
        words = self.words(example)
        if words[:2] == ["node", "start"]:
            self.stop("alpha")
            self.start(words)
            self.edgehold("node", "status", "--wait", "60", "--home", "alpha")
            return
        said = self.edgehold(*words)
        if "--json" in words:
            self.proposal = json.loads(said).get("proposal", self.proposal)
        else:
            assert all(len(line) <= WIDTH for line in said.splitlines()), said

    def edgehold(self, *words: str) -> str:
        said, log = io.StringIO(), io.StringIO()
        with redirect_stdout(said), redirect_stderr(log):
            ended = run(list(words))
        assert ended == 0, (words, said.getvalue(), log.getvalue())
        return said.getvalue()

    def start(self, words: list[str]) -> None:
        """Start a node and do not wait for it."""
        with (self.folder / "log").open("ab") as log:
            command = [sys.executable, "-m", "edgehold.cli", *words]
            node = subprocess.Popen(command, cwd=self.folder, stdout=subprocess.DEVNULL, stderr=log)
        self.nodes[words[words.index("--home") + 1]] = node

    def stop(self, home: str) -> None:
        node = self.nodes.pop(home, None)
        if node is not None:
            node.terminate()
            assert node.wait(60) == 0


@pytest.fixture
def validator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Validator]:
    monkeypatch.chdir(tmp_path)
    one = Validator(tmp_path)
    try:
        yield one
    finally:
        for home in list(one.nodes):
            one.stop(home)


def test_every_example_of_a_validator_runs(validator: Validator) -> None:
    left = all_examples()
    for number, name in enumerate(("beta", "gamma")):
        ports = [26700 + 3 * number + place for place in range(3)]
        places = " ".join(f"--{option} 127.0.0.1:{port}" for option, port in zip(OPTIONS, ports, strict=True))
        validator.run(f"node init --home {name} --name {name} {places}")
    for start in ORDER:
        match start:
            case "STOP":
                validator.stop("alpha")
                continue
            case "BLOCKS":
                wait_for_height(open_home(validator.folder / "alpha"), 3)
                continue
            case "OTHERS":
                validator.run("network accept network --home gamma")
                for name in ("beta", "gamma"):
                    validator.start(["node", "start", "--home", name])
                continue
        tried = [example for example in left if example.startswith(start)]
        assert tried, start
        for example in tried:
            validator.run(example)
            left.remove(example)
    assert left == []
