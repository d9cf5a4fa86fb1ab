"""What is not promised, shown: so that nobody believes that it is."""

from __future__ import annotations

from collections.abc import Callable

from misbehaving import ShiftingNode
from scenario_world import FIRST_PANEL, HELPER, LEADER, ScenarioWorld, bundles, truth

from edgehold.customer.orders import OrderStatus
from edgehold.demo.exact import bmi, resources_of
from edgehold.demo.world import Resident
from edgehold.hub.hub import Hub
from edgehold.hub.journal import Run
from edgehold.sandbox.program import Measurement
from edgehold.vdaf.field import add_shares
from edgehold.verify.certificate import BOTH_HONEST, NEVER_SHOWN, verify_certificate
from edgehold.wire.report import decode_report

Open = Callable[..., ScenarioWorld]


def test_a_constant_added_to_a_sum_is_detected_by_nothing_and_the_certificate_says_on_whom_it_relies(
    open_world: Open,
) -> None:
    world = open_world(**{LEADER: ShiftingNode})
    order, task = world.run()
    honest = truth("bmi", FIRST_PANEL)
    assert world.sum_of(order) == [honest[0] + 7, *honest[1:]]
    row = world.row(order)
    assert row.status is OrderStatus.ACCEPTED
    assert row.certificate is not None
    verdict = verify_certificate(row.certificate, world.genesis, row.shares)
    relied_on = [check.says for check in verdict.checks if check.group == BOTH_HONEST]
    assert any("sum of" in says for says in relied_on), "that is all that is said, and it does not hold here"
    for name in (LEADER, HELPER):
        standing = world.standing(name)
        assert (standing.bad, standing.pair_marks) == (0, ())
    for number in FIRST_PANEL:
        check = world.hub(number).check_batch(task)
        assert check is not None
        assert check.included


def test_two_aggregators_together_see_what_one_person_reported(world: ScenarioWorld) -> None:
    order, task = world.open_task()
    configuration = world.configuration(task)
    world.advance_to(configuration.upload_until + 1)
    world.advance()
    shares = {}
    for name in (LEADER, HELPER):
        storage = world.services[name]._storage
        leaves = list(storage.leaves(task, accepted=True))
        shares[name] = dict(zip([leaf.report for leaf in leaves], storage.output_shares(task), strict=True))
    run = world.hub(1)._journal.run(task)
    report = decode_report(run.report or b"").metadata.report
    together = add_shares(configuration.measurement, [shares[LEADER][report], shares[HELPER][report]])
    assert together == bmi(resources_of(bundles()[0])), "this is why the two must not be one"
    assert shares[LEADER][report] != shares[HELPER][report]
    world.finish(order)
    for name in (LEADER, HELPER):
        assert set(world.services[name]._storage.output_shares(task)) == {None}, "afterwards it is destroyed"


class LyingHub(Hub):
    """Reports what it likes, within the bounds."""

    lie: Measurement = 0

    def _store(self, run: Run, measurement: Measurement, log: str) -> None:
        super()._store(run, self.lie, log)


def make_liars(world: ScenarioWorld, numbers: list[int]) -> None:
    """Let these people's hubs lie."""
    for number in numbers:
        world.hub(number).close()
        hub = LyingHub.open(world.hub_folder(number), world.surroundings(number))
        world.residents[number - 1] = Resident(number=number, adult=True, hub=hub)


def test_lying_hubs_shift_a_result_by_at_most_their_number_times_the_bound(world: ScenarioWorld) -> None:
    liars = [2, 5, 7]
    make_liars(world, liars)
    order, task = world.run()
    assert world.row(order).status is OrderStatus.ACCEPTED, "the truth of what a hub says is not promised"
    assert world.totals(task) == (8, 0)
    honest, found = truth("bmi", FIRST_PANEL), world.sum_of(order)
    assert found != honest
    assert found[0] == truth("bmi", [n for n in FIRST_PANEL if n not in liars])[0] + len(liars)
    assert all(abs(one - other) <= len(liars) for one, other in zip(found, honest, strict=True))
    row = world.row(order)
    verdict = verify_certificate(row.certificate or b"", world.genesis, row.shares)
    assert any("true" in check.says for check in verdict.checks if check.group == NEVER_SHOWN)
