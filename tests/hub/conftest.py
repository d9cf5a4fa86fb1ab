"""Lets the tests of this folder, and those that borrow from it, share their world; and an empty store."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgehold.demo.seeded import SeededRandomness
from edgehold.hub.store import Store

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    """Closed with the test."""
    with Store.create(tmp_path / "store.sqlite", bytes(32), SeededRandomness(1, "store")) as made:
        yield made
