"""Lists that one hub of a process has checked serve the others; only the last few are kept."""

from edgehold.crypto.hash import tagged_hash
from edgehold.hub.hub import ListCache


def test_lists_are_found_under_the_statement_that_both_signed() -> None:
    cache = ListCache()
    name = tagged_hash("test", b"one")
    assert cache.find(name) is None
    cache.keep(name, ([], []))
    assert cache.find(name) == ([], [])


def test_only_the_last_few_batches_are_kept() -> None:
    cache = ListCache(most=2)
    names = [tagged_hash("test", bytes([number])) for number in range(3)]
    for name in names:
        cache.keep(name, ([], []))
    assert [cache.find(name) is not None for name in names] == [False, True, True]
