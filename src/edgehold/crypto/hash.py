"""Tagged SHA-256: every hash begins with what it hashes, so that a digest of one kind of thing is never one of another."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, cast

from edgehold import _native
from edgehold.wire.ids import Digest

if TYPE_CHECKING:
    from hashlib import _Hash


@cache
def _prefix(tag: str) -> _Hash:
    return sha256(_first(tag))


def _first(tag: str) -> bytes:
    return b"edgehold:" + tag.encode("ascii") + b"\x00"


def tagged_hash(tag: str, data: bytes) -> Digest:
    """SHA-256 over `edgehold:` ‖ tag ‖ 0x00 ‖ data. Tags are ASCII without NUL and are listed in docs/protocol.md."""
    state = start_hash(tag)
    state.update(data)
    return Digest(state.digest())


def tagged_hashes(tag: str, data: Sequence[bytes]) -> list[Digest]:
    """The tagged hash of each, in their order, for a fraction of what it takes one by one."""
    return cast(list[Digest], _native.digests(_first(tag), data))


def start_hash(tag: str) -> _Hash:
    """A tagged hash that is told its data in pieces; `Digest(state.digest())` is that of all of them."""
    return _prefix(tag).copy()
