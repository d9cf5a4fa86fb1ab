"""What the pages tell a reader to type can be typed."""

import re
import shlex
from pathlib import Path

import pytest
from cli_story import Edgehold
from pages import PAGES, ROOT, commands, fault, targets

MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
TYPED = [(page.name, line) for page in PAGES for line in commands(page.read_text())]
README = [line for name, line in TYPED if name == "README.md"]


@pytest.mark.parametrize(("page", "line"), TYPED)
def test_every_command_of_the_pages_resolves_and_has_its_options(page: str, line: str) -> None:
    assert fault(line) is None


def test_the_makefile_s_own_commands_resolve() -> None:
    lines = re.findall(r"^\t@?\.venv/bin/edgehold (.+)$", MAKEFILE, re.MULTILINE)
    assert lines
    assert [fault(line) for line in lines] == [None] * len(lines)


@pytest.mark.parametrize("line", ["hub sell", "hub show --colour", "verify a b --genesis c", "plan --reports many"])
def test_what_is_no_command_is_noticed(line: str) -> None:
    assert fault(line) is not None


def test_the_readme_says_what_to_try_next() -> None:
    assert {line.split()[0] for line in README} >= {"verify", "hub", "order"}


@pytest.mark.parametrize("line", [line for line in README if not line.startswith("demo")])
def test_what_the_readme_says_to_try_works_on_a_demos_folder(line: str, here: Path, edgehold: Edgehold) -> None:
    """The folder `demo-out` here is one that `edgehold demo` made, of fewer people."""
    ran = edgehold(*shlex.split(line))
    assert ran.code == 0, ran
    assert ran.out


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_target_of_make_that_a_page_names_is_one(page: Path) -> None:
    assert targets(page.read_text()) <= TARGETS
