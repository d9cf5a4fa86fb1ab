"""`edgehold bench consortium`, small: every figure is there, and work that was not done is not counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgehold.bench.consortium import Observer, measure, write_load
from edgehold.bench.following import follow, make_chain, skip
from edgehold.bench.measure import Work
from edgehold.bench.traffic import PANEL, SIZES, Traffic, key_values
from edgehold.bench.validators import Kind, Network
from edgehold.errors import BadHeader

pytestmark = pytest.mark.system


def test_every_figure_is_found(tmp_path: Path) -> None:
    said: list[str] = []
    rows = measure(Work(runs=1, quick=True, folder=tmp_path, say=said.append))
    assert [row.name for row in rows] == [
        "burst of 400 × 250 B",
        "burst of 400 × 250 B: the limit",
        "burst of 400 × 1 kB",
        "burst of 400 × 1 kB: the limit",
        "burst of 400 × 184 B",
        "burst of 400 × 184 B: the limit",
        "latency at 1,000/s, median",
        "latency at 1,000/s, 95 of 100",
        "latency at 2,000/s, median",
        "latency at 2,000/s, 95 of 100",
        "processor time of an application, at 1,000/s",
        "processor time of its CometBFT, at 1,000/s",
        "processor time of an application, burst of 250 B",
        "processor time of its CometBFT, burst of 250 B",
        "processor time of an application, burst of 1 kB",
        "processor time of its CometBFT, burst of 1 kB",
        "processor time of an application, burst of 184 B",
        "processor time of its CometBFT, burst of 184 B",
        "disk a node, 250 B",
        "latency at 300/s, links of 50 ± 10 ms, median",
        "latency at 300/s, links of 50 ± 10 ms, 95 of 100",
        "light client: a header step",
        "light client: a state proof",
        "light client: 200 headers behind, one by one",
        "light client: 200 headers behind, skipping",
    ]
    counted = [row for row in rows if not row.name.startswith("processor time")]  # whose ticks may be too few to count
    assert [row for row in counted if not (row.value > 0 and row.rival and row.rival_value and row.ratio)] == []
    assert len(said) > 4


def test_refused_transactions_are_no_figure(tmp_path: Path) -> None:
    traffic = Traffic(2)
    opening, *_ = traffic.founding()
    unattested = traffic.of_size(PANEL, 4, "no issuers")
    with Network(tmp_path, Kind.OURS).running() as network:
        observer = Observer(network, must_take_effect=True)
        assert observer.offer(write_load(tmp_path / "opening", opening), rate=0).per_second > 0
        with pytest.raises(RuntimeError, match="transactions had no effect"):
            observer.offer(write_load(tmp_path / "unattested", unattested), rate=0)
        observer.patience = 3
        with pytest.raises(RuntimeError, match="are in no block"):
            observer.offer(write_load(tmp_path / "unsigned", [b"nobody signed this"]), rate=0)


@pytest.mark.parametrize("size", SIZES)
def test_every_transaction_has_its_size_and_is_another(size: int) -> None:
    for made in (Traffic(3).of_size(size, 50, "name"), key_values(size, 50, "name")):
        assert {len(one) for one in made} == {size}
        assert len(set(made)) == 50
    assert all(one.count(b"=") == 1 for one in key_values(size, 50, "name"))


def test_a_chain_is_followed_only_as_it_was_signed() -> None:
    chain = make_chain(30)
    assert follow(chain) > 0
    assert skip(chain) > 0
    with pytest.raises(BadHeader):
        follow([chain[0], *chain[2:5], chain[4]])
