"""Service nodes that do one thing wrong each: real nodes, one step overridden. For this folder and the scenarios."""

from __future__ import annotations

from msgspec.structs import replace

from edgehold.aggregation.batch import make_lists, make_statement, sign_statement
from edgehold.aggregation.report import read_upload, report_digest
from edgehold.crypto.names import receipt_message
from edgehold.service.aggregator import Helper, Leader
from edgehold.service.node import ServiceNode
from edgehold.service.storage import StoredTask
from edgehold.wire.batch import BatchStatement, SignedBatch, UploadReceipt
from edgehold.wire.ids import Digest
from edgehold.wire.report import HpkeCiphertext, ReportMetadata
from edgehold.wire.service import BatchAnswer, BatchProposal, Receipted
from edgehold.wire.task import PostShare, Task


class AlteringLeader(Leader):
    """Alters its plaintext share of the first report it opens."""

    altered: bytes | None = None

    def input_share(self, metadata: ReportMetadata, public_share: bytes, sealed: HpkeCiphertext) -> bytes:
        share = super().input_share(metadata, public_share, sealed)
        self.altered = self.altered or metadata.report
        return bytes([share[0] ^ 1]) + share[1:] if metadata.report == self.altered else share


class AlteringHelper(Helper):
    """Alters its plaintext share of the first report it opens."""

    altered: bytes | None = None

    def input_share(self, metadata: ReportMetadata, public_share: bytes, sealed: HpkeCiphertext) -> bytes:
        share = super().input_share(metadata, public_share, sealed)
        self.altered = self.altered or metadata.report
        return bytes([share[0] ^ 1]) + share[1:] if metadata.report == self.altered else share


class HoardingLeader(Leader):
    """Counts a report on its side only: here the first one a second time."""

    def aggregate_share(self) -> bytes:
        shares = self._storage.output_shares(self.task)
        return self.served.vdaf.aggregate([*shares, shares[0]])


class ShiftingLeader(Leader):
    """Adds a constant to its sum. No proof detects it."""

    def aggregate_share(self) -> bytes:
        places = self.served.vdaf.output_length
        return self.served.vdaf.add_vector(super().aggregate_share(), [7] + [0] * (places - 1))


class DroppingLeader(Leader):
    """Signs a receipt for the first report it gets, and forgets the report."""

    dropped: bytes | None = None

    def take_upload(self, height: int, data: bytes) -> Receipted:
        if self.dropped is not None:
            return super().take_upload(height, data)
        leaf = read_upload(self.served, height, data).metadata.leaf()
        self.dropped = data
        receipt = UploadReceipt(self.task, leaf.report, leaf.slot_key, report_digest(data))
        return Receipted(receipt=receipt, signature=self._key.sign(receipt_message(receipt)))


class TwoFacedLeader(Leader):
    """Signs a second statement for the round, with one accepted report fewer."""

    second: SignedBatch | None = None

    def sign(self, number: int, height: int) -> SignedBatch:
        first = super().sign(number, height)
        lists = self.lists()
        fewer = make_lists(lists.accepted[1:], lists.rejected)
        self.second = sign_statement(self._key, make_statement(self.task, number, fewer))
        return first


class DeafHelper(Helper):
    """Confirms what the leader rejects, and counts it all the same."""

    def reject_leaves(self, leaves: object, *, told: bool) -> None:
        pass


class GarblingHelper(Helper):
    """Posts a share that is not the one whose digest it posts."""

    def make_share(self, statement: BatchStatement, header_hash: Digest) -> PostShare:
        return replace(super().make_share(statement, header_hash), share_digest=Digest(bytes(32)))


class AlteringNode(ServiceNode):
    """Leads and helps with altered shares."""

    leader_kind = AlteringLeader
    helper_kind = AlteringHelper


class HoardingNode(ServiceNode):
    """Leads by `HoardingLeader`."""

    leader_kind = HoardingLeader


class ShiftingNode(ServiceNode):
    """Leads by `ShiftingLeader`."""

    leader_kind = ShiftingLeader


class DroppingNode(ServiceNode):
    """Leads by `DroppingLeader`."""

    leader_kind = DroppingLeader


class TwoFacedNode(ServiceNode):
    """Leads by `TwoFacedLeader`."""

    leader_kind = TwoFacedLeader


class DeafNode(ServiceNode):
    """Helps by `DeafHelper`."""

    helper_kind = DeafHelper


class GarblingNode(ServiceNode):
    """Helps by `GarblingHelper`."""

    helper_kind = GarblingHelper


class TwoFacedProposals(ServiceNode):
    """A leader that proposes a batch without its first report, and then the true one, in the same round."""

    def _compare(self, leader: Leader, number: int, height: int) -> bool:
        lists = leader.lists()
        if not lists.accepted:
            return super()._compare(leader, number, height)
        shorter = make_lists(lists.accepted[1:], (*lists.rejected, lists.accepted[0]))
        lie = sign_statement(self._key, make_statement(leader.task, number, shorter))
        self._ask(leader.configuration.helper.account, self._signed(BatchProposal(batch=lie)), BatchAnswer)
        return super()._compare(leader, number, height)


class WithholdingNode(ServiceNode):
    """Never posts a share."""

    def _post_share(self, stored: StoredTask, task: Task) -> None:
        pass
