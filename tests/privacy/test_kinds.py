"""Five hundred canaries in files of every kind: never readable in a hub's folder, archive or anywhere else, gone after erasure."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import apsw
import pytest
from canaries import hatch, singing_files, sings
from nests import build
from test_canaries import CANARIES, GUESSES, count_links

from edgehold.demo.seeded import SeededRandomness
from edgehold.hub.archive import export_hub, import_hub
from edgehold.hub.catalog import catalog_root, open_leaf
from edgehold.hub.hub import JOURNAL_FILE, STORE_FILE
from edgehold.hub.intake.take_in import import_file
from edgehold.hub.journal import Journal
from edgehold.hub.keys import KIT_FILE, create_keys, read_kit
from edgehold.hub.originals import write_originals
from edgehold.hub.repair import repair_hub
from edgehold.hub.store import Store
from edgehold.verify.opening import verify_opening
from edgehold.wire.data import Kind

if TYPE_CHECKING:
    from conftest import Figures

KILLED = 5
"""How often each process is killed."""

DICE = SeededRandomness(6, "nests")


class Nest:
    """A hub's folder without a ledger, the files that it took in, and a folder for whatever is temporary."""

    def __init__(self, place: Path) -> None:
        self.given, self.temporary = place / "given", place / "temporary"
        self.folder, self.archive = place / "hub", place / "hub.age"

    def fill(self) -> None:
        """Make the hub and have it take everything in."""
        self.given.mkdir()
        self.temporary.mkdir()
        self.keys = create_keys(self.folder, DICE)
        Journal(self.folder / JOURNAL_FILE).close()
        self.files = list(build(self.given, hatch(CANARIES)))
        with Store.create(self.folder / STORE_FILE, self.keys.storage_key, DICE) as store:
            for path, _, _ in self.files:
                import_file(store, path, randomness=DICE)
            catalog_root(store, DICE)

    def copy(self, place: Path) -> Nest:
        """The same elsewhere."""
        shutil.copytree(self.given.parent, place)
        other = Nest(place)
        other.keys, other.files = self.keys, self.files
        return other

    def open(self) -> Store:
        """The hub's store."""
        return Store.open(self.folder / STORE_FILE, self.keys.storage_key)

    def export(self) -> None:
        """Write its archive."""
        export_hub(self.folder, self.archive)

    def restore(self) -> None:
        """Make a hub of the archive beside it."""
        kit = read_kit(self.folder / KIT_FILE)
        import_hub(self.archive, self.folder.with_name("again"), [kit.identity], network=None, kit=kit)

    def repair(self) -> None:
        """Mend what was damaged."""
        with apsw.Connection(str(self.folder / STORE_FILE)) as file:
            file.execute("DELETE FROM chunk WHERE place IN (SELECT place FROM chunk LIMIT 3)")
        repair_hub(self.folder, self.archive, [read_kit(self.folder / KIT_FILE).identity], DICE)


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Nest:
    """All kinds, full of canaries."""
    nest = Nest(tmp_path_factory.mktemp("full") / "place")
    nest.given.parent.mkdir()
    nest.fill()
    return nest


@pytest.fixture
def nest(full: Nest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Nest]:
    """A copy of it, with a place for temporary files that is watched too."""
    place = tmp_path / "place"
    monkeypatch.setenv("TMPDIR", str(place / "temporary"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield full.copy(place)
    assert not list(Path("/dev/shm").glob(f"edgehold-tables-{os.getpid()}-*"))


def heard(nest: Nest) -> set[str]:
    """Where a canary sings, but for the files that were given."""
    return {name for name in singing_files(nest.given.parent) if not name.startswith("given/")}


def test_every_kind_has_canaries_and_none_is_heard_in_hub_or_archive(nest: Nest, figures: Figures) -> None:
    assert sum(count for _, _, count in nest.files) == CANARIES
    assert {kind for _, kind, _ in nest.files} == set(Kind)
    with nest.open() as store:
        kept = {one.name: one for one in store.objects()}
        assert {name: one.descriptor.kind for name, one in kept.items()} == {
            path.name: kind for path, kind, _ in nest.files
        }
        assert all(sings(store.get_original(one.id)) for one in kept.values())
    nest.export()
    nest.restore()
    nest.repair()
    assert heard(nest) == set()
    with nest.open() as store:
        written, _ = write_originals(store, nest.given.parent / "out")
    assert heard(nest) == {f"out/{one.path.name}" for one in written}, "whoever asks for originals gets them"
    figures.add("canaries in files of every kind", CANARIES)


@pytest.mark.parametrize("act", [Nest.export, Nest.restore, Nest.repair], ids=lambda act: act.__name__)
def test_killed_at_any_moment_nothing_readable_is_left(
    nest: Nest, act: Callable[[Nest], None], figures: Figures
) -> None:
    nest.export()
    dice = Random(act.__name__)
    began = time.perf_counter()
    if act is not Nest.export:
        act(nest)
    longest = max(time.perf_counter() - began, 0.2)
    for _ in range(KILLED):
        if act is Nest.export:
            nest.archive.unlink(missing_ok=True)
        shutil.rmtree(nest.folder.with_name("again"), ignore_errors=True)
        process = multiprocessing.get_context("fork").Process(target=act, args=(nest,))
        process.start()
        time.sleep(dice.random() * longest)
        assert process.pid is not None
        if process.is_alive():
            os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert heard(nest) == set()
    assert not list(nest.temporary.iterdir())
    figures.add("processes that were killed while they moved a hub", KILLED)


def test_after_erasure_nothing_of_any_kind_is_left(nest: Nest, figures: Figures) -> None:
    with apsw.Connection(str(nest.folder / STORE_FILE)) as database:
        columns = "SELECT wrapped, sealed, signature, tables, identity FROM object"
        secrets = [bytes(one) for row in database.execute(columns) for one in row if one]
        secrets += [
            bytes(data) for (data,) in database.execute("SELECT data FROM chunk UNION ALL SELECT data FROM rows")
        ]
    with nest.open() as store:
        for one in store.objects():
            store.erase(one.id, DICE)
        store.empty_log()
        assert store.check() == []
    assert heard(nest) == set()
    left = b"".join(path.read_bytes() for path in nest.folder.rglob("*") if path.is_file())
    assert not any(secret[at : at + 16] in left for secret in secrets for at in range(0, len(secret) - 15, 997))
    figures.add("sealed pieces and keys of every kind that were searched for after erasure", len(secrets))


def test_guesses_without_the_salt_link_no_kind_to_a_root(nest: Nest, figures: Figures) -> None:
    with nest.open() as store:
        root = catalog_root(store, DICE)
        openings = [(open_leaf(store, one.id, root), store.get_original(one.id)) for one in store.objects()]
        for one in store.objects():
            store.erase(one.id, DICE)
        later = catalog_root(store, DICE)
    linked = 0
    for opening, original in openings:
        verify_opening(root, opening)  # whoever kept the salt can link
        linked += count_links((root, later), opening, original, GUESSES // len(openings))
    assert linked == 0
    figures.add("guesses without the salt, of every kind", GUESSES)
