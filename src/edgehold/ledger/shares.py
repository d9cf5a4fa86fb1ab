"""Noised shares: how they are sealed to the order's key, and how a dispute about two of them is judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from edgehold.crypto.names import noised_share_digest, sealed_share_digest, statement_message
from edgehold.crypto.seal import OVERHEAD, SealKeyPair, open_sealed
from edgehold.errors import BadShare, CannotOpen, Groundless, NotThePostedShare, SealKeyUnusable, WrongPrivateKey
from edgehold.vdaf.field import add_shares, decode_share, share_size
from edgehold.wire.batch import BatchStatement
from edgehold.wire.codec import encode
from edgehold.wire.ids import Digest, SealKey
from edgehold.wire.program import MeasurementKind, MeasurementType
from edgehold.wire.task import MAX_SEALED_SHARE, DisputeResult, Party, PostedShare, TaskConfiguration

ALLOWANCE = 12
"""Standard deviations of both noises together by which an honest sum may leave its range; chance never does more."""

_ROLE_BYTE = {Party.LEADER: b"\x00", Party.HELPER: b"\x01"}


# ── how a share is sealed ─────────────────────────────────────────────────────────────────────────────────────────


def share_info(party: Party) -> bytes:
    """The HPKE info of an aggregator's sealed share: `edgehold share` ‖ 0 for the leader, 1 for the helper."""
    return b"edgehold share" + _ROLE_BYTE[party]


def share_aad(statement: BatchStatement) -> bytes:
    """The HPKE aad of both sealed shares: the task and the digest that both aggregators signed."""
    return encode([statement.task, statement_message(statement)])


def is_carried(measurement: MeasurementType) -> bool:
    """Whether a sealed share of this measurement fits into a transaction, and so has to travel there."""
    return share_size(measurement) + OVERHEAD <= MAX_SEALED_SHARE


_PRIME = 2**255 - 19
_SMALL_ORDER = frozenset(
    {
        0,
        1,
        _PRIME - 1,
        325606250916557431795983626356110631294008115727848805560023387167927233504,
        39382357235489614581723060781553021112529911719440698176882885853963445705823,
    }
)
"""The points of X25519, and of its twist, with which every exchange gives the same secret (RFC 7748, section 6.1)."""


def require_usable(key: SealKey) -> None:
    """Raises `SealKeyUnusable` for a key to which nobody can seal: who asks for the impossible blames others for it."""
    if (int.from_bytes(key, "little") & (1 << 255) - 1) % _PRIME in _SMALL_ORDER:
        raise SealKeyUnusable(f"nothing can be sealed to {key.hex()}")


# ── how a dispute is judged ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class PostedShares:
    """What the ledger keeps of a result: the batch it is of, and the digests of its two shares."""

    statement: BatchStatement
    leader: PostedShare
    helper: PostedShare


def judge_shares(configuration: TaskConfiguration, posted: PostedShares, tx: DisputeResult) -> list[Party]:
    """Who is to blame for a result that cannot be used; nobody named means that one of the two is, unknown which.

    1. The private key is the one whose public key the order names.
    2. The sealed bytes are the ones that were posted.
    3. A share that does not open, has another digest than was posted, or is no vector of the field, names its sender.
    4. Two good shares whose sum could be honest make the dispute groundless.

    `tx.private_key` is the seed of 32 bytes from which the order's key pair is derived. Raises `WrongPrivateKey`,
    `NotThePostedShare`, `Groundless`.
    """
    pair = SealKeyPair(tx.private_key)
    if pair.public != configuration.seal_key:
        raise WrongPrivateKey(f"the key that fits has the public key {configuration.seal_key.hex()}")
    given = {Party.LEADER: (tx.leader_sealed, posted.leader), Party.HELPER: (tx.helper_sealed, posted.helper)}
    for party, (sealed, share) in given.items():
        if sealed_share_digest(sealed) != share.sealed_digest:
            raise NotThePostedShare(f"the {party.value} posted the sealed share {share.sealed_digest.hex()}")
    shares: list[bytes] = []
    guilty: list[Party] = []
    for party, (sealed, share) in given.items():
        try:
            shares.append(_open_share(pair, configuration, posted.statement, party, sealed, share.share_digest))
        except (CannotOpen, BadShare):
            guilty.append(party)
    if not guilty and is_possible(configuration, posted.statement.accepted, shares):
        raise Groundless(f"both shares of task {tx.task.hex()} open, and their sum lies within its range")
    return guilty


def _open_share(
    pair: SealKeyPair,
    configuration: TaskConfiguration,
    statement: BatchStatement,
    party: Party,
    sealed: bytes,
    digest: Digest,
) -> bytes:
    share = open_sealed(pair, share_info(party), share_aad(statement), sealed)
    if noised_share_digest(share) != digest:
        raise BadShare(f"the {party.value}'s share is not the one whose digest it posted")
    decode_share(configuration.measurement, share)
    return share


def is_possible(configuration: TaskConfiguration, reports: int, shares: Sequence[bytes]) -> bool:
    """Whether every number that the shares add up to lies in [−12 sd, reports·bound + 12 sd], with sd = σ·√2.

    In integers: x is at most 12 standard deviations if (x·denominator)² ≤ 12²·2·numerator².
    """
    largest = reports * bound_of(configuration.measurement)
    numbers = add_shares(configuration.measurement, shares)
    beyond = max(max(-number, number - largest, 0) for number in numbers)
    return (beyond * configuration.sigma_denominator) ** 2 <= ALLOWANCE**2 * 2 * configuration.sigma_numerator**2


def bound_of(measurement: MeasurementType) -> int:
    """The largest number that one report can add to one place of the sum."""
    match measurement.kind:
        case MeasurementKind.COUNT | MeasurementKind.HISTOGRAM | MeasurementKind.MULTIHOT:
            return 1
        case MeasurementKind.SUM | MeasurementKind.SUMVEC | MeasurementKind.L1BOUND:
            return measurement.bound
        case _ as unreachable:
            assert_never(unreachable)
