"""What a hub commits to: all its datasets as salted leaves under one opaque root, and the opening of one of them.

The leaves are a list whose length is a power of two, at least 8; what is no dataset is a random dummy, made once and
kept, so that neither root nor path tells how many datasets there are. Each posting salts the root anew: whether
anything changed since the last cannot be seen. A root is

    tagged_hash("hub-root", Merkle root (RFC 9162) of the leaves ‖ root salt)

The hub remembers the leaves and salts of its last postings, so that it can open under whichever of them the ledger
holds.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.merkle import tree_path, tree_root
from edgehold.errors import Malformed, NotCommitted
from edgehold.hub.sealed import LEAST_LEAVES
from edgehold.hub.store import Store
from edgehold.ports import Randomness
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import LeafOpening, ObjectId, Salt
from edgehold.wire.ids import Digest
from edgehold.wire.proof import Path

REMEMBERED = 3
"""Postings under which leaves can be opened: the live one, one that may be under way, and one before."""

LEAF = 32
"""Bytes of a leaf."""


class Posting(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What one root was made of."""

    root: Digest
    salt: Salt
    leaves: tuple[Digest, ...]


class Postings(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The last of them, the newest first."""

    newest_first: Annotated[tuple[Posting, ...], Meta(max_length=REMEMBERED)]


def catalog_root(store: Store, randomness: Randomness) -> Digest:
    """A root to post over what the hub holds now, salted anew and remembered for openings."""
    salt = Salt(randomness.draw(32))
    leaves = store.leaves()
    posting = Posting(root=root_of(tree_root(leaves), salt), salt=salt, leaves=tuple(leaves))
    with store.transaction():
        before = _postings(store).newest_first[: REMEMBERED - 1]
        store.set_fact("postings", encode(Postings(newest_first=(posting, *before))))
    return posting.root


def open_leaf(store: Store, object_id: ObjectId, root: Digest) -> LeafOpening:
    """Show one object under a root that this hub posted; raises `NotCommitted` if it is not there, or changed since."""
    found = store.get_object(object_id)
    for posting in _postings(store).newest_first:
        if posting.root == root:
            break
    else:
        raise NotCommitted(f"root {root.hex()} is none of the last {REMEMBERED} that this hub made")
    if found.slot >= len(posting.leaves) or posting.leaves[found.slot] != found.leaf:
        raise NotCommitted(f"object {object_id.hex()} is not under root {root.hex()}")
    return LeafOpening(
        descriptor=found.descriptor,
        salt=found.salt,
        commitment=found.commitment,
        index=found.slot,
        size=len(posting.leaves),
        path=Path(tuple(tree_path(posting.leaves, found.slot))),
        root_salt=posting.salt,
    )


def check_catalog(store: Store) -> list[str]:
    """Compute again what the hub remembers of its postings; a sentence for each thing that is wrong."""
    dummies = store.get_fact("dummies")
    count = len(dummies) // LEAF
    if len(dummies) % LEAF or count < LEAST_LEAVES or count & (count - 1) or store.last_slot() >= count:
        return [f"the leaves that only fill are {count}, which is no number of leaves of this hub"]
    try:
        postings = _postings(store).newest_first
    except Malformed:
        return ["what the hub remembers of its postings was altered"]
    faults = [
        f"the leaves remembered of root {one.root.hex()} do not give it"
        for one in postings
        if root_of(tree_root(one.leaves), one.salt) != one.root
    ]
    if postings and not faults:
        newest, filling = postings[0].leaves, store.filling_slots()
        faults += [
            f"the leaf that fills place {slot} is another than the one that was posted"
            for slot in sorted(filling)
            if slot < len(newest) and dummies[slot * LEAF : (slot + 1) * LEAF] != newest[slot]
        ]
    return faults


def root_of(tree: Digest, salt: Salt) -> Digest:
    """What is posted for a tree of leaves."""
    return tagged_hash("hub-root", tree + salt)


def _postings(store: Store) -> Postings:
    kept = store.get_fact("postings")
    return decode(kept, Postings) if kept else Postings(newest_first=())
