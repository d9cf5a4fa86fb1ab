"""What many tests compute alike is computed once: pure functions of bytes, whose results each have tests of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

import pytest

from edgehold.codecs.record import RecordCodec
from edgehold.crypto.blind import IssuerKey, make_issuer_keys

_decode = lru_cache(maxsize=256)(RecordCodec.decode)


@lru_cache(maxsize=64)
def _keys(seeds: tuple[bytes, ...]) -> tuple[IssuerKey, ...]:
    return tuple(make_issuer_keys(seeds))


def _make_issuer_keys(seeds: Sequence[bytes]) -> list[IssuerKey]:
    return list(_keys(tuple(seeds)))


@contextmanager
def computing_once() -> Iterator[None]:
    """Meanwhile records are decoded once, and issuers' keys made once, however many networks begin with the same."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RecordCodec, "decode", _decode)
        patch.setattr("edgehold.issuer.issuer.make_issuer_keys", _make_issuer_keys)
        yield
