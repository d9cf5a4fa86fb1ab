"""One record, one recipient, until a height: what the doctor gets, and everybody else does not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hub_world import Line, World, account_of, bundle, digest, key_of
from msgspec.structs import replace

from edgehold.codecs import cuts
from edgehold.codecs.parts import PARTS
from edgehold.crypto.aead import seal_chunk
from edgehold.crypto.cose import open1, sign1
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.names import account_id
from edgehold.crypto.seal import SealKeyPair, open_sealed, seal
from edgehold.crypto.signatures import SigningKey
from edgehold.errors import (
    AlteredBlob,
    BadSignature,
    FetchOver,
    ForgedParcel,
    LargeOriginal,
    NotCommitted,
    NotTheRecipient,
    RecordErased,
    ShareEnded,
    VerificationError,
)
from edgehold.hub import sharing
from edgehold.hub import store as stores
from edgehold.hub.hub import Hub
from edgehold.hub.intake import kinds
from edgehold.hub.sharing import PARCEL, Arriving, SharedFile, SharedRecord, fetch_file, fetch_record
from edgehold.verify.view import ProofCache, proved_state
from edgehold.wire.account import Role
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import Kind
from edgehold.wire.ids import AccountId, Digest
from edgehold.wire.sharing import (
    Fetch,
    FetchPiece,
    FetchRecord,
    FromHub,
    NoParcel,
    Parcel,
    ParcelContent,
    Pieces,
    SealedPiece,
    ToHub,
)

DOCTOR = "customer"
SMALL = 100
"""Bytes of a piece in these tests."""


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A network."""
    return World(tmp_path)


def share(world: World, hub: Hub, *, until: int = 1000, recipient: str = DOCTOR) -> Digest:
    """Share the hub's one record."""
    (record,) = hub.store.objects()
    return hub.share(record.id, account_of(recipient), until)


def fetch(world: World, hub: Hub, name: Digest, recipient: str = DOCTOR, line: Line | None = None) -> SharedRecord:
    """Fetch a share as an organisation of this world."""
    state, _ = proved_state(world.ledger, ProofCache())
    peer = line or Line(hub.handle)
    return fetch_record(peer, state, name, account_of(recipient), key_of(recipient), world.randomness)


def test_a_doctor_gets_the_exact_record_with_its_issuer(world: World) -> None:
    hub = world.admit("ada")
    name = share(world, hub)
    got = fetch(world, hub, name)
    assert got.record == bundle("ada")
    assert (got.hub, got.issuer) == (hub.account, account_of("issuer"))
    (line,) = hub.fetches()
    assert (line.share, line.recipient, line.height) == (name, account_of(DOCTOR), world.ledger.height())
    assert line.bytes_left > len(got.record)


def test_a_self_reported_record_says_so(world: World) -> None:
    _, signed = world.hand_out("ada")
    hub = world.new_hub("ada")
    world.settle(hub.ask_account(world.desk, account_of("issuer"), signed.invitation))
    world.take_home(hub, "ada", bundle("ada"), None)
    assert fetch(world, hub, share(world, hub)).issuer is None


def test_after_withdrawal_nothing_is_served(world: World) -> None:
    hub = world.admit("ada")
    name = share(world, hub)
    fetch(world, hub, name)
    hub.withdraw_share(name)
    with pytest.raises(ShareEnded, match="withdrew"):
        fetch(world, hub, name)
    assert len(hub.fetches()) == 1
    assert hub.shares()[0].withdrawn_at == world.ledger.height()


def test_past_its_last_height_nothing_is_served(world: World) -> None:
    hub = world.admit("ada")
    name = share(world, hub, until=world.ledger.height())
    fetch(world, hub, name)
    world.ledger.advance()
    with pytest.raises(ShareEnded, match="ended"):
        fetch(world, hub, name)


def test_an_erased_record_is_not_served(world: World) -> None:
    hub = world.admit("ada")
    name = share(world, hub)
    (record,) = hub.store.objects()
    hub.erase(record.id)
    with pytest.raises(RecordErased):
        fetch(world, hub, name)
    with pytest.raises(RecordErased):
        share(world, hub)


def test_only_the_named_account_is_served(world: World) -> None:
    hub = world.admit("ada")
    name = share(world, hub)
    with pytest.raises(NotTheRecipient):
        fetch(world, hub, name, recipient="leader")
    with pytest.raises(NotTheRecipient):
        fetch(world, hub, Digest(bytes(32)))
    with pytest.raises(NotTheRecipient):
        hub.withdraw_share(Digest(bytes(32)))
    state, _ = proved_state(world.ledger, ProofCache())
    with pytest.raises(VerificationError):
        fetch_record(Line(hub.handle), state, name, account_of(DOCTOR), key_of("leader"), world.randomness)
    assert hub.fetches() == []


def test_an_old_fetch_is_not_served_again(world: World) -> None:
    hub = world.admit("ada")
    line = Line(hub.handle)
    fetch(world, hub, share(world, hub), line=line)
    world.tick(count=25)
    answer: FromHub = decode(hub.handle(line.received[0]), FromHub)
    assert isinstance(answer, NoParcel)
    assert answer.number == NotTheRecipient.number


def test_a_record_that_was_not_committed_yet_is_not_served(world: World) -> None:
    hub = world.new_hub("bare")
    path = world.folder / "record.json"
    path.write_bytes(bundle("ada"))
    hub.import_file(path)
    answer: FromHub = decode(hub.handle(encode(_signed_fetch(world, share(world, hub)))), FromHub)
    assert isinstance(answer, NoParcel)
    assert answer.number == NotCommitted.number


def test_any_changed_byte_of_a_parcel_is_noticed(world: World) -> None:
    hub = world.admit("ada")
    name = share(world, hub)
    for place in (0, 40, 500, -1):

        def altered(message: bytes, place: int = place) -> bytes:
            answer: FromHub = decode(hub.handle(message), FromHub)
            assert isinstance(answer, Parcel)
            data = bytearray(answer.sealed)
            data[place] ^= 1
            return encode(Parcel(bytes(data)))

        with pytest.raises(ForgedParcel):
            fetch(world, hub, name, line=Line(altered))


@pytest.mark.parametrize("lie", ["record", "issuer", "until", "leaf", "hub", "no signature"])
def test_a_lying_hub_is_found_out(world: World, lie: str) -> None:
    hub = world.admit("ada")
    name = share(world, hub)
    randomness = world.randomness
    pair = SealKeyPair(randomness.draw(32))

    def lying(message: bytes) -> bytes:
        """Open the parcel as its recipient would, change it, and sign it again with the hub's own key."""
        asked = decode(message, FetchRecord)
        mine = _resigned(world, asked.fetch, pair)
        answer: FromHub = decode(hub.handle(encode(mine)), FromHub)
        assert isinstance(answer, Parcel)
        signed = open1(open_sealed(pair, PARCEL, encode(mine.fetch), answer.sealed))
        content = decode(signed.payload, ParcelContent)
        key = hub.keys.signing
        match lie:
            case "record":
                content = replace(content, record=bundle("ada", bmi=40.0))
            case "issuer":
                content = replace(content, issuer_signature=b"a" * 100)
            case "until":
                content = replace(content, grant=replace(content.grant, until=5000))
            case "leaf":
                content = replace(content, opening=replace(content.opening, index=content.opening.index ^ 1))
            case "hub":
                key = SigningKey(digest("another hub"))
            case "no signature":
                content = replace(content, issuer_signature=None)
        again = sign1(key, encode(content), world.ledger.network)
        return encode(Parcel(seal(asked.fetch.seal_key, PARCEL, encode(asked.fetch), again, randomness)))

    with pytest.raises(ForgedParcel):
        fetch(world, hub, name, line=Line(lying))


def test_malformed_fetches_are_answered(world: World) -> None:
    hub = world.admit("ada")
    answer: FromHub = decode(hub.handle(b"what?"), FromHub)
    assert isinstance(answer, NoParcel)


def test_nothing_of_a_share_is_on_the_ledger(world: World) -> None:
    hub = world.admit("ada")
    before = world.ledger.height()
    fetch(world, hub, share(world, hub))
    world.ledger.advance()
    assert list(world.ledger.transactions(before + 1, world.ledger.height())) == []


def _signed_fetch(world: World, name: Digest) -> FetchRecord:
    """A doctor's good fetch."""
    fetch = Fetch(
        network=world.ledger.network,
        share=name,
        recipient=account_of(DOCTOR),
        seal_key=SealKeyPair(digest("answer")).public,
        height=world.ledger.height(),
    )
    return _resigned(world, fetch, SealKeyPair(digest("answer")))


def _resigned(world: World, fetch: Fetch, pair: SealKeyPair) -> FetchRecord:
    """The same fetch with an answer key that the test holds."""
    mine = replace(fetch, seal_key=pair.public)
    return FetchRecord(fetch=mine, signature=key_of(DOCTOR).sign(tagged_hash("fetch", encode(mine))))


def test_an_account_that_is_not_there_fetches_nothing(world: World) -> None:
    hub = world.admit("ada")
    (record,) = hub.store.objects()
    stranger = SigningKey(digest("stranger"))
    account = AccountId(account_id(Role.HUB, stranger.public))
    name = hub.share(record.id, account, 1000)
    state, _ = proved_state(world.ledger, ProofCache())
    with pytest.raises(VerificationError):
        fetch_record(Line(hub.handle), state, name, account, stranger, world.randomness)


# ── in pieces ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def pieces(monkeypatch: pytest.MonkeyPatch) -> int:
    """Pieces so small that each record has several."""
    monkeypatch.setattr(sharing, "PIECE", SMALL)
    return -(-len(bundle("ada")) // SMALL)


def fetch_to(world: World, hub: Hub, name: Digest, line: Line | None = None, **options: Any) -> SharedFile:
    """Fetch a share into a file, as the doctor."""
    state, _ = proved_state(world.ledger, ProofCache())
    peer, key = line or Line(hub.handle), key_of(DOCTOR)
    out = world.folder / "out.json"
    return fetch_file(peer, state, name, account_of(DOCTOR), key, world.randomness, path=out, **options)


def nothing_is_left(world: World) -> bool:
    """Whether a fetch that failed left no file, whole or in part."""
    return not list(world.folder.glob("out.json*"))


def changed_answers(hub: Hub, change: Callable[[FetchPiece, SealedPiece], SealedPiece]) -> Line:
    """A line on which pieces are changed."""

    def answer(message: bytes) -> bytes:
        asked: ToHub = decode(message, ToHub)
        told: FromHub = decode(hub.handle(message), FromHub)
        if isinstance(asked, FetchPiece) and isinstance(told, SealedPiece):
            told = change(asked, told)
        return encode(told)

    return Line(answer)


def test_a_long_record_comes_in_pieces_and_is_one_fetch_of_all_its_bytes(world: World, pieces: int) -> None:
    hub = world.admit("ada")
    name, line, heard = share(world, hub), Line(hub.handle), []
    got = fetch_to(world, hub, name, line, told=lambda come, of: heard.append((come, of)))
    assert (world.folder / "out.json").read_bytes() == bundle("ada")
    assert (got.size, got.hub, got.issuer) == (len(bundle("ada")), hub.account, account_of("issuer"))
    assert len(line.received) == 1 + pieces > 3
    assert heard == [(min(SMALL * number, got.size), got.size) for number in range(1, pieces + 1)]
    (noted,) = hub.fetches()
    assert noted.bytes_left > got.size + 16 * pieces
    assert fetch(world, hub, name).record == bundle("ada")
    assert len(hub.fetches()) == 2


def test_a_record_that_has_no_room_in_memory_is_fetched_into_a_file_only(
    world: World, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub = world.admit("ada")
    monkeypatch.setattr(sharing, "AT_ONCE", 200)
    with pytest.raises(LargeOriginal, match="more than 200"):
        fetch(world, hub, share(world, hub))


def test_a_large_file_is_shared_as_it_is(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = world.admit("ada")
    for module in (stores, sharing):
        monkeypatch.setattr(module, "AT_ONCE", 20_000)
    monkeypatch.setattr(kinds, "MOST_BYTES", 20_000)
    monkeypatch.setattr(cuts, "TABLE_PART", 6000)
    monkeypatch.setattr(sharing, "PIECE", 5000)
    path = Path(__file__).parent.parent / "data" / "lines" / "observations.csv"
    (large,) = hub.import_file(path).added
    world.ledger.advance(10)
    envelope = hub.commit()
    assert envelope is not None
    world.settle(envelope)
    assert large.descriptor.codec == PARTS
    got = fetch_to(world, hub, hub.share(large.id, account_of(DOCTOR), 1000))
    assert (world.folder / "out.json").read_bytes() == path.read_bytes()
    assert (got.size, got.issuer, got.descriptor.kind) == (path.stat().st_size, None, Kind.LAB)


@pytest.mark.parametrize("harm", ["byte", "again", "missing", "short", "other fetch", "no piece"])
def test_no_piece_is_altered_doubled_moved_left_out_or_taken_from_elsewhere(
    world: World, pieces: int, harm: str
) -> None:
    hub = world.admit("ada")
    name = share(world, hub)
    others: list[SealedPiece] = []
    if harm == "other fetch":
        fetch_to(world, hub, name, changed_answers(hub, lambda _, told: others.append(told) or told))  # type: ignore[func-returns-value]
        (world.folder / "out.json").unlink()
    seen: list[SealedPiece] = []

    def change(asked: FetchPiece, told: SealedPiece) -> SealedPiece:
        seen.append(told)
        if asked.number != 1:
            return told
        match harm:
            case "byte":
                return SealedPiece(told.sealed[:-1] + bytes([told.sealed[-1] ^ 1]))
            case "again":
                return seen[0]
            case "missing":
                return _next_of(hub, asked)
            case "short":
                return SealedPiece(told.sealed[:20])
            case "other fetch":
                return others[1]
        return SealedPiece(b"")

    with pytest.raises(ForgedParcel):
        fetch_to(world, hub, name, changed_answers(hub, change))
    assert nothing_is_left(world)


def _next_of(hub: Hub, asked: FetchPiece) -> SealedPiece:
    """The piece behind the one that was asked for."""
    number = asked.number + 1
    signature = key_of(DOCTOR).sign(sharing.piece_message(asked.fetch, number))
    told: FromHub = decode(hub.handle(encode(FetchPiece(asked.fetch, number, signature))), FromHub)
    assert isinstance(told, SealedPiece)
    return told


def test_an_answer_that_was_lost_is_sent_once_more_as_it_was_and_no_other(world: World, pieces: int) -> None:
    hub = world.admit("ada")
    name, line = share(world, hub), Line(hub.handle)
    fetch_to(world, hub, name, line)
    _, *asked = line.received
    last: FromHub = decode(hub.handle(asked[-1]), FromHub)
    assert isinstance(last, SealedPiece)
    assert hub.handle(asked[-1]) == encode(last)
    for message, words in ((asked[0], "asked for behind"), (encode(_behind(asked[-1])), "has no piece")):
        told: FromHub = decode(hub.handle(message), FromHub)
        assert isinstance(told, NoParcel)
        assert (told.number, words in told.facts) == (FetchOver.number, True)
    told = decode(hub.handle(asked[-1]), FromHub)
    assert isinstance(told, NoParcel)
    assert "is open here" in told.facts


def _behind(message: bytes) -> FetchPiece:
    asked = decode(message, FetchPiece)
    number = asked.number + 1
    return replace(asked, number=number, signature=key_of(DOCTOR).sign(sharing.piece_message(asked.fetch, number)))


def test_pieces_are_given_to_the_recipient_s_signature_only(world: World, pieces: int) -> None:
    hub = world.admit("ada")
    line = Line(hub.handle)
    fetch_to(world, hub, share(world, hub), line)
    asked = decode(line.received[-1], FetchPiece)
    told: FromHub = decode(hub.handle(encode(replace(asked, number=0))), FromHub)
    assert isinstance(told, NoParcel)
    assert told.number == BadSignature.number


@pytest.mark.parametrize("end", ["withdrawn", "past", "erased", "closed", "others", "cut"])
def test_a_fetch_that_is_interrupted_leaves_nothing_and_can_begin_again(world: World, pieces: int, end: str) -> None:
    hub = world.admit("ada")
    name = share(world, hub, until=world.ledger.height() + 1)
    line = Line(hub.handle)

    def stop(come: int, _: int) -> None:
        if come != SMALL:
            return
        match end:
            case "withdrawn":
                hub.withdraw_share(name)
            case "past":
                world.ledger.advance(3)
            case "erased":
                hub.erase(hub.store.objects()[0].id)
            case "closed":
                hub.close()
            case "others":
                state, _ = proved_state(world.ledger, ProofCache())
                for _ in range(sharing.MOST_OPEN):
                    Arriving(Line(hub.handle), state, name, account_of(DOCTOR), key_of(DOCTOR), world.randomness)
            case "cut":
                line.cut = True

    refused: dict[str, type[Exception]] = {
        "withdrawn": ShareEnded,
        "past": ShareEnded,
        "cut": ConnectionError,
    }
    with pytest.raises(refused.get(end, FetchOver)):
        fetch_to(world, hub, name, line, told=stop)
    assert nothing_is_left(world)
    if end in ("closed", "others", "cut"):
        assert fetch_to(world, hub, name).size == len(bundle("ada"))
    if end == "erased":
        with pytest.raises(RecordErased):
            fetch_to(world, hub, name)


@pytest.mark.parametrize("end", ["withdrawn", "erased", "erased before it is asked for"])
def test_nothing_of_a_fetch_that_may_not_go_on_is_held(world: World, pieces: int, end: str) -> None:
    hub = world.admit("ada")
    name, line = share(world, hub), Line(hub.handle)
    fetch_to(world, hub, name, line)
    assert hub._sendings._open
    hub.withdraw_share(name) if end == "withdrawn" else hub.erase()
    if end != "erased before it is asked for":
        told: FromHub = decode(hub.handle(line.received[-1]), FromHub)
        assert isinstance(told, NoParcel)
        assert told.number == (ShareEnded if end == "withdrawn" else FetchOver).number
    assert not hub._sendings._open


def test_a_record_that_was_sealed_anew_meanwhile_is_fetched_anew(
    world: World, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one is whose version before was erased while it was fetched: the key that the fetch began with opens nothing."""
    hub = world.admit("ada")
    name = share(world, hub)
    monkeypatch.setattr(sharing, "_cut", _broken_off)
    with pytest.raises(FetchOver, match="cannot go on"):
        fetch_to(world, hub, name)
    assert nothing_is_left(world)
    assert not hub._sendings._open
    monkeypatch.undo()
    assert fetch_to(world, hub, name).size == len(bundle("ada"))


def _broken_off(parts: Iterator[bytes]) -> Iterator[bytes]:
    yield next(parts)[:SMALL]
    raise AlteredBlob("chunk 1 was altered")


@pytest.mark.parametrize("lie", ["size", "small in pieces", "another record"])
def test_a_hub_that_lies_about_pieces_is_found_out(world: World, pieces: int, lie: str) -> None:
    hub = world.admit("ada")
    name, randomness, pair = share(world, hub), world.randomness, SealKeyPair(world.randomness.draw(32))
    key = bytes(32)
    false = bundle("ada", bmi=40.0)

    def lying(message: bytes) -> bytes:
        asked: ToHub = decode(message, ToHub)
        if isinstance(asked, FetchPiece):
            start, total = asked.number * SMALL, sharing.count_pieces(len(false))
            return encode(SealedPiece(seal_chunk(key, asked.fetch, asked.number, total, false[start : start + SMALL])))
        mine = _resigned(world, asked.fetch, pair)
        answer: FromHub = decode(hub.handle(encode(mine)), FromHub)
        assert isinstance(answer, Parcel)
        signed = open1(open_sealed(pair, PARCEL, encode(mine.fetch), answer.sealed))
        content = decode(signed.payload, ParcelContent)
        size = {"size": len(false) - 1, "small in pieces": 10}.get(lie, len(false))
        content = replace(content, record=Pieces(size=size, key=key))
        again = sign1(hub.keys.signing, encode(content), world.ledger.network)
        return encode(Parcel(seal(asked.fetch.seal_key, PARCEL, encode(asked.fetch), again, randomness)))

    with pytest.raises(ForgedParcel):
        fetch_to(world, hub, name, Line(lying))
    assert nothing_is_left(world)


@pytest.mark.parametrize("answer", [NoParcel(number=999, facts="?"), Parcel(b""), SealedPiece(b"")])
def test_answers_of_another_kind_are_no_record(world: World, pieces: int, answer: FromHub) -> None:
    hub = world.admit("ada")
    with pytest.raises(VerificationError):
        fetch_to(world, hub, share(world, hub), Line(lambda _: encode(answer)))

    def instead(message: bytes) -> bytes:
        return encode(answer) if isinstance(decode(message, ToHub), FetchPiece) else hub.handle(message)

    with pytest.raises(VerificationError):
        fetch_to(world, hub, share(world, hub), Line(instead))
    with pytest.raises(ForgedParcel):
        fetch_to(world, hub, share(world, hub), Line(lambda _: b"what?"))
    assert nothing_is_left(world)


def test_a_key_of_pieces_is_not_printed() -> None:
    assert repr(Pieces(size=9, key=b"k" * 32)) == "Pieces(size=9, key=…)"
