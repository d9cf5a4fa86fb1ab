"""A small network, founded once: what every simulated history begins with.

Eight adults in two panels, five services, two customers, the shipped programs. It is founded by the demo's own steps on
real files; then the databases are taken into memory, and histories begin with copies of these bytes.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from msgspec.structs import replace

from edgehold.crypto.names import program_id
from edgehold.crypto.signatures import SigningKey
from edgehold.demo import cast
from edgehold.demo.founding import (
    FAR,
    is_grown,
    open_organisations,
    publish_programs,
    save_facts,
    secret_file,
    settle_people,
)
from edgehold.demo.parties import Dice, Direct, load_key, make_key, organisation_account
from edgehold.demo.world import (
    SEEDED_START,
    Operated,
    World,
    make_genesis,
    make_organisations,
    read_cohort,
    write_genesis_files,
)
from edgehold.engine.chain import Replay
from edgehold.engine.machine import LedgerMachine
from edgehold.errors import DeadlineExceeded
from edgehold.ledger.genesis import read_genesis
from edgehold.policy.policy import LeastCredibility, Policy
from edgehold.sandbox.compiled import default_cache, prepare_runtime
from edgehold.sandbox.host import Answer, Sandbox
from edgehold.sandbox.program import Program
from edgehold.wire.account import Attest, Claim
from edgehold.wire.codec import encode
from edgehold.wire.enrolment import AskPanelKeys
from edgehold.wire.governance import Genesis
from edgehold.wire.ids import AccountId, Digest, PanelId, ProgramId
from edgehold.wire.program import Capability, RunLimits
from edgehold.wire.purpose import Permission, PermittedUse

SEED = 20261124
PEOPLE = 8
PANELS = (range(1, 6), range(6, 9))
SLOTS = 4
LEAST_BATCH = 2

SERVICES = tuple(one.name for one in cast.SERVICES)
LEADERS = (cast.GOOD.name, cast.TWO_FACED.name)
"""One sponsored by the north, with two possible helpers of the south, and one the other way round."""

CUSTOMERS = (cast.UNIVERSITY.name, cast.HOSPITAL.name)

OPEN = Policy(
    uses=(PermittedUse(permission=Permission.GRU),),
    least_credibility=LeastCredibility(100_000, 100_000, 100_000),
    least_batch=LEAST_BATCH,
    loss_per_order="10",
    loss_per_year="100",
    customer_share="1",
    services_share="1",
    purpose_share="1",
)
"""A policy that grants the orders of the histories."""


class Memo:
    """The real sandbox, asked once for each program and person: a run is deterministic, so that its answer can be kept."""

    def __init__(self) -> None:
        self._sandbox: Sandbox | None = None
        self._known: dict[tuple[str, bytes, str], Answer] = {}

    def run(
        self, source: str, tables: Path, params: str, limits: RunLimits, capabilities: Collection[Capability] = ()
    ) -> Answer:
        """As `Sandbox.run`."""
        assert not capabilities
        files = sorted((path.name, path.read_bytes()) for path in tables.iterdir())
        key = (source, encode([*(name for name, _ in files), *(data for _, data in files)]), params)
        if key not in self._known:
            self._sandbox = self._sandbox or Sandbox(prepare_runtime(default_cache()))
            self._known[key] = self._run_to_its_end(source, tables, params, limits)
        return self._known[key]

    def _run_to_its_end(self, source: str, tables: Path, params: str, limits: RunLimits) -> Answer:
        """The deadline is by the wall clock, which on a busy machine says nothing of the program."""
        assert self._sandbox is not None
        while True:
            try:
                return self._sandbox.run(source, tables, params, limits)
            except DeadlineExceeded:
                continue


@dataclass(frozen=True)
class Founded:
    """The network as it was founded: a folder with keys, and every database as bytes."""

    folder: Path
    files: dict[str, bytes]
    genesis: Genesis
    keys: dict[str, SigningKey]
    validator: SigningKey
    panels: tuple[PanelId, ...]
    issuer: AccountId
    issuer_says: dict[bytes, bytes]
    """The issuer's answers to those who ask for a panel's keys."""
    programs: dict[str, Program]
    sources: dict[Digest, bytes]
    sandbox: Memo
    replayed: Replay
    """A second machine that executed the blocks of the founding."""
    height: int

    def account(self, name: str) -> AccountId:
        """An organisation's account."""
        return organisation_account(self.keys[name])

    def program(self, name: str) -> ProgramId:
        """A shipped program's name on the ledger."""
        return program_id(self.programs[name].descriptor)


def found_network(folder: Path) -> Founded:
    """Found the network in a folder and take its databases into memory."""
    sandbox = Memo()
    facts = make_files(folder)
    with World(folder, facts, sandbox) as world:  # type: ignore[arg-type]
        open_organisations(world)
        world.submit(
            cast.SOUTH, Attest(world.account(cast.TWO_FACED.name), Claim.INDEPENDENT, FAR, Digest(bytes(31) + b"\1"))
        )
        settle_people(world, lambda: None)
        panels = enrol(world)
        publish_programs(world)
        world.ledger.advance()
        replayed = Replay(LedgerMachine(world.genesis))
        for height in range(1, world.ledger.height() + 1):
            signed = world.ledger.header(height)
            assert signed is not None
            replayed.follow(signed, [(data, receipt) for _, data, receipt in world.ledger.transactions(height, height)])
        for resident in world.residents:
            resident.hub.set_policy(OPEN)
        height, programs = world.ledger.height(), world.programs()
        asked = [encode(AskPanelKeys(panel=panel)) for panel in panels]
        issuer_says = {message: world.issuer.handle(message) for message in asked}
        issuer, keys = world.issuer.account, world.keys
    return Founded(
        folder=folder,
        files={str(path): path.read_bytes() for path in folder.rglob("*") if path.suffix in (".sqlite", ".db")},
        genesis=read_genesis((folder / "genesis.cbor").read_bytes()),
        keys=keys,
        validator=load_key(folder / "ledger"),
        panels=panels,
        issuer=issuer,
        issuer_says=issuer_says,
        programs=programs,
        sources={program.source_digest: program.source for program in programs.values()},
        sandbox=sandbox,
        replayed=replayed,
        height=height,
    )


def make_files(folder: Path) -> dict[str, object]:
    """Keys, genesis, and the facts of a world that the demo can open."""
    dice = Dice(SEED)
    assert all(is_grown(bundle) for bundle in islice(read_cohort(None), PEOPLE))
    folder.mkdir(mode=0o700, parents=True)
    keys = make_organisations(folder, dice)
    validator = make_key(folder / "ledger", dice.of("validator"))
    secret_file(folder / "organisations" / cast.ISSUER.name / "storage.key", dice.of("storage key of the issuer"))
    operated = [Operated(cast.TREASURER, keys[cast.TREASURER].public, validator.public)]
    genesis = make_genesis(keys, operated, cast.parameters(PEOPLE), SEEDED_START)
    parameters = replace(
        genesis.parameters, least_panel=min(map(len, PANELS)), least_batch=LEAST_BATCH, suspension=1000
    )
    write_genesis_files(folder, replace(genesis, parameters=parameters))
    facts: dict[str, object] = {
        "seed": SEED,
        "honest": True,
        "organisations": {name: name for name in keys},
        "adults": [True] * PEOPLE,
        "cohort": None,
        "panels": [],
        "programs": {},
    }
    (folder / "world.json").write_text(json.dumps(facts))
    return facts


def enrol(world: World) -> tuple[PanelId, ...]:
    """Two panels of one scheme and period."""
    panels = [
        world.issuer.declare_panel(
            scheme=cast.SCHEME, period=0, number=number, slots=SLOTS, schemas=("edgehold.events/1",)
        )
        for number in range(len(PANELS))
    ]
    world.ledger.advance()
    desk = Direct(world.issuer.handle)
    for panel, people in zip(panels, PANELS, strict=True):
        for number in people:
            world.resident(number).hub.enrol(desk, panel)
        world.issuer.close_panel(panel)
    world.ledger.advance()
    world.facts["panels"] = [panel.hex() for panel in panels]
    save_facts(world)
    return tuple(panels)
