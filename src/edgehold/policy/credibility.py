"""How far a service node may be believed: from evidence on the ledger to one number, the same on every machine.

The ledger's rules move a `Standing` by the functions of the first part; `score` reads it. A score is the lower 20 %
bound of a Beta posterior, so a newcomer is low for lack of knowledge and not for a bad record. All arithmetic is on
integers: evidence in millionths, scores in parts per million, the incomplete beta function in 64-bit fixed point.
Credibility measures correctness and punctuality, never whether two services collude.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from msgspec.structs import replace

from edgehold.wire.account import Attestation, Claim
from edgehold.wire.credibility import EVIDENCE_UNIT, MAX_PAIR_MARKS, Fault, PairMark, Prior, Standing
from edgehold.wire.ids import AccountId

PPM = 1_000_000
"""A score of one."""

ACCEPTANCE_CAP = 500_000
"""Default of the ledger parameter `acceptance_cap`: acceptances without an audit lift no score past it."""

MAX_ACCEPTANCES = 5
"""So many acceptances without an audit count, ever; the ledger sees to one per customer organisation and period."""

GOOD_CAP = 50 * EVIDENCE_UNIT
"""A long good record weighs no more than this, so that it cannot pay for many faults."""

BAD_CAP = 1_000 * EVIDENCE_UNIT
"""Fifty proven faults; more changes no decision."""

PAIR_PARTNERS = 5
"""Marks with so many different partners suspend: then it is not the partners."""

PAIR_MARK_FLOOR = EVIDENCE_UNIT // 20
"""A mark that faded below this is forgotten (after 29 tasks)."""

LEAST_SCORE = 100
"""Parts per million; whatever is lower is 0."""

MAX_DOUBLINGS = 20

PRIOR_WEIGHT = 2
PRIOR_BASE = {Prior.UNKNOWN: 200_000, Prior.VERIFIED: 400_000, Prior.ACCREDITED: 600_000}
"""What is assumed of a service before any evidence, as if it had been seen `PRIOR_WEIGHT` times."""

OWN_WEIGHT = 4
"""Own experience of n tasks has the weight n/(n+4)."""


# ── what is assumed before any evidence ───────────────────────────────────────────────────────────────────────────


def prior_of(live: Iterable[Attestation]) -> Prior:
    """What attestations make of a service before any evidence."""
    claims = {attestation.claim for attestation in live}
    if Claim.ACCREDITED in claims:
        return Prior.ACCREDITED
    return Prior.VERIFIED if Claim.VERIFIED in claims else Prior.UNKNOWN


# ── how evidence moves a standing ─────────────────────────────────────────────────────────────────────────────────


def faded(standing: Standing) -> Standing:
    """The standing one task later: good evidence keeps 99 %, bad 99.9 %, pair marks 90 %; rounded down."""
    marks = (PairMark(mark.partner, mark.weight * 9 // 10) for mark in standing.pair_marks)
    return replace(
        standing,
        good=standing.good * 99 // 100,
        accepted=standing.accepted * 99 // 100,
        bad=standing.bad * 999 // 1000,
        pair_marks=tuple(mark for mark in marks if mark.weight >= PAIR_MARK_FLOOR),
        tasks=standing.tasks + 1,
    )


def with_acceptance(standing: Standing) -> Standing:
    """One more customer accepted a result that nobody audited; after five in all nothing changes."""
    if standing.acceptances >= MAX_ACCEPTANCES:
        return standing
    return replace(standing, accepted=standing.accepted + EVIDENCE_UNIT, acceptances=standing.acceptances + 1)


def with_audit(standing: Standing) -> Standing:
    """One more audit passed."""
    return replace(standing, good=min(GOOD_CAP, standing.good + EVIDENCE_UNIT), audits=standing.audits + 1)


def with_named_evidence(standing: Standing, fault: Fault, height: int) -> Standing:
    """A fault that names this service; a proven one suspends it from this height on."""
    blamed = replace(standing, bad=min(BAD_CAP, standing.bad + fault * EVIDENCE_UNIT))
    return _suspended(blamed, height) if fault is Fault.PROVEN else blamed


def with_pair_mark(standing: Standing, partner: AccountId, height: int, weight: int = EVIDENCE_UNIT) -> Standing:
    """A fault between this service and that partner; marks with five different partners suspend.

    A mark is at most one whole piece of evidence per partner, however often the two fail together.
    """
    old = sum(mark.weight for mark in standing.pair_marks if mark.partner == partner)
    others = tuple(mark for mark in standing.pair_marks if mark.partner != partner)
    marks = (*others, PairMark(partner, min(EVIDENCE_UNIT, old + weight)))[-MAX_PAIR_MARKS:]
    marked = replace(standing, pair_marks=marks)
    if len(marks) < PAIR_PARTNERS or is_suspended(marked):
        return marked
    return _suspended(marked, height)


def is_suspended(standing: Standing) -> bool:
    """Whether the service is out. The way back is reserved (`wire.tx.RESERVED_TAGS`); until then it stays out."""
    return standing.suspended_at is not None


def earliest_return(standing: Standing, wait: int) -> int | None:
    """The height from which a suspended service may be attested again, or none if it is not suspended.

    `wait` is the ledger's parameter in heights; it doubles with every earlier suspension, at most 20 times.
    """
    if standing.suspended_at is None:
        return None
    return standing.suspended_at + (wait << min(MAX_DOUBLINGS, standing.strikes - 1))


def _suspended(standing: Standing, height: int) -> Standing:
    """Suspended from this height; more evidence during one suspension moves the height and is no further strike."""
    return replace(standing, suspended_at=height, strikes=standing.strikes + (not is_suspended(standing)))


# ── the score ─────────────────────────────────────────────────────────────────────────────────────────────────────


def score(standing: Standing, prior: Prior, acceptance_cap: int = ACCEPTANCE_CAP) -> int:
    """The service's credibility in parts per million, for the ledger's rules and for hubs alike; 0 while suspended.

    The 20 % lower bound of Beta(2·base + good, 2·(1 − base) + bad). Acceptances count as good evidence, but lift the
    score at most to `acceptance_cap` (parts per million). No rule exceeds the caps; they are kept here too, because the
    computation takes as many steps as there are pieces of evidence, and a message can state any number.
    """
    if is_suspended(standing):
        return 0
    base = PRIOR_BASE[prior]
    good = PRIOR_WEIGHT * base + min(GOOD_CAP, standing.good)
    bad = PRIOR_WEIGHT * (PPM - base) + min(BAD_CAP, standing.bad + sum(mark.weight for mark in standing.pair_marks))
    audited = lower_bound(good, bad)
    if audited >= acceptance_cap or standing.accepted == 0:
        return audited
    accepted = min(MAX_ACCEPTANCES * EVIDENCE_UNIT, standing.accepted)
    return min(acceptance_cap, lower_bound(good + accepted, bad))


def blended(ledger_score: int, own_good: int, own_bad: int) -> int:
    """The ledger's score and this hub's own experience of n tasks with the service, weighted 4 to n; in ppm.

    `own_good` and `own_bad` count the tasks of this hub in which the service did, or did not, list the report on time.
    """
    return (own_good * PPM + OWN_WEIGHT * ledger_score) // (own_good + own_bad + OWN_WEIGHT)


@lru_cache(maxsize=1 << 16)
def lower_bound(good: int, bad: int) -> int:
    """The 20 % quantile of Beta(good, bad), in parts per million, rounded down; bounds under `LEAST_SCORE` are 0.

    `good` is at least 0.4 and `bad` at least 0.8, in millionths: then the bound lies below the mean.
    """
    log_beta = _log_beta(good, bad)
    low, high = 0, PPM * good // (good + bad) + 1
    while high - low > 1 and high > LEAST_SCORE:
        middle = (low + high) // 2
        if _holds_a_fifth(good, bad, middle, log_beta):
            high = middle
        else:
            low = middle
    return low if low >= LEAST_SCORE else 0


def _holds_a_fifth(a: int, b: int, x: int, log_beta: int) -> bool:
    """Whether Beta(a, b) has more than 20 % below x, seen from the end of [0, 1] that is nearer."""
    powers = _log_powers(a, b, x) - log_beta
    if 2 * x <= PPM:
        return powers + _ln(_tail(a, b, x)) > -_LN_5
    return powers + _ln(_tail(b, a, PPM - x)) < 2 * _LN_2 - _LN_5


_ONE = 1 << 64
"""One, in 64-bit fixed point."""

_LN_2 = 12786308645202655659
_LN_5 = 29688889273197213359
_LN_PPM = 254851187510399214117
"""Natural logarithms of 2, 5 and 1,000,000 in 64-bit fixed point."""


def _ln(value: int) -> int:
    """The natural logarithm of a positive fixed-point number: ln m + k·ln 2, with ln m = 2·artanh((m − 1)/(m + 1))."""
    shift = value.bit_length() - 65
    mantissa = value >> shift if shift >= 0 else value << -shift
    power = ratio = ((mantissa - _ONE) << 64) // (mantissa + _ONE)
    square = ratio * ratio >> 64
    total, odd = 0, 1
    while power:
        total += power // odd
        power = power * square >> 64
        odd += 2
    return 2 * total + shift * _LN_2


def _log_powers(a: int, b: int, x: int) -> int:
    """ln(xᵃ(1 − x)ᵇ) for a, b in millionths and x in parts per million, 0 < x < 1."""
    return (a * (_ln(x << 64) - _LN_PPM) + b * (_ln((PPM - x) << 64) - _LN_PPM)) // PPM


def _tail(a: int, b: int, x: int) -> int:
    """Σ (a+b)ₙ/(a)ₙ₊₁ xⁿ in fixed point: the integral of tᵃ⁻¹(1 − t)ᵇ⁻¹ from 0 to x, over xᵃ(1 − x)ᵇ.

    NIST Digital Library of Mathematical Functions, 8.17.8: I_x(a, b) = xᵃ(1 − x)ᵇ/(a·B(a, b)) · ₂F₁(a+b, 1; a+1; x).
    """
    term = total = _ONE * PPM // a
    above, below = a + b, a + PPM
    while term >> 20:
        term = term * (above * x) // (below * PPM)
        total += term
        above += PPM
        below += PPM
    return total


def _log_beta(a: int, b: int) -> int:
    """ln B(a, b) for a, b in millionths: both are lowered by whole numbers, the rest is summed from both ends to 1/2.

    B(a, b) = B(a − 1, b)·(a − 1)/(a + b − 1), DLMF 5.12.1 with 5.5.1.
    """
    factor, halvings = _ONE, 0
    while max(a, b) > 2 * PPM:
        a, b = max(a, b) - PPM, min(a, b)
        factor = factor * a // (a + b)
        shift = 65 - factor.bit_length()
        factor <<= shift
        halvings += shift
    half = PPM // 2
    return _ln(factor) - halvings * _LN_2 + _log_powers(a, b, half) + _ln(_tail(a, b, half) + _tail(b, a, half))
