"""The page about promises names, for each of them, tests that exist."""

import re

import pytest
from pages import ROOT, missing_tests, named_tests

THREATS = (ROOT / "docs/threats.md").read_text()
PROMISED, _, NOT_PROMISED = THREATS.partition("## Not promised")

BEYOND_ANY_TEST = ("Hiding network addresses.", "A tenant's secrecy from the host of many hubs.")
"""Not promised, and about the world outside: nothing here could show it."""


def rows(text: str) -> list[list[str]]:
    """The cells of each row of the tables in a text, without heads."""
    found = re.findall(r"^\| (.+) \|\n", text, re.MULTILINE)
    return [row.split(" | ") for row in found if not row.startswith(("---", "promise |", "not promised |"))]


def test_the_tables_are_read_whole() -> None:
    assert len(rows(PROMISED)) >= 20
    assert len(rows(NOT_PROMISED)) >= 24
    assert {len(row) for row in rows(THREATS)} == {3}


def test_every_test_it_names_exists() -> None:
    assert missing_tests(THREATS) == []


@pytest.mark.parametrize("row", rows(PROMISED), ids=lambda row: row[0])
def test_every_promise_names_a_test_that_tries_to_break_it(row: list[str]) -> None:
    assert named_tests(row[2])


@pytest.mark.parametrize("row", rows(NOT_PROMISED), ids=lambda row: row[0])
def test_every_limit_names_a_test_that_shows_it(row: list[str]) -> None:
    assert named_tests(row[2]) or row[0] in BEYOND_ANY_TEST
