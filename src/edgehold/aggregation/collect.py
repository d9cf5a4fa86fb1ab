"""From a closed batch to the result: noise on each aggregator's sum, sealed shares, and what two of them give together.

Each aggregator adds its full noise once: a discrete Gaussian of the order's σ on every number of the result. The seed
is its own secret, committed to before the first report, with the header after the close, which nobody knew then; so
nobody steers the noise and an audit can draw it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.names import noised_share_digest, sealed_share_digest
from edgehold.crypto.seal import SealKeyPair, open_sealed, seal
from edgehold.errors import ShareDiffers
from edgehold.ports import Randomness
from edgehold.vdaf.field import add_shares, add_vector, output_length
from edgehold.vdaf.noise import draw_noise, noise_seed
from edgehold.wire.ids import Digest, OrderId, TaskId
from edgehold.wire.task import MAX_SEALED_SHARE, Party, PostShare, TaskConfiguration

_ROLE = {Party.LEADER: 0, Party.HELPER: 1}


def noise_commitment(secret: bytes, order: OrderId, party: Party) -> Digest:
    """What an aggregator posts of its noise secret before there is a task: over secret ‖ order ‖ role (0 or 1)."""
    return tagged_hash("noise-commitment", secret + order + bytes([_ROLE[party]]))


def party_noise(
    configuration: TaskConfiguration, task: TaskId, party: Party, secret: bytes, header_hash: Digest
) -> list[int]:
    """The noise of one aggregator, one number for each of the result; `header_hash` is of the block after the close."""
    sigma = Fraction(configuration.sigma_numerator, configuration.sigma_denominator)
    seed = noise_seed(secret, task, _ROLE[party], header_hash)
    return draw_noise(seed, sigma, output_length(configuration.measurement))


def add_noise(configuration: TaskConfiguration, aggregate_share: bytes, noise: Sequence[int]) -> bytes:
    """The noised share: what is posted, sealed, and opened by the customer."""
    return add_vector(configuration.measurement, aggregate_share, noise)


def make_posting(
    configuration: TaskConfiguration, task: TaskId, *, share: bytes, info: bytes, aad: bytes, randomness: Randomness
) -> tuple[PostShare, bytes]:
    """Seal a noised share to the order's key: the entry to post, and the sealed bytes.

    The entry carries the bytes up to `MAX_SEALED_SHARE`; larger ones lie at both aggregators. `info` and `aad` are the
    ledger's for this task and party.
    """
    sealed = seal(configuration.seal_key, info, aad, share, randomness)
    posting = PostShare(
        task=task,
        sealed=sealed if len(sealed) <= MAX_SEALED_SHARE else b"",
        sealed_digest=sealed_share_digest(sealed),
        share_digest=noised_share_digest(share),
    )
    return posting, sealed


def open_share(pair: SealKeyPair, sealed: bytes, *, info: bytes, aad: bytes, posted: Digest) -> bytes:
    """Open one sealed share and compare it with the posted digest; raises `CannotOpen`, `ShareDiffers`."""
    share = open_sealed(pair, info, aad, sealed)
    if noised_share_digest(share) != posted:
        raise ShareDiffers(f"a noised share of {len(share)} bytes is not the one with digest {posted.hex()}")
    return share


def unshard(configuration: TaskConfiguration, leader_share: bytes, helper_share: bytes) -> list[int]:
    """The result with both noises: one signed number for each place. Raises `BadShare`."""
    return add_shares(configuration.measurement, [leader_share, helper_share])
