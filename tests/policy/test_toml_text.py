"""TOML of strangers: read, or refused with one error, in bounded time."""

from __future__ import annotations

from decimal import Decimal

import pytest

from edgehold.errors import Malformed
from edgehold.policy.toml_text import MOST_CHARACTERS, read_toml


def test_an_ordinary_document_reads_as_the_standard_says() -> None:
    document = "a.b = 1\nc = 0.1\n[table]\nd = 'x.y.z'\n"
    assert read_toml(document, Decimal) == {"a": {"b": 1}, "c": Decimal("0.1"), "table": {"d": "x.y.z"}}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("#" * (MOST_CHARACTERS + 1), "65537 characters"),
        (".".join("a" * 40) + " = 1", "more than 32 parts"),
        (" . ".join(["'a'", '"b"', "c"] * 20) + " = 1", "more than 32 parts"),
        ("a = 0x" + "f" * 5000, "more than 200 digits"),
        ("a = " + "9" * 5000, "not TOML"),
        ("a = " + "[" * 20_000, "brackets inside each other"),
        ("a = 1\na = 2", "not TOML"),
        ("a = 1\nb ! 2", "line 2"),
    ],
)
def test_what_no_policy_needs_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(Malformed, match=complaint):
        read_toml(text)
