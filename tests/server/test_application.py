"""The application on its socket: what it votes for, what it refuses, when it hangs up, and when it stops."""

from __future__ import annotations

import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from played import Line, PlayedLedger, init_chain, served
from test_engine import ACCOUNTS, GENESIS, KEYS, NETWORK, START, VALIDATOR, transfer

from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.demo.seeded import SeededRandomness, SteppingClock
from edgehold.engine.blocks import APP_VERSION
from edgehold.engine.replicated import Replica
from edgehold.errors import EngineError, InvalidBlock, Malformed, OutOfStep, StateNotKept, WrongGenesis
from edgehold.server.abci.frames import MAX_FRAME, frame
from edgehold.server.abci.messages import types_pb2 as abci
from edgehold.wire.account import Transfer
from edgehold.wire.codec import decode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.ids import AccountId, Digest, NetworkId
from edgehold.wire.query import ENTRY, RECEIPT, EntryAnswer, ReceiptAnswer

ACCEPT, REJECT = abci.ResponseProcessProposal.ACCEPT, abci.ResponseProcessProposal.REJECT
Failure = Callable[[], BaseException | None]


class Bed:
    """An application with a replica on disk, its socket, and why it stopped."""

    def __init__(self, replica: Replica, path: Path, failure: Failure) -> None:
        self.replica = replica
        self.path = path
        self.failure = failure

    def played(self) -> PlayedLedger:
        """A ledger that goes on from genesis."""
        return PlayedLedger(self.path, GENESIS, VALIDATOR, SteppingClock(START, 10**9))


@pytest.fixture
def bed(tmp_path: Path) -> Iterator[Bed]:
    replica = Replica(tmp_path, GENESIS, SeededRandomness(0, "application"))
    with served(replica, tmp_path / "socket") as failure:
        yield Bed(replica, tmp_path / "socket", failure)
    replica.close()


@pytest.fixture
def line(bed: Bed) -> Iterator[Line]:
    one = Line(bed.path)
    yield one
    one.close()


def vote(line: Line, *transactions: bytes) -> int:
    return int(line.ask(process_proposal=abci.RequestProcessProposal(txs=transactions, height=1)).status)


def decide(line: Line, height: int, *transactions: bytes) -> abci.ResponseFinalizeBlock:
    return line.ask(finalize_block=abci.RequestFinalizeBlock(txs=transactions, height=height, hash=bytes(32)))


def test_the_socket_is_its_owner_s_only(bed: Bed) -> None:
    assert stat.S_IMODE(bed.path.stat().st_mode) == 0o600


def test_answers_come_in_the_order_of_the_requests(line: Line) -> None:
    words = ["one", "two", "three"]
    assert [one.message for one in line.ask_all([{"echo": abci.RequestEcho(message=word)} for word in words])] == words
    codes = [Malformed.number, 0, Malformed.number, 0]
    sent = [b"?", transfer(0, 1), b"?", transfer(0, 2)]
    asked = [{"check_tx": abci.RequestCheckTx(tx=one)} for one in sent]
    assert [one.code for one in line.ask_all(asked)] == codes


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff\xff",
        frame(b"\xff"),
        frame(b""),
        frame(abci.Response(info=abci.ResponseInfo()).SerializeToString()),
        bytes([0x80 | MAX_FRAME & 0x7F, 0x80, 0x80, 0x09]),
    ],
    ids=["no length", "no protobuf", "nothing", "no request", "too long"],
)
def test_bytes_that_are_no_request_end_their_connection_only(bed: Bed, line: Line, data: bytes) -> None:
    line.send(data)
    with pytest.raises(ConnectionError):
        line.ask(echo=abci.RequestEcho(message="still there?"))
    other = Line(bed.path)
    assert other.ask(echo=abci.RequestEcho(message="here")).message == "here"
    other.close()
    assert bed.failure() is None


def test_a_block_of_good_transactions_is_voted_for(line: Line) -> None:
    assert vote(line) == ACCEPT
    assert vote(line, transfer(0, 1), transfer(1, 2)) == ACCEPT


STRANGER = SigningKey(bytes([9]) * 32)
FOREIGN = transfer(0, 1, network=NetworkId(Digest(bytes(32))))
UNKNOWN = sign_transaction(STRANGER, NETWORK, AccountId(Digest(bytes(32))), 40, Transfer(to=ACCOUNTS[0], credits=1))


@pytest.mark.parametrize(
    "bad",
    [b"", b"anything", FOREIGN, UNKNOWN, transfer(0, 1, key=KEYS[1]), transfer(0, 1, expires=0), transfer(0, 3)],
    ids=["empty", "malformed", "foreign", "a stranger's", "unsigned", "expired", "twice"],
)
def test_a_block_with_one_bad_transaction_is_not_voted_for_and_not_proposed(line: Line, bad: bytes) -> None:
    block = [transfer(0, 3), bad]
    assert vote(line, *block) == REJECT
    proposed = line.ask(prepare_proposal=abci.RequestPrepareProposal(txs=block, max_tx_bytes=1 << 20)).txs
    assert list(proposed) == [transfer(0, 3)]
    assert vote(line, *proposed) == ACCEPT


def test_what_was_answered_is_not_voted_for_again(line: Line) -> None:
    decide(line, 1, transfer(0, 3))
    line.ask(commit=abci.RequestCommit())
    assert vote(line, transfer(0, 3)) == REJECT
    assert vote(line, transfer(0, 4)) == ACCEPT


def test_a_proposal_has_the_room_that_it_may_have(line: Line) -> None:
    waiting = [transfer(0, credits) for credits in range(1, 6)]
    size = len(waiting[0]) + 3  # tag and length in protobuf
    for room, count in [(0, 0), (size - 1, 0), (size, 1), (3 * size, 3), (3 * size - 1, 2), (1 << 20, 5)]:
        request = abci.RequestPrepareProposal(txs=waiting, max_tx_bytes=room)
        proposed = list(line.ask(prepare_proposal=request).txs)
        assert proposed == waiting[:count]
        assert abci.ResponsePrepareProposal(txs=proposed).ByteSize() <= room


def test_finalizing_again_gives_the_same_bytes_and_changes_nothing_that_is_told(bed: Bed, line: Line) -> None:
    key = entry_key(Collection.ACCOUNT, ACCOUNTS[0])
    ask = {"query": abci.RequestQuery(path=ENTRY, data=key)}
    before = line.ask_all([ask])
    first = decide(line, 1, transfer(0, 3))
    assert line.ask_all([ask]) == before
    assert decide(line, 1, transfer(0, 3)) == first
    assert decide(line, 1, transfer(0, 4)) != first
    assert decide(line, 1, transfer(0, 3)) == first
    line.ask(commit=abci.RequestCommit())
    assert line.ask_all([ask]) != before
    assert bed.replica.root == first.app_hash


def test_what_was_finalized_and_not_committed_is_forgotten_by_a_restart(tmp_path: Path) -> None:
    dice = SeededRandomness(0, "restart")
    roots = []
    for _ in range(3):
        replica = Replica(tmp_path, GENESIS, dice)
        assert replica.height == 0
        with served(replica, tmp_path / "socket"):
            line = Line(tmp_path / "socket")
            roots.append(decide(line, 1, transfer(0, 3)).app_hash)
            line.close()
        replica.close()
    assert len(set(roots)) == 1
    assert roots[0] != replica.root


def test_info_tells_what_was_committed(bed: Bed, line: Line) -> None:
    info = line.ask(info=abci.RequestInfo())
    assert (info.last_block_height, info.app_version) == (0, APP_VERSION)
    root = decide(line, 1, transfer(0, 3)).app_hash
    assert line.ask(info=abci.RequestInfo()).last_block_height == 0
    line.ask(commit=abci.RequestCommit())
    info = line.ask(info=abci.RequestInfo())
    assert (info.last_block_height, info.last_block_app_hash) == (1, root)


def test_a_query_is_answered_for_the_last_state_or_refused(bed: Bed, line: Line) -> None:
    ledger = bed.played()
    envelope = ledger.submit(transfer(0, 3))
    ledger.advance(2)
    ledger.close()
    found = decode(line.ask(query=abci.RequestQuery(path=RECEIPT, data=envelope)).value, ReceiptAnswer)
    assert found.found is not None
    assert (found.height, found.found.height, found.found.place) == (3, 2, 0)
    nothing = line.ask(query=abci.RequestQuery(path=ENTRY, data=b"nothing", height=3))
    assert decode(nothing.value, EntryAnswer).value is None
    account = entry_key(Collection.ACCOUNT, ACCOUNTS[0])
    asked = [line.ask(query=abci.RequestQuery(path=ENTRY, data=account, height=height)) for height in (1, 2, 3)]
    answers = [decode(answer.value, EntryAnswer) for answer in asked]
    assert [answer.height for answer in answers] == [1, 2, 3]
    assert answers[0].value != answers[1].value == answers[2].value
    for path, data, height, number in [
        (ENTRY, b"", -1, StateNotKept.number),
        (ENTRY, b"", 4, StateNotKept.number),
        (RECEIPT, b"short", 0, Malformed.number),
        ("/else", b"", 0, Malformed.number),
        ("", b"", 0, Malformed.number),
    ]:
        refused = line.ask(query=abci.RequestQuery(path=path, data=data, height=height))
        assert (refused.code, refused.value) == (number, b"")


@pytest.mark.parametrize("field", ["chain", "time", "network", "power", "validator"])
def test_another_genesis_stops_it(bed: Bed, line: Line, field: str) -> None:
    request = init_chain(GENESIS)
    match field:
        case "chain":
            request.chain_id = "another"
        case "time":
            request.time.nanos += 1
        case "network":
            request.app_state_bytes = b'{"network": "00"}'
        case "power":
            request.validators[0].power += 1
        case "validator":
            request.validators.add(power=1).pub_key.ed25519 = bytes(32)
    with pytest.raises(ConnectionError):
        line.ask(init_chain=request)
    assert isinstance(bed.failure(), WrongGenesis)


def test_a_decided_block_that_nobody_may_vote_for_stops_it(bed: Bed, line: Line) -> None:
    with pytest.raises(ConnectionError):
        decide(line, 1, b"anything")
    assert isinstance(bed.failure(), InvalidBlock)
    assert bed.replica.height == 0


def test_a_block_out_of_turn_stops_it(bed: Bed, line: Line) -> None:
    with pytest.raises(ConnectionError):
        decide(line, 2)
    assert isinstance(bed.failure(), OutOfStep)


def test_a_commit_of_nothing_stops_it(bed: Bed, line: Line) -> None:
    with pytest.raises(ConnectionError):
        line.ask(commit=abci.RequestCommit())
    assert isinstance(bed.failure(), OutOfStep)


def test_a_mistake_in_the_rules_stops_it(bed: Bed, line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    def mistaken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("edgehold.engine.machine.judge", mistaken)
    with pytest.raises(ConnectionError):
        decide(line, 1, transfer(0, 1))
    assert isinstance(bed.failure(), ZeroDivisionError)
    assert bed.replica.height == 0


def test_a_mistake_at_the_door_or_in_a_query_stops_nothing(
    bed: Bed, line: Line, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    bad, good = transfer(0, 1), transfer(0, 2)
    look, prove = Replica.check, Replica.prove

    def mistaken(replica: Replica, transactions: list[bytes]) -> list[object]:
        if bad in transactions:
            raise ZeroDivisionError
        return list(look(replica, transactions))

    with monkeypatch.context() as patched:
        patched.setattr(Replica, "check", mistaken)
        patched.setattr(Replica, "prove", mistaken)
        asked = [{"check_tx": abci.RequestCheckTx(tx=one)} for one in (good, bad, good)]
        assert [one.code for one in line.ask_all(asked)] == [0, EngineError.number, 0]
        assert line.ask(query=abci.RequestQuery(path=ENTRY, data=b"key")).code == EngineError.number
    assert prove is Replica.prove
    assert bed.failure() is None
    assert len(caplog.records) == 2
    assert decide(line, 1, good).tx_results[0].code == 0


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=200), again=st.booleans(), path=st.sampled_from(["", ENTRY, RECEIPT, "/?"]))
def test_any_bytes_at_the_door_and_in_queries_are_answered(
    bed: Bed, line: Line, data: bytes, again: bool, path: str
) -> None:
    kind = abci.RECHECK if again else abci.NEW
    checked, asked = line.ask_all(
        [
            {"check_tx": abci.RequestCheckTx(tx=data, type=kind)},
            {"query": abci.RequestQuery(path=path, data=data, height=len(data) % 3)},
        ]
    )
    assert checked.code == Malformed.number
    assert asked.code in (0, Malformed.number, StateNotKept.number)
    assert bed.failure() is None


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=60))
def test_any_bytes_on_the_socket_are_answered_or_end_their_connection(bed: Bed, data: bytes) -> None:
    line = Line(bed.path)
    line.send(frame(data))
    with suppress(ConnectionError, AssertionError):
        line.ask(echo=abci.RequestEcho(message="?"))
    line.close()
    other = Line(bed.path)
    assert other.ask(echo=abci.RequestEcho(message="here")).message == "here"
    other.close()


def test_votes_carry_nothing(line: Line) -> None:
    assert line.ask(extend_vote=abci.RequestExtendVote()).vote_extension == b""
    verified = abci.ResponseVerifyVoteExtension
    for extension, status in [(b"", verified.ACCEPT), (b"x", verified.REJECT)]:
        request = abci.RequestVerifyVoteExtension(vote_extension=extension)
        assert line.ask(verify_vote_extension=request).status == status


def test_a_transaction_that_waits_is_looked_at_again_without_its_signature(
    bed: Bed, line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    again, other = transfer(0, 5), transfer(0, 6, expires=1)
    assert [line.ask(check_tx=abci.RequestCheckTx(tx=one)).code for one in (again, other)] == [0, 0]
    monkeypatch.setattr("edgehold._native.ed25519_verify", None)
    monkeypatch.setattr("edgehold._native.ed25519_verify_batch", None)
    decide(line, 1)
    line.ask(commit=abci.RequestCommit())
    rechecked = [line.ask(check_tx=abci.RequestCheckTx(tx=one, type=abci.RECHECK)) for one in (again, other)]
    assert [one.code == 0 for one in rechecked] == [True, False]
    assert decide(line, 2, again).tx_results[0].code == 0
    line.ask(commit=abci.RequestCommit())
    assert line.ask(check_tx=abci.RequestCheckTx(tx=again, type=abci.RECHECK)).code != 0
