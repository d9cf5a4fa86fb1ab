"""One sandbox for all tests of this folder: the runtime that the set-up compiled."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgehold.sandbox.compiled import default_cache, prepare_runtime
from edgehold.sandbox.host import Sandbox

sys.path.insert(0, str(Path(__file__).parent.parent / "sandbox"))


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox(prepare_runtime(default_cache())) as made:
        yield made
