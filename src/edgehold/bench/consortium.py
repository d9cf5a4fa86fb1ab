"""`edgehold bench consortium`: four validators on this machine, beside CometBFT's own kvstore, and the light client.

Every round founds three networks, one after the other: with our application, with kvstore behind a socket (like for
like, but it verifies nothing and writes nothing), and with kvstore inside the node (the limit). Each is offered the
same: transactions at a rate, then bursts, from a process of its own. One counts when the application of the first node
has committed it; at the end all four applications have to agree, and every transaction of ours has to have taken effect.
A network of each kind lives once more with validators that are far from each other: a relay delays all that they say.
Validators, load and observer share the machine's processors: the ratios carry further than the figures.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from edgehold.bench.following import Shown, measure_light, shown_by
from edgehold.bench.ledger import middle_and_tail
from edgehold.bench.measure import Row, Work, make_row
from edgehold.bench.relay import Relay
from edgehold.bench.traffic import ORDER, PANEL, TRANSFER, VALIDATORS, Traffic, key_values
from edgehold.bench.validators import LOOK, PATIENCE, Kind, Network

RATES = (1000, 2000)
"""Transactions a second that are offered where the latency is measured."""

FAR_RATE = 300
"""Transactions a second that are offered to validators which are far from each other."""

DELAY, JITTER = 0.05, 0.01
"""Seconds that everything is on its way from one of those to another, and more or less of it."""

LEAD = 0.05
"""Seconds from the word to begin until the first transaction may be due."""


@dataclass(frozen=True)
class Point:
    """What is offered: so many transactions of a size, at a rate or (0) as fast as they are taken."""

    size: int
    rate: int
    count: int

    @property
    def name(self) -> str:
        """Different for each point of a round."""
        return f"{self.size} at {self.rate}"


@dataclass(frozen=True)
class Outcome:
    """What became of it; processor time in µs a transaction and validator."""

    per_second: float
    middle: float
    tail: float
    """Seconds from due to committed: the median, and below which 95 of 100 lie."""
    application: float
    cometbft: float


@dataclass(frozen=True)
class Round:
    """One network's life."""

    outcomes: dict[str, Outcome]
    disk: float
    """Bytes on a node's disk a transaction of 250 B."""
    shown: Shown | None
    """What a light client is shown by one of our nodes."""


def measure(work: Work) -> list[Row]:
    """Every figure of the consortium."""
    points = points_of(work)
    work.say("signing transactions")
    traffic = Traffic(50 if work.quick else 2000)
    far = Point(PANEL, FAR_RATE, FAR_RATE // 3 if work.quick else 10 * FAR_RATE)
    loads = {kind: _loads(kind, traffic, [*points, far], work.folder / kind.name) for kind in (Kind.OURS, Kind.SOCKET)}
    loads[Kind.BUILTIN] = loads[Kind.SOCKET]
    found: dict[Kind, list[Round]] = {kind: [] for kind in Kind}
    found_far: dict[Kind, list[Outcome]] = {kind: [] for kind in FAR_KINDS}
    for number in range(work.runs):
        for kind in Kind:
            work.say(f"round {number + 1}, {kind.name.lower()}")
            folder = work.folder / f"{kind.name}-{number}"
            found[kind].append(run_round(folder, kind, loads[kind], points))
        for kind in FAR_KINDS:
            work.say(f"round {number + 1}, {kind.name.lower()}, far from each other")
            found_far[kind].append(run_far(work.folder / f"{kind.name}-far-{number}", kind, loads[kind], far))
    shown = found[Kind.OURS][-1].shown
    return [
        *_rows(points, found),
        *_far_rows(found_far),
        *(measure_light(work, shown) if shown else []),
    ]


def points_of(work: Work) -> list[Point]:
    """What is offered in a round; those of 250 B first, so that the disk is looked at after them."""
    seconds = 0.2 if work.quick else 4
    burst = 400 if work.quick else 20_000
    rates = [Point(PANEL, rate, int(rate * seconds)) for rate in RATES]
    return [*rates, *(Point(size, 0, burst) for size in (PANEL, ORDER, TRANSFER))]


# ── one network ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Load:
    """Transactions, and the file in which they lie for the process that sends them."""

    transactions: list[bytes]
    file: Path


@dataclass(frozen=True)
class Loads:
    """What is sent into one network."""

    founding: list[Load]
    points: dict[str, Load]


def _loads(kind: Kind, traffic: Traffic, points: Sequence[Point], folder: Path) -> Loads:
    """kvstore is sent as much before the first point as our network needs for its accounts."""
    folder.mkdir()
    make: Callable[[int, int, str], list[bytes]] = traffic.of_size if kind is Kind.OURS else key_values
    stages = traffic.founding()
    if kind is not Kind.OURS:
        stages = [key_values(PANEL, len(stage), f"stage {place}") for place, stage in enumerate(stages)]
    return Loads(
        founding=[write_load(folder / f"founding {place}", stage) for place, stage in enumerate(stages)],
        points={
            point.name: write_load(folder / point.name, make(point.size, point.count, point.name)) for point in points
        },
    )


def write_load(file: Path, transactions: list[bytes]) -> Load:
    """Transactions, written down for the process that sends them."""
    file.write_text("\n".join(b64encode(one).decode() for one in transactions))
    return Load(transactions, file)


def run_round(folder: Path, kind: Kind, loads: Loads, points: Sequence[Point]) -> Round:
    """Found a network and offer it one point after the other."""
    folder.mkdir()
    with Network(folder, kind).running() as network:
        observer = Observer(network, must_take_effect=kind is Kind.OURS)
        for load in loads.founding:
            observer.offer(load, rate=0)
        network.agree(observer.height)
        before, outcomes, disk = network.disk_bytes(), {}, 0.0
        for point in points:
            outcomes[point.name] = observer.offer(loads.points[point.name], point.rate)
            network.agree(observer.height)
            if point.size == PANEL:
                sent = sum(one.count for one in points[: len(outcomes)])
                disk = (network.disk_bytes() - before) / len(VALIDATORS) / sent
        shown = shown_by(network) if kind is Kind.OURS else None
    return Round(outcomes, disk, shown)


FAR_KINDS = (Kind.OURS, Kind.SOCKET)


def run_far(folder: Path, kind: Kind, loads: Loads, point: Point) -> Outcome:
    """Found a network, move its validators away from each other, and offer it one point."""
    folder.mkdir()
    with closing(Relay()) as relay, Network(folder, kind, relay).running() as network:
        observer = Observer(network, must_take_effect=kind is Kind.OURS)
        for load in loads.founding:
            observer.offer(load, rate=0)
        network.agree(observer.height)
        relay.delay(DELAY, JITTER)
        outcome = observer.offer(loads.points[point.name], point.rate)
        network.agree(observer.height)
    return outcome


class Observer:
    """Sees blocks as the first node's application commits them."""

    def __init__(self, network: Network, *, must_take_effect: bool) -> None:
        self._network = network
        self._must_take_effect = must_take_effect
        self.height = network.applied()[0]
        """Of the last block that was looked at."""
        self.patience = PATIENCE
        """Seconds in which all has to be committed."""

    def offer(self, load: Load, rate: int) -> Outcome:
        """Have transactions sent, and wait until all are committed; raises `RuntimeError` if one is not, or had no effect."""
        due = {one: _due(place, rate) for place, one in enumerate(load.transactions)}
        ports = ",".join(map(str, self._network.ports))
        command = [sys.executable, "-m", "edgehold.bench.sending", str(load.file), ports, str(rate)]
        with subprocess.Popen(  # noqa: S603 — our own module
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        ) as sender:
            try:
                cast(IO[bytes], sender.stdout).readline()  # it is ready
                before, start = self._network.processor(), time.time() + LEAD
                cast(IO[bytes], sender.stdin).write(f"{start}\n".encode())
                cast(IO[bytes], sender.stdin).flush()
                delays, last = self._follow({one: start + after for one, after in due.items()})
                said = json.loads(sender.communicate(timeout=PATIENCE)[0])
            finally:
                sender.kill()
        if said["refused"]:
            raise RuntimeError(f"{said['refused']} transactions were refused")
        after = self._network.processor()
        middle, tail = middle_and_tail(delays)
        each = 1e6 / len(delays) / len(VALIDATORS)
        return Outcome(
            per_second=len(delays) / (last - start),
            middle=middle,
            tail=tail,
            application=(after.applications - before.applications) * each,
            cometbft=(after.nodes - before.nodes) * each,
        )

    def _follow(self, due: dict[bytes, float]) -> tuple[list[float], float]:
        """Seconds from due to committed of each transaction, and when the last was committed."""
        delays: list[float] = []
        now = time.time()
        end, first = now + self.patience, self.height + 1
        while due:
            if now > end:
                raise RuntimeError(f"{len(due)} transactions are in no block after {self.patience:.0f} s")
            time.sleep(LOOK)
            height, now = self._network.applied()[0], time.time()
            while self.height < height:
                self.height += 1
                delays += [now - due.pop(one) for one in self._network.node.block(self.height)[1]]
        if self._must_take_effect:
            self._require_effect(first)
        return delays, now

    def _require_effect(self, first: int) -> None:
        """A refusal would be no work done."""
        for height in range(first, self.height + 1):
            refused = [code for code, _ in self._network.node.results(height) if code]
            if refused:
                raise RuntimeError(f"block {height}: {len(refused)} transactions had no effect, such as EH{refused[0]}")


def _due(place: int, rate: int) -> float:
    """Seconds from the start until a transaction is due; the nodes get their turns at one moment."""
    nodes = len(VALIDATORS)
    return (place // nodes + 1) * nodes / rate if rate else 0.0


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def _rows(points: Sequence[Point], found: dict[Kind, list[Round]]) -> list[Row]:
    rows: list[Row] = []

    def add(name: str, unit: str, value: Callable[[Round], float], rival: Kind = Kind.SOCKET) -> None:
        own, other = ([value(one) for one in found[kind]] for kind in (Kind.OURS, rival))
        rows.append(make_row(name, unit, own, rival.value, other))

    bursts, rated = [one for one in points if not one.rate], [one for one in points if one.rate]
    for point in bursts:
        name = f"burst of {point.count:,} × {_bytes(point.size)}"
        add(name, "/s", _at(point, lambda outcome: outcome.per_second))
        add(f"{name}: the limit", "/s", _at(point, lambda outcome: outcome.per_second), Kind.BUILTIN)
    for point in rated:
        add(f"latency at {point.rate:,}/s, median", "ms", _at(point, lambda outcome: 1000 * outcome.middle))
        add(f"latency at {point.rate:,}/s, 95 of 100", "ms", _at(point, lambda outcome: 1000 * outcome.tail))
    for point in (rated[0], *bursts):
        where = f"at {point.rate:,}/s" if point.rate else f"burst of {_bytes(point.size)}"
        add(f"processor time of an application, {where}", "µs/tx", _at(point, lambda outcome: outcome.application))
        add(f"processor time of its CometBFT, {where}", "µs/tx", _at(point, lambda outcome: outcome.cometbft))
    add(f"disk a node, {_bytes(PANEL)}", "B/tx", lambda one: one.disk)
    return rows


def _far_rows(found: dict[Kind, list[Outcome]]) -> list[Row]:
    name = f"latency at {FAR_RATE}/s, links of {1000 * DELAY:.0f} ± {1000 * JITTER:.0f} ms"
    own, other = (found[kind] for kind in FAR_KINDS)

    def row(part: str, value: Callable[[Outcome], float]) -> Row:
        rival = [1000 * value(one) for one in other]
        return make_row(f"{name}, {part}", "ms", [1000 * value(one) for one in own], Kind.SOCKET.value, rival)

    return [row("median", lambda one: one.middle), row("95 of 100", lambda one: one.tail)]


def _at(point: Point, value: Callable[[Outcome], float]) -> Callable[[Round], float]:
    return lambda one: value(one.outcomes[point.name])


def _bytes(size: int) -> str:
    return "1 kB" if size == ORDER else f"{size} B"
