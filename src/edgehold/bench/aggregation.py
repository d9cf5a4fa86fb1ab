"""How fast reports are verified: the VDAF beside its crate alone, and whole reports at both aggregators, durably.

The crate driven from Rust alone does the same work on the same threads: reading all shares, both aggregators' steps, both
sums; only what passes between Python and Rust, and from one step to the next, is not there.

A whole report is uploaded to a real leader, checked, stored, put into a job, verified with a real helper in a process of
its own, and stored as accepted by both. Its limit is what cannot be left out: at each aggregator the token, the permit,
one X25519 exchange and decryption; the leader's receipt; the crate's verification; and one bare row in SQLite at each.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from threading import Thread
from typing import NamedTuple, TypeVar

import apsw
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edgehold.aggregation.report import permit_claim
from edgehold.aggregation.task import prio3_for
from edgehold.bench.measure import Row, Work, make_row
from edgehold.bench.pair import InOtherProcess, Pair, key_of
from edgehold.crypto.blind import verify_token
from edgehold.crypto.signatures import verify_many
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import Unavailable
from edgehold.service.storage import Storage
from edgehold.vdaf.prio3 import Begun, Measurement, Verified
from edgehold.wire.codec import decode, encode
from edgehold.wire.program import MeasurementKind, MeasurementType
from edgehold.wire.report import MAX_JOB, decode_report
from edgehold.wire.service import Answer, Receipted, Request, Upload
from edgehold.wire.task import Party

HISTOGRAM = MeasurementType(kind=MeasurementKind.HISTOGRAM, length=100, bound=0, weight=0)
VECTOR = MeasurementType(kind=MeasurementKind.SUMVEC, length=1000, bound=255, weight=0)
UPLOADS_AT_ONCE = 64
"""Uploads that a leader takes in one durable write; what a busy one finds waiting after the last."""

VERIFY_KEY, CONTEXT = bytes(range(32)), b"edgehold bench"
MICROSECONDS = 1e6
PAUSE = 0.0005
"""Seconds between two looks of an idle leader for a full job."""

Shares = tuple[bytes, bytes, bytes, bytes]
"""Of one report: nonce, public share, the leader's and the helper's input shares."""

T = TypeVar("T")


class Spent(NamedTuple):
    """What something took, in seconds by the clock and of this process's processor time."""

    clock: float
    processor: float


class Clock(NamedTuple):
    """One of the two ways to look at it."""

    words: str
    unit: str
    seconds: Callable[[Spent], float]


CLOCKS = (
    Clock("by the clock", "reports/s", lambda spent: spent.clock),
    Clock("by processor time", "reports/core-s", lambda spent: spent.processor),
)


def timed(act: Callable[[], object]) -> Spent:
    """Do something and say what it took."""
    clock, processor = time.perf_counter(), time.process_time()
    act()
    return Spent(time.perf_counter() - clock, time.process_time() - processor)


def measure(work: Work) -> list[Row]:
    """Verification of two measurement types, then whole reports."""
    rows = []
    for name, measurement, value, reports in (
        ("histogram of 100", HISTOGRAM, 42, 256 if work.quick else 4096),
        ("SumVec of 1,000 × 8 bit", VECTOR, [3] * 1000, 4 if work.quick else 96),
    ):
        work.say(f"verification, {name}: {reports} reports a round")
        rows += verification(work.runs, name, measurement, value, reports)
    return rows + whole_reports(work, MAX_JOB if work.quick else 16 * MAX_JOB)


# ── the verification alone ────────────────────────────────────────────────────────────────────────────────────────


def verification(runs: int, name: str, measurement: MeasurementType, value: Measurement, reports: int) -> list[Row]:
    """Both aggregators' steps through Python beside the crate alone, by the clock and by processor time."""
    shares = shard_many(measurement, value, reports)
    steps = partial(verify_by_steps, measurement, shares)
    crate = partial(prio3_for(measurement).verify_alone, VERIFY_KEY, CONTEXT, shares)
    if steps() != crate():
        raise Unavailable("the crate alone gives other sums")
    by_steps, by_crate = [], []
    for _ in range(runs):
        by_steps.append(timed(steps))
        by_crate.append(timed(crate))
    return [
        make_row(
            f"verification at both, {name}, {clock.words}",
            clock.unit,
            [reports / clock.seconds(spent) for spent in by_steps],
            "crate prio driven from Rust alone, same threads",
            [reports / clock.seconds(spent) for spent in by_crate],
        )
        for clock in CLOCKS
    ]


def shard_many(measurement: MeasurementType, value: Measurement, reports: int) -> list[Shares]:
    """So many reports of one value."""
    vdaf, dice = prio3_for(measurement), SeededRandomness(1, "shares")
    made = []
    for _ in range(reports):
        nonce = dice.draw(16)
        public_share, (leader, helper) = vdaf.shard(CONTEXT, value, nonce, dice.draw(vdaf.random_length))
        made.append((nonce, public_share, leader, helper))
    return made


def verify_by_steps(measurement: MeasurementType, reports: Sequence[Shares]) -> tuple[bytes, bytes]:
    """Every step as the two aggregators take it, in jobs; returns both aggregate shares."""
    vdaf = prio3_for(measurement)
    leader_sums, helper_sums = [], []
    for first in range(0, len(reports), MAX_JOB):
        job = reports[first : first + MAX_JOB]
        begun = of_kind(
            Begun, vdaf.leader_init_batch(VERIFY_KEY, CONTEXT, [(nonce, public, own) for nonce, public, own, _ in job])
        )
        answers = of_kind(
            Verified,
            vdaf.helper_init_batch(
                VERIFY_KEY,
                CONTEXT,
                [(nonce, public, own, step.message) for (nonce, public, _, own), step in zip(job, begun, strict=True)],
            ),
        )
        states = [(step.state, answer.message) for step, answer in zip(begun, answers, strict=True)]
        leader_sums.append(vdaf.aggregate(of_kind(bytes, vdaf.leader_finish_batch(CONTEXT, states))))
        helper_sums.append(vdaf.aggregate([answer.output_share for answer in answers]))
    return vdaf.merge(leader_sums), vdaf.merge(helper_sums)


def of_kind(kind: type[T], answers: Sequence[object]) -> list[T]:
    """The answers, none of which may be a rejection."""
    found = [answer for answer in answers if isinstance(answer, kind)]
    if len(found) != len(answers):
        raise Unavailable(f"{len(answers) - len(found)} of {len(answers)} honest reports were rejected")
    return found


# ── whole reports ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Whole:
    """What one round of whole reports took: seconds by the clock, and of processor time at each."""

    clock: float
    leader: float
    helper: float


def whole_reports(work: Work, reports: int) -> list[Row]:
    """Whole reports at a leader and a helper in two processes, beside their unavoidable parts on the same cores."""
    work.say(f"whole reports: making {reports}")
    pair = Pair(work.folder / "makers", HISTOGRAM, reports)
    uploads = pair.uploads(42)
    pair.close()
    work.say(f"whole reports, histogram of 100: {reports} a round")
    whole: list[Whole] = []
    parts: list[float] = []
    for number in range(work.runs):
        folder = work.folder / f"round {number}"
        whole.append(run_whole(folder, reports, uploads))
        parts.append(unavoidable(folder, pair, uploads))
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return [
        make_row(
            "whole report at both aggregators, histogram of 100",
            "reports/s",
            [reports / one.clock for one in whole],
            f"its unavoidable parts alone, on {cores} cores",
            [cores / one for one in parts],
        ),
        make_row(
            "whole report, processor time of both",
            "µs",
            [MICROSECONDS * (one.leader + one.helper) / reports for one in whole],
            "its unavoidable parts alone",
            [MICROSECONDS * one for one in parts],
        ),
        make_row(
            "whole report, processor time of the leader", "µs", [MICROSECONDS * w.leader / reports for w in whole]
        ),
        make_row(
            "whole report, processor time of the helper", "µs", [MICROSECONDS * w.helper / reports for w in whole]
        ),
    ]


def run_whole(folder: Path, reports: int, uploads: Sequence[bytes]) -> Whole:
    """From the first upload until the last report is stored as accepted at both."""
    pair = Pair(folder / "leader's", HISTOGRAM, reports)
    helper = InOtherProcess(folder / "helper's", HISTOGRAM, reports)
    pair.lead(helper)
    uploading = Thread(target=upload_all, args=(pair, uploads))
    clock, processor = time.perf_counter(), time.process_time()
    uploading.start()
    while uploading.is_alive():
        pair.leader.step()
        time.sleep(PAUSE)
    pair.leader.step()
    clock, processor = time.perf_counter() - clock, time.process_time() - processor
    of_helper = helper.close()
    pair.close()
    for name in ("leader", "helper"):
        storage = Storage(folder / f"{name}'s" / f"{name}.sqlite")
        accepted = storage.count_leaves(pair.task, accepted=True)
        storage.close()
        if accepted != reports:
            raise Unavailable(f"the {name} accepted {accepted} of {reports} honest reports")
    return Whole(clock=clock, leader=processor, helper=of_helper)


def upload_all(pair: Pair, uploads: Sequence[bytes]) -> None:
    """Bring every upload to the leader, so many at once; each has to get its receipt."""
    for first in range(0, len(uploads), UPLOADS_AT_ONCE):
        of_kind(
            Receipted,
            [decode(answer, Answer) for answer in pair.leader.handle_many(uploads[first : first + UPLOADS_AT_ONCE])],
        )


def unavoidable(folder: Path, pair: Pair, uploads: Sequence[bytes]) -> float:
    """Processor time of one report's unavoidable parts at both aggregators together, in seconds."""
    messages = [decode(upload, Request) for upload in uploads[:MAX_JOB]]
    reports = [decode_report(message.report) for message in messages if isinstance(message, Upload)]
    many = len(reports)
    claims = [permit_claim(pair.task, report.metadata) for report in reports]
    shares = shard_many(HISTOGRAM, 42, many)
    leader_key, (modulus,) = key_of("leader"), pair.moduli(pair.configuration.panels[0].panel)
    private, public = X25519PrivateKey.generate(), X25519PrivateKey.generate().public_key()
    sealing = AESGCM(bytes(16))
    sealed = [sealing.encrypt(bytes(12), share, None) for _, _, *both in shares for share in both]

    def tokens() -> None:
        for report in (*reports, *reports):
            verify_token(modulus, report.metadata.permit.slot_key, report.metadata.permit.token)

    def permits() -> None:
        for _ in Party:
            if not all(verify_many(claims, bytes(32), threads=1)):
                raise Unavailable("a permit does not hold")

    def receipts() -> None:
        for claim in claims:
            leader_key.sign(claim[1])

    def opening() -> None:
        for ciphertext in sealed:
            private.exchange(public)
            sealing.decrypt(bytes(12), ciphertext, None)

    def verified() -> None:
        prio3_for(HISTOGRAM).verify_alone(VERIFY_KEY, CONTEXT, shares)

    def stored() -> None:
        output_share = bytes(16 * HISTOGRAM.length)
        for party in Party:
            database = apsw.Connection(str(folder / f"bare {party.value}.sqlite"))
            database.execute("PRAGMA journal_mode=WAL").fetchall()
            database.execute("PRAGMA synchronous=FULL")
            database.execute("CREATE TABLE row (leaf, output_share)")
            with database:
                leaves = [(encode(report.metadata.leaf()), output_share) for report in reports]
                database.executemany("INSERT INTO row VALUES (?, ?)", leaves)
            database.close()

    return sum(timed(part).processor for part in (tokens, permits, receipts, opening, verified, stored)) / many
