"""What one hub's part in a task costs, and how the demo grows with its people.

One hub's part is all that a hub does by itself in one task: look at the ledger by proof, decide, run the program, shard,
seal, store, upload; by processor time of its thread, without what the leader takes to answer. Hubs of one process may
share what they verified; a hub that is alone on its machine has its own, so both are measured.

A demo is a process of its own, as a user starts it. Its limit is what no way of writing it could leave out: three RSA
operations for each person and slot, the slots' RSA keys, and the runs of the programs in the sandbox, on all cores.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from shutil import rmtree
from statistics import median
from typing import Any

import apsw

from edgehold.aggregation.report import make_report
from edgehold.bench.measure import Row, Work, make_row
from edgehold.crypto.blind import BlindSigner, blind, blind_sign, finalize, make_issuer_keys
from edgehold.demo import cast
from edgehold.demo.founding import enrol_adults, found, open_organisations, publish_programs, settle_people
from edgehold.demo.orders import Asked, is_ended, place
from edgehold.demo.parties import Direct
from edgehold.demo.seeded import SeededRandomness
from edgehold.demo.world import Resident, World
from edgehold.errors import Unavailable
from edgehold.hub.hub import JOURNAL_FILE, Hub, ListCache
from edgehold.hub.journal import Journal, Run, RunState
from edgehold.hub.watch import Feed
from edgehold.ports import Peer
from edgehold.sandbox.compiled import default_cache, prepare_runtime
from edgehold.sandbox.host import Answer, Sandbox
from edgehold.vdaf.prio3 import neutral
from edgehold.verify.view import ProofCache
from edgehold.wire.ids import PanelId, PublicKey, SlotKey

SLOTS = cast.EARLIER_SLOTS + cast.SLOTS
MILLISECONDS = 1e3
MEGABYTE = 1e6
SAMPLES = 24


def measure(work: Work) -> list[Row]:
    """One hub's part, then whole demos of two sizes."""
    small, large = (6, 12) if work.quick else (400, 2000)
    shared, own = one_hub(work, 6 if work.quick else 60)
    program = median(part.programs / part.hubs for part in shared)
    units = Units.measure()
    rounds = max(1, work.runs // 5)
    few = [play(work, people=small, number=number) for number in range(work.runs)]
    many = [play(work, people=large, number=work.runs + number) for number in range(rounds)]
    return [
        part_row("many hubs in one process", shared),
        part_row("each proving everything by itself", own),
        *demo_rows(small, few, units, program),
        *demo_rows(large, many, units, program),
        *(
            make_row(
                f"time a person, demo of {large:,} by that of {small:,}, {words}",
                "",
                [(seconds(one) / large) / (seconds(other) / small) for one, other in zip(many, few, strict=False)],
                "linear",
                [1.0] * rounds,
            )
            for words, seconds in CLOCKS
        ),
    ]


# ── one hub's part ────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Meter:
    """Processor time of this thread that is set apart while something else is measured."""

    seconds: float = 0.0

    def run(self, act: Callable[[], Any]) -> Any:
        """Do something on its account."""
        started = time.thread_time()
        try:
            return act()
        finally:
            self.seconds += time.thread_time() - started


class MeteredSandbox(Sandbox):
    """A sandbox that says how long its programs ran."""

    meter: Meter

    def run(self, *arguments: Any, **options: Any) -> Answer:
        answer: Answer = self.meter.run(lambda: super(MeteredSandbox, self).run(*arguments, **options))
        return answer


@dataclass(frozen=True)
class MeteredPeer:
    """A service in this process, whose work is not the hub's."""

    peer: Peer
    meter: Meter

    def send(self, message: bytes) -> bytes:
        answer: bytes = self.meter.run(lambda: self.peer.send(message))
        return answer


@dataclass
class Part:
    """What the hubs that answered took together, in seconds, and how many they are."""

    hubs: int = 0
    seconds: float = 0.0
    programs: float = 0.0
    reports: float = 0.0

    @property
    def milliseconds(self) -> float:
        """Of one hub."""
        return MILLISECONDS * self.seconds / self.hubs

    @property
    def unavoidable(self) -> float:
        """Milliseconds of the program and of sharding and sealing its measurement."""
        return MILLISECONDS * (self.programs + self.reports) / self.hubs


def one_hub(work: Work, people: int) -> tuple[list[Part], list[Part]]:
    """The hubs of a small world answer one order a round and way: sharing what was verified, and each by itself."""
    work.say(f"one hub's part: a world of {people}")
    programs, services = Meter(), Meter()
    sandbox = MeteredSandbox(prepare_runtime(default_cache(), work.say))
    sandbox.meter = programs
    shared, own = [], []
    with sandbox, found(work.folder / "world", people, None, 1, sandbox, honest=True) as world:
        open_organisations(world)
        settle_people(world, lambda: None)
        enrol_adults(world, lambda: None)
        publish_programs(world)
        peers = world.directory.peers
        for node in world.services.values():
            peers[node.account] = MeteredPeer(Direct(node.handle), services)
        alone = [on_its_own(world, resident) for resident in world.adults]
        for number in range(min(work.runs, cast.SLOTS // 2)):
            work.say(f"one hub's part: round {number + 1}")
            shared.append(answer_order(world, [one.hub for one in world.adults], world.panel, programs, services))
            own.append(answer_order(world, alone, world.panel, programs, services))
        for hub in alone:
            hub.close()
    return shared, own


def part_row(words: str, parts: Sequence[Part]) -> Row:
    """One hub's part in one way."""
    return make_row(
        f"one hub's part in a task, processor time, {words}",
        "ms",
        [part.milliseconds for part in parts],
        "the program in the sandbox, sharding and sealing",
        [part.unavoidable for part in parts],
    )


def on_its_own(world: World, resident: Resident) -> Hub:
    """The same hub as if it were alone on its machine."""
    outside = replace(world.surroundings(resident.number), proofs=ProofCache(), feed=Feed(), lists=ListCache())
    return Hub.open(world.hub_folder(resident.number), outside)


def answer_order(world: World, hubs: Sequence[Hub], panel: PanelId, programs: Meter, services: Meter) -> Part:
    """Place an order and let heights pass until it ends; what the hubs take from its task on to their uploads counts."""
    for hub in hubs:
        hub.follow()
    before = {id(hub): len(hub.history()) for hub in hubs}
    placed = place(
        world,
        Asked(
            customer=cast.UNIVERSITY.name,
            leader=cast.GOOD.name,
            program="bmi",
            epsilon=cast.EARLIER_EPSILON,
            purpose=cast.HEALTH_RESEARCH,
            panel=panel,
        ),
    )
    spent: dict[int, float] = {}
    program = programs.seconds
    for _ in range(60):
        if is_ended(world, placed):
            break
        for node in world.services.values():
            node.step()
        for customer in world.customers.values():
            customer.step()
        for hub in hubs:
            started, elsewhere = time.thread_time(), services.seconds
            hub.follow()
            took = time.thread_time() - started - (services.seconds - elsewhere)
            spent[id(hub)] = spent.get(id(hub), 0.0) + took
        world.ledger.advance()
    part = Part(programs=programs.seconds - program)
    for hub in hubs:
        news = hub.history()[before[id(hub)] :]
        if any(one.state is RunState.SENT for one in news):
            part.hubs += 1
            part.seconds += spent[id(hub)]
    if not part.hubs:
        raise Unavailable("no hub answered the order")
    part.reports = part.hubs * time_of_report(world)
    return part


def time_of_report(world: World) -> float:
    """Processor time of sharding, permitting and sealing one measurement of the last order, in seconds."""
    sent = [
        (resident, run)
        for resident in world.adults
        for run in read_runs(world.hub_folder(resident.number))
        if run.state is RunState.SENT
    ]
    resident, run = max(sent, key=lambda one: one[1].record.question.height)
    panel = run.configuration.panels[run.panel]
    with closing(Journal(world.hub_folder(resident.number) / JOURNAL_FILE)) as journal:
        token = journal.token(panel.panel, panel.slot)
    started = time.thread_time()
    for number in range(SAMPLES):
        make_report(
            run.configuration,
            neutral(run.configuration.measurement),
            panel=run.panel,
            slot_key=resident.hub.keys.slot_key(panel.panel, panel.slot),
            token=token,
            randomness=SeededRandomness(number, "report"),
        )
    return (time.thread_time() - started) / SAMPLES


def read_runs(folder: Path) -> list[Run]:
    """What a hub's journal says of every task."""
    with closing(Journal(folder / JOURNAL_FILE)) as journal:
        return journal.runs(*RunState)


# ── the demo ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Units:
    """What the unavoidable pieces of a demo take of one core, in seconds."""

    key: float
    """One RSA key of a slot."""
    token: float
    """Blinding, signing and unblinding one slot key."""

    @staticmethod
    def measure() -> Units:
        """Each a few times, here and now."""
        started = time.process_time()
        keys = make_issuer_keys([SeededRandomness(number, "slots").draw(32) for number in range(4)])
        keyed = time.process_time()
        key, slot_key = keys[0], SlotKey(PublicKey(bytes(32)))
        hidden = [blind(key.modulus, slot_key, SeededRandomness(n, "blinding").draw(32)) for n in range(SAMPLES)]
        signed = blind_sign([(BlindSigner(key.private), one.message) for one in hidden], bytes(32))
        for one, answer in zip(hidden, signed, strict=True):
            finalize(key.modulus, answer, one.secret, slot_key)
        return Units(key=(keyed - started) / len(keys), token=(time.process_time() - keyed) / SAMPLES)


@dataclass(frozen=True)
class Told:
    """One demo as it was played in a process of its own."""

    seconds: float
    """From its start to its end, by the clock."""
    processor: float
    """Seconds on all cores together."""
    memory: float
    """The most it held at once, in bytes."""
    adults: int
    runs: int
    """Programs that ran at hubs."""


def play(work: Work, *, people: int, number: int) -> Told:
    """Play a demo and look at what lies in its folder."""
    work.say(f"demo of {people:,} people")
    folder = work.folder / f"demo {number}"
    arguments = ["demo", "--hubs", str(people), "--dir", str(folder), "--json"]
    started, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(  # noqa: S603 — our own command
        [sys.executable, "-m", "edgehold.cli", *arguments], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    answer, _ = process.communicate()
    seconds, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
    if process.returncode:
        raise Unavailable(f"the demo of {people} ended with {process.returncode}")
    facts = json.loads(answer)
    runs = 0
    for path in (folder / "hubs").glob(f"*/{JOURNAL_FILE}"):
        with closing(apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)) as database:
            runs += int(database.execute("SELECT count(*) FROM runs WHERE report IS NOT NULL").get)
    told = Told(
        seconds=seconds,
        processor=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime,
        memory=facts["peak_rss_bytes"],
        adults=max(one["asked"] for one in facts["orders"]),
        runs=runs,
    )
    rmtree(folder)
    return told


def demo_rows(people: int, told: Sequence[Told], units: Units, program: float) -> list[Row]:
    """Time and memory of demos of one size; beside the time what cannot be left out, on all cores."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    unavoidable = [one.adults * SLOTS * units.token + SLOTS * units.key + one.runs * program for one in told]
    return [
        make_row(
            f"demo of {people:,} people",
            "s",
            [one.seconds for one in told],
            f"its RSA operations and programs alone, on {cores} cores",
            [alone / cores for alone in unavoidable],
        ),
        make_row(
            f"demo of {people:,} people, processor time",
            "s",
            [one.processor for one in told],
            "its RSA operations and programs alone",
            unavoidable,
        ),
        make_row(f"demo of {people:,} people, memory at its peak", "MB", [one.memory / MEGABYTE for one in told]),
    ]


CLOCKS: tuple[tuple[str, Callable[[Told], float]], ...] = (
    ("by the clock", lambda told: told.seconds),
    ("by processor time", lambda told: told.processor),
)
