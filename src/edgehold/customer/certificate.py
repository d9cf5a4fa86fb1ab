"""Putting a certificate together: what the ledger proves, what both services serve, what the issuer publishes.

Nothing fetched here is believed: the finished certificate is verified as any stranger would verify it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from msgspec import Struct

from edgehold.aggregation.batch import open_leaves
from edgehold.aggregation.collect import open_share
from edgehold.crypto.merkle import tree_path
from edgehold.crypto.seal import SealKeyPair
from edgehold.errors import Unavailable
from edgehold.ledger.genesis import found_network
from edgehold.ledger.shares import share_aad, share_info
from edgehold.ledger.state import State, live_attestations
from edgehold.ledger.transition import open_envelope
from edgehold.ports import Ledger, Peer
from edgehold.verify.batch import drawn_indices
from edgehold.verify.header import hash_header
from edgehold.wire.account import Attestation
from edgehold.wire.batch import Batch, ReportLeaf
from edgehold.wire.certificate import (
    DRAWN_LEAVES,
    SHARES_INSIDE,
    Certificate,
    CertifiedPanel,
    CertifiedParty,
    DetachedShares,
)
from edgehold.wire.codec import T, decode, encode
from edgehold.wire.enrolment import AskPanelKeys, FromIssuer, PanelKeys
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import AccountId, TaskId
from edgehold.wire.order import PlaceOrder
from edgehold.wire.panel import Panel
from edgehold.wire.program import Program
from edgehold.wire.service import Answer, GetLists, GetShare, ListPart, SealedShareAnswer
from edgehold.wire.task import CloseBatch, Party, PostedShare, PostShare, Task, TaskConfiguration, TaskPanel
from edgehold.wire.tx import Body


class Attested(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What was attested of both services when the task began."""

    leader: tuple[Attestation, ...]
    helper: tuple[Attestation, ...]


@dataclass(frozen=True)
class SealedShares:
    """Both sealed shares as they were posted."""

    leader: bytes
    helper: bytes


@dataclass(frozen=True)
class Sources:
    """Where the parts of a certificate come from: the ledger, the two services, the issuers."""

    ledger: Ledger
    peers: Mapping[AccountId, Peer]

    def configuration(self, task: TaskId) -> TaskConfiguration:
        """The task's configuration as the ledger keeps it."""
        return self.read(TaskConfiguration, Collection.CONFIGURATION, task)

    def attested(self, configuration: TaskConfiguration) -> Attested:
        """What is attested of both services now; asked for at the first sight of a task."""
        ledger = self.ledger
        state = State(ledger.read, configuration.opened_at, lambda height: None, found_network(ledger.genesis))
        return Attested(
            leader=tuple(live_attestations(state, configuration.leader.account)),
            helper=tuple(live_attestations(state, configuration.helper.account)),
        )

    def sealed_shares(self, task: TaskId, entry: Task, configuration: TaskConfiguration) -> SealedShares:
        """Both sealed shares: from the block that posted them, or from either service. Raises `Unavailable`."""
        return SealedShares(
            leader=self._sealed_share(task, Party.LEADER, entry.leader_share, configuration),
            helper=self._sealed_share(task, Party.HELPER, entry.helper_share, configuration),
        )

    def make(
        self, task: TaskId, placed: PlaceOrder, attested: Attested, leader_share: bytes, helper_share: bytes
    ) -> tuple[bytes, bytes | None]:
        """A certificate's bytes, and those of the shares if they lie beside it. Raises `Unavailable`."""
        configuration = self.configuration(task)
        state_header, value, proof = self.ledger.prove(entry_key(Collection.TASK, task))
        entry = decode(value or b"", Task)
        batch = entry.batch
        if batch is None:
            raise Unavailable(f"task {task.hex()} has no closed batch")
        drawing = self._header(batch.closed_at + 1)
        drawn = drawn_indices(hash_header(drawing.header), task, batch.statement.accepted, DRAWN_LEAVES)
        closing = self._closing(task, batch)
        inside = len(leader_share) + len(helper_share) <= SHARES_INSIDE
        certificate = Certificate(
            state_header=state_header,
            drawing_header=drawing,
            task=entry,
            task_proof=proof,
            configuration=configuration,
            order=placed,
            program=self.read(Program, Collection.PROGRAM, configuration.program).descriptor,
            panels=tuple(self._panel(panel) for panel in configuration.panels),
            leader=CertifiedParty(attestations=attested.leader, signature=closing.leader_signature),
            helper=CertifiedParty(attestations=attested.helper, signature=closing.helper_signature),
            leaves=tuple(open_leaves(self._accepted(task, configuration), drawn)),
            leader_share=leader_share if inside else b"",
            helper_share=helper_share if inside else b"",
        )
        beside = None if inside else encode(DetachedShares(leader_share=leader_share, helper_share=helper_share))
        return encode(certificate), beside

    def read(self, kind: type[T], collection: Collection, key: bytes) -> T:
        """An entry that has to be there; raises `Unavailable`."""
        value = self.ledger.read(entry_key(collection, key))
        if value is None:
            raise Unavailable(f"the ledger has no {collection.name.lower()} {key.hex()}")
        return decode(value, kind)

    # ── one part each ─────────────────────────────────────────────────────────────────────────────────────────────

    def _header(self, height: int) -> SignedHeader:
        header = self.ledger.header(height)
        if header is None:
            raise Unavailable(f"the header of height {height} is not there yet")
        return header

    def _closing(self, task: TaskId, batch: Batch) -> CloseBatch:
        for body in self._bodies(batch.closed_at):
            if isinstance(body, CloseBatch) and body.statement == batch.statement:
                return body
        raise Unavailable(f"block {batch.closed_at} has no closing of task {task.hex()}")

    def _sealed_share(
        self, task: TaskId, party: Party, posted: PostedShare | None, configuration: TaskConfiguration
    ) -> bytes:
        if posted is None:
            raise Unavailable(f"the {party.value} of task {task.hex()} posted no share")
        for body in self._bodies(posted.at):
            if isinstance(body, PostShare) and body.sealed_digest == posted.sealed_digest and body.sealed:
                return body.sealed
        answer = self._ask(configuration, GetShare(task=task, party=party), SealedShareAnswer)
        return answer.sealed

    def _panel(self, panel: TaskPanel) -> CertifiedPanel:
        descriptor = self.read(Panel, Collection.PANEL, panel.panel).descriptor
        answer = self._send(panel.issuer, encode(AskPanelKeys(panel=panel.panel)))
        keys: FromIssuer = decode(answer, FromIssuer)
        if not isinstance(keys, PanelKeys) or panel.slot >= len(keys.moduli):
            raise Unavailable(f"issuer {panel.issuer.hex()} does not give the keys of panel {panel.panel.hex()}")
        path = tree_path([bytes(modulus) for modulus in keys.moduli], panel.slot)
        return CertifiedPanel(descriptor=descriptor, modulus=keys.moduli[panel.slot], path=tuple(path))

    def _accepted(self, task: TaskId, configuration: TaskConfiguration) -> list[ReportLeaf]:
        leaves: list[ReportLeaf] = []
        parts = 1
        part = 0
        while part < parts:
            answer = self._ask(configuration, GetLists(task=task, accepted=True, part=part), ListPart)
            leaves += answer.leaves
            parts, part = answer.parts, part + 1
        return leaves

    def _ask(self, configuration: TaskConfiguration, request: GetLists | GetShare, kind: type[T]) -> T:
        """The leader's answer, or the helper's if the leader gives none."""
        for account in (configuration.leader.account, configuration.helper.account):
            try:
                answer: Answer = decode(self._send(account, encode(request)), Answer)
            except Unavailable:
                continue
            if isinstance(answer, kind):
                return answer
        raise Unavailable(f"neither service answers {type(request).__name__} for task {request.task.hex()}")

    def _send(self, account: AccountId, message: bytes) -> bytes:
        try:
            return self.peers[account].send(message)
        except (KeyError, ConnectionError) as error:
            raise Unavailable(f"{account.hex()} cannot be reached") from error

    def _bodies(self, height: int) -> list[Body]:
        found = self.ledger.transactions(height, height)
        network = self.ledger.network
        return [open_envelope(tx, network).envelope.body for _, tx, receipt in found if receipt.number == 0]


def open_both(
    pair: SealKeyPair, entry: Task, configuration: TaskConfiguration, sealed: SealedShares
) -> tuple[bytes, bytes]:
    """The two noised shares; raises `CannotOpen`, `ShareDiffers`, `Unavailable`."""
    if entry.batch is None or entry.leader_share is None or entry.helper_share is None:
        raise Unavailable("both shares are not posted")
    aad = share_aad(entry.batch.statement)
    return (
        open_share(pair, sealed.leader, info=share_info(Party.LEADER), aad=aad, posted=entry.leader_share.share_digest),
        open_share(pair, sealed.helper, info=share_info(Party.HELPER), aad=aad, posted=entry.helper_share.share_digest),
    )
