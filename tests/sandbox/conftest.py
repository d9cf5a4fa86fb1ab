"""One sandbox for all tests of this folder: the runtime that the set-up compiled."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgehold.sandbox.compiled import default_cache, prepare_runtime
from edgehold.sandbox.host import Sandbox

sys.path.insert(0, str(Path(__file__).parent))

from small_tables import write_tables


@pytest.fixture(scope="session")
def runtime() -> Path:
    return prepare_runtime(default_cache())


@pytest.fixture(scope="session")
def sandbox(runtime: Path) -> Iterator[Sandbox]:
    with Sandbox(runtime) as made:
        yield made


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A person with three events, and a file beside the tables that no program may see."""
    folder = tmp_path_factory.mktemp("person")
    (folder / "beside.txt").write_text("secret")
    write_tables(
        folder / "tables",
        [
            (1_700_000_000, "LOINC//39156-5", 31.5, "", "kg/m2"),
            (1_600_000_000, "LOINC//39156-5", 29.0, "", "kg/m2"),
            (1_500_000_000, "SNOMED//59621000", None, "", ""),
        ],
    )
    (folder / "tables" / "link").symlink_to(folder / "beside.txt")
    return folder / "tables"
