"""Sharing: one record for one named account until a height, signed by the hub and sealed to the recipient.

Whom somebody shares with stays off the ledger. The recipient needs the share's name, which the owner tells; the hub
serves it to that account's signature only, and notes each fetch before the parcel leaves. A record that is too long for
one message follows its parcel in pieces, one after another.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from edgehold.crypto.aead import TAG_SIZE, open_chunk, seal_chunk
from edgehold.crypto.cose import open1, sign1, signed_bytes
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.jws import Detached
from edgehold.crypto.seal import SealKeyPair, open_sealed, seal
from edgehold.crypto.signatures import SigningKey, verify
from edgehold.durable import write_pieces
from edgehold.errors import (
    AlteredBlob,
    CryptoError,
    EdgeholdError,
    ErasedObject,
    FetchOver,
    ForgedParcel,
    LargeOriginal,
    Malformed,
    NotTheRecipient,
    RecordErased,
    Refusal,
    ShareEnded,
    VerificationError,
    all_errors,
)
from edgehold.hub.catalog import open_leaf
from edgehold.hub.journal import Journal, Share
from edgehold.hub.keys import HubKeys
from edgehold.hub.store import AT_ONCE, Store
from edgehold.ledger.state import State, find_root, get_account
from edgehold.ports import Peer, Randomness
from edgehold.verify.opening import Commitment, signature_digest, verify_opening
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import DatasetDescriptor, ObjectId
from edgehold.wire.ids import AccountId, Digest
from edgehold.wire.sharing import (
    Fetch,
    FetchPiece,
    FetchRecord,
    FromHub,
    Grant,
    NoParcel,
    Parcel,
    ParcelContent,
    Pieces,
    SealedPiece,
    ToHub,
)

PARCEL = b"edgehold parcel"
"""HPKE `info` of a parcel."""

FRESH = 20
"""Heights for which a signed fetch is good."""

PIECE = 1 << 23
"""Bytes of a piece; a record of at most so many is in its parcel."""

MOST_OPEN = 4
"""Fetches in pieces that a hub holds open; one more ends the one that was waiting longest."""


@dataclass(frozen=True)
class SharedFile:
    """What a recipient knows of a record once all of it was checked against the ledger."""

    size: int
    descriptor: DatasetDescriptor
    hub: AccountId
    issuer: AccountId | None
    """Who signed the record; none if it is self-reported."""


@dataclass(frozen=True)
class SharedRecord(SharedFile):
    """A record as its recipient holds it in memory."""

    record: bytes


# ── at the hub ────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Sending:
    """A record that leaves in pieces, and how far it got."""

    fetch: Fetch
    object: ObjectId
    content: Pieces
    pieces: Iterator[bytes]
    number: int = -1
    """Of the last piece that left."""
    sealed: bytes = b""
    """That piece, since its answer may be lost on the way."""


class Sendings:
    """The fetches in pieces that a hub holds open, the one that was asked for last at the end. They are in memory alone:
    a hub that was closed meanwhile knows none, and the recipient begins again."""

    def __init__(self) -> None:
        self._open: OrderedDict[Digest, Sending] = OrderedDict()

    def find(self, fetch: Digest) -> Sending:
        """An open fetch; raises `FetchOver`."""
        if fetch not in self._open:
            raise FetchOver(f"no fetch {fetch.hex()} is open here")
        self._open.move_to_end(fetch)
        return self._open[fetch]

    def keep(self, fetch: Digest, sending: Sending) -> None:
        """Hold a fetch open."""
        self._open[fetch] = sending
        self._open.move_to_end(fetch)
        while len(self._open) > MOST_OPEN:
            self._open.popitem(last=False)

    def end(self, fetch: Digest) -> None:
        """Hold a fetch open no more: nothing is left of its keys and of what it was about to send."""
        self._open.pop(fetch, None)

    def end_of(self, objects: Collection[ObjectId]) -> None:
        """End the fetches of some objects."""
        for fetch in [fetch for fetch, sending in self._open.items() if sending.object in objects]:
            self.end(fetch)


@dataclass(frozen=True)
class Desk:
    """Where a hub serves: what it notes and keeps, and what it has in hand."""

    journal: Journal
    store: Store
    keys: HubKeys
    sendings: Sendings
    randomness: Randomness


def share(journal: Journal, store: Store, grant: Grant, dataset: ObjectId) -> Digest:
    """Keep a grant for one dataset; returns the share's name. Raises `UnknownObject`, `RecordErased`."""
    if store.get_object(dataset).descriptor.tombstone:
        raise RecordErased(f"object {dataset.hex()}")
    name = share_name(grant)
    journal.add_share(name, dataset, grant)
    return name


def share_name(grant: Grant) -> Digest:
    """What a share is called between owner and recipient."""
    return tagged_hash("share", encode(grant))


def withdraw(journal: Journal, name: Digest, height: int) -> None:
    """Serve a share no more. Raises `NotTheRecipient` if there is none of this name."""
    if journal.share(name) is None:
        raise NotTheRecipient(f"there is no share {name.hex()}")
    journal.withdraw_share(name, height)


def serve(desk: Desk, state: State, message: bytes) -> bytes:
    """Answer a fetch with a parcel or a piece, or say why not."""
    try:
        asked: ToHub = decode(message, ToHub)
        return encode(_serve_piece(desk, state, asked) if isinstance(asked, FetchPiece) else _serve(desk, state, asked))
    except EdgeholdError as error:
        return encode(NoParcel(number=error.number, facts=str(error)[:400]))


def fetch_name(fetch: Fetch) -> Digest:
    """What is signed of a fetch, and what its pieces are bound to."""
    return tagged_hash("fetch", encode(fetch))


def piece_message(fetch: Digest, number: int) -> bytes:
    """What a recipient signs to be sent one piece."""
    return tagged_hash("fetch-piece", fetch + number.to_bytes(4, "big"))


def _serve(desk: Desk, state: State, asked: FetchRecord) -> Parcel:
    """Serve a shared record, or the parcel that it follows in pieces.

    1. The share is known, and its recipient signed this fetch, lately and for this network (`NotTheRecipient`).
    2. It was not withdrawn and its last height has not passed (`ShareEnded`).
    3. The record is there, under the hub's live root (`RecordErased`, `NotCommitted`).
    4. The fetch stands in the journal before the parcel leaves, with all bytes that may follow it.
    """
    fetch = asked.fetch
    # 1
    shared = _find_share(desk, state, fetch)
    verify(get_account(state, fetch.recipient).key, fetch_name(fetch), asked.signature)
    if not state.height - FRESH <= fetch.height <= state.height:
        raise NotTheRecipient(f"the fetch was signed for height {fetch.height}, now is {state.height}")
    # 2
    _require_live(state, shared)
    # 3
    record, pieces, size = _begin(desk, shared)
    root = find_root(state, shared.grant.hub)
    content = ParcelContent(
        grant=shared.grant,
        record=record,
        opening=open_leaf(desk.store, shared.object, root.root if root else Digest(bytes(32))),
        issuer_signature=desk.store.get_signature(shared.object),
    )
    signed = sign1(desk.keys.signing, encode(content), state.network.id)
    sealed = seal(fetch.seal_key, PARCEL, encode(fetch), signed, desk.randomness)
    # 4
    desk.journal.add_fetch(fetch.share, state.height, len(sealed) + size)
    if isinstance(record, Pieces):
        desk.sendings.keep(fetch_name(fetch), Sending(fetch, shared.object, record, pieces))
    return Parcel(sealed=sealed)


def _find_share(desk: Desk, state: State, fetch: Fetch) -> Share:
    """The share that is fetched; raises `NotTheRecipient`."""
    shared = desk.journal.share(fetch.share)
    if shared is None or shared.grant.recipient != fetch.recipient or fetch.network != state.network.id:
        raise NotTheRecipient(f"account {fetch.recipient.hex()} has no share {fetch.share.hex()}")
    return shared


def _require_live(state: State, shared: Share) -> None:
    """Raise `ShareEnded` unless a share may be served now."""
    if shared.withdrawn_at is not None:
        raise ShareEnded(f"the owner withdrew share {shared.share.hex()} at height {shared.withdrawn_at}")
    if state.height > shared.grant.until:
        raise ShareEnded(f"share {shared.share.hex()} ended with height {shared.grant.until}")


def _require_there(desk: Desk, shared: Share) -> None:
    """Raise `RecordErased` unless the shared record is there."""
    if desk.store.get_object(shared.object).descriptor.tombstone:
        raise RecordErased(f"the record of share {shared.share.hex()}")


def _begin(desk: Desk, shared: Share) -> tuple[bytes | Pieces, Iterator[bytes], int]:
    """A shared record as its parcel has it, its pieces, and their sealed bytes; raises `RecordErased`."""
    size = desk.store.get_object(shared.object).received
    if size > PIECE:
        content = Pieces(size=size, key=desk.randomness.draw(32))
        pieces = _cut(desk.store.read_original(shared.object))
        return content, pieces, size + count_pieces(size) * TAG_SIZE
    try:
        return desk.store.get_original(shared.object), iter(()), 0
    except ErasedObject as error:
        raise RecordErased(f"the record of share {shared.share.hex()}") from error


def _cut(parts: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of one size, but for the last."""
    held = bytearray()
    for part in parts:
        held += part
        while len(held) > PIECE:
            piece = bytes(held[:PIECE])
            del held[:PIECE]
            yield piece
    yield bytes(held)


def count_pieces(size: int) -> int:
    """The pieces of a record of so many bytes."""
    return -(-size // PIECE)


def _serve_piece(desk: Desk, state: State, asked: FetchPiece) -> SealedPiece:
    """Serve the next piece of a record, or again the one before.

    1. The fetch is open, and its recipient asks (`FetchOver`, `BadSignature`).
    2. The share was not withdrawn meanwhile and its last height has not passed (`ShareEnded`).
    3. The record was not erased (`RecordErased`).
    4. It is the piece behind the one that left last, which is sealed once (`FetchOver`), or that one as it was.
    """
    # 1
    sending = desk.sendings.find(asked.fetch)
    recipient = get_account(state, sending.fetch.recipient).key
    verify(recipient, piece_message(asked.fetch, asked.number), asked.signature)
    # 2
    shared = _find_share(desk, state, sending.fetch)
    try:
        _require_live(state, shared)
        # 3
        _require_there(desk, shared)
    except (ShareEnded, RecordErased):
        desk.sendings.end(asked.fetch)
        raise
    # 4
    if asked.number == sending.number + 1:
        try:
            piece = next(sending.pieces, None)
        except AlteredBlob as error:  # or it was sealed anew, since the version before it was erased
            desk.sendings.end(asked.fetch)
            raise FetchOver(f"fetch {asked.fetch.hex()} cannot go on behind piece {sending.number}") from error
        if piece is None:
            desk.sendings.end(asked.fetch)
            raise FetchOver(f"fetch {asked.fetch.hex()} has no piece {asked.number}")
        total = count_pieces(sending.content.size)
        sending.sealed = seal_chunk(sending.content.key, asked.fetch, asked.number, total, piece)
        sending.number = asked.number
    elif asked.number != sending.number:
        raise FetchOver(f"piece {asked.number} of fetch {asked.fetch.hex()} was asked for behind {sending.number}")
    return SealedPiece(sealed=sending.sealed)


# ── at the recipient ──────────────────────────────────────────────────────────────────────────────────────────────


class Arriving:
    """A shared record that its recipient fetches: what its parcel says, and its bytes, which are checked as they come."""

    def __init__(
        self, hub: Peer, state: State, share: Digest, recipient: AccountId, key: SigningKey, randomness: Randomness
    ) -> None:
        """Ask for the parcel, and check it. Raises what the hub says, `ForgedParcel`."""
        pair = SealKeyPair(randomness.draw(32))
        fetch = Fetch(
            network=state.network.id, share=share, recipient=recipient, seal_key=pair.public, height=state.height
        )
        self._hub, self._state, self._share, self._key = hub, state, share, key
        self._fetch = fetch_name(fetch)
        self._issuer: AccountId | None = None
        answer = self._ask(FetchRecord(fetch=fetch, signature=key.sign(self._fetch)))
        with self._checking():
            self._content = open_parcel(state, fetch, pair, answer)
        self.size = size_of(self._content.record)

    def _ask(self, message: ToHub) -> FromHub:
        with self._checking():
            answer: FromHub = decode(self._hub.send(encode(message)), FromHub)
        if isinstance(answer, NoParcel):
            named = {error.number: error for error in all_errors() if issubclass(error, VerificationError)}
            raise named.get(answer.number, VerificationError)(answer.facts)
        return answer

    @contextmanager
    def _checking(self) -> Iterator[None]:
        try:
            yield
        except (CryptoError, Malformed, Refusal) as error:
            raise ForgedParcel(f"share {self._share.hex()}: {error}") from error

    def pieces(self) -> Iterator[bytes]:
        """The record piece by piece. That it is the right one is known behind the last: only then it may be used.

        1. Each opens as this piece of so many of this fetch, and is as long as its place says.
        2. All of them together are what the leaf commits to.
        3. The issuer named in the signature beside it signed exactly these bytes.

        Raises what the hub says, `ForgedParcel`.
        """
        content, found = self._content, Commitment()
        token = content.issuer_signature
        with self._checking():
            signed = None if token is None else Detached(token, lambda signer: get_account(self._state, signer).key)
        # 1
        for piece in self._arriving():
            found.update(piece)
            if signed is not None:
                signed.update(piece)
            yield piece
        # 2
        if content.opening.commitment != found.digest():
            raise ForgedParcel(f"the record is not the one that hub {content.grant.hub.hex()} committed to")
        # 3
        with self._checking():
            self._issuer = None if signed is None else signed.finish()

    def _arriving(self) -> Iterator[bytes]:
        record = self._content.record
        if not isinstance(record, Pieces):
            yield record
            return
        for number in range(count_pieces(record.size)):
            signature = self._key.sign(piece_message(self._fetch, number))
            answer = self._ask(FetchPiece(fetch=self._fetch, number=number, signature=signature))
            with self._checking():
                piece = open_piece(self._fetch, record, number, answer)
            yield piece

    def about(self) -> SharedFile:
        """What is known of the record when all of it was checked."""
        content = self._content
        return SharedFile(self.size, content.opening.descriptor, content.grant.hub, self._issuer)


def fetch_record(
    hub: Peer, state: State, share: Digest, recipient: AccountId, key: SigningKey, randomness: Randomness
) -> SharedRecord:
    """Fetch a shared record with the recipient's account key and check it against a proved state of the ledger.

    Raises what the hub says (`NotTheRecipient`, `ShareEnded`, `RecordErased`), `ForgedParcel`, and `LargeOriginal` for
    one that has no room in memory.
    """
    arriving = Arriving(hub, state, share, recipient, key, randomness)
    if arriving.size > AT_ONCE:
        raise LargeOriginal(f"the record of share {share.hex()} has {arriving.size} bytes, more than {AT_ONCE}")
    record = b"".join(arriving.pieces())
    about = arriving.about()
    return SharedRecord(about.size, about.descriptor, about.hub, about.issuer, record)


def fetch_file(
    hub: Peer,
    state: State,
    share: Digest,
    recipient: AccountId,
    key: SigningKey,
    randomness: Randomness,
    *,
    path: Path,
    told: Callable[[int, int], None] | None = None,
) -> SharedFile:
    """As `fetch_record`, for a record of any size, into a file, which has its name only when all of it was checked.

    `told` hears how many bytes have come, and of how many. A fetch that is interrupted leaves nothing and begins again.
    """
    arriving = Arriving(hub, state, share, recipient, key, randomness)

    def heard() -> Iterator[bytes]:
        come = 0
        for piece in arriving.pieces():
            come += len(piece)
            if told is not None:
                told(come, arriving.size)
            yield piece

    write_pieces(path, heard())
    return arriving.about()


def open_parcel(state: State, fetch: Fetch, pair: SealKeyPair, parcel: FromHub) -> ParcelContent:
    """Open a parcel and check what it says; the bytes of its record are checked as they come.

    1. It opens with the fetch's key, and only as the answer to this fetch.
    2. The hub that is named inside signed it, for this recipient and share, and its last height has not passed.
    3. The leaf that is shown stands under that hub's live root, and names the issuer's signature that is shown.
    4. A record follows in pieces only if it is too long for its parcel.

    Raises `CannotOpen`, `Malformed`, `BadSignature`, `BadProof`, `UnknownAccount`, `ForgedParcel`.
    """
    # 1
    if not isinstance(parcel, Parcel):
        raise Malformed("no parcel")
    message = open1(open_sealed(pair, PARCEL, encode(fetch), parcel.sealed))
    # 2
    content = decode(message.payload, ParcelContent)
    grant = content.grant
    hub = get_account(state, grant.hub)
    verify(hub.key, signed_bytes(message.payload, state.network.id), message.signature)
    if (share_name(grant), grant.recipient) != (fetch.share, fetch.recipient) or state.height > grant.until:
        raise ForgedParcel(f"the parcel is not the one of share {fetch.share.hex()}, or its time has passed")
    # 3
    root = find_root(state, grant.hub)
    verify_opening(root.root if root else Digest(bytes(32)), content.opening)
    token, named = content.issuer_signature, content.opening.descriptor.signature
    if (None if token is None else signature_digest(token)) != named:
        raise ForgedParcel("the leaf names another issuer's signature than the one that is shown")
    # 4
    if isinstance(content.record, Pieces) != (size_of(content.record) > PIECE):
        raise ForgedParcel(f"a record of {size_of(content.record)} bytes is not sent so")
    return content


def size_of(record: bytes | Pieces) -> int:
    """The bytes of a record that is in its parcel or follows it."""
    return record.size if isinstance(record, Pieces) else len(record)


def open_piece(fetch: Digest, pieces: Pieces, number: int, answer: FromHub) -> bytes:
    """Open one piece of a record; raises `CannotOpen`, `Malformed`."""
    if not isinstance(answer, SealedPiece):
        raise Malformed("no piece")
    piece = open_chunk(pieces.key, fetch, number, count_pieces(pieces.size), answer.sealed)
    if len(piece) != min(PIECE, pieces.size - number * PIECE):
        raise Malformed(f"piece {number} of {pieces.size} bytes has {len(piece)}")
    return piece
