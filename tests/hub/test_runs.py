"""A hub killed anywhere goes on where it stood: no second run, nothing spent twice or freed, the same bytes sent."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace as changed
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from hub_world import World, account_of, bundle, key_of

from edgehold.crypto.jws import sign_detached
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import BadSignature, NotTheRecord, UnknownObject
from edgehold.hub.hub import Hub
from edgehold.hub.journal import RunState
from edgehold.hub.runs import INTERRUPTED, check_signature, find_dataset
from edgehold.verify.view import ProofCache, proved_state
from edgehold.wire.codec import decode
from edgehold.wire.data import Kind
from edgehold.wire.service import Request, Upload

STEPS = (
    "before the decision is kept",
    "after the decision is kept",
    "while the program runs",
    "before the report is kept",
    "after the report is kept",
    "before the upload arrives",
    "after the upload arrived",
    "before the receipt is kept",
    "after the receipt is kept",
)


class KilledError(BaseException):
    """The process was killed here."""


def kill_at(step: str, world: World, hub: Hub, copy: Path) -> None:
    """Let the hub die at a step; its folder as it was at that moment is kept in `copy`."""

    def die() -> None:
        shutil.copytree(world.folder / "ada", copy)
        raise KilledError

    def before(act: Callable[..., Any]) -> Callable[..., Any]:
        def stopped(*arguments: Any, **named: Any) -> Any:
            die()

        return stopped

    def after(act: Callable[..., Any]) -> Callable[..., Any]:
        def stopped(*arguments: Any, **named: Any) -> Any:
            act(*arguments, **named)
            die()

        return stopped

    when, _, what = step.partition(" ")
    wrap = after if when == "after" else before
    journal, line = hub._journal, world.lines["leader"]
    match what:
        case "the decision is kept":
            journal.set_decision = wrap(journal.set_decision)  # type: ignore[method-assign]
        case "the program runs":
            library = world.outside.library

            def counted(name: Any) -> bytes | None:
                library(name)
                die()
                return None

            hub._outside = changed(hub._outside, library=counted)
        case "the report is kept":
            journal.store_report = wrap(journal.store_report)  # type: ignore[method-assign]
        case "the upload arrives" | "the upload arrived":
            line.answer = wrap(line.answer)  # type: ignore[method-assign]
        case "the receipt is kept":
            journal.set_sent = wrap(journal.set_sent)  # type: ignore[method-assign]


@pytest.mark.parametrize("step", STEPS)
def test_a_hub_killed_at_any_step_answers_once(tmp_path: Path, step: str) -> None:
    world = World(tmp_path)
    ran = 0
    library = world.sources.get

    def counting(name: Any) -> bytes | None:
        nonlocal ran
        ran += 1
        return library(name)

    world.outside = changed(world.outside, library=counting)
    hubs = [world.admit(person) for person in ("ada", "bea", "cleo")]
    panel = world.panel(slots=1)
    for hub in hubs:
        hub.enrol(world.desk, panel)
    world.close_panel(panel)
    task = world.open_task(panel)
    leader = world.lines["leader"].answer
    kill_at(step, world, hubs[0], tmp_path / "copy")
    with pytest.raises(KilledError):
        world.tick(hubs[0], count=8)
    world.lines["leader"].answer = leader
    again = Hub.open(tmp_path / "copy", changed(world.outside, randomness=SeededRandomness(7, "again")))
    for _ in range(8):
        world.tick(again)
        again.close()
        again = Hub.open(tmp_path / "copy", changed(world.outside, randomness=SeededRandomness(8, "again")))
    (line,) = again.history()
    assert (line.task, line.state, line.loss) == (task, RunState.SENT, Fraction(4, 9))
    assert again.budget().left(0) == 10 - Fraction(4, 9)
    asked = [decode(message, Request) for message in world.lines["leader"].received]
    sent = [one.report for one in asked if isinstance(one, Upload)]
    assert 1 <= len(sent) <= 2
    assert len(set(sent)) == 1
    assert ran <= 1
    assert (line.log == INTERRUPTED) == (step in STEPS[1:4])


def test_the_dataset_that_reaches_furthest_is_run_over(tmp_path: Path) -> None:
    world = World(tmp_path)
    hub = world.admit("ada")
    path = tmp_path / "ada" / "old.json"
    path.write_bytes(bundle("ada", bmi=22.0).replace(b"2025-03-01", b"2019-03-01"))
    hub.import_file(path)
    steps = tmp_path / "ada" / "steps.csv"
    steps.write_text("time,steps\n2030-01-01 10:00,7\n")
    hub.import_file(steps)
    assert len(hub.store.objects()) == 3
    assert find_dataset(hub.store, "edgehold.events/1", (Kind.EHR,)).descriptor.last_year == 2025
    assert find_dataset(hub.store, "edgehold.events/1", (Kind.EHR, Kind.WEARABLE)).descriptor.last_year == 2030
    with pytest.raises(UnknownObject):
        find_dataset(hub.store, "edgehold.genotypes/1", (Kind.GENOTYPE,))


def test_only_the_panels_issuer_makes_a_record_authentic(tmp_path: Path) -> None:
    world = World(tmp_path)
    state, _ = proved_state(world.ledger, ProofCache())
    issuer, record = account_of("issuer"), bundle("ada")
    check_signature(state, [record], sign_detached(record, issuer, key_of("issuer").sign), issuer)
    with pytest.raises(NotTheRecord):
        check_signature(state, [record], None, issuer)
    with pytest.raises(NotTheRecord):
        check_signature(state, [record], sign_detached(record, account_of("leader"), key_of("issuer").sign), issuer)
    with pytest.raises(BadSignature):
        check_signature(state, [record], sign_detached(record, issuer, key_of("leader").sign), issuer)
