"""The main job over four validators as real processes, one of which dies and comes back meanwhile."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from edgehold.demo import cast
from edgehold.demo.founding import enrol_adults, found, open_organisations, publish_programs, settle_people
from edgehold.demo.orders import Asked, place, report_on, run_to_end
from edgehold.demo.story import Script, play
from edgehold.demo.teller import Bar, Teller
from edgehold.demo.world import World
from edgehold.ledger.genesis import read_genesis
from edgehold.sandbox.compiled import default_cache, prepare_runtime
from edgehold.sandbox.host import Sandbox
from edgehold.server.loopback import homes_in, take_down
from edgehold.server.pair import running
from edgehold.verify.certificate import verify_certificate

pytestmark = pytest.mark.system

PEOPLE = 10


class Silence:
    """Progress that nobody sees."""

    def advance(self, count: int = 1) -> None:
        pass

    def end(self) -> None:
        pass


def silent(label: str, total: int) -> Bar:
    return Silence()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """People with hubs in a closed panel, services and customers, on a ledger that four validators keep."""
    folder = tmp_path / "world"
    try:
        with (
            Sandbox(prepare_runtime(default_cache(), lambda line: None)) as sandbox,
            found(folder, PEOPLE, None, None, sandbox, honest=True, validators=4) as opened,
        ):
            open_organisations(opened)
            settle_people(opened, lambda: None)
            enrol_adults(opened, lambda: None)
            publish_programs(opened)
            yield opened
    finally:
        take_down(folder)


def test_an_order_becomes_a_certificate_though_a_validator_dies(world: World) -> None:
    victim = homes_in(world.folder)[3]
    placed = place(
        world,
        Asked(
            customer=cast.UNIVERSITY.name,
            leader=cast.GOOD.name,
            program="bmi",
            epsilon=cast.EPSILON,
            purpose=cast.HEALTH_RESEARCH,
            panel=world.panel,
        ),
    )
    pid = running(victim)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    run_to_end(world, [placed])
    report = report_on(world, placed, "bmi", None)
    assert report.row.status.value == "accepted"
    assert report.verdict is not None
    assert report.verdict.batch == report.answers.permitted
    certificate = world.folder / "certificates" / "bmi.cert"
    genesis = read_genesis((world.folder / "genesis.cbor").read_bytes())
    assert len(genesis.validators) == 4
    assert verify_certificate(certificate.read_bytes(), genesis).batch == report.verdict.batch


@pytest.mark.slow
def test_the_whole_story_is_told_over_four_validators(tmp_path: Path) -> None:
    folder = tmp_path / "story"
    script = Script(folder=folder, people=30, cohort=None, epsilon=2.0, seed=None, validators=4)
    try:
        facts: dict[str, Any] = play(script, Teller(say=lambda line: None, bar=silent))
    finally:
        take_down(folder)
    statuses = {(order["leader"], order["status"]) for order in facts["orders"]}
    assert ("Meridian Analytics", "accepted") in statuses
    accepted = [order for order in facts["orders"] if order["status"] == "accepted"]
    assert len(accepted) >= 5
    for order in accepted:
        verify_certificate(
            Path(order["certificate"]).read_bytes(), read_genesis((folder / "genesis.cbor").read_bytes())
        )
