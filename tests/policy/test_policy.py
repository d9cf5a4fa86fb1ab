"""The policy as data, as a file, as a digest."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgehold.errors import BadPolicy
from edgehold.policy.policy import (
    LeastCredibility,
    Mode,
    Policy,
    minor,
    opening_budget,
    policy_id,
    read_policy,
    write_policy,
)
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import Kind
from edgehold.wire.ids import AccountId, Digest
from edgehold.wire.program import Sensitivity
from edgehold.wire.purpose import Modifier, Permission, PermittedUse, Term

ratios = st.fractions(0, 1, max_denominator=10**6).map(str)
scores = st.integers(0, 10**6)
accounts = st.binary(min_size=32, max_size=32).map(lambda raw: AccountId(Digest(raw)))
uses = st.sampled_from(
    [
        PermittedUse(Permission.HMB),
        PermittedUse(Permission.GRU, requires=(Term(Modifier.PUB), Term(Modifier.TS, "12"))),
        PermittedUse(Permission.DS, ('quoted "name"', "slash\\ed"), (Term(Modifier.GS, "EU: all"),)),
    ]
)
policies = st.builds(
    Policy,
    mode=st.sampled_from(Mode),
    uses=st.lists(uses, max_size=3).map(tuple),
    kinds=st.sets(st.sampled_from(Kind)).map(lambda kinds: tuple(sorted(kinds))),
    least_credibility=st.builds(LeastCredibility, scores, scores, scores),
    ask_for_records=st.booleans(),
    trusted=st.sets(accounts, max_size=3).map(lambda found: tuple(sorted(found))),
    least_batch=st.integers(1, 10**7),
    loss_per_order=ratios,
    loss_per_year=ratios,
    customer_share=ratios,
    services_share=ratios,
    purpose_share=ratios,
)


@given(policies)
@example(Policy(uses=(PermittedUse(Permission.HMB), PermittedUse(Permission.DS, ("a", "b"), (Term(Modifier.PUB),)))))
def test_a_policy_survives_its_file_and_its_bytes(policy: Policy) -> None:
    assert read_policy(write_policy(policy)) == policy
    assert decode(encode(policy), Policy) == policy
    assert policy_id(read_policy(write_policy(policy))) == policy_id(policy)


def test_any_change_of_a_policy_changes_its_digest() -> None:
    assert len({policy_id(Policy()), policy_id(minor()), policy_id(Policy(least_batch=101))}) == 3


def test_an_empty_file_has_the_defaults_and_permits_nothing() -> None:
    assert read_policy("") == Policy(uses=())


def test_thresholds_follow_the_sensitivity() -> None:
    thresholds = [Policy().threshold(sensitivity) for sensitivity in Sensitivity]
    assert dict(zip(Sensitivity, thresholds, strict=True)) == {
        Sensitivity.AGGREGATE: 500_000,
        Sensitivity.MODEL: 700_000,
        Sensitivity.RECORD: 900_000,
    }


def test_a_minors_policy_is_never() -> None:
    assert (minor().mode, minor().uses, minor().kinds) == (Mode.NEVER, (), ())


def test_numbers_are_exact_and_thresholds_never_less_strict_than_written() -> None:
    policy = read_policy('[loss]\nyear = 0.3\norder = "1/3"\n[least_credibility]\nmodel = "1/3"\nrecord = 1\n')
    assert (policy.loss_per_year, policy.loss_per_order) == ("3/10", "1/3")
    assert (policy.least_credibility.model, policy.least_credibility.record) == (333_334, 1_000_000)


def test_the_opening_budget_is_the_policys() -> None:
    budget = opening_budget(Policy(loss_per_year="21/20", customer_share="1/2"))
    assert (budget.yearly, budget.customer_share, budget.spent) == (Fraction(21, 20), Fraction(1, 2), ())


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("mode = ", "mine.toml: not TOML"),
        ('mode = "sometimes"', "mode: 'sometimes' is none of always, ask, never"),
        ("mode = 3", "mode: 3 is none of"),
        ("modus = 3", "modus: no such key"),
        ("loss = 3", "loss: is a table"),
        ("[loss]\nday = 1", "loss.day: no such key"),
        ('[loss]\nyear = "much"', "loss.year: 'much' is not a number"),
        ("[loss]\nyear = true", "loss.year: True is not a number"),
        ("[loss]\nyear = -1", "loss.year: -1 is not a number"),
        ("[loss]\nyear = nan", "loss.year: 'nan' is not a number"),
        ('[loss]\nyear = "1/0"', "loss.year: '1/0' divides by zero"),
        ("[share]\ncustomer = 1.1", "share.customer: 1.1 is more than 1"),
        ("least_batch = 0", "least_batch: 0 is not from 1"),
        ("least_batch = true", "least_batch: True is not of type int"),
        ('kinds = "ehr"', "kinds: 'ehr' is not of type list"),
        ('kinds = ["mood"]', "kinds: 'mood' is none of"),
        ("kinds = [1]", "kinds: 1 is not of type str"),
        (f'kinds = ["{"x" * 65}"]', "is not a printable text"),
        ('kinds = ["\\n"]', "is not a printable text"),
        ('trusted = ["abc"]', "trusted: 'abc' is not an account"),
        ("use = 3", "use: is written as"),
        ("use = [3]", "use\\[0\\]: is a table"),
        ('[[use]]\npurpose = "HMB"', "use\\[0\\].purpose: no such key"),
        ("[[use]]", "use\\[0\\].permission: None is none of NRES"),
        ('[[use]]\npermission = "HMB"\nmodifiers = ["XX"]', "use\\[0\\].modifiers: 'XX' is none of RS"),
        ('[[use]]\npermission = "HMB"\nmodifiers = ["TS"]', "use\\[0\\]: TS takes months"),
    ],
)
def test_a_bad_file_is_refused_with_its_name_and_key(text: str, complaint: str) -> None:
    with pytest.raises(BadPolicy, match=complaint) as refusal:
        read_policy(text, "mine.toml")
    assert str(refusal.value).startswith("mine.toml: ")


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("[[use]]\npermission = 'HMB'\n" * 33, "use: 33 of them"),
        (f"trusted = {[f'{number:064x}' for number in range(257)]}", "trusted: 257 accounts"),
        (f"[[use]]\npermission = 'DS'\ndiseases = {[f'{number:02}' for number in range(17)]}", "17 diseases"),
    ],
)
def test_a_policy_that_could_not_be_stored_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(BadPolicy, match=complaint):
        read_policy(text)
