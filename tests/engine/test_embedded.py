"""The embedded engine with a small machine: what it answers, keeps, proves, refuses, and survives."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import Meta, Struct

from edgehold.crypto.cose import open1, sign1, signed_bytes
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.signatures import SigningKey
from edgehold.demo.seeded import SeededRandomness, SteppingClock
from edgehold.engine import embedded
from edgehold.engine.embedded import FILE, EmbeddedLedger
from edgehold.engine.keeper import Keeper
from edgehold.engine.machine import Request, View
from edgehold.engine.storage import EPOCH
from edgehold.errors import (
    BadSignature,
    BrokenLog,
    EdgeholdError,
    EngineError,
    EngineHalted,
    LedgerBusy,
    Malformed,
    NotTheValidator,
    QueueFull,
    StateMismatch,
    StorageFailed,
    UnknownRules,
    WrongLedger,
)
from edgehold.verify.header import hash_header, order_validators, verify_header, verify_next_header
from edgehold.verify.inclusion import verify_answer
from edgehold.wire.account import Role
from edgehold.wire.codec import decode, encode
from edgehold.wire.governance import Founder, Genesis, Parameters, Validator
from edgehold.wire.ids import Digest, PublicKey
from edgehold.wire.tx import Receipt

VALIDATOR = SigningKey(bytes([1]) * 32)
MEMBER = SigningKey(bytes([2]) * 32)
STRANGER = SigningKey(bytes([3]) * 32)
NETWORK = bytes(32)
START = 1_800_000_000 * 10**9
REFUSED = 299

Open: TypeAlias = Callable[..., EmbeddedLedger]


class Write(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Write some keys; `nonce` tells two writes of the same apart."""

    sender: PublicKey
    expires: Annotated[int, Meta(ge=0)]
    nonce: int
    entries: tuple[tuple[bytes, bytes | None], ...]


class KeyValueMachine:
    """Members write what they like; the key `refuse` is refused, the key `stop` is a mistake in the rules."""

    def initial_state(self) -> Mapping[bytes, bytes]:
        return {b"member" + MEMBER.public: b"", b"genesis": b"value"}

    def rules(self, view: View) -> int:
        return 1

    def require_rules(self, view: View) -> None:
        if view.read(b"stop before it") is not None:
            raise UnknownRules(f"block {view.height}")

    def validators(self, view: View) -> Sequence[Validator]:
        return GENESIS.validators

    def open(self, transaction: bytes) -> Request:
        message = open1(transaction)
        write = decode(message.payload, Write)
        return Request(
            transaction=transaction,
            envelope=tagged_hash("test-envelope", message.payload),
            expires=write.expires,
            message=signed_bytes(message.payload, NETWORK),
            signature=message.signature,
            content=write,
        )

    def signer(self, view: View, request: Request) -> PublicKey | None:
        sender = request.content.sender
        return None if view.read(b"member" + sender) is None else sender

    def execute(self, view: View, request: Request, signed: bool) -> tuple[Receipt, Mapping[bytes, bytes | None]]:
        entries = dict(request.content.entries)
        if not signed or b"refuse" in entries:
            return Receipt(number=REFUSED if signed else 151, height=view.height, made=None, facts="no"), {}
        if b"stop" in entries:
            raise RuntimeError("a mistake in the rules")
        if b"interrupt" in entries:
            raise KeyboardInterrupt
        if b"last header" in entries:
            entries[b"last header"] = view.header_hash(view.height - 1)
        return Receipt(number=0, height=view.height, made=None, facts=""), entries


def write(entries: dict[bytes, bytes | None], nonce: int = 0, expires: int = 900, key: SigningKey = MEMBER) -> bytes:
    """A signed transaction that writes these entries."""
    payload = encode(Write(key.public, expires, nonce, tuple(entries.items())))
    return sign1(key, payload, NETWORK)


def genesis_of(*validators: SigningKey) -> Genesis:
    """A network kept by these validators."""
    return Genesis(
        chain="test-chain",
        time=START,
        founders=(Founder("founder", MEMBER.public, Role.ORGANISATION, 1000),),
        accreditors=(0,),
        treasurer=0,
        validators=tuple(Validator(key.public, 1) for key in validators),
        operators=(0,),
        parameters=Parameters(100, 10, 1000, 1, 2000, 1, 10, 1000, 0, 500, 500_000, 10),
    )


GENESIS = genesis_of(VALIDATOR)


@pytest.fixture
def open_ledger() -> Iterator[Open]:
    """Opens ledgers that are closed after the test."""
    opened: list[EmbeddedLedger] = []

    def open_one(folder: Path | None = None, **changed: Any) -> EmbeddedLedger:
        ledger = make_ledger(folder, **changed)
        opened.append(ledger)
        return ledger

    yield open_one
    for ledger in opened:
        ledger.close()


def make_ledger(folder: Path | None = None, **changed: Any) -> EmbeddedLedger:
    """A ledger of the small machine; time passes by a second a block."""
    arguments: dict[str, Any] = {
        "genesis": GENESIS,
        "key": VALIDATOR,
        "clock": SteppingClock(START, 10**9),
        "randomness": SeededRandomness(0, "engine"),
        "machine": KeyValueMachine(),
    }
    return EmbeddedLedger(folder, **(arguments | changed))


@pytest.fixture
def ledger(open_ledger: Open) -> EmbeddedLedger:
    """A ledger in memory."""
    return open_ledger()


# ── what it answers ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_ledger_begins_with_a_signed_block_over_its_first_state(ledger: EmbeddedLedger) -> None:
    assert ledger.height() == 1
    header, value, proof = ledger.prove(b"genesis")
    verify_header(header, "test-chain", order_validators(GENESIS.validators))
    assert value == b"value"
    verify_answer(header, b"genesis", b"value", proof)
    assert ledger.genesis == GENESIS
    assert len(ledger.network) == 32


def test_a_transaction_takes_effect_in_the_next_block(ledger: EmbeddedLedger) -> None:
    envelope = ledger.submit(write({b"key": b"value"}))
    assert ledger.receipt(envelope) is None
    assert ledger.read(b"key") is None
    assert ledger.advance() == 3
    receipt = ledger.receipt(envelope)
    assert receipt is not None
    assert (receipt.number, receipt.height) == (0, 2)
    assert ledger.read(b"key") == b"value"


def test_what_can_be_read_is_signed_by_the_last_header(ledger: EmbeddedLedger) -> None:
    ledger.submit_many([write({b"key": b"value"}), write({b"other": b"value"}, 1)])
    ledger.advance()
    ledger.submit(write({b"other": None}, 2))
    ledger.advance()
    for key in [b"key", b"other", b"nothing"]:
        header, value, proof = ledger.prove(key)
        assert header.header.height == ledger.height()
        assert value == ledger.read(key)
        verify_answer(header, key, value, proof)


def test_values_kept_in_memory_are_those_on_disk(
    tmp_path: Path, open_ledger: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgehold.engine.entries.KEPT_VALUES", 3)
    monkeypatch.setattr("edgehold.engine.entries.SMALL_VALUE", 4)
    ledger = open_ledger(tmp_path)
    keys = [b"a", b"b", b"c", b"d", b"e"]
    held: dict[bytes, bytes | None] = dict.fromkeys(keys)
    changes: list[dict[bytes, bytes | None]] = [
        {b"a": b"one", b"b": b"one"},
        {b"a": b"longer than four", b"c": b"one"},
        {b"b": None, b"c": b"two", b"d": b"two", b"e": b"two"},
        {b"a": b"four", b"d": None},
    ]
    for nonce, change in enumerate(changes):
        assert {key: ledger.read(key) for key in keys} == held
        ledger.submit(write(change, nonce))
        ledger.advance()
        held |= change
        assert {key: ledger.read(key) for key in keys} == held
        assert len(ledger._chain._entries._values) <= 4
    ledger.close()
    again = open_ledger(tmp_path)
    assert {key: again.read(key) for key in keys} == held


def test_an_empty_block_follows_a_change_and_nothing_else(ledger: EmbeddedLedger) -> None:
    assert ledger.advance() == 2
    ledger.submit(write({b"key": b"value"}))
    assert ledger.advance() == 4
    ledger.submit(write({b"refuse": b""}))
    assert ledger.advance() == 5
    ledger.submit(write({b"key": b"other"}))
    assert ledger.advance(10) == 15


def test_headers_follow_one_another(ledger: EmbeddedLedger) -> None:
    for nonce in range(3):
        ledger.submit(write({b"key": bytes([nonce])}, nonce))
        ledger.advance(2)
    validators = order_validators(GENESIS.validators)
    trusted = verify_header(signed(ledger, 1), "test-chain", validators)
    for height in range(2, ledger.height() + 1):
        trusted = verify_next_header(signed(ledger, height), trusted, validators)
    assert ledger.header(0) is None
    assert ledger.header(ledger.height() + 1) is None


def signed(ledger: EmbeddedLedger, height: int) -> Any:
    header = ledger.header(height)
    assert header is not None
    return header


def test_time_moves_on_even_if_the_clock_does_not(open_ledger: Open) -> None:
    ledger = open_ledger(clock=SteppingClock(START - 10**12, 0))
    ledger.advance(2)
    assert [signed(ledger, height).header.time for height in (1, 2, 3)] == [START + 1, START + 2, START + 3]


def test_the_rules_know_the_headers_below(ledger: EmbeddedLedger) -> None:
    ledger.submit(write({b"last header": b""}))
    ledger.advance()
    assert ledger.read(b"last header") == hash_header(signed(ledger, 1).header)


def test_headers_older_than_a_thousand_are_forgotten(tmp_path: Path, open_ledger: Open) -> None:
    ledger = open_ledger(tmp_path)
    ledger.advance(1004)
    view = ledger._chain.view()
    known = [height for height in range(ledger.height() + 1) if view.header_hash(height)]
    assert known == list(range(6, 1006))
    ledger.close()
    again = open_ledger(tmp_path)._chain.view()
    assert [height for height in range(1007) if again.header_hash(height)] == known


def test_transactions_are_listed_in_order(ledger: EmbeddedLedger) -> None:
    transactions = [write({b"key": bytes([nonce])}, nonce) for nonce in range(4)]
    ledger.submit_many(transactions[:3])
    ledger.advance()
    ledger.submit(transactions[3])
    ledger.advance()
    listed = list(ledger.transactions(0, 100))
    assert [(height, data) for height, data, _ in listed] == list(zip([2, 2, 2, 4], transactions, strict=True))
    assert [receipt.number for *_, receipt in listed] == [0, 0, 0, 0]
    assert [height for height, *_ in ledger.transactions(3, 4)] == [4]


# ── no effect twice ───────────────────────────────────────────────────────────────────────────────────────────────


def test_the_same_bytes_again_get_the_same_receipt(ledger: EmbeddedLedger) -> None:
    transaction = write({b"key": b"first"})
    envelope = ledger.submit(transaction)
    ledger.submit(transaction)
    ledger.advance()
    ledger.submit(write({b"key": b"second"}, 1))
    ledger.advance()
    assert ledger.submit(transaction) == envelope
    height = ledger.advance()
    receipt = ledger.receipt(envelope)
    assert receipt is not None
    assert receipt.height == 2
    assert ledger.read(b"key") == b"second"
    assert list(ledger.transactions(height, height)) == []


def test_an_envelope_signed_twice_is_executed_once(ledger: EmbeddedLedger) -> None:
    transaction = write({b"key": b"value"})
    unsigned = transaction[:-64] + bytes(64)
    with pytest.raises(BadSignature):
        ledger.submit(unsigned)
    ledger._waiting[b"from elsewhere"] = (KeyValueMachine().open(unsigned), None)
    ledger._waiting[b"again"] = (KeyValueMachine().open(transaction), None)
    ledger._waiting[b"and again"] = (KeyValueMachine().open(transaction), None)
    ledger.advance()
    assert [data for _, data, _ in ledger.transactions(1, 9)] == [transaction]


def test_receipts_are_remembered_beyond_the_expiry_and_then_forgotten(ledger: EmbeddedLedger) -> None:
    envelope = ledger.submit(write({b"key": b"value"}, expires=5))
    ledger.advance(1000)
    assert ledger.receipt(envelope) is not None
    ledger.advance(5 + EPOCH)
    assert ledger.receipt(envelope) is None


@pytest.mark.parametrize("expires", [1001, 1002, 1100, 2**53])
def test_what_expires_late_is_remembered_until_then(ledger: EmbeddedLedger, expires: int) -> None:
    transaction = write({b"key": b"first"}, expires=expires)
    envelope = ledger.submit(transaction)
    ledger.advance()
    ledger.submit(write({b"key": b"second"}, 1, expires=1003))
    ledger.advance(990)
    before = ledger.receipt(envelope)
    ledger.submit(transaction)
    ledger.advance(200)
    assert ledger.read(b"key") == b"second"
    assert ledger.receipt(envelope) == before
    assert before is not None


def test_a_receipt_is_found_among_many_expiries(ledger: EmbeddedLedger) -> None:
    envelopes = {expires: ledger.submit(write({b"key": b""}, expires=expires)) for expires in range(2, 3000, 61)}
    ledger.advance()
    for envelope in envelopes.values():
        receipt = ledger.receipt(envelope)
        assert receipt is not None
        assert receipt.height == 2
    assert ledger.receipt(Digest(bytes(32))) is None


# ── who signed ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_bytes_that_are_no_transaction_are_refused_at_once(ledger: EmbeddedLedger) -> None:
    with pytest.raises(Malformed):
        ledger.submit(b"no transaction")
    with pytest.raises(Malformed):
        ledger.submit_many([write({b"key": b"value"}), b""])
    ledger.advance()
    assert ledger.read(b"key") is None


def test_one_bad_signature_keeps_a_whole_submission_out(ledger: EmbeddedLedger) -> None:
    good = write({b"key": b"value"})
    with pytest.raises(BadSignature, match="1 of 2"):
        ledger.submit_many([good, write({b"key": b"other"})[:-64] + bytes(64)])
    ledger.advance()
    assert ledger.read(b"key") is None


def test_a_sender_who_is_not_known_yet_is_judged_in_the_block(ledger: EmbeddedLedger) -> None:
    introduction = write({b"member" + STRANGER.public: b""})
    transaction = write({b"key": b"value"}, key=STRANGER)
    _, envelope = ledger.submit_many([introduction, transaction])
    ledger.advance()
    receipt = ledger.receipt(envelope)
    assert receipt is not None
    assert receipt.number == 0
    assert ledger.read(b"key") == b"value"


def test_a_stranger_gets_a_refusal_that_does_not_bind(ledger: EmbeddedLedger) -> None:
    transaction = write({b"key": b"value"}, key=STRANGER)
    envelope = ledger.submit(transaction[:-64] + bytes(64))
    height = ledger.advance()
    refused = ledger.receipt(envelope)
    assert refused is not None
    assert refused.number == 151
    assert list(ledger.transactions(1, height)) == []
    ledger.submit_many([write({b"member" + STRANGER.public: b""}), transaction])
    ledger.advance()
    accepted = ledger.receipt(envelope)
    assert accepted is not None
    assert accepted.number == 0


def test_only_the_last_refusals_of_strangers_are_kept(ledger: EmbeddedLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "MAX_UNSIGNED", 2)
    envelopes = ledger.submit_many([write({b"key": b"value"}, nonce, key=STRANGER) for nonce in range(3)])
    ledger.advance()
    assert [ledger.receipt(envelope) is None for envelope in envelopes] == [True, False, False]


# ── blocks have a size, the queue has one ─────────────────────────────────────────────────────────────────────────


def test_what_does_not_fit_waits_for_the_next_block(ledger: EmbeddedLedger) -> None:
    envelopes = ledger.submit_many([write({b"key": bytes(60_000)}, nonce) for nonce in range(20)])
    ledger.advance(3)
    receipts = [ledger.receipt(envelope) for envelope in envelopes]
    assert [receipt.height for receipt in receipts if receipt] == [2] * 17 + [3] * 3


def test_a_full_queue_says_so(ledger: EmbeddedLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded, "MAX_WAITING", 1)
    ledger.submit(write({b"key": b"value"}))
    with pytest.raises(QueueFull):
        ledger.submit(write({b"key": b"value"}, 1))


# ── stopping ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_mistake_in_the_rules_stops_the_engine_and_leaves_no_trace(tmp_path: Path, open_ledger: Open) -> None:
    ledger = open_ledger(tmp_path)
    ledger.submit_many([write({b"key": b"value"}), write({b"stop": b""}, 1)])
    with pytest.raises(EngineHalted, match="a mistake in the rules"):
        ledger.advance()
    with pytest.raises(EngineHalted, match="does not run"):
        ledger.height()
    with pytest.raises(EngineHalted, match="does not run"):
        ledger.advance()
    with pytest.raises(EngineHalted, match="does not run"):
        ledger.submit(write({b"key": b"value"}))
    ledger.close()
    again = open_ledger(tmp_path)
    assert again.height() == 1
    assert again.read(b"key") is None


def test_an_interruption_stops_the_engine_too(ledger: EmbeddedLedger) -> None:
    ledger.submit(write({b"interrupt": b""}))
    with pytest.raises(KeyboardInterrupt):
        ledger.advance()
    with pytest.raises(EngineHalted):
        ledger.height()


def test_a_folder_has_one_keeper(tmp_path: Path, open_ledger: Open) -> None:
    first = open_ledger(tmp_path)
    with pytest.raises(LedgerBusy):
        open_ledger(tmp_path)
    first.close()
    open_ledger(tmp_path)


def test_only_the_validator_of_genesis_keeps_it(tmp_path: Path, open_ledger: Open) -> None:
    with pytest.raises(NotTheValidator):
        open_ledger(key=MEMBER)
    with pytest.raises(NotTheValidator):
        open_ledger(genesis=genesis_of(VALIDATOR, MEMBER))


def test_the_ledger_of_another_network_is_refused(tmp_path: Path, open_ledger: Open) -> None:
    open_ledger(tmp_path).close()
    with pytest.raises(WrongLedger):
        open_ledger(tmp_path, genesis=genesis_of(MEMBER), key=MEMBER)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / FILE).write_bytes(b"something else entirely, and long enough to be looked at" * 20)
    with pytest.raises(WrongLedger):
        open_ledger(tmp_path / "other")


# ── starting again ────────────────────────────────────────────────────────────────────────────────────────────────


def filled(folder: Path, blocks: int = 5) -> tuple[int, list[bytes]]:
    """A ledger with some blocks, closed; its height and transactions."""
    ledger = make_ledger(folder)
    transactions = [write({b"key %d" % nonce: b"value", b"same": bytes([nonce])}, nonce) for nonce in range(blocks)]
    for transaction in transactions:
        ledger.submit(transaction)
        ledger.advance()
    height = ledger.height()
    ledger.close()
    return height, transactions


def test_a_ledger_goes_on_where_it_stopped(tmp_path: Path, open_ledger: Open) -> None:
    height, transactions = filled(tmp_path)
    ledger = open_ledger(tmp_path)
    assert ledger.height() == height
    assert ledger.check() == height
    envelope = ledger.submit(transactions[0])
    ledger.advance()
    receipt = ledger.receipt(envelope)
    assert receipt is not None
    assert receipt.height == 2
    assert ledger.read(b"same") == bytes([4])


def test_files_copied_at_any_moment_open_at_the_last_durable_block(tmp_path: Path, open_ledger: Open) -> None:
    ledger = open_ledger(tmp_path / "kept")
    for nonce in range(5):
        ledger.submit(write({b"key": bytes([nonce])}, nonce))
        height = ledger.advance()
        copy = tmp_path / f"copy {nonce}"
        shutil.copytree(tmp_path / "kept", copy)
        crashed = open_ledger(copy)
        assert crashed.height() == height
        assert crashed.read(b"key") == bytes([nonce])
        assert crashed.check() == height
        crashed.close()


@pytest.mark.parametrize("kept", [0, 1, 100, 5_000, 20_000])
def test_a_write_that_was_cut_short_never_happened(tmp_path: Path, open_ledger: Open, kept: int) -> None:
    ledger = open_ledger(tmp_path / "kept")
    copy = tmp_path / "copy"
    copy.mkdir()
    ledger.submit(write({b"key": b"value"}))
    ledger.advance()
    before = (tmp_path / "kept" / f"{FILE}-wal").stat().st_size
    ledger.submit(write({b"key": b"later", b"more": bytes(30_000)}, 1))
    ledger.advance()
    (copy / FILE).write_bytes((tmp_path / "kept" / FILE).read_bytes())
    (copy / f"{FILE}-wal").write_bytes((tmp_path / "kept" / f"{FILE}-wal").read_bytes()[: before + kept])
    crashed = open_ledger(copy)
    assert crashed.height() == 3
    assert crashed.read(b"key") == b"value"
    assert crashed.check() == 3


def altered(folder: Path, statement: str, *arguments: Any) -> None:
    database = apsw.Connection(str(folder / FILE))
    database.execute(statement, arguments)
    assert database.changes() == 1
    database.close()


FLIPPED = "UPDATE state SET {0} = CAST(substr({0}, 1, length({0}) - 1) || x'7e' AS BLOB) WHERE key = ?"


@pytest.mark.parametrize("column", ["value", "key", "value_hash"])
def test_a_changed_byte_in_the_table_is_refused(tmp_path: Path, open_ledger: Open, column: str) -> None:
    filled(tmp_path)
    altered(tmp_path, FLIPPED.format(column), b"key 2")
    with pytest.raises(StateMismatch):
        open_ledger(tmp_path)


def test_a_missing_or_stale_entry_is_refused_with_both_roots(tmp_path: Path, open_ledger: Open) -> None:
    height, _ = filled(tmp_path)
    altered(tmp_path, "DELETE FROM state WHERE key = ?", b"key 2")
    with pytest.raises(
        StateMismatch, match=rf"height {height}: the entries have root [0-9a-f]{{64}}, the header signs"
    ):
        open_ledger(tmp_path)


@pytest.mark.parametrize(
    ("statement", "arguments"),
    [
        ("DELETE FROM block WHERE height = 4", ()),
        ("UPDATE block SET signed_header = (SELECT signed_header FROM block WHERE height = 3) WHERE height = 4", ()),
        ("UPDATE block SET signed_header = ? WHERE height = 4", (b"no header",)),
        ("DELETE FROM tx WHERE height = 4", ()),
        ("UPDATE tx SET bytes = ? WHERE height = 4", (write({b"key": b"value"}),)),
        ("UPDATE tx SET receipt = ? WHERE height = 4", (encode(Receipt(number=1, height=4, made=None, facts="")),)),
        ("UPDATE tx SET receipt = ? WHERE height = 4", (b"no receipt",)),
        ("DELETE FROM answer WHERE height = 4", ()),
        ("UPDATE answer SET height = 2 WHERE height = 4", ()),
        ("UPDATE answer SET receipt = (SELECT receipt FROM answer WHERE height = 2) WHERE height = 4", ()),
    ],
)
def test_a_changed_log_is_refused(
    tmp_path: Path, open_ledger: Open, statement: str, arguments: tuple[bytes, ...]
) -> None:
    filled(tmp_path)
    altered(tmp_path, statement, *arguments)
    with pytest.raises(BrokenLog):
        open_ledger(tmp_path)


def test_a_changed_schema_is_refused(tmp_path: Path, open_ledger: Open) -> None:
    filled(tmp_path)
    file = tmp_path / FILE
    file.write_bytes(file.read_bytes().replace(b"value_hash BLOB NOT NULL", b"value_cash BLOB NOT NULL"))
    with pytest.raises(BrokenLog):
        open_ledger(tmp_path)


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_byte_changed_on_disk_is_refused_or_has_no_effect(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    folder = tmp_path_factory.mktemp("ledger")
    height, _ = filled(folder)
    file = folder / FILE
    content = bytearray(file.read_bytes())
    content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    file.write_bytes(content)
    try:
        ledger = make_ledger(folder)
    except (EngineError, StorageFailed):  # a changed format number makes a file that SQLite only reads
        return
    assert ledger.height() == height
    assert ledger.check() == height
    ledger.close()


def test_a_check_finds_rules_that_changed(tmp_path: Path, open_ledger: Open) -> None:
    class Other(KeyValueMachine):
        def execute(self, view: View, request: Request, signed: bool) -> tuple[Receipt, Mapping[bytes, bytes | None]]:
            receipt, writes = super().execute(view, request, signed)
            return receipt, dict.fromkeys(writes, b"otherwise")

    class Stricter(KeyValueMachine):
        def execute(self, view: View, request: Request, signed: bool) -> tuple[Receipt, Mapping[bytes, bytes | None]]:
            return Receipt(number=REFUSED, height=view.height, made=None, facts="no"), {}

    filled(tmp_path)
    ledger = open_ledger(tmp_path, machine=Other())
    with pytest.raises(StateMismatch, match="height 3: the log leads to root"):
        ledger.check()
    ledger.close()
    ledger = open_ledger(tmp_path, machine=Stricter())
    with pytest.raises(BrokenLog, match="block 2: its transactions have other receipts"):
        ledger.check()


@settings(max_examples=25, deadline=None)
@given(
    steps=st.lists(
        st.tuples(
            st.lists(
                st.dictionaries(
                    st.sampled_from([b"a", b"b", b"c", b"refuse", b"last header"]),
                    st.none() | st.binary(max_size=3),
                    max_size=3,
                ),
                max_size=3,
            ),
            st.integers(1, 3),
        ),
        max_size=6,
    )
)
def test_replaying_a_log_gives_the_same_root(steps: list[tuple[list[dict[bytes, bytes | None]], int]]) -> None:
    first, second = make_ledger(), make_ledger()
    nonce = 0
    for writes, heights in steps:
        for entries in writes:
            for ledger in (first, second):
                ledger.submit(write(entries, nonce))
            nonce += 1
        assert first.advance(heights) == second.advance(heights)
    assert first.check() == first.height()
    assert first.header(first.height()) == second.header(second.height())
    first.close()
    second.close()


# ── serving ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_many_threads_share_the_blocks_of_a_keeper(open_ledger: Open) -> None:
    ledger = open_ledger()
    keeper = Keeper(ledger, interval=60, window=0.005)
    receipts: list[Receipt | None] = []

    def submit_one(nonce: int) -> None:
        receipts.append(ledger.wait(ledger.submit(write({b"key": b"value"}, nonce)), seconds=10))

    threads = [threading.Thread(target=submit_one, args=(nonce,)) for nonce in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    keeper.stop()
    assert not keeper.is_running
    assert all(receipt is not None and receipt.number == 0 for receipt in receipts)
    assert ledger.height() < 41
    assert ledger.check() == ledger.height()


def test_heights_pass_without_transactions(open_ledger: Open) -> None:
    ledger = open_ledger()
    keeper = Keeper(ledger, interval=0.001)
    reached = threading.Event()
    while ledger.height() < 5:
        reached.wait(0.001)
    keeper.stop()
    assert list(ledger.transactions(1, ledger.height())) == []


def test_a_keeper_ends_with_its_ledger(open_ledger: Open) -> None:
    ledger = open_ledger()
    keeper = Keeper(ledger, interval=60)
    ledger.submit(write({b"stop": b""}))
    while keeper.is_running:
        keeper._thread.join(1)
    with pytest.raises(EngineHalted):
        ledger.height()
    keeper.stop()


def test_waiting_for_what_never_comes_ends(ledger: EmbeddedLedger) -> None:
    assert ledger.wait(ledger.submit(write({b"key": b"value"})), seconds=0.01) is None


def test_every_error_of_the_engine_says_what_to_do() -> None:
    kinds: list[type[EdgeholdError]] = [EngineError, *EngineError.__subclasses__()]
    assert all(400 <= kind.number < 450 and kind.remedy for kind in kinds)
    assert len({kind.number for kind in kinds}) == len(kinds)
    assert LedgerBusy.exit_code == 7


def test_the_engine_stops_before_rules_that_it_does_not_have(open_ledger: Open, tmp_path: Path) -> None:
    ledger = open_ledger(tmp_path)
    ledger.submit(write({b"stop before it": b""}))
    with pytest.raises(EngineHalted, match="UnknownRules"):
        ledger.advance()
    ledger.close()
    assert open_ledger(tmp_path).height() == 1
