"""A light client of a simulated consortium, and what must hold of all that it believes.

It follows the chain over nodes of which some lie, lag or are cut off; it is killed, and goes on with what its disk holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

from files import AROUND, Place
from keeper import Member
from nodes import STRANGERS, Line, Node
from trade import GENESIS, envelope_of
from universe import Machine, Violation

from edgehold.crypto.names import network_id
from edgehold.errors import BadSignature, ForkFound, Malformed, NodeError, StorageFailed, TrustExpired, WrongNetwork
from edgehold.remote.ledger import RemoteLedger
from edgehold.remote.node import Node as RemoteNode
from edgehold.remote.nodes import Nodes
from edgehold.remote.trust import Trust, TrustStore
from edgehold.verify.header import SECOND, hash_header
from edgehold.verify.light import verify_fork
from edgehold.wire.codec import encode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import Digest, Height

if TYPE_CHECKING:
    from consortium import Consortium

AGE = 6 * SECOND
"""Nanoseconds; who shows no younger header is stale."""

EXPECTED = (NodeError, TrustExpired, ForkFound, Malformed, BadSignature, WrongNetwork)
"""What a light client may say when nodes lie, or do not help."""


def vouched_for(consortium: Consortium) -> tuple[Height, Digest] | None:
    """Where trust begins if members do not keep all blocks: somebody vouches for the last header."""
    chain = consortium.chain
    if consortium.regime.snapshot_every == 0:
        return None
    return chain.height, hash_header(chain.header(chain.height))


class Client:
    """The process: the ledger over the members' nodes, with what is trusted on its disk."""

    def __init__(self, consortium: Consortium, machine: Machine, order: list[int]) -> None:
        nodes: list[Node] = [consortium.nodes[number] for number in order]
        self.lines = [Line(machine, node) for node in nodes]
        network = network_id(GENESIS)
        self.store = TrustStore(cast(Path, Place(machine.disk.folder) / "trusted.sqlite"), network)
        self.ledger = RemoteLedger(
            Nodes([RemoteNode(line) for line in self.lines]),
            GENESIS,
            self.store,
            consortium,
            machine.randomness(),
            trust=Trust(period=consortium.regime.period, drift=2 * SECOND, age=AGE, anchor=vouched_for(consortium)),
            patience=0.2,
        )

    def close(self) -> None:
        """End the process."""
        self.ledger.close()


class Follower:
    """One light client over its whole life, seen from outside."""

    def __init__(self, consortium: Consortium, machine: Machine, order: list[int]) -> None:
        self.consortium = consortium
        self.machine = machine
        self.highest = 0
        """The highest header that it believed."""
        self.fork: bytes | None = None
        """The proof of a fork that it reported."""
        self.is_fooled = False
        """Whether it believes a header that the honest validators did not sign."""
        self.has_expired = False
        self._begins_at = consortium.chain.height if consortium.regime.snapshot_every else 1
        self._order = order
        self._reached = 0
        self._goal = 0
        machine.open = lambda: Client(consortium, machine, order)
        machine.on_start = self._starts
        machine.on_failure = self._fails  # type: ignore[method-assign]

    @property
    def _client(self) -> Client:
        client: Client = self.machine.party
        return client

    @property
    def is_done(self) -> bool:
        """Whether nothing more is to be expected of it."""
        if self.fork is not None or self.is_fooled or self.has_expired:
            return True
        first = min(self.consortium.members[number].first for number in self._order)
        return self._reached >= self._goal or max(self.highest, self._begins_at) < first

    def expect(self, height: int) -> None:
        """Now that nothing fails it comes to this height."""
        self._goal = height

    def step(self) -> None:
        """Ask something."""
        if not self.machine.is_up:
            return
        for line in self._client.lines:
            line.noise = 0
        witnesses = self._witnesses()
        asked = self.consortium.universe.dice.choice(("newest", "newest", "at", "value", "receipt", "blocks", "submit"))
        ask = {
            "newest": self._newest,
            "at": self._at,
            "value": self._value,
            "receipt": self._receipt,
            "blocks": self._blocks,
            "submit": self._submit,
        }[asked if not self.consortium.is_calm else "newest"]
        before = self._client.store.last()
        self.machine.act(asked, ask)
        if self.machine.is_up:
            with self.consortium.universe.looking():
                last = self._client.store.last()
            if last is not None and last != before:
                digest = hash_header(last.signed.header).hex()
                self.consortium.universe.note(self.machine.name, "trusts header", last.height, digest)
                self._believes(last.signed, witnesses)
                if before and before.signed.header.time + self.consortium.regime.period <= self.consortium.now():
                    raise Violation(
                        f"{self.machine.name} goes on from header {before.height}, which is too old for that"
                    )

    # ── what it asks ──────────────────────────────────────────────────────────────────────────────────────────────

    def _newest(self) -> None:
        block = self._client.ledger.light.newest()
        if block.height < self.highest:
            raise Violation(f"{self.machine.name} goes back from height {self.highest} to {block.height}")
        if block.signed.header.time + AGE < self.consortium.now():
            raise Violation(f"{self.machine.name} takes the old header {block.height} for the newest")
        self.highest = block.height
        self._reached = block.height

    def _at(self) -> None:
        height = self.consortium.universe.dice.randrange(1, self.consortium.chain.height + 2)
        block = self._client.ledger.light.at(height)
        if block is not None:
            self._believes(block.signed)

    def _value(self) -> None:
        account = self.consortium.universe.dice.choice(self.consortium.trade.accounts)
        key = entry_key(Collection.ACCOUNT, account)
        signed, value, _ = self._client.ledger.prove(key)
        self._believes(signed)
        values = self.consortium.values.get(signed.header.height - 1)
        if self.is_fooled or values is None:
            return
        self.consortium.universe.count("answers compared with the chain")
        if values[key] != value:
            raise Violation(f"{self.machine.name} believes a wrong value under header {signed.header.height}")

    def _receipt(self) -> None:
        consortium, ledger = self.consortium, self._client.ledger
        made = consortium.universe.dice.choice(list(consortium.trade.made.values())[-40:])
        receipt = ledger.receipt(made.envelope)
        if receipt is None or self._is_misled() or made.envelope in ledger._refused:
            return
        consortium.universe.count("answers compared with the chain")
        height = consortium.book.answered.get(made.envelope)
        if height is None:
            raise Violation(f"{self.machine.name} believes in a receipt of what was in no block")
        place = [envelope_of(one) for one in consortium.chain.block(height).transactions].index(made.envelope)
        if receipt != consortium.consensus.outcomes[height].receipts[place]:
            raise Violation(f"{self.machine.name} believes in another receipt than that of block {height}")

    def _blocks(self) -> None:
        chain = self.consortium.chain
        first = self.consortium.universe.dice.randrange(1, chain.height + 1)
        told = list(self._client.ledger.transactions(first, first + 3))
        if self._is_misled() or not told:
            return
        self.consortium.universe.count("answers compared with the chain")
        last = min(first + 3, chain.height)
        real = [
            (height, transaction, receipt)
            for height in range(first, last + 1)
            if height in self.consortium.consensus.outcomes
            for transaction, receipt in zip(
                chain.block(height).transactions, self.consortium.consensus.outcomes[height].receipts, strict=True
            )
        ]
        if told != real[: len(told)]:
            raise Violation(f"{self.machine.name} believes in other transactions of blocks {first} to {last}")

    def _submit(self) -> None:
        consortium = self.consortium
        dice, height = consortium.universe.dice, consortium.chain.height + 1
        sent = consortium.trade.some(dice, height) if dice.random() < 0.8 else consortium.trade.bad(dice, height)
        self._client.ledger.submit(sent)

    # ── what must hold ────────────────────────────────────────────────────────────────────────────────────────────

    def _is_misled(self) -> bool:
        """Whether any header that it trusts is none of the chain's, which is looked at first."""
        last = self._client.store.last()
        if last is not None:
            self._believes(last.signed)
        return self.is_fooled

    def _witnesses(self) -> list[Member]:
        """Honest members whose nodes answer and have given it no trouble: each shows what is so at every height it has."""
        consortium, nodes = self.consortium, self._client.ledger._nodes
        trusted = max(self.highest, self._begins_at)
        return [
            member
            for node, member in zip(nodes._nodes, (consortium.members[number] for number in self._order), strict=True)
            if not (member.is_cut or consortium.nodes[member.number].is_lying)
            and nodes._until.get(node, 0.0) <= AROUND.monotonic()
            and member.height > 0
            and member.first <= trusted
            and consortium.chain.header(member.height).time + AGE > consortium.now()
        ]

    def _believes(self, signed: SignedHeader, witnesses: Sequence[Member] = ()) -> None:
        """It relies on a header: honest validators signed it, or more than a third lied and nobody could show another.

        `witnesses` are those who could, if the header is new.
        """
        consortium, height = self.consortium, signed.header.height
        if height <= consortium.chain.height and consortium.chain.header(height) == signed.header:
            consortium.universe.count("headers believed")
            return
        if not consortium.is_third_exceeded:
            raise Violation(f"{self.machine.name} believes a header {height} that honest validators did not sign")
        is_quiet = not any(line.noise for line in self._client.lines)
        seen_by = [member.name for member in witnesses if member.height >= height]
        if seen_by and is_quiet and not self.is_fooled:
            raise Violation(f"{self.machine.name} believes a header {height}, reports no fork, and could ask {seen_by}")
        if not self.is_fooled:
            consortium.universe.count("light clients misled by more than a third")
        self.is_fooled = True

    def _starts(self) -> None:
        """What it believed is on its disk, and a fork that it reported is not forgotten."""
        with self.consortium.universe.looking():
            last, fork = self._client.store.last(), self._client.store.fork()
        if self.highest and (last is None or last.height < self.highest):
            raise Violation(f"{self.machine.name} forgot header {self.highest}")
        if last is not None:
            self._believes(last.signed)
        if self.fork is not None and (fork is None or encode(fork) != self.fork):
            raise Violation(f"{self.machine.name} forgot the proof of a fork")

    def _fails(self, error: Exception) -> None:
        if isinstance(error, StorageFailed) and (self.machine.is_full or self.machine.is_broken):
            self.machine.power = False
            self.machine._die()
            return
        if not isinstance(error, EXPECTED):
            raise Violation(f"{self.machine.name} fails: {error!r}") from error
        self.has_expired = self.has_expired or isinstance(error, TrustExpired)
        if isinstance(error, ForkFound):
            self._reports()

    def _reports(self) -> None:
        """It says that there is a fork: the proof holds, and accuses only those who lied."""
        fork = self._client.store.fork()
        if fork is None:
            raise Violation(f"{self.machine.name} reports a fork and keeps no proof of it")
        if self.fork is not None:
            if self.fork != encode(fork):
                raise Violation(f"{self.machine.name} keeps another proof of a fork than it reported")
            return
        guilty = verify_fork(fork, GENESIS.chain)
        if not self.consortium.is_third_exceeded:
            raise Violation(f"{self.machine.name} reports a fork where at most a third lied")
        if honest := set(guilty) - set(self.consortium.liars_keys()) - set(STRANGERS):
            raise Violation(f"{self.machine.name} accuses the honest validators {[key.hex() for key in honest]}")
        self.fork = encode(fork)
        heads = [hash_header(way[-1].signed.header).hex()[:8] for way in (fork.first, fork.second)]
        self.consortium.universe.note(self.machine.name, "reports a fork", fork.first[-1].height, *heads)
        self.consortium.universe.count("forks reported")
