"""Messages in CBOR, of every type that somebody decodes: from the wire, from a proof, from its own files."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import UnionType
from typing import Any, get_args

import forge
import service_world
from bombs import CBOR
from messages import messages
from msgspec import Struct
from mutation import BY_BYTES
from target import NO_BOMBS, Reader, Target, require

from edgehold.errors import BadGenesis, BadPurpose, Malformed
from edgehold.hub.catalog import Postings
from edgehold.hub.container import Head, Schema
from edgehold.hub.keys import KeyFile, RecoveryKit
from edgehold.hub.sealed import ObjectRecord
from edgehold.hub.store import Latest
from edgehold.hub.tables import KeptTable
from edgehold.ledger.genesis import initial_state, read_genesis, show_genesis
from edgehold.ledger.state import ENTRY_TYPES
from edgehold.ledger.words import describe, describe_entry, describe_receipt, show
from edgehold.policy.credibility import score
from edgehold.policy.decide import DecisionRecord
from edgehold.policy.policy import Policy
from edgehold.policy.purpose import check_use, describe_use
from edgehold.wire.batch import ReportLeaf, SignedBatch
from edgehold.wire.certificate import Certificate, DetachedShares
from edgehold.wire.codec import decode, encode
from edgehold.wire.credibility import Prior, Standing
from edgehold.wire.enrolment import FromIssuer, ToIssuer
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.founding import FounderFile
from edgehold.wire.governance import Candidate, Genesis
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import Digest, NetworkId
from edgehold.wire.light import Fork, LightBlock
from edgehold.wire.order import PlaceOrder
from edgehold.wire.panel import DeclarePanel
from edgehold.wire.proof import MapProof
from edgehold.wire.purpose import PermittedUse
from edgehold.wire.service import Answer, Internal, Receipted, Request
from edgehold.wire.sharing import FromHub, Grant, ParcelContent, ToHub
from edgehold.wire.snapshot import Manifest, Piece
from edgehold.wire.tx import Body, Envelope, Receipt

TESTS = Path(__file__).parents[1]

ENTRY = {collection: f"entry {collection.name.lower()}" for collection in Collection}

KINDS: dict[str, Any] = {
    "envelope": Envelope,
    "receipt": Receipt,
    "signed header": SignedHeader,
    "map proof": MapProof,
    "certificate message": Certificate,
    "shares message": DetachedShares,
    "request to a service": Request,
    "request between services": Internal,
    "answer of a service": Answer,
    "upload receipt": Receipted,
    "signed list": SignedBatch,
    "leaf": ReportLeaf,
    "request to an issuer": ToIssuer,
    "answer of an issuer": FromIssuer,
    "request to a hub": ToHub,
    "answer of a hub": FromHub,
    "parcel content": ParcelContent,
    "grant": Grant,
    "stored policy": Policy,
    "stored decision": DecisionRecord,
    "stored object": ObjectRecord,
    "stored versions": Latest,
    "stored outline": KeptTable,
    "stored postings": Postings,
    "stored order": PlaceOrder,
    "stored panel": DeclarePanel,
    "hub keys": KeyFile,
    "head of an archive": Head,
    "schema in an archive": Schema,
    "recovery kit": RecoveryKit,
    "permitted use": PermittedUse,
    "table files": list[tuple[str, bytes]],
    "genesis": Genesis,
    "founder file": FounderFile,
    "candidate": Candidate,
    "light block message": LightBlock,
    "fork message": Fork,
    "snapshot manifest": Manifest,
    "snapshot piece": Piece,
    **{ENTRY[collection]: kind for collection, kind in ENTRY_TYPES.items()},
}
"""By the target's name. Types inside others are reached through them."""

BOMBED = ("envelope", "request to a service", "parcel content", "table files")
"""Types of every shape, for the bombs: what is done before a type is looked at is the same for all."""


@cache
def vectors() -> dict[str, list[bytes]]:
    """The examples of entries and envelopes that the rules' vectors have, by type."""
    found: dict[str, list[bytes]] = {}
    for one in json.loads((TESTS / "vectors" / "rules" / "entries.json").read_text()):
        found.setdefault(one.get("collection", one["type"]), []).append(bytes.fromhex(one["bytes"]))
    return found


def seeds_of(name: str, kind: Any) -> list[bytes]:
    """Real examples where the vectors have them, and made ones; of a union some of each member."""
    real = vectors().get(name.removeprefix("entry ").upper(), []) if name.startswith("entry ") else []
    if kind is Envelope:
        real = [*vectors()["Envelope"], *map(_enveloped, get_args(Body))]
    members = get_args(kind) if isinstance(kind, UnionType) else (kind,)
    return [*real, *(one for member in members for one in messages(member, 8 if len(members) == 1 else 3))]


def _enveloped(body: type[Struct]) -> bytes:
    """The vectors' example of one body as somebody sends it."""
    return encode(
        Envelope(
            network=NetworkId(Digest(bytes(32))),
            sender=Digest(bytes(32)),
            expires=7,
            body=decode(vectors()[body.__name__][0], body),
        )
    )


def message(name: str, kind: Any, use: Callable[[bytes, Any], object] = lambda data, found: None) -> Target:
    """Bytes are `Malformed`, or what our writer writes of an equal message, which can also be used and shown."""

    def read(data: bytes) -> None:
        found = decode(data, kind)
        require(encode(found) == data, "accepted in a spelling that is not ours")
        require(decode(encode(found), kind) == found, "read back as another message")
        show(found)
        describe(found)
        use(data, found)

    return Target(
        lambda folder: Reader(read, seeds_of(name, kind)), (Malformed,), bombs=CBOR if name in BOMBED else NO_BOMBS
    )


def use_entry(collection: Collection) -> Callable[[bytes, Any], object]:
    """What happens to an entry besides: it is told in words, and a standing is scored."""

    def use(data: bytes, found: Any) -> None:
        describe_entry(entry_key(collection, bytes(32)), data)
        if isinstance(found, Standing):
            for prior in Prior:
                require(0 <= score(found, prior) <= 1_000_000, "a score beyond its scale")

    return use


def use_purpose(data: bytes, found: PermittedUse) -> None:
    """A use is judged and told in words."""
    describe_use(found)
    with suppress(BadPurpose):
        check_use(found)


def genesis(folder: Path) -> Reader:
    """The file that a network starts from; a document that is accepted founds one."""

    def read(data: bytes) -> None:
        found = read_genesis(data)
        require(encode(found) == data, "accepted in a spelling that is not ours")
        initial_state(found)
        show_genesis(found)

    return Reader(read, [encode(forge.GENESIS), encode(service_world.GENESIS)])


def all_targets() -> dict[str, Target]:
    """One for each type."""
    uses: dict[str, Callable[[bytes, Any], object]] = {name: use_entry(kind) for kind, name in ENTRY.items()}
    uses["permitted use"] = use_purpose
    uses["receipt"] = lambda data, found: describe_receipt(found)
    targets = {name: message(name, kind, *([uses[name]] if name in uses else [])) for name, kind in KINDS.items()}
    targets["stored versions"] = replace(targets["stored versions"], mutators=BY_BYTES)  # it has a map, not fields
    return targets | {"genesis": Target(genesis, (Malformed, BadGenesis))}


TARGETS: dict[str, Target] = all_targets()
