"""Sharding, verifying and summing between two aggregators: sums are exact, nothing bad is counted, nothing crashes."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgehold.errors import BadMeasurement, BadShare, OutOfBounds
from edgehold.vdaf.field import FIELD128, decode_share, encode_share
from edgehold.vdaf.prio3 import Begun, Measurement, Prio3, Rejected, Verified, make_prio3
from edgehold.wire.program import MeasurementKind, MeasurementType

COUNT = MeasurementType(MeasurementKind.COUNT, 1, 0, 0)
SUM = MeasurementType(MeasurementKind.SUM, 1, 300, 0)
HISTOGRAM = MeasurementType(MeasurementKind.HISTOGRAM, 17, 0, 0)
MULTIHOT = MeasurementType(MeasurementKind.MULTIHOT, 10, 0, 4)
SUMVEC = MeasurementType(MeasurementKind.SUMVEC, 5, 1000, 0)
L1BOUND = MeasurementType(MeasurementKind.L1BOUND, 6, 100, 0)
TYPES = [COUNT, SUM, HISTOGRAM, MULTIHOT, SUMVEC, L1BOUND]

CONTEXT = b"edgehold test"
VERIFY_KEY = bytes(range(32))


def draw_measurement(kind: MeasurementType, dice: random.Random) -> Measurement:
    match kind.kind:
        case MeasurementKind.COUNT:
            return dice.randrange(2)
        case MeasurementKind.SUM:
            return dice.randint(0, kind.bound)
        case MeasurementKind.HISTOGRAM:
            return dice.randrange(kind.length)
        case MeasurementKind.MULTIHOT:
            chosen = dice.sample(range(kind.length), dice.randint(0, kind.weight))
            return [int(place in chosen) for place in range(kind.length)]
        case MeasurementKind.SUMVEC:
            return [dice.randint(0, kind.bound) for _ in range(kind.length)]
        case MeasurementKind.L1BOUND:
            cuts = sorted(dice.randint(0, kind.bound) for _ in range(kind.length))
            return [high - low for low, high in zip([0, *cuts], cuts, strict=False)]


def as_vector(kind: MeasurementType, measurement: Measurement) -> list[int]:
    if not isinstance(measurement, int):
        return list(measurement)
    if kind.kind is MeasurementKind.HISTOGRAM:
        return [int(place == measurement) for place in range(kind.length)]
    return [measurement]


def verify(
    vdaf: Prio3, nonce: bytes, public: bytes, leader: bytes, helper: bytes, verify_key: bytes = VERIFY_KEY
) -> tuple[bytes, bytes] | None:
    """Both output shares if both aggregators accept, else nothing."""
    (begun,) = vdaf.leader_init_batch(verify_key, CONTEXT, [(nonce, public, leader)])
    if isinstance(begun, Rejected):
        return None
    (verified,) = vdaf.helper_init_batch(verify_key, CONTEXT, [(nonce, public, helper, begun.message)])
    if isinstance(verified, Rejected):
        return None
    (share,) = vdaf.leader_finish_batch(CONTEXT, [(begun.state, verified.message)])
    return None if isinstance(share, Rejected) else (share, verified.output_share)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(TYPES), st.integers(0, 2**32), st.integers(0, 12))
def test_the_shares_of_a_batch_give_the_plain_sum(kind: MeasurementType, seed: int, size: int) -> None:
    dice, vdaf = random.Random(seed), make_prio3(kind)
    measurements = [draw_measurement(kind, dice) for _ in range(size)]
    nonces = [dice.randbytes(16) for _ in measurements]
    sharded = [
        vdaf.shard(CONTEXT, measurement, nonce, dice.randbytes(vdaf.random_length))
        for measurement, nonce in zip(measurements, nonces, strict=True)
    ]
    for_leader = [(nonce, public, leader) for nonce, (public, (leader, _)) in zip(nonces, sharded, strict=True)]
    begun = [step for step in vdaf.leader_init_batch(VERIFY_KEY, CONTEXT, for_leader) if isinstance(step, Begun)]
    for_helper = [
        (nonce, public, helper, step.message)
        for nonce, (public, (_, helper)), step in zip(nonces, sharded, begun, strict=True)
    ]
    verified = [step for step in vdaf.helper_init_batch(VERIFY_KEY, CONTEXT, for_helper) if isinstance(step, Verified)]
    answers = [(step.state, answer.message) for step, answer in zip(begun, verified, strict=True)]
    finished = [share for share in vdaf.leader_finish_batch(CONTEXT, answers) if isinstance(share, bytes)]

    assert len(begun) == len(verified) == len(finished) == size
    leader, helper = vdaf.aggregate(finished), vdaf.aggregate([step.output_share for step in verified])
    vectors = [as_vector(kind, measurement) for measurement in measurements]
    plain = [sum(column) for column in zip([0] * vdaf.output_length, *vectors, strict=True)]
    assert vdaf.unshard([leader, helper]) == plain

    both = [(nonce, public, *shares) for nonce, (public, shares) in zip(nonces, sharded, strict=True)]
    assert vdaf.verify_alone(VERIFY_KEY, CONTEXT, both) == (leader, helper)
    half = len(finished) // 2
    assert vdaf.merge([vdaf.aggregate(finished[:half]), vdaf.aggregate(finished[half:])]) == leader


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(TYPES), st.integers(0, 2**32), st.sampled_from(["public", "leader", "helper"]), st.data())
def test_one_changed_bit_is_rejected_or_changes_nothing(
    kind: MeasurementType, seed: int, where: str, data: st.DataObject
) -> None:
    dice, vdaf = random.Random(seed), make_prio3(kind)
    measurement, nonce = draw_measurement(kind, dice), dice.randbytes(16)
    public, (leader, helper) = vdaf.shard(CONTEXT, measurement, nonce, dice.randbytes(vdaf.random_length))
    parts = {"public": public, "leader": leader, "helper": helper}
    if not parts[where]:
        return
    changed = bytearray(parts[where])
    changed[data.draw(st.integers(0, len(changed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    parts[where] = bytes(changed)
    outputs = verify(vdaf, nonce, parts["public"], parts["leader"], parts["helper"])
    assert outputs is None or vdaf.unshard(outputs) == as_vector(kind, measurement)


@pytest.mark.parametrize("kind", TYPES, ids=lambda kind: kind.kind.value)
def test_an_aggregator_that_alters_its_input_share_gets_the_report_rejected(kind: MeasurementType) -> None:
    dice, vdaf = random.Random(1), make_prio3(kind)
    public, (leader, helper) = vdaf.shard(
        CONTEXT, draw_measurement(kind, dice), bytes(16), dice.randbytes(vdaf.random_length)
    )
    size = 8 if kind in (COUNT, SUM) else 16
    first = int.from_bytes(leader[:size], "little")
    altered = (first + 1 if first < 2**60 else first - 1).to_bytes(size, "little") + leader[size:]
    assert verify(vdaf, bytes(16), public, leader, helper) is not None
    assert verify(vdaf, bytes(16), public, altered, helper) is None


def test_other_keys_nonces_and_contexts_do_not_verify() -> None:
    vdaf = make_prio3(HISTOGRAM)
    public, (leader, helper) = vdaf.shard(CONTEXT, 3, bytes(16), bytes(vdaf.random_length))
    assert verify(vdaf, bytes(16), public, leader, helper) is not None
    assert verify(vdaf, b"\1" + bytes(15), public, leader, helper) is None
    (begun,) = vdaf.leader_init_batch(VERIFY_KEY, CONTEXT, [(bytes(16), public, leader)])
    assert isinstance(begun, Begun)
    for key, context in ((bytes(32), CONTEXT), (VERIFY_KEY, b"other")):
        (answer,) = vdaf.helper_init_batch(key, context, [(bytes(16), public, helper, begun.message)])
        assert isinstance(answer, Rejected)


def test_more_bits_than_the_weight_allows_are_rejected() -> None:
    generous = make_prio3(MeasurementType(MeasurementKind.MULTIHOT, 10, 0, 7))
    strict = make_prio3(MULTIHOT)
    public, (leader, helper) = generous.shard(CONTEXT, [1] * 7 + [0] * 3, bytes(16), bytes(generous.random_length))
    assert verify(generous, bytes(16), public, leader, helper) is not None
    assert verify(strict, bytes(16), public, leader, helper) is None


def test_all_steps_in_one_place_refuse_a_bad_report() -> None:
    vdaf = make_prio3(HISTOGRAM)
    public, (leader, helper) = vdaf.shard(CONTEXT, 3, bytes(16), bytes(vdaf.random_length))
    with pytest.raises(BadShare, match="not every report holds"):
        vdaf.verify_alone(
            VERIFY_KEY, CONTEXT, [(bytes(16), public, leader, helper), (bytes(16), public, helper, leader)]
        )
    with pytest.raises(BadShare):
        vdaf.verify_alone(VERIFY_KEY, CONTEXT, [(bytes([1] * 16), public, leader, helper)])


def test_bad_items_of_a_batch_leave_the_others_alone() -> None:
    vdaf = make_prio3(HISTOGRAM)
    public, (leader, helper) = vdaf.shard(CONTEXT, 3, bytes(16), bytes(vdaf.random_length))
    good = (bytes(16), public, leader)
    bad = [
        (b"", public, leader),
        (bytes(16), b"", leader),
        (bytes(16), public, helper),
        (bytes(16), public, leader + b"!"),
    ]
    steps = vdaf.leader_init_batch(VERIFY_KEY, CONTEXT, [bad[0], good, *bad[1:], good])
    assert [isinstance(step, Begun) for step in steps] == [False, True, False, False, False, True]
    assert steps[1] == steps[5]
    assert steps[0] == Rejected("the nonce has 0 bytes instead of 16")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(TYPES), st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
def test_any_bytes_are_rejected_with_a_reason_and_without_a_crash(
    kind: MeasurementType, first: bytes, second: bytes, third: bytes
) -> None:
    vdaf = make_prio3(kind)
    public, (leader, helper) = vdaf.shard(CONTEXT, [0] * kind.length if kind in (MULTIHOT, SUMVEC, L1BOUND) else 0,
                                          bytes(16), bytes(vdaf.random_length))  # fmt: skip
    (begun,) = vdaf.leader_init_batch(VERIFY_KEY, CONTEXT, [(bytes(16), public, leader)])
    assert isinstance(begun, Begun)
    answers: Sequence[object] = [
        *vdaf.leader_init_batch(VERIFY_KEY, CONTEXT, [(first, second, third), (bytes(16), public, third)]),
        *vdaf.helper_init_batch(VERIFY_KEY, CONTEXT, [(bytes(16), public, helper, first)]),
        *vdaf.helper_init_batch(VERIFY_KEY, CONTEXT, [(first, second, third, first)]),
        *vdaf.leader_finish_batch(CONTEXT, [(first, second), (begun.state, first)]),
    ]
    for answer in answers:
        assert isinstance(answer, Rejected)
        assert "gave up" not in answer.reason


@pytest.mark.parametrize(
    ("kind", "measurement"),
    [
        (COUNT, 2),
        (COUNT, [1]),
        (SUM, 301),
        (SUM, -1),
        (SUM, 2**200),
        (HISTOGRAM, 17),
        (HISTOGRAM, 2**64),
        (MULTIHOT, [1] * 5 + [0] * 5),
        (MULTIHOT, [2] + [0] * 9),
        (MULTIHOT, [0] * 9),
        (SUMVEC, [1001, 0, 0, 0, 0]),
        (SUMVEC, [0] * 6),
        (SUMVEC, 7),
        (L1BOUND, [50, 51, 0, 0, 0, 0]),
        (L1BOUND, []),
    ],
)
def test_a_measurement_out_of_bounds_is_not_sharded(kind: MeasurementType, measurement: Measurement) -> None:
    vdaf = make_prio3(kind)
    with pytest.raises(OutOfBounds):
        vdaf.shard(CONTEXT, measurement, bytes(16), bytes(vdaf.random_length))


def test_sharding_says_which_randomness_it_lacks() -> None:
    vdaf = make_prio3(COUNT)
    with pytest.raises(ValueError, match="64 of randomness"):
        vdaf.shard(CONTEXT, 1, bytes(16), bytes(63))


@pytest.mark.parametrize(
    "kind",
    [
        MeasurementType(MeasurementKind.COUNT, 2, 0, 0),
        MeasurementType(MeasurementKind.COUNT, 1, 1, 0),
        MeasurementType(MeasurementKind.SUM, 1, 0, 0),
        MeasurementType(MeasurementKind.SUM, 2, 9, 0),
        MeasurementType(MeasurementKind.HISTOGRAM, 0, 0, 0),
        MeasurementType(MeasurementKind.HISTOGRAM, 3, 0, 1),
        MeasurementType(MeasurementKind.HISTOGRAM, 2**40, 0, 0),
        MeasurementType(MeasurementKind.MULTIHOT, 3, 0, 4),
        MeasurementType(MeasurementKind.MULTIHOT, 3, 0, 0),
        MeasurementType(MeasurementKind.SUMVEC, 3, 0, 0),
        MeasurementType(MeasurementKind.SUMVEC, 100_000, 2**32 - 1, 0),
        MeasurementType(MeasurementKind.L1BOUND, 3, 0, 0),
        MeasurementType(MeasurementKind.L1BOUND, 3, 2**200, 0),
        MeasurementType(MeasurementKind.L1BOUND, -3, 5, 0),
    ],
    ids=str,
)
def test_numbers_that_make_no_type_are_refused(kind: MeasurementType) -> None:
    with pytest.raises(BadMeasurement):
        make_prio3(kind)


def test_the_chunk_length_is_part_of_the_protocol() -> None:
    """The size of the leader's share follows from it."""
    sizes = {
        kind.kind.value: len(vdaf.shard(CONTEXT, measurement, bytes(16), bytes(vdaf.random_length))[1][0])
        for kind, measurement in [(HISTOGRAM, 0), (MULTIHOT, [0] * 10), (SUMVEC, [0] * 5), (L1BOUND, [0] * 6)]
        for vdaf in [make_prio3(kind)]
    }
    assert sizes == {"histogram": 608, "multihot": 512, "sumvec": 1328, "l1bound": 1280}


def test_shares_that_do_not_fit_are_refused() -> None:
    vdaf = make_prio3(HISTOGRAM)
    too_large = FIELD128.modulus.to_bytes(16, "little") + bytes(16 * 16)
    for share in (b"", bytes(16 * 16), bytes(16 * 18), too_large):
        for refuse in (vdaf.aggregate, vdaf.merge, vdaf.unshard):
            with pytest.raises(BadShare):
                refuse([share])


def test_noise_is_added_in_the_field() -> None:
    vdaf = make_prio3(HISTOGRAM)
    noised = vdaf.add_vector(vdaf.aggregate([]), [-3, 4, *[0] * 15])
    assert vdaf.unshard([noised, vdaf.aggregate([])]) == [-3, 4, *[0] * 15]
    assert decode_share(HISTOGRAM, noised)[0] == FIELD128.modulus - 3
    assert encode_share(HISTOGRAM, decode_share(HISTOGRAM, noised)) == noised


def test_results_that_are_kept_do_not_print_secrets() -> None:
    vdaf = make_prio3(COUNT)
    public, (leader, helper) = vdaf.shard(CONTEXT, 1, bytes(16), bytes(vdaf.random_length))
    (begun,) = vdaf.leader_init_batch(VERIFY_KEY, CONTEXT, [(bytes(16), public, leader)])
    assert isinstance(begun, Begun)
    (verified,) = vdaf.helper_init_batch(VERIFY_KEY, CONTEXT, [(bytes(16), public, helper, begun.message)])
    assert "state=…" in repr(begun)
    assert "output_share=…" in repr(verified)
