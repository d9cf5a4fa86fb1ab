"""Decoders with a fault each, which the harness has to find."""

from __future__ import annotations

import mmap
from collections.abc import Callable
from pathlib import Path

from target import Reader, Target, only

from edgehold.errors import BadProof, Malformed

KEPT: list[bytes] = []

WAS_BUSY = mmap.mmap(-1, 1)
"""Shared by all processes: whether the machine has been busy."""


def fails(data: bytes) -> None:
    """An error that is no refusal, for one byte in some place."""
    if data[:1] == b"\xa7":
        raise IndexError("planted")


def counts_up_forever(data: bytes) -> None:
    """A loop without an end, in Python."""
    while data[:1] == b"\xa7":
        pass


def slow_once(data: bytes) -> None:
    """Slow because the machine is busy, once."""
    if data[:1] == b"\xa7" and not WAS_BUSY[0]:
        WAS_BUSY[0] = 1
        counts_up_forever(data)


def matches_forever(data: bytes) -> None:
    """The same without ever coming back to Python."""
    if data[:1] == b"\xa7":
        pow(7, (1 << 400_000) - 1, (1 << 400_000) - 3)


def keeps_a_lot(data: bytes) -> None:
    """Memory that one input takes."""
    if data[:1] == b"\xa7":
        KEPT.append(bytes([1]) * (300 << 20))


def leaks(data: bytes) -> None:
    """Memory that many inputs take together."""
    KEPT.append(bytes([len(data) & 1]) * (1 << 20))


def refuses_all(data: bytes) -> None:
    """A decoder that does not even read its examples."""
    raise Malformed("planted")


def prove(data: bytes) -> None:
    """A verification that overlooks the last byte."""
    if data[:-1] != b"proof":
        raise BadProof("planted")


def _reading(read: Callable[[bytes], None]) -> Target:
    return Target(lambda folder: Reader(read, [b"seed", b"another seed"]))


def _prepare(folder: Path) -> Reader:
    return only([b"proof!"], prove)


TARGETS = {
    "planted: fails": _reading(fails),
    "planted: loops": _reading(counts_up_forever),
    "planted: slow once": _reading(slow_once),
    "planted: computes": _reading(matches_forever),
    "planted: takes memory": _reading(keeps_a_lot),
    "planted: leaks": _reading(leaks),
    "planted: refuses all": _reading(refuses_all),
    "planted: accepts too much": Target(_prepare, (BadProof,)),
}
