"""One batch: the two public lists of a task, the statement over them, and what can be shown from them.

Each list is sorted by report id. A leaf never disappears: a report that either aggregator knows is in one of the lists
at both, and what either rejects is in *rejected* at both. That is why agreeing needs no vote: accepted is what both
accept, rejected is everything else.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgehold.crypto.merkle import tree_paths, tree_root
from edgehold.crypto.names import statement_message
from edgehold.crypto.signatures import SigningKey
from edgehold.errors import Malformed
from edgehold.wire.batch import Absence, BatchStatement, LeafOpening, ReportLeaf, SignedBatch
from edgehold.wire.codec import encode
from edgehold.wire.ids import Digest, ReportId, TaskId


@dataclass(frozen=True)
class BatchLists:
    """Both lists, each sorted by report id; no report id stands in both or twice."""

    accepted: tuple[ReportLeaf, ...]
    rejected: tuple[ReportLeaf, ...]


def make_lists(accepted: Iterable[ReportLeaf], rejected: Iterable[ReportLeaf]) -> BatchLists:
    """Sort leaves into lists; raises `Malformed` if a report id occurs twice."""
    lists = BatchLists(accepted=_sorted(accepted), rejected=_sorted(rejected))
    reports = [leaf.report for leaf in (*lists.accepted, *lists.rejected)]
    if len(set(reports)) != len(reports):
        raise Malformed(f"{len(reports) - len(set(reports))} report ids occur twice in the lists of a batch")
    return lists


def intersect(own: BatchLists, other: BatchLists) -> BatchLists:
    """What both accept stays accepted; whatever else either knows is rejected.

    Two leaves under one report id cannot both be right, and nobody else can say which is: ours stays, rejected.
    """
    theirs = {leaf.report: leaf for leaf in other.accepted}
    accepted = [leaf for leaf in own.accepted if theirs.get(leaf.report) == leaf]
    kept = {leaf.report for leaf in accepted}
    known = {leaf.report: leaf for leaf in (*other.accepted, *other.rejected, *own.accepted, *own.rejected)}
    return make_lists(accepted, (leaf for report, leaf in known.items() if report not in kept))


def make_statement(task: TaskId, number: int, lists: BatchLists) -> BatchStatement:
    """What both aggregators sign about the lists; `number` is the round, 0 or after one intersection 1."""
    return BatchStatement(
        task=task,
        round=number,
        accepted_root=list_root(lists.accepted),
        rejected_root=list_root(lists.rejected),
        accepted=len(lists.accepted),
        rejected=len(lists.rejected),
    )


def list_root(leaves: Sequence[ReportLeaf]) -> Digest:
    """Root of one list: an RFC 6962 tree over the encoded leaves."""
    return tree_root([encode(leaf) for leaf in leaves])


def sign_statement(key: SigningKey, statement: BatchStatement) -> SignedBatch:
    """Sign a statement; a node keeps what it signed and never signs another for the same round."""
    return SignedBatch(statement=statement, signature=key.sign(statement_message(statement)))


def open_leaves(leaves: Sequence[ReportLeaf], indices: Sequence[int]) -> list[LeafOpening]:
    """The leaves at these places of one list, each with its path. Raises `IndexError` if there is no such place."""
    paths = tree_paths([encode(leaf) for leaf in leaves], indices)
    return [
        LeafOpening(leaf=leaves[index], index=index, path=tuple(path))
        for index, path in zip(indices, paths, strict=True)
    ]


def prove_absence(leaves: Sequence[ReportLeaf], report: ReportId) -> Absence:
    """The neighbours between which a report would stand; raises `ValueError` if the list has it."""
    place = bisect_left(leaves, report, key=lambda leaf: leaf.report)
    if place < len(leaves) and leaves[place].report == report:
        raise ValueError(f"report {report.hex()} is leaf {place} of the list")
    shown = [index for index in (place - 1, place) if 0 <= index < len(leaves)]
    openings = dict(zip(shown, open_leaves(leaves, shown), strict=True))
    return Absence(left=openings.get(place - 1), right=openings.get(place))


def find_leaf(leaves: Sequence[ReportLeaf], report: ReportId) -> int | None:
    """The place of a report in one sorted list, or none."""
    place = bisect_left(leaves, report, key=lambda leaf: leaf.report)
    return place if place < len(leaves) and leaves[place].report == report else None


def _sorted(leaves: Iterable[ReportLeaf]) -> tuple[ReportLeaf, ...]:
    return tuple(sorted(leaves, key=lambda leaf: leaf.report))
