"""What is signed, sealed or proved: headers, proofs, certificates, COSE, JWS, tokens, sealed messages, shares."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path

import cbor2
from bombs import CBOR, Bombs
from examples import Market
from forge import forge
from mutation import BY_BYTES
from service_world import Run, account_of, digest, key_of
from target import Reader, Target, only, require

from edgehold.aggregation.batch import list_root, open_leaves, prove_absence
from edgehold.crypto import aead, jws, merkle, seal
from edgehold.crypto.blind import verify_token
from edgehold.crypto.cose import open1, sign1
from edgehold.crypto.signatures import verify
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import (
    AggregationError,
    BadCertificate,
    BadCredential,
    BadHeader,
    BadProof,
    BadShare,
    BadSignature,
    CannotOpen,
    Malformed,
    NotDropped,
    Refusal,
)
from edgehold.hub.catalog import root_of
from edgehold.hub.sealed import leaf_of
from edgehold.ledger.credential import verify_credential
from edgehold.ledger.rules.evidence import verify_absence
from edgehold.ledger.transition import execute
from edgehold.service.aggregator import Leader
from edgehold.vdaf.field import decode_share, encode_share
from edgehold.vdaf.prio3 import Begun, Measurement, Rejected, Verified, make_prio3
from edgehold.verify.certificate import verify_certificate
from edgehold.verify.header import order_validators, verify_header
from edgehold.verify.inclusion import verify_answer
from edgehold.verify.opening import verify_opening
from edgehold.verify.view import ProofCache, proved_state
from edgehold.wire import batch, data
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import DatasetDescriptor, Salt
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import ReportId, Signature, SlotKey, Token
from edgehold.wire.panel import SlotCredential
from edgehold.wire.program import MeasurementKind, MeasurementType
from edgehold.wire.proof import MapProof
from edgehold.wire.proof import Path as ProofPath
from edgehold.wire.report import (
    decode_input_share,
    decode_job,
    decode_job_answer,
    decode_report,
    encode_input_share,
    encode_job,
    encode_job_answer,
    encode_report,
)

SEEDED = SeededRandomness(1, "fuzzing")
AAD = b"beside"

LARGE = Bombs(
    b"\xff" * 400,
    lambda: b"\xff" * (16 << 20),
    lambda: bytes(16 << 20),
)
"""What has no inner structure to be abused: much of it, and the largest numbers in it."""

# ── signatures and seals ──────────────────────────────────────────────────────────────────────────────────────────


def cose(folder: Path) -> Reader:
    """The frame around a signed payload, in one spelling."""
    payloads = [b"", b"p", bytes(100), bytes(300), bytes(70_000)]
    seeds = [sign1(key_of("signer"), payload, AAD) for payload in payloads]

    def read(message: bytes) -> None:
        found = open1(message)
        plain = cbor2.loads(message)
        require(plain.tag == 18 and cbor2.loads(plain.value[0]) == {1: -8}, "not EdDSA by COSE")
        require(list(plain.value[1:]) == [{}, found.payload, found.signature], "not what a reader of CBOR sees")
        require(cbor2.dumps(plain, canonical=True) == message, "not the only spelling")

    return Reader(read, seeds)


def transaction(folder: Path) -> Reader:
    """A signed entry on its way into the ledger."""
    market = Market(folder)
    valid = market.transactions().valid
    state, _ = proved_state(market.world.ledger, ProofCache())

    def check(message: bytes) -> None:
        receipt, written = execute(state, message)
        require(bool(written) == (receipt.number == 0), "a refusal leaves a trace")
        if receipt.number:
            raise Refusal(receipt.facts)

    return only(valid, check)


def detached_jws(folder: Path) -> Reader:
    """An issuer's signature beside a record; a line end may follow."""
    record, signer = b'{"resourceType":"Basic"}', account_of("issuer")
    token = jws.sign_detached(record, signer, key_of("issuer").sign)

    def check(written: bytes) -> None:
        named = jws.verify_detached(written, record, lambda _: key_of("issuer").public)
        require(named == jws.signer_of(written) == signer, "another signer than the one who signed")

    return only([token, token + b"\n"], check)


def signature(folder: Path) -> Reader:
    """Ed25519."""
    key = key_of("signer")
    messages = [b"", b"message"]
    valid = {key.sign(message): message for message in messages}

    def check(made: bytes) -> None:
        for message in messages[:-1]:
            try:
                return verify(key.public, message, Signature(made))
            except BadSignature:
                continue
        return verify(key.public, messages[-1], Signature(made))

    return only(list(valid), check)


def token(folder: Path) -> Reader:
    """The issuer's blind signature."""
    run = Market(folder).run
    panel = run.configuration.panels[0]
    modulus = run.world.keys.lists[panel.panel][panel.slot]
    return only([run.token(3)], lambda made: verify_token(modulus, SlotKey(run.key(3).public), Token(made)))


def hpke(folder: Path) -> Reader:
    """What is sealed to a key."""
    pair = seal.SealKeyPair(bytes(32))
    sealed = [seal.seal(pair.public, b"info", AAD, text, SEEDED) for text in (b"", b"plain", bytes(300))]
    return only(sealed, lambda made: seal.open_sealed(pair, b"info", AAD, made))


def small_secret(folder: Path) -> Reader:
    """What a hub seals under a key of its own."""
    sealed = [aead.seal(bytes(32), AAD, text, SEEDED) for text in (b"", b"plain", bytes(300))]
    return only(sealed, lambda made: aead.open_sealed(bytes(32), AAD, made))


def chunk(folder: Path) -> Reader:
    """A piece of a stored record."""
    sealed = [aead.seal_chunk(bytes(32), b"object", 1, 3, text) for text in (b"", b"plain", bytes(300))]
    return only(sealed, lambda made: aead.open_chunk(bytes(32), b"object", 1, 3, made))


# ── proofs ────────────────────────────────────────────────────────────────────────────────────────────────────────


def header(folder: Path) -> Reader:
    """What the validators signed."""
    ledger = Market(folder).world.ledger
    validators = order_validators(ledger.genesis.validators)
    found = [ledger.header(height) for height in (1, 5, ledger.height())]
    valid = [encode(one) for one in found if one is not None]
    return only(valid, lambda made: verify_header(decode(made, SignedHeader), ledger.genesis.chain, validators))


def state_proof(folder: Path) -> Reader:
    """Whether something stands in the ledger's state, or nothing does; and the same in a crowded bucket."""
    ledger = Market(folder).world.ledger
    names = ("leader", "helper", "customer", "nobody")
    keys = [entry_key(kind, account_of(name)) for kind in (Collection.ACCOUNT, Collection.STANDING) for name in names]
    proved = {key: ledger.prove(key) for key in keys}
    valid = [encode([key, value, encode(proof)]) for key, (_, value, proof) in proved.items()]
    signed = proved[keys[0]][0]

    def check(made: bytes) -> None:
        key, value, proof = decode(made, tuple[bytes, bytes | None, bytes])
        verify_answer(signed, key, value, decode(proof, MapProof))

    def read(made: bytes) -> None:
        """Absence can be shown of any key, and the same bucket shows it of all that belong into it."""
        check(made)
        key, value, _ = decode(made, tuple[bytes, bytes | None, bytes])
        require(ledger.prove(key)[1] == value, "the ledger holds something else there")

    return Reader(read, valid)


def list_proof(folder: Path) -> Reader:
    """A leaf in a batch's list."""
    leaves = _leaves(folder)
    root, size = list_root(leaves), len(leaves)
    valid = [encode(one) for one in open_leaves(leaves, range(size))]

    def check(made: bytes) -> None:
        opening = decode(made, batch.LeafOpening)
        merkle.check_path(root, encode(opening.leaf), opening.index, size, opening.path)

    return only(valid, check)


def absence_proof(folder: Path) -> Reader:
    """A report that stands in no list."""
    leaves = _leaves(folder)
    root, reports = list_root(leaves), [ReportId(bytes([first]) * 16) for first in (0, 100, 255)]
    valid = [encode([report, encode(prove_absence(leaves, report))]) for report in reports]

    def read(made: bytes) -> None:
        report, shown = decode(made, tuple[bytes, bytes])
        verify_absence(root, len(leaves), ReportId(report), decode(shown, batch.Absence))
        require(report not in [leaf.report for leaf in leaves], "the report does stand in the list")

    return Reader(read, valid)


@cache
def _leaves(folder: Path) -> list[batch.ReportLeaf]:
    market = Market(folder)
    found = [decode_report(report).metadata.leaf() for report in market.reports]
    return sorted(found, key=lambda leaf: leaf.report)


def record_opening(folder: Path) -> Reader:
    """A record under a hub's root."""
    described = DatasetDescriptor(
        schema="edgehold.events/1",
        kind=data.Kind.EHR,
        first_year=1980,
        last_year=2025,
        codec=digest("codec"),
        base=digest("base"),
    )
    salt = Salt(digest("salt"))
    tree = [digest(f"leaf {number}") for number in range(5)] + [leaf_of(described, salt, digest("record"))]
    root = root_of(merkle.tree_root(tree), Salt(digest("root salt")))
    opening = data.LeafOpening(
        descriptor=described,
        salt=salt,
        commitment=digest("record"),
        index=5,
        size=6,
        path=ProofPath(tuple(merkle.tree_path(tree, 5))),
        root_salt=Salt(digest("root salt")),
    )
    return only([encode(opening)], lambda made: verify_opening(root, decode(made, data.LeafOpening)))


def credential(folder: Path) -> Reader:
    """A slot key that belongs to a task's panel."""
    run = Market(folder).run
    panel = run.configuration.panels[0]
    moduli = run.world.keys.lists[panel.panel]
    key = SlotKey(run.key(3).public)
    shown = SlotCredential(
        panel=panel.panel,
        slot=panel.slot,
        key=key,
        token=run.token(3),
        modulus=moduli[panel.slot],
        path=tuple(merkle.tree_path(moduli, panel.slot)),
    )
    return only([encode(shown)], lambda made: verify_credential(run.configuration, decode(made, SlotCredential), key))


def certificate(folder: Path) -> Reader:
    """What anybody checks offline."""
    found = [forge(reports=9), forge(reports=20, panels=2)]

    def check(made: bytes) -> None:
        verify_certificate(made, found[0].genesis)

    return only([one.data for one in found], check)


def detached_shares(folder: Path) -> Reader:
    """The shares beside a certificate."""
    large = MeasurementType(kind=MeasurementKind.HISTOGRAM, length=200, bound=0, weight=0)
    one = forge(measurement=large, reports=3)
    require(one.detached is not None, "the shares travel inside")
    return only([one.detached or b""], lambda made: verify_certificate(one.data, one.genesis, made))


# ── reports ───────────────────────────────────────────────────────────────────────────────────────────────────────


def presentation(
    read: Callable[[bytes], object], write: Callable[[object], bytes], seeds: Callable[[Path], Sequence[bytes]]
) -> Target:
    """Bytes in DAP's presentation language: `Malformed`, or exactly what our writer writes."""

    def check(made: bytes) -> None:
        require(write(read(made)) == made, "accepted in a spelling that is not ours")

    return Target(lambda folder: Reader(check, seeds(folder)), (Malformed,), BY_BYTES)


def reports(folder: Path) -> list[bytes]:
    """Uploads."""
    return Market(folder).reports[:4]


def said(folder: Path, place: int) -> list[bytes]:
    """Jobs (0) or their answers (1), as leader and helper exchanged them."""
    market = Market(folder)
    run: Run = market.run
    run.upload_all([person % 5 for person in range(12)])
    market.world.tick_to(run.configuration.revoke_until + 1)
    exchanged = market.world.lines["helper"].said
    found = []
    for asked, answer in exchanged:
        message = cbor2.loads(cbor2.loads(asked)[1]) if place == 0 else cbor2.loads(answer)
        found += [part for part in message if isinstance(part, bytes) and len(part) > 100]
    return [one for one in found if _reads(decode_job if place == 0 else decode_job_answer, one)]


def _reads(read: Callable[[bytes], object], made: bytes) -> bool:
    try:
        read(made)
    except Malformed:
        return False
    return True


def sealed_share(folder: Path) -> Reader:
    """An aggregator's part of an upload, bound to all that is public of it."""
    market = Market(folder)
    leader = market.leader_node._aggregator(market.run.task)
    assert isinstance(leader, Leader)

    def check(made: bytes) -> None:
        report = decode_report(made)
        leader.input_share(report.metadata, report.public_share, report.leader)

    valid = market.reports[:4]

    def read(made: bytes) -> None:
        check(made)
        own, others = decode_report(made), [decode_report(one) for one in valid]
        bound = [(one.metadata, one.public_share, one.leader) for one in others]
        require((own.metadata, own.public_share, own.leader) in bound, "an altered report opens")

    return Reader(read, valid)


TYPES: dict[str, tuple[MeasurementType, Measurement]] = {
    "count": (MeasurementType(MeasurementKind.COUNT, 1, 0, 0), 1),
    "sum": (MeasurementType(MeasurementKind.SUM, 1, 100, 0), 77),
    "histogram": (MeasurementType(MeasurementKind.HISTOGRAM, 8, 0, 0), 3),
    "multihot": (MeasurementType(MeasurementKind.MULTIHOT, 6, 0, 2), [0, 1, 0, 0, 1, 0]),
    "sumvec": (MeasurementType(MeasurementKind.SUMVEC, 4, 15, 0), [1, 15, 0, 3]),
    "l1bound": (MeasurementType(MeasurementKind.L1BOUND, 4, 15, 0), [1, 9, 0, 3]),
}


def verification(name: str) -> Target:
    """The whole verification of a report: nothing that was altered between hub and output share passes."""
    measurement, value = TYPES[name]

    def prepare(folder: Path) -> Reader:
        vdaf, key, context, nonce = make_prio3(measurement), bytes(32), b"context", bytes(16)
        valid = []
        for drawn in (b"a", b"b"):
            public, shares = vdaf.shard(context, value, nonce, drawn * vdaf.random_length)
            valid.append(encode([public, *shares]))

        def check(made: bytes) -> None:
            public, leader, helper = decode(made, tuple[bytes, bytes, bytes])
            (begun,) = vdaf.leader_init_batch(key, context, [(nonce, public, leader)])
            if isinstance(begun, Rejected):
                raise BadShare(begun.reason)
            assert isinstance(begun, Begun)
            (verified,) = vdaf.helper_init_batch(key, context, [(nonce, public, helper, begun.message)])
            if isinstance(verified, Rejected):
                raise BadShare(verified.reason)
            assert isinstance(verified, Verified)
            (output,) = vdaf.leader_finish_batch(context, [(begun.state, verified.message)])
            if isinstance(output, Rejected):
                raise BadShare(output.reason)
            vdaf.unshard([vdaf.aggregate([output]), vdaf.aggregate([verified.output_share])])

        return only(valid, check)

    return Target(prepare, (Malformed, BadShare))


def verification_messages(folder: Path) -> Reader:
    """What leader and helper send each other about a report, altered on the way."""
    measurement, value = TYPES["histogram"]
    vdaf, key, context, nonce = make_prio3(measurement), bytes(32), b"context", bytes(16)
    public, (leader, helper) = vdaf.shard(context, value, nonce, b"a" * vdaf.random_length)
    (begun,) = vdaf.leader_init_batch(key, context, [(nonce, public, leader)])
    assert isinstance(begun, Begun)
    (verified,) = vdaf.helper_init_batch(key, context, [(nonce, public, helper, begun.message)])
    assert isinstance(verified, Verified)

    def check(made: bytes) -> None:
        first, second = decode(made, tuple[bytes, bytes])
        (answer,) = vdaf.helper_init_batch(key, context, [(nonce, public, helper, first)])
        (output,) = vdaf.leader_finish_batch(context, [(begun.state, second)])
        for one in (answer, output):
            if isinstance(one, Rejected):
                raise BadShare(one.reason)

    return only([encode([begun.message, verified.message])], check)


def sums(folder: Path) -> Reader:
    """Output and aggregate shares as vectors: the native module and plain integers agree on what is one."""
    measurement, _ = TYPES["sumvec"]
    vdaf = make_prio3(measurement)
    shares = [encode_share(measurement, [number, 2, 3, -number]) for number in range(3)]

    def read(made: bytes) -> None:
        given = decode(made, list[bytes])
        try:
            plain = [sum(column) for column in zip(*(decode_share(measurement, one) for one in given), strict=True)]
        except BadShare:
            for add in (vdaf.aggregate, vdaf.merge):
                try:
                    add(given)
                except BadShare:
                    continue
                require(False, "the native module adds what is no share")
            raise
        expected = encode_share(measurement, plain or [0] * 4)
        require(vdaf.aggregate(given) == vdaf.merge(given) == expected, "two sums")
        vdaf.unshard(given)

    return Reader(read, [encode(shares), encode(shares[:1])])


def noised_share(folder: Path) -> Reader:
    """A share as a vector of numbers, in its only spelling."""
    measurement, _ = TYPES["sumvec"]

    def read(made: bytes) -> None:
        require(encode_share(measurement, decode_share(measurement, made)) == made, "accepted in another spelling")

    return Reader(read, [encode_share(measurement, [1, 2, 3, -1])])


SEALED = (CannotOpen,)
TARGETS: dict[str, Target] = {
    "COSE": Target(cose, (Malformed,), bombs=CBOR + LARGE),
    "transaction": Target(transaction, (Refusal,), bombs=CBOR),
    "JWS": Target(detached_jws, (BadSignature,), BY_BYTES, LARGE),
    "signature": Target(signature, (BadSignature,), BY_BYTES, LARGE),
    "token": Target(token, (BadSignature,), BY_BYTES),
    "HPKE": Target(hpke, SEALED, BY_BYTES, LARGE),
    "small secret": Target(small_secret, SEALED, BY_BYTES, LARGE),
    "chunk": Target(chunk, SEALED, BY_BYTES, LARGE),
    "header": Target(header, (Malformed, BadHeader)),
    "state proof": Target(state_proof, (Malformed, BadProof), bombs=CBOR),
    "list proof": Target(list_proof, (Malformed, BadProof)),
    "absence proof": Target(absence_proof, (Malformed, NotDropped)),
    "record opening": Target(record_opening, (Malformed, BadProof)),
    "credential": Target(credential, (Malformed, BadCredential)),
    "certificate": Target(certificate, (Malformed, BadCertificate), bombs=CBOR),
    "shares beside a certificate": Target(detached_shares, (Malformed, BadCertificate)),
    "report": presentation(decode_report, encode_report, reports),
    "input share": presentation(
        decode_input_share, encode_input_share, lambda folder: [encode_input_share(bytes(count)) for count in (1, 90)]
    ),
    "job": presentation(decode_job, encode_job, lambda folder: said(folder, 0)),
    "job answer": presentation(decode_job_answer, encode_job_answer, lambda folder: said(folder, 1)),
    "sealed share": Target(sealed_share, (Malformed, AggregationError), BY_BYTES),
    **{f"verification: {name}": verification(name) for name in TYPES},
    "verification messages": Target(verification_messages, (Malformed, BadShare)),
    "sums": Target(sums, (Malformed, BadShare), bombs=CBOR),
    "noised share": Target(noised_share, (BadShare,), BY_BYTES, LARGE),
}
