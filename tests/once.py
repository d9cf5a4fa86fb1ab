"""What many tests have alike is made once: results of pure functions, which have tests of their own, and folders."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

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


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that all processes of a run share: the first fills it, the others wait for the lock."""
    base = factory.getbasetemp()
    shared = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / name
    with shared.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not shared.exists():
            making = shared.with_suffix(".making")
            shutil.rmtree(making, ignore_errors=True)
            making.mkdir()
            make(making)
            making.rename(shared)
    return shared
