"""The demo's world: a network in one folder and one process, whose heights we move.

Every party is the real one with its own keys, folder and dice; they know each other by messages and the ledger only. A world is
founded once (`found`), and opened again by the commands that go on in its folder (`open_world`).
"""

from __future__ import annotations

import io
import json
import resource
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import zstandard

from edgehold.analyses import shipped_programs
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.customer.customer import Customer
from edgehold.demo import cast
from edgehold.demo.cheat import TwoFacedNode
from edgehold.demo.keeping import WorldLedger, follow_validators, open_embedded, proofs_of, schedule_for, undisturbed
from edgehold.demo.parties import Dice, Direct, Directory, PublishedKeys, load_key, make_key, organisation_account
from edgehold.demo.seeded import SteppingClock
from edgehold.durable import PUBLIC, storage_failures, write_file
from edgehold.errors import FolderInUse, NotFound, NotFounded, Unavailable
from edgehold.hub.hub import Hub, ListCache, Surroundings
from edgehold.hub.watch import Feed
from edgehold.issuer.issuer import Issuer
from edgehold.issuer.register import Register
from edgehold.ledger.genesis import read_genesis, show_genesis, write_genesis
from edgehold.ports import Clock, Randomness
from edgehold.sandbox.compiled import default_cache, prepare_runtime
from edgehold.sandbox.host import Sandbox
from edgehold.sandbox.program import Program, load_program
from edgehold.server.founding import CREDITS, POWER
from edgehold.service.node import ServiceNode
from edgehold.shipped import COHORT_FILE
from edgehold.system import SystemClock
from edgehold.wire.account import Role
from edgehold.wire.governance import Founder, Genesis, Parameters, Validator, Voting
from edgehold.wire.ids import AccountId, Digest, PanelId, PublicKey
from edgehold.wire.tx import Body, Receipt

TODAY = date(2026, 11, 24)
"""The day on which the demo's persons are adults or not; fixed, so that the cohort has the same panel for ever."""

BLOCK_NANOSECONDS = 1_000_000_000
SEEDED_START = 1_795_000_000_000_000_000

CONSORTIUM = "consortium"
"""In a world's facts: four validators keep the ledger, not this process."""

VOTING = Voting(longest=1000, notice=20, rotation=20)
"""As short as the demo's heights."""

THREADS = 2
AT_A_TIME = 16

A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class Resident:
    """One person of the world: the number of the folder, whether an adult, and the hub."""

    number: int
    adult: bool
    hub: Hub


FILES_OF_A_HUB = 8
"""Open files of one open hub: two databases with their logs, and some room."""


def may_open(people: int) -> bool:
    """Ask the system to let this process hold the files of so many hubs open; whether it does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 512 + FILES_OF_A_HUB * people
    if hard != resource.RLIM_INFINITY and hard < wanted:
        return False
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return True


class World:
    """An open world. Close it to let go of its files."""

    def __init__(self, folder: Path, facts: dict[str, Any], sandbox: Sandbox) -> None:
        self._keep_open = may_open(len(facts["adults"]))
        self.folder = folder
        self.facts = facts
        self.dice = Dice(facts["seed"], facts.get("openings", 0))
        self.sandbox = sandbox
        self.genesis: Genesis = read_genesis((folder / "genesis.cbor").read_bytes())
        self.keys = {name: load_key(folder / "organisations" / name) for name in facts["organisations"]}
        self.directory = Directory()
        self.is_consortium = facts.get("ledger") == CONSORTIUM
        self.ledger = self._open_ledger()
        self.schedule = schedule_for(self.ledger, len(facts["adults"]))
        self.proofs = proofs_of(self.ledger)
        self.issuer = self._open_issuer()
        self.directory.peers[self.issuer.account] = Direct(self.issuer.handle)
        self.services = {one.name: self._open_service(one.name) for one in cast.SERVICES}
        for node in self.services.values():
            self.directory.peers[node.account] = Direct(node.handle)
        self.customers = {one.name: self._open_customer(one.name) for one in cast.CUSTOMERS}
        self.feed, self.lists = Feed(), ListCache()
        self.residents: list[Resident] = []
        self._pool = ThreadPoolExecutor(THREADS, "hubs")

    def close(self) -> None:
        """Let go of every file."""
        self._pool.shutdown()
        for resident in self.residents:
            resident.hub.close()
        for customer in self.customers.values():
            customer.close()
        for node in self.services.values():
            node.close()
        self._register.close()
        self.ledger.close()

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # ── who is there ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def adults(self) -> list[Resident]:
        """The residents that panels enrol."""
        return [resident for resident in self.residents if resident.adult]

    @property
    def panel(self) -> PanelId:
        """The panel of the present period."""
        return PanelId(Digest(bytes.fromhex(self.facts["panels"][1])))

    @property
    def earlier_panel(self) -> PanelId:
        """The panel of the period before."""
        return PanelId(Digest(bytes.fromhex(self.facts["panels"][0])))

    def account(self, name: str) -> AccountId:
        """The account of an organisation; raises `NotFound`."""
        if name not in self.keys:
            raise NotFound(f"there is no organisation {name!r}; there are {', '.join(self.keys)}")
        return organisation_account(self.keys[name])

    def title(self, account: AccountId) -> str:
        """An organisation's name for people."""
        for name, key in self.keys.items():
            if organisation_account(key) == account:
                return str(self.facts["organisations"][name])
        return account.hex()[:16]

    def resident(self, number: int) -> Resident:
        """One person; raises `NotFound`."""
        if not 1 <= number <= len(self.residents):
            raise NotFound(f"there is no hub {number} of {len(self.residents)}")
        return self.residents[number - 1]

    def hub_folder(self, number: int) -> Path:
        """Where a hub lies."""
        return self.folder / "hubs" / f"{number:04d}"

    def programs(self) -> dict[str, Program]:
        """The shipped programs and those that were added to the folder."""
        added = sorted((self.folder / "programs").glob("*.py"))
        return shipped_programs() | {path.stem: load_program(path) for path in added}

    def surroundings(self, number: int) -> Surroundings:
        """What the n-th hub reaches; all hubs of a world share what was verified in this process."""
        return Surroundings(
            ledger=self.ledger,
            sandbox=self.sandbox,
            library=self._source,
            services=self.directory,
            randomness=self.dice.of(f"hub {number}"),
            proofs=self.proofs,
            feed=self.feed,
            lists=self.lists,
        )

    # ── moving ────────────────────────────────────────────────────────────────────────────────────────────────────

    def submit(self, sender: str, body: Body) -> Digest:
        """Sign a transaction as an organisation and queue it."""
        key = self.keys[sender]
        expires = self.ledger.height() + self.genesis.parameters.expiry // 2
        transaction = sign_transaction(key, self.ledger.network, organisation_account(key), expires, body)
        return self.ledger.submit(transaction)

    def settle(self, *envelopes: Digest) -> list[Receipt]:
        """Make a block and return the receipts; raises `Unavailable` if one was refused."""
        self.ledger.advance()
        receipts = []
        for envelope in envelopes:
            receipt = self.ledger.receipt(envelope)
            if receipt is None or receipt.number:
                raise Unavailable(f"the ledger refused: {receipt}")
            receipts.append(receipt)
        return receipts

    def advance(self, count: int = 1) -> None:
        """Let every party do what is due, then let a height pass; so many times."""
        for _ in range(count):
            for node in self.services.values():
                node.step()
            for customer in self.customers.values():
                undisturbed(customer.step)
            self.for_each_hub(lambda resident: resident.hub.follow())
            self.ledger.advance()

    def advance_until(self, done: Callable[[], bool], limit: int = 60) -> None:
        """Advance until something holds; raises `Unavailable` after so many heights more than uploads take."""
        for _ in range(limit + self.schedule.upload):
            if done():
                return
            self.advance()
        raise Unavailable(f"nothing came of it within {limit} heights")

    def for_each_hub(self, act: Callable[[Resident], object]) -> None:
        """Do something at every hub, on both cores; the first error ends it."""

        def visit(resident: Resident) -> None:
            undisturbed(lambda: act(resident))
            if not self._keep_open:
                resident.hub.close()

        for _ in self.in_parallel(visit, iter(self.residents)):
            pass

    def in_parallel(self, act: Callable[[A], B], items: Iterator[A]) -> Iterator[B]:
        """Act on items on both cores, a few at a time; the results come in the items' order."""
        while batch := list(islice(items, AT_A_TIME)):
            yield from self._pool.map(act, batch)

    # ── opening ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _clock(self) -> Clock:
        if self.dice.seed is None:
            return SystemClock()
        return SteppingClock(SEEDED_START, BLOCK_NANOSECONDS)

    def _open_ledger(self) -> WorldLedger:
        keep = follow_validators if self.is_consortium else open_embedded
        return keep(self.folder, self.genesis, self._clock(), self.dice.of("ledger"))

    def _open_issuer(self) -> Issuer:
        name = cast.ISSUER.name
        key = self.keys[name]
        folder = self.folder / "organisations" / name
        with storage_failures(folder / "storage.key"):
            storage_key = bytes.fromhex((folder / "storage.key").read_text())
        self._register = Register(folder / "register.sqlite", storage_key)
        return Issuer(self.ledger, self._register, key, organisation_account(key), self.dice.of(name), self.proofs)

    def _open_service(self, name: str) -> ServiceNode:
        kind = TwoFacedNode if name == cast.TWO_FACED.name and not self.facts["honest"] else ServiceNode
        return kind(
            self.ledger,
            self.folder / "organisations" / name / "tasks.sqlite",
            self.keys[name],
            self.dice.of(name),
            peers=self.directory.peers,
            panel_keys=PublishedKeys(Direct(self.issuer.handle)),
        )

    def _open_customer(self, name: str) -> Customer:
        folder = self.folder / "organisations" / name
        return Customer(self.ledger, folder, self.keys[name], self.dice.of(name), self.directory.peers, self.proofs)

    def _source(self, digest: Digest) -> bytes | None:
        """The public source of a program by its digest: what a web server would give."""
        found = [program.source for program in self.programs().values() if program.source_digest == digest]
        return found[0] if found else None


def open_world(folder: Path, progress: Callable[[str], None] = lambda line: None) -> World:
    """Open the world in a folder; raises `NotFound`, `NotFounded`."""
    path = folder / "world.json"
    if not path.is_file():
        raise NotFound(f"{folder} is not a demo's folder: there is no {path.name} in it")
    facts = json.loads(path.read_text())
    if not facts["panels"]:
        raise NotFounded(f"{folder} was left by a demo that was stopped before its people were enrolled")
    facts["openings"] = facts.get("openings", 0) + 1
    write_file(path, json.dumps(facts, indent=1) + "\n", mode=PUBLIC)
    world = World(folder, facts, Sandbox(prepare_runtime(default_cache(), progress)))
    for number, adult in enumerate(world.facts["adults"], start=1):
        hub = Hub.open(world.hub_folder(number), world.surroundings(number))
        world.residents.append(Resident(number=number, adult=adult, hub=hub))
    return world


def read_cohort(path: Path | None) -> Iterator[bytes]:
    """The bundles of a cohort file, one a line; the shipped 400 people if none is named. Raises `NotFound`."""
    file = path or COHORT_FILE
    if not file.is_file():
        raise NotFound(f"there is no cohort file {file}")
    with file.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as stream:
        for line in io.BufferedReader(stream):
            yield line.rstrip(b"\n")


def write_genesis_files(folder: Path, genesis: Genesis) -> None:
    """The genesis document, for machines and for people."""
    write_file(folder / "genesis.cbor", write_genesis(genesis), mode=PUBLIC)
    write_file(folder / "genesis.json", show_genesis(genesis) + "\n", mode=PUBLIC)


class Operated(NamedTuple):
    """A validator: who operates it, with which account key, and the consensus key."""

    operator: str
    account_key: PublicKey
    key: PublicKey


def make_genesis(
    keys: Mapping[str, SigningKey], operated: Sequence[Operated], parameters: Parameters, time: int
) -> Genesis:
    """The document that founds the demo's network."""
    founders = {name: keys[name].public for name in (*cast.ACCREDITORS, cast.TREASURER)}
    founders |= {one.operator: one.account_key for one in operated}
    names = list(founders)
    return Genesis(
        chain="edgehold-demo",
        time=time,
        founders=tuple(
            Founder(name=name, key=key, role=Role.ORGANISATION, credits=CREDITS if name == cast.TREASURER else 0)
            for name, key in founders.items()
        ),
        accreditors=tuple(range(len(cast.ACCREDITORS))),
        treasurer=names.index(cast.TREASURER),
        validators=tuple(Validator(key=one.key, power=POWER) for one in operated),
        operators=tuple(names.index(one.operator) for one in operated),
        parameters=parameters,
        voting=VOTING,
    )


def make_organisations(folder: Path, dice: Dice) -> dict[str, SigningKey]:
    """Keys for every organisation of the cast, each in a folder of its own."""
    names = [*cast.ACCREDITORS, cast.TREASURER, *(one.name for one in cast.ORGANISATIONS)]
    return {name: make_key(folder / "organisations" / name, dice.of(f"key of {name}")) for name in names}


def secret_file(path: Path, randomness: Randomness) -> None:
    """Write 32 random bytes, readable by the owner alone; raises `FolderInUse`."""
    if path.exists():
        raise FolderInUse(f"{path} exists")
    write_file(path, randomness.draw(32).hex() + "\n")
