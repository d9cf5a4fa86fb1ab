"""A second kind of history: a consortium of four members, whose replicas are driven by a stand-in for CometBFT.

Real applications keep the ledger on simulated disks, members are killed and come back, some propose what they must not,
and validators change; all hold the same state at each height, and none loses what it kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import Any

import apsw
from consensus import Consensus, Outcome
from disk import Disk, DiskSystem
from files import AROUND, READERS
from follower import Follower
from keeper import Keeper, Member
from nodes import STRANGERS, Node
from signed_chain import Block, SignedChain, key_of
from trade import GENESIS, MEMBERS, OPERATORS, Book, Trade
from universe import SECOND, Machine, Universe, Violation

from edgehold.demo.seeded import SeededRandomness
from edgehold.engine.chain import Replay
from edgehold.engine.machine import LedgerMachine
from edgehold.errors import StorageFailed
from edgehold.server.abci.messages import types_pb2 as abci
from edgehold.verify.header import order_validators
from edgehold.wire.account import Account
from edgehold.wire.codec import decode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.order import Order

FILE = "replica.sqlite"

PATIENCE = 30
"""Intervals without a fault after which all members have come to one height."""

FIRST_KEY = 10
"""Of the keys that validators change to, by the chain's numbers."""

LAST_KEY = 29

FAULTS = (
    "kills",
    "power cuts",
    "full disks",
    "broken disks",
    "cuts",
    "lost machines",
    "lost pieces",
    "changed pieces",
    "changed offers",
    "forged snapshots",
    "lost transactions",
    "strays",
    "lost messages",
    "changed messages",
)

BAD_PROPOSALS = ("withheld", "invalid", "answered", "doubled", "reordered", "too large", "empty")


@dataclass
class Regime:
    """What one history has of everything."""

    faults: tuple[str, ...]
    level: float
    intervals: int
    """After which nothing fails any more."""
    traffic: int
    """Transactions that come in each interval, at most."""
    snapshot_every: int
    keep_blocks: int
    bad: int | None
    """The member that proposes what it must not."""
    changes: float
    """How often members change their validators."""
    clients: tuple[tuple[int, ...], ...] = ()
    """Of each light client the members whose nodes it asks, in this order."""
    liars: tuple[int, ...] = ()
    """Members who sign what light clients are to believe, and whose nodes show it."""
    period: int = 10**18
    """Nanoseconds for which a light client trusts a header."""

    def often(self, kind: str, most: float) -> float:
        """The probability of a fault."""
        return self.level * most if kind in self.faults else 0.0


def draw_regime(dice: Random) -> Regime:
    """A regime by the dice."""
    calm = dice.random() < 0.05
    snapshot_every = dice.choice((0, 2, 3))
    return Regime(
        faults=() if calm else tuple(kind for kind in FAULTS if dice.random() < 0.5),
        level=dice.choice((0.2, 0.5, 1.0)),
        intervals=6 + dice.randrange(12),
        traffic=dice.choice((1, 3, 6)),
        snapshot_every=snapshot_every,
        keep_blocks=2 * snapshot_every + 4 if snapshot_every and dice.random() < 0.5 else 0,
        bad=dice.randrange(MEMBERS) if dice.random() < 0.5 else None,
        changes=dice.choice((0.0, 0.3)),
        clients=tuple(
            tuple(dice.sample(range(MEMBERS), dice.choice((2, 3)))) for _ in range(dice.choice((0, 1, 1, 2)))
        ),
        liars=tuple(dice.sample(range(MEMBERS), dice.choice((0, 1, 1, 1, 1, 2, 2, 3)))),
        period=6 * 10**9 if dice.random() < 0.15 else 10**18,
    )


@dataclass(frozen=True)
class FoundedConsortium:
    """The consortium as it was founded: what lies on each disk, and the blocks that led there."""

    database: bytes
    blocks: tuple[Block, ...]
    outcomes: dict[int, Outcome]
    trade: Trade
    book: Book


class Consortium:
    """One seed's consortium and what becomes of it."""

    def __init__(
        self, founded: FoundedConsortium | None, disks: DiskSystem, seed: int, regime: Regime | None = None
    ) -> None:
        self.universe = Universe(seed)
        self.regime = regime or draw_regime(self.universe.dice)
        self.trade = founded.trade.copied() if founded else Trade()
        self.intervals = 0
        self.is_calm = False
        self.next_key = FIRST_KEY
        self._read_at = 0
        self.values: dict[int, dict[bytes, bytes | None]] = {}
        """What is under the accounts' keys after each block."""
        self.is_third_exceeded = False
        """Whether the liars had more than a third of the power in any set that signs."""
        chain = SignedChain(GENESIS.chain, order_validators(GENESIS.validators), GENESIS.time)
        book, outcomes = Book(self.trade), dict[int, Outcome]()
        if founded:
            chain.blocks, outcomes = list(founded.blocks), dict(founded.outcomes)
            book = founded.book.copied(self.trade)
        self.consensus = Consensus(self, chain, outcomes, book)
        self.machines: dict[str, Machine] = {}
        self.members = [self._member(number, founded) for number in range(MEMBERS)]
        self.nodes = [Node(self, member) for member in self.members]
        self.followers = [self._follower(number, order) for number, order in enumerate(self.regime.clients)]
        self._hold(disks)
        self._start = chain.header(chain.height).time if founded else GENESIS.time + 1000 * 10**9
        self.weigh()
        self.universe.note("regime", self.regime)

    @property
    def chain(self) -> SignedChain:
        """The blocks that were decided."""
        return self.consensus.chain

    @property
    def book(self) -> Book:
        """What they must come to."""
        return self.consensus.book

    def _member(self, number: int, founded: FoundedConsortium | None) -> Member:
        files = {FILE: founded.database} if founded else {}
        machine = self._machine(f"member {number + 1}", f"/simulated/member-{number + 1}", files)
        member = Member(number, machine, OPERATORS[number], stored=self.chain.height)
        machine.open = lambda: Keeper(machine, GENESIS, self.regime.keep_blocks, self.regime.snapshot_every)
        machine.on_start = lambda: self.consensus.shake_hands(member)
        return member

    def _follower(self, number: int, order: tuple[int, ...]) -> Follower:
        machine = self._machine(f"follower {number + 1}", f"/simulated/follower-{number + 1}", {})
        return Follower(self, machine, list(order))

    def _machine(self, name: str, folder: str, files: dict[str, bytes]) -> Machine:
        machine = Machine(self.universe, name, folder, {f"{folder}/{file}": data for file, data in files.items()})
        machine.on_end = lambda: self._repair(machine)
        machine.on_failure = lambda error: self._fails(machine, error)  # type: ignore[method-assign]
        self.machines[name] = machine
        return machine

    def _hold(self, disks: DiskSystem) -> None:
        held = [machine.disk for machine in self.machines.values()] + [Disk(READERS, {}, lambda operation: None)]
        disks.hold(held, SeededRandomness(self.universe.seed, "salts").draw)
        AROUND.universe, AROUND.waited = self.universe, 0.0
        AROUND.machines = {machine.disk.folder: machine for machine in self.machines.values()}

    def time(self) -> int:
        """Of a block that is made now, in nanoseconds."""
        last = self.chain.header(self.chain.height).time if self.chain.height else GENESIS.time
        return max(last + 1, self.now())

    def now(self) -> int:
        """The clock of everybody (`ports.Clock`)."""
        return self._start + self.universe.now * 10**6

    def liars_keys(self) -> set[bytes]:
        """All keys with which liars sign: those that their validators have or had, and strangers'."""
        return {key for key, owner in self.consensus.owners.items() if owner in self.regime.liars} | set(STRANGERS)

    def weigh(self) -> None:
        """Look how much of the power of those who sign next the liars have."""
        keys, validators = self.liars_keys(), self.chain.next_validators.validators
        power = sum(one.power for one in validators if one.key in keys)
        self.is_third_exceeded |= power * 3 > sum(one.power for one in validators)

    # ── what happens ──────────────────────────────────────────────────────────────────────────────────────────────

    def play(self) -> Universe:
        """Let everything happen, until all came to one height after the last fault; raises `Violation`."""
        for machine in self.machines.values():
            machine.start()
        self.universe.after(0, self._interval)
        try:
            self.universe.run(self._is_over, lambda: None)
            self._end()
        finally:
            for machine in self.machines.values():
                machine.on_end = lambda: None
                machine.bury()
        return self.universe

    def _interval(self) -> None:
        """A time in which a block can be made."""
        universe = self.universe
        universe.after(SECOND, self._interval)
        self.intervals += 1
        if self.intervals > self.regime.intervals and not self.is_calm:
            self._calm()
        if self.intervals > self.regime.intervals + PATIENCE:
            heights = {member.name: member.height for member in self.members}
            waiting = [follower.machine.name for follower in self.followers if not follower.is_done]
            raise Violation(
                f"{PATIENCE} intervals after the last fault members stand at {heights} of {self.chain.height}, and "
                f"these wait: {waiting}"
            )
        if not self.is_calm:
            self._faults()
            self._send()
        for member in self.members:
            self.consensus.catch_up(member)
        self.consensus.decide()
        for node in self.nodes if self.followers and not self.is_calm else ():
            if universe.chance(0.4):
                node.begin_another_story()
        for follower in self.followers:
            if self.is_calm or universe.chance(0.7):
                universe.after(universe.dice.randrange(1, SECOND), follower.step)

    def _is_over(self) -> bool:
        return (
            self.is_calm
            and all(member.height == self.chain.height and not member.is_busy for member in self.members)
            and all(follower.is_done for follower in self.followers)
        )

    def _send(self) -> None:
        """What comes to the members' doors in this interval."""
        dice, height = self.universe.dice, self.chain.height + 1
        sent = [self.trade.some(dice, height) for _ in range(dice.randrange(self.regime.traffic + 1))]
        if dice.random() < self.regime.changes:
            sent += self._change(height)
        if dice.random() < 0.3:
            sent.append(self.trade.bad(dice, height))
        if dice.random() < 0.3:
            sent.append(dice.choice(list(self.trade.made)))
        for member in self.members:
            given = [one for one in sent if not self.happens("lost transactions", 0.5)]
            dice.shuffle(given)
            self.hand_in(member, given)

    def _change(self, height: int) -> list[bytes]:
        dice = self.universe.dice
        if dice.random() < 0.5 or self.next_key > LAST_KEY:
            return self.trade.proposal(dice, height)
        number, fresh = dice.randrange(MEMBERS), key_of(self.next_key)
        self.next_key += 1
        self.consensus.owners[fresh.public] = number
        return [self.trade.rotation(height, number, fresh)]

    def hand_in(self, member: Member, transactions: list[bytes]) -> list[Any]:
        """Transactions come to a member's door together; its answers, none if it is down."""
        if member.height < 0 or not transactions:
            return []
        requests = [{"check_tx": abci.RequestCheckTx(tx=one)} for one in transactions]
        answers = member.ask_all(requests)
        for one, answer in zip(transactions, answers, strict=False):
            is_current = member.height == self.chain.height and self.chain.height in self.consensus.outcomes
            if answer.code == 0 and is_current and self.book.objection(self.chain.height + 1, [one]) is not None:
                raise Violation(f"{member.name} lets in what belongs into no block")
            if answer.code == 0 and one not in member.waiting:
                member.waiting.append(one)
        return answers

    def strays(self, height: int) -> list[bytes]:
        """What lies among the waiting transactions of a proposer and belongs into no block any more, or never did."""
        if not self.happens("strays", 0.5):
            return []
        dice = self.universe.dice
        return [self.trade.bad(dice, height), dice.choice(list(self.trade.made))]

    # ── misbehaving proposers ─────────────────────────────────────────────────────────────────────────────────────

    def happens(self, kind: str, most: float) -> bool:
        """Whether a fault comes now."""
        return not self.is_calm and self.universe.chance(self.regime.often(kind, most))

    def is_bad(self, member: Member) -> bool:
        """Whether a member proposes what it must not."""
        return member.number == self.regime.bad and not self.is_calm

    def bad_proposal(self, height: int, chosen: list[bytes]) -> list[bytes] | None:
        """What the misbehaving member makes of a good proposal; None if it keeps it to itself."""
        dice = self.universe.dice
        kind = dice.choice(BAD_PROPOSALS)
        self.universe.count(f"proposals {kind}")
        place = dice.randrange(len(chosen) + 1)
        match kind:
            case "withheld":
                return None
            case "empty":
                return []
            case "reordered":
                return dice.sample(chosen, len(chosen))
            case "doubled" if chosen:
                return [*chosen[:place], dice.choice(chosen), *chosen[place:]]
            case "answered":
                answered = [one for one, made in self.trade.made.items() if made.envelope in self.book.answered]
                return [*chosen[:place], dice.choice(answered[-30:]), *chosen[place:]]
            case "too large":
                return chosen + [dice.randbytes(500) for _ in range(4)]
            case _:
                return [*chosen[:place], self.trade.bad(dice, height), *chosen[place:]]

    # ── faults ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _faults(self) -> None:
        dice = self.universe.dice
        machines = list(self.machines.values())
        for kind in ("kills", "power cuts"):
            if self.happens(kind, 0.8):
                self._end_process(dice.choice(machines), power=kind == "power cuts")
        for kind in ("full disks", "broken disks"):
            if self.happens(kind, 0.3):
                self._spoil(dice.choice(machines), kind)
        if self.happens("cuts", 0.4):
            self._cut(dice.choice(self.members))
        if self.happens("lost machines", 0.4):
            self._lose(dice.choice(self.members))

    def _end_process(self, machine: Machine, *, power: bool) -> None:
        """Now, or at one of its next operations on disk or network."""
        dice = self.universe.dice
        if dice.random() < 0.3:
            machine.kill(power=power)
        else:
            machine.fuse, machine.power = dice.randrange(1, dice.choice((5, 20, 60))), power

    def _spoil(self, machine: Machine, kind: str) -> None:
        self.universe.count(kind)
        self.universe.note(machine.name, kind)
        full = kind == "full disks"
        machine.is_full, machine.is_broken = machine.is_full or full, machine.is_broken or not full
        self.universe.after(self.universe.dice.randrange(1, 3 * SECOND), lambda: self._mend(machine))

    def _mend(self, machine: Machine) -> None:
        machine.is_full = machine.is_broken = False

    def _cut(self, member: Member) -> None:
        self.universe.count("cuts")
        self.universe.note(member.name, "is cut off")
        member.is_cut = True
        self.universe.after(self.universe.dice.randrange(1, 5 * SECOND), lambda: self._join(member))

    def _join(self, member: Member) -> None:
        member.is_cut = False

    def _lose(self, member: Member) -> None:
        """A machine is gone with its disk; another one takes its place, if the others have all that it had."""
        others = [one for one in self.members if one is not member]
        if all(one.height >= max(member.stored, 1) for one in others):
            self.universe.count("lost machines")
            self.begin_anew(member)

    def begin_anew(self, member: Member) -> None:
        """A member starts with an empty disk and no blocks."""
        machine, disk = member.machine, member.machine.disk
        self.universe.note(member.name, "begins anew")
        self.universe.count("members that began anew")
        machine.kill(power=False)
        disk.files.clear()
        disk.removed.clear()
        disk.renamed.clear()
        member.stored, member.first, member.committed = 0, 1, 0

    def _repair(self, machine: Machine) -> None:
        self.universe.after(self.universe.dice.randrange(SECOND // 10, 3 * SECOND), machine.start)

    def _fails(self, machine: Machine, error: Exception) -> None:
        """A process that cannot go on ends; only a disk may be the reason.

        What a write fails with while SQLite closes a database, SQLite keeps to itself; a file system in Python does not.
        """
        is_of_disk = isinstance(error, StorageFailed | apsw.FullError | apsw.IOError)
        if not is_of_disk or not (machine.is_full or machine.is_broken):
            raise Violation(f"{machine.name} fails: {error!r}") from error
        machine.power = False
        machine._die()

    def _calm(self) -> None:
        self.is_calm = True
        self.universe.note("calm")
        for machine in self.machines.values():
            machine.fuse, machine.power = None, False
            self._mend(machine)
        for member in self.members:
            self._join(member)
        for node in self.nodes:
            node.begin_another_story()
        for follower in self.followers:
            follower.expect(self.chain.height)

    def perhaps_changed_offer(self, offer: Any) -> tuple[Any, bool]:
        """A snapshot as it is offered, and whether it still is what its holder has."""
        if not self.happens("changed offers", 0.5):
            return offer, True
        self.universe.count("changed offers")
        changed, dice = abci.Snapshot(), self.universe.dice
        changed.CopyFrom(offer)
        match dice.choice(("height", "metadata", "format", "hash")):
            case "height":
                changed.height = max(1, offer.height + dice.choice((-1, 1)))
            case "metadata":
                changed.metadata = self.changed(offer.metadata)
            case "format":
                changed.format = offer.format + 1
            case _:
                changed.hash = self.changed(offer.hash)
        return changed, changed == offer

    def perhaps_changed_piece(self, piece: bytes) -> bytes:
        """A piece of a snapshot as it arrives, or nothing."""
        if self.happens("lost pieces", 0.4):
            self.universe.count("lost pieces")
            return b""
        if piece and self.happens("changed pieces", 0.4):
            self.universe.count("changed pieces")
            return self.changed(piece)
        return piece

    def changed(self, data: bytes) -> bytes:
        """The same bytes but for one bit."""
        place = self.universe.dice.randrange(len(data))
        return data[:place] + bytes([data[place] ^ 1 << self.universe.dice.randrange(8)]) + data[place + 1 :]

    # ── what must hold ────────────────────────────────────────────────────────────────────────────────────────────

    def kept(self, member: Member, height: int) -> None:
        """A member kept a block; the first that is so far shows what is in the accounts."""
        if height != self.chain.height or height <= self._read_at:
            return
        self._read_at, self.values[height] = height, {}
        for account, credits in self.book.credits.items():
            key = entry_key(Collection.ACCOUNT, account)
            data = self.values[height][key] = member.keeper.replica.read(key)
            found = decode(data, Account).credits if data else 0
            if found != credits:
                raise Violation(f"{account.hex()} has {found} credits after block {height}, {credits} were left to it")
        for order, (_, escrow) in self.book.orders.items():
            data = member.keeper.replica.read(entry_key(Collection.ORDER, order))
            if data is None or decode(data, Order).escrow != escrow:
                raise Violation(f"order {order.hex()} does not hold {escrow} credits after block {height}")

    def _end(self) -> None:
        """Everybody came to one height: a second machine that executes all blocks comes to the same."""
        roots = {member.keeper.replica.root for member in self.members}
        if roots != {self.consensus.outcomes[self.chain.height].root}:
            raise Violation(f"the members end with {len(roots)} roots")
        if self.universe.seed % 10 == 0:
            replayed = Replay(LedgerMachine(GENESIS))
            for height in range(1, self.chain.height + 1):
                block = self.chain.block(height)
                receipts = self.consensus.outcomes[height].receipts
                replayed.follow(block.signed, list(zip(block.transactions, receipts, strict=True)))
            if replayed.root not in roots:
                raise Violation("the blocks lead to another root when they are executed by one machine")


def found_consortium(disks: DiskSystem) -> FoundedConsortium:
    """Found the consortium and take it into memory."""
    regime = Regime((), level=0.0, intervals=1, traffic=0, snapshot_every=0, keep_blocks=0, bad=None, changes=0.0)
    consortium = Consortium(None, disks, 0, regime)
    universe, members = consortium.universe, consortium.members
    for member in members:
        member.machine.start()
    for stage in [*consortium.trade.founding(), []]:
        for member in members:
            consortium.hand_in(member, stage)
        is_done = False
        while not is_done:
            is_done = not members[0].waiting
            consortium.consensus.decide()
            universe.run(lambda: False, lambda: None)
    machine = members[0].machine
    machine.party.close()
    database = bytes(machine.disk.files[f"{machine.disk.folder}/{FILE}"].data)
    consensus = consortium.consensus
    return FoundedConsortium(
        database, tuple(consensus.chain.blocks), consensus.outcomes, consortium.trade, consensus.book
    )
