"""A record under a hub's root: what anybody can check who is shown one leaf with its salts and path."""

from __future__ import annotations

from edgehold.crypto.hash import start_hash, tagged_hash
from edgehold.crypto.merkle import follow_path
from edgehold.errors import BadProof
from edgehold.wire.codec import encode
from edgehold.wire.data import LeafOpening
from edgehold.wire.ids import Digest


def record_commitment(original: bytes) -> Digest:
    """What stands for a record's exact bytes in its leaf."""
    return tagged_hash("original", original)


class Commitment:
    """`record_commitment` of bytes that come in pieces."""

    def __init__(self) -> None:
        self._state = start_hash("original")

    def update(self, piece: bytes) -> None:
        """The next piece."""
        self._state.update(piece)

    def digest(self) -> Digest:
        """The commitment to all pieces so far."""
        return Digest(self._state.digest())


def signature_digest(token: bytes) -> Digest:
    """What stands for an issuer's detached signature in a descriptor."""
    return tagged_hash("record-signature", token)


def verify_opening(root: Digest, opening: LeafOpening) -> None:
    """Check that a hub's root holds the leaf that is shown; raises `BadProof`.

    1. The dataset was not erased.
    2. Leaf and path lead to a tree, and the tree with the salt of its posting to the root.
    """
    # 1
    if opening.descriptor.tombstone:
        raise BadProof("the leaf is a tombstone: its dataset was erased")
    # 2
    leaf = tagged_hash("dataset-leaf", opening.salt + encode(opening.descriptor) + opening.commitment)
    tree = follow_path(leaf, opening.index, opening.size, opening.path)
    reached = tagged_hash("hub-root", tree + opening.root_salt)
    if reached != root:
        raise BadProof(f"the opening leads to root {reached.hex()}, not to {root.hex()}")
