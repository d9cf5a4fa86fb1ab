"""Four validators under a steady load of several kinds, while some die again and again: nobody's memory grows.

Two of the four are left alone, and their curves are what is judged; the others are killed in turn, an application or a
node. The first third is warming up: caches fill, and the database's pages are read.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest
from four_validators import FourValidators, eventually

from edgehold.bench.traffic import ORDER, PANEL, Traffic
from edgehold.crypto.names import account_id, network_id, panel_id
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.wire.account import Attest, Claim, Role
from edgehold.wire.ids import Digest
from edgehold.wire.panel import ClosePanel
from edgehold.wire.tx import Body

if TYPE_CHECKING:
    from conftest import Figures

pytestmark = pytest.mark.system

LEFT_ALONE, KILLED = (0, 1), (2, 3)
TRANSFERS, PANELS_AND_ORDERS = 12, 12
"""A second."""

SOME = 64
"""Panels or orders that are made at once."""

LOOK = 0.5
MEBIBYTE = 1 << 20
MOST_GROWTH = 8
"""Mebibytes that an application may have more at the end than when it was warm."""


class MixedTraffic(Traffic):
    """Panels and orders of the organisations that founded a network, each in time for the heights that come."""

    def __init__(self, network: FourValidators) -> None:
        super().__init__(0)
        homes = [validator.home for validator in network.validators]
        keys = [SigningKey(bytes.fromhex(home.account_key.read_text())) for home in homes]
        accounts = [account_id(Role.ORGANISATION, key.public) for key in keys]
        self._ledger, self._network = network, network_id(network.genesis)
        self._accreditor, self._issuer = (keys[1], accounts[1]), (keys[2], accounts[2])
        self._keys, self._accounts, self._office = keys[3:], accounts[3:], accounts[2]

    def begin(self) -> None:
        """What panels and orders need on the ledger first."""
        for subject in (self._office, *self._accounts):
            for claim in (Claim.ISSUER, Claim.ACCREDITED):
                self._do(*self._accreditor, Attest(subject, claim, 1 << 40, Digest(bytes(32))))
        self._do(*self._issuer, self._program)
        self._do(*self._issuer, self._panel)
        self._do(*self._issuer, ClosePanel(panel_id(self._office, self._panel), enrolled=1000))

    def endless(self) -> Iterator[bytes]:
        """Panels and orders in turn."""
        for number in count():
            panels, orders = (self.of_size(size, SOME, f"{size} {number}") for size in (PANEL, ORDER))
            for pair in zip(panels, orders, strict=True):
                yield from pair

    def _do(self, key: SigningKey, sender: Digest, body: Body) -> None:
        signed = self._sign(key, sender, body)
        envelope = self._ledger.load.note(signed)
        assert self._ledger.node.broadcast(signed).code == 0
        eventually(lambda: self._ledger.load.is_answered(0, envelope), "the receipt")

    def _sign(self, key: SigningKey, sender: Digest, body: Body) -> bytes:
        return sign_transaction(key, self._network, sender, self._ledger.top() + 900, body)


def test_under_load_and_kills_nobody_s_memory_grows(tmp_path: Path, is_long: bool, figures: Figures) -> None:
    seconds, pause = (900, 20.0) if is_long else (12, 4.0)
    network, ending = FourValidators(tmp_path), Event()
    traffic, dice = MixedTraffic(network), Random(1)
    sender = Thread(target=send, args=(network, traffic, ending), name="panels and orders")
    curves: dict[int, list[int]] = {place: [] for place in LEFT_ALONE}
    kills = 0
    try:
        network.start()
        for _ in range(20):  # so that everybody can pay for orders
            network.load.pay(0)
        traffic.begin()
        network.load.start(TRANSFERS)
        sender.start()
        begun = due = time.monotonic()
        while (now := time.monotonic()) < begun + seconds:
            for place, curve in curves.items():
                curve.append(resident_bytes(network, place))
            if now > due + pause:
                kill_one(network, dice)
                kills, due = kills + 1, now
            ending.wait(LOOK)
        ending.set()
        sender.join()
        network.load.stop()
        network.start()
        figures.add("soak: transactions on the chain, each once and to effect", require_effect(network))
        figures.add("soak: of them acknowledged meanwhile", len(network.load.acknowledged))
        figures.add("soak: an application or a node killed", kills)
    finally:
        ending.set()
        network.stop()
    for curve in curves.values():
        third = len(curve) // 3
        warm, end = max(curve[third : 2 * third]), max(curve[2 * third :])
        figures.most("soak: resident memory of an application at the end, MiB", end / MEBIBYTE)
        figures.most("soak: its growth from the second third of the time to the last, MiB", (end - warm) / MEBIBYTE)
        assert end - warm <= MOST_GROWTH * MEBIBYTE


def require_effect(network: FourValidators) -> int:
    """Every transaction is there once and took effect; returns how many there are."""
    kept = network.check()
    codes = [code for height in range(1, network.agree() + 1) for code, _ in network.node.results(height)]
    assert len(codes) >= kept
    assert not any(codes)
    return kept


def send(network: FourValidators, traffic: MixedTraffic, ending: Event) -> None:
    """Hand in panels and orders at their rate until it ends."""
    for number, signed in enumerate(traffic.endless()):
        if ending.wait(1 / PANELS_AND_ORDERS):
            return
        network.load.note(signed)
        assert network.validators[LEFT_ALONE[number % 2]].node.broadcast(signed).code == 0


def kill_one(network: FourValidators, dice: Random) -> None:
    """Kill an application or a node, and start both again."""
    victim = network.validators[dice.choice(KILLED)]
    dice.choice(victim.processes).kill()
    time.sleep(dice.uniform(0, 0.5))  # the moment at which the other half follows is what is varied
    victim.kill()
    victim.start()


def resident_bytes(network: FourValidators, place: int) -> int:
    """What an application holds of the machine's memory."""
    application = network.validators[place].application
    assert application is not None
    status = Path(f"/proc/{application.pid}/status").read_text()
    return next(int(line.split()[1]) << 10 for line in status.splitlines() if line.startswith("VmRSS:"))
