"""Random histories of members who propose, vote, come, go and change keys: bounds of power hold, votes count once."""

from __future__ import annotations

from typing import ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from msgspec.structs import replace
from small_world import (
    ACCREDITOR,
    GENESIS,
    ISSUER,
    LEADER,
    MEMBERS,
    PANEL,
    PARAMETERS,
    TREASURER,
    Actor,
    World,
    candidate,
    make_world,
    rotation,
)

from edgehold.errors import UnknownRules, all_errors
from edgehold.ledger.rules.governance import SETTLING, moved_power
from edgehold.ledger.state import get_account, get_proposal, live_attestations
from edgehold.ledger.transition import require_known_rules
from edgehold.wire.account import Claim
from edgehold.wire.governance import (
    AdmitValidator,
    AppointTreasurer,
    Change,
    Office,
    Propose,
    Seat,
    SetOffice,
    SetParameters,
    SetPower,
    SwitchRules,
    Vote,
)
from edgehold.wire.ids import ProposalId
from edgehold.wire.tx import Body, Receipt

OUTSIDERS = [Actor(f"newcomer {number}") for number in range(4)]
EVERYBODY = [*MEMBERS, *OUTSIDERS, LEADER]
NUMBERS = {error.number for error in all_errors()}


class Assembly(RuleBasedStateMachine):
    """Every transaction is sent, whatever becomes of it; what came of it is compared with what was before."""

    actors: ClassVar = st.sampled_from(EVERYBODY)
    powers: ClassVar = st.sampled_from([0, 1, 5, 9, 10, 11, 13, 20, 40])

    @initialize()
    def start(self) -> None:
        self.world = make_world()
        self.proposals: list[ProposalId] = []
        self.said: dict[tuple[ProposalId, Actor | str], bool] = {}
        self.keys = 0

    def send(self, actor: Actor, body: Body) -> Receipt:
        before = self.world.state.seats
        total = sum(seat.power for seat in before.seats)
        receipt = self.world.run(self.world.sign(actor, body))
        after = self.world.state.seats
        assert receipt.number in NUMBERS | {0}
        if after != before:
            assert moved_power(before.seats, after.seats) * 3 <= total
            assert moved_power(after.seats, before.seats) * 3 <= total
            assert after.changed_at == self.world.height >= before.changed_at + SETTLING
        return receipt

    def propose(self, actor: Actor, change: Change) -> None:
        receipt = self.send(actor, Propose(change=change, until=self.world.height + 15))
        if receipt.made is not None:
            self.proposals.append(ProposalId(receipt.made))

    @rule(heights=st.integers(1, 4))
    def wait(self, heights: int) -> None:
        self.world.height += heights

    @rule(actor=actors, newcomer=st.sampled_from(OUTSIDERS), power=powers)
    def admit(self, actor: Actor, newcomer: Actor, power: int) -> None:
        self.propose(actor, AdmitValidator(candidate=candidate(newcomer), power=max(power, 1)))

    @rule(actor=actors, operator=actors, power=powers)
    def set_power(self, actor: Actor, operator: Actor, power: int) -> None:
        self.propose(actor, SetPower(operator=operator.id, power=power))

    @rule(actor=actors, quota=st.integers(1, 5))
    def set_parameters(self, actor: Actor, quota: int) -> None:
        self.propose(actor, SetParameters(parameters=replace(PARAMETERS, hub_quota=quota)))

    @rule(actor=actors)
    def rotate(self, actor: Actor) -> None:
        self.keys += 1
        self.send(actor, rotation(actor, Actor(f"key {self.keys}").key))

    @precondition(lambda self: self.proposals)
    @rule(actor=actors, data=st.data(), yes=st.booleans())
    def vote(self, actor: Actor, data: st.DataObject, yes: bool) -> None:
        proposal = data.draw(st.sampled_from(self.proposals[-3:]))
        before = get_proposal(self.world.state, proposal)
        spoke = actor.id in (*before.yes, *before.no)
        members = {seat.operator for seat in self.world.state.seats.seats}
        receipt = self.send(actor, Vote(proposal=proposal, yes=yes))
        after = get_proposal(self.world.state, proposal)
        assert not (spoke and receipt.number == 0)
        assert len(after.yes) + len(after.no) == len(before.yes) + len(before.no) + (receipt.number == 0)
        if after.done_at is not None and before.done_at is None:
            assert yes
            assert len(members & set(after.yes)) * 1000 >= 667 * len(members)

    @precondition(lambda self: self.proposals)
    @rule()
    def everybody_says_yes(self) -> None:
        for actor in EVERYBODY:
            self.send(actor, Vote(proposal=self.proposals[-1], yes=True))

    @invariant()
    def somebody_signs_and_no_two_with_one_key(self) -> None:
        if hasattr(self, "world"):
            seats: tuple[Seat, ...] = self.world.state.seats.seats
            assert len(seats) >= 2
            assert len({seat.key for seat in seats}) == len({seat.operator for seat in seats}) == len(seats)
            assert [seat.operator for seat in seats] == sorted(seat.operator for seat in seats)

    @invariant()
    def nobody_said_two_things(self) -> None:
        for proposal in getattr(self, "proposals", []):
            found = get_proposal(self.world.state, proposal)
            spoke = (*found.yes, *found.no)
            assert len(set(spoke)) == len(spoke)

    @invariant()
    def what_is_open_is_on_the_agenda(self) -> None:
        if hasattr(self, "world"):
            state = self.world.state
            agenda = {one.proposal for one in state.agenda.open if one.until >= state.height}
            found = {one: get_proposal(state, one) for one in self.proposals}
            assert agenda == {one for one, said in found.items() if said.done_at is None and said.until >= state.height}


TestAssembly = pytest.mark.untraced(Assembly.TestCase)
TestAssembly.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def test_an_accreditor_that_leaves_takes_its_word_with_it() -> None:
    world = make_world()
    assert live_attestations(world.state, ISSUER.id, Claim.ISSUER)
    world.decide(SetOffice(office=Office.ACCREDITOR, account=ACCREDITOR.id, holds=False))
    assert not live_attestations(world.state, ISSUER.id, Claim.ISSUER)


def test_the_members_word_makes_an_issuer_and_ends_one() -> None:
    world = make_world()
    world.decide(SetOffice(office=Office.ISSUER, account=LEADER.id, holds=True))
    (stated,) = live_attestations(world.state, LEADER.id, Claim.ISSUER)
    assert stated.attestor == world.state.network.members
    world.do(LEADER, PANEL)
    world.height += 1
    world.decide(SetOffice(office=Office.ISSUER, account=ISSUER.id, holds=False))
    world.height += 1
    assert world.run(world.sign(ISSUER, PANEL)).number == 223


def test_the_members_attest_nothing_else() -> None:
    world = make_world()
    world.decide(SetOffice(office=Office.ISSUER, account=LEADER.id, holds=True))
    assert {one.claim for one in live_attestations(world.state, LEADER.id)} == {Claim.ACCREDITED, Claim.ISSUER}


def test_the_credits_of_a_network_stay_as_many() -> None:
    world = make_world()
    left = get_account(world.state, TREASURER.id).credits
    world.decide(AppointTreasurer(account=LEADER.id))
    assert get_account(world.state, TREASURER.id).credits == 0
    assert get_account(world.state, LEADER.id).credits == left
    assert world.state.offices.treasurer == LEADER.id


def test_a_newcomer_has_an_account_and_a_vote() -> None:
    world, newcomer = make_world(), OUTSIDERS[0]
    world.height = 10
    world.decide(AdmitValidator(candidate=candidate(newcomer), power=10))
    account = get_account(world.state, newcomer.id)
    assert (account.sponsor, account.credits, account.opened_at) == (ACCREDITOR.id, 0, 10)
    world.propose(SetParameters(parameters=replace(PARAMETERS, hub_quota=9)), newcomer)


def test_a_decision_holds_for_the_next_transaction_of_the_same_block() -> None:
    world = make_world()
    world.decide(SetParameters(parameters=replace(PARAMETERS, hub_quota=9)))
    assert world.state.parameters.hub_quota == 9


def test_rules_are_known_until_the_height_of_a_switch() -> None:
    world = make_world()
    world.decide(SwitchRules(version=2, height=20))
    for height in (1, 19):
        world.height = height
        require_known_rules(world.state)
    for height in (20, 10_000):
        world.height = height
        with pytest.raises(UnknownRules, match="version 2"):
            require_known_rules(world.state)


def test_the_shares_of_a_network_are_those_of_its_genesis() -> None:
    unanimous = replace(GENESIS, voting=replace(GENESIS.voting, parameters=1000))
    world = World(genesis=unanimous)
    change = SetParameters(parameters=replace(PARAMETERS, hub_quota=9))
    proposal = world.propose(change)
    for member in MEMBERS[1:]:
        assert get_proposal(world.state, proposal).done_at is None
        world.do(member, Vote(proposal=proposal, yes=True))
    assert get_proposal(world.state, proposal).done_at == 1
