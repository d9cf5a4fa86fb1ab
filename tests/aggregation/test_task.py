"""What follows from a configuration: phases, keys, and one size for every report of a task."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from edgehold.aggregation.collect import noise_commitment, open_share
from edgehold.aggregation.report import make_report
from edgehold.aggregation.task import Phase, phase, report_size, serve_task
from edgehold.crypto.merkle import tree_root
from edgehold.crypto.names import noised_share_digest, sealed_share_digest, task_id
from edgehold.crypto.seal import SealKeyPair, seal
from edgehold.crypto.signatures import SigningKey
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import OutOfBounds, PanelKeysDiffer, ShareDiffers
from edgehold.ledger.shares import noised_share_digest as ledger_noised_share_digest
from edgehold.ledger.shares import sealed_share_digest as ledger_sealed_share_digest
from edgehold.vdaf.prio3 import Measurement, neutral
from edgehold.wire.data import Grade
from edgehold.wire.ids import (
    AccountId,
    Digest,
    Modulus,
    NetworkId,
    OrderId,
    PanelId,
    ProgramId,
    PublicKey,
    Token,
)
from edgehold.wire.program import MeasurementKind, MeasurementType
from edgehold.wire.task import Party, TaskConfiguration, TaskPanel, TaskParty

MODULI = [Modulus(bytes([slot + 1]) * 256) for slot in range(3)]


def type_of(kind: MeasurementKind, length: int = 1, bound: int = 0, weight: int = 0) -> MeasurementType:
    """A measurement type."""
    return MeasurementType(kind=kind, length=length, bound=bound, weight=weight)


COUNT = type_of(MeasurementKind.COUNT)
TYPES = {
    "count": (COUNT, some.integers(0, 1)),
    "sum": (type_of(MeasurementKind.SUM, bound=300), some.integers(0, 300)),
    "histogram": (type_of(MeasurementKind.HISTOGRAM, 7), some.integers(0, 6)),
    "multihot": (
        type_of(MeasurementKind.MULTIHOT, 6, weight=2),
        some.lists(some.integers(0, 1), min_size=6, max_size=6).filter(lambda bits: sum(bits) <= 2),
    ),
    "sumvec": (
        type_of(MeasurementKind.SUMVEC, 3, bound=9),
        some.lists(some.integers(0, 9), min_size=3, max_size=3),
    ),
    "l1bound": (
        type_of(MeasurementKind.L1BOUND, 3, bound=9),
        some.lists(some.integers(0, 3), min_size=3, max_size=3),
    ),
}


def configuration(measurement: MeasurementType = COUNT) -> TaskConfiguration:
    """A task of one panel."""
    digest = Digest(b"d" * 32)
    parties = [
        TaskParty(
            account=AccountId(digest),
            key=PublicKey(bytes(32)),
            sponsor=AccountId(digest),
            seal_key=SealKeyPair(bytes([number]) * 32).public,
            noise_commitment=digest,
            attestations=digest,
        )
        for number in (1, 2)
    ]
    panel = TaskPanel(
        panel=PanelId(digest),
        issuer=AccountId(digest),
        grade=Grade.SIGNED,
        slot=1,
        slots=3,
        keys_root=tree_root(MODULI),
        enrolled=100,
    )
    return TaskConfiguration(
        network=NetworkId(digest),
        order=OrderId(digest),
        customer=AccountId(digest),
        program=ProgramId(digest),
        measurement=measurement,
        panels=(panel,),
        sampling=1,
        least_batch=1,
        sigma_numerator=1,
        sigma_denominator=1,
        seal_key=parties[0].seal_key,
        leader=parties[0],
        helper=parties[1],
        opened_at=10,
        upload_until=20,
        revoke_until=25,
        close_until=30,
        share_until=35,
        accept_until=40,
    )


def report(measurement: MeasurementType, value: Measurement, seed: int = 0) -> bytes:
    """A report of a value."""
    return make_report(
        configuration(measurement),
        value,
        panel=0,
        slot_key=SigningKey(bytes(32)),
        token=Token(bytes(256)),
        randomness=SeededRandomness(seed, "hub"),
    )


def test_every_height_is_in_one_phase_and_ends_are_inclusive() -> None:
    found = [phase(configuration(), height) for height in (10, 20, 21, 25, 26, 30, 31, 35, 36, 40, 41)]
    assert found == [
        Phase.UPLOAD,
        Phase.UPLOAD,
        Phase.REVOKE,
        Phase.REVOKE,
        Phase.CLOSE,
        Phase.CLOSE,
        Phase.SHARE,
        Phase.SHARE,
        Phase.ACCEPT,
        Phase.ACCEPT,
        Phase.OVER,
    ]


@pytest.mark.parametrize("name", TYPES)
def test_every_report_of_a_task_has_the_same_size_whatever_is_measured(name: str) -> None:
    measurement, values = TYPES[name]
    size = report_size(measurement)

    @given(values, some.integers(0, 5))
    def check(value: Measurement, seed: int) -> None:
        assert len(report(measurement, value, seed)) == size

    check()
    assert len(report(measurement, neutral(measurement))) == size


def test_a_value_out_of_bounds_makes_no_report() -> None:
    for value in (2, -1, [1], 2**130):
        with pytest.raises(OutOfBounds):
            report(COUNT, value)


def test_the_same_dice_give_the_same_report_and_others_another() -> None:
    assert report(COUNT, 1, 3) == report(COUNT, 1, 3)
    assert report(COUNT, 1, 3) != report(COUNT, 1, 4)


def test_only_the_list_under_the_panels_root_is_served() -> None:
    served = serve_task(configuration(), [MODULI])
    assert served.moduli == (MODULI[1],)
    assert served.task == task_id(configuration())
    for keys in (MODULI[::-1], MODULI[:2], [*MODULI, MODULI[0]]):
        with pytest.raises(PanelKeysDiffer):
            serve_task(configuration(), [keys])


def test_a_noise_commitment_names_secret_order_and_role() -> None:
    order = configuration().order
    made = {
        noise_commitment(secret, one, party)
        for secret in (bytes(32), b"s" * 32)
        for one in (order, OrderId(Digest(bytes(32))))
        for party in Party
    }
    assert len(made) == 8


def test_a_share_opens_only_as_the_one_that_was_posted() -> None:
    pair = SealKeyPair(b"k" * 32)
    sealed = seal(pair.public, b"info", b"aad", b"share", SeededRandomness(1, "party"))
    posted = noised_share_digest(b"share")
    assert open_share(pair, sealed, info=b"info", aad=b"aad", posted=posted) == b"share"
    with pytest.raises(ShareDiffers):
        open_share(pair, sealed, info=b"info", aad=b"aad", posted=noised_share_digest(b"other"))


def test_the_digests_of_shares_are_those_of_the_ledger() -> None:
    assert noised_share_digest(b"x") == ledger_noised_share_digest(b"x")
    assert sealed_share_digest(b"x") == ledger_sealed_share_digest(b"x")
