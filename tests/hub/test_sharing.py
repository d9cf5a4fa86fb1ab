"""One record, one recipient, until a height: what the doctor gets, and everybody else does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hub_world import Line, World, account_of, bundle, digest, key_of
from msgspec.structs import replace

from edgehold.crypto.cose import open1, sign1
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.names import account_id
from edgehold.crypto.seal import SealKeyPair, open_sealed, seal
from edgehold.crypto.signatures import SigningKey
from edgehold.errors import (
    ForgedParcel,
    NotCommitted,
    NotTheRecipient,
    RecordErased,
    ShareEnded,
    VerificationError,
)
from edgehold.hub.hub import Hub
from edgehold.hub.sharing import PARCEL, SharedRecord, fetch_record
from edgehold.verify.view import ProofCache, proved_state
from edgehold.wire.account import Role
from edgehold.wire.codec import decode, encode
from edgehold.wire.ids import AccountId, Digest
from edgehold.wire.sharing import Fetch, FetchRecord, FromHub, NoParcel, Parcel, ParcelContent

DOCTOR = "customer"


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
