"""Lists, statements, openings, absence: what can be shown from a batch."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from edgehold.aggregation.batch import (
    BatchLists,
    find_leaf,
    intersect,
    list_root,
    make_lists,
    make_statement,
    open_leaves,
    prove_absence,
    sign_statement,
)
from edgehold.crypto.merkle import check_path
from edgehold.crypto.names import statement_message
from edgehold.crypto.signatures import SigningKey, verify
from edgehold.errors import Malformed
from edgehold.wire.batch import ReportLeaf
from edgehold.wire.codec import encode
from edgehold.wire.ids import Digest, PublicKey, ReportId, Signature, SlotKey, TaskId, Token

TASK = TaskId(Digest(b"t" * 32))


def leaf(number: int, person: int | None = None) -> ReportLeaf:
    """A leaf with this report id, of some person."""
    return ReportLeaf(
        report=ReportId(number.to_bytes(16, "big")),
        panel=0,
        slot_key=SlotKey(PublicKey((number if person is None else person).to_bytes(32, "big"))),
        token=Token(bytes(256)),
        permit=Signature(bytes(64)),
        leader_share=Digest(bytes(32)),
        helper_share=Digest(bytes(32)),
    )


numbers = some.sets(some.integers(0, 30), max_size=12)


@some.composite
def lists(draw: some.DrawFn) -> BatchLists:
    """Some lists."""
    accepted = draw(numbers)
    return make_lists(map(leaf, accepted), map(leaf, draw(numbers) - accepted))


def ids(leaves: tuple[ReportLeaf, ...]) -> set[bytes]:
    """The report ids of a list."""
    return {one.report for one in leaves}


@given(some.permutations(range(9)))
def test_lists_do_not_depend_on_the_order_of_arrival(order: list[int]) -> None:
    assert make_lists(map(leaf, order), []).accepted == tuple(map(leaf, range(9)))


def test_a_report_id_stands_in_the_lists_once() -> None:
    with pytest.raises(Malformed, match="occur twice"):
        make_lists([leaf(1)], [leaf(1, person=2)])
    with pytest.raises(Malformed, match="occur twice"):
        make_lists([leaf(1), leaf(1)], [])


@given(lists(), lists())
def test_an_intersection_loses_no_leaf_and_both_sides_reach_the_same(own: BatchLists, other: BatchLists) -> None:
    met = intersect(own, other)
    assert met == intersect(other, own)
    assert ids(met.accepted) == ids(own.accepted) & ids(other.accepted)
    assert ids(met.accepted) | ids(met.rejected) == set().union(
        *(ids(part) for one in (own, other) for part in (one.accepted, one.rejected))
    )


def test_two_leaves_under_one_report_id_are_both_not_counted() -> None:
    met = intersect(make_lists([leaf(1, person=1)], []), make_lists([leaf(1, person=2)], []))
    assert met == make_lists([], [leaf(1, person=1)])


@given(lists())
def test_every_leaf_opens_and_every_absence_is_shown_by_two_neighbours(some_lists: BatchLists) -> None:
    for leaves in (some_lists.accepted, some_lists.rejected):
        root = list_root(leaves)
        for place, opening in enumerate(open_leaves(leaves, range(len(leaves)))):
            assert (opening.leaf, opening.index) == (leaves[place], place)
            check_path(root, encode(opening.leaf), place, len(leaves), list(opening.path))
            assert find_leaf(leaves, opening.leaf.report) == place
        for number in range(31):
            report = leaf(number).report
            if report in ids(leaves):
                with pytest.raises(ValueError, match="is leaf"):
                    prove_absence(leaves, report)
                continue
            assert find_leaf(leaves, report) is None
            absence = prove_absence(leaves, report)
            shown = [opening for opening in (absence.left, absence.right) if opening]
            assert len(shown) == (
                0 if not leaves else 1 if report < leaves[0].report or report > leaves[-1].report else 2
            )
            assert not absence.left or absence.left.leaf.report < report
            assert not absence.right or absence.right.leaf.report > report


def test_a_statement_names_round_roots_and_totals() -> None:
    some_lists = make_lists([leaf(1), leaf(2)], [leaf(3)])
    statement = make_statement(TASK, 1, some_lists)
    assert (statement.round, statement.accepted, statement.rejected) == (1, 2, 1)
    assert (statement.accepted_root, statement.rejected_root) == (
        list_root(some_lists.accepted),
        list_root(some_lists.rejected),
    )
    key = SigningKey(bytes(32))
    verify(key.public, statement_message(statement), sign_statement(key, statement).signature)
