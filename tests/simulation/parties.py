"""Who misbehaves: services by one step overridden, hubs and customers with keys of their own and no scruples."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from random import Random
from typing import Any

import misbehaving
from founding import Founded

from edgehold.aggregation.report import make_report
from edgehold.aggregation.task import input_share_info, prio3_for, vdaf_context
from edgehold.crypto.names import input_share_digest, permit_message
from edgehold.crypto.seal import ENCAPSULATED, seal
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.customer.certificate import posted_by_both
from edgehold.customer.customer import Customer
from edgehold.errors import BadSignature, Malformed, QueueFull, Unavailable, WrongNetwork
from edgehold.hub.hub import Hub, Surroundings
from edgehold.ports import Randomness
from edgehold.service.node import ServiceNode
from edgehold.wire.account import Transfer
from edgehold.wire.batch import Permit
from edgehold.wire.codec import decode, encode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.ids import Digest, ReportId, SealKey, SlotKey, TaskId, Token
from edgehold.wire.order import Order, WithdrawOrder
from edgehold.wire.program import MeasurementKind, MeasurementType
from edgehold.wire.report import (
    HpkeCiphertext,
    PermitExtension,
    Report,
    ReportMetadata,
    encode_input_share,
    encode_report,
    encode_share_aad,
)
from edgehold.wire.service import Upload
from edgehold.wire.task import (
    AcceptResult,
    DisputeResult,
    JoinTask,
    Party,
    RequestTask,
    SettleTask,
    Task,
    TaskConfiguration,
)
from edgehold.wire.tx import Body


class SilentNode(ServiceNode):
    """Joins, and is never heard of again."""

    @property
    def _is_silent(self) -> bool:
        return bool(self._storage.open_tasks())

    def step(self) -> None:
        if not self._is_silent:
            super().step()

    def handle(self, message: bytes) -> bytes:
        if self._is_silent:
            raise ConnectionError("no answer")
        return super().handle(message)


SERVICE_KINDS: dict[str, type[ServiceNode]] = {
    "ServiceNode": ServiceNode,
    "SilentNode": SilentNode,
    "AlteringNode": misbehaving.AlteringNode,
    "HoardingNode": misbehaving.HoardingNode,
    "ShiftingNode": misbehaving.ShiftingNode,
    "DroppingNode": misbehaving.DroppingNode,
    "TwoFacedNode": misbehaving.TwoFacedNode,
    "TwoFacedProposals": misbehaving.TwoFacedProposals,
    "DeafNode": misbehaving.DeafNode,
    "GarblingNode": misbehaving.GarblingNode,
    "WithholdingNode": misbehaving.WithholdingNode,
}


@dataclass
class Company:
    """A hub, and what acts in its place if its owner is dishonest."""

    hub: Hub
    bad: BadHub | None

    def handle(self, message: bytes) -> bytes:
        """As the hub answers."""
        return self.hub.handle(message)

    def close(self) -> None:
        """Let go of the hub's files."""
        self.hub.close()


@dataclass
class BadHub:
    """A dishonest person with a real place in a panel: lies, reports twice, sends garbage, or uses what is not theirs."""

    kind: str
    hub: Hub
    outside: Surroundings
    dice: Random
    done: set[TaskId] = field(default_factory=set)

    def act(self) -> None:
        """Misbehave once in each task of the panel."""
        ledger = self.outside.ledger
        for task in self.outside.feed.after(ledger, 0):
            data = ledger.read(entry_key(Collection.CONFIGURATION, task))
            if data is None or task in self.done:
                continue
            configuration = decode(data, TaskConfiguration)
            place = next((n for n, one in enumerate(configuration.panels) if one.panel in self.hub.panels()), None)
            if place is not None and ledger.height() <= configuration.upload_until and self.dice.random() < 0.6:
                self.done.add(task)
                for report in self._reports(task, configuration, place):
                    with suppress(ConnectionError):
                        receiver = configuration.helper if self.dice.random() < 0.1 else configuration.leader
                        self.outside.services(receiver.account).send(encode(Upload(task=task, report=report)))

    def _reports(self, task: TaskId, configuration: TaskConfiguration, place: int) -> list[bytes]:
        panel = configuration.panels[place]
        own = self.hub.keys.slot_key(panel.panel, panel.slot)
        token = self.hub._journal.token(panel.panel, panel.slot)
        other = self.hub.keys.slot_key(panel.panel, (panel.slot + 1) % panel.slots)

        def report(key: SigningKey, token: Token) -> bytes:
            measured = lie(configuration.measurement, self.dice)
            return make_report(
                configuration, measured, panel=place, slot_key=key, token=token, randomness=self.outside.randomness
            )

        match self.kind:
            case "lies":
                return [report(own, token)]
            case "doubles":
                return [report(own, token), report(own, token)]
            case "steals":
                wrong = self.hub._journal.token(panel.panel, (panel.slot + 1) % panel.slots)
                return [report(other, token), report(other, wrong), report(own, token)[:-1], report(own, token)]
            case _:
                good = report(own, token)
                place = self.dice.randrange(len(good))
                garbled = good[:place] + bytes([good[place] ^ 1]) + good[place + 1 :]
                return [
                    garbled,
                    out_of_bounds(configuration, task, place=0, key=own, token=token, dice=self.outside.randomness),
                ]


def lie(measurement: MeasurementType, dice: Random) -> int | list[int]:
    """A measurement within the bounds, whatever is true."""
    match measurement.kind:
        case MeasurementKind.HISTOGRAM:
            return dice.randrange(measurement.length)
        case MeasurementKind.COUNT:
            return dice.randrange(2)
        case MeasurementKind.MULTIHOT:
            chosen = dice.sample(range(measurement.length), measurement.weight)
            return [int(place in chosen) for place in range(measurement.length)]
        case _:
            raise NotImplementedError(measurement.kind)


def out_of_bounds(
    configuration: TaskConfiguration, task: TaskId, *, place: int, key: SigningKey, token: Token, dice: Randomness
) -> bytes:
    """A report whose shares add up to no measurement of the task, permitted by its slot key as it is."""
    vdaf = prio3_for(configuration.measurement)
    report = ReportId(dice.draw(16))
    is_vector = configuration.measurement.kind is MeasurementKind.MULTIHOT
    honest = [0] * configuration.measurement.length if is_vector else 0
    public, (leader, helper) = vdaf.shard(vdaf_context(task), honest, report, dice.draw(vdaf.random_length))
    shares = [encode_input_share(bytes([leader[0] ^ 1]) + leader[1:]), encode_input_share(helper)]
    digests = [input_share_digest(share) for share in shares]
    permit = Permit(task=task, report=report, leader_share=digests[0], helper_share=digests[1])
    metadata = ReportMetadata(
        report=report,
        time=configuration.opened_at,
        permit=PermitExtension(
            permit=key.sign(permit_message(permit)),
            panel=place,
            slot_key=SlotKey(key.public),
            token=token,
            leader_share=digests[0],
            helper_share=digests[1],
        ),
    )
    aad = encode_share_aad(task, metadata, public)
    keys = (configuration.leader.seal_key, configuration.helper.seal_key)
    sealed = [
        seal(one, input_share_info(party), aad, share, dice)
        for one, party, share in zip(keys, Party, shares, strict=True)
    ]
    parts = [HpkeCiphertext(enc=one[:ENCAPSULATED], payload=one[ENCAPSULATED:]) for one in sealed]
    return encode_report(Report(metadata=metadata, public_share=public, leader=parts[0], helper=parts[1]))


@dataclass
class Outsider:
    """A customer who takes back, disputes without ground, or asks the ledger for what it has no right to."""

    kind: str
    customer: Customer
    founded: Founded
    dice: Random

    def act(self) -> None:
        """Misbehave, perhaps."""
        ledger = self.customer._ledger
        for row in self.customer.orders():
            data = ledger.read(entry_key(Collection.ORDER, row.order))
            if data is None or self.dice.random() < 0.5:
                continue
            order = decode(data, Order)
            if self.kind == "withdraws":
                self._send(WithdrawOrder(order=row.order))
            elif self.kind == "disputes" and order.task is not None:
                self._dispute(order.task, row.seal_seed)
            elif self.kind == "floods":
                self._flood(row.order, order)

    def _dispute(self, task: TaskId, seed: bytes) -> None:
        ledger = self.customer._ledger
        entry = decode(ledger.read(entry_key(Collection.TASK, task)) or b"", Task)
        configuration = decode(ledger.read(entry_key(Collection.CONFIGURATION, task)) or b"", TaskConfiguration)
        posted = posted_by_both(entry)
        if posted is not None and entry.outcome is None:
            with suppress(Unavailable):
                sealed = self.customer._sources.sealed_shares(task, posted, configuration)
                self._send(
                    DisputeResult(
                        task=task,
                        private_key=Digest(seed),
                        leader_sealed=sealed.leader,
                        helper_sealed=sealed.helper,
                    )
                )

    def _flood(self, name: Any, order: Order) -> None:
        """Transactions to which this customer has no right, or not now."""
        own, leader = self.customer.account, order.descriptor.leader
        made: list[Body] = [
            Transfer(leader, 2**40),
            RequestTask(name, SealKey(bytes(range(32))), Digest(bytes(32))),
            JoinTask(name, SealKey(bytes(range(32))), Digest(bytes(32))),
        ]
        if order.task is not None:
            made += [SettleTask(task=order.task), AcceptResult(task=order.task)]
        body = self.dice.choice(made)
        self._send(body)
        if self.dice.random() < 0.3:
            self._send(body, sender=Digest(leader))
        assert own != leader

    def _send(self, body: Body, sender: Digest | None = None) -> None:
        ledger, key = self.customer._ledger, self.customer._key
        signed = sign_transaction(key, ledger.network, sender or self.customer.account, ledger.height() + 10, body)
        with suppress(BadSignature, Malformed, WrongNetwork, QueueFull):
            ledger.submit(signed)
