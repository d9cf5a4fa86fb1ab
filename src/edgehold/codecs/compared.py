"""What every codec promises: an encoding is compared before it is used, a decoding stays in its limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from edgehold.errors import CannotDecode

if TYPE_CHECKING:
    from edgehold.codecs.general import Decoder


def compared(codec: Decoder, data: bytes, encoded: bytes) -> bytes:
    """The encoding, after it was decoded once; raises `CannotDecode` if it does not give the data back."""
    if codec.decode(encoded, len(data)) != data:
        raise CannotDecode(f"the encoding of {len(data)} bytes does not give them back; nothing was stored")
    return encoded


def bounded(read: Callable[[bytes, int], bytes], encoded: bytes, limit: int) -> bytes:
    """What was encoded; raises `CannotDecode` if that is no such encoding, or holds more bytes than the limit."""
    try:
        decoded = read(encoded, limit)
    except ValueError as error:
        raise CannotDecode(f"{len(encoded)} bytes are no encoding of this codec and base: {error}") from error
    if len(decoded) > limit:
        raise CannotDecode(f"the encoding holds {len(decoded)} bytes, the limit is {limit}")
    return decoded
