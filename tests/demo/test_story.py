"""The demo: its facts have the promised shape, its lines fit, and under a seed it repeats bit for bit."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from edgehold.demo.story import Script, play
from edgehold.demo.teller import Bar, Teller
from edgehold.ledger.genesis import read_genesis
from edgehold.verify.certificate import verify_certificate

PEOPLE = 14


class Silence:
    """Progress that nobody sees."""

    def advance(self, count: int = 1) -> None:
        pass

    def end(self) -> None:
        pass


def silent(label: str, total: int) -> Bar:
    return Silence()


def tell(folder: Path, seed: int | None = 3) -> tuple[dict[str, Any], list[str]]:
    lines: list[str] = []
    script = Script(folder=folder, people=PEOPLE, cohort=None, epsilon=2.0, seed=seed)
    return play(script, Teller(say=lines.append, bar=silent)), lines


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[str]]:
    return tell(tmp_path_factory.mktemp("demo") / "first")


def test_the_facts_have_the_promised_shape(told: tuple[dict[str, Any], list[str]]) -> None:
    facts, _ = told
    assert set(facts) == {
        "dir", "genesis", "hubs", "bytes_received", "bytes_kept", "ledger", "orders", "seconds", "peak_rss_bytes",
    }  # fmt: skip
    assert set(facts["ledger"]) == {"height", "entries", "root"}
    assert facts["hubs"] == PEOPLE
    assert facts["bytes_kept"] < facts["bytes_received"] / 10
    assert len(facts["orders"]) >= 5
    for order in facts["orders"]:
        assert set(order) == {
            "program", "customer", "leader", "helper", "score", "asked", "permitted", "refused", "batch", "rejected",
            "epsilon", "delta", "result", "exact", "noise_sd", "interval", "relies_on", "certificate", "status",
        }  # fmt: skip
        if order["result"] is None:
            assert order["certificate"] is None
            assert order["status"] not in ("accepted", "uncontested")
            continue
        lengths = {len(order[name]) for name in ("result", "exact", "noise_sd", "interval")}
        assert len(lengths) == 1
        assert all(low <= value <= high for value, (low, high) in zip(order["result"], order["interval"], strict=True))
        silent_ones = order["asked"] - order["permitted"] - sum(order["refused"].values())
        assert silent_ones == (order is facts["orders"][-1]), "only who withdrew before the last order says nothing"
    json.dumps(facts)


def test_permits_follow_credibility(told: tuple[dict[str, Any], list[str]]) -> None:
    good, newcomer, suspended = told[0]["orders"][:3]
    assert good["score"] > newcomer["score"] > suspended["score"] == 0
    assert good["permitted"] > newcomer["permitted"] > suspended["permitted"] == 0
    assert suspended["status"] == "too-few"
    assert set(suspended["refused"]) == {"suspended"}


def test_every_line_fits_into_a_hundred_columns(told: tuple[dict[str, Any], list[str]]) -> None:
    assert [line for line in told[1] if len(line) > 100 and "/" not in line] == []


def test_each_certificate_in_the_folder_verifies(told: tuple[dict[str, Any], list[str]]) -> None:
    facts, _ = told
    genesis = read_genesis(Path(facts["genesis"]).read_bytes())
    named = [order for order in facts["orders"] if order["certificate"]]
    assert len(named) >= 5
    for order in named:
        verdict = verify_certificate(Path(order["certificate"]).read_bytes(), genesis)
        assert verdict.values == order["result"]
        assert verdict.batch == order["batch"]


def test_under_a_seed_it_repeats_bit_for_bit(told: tuple[dict[str, Any], list[str]], tmp_path: Path) -> None:
    facts, lines = told
    again, _ = tell(tmp_path / "second")
    for volatile in ("dir", "genesis", "seconds", "peak_rss_bytes"):
        facts = {name: value for name, value in facts.items() if name != volatile}
        again = {name: value for name, value in again.items() if name != volatile}
    for order, other in zip(facts["orders"], again["orders"], strict=True):
        first, second = order.pop("certificate"), other.pop("certificate")
        if first is not None:
            assert Path(first).read_bytes() == Path(second).read_bytes()
    assert facts == again
    assert lines[0].startswith("Seeded with 3: not private")
