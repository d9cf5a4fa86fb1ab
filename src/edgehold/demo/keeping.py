"""Who keeps the ledger of a world: this process, which moves its heights, or validators, whose heights pass by themselves."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from pathlib import Path
from time import monotonic, sleep
from typing import Protocol, TypeVar

from edgehold.crypto.cose import open1
from edgehold.crypto.names import network_id, payload_digest
from edgehold.customer.customer import QUICK
from edgehold.demo.parties import load_key
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.errors import HeaderMoved, NodeNotReady, Unavailable
from edgehold.ports import Clock, Ledger, Randomness
from edgehold.remote.ledger import RemoteLedger
from edgehold.remote.node import Node
from edgehold.remote.nodes import Nodes
from edgehold.remote.rpc import Rpc
from edgehold.remote.trust import Trust, TrustStore
from edgehold.server.home import Home, network_of_home, read_settings
from edgehold.server.loopback import homes_in
from edgehold.server.pair import running
from edgehold.verify.view import ProofCache
from edgehold.wire.governance import Genesis
from edgehold.wire.ids import Digest
from edgehold.wire.order import Schedule

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds in which validators on this machine make the next block and answer what was submitted."""

TRIES, PAUSE = 20, 0.1
"""How often, and with how many seconds between, a party reads again."""

UPLOAD, UPLOAD_A_PERSON = 3.0, 0.07
"""Seconds for all hubs to decide, run and upload, on two cores that four validators use as well."""


class WorldLedger(Ledger, Protocol):
    """A ledger whose heights a world waits for."""

    def advance(self, count: int = 1) -> int:
        """Return when so many heights have passed, and what was submitted before has its receipt."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


class FollowedLedger(RemoteLedger):
    """A ledger of validators, for one process that submits and waits. Not for several threads at once while it waits."""

    def __init__(self, nodes: Nodes, genesis: Genesis, store: TrustStore, clock: Clock, randomness: Randomness) -> None:
        super().__init__(nodes, genesis, store, clock, randomness, trust=Trust())
        self._unanswered: set[Digest] = set()
        self._looked_until = 0

    def submit(self, transaction: bytes) -> Digest:
        envelope = super().submit(transaction)
        self._unanswered.add(envelope)
        return envelope

    def advance(self, count: int = 1) -> int:
        """Wait; raises `Unavailable` if a block or an answer does not come."""
        target = self.height() + count
        end = monotonic() + PATIENCE + count * self.genesis.parameters.block_interval_ms / 1000
        while True:
            height = self.wait(above=self._looked_until, seconds=1.0)
            for _, data, _ in self.transactions(self._looked_until + 1, height):
                self._unanswered.discard(payload_digest(open1(data).payload))
            self._looked_until = max(height, self._looked_until)
            if height >= target:
                self._unanswered -= {one for one in self._unanswered if self.receipt(one) is not None}
                if not self._unanswered:
                    return height
            if monotonic() > end:
                waits = f"; {len(self._unanswered)} transactions wait" if self._unanswered else ""
                raise Unavailable(f"height {target} does not come: the ledger stands at {height}{waits}")


def open_embedded(folder: Path, genesis: Genesis, clock: Clock, randomness: Randomness) -> EmbeddedLedger:
    """The ledger that lies in a world's folder."""
    return EmbeddedLedger(folder / "ledger", genesis, load_key(folder / "ledger"), clock, randomness)


def follow_validators(folder: Path, genesis: Genesis, clock: Clock, randomness: Randomness) -> FollowedLedger:
    """The ledger of the validators in a world's folder. What is trusted is kept in the folder.

    Raises `NodeNotReady` if none of them is up.
    """
    homes = homes_in(folder)
    if all(running(home) is None for home in homes):
        raise NodeNotReady(f"no validator of {folder} is up: edgehold up --dir {folder}")
    addresses = [f"http://{read_settings(home).rpc}" for home in homes]
    nodes = Nodes([Node(Rpc(address)) for address in addresses])
    store = TrustStore(folder / "ledger" / "trusted.sqlite", network_id(genesis))
    return FollowedLedger(nodes, genesis, store, clock, randomness)


def follow_home(home: Home, clock: Clock, randomness: Randomness) -> FollowedLedger:
    """The network of a node's home, asked over the node's RPC; what is trusted is kept in the home.

    Raises `NodeNotReady` if the node does not run, `NodeNotFounded`.
    """
    genesis = network_of_home(home)
    if running(home) is None:
        raise NodeNotReady(f"the node in {home.folder} does not run: edgehold node start --home {home.folder}")
    nodes = Nodes([Node(Rpc(f"http://{read_settings(home).rpc}"))])
    return FollowedLedger(
        nodes, genesis, TrustStore(home.folder / "trusted.sqlite", network_id(genesis)), clock, randomness
    )


def proofs_of(ledger: WorldLedger) -> ProofCache:
    """What the parties of this process share: headers are judged by who follows the validators, if somebody does."""
    return ProofCache(headers=ledger.light) if isinstance(ledger, FollowedLedger) else ProofCache()


def schedule_for(ledger: WorldLedger, people: int) -> Schedule:
    """The phases of an order: as short as heights that we move allow, or long enough for heights that pass.

    Only uploads and revocations take their whole time; the others are over when everybody has done their part.
    """
    if not isinstance(ledger, FollowedLedger):
        return QUICK
    seconds = UPLOAD + UPLOAD_A_PERSON * people
    upload = ceil(seconds * 1000 / ledger.genesis.parameters.block_interval_ms)
    return Schedule(request=20, join=20, upload=upload, revoke=2, close=20, share=20, accept=20)


def undisturbed(act: Callable[[], T]) -> T:
    """Do what reads the ledger by proof, again if a block came in between; raises `HeaderMoved` if that never ends."""
    for _ in range(TRIES):
        try:
            return act()
        except HeaderMoved:
            sleep(PAUSE)
    return act()
