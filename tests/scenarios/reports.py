"""Reports as a dishonest hub would make them: every ingredient can be another."""

from __future__ import annotations

from scenario_world import ScenarioWorld

from edgehold.aggregation.report import make_report
from edgehold.demo.seeded import SeededRandomness
from edgehold.wire.ids import TaskId


def credential_of(world: ScenarioWorld, number: int, task: TaskId, *, slot: int | None = None) -> dict[str, object]:
    """A person's slot key and token for a task, or for another slot of the same panel."""
    hub, configuration = world.hub(number), world.configuration(task)
    (own,) = [panel for panel in configuration.panels if panel.panel in hub.panels()] or [configuration.panels[0]]
    place = own.slot if slot is None else slot
    panel = own.panel if own.panel in hub.panels() else hub.panels()[0]
    return {"slot_key": hub.keys.slot_key(panel, place), "token": hub._journal.token(panel, place)}


def forge(world: ScenarioWorld, task: TaskId, label: str, measurement: object = 0, **ingredients: object) -> bytes:
    """A report like any other, of these ingredients; the label makes its dice its own."""
    configuration = ingredients.pop("configuration", world.configuration(task))
    return make_report(
        configuration,  # type: ignore[arg-type]
        measurement,  # type: ignore[arg-type]
        panel=ingredients.pop("panel", 0),  # type: ignore[arg-type]
        randomness=SeededRandomness(5, label),
        **ingredients,  # type: ignore[arg-type]
    )
