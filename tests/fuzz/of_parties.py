"""Parties as others see them: bytes in, bytes out; and what lies on a hub's disk, altered."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bombs import CBOR
from examples import Market
from hub_world import World, account_of, bundle, key_of
from msgspec.structs import replace
from mutation import BY_BYTES
from of_proofs import LARGE
from target import Reader, Target, require

from edgehold.crypto.aead import seal_chunk
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.seal import SealKeyPair
from edgehold.errors import CryptoError, HubError, Malformed, Refusal, VerificationError
from edgehold.hub.sharing import open_parcel, open_piece
from edgehold.verify.view import ProofCache, proved_state
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import ObjectId
from edgehold.wire.enrolment import AskAccount, AskPanelKeys, Declined, FromIssuer, ToIssuer
from edgehold.wire.ids import Digest
from edgehold.wire.service import Answer, Failure, FromAggregator, GetLists, GetShare, Receipted, Request, Upload
from edgehold.wire.sharing import Fetch, FetchRecord, FromHub, NoParcel, Parcel, Pieces, SealedPiece
from edgehold.wire.task import Party


class Said(Exception):
    """A party's own no, which is an answer and not an error."""


def leader(folder: Path) -> Reader:
    """A service that leads a task: every message is answered, and no altered report counts."""
    market = Market(folder)
    task = market.run.task
    uploads = [encode(Upload(task=task, report=report)) for report in market.reports[:4]]

    def read(message: bytes) -> None:
        with market.undone():
            answer = decode(market.leader_node.handle(message), Answer)
        if isinstance(answer, Failure):
            raise Said(answer.facts)
        if isinstance(answer, Receipted):
            upload = decode(message, Request)
            require(message in uploads or not market.opens(upload.report), "an altered report counts")

    return Reader(read, [*uploads, encode(market.run.revocation(3))])


def helper(folder: Path) -> Reader:
    """A service that helps: it does only what the leader signed."""
    market = Market(folder)
    run = market.run
    run.upload_all([person % 5 for person in range(12)])
    market.world.tick_to(run.configuration.revoke_until + 1)
    node, database = market.world.nodes["helper"], market.world.nodes["helper"]._storage._db
    sent = [message for message, _ in market.world.lines["helper"].said]
    asked: list[Request] = [GetLists(task=run.task, accepted=True, part=0), GetShare(task=run.task, party=Party.HELPER)]

    def read(message: bytes) -> None:
        database.execute("SAVEPOINT looked_at")
        answer = decode(node.handle(message), Answer)
        database.execute("ROLLBACK TO looked_at; RELEASE looked_at").fetchall()
        if isinstance(answer, Failure):
            raise Said(answer.facts)
        signed = isinstance(decode(message, Request), FromAggregator)
        require(not signed or message in sent, "a message that the leader did not sign is obeyed")

    return Reader(read, [message for message in [*sent, *map(encode, asked[:1])] if len(message) < 4_000])


def issuer(folder: Path) -> Reader:
    """An issuer's desk."""
    world = World(folder)
    world.hand_out("ada")
    panel = world.panel(slots=1)
    hub = world.admit("bea")
    hub.enrol(world.desk, panel)
    sent, own_key = list(dict.fromkeys(world.desk.received)), hub.keys.owner_key

    def read(message: bytes) -> None:
        answer: Any = decode(world.issuer.handle(message), FromIssuer)
        if isinstance(answer, Declined):
            raise Said(answer.facts)
        asked = decode(message, ToIssuer)
        if isinstance(asked, AskAccount):
            # the owner key is not under the hub's signature: who could change it could as well sign another request
            asked = replace(asked, owner_key=own_key)
        require(encode(asked) in sent or isinstance(asked, AskPanelKeys), "an altered request is obeyed")

    return Reader(read, sent)


def hub(folder: Path) -> Reader:
    """A hub that shares a record: it serves the recipient's own signature only."""
    world = World(folder)
    own = world.admit("ada")
    (record,) = own.store.objects()
    recipient = account_of("customer")
    share = own.share(record.id, recipient, 1000)
    valid = []
    for number in (1, 2):
        fetch = Fetch(
            network=world.ledger.network,
            share=share,
            recipient=recipient,
            seal_key=SealKeyPair(bytes([number]) * 32).public,
            height=world.ledger.height(),
        )
        signature = key_of("customer").sign(tagged_hash("fetch", encode(fetch)))
        valid.append(encode(FetchRecord(fetch=fetch, signature=signature)))

    def read(message: bytes) -> None:
        answer: Any = decode(own.handle(message), FromHub)
        if isinstance(answer, NoParcel):
            raise Said(answer.facts)
        require(message in valid, "a fetch that the recipient did not sign is served")

    return Reader(read, valid)


def parcel(folder: Path) -> Reader:
    """A shared record at its recipient."""
    world = World(folder)
    own = world.admit("ada")
    (record,) = own.store.objects()
    recipient, pair = account_of("customer"), SealKeyPair(bytes(32))
    share = own.share(record.id, recipient, 1000)
    fetch = Fetch(
        network=world.ledger.network,
        share=share,
        recipient=recipient,
        seal_key=pair.public,
        height=world.ledger.height(),
    )
    signature = key_of("customer").sign(tagged_hash("fetch", encode(fetch)))
    answer: Any = decode(own.handle(encode(FetchRecord(fetch=fetch, signature=signature))), FromHub)
    require(isinstance(answer, Parcel), f"no parcel: {answer}")
    state, _ = proved_state(world.ledger, ProofCache())

    def read(sealed: bytes) -> None:
        got = open_parcel(state, fetch, pair, Parcel(sealed=sealed))
        require(got.record == bundle("ada") and sealed == answer.sealed, "an altered parcel is accepted")

    return Reader(read, [answer.sealed])


def piece(_: Path) -> Reader:
    """A piece of a shared record at its recipient: the one that was sealed in its place, or none."""
    fetch, content = Digest(bytes(32)), Pieces(size=100, key=bytes(32))
    sealed = seal_chunk(content.key, fetch, 0, 1, bytes(100))

    def read(data: bytes) -> None:
        open_piece(fetch, content, 0, SealedPiece(sealed=data))
        require(data == sealed, "an altered piece is accepted")

    return Reader(read, [sealed])


PLACES = (
    "chunk.data",
    "object.sealed",
    "object.wrapped",
    "object.signature",
    "object.tables",
    "object.leaf",
    "rows.data",
)
"""What a hub's store says of a record, column by column."""


def store(folder: Path) -> Reader:
    """A hub's file in which one value was altered: what it gives back is what was stored, or nothing."""
    world = World(folder)
    kept = world.admit("ada").store
    (record,) = kept.objects()
    database = kept._database
    original, signature, tables = (read(record.id) for read in (kept.get_original, kept.get_signature, kept.table))
    values = [database.execute(_select(place)).fetchone()[0] for place in PLACES]

    def read(altered: bytes) -> None:
        """The first byte says which value it is."""
        if not altered or altered[0] >= len(PLACES):
            raise Malformed("no such place")
        place = PLACES[altered[0]].split(".")
        database.execute("SAVEPOINT looked_at")
        try:
            database.execute(f"UPDATE {place[0]} SET {place[1]} = ?", (altered[1:],))
            faults = kept.check()
            got = _look(kept, record.id)
        finally:
            database.execute("ROLLBACK TO looked_at; RELEASE looked_at").fetchall()
        same = altered[1:] == values[altered[0]]
        require(bool(faults) != same, f"an altered {'.'.join(place)} is not found by a check, or a right one is")
        for found, stored in zip(got, (original, signature, tables), strict=True):
            require(found is None or found == stored, "another value than was stored comes back")
        if not same:
            raise Said(faults[0])

    return Reader(read, [bytes([number]) + value for number, value in enumerate(values)])


def _select(place: str) -> str:
    table, column = place.split(".")
    return f"SELECT {column} FROM {table}"


def _look(kept: Any, record: ObjectId) -> list[Any]:
    """Everything that can be had of a record, nothing in the place of what is refused."""
    found: list[Any] = []
    for read in (kept.get_original, kept.get_signature, kept.table):
        try:
            found.append(read(record))
        except (HubError, Malformed):
            found.append(None)
    return found


TARGETS: dict[str, Target] = {
    "leader": Target(leader, (Said,), bombs=CBOR),
    "helper": Target(helper, (Said,)),
    "issuer": Target(issuer, (Said,), bombs=CBOR),
    "hub": Target(hub, (Said,)),
    "parcel": Target(parcel, (CryptoError, Malformed, Refusal, VerificationError), BY_BYTES, LARGE),
    "piece": Target(piece, (CryptoError, Malformed), BY_BYTES),
    "store": Target(store, (Said, Malformed), BY_BYTES, LARGE),
}
