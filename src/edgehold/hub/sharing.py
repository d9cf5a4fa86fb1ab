"""Sharing: one record for one named account until a height, signed by the hub and sealed to the recipient.

Whom somebody shares with stays off the ledger. The recipient needs the share's name, which the owner tells; the hub
serves it to that account's signature only, and notes each fetch before the parcel leaves.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgehold.crypto.cose import open1, sign1, signed_bytes
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.jws import verify_detached
from edgehold.crypto.seal import SealKeyPair, open_sealed, seal
from edgehold.crypto.signatures import SigningKey, verify
from edgehold.errors import (
    CryptoError,
    EdgeholdError,
    ErasedObject,
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
from edgehold.hub.journal import Journal
from edgehold.hub.keys import HubKeys
from edgehold.hub.store import AT_ONCE, Store
from edgehold.ledger.state import State, find_root, get_account
from edgehold.ports import Peer, Randomness
from edgehold.verify.opening import record_commitment, signature_digest, verify_opening
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import DatasetDescriptor, ObjectId
from edgehold.wire.ids import AccountId, Digest, Signature
from edgehold.wire.sharing import Fetch, FetchRecord, FromHub, Grant, NoParcel, Parcel, ParcelContent

PARCEL = b"edgehold parcel"
"""HPKE `info` of a parcel."""

FRESH = 20
"""Heights for which a signed fetch is good."""


@dataclass(frozen=True)
class SharedRecord:
    """A record as its recipient holds it, checked against the ledger."""

    record: bytes
    descriptor: DatasetDescriptor
    hub: AccountId
    issuer: AccountId | None
    """Who signed the record; none if it is self-reported."""


# ── at the hub ────────────────────────────────────────────────────────────────────────────────────────────────────


def share(journal: Journal, store: Store, grant: Grant, dataset: ObjectId) -> Digest:
    """Keep a grant for one dataset; returns the share's name. Raises `UnknownObject`, `RecordErased`,
    `LargeOriginal`."""
    found = store.get_object(dataset)
    if found.descriptor.tombstone:
        raise RecordErased(f"object {dataset.hex()}")
    if found.received > AT_ONCE:
        raise LargeOriginal(f"object {dataset.hex()} has {found.received} bytes, a parcel at most {AT_ONCE}")
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


def serve(journal: Journal, store: Store, state: State, keys: HubKeys, message: bytes, randomness: Randomness) -> bytes:
    """Answer a fetch with a parcel, or say why not."""
    try:
        return encode(_serve(journal, store, state, keys, decode(message, FetchRecord), randomness))
    except EdgeholdError as error:
        return encode(NoParcel(number=error.number, facts=str(error)[:400]))


def _serve(
    journal: Journal, store: Store, state: State, keys: HubKeys, asked: FetchRecord, randomness: Randomness
) -> Parcel:
    """Serve a shared record.

    1. The share is known, and its recipient signed this fetch, lately and for this network (`NotTheRecipient`).
    2. It was not withdrawn and its last height has not passed (`ShareEnded`).
    3. The record is there, under the hub's live root (`RecordErased`, `NotCommitted`).
    4. The fetch stands in the journal before the parcel leaves.
    """
    fetch = asked.fetch
    # 1
    shared = journal.share(fetch.share)
    if shared is None or shared.grant.recipient != fetch.recipient or fetch.network != state.network.id:
        raise NotTheRecipient(f"account {fetch.recipient.hex()} has no share {fetch.share.hex()}")
    verify(get_account(state, fetch.recipient).key, tagged_hash("fetch", encode(fetch)), asked.signature)
    if not state.height - FRESH <= fetch.height <= state.height:
        raise NotTheRecipient(f"the fetch was signed for height {fetch.height}, now is {state.height}")
    # 2
    if shared.withdrawn_at is not None:
        raise ShareEnded(f"the owner withdrew share {fetch.share.hex()} at height {shared.withdrawn_at}")
    if state.height > shared.grant.until:
        raise ShareEnded(f"share {fetch.share.hex()} ended with height {shared.grant.until}")
    # 3
    try:
        record = store.get_original(shared.object)
    except ErasedObject as error:
        raise RecordErased(f"the record of share {fetch.share.hex()}") from error
    root = find_root(state, shared.grant.hub)
    content = ParcelContent(
        grant=shared.grant,
        record=record,
        opening=open_leaf(store, shared.object, root.root if root else Digest(bytes(32))),
        issuer_signature=store.get_signature(shared.object),
    )
    signed = sign1(keys.signing, encode(content), state.network.id)
    sealed = seal(fetch.seal_key, PARCEL, encode(fetch), signed, randomness)
    # 4
    journal.add_fetch(fetch.share, state.height, len(sealed))
    return Parcel(sealed=sealed)


# ── at the recipient ──────────────────────────────────────────────────────────────────────────────────────────────


def fetch_record(
    hub: Peer, state: State, share: Digest, recipient: AccountId, key: SigningKey, randomness: Randomness
) -> SharedRecord:
    """Fetch a shared record with the recipient's account key and check it against a proved state of the ledger.

    Raises what the hub says (`NotTheRecipient`, `ShareEnded`, `RecordErased`), `ForgedParcel`.
    """
    pair = SealKeyPair(randomness.draw(32))
    fetch = Fetch(network=state.network.id, share=share, recipient=recipient, seal_key=pair.public, height=state.height)
    asked = FetchRecord(fetch=fetch, signature=key.sign(tagged_hash("fetch", encode(fetch))))
    answer: FromHub = decode(hub.send(encode(asked)), FromHub)
    if isinstance(answer, NoParcel):
        named = {error.number: error for error in all_errors() if issubclass(error, VerificationError)}
        raise named.get(answer.number, VerificationError)(answer.facts)
    try:
        return open_parcel(state, fetch, pair, answer)
    except (CryptoError, Malformed, Refusal) as error:
        raise ForgedParcel(f"share {share.hex()}: {error}") from error


def open_parcel(state: State, fetch: Fetch, pair: SealKeyPair, parcel: Parcel) -> SharedRecord:
    """Open a parcel and check what is inside.

    1. It opens with the fetch's key, and only as the answer to this fetch.
    2. The hub that is named inside signed it, for this recipient and share, and its last height has not passed.
    3. The record is the one its leaf commits to, and the leaf stands under that hub's live root.
    4. The issuer named in the signature beside it signed exactly these bytes, and the leaf names that signature.

    Raises `CannotOpen`, `Malformed`, `BadSignature`, `BadProof`, `UnknownAccount`, `ForgedParcel`.
    """
    # 1
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
    if root is None or content.opening.commitment != record_commitment(content.record):
        raise ForgedParcel(f"the record is not the one that hub {grant.hub.hex()} committed to")
    verify_opening(root.root, content.opening)
    # 4
    return SharedRecord(
        record=content.record,
        descriptor=content.opening.descriptor,
        hub=grant.hub,
        issuer=_issuer_of(state, content),
    )


def _issuer_of(state: State, content: ParcelContent) -> AccountId | None:
    token, named = content.issuer_signature, content.opening.descriptor.signature
    if (None if token is None else signature_digest(token)) != named:
        raise ForgedParcel("the leaf names another issuer's signature than the one that is shown")
    if token is None:
        return None

    def verify_by_ledger(signer: AccountId, message: bytes, signature: Signature) -> None:
        verify(get_account(state, signer).key, message, signature)

    return verify_detached(token, content.record, verify_by_ledger)
