"""Valid bytes of every kind that somebody relies on, each with the check that it has to pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from random import Random

from forge import forge
from mutation import BY_BYTES, BY_FIELDS, mutate, mutate_part
from service_world import HISTOGRAM, World, account_of, digest, key_of

from edgehold.crypto.cose import sign1
from edgehold.crypto.names import receipt_message, statement_message
from edgehold.crypto.signatures import verify
from edgehold.errors import EdgeholdError
from edgehold.service.aggregator import Helper, Leader
from edgehold.service.node import ServiceNode
from edgehold.verify.certificate import verify_certificate
from edgehold.verify.header import order_validators, verify_header
from edgehold.verify.inclusion import verify_answer
from edgehold.wire.account import Attest, Claim, Transfer
from edgehold.wire.batch import SignedBatch
from edgehold.wire.codec import decode, encode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import NetworkId
from edgehold.wire.order import Schedule
from edgehold.wire.proof import MapProof
from edgehold.wire.report import decode_report, encode_report
from edgehold.wire.service import Answer, Receipted, Upload
from edgehold.wire.tx import Body, Envelope

LONG = Schedule(request=5, join=5, upload=60, revoke=2, close=4, share=4, accept=4)

Draw = Callable[[Random], bytes]
Accepts = Callable[[bytes], bool]


@dataclass(frozen=True)
class Kind:
    """Something that is checked: valid bytes, how they are changed, and whether bytes pass."""

    valid: Sequence[bytes]
    change: Callable[[bytes, Random], bytes]
    accepts: Accepts


class Market:
    """Two aggregators with an open task, and everything that was signed on the way."""

    def __init__(self, folder: Path) -> None:
        self.world = World(folder)
        self.run = self.world.open_task(HISTOGRAM, schedule=LONG, sigma=Fraction(3, 2))
        self.reports = [self.run.report(person, person % 5) for person in range(12)]
        self.rest = [self.run.report(person, person % 5) for person in range(12, 24)]
        self.network = NetworkId(self.world.ledger.network)

    @contextmanager
    def undone(self) -> Iterator[None]:
        """What the leader stores meanwhile is forgotten."""
        database = self.leader_node._storage._db
        database.execute("SAVEPOINT looked_at")
        yield
        database.execute("ROLLBACK TO looked_at; RELEASE looked_at").fetchall()

    @property
    def leader_node(self) -> ServiceNode:
        """The leader."""
        return self.world.nodes["leader"]

    def takes(self, data: bytes) -> bool:
        """Whether a report would count: the leader gives a receipt, and both can open their shares."""
        with self.undone():
            answer = decode(self.leader_node.handle(encode(Upload(task=self.run.task, report=data))), Answer)
        return isinstance(answer, Receipted) and self.opens(data)

    def opens(self, data: bytes) -> bool:
        """Whether each aggregator finds its share in a report, the one that the permit names."""
        report = decode_report(data)
        leader, helper = (self.world.nodes[name]._aggregator(self.run.task) for name in ("leader", "helper"))
        assert isinstance(leader, Leader)
        assert isinstance(helper, Helper)
        return passes(
            lambda: (
                leader.input_share(report.metadata, report.public_share, report.leader),
                helper.input_share(report.metadata, report.public_share, report.helper),
            )
        )

    # ── kinds ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def transactions(self) -> Kind:
        """Signed entries of accounts, of every length."""
        bodies: list[tuple[str, Body]] = [
            ("treasurer", Transfer(account_of("customer"), 5)),
            ("treasurer", Transfer(account_of("leader"), 7)),
            ("customer", Transfer(account_of("treasurer"), 1)),
            ("accreditor", Attest(account_of("customer"), Claim.VERIFIED, 90_000, digest("ethics"))),
            ("other accreditor", Attest(account_of("leader"), Claim.VERIFIED, 90_000, digest("a visit"))),
        ]
        expires = self.world.ledger.height() + 90

        def signed(sender: str, body: Body) -> bytes:
            envelope = Envelope(network=self.network, sender=account_of(sender), expires=expires, body=body)
            return sign1(key_of(sender), encode(envelope), self.network)

        valid = [signed(sender, body) for sender, body in bodies]
        known = {self.world.ledger._machine.open(one).envelope for one in valid}

        ledger, machine = self.world.ledger, self.world.ledger._machine

        def accepts(data: bytes) -> bool:
            """The same envelope has one effect, whatever signs it, so only another one would be a second.

            A sender whom the state does not know is judged in the block.
            """
            if not passes(lambda: ledger.submit(data)):
                return False
            request, view = machine.open(data), ledger._chain.view()
            if machine.signer(view, request) is not None:
                return request.envelope not in known
            receipt, _ = machine.execute(view, request, False)
            return receipt.number == 0

        return Kind(valid, lambda data, dice: mutate(data, valid, BY_FIELDS, dice), accepts)

    def whole_reports(self) -> Kind:
        """Uploads."""
        return Kind(self.reports, lambda data, dice: mutate(data, self.rest, BY_BYTES, dice), self.takes)

    def part_of_reports(self, part: str) -> Kind:
        """One field of the permit inside an upload."""
        permit = decode_report(self.reports[0]).metadata.permit
        start = encode_report(decode_report(self.reports[0])).index(getattr(permit, part))
        end = start + len(getattr(permit, part))
        return Kind(
            self.reports,
            lambda data, dice: mutate_part(data, start, end, [*self.rest, *self.reports], dice),
            self.takes,
        )

    def receipts(self) -> Kind:
        """What the leader signs for an upload, and both for a list."""
        key = key_of("leader").public
        uploads = [encode(Upload(task=self.run.task, report=one)) for one in self.rest]
        valid = [encode(decode(one, Answer)) for one in self.leader_node.handle_many(uploads)]

        def check(data: bytes) -> None:
            answer = decode(data, Receipted)
            verify(key, receipt_message(answer.receipt), answer.signature)

        return Kind(
            valid, lambda data, dice: mutate(data, valid, BY_FIELDS, dice), lambda data: passes(lambda: check(data))
        )

    def proofs(self) -> Kind:
        """What the ledger answers: header, key, value and proof in one."""
        ledger = self.world.ledger
        validators = order_validators(ledger.genesis.validators)
        names = ("leader", "helper", "customer", "nobody")
        keys = [
            entry_key(kind, account_of(name)) for kind in (Collection.ACCOUNT, Collection.STANDING) for name in names
        ]
        valid = [encode([*(encode(one) for one in ledger.prove(key)), key]) for key in keys]

        def check(data: bytes) -> None:
            header, value, proof, key = decode(data, list[bytes])
            signed = decode(header, SignedHeader)
            verify_header(signed, ledger.genesis.chain, validators)
            verify_answer(signed, key, decode(value, bytes | None), decode(proof, MapProof))

        def change(data: bytes, dice: Random) -> bytes:
            """One of the parts, in its own fields; the key is what was asked for and stays."""
            parts = decode(data, list[bytes])
            at = dice.randrange(3)
            others = [decode(one, list[bytes])[at] for one in valid]
            parts[at] = mutate(parts[at], others, BY_FIELDS, dice)
            return encode(parts)

        return Kind(valid, change, lambda data: passes(lambda: check(data)))

    def statements(self) -> Kind:
        """Signed lists."""
        self.world.tick_to(self.run.configuration.revoke_until + 1)
        stored = self.leader_node._storage.find_signed(self.run.task, 0)
        assert stored is not None
        valid = [encode(one) for one in stored[:2] if one is not None]

        def check(data: bytes) -> None:
            batch = decode(data, SignedBatch)
            for name in ("leader", "helper"):
                if passes(
                    lambda name=name: verify(key_of(name).public, statement_message(batch.statement), batch.signature)
                ):
                    return
            raise EdgeholdError("signed by neither")

        return Kind(
            valid, lambda data, dice: mutate(data, valid, BY_FIELDS, dice), lambda data: passes(lambda: check(data))
        )


@cache
def certificates() -> Kind:
    """Certificates of two batches."""
    found = [forge(reports=reports) for reports in (9, 20)]
    valid = [one.data for one in found]

    def accepts(data: bytes) -> bool:
        return any(passes(lambda one=one: verify_certificate(data, one.genesis, one.detached)) for one in found)

    return Kind(valid, lambda data, dice: mutate(data, valid, BY_FIELDS, dice), accepts)


def passes(check: Callable[[], object]) -> bool:
    """Whether a check lets something pass; anything but a typed refusal is a defect and goes on."""
    try:
        check()
    except EdgeholdError:
        return False
    return True
