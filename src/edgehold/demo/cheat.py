"""The demo's dishonest service: it signs two lists for one batch. The ledger's rule, not the demo, punishes it."""

from __future__ import annotations

from edgehold.aggregation.batch import make_lists, make_statement, sign_statement
from edgehold.errors import EdgeholdError
from edgehold.service.aggregator import Leader
from edgehold.service.node import ServiceNode
from edgehold.wire.service import BatchAnswer, BatchProposal


class TwoFacedNode(ServiceNode):
    """A leader that first proposes a batch without its first report, then the true one, in the same round."""

    def _compare(self, leader: Leader, number: int, height: int) -> bool:
        lists = leader.lists()
        if number == 0 and lists.accepted:
            shorter = make_lists(lists.accepted[1:], (*lists.rejected, lists.accepted[0]))
            lie = sign_statement(self._key, make_statement(leader.task, number, shorter))
            try:
                self._ask(leader.configuration.helper.account, self._signed(BatchProposal(batch=lie)), BatchAnswer)
            except EdgeholdError:
                return super()._compare(leader, number, height)
        return super()._compare(leader, number, height)
