"""A seeded network repeats bit for bit: roots, headers with their times, certificates and every message."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from scenario_world import HELPER, LEADER, SEED, ScenarioWorld, found_scenario, open_scenario

Open = Callable[..., ScenarioWorld]


def play(world: ScenarioWorld) -> dict[str, object]:
    """Two orders and a revocation; all that there is to see."""
    first, _ = world.run("pressure_by_hypertension")
    second, task = world.open_task("disorders", panels=(world.second,))
    world.advance_to(world.configuration(task).upload_until)
    world.hub(world.drawn(task)[0]).revoke(task)
    world.finish(second)
    headers = [world.ledger.header(height) for height in range(1, world.ledger.height() + 1)]
    assert len({header.header.time for header in headers if header}) == len(headers)
    return {
        "headers": headers,
        "certificates": [world.row(order).certificate for order in (first, second)],
        "results": [world.customers["brookside"].verdict(order).values for order in (first, second)],
        "messages": [world.lines[name].said for name in (LEADER, HELPER)],
        "histories": [resident.hub.history() for resident in world.residents],
        "transactions": list(world.ledger.transactions(1, world.ledger.height())),
    }


def test_two_copies_of_a_network_repeat_each_other(open_world: Open) -> None:
    assert play(open_world()) == play(open_world())


def test_two_networks_founded_with_one_seed_are_one_and_with_another_are_not(tmp_path: Path) -> None:
    seen = []
    for number, seed in enumerate((SEED, SEED, SEED + 1)):
        folder = tmp_path / str(number)
        found_scenario(folder, seed)
        with open_scenario(folder) as world:
            seen.append(play(world))
    assert seen[0] == seen[1]
    for part in ("headers", "certificates", "results", "messages", "transactions"):
        assert seen[0][part] != seen[2][part]
