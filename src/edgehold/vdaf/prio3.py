"""Prio3 (draft-irtf-cfrg-vdaf-18, with TurboSHAKE128): a measurement in shares that prove it valid without showing it.

A hub shards; leader and helper verify a report together in two messages and keep an output share each; their sums, the
aggregate shares, give the result only together. All values are bytes in the draft's encoding. The draft leaves open the
chunk length of the proofs; here it is always the one with the shortest proof for the encoded measurement.

| kind | measurement | result |
| --- | --- | --- |
| count | 0 or 1 | how many 1 |
| sum | 0 … bound | their sum |
| histogram | a place 0 … length - 1 | how many at each place |
| multihot | `length` bits, at most `weight` of them 1 | how many 1 at each place |
| sumvec | `length` numbers 0 … bound | the sum at each place |
| l1bound | `length` numbers that sum to at most bound (draft-ietf-ppm-l1-bound-sum-01) | the sum at each place |
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, assert_never

from edgehold import _native
from edgehold.errors import BadMeasurement, BadShare, OutOfBounds
from edgehold.vdaf import field
from edgehold.wire.program import MeasurementKind, MeasurementType

NONCE_BYTES: Final = 16
VERIFY_KEY_BYTES: Final = 32

Measurement = int | Sequence[int]
"""A number, or a vector where the kind has one."""


class Begun(NamedTuple):
    """The leader's first step: state to keep, message to send to the helper."""

    state: bytes
    message: bytes

    def __repr__(self) -> str:
        return f"Begun(state=…, message=<{len(self.message)} bytes>)"


class Verified(NamedTuple):
    """The helper found the report valid: message to send back, output share to add."""

    message: bytes
    output_share: bytes

    def __repr__(self) -> str:
        return f"Verified(message=<{len(self.message)} bytes>, output_share=…)"


@dataclass(frozen=True)
class Rejected:
    """A report that does not count, and why; for the aggregator's log."""

    reason: str


class Prio3:
    """Prio3 of one measurement type between two aggregators; `make_prio3` makes it. Batches run on all cores."""

    def __init__(self, measurement: MeasurementType, native: _native.Prio3) -> None:
        self.measurement: Final = measurement
        self.output_length: Final = native.output_length
        self.random_length: Final = native.random_length
        self._native = native

    def shard(
        self, context: bytes, measurement: Measurement, nonce: bytes, random: bytes
    ) -> tuple[bytes, tuple[bytes, bytes]]:
        """Split a measurement: the public share, and the input shares of leader and helper.

        The nonce has 16 bytes, `random` has `random_length`; both must be fresh. Raises `OutOfBounds` for a measurement
        that the type does not have.
        """
        if len(nonce) != NONCE_BYTES or len(random) != self.random_length:
            raise ValueError(f"{NONCE_BYTES} bytes of nonce and {self.random_length} of randomness are needed")
        try:
            public_share, (leader, helper) = self._native.shard(context, measurement, nonce, random)
        except (ValueError, TypeError, OverflowError) as error:
            raise OutOfBounds(f"not a measurement of type {self.measurement.kind.value}: {error}") from None
        return public_share, (leader, helper)

    def leader_init_batch(
        self, verify_key: bytes, context: bytes, reports: Sequence[tuple[bytes, bytes, bytes]]
    ) -> list[Begun | Rejected]:
        """The leader's first step for each (nonce, public share, leader's input share)."""
        answers = self._native.leader_init_batch(verify_key, context, reports)
        return [Rejected(answer) if isinstance(answer, str) else Begun(*answer) for answer in answers]

    def helper_init_batch(
        self, verify_key: bytes, context: bytes, reports: Sequence[tuple[bytes, bytes, bytes, bytes]]
    ) -> list[Verified | Rejected]:
        """The helper's only step for each (nonce, public share, helper's input share, leader's message)."""
        answers = self._native.helper_init_batch(verify_key, context, reports)
        return [Rejected(answer) if isinstance(answer, str) else Verified(*answer) for answer in answers]

    def leader_finish_batch(self, context: bytes, reports: Sequence[tuple[bytes, bytes]]) -> list[bytes | Rejected]:
        """The leader's last step for each (state, helper's message): its output share."""
        answers = self._native.leader_finish_batch(context, reports)
        return [Rejected(answer) if isinstance(answer, str) else answer for answer in answers]

    def verify_alone(
        self, verify_key: bytes, context: bytes, reports: Sequence[tuple[bytes, bytes, bytes, bytes]]
    ) -> tuple[bytes, bytes]:
        """Both aggregate shares of (nonce, public share, leader's, helper's input share): all steps of both in one place.

        No aggregator may do this, since it sees both shares: it is what a bench compares the steps with. Raises
        `BadShare` if one report does not hold.
        """
        try:
            return self._native.verify_alone(verify_key, context, reports)
        except ValueError as error:
            raise BadShare(f"not every report holds: {error}") from error

    def aggregate(self, output_shares: Sequence[bytes]) -> bytes:
        """Sum one aggregator's output shares into its aggregate share (of none, zeros). Raises `BadShare`."""
        try:
            return self._native.aggregate(output_shares)
        except ValueError as error:
            raise BadShare(f"output shares cannot be summed: {error}") from error

    def merge(self, aggregate_shares: Sequence[bytes]) -> bytes:
        """Sum aggregate shares of one aggregator. Raises `BadShare`."""
        try:
            return self._native.merge(aggregate_shares)
        except ValueError as error:
            raise BadShare(f"aggregate shares cannot be merged: {error}") from error

    def add_vector(self, aggregate_share: bytes, values: Sequence[int]) -> bytes:
        """Add an integer of any sign, such as noise, to each element. Raises `BadShare`."""
        return field.add_vector(self.measurement, aggregate_share, values)

    def unshard(self, aggregate_shares: Sequence[bytes]) -> list[int]:
        """The result from the shares of both aggregators; after noise a number can be negative. Raises `BadShare`."""
        return field.add_shares(self.measurement, aggregate_shares)


def neutral(measurement: MeasurementType) -> int | list[int]:
    """What a hub reports that has nothing to say: zero, or in a histogram the last bucket, "n/a"."""
    match measurement.kind:
        case MeasurementKind.COUNT | MeasurementKind.SUM:
            return 0
        case MeasurementKind.HISTOGRAM:
            return measurement.length - 1
        case MeasurementKind.MULTIHOT | MeasurementKind.SUMVEC | MeasurementKind.L1BOUND:
            return [0] * measurement.length
        case _:
            assert_never(measurement.kind)


def make_prio3(measurement: MeasurementType) -> Prio3:
    """Prio3 for a measurement type; raises `BadMeasurement` if its numbers make none, or one too large to send.

    1. What the kind does not use is 1 (`length`) or 0, so that one type has one description.
    2. The weight of a multihot measurement is at most its length.
    3. The encoded measurement has at most 2^20 elements.
    """
    length, bound, weight = measurement.length, measurement.bound, measurement.weight
    used = _USED[measurement.kind]
    if (length, bound, weight) != ((length if used.length else 1), bound * used.bound, weight * used.weight):
        raise BadMeasurement(
            f"{measurement.kind.value} has no use for length {length}, bound {bound} or weight {weight}"
        )
    if weight > length:
        raise BadMeasurement(f"at most {length} of {length} bits can be set, not {weight}")
    try:
        chunk = _native.optimal_chunk_length(_encoded_length(measurement))
        kind = measurement.kind.value
        return Prio3(measurement, _native.Prio3(kind, length=length, bound=bound, weight=weight, chunk=chunk))
    except (ValueError, OverflowError) as error:
        raise BadMeasurement(
            f"{measurement.kind.value} of {length}, bound {bound}, weight {weight}: {error}"
        ) from error


class _Used(NamedTuple):
    """Which numbers a kind uses."""

    length: bool
    bound: bool
    weight: bool


_USED = {
    MeasurementKind.COUNT: _Used(length=False, bound=False, weight=False),
    MeasurementKind.SUM: _Used(length=False, bound=True, weight=False),
    MeasurementKind.HISTOGRAM: _Used(length=True, bound=False, weight=False),
    MeasurementKind.MULTIHOT: _Used(length=True, bound=False, weight=True),
    MeasurementKind.SUMVEC: _Used(length=True, bound=True, weight=False),
    MeasurementKind.L1BOUND: _Used(length=True, bound=True, weight=False),
}


def _encoded_length(measurement: MeasurementType) -> int:
    """Field elements of an encoded measurement, where the type has chunks (draft, section 7.4)."""
    match measurement.kind:
        case MeasurementKind.COUNT | MeasurementKind.SUM:
            return 0
        case MeasurementKind.HISTOGRAM:
            return measurement.length
        case MeasurementKind.MULTIHOT:
            return measurement.length + measurement.weight.bit_length()
        case MeasurementKind.SUMVEC:
            return measurement.length * measurement.bound.bit_length()
        case MeasurementKind.L1BOUND:
            return (measurement.length + 1) * measurement.bound.bit_length()
