"""A certificate that holds, and every way in which one does not."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from forge import (
    ATTESTED,
    GENESIS,
    HISTOGRAM,
    Forged,
    account_of,
    digest,
    forge,
    key_of,
    make_header,
    make_leaf,
    make_program,
    sign_header,
    split,
    with_fields,
)
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from signed_chain import commit_of, set_of

from edgehold.crypto.names import panel_id
from edgehold.errors import BadCertificate, Malformed
from edgehold.ledger.genesis import write_genesis
from edgehold.vdaf.field import output_length
from edgehold.verify.certificate import (
    ARITHMETIC,
    BOTH_HONEST,
    CERTIFICATE_LIMIT,
    NEVER_SHOWN,
    ONE_HONEST,
    Verdict,
    verify_certificate,
)
from edgehold.verify.header import hash_validators
from edgehold.wire.account import Attestation, Claim
from edgehold.wire.certificate import Certificate
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import Grade, Kind
from edgehold.wire.governance import Validator
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import Digest, ReportId, Signature, SlotKey, Token
from edgehold.wire.light import ValidatorChange
from edgehold.wire.program import MeasurementKind, MeasurementType
from edgehold.wire.proof import LargeBucket
from edgehold.wire.task import Outcome

LONG = MeasurementType(kind=MeasurementKind.HISTOGRAM, length=300, bound=0, weight=0)
HONEST = forge()


def check(forged: Forged) -> Verdict:
    """Verify what was forged."""
    return verify_certificate(forged.data, forged.genesis, forged.detached)


def under_new_validators(*, changes: int = 1, members: tuple[int, ...] = (1, 2, 3, 4)) -> Forged:
    """A certificate whose headers are signed by a set that followed the founding one, over so many changes."""
    sets = [set_of(*(number + place for number in members)) for place in range(changes)]
    first = replace(make_header(9, digest("a state")), next_validators_hash=hash_validators(sets[0]))
    told = [ValidatorChange(sign_header(first), sets[0])]
    for place, (before, after) in enumerate(pairwise(sets), start=10):
        between = replace(first, height=place, validators_hash=hash_validators(before))
        between = replace(between, next_validators_hash=hash_validators(after))
        told.append(ValidatorChange(SignedHeader(between, commit_of(between, before)), after))

    def sign_again(truth: Certificate) -> Certificate:
        headers = (truth.state_header.header, truth.drawing_header.header)
        state, drawing = (SignedHeader(header, commit_of(header, sets[-1])) for header in headers)
        return replace(truth, state_header=state, drawing_header=drawing, changes=tuple(told))

    signed_by = with_fields(validators_hash=hash_validators(sets[-1]), next_validators_hash=hash_validators(sets[-1]))
    return forge(drawing=signed_by, state=signed_by, certificate=sign_again)


# ── what holds ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_certificate_that_holds_gives_its_values_and_terms() -> None:
    verdict = check(forge(values=[18, 3, -2, 0, 1]))
    assert verdict.values == [18, 3, -2, 0, 1]
    assert (verdict.batch, verdict.rejected, verdict.half_width) == (20, 0, 4)
    assert verdict.rho == Fraction(4, 9)
    assert verdict.operators == 1


def test_a_verdict_says_in_four_groups_what_is_shown_and_what_must_be_believed() -> None:
    groups = [one.group for one in check(HONEST).checks]
    assert list(dict.fromkeys(groups)) == [ARITHMETIC, ONE_HONEST, BOTH_HONEST, NEVER_SHOWN]
    assert groups.count(ARITHMETIC) == 8
    assert any("its one operator" in one.says for one in check(HONEST).checks if one.group == NEVER_SHOWN)


def test_validators_that_followed_those_of_genesis_sign_as_well(figures: Any) -> None:
    for changes in (1, 3):
        forged = under_new_validators(changes=changes)
        verdict = check(forged)
        assert verdict.operators == 4
        assert any("its 4 validators" in one.says for one in verdict.checks if one.group == ARITHMETIC)
        assert any("were replaced" in one.says for one in verdict.checks if one.group == NEVER_SHOWN)
        figures.most(
            f"certificate with {changes} change(s) of 4 validators, bytes more", len(forged.data) - len(HONEST.data)
        )
    assert len(under_new_validators(changes=30).data) < CERTIFICATE_LIMIT


def test_validators_that_did_not_follow_sign_nothing() -> None:
    """The same headers without the change that leads to those who signed them, or with what is none."""
    forged = under_new_validators()
    certificate = decode(forged.data, Certificate)
    (change,) = certificate.changes
    lies: list[tuple[ValidatorChange, ...]] = [
        (),
        (change, change),
        (replace(change, validators=set_of(5, 6, 7, 8)),),
        (replace(change, signed=certificate.state_header),),
        (replace(change, signed=replace(change.signed, header=replace(change.signed.header, height=10))),),
    ]
    for changes in lies:
        assert refused(encode(replace(certificate, changes=changes)), forged.detached)
    last = replace(change.signed.header, height=certificate.drawing_header.header.height)
    late = (ValidatorChange(sign_header(last), change.validators),)
    assert refused(encode(replace(certificate, changes=late)), forged.detached)


def test_no_byte_of_a_change_of_validators_can_be_changed() -> None:
    forged = under_new_validators()
    (change,) = decode(forged.data, Certificate).changes
    begin, size = forged.data.index(encode(change)), len(encode(change))
    for place in range(begin, begin + size):
        data = bytearray(forged.data)
        data[place] ^= 1 << place % 8
        assert refused(bytes(data), forged.detached), place


@pytest.mark.parametrize("reports", [1, 3, 8, 9, 40])
def test_batches_of_any_length_open_eight_leaves_or_all(reports: int) -> None:
    forged = forge(reports=reports)
    assert check(forged).batch == reports
    assert len(forged.certificate.leaves) == min(reports, 8)


@pytest.mark.parametrize(
    "measurement",
    [
        MeasurementType(MeasurementKind.COUNT, 1, 0, 0),
        MeasurementType(MeasurementKind.SUM, 1, 7, 0),
        MeasurementType(MeasurementKind.HISTOGRAM, 2, 0, 0),
        MeasurementType(MeasurementKind.MULTIHOT, 6, 0, 2),
        MeasurementType(MeasurementKind.SUMVEC, 3, 7, 0),
        MeasurementType(MeasurementKind.L1BOUND, 4, 7, 0),
    ],
    ids=lambda measurement: measurement.kind.value,
)
def test_results_of_every_kind_verify(measurement: MeasurementType) -> None:
    values = list(range(output_length(measurement)))
    assert check(forge(measurement=measurement, values=values)).values == values


@pytest.mark.parametrize("outcome", [Outcome.ACCEPTED, Outcome.UNCONTESTED])
def test_a_result_that_was_accepted_or_not_contested_stands(outcome: Outcome) -> None:
    assert check(forge(task=with_fields(outcome=outcome, settled_at=120)))


def test_four_panels_with_all_their_slots_verify() -> None:
    assert check(forge(panels=4, slots=256))


def test_a_task_in_a_crowded_bucket_is_proved_by_its_own_entry() -> None:
    forged = forge(crowd=100)
    assert isinstance(forged.certificate.task_proof.bucket, LargeBucket)
    assert check(forged)


def test_a_service_may_carry_every_attestation_there_is() -> None:
    attestors = sorted([account_of("accreditor"), account_of("other accreditor")])
    every = tuple(
        Attestation(attestor, claim, 3, 900, digest(claim.value), None)
        for attestor in attestors
        for claim in sorted(Claim, key=lambda claim: claim.value)
    )
    assert check(forge(helper=lambda _: every))


@pytest.mark.parametrize("sigma", [(1, 2**32 - 1), (2**32 - 1, 1)])
def test_the_least_and_the_greatest_noise_scale_have_a_verdict(sigma: tuple[int, int]) -> None:
    measurement = MeasurementType(kind=MeasurementKind.SUMVEC, length=3, bound=2**32 - 1, weight=0)
    scale = with_fields(sigma_numerator=sigma[0], sigma_denominator=sigma[1])
    verdict = check(forge(measurement=measurement, order=scale))
    assert verdict.epsilon >= 0
    assert verdict.half_width >= 0


def test_shares_too_large_for_the_file_lie_beside_it() -> None:
    forged = forge(measurement=LONG)
    assert forged.detached is not None
    assert forged.certificate.leader_share == forged.certificate.helper_share == b""
    assert check(forged).values[0] == 20


# ── every byte and every field counts ─────────────────────────────────────────────────────────────────────────────


def refused(data: bytes, detached: bytes | None = None) -> bool:
    """Whether these bytes are refused, by one of the two errors that the function names."""
    try:
        verify_certificate(data, GENESIS, detached)
    except (Malformed, BadCertificate):
        return True
    return False


@pytest.mark.untraced
def test_no_byte_of_a_certificate_can_be_changed() -> None:
    data = forge(reports=3).data
    accepted = []
    for place in range(len(data)):
        changed = bytearray(data)
        changed[place] ^= 1 + place * 37 % 255
        if not refused(bytes(changed)):
            accepted.append(place)
    assert accepted == []


@pytest.mark.untraced
def test_no_byte_of_the_detached_shares_can_be_changed() -> None:
    forged = forge(measurement=LONG)
    assert forged.detached is not None
    for place in range(0, len(forged.detached), 97):
        changed = bytearray(forged.detached)
        changed[place] ^= 1 + place % 255
        assert refused(forged.data, bytes(changed)), place


@given(st.binary(max_size=200))
def test_any_other_bytes_are_refused(data: bytes) -> None:
    assert refused(data)
    assert refused(HONEST.data + data[:1] + b"\x00")
    assert refused(HONEST.data[: len(data)])


def other_values(value: Any) -> Iterator[Any]:
    """Values of the same type beside this one, as the codec sees it."""
    match value:
        case bool() | None:
            pass
        case int():
            yield from (value + 1, max(value - 1, 0), 0)
        case bytes():
            yield from (bytes([value[0] ^ 1]) + value[1:], value[:-1] + bytes([value[-1] ^ 0x80])) if value else ()
            yield from (bytes(len(value)), value[:-1], value + b"\x00")
        case str():
            words = {*Grade, *Kind, *Claim, *MeasurementKind, *Outcome, value + "x"}
            yield from (str(word) for word in words)
        case list() | tuple():
            yield from (value[::-1], value[:-1], value + value[-1:], value[1:])
            for place, part in enumerate(value):
                for other in other_values(part):
                    yield [*value[:place], other, *value[place + 1 :]]


@pytest.mark.untraced
@pytest.mark.parametrize("crowd", [3, 100])
def test_no_field_can_have_another_value(crowd: int) -> None:
    forged = forge(reports=12, panels=2, crowd=crowd, leader=lambda _: TWO_CLAIMS)
    parts = msgspec.to_builtins(forged.certificate, builtin_types=(bytes,))
    told = 0
    for other in other_values(parts):
        data = encode(other)
        if data != forged.data:
            told += 1
            assert refused(data), other
    assert told > 2000


def test_leaving_a_part_out_or_putting_one_in_is_refused() -> None:
    certificate = HONEST.certificate
    for name in certificate.__struct_fields__:
        if getattr(certificate, name) is not None and name not in ("leader_share", "helper_share"):
            parts = msgspec.to_builtins(certificate, builtin_types=(bytes,))
            place = 1 + certificate.__struct_fields__.index(name)
            assert refused(encode([*parts[:place], None, *parts[place + 1 :]]))
            assert refused(encode([*parts[:place], *parts[place + 1 :]]))


def test_a_file_that_is_too_large_is_not_read() -> None:
    with pytest.raises(Malformed, match="more than"):
        verify_certificate(bytes(CERTIFICATE_LIMIT + 1), GENESIS)


def test_a_certificate_holds_under_its_own_genesis_only() -> None:
    other_validator = (Validator(key=key_of("somebody").public, power=1),)
    for genesis in (
        replace(GENESIS, chain="another"),
        replace(GENESIS, validators=other_validator),
        replace(GENESIS, validators=GENESIS.validators + other_validator),
        replace(GENESIS, accreditors=(0,)),
        replace(GENESIS, accreditors=(1, 2)),
    ):
        with pytest.raises(BadCertificate):
            verify_certificate(HONEST.data, genesis)


def test_networks_of_one_chain_name_and_the_same_validators_are_told_apart() -> None:
    """Headers, as CometBFT signs them, name the chain only; the task's configuration names the network."""
    other = replace(GENESIS, parameters=replace(GENESIS.parameters, period=999))
    with pytest.raises(BadCertificate, match="network"):
        verify_certificate(HONEST.data, other)


# ── lies that ledger and services sign along ──────────────────────────────────────────────────────────────────────


def swap_signatures(truth: Certificate) -> Certificate:
    """Each signature beside the other service."""
    return replace(
        truth,
        leader=replace(truth.leader, signature=truth.helper.signature),
        helper=replace(truth.helper, signature=truth.leader.signature),
    )


def attest(attestor: str, claim: Claim, **fields: Any) -> Any:
    """The lie that this is all that was attested."""
    one = Attestation(account_of(attestor), claim, 3, 900, digest("c"), None)
    return lambda _: (replace(one, **fields),)


def change_panel(**fields: Any) -> Any:
    """The lie that the configuration's panels are otherwise."""
    return lambda truth: replace(truth, panels=tuple(replace(panel, **fields) for panel in truth.panels))


def change_certified_panel(**fields: Any) -> Any:
    """The lie that the certificate's panels are otherwise."""
    return lambda truth: replace(truth, panels=tuple(replace(panel, **fields) for panel in truth.panels))


def change_first_leaf(**fields: Any) -> Any:
    """The lie that the first opened leaf is otherwise than in the list."""

    def lie(truth: Certificate) -> Certificate:
        first, *others = truth.leaves
        return replace(truth, leaves=(replace(first, leaf=replace(first.leaf, **fields)), *others))

    return lie


def reverse_attestations(truth: Certificate) -> Certificate:
    """The leader's attestations in another order."""
    return replace(truth, leader=replace(truth.leader, attestations=truth.leader.attestations[::-1]))


def same_party(truth: Any) -> Any:
    """The helper is the leader once more."""
    return replace(truth, helper=truth.leader)


def late_share(truth: Any) -> Any:
    """The helper posted its share after its last height."""
    return replace(truth, helper_share=replace(truth.helper_share, at=truth.share_until + 1))


def early_share(truth: Any) -> Any:
    """The leader posted its share before the header that seeds its noise."""
    return replace(truth, leader_share=replace(truth.leader_share, at=truth.batch.closed_at + 1))


TWO_CLAIMS = (*ATTESTED["leader"], replace(ATTESTED["leader"][0], claim=Claim.VERIFIED))

LIES: dict[str, tuple[dict[str, Any], str]] = {
    # 1
    "the task was never closed": ({"task": with_fields(batch=None)}, "no closed batch"),
    "an earlier header draws": ({"drawing": with_fields(height=106)}, "drawn by the header of height 107"),
    "a later header draws": ({"drawing": with_fields(height=108)}, "drawn by the header of height 107"),
    "a header names another chain": ({"state": with_fields(chain="another")}, "the chain is forged"),
    # 2
    "the state is another": ({"state": with_fields(app_hash=digest("another state"))}, "lead to"),
    "the header names no state": ({"state": with_fields(app_hash=b"")}, "lead to"),
    "the record names another order": ({"task": with_fields(order=digest("another"))}, "task's record"),
    "the record names another leader": ({"task": with_fields(leader=account_of("another"))}, "task's record"),
    "the record names another helper": ({"task": with_fields(helper=account_of("another"))}, "task's record"),
    "the record has another minimum": ({"task": with_fields(least_batch=9)}, "task's record"),
    "the record counts other persons": ({"task": with_fields(panels_enrolled=21)}, "task's record"),
    "the record has other heights": ({"task": with_fields(accept_until=118)}, "heights of the task's record"),
    "the task ended as unusable": ({"task": with_fields(outcome=Outcome.UNUSABLE)}, "its result does not stand"),
    "the order is another": (
        {"certificate": lambda truth: replace(truth, order=replace(truth.order, price=1))},
        "order",
    ),
    "the customer is another": ({"configuration": with_fields(customer=account_of("another"))}, "order"),
    "the sampling is not as ordered": ({"configuration": with_fields(sampling=1)}, "order's terms"),
    "the minimum is not as ordered": ({"configuration": with_fields(least_batch=9)}, "order's terms"),
    "the key is not the order's": ({"configuration": with_fields(seal_key=digest("another"))}, "order's terms"),
    "the leader is not as ordered": (
        {"configuration": lambda truth: replace(truth, leader=replace(truth.leader, account=account_of("another")))},
        "order's terms",
    ),
    "the program is not as ordered": ({"configuration": with_fields(program=digest("another"))}, "order's terms"),
    "the panels are not as ordered": (
        {"panels": 2, "configuration": lambda truth: replace(truth, panels=truth.panels[::-1])},
        "order's panels",
    ),
    "a phase is longer than ordered": ({"configuration": with_fields(accept_until=118)}, "order's schedule"),
    "a phase is shorter than ordered": ({"configuration": with_fields(upload_until=102)}, "order's schedule"),
    "the program shown is another": (
        {"certificate": lambda truth: replace(truth, program=make_program(LONG))},
        "program is not",
    ),
    "the task measures something else": ({"configuration": with_fields(measurement=LONG)}, "program's measurement"),
    "the measurement is none": (
        {"measurement": MeasurementType(kind=MeasurementKind.SUM, length=1, bound=0, weight=0)},
        "no well-bounded one",
    ),
    "a panel too many": (
        {"certificate": lambda truth: replace(truth, panels=truth.panels * 2)},
        "number of panels",
    ),
    "the panel shown is another": (
        {"panels": 2, "certificate": lambda truth: replace(truth, panels=truth.panels[::-1])},
        "panel is not",
    ),
    "the panel's issuer is another": ({"configuration": change_panel(issuer=account_of("another"))}, "panel is not"),
    "the panel's grade is another": ({"configuration": change_panel(grade=Grade.SELF_REPORTED)}, "panel's facts"),
    "the panel has another key list": ({"configuration": change_panel(keys_root=digest("x"))}, "panel's facts"),
    "the slot is another": ({"configuration": change_panel(slot=2)}, "the path of leaf 2"),
    "the modulus is another": ({"certificate": change_certified_panel(modulus=digest("m") * 8)}, "the path of leaf 3"),
    "the panel does not have the kind": ({"panel": with_fields(kinds=(Kind.GENOTYPE,))}, "does not offer"),
    "the panel does not have the schema": ({"panel": with_fields(schemas=("another",))}, "does not offer"),
    "leader and helper are one": ({"configuration": same_party}, "are not three"),
    "other attestations than at join": (
        {"certificate": lambda truth: replace(truth, leader=replace(truth.leader, attestations=()))},
        "attestations",
    ),
    "attestations in another order": (
        {"leader": lambda _: TWO_CLAIMS, "certificate": reverse_attestations},
        "do not ascend",
    ),
    "an attestation twice": ({"leader": lambda truth: truth * 2}, "do not ascend"),
    "an attestation that had ended": (
        {"helper": attest("other accreditor", Claim.INDEPENDENT, until=99)},
        "did not hold at height 100",
    ),
    "an attestation that was withdrawn before": (
        {"helper": attest("other accreditor", Claim.INDEPENDENT, withdrawn_at=99)},
        "did not hold at height 100",
    ),
    "an attestation made later": (
        {"helper": attest("other accreditor", Claim.INDEPENDENT, since=101)},
        "did not hold at height 100",
    ),
    "a helper of whom nothing is attested": ({"helper": lambda _: ()}, "independent"),
    "a helper who is only verified": ({"helper": attest("other accreditor", Claim.VERIFIED)}, "independent"),
    "a helper of the leader's own accreditor": ({"helper": attest("accreditor", Claim.INDEPENDENT)}, "independent"),
    # 3
    "the batch is of another task": ({"statement": with_fields(task=digest("another"))}, "batch's task"),
    "the signatures are swapped": ({"certificate": swap_signatures}, "not a signature"),
    "the batch is too small": ({"reports": 9, "order": with_fields(least_batch=10)}, "are not between"),
    "the batch has more reports than persons": ({"configuration": change_panel(enrolled=19)}, "are not between"),
    "the batch was closed early": ({"batch": lambda height: height - 1}, "closed at height 105"),
    "the batch was closed late": ({"batch": lambda height: height + 4}, "closed at height 110"),
    "the leader posted no share": ({"task": with_fields(leader_share=None)}, "did not both post"),
    "the helper posted no share": ({"task": with_fields(helper_share=None)}, "did not both post"),
    "a share was posted too early": ({"task": early_share}, "leader posted its share at height 107"),
    "a share was posted too late": ({"task": late_share}, "helper posted its share at height 114"),
    # 4
    "the leaves are swapped": (
        {"certificate": lambda truth: replace(truth, leaves=truth.leaves[::-1])},
        "opens others",
    ),
    "a leaf is missing": ({"certificate": lambda truth: replace(truth, leaves=truth.leaves[1:])}, "opens others"),
    "all leaves are missing": ({"certificate": with_fields(leaves=())}, "opens others"),
    "one slot key reported twice": (
        {"leaf": with_fields(slot_key=SlotKey(key_of("slot 0").public))},
        "two drawn leaves have one slot key",
    ),
    "one report counts twice": ({"leaf": with_fields(report=ReportId(bytes(16)))}, "do not ascend by report id"),
    "a leaf that is not in the list": ({"certificate": change_first_leaf(token=Token(bytes(256)))}, "the path of leaf"),
    "the list's root is another": ({"statement": with_fields(accepted_root=digest("x"))}, "the path of leaf"),
    "a token of nobody": ({"leaf": with_fields(token=Token(b"\x01" * 256))}, "not a token"),
    "a permit of nobody": ({"leaf": with_fields(permit=Signature(bytes(64)))}, "not a signature"),
    "a permit for another share": ({"leaf": with_fields(leader_share=digest("x"))}, "not a signature"),
    "a permit for another task": (
        {"leaf": lambda truth: make_leaf(Digest(bytes(32)), int.from_bytes(truth.report, "big"), 1)},
        "not a signature",
    ),
    "a panel that the task does not have": ({"leaf": with_fields(panel=1)}, "names panel 1 of 1"),
    # 5
    "more noise was ordered": ({"configuration": with_fields(sigma_numerator=1)}, "noise scale"),
    "the noise scale is not in lowest terms": (
        {"configuration": with_fields(sigma_numerator=6, sigma_denominator=4)},
        "noise scale",
    ),
    # 6
    "the shares are swapped": (
        {"certificate": lambda truth: replace(truth, leader_share=truth.helper_share, helper_share=truth.leader_share)},
        "leader's share",
    ),
    "a share is missing": ({"certificate": with_fields(helper_share=b"")}, "helper's share"),
    "a share is of another length": ({"shares": lambda shares: (shares[0][:-16], shares[1])}, "bytes instead of"),
    "an element is no number of the field": ({"shares": lambda shares: (b"\xff" * 80, shares[1])}, "below the modulus"),
    "a value is below what noise explains": ({"values": [-26, 0, 0, 0, 0]}, "outside what the reports can add up to"),
    "a value is above what noise explains": ({"values": [0, 0, 46, 0, 0]}, "outside what the reports can add up to"),
    "the services did not sum the same reports": (
        {"values": [2**100, 0, 0, 0, 0]},
        "did not sum the same reports",
    ),
}


def test_a_verdict_names_an_accreditor_whom_genesis_does_not() -> None:
    later = [one.says for one in check(forge(leader=attest("treasurer", Claim.ACCREDITED))).checks]
    assert [one for one in later if "whom genesis does not name" in one] == [
        f"that the members made {account_of('treasurer').hex()[:16]}, whom genesis does not name, an accreditor: they say so"
    ]
    assert not [one.says for one in check(HONEST).checks if "whom genesis does not name" in one.says]


@pytest.mark.parametrize("lie", LIES)
def test_a_certificate_is_refused_when(lie: str) -> None:
    told, words = LIES[lie]
    with pytest.raises(BadCertificate, match=words):
        check(forge(**told))


@pytest.mark.parametrize("values", [[-25, 0, 0, 0, 0], [0, 0, 45, 0, 0]])
def test_a_value_that_noise_can_explain_is_a_result(values: list[int]) -> None:
    assert check(forge(values=values)).values == values


# ── shares beside the file ────────────────────────────────────────────────────────────────────────────────────────


def test_shares_beside_the_file_must_be_given() -> None:
    with pytest.raises(BadCertificate, match=r"NAME\.shares"):
        verify_certificate(forge(measurement=LONG).data, GENESIS)


def test_shares_beside_a_file_that_holds_its_own_are_refused() -> None:
    with pytest.raises(BadCertificate, match="nothing belongs beside it"):
        verify_certificate(HONEST.data, GENESIS, forge(measurement=LONG).detached)


def test_shares_too_large_for_the_file_are_refused_inside() -> None:
    leader, helper = split(MeasurementType(MeasurementKind.HISTOGRAM, 200, 0, 0), [0] * 200)
    forged = forge(measurement=LONG, certificate=with_fields(leader_share=leader, helper_share=b""))
    with pytest.raises(BadCertificate, match="lie beside"):
        check(forged)
    assert helper


def test_other_shares_beside_the_file_are_refused() -> None:
    forged = forge(measurement=LONG)
    assert forged.beside is not None
    swapped = replace(forged.beside, leader_share=forged.beside.helper_share, helper_share=forged.beside.leader_share)
    with pytest.raises(BadCertificate, match="leader's share"):
        verify_certificate(forged.data, GENESIS, encode(swapped))
    with pytest.raises(Malformed):
        verify_certificate(forged.data, GENESIS, b"")


# ── offline ───────────────────────────────────────────────────────────────────────────────────────────────────────

OFFLINE = """
import sys
from pathlib import Path

def no_network(event, arguments):
    if event.startswith("socket."):
        raise OSError(event)

sys.addaudithook(no_network)
from edgehold.ledger.genesis import read_genesis
from edgehold.verify.certificate import verify_certificate

certificate, genesis = (Path(name).read_bytes() for name in sys.argv[1:])
print(verify_certificate(certificate, read_genesis(genesis)).values)
parties = ("hub", "service", "customer", "issuer", "engine", "server", "cli", "demo")
assert not [name for name in sys.modules if name.startswith(tuple(f"edgehold.{party}" for party in parties))]
"""


def test_two_files_are_enough_without_network_or_parties(tmp_path: Path) -> None:
    (tmp_path / "result.cert").write_bytes(HONEST.data)
    (tmp_path / "genesis.cbor").write_bytes(write_genesis(GENESIS))
    command = [sys.executable, "-c", OFFLINE, str(tmp_path / "result.cert"), str(tmp_path / "genesis.cbor")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("[20, 0, 0, 0, 0]\n", "")


# ── how large ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_size_hardly_depends_on_the_number_of_reports() -> None:
    """100,000 reports of 4 panels with 256 slots each, in a state of 1,000,000 entries, and all the shares that fit."""
    widest = MeasurementType(kind=MeasurementKind.HISTOGRAM, length=128, bound=0, weight=0)
    forged = forge(reports=100_000, panels=4, slots=256, measurement=widest)
    assert check(forged).batch == 100_000
    assert len(forged.certificate.leader_share + forged.certificate.helper_share) == 4096
    assert len(forged.data) <= 20_000
    assert decode(forged.data, Certificate) == forged.certificate
    assert {one.panel for one in forged.certificate.configuration.panels} == {
        panel_id(account_of("issuer"), one.descriptor) for one in forged.certificate.panels
    }


def test_the_histogram_of_the_tests_is_the_small_one() -> None:
    assert HONEST.certificate.configuration.measurement == HISTOGRAM
