"""Vectors over the prime fields of Prio3, in plain integers: how the ledger's rules add and compare shares.

A share is its elements one after the other, little-endian, 8 bytes each in Field64 and 16 in Field128
(draft-irtf-cfrg-vdaf-18, section 6.1). A number with a sign, as every noised sum is, lies around 0 modulo p.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from edgehold.errors import BadShare
from edgehold.wire.program import MeasurementKind, MeasurementType


@dataclass(frozen=True)
class Field:
    """A prime field: its modulus, and the bytes of one element."""

    modulus: int
    size: int


FIELD64 = Field(modulus=2**64 - 2**32 + 1, size=8)
"""Of count and sum."""

FIELD128 = Field(modulus=2**128 - 7 * 2**66 + 1, size=16)
"""Of histogram, multihot, sumvec and l1bound."""

_SCALARS = (MeasurementKind.COUNT, MeasurementKind.SUM)


def field_of(measurement: MeasurementType) -> Field:
    """The field over which shares of this type are vectors."""
    return FIELD64 if measurement.kind in _SCALARS else FIELD128


def output_length(measurement: MeasurementType) -> int:
    """How many numbers a result of this type has, and elements its shares."""
    return 1 if measurement.kind in _SCALARS else measurement.length


def share_size(measurement: MeasurementType) -> int:
    """Bytes of an output share and of an aggregate share."""
    return field_of(measurement).size * output_length(measurement)


def encode_share(measurement: MeasurementType, values: Sequence[int]) -> bytes:
    """Write integers of any sign and size as a share, each modulo p; raises `BadShare` for another number of them."""
    field = field_of(measurement)
    if len(values) != output_length(measurement):
        raise BadShare(f"{len(values)} numbers instead of {output_length(measurement)}")
    return b"".join((value % field.modulus).to_bytes(field.size, "little") for value in values)


def decode_share(measurement: MeasurementType, share: bytes) -> list[int]:
    """Read the elements of a share; raises `BadShare` for another length or an element that is not below p."""
    field = field_of(measurement)
    if len(share) != share_size(measurement):
        raise BadShare(f"a share of {len(share)} bytes instead of {share_size(measurement)}")
    values = [int.from_bytes(share[at : at + field.size], "little") for at in range(0, len(share), field.size)]
    for place, value in enumerate(values):
        if value >= field.modulus:
            raise BadShare(f"element {place} of a share is not below the modulus")
    return values


def add_shares(measurement: MeasurementType, shares: Iterable[bytes]) -> list[int]:
    """The numbers that shares add up to, centred: above p/2 they are negative. Raises `BadShare`."""
    modulus = field_of(measurement).modulus
    totals = [0] * output_length(measurement)
    for share in shares:
        totals = [total + value for total, value in zip(totals, decode_share(measurement, share), strict=True)]
    return [(total + modulus // 2) % modulus - modulus // 2 for total in totals]


def add_vector(measurement: MeasurementType, share: bytes, values: Sequence[int]) -> bytes:
    """Add an integer of any sign, such as noise, to each element of a share. Raises `BadShare`."""
    elements = decode_share(measurement, share)
    if len(values) != len(elements):
        raise BadShare(f"{len(values)} numbers cannot be added to {len(elements)} elements")
    return encode_share(measurement, [element + value for element, value in zip(elements, values, strict=True)])
