"""Snapshots of a replica: written while it goes on, offered to newcomers, and restored piece by piece."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar, cast

import apsw

from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.merkle import table_entries
from edgehold.durable import Database, remove_database, sync_folder, write_file
from edgehold.engine.entries import Entries
from edgehold.engine.heights import Heights, Passed
from edgehold.engine.storage import EPOCH, Storage
from edgehold.errors import BadSnapshot, BrokenLog, Malformed
from edgehold.wire.codec import decode, encode
from edgehold.wire.ids import Digest, NetworkId
from edgehold.wire.snapshot import (
    MAX_PIECE_ITEMS,
    PIECE,
    AnswersPiece,
    EntriesPiece,
    HeightsPiece,
    KeptAnswer,
    KeptHeight,
    Manifest,
    Piece,
)

KEPT = 2
"""Snapshots that stay on disk: the last, and the one that a newcomer may be in the midst of."""

MANIFEST = "manifest"

T = TypeVar("T")


def manifest_digest(manifest: bytes) -> Digest:
    """The name of a snapshot: equal only if every piece is."""
    return tagged_hash("snapshot", manifest)


def piece_digest(piece: bytes) -> Digest:
    """The name of a piece in the manifest."""
    return tagged_hash("snapshot-piece", piece)


# ── giving ────────────────────────────────────────────────────────────────────────────────────────────────────────


class SnapshotWriter:
    """Writes the state of a database as it is now, however it goes on; made by its keeper, run by anybody."""

    def __init__(self, database: Path, folder: Path, network: NetworkId) -> None:
        self._folder = folder
        self._network = network
        self._reader = Database(database, "PRAGMA query_only=1", flags=apsw.SQLITE_OPEN_READWRITE)
        self._reader.execute("BEGIN")
        self.height = cast(int, self._reader.execute("SELECT max(height) FROM passed").fetchall()[0][0])

    def write(self) -> None:
        """Write all pieces and the manifest into a folder named by the height, whole or not at all."""
        target, unfinished = self._folder / str(self.height), self._folder / f"{self.height}.part"
        shutil.rmtree(unfinished, ignore_errors=True)
        try:
            if target.exists():
                return
            unfinished.mkdir(parents=True)
            digests = []
            for index, piece in enumerate(self._pieces()):
                data = encode(piece)
                write_file(unfinished / str(index), data)
                digests.append(piece_digest(data))
            manifest = Manifest(network=self._network, height=self.height, pieces=tuple(digests))
            write_file(unfinished / MANIFEST, encode(manifest))
            unfinished.replace(target)
            sync_folder(self._folder)
        finally:
            self._reader.close()
        for height in snapshot_heights(self._folder)[:-KEPT]:
            shutil.rmtree(self._folder / str(height), ignore_errors=True)

    def _pieces(self) -> Iterator[Piece]:
        heights = self._reader.execute("SELECT height, header, time, root FROM passed ORDER BY height")
        yield HeightsPiece(tuple(KeptHeight(*cast(tuple[int, bytes, int, Digest], row)) for row in heights))
        columns = "epoch, envelope, height, place, receipt"
        query = f"SELECT {columns} FROM answer WHERE epoch >= ? ORDER BY epoch, envelope"  # noqa: S608
        answers = self._reader.execute(query, ((self.height + 1) // EPOCH,))
        rows = (KeptAnswer(*cast(tuple[int, Digest, int, int, bytes], row)) for row in answers)
        for part in _parts((answer, len(answer.receipt) + 60) for answer in rows):
            yield AnswersPiece(tuple(part))
        entries = self._reader.execute("SELECT key, value FROM state ORDER BY key_hash")
        pairs = (cast(tuple[bytes, bytes], row) for row in entries)
        for pairs_part in _parts((pair, len(pair[0]) + len(pair[1]) + 10) for pair in pairs):
            yield EntriesPiece(tuple(pairs_part))


def _parts(items: Iterable[tuple[T, int]]) -> Iterator[list[T]]:
    """Items, each with its size, by the piece."""
    part: list[T] = []
    room = PIECE
    for item, size in items:
        if part and (size > room or len(part) == MAX_PIECE_ITEMS):
            yield part
            part, room = [], PIECE
        part.append(item)
        room -= size
    if part:
        yield part


def snapshot_heights(folder: Path) -> list[int]:
    """The heights of which a folder has whole snapshots, ascending."""
    return sorted(int(path.parent.name) for path in folder.glob(f"*/{MANIFEST}") if path.parent.name.isdecimal())


def read_manifest(folder: Path, height: int) -> bytes | None:
    """The manifest of a snapshot, if there is one."""
    return _read(folder / str(height) / MANIFEST)


def read_piece(folder: Path, height: int, index: int) -> bytes | None:
    """A piece of a snapshot, if there is one."""
    return _read(folder / str(height) / str(index))


def _read(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


# ── taking ────────────────────────────────────────────────────────────────────────────────────────────────────────


class Restoration:
    """A snapshot on its way into a database beside the replica's own; goes on where an earlier attempt at it ended.

    Which pieces the database was made of stays in it: after a kill at any moment they are taken in only once. Raises
    `BadSnapshot` for a manifest of something else. `root` is the application hash that a light client verified.
    """

    def __init__(self, folder: Path, network: NetworkId, form: bytes, manifest: bytes, root: Digest) -> None:
        try:
            self._manifest = decode(manifest, Manifest)
        except Malformed as error:
            raise BadSnapshot(f"its manifest cannot be read: {error}") from error
        if self._manifest.network != network:
            raise BadSnapshot(f"it is of network {self._manifest.network.hex()}")
        self._root = root
        self.path = folder / f"restoring-{manifest_digest(manifest).hex()[:16]}.sqlite"
        for other in folder.glob("restoring-*.sqlite"):
            if other != self.path:
                remove_database(other)
        self._storage = Storage(self.path, network, form)
        with self._storage.transaction():
            self._storage.database.execute("CREATE TABLE IF NOT EXISTS restored (piece INTEGER PRIMARY KEY) STRICT")
        self._heights = Heights(self._storage.database)
        rows = self._storage.database.execute("SELECT piece FROM restored").fetchall()
        self._restored = {cast(int, piece) for (piece,) in rows}
        self._given: set[int] = set()

    @property
    def is_whole(self) -> bool:
        """Whether every piece is there, and was given in this attempt: CometBFT gives all of them, known ones too."""
        return len(self._given) == len(self._manifest.pieces)

    def add(self, index: int, data: bytes) -> bool:
        """Take in a piece; whether it is the one that the manifest names. Raises `BadSnapshot` for what is no piece."""
        if index >= len(self._manifest.pieces) or piece_digest(data) != self._manifest.pieces[index]:
            return False
        if index in self._restored:
            self._given.add(index)
            return True
        try:
            piece: Piece = decode(data, Piece)
            with self._storage.transaction():
                self._write(piece)
                self._storage.database.execute("INSERT INTO restored VALUES (?)", (index,))
        except (Malformed, apsw.ConstraintError) as error:
            raise BadSnapshot(f"piece {index}: {error}") from error
        self._restored.add(index)
        self._given.add(index)
        return True

    def _write(self, piece: Piece) -> None:
        match piece:
            case HeightsPiece():
                self._heights.restore(Passed(one.height, one.header, one.time, one.root) for one in piece.heights)
            case AnswersPiece():
                self._storage.restore_answers(
                    (one.epoch, one.envelope, one.height, one.place, one.receipt) for one in piece.answers
                )
            case EntriesPiece():
                self._storage.put(table_entries(piece.entries))

    def finish(self) -> Path:
        """Check the whole, and close it for the replica to take over; raises `BadSnapshot`.

        1. The entries have the root that the verified header signs.
        2. The last height is the snapshot's, and names that root.
        """
        try:
            root, passed = Entries(self._storage).root, self._heights.all()
            # 1
            if root != self._root:
                raise BadSnapshot(f"its entries have root {root.hex()}, the header signs {self._root.hex()}")
            # 2
            if not passed or passed[-1].height != self._manifest.height or passed[-1].root != root:
                raise BadSnapshot(f"its heights do not end at {self._manifest.height} with that root")
        except BrokenLog as error:
            raise BadSnapshot(str(error)) from error
        self._storage.database.empty_log()
        self._storage.close()
        return self.path

    def close(self) -> None:
        """Leave it for a later attempt."""
        self._storage.close()

    def discard(self) -> None:
        """It was no good."""
        self._storage.close()
        remove_database(self.path)
