"""The replica: what is on disk, what a failing disk does, snapshots, and the cache of signatures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace

from edgehold.crypto.cose import open1
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.merkle import verify_presence
from edgehold.crypto.names import account_id, network_id, payload_digest, proposal_id, validator_key_message
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.demo.seeded import SeededRandomness
from edgehold.durable import storage_failure
from edgehold.engine import heights, replicated, snapshots
from edgehold.engine import signed as signed_transactions
from edgehold.engine.replicated import FILE, KEPT_STATES, SNAPSHOTS, Block, Replica
from edgehold.engine.signed import SignedTransactions
from edgehold.engine.storage import Storage
from edgehold.errors import (
    AlreadyAnswered,
    BadSnapshot,
    Expired,
    ExpiresTooFar,
    LedgerBusy,
    StateMismatch,
    StateNotKept,
    StorageFailed,
    UnknownRules,
    WrongLedger,
)
from edgehold.wire import snapshot
from edgehold.wire.account import Account, Role, Transfer
from edgehold.wire.codec import decode, encode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.governance import (
    Change,
    Founder,
    Genesis,
    Parameters,
    Propose,
    RotateKey,
    SetPower,
    SwitchRules,
    Validator,
    Vote,
    Voting,
)
from edgehold.wire.ids import Digest
from edgehold.wire.tx import Body

KEYS = [SigningKey(bytes([seed]) * 32) for seed in range(2, 12)]
ACCOUNTS = [account_id(Role.ORGANISATION, key.public) for key in KEYS]
GENESIS = Genesis(
    chain="replica",
    time=1_800_000_000 * 10**9,
    founders=tuple(Founder(f"founder {at}", key.public, Role.ORGANISATION, 1000) for at, key in enumerate(KEYS)),
    accreditors=(0,),
    treasurer=0,
    validators=(Validator(KEYS[0].public, 1),),
    operators=(1,),
    parameters=Parameters(100, 10, 1000, 1, 100, 1, 10, 50, 0, 500, 500_000, 10),
)
Open = Callable[[Path], Replica]


@pytest.fixture
def opened() -> Iterator[Open]:
    """Opens replicas and closes them again."""
    replicas: list[Replica] = []

    def opening(folder: Path, genesis: Genesis = GENESIS) -> Replica:
        replicas.append(Replica(folder, genesis, SeededRandomness(len(replicas), "replica")))
        return replicas[-1]

    yield opening
    for replica in replicas:
        replica.close()


def transfer(payer: int, credits: int, expires: int = 40) -> bytes:
    body = Transfer(to=ACCOUNTS[(payer + 1) % len(KEYS)], credits=credits)
    return sign_transaction(KEYS[payer], network_id(GENESIS), ACCOUNTS[payer], expires, body)


def envelope(transaction: bytes) -> Digest:
    return payload_digest(open1(transaction).payload)


def block(height: int, *transactions: bytes) -> Block:
    return Block(height, tagged_hash("test-header", height.to_bytes(8, "big")), height, transactions)


def move(replica: Replica, *transactions: bytes) -> None:
    replica.finalize(block(replica.height + 1, *transactions))
    replica.commit()


def balance(replica: Replica, account: int) -> int:
    value = replica.read(entry_key(Collection.ACCOUNT, ACCOUNTS[account]))
    assert value is not None
    return decode(value, Account).credits


def told(replica: Replica, *transactions: bytes) -> object:
    """What a replica tells, and what it makes of a next block."""
    entries = [replica.prove(entry_key(Collection.ACCOUNT, account)) for account in ACCOUNTS]
    receipts = [replica.receipt(envelope(one)) for one in transactions]
    next_one = replica.finalize(block(replica.height + 1, transfer(3, 9, 60)))
    hashes = [replica._view.header_hash(height) for height in range(replica.height + 1)]
    return replica.height, replica.root, entries, receipts, next_one, hashes


def test_what_was_committed_is_there_again(tmp_path: Path, opened: Open) -> None:
    replica = opened(tmp_path)
    sent = [transfer(payer, 1 + payer) for payer in range(4)]
    move(replica, *sent[:2])
    move(replica)
    move(replica, *sent[2:])
    before = told(replica, *sent)
    replica.close()
    assert told(opened(tmp_path), *sent) == before


def test_the_last_states_are_proved_each_under_its_own_root(tmp_path: Path, opened: Open) -> None:
    replica, key = opened(tmp_path), entry_key(Collection.ACCOUNT, ACCOUNTS[0])
    roots, values = [replica.root], [replica.read(key)]
    for number in range(1, 8):
        move(replica, *([transfer(0, number)] if number % 3 else []))
        roots.append(replica.root)
        values.append(replica.read(key))
    for height in range(7 - KEPT_STATES, 8):
        value = replica.read(key, height)
        assert value == values[height]
        assert value is not None
        verify_presence(roots[height], key, value, replica.prove(key, height))
    for height in (-1, 0, 7 - KEPT_STATES - 1, 8):
        with pytest.raises(StateNotKept):
            replica.read(key, height)
        with pytest.raises(StateNotKept):
            replica.prove(key, height)
    replica.close()
    again = opened(tmp_path)
    assert again.read(key, 7) == values[7]
    with pytest.raises(StateNotKept, match="there are 7 to 7"):
        again.prove(key, 6)


def test_a_folder_has_one_keeper_and_one_network(tmp_path: Path, opened: Open) -> None:
    replica = opened(tmp_path)
    with pytest.raises(LedgerBusy):
        opened(tmp_path)
    replica.close()
    other = Genesis(**{name: getattr(GENESIS, name) for name in GENESIS.__struct_fields__} | {"chain": "other"})
    with pytest.raises(WrongLedger):
        Replica(tmp_path, other, SeededRandomness(0, "other"))
    opened(tmp_path)


def test_a_changed_entry_is_refused_at_the_start(tmp_path: Path, opened: Open) -> None:
    opened(tmp_path).close()
    database = apsw.Connection(str(tmp_path / FILE))
    database.execute("DELETE FROM state WHERE key = ?", (entry_key(Collection.PARAMETERS),))
    database.close()
    with pytest.raises(StateMismatch):
        opened(tmp_path)


def test_a_commit_that_the_disk_refuses_leaves_nothing(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = opened(tmp_path)
    move(replica, transfer(0, 1))
    root = replica.root

    def full(*_: object, **__: object) -> None:
        raise storage_failure(apsw.FullError("full"), tmp_path / FILE)

    with monkeypatch.context() as patched:
        patched.setattr(Storage, "forget", full)
        replica.finalize(block(2, transfer(0, 2)))
        with pytest.raises(StorageFailed):
            replica.commit()
    replica.close()
    again = opened(tmp_path)
    assert (again.height, again.root, balance(again, 0)) == (1, root, 999)
    move(again, transfer(0, 2))
    assert balance(again, 0) == 997


def test_answers_outlive_their_expiry_as_in_the_embedded_engine(tmp_path: Path, opened: Open) -> None:
    replica = opened(tmp_path)
    early, far = transfer(0, 1, expires=5), transfer(0, 1, expires=5000)
    move(replica, early, far)
    found = replica.receipt(envelope(far))
    assert found is not None
    assert (found.height, found.place, found.receipt.number) == (1, 1, ExpiresTooFar.number)
    for _ in range(10):
        move(replica)
    assert [one and one.number for one in replica.check([early, far])] == [AlreadyAnswered.number] * 2
    assert [one and one.number for one in replica.check([transfer(0, 2, expires=11)])] == [Expired.number]
    assert replica.receipt(envelope(early)) is not None


def test_the_last_header_hashes_are_known_and_no_others(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heights, "KEPT_HEADERS", 8)
    monkeypatch.setattr(replicated, "KEPT_HEADERS", 8)
    replica = opened(tmp_path)
    for _ in range(13):
        move(replica)
    known = [height for height in range(15) if replica._view.header_hash(height)]
    replica.close()
    again = opened(tmp_path)
    assert known == [height for height in range(15) if again._view.header_hash(height)] == list(range(6, 14))


# ── snapshots ─────────────────────────────────────────────────────────────────────────────────────────────────────


def filled(replica: Replica) -> list[bytes]:
    """Some heights with transactions; what was sent."""
    sent = [transfer(payer, 1 + payer, expires=40 + payer) for payer in range(8)]
    sent.append(transfer(0, 1, expires=5000))
    for place in range(0, len(sent), 3):
        move(replica, *sent[place : place + 3])
        move(replica)
    return sent


def snapshot_of(replica: Replica) -> tuple[bytes, list[bytes]]:
    """The manifest and pieces of a snapshot that is taken now."""
    replica.take_snapshot()
    assert replica._writing
    replica._writing.join()
    manifest = replica.snapshots()[-1]
    pieces = [replica.piece(replica.height, index) for index in range(len(decode(manifest, snapshot.Manifest).pieces))]
    assert None not in pieces
    return manifest, [piece for piece in pieces if piece]


def restored(replica: Replica, pieces: list[bytes]) -> list[bool]:
    """Give all pieces in order; what is said to each."""
    return [replica.restore(index, piece) for index, piece in enumerate(pieces)]


def test_a_newcomer_goes_on_from_a_snapshot_like_everybody(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "PIECE", 300)
    old, new = opened(tmp_path / "old"), opened(tmp_path / "new")
    sent = filled(old)
    manifest, pieces = snapshot_of(old)
    assert len(pieces) > 6
    new.begin_restoring(manifest, old.root)
    assert all(restored(new, pieces))
    assert told(new, *sent) == told(old, *sent)
    assert [one and one.number for one in new.check(sent)] == [AlreadyAnswered.number] * len(sent)
    for replica in (old, new):
        move(replica, transfer(5, 50))
    assert told(new, *sent) == told(old, *sent)
    assert snapshot_of(new) == snapshot_of(old)
    new.close()
    assert told(opened(tmp_path / "new"), *sent) == told(old, *sent)


def test_a_restoration_goes_on_where_it_was_broken_off(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshots, "PIECE", 300)
    old, new = opened(tmp_path / "old"), opened(tmp_path / "new")
    filled(old)
    manifest, pieces = snapshot_of(old)
    new.begin_restoring(manifest, old.root)
    assert all(restored(new, pieces[:4]))
    new.close()
    new = opened(tmp_path / "new")
    assert new.height == 0
    new.begin_restoring(manifest, old.root)
    assert new._restoration is not None
    assert new._restoration._restored == {0, 1, 2, 3}
    assert all(restored(new, pieces))
    assert (new.height, new.root) == (old.height, old.root)
    assert sorted(path.name for path in (tmp_path / "new").glob("*.sqlite")) == [FILE]


@pytest.mark.parametrize("moment", ["before it is looked at", "before it is taken over"])
def test_a_restoration_that_was_whole_when_it_was_broken_off_goes_on(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Every piece is given again, and each is taken."""
    monkeypatch.setattr(snapshots, "PIECE", 300)
    old, new = opened(tmp_path / "old"), opened(tmp_path / "new")
    filled(old)
    manifest, pieces = snapshot_of(old)
    new.begin_restoring(manifest, old.root)
    assert all(restored(new, pieces[:-1]))
    assert new._restoration is not None
    assert new._restoration.add(len(pieces) - 1, pieces[-1])
    if moment == "before it is taken over":
        new._restoration.finish()
    new.close()
    new = opened(tmp_path / "new")
    assert new.height == 0
    new.begin_restoring(manifest, old.root)
    assert all(restored(new, pieces))
    assert (new.height, new.root) == (old.height, old.root)
    assert snapshot_of(new) == snapshot_of(old)


def test_no_changed_piece_and_no_other_state_is_taken_over(tmp_path: Path, opened: Open) -> None:
    old, new = opened(tmp_path / "old"), opened(tmp_path / "new")
    filled(old)
    manifest, pieces = snapshot_of(old)
    new.begin_restoring(manifest, old.root)
    for index, piece in enumerate(pieces):
        for changed in (piece[:-1], piece[:-1] + bytes([piece[-1] ^ 1]), b"", pieces[index - 1]):
            assert not new.restore(index, changed)
        assert not new.restore(len(pieces), piece)
    root = new.root
    new.begin_restoring(manifest, Digest(bytes(32)))
    with pytest.raises(BadSnapshot, match="the header signs"):
        restored(new, pieces)
    assert (new.height, new.root) == (0, root)
    with pytest.raises(BadSnapshot):
        old.begin_restoring(manifest, old.root)
    with pytest.raises(BadSnapshot):
        new.restore(0, pieces[0])
    for other in (b"", encode(snapshot.Manifest(Digest(bytes(32)), 1, (Digest(bytes(32)),)))):  # type: ignore[arg-type]
        with pytest.raises(BadSnapshot):
            new.begin_restoring(other, old.root)


def test_a_lying_manifest_takes_nothing_over(tmp_path: Path, opened: Open) -> None:
    old, new = opened(tmp_path / "old"), opened(tmp_path / "new")
    filled(old)
    manifest, pieces = snapshot_of(old)
    read = decode(manifest, snapshot.Manifest)
    longer = encode(snapshot.EntriesPiece(((b"another", b"entry"),)))
    twice = encode(snapshot.Manifest(read.network, read.height, (*read.pieces, read.pieces[0])))
    higher = encode(snapshot.Manifest(read.network, read.height + 1, read.pieces))
    more = encode(snapshot.Manifest(read.network, read.height, (*read.pieces, snapshots.piece_digest(longer))))
    junk = encode(snapshot.Manifest(read.network, read.height, (snapshots.piece_digest(b"junk"),)))
    for lie, given in [(twice, [*pieces, pieces[0]]), (higher, pieces), (more, [*pieces, longer]), (junk, [b"junk"])]:
        new.begin_restoring(lie, old.root)
        with pytest.raises(BadSnapshot):
            restored(new, given)
        assert new.height == 0
    assert [path.name for path in (tmp_path / "new").glob("*.sqlite")] == [FILE]


def test_a_lie_about_answers_is_taken_over_and_parts_the_newcomer_from_the_others(tmp_path: Path, opened: Open) -> None:
    """The limit: answers and header hashes are not under the root. The next header says so; nobody else follows."""
    old, new = opened(tmp_path / "old"), opened(tmp_path / "new")
    sent = filled(old)
    manifest, pieces = snapshot_of(old)
    read = decode(manifest, snapshot.Manifest)
    pieces[1] = encode(snapshot.AnswersPiece(()))
    digests = (read.pieces[0], snapshots.piece_digest(pieces[1]), *read.pieces[2:])
    new.begin_restoring(encode(snapshot.Manifest(read.network, read.height, digests)), old.root)
    assert all(restored(new, pieces))
    refused = old.objection([sent[0]])
    assert refused is not None
    assert refused.number == AlreadyAnswered.number
    assert new.objection([sent[0]]) is None
    assert new.finalize(block(new.height + 1, sent[0]))[1] != old.finalize(block(old.height + 1))[1]


def test_a_snapshot_is_of_one_state_though_blocks_go_on(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = opened(tmp_path)
    filled(old)
    expected = snapshot_of(old)
    snapshots.shutil.rmtree(tmp_path / SNAPSHOTS)
    taken_at, waits, goes_on = old.height, threading.Event(), snapshots.SnapshotWriter.write

    def later(writer: snapshots.SnapshotWriter) -> None:
        waits.wait(10)
        goes_on(writer)

    monkeypatch.setattr(snapshots.SnapshotWriter, "write", later)
    old.take_snapshot()
    move(old, transfer(6, 60))
    old.take_snapshot()  # while the first is written: nothing
    waits.set()
    assert old._writing
    old._writing.join()
    assert old.snapshots() == [expected[0]]
    assert [old.piece(taken_at, index) for index in range(len(expected[1]))] == expected[1]


def test_the_last_two_snapshots_are_kept(tmp_path: Path, opened: Open) -> None:
    replica = opened(tmp_path)
    for _ in range(4):
        move(replica)
        snapshot_of(replica)
    assert [decode(one, snapshot.Manifest).height for one in replica.snapshots()] == [3, 4]
    assert replica.piece(1, 0) is None
    assert replica.piece(4, 99) is None


# ── the cache of signatures ───────────────────────────────────────────────────────────────────────────────────────


def test_signatures_are_kept_by_whole_bytes_and_the_oldest_go(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(signed_transactions, "MAX_KEPT", 3)
    replica, kept = opened(tmp_path), SignedTransactions()
    sent = [transfer(0, credits) for credits in range(1, 6)]
    for one in sent:
        kept.put((replica._machine.open(one), KEYS[0].public))
    assert [kept.get(one) is not None for one in sent] == [False, False, True, True, True]
    assert kept.get(sent[4][:-1] + bytes([sent[4][-1] ^ 1])) is None
    kept.forget(envelope(sent[3]))
    kept.forget(envelope(sent[3]))
    assert kept.get(sent[3]) is None
    monkeypatch.setattr(signed_transactions, "MAX_KEPT_BYTES", len(sent[0]))
    kept.put((replica._machine.open(sent[0]), KEYS[0].public))
    assert [kept.get(one) is not None for one in sent] == [True, False, False, False, False]


def test_a_signature_is_verified_once_from_the_door_to_the_block(
    tmp_path: Path, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    replica = opened(tmp_path)
    sent = [transfer(payer, 1) for payer in range(5)]
    assert replica.check(sent) == [None] * 5
    monkeypatch.setattr("edgehold._native.ed25519_verify", None)
    monkeypatch.setattr("edgehold._native.ed25519_verify_batch", None)
    assert replica.prepare(sent, 1 << 20) == sent
    assert replica.objection(sent) is None
    receipts, _ = replica.finalize(block(1, *sent))
    assert [receipt.number for receipt in receipts] == [0] * 5


# ── validators and rules that change ──────────────────────────────────────────────────────────────────────────────

TOGETHER = replace(
    GENESIS,
    validators=tuple(Validator(SigningKey(bytes([100 + at]) * 32).public, 10) for at in range(4)),
    operators=(0, 1, 2, 3),
    voting=Voting(longest=20, notice=3, rotation=1),
)


def signed(sender: int, body: Body, genesis: Genesis = TOGETHER) -> bytes:
    return sign_transaction(KEYS[sender], network_id(genesis), ACCOUNTS[sender], 40, body)


def decided(replica: Replica, change: Change) -> list[bytes]:
    """What three of four members send so that a change is carried out in one block."""
    proposed = Propose(change=change, until=replica.height + 15)
    ballot = Vote(proposal=proposal_id(ACCOUNTS[0], proposed), yes=True)
    return [signed(0, proposed), signed(1, ballot), signed(2, ballot)]


def finalized(replica: Replica, *transactions: bytes) -> list[int]:
    receipts, _ = replica.finalize(block(replica.height + 1, *transactions))
    return [receipt.number for receipt in receipts]


def test_a_block_says_whose_power_it_changes(tmp_path: Path, opened: Open) -> None:
    replica = opened(tmp_path, TOGETHER)
    move(replica)
    old, fresh = TOGETHER.validators[3].key, SigningKey(bytes([110]) * 32)
    assert replica.changed_powers == {}
    possession = fresh.sign(validator_key_message(network_id(TOGETHER), ACCOUNTS[3], fresh.public))
    assert finalized(replica, signed(3, RotateKey(fresh.public, possession))) == [0]
    assert replica.changed_powers == {old: 0, fresh.public: 10}
    replica.commit()
    assert replica.changed_powers == {}
    move(replica)
    leaves = SetPower(operator=ACCOUNTS[3], power=0)
    assert finalized(replica, *decided(replica, leaves)) == [0, 0, 0]
    assert replica.changed_powers == {fresh.public: 0}
    assert finalized(replica) == []
    assert replica.changed_powers == {}


def test_a_replica_stops_before_the_first_block_of_rules_that_it_does_not_have(tmp_path: Path, opened: Open) -> None:
    replica = opened(tmp_path, TOGETHER)
    assert finalized(replica, *decided(replica, SwitchRules(version=2, height=4))) == [0, 0, 0]
    assert replica.rules == 1
    replica.commit()
    assert replica.rules == 1
    move(replica)
    assert replica.rules == 1
    replica.finalize(block(3))
    assert replica.rules == 2
    replica.commit()
    assert replica.rules == 2
    for _ in range(2):
        for act in (
            lambda one: one.finalize(block(4)),
            lambda one: one.prepare([], 1000),
            lambda one: one.objection([]),
        ):
            with pytest.raises(UnknownRules, match="block 4 follows version 2"):
                act(replica)
        assert replica.height == 3
        replica.close()
        replica = opened(tmp_path, TOGETHER)
        assert replica.rules == 2
