"""Sizes that tell little: Padmé (Nikitin et al., *Reducing Metadata Leakage from Encrypted Files and Communication with
PURBs*, PoPETs 2019, section 4.4).

A length of L bytes is rounded up so that only ⌊log₂ ⌊log₂ L⌋⌋ + 1 of its leading bits can differ from zero: it grows by
12 % at most, ever less for longer ones, and a length up to M tells O(log log M) bits.
"""

from __future__ import annotations

from edgehold.errors import Malformed

LENGTH_BYTES = 4


def padme(length: int) -> int:
    """The padded length of so many bytes, the least of its kind that holds them."""
    if length < 2:
        return length
    exponent = length.bit_length() - 1
    free = exponent - exponent.bit_length()
    mask = (1 << max(free, 0)) - 1
    return length + mask & ~mask


def pad(data: bytes) -> bytes:
    """The data behind their length (4 bytes, little-endian), filled with zeros to a length of its kind."""
    framed = len(data).to_bytes(LENGTH_BYTES, "little") + data
    return framed.ljust(padme(len(framed)), b"\0")


def unpad(padded: bytes) -> bytes:
    """The data again; raises `Malformed` if these bytes are not padded so."""
    length = int.from_bytes(padded[:LENGTH_BYTES], "little")
    data = padded[LENGTH_BYTES : LENGTH_BYTES + length]
    if pad(data) != padded:
        raise Malformed(f"{len(padded)} bytes are not padded")
    return data
