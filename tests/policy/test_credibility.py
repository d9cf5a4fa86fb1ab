"""From evidence to one number: the figures of the design, scipy as an oracle, and what must hold for every standing."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from scipy.special import betaincinv

from edgehold.policy.credibility import (
    ACCEPTANCE_CAP,
    BAD_CAP,
    GOOD_CAP,
    PPM,
    blended,
    earliest_return,
    faded,
    is_suspended,
    lower_bound,
    score,
    with_acceptance,
    with_audit,
    with_named_evidence,
    with_pair_mark,
)
from edgehold.wire.codec import decode, encode
from edgehold.wire.credibility import EVIDENCE_UNIT, MAX_PAIR_MARKS, Fault, PairMark, Prior, Standing
from edgehold.wire.ids import AccountId, Digest

VECTORS = Path(__file__).parents[1] / "vectors" / "policy" / "credibility.json"

evidence = st.integers(0, 60 * EVIDENCE_UNIT)
priors = st.sampled_from(Prior)
standings = st.builds(Standing, good=evidence, accepted=st.integers(0, 5 * EVIDENCE_UNIT), bad=evidence)


def partner(number: int) -> AccountId:
    return AccountId(Digest(bytes([number]) * 32))


def test_an_accredited_newcomer_scores_031_and_054_after_one_accepted_order_without_the_cap() -> None:
    newcomer = Standing()
    assert round(score(newcomer, Prior.ACCREDITED) / PPM, 2) == 0.31
    assert round(score(with_acceptance(newcomer), Prior.ACCREDITED, acceptance_cap=PPM) / PPM, 2) == 0.54


def test_acceptances_lift_no_score_past_the_cap_and_audits_do() -> None:
    bought = Standing()
    for _ in range(9):
        bought = with_acceptance(bought)
    assert bought.acceptances == 5
    assert score(bought, Prior.ACCREDITED) == ACCEPTANCE_CAP
    audited = with_audit(with_audit(bought))
    assert score(audited, Prior.ACCREDITED) == score(replace(audited, accepted=0), Prior.ACCREDITED) > ACCEPTANCE_CAP


@pytest.mark.parametrize("good", [0.4, 0.8, 1.2, 1.7, 2.0, 2.2, 3.99, 7.5, 21.2, 51.2, 56.2])
@pytest.mark.parametrize("bad", [0.8, 1.2, 1.6, 2.0, 5.8, 20.8, 21.6, 60.3, 250.8, 1001.6])
def test_the_lower_bound_is_scipys_quantile(good: float, bad: float) -> None:
    ours = lower_bound(round(good * PPM), round(bad * PPM)) / PPM
    assert abs(ours - betaincinv(good, bad, 0.2)) < 1e-4
    assert ours == 0 or abs(ours - betaincinv(good, bad, 0.2)) < 1.1e-6


@given(standings, priors, st.integers(1, 10 * EVIDENCE_UNIT))
def test_more_good_evidence_never_lowers_and_more_bad_never_raises_a_score(
    standing: Standing, prior: Prior, more: int
) -> None:
    now = score(standing, prior)
    assert score(replace(standing, good=standing.good + more), prior) >= now
    assert score(replace(standing, accepted=standing.accepted + more), prior) >= now
    assert score(replace(standing, bad=standing.bad + more), prior) <= now


@given(standings)
def test_a_better_attested_service_never_scores_lower(standing: Standing) -> None:
    assert score(standing, Prior.UNKNOWN) <= score(standing, Prior.VERIFIED) <= score(standing, Prior.ACCREDITED)


@given(standings, priors)
def test_acceptances_alone_never_pass_the_cap(standing: Standing, prior: Prior) -> None:
    without = score(replace(standing, accepted=0), prior)
    uncapped = score(standing, prior, acceptance_cap=PPM)
    assert score(standing, prior) == max(without, min(ACCEPTANCE_CAP, uncapped))


def test_good_evidence_fades_faster_than_bad_and_both_are_capped() -> None:
    marked = Standing(pair_marks=(PairMark(partner(1), 50_001), PairMark(partner(2), 1_000_000)))
    after = faded(replace(marked, good=1_000_000, accepted=2_000_000, bad=1_000_000))
    assert (after.good, after.accepted, after.bad, after.tasks) == (990_000, 1_980_000, 999_000, 1)
    assert after.pair_marks == (PairMark(partner(2), 900_000),)
    assert with_audit(Standing(good=GOOD_CAP)).good == GOOD_CAP
    assert with_named_evidence(Standing(bad=BAD_CAP), Fault.MISSED, 9).bad == BAD_CAP


def test_a_missed_deadline_weighs_five_and_a_proven_fault_suspends() -> None:
    late = with_named_evidence(Standing(), Fault.MISSED, 7)
    assert (late.bad, is_suspended(late), earliest_return(late, 100)) == (5 * EVIDENCE_UNIT, False, None)
    caught = with_named_evidence(late, Fault.PROVEN, 9)
    assert (caught.bad, caught.suspended_at, caught.strikes) == (25 * EVIDENCE_UNIT, 9, 1)
    assert score(caught, Prior.ACCREDITED) == 0


def test_the_wait_doubles_with_every_suspension_and_not_within_one() -> None:
    caught = with_named_evidence(with_named_evidence(Standing(), Fault.PROVEN, 9), Fault.PROVEN, 11)
    assert earliest_return(caught, 100) == 111
    again = with_named_evidence(replace(caught, suspended_at=None), Fault.PROVEN, 500)
    assert earliest_return(again, 100) == 700
    assert earliest_return(replace(again, strikes=1000), 1) == 500 + (1 << 20)


def test_pair_marks_suspend_only_when_they_recur_with_five_partners() -> None:
    standing = Standing()
    for _ in range(20):
        standing = with_pair_mark(standing, partner(1), 5)
    assert standing.pair_marks == (PairMark(partner(1), EVIDENCE_UNIT),)
    assert 0 < score(standing, Prior.ACCREDITED) < score(Standing(), Prior.ACCREDITED)
    for number in (2, 3, 4):
        standing = with_pair_mark(standing, partner(number), 6)
    assert not is_suspended(standing)
    standing = with_pair_mark(standing, partner(5), 7, weight=200_000)
    assert (standing.suspended_at, standing.strikes) == (7, 1)
    assert with_pair_mark(standing, partner(6), 8).suspended_at == 7


def test_only_the_latest_pair_marks_are_kept() -> None:
    standing = Standing()
    for number in range(MAX_PAIR_MARKS + 3):
        standing = with_pair_mark(standing, partner(number), number)
    assert len(standing.pair_marks) == MAX_PAIR_MARKS
    assert decode(encode(standing), Standing) == standing


def test_own_experience_weighs_as_much_as_the_ledger_after_four_tasks() -> None:
    assert blended(300_000, 0, 0) == 300_000
    assert blended(300_000, 4, 0) == 650_000
    assert blended(900_000, 0, 4) == 450_000


@given(st.integers(0, PPM), st.integers(0, 50), st.integers(0, 50))
def test_a_blend_stays_between_nothing_and_everything_and_rises_with_good_experience(
    ledger: int, good: int, bad: int
) -> None:
    assert 0 <= blended(ledger, good, bad + 1) <= blended(ledger, good, bad) <= blended(ledger, good + 1, bad) <= PPM


def test_the_golden_scores_are_reproduced() -> None:
    for vector in json.loads(VECTORS.read_text()):
        standing = decode(bytes.fromhex(vector["standing"]), Standing)
        assert msgspec.to_builtins(standing, builtin_types=(bytes,))[0] == vector["good"]
        assert score(standing, Prior(vector["prior"]), vector["acceptance_cap"]) == vector["score"], vector


def test_a_standing_beyond_the_caps_that_rules_keep_is_scored_as_one_at_them() -> None:
    """Each piece of evidence is a step of the computation, and a message can state nine thousand million of them."""
    beyond, at_caps = Standing(good=2**53, accepted=2**53), Standing(good=GOOD_CAP, accepted=5 * EVIDENCE_UNIT)
    for prior in Prior:
        assert score(beyond, prior, acceptance_cap=PPM) == score(at_caps, prior, acceptance_cap=PPM)
