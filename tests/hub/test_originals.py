"""Originals written out: whatever can be read comes out, and after a failure nothing is left that would be in the way."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import apsw
import pytest

from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import StorageFull
from edgehold.hub import originals
from edgehold.hub.originals import write_originals
from edgehold.hub.store import Store
from edgehold.wire.data import Kind

DICE = SeededRandomness(5, "originals")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three files."""
    made = Store.create(tmp_path / "store.sqlite", bytes(32), DICE)
    for name in ("a", "b", "c"):
        made.put_object(name.encode() * 50, name=name, kind=Kind.OTHER, randomness=DICE)
    return made


def test_what_is_said_of_one_was_altered_and_the_others_come_out(store: Store, tmp_path: Path) -> None:
    with apsw.Connection(str(store.path)) as file:
        file.execute("UPDATE object SET sealed = zeroblob(60) WHERE id = ?", (store.ids()[1],))
    file.close()
    written, altered = write_originals(store, tmp_path / "out")
    assert len(written) == 2
    assert len(altered) == 1


@pytest.mark.parametrize("is_there", [False, True])
def test_a_full_disk_leaves_nothing_in_the_way(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    real, out = originals.write_pieces, tmp_path / "out"
    if is_there:
        out.mkdir()

    def fails(path: Path, pieces: Iterable[bytes]) -> None:
        if path.name == "c":
            raise StorageFull(str(path))
        real(path, pieces)

    monkeypatch.setattr(originals, "write_pieces", fails)
    with pytest.raises(StorageFull):
        write_originals(store, out)
    assert out.exists() is is_there
    monkeypatch.setattr(originals, "write_pieces", real)
    written, _ = write_originals(store, out)
    assert sorted(one.path.name for one in written) == ["a", "b", "c"]
    store.close()
