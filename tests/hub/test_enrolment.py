"""An enrolment visit, from the hub's side."""

from __future__ import annotations

from pathlib import Path

from hub_world import World

from edgehold.crypto.blind import verify_token
from edgehold.wire.ids import SlotKey


def test_a_person_takes_a_record_home_and_enrols(tmp_path: Path) -> None:
    world = World(tmp_path)
    hub = world.admit("ada")
    panel = world.panel()
    hub.enrol(world.desk, panel)
    assert hub.panels() == [panel]
    for slot, modulus in enumerate(world.issuer.moduli(panel)):
        key = SlotKey(hub.keys.slot_key(panel, slot).public)
        verify_token(modulus, key, hub._journal.token(panel, slot))
    world.close_panel(panel)
