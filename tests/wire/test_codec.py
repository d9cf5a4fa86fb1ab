"""The encoding of messages: what `encode` writes, however it is written."""

from __future__ import annotations

import pytest

from edgehold.wire.codec import encode, encode_bytes


@pytest.mark.parametrize("size", [0, 23, 24, 255, 256, 65_535, 65_536])
def test_byte_strings_are_written_as_everything_else_is(size: int) -> None:
    assert encode_bytes(bytes(size)) == encode(bytes(size))
