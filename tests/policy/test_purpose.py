"""DUO codes: the official ids, what includes what, and each modifier met and not met."""

from __future__ import annotations

import pytest

from edgehold.errors import BadPurpose
from edgehold.policy.purpose import (
    MODIFIERS,
    PERMISSIONS,
    Check,
    check_use,
    describe_use,
    duo_id,
    includes,
    permits,
)
from edgehold.wire.codec import decode, encode
from edgehold.wire.ids import AccountId, Digest
from edgehold.wire.purpose import Asker, Modifier, Permission, PermittedUse, Purpose, Term

CLINIC = AccountId(Digest(b"\x0c" * 32))
STRANGER = Asker(CLINIC)
ATTESTED = Asker(CLINIC, not_for_profit_until=50, ethics_approval_until=50)


def allows(*terms: Term, permission: Permission = Permission.GRU) -> PermittedUse:
    return PermittedUse(permission, requires=terms)


def asks(*terms: Term, permission: Permission = Permission.HMB, diseases: tuple[str, ...] = ()) -> Purpose:
    return Purpose(permission, diseases, terms)


def test_the_ids_are_the_official_ones() -> None:
    ids = {code.name: duo_id(code) for code in (*Permission, *Modifier)}
    assert ids["HMB"] == "DUO:0000006"
    assert ids["GRU"] == "DUO:0000042"
    assert len(ids) == 23 == len(PERMISSIONS) + len(MODIFIERS)


def test_permissions_include_what_is_narrower_and_nothing_else() -> None:
    narrower = {wide.name: {narrow.name for narrow in Permission if includes(wide, narrow)} for wide in Permission}
    assert narrower == {
        "NRES": {"NRES", "GRU", "HMB", "DS", "POA"},
        "GRU": {"GRU", "HMB", "DS", "POA"},
        "HMB": {"HMB", "DS"},
        "DS": {"DS"},
        "POA": {"POA"},
    }


def test_a_wider_use_than_allowed_is_refused_with_both_named() -> None:
    assert permits(allows(permission=Permission.HMB), asks(permission=Permission.GRU), STRANGER, 1) == (
        "general research use is asked, health or medical or biomedical research is allowed"
    )


def test_a_disease_must_be_among_those_allowed() -> None:
    diabetes = PermittedUse(Permission.DS, ("MONDO:0005015", "MONDO:0005148"))
    one = asks(permission=Permission.DS, diseases=("MONDO:0005148",))
    assert permits(diabetes, one, STRANGER, 1) is None
    both = asks(permission=Permission.DS, diseases=("MONDO:0005044", "MONDO:0005148"))
    assert permits(diabetes, both, STRANGER, 1) == "MONDO:0005044 is not among the diseases allowed"
    assert permits(allows(), both, STRANGER, 1) is None


def test_clinical_care_needs_to_be_allowed() -> None:
    care = Term(Modifier.CC)
    assert permits(allows(), asks(care), STRANGER, 1) == "clinical care use is asked and not allowed"
    assert permits(allows(care), asks(care), STRANGER, 1) is None
    assert permits(allows(permission=Permission.NRES), asks(care), STRANGER, 1) is None
    assert permits(allows(care), asks(), STRANGER, 1) is None


ARGUMENTS = {Modifier.MOR: "2027-01-31", Modifier.TS: "12", Modifier.US: CLINIC.hex(), Modifier.IS: CLINIC.hex()}


def term(modifier: Modifier) -> Term:
    return Term(modifier, ARGUMENTS.get(modifier, "DE" if MODIFIERS[modifier][1] else ""))


@pytest.mark.parametrize(
    "modifier", [modifier for modifier, row in MODIFIERS.items() if row[2] is Check.UNDERTAKEN], ids=lambda m: m.name
)
def test_an_undertaking_has_to_be_given_with_the_same_argument(modifier: Modifier) -> None:
    required = allows(term(modifier))
    assert permits(required, asks(term(modifier)), STRANGER, 1) is None
    assert MODIFIERS[modifier][0] in (permits(required, asks(), ATTESTED, 1) or "")
    assert permits(required, asks(Term(modifier, "elsewhere")), ATTESTED, 1) is not None


def test_attestations_count_until_their_height() -> None:
    for modifier in (Modifier.IRB, Modifier.NPU):
        assert permits(allows(Term(modifier)), asks(), ATTESTED, 50) is None
        assert permits(allows(Term(modifier)), asks(), ATTESTED, 51) is not None
        assert permits(allows(Term(modifier)), asks(Term(modifier)), STRANGER, 1) is not None


def test_non_commercial_use_is_undertaken_and_not_for_profit_is_attested() -> None:
    commerce, both = Term(Modifier.NCU), Term(Modifier.NPUNCU)
    assert permits(allows(commerce), asks(commerce), STRANGER, 1) is None
    assert permits(allows(commerce), asks(both), STRANGER, 1) is None
    assert permits(allows(commerce), asks(), ATTESTED, 1) is not None
    assert permits(allows(both), asks(both), ATTESTED, 1) is None
    assert permits(allows(both), asks(both), STRANGER, 1) is not None
    assert permits(allows(both), asks(), ATTESTED, 1) is not None


def test_a_time_limit_may_be_undertaken_shorter_and_a_moratorium_longer() -> None:
    year, embargo = allows(Term(Modifier.TS, "12")), allows(Term(Modifier.MOR, "2027-01-31"))
    assert permits(year, asks(Term(Modifier.TS, "6")), STRANGER, 1) is None
    assert permits(year, asks(Term(Modifier.TS, "24")), STRANGER, 1) is not None
    assert permits(embargo, asks(Term(Modifier.MOR, "2028-01-01")), STRANGER, 1) is None
    assert permits(embargo, asks(Term(Modifier.MOR, "2026-12-31")), STRANGER, 1) is not None
    assert permits(embargo, asks(), STRANGER, 1) is not None


@pytest.mark.parametrize("modifier", [Modifier.US, Modifier.IS])
def test_a_named_account_is_the_only_one(modifier: Modifier) -> None:
    assert permits(allows(Term(modifier, CLINIC.hex())), asks(), STRANGER, 1) is None
    refusal = permits(allows(Term(modifier, "00" * 32)), asks(), STRANGER, 1)
    assert refusal == f"{MODIFIERS[modifier][0]} ({'00' * 32}) is not met: {Check.NAMED_ACCOUNT.value}"


def test_ancestry_prohibited_refuses_ancestry_and_what_could_include_it() -> None:
    none = allows(Term(Modifier.NPOA), permission=Permission.NRES)
    assert permits(none, asks(), STRANGER, 1) is None
    assert permits(none, asks(permission=Permission.GRU), STRANGER, 1) is not None
    assert permits(none, asks(Term(Modifier.NPOA), permission=Permission.GRU), STRANGER, 1) is None
    assert permits(none, asks(Term(Modifier.NPOA), permission=Permission.POA), STRANGER, 1) is not None


@pytest.mark.parametrize("modifier", Modifier, ids=lambda m: m.name)
def test_an_argument_is_given_where_one_belongs(modifier: Modifier) -> None:
    check_use(asks(term(modifier)))
    check_use(allows(term(modifier)))
    argument = "" if term(modifier).argument else "surplus"
    with pytest.raises(BadPurpose, match=modifier.name):
        check_use(asks(Term(modifier, argument)))


@pytest.mark.parametrize(
    "use",
    [
        Purpose(Permission.DS),
        Purpose(Permission.HMB, ("MONDO:0005148",)),
        Purpose(Permission.DS, ("b", "a")),
        allows(Term(Modifier.PUB), Term(Modifier.IRB), Term(Modifier.PUB)),
        asks(Term(Modifier.TS, "a year")),
        asks(Term(Modifier.MOR, "31.1.2027")),
        asks(Term(Modifier.US, "nobody")),
        Purpose(Permission.DS, ("x" * 65,)),
        Purpose(Permission.DS, tuple(f"MONDO:{number:07}" for number in range(17))),
        asks(*(Term(Modifier.RS, f"{number:02}") for number in range(33))),
        asks(Term(Modifier.PS, "x" * 65)),
    ],
)
def test_a_use_that_says_nothing_definite_or_fits_no_message_is_refused(use: Purpose | PermittedUse) -> None:
    with pytest.raises(BadPurpose):
        check_use(use)


def test_a_use_is_described_in_the_ontologys_words_and_travels_as_bytes() -> None:
    purpose = Purpose(Permission.DS, ("MONDO:0005148",), (Term(Modifier.TS, "12"),))
    assert describe_use(purpose) == "disease specific research (MONDO:0005148); time limit on use: 12"
    assert describe_use(allows(Term(Modifier.IRB))) == "general research use; ethics approval required"
    assert decode(encode(purpose), Purpose) == purpose
