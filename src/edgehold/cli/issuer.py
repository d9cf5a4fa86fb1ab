"""`edgehold issuer`: a clinic signs the records it hands out, declares panels, and enrols those they belong to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from edgehold.cli.network import (
    add_visitor,
    dir_option,
    find_id,
    network_of,
    open_issuer,
    open_ledger,
    open_network,
    read_names,
    remember_network,
    require_done,
    require_network,
    resident_at,
    state_of,
    when,
)
from edgehold.cli.output import default_issuer, emit, json_option, progress
from edgehold.codecs.events import SCHEMA
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.names import possession_message
from edgehold.crypto.signatures import SigningKey
from edgehold.demo.parties import Direct, load_key, make_key, organisation_account
from edgehold.demo.world import World, secret_file
from edgehold.durable import PUBLIC, write_file
from edgehold.errors import EdgeholdError, FolderInUse, NoIssuer, NotFound, PanelSizeOutOfRange, all_errors
from edgehold.issuer.issuer import Issuer, SignedRecord
from edgehold.issuer.register import Register
from edgehold.ledger.state import find_account
from edgehold.ledger.transition import open_envelope
from edgehold.ports import Ledger
from edgehold.system import SystemRandomness
from edgehold.wire.account import Attest, Claim, OpenAccount, Role, WithdrawAttestation
from edgehold.wire.data import Grade, Kind
from edgehold.wire.ids import AccountId, Digest
from edgehold.wire.tx import Body

F = TypeVar("F", bound=Callable[..., Any])


def issuer_option(function: F) -> F:
    """The option --issuer; its default is where a clinic's issuer lies."""
    return click.option(
        "--issuer",
        "folder",
        type=click.Path(path_type=Path),
        default=None,
        help="The issuer's folder [your data folder].",
    )(function)


def as_option(function: F) -> F:
    """The option --as: which accreditor speaks."""
    return click.option(
        "--as",
        "accreditor",
        required=True,
        metavar="NAME",
        help="The accreditor, whose key the network's folder holds.",
    )(function)


@click.group(short_help="For clinics: sign records, enrol persons.")
def issuer() -> None:
    """For clinics, laboratories, registries: sign the records you hand out, declare panels, enrol persons into them.

    Without --issuer the one in your data folder is meant. `attest` and `withdraw` are what accreditors say about
    organisations. Exit codes: 0 ok, 1 failed, 2 usage, 3 partly done, 5 refused, 6 not found, 7 busy.
    """


# ── opening ───────────────────────────────────────────────────────────────────────────────────────────────────────


def require_issuer(folder: Path | None) -> Path:
    """The folder that is meant; raises `NoIssuer`."""
    place = folder or default_issuer()
    for name in ("key", "storage.key"):
        if not (place / name).is_file():
            raise NoIssuer(f"there is no issuer in {place}: {name} is missing")
    return place


@contextmanager
def opened(place: Path, ledger: Ledger) -> Iterator[tuple[Issuer, Register]]:
    """An issuer with its register, on a ledger."""
    register, own = open_issuer(place, ledger)
    try:
        yield own, register
    finally:
        register.close()


@contextmanager
def in_world(folder: Path | None) -> Iterator[tuple[Issuer, Register, World]]:
    """An issuer among all parties of its network, for commands in which heights pass."""
    place = require_issuer(folder)
    with open_network(network_of(place)) as world, opened(place, world.ledger) as (own, register):
        yield own, register, world


# ── beginning ─────────────────────────────────────────────────────────────────────────────────────────────────────


@issuer.command(short_help="Make an issuer, and have its account opened.")
@click.option("--network", type=click.Path(path_type=Path), required=True, help="The network's folder; remembered.")
@click.option("--name", required=True, help="What people call you.")
@click.option("--sponsor", default="accreditor-north", show_default=True, help="The accreditor that opens the account.")
@issuer_option
@json_option
def init(network: Path, name: str, sponsor: str, folder: Path | None, as_json: bool) -> None:
    """Make an issuer with fresh keys and an empty register; an accreditor of the network opens its account.

    It may declare panels once an accreditor attests it as an issuer (`edgehold issuer attest`).

    \b
    Examples:
      edgehold issuer init --network demo-out --name "Hillside Clinic"
      edgehold issuer init --network demo-out --name Lakeside --sponsor accreditor-south --issuer lab
    """
    place = folder or default_issuer()
    if sponsor not in require_network(network).organisations:
        raise NotFound(f"there is no accreditor {sponsor!r} in {network}")
    with open_network(network) as world:
        key = load_key(place) if (place / "key").exists() else make_issuer(network, place, name)
        account = organisation_account(key)
        if find_account(state_of(world.ledger), account) is not None:
            raise FolderInUse(f"{place} holds an issuer already")
        possession = key.sign(possession_message(world.ledger.network, world.account(sponsor), key.public))
        send(world, sponsor, OpenAccount(Role.ORGANISATION, key.public, None, possession))
        height = world.ledger.height()
    facts = {"issuer": str(place), "name": name, "account": account.hex(), "sponsor": sponsor, "opened_at": height}
    says = [
        f"{name} is in {place}: keep its keys safe, they sign records",
        f"  account {account.hex()}",
        f"  open since height {height}, sponsored by {sponsor}",
        "next, an accreditor attests it:",
        f'  edgehold issuer attest "{name}" --claim issuer --until HEIGHT \\',
        f"    --as {sponsor} --dir {network}",
    ]
    emit(as_json, facts, says)


def make_issuer(network: Path, place: Path, name: str) -> SigningKey:
    """Keys and an empty register; the network remembers where they lie."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (place / "storage.key").exists():
        secret_file(place / "storage.key", SystemRandomness())
    Register(place / "register.sqlite", bytes.fromhex((place / "storage.key").read_text().strip())).close()
    write_file(place / "name", f"{name}\n", mode=PUBLIC)
    remember_network(place, network)
    add_visitor(network, "issuers", place)
    return make_key(place, SystemRandomness())  # last: a folder with a key holds all that an issuer needs


def send(world: World, sender: str, body: Body) -> Digest | None:
    """Send an entry as an organisation of the world and let a height pass; raises what the ledger refuses with."""
    world.account(sender)
    envelope = world.submit(sender, body)
    world.advance()
    return require_done(world.ledger, envelope)


# ── records ───────────────────────────────────────────────────────────────────────────────────────────────────────


@issuer.command(short_help="Sign records for the persons they belong to.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@issuer_option
@json_option
def sign(files: tuple[Path, ...], folder: Path | None, as_json: bool) -> int:
    """Sign FHIR bundles over their exact bytes: FILE.jws and FILE.invitation are written beside each FILE.

    Hand all three to the person. The invitation opens the account of their hub, once; the same person keeps the same
    one. Exit code 3 if some of several files were refused.

    \b
    Examples:
      edgehold issuer sign record.json --issuer demo-out/organisations/riverbend
      edgehold issuer sign record.json --issuer demo-out/organisations/riverbend --json
    """
    place = require_issuer(folder)
    for file in files:
        if not file.is_file():
            raise NotFound(f"there is no file {file}")
    today = datetime.now(UTC).date()
    done: list[dict[str, Any]] = []
    failed: list[tuple[Path, EdgeholdError]] = []
    with (
        open_ledger(network_of(place)) as ledger,
        opened(place, ledger) as (own, _),
        progress("signing", len(files), quiet=len(files) < 2) as bar,
    ):
        for file in files:
            try:
                done.append(write_signed(file, own.sign_record(file.read_bytes(), today)))
            except EdgeholdError as error:
                failed.append((file, error))
            bar.advance()
    if failed and not done:
        raise failed[0][1]
    says = [line for facts in done for line in signed_lines(facts)]
    says += [f"refused: {file}: {error.code} {error}" for file, error in failed]
    errors = [{"file": str(file), "code": error.code, "message": str(error)} for file, error in failed]
    emit(as_json, {"signed": done, "failed": errors}, says)
    return 3 if failed else 0


def write_signed(file: Path, signed: SignedRecord) -> dict[str, Any]:
    """Write signature and invitation beside a record; only its owner may read the invitation."""
    signature = file.with_name(file.name + ".jws")
    invitation = file.with_name(file.name + ".invitation")
    write_file(signature, signed.signature, mode=PUBLIC)
    write_file(invitation, f"{signed.invitation.hex()}\n")
    return {
        "file": str(file),
        "signature": str(signature),
        "invitation_file": str(invitation),
        "adult": signed.adult,
    }


def signed_lines(facts: dict[str, Any]) -> list[str]:
    says = [f"{facts['file']}: signed, {facts['signature']}", f"  invitation in {facts['invitation_file']}"]
    if not facts["adult"]:
        says.append("  a minor: the hub is made with `hub init --minor`, and no panel enrols it")
    return says


# ── panels ────────────────────────────────────────────────────────────────────────────────────────────────────────


@issuer.group(short_help="Declare and close panels.")
def panel() -> None:
    """Panels: the persons that orders may ask. Declared before anybody enrols, closed with how many did."""


@panel.command(short_help="Announce a panel before anybody enrols.")
@click.option("--scheme", required=True, help="Panels of one scheme and period never share a person.")
@click.option("--period", type=click.IntRange(min=0), required=True, help="The ledger period it is for.")
@click.option("--number", type=click.IntRange(0, 65535), default=0, show_default=True, help="Within the scheme.")
@click.option(
    "--slots", type=click.IntRange(1, 256), default=16, show_default=True, help="How many tasks it can serve."
)
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]), default="ehr", show_default=True)
@click.option("--grade", type=click.Choice([grade.value for grade in Grade]), default="signed", show_default=True)
@issuer_option
@json_option
def declare(
    scheme: str, period: int, number: int, slots: int, kind: str, grade: str, folder: Path | None, as_json: bool
) -> None:
    """Make one RSA key for each slot (about 0.1 s each) and declare the panel on the ledger.

    \b
    Examples:
      edgehold issuer panel declare --scheme riverbend-adults --period 2 --slots 4 \\
        --issuer demo-out/organisations/riverbend
    """
    with in_world(folder) as (own, _, world):
        name = own.declare_panel(
            scheme=scheme,
            period=period,
            number=number,
            slots=slots,
            schemas=(SCHEMA,),
            kinds=(Kind(kind),),
            grade=Grade(grade),
        )
        settle(world, own.account)
        height = world.ledger.height()
    says = [f"declared panel {name.hex()}", f"  {slots} slots; enrol persons, then close it (height {height})"]
    emit(as_json, {"panel": name.hex(), "slots": slots, "height": height}, says)


def settle(world: World, sender: AccountId) -> None:
    """Let a height pass; raises what the ledger refused to this sender in it."""
    before = world.ledger.height()
    world.advance()
    refusals = {error.number: error for error in all_errors()}
    for _, transaction, receipt in world.ledger.transactions(before + 1, world.ledger.height()):
        if receipt.number and open_envelope(transaction, world.ledger.network).envelope.sender == sender:
            raise refusals.get(receipt.number, EdgeholdError)(receipt.facts)


@panel.command(short_help="End the enrolment; orders may name it.")
@click.argument("name", metavar="PANEL")
@issuer_option
@json_option
def close(name: str, folder: Path | None, as_json: bool) -> None:
    """Close a PANEL (its id, or the beginning of it) and state on the ledger how many persons it has.

    The ledger refuses a panel below the network's least size: a small crowd is no place to ask in.

    \b
    Examples:
      edgehold issuer panel close OPENPANEL --issuer demo-out/organisations/riverbend
    """
    with in_world(folder) as (own, register, world):
        found = find_id(name, register.panels(), "panel of this issuer")
        require_size(world, register.enrolled(found))
        enrolled = own.close_panel(found)
        settle(world, own.account)
    facts = {"panel": found.hex(), "enrolled": enrolled}
    emit(as_json, facts, f"closed panel {found.hex()[:16]} with {enrolled} persons; orders may name it")


def require_size(world: World, enrolled: int) -> None:
    """Raises `PanelSizeOutOfRange` as the ledger would, but before the register ends the enrolment."""
    parameters = state_of(world.ledger).parameters
    if not parameters.least_panel <= enrolled <= parameters.most_panel:
        raise PanelSizeOutOfRange(
            f"{enrolled} persons; a panel has {parameters.least_panel} to {parameters.most_panel}"
        )


@issuer.command(short_help="Enrol persons into a panel.")
@click.option("--panel", "name", required=True, metavar="PANEL", help="The panel's id, or the beginning of it.")
@click.option("--hub", "hubs", type=click.Path(path_type=Path), multiple=True, required=True, help="A hub; repeatable.")
@issuer_option
@json_option
def enrol(name: str, hubs: tuple[Path, ...], folder: Path | None, as_json: bool) -> int:
    """Run the enrolment visit between hubs and this issuer, on one machine: check, then sign all slot keys blindly.

    Exit code 3 if some of the hubs were refused.

    \b
    Examples:
      edgehold issuer enrol --panel OPENPANEL --hub demo-out/hubs/0001 --hub demo-out/hubs/0002 \\
        --issuer demo-out/organisations/riverbend
    """
    done: list[str] = []
    failed: list[tuple[Path, EdgeholdError]] = []
    with in_world(folder) as (own, register, world):
        found = find_id(name, register.panels(), "panel of this issuer")
        peer = Direct(own.handle)
        with progress("enrolling", len(hubs), quiet=len(hubs) < 2) as bar:
            for place in hubs:
                try:
                    resident_at(world, place).hub.enrol(peer, found)
                    done.append(str(place))
                except EdgeholdError as error:
                    failed.append((place, error))
                bar.advance()
    if failed and not done:
        raise failed[0][1]
    says = [f"enrolled {len(done)} persons into panel {found.hex()[:16]}"]
    says += [f"refused: {place}: {error.code} {error}" for place, error in failed]
    errors = [{"hub": str(place), "code": error.code, "message": str(error)} for place, error in failed]
    emit(as_json, {"panel": found.hex(), "enrolled": done, "failed": errors}, says)
    return 3 if failed else 0


# ── accreditors ───────────────────────────────────────────────────────────────────────────────────────────────────


def claim_option(function: F) -> F:
    """The option --claim: what an accreditor says."""
    short = {claim.value.split("-")[0] if claim is not Claim.NOT_FOR_PROFIT else claim.value: claim for claim in Claim}
    return click.option("--claim", type=click.Choice(sorted(short)), required=True, help="What is said.")(function)


def claim_named(text: str) -> Claim:
    """The claim that a short word means: `issuer`, `ethics`, `independent` …"""
    return next(claim for claim in Claim if claim.value == text or claim.value.split("-")[0] == text)


@issuer.command(short_help="Accreditors: attest an organisation.")
@click.argument("subject")
@claim_option
@click.option("--until", type=click.IntRange(min=1), required=True, metavar="HEIGHT", help="The last height it holds.")
@click.option("--statement", type=click.Path(path_type=Path), help="The document behind it; its digest is entered.")
@as_option
@dir_option
@json_option
def attest(
    subject: str, claim: str, until: int, statement: Path | None, accreditor: str, folder: Path, as_json: bool
) -> None:
    """State on the ledger what is so about SUBJECT (a name or an account), until a height.

    \b
    Examples:
      edgehold issuer attest ashby --claim ethics --until 100000 --as accreditor-north
      edgehold issuer attest ashby --claim verified --until 100000 --as accreditor-north --json
    """
    document = b"" if statement is None else read_statement(statement)
    account = read_names(folder).account(subject)
    with open_network(folder) as world:
        send(world, accreditor, Attest(account, claim_named(claim), until, tagged_hash("statement", document)))
        until_words = when(world.ledger, until)
    facts = {"subject": account.hex(), "claim": claim_named(claim).value, "until": until, "by": accreditor}
    emit(as_json, facts, f"{accreditor} attests {subject}: {facts['claim']}, until height {until} ({until_words})")


def read_statement(path: Path) -> bytes:
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    return path.read_bytes()


@issuer.command(short_help="Accreditors: take an attestation back.")
@click.argument("subject")
@claim_option
@as_option
@dir_option
@json_option
def withdraw(subject: str, claim: str, accreditor: str, folder: Path, as_json: bool) -> None:
    """Take back, from the next height on, what the same accreditor attested of SUBJECT.

    \b
    Examples:
      edgehold issuer withdraw ashby --claim verified --as accreditor-south
    """
    account = read_names(folder).account(subject)
    with open_network(folder) as world:
        send(world, accreditor, WithdrawAttestation(account, claim_named(claim)))
        height = world.ledger.height()
    facts = {"subject": account.hex(), "claim": claim_named(claim).value, "by": accreditor, "withdrawn_at": height}
    emit(as_json, facts, f"{accreditor} takes back {facts['claim']} of {subject}")
