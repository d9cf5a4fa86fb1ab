"""Every hostile program is stopped by its own error, and leaves nothing behind."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile import PROGRAMS, Hostile

from edgehold.errors import SandboxError
from edgehold.sandbox.host import Answer, Sandbox
from edgehold.sandbox.limits import DEFAULT_LIMITS

PROBE = "import json, random\ndef main(person): return [len(person.events), random.random(), json.dumps([])]"


@pytest.fixture(scope="module")
def undisturbed(sandbox: Sandbox, tables: Path) -> Answer:
    """What the probe gives before any hostile program ran."""
    return sandbox.run(PROBE, tables, "{}", DEFAULT_LIMITS)


@pytest.mark.parametrize("hostile", PROGRAMS, ids=lambda hostile: hostile.tries.replace(" ", "_"))
def test_a_hostile_program_is_stopped_and_the_next_run_is_as_before(
    sandbox: Sandbox, tables: Path, undisturbed: Answer, hostile: Hostile, capfd: pytest.CaptureFixture[str]
) -> None:
    files = {path.name: path.read_bytes() for path in tables.parent.rglob("*") if path.is_file()}
    with pytest.raises(SandboxError) as stopped:
        sandbox.run(hostile.source, tables, "{}", hostile.limits)
    assert stopped.type is hostile.stopped_by, stopped.value
    assert len(str(stopped.value)) <= 2_100
    assert sandbox.run(PROBE, tables, "{}", DEFAULT_LIMITS) == undisturbed
    assert {path.name: path.read_bytes() for path in tables.parent.rglob("*") if path.is_file()} == files
    assert capfd.readouterr() == ("", "")
