"""Writes credibility.json: standings as bytes with their scores. Run it only when a change of the score is meant."""

from __future__ import annotations

import json
from pathlib import Path

from edgehold.policy.credibility import score
from edgehold.wire.codec import encode
from edgehold.wire.credibility import Fault, PairMark, Prior, Standing
from edgehold.wire.ids import AccountId, Digest

MILLION = 1_000_000
STANDINGS = [
    Standing(),
    Standing(accepted=MILLION, acceptances=1),
    Standing(accepted=4_900_995, acceptances=5, tasks=2),
    Standing(good=MILLION, audits=1),
    Standing(good=12_345_678, audits=14, tasks=20),
    Standing(good=50 * MILLION, audits=200, tasks=3000),
    Standing(bad=Fault.MISSED * MILLION),
    Standing(good=50 * MILLION, accepted=5 * MILLION, bad=Fault.PROVEN * MILLION, strikes=1),
    Standing(bad=Fault.PROVEN * MILLION, strikes=1),
    Standing(bad=Fault.PROVEN * MILLION, suspended_at=77, strikes=1),
    Standing(good=7 * MILLION, bad=1000 * MILLION),
    Standing(good=3 * MILLION, pair_marks=(PairMark(AccountId(Digest(bytes(32))), 729_000),)),
]

vectors = [
    {
        "standing": encode(standing).hex(),
        "good": standing.good,
        "prior": prior.value,
        "acceptance_cap": cap,
        "score": score(standing, prior, cap),
    }
    for standing in STANDINGS
    for prior in Prior
    for cap in (500_000, MILLION)
]
(Path(__file__).parent / "credibility.json").write_text(
    "[\n" + ",\n".join(json.dumps(vector) for vector in vectors) + "\n]\n"
)
