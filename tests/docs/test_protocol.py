"""The protocol page is in step with the code: hash tags, sealing contexts, the certificate's steps, the limits."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

from edgehold.engine.blocks import MAX_BLOCK
from edgehold.engine.replicated import Replica
from edgehold.hub import sharing
from edgehold.hub.sharing import Arriving, open_parcel
from edgehold.ledger.draw import DRAWS, KEPT_HEADERS, LONGEST_JOIN
from edgehold.ledger.rules.governance import _with_seats
from edgehold.ledger.rules.programs import MOST_BITS
from edgehold.sandbox.limits import MOST_LIMITS
from edgehold.verify.certificate import CERTIFICATE_LIMIT, verify_certificate
from edgehold.wire.codec import MAX_MESSAGE
from edgehold.wire.governance import MOST_ACCREDITORS, MOST_OPEN, MOST_VALIDATORS
from edgehold.wire.report import MAX_JOB, MAX_PANELS, PERMIT_EXTENSION
from edgehold.wire.snapshot import MAX_PIECE_ITEMS, PIECE
from edgehold.wire.task import MAX_SEALED_SHARE
from edgehold.wire.tx import MAX_TRANSACTION, RESERVED_TAGS

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "protocol.md").read_text()


def tags_in_code() -> set[str]:
    """The first argument of every call of `tagged_hash` and of `tagged_hashes`."""
    found = set()
    for path in (ROOT / "src").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("tagged_hash", "tagged_hashes"):
                assert isinstance(node.args[0], ast.Constant), f"{path}: a tag is not a literal"
                found.add(node.args[0].value)
    return found


def tags_on_page() -> set[str]:
    section = PAGE.partition("## 2. Hashes")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]+) \|", section, re.MULTILINE)
    return {tag for row in rows for tag in re.findall(r"`([^`]+)`", row)}


def test_every_hash_tag_is_listed_and_every_listed_tag_is_used() -> None:
    assert tags_on_page() == tags_in_code()


def test_every_sealing_context_is_listed() -> None:
    for info in ("dap-18 input share", "edgehold verify key", "edgehold share", "edgehold parcel"):
        assert f"`{info}`" in PAGE


def test_the_certificate_s_steps_are_those_of_the_code() -> None:
    steps = re.findall(r"^\d\. .+$", inspect.getdoc(verify_certificate) or "", re.MULTILINE)
    assert len(steps) == 6
    for step in steps:
        assert step in PAGE


def test_the_steps_of_a_recipient_are_those_of_the_code() -> None:
    section = PAGE.partition("## 15. Sharing")[2].partition("\n## ")[0]
    said = re.findall(r"^\d\. .+$", section, re.MULTILINE)
    steps = [
        step
        for one in (open_parcel, Arriving.pieces)
        for step in re.findall(r"^\d\. .+$", inspect.getdoc(one) or "", re.M)
    ]
    assert said == steps
    assert f"{sharing.PIECE:,} bytes" in section
    assert sharing.MOST_OPEN == 4


def test_the_rules_of_a_vote_are_those_of_the_code() -> None:
    rules = re.findall(r"^\d\. .+$", inspect.getdoc(Replica.objection) or "", re.MULTILINE)
    assert len(rules) == 3
    for rule in rules:
        assert rule in PAGE


def test_the_bounds_of_validators_are_those_of_the_code() -> None:
    rules = re.findall(r"^\d\. .+$", inspect.getdoc(_with_seats) or "", re.MULTILINE)
    assert len(rules) == 4
    for rule in rules:
        assert rule in PAGE


def test_the_limits_are_those_of_the_code() -> None:
    numbers = (MAX_TRANSACTION, MAX_MESSAGE, LONGEST_JOIN, MOST_BITS, MAX_SEALED_SHARE, CERTIFICATE_LIMIT, KEPT_HEADERS)
    for number in numbers:
        assert f"{number:,}" in PAGE, number
    assert (PIECE, MAX_BLOCK) == (1 << 20, 1 << 20)
    assert f"2^20 bytes or {MAX_PIECE_ITEMS:,} items" in PAGE
    assert f"{LONGEST_JOIN}, in {DRAWS} draws" in PAGE
    assert f"panels of a task; slots of a panel | {MAX_PANELS}; 256" in PAGE
    assert (MOST_LIMITS.fuel, MOST_LIMITS.memory_bytes, MOST_LIMITS.deadline_ms) == (10**11, 512 << 20, 10_000)
    assert f"at most {MAX_JOB}\nreports" in PAGE
    assert f"0x{PERMIT_EXTENSION:04X}" in PAGE
    assert f"validators; accreditors; open proposals | {MOST_VALIDATORS}; {MOST_ACCREDITORS}; {MOST_OPEN}" in PAGE
    assert sorted(RESERVED_TAGS) == [5, 6, 53, 54, 55, 56, 57, 58]
