"""Hub roots: the one opaque commitment a hub has on the ledger."""

from __future__ import annotations

from msgspec import Struct

from edgehold.wire.ids import Counter, Digest, Height


class CommitRoot(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=15):
    """A hub posts the salted root over all its datasets, on schedule, changed or not."""

    root: Digest


class HubRoot(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: a hub's live root."""

    root: Digest
    at: Height
    posted: Counter
