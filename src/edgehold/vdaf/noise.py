"""The noise of one aggregator: the exact discrete Gaussian, from a seed that nobody steers and an audit can recompute.

The seed binds the aggregator's secret, committed before the first report, to the task, the role and a header that did
not exist then. The sampler is frozen: `rust/src/noise.rs` says which bytes it reads, and golden vectors hold it there.
"""

from __future__ import annotations

from fractions import Fraction

from edgehold import _native
from edgehold.crypto.hash import tagged_hash
from edgehold.errors import BadNoise
from edgehold.wire.ids import Digest, TaskId

LARGEST = 1 << 64
"""Numerator and denominator of σ are below it."""

LEADER, HELPER = 0, 1
"""The role of an aggregator, as the seed has it."""


def noise_seed(secret: bytes, task: TaskId, role: int, header_hash: Digest) -> bytes:
    """Seed of 32 bytes: the tagged hash `noise` over secret ‖ task ‖ role (one byte) ‖ header hash.

    The secret has 32 bytes; the header is that of the block after the batch closed. Raises `BadNoise` for a part of a
    wrong size, or a role other than `LEADER` and `HELPER`.
    """
    if not len(secret) == len(task) == len(header_hash) == 32 or role not in (LEADER, HELPER):
        raise BadNoise(f"secret, task and header hash have 32 bytes, and the role is 0 or 1, not {role}")
    return tagged_hash("noise", secret + task + bytes([role]) + header_hash)


def draw_noise(seed: bytes, sigma: Fraction, count: int) -> list[int]:
    """So many independent draws of the discrete Gaussian N(0, σ²) on the integers; one seed gives the same for ever.

    Canonne, Kamath, Steinke, "The Discrete Gaussian for Differential Privacy" (2020). Raises `BadNoise` for a σ that is
    not positive, or whose numerator or denominator in lowest terms has more than 64 bits.
    """
    if not (0 < sigma.numerator < LARGEST and sigma.denominator < LARGEST):
        raise BadNoise(f"σ = {sigma} is not a positive fraction of numbers below 2^64")
    if len(seed) != 32 or count < 0:
        raise BadNoise(f"a seed of {len(seed)} bytes instead of 32, or {count} draws")
    return _native.discrete_gaussian(seed, sigma.numerator, sigma.denominator, count)
