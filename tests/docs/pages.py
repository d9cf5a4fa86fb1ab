"""What the pages of this repository name: tests, commands and targets of `make`."""

import ast
import re
import shlex
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click

from edgehold.cli import edgehold

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
PAGES = sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md", *(ROOT / "docs").glob("*.md")])

NO_COMMANDS = {"share", "verify key", "parcel"}
"""Code that begins with `edgehold` and is typed nowhere: what sealed messages say they are for (`info`)."""


@cache
def tests_in(file: Path) -> frozenset[str]:
    """The names of the tests in a file; none if there is no such file."""
    if not file.exists():
        return frozenset()
    tree = ast.parse(file.read_text())
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef) and node.name[:5] == "test_")


def named_tests(text: str) -> list[tuple[str, str]]:
    """Each (file below tests/, name) of a page, written `folder/test_file.py::test_name`."""
    return re.findall(r"([\w/]+\.py)::(\w+)", text)


def missing_tests(text: str) -> list[str]:
    """What a page names and nobody wrote."""
    return [f"{file}::{name}" for file, name in named_tests(text) if name not in tests_in(TESTS / file)]


def code(text: str) -> Iterator[str]:
    """What a page shows as code: each line of a block, and each span, which may run over a line's end."""
    text = re.sub(r"\\\n\s*", "", text)
    for block in re.findall(r"^```.*\n([\s\S]*?)^```$", text, re.MULTILINE):
        yield from block.splitlines()
    text = re.sub(r"^```.*\n[\s\S]*?^```$", "", text, flags=re.MULTILINE)
    yield from re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE)
    for span in re.findall(r"`([^`]+)`", text):
        yield re.sub(r"\s+", " ", span)


def commands(text: str) -> list[str]:
    """Each `edgehold …` of a page, without the program's name and without a comment behind it."""
    found = [re.fullmatch(r"(?:\$ )?edgehold (\w.*?)(?:  +#.*)?", line.strip()) for line in code(text)]
    return [match[1] for match in found if match and match[1] not in NO_COMMANDS]


def targets(text: str) -> set[str]:
    """Each target of `make` that a page names as code."""
    return {name for line in code(text) for name in re.findall(r"^make ([a-z]+)\b", line.strip())}


def fault(line: str) -> str | None:
    """Why a command line is none: an unknown command or option, or a word too many; none if it is one."""
    command: click.Command = edgehold
    words = shlex.split(line)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        if found is None:
            return f"there is no command {words[0]}"
        command, words = found, words[1:]
    context = click.Context(command)
    options = {
        option for parameter in command.get_params(context) for option in (*parameter.opts, *parameter.secondary_opts)
    }
    unknown = [word for word in words if word.startswith("-") and word.partition("=")[0] not in options]
    if unknown:
        return f"there is no option {unknown[0]}"
    if isinstance(command, click.Group) or not words:
        return None  # a command that a sentence only mentions
    try:
        command.make_context(line, words)
    except click.UsageError as error:
        return error.format_message()
    return None
