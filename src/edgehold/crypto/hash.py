"""Tagged SHA-256: every hash begins with what it hashes, so that a digest of one kind of thing is never one of another."""

from __future__ import annotations

from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING

from edgehold.wire.ids import Digest

if TYPE_CHECKING:
    from hashlib import _Hash


@cache
def _prefix(tag: str) -> _Hash:
    return sha256(b"edgehold:" + tag.encode("ascii") + b"\x00")


def tagged_hash(tag: str, data: bytes) -> Digest:
    """SHA-256 over `edgehold:` ‖ tag ‖ 0x00 ‖ data. Tags are ASCII without NUL and are listed in docs/protocol.md."""
    state = _prefix(tag).copy()
    state.update(data)
    return Digest(state.digest())
