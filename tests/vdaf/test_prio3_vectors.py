"""The published vectors of VDAF-18 through our binding: what must come out, and what must fail."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgehold import _native

FOLDER = Path(__file__).parents[1] / "vectors" / "vdaf"
KINDS = {
    "Prio3Count": "count",
    "Prio3Sum": "sum",
    "Prio3Histogram": "histogram",
    "Prio3MultihotCountVec": "multihot",
    "Prio3SumVec": "sumvec",
    "Prio3L1BoundSum": "l1bound",
}
Step = dict[str, Any]


def make_native(name: str, vector: Step) -> _native.Prio3:
    return _native.Prio3(
        KINDS[name.split("_")[0]],
        length=vector.get("length", 0),
        bound=vector.get("max_measurement", vector.get("max_value", 0)),
        weight=vector.get("max_weight", 0),
        chunk=vector.get("chunk_length", 0),
        shares=vector["shares"],
    )


class Replay:
    """Carries out the steps of one vector and keeps the aggregators' states between them."""

    def __init__(self, name: str) -> None:
        self.vector = json.loads((FOLDER / name).read_text())
        self.vdaf = make_native(name, self.vector)
        self.context = bytes.fromhex(self.vector["ctx"])
        self.verify_key = bytes.fromhex(self.vector["verify_key"])
        self.states: dict[tuple[int, int], bytes] = {}

    def carry_out(self, step: Step) -> None:
        getattr(self, step["operation"])(step)

    def report(self, step: Step) -> Step:
        return dict(self.vector["reports"][step["report_index"]])

    def shard(self, step: Step) -> None:
        report = self.report(step)
        measurement = report["measurement"]
        numbers = [int(number) for number in measurement] if isinstance(measurement, list) else int(measurement)
        public, shares = self.vdaf.shard(
            self.context, numbers, bytes.fromhex(report["nonce"]), bytes.fromhex(report["rand"])
        )
        assert public.hex() == report["public_share"]
        assert [share.hex() for share in shares] == report["input_shares"]

    def verify_init(self, step: Step) -> None:
        report, aggregator = self.report(step), step["aggregator_id"]
        state, share = self.vdaf.verify_init(
            self.verify_key,
            self.context,
            aggregator,
            bytes.fromhex(report["nonce"]),
            bytes.fromhex(report["public_share"]),
            bytes.fromhex(report["input_shares"][aggregator]),
        )
        self.states[aggregator, step["report_index"]] = state
        assert share.hex() == report["verifier_shares"][0][aggregator]

    def verifier_shares_to_message(self, step: Step) -> None:
        report = self.report(step)
        shares = [bytes.fromhex(share) for share in report["verifier_shares"][0]]
        state = self.states[0, step["report_index"]]
        message = self.vdaf.verifier_shares_to_message(self.context, 0, state, shares)
        assert message.hex() == report["verifier_messages"][0]

    def verify_next(self, step: Step) -> None:
        report, aggregator = self.report(step), step["aggregator_id"]
        state = self.states[aggregator, step["report_index"]]
        message = bytes.fromhex(report["verifier_messages"][0])
        share = self.vdaf.verify_next(self.context, aggregator, state, message)
        assert share.hex() == "".join(report["out_shares"][aggregator])

    def aggregate(self, step: Step) -> None:
        aggregator = step["aggregator_id"]
        shares = [bytes.fromhex("".join(report["out_shares"][aggregator])) for report in self.vector["reports"]]
        assert self.vdaf.aggregate(shares).hex() == self.vector["agg_shares"][aggregator]

    def unshard(self, step: Step) -> None:
        result = self.vector["agg_result"]
        shares = [bytes.fromhex(share) for share in self.vector["agg_shares"]]
        found = self.vdaf.unshard(shares, len(self.vector["reports"]))
        assert found == (result if isinstance(result, list) else [result])


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("Prio3*.json")))
def test_every_step_ends_as_the_draft_says(name: str) -> None:
    replay = Replay(name)
    for step in replay.vector["operations"]:
        if step["success"]:
            replay.carry_out(step)
        else:
            with pytest.raises(ValueError, match=r"proof verifier check failed|joint randomness mismatch"):
                replay.carry_out(step)


def test_there_are_vectors_that_must_fail_and_some_for_every_type() -> None:
    vectors = {path.name: json.loads(path.read_text()) for path in FOLDER.glob("Prio3*.json")}
    assert {name.split("_")[0] for name in vectors} == set(KINDS)
    failing = [name for name, vector in vectors.items() if not all(step["success"] for step in vector["operations"])]
    assert len(failing) == 8
    assert all("_bad_" in name for name in failing)
