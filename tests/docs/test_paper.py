"""The page about the paper names tests that exist and commands that can be typed."""

import re

import pytest
from pages import ROOT, commands, fault, missing_tests, named_tests

PAPER = (ROOT / "docs/paper.md").read_text()
SENTENCES = re.split(r"^## ", PAPER, flags=re.MULTILINE)[1:]


def test_the_abstract_has_ten_statements_in_their_order() -> None:
    assert [sentence.partition(".")[0] for sentence in SENTENCES] == [str(number) for number in range(1, 11)]


@pytest.mark.parametrize("sentence", SENTENCES, ids=lambda sentence: sentence.partition(".")[0])
def test_each_statement_has_its_command_its_tests_and_a_figure(sentence: str) -> None:
    for part in ("*Here:*", "*Command:*", "*Tests:*", "*Figure:*"):
        assert sentence.count(part) == 1
    assert commands(sentence)
    assert named_tests(sentence)
    assert re.search(r"\d", sentence.partition("*Figure:*")[2])


def test_a_name_that_no_test_has_is_noticed() -> None:
    here = "docs/test_paper.py::test_a_name_that_no_test_has_is_noticed"
    nowhere = ["docs/test_paper.py::test_nobody_wrote", "docs/test_nowhere.py::test_a_name_that_no_test_has_is_noticed"]
    assert missing_tests(" ".join([here, *nowhere])) == nowhere


def test_every_test_it_names_exists() -> None:
    assert missing_tests(PAPER) == []


@pytest.mark.parametrize("line", commands(PAPER))
def test_every_command_it_names_can_be_typed(line: str) -> None:
    assert fault(line) is None
