"""`edgehold hub`: what a person does with their own hub. Each command calls one function of the hub and shows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from edgehold.cli import moving
from edgehold.cli.holdings import holdings, root_facts, root_lines, show_lines
from edgehold.cli.intake import acts_of, imported_facts, imported_lines, size_of
from edgehold.cli.network import (
    Names,
    add_visitor,
    find_id,
    network_of,
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
from edgehold.cli.output import Progress, confirm, default_hub, emit, json_option, progress
from edgehold.cli.past import (
    STATES,
    budget_lines,
    departure_facts,
    history_lines,
    loss_facts,
    remains_facts,
    remains_lines,
    totals,
    wrapped,
)
from edgehold.cli.pictures import draw
from edgehold.cli.pictures import strip as strip_of
from edgehold.cli.pictures import timeline as timeline_of
from edgehold.cli.tables import chosen_objects, show_streams, streams_of, write_streams
from edgehold.codecs.choice import Profile
from edgehold.codecs.events import SCHEMA as EVENTS
from edgehold.codecs.lossy import Loss
from edgehold.codecs.tables.laboratory import read_columns
from edgehold.demo.keeping import WorldLedger, proofs_of
from edgehold.demo.parties import Direct, load_key
from edgehold.demo.world import World
from edgehold.durable import PUBLIC, write_file
from edgehold.errors import (
    AlteredBlob,
    EdgeholdError,
    FileUnusable,
    FolderInUse,
    NoHub,
    NotFound,
    NotInvited,
    UsageError,
)
from edgehold.hub.arrow import write_meds
from edgehold.hub.hub import Hub, Surroundings, remove_hub
from edgehold.hub.intake.imports import Listener
from edgehold.hub.journal import RunState
from edgehold.hub.keys import KEYS_FILE, KIT_FILE, create_keys, load_keys
from edgehold.hub.originals import Written, write_originals
from edgehold.hub.rows import SCHEMAS, Wanted, read_parts
from edgehold.hub.sharing import SharedFile, fetch_file
from edgehold.hub.store import is_of_part
from edgehold.ledger.state import find_account, find_panel, get_panel
from edgehold.policy.budget import DELTA, PERIODS_A_YEAR
from edgehold.policy.decide import explain
from edgehold.policy.policy import policy_id, read_policy, write_policy
from edgehold.sandbox.compiled import default_cache, prepare_runtime
from edgehold.sandbox.host import Sandbox
from edgehold.system import SystemRandomness, return_large_pieces
from edgehold.wire.data import Kind
from edgehold.wire.enrolment import Invitation
from edgehold.wire.ids import AccountId, Digest, PanelId

MOST_PARTS = 366
"""Parts into which a check can be cut: one for each night of a year."""

F = TypeVar("F", bound=Callable[..., Any])

SHOWN = 1 << 24
"""Bytes from which on the import of one file shows its progress."""


def hub_option(function: F) -> F:
    """The option --hub; its default is where a person's hub lies, so that nobody types it."""
    return click.option(
        "--hub",
        "folder",
        type=click.Path(path_type=Path),
        default=None,
        help=f"The hub's folder [{_home(default_hub())}].",
    )(function)


def _home(path: Path) -> str:
    home = str(Path.home())
    return str(path).replace(home, "~", 1) if str(path).startswith(home) else str(path)


@click.group(short_help="Your own data: import, permit, see, share, erase.")
def hub() -> None:
    """Your hub: your records, who may ask, what left, and the way back.

    Without --hub your own is meant, in your data folder. Exit codes: 0 ok, 1 failed, 2 usage, 3 partly done, 4 the keys
    do not open it, 5 refused, 6 not found, 7 busy, 8 something was altered.
    """
    return_large_pieces()


# ── opening ───────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def opened(folder: Path | None) -> Iterator[tuple[Hub, WorldLedger, Names]]:
    """A hub with its ledger, for commands in which no height passes; raises `NoHub`, `NotANetwork`."""
    place = require_hub(folder)
    network = network_of(place)
    with (
        open_ledger(network) as ledger,
        Sandbox(prepare_runtime(default_cache(), lambda line: click.echo(line, err=True))) as sandbox,
        Hub.open(place, surroundings(ledger, sandbox)) as own,
    ):
        yield own, ledger, read_names(network)


@contextmanager
def in_world(folder: Path | None) -> Iterator[tuple[Hub, World]]:
    """A hub among all parties of its network, for commands in which heights pass."""
    place = require_hub(folder)
    with open_network(network_of(place)) as world:
        yield resident_at(world, place).hub, world


def surroundings(ledger: WorldLedger, sandbox: Sandbox) -> Surroundings:
    """What a hub reaches while nothing but the ledger is open: no service, no program."""

    def nobody(account: AccountId) -> Direct:
        raise ConnectionError(f"{account.hex()} is not reached by this command")

    return Surroundings(
        ledger=ledger,
        sandbox=sandbox,
        library=lambda digest: None,
        proofs=proofs_of(ledger),
        services=nobody,
        randomness=SystemRandomness(),
    )


def require_hub(folder: Path | None) -> Path:
    """The folder that is meant; raises `NoHub`."""
    place = folder or default_hub()
    if not (place / KEYS_FILE).is_file():
        raise NoHub(f"there is no hub in {place}")
    return place


# ── beginning ─────────────────────────────────────────────────────────────────────────────────────────────────────


@hub.command(short_help="Make a hub, and ask for its account.")
@click.option("--network", type=click.Path(path_type=Path), required=True, help="The network's folder; remembered.")
@click.option("--issuer", default="riverbend", show_default=True, help="Who invited you: name or account.")
@click.option("--invitation", type=click.Path(allow_dash=True), help="File with the invitation; - asks for it.")
@click.option("--minor", is_flag=True, help="For a child: this hub will answer nobody.")
@hub_option
@json_option
def init(network: Path, issuer: str, invitation: str | None, minor: bool, folder: Path | None, as_json: bool) -> None:
    """Make a hub with fresh keys and a recovery kit, and with --invitation ask your clinic to open its account.

    Take the recovery kit away from this machine: it is the only way back when the hub is lost. A hub that was made
    without an account asks for it with the same command again.

    \b
    Examples:
      edgehold hub init --network demo-out
      edgehold hub init --network demo-out --invitation record.json.invitation
      edgehold hub init --network demo-out --minor --hub child
    """
    place = folder or default_hub()
    require_network(network)
    code = None if invitation is None else read_invitation(invitation)
    if (place / KEYS_FILE).is_file() and code is None:
        raise FolderInUse(f"{place} holds a hub already")
    sponsor = read_names(network).account(issuer)
    if not (place / KEYS_FILE).is_file():
        make_hub(network, place, minor=minor)
    account, height = None, None
    if code is not None:
        account, height = ask_account(place, sponsor, code)
    kit = place / KIT_FILE
    facts = {
        "hub": str(place),
        "recovery_kit": str(kit) if kit.exists() else None,
        "minor": load_keys(place).minor,
        "account": None if account is None else account.hex(),
        "opened_at": height,
    }
    says = [
        f"your hub is in {place}",
        f"your recovery kit is {kit}",
        "  move it to a place only you can reach (a USB stick, a printout), then delete it here:",
        "  whoever holds it holds your hub, and without it a lost hub stays lost",
    ]
    if minor:
        says.append("a minor's hub answers nobody, whatever is asked")
    if account is not None:
        says.append(f"account {account.hex()[:16]} is open on the ledger since height {height}")
    else:
        says.append("it has no account yet: run this again with --invitation FILE, from your clinic")
    emit(as_json, facts, says)


def make_hub(network: Path, place: Path, *, minor: bool) -> None:
    """Keys, kit, empty store and journal; the network remembers where they lie."""
    with (
        open_ledger(network) as ledger,
        Sandbox(prepare_runtime(default_cache(), lambda line: click.echo(line, err=True))) as sandbox,
    ):
        keys = create_keys(place, SystemRandomness(), minor=minor)
        try:
            with Hub.create(place, keys, surroundings(ledger, sandbox)):
                remember_network(place, network)
                add_visitor(network, "hubs", place)
        except BaseException:
            remove_hub(place)  # half a hub would be in the way of the next attempt
            raise


def read_invitation(source: str) -> Invitation:
    """The code in a file, or asked for at the terminal; it is a secret, so it is never an argument."""
    if source == "-":
        text = click.prompt("Invitation", hide_input=True) if sys.stdin.isatty() else sys.stdin.readline()
    else:
        text = read_text(Path(source))
    try:
        code = bytes.fromhex(text.strip().replace("-", ""))
    except ValueError:
        code = b""
    if len(code) != 16:
        raise NotInvited(f"{source} holds no invitation: that is 32 hexadecimal digits")
    return Invitation(code)


def ask_account(place: Path, sponsor: AccountId, code: Invitation) -> tuple[AccountId, int]:
    """Have the issuer open the account of a hub; returns it with its height."""
    with open_network(network_of(place)) as world:
        own = resident_at(world, place).hub
        found = find_account(state_of(world.ledger), own.account)
        if found is None:
            envelope = own.ask_account(world.directory(sponsor), sponsor, code)
            world.advance()
            require_done(world.ledger, envelope)
            found = find_account(state_of(world.ledger), own.account)
        return own.account, found.opened_at if found else world.ledger.height()


@hub.command("import", short_help="Take in your records, or a whole hub.")
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="PATH...")
@click.option(
    "--profile",
    type=click.Choice([one.value for one in Profile]),
    default=Profile.SMALL.value,
    show_default=True,
    help="Keep it in the fewest bytes, or so that it is read at once.",
)
@click.option(
    "--lossy",
    type=click.Choice([one.value for one in Loss]),
    help="Keep qualities, likelihoods and depths of VCF in steps: exact ones are lost for good.",
)
@click.option("--columns", type=click.Path(path_type=Path), help="A file (TOML) that names the columns of a table.")
@click.option("--identity", type=click.Path(path_type=Path), help="PATH is a hub's archive: open it with this age key.")
@click.option("--network", type=click.Path(path_type=Path), help="With --identity: where the hub's network lies here.")
@hub_option
@json_option
def import_records(
    paths: tuple[Path, ...],
    profile: str,
    lossy: str | None,
    columns: Path | None,
    identity: Path | None,
    network: Path | None,
    folder: Path | None,
    as_json: bool,
) -> int:
    """Take files and whole folders into your hub: FHIR R4 (a bundle in JSON, NDJSON, or a folder of a Bulk Data export),
    tables of laboratories and wearables (CSV), an Apple Health export.xml or export.zip, genotypes as text (VCF, 23andMe,
    AncestryDNA), signals (WFDB), images (DICOM), and anything else; plain, or packed with gzip, bgzip or ZIP.

    Every file is kept byte for byte, unless you say --lossy: then QUAL, GQ, PL, GL and DP of VCF and gVCF become the
    lower bounds of fixed steps (20 for 24), which takes less room. Such a file never comes back as it was, is kept
    unpacked, and is called lossy wherever it is shown; one that is signed is refused. From files of a known kind a table
    is made, which programs read and `hub table` prints; if none can be made, it is said why. --columns is for tables in
    lines whose header is not understood.

    A signature NAME.jws beside a file is checked against the ledger; a changed byte is refused. Each file is taken in
    whole or not at all, those of one Bulk Data export together, and the same file again adds nothing. Exit code 3 if some
    of several files were refused.

    With --identity PATH is the archive of a hub (`edgehold hub export --to`), of which a hub is made in an empty folder,
    after everything in it was checked. Let the one it was taken of rest from then on: two that run answer twice.

    \b
    Examples:
      edgehold hub import record.json
      edgehold hub import record.json --hub demo-out/hubs/0001 --json
      edgehold hub import demo-out/certificates
      edgehold hub import record.json --profile fast
      edgehold hub import genome.vcf --lossy qualities
      edgehold hub import hub.age --identity key.txt --network demo-out --hub moved
    """
    if identity is not None:
        if len(paths) != 1:
            raise UsageError("with --identity one archive is imported at a time")
        emit(as_json, *moving.move_in(paths[0], folder or default_hub(), identity, network))
        return 0
    if network is not None:
        raise UsageError("--network goes with --identity: it says where the network of an imported hub lies")
    said = None if columns is None else read_columns(read_text(columns))
    kept, lost = Profile(profile), None if lossy is None else Loss(lossy)
    acts = [act for path in paths for act in acts_of(path)]
    total = sum(size_of(path) for act in acts for path in act)
    done: list[dict[str, Any]] = []
    failed: list[EdgeholdError] = []
    reached = 0
    with opened(folder) as (own, _, _), progress("importing", total, quiet=total < SHOWN and len(acts) < 2) as bar:
        for act in acts:
            try:
                found = (
                    own.import_together(act, kept)
                    if len(act) > 1
                    else [own.import_file(act[0], kept, columns=said, lossy=lost, told=shown_in(bar, act[0]))]
                )
                done += [imported_facts(path, one) for path, one in zip(act, found, strict=True)]
            except EdgeholdError as error:
                failed.append(error)
            reached += sum(map(size_of, act))
            bar.reach(reached, total)
    if failed and not done:
        raise failed[0]
    errors = [{"code": error.code, "message": str(error)} for error in failed]
    says = [line for facts in done for line in imported_lines(facts)]
    says += [f"refused: {error.code} {error}" for error in failed]
    emit(as_json, {"imported": done, "failed": errors}, says)
    return 3 if failed else 0


def shown_in(bar: Progress, path: Path) -> Listener:
    """Shows what is done with a large file."""
    return lambda doing, done, total: bar.within(f"{doing.value} {path.name}", done, total)


@hub.command(short_help="Post your root on the ledger.")
@hub_option
@json_option
def commit(folder: Path | None, as_json: bool) -> None:
    """Post the one root over all your datasets, if none was posted in this interval.

    It is salted anew each time: nobody can tell from it what you hold, or whether anything changed.

    \b
    Examples:
      edgehold hub commit --hub demo-out/hubs/0001
    """
    with in_world(folder) as (own, world):
        envelope = own.commit()
        if envelope is not None:
            world.advance()
            require_done(world.ledger, envelope)
        facts = root_facts(own, world.ledger)
        first = "posted" if envelope is not None else "nothing was posted: this interval has a root already"
        emit(as_json, {"posted": envelope is not None, **facts}, [first, *root_lines(facts, world.ledger)])


@hub.command(short_help="Join a panel of your clinic.")
@click.option("--panel", required=True, metavar="ID", help="The panel; see `edgehold catalog`.")
@hub_option
@json_option
def enrol(panel: str, folder: Path | None, as_json: bool) -> None:
    """Show the issuer the record it signed for you, and have a one-time key signed, blindly, for each task to come.

    The issuer learns that you enrolled, and never which of the keys are yours.

    \b
    Examples:
      edgehold hub enrol --panel OPENPANEL --hub demo-out/hubs/0001
    """
    with in_world(folder) as (own, world):
        name = PanelId(find_id(panel, made_panels(world.ledger), "panel"))
        entry = get_panel(state_of(world.ledger), name)
        own.enrol(world.directory(entry.issuer), name)
        facts = {"panel": name.hex(), "slots": entry.descriptor.slots, "issuer": entry.issuer.hex()}
        says = f"enrolled into panel {name.hex()[:16]}: one key for each of {entry.descriptor.slots} tasks to come"
        emit(as_json, facts, says)


def made_panels(ledger: WorldLedger) -> list[Digest]:
    """Every panel that was declared."""
    made = (receipt.made for _, _, receipt in ledger.transactions(1, ledger.height()) if receipt.made is not None)
    state = state_of(ledger)
    return [one for one in made if find_panel(state, PanelId(one)) is not None]


# ── seeing ────────────────────────────────────────────────────────────────────────────────────────────────────────


@hub.command(short_help="What your hub holds.")
@click.option("--timeline", type=click.Path(path_type=Path), metavar="FILE.svg", help="Draw what there is, by year.")
@click.option(
    "--strip", type=(str, click.Path(path_type=Path)), metavar="DATASET FILE.svg", help="Draw some seconds of a signal."
)
@click.option("--at", type=click.FloatRange(min=0), default=0.0, metavar="SECONDS", help="Where the strip begins [0].")
@click.option(
    "--for", "length", type=click.FloatRange(0.01, 86400), default=10.0, metavar="SECONDS", help="How long it is [10]."
)
@hub_option
@json_option
def show(
    timeline: Path | None,
    strip: tuple[str, Path] | None,
    at: float,
    length: float,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Show your account, your datasets, what they take, your root on the ledger and your panels. With --timeline or --strip draw
    a picture of them instead, as SVG (extra `charts`); whoever has the file sees what it shows.

    \b
    Examples:
      edgehold hub show --hub demo-out/hubs/0001
      edgehold hub show --hub demo-out/hubs/0001 --json
      edgehold hub show --timeline years.svg --hub demo-out/hubs/0001
    """
    if timeline is not None or strip is not None:
        draw_pictures(folder, timeline, strip, at, length, as_json)
        return
    with opened(folder) as (own, ledger, names):
        state = state_of(ledger)
        account = find_account(state, own.account)
        facts = {
            "hub": str(require_hub(folder)),
            "account": own.account.hex(),
            "sponsor": None if account is None or account.sponsor is None else names.title(account.sponsor),
            "minor": own.keys.minor,
            "policy": own.policy.mode.value,
            **holdings(own, names),
            "root": root_facts(own, ledger),
            "panels": [panel.hex() for panel in own.panels()],
        }
        emit(as_json, facts, show_lines(facts, own, ledger, names))


def draw_pictures(
    folder: Path | None,
    timeline: Path | None,
    strip: tuple[str, Path] | None,
    at: float,
    length: float,
    as_json: bool,
) -> None:
    """Write the pictures that were asked for."""
    drawn: dict[str, int] = {}
    with opened(folder) as (own, _, _):
        if timeline is not None:
            drawn[str(timeline)] = draw(timeline_of(own.store), timeline)
        if strip is not None:
            name, out = strip
            (one,) = chosen_objects(own.store, name, None, None)
            drawn[str(out)] = draw(strip_of(own.store, one.id, at, length), out)
    says = [f"{path}: {size:,} bytes" for path, size in drawn.items()]
    emit(as_json, {"drawn": [{"file": path, "bytes": size} for path, size in drawn.items()]}, says)


@hub.command("table", short_help="Rows of what programs see.")
@click.argument("dataset", required=False)
@click.option("--kind", type=click.Choice([kind.value for kind in Kind]), help="All datasets of a kind.")
@click.option(
    "--schema",
    type=click.Choice(SCHEMAS),
    metavar="SCHEMA",
    help="All datasets with this table, such as edgehold.events/1.",
)
@click.option("--code", help="Of events: those with this code, such as LOINC//39156-5.")
@click.option("--from", "since", metavar="DATE", help="From a year, month, day or moment on.")
@click.option("--to", "until", metavar="DATE", help="Until its end.")
@click.option("--region", metavar="REGION", help="Of genotypes: those that lie in chr7:117480025-117668665.")
@click.option("--out", type=click.Path(path_type=Path), metavar="FILE", help="Write .parquet, .arrow, .csv or .jsonl.")
@hub_option
@json_option
def rows_of_tables(
    dataset: str | None,
    kind: str | None,
    schema: str | None,
    code: str | None,
    since: str | None,
    until: str | None,
    region: str | None,
    out: Path | None,
    folder: Path | None,
    as_json: bool,
) -> None:
    """Print the rows that programs see of a DATASET, or of all of a kind: a table on a terminal, CSV elsewhere. Or write
    them to a file for other tools; it is not encrypted there. Parquet and Arrow need the extra `tables`.

    \b
    Examples:
      edgehold hub table --code LOINC//39156-5 --hub demo-out/hubs/0001
      edgehold hub table DATASET --from 2000 --to 2030-06 --code LOINC//8480-6 \\
        --hub demo-out/hubs/0001
      edgehold hub table --kind ehr --out events.parquet --hub demo-out/hubs/0001 --json
    """
    wanted = Wanted(code=code, since=since, until=until, region=region)
    with opened(folder) as (own, _, _):
        found, streams = streams_of(own.store, dataset, kind, schema, wanted)
        if out is None:
            show_streams(found, streams, as_json=as_json)
            return
        count = write_streams(streams, out)
    emit(as_json, {"out": str(out), "schema": found, "count": count}, f"{out}: {count:,} rows")


@hub.command(short_help="Who may ask, and for what.")
@click.option("--set", "new", type=click.Path(path_type=Path), help="A policy file (TOML) to use from now on.")
@click.option("--write", type=click.Path(path_type=Path), help="Write the present policy to a file, to edit it.")
@hub_option
@json_option
def policy(new: Path | None, write: Path | None, folder: Path | None, as_json: bool) -> None:
    """Print your standing answer as TOML, write it to a file, or set another one.

    \b
    Examples:
      edgehold hub policy --hub demo-out/hubs/0001
      edgehold hub policy --write policy.toml --hub demo-out/hubs/0001
      edgehold hub policy --set policy.toml --hub demo-out/hubs/0001
    """
    if new is not None and write is not None:
        raise UsageError("--set and --write are two commands")
    wanted = None if new is None else read_policy(read_text(new), str(new))
    with opened(folder) as (own, _, _):
        if wanted is not None:
            own.set_policy(wanted)
        text, name = write_policy(own.policy), policy_id(own.policy).hex()
    says = [f"# policy {name}", text.rstrip("\n")]
    if write is not None:
        write_file(write, text, mode=PUBLIC)
        says = [f"wrote policy {name[:16]} to {write}"]
    elif new is not None:
        says = [f"policy {name[:16]} answers from now on"]
    emit(as_json, {"policy_id": name, "toml": text}, says)


def read_text(path: Path) -> str:
    """A small text file; raises `NotFound`, `FileUnusable`."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    if path.stat().st_size > 1 << 20:
        raise FileUnusable(f"{path} has {path.stat().st_size:,} bytes, more than any file of this kind")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileUnusable(f"{path} is not text in UTF-8") from error


# ── tasks ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@hub.command(short_help="Tasks that wait for your answer.")
@hub_option
@json_option
def inbox(folder: Path | None, as_json: bool) -> None:
    """List the tasks for which your policy says "ask me". Saying nothing means no.

    \b
    Examples:
      edgehold hub inbox --hub demo-out/hubs/0001
    """
    with opened(folder) as (own, ledger, names):
        facts: list[dict[str, Any]] = [
            {
                "task": run.task.hex(),
                "sentence": names.in_sentence(explain(run.record.decision, run.record.question, run.record.policy)),
                "until": run.configuration.upload_until,
                "open": ledger.height() <= run.configuration.upload_until,
            }
            for run in own.inbox()
        ]
        lines = []
        for one in facts:
            until = f"until height {one['until']} ({when(ledger, one['until'])})"
            lines += [f"{one['task'][:16]}  {until if one['open'] else 'over: ' + until}", *wrapped(one["sentence"])]
    emit(as_json, {"waiting": facts}, lines or ["nothing waits for you"])


@hub.command(short_help="Say yes or no to a task.")
@click.argument("task")
@click.argument("answer", type=click.Choice(["yes", "no"]), metavar="yes|no")
@hub_option
@json_option
def answer(task: str, answer: str, folder: Path | None, as_json: bool) -> None:
    """Answer a TASK of your inbox (its id, or the beginning of it).

    After a yes the program runs here and now; the sealed report leaves at a height drawn at random, when the network's
    heights pass.

    \b
    Examples:
      edgehold hub answer WAITING yes --hub demo-out/hubs/0001
      edgehold hub answer WAITING no --hub demo-out/hubs/0001
    """
    with in_world(folder) as (own, _):
        name = find_id(task, [run.task for run in own.inbox()], "task in the inbox")
        own.answer(name, yes=answer == "yes")
        found = next(one for one in own.history() if one.task == name)
        facts = departure_facts(found, "")
        says = {
            RunState.DECLINED: "you said no; nothing leaves",
            RunState.STORED: "you said yes; the sealed report leaves when its height comes",
        }.get(found.state, f"{STATES[found.state]}: {found.sentence}")
        emit(as_json, facts, says)


@hub.command(short_help="What left, why, and what it cost.")
@hub_option
@json_option
def history(folder: Path | None, as_json: bool) -> None:
    """List every task your hub decided on and every share that was fetched: why, what left, what it cost.

    \b
    Examples:
      edgehold hub history --hub demo-out/hubs/0001
    """
    with opened(folder) as (own, ledger, names):
        tasks = [departure_facts(one, names.in_sentence(one.sentence)) for one in own.history()]
        fetched = {one.share: [each for each in own.fetches() if each.share == one.share] for one in own.shares()}
        shares = [
            {
                "share": one.share.hex(),
                "recipient": names.title(one.grant.recipient),
                "until": one.grant.until,
                "withdrawn_at": one.withdrawn_at,
                "fetches": [{"height": each.height, "bytes_left": each.bytes_left} for each in fetched[one.share]],
            }
            for one in own.shares()
        ]
        says = history_lines(tasks, shares, ledger)
    emit(as_json, {"tasks": tasks, "shares": shares}, says)


@hub.command(short_help="How much privacy loss you still allow.")
@hub_option
@json_option
def budget(folder: Path | None, as_json: bool) -> None:
    """Show what is left of this year, and what each customer, pair of services and purpose has spent.

    What was spent is never given back. A year is the last four periods of the ledger.

    \b
    Examples:
      edgehold hub budget --hub demo-out/hubs/0001
    """
    with opened(folder) as (own, ledger, names):
        period = state_of(ledger).period
        allowed = own.budget()
        year = [one for one in allowed.spent if one.period > period - PERIODS_A_YEAR]
        shares = {
            "customer": (allowed.customer_share, lambda one: names.title(one.customer)),
            "services": (allowed.services_share, lambda one: " + ".join(names.title(each) for each in one.services)),
            "purpose": (allowed.purpose_share, lambda one: one.purpose),
        }
        left = allowed.left(period)
        facts: dict[str, Any] = {
            "period": period,
            "delta": DELTA,
            "year": loss_facts(allowed.yearly - left, allowed.yearly),
            **{
                name: {who: loss_facts(spent, allowed.yearly * share) for who, spent in totals(year, label).items()}
                for name, (share, label) in shares.items()
            },
        }
    emit(as_json, facts, budget_lines(facts))


# ── sharing, and the way back ─────────────────────────────────────────────────────────────────────────────────────


@hub.command(short_help="Share one record with one account.")
@click.argument("dataset")
@click.option("--with", "recipient", required=True, metavar="ACCOUNT", help="Who may fetch it: a name or an account.")
@click.option("--until", type=int, required=True, metavar="HEIGHT", help="The last height at which it is served.")
@click.option("--out", type=click.Path(path_type=Path), help="Also fetch it as the recipient, and write it here.")
@hub_option
@json_option
def share(dataset: str, recipient: str, until: int, out: Path | None, folder: Path | None, as_json: bool) -> None:
    """Share one DATASET (see `hub show`) with one account until a height. Nothing of it is on the ledger.

    Tell the recipient the share's name. With --out this command also plays the recipient, whose key lies in a demo's
    folder: fetched from the hub, opened, checked against the ledger and the issuer's signature, written to a file.

    \b
    Examples:
      edgehold hub share DATASET --with dr-lindqvist --until 100000 --hub demo-out/hubs/0001
      edgehold hub share DATASET --with dr-lindqvist --until 100000 --out mine.json \\
        --hub demo-out/hubs/0001
    """
    with opened(folder) as (own, ledger, names):
        one = find_id(dataset, [one.id for one in own.store.objects()], "dataset")
        account = names.account(recipient)
        if until <= ledger.height():
            raise UsageError(f"height {until} has passed: the ledger is at {ledger.height()}")
        if find_account(state_of(ledger), account) is None:
            raise NotFound(f"there is no account {account.hex()} on the ledger")
        if out is not None and out.exists():
            raise FolderInUse(f"{out} exists; nothing was shared")
        name = own.share(one, account, until)
        facts: dict[str, Any] = {
            "share": name.hex(),
            "dataset": one.hex(),
            "recipient": account.hex(),
            "until": until,
            "fetched": None,
        }
        says = [
            f"shared with {names.title(account)} until height {until} ({when(ledger, until)})",
            f"  tell them its name: {name.hex()}",
        ]
        if out is not None:
            record = fetch_as(network_of(require_hub(folder)), names, account, own, ledger, name, out)
            signer = None if record.issuer is None else names.title(record.issuer)
            facts["fetched"] = {"file": str(out), "bytes": record.size, "signed_by": signer}
            says.append(f"fetched and checked as {names.title(account)}: {record.size:,} bytes in {out}")
            says.append(f"  under your root on the ledger, {'signed by ' + signer if signer else 'not signed'}")
    emit(as_json, facts, says)


def fetch_as(
    network: Path, names: Names, account: AccountId, own: Hub, ledger: WorldLedger, name: Digest, out: Path
) -> SharedFile:
    """Fetch a share into a file with the key of an organisation whose folder is in the network's; raises `NotFound`."""
    short = names.by_account.get(account, ("", ""))[0]
    folder = network / "organisations" / short
    if not short or not (folder / "key").is_file():
        raise NotFound(f"the key of {account.hex()} is not in {network}: the recipient fetches with its own")
    peer, key = Direct(own.handle), load_key(folder)
    size = next(own.store.get_object(one.object).received for one in own.shares() if one.share == name)
    with progress("fetching", size, quiet=size < SHOWN) as bar:
        return fetch_file(peer, state_of(ledger), name, account, key, SystemRandomness(), path=out, told=bar.reach)


@hub.command(short_help="Answer nobody from now on, or take back one share or one report.")
@click.option("--share", "name", metavar="SHARE", help="End this share only; without it all answering ends.")
@click.option("--task", metavar="TASK", help="Take back the report to this task only, while its revocations count.")
@click.option("--yes", is_flag=True, help="Do not ask again.")
@hub_option
@json_option
def withdraw(name: str | None, task: str | None, yes: bool, folder: Path | None, as_json: bool) -> None:
    """Stop the future: leave every panel and answer no task any more. Results that are out stay out.

    \b
    Examples:
      edgehold hub withdraw --yes --hub demo-out/hubs/0001
      edgehold hub withdraw --share SHARE --yes --hub demo-out/hubs/0001
      edgehold hub withdraw --task ANSWERED --yes --hub demo-out/hubs/0001
    """
    if name is not None and task is not None:
        raise UsageError("name a share or a task, not both")
    if task is not None:
        revoke(task, yes, folder, as_json)
        return
    with opened(folder) as (own, _, _):
        if name is not None:
            found = find_id(name, [one.share for one in own.shares()], "share")
            confirm(yes, f"End share {found.hex()[:16]}?")
            own.withdraw_share(found)
            emit(as_json, {"withdrawn": found.hex()}, f"share {found.hex()[:16]} is served no more")
            return
        panels = own.panels()
        confirm(yes, f"Leave {len(panels)} panels and answer nobody from now on?")
        own.withdraw()
    facts = {"withdrawn": "all", "panels_left": [panel.hex() for panel in panels]}
    says = [f"left {len(panels)} panels; your hub answers nobody from now on"]
    emit(as_json, facts, [*says, "what was summed before stays in the results that are out"])


def revoke(task: str, yes: bool, folder: Path | None, as_json: bool) -> None:
    """Take the report to one task back: both services are told; if none answers, the ledger is."""
    with in_world(folder) as (own, world):
        found = find_id(task, [one.task for one in own.history()], "task")
        confirm(yes, f"Take back the report to task {found.hex()[:16]}?")
        posted = own.revoke(found)
        if posted is not None:
            world.ledger.advance()
    facts = {"revoked": found.hex(), "on_ledger": posted is not None}
    emit(as_json, facts, f"the report to task {found.hex()[:16]} is taken back; no sum will contain it")


@hub.command(short_help="Write out your whole hub, or what you put in.")
@click.option("--to", "target", type=click.Path(path_type=Path), help="Your whole hub as one new file, sealed.")
@click.option("--recipient", "named", multiple=True, metavar="AGE1...", help="With --to: seal it to this key too.")
@click.option("--recipients-file", type=click.Path(path_type=Path), help="With --to: and to those of a file.")
@click.option("--original", is_flag=True, help="Each file as it was kept: as it was imported, unless --lossy.")
@click.option("--out", type=click.Path(path_type=Path), help="With --original: an empty or a new folder.")
@click.option("--meds", type=click.Path(path_type=Path), metavar="FOLDER", help="All events, as MEDS tools read them.")
@click.option("--subject", type=click.IntRange(1, 2**63 - 1), default=1, help="With --meds: your number in it [1].")
@hub_option
@json_option
def export(
    target: Path | None,
    named: tuple[str, ...],
    recipients_file: Path | None,
    original: bool,
    out: Path | None,
    meds: Path | None,
    subject: int,
    folder: Path | None,
    as_json: bool,
) -> int:
    """Write all that your hub is (records, keys, journal, policy, budget) into one file of the format age, or, with
    --original, every file you imported into a folder, or, with --meds, all events that were made of them, in the layout of
    MEDS (Parquet, extra `tables`).

    The file is sealed to your recovery kit and to the recipients that you name: keep it wherever you like. It brings
    the hub back on another machine (`edgehold hub restore`, `edgehold hub import --identity`) and mends it
    (`edgehold hub repair`). The hub may be in use meanwhile. What you erase later is still in it: then destroy it, and
    make a new one.

    Originals are not encrypted. A record that was a line of an NDJSON file is a file of its own. Exit code 3 if something
    was altered and is missing, or is not as it was imported, since you had it kept with --lossy.

    \b
    Examples:
      edgehold hub export --to hub.age --hub demo-out/hubs/0001
      edgehold hub export --to moving.age --recipients-file keys.txt --hub demo-out/hubs/0001
      edgehold hub export --original --out my-records --hub demo-out/hubs/0001
      edgehold hub export --meds my-events --hub demo-out/hubs/0001
    """
    if [target is not None, original, meds is not None].count(True) != 1:
        raise UsageError("say --to FILE for the whole hub, --original --out FOLDER, or --meds FOLDER")
    if out is not None and not original:
        raise UsageError("--out goes with --original")
    if target is not None:
        emit(as_json, *moving.move_out(require_hub(folder), target, named, recipients_file))
        return 0
    if named or recipients_file:
        raise UsageError("only --to seals: --recipient and --recipients-file go with it")
    if meds is not None:
        export_meds(meds, subject, folder, as_json)
        return 0
    if out is None:
        raise UsageError("--original needs --out FOLDER")
    with opened(folder) as (own, _, _):
        written, altered = write_originals(own.store, out)
    if altered and not written:
        raise altered[0]
    facts = {
        "out": str(out),
        "written": [
            {"dataset": one.id.hex(), "file": one.path.name, "bytes": one.size, "lossy": one.lossy} for one in written
        ],
        "failed": [{"code": error.code, "message": str(error)} for error in altered],
    }
    says = [written_line(one) for one in written] or ["your hub holds no records"]
    emit(as_json, facts, says + [f"missing: {error.code} {error}" for error in altered])
    return 3 if altered or any(one.lossy for one in written) else 0


def written_line(one: Written) -> str:
    """A file that was written out, for people."""
    lossy = "" if one.lossy is None else f", not the file that was imported: its qualities are in steps ({one.lossy})"
    return f"{one.path}: {one.size:,} bytes{lossy}"


def export_meds(meds: Path, subject: int, folder: Path | None, as_json: bool) -> None:
    """Write all events of a hub for tools that read MEDS."""
    with opened(folder) as (own, _, _):
        held = [one for one in own.store.objects() if one.descriptor.schema == EVENTS]
        dice = SystemRandomness()
        tables = [(one.id.hex()[:8], read_parts(own.store, one.id, Wanted().where, dice)) for one in held]
        count = write_meds(tables, meds, subject=subject, now=datetime.now(UTC))
    facts = {"out": str(meds), "events": count, "datasets": [name for name, _ in tables]}
    emit(as_json, facts, f"{meds}: {count:,} events of {len(tables)} datasets")


@hub.command(short_help="Bring a lost hub back.")
@click.option("--kit", required=True, type=click.Path(path_type=Path), help="The recovery kit of the hub.")
@click.option("--archive", required=True, type=click.Path(path_type=Path), help="What `hub export --to` wrote.")
@click.option("--network", type=click.Path(path_type=Path), help="Where the hub's network lies on this machine.")
@hub_option
@json_option
def restore(kit: Path, archive: Path, network: Path | None, folder: Path | None, as_json: bool) -> None:
    """Make the hub again, on an empty machine, of its last archive and the recovery kit alone.

    It has the keys, records, policy, budget and history of the moment when the archive was taken. What the lost hub may
    have answered since counts as spent. Look at your policy afterwards, erase again what you erased since, and use it
    only if the lost one is gone: two that run answer twice.

    \b
    Examples:
      edgehold hub restore --kit recovery.kit --archive hub.age --network demo-out --hub restored
    """
    emit(as_json, *moving.restore(archive, folder or default_hub(), kit, network))


@hub.command(short_help="Destroy records for good.")
@click.argument("dataset", required=False)
@click.option("--all", "everything", is_flag=True, help="Every dataset of this hub.")
@click.option("--yes", is_flag=True, help="Do not ask again.")
@hub_option
@json_option
def erase(dataset: str | None, everything: bool, yes: bool, folder: Path | None, as_json: bool) -> None:
    """Destroy key, salt and bytes of a DATASET: nobody can read it again, and old roots link to nothing.

    The next root on the ledger no longer holds it. Copies that you gave away are not reached: they are listed, and the
    results that count you.

    \b
    Examples:
      edgehold hub erase DATASET --yes --hub demo-out/hubs/0001
      edgehold hub erase --all --yes --hub demo-out/hubs/0002
    """
    if (dataset is None) == (not everything):
        raise UsageError("name a dataset, or say --all")
    with opened(folder) as (own, ledger, names):
        one = None if dataset is None else find_id(dataset, own.store.ids(), "dataset")
        confirm(yes, "Erase everything for good?" if one is None else f"Erase dataset {one.hex()[:8]} for good?")
        erased = own.erase(one)
        facts = root_facts(own, ledger)
        due = f"at height {facts['next_at']} ({when(ledger, facts['next_at'])})"
        left = remains_facts(own.remains(erased), names)
    says = [f"erased {len(erased)} datasets: keys, salts and bytes are destroyed"]
    says += [f"the next root is due {due}; post it with `edgehold hub commit`", *remains_lines(left)]
    emit(as_json, {"erased": [one.hex() for one in erased], "next_root_at": facts["next_at"], **left}, says)


@hub.command(short_help="Compute everything again.")
@click.option("--subset", metavar="N/T", help="Only the N-th of T parts, so that T nights check everything.")
@hub_option
@json_option
def check(subset: str | None, folder: Path | None, as_json: bool) -> None:
    """Read every byte again and compare it with what was committed to. Exit code 8 names what was altered.

    With --subset only the datasets that fall to one part are read. `edgehold hub repair` mends what is named.

    \b
    Examples:
      edgehold hub check --hub demo-out/hubs/0001
      edgehold hub check --subset 1/7 --hub demo-out/hubs/0001
    """
    part = read_part(subset)
    with opened(folder) as (own, ledger, _):
        faults = own.check(part)
        if faults:
            raise AlteredBlob("; ".join(faults))
        count = sum(is_of_part(one, part) for one in own.store.ids())
        facts = root_facts(own, ledger)
        of = f", part {part[0]} of {part[1]}" if subset else ""
        says = [f"{count} datasets{of}: every byte is the one that was stored", *root_lines(facts, ledger)]
    emit(as_json, {"datasets": count, "part": list(part), "faults": [], **facts}, says)


def read_part(text: str | None) -> tuple[int, int]:
    """The part that is meant by n/t; all of it if nothing is said. Raises `UsageError`."""
    if text is None:
        return 1, 1
    number, _, of = text.partition("/")
    if not (number.isdecimal() and of.isdecimal() and 1 <= int(number) <= int(of) <= MOST_PARTS):
        raise UsageError(f"--subset {text}: say which of how many parts, such as 1/7")
    return int(number), int(of)


@hub.command(short_help="Mend a damaged hub with its archive.")
@click.option("--from", "archive", required=True, type=click.Path(path_type=Path), help="What `hub export --to` wrote.")
@click.option("--kit", type=click.Path(path_type=Path), help="The hub's recovery kit, which opens the archive.")
@click.option("--identity", type=click.Path(path_type=Path), help="Or an age key that it is sealed to.")
@hub_option
@json_option
def repair(archive: Path, kit: Path | None, identity: Path | None, folder: Path | None, as_json: bool) -> int:
    """Put back what was altered or is missing, from an archive of this hub. What you erased stays erased.

    Policy, budget and history are not touched. Exit code 3 if something is still wrong; it is named.

    \b
    Examples:
      edgehold hub repair --from hub.age --kit recovery.kit --hub demo-out/hubs/0001
    """
    if (kit is None) == (identity is None):
        raise UsageError("say --kit or --identity: one of them opens the archive")
    facts, says = moving.repair(require_hub(folder), archive, kit, identity)
    emit(as_json, facts, says)
    return 3 if facts["beyond"] else 0
