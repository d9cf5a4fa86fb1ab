"""How the demo's world comes to be: organisations, signed records, hubs, roots, panels, programs.

Nothing is written into the state by hand: accounts, attestations, panels and every order of the history are entries that pass the
rules. The earlier period is run fast, that is all.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from edgehold.crypto.names import possession_message
from edgehold.demo import cast
from edgehold.demo.keeping import undisturbed
from edgehold.demo.parties import Dice, Direct, make_key
from edgehold.demo.world import (
    CONSORTIUM,
    SEEDED_START,
    TODAY,
    Operated,
    Resident,
    World,
    make_genesis,
    make_organisations,
    read_cohort,
    secret_file,
    write_genesis_files,
)
from edgehold.durable import PUBLIC, write_file
from edgehold.errors import FolderInUse
from edgehold.hub.hub import Hub
from edgehold.hub.intake.imports import Imported
from edgehold.hub.keys import create_keys
from edgehold.issuer.issuer import is_adult, read_patient
from edgehold.sandbox.host import Sandbox
from edgehold.server.loopback import bring_up, found_homes, make_homes
from edgehold.system import SystemClock, SystemRandomness
from edgehold.wire.account import Attest, OpenAccount, Role, Transfer
from edgehold.wire.data import Grade, Kind
from edgehold.wire.enrolment import Invitation
from edgehold.wire.ids import Digest

FAR = 2**40
"""A height that does not come: the end of the demo's attestations."""


@dataclass(frozen=True)
class Received:
    """How many people there are, and what their hubs together received and keep, in bytes."""

    people: int
    adults: int
    received: int
    kept: int


def found(
    folder: Path,
    people: int,
    cohort: Path | None,
    seed: int | None,
    sandbox: Sandbox,
    honest: bool = False,
    validators: int = 0,
) -> World:
    """Make the folder, the organisations' keys, genesis and the first block; raises `FolderInUse`, `NotFound`.

    With so many validators they keep the ledger, as processes that are up when this returns; without, this process does.
    """
    if folder.exists() and any(folder.iterdir()):
        raise FolderInUse(f"{folder} is not empty; name another folder or remove it")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    dice = Dice(seed)
    grown = [is_grown(bundle) for bundle in bundles_of(cohort, people)]
    keys = make_organisations(folder, dice)
    secret_file(folder / "organisations" / cast.ISSUER.name / "storage.key", dice.of("storage key of the issuer"))
    time = SEEDED_START if seed is not None else SystemClock().now()
    if validators:
        parameters = cast.passing(cast.parameters(sum(grown)))
        claims = make_homes(folder, validators, parameters.block_interval_ms, SystemRandomness())
        operated = [Operated(claim.name, claim.account_key, claim.consensus_key) for claim in claims]
        genesis = make_genesis(keys, operated, parameters, time)
        found_homes(folder, genesis)
        bring_up(folder)
    else:
        validator = make_key(folder / "ledger", dice.of("validator"))
        operated = [Operated(cast.TREASURER, keys[cast.TREASURER].public, validator.public)]
        genesis = make_genesis(keys, operated, cast.parameters(sum(grown)), time)
    write_genesis_files(folder, genesis)
    titles = {one.name: one.title for one in cast.ORGANISATIONS}
    facts: dict[str, Any] = {
        "seed": seed,
        "honest": honest,
        "ledger": CONSORTIUM if validators else "embedded",
        "organisations": {name: titles.get(name, name) for name in keys},
        "adults": grown,
        "cohort": str(cohort) if cohort else None,
        "panels": [],
        "programs": {},
    }
    world = World(folder, facts, sandbox)
    save_facts(world)
    return world


def bundles_of(cohort: Path | None, people: int) -> Iterator[bytes]:
    """One bundle for each of so many people; when the cohort ends it begins again, under new identities."""
    given = generation = 0
    while given < people:
        for bundle in islice(read_cohort(cohort), people - given):
            yield renamed(bundle, generation) if generation else bundle
            given += 1
        generation += 1


def renamed(bundle: bytes, generation: int) -> bytes:
    """The same record under another patient id."""
    old, _ = read_patient(bundle)
    return bundle.replace(old.encode(), f"{generation:04x}{old[4:]}".encode())


def is_grown(bundle: bytes) -> bool:
    """Whether the person of a bundle is an adult."""
    _, born = read_patient(bundle)
    return is_adult(born, TODAY)


def save_facts(world: World) -> None:
    """Write what the folder's later commands need to know; no secrets."""
    write_file(world.folder / "world.json", json.dumps(world.facts, indent=1) + "\n", mode=PUBLIC)


# ── organisations ─────────────────────────────────────────────────────────────────────────────────────────────────


def open_organisations(world: World) -> None:
    """Accreditors open and attest the accounts; the treasurer gives customers their credits."""
    network = world.ledger.network
    for one in cast.ORGANISATIONS:
        key = world.keys[one.name]
        possession = key.sign(possession_message(network, world.account(one.sponsor), key.public))
        opening = OpenAccount(role=Role.ORGANISATION, key=key.public, owner_key=None, possession=possession)
        world.submit(one.sponsor, opening)
    world.ledger.advance()
    for one in cast.ORGANISATIONS:
        for claim in one.claims:
            statement = Digest(world.dice.of(f"statement {one.name} {claim.value}").draw(32))
            world.submit(one.sponsor, Attest(world.account(one.name), claim, FAR, statement))
    for one in cast.CUSTOMERS:
        world.submit(cast.TREASURER, Transfer(world.account(one.name), 1_000_000))
    world.ledger.advance()


# ── people ────────────────────────────────────────────────────────────────────────────────────────────────────────


def settle_people(world: World, tick: Callable[[], None]) -> Received:
    """Every person receives a signed record, makes a hub, imports, gets an account and posts a root."""
    adults = world.facts["adults"]
    cohort = Path(world.facts["cohort"]) if world.facts["cohort"] else None
    bundles = bundles_of(cohort, len(adults))
    invitations: list[Invitation] = []
    received = kept = 0

    def hand_out() -> Iterator[Handed]:
        for number, (bundle, adult) in enumerate(zip(bundles, adults, strict=True), start=1):
            signed = world.issuer.sign_record(bundle, TODAY)
            invitations.append(signed.invitation)
            yield Handed(number=number, adult=adult, record=bundle, signature=signed.signature)

    for resident, imported in world.in_parallel(lambda handed: move_in(world, handed), hand_out()):
        world.residents.append(resident)
        received += imported.bytes_received
        kept += imported.bytes_kept
        tick()
    open_hub_accounts(world, invitations)
    for place, resident in enumerate(world.adults):
        resident.hub.set_policy(cast.policy_of(place, world.genesis.parameters.least_batch))
    post_roots(world)
    return Received(people=len(adults), adults=sum(adults), received=received, kept=kept)


@dataclass(frozen=True)
class Handed:
    """What the clinic hands to one person."""

    number: int
    adult: bool
    record: bytes
    signature: bytes


def move_in(world: World, handed: Handed) -> tuple[Resident, Imported]:
    """One person makes a hub and imports the record with its signature."""
    folder = world.hub_folder(handed.number)
    keys = create_keys(folder, world.dice.of(f"keys of hub {handed.number}"), minor=not handed.adult)
    hub = Hub.create(folder, keys, world.surroundings(handed.number))
    # A folder of its own: an interrupted demo ends while others of the pool still move in.
    with tempfile.TemporaryDirectory(dir=world.folder) as mailbox:
        record = Path(mailbox) / f"{handed.number}.json"
        record.write_bytes(handed.record)
        record.with_name(record.name + ".jws").write_bytes(handed.signature)
        imported = hub.import_file(record)
    hub.close()
    return Resident(number=handed.number, adult=handed.adult, hub=hub), imported


def open_hub_accounts(world: World, invitations: list[Invitation]) -> None:
    """Each hub asks the issuer to sponsor its account."""
    issuer = Direct(world.issuer.handle)
    for resident, invitation in zip(world.residents, invitations, strict=True):
        resident.hub.ask_account(issuer, world.issuer.account, invitation)
    world.ledger.advance()


def post_roots(world: World) -> None:
    """Every hub posts its root of this interval."""
    for resident in world.residents:
        undisturbed(resident.hub.commit)
    world.ledger.advance()


def enrol_adults(world: World, tick: Callable[[], None]) -> None:
    """Two panels of all adults, of the earlier period and of the next; each adult has all slot keys signed in one visit each."""
    panels = [
        world.issuer.declare_panel(
            scheme=cast.SCHEME,
            period=period,
            number=0,
            slots=slots,
            schemas=("edgehold.events/1",),
            kinds=(Kind.EHR,),
            grade=Grade.SIGNED,
        )
        for period, slots in ((0, cast.EARLIER_SLOTS), (1, cast.SLOTS))
    ]
    world.ledger.advance()
    issuer = Direct(world.issuer.handle)

    def visit(resident: Resident) -> None:
        for panel in panels:
            undisturbed(lambda panel=panel: resident.hub.enrol(issuer, panel))  # type: ignore[misc]

    for _ in world.in_parallel(visit, iter(world.adults)):
        tick()
    for panel in panels:
        world.issuer.close_panel(panel)
    world.ledger.advance()
    world.facts["panels"] = [panel.hex() for panel in panels]
    save_facts(world)


def publish_programs(world: World) -> None:
    """The good leader publishes the shipped programs."""
    for program in world.programs().values():
        world.submit(cast.GOOD.name, program.descriptor)
    world.ledger.advance()


def pass_into_next_period(world: World) -> None:
    """Empty heights until the second period begins; then every hub posts its root again."""
    period = world.genesis.parameters.period
    world.ledger.advance(max(1, period - world.ledger.height()))
    post_roots(world)
