"""One seed, one history of a consortium: whatever fails, and whoever misbehaves, members hold one state and lose none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from consortium import Consortium
from universe import Violation

from edgehold import durable
from edgehold.engine import replicated, snapshots
from edgehold.engine.execution import Executed
from edgehold.engine.replicated import Replica
from edgehold.engine.storage import Storage
from edgehold.server.abci.application import Application
from edgehold.server.abci.messages import types_pb2 as abci

if TYPE_CHECKING:
    from conftest import Figures

WORTH_TELLING = (
    "blocks",
    "kills",
    "power cuts",
    "full disks",
    "broken disks",
    "lost machines",
    "blocks replayed after a restart",
    "blocks caught up",
    "proposals refused",
    "changes of validators",
    "snapshots written",
    "snapshots taken over",
    "changed pieces",
)

SEEDS = (3, 8, 21)


@pytest.mark.campaign(test=150, long=10_000, shard=50)
def test_every_consortium_keeps_the_promises(
    consortium_of: Callable[[int], Consortium], numbers: range, figures: Figures
) -> None:
    for seed in numbers:
        try:
            universe = consortium_of(seed).play()
        except BaseException as error:
            error.add_note(f"seed {seed}: `pytest tests/simulation/test_consortium.py --number {seed}` plays it again")
            raise
        figures.add("consortium: histories", 1)
        for name in WORTH_TELLING:
            figures.add(f"consortium: {name}", universe.counts[name])


def test_a_seed_plays_the_same_consortium_again(consortium_of: Callable[[int], Consortium]) -> None:
    digests = [[consortium_of(seed).play().digest() for seed in SEEDS] for _ in range(2)]
    assert digests[0] == digests[1]
    assert len(set(digests[0])) == len(SEEDS)
    for hash_seed in ("0", "1"):
        played = subprocess.run(
            [sys.executable, Path(__file__).with_name("play_consortium.py"), *map(str, SEEDS)],
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert played.stdout.split() == digests[0]


# ── planted faults ────────────────────────────────────────────────────────────────────────────────────────────────


def is_found(consortium_of: Callable[..., Consortium], *words: str, first: int = 0) -> bool:
    """Whether one of these words is said of the first history in which anything is found."""
    for seed in range(first, first + 100):
        try:
            consortium_of(seed).play()
        except Violation as violation:
            return any(one in str(violation) for one in words)
    return False


def test_a_commit_that_is_not_durable_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database leaves to the system when it writes to the disk."""

    class Careless(durable.Database):
        def __init__(self, path: Any, *first: str, **options: Any) -> None:
            super().__init__(path, *(one.replace("synchronous=FULL", "synchronous=OFF") for one in first), **options)

    monkeypatch.setattr("edgehold.engine.storage.Database", Careless)
    assert is_found(consortium_of, "lost what it kept", "does not start")


def test_a_commit_of_only_a_part_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The height is kept in a transaction of its own: only an end between the two shows it."""
    commit = Replica.commit

    def commit_twice(self: Replica) -> None:
        height, append = self.height, self._heights.append
        self._heights.append = lambda passed: None  # type: ignore[method-assign]
        commit(self)
        self._heights.append = append  # type: ignore[method-assign]
        if self.height > height:
            with self._storage.transaction():
                append(self.last)

    monkeypatch.setattr(Replica, "commit", commit_twice)
    assert is_found(consortium_of, "does not start")


def test_an_answer_that_is_forgotten_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    remember = Storage.remember

    def remember_most(self: Storage, height: int, answered: Iterable[Any]) -> None:
        remember(self, height, list(answered)[1:])

    monkeypatch.setattr(Storage, "remember", remember_most)
    assert is_found(consortium_of, "it comes a second time", "lets in", "lets wait")


def test_an_answer_that_is_forgotten_too_early_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicated, "KEPT_ANSWERS", -8)
    assert is_found(consortium_of, "it comes a second time", "lets in", "lets wait")


def test_answers_that_a_snapshot_leaves_out_are_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newcomer votes for what the others refuse."""
    monkeypatch.setattr(snapshots.Restoration, "_write", write_no_answers)
    assert is_found(consortium_of, "it comes a second time", "lets in", "lets wait")


def write_no_answers(self: snapshots.Restoration, piece: snapshots.Piece) -> None:
    """As a restoration does it, but for the answers."""
    match piece:
        case snapshots.HeightsPiece():
            self._heights.restore(snapshots.Passed(one.height, one.header, one.time, one.root) for one in piece.heights)
        case snapshots.EntriesPiece():
            self._storage.put(
                (snapshots.hash_key(key), snapshots.hash_value(value), key, value) for key, value in piece.entries
            )
        case _:
            pass


def test_a_replica_that_votes_for_anything_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    accepted = abci.ResponseProcessProposal(status=abci.ResponseProcessProposal.ACCEPT)
    monkeypatch.setattr(Application, "process_proposal", lambda self, request: accepted)
    assert is_found(consortium_of, "votes for an invalid block")


def test_a_replica_that_executes_otherwise_than_others_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it writes hangs on what it is asked besides."""
    execute = Replica._execute

    def forgetful(self: Replica, verified: Sequence[Any]) -> Executed:
        executed = execute(self, verified)
        if len(self._executed) == 1:
            return Executed(**{**vars(executed), "writes": dict(list(executed.writes.items())[1:])})
        return executed

    monkeypatch.setattr(Replica, "_execute", forgetful)
    assert is_found(consortium_of, "another root", "credits after block")


def test_a_changed_piece_that_is_taken_in_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "piece_digest", lambda piece: bytes(32))
    assert is_found(consortium_of, "a changed piece")
