"""The vectors and the document of entries are what the rules and types say today, and fit the CDDL."""

from __future__ import annotations

import json
import runpy
from pathlib import Path
from typing import Any

import pycddl
import pytest

from edgehold.crypto.cose import open1

ROOT = Path(__file__).parents[2]
VECTORS = runpy.run_path(str(ROOT / "tools" / "vectors.py"))
CDDL = (ROOT / "docs" / "entries.cddl").read_text()
EXAMPLES: list[dict[str, Any]] = json.loads((ROOT / "tests/vectors/rules/entries.json").read_text())
RULES = sorted(path for path in (ROOT / "tests/vectors/rules").glob("*.json") if path.name != "entries.json")


def schema(root: str) -> pycddl.Schema:
    return pycddl.Schema(f"Root = {root}\n{CDDL}")


@pytest.mark.untraced
def test_the_files_are_what_make_vectors_would_write() -> None:
    files: dict[str, str] = VECTORS["make_files"]()
    assert [path for path, text in files.items() if (ROOT / path).read_text() != text] == []
    assert {path.name for path in RULES} == {Path(path).name for path in files if "rules" in path} - {"entries.json"}


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example["type"])
def test_an_example_fits_the_cddl_and_another_message_does_not(example: dict[str, Any]) -> None:
    whole = bytes.fromhex(example["bytes"])
    rules = schema(example["type"])
    rules.validate_cbor(whole)
    with pytest.raises(pycddl.ValidationError):
        rules.validate_cbor(b"\x82\x00" + whole)


@pytest.mark.untraced
def test_every_transaction_of_the_vectors_that_can_be_read_fits_the_cddl() -> None:
    transactions, envelopes = schema("Transaction"), schema("Envelope")
    for path in RULES:
        for case in json.loads(path.read_text())["cases"]:
            transaction = bytes.fromhex(case["tx"])
            if case.get("refused", {}).get("error") == "Malformed":
                continue
            transactions.validate_cbor(transaction)
            envelopes.validate_cbor(open1(transaction).payload)


def test_every_message_has_an_example() -> None:
    shown = {example["type"] for example in EXAMPLES}
    assert {kind.__name__ for kind in VECTORS["BODIES"]} <= shown
    assert {example["collection"] for example in EXAMPLES if "collection" in example} == {
        collection.name for collection in VECTORS["ENTRY_TYPES"]
    }
