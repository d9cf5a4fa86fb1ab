"""What a hub believes of a task: the whole feed of tasks, and for those of its panels everything by proof.

A hub reads every block and picks its own tasks from it, since to look one up would tell interest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from threading import Lock

from edgehold.crypto.cose import open1
from edgehold.crypto.names import task_id
from edgehold.errors import BadProof, LedgerBehind
from edgehold.hub.journal import LAST_SEEN, LAST_SEEN_HEADER, Journal
from edgehold.ledger.state import (
    State,
    get_account,
    get_configuration,
    get_order,
    get_panel,
    get_program,
    get_standing,
    get_task,
    live_attestations,
)
from edgehold.policy.budget import rho_of, squared_sensitivity
from edgehold.policy.credibility import prior_of
from edgehold.policy.decide import Question, Service
from edgehold.ports import Ledger
from edgehold.verify.view import ProofCache, proved_state
from edgehold.wire.account import Claim
from edgehold.wire.codec import decode
from edgehold.wire.ids import AccountId, Digest, PanelId, TaskId
from edgehold.wire.program import PublishProgram
from edgehold.wire.purpose import Asker
from edgehold.wire.task import JoinTask, TaskConfiguration, TaskPanel
from edgehold.wire.tx import Envelope


@dataclass
class Feed:
    """The tasks of every block that was read, shared by the hubs of one process; a hub alone has its own.

    Safe between threads.
    """

    read_until: int = 0
    tasks: list[tuple[int, TaskId]] = field(default_factory=list)
    reading: Lock = field(default_factory=Lock)

    def after(self, ledger: Ledger, height: int) -> list[TaskId]:
        """The tasks that came to be above a height, in their order, as the node tells them: to be proved each."""
        with self.reading:
            latest = ledger.height()
            if latest > self.read_until:
                # All of it or nothing: a node may fail half way.
                self.tasks += [
                    (at, TaskId(receipt.made))
                    for at, transaction, receipt in ledger.transactions(self.read_until + 1, latest)
                    if receipt.number == 0 and receipt.made is not None and _is_join(transaction)
                ]
                self.read_until = latest
            return [task for at, task in self.tasks if at > height]


@dataclass(frozen=True)
class SeenTask:
    """A task of one of the hub's panels, and all that its answer relies on, proved against one header."""

    configuration: TaskConfiguration
    panel: int
    """The place of the hub's panel in the task."""
    program: PublishProgram
    question: Question


def look(ledger: Ledger, cache: ProofCache, journal: Journal) -> tuple[State, Digest]:
    """The last signed state and its header's hash; raises `LedgerBehind` for one below the last this hub relied on."""
    state, header = proved_state(ledger, cache)
    seen = journal.height(LAST_SEEN)
    if state.height < seen:
        raise LedgerBehind(f"the ledger shows height {state.height}, this hub has seen {seen}")
    if state.height == seen and header != journal.fact(LAST_SEEN_HEADER):
        raise LedgerBehind(f"the ledger shows header {header.hex()} at height {seen}, this hub has seen another")
    return state, header


def see_task(state: State, task: TaskId, panels: Iterable[PanelId], journal: Journal) -> SeenTask | None:
    """Check a task by proof; none if it asks no panel of this hub, or is no task of the ledger.

    1. The configuration has the task's id as its digest, and the ledger has a task of this id.
    2. It is what became of the order that it names; program, purpose, noise and batch are that order's.
    3. The hub's panel is closed and has the keys and issuer that the configuration says.
    4. Both services have the accounts that it names; credibility follows from their standings and attestations.
    5. The customer's account and attestations are there; period and parameters are the ledger's.
    """
    # 1
    configuration = get_configuration(state, task)
    if task_id(configuration) != task:
        raise BadProof(f"the configuration under task {task.hex()} is another task's")
    own = [place for place, one in enumerate(configuration.panels) if one.panel in set(panels)]
    if not own:
        return None
    get_task(state, task)
    # 2
    order = get_order(state, configuration.order)
    program = get_program(state, configuration.program)
    if order.task != task or (order.customer, order.descriptor.program) != (
        configuration.customer,
        configuration.program,
    ):
        raise BadProof(f"order {configuration.order.hex()} did not become task {task.hex()}")
    # 3
    _check_panel(state, configuration.panels[own[0]])
    # 4, 5
    for account in (configuration.customer, configuration.leader.account, configuration.helper.account):
        get_account(state, account)
    sigma = Fraction(configuration.sigma_numerator, configuration.sigma_denominator)
    return SeenTask(
        configuration=configuration,
        panel=own[0],
        program=program.descriptor,
        question=Question(
            task=task,
            height=state.height,
            period=state.period,
            asker=_asker(state, configuration.customer),
            purpose=order.descriptor.purpose,
            kinds=program.descriptor.kinds,
            sensitivity=program.descriptor.sensitivity,
            least_batch=configuration.least_batch,
            loss=str(rho_of(sigma, squared_sensitivity(configuration.measurement))),
            leader=_service(state, configuration.leader.account, journal),
            helper=_service(state, configuration.helper.account, journal),
            acceptance_cap=state.parameters.acceptance_cap,
        ),
    )


def _check_panel(state: State, panel: TaskPanel) -> None:
    entry = get_panel(state, panel.panel)
    named = (panel.issuer, panel.keys_root, panel.slots, panel.enrolled)
    if named != (entry.issuer, entry.descriptor.keys_root, entry.descriptor.slots, entry.enrolled):
        raise BadProof(f"panel {panel.panel.hex()} is not as the configuration says")


def _service(state: State, account: AccountId, journal: Journal) -> Service:
    good, bad = journal.experience(account)
    return Service(
        account=account,
        standing=get_standing(state, account),
        prior=prior_of(live_attestations(state, account)),
        own_good=good,
        own_bad=bad,
    )


def _asker(state: State, customer: AccountId) -> Asker:
    until = {
        claim: max((one.until for one in live_attestations(state, customer, claim)), default=None)
        for claim in (Claim.NOT_FOR_PROFIT, Claim.ETHICS)
    }
    return Asker(
        account=customer,
        not_for_profit_until=until[Claim.NOT_FOR_PROFIT],
        ethics_approval_until=until[Claim.ETHICS],
    )


def _is_join(transaction: bytes) -> bool:
    return isinstance(decode(open1(transaction).payload, Envelope).body, JoinTask)
