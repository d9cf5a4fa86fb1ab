"""`edgehold network`, `edgehold up` and `edgehold down`: networks that several organisations keep, founded or tried out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from edgehold.cli.node import home_option
from edgehold.cli.output import emit, json_option, table
from edgehold.crypto.names import account_id, network_id
from edgehold.errors import FolderInUse, UsageError
from edgehold.ledger.genesis import read_genesis
from edgehold.server.founding import (
    DOCUMENT,
    IN_EARNEST,
    USUAL_VOTING,
    accept_document,
    make_document,
    read_founder_file,
    write_document,
)
from edgehold.server.home import open_home
from edgehold.server.loopback import bring_up, found_homes, homes_in, make_homes, take_down
from edgehold.system import SystemClock, SystemRandomness
from edgehold.wire.founding import FounderClaim
from edgehold.wire.governance import Genesis, Parameters, Voting


@click.group(short_help="Found a network that several organisations keep.")
def network() -> None:
    """Found a network together: everybody's founder file goes into one document, which everybody compares."""


@network.command(short_help="Make the founding document of everybody's founder files.")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--chain", required=True, help="The network's name: letters, digits, hyphens.")
@click.option("--treasurer", help="Founder that gives credits; the first by name if not said.")
@click.option("--accreditor", "accreditors", multiple=True, help="Founder that attests others; all if none is named.")
@click.option("--set", "values", multiple=True, metavar="NAME=NUMBER", help="A parameter that is not the usual one.")
@click.option(
    "--voting", "votes", multiple=True, metavar="NAME=NUMBER", help="How members decide, where it is not the usual way."
)
@click.option("--out", type=click.Path(path_type=Path), default=Path("network"), show_default=True)
@json_option
def create(
    files: Sequence[Path],
    chain: str,
    treasurer: str | None,
    accreditors: Sequence[str],
    values: Sequence[str],
    votes: Sequence[str],
    out: Path,
    as_json: bool,
) -> None:
    """Make one genesis document of the founder files of all founders, in a folder to send to each of them.

    \b
    Examples:
      edgehold network create alpha/founder.cbor beta/founder.cbor gamma/founder.cbor \\
        --chain care --set block_interval_ms=2000 --voting rotation=1
      edgehold network create alpha/founder.cbor --chain trial --set least_panel=20 --out trial --json
    """
    claims = [read_founder_file(file) for file in files]
    first = min(claim.name for claim in claims)
    genesis = make_document(
        claims,
        chain=chain,
        time=SystemClock().now(),
        treasurer=treasurer or first,
        accreditors=accreditors or [claim.name for claim in claims],
        parameters=with_values(IN_EARNEST, values, "--set"),
        voting=with_values(USUAL_VOTING, votes, "--voting"),
    )
    if (out / DOCUMENT).exists():
        raise FolderInUse(f"{out} has a founding document")
    write_document(out, genesis, claims)
    emit(as_json, facts_of(genesis), [*lines_of(genesis), "", f"Send {out} to every founder."])


T = TypeVar("T", Parameters, Voting)


def with_values(usual: T, values: Sequence[str], option: str) -> T:
    """Numbers of which some are set otherwise; raises `UsageError`."""
    numbers = msgspec.structs.asdict(usual)
    for value in values:
        name, _, number = value.partition("=")
        if name not in numbers or not number.isdecimal():
            raise UsageError(f"{option} {value}: a number is set as NAME=NUMBER; there are {', '.join(numbers)}")
        numbers[name] = int(number)
    try:
        return msgspec.convert(list(numbers.values()), type(usual))
    except msgspec.ValidationError as error:
        raise UsageError(f"{option}: {error}") from error


@network.command(short_help="What a founding document says.")
@click.argument("document", type=click.Path(path_type=Path))
@json_option
def show(document: Path, as_json: bool) -> None:
    """Show a genesis document: founders, offices, validators, parameters, and the id by which all compare it.

    \b
    Examples:
      edgehold network show network/genesis.cbor
      edgehold network show network/genesis.cbor --json
    """
    genesis = read_genesis(document.read_bytes())
    emit(as_json, facts_of(genesis), lines_of(genesis))


@network.command(short_help="Let a founder's home belong to the network.")
@click.argument("folder", type=click.Path(path_type=Path))
@home_option
@json_option
def accept(folder: Path, home: Path, as_json: bool) -> None:
    """Check that the founding document in a folder has this home's keys and address, and let the home belong to it.

    Compare the network id with the other founders over another way than the one by which the files came.

    \b
    Examples:
      edgehold network accept network --home alpha
      edgehold network accept network --home beta --json
    """
    genesis = accept_document(open_home(home), folder)
    emit(
        as_json, facts_of(genesis), [*lines_of(genesis), "", f"{home} belongs to it: edgehold node start --home {home}"]
    )


def facts_of(genesis: Genesis) -> dict[str, Any]:
    """A network for --json."""
    names = [founder.name for founder in genesis.founders]
    return {
        "network": network_id(genesis).hex(),
        "chain": genesis.chain,
        "founders": {founder.name: account_id(founder.role, founder.key).hex() for founder in genesis.founders},
        "accreditors": [names[place] for place in genesis.accreditors],
        "treasurer": names[genesis.treasurer],
        "operators": [names[place] for place in genesis.operators],
        "validators": {validator.key.hex(): validator.power for validator in genesis.validators},
        "parameters": msgspec.structs.asdict(genesis.parameters),
        "voting": msgspec.structs.asdict(genesis.voting),
    }


def lines_of(genesis: Genesis) -> list[str]:
    """A network for people."""
    facts = facts_of(genesis)
    rows = [
        [
            name,
            account[:16],
            ", ".join(
                [
                    *["accreditor"] * (name in facts["accreditors"]),
                    *["treasurer"] * (name == facts["treasurer"]),
                    *["member"] * (name in facts["operators"]),
                ]
            ),
        ]
        for name, account in facts["founders"].items()
    ]
    count = len(facts["validators"])
    return [
        f"network {facts['network']}",
        f"chain {genesis.chain}, {count} validators, of which {(count - 1) // 3} may fail or lie",
        "",
        *table(rows, ["founder", "account", "offices"]),
        "",
        *(f"{name:<18} {value:>9}" for name, value in facts["parameters"].items()),
        "",
        "votes (per mille of the members, and heights):",
        *(f"{name:<18} {value:>9}" for name, value in facts["voting"].items()),
    ]


# ── a network to try ──────────────────────────────────────────────────────────────────────────────────────────────


@click.command(short_help="A whole network on this machine.")
@click.option("--validators", type=click.IntRange(1, 16), default=4, show_default=True, help="How many.")
@click.option("--dir", "folder", type=click.Path(path_type=Path), default=Path("consortium"), show_default=True)
@click.option(
    "--block-interval",
    type=click.IntRange(100),
    default=1000,
    show_default=True,
    help="A block at least so often (ms).",
)
@json_option
def up(validators: int, folder: Path, block_interval: int, as_json: bool) -> None:
    """Bring a network of several validators up, each with processes of its own, on free ports of this machine.

    They go on when this command has ended, until `edgehold down`. A folder that has validators gets them started again.

    \b
    Examples:
      edgehold up --validators 4 --dir consortium
      edgehold up --dir consortium --json
    """
    if not (folder / "validators").exists():
        found_loopback(folder, validators, block_interval)
    statuses = bring_up(folder)
    homes = homes_in(folder)
    facts = {
        "dir": str(folder),
        "network": network_id(read_genesis(homes[0].genesis.read_bytes())).hex(),
        "validators": [{"home": str(home.folder), **one.as_json()} for home, one in zip(homes, statuses, strict=True)],
    }
    rows = [[str(home.folder), str(one.height), str(len(one.peers))] for home, one in zip(homes, statuses, strict=True)]
    emit(as_json, facts, [f"network {facts['network']}", *table(rows, ["home", "height", "peers"])])


def found_loopback(folder: Path, count: int, block_interval: int) -> None:
    """Make the homes of a network whose founders are its validators."""
    claims = make_homes(folder, count, block_interval, SystemRandomness())
    found_homes(folder, genesis_of(claims, block_interval))


def genesis_of(claims: Sequence[FounderClaim], block_interval: int) -> Genesis:
    """The document of a network to try out."""
    first = claims[0].name
    return make_document(
        claims,
        chain="edgehold-local",
        time=SystemClock().now(),
        treasurer=first,
        accreditors=[claim.name for claim in claims],
        parameters=msgspec.structs.replace(IN_EARNEST, block_interval_ms=block_interval),
    )


@click.command(short_help="End a network on this machine.")
@click.option("--dir", "folder", type=click.Path(path_type=Path), default=Path("consortium"), show_default=True)
@json_option
def down(folder: Path, as_json: bool) -> None:
    """Stop every node that `edgehold up` started in a folder; no process, socket or lock is left. The ledger stays.

    \b
    Examples:
      edgehold down --dir consortium
      edgehold down --dir consortium --json
    """
    stopped = take_down(folder)
    emit(as_json, {"dir": str(folder), "stopped": stopped}, f"{len(stopped)} nodes stopped; the ledger is in {folder}")
