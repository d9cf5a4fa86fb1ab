"""Two service nodes with one open task, on a network that follows from fixed seeds.

Every process that makes it has the same ledger, keys and task: so a leader in one process and a helper in another, two
organisations as in earnest, need nothing from each other but the messages they send.
"""

from __future__ import annotations

import subprocess
import sys
from fractions import Fraction
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, cast

from edgehold.aggregation.report import make_report
from edgehold.crypto.blind import BlindSigner, blind, blind_sign, finalize, make_issuer_keys
from edgehold.crypto.merkle import tree_root
from edgehold.crypto.names import account_id, panel_id, possession_message
from edgehold.crypto.seal import SealKeyPair
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.demo.seeded import SeededRandomness, SteppingClock
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.errors import Unavailable
from edgehold.ports import Peer
from edgehold.service.node import ServiceNode
from edgehold.vdaf.prio3 import Measurement
from edgehold.wire.account import Attest, Claim, OpenAccount, Role, Transfer
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import Grade, Kind
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.governance import Founder, Genesis, Parameters, Validator
from edgehold.wire.ids import AccountId, Digest, Modulus, OrderId, PanelId, ProgramId, SlotKey, TaskId, Token
from edgehold.wire.order import SAMPLING_ONE, Order, PlaceOrder, Schedule
from edgehold.wire.panel import ClosePanel, DeclarePanel
from edgehold.wire.program import MeasurementType, PublishProgram, RunLimits, Sensitivity
from edgehold.wire.purpose import Permission, Purpose
from edgehold.wire.service import Upload
from edgehold.wire.task import TaskConfiguration
from edgehold.wire.tx import Body

START = 1_795_000_000_000_000_000
SECOND = 1_000_000_000
SIGMA = Fraction(3, 2)
SCHEDULE = Schedule(request=20, join=20, upload=100, revoke=10, close=10, share=10, accept=10)
FAR = 2**40
LENGTH_BYTES = 4


def digest(name: str) -> Digest:
    """32 bytes that follow from a name."""
    return Digest(sha256(b"edgehold bench " + name.encode()).digest())


def key_of(name: str) -> SigningKey:
    """The signing key of a party or person, by its name."""
    return SigningKey(digest(f"key of {name}"))


def account_of(name: str) -> AccountId:
    """An organisation's account, by its name."""
    return account_id(Role.ORGANISATION, key_of(name).public)


class Pair:
    """A leader, a helper and one open task; both have its verification key."""

    def __init__(self, folder: Path, measurement: MeasurementType, persons: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._persons = persons
        self._ledger = EmbeddedLedger(
            None, genesis(persons), key_of("validator"), SteppingClock(START, SECOND), SeededRandomness(1, "ledger")
        )
        (self._issuer_key,) = make_issuer_keys([digest("slot of the panel")])
        self._peers: dict[AccountId, Peer] = {}
        order = self._order(self._found(), measurement)
        self.leader, self.helper = (self._start(folder, name) for name in ("leader", "helper"))
        self._peers[account_of("helper")] = InProcess(self.helper)
        self.task, self.configuration = self._open(order)

    def close(self) -> None:
        """Let go of the files."""
        self.leader.close()
        self.helper.close()
        self._ledger.close()

    def moduli(self, panel: PanelId) -> tuple[Modulus, ...]:
        """The issuer's public list (`ports.PanelKeys`)."""
        return (self._issuer_key.modulus,)

    def lead(self, helper: Peer) -> None:
        """From now on the leader's helper is this one."""
        self._peers[account_of("helper")] = helper

    def uploads(self, measurement: Measurement) -> list[bytes]:
        """Every person's upload, as its hub sends it."""
        return [
            encode(Upload(task=self.task, report=self._report(person, token, measurement)))
            for person, token in enumerate(self._tokens())
        ]

    def _report(self, person: int, token: Token, measurement: Measurement) -> bytes:
        return make_report(
            self.configuration,
            measurement,
            panel=0,
            slot_key=key_of(f"person {person}"),
            token=token,
            randomness=SeededRandomness(1, f"hub {person}"),
        )

    def _tokens(self) -> list[Token]:
        modulus, signer = self._issuer_key.modulus, BlindSigner(self._issuer_key.private)
        keys = [SlotKey(key_of(f"person {person}").public) for person in range(self._persons)]
        hidden = [blind(modulus, key, digest(f"blinding {key.hex()}")) for key in keys]
        signed = blind_sign([(signer, one.message) for one in hidden], digest("entropy"))
        return [
            finalize(modulus, answer, one.secret, key) for answer, one, key in zip(signed, hidden, keys, strict=True)
        ]

    # ── how the task comes to be ──────────────────────────────────────────────────────────────────────────────────

    def _start(self, folder: Path, name: str) -> ServiceNode:
        return ServiceNode(
            self._ledger,
            folder / f"{name}.sqlite",
            key_of(name),
            SeededRandomness(1, name),
            peers=self._peers,
            panel_keys=self,
        )

    def _do(self, sender: str, body: Body) -> Digest:
        """A transaction that has to succeed; returns what it made."""
        network, expires = self._ledger.network, self._ledger.height() + 20
        name = self._ledger.submit(sign_transaction(key_of(sender), network, account_of(sender), expires, body))
        self._ledger.advance()
        receipt = self._ledger.receipt(name)
        if receipt is None or receipt.number:
            raise Unavailable(f"the ledger refused {type(body).__name__}: {receipt}")
        return receipt.made or Digest(bytes(32))

    def _found(self) -> PanelId:
        """Accounts, attestations, credits, and a closed panel of so many persons with one slot."""
        for name, sponsor in (("leader", "north"), ("helper", "south"), ("customer", "north"), ("issuer", "north")):
            key = key_of(name)
            possession = key.sign(possession_message(self._ledger.network, account_of(sponsor), key.public))
            self._do(sponsor, OpenAccount(Role.ORGANISATION, key.public, None, possession))
        for sponsor, name, claim in (
            ("north", "leader", Claim.ACCREDITED),
            ("south", "helper", Claim.INDEPENDENT),
            ("north", "issuer", Claim.ISSUER),
        ):
            self._do(sponsor, Attest(account_of(name), claim, FAR, digest(f"{name} is {claim.value}")))
        self._do("treasurer", Transfer(account_of("customer"), 100_000))
        declared = DeclarePanel(
            scheme="bench",
            period=0,
            number=0,
            kinds=(Kind.EHR,),
            grade=Grade.SIGNED,
            schemas=("edgehold.events/1",),
            slots=1,
            keys_root=tree_root([self._issuer_key.modulus]),
        )
        self._do("issuer", declared)
        panel = panel_id(account_of("issuer"), declared)
        self._do("issuer", ClosePanel(panel=panel, enrolled=self._persons))
        return panel

    def _order(self, panel: PanelId, measurement: MeasurementType) -> OrderId:
        program = PublishProgram(
            source=digest("source"),
            runtime=digest("runtime"),
            engine="wasmtime 50",
            schema="edgehold.events/1",
            kinds=(Kind.EHR,),
            sensitivity=Sensitivity.AGGREGATE,
            measurement=measurement,
            limits=RunLimits(fuel=10**9, memory_bytes=2**26, output_bytes=2**16, deadline_ms=1000),
        )
        order = PlaceOrder(
            program=ProgramId(self._do("customer", program)),
            purpose=Purpose(permission=Permission.HMB),
            panels=(panel,),
            sampling=SAMPLING_ONE,
            least_batch=10,
            sigma_numerator=SIGMA.numerator,
            sigma_denominator=SIGMA.denominator,
            price=1000,
            leader=account_of("leader"),
            seal_key=SealKeyPair(digest("key of the order")).public,
            memo=digest("memo"),
            schedule=SCHEDULE,
        )
        return OrderId(self._do("customer", order))

    def _open(self, order: OrderId) -> tuple[TaskId, TaskConfiguration]:
        """Let both nodes make a task of the order and agree on its verification key."""
        for _ in range(SCHEDULE.request + SCHEDULE.join):
            self.leader.step()
            self.helper.step()
            self._ledger.advance()
            task = decode(self._read(Collection.ORDER, order), Order).task
            if task is not None:
                self.leader.step()
                return task, decode(self._read(Collection.CONFIGURATION, task), TaskConfiguration)
        raise Unavailable("no task came of the order")

    def _read(self, collection: Collection, name: Digest) -> bytes:
        return self._ledger.read(entry_key(collection, name)) or b""


def genesis(persons: int) -> Genesis:
    """A network with room for a panel of so many persons."""
    return Genesis(
        chain="edgehold-bench",
        time=START,
        founders=tuple(
            Founder(name=name, key=key_of(name).public, role=Role.ORGANISATION, credits=10**6 * (name == "treasurer"))
            for name in ("north", "south", "treasurer", "operator")
        ),
        accreditors=(0, 1),
        treasurer=2,
        validators=(Validator(key=key_of("validator").public, power=1),),
        operators=(3,),
        parameters=Parameters(
            period=10_000,
            root_interval=1000,
            block_interval_ms=1000,
            least_panel=1,
            most_panel=max(2000, persons),
            least_batch=1,
            hub_quota=10,
            expiry=100,
            abort_fee=50,
            helper_share=400,
            acceptance_cap=500_000,
            suspension=50,
        ),
    )


class InProcess:
    """A node of this process as a peer."""

    def __init__(self, node: ServiceNode) -> None:
        self._node = node

    def send(self, message: bytes) -> bytes:
        return self._node.handle(message)


class InOtherProcess:
    """The helper of the same pair in a process of its own, reached by two pipes."""

    def __init__(self, folder: Path, measurement: MeasurementType, persons: int) -> None:
        arguments = [str(folder), measurement.kind.value, str(measurement.length), str(measurement.bound), str(persons)]
        self._process = subprocess.Popen(  # noqa: S603 — our own module
            [sys.executable, "-m", "edgehold.bench.helper", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._to = cast("BinaryIO", self._process.stdin)
        self._from = cast("BinaryIO", self._process.stdout)
        if read_message(self._from) != b"ready":
            raise Unavailable("the helper's process did not start")

    def send(self, message: bytes) -> bytes:
        write_message(self._to, message)
        return read_message(self._from)

    def close(self) -> float:
        """End the process; returns the seconds of processor time that it took for its answers."""
        seconds = float(self.send(b""))
        self._to.close()
        self._from.close()
        self._process.wait()
        return seconds


def read_message(stream: BinaryIO) -> bytes:
    """One message with its length in front; empty at the end of the stream."""
    return stream.read(int.from_bytes(stream.read(LENGTH_BYTES), "big"))


def write_message(stream: BinaryIO, message: bytes) -> None:
    """Send one message with its length in front."""
    stream.write(len(message).to_bytes(LENGTH_BYTES, "big") + message)
    stream.flush()
