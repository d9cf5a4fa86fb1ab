"""Limits that `docs/threats.md` states and that no other test shows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from forge import Forged, forge, with_fields
from hub_world import World

from edgehold.errors import BadCertificate
from edgehold.hub.hub import Hub
from edgehold.hub.runs import INTERRUPTED
from edgehold.verify.certificate import Verdict, verify_certificate
from edgehold.wire.ids import Digest
from edgehold.wire.task import Outcome


def check(forged: Forged) -> Verdict:
    return verify_certificate(forged.data, forged.genesis, forged.detached)


def test_limit_shown_a_certificate_of_before_the_settlement_verifies_for_ever() -> None:
    """One that is made after a dispute is refused; the one of before knows nothing of it."""
    before, after = forge(), forge(task=with_fields(outcome=Outcome.UNUSABLE, settled_at=120))
    with pytest.raises(BadCertificate):
        check(after)
    assert check(before)


def test_limit_shown_a_second_process_takes_a_run_under_way_for_an_interrupted_one(tmp_path: Path) -> None:
    """Its report is neutral and debited once; the process that ran the program fails."""
    world = World(tmp_path)
    hubs = [world.admit(name) for name in ("ada", "bea", "cyd")]
    panel = world.panel()
    for hub in hubs:
        hub.enrol(world.desk, panel)
    world.close_panel(panel)
    task = world.open_task(panel)
    hubs[0].close()

    def meanwhile(source: Digest) -> bytes | None:
        with world.open_hub("ada") as second:
            second.follow()
        return world.outside.library(source)

    with Hub.open(tmp_path / "ada", replace(world.outside, library=meanwhile)) as first:
        with pytest.raises(apsw.ConstraintError):
            first.follow()
        assert first._journal.run(task).log == INTERRUPTED
        assert list(first._journal.debits()) == [task]
