"""The catalogue: one opaque root, from which one leaf can be shown and nothing else is learnt."""

from __future__ import annotations

from hashlib import shake_256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.errors import BadProof, NotCommitted
from edgehold.hub.catalog import catalog_root, open_leaf
from edgehold.hub.store import Store
from edgehold.verify.opening import record_commitment, signature_digest, verify_opening
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import DatasetDescriptor, Kind, LeafOpening, ObjectId

KEY = bytes(32)


class Seeded:
    """Randomness from a seed, for tests."""

    def __init__(self) -> None:
        self._drawn = 0

    def draw(self, count: int) -> bytes:
        self._drawn += 1
        return shake_256(self._drawn.to_bytes(8, "little")).digest(count)


RANDOMNESS = Seeded()


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with Store.create(tmp_path / "hub.store", KEY, RANDOMNESS) as made:
        yield made


def put(store: Store, original: bytes, **fields: Any) -> ObjectId:
    return store.put_object(original, name="x", kind=Kind.EHR, randomness=RANDOMNESS, **fields)[0].id


def test_a_leaf_opens_under_the_posted_root(store: Store) -> None:
    object_id = put(store, b"record", signature=b"token")
    root = catalog_root(store, RANDOMNESS)
    opening = open_leaf(store, object_id, root)
    verify_opening(root, decode(encode(opening), LeafOpening))
    assert opening.commitment == record_commitment(b"record")
    assert opening.descriptor.signature == signature_digest(b"token")
    assert (opening.size, len(opening.path)) == (8, 3)


def test_another_root_is_refused(store: Store) -> None:
    opening = open_leaf(store, put(store, b"record"), catalog_root(store, RANDOMNESS))
    with pytest.raises(BadProof):
        verify_opening(catalog_root(store, RANDOMNESS), opening)


def test_whatever_is_changed_in_an_opening_it_is_refused(store: Store) -> None:
    object_id = put(store, b"record")
    root = catalog_root(store, RANDOMNESS)
    opening = open_leaf(store, object_id, root)
    descriptor = msgspec.structs.replace(opening.descriptor, kind=Kind.LAB)
    changes: list[dict[str, Any]] = [
        {"descriptor": descriptor},
        {"descriptor": msgspec.structs.replace(descriptor, tombstone=True)},
        {"salt": bytes(32)},
        {"root_salt": bytes(32)},
        {"commitment": bytes(32)},
        {"index": (opening.index + 1) % 8},
        {"size": 16},
        {"path": opening.path[:-1]},
        {"path": (*opening.path, bytes(32))},
    ]
    for change in changes:
        with pytest.raises(BadProof):
            verify_opening(root, msgspec.structs.replace(opening, **change))


def test_posting_without_a_change_looks_like_a_change(store: Store) -> None:
    put(store, b"record")
    leaves = store.leaves()
    assert catalog_root(store, RANDOMNESS) != catalog_root(store, RANDOMNESS)
    assert store.leaves() == leaves


def test_the_number_of_leaves_tells_little(store: Store) -> None:
    assert len(store.leaves()) == 8
    dummies = store.leaves()
    ids = [put(store, b"record %d" % number) for number in range(8)]
    assert len(store.leaves()) == 8
    assert not set(dummies) & set(store.leaves())
    ids.append(put(store, b"one more"))
    assert len(store.leaves()) == 16
    root = catalog_root(store, RANDOMNESS)
    assert len({open_leaf(store, object_id, root).index for object_id in ids}) == 9


def test_places_are_drawn_and_not_counted(tmp_path: Path) -> None:
    slots = set()
    for number in range(12):
        with Store.create(tmp_path / f"{number}", KEY, RANDOMNESS) as store:
            slots.add(store.get_object(put(store, b"record")).slot)
    assert len(slots) > 2


def test_openings_hold_under_the_live_root_while_a_new_one_is_under_way(store: Store) -> None:
    first = put(store, b"first")
    live = catalog_root(store, RANDOMNESS)
    second = put(store, b"second")
    newer = catalog_root(store, RANDOMNESS)
    verify_opening(live, open_leaf(store, first, live))
    verify_opening(newer, open_leaf(store, second, newer))
    with pytest.raises(NotCommitted, match="is not under root"):
        open_leaf(store, second, live)
    for _ in range(2):
        catalog_root(store, RANDOMNESS)
    with pytest.raises(NotCommitted, match="none of the last"):
        open_leaf(store, first, live)


def test_an_erased_dataset_opens_nowhere_any_more(store: Store) -> None:
    object_id = put(store, b"record")
    before = catalog_root(store, RANDOMNESS)
    store.erase(object_id, RANDOMNESS)
    with pytest.raises(NotCommitted):
        open_leaf(store, object_id, before)
    after = catalog_root(store, RANDOMNESS)
    opening = open_leaf(store, object_id, after)
    assert opening.descriptor.tombstone
    with pytest.raises(BadProof, match="tombstone"):
        verify_opening(after, opening)


digests = st.binary(min_size=32, max_size=32)


@given(
    st.builds(
        DatasetDescriptor,
        schema=st.text(max_size=64),
        kind=st.sampled_from(Kind),
        first_year=st.none() | st.integers(1, 9999),
        last_year=st.none() | st.integers(1, 9999),
        codec=digests,
        base=st.none() | digests,
        policy=st.none() | digests,
        previous=st.none() | digests,
        signature=st.none() | digests,
        tombstone=st.booleans(),
    )
)
def test_a_descriptor_is_read_back(descriptor: DatasetDescriptor) -> None:
    assert decode(encode(descriptor), DatasetDescriptor) == descriptor
