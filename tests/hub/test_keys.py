"""A hub's secrets: written once, readable by their owner, and the same again from the kit."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from hub_world import digest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.crypto.age import public_key_of
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.signatures import SigningKey
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import FolderInUse, KeysUnusable
from edgehold.hub.keys import HubKeys, KeyFile, create_keys, is_of_kit, load_keys, read_kit
from edgehold.wire.ids import Digest, PanelId, TaskId

PANEL = PanelId(digest("panel"))


def make_keys(number: int = 0) -> HubKeys:
    """A hub's keys that lie in no folder."""
    seeds = [digest(f"{name} of hub {number}") for name in ("hub", "storage", "slots", "sampling")]
    owner = SigningKey(digest("owner")).public
    file = KeyFile(*seeds, owner_key=owner, recovery_key=public_key_of(digest("recovery")), minor=False)
    return HubKeys(file, SigningKey(seeds[0]))


def test_keys_are_read_back_as_they_were_made(tmp_path: Path) -> None:
    made = create_keys(tmp_path / "hub", SeededRandomness(1, "hub"))
    assert load_keys(tmp_path / "hub").file == made.file
    assert load_keys(tmp_path / "hub").signing.public == made.signing.public


def test_only_the_owner_can_read_keys_and_kit(tmp_path: Path) -> None:
    create_keys(tmp_path / "hub", SeededRandomness(1, "hub"))
    for name in ("keys", "recovery.kit"):
        assert stat.S_IMODE((tmp_path / "hub" / name).stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["keys", "recovery.kit"])
def test_keys_are_never_overwritten(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"somebody's")
    with pytest.raises(FolderInUse):
        create_keys(tmp_path, SeededRandomness(1, "hub"))
    assert (tmp_path / name).read_bytes() == b"somebody's"


def test_keys_that_others_can_read_are_not_used(tmp_path: Path) -> None:
    create_keys(tmp_path, SeededRandomness(1, "hub"))
    (tmp_path / "keys").chmod(0o644)
    with pytest.raises(KeysUnusable, match="644"):
        load_keys(tmp_path)


def test_altered_or_missing_keys_are_refused(tmp_path: Path) -> None:
    with pytest.raises(KeysUnusable):
        load_keys(tmp_path)
    (tmp_path / "keys").write_bytes(b"\x00")
    (tmp_path / "keys").chmod(0o600)
    with pytest.raises(KeysUnusable):
        load_keys(tmp_path)
    with pytest.raises(KeysUnusable):
        read_kit(tmp_path / "recovery.kit")


def test_the_kit_alone_gives_the_slot_keys_and_the_owner_key(tmp_path: Path) -> None:
    keys = create_keys(tmp_path, SeededRandomness(1, "hub"))
    kit = read_kit(tmp_path / "recovery.kit")
    again = SigningKey(tagged_hash("slot-key", kit.slot_seed + PANEL + (3).to_bytes(2, "big")))
    assert again.public == keys.slot_key(PANEL, 3).public
    assert SigningKey(kit.owner_seed).public == keys.owner_key
    assert kit.storage_key == keys.storage_key
    assert kit.owner_seed not in (tmp_path / "keys").read_bytes()
    assert str(kit.identity.recipient) == str(keys.recovery)
    assert is_of_kit(keys, kit)
    assert not is_of_kit(make_keys(), kit)


def test_keys_do_not_print() -> None:
    keys = make_keys()
    assert repr(keys) == "HubKeys(…)"


def test_slot_keys_differ_by_panel_and_slot() -> None:
    keys = make_keys()
    other = PanelId(digest("other panel"))
    found = {keys.slot_key(panel, slot).public for panel in (PANEL, other) for slot in range(4)}
    assert len(found) == 8
    assert len({keys.blinding_seed(panel, slot) for panel in (PANEL, other) for slot in range(4)}) == 8


def test_a_sample_is_about_as_large_as_the_fraction_says() -> None:
    task = TaskId(digest("task"))
    sampled = sum(make_keys(number).is_sampled(task, 16384) for number in range(400))
    assert 70 <= sampled <= 130
    assert all(make_keys(number).is_sampled(task, 65536) for number in range(50))


@given(st.binary(min_size=32, max_size=32), st.integers(0, 1000), st.integers(0, 50))
def test_the_upload_height_lies_in_the_phase_and_does_not_change(task: bytes, first: int, span: int) -> None:
    height = make_keys().upload_height(TaskId(Digest(task)), first, first + span)
    assert first <= height <= first + span
    assert height == make_keys().upload_height(TaskId(Digest(task)), first, first + span)
