"""A leaf under a hub's root: what a hub opens verifies, and any changed part is noticed."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import BadProof
from edgehold.hub.catalog import catalog_root, open_leaf
from edgehold.hub.store import Store
from edgehold.verify.opening import record_commitment, signature_digest, verify_opening
from edgehold.wire.data import Kind, LeafOpening, Salt
from edgehold.wire.ids import Digest


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> tuple[Digest, LeafOpening]:
    """A root, and one object that is opened under it."""
    dice = SeededRandomness(1, "opening")
    with Store.create(tmp_path_factory.mktemp("hub") / "store", bytes(32), dice) as store:
        stored, _ = store.put_object(b"a record", name="record", kind=Kind.EHR, signature=b"token", randomness=dice)
        root = catalog_root(store, dice)
        return root, open_leaf(store, stored.id, root)


def test_what_a_hub_opens_verifies(shown: tuple[Digest, LeafOpening]) -> None:
    root, opening = shown
    verify_opening(root, opening)
    assert opening.commitment == record_commitment(b"a record")
    assert opening.descriptor.signature == signature_digest(b"token")


def test_any_changed_part_is_noticed(shown: tuple[Digest, LeafOpening]) -> None:
    root, opening = shown
    zeros = Digest(bytes(32))
    for other in (
        replace(opening, salt=Salt(bytes(32))),
        replace(opening, root_salt=Salt(bytes(32))),
        replace(opening, commitment=zeros),
        replace(opening, index=opening.index ^ 1),
        replace(opening, size=opening.size * 2),
        replace(opening, path=opening.path[::-1]),
        replace(opening, descriptor=replace(opening.descriptor, kind=Kind.LAB)),
    ):
        with pytest.raises(BadProof):
            verify_opening(root, other)
    with pytest.raises(BadProof):
        verify_opening(zeros, opening)


def test_a_tombstone_shows_nothing(shown: tuple[Digest, LeafOpening]) -> None:
    root, opening = shown
    with pytest.raises(BadProof, match="erased"):
        verify_opening(root, replace(opening, descriptor=replace(opening.descriptor, tombstone=True)))
