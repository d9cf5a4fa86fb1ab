"""Putting a certificate together: what the ledger proves, what both services serve, what the issuer publishes.

Whatever a service or issuer serves is compared with its digest on the ledger; what does not fit is as good as nothing,
and the other service is asked. The finished certificate is then verified as any stranger would verify it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Any

from msgspec.structs import replace

from edgehold.aggregation.batch import list_root, open_leaves
from edgehold.crypto.merkle import tree_path, tree_root
from edgehold.crypto.names import attestations_digest, sealed_share_digest
from edgehold.crypto.seal import SealKeyPair, open_sealed
from edgehold.errors import Malformed, Unavailable
from edgehold.ledger.genesis import found_network
from edgehold.ledger.shares import PostedShares, share_aad, share_info
from edgehold.ledger.state import State, is_live, live_attestations
from edgehold.ledger.transition import open_envelope
from edgehold.ports import Headers, Ledger, Peer
from edgehold.verify.batch import drawn_indices
from edgehold.verify.certificate import travel_inside
from edgehold.verify.header import hash_header
from edgehold.wire.account import Attest, Attestation, WithdrawAttestation
from edgehold.wire.batch import Batch, ReportLeaf
from edgehold.wire.certificate import (
    DRAWN_LEAVES,
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
from edgehold.wire.task import (
    CloseBatch,
    Party,
    PostedShare,
    PostShare,
    Task,
    TaskConfiguration,
    TaskPanel,
    TaskParty,
)
from edgehold.wire.tx import Body


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
    headers: Headers

    def sealed_shares(self, task: TaskId, posted: PostedShares, configuration: TaskConfiguration) -> SealedShares:
        """Both sealed shares: from the block that posted them, or from either service. Raises `Unavailable`."""
        return SealedShares(
            leader=self._sealed_share(task, Party.LEADER, posted.leader, configuration),
            helper=self._sealed_share(task, Party.HELPER, posted.helper, configuration),
        )

    def make(
        self,
        task: TaskId,
        configuration: TaskConfiguration,
        placed: PlaceOrder,
        leader_share: bytes,
        helper_share: bytes,
    ) -> tuple[bytes, bytes | None]:
        """A certificate's bytes, and those of the shares if they lie beside it. Raises `Unavailable`, `Malformed`."""
        state_header, value, proof = self.ledger.prove(entry_key(Collection.TASK, task))
        entry = decode(value or b"", Task)
        batch = closed(task, entry)
        drawing = self._header(batch.closed_at + 1)
        drawn = drawn_indices(hash_header(drawing.header), task, batch.statement.accepted, DRAWN_LEAVES)
        closing = self._closing(task, batch)
        leader, helper = (
            self._attestations(party, configuration.opened_at) for party in (configuration.leader, configuration.helper)
        )
        inside = travel_inside(configuration)
        certificate = Certificate(
            state_header=state_header,
            drawing_header=drawing,
            changes=self.headers.changes((drawing.header.height, state_header.header.height)),
            task=entry,
            task_proof=proof,
            configuration=configuration,
            order=placed,
            program=self.read(Program, Collection.PROGRAM, configuration.program).descriptor,
            panels=tuple(self._panel(panel) for panel in configuration.panels),
            leader=CertifiedParty(attestations=leader, signature=closing.leader_signature),
            helper=CertifiedParty(attestations=helper, signature=closing.helper_signature),
            leaves=tuple(open_leaves(self._accepted(task, batch, configuration), drawn)),
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

    def _attestations(self, party: TaskParty, opened_at: int) -> tuple[Attestation, ...]:
        """What was attested of a service when the helper joined; by the log, if it was withdrawn or renewed since."""
        state = State(self.ledger.read, opened_at, lambda height: None, found_network(self.ledger.genesis))
        found = live_attestations(state, party.account)
        if attestations_digest(found) != party.attestations:
            found = self._replay(party.account, opened_at)
        return tuple(found)

    def _replay(self, account: AccountId, height: int) -> list[Attestation]:
        """What the log says was attested of an account at a height, sorted by attestor and claim."""
        stated: dict[tuple[AccountId, str], Attestation] = {}
        for at, sender, body in self._requests(1, height):
            match body:
                case Attest(subject=subject, claim=claim) if subject == account:
                    stated[sender, claim.value] = Attestation(sender, claim, at, body.until, body.statement, None)
                case WithdrawAttestation(subject=subject, claim=claim) if subject == account:
                    stated[sender, claim.value] = replace(stated[sender, claim.value], withdrawn_at=at)
                case _:
                    pass
        return [attestation for _, attestation in sorted(stated.items()) if is_live(attestation, height)]

    def _sealed_share(self, task: TaskId, party: Party, posted: PostedShare, configuration: TaskConfiguration) -> bytes:
        for body in self._bodies(posted.at):
            if isinstance(body, PostShare) and sealed_share_digest(body.sealed) == posted.sealed_digest:
                return body.sealed

        def ask(service: AccountId) -> bytes:
            sealed = self._ask(service, GetShare(task=task, party=party), SealedShareAnswer).sealed
            require(sealed_share_digest(sealed) == posted.sealed_digest, f"another share than the {party.value} posted")
            return sealed

        return either(configuration, ask)

    def _panel(self, panel: TaskPanel) -> CertifiedPanel:
        descriptor = self.read(Panel, Collection.PANEL, panel.panel).descriptor
        keys = decode_answer(self._send(panel.issuer, encode(AskPanelKeys(panel=panel.panel))), FromIssuer)
        if not isinstance(keys, PanelKeys) or tree_root(keys.moduli) != panel.keys_root:
            raise Unavailable(f"issuer {panel.issuer.hex()} does not give the keys of panel {panel.panel.hex()}")
        return CertifiedPanel(
            descriptor=descriptor,
            modulus=keys.moduli[panel.slot],
            path=tuple(tree_path(keys.moduli, panel.slot)),
        )

    def _accepted(self, task: TaskId, batch: Batch, configuration: TaskConfiguration) -> Sequence[ReportLeaf]:
        def ask(service: AccountId) -> Sequence[ReportLeaf]:
            leaves = self._list(task, service, batch.statement.accepted)
            require(list_root(leaves) == batch.statement.accepted_root, "another list than both services signed")
            return leaves

        return either(configuration, ask)

    def _list(self, task: TaskId, service: AccountId, length: int) -> list[ReportLeaf]:
        """The accepted list as one service serves it, no longer than it should be."""
        leaves: list[ReportLeaf] = []
        part = 0
        while len(leaves) < length:
            answer = self._ask(service, GetLists(task=task, accepted=True, part=part), ListPart)
            require(bool(answer.leaves), "a part of a list without leaves")
            leaves += answer.leaves
            part += 1
        return leaves

    def _ask(self, service: AccountId, request: GetLists | GetShare, kind: type[T]) -> T:
        answer = decode_answer(self._send(service, encode(request)), Answer)
        if not isinstance(answer, kind):
            raise Unavailable(f"service {service.hex()} does not answer {type(request).__name__}")
        return answer

    def _send(self, account: AccountId, message: bytes) -> bytes:
        try:
            return self.peers[account].send(message)
        except (KeyError, ConnectionError) as error:
            raise Unavailable(f"{account.hex()} cannot be reached") from error

    def _bodies(self, height: int) -> list[Body]:
        return [body for _, _, body in self._requests(height, height)]

    def _requests(self, first: int, last: int) -> Iterator[tuple[int, AccountId, Body]]:
        """What took effect in these blocks: height, sender, what was asked."""
        for height, transaction, receipt in self.ledger.transactions(first, last):
            if receipt.number == 0:
                envelope = open_envelope(transaction, self.ledger.network).envelope
                yield height, AccountId(envelope.sender), envelope.body


def open_both(pair: SealKeyPair, posted: PostedShares, sealed: SealedShares) -> tuple[bytes, bytes]:
    """The two noised shares; raises `CannotOpen`."""
    aad = share_aad(posted.statement)
    return (
        open_sealed(pair, share_info(Party.LEADER), aad, sealed.leader),
        open_sealed(pair, share_info(Party.HELPER), aad, sealed.helper),
    )


def posted_by_both(entry: Task) -> PostedShares | None:
    """What the ledger keeps of a result, once both services have posted their share."""
    if entry.batch is None or entry.leader_share is None or entry.helper_share is None:
        return None
    return PostedShares(statement=entry.batch.statement, leader=entry.leader_share, helper=entry.helper_share)


def closed(task: TaskId, entry: Task) -> Batch:
    """A task's batch; raises `Unavailable` while it is not closed."""
    if entry.batch is None:
        raise Unavailable(f"task {task.hex()} has no closed batch")
    return entry.batch


def either(configuration: TaskConfiguration, ask: Callable[[AccountId], T]) -> T:
    """What the leader gives, or else the helper; raises `Unavailable` with what the helper lacks."""
    try:
        return ask(configuration.leader.account)
    except Unavailable:
        return ask(configuration.helper.account)


def decode_answer(data: bytes, kind: UnionType) -> Any:
    """Read an answer; one that cannot be read is none. Raises `Unavailable`."""
    try:
        return decode(data, kind)
    except Malformed as error:
        raise Unavailable(str(error)) from error


def require(holds: bool, otherwise: str) -> None:
    """Take what does not fit its digest for nothing; raises `Unavailable`."""
    if not holds:
        raise Unavailable(otherwise)
