"""One seed, one history of a consortium: whatever fails, and whoever misbehaves, members hold one state and lose none."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from consortium import Consortium, Regime
from universe import Violation

from edgehold import durable
from edgehold.engine import replicated, snapshots
from edgehold.engine.entries import Entries
from edgehold.engine.execution import Executed
from edgehold.engine.replicated import Replica
from edgehold.engine.signed import SignedTransactions
from edgehold.engine.storage import Storage
from edgehold.errors import BadHeader
from edgehold.remote import ledger as remote_ledger
from edgehold.remote.node import Node
from edgehold.remote.trust import LightClient, TrustStore
from edgehold.server.abci.application import Application
from edgehold.server.abci.messages import types_pb2 as abci
from edgehold.verify import light
from edgehold.verify.header import verify_header
from edgehold.wire.codec import decode
from edgehold.wire.header import Header, SignedHeader
from edgehold.wire.light import Fork, LightBlock
from edgehold.wire.snapshot import AnswersPiece, Piece
from edgehold.wire.tx import Receipt

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
    "forged snapshots",
    "headers believed",
    "stories told to light clients",
    "false answers to light clients",
    "answers compared with the chain",
    "light clients misled by more than a third",
    "forks reported",
)

SEEDS = (3, 8, 21)


@pytest.mark.campaign(test=50, long=10_000, shard=50)
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

QUIET = Regime((), level=1.0, intervals=10, traffic=3, snapshot_every=0, keep_blocks=0, bad=None, changes=0.0)
NEWCOMERS = replace(
    QUIET, faults=("lost machines", "changed pieces", "forged snapshots"), intervals=16, snapshot_every=2, bad=0
)
ONE_LIAR = replace(QUIET, liars=(0,), clients=((0, 1),))
PATIENT = replace(ONE_LIAR, faults=("cuts", "kills"), intervals=40, period=4 * 10**9, snapshot_every=2)
UNSIGNED = ("honest validators did not sign", "a fork where at most a third lied")
TWO_LIARS = replace(QUIET, liars=(0, 1), clients=((0, 2), (1, 3)), faults=("kills",), intervals=16)


def is_found(consortium_of: Callable[..., Consortium], *words: str, regime: Regime | None = None) -> bool:
    """Whether one of these words is said of the first history in which anything is found."""
    for seed in range(100):
        try:
            consortium_of(seed, regime).play()
        except Violation as violation:
            return any(one in str(violation) for one in words)
    return False


class Careless(durable.Database):
    """Leaves to the system when it writes to the disk."""

    def __init__(self, path: Any, *first: str, **options: Any) -> None:
        super().__init__(path, *(one.replace("synchronous=FULL", "synchronous=OFF") for one in first), **options)


def test_a_commit_that_is_not_durable_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
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
    assert is_found(consortium_of, "does not start", "InvalidBlock")


def test_an_answer_that_is_forgotten_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    remember = Storage.remember

    def remember_most(self: Storage, height: int, answered: Iterable[Any]) -> None:
        remember(self, height, list(answered)[1:])

    monkeypatch.setattr(Storage, "remember", remember_most)
    assert is_found(consortium_of, "it comes a second time", "lets in", "lets wait")


def test_a_signature_that_is_kept_too_long_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was verified is not looked for among the answers."""
    monkeypatch.setattr(SignedTransactions, "forget", lambda self, envelope: None)
    assert is_found(consortium_of, "it comes a second time", "lets in", "lets wait", "does not belong")


def test_an_answer_that_is_forgotten_too_early_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(replicated, "KEPT_ANSWERS", -8)
    assert is_found(consortium_of, "it comes a second time", "lets in", "lets wait")


def test_answers_that_a_snapshot_leaves_out_are_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The newcomer votes for what the others refuse."""
    pieces = snapshots.SnapshotWriter._pieces

    def without_answers(self: snapshots.SnapshotWriter) -> Iterator[Piece]:
        return (piece for piece in pieces(self) if not isinstance(piece, AnswersPiece))

    monkeypatch.setattr(snapshots.SnapshotWriter, "_pieces", without_answers)
    assert is_found(consortium_of, "it comes a second time", "lets in", "lets wait", regime=NEWCOMERS)


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
    assert is_found(consortium_of, "a changed piece", regime=NEWCOMERS)


def test_a_snapshot_whose_root_nobody_looks_at_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    finish = snapshots.Restoration.finish

    def finish_anyhow(self: snapshots.Restoration) -> Path:
        self._root = Entries(self._storage).root
        with self._storage.transaction():
            self._storage.database.execute(
                "UPDATE passed SET root = ? WHERE height = (SELECT max(height) FROM passed)", (self._root,)
            )
        return finish(self)

    monkeypatch.setattr(snapshots.Restoration, "finish", finish_anyhow)
    assert is_found(consortium_of, "takes over a forged snapshot", regime=NEWCOMERS)


def test_a_light_client_that_skips_the_trusted_third_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(light, "_check_overlap", lambda place, trusted, block: None)
    assert is_found(consortium_of, *UNSIGNED, regime=ONE_LIAR)


def test_a_light_client_that_counts_no_votes_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A third of those whom it trusts is enough for it, also without two thirds of the header's own set."""

    def verify_few(signed: SignedHeader, *others: Any) -> object:
        try:
            return verify_header(signed, *others)
        except BadHeader as error:
            if "more than two thirds" in str(error):
                return signed.header
            raise

    monkeypatch.setattr(light, "verify_header", verify_few)
    assert is_found(consortium_of, *UNSIGNED, regime=ONE_LIAR)


def test_a_light_client_that_trusts_for_ever_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    verify_step = light.verify_step

    def verify_any_time(trusted: LightBlock, block: LightBlock, terms: light.Terms, **others: Any) -> Header:
        return verify_step(trusted, block, replace(terms, period=light.FOREVER), **others)

    monkeypatch.setattr(light, "verify_step", verify_any_time)
    assert is_found(consortium_of, "which is too old for that", regime=PATIENT)


def test_a_light_client_that_takes_old_headers_for_new_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    advance = LightClient._advance

    def advance_slowly(self: LightClient, node: Node) -> LightBlock:
        self._trust = replace(self._trust, age=light.FOREVER)
        return advance(self, node)

    monkeypatch.setattr(LightClient, "_advance", advance_slowly)
    assert is_found(consortium_of, "for the newest", regime=replace(PATIENT, period=10**18))


def test_a_light_client_that_asks_no_witness_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LightClient, "_compare", lambda self, node, way: None)
    assert is_found(consortium_of, "reports no fork, and could ask", regime=TWO_LIARS)


def test_a_fork_that_is_kept_beside_the_store_only_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    def add_fork(self: TrustStore, fork: Fork) -> None:
        self.fork = lambda: fork  # type: ignore[method-assign]

    monkeypatch.setattr(TrustStore, "add_fork", add_fork)
    assert is_found(consortium_of, "forgot the proof of a fork", regime=TWO_LIARS)


def test_trust_that_is_not_durable_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgehold.remote.trust.Database", Careless)
    assert is_found(consortium_of, "forgot header", "forgot the proof", "does not start")


def test_a_light_client_that_believes_values_without_proof_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(remote_ledger, "_shows", lambda signed, key, answer: True)
    assert is_found(consortium_of, "a wrong value", regime=ONE_LIAR)


def test_a_light_client_that_believes_blocks_without_proof_is_found(
    consortium_of: Callable[[int], Consortium], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetched(node: Node, header: Header, following: Header) -> list[tuple[bytes, Receipt]]:
        receipts = [decode(data, Receipt) for _, data in node.results(header.height)]
        return list(zip(node.block(header.height)[1], receipts, strict=False))

    monkeypatch.setattr(remote_ledger, "_fetched", fetched)
    assert is_found(consortium_of, "other transactions", "another receipt", regime=ONE_LIAR)
