"""Which reports of a closed batch a certificate has to open: nobody chooses them, a header draws them."""

from __future__ import annotations

from edgehold.crypto.hash import tagged_hash
from edgehold.wire.ids import Digest, TaskId


def drawn_indices(header_hash: Digest, task: TaskId, accepted: int, count: int) -> list[int]:
    """The places in the accepted list that the header after the close draws, ascending; all of them in a short list.

    The n-th candidate is tagged_hash("drawn-leaf", header ‖ task ‖ n as 4 bytes) modulo the list's length;
    repetitions are skipped.
    """
    if accepted <= count:
        return list(range(accepted))
    drawn: set[int] = set()
    candidate = 0
    while len(drawn) < count:
        digest = tagged_hash("drawn-leaf", header_hash + task + candidate.to_bytes(4, "big"))
        drawn.add(int.from_bytes(digest, "big") % accepted)
        candidate += 1
    return sorted(drawn)
