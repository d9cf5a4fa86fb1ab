"""Every example of every --help runs, and every command speaks JSON."""

import json
import re
import shlex
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from cli_story import DEMO, ONE, Edgehold

from edgehold.cli import edgehold as whole
from edgehold.cli.output import WIDTH

GENOME = Path(__file__).parents[1] / "data" / "variants" / "hg00268.g.vcf"

REFUSED = {
    "issuer panel close OPENPANEL": 5,  # nobody enrolled: a panel of none hides nobody
    "hub withdraw --task ANSWERED": 5,  # that task closed long ago: the released sum contains the report
}
"""Examples whose point is a refusal, by how they begin, with their exit code."""

NEEDS = {
    "hub import": "hub export --to hub.age --recipients-file keys.txt --hub demo-out/hubs/0001",
    "hub restore": "hub export --to hub.age --hub demo-out/hubs/0001",
    "hub repair": "hub export --to hub.age --hub demo-out/hubs/0001",
    "hub init": None,
    "program test": "program new smokers",
    "order new": "program new smokers",
}
"""What a user has done before the examples of a command."""


def commands(group: click.Command, path: tuple[str, ...] = ()) -> Iterator[tuple[str, click.Command]]:
    """Every command below a group, with the words that call it."""
    if not isinstance(group, click.Group):
        yield " ".join(path), group
        return
    context = click.Context(group)
    for name in group.list_commands(context):
        found = group.get_command(context, name)
        assert found is not None
        yield from commands(found, (*path, name))


COMMANDS = dict(commands(whole))


def examples(command: click.Command) -> list[str]:
    """The lines below "Examples:" without the name of the program."""
    shown = (command.help or "").partition("Examples:")[2]
    return re.findall(r"^ *edgehold (.+)$", re.sub(r"\\\n *", "", shown), re.MULTILINE)


def panel(edgehold: Edgehold, *, is_open: bool) -> str:
    panels = edgehold("catalog", "--json").json["panels"]
    return str(next(one["panel"] for one in panels if one["open"] == is_open))


def accepted_order(edgehold: Edgehold) -> str:
    orders = edgehold("order", "status", "--json").json["orders"]
    return str(next(one["order"] for one in orders if one["status"] == "accepted"))


def of_hub(edgehold: Edgehold, command: str) -> Any:
    return edgehold("hub", command, "--hub", ONE, "--json").json


IDS: dict[str, Callable[[Edgehold], str]] = {
    "PANEL": lambda edgehold: panel(edgehold, is_open=False)[:12],
    "OPENPANEL": lambda edgehold: panel(edgehold, is_open=True)[:12],
    "ORDER": lambda edgehold: accepted_order(edgehold)[:12],
    "SHARE": lambda edgehold: str(of_hub(edgehold, "history")["shares"][0]["share"])[:12],
    "ANSWERED": lambda edgehold: str(of_hub(edgehold, "history")["tasks"][0]["task"])[:12],
    "WAITING": lambda edgehold: next(
        (str(one["task"])[:12] for one in of_hub(edgehold, "inbox")["waiting"]), "WAITING"
    ),
    "DATASET": lambda edgehold: str(of_hub(edgehold, "show")["objects"][0]["id"])[:8],
}
"""Words in capitals that stand for an id of the story, and how it is found there."""


def filled(example: str, edgehold: Edgehold) -> list[str]:
    """The words of an example, with ids of the story."""
    return [IDS[word](edgehold) if word in IDS else word for word in shlex.split(example)]


ELSEWHERE = {"demo", "gov", "node", "network", "up", "down"}
"""Commands whose examples start processes: they run in `system/test_node_help.py`; the demo's is the story here."""


@pytest.mark.parametrize("name", [name for name in COMMANDS if name.split()[0] not in ELSEWHERE])
def test_every_example_runs_and_says_the_same_as_json(name: str, here: Path, edgehold: Edgehold) -> None:
    found = examples(COMMANDS[name])
    assert found, f"edgehold {name} --help has no example"
    before = NEEDS.get(name)
    if before:
        assert edgehold(*before.split()).code == 0
    if name == "hub import":
        shutil.copy(GENOME, "genome.vcf")
        assert edgehold("hub", "init", "--network", "demo-out").code == 0
    for example in found:
        words = filled(example, edgehold)
        wanted = next((code for start, code in REFUSED.items() if example.startswith(start)), 0)
        ran = edgehold(*words)
        if name == "hub answer" and example.startswith("hub answer WAITING no"):
            assert ran.code == 6  # the yes before it was the answer
            continue
        assert ran.code == wanted, (example, ran)
        if "--json" in words:
            json.loads(ran.out)
        elif wanted:
            assert "EH" in ran.err
        else:
            shown = ran.out.replace(str(here.parent), "")
            assert all(len(line) <= WIDTH for line in shown.splitlines()), shown


def test_the_demo_s_first_example_is_the_one_that_these_tests_live_in() -> None:
    assert examples(COMMANDS["demo"])[0] == DEMO


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_json_and_help(name: str, edgehold: Edgehold) -> None:
    options = [option for parameter in COMMANDS[name].params for option in parameter.opts]
    assert "--json" in options
    shown = edgehold(*name.split(), "--help")
    assert shown.code == 0
    assert "Examples:" in shown.out
    assert all(len(line) <= WIDTH for line in shown.out.splitlines()), shown.out


def test_a_group_lists_its_commands(edgehold: Edgehold) -> None:
    shown = edgehold("--help")
    assert shown.code == 0
    for name in COMMANDS:
        assert name.split()[0] in shown.out
