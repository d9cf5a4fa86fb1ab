"""Programs that misbehave and records that are not what they should be: a neutral report, and the owner knows why."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest
from msgspec.structs import replace
from scenario_world import FIRST_PANEL, LEADER, MINOR, ScenarioWorld, bundles, truth

from edgehold.customer.orders import OrderStatus
from edgehold.demo.parties import Direct
from edgehold.errors import BadSignature, EnrolmentError, NotAnAdult
from edgehold.hub.hub import STORE_FILE, Hub
from edgehold.hub.journal import RunState
from edgehold.hub.keys import KEYS_FILE
from edgehold.sandbox.program import Program, load_program
from edgehold.wire.codec import encode

MANIFEST = """
name = "probe"
title = "Counts people for a scenario."
reads = "edgehold.events/1"
kinds = ["ehr"]
sensitivity = "aggregate"
[measurement]
kind = "count"
labels = ["yes"]
[limits]
fuel = 1000000000
memory_bytes = 67108864
output_bytes = 4096
"""

MISBEHAVING = {
    "crashes": ("    raise ValueError(person.events.latest('LOINC//39156-5', unit='kg/m2'))", "LOINC"),
    "loops": ("    while True: pass", "fuel"),
    "grows": ("    return len([b'x' * 1_000_000 for _ in range(1_000)])", "bytes"),
    "calls deeply": ("    return main(person) + 1", "deeply"),
    "talks": ("    import _socket\n    return _socket.socket().connect(('127.0.0.1', 80)) or 1", "socket"),
    "writes": ("    return open('/in/out', 'w').write(str(person)) and 1", "out"),
    "says too much": ("    return 2", "outside 0 to 1"),
    "says no number": ("    return 'yes'", "whole number"),
    "says a lot": ("    return '1' * 100_000", "bytes"),
    "misses data": ("    return int(person.genotypes.dosage('rs429358'))", "genotypes"),
}


def publish(world: ScenarioWorld, body: str) -> Program:
    """A program of the scenario's own, published by the leader and to be had by everybody."""
    folder = world.folder / "programs"
    folder.mkdir(exist_ok=True)
    (folder / "probe.py").write_text(f"def main(person):\n{body}\n")
    (folder / "probe.toml").write_text(MANIFEST)
    program = load_program(folder / "probe.py")
    world.settle(world.submit(LEADER, program.descriptor))
    return program


@pytest.mark.parametrize("how", MISBEHAVING)
def test_a_program_that_misbehaves_gives_neutral_reports_of_the_usual_size(world: ScenarioWorld, how: str) -> None:
    body, why = MISBEHAVING[how]
    order, task = world.run(publish(world, body))
    assert world.row(order).status is OrderStatus.ACCEPTED
    assert world.totals(task) == (8, 0)
    assert world.sum_of(order) == [0]
    for number in FIRST_PANEL:
        line = world.line(number, task)
        assert line is not None
        assert line.state is RunState.SENT
        assert line.log.startswith("EH")
        assert why in line.log
    order, other = world.run("feasibility")
    assert world.sum_of(order) == truth("feasibility", FIRST_PANEL), "the next program runs as if nothing had been"
    assert len({len(report) for report in world.uploads()}) == 1
    said = [answer for one in world.lines.values() for exchange in one.said for answer in exchange]
    assert not any(why.encode() in message for message in said if len(why) > 6)
    assert other != task


def test_a_program_that_fails_for_some_gives_the_others_result(world: ScenarioWorld) -> None:
    wants = "    return int(person.events.latest('LOINC//39156-5', unit='kg/m2').value >= 0)"
    order, task = world.run(publish(world, wants))
    logs = [line.log for number in FIRST_PANEL if (line := world.line(number, task)) is not None]
    assert world.sum_of(order) == [logs.count("")]
    assert len(logs) == 8


# ── records ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_record_with_one_byte_changed_after_signing_is_refused_and_nothing_of_it_stays(
    world: ScenarioWorld, tmp_path: Path
) -> None:
    hub, record = world.hub(1), bundles()[0].replace(b'"final"', b'"Final"', 1)
    assert sum(one != other for one, other in zip(record, bundles()[0], strict=True)) == 1
    before = hub.store.objects()
    token = hub.store.get_signature(before[0].id)
    assert token is not None
    (tmp_path / "record.json").write_bytes(record)
    (tmp_path / "record.json.jws").write_bytes(token)
    with pytest.raises(BadSignature):
        hub.import_file(tmp_path / "record.json")
    assert hub.store.objects() == before
    assert hub.store.check() == []


def test_the_same_record_again_adds_nothing(world: ScenarioWorld, tmp_path: Path) -> None:
    hub = world.hub(1)
    before = hub.store.objects()
    token = hub.store.get_signature(before[0].id)
    assert token is not None
    (tmp_path / "record.json").write_bytes(bundles()[0])
    (tmp_path / "record.json.jws").write_bytes(token)
    hub.import_file(tmp_path / "record.json")
    assert hub.store.objects() == before


def test_a_record_altered_in_the_store_gives_a_neutral_report(world: ScenarioWorld) -> None:
    database = apsw.Connection(str(world.hub_folder(2) / STORE_FILE))
    for name, data in list(database.execute("SELECT place, data FROM chunk")):
        database.execute("UPDATE chunk SET data = ? WHERE place = ?", (data[:-1] + bytes([data[-1] ^ 1]), name))
    database.close()
    order, task = world.run()
    line = world.line(2, task)
    assert line is not None
    assert line.state is RunState.SENT
    assert "was altered" in line.log
    assert len({len(report) for report in world.uploads()}) == 1
    expected = truth("bmi", [number for number in FIRST_PANEL if number != 2])
    expected[-1] += 1
    assert world.sum_of(order) == expected


def test_an_erased_record_gives_a_neutral_report_and_nothing_to_link_the_root_to(world: ScenarioWorld) -> None:
    hub = world.hub(2)
    hub.erase()
    order, task = world.run()
    line = world.line(2, task)
    assert line is not None
    assert line.state is RunState.SENT
    assert "no dataset" in line.log
    expected = truth("bmi", [number for number in FIRST_PANEL if number != 2])
    expected[-1] += 1
    assert world.sum_of(order) == expected


# ── minors ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_minor_is_not_enrolled_by_the_hub_nor_by_the_issuer(world: ScenarioWorld) -> None:
    desk = Direct(world.issuer.handle)
    panel = world.issuer.declare_panel(scheme="another", period=0, number=0, slots=1, schemas=("edgehold.events/1",))
    world.ledger.advance()
    hub = world.hub(MINOR)
    with pytest.raises(NotAnAdult):
        hub.enrol(desk, panel)
    keys = world.hub_folder(MINOR) / KEYS_FILE
    keys.write_bytes(encode(replace(hub.keys.file, minor=False)))
    with Hub.open(world.hub_folder(MINOR), world.surroundings(MINOR)) as lying, pytest.raises(EnrolmentError):
        lying.enrol(desk, panel)
    assert hub.panels() == []
