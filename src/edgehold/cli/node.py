"""`edgehold node …`: a validator of a network that several organisations keep, or a node that follows one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from edgehold.cli.network import is_hex
from edgehold.cli.output import confirm, default_node, emit, json_option, progress, table, wrap
from edgehold.crypto.names import network_id
from edgehold.errors import EdgeholdError, NodeNotReady, UsageError, WrongNetwork
from edgehold.ledger.genesis import read_genesis
from edgehold.remote.ledger import connect
from edgehold.remote.trust import Trust
from edgehold.server.cometbft import Settings, Sync
from edgehold.server.doctor import examine
from edgehold.server.founding import read_founder_file
from edgehold.server.home import found_home, make_home, open_home, peer_name, read_settings
from edgehold.server.inspection import Status, ask_status
from edgehold.server.logs import Log
from edgehold.server.loopback import wait_for_height
from edgehold.server.pair import Duty, run_node, running
from edgehold.server.replay import roll_back, snapshots_of, take_snapshot, verify_home
from edgehold.system import SystemClock, SystemRandomness
from edgehold.verify.header import hash_header
from edgehold.wire.governance import Genesis
from edgehold.wire.ids import Digest

F = TypeVar("F", bound=Callable[..., Any])


def home_option(function: F) -> F:
    """The option --home of commands on a node."""
    return click.option(
        "--home",
        type=click.Path(path_type=Path),
        default=default_node,
        show_default="the XDG data folder",
        help="The node's home.",
    )(function)


@click.group(short_help="Keep the ledger with others, as a validator.")
def node() -> None:
    """A node of a replicated ledger: CometBFT and our application, run as one.

    \b
    To found a network with others: node init, network create, network accept, node start.
    To follow one that is there:    node init --join, node start.
    """


@node.command(short_help="Make a node's home: keys and settings.")
@home_option
@click.option("--name", required=True, help="What the others call this node's organisation.")
@click.option("--address", required=True, metavar="HOST:PORT", help="Where the other nodes reach this one.")
@click.option("--rpc", default="127.0.0.1:26657", show_default=True, help="Where hubs and parties ask it.")
@click.option("--health", default="127.0.0.1:26670", show_default=True, help="For /healthz, /readyz, /metrics.")
@click.option("--cometbft-metrics", "metrics", metavar="HOST:PORT", help="For CometBFT's own metrics.")
@click.option("--signer", metavar="HOST:PORT", help="Where a remote signer comes, which is given the consensus key.")
@click.option("--keep-blocks", type=click.IntRange(min=0), default=0, show_default=True, help="0 keeps all.")
@click.option(
    "--join", "genesis", type=click.Path(path_type=Path), help="The genesis document of a network that is there."
)
@click.option("--peer", "peers", multiple=True, metavar="ID@HOST:PORT", help="A node of that network; once or more.")
@click.option("--network", help="The id that the network must have.")
@click.option(
    "--snapshot-from",
    "servers",
    multiple=True,
    metavar="HOST:PORT",
    help="RPC of nodes with snapshots: begin with one.",
)
@click.option(
    "--trust", metavar="HEIGHT:HASH", help="A header that somebody you trust names, where genesis is too long ago."
)
@click.option(
    "--snapshot-every",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Heights between snapshots; 0: none.",
)
@json_option
def init(
    home: Path,
    name: str,
    address: str,
    rpc: str,
    health: str,
    metrics: str | None,
    signer: str | None,
    keep_blocks: int,
    genesis: Path | None,
    peers: Sequence[str],
    network: str | None,
    servers: Sequence[str],
    trust: str | None,
    snapshot_every: int,
    as_json: bool,
) -> None:
    """Make the home of a node, with fresh keys. With --join it follows a network that is there.

    \b
    Examples:
      edgehold node init --home alpha --name alpha --address 127.0.0.1:26656
      edgehold node init --home delta --name delta --address 127.0.0.1:26686 --rpc 127.0.0.1:26687 \\
        --health 127.0.0.1:26688 --join network/genesis.cbor --peer PEER --json
    """
    if bool(genesis) != bool(peers):
        raise UsageError("--join and --peer go together: a newcomer needs the document and somebody to ask")
    document = None if genesis is None else read_genesis(genesis.read_bytes())
    if document and network and network_id(document).hex() != network:
        raise WrongNetwork(f"{genesis} founds network {network_id(document).hex()}, not {network}")
    if servers and document is None:
        raise UsageError("--snapshot-from is for a newcomer: give --join and --peer as well")
    settings = Settings(
        name=name,
        address=address,
        rpc=rpc,
        health=health,
        metrics=metrics,
        signer=signer,
        keep_blocks=keep_blocks,
        snapshot_every=snapshot_every,
        sync=trusted_header(document, servers, trust) if document and servers else None,
    )
    made = make_home(home, settings, SystemRandomness())
    if document:
        found_home(made, document, peers)
    claim = read_founder_file(made.founder)
    facts = {
        "home": str(home),
        "peer": peer_name(claim),
        "consensus_key": claim.consensus_key.hex(),
        "signer": signer,
        "network": network_id(document).hex() if document else None,
    }
    then = (
        f"It follows network {facts['network']}: edgehold node start --home {home}"
        if document
        else f"Send {made.founder} to whoever makes the founding document; nothing in it is secret."
    )
    emit(as_json, facts, [
        f"{name}'s node is in {home}; others find it as",
        f"  {facts['peer']}",
        f"Its consensus key is {facts['consensus_key']}",
        *([f"Move {made.consensus_key} and {made.signed_last} to the signer before the node starts."] if signer else []),
        f"Move {made.account_key} to a safe place: it is the founder's account, and the node does not need it.",
        then,
    ])  # fmt: skip


def trusted_header(genesis: Genesis, servers: Sequence[str], trust: str | None) -> Sync:
    """The newest header of a network, verified from its genesis or from a header that somebody vouched for."""
    anchor = None
    if trust is not None:
        height, _, digest = trust.partition(":")
        if not height.isdecimal() or not is_hex(digest) or len(digest) != 64:
            raise UsageError(f"--trust {trust}: a header is named as HEIGHT:HASH")
        anchor = int(height), Digest(bytes.fromhex(digest))
    addresses = [f"http://{server}" for server in servers]
    ledger = connect(addresses, genesis, None, SystemClock(), SystemRandomness(), trust=Trust(anchor=anchor))
    try:
        header = ledger.light.newest().signed.header
    finally:
        ledger.close()
    return Sync(tuple(servers), header.height, hash_header(header).hex())


@node.command(short_help="Run a node until it is told to stop.")
@home_option
@click.option(
    "--restart",
    is_flag=True,
    help="Start both processes again when one dies, instead of ending (5 times in 2 minutes).",
)
@json_option
def start(home: Path, restart: bool, as_json: bool) -> None:
    """Run CometBFT and our application as one; SIGTERM and Ctrl-C stop both. The log is JSON lines on standard error.

    If either dies the other is stopped, and this command ends with exit code 1, so that systemd starts it again.

    \b
    Examples:
      edgehold node start --home alpha
      edgehold node start --home alpha --restart --json
    """
    log = Log()
    try:
        run_node(open_home(home), Duty(restart=restart, log=log))
    except EdgeholdError as error:
        log.say(f"{error.code} {type(error).__name__}: {error}", level="error", remedy=error.remedy)
        raise
    emit(as_json, {"home": str(home), "stopped": True}, f"the node in {home} has stopped")


@node.command(short_help="How a node is.")
@home_option
@click.option(
    "--wait", "seconds", type=click.FloatRange(min=0), help="Wait so many seconds until it is at the last block."
)
@json_option
def status(home: Path, seconds: float | None, as_json: bool) -> None:
    """Ask the node of a home: its height, whether it catches up, its peers, the validators.

    \b
    Examples:
      edgehold node status --home alpha
      edgehold node status --home alpha --wait 60 --json
    """
    opened = open_home(home)
    if seconds is not None:
        wait_for_height(opened, 2, seconds)  # the first block is as old as the founding document
    pid = running(opened)
    if pid is None:
        raise NodeNotReady(f"the node in {home} does not run")
    found = ask_status(read_settings(opened).rpc)
    emit(as_json, {"home": str(home), "pid": pid, **found.as_json()}, status_lines(home, found))


def status_lines(home: Path, found: Status) -> list[str]:
    """A node for people."""
    total = sum(found.validators.values())
    rows = [[key[:16], str(power), f"{power / total:.0%}"] for key, power in found.validators.items()]
    heads = [
        f"{found.name} in {home}: node {found.node}, chain {found.chain}",
        f"height {found.height}, {found.block_age:.0f} s ago{', catching up' if found.catching_up else ''}; "
        f"keeps blocks from {found.first_height}; the application is at {found.application_height}",
        f"voting power {found.power} of {total}" if found.power else "it follows; it has no voting power",
        f"{len(found.peers)} peers: {', '.join(sorted(found.peers.values()))}",
    ]
    return [
        *(line for head in heads for line in wrap(head, "  ")),
        *table(rows, ["consensus key", "power", "share"]),
    ]


@node.command(short_help="Look for what keeps a node from starting, or being right.")
@home_option
@json_option
def doctor(home: Path, as_json: bool) -> int:
    """Look at program, keys, settings, genesis, disk, ports, clock and state; exit code 1 if something is wrong.

    \b
    Examples:
      edgehold node doctor --home alpha
      edgehold node doctor --home alpha --json
    """
    findings = list(examine(open_home(home)))
    all_well = all(one.ok for one in findings)
    lines = []
    for one in findings:
        lines += wrap(f"{'✓' if one.ok else '✗'} {one.what:<12} {one.says}", " " * 15)
        lines += wrap(f"               → {one.remedy}", " " * 17) if one.remedy else []
    emit(as_json, {"home": str(home), "ok": all_well, "findings": [asdict(one) for one in findings]}, lines)
    return 0 if all_well else 1


@node.command(short_help="Check blocks and state against what was signed.")
@home_option
@json_option
def verify(home: Path, as_json: bool) -> None:
    """Check every header, block and receipt that a stopped node keeps, and execute all blocks again from genesis.

    Exit code 8 at the first that is not as the validators signed it.

    \b
    Examples:
      edgehold node verify --home alpha
      edgehold node verify --home alpha --json
    """
    opened = open_home(home)
    with progress("blocks", 1, quiet=as_json) as bar:
        found = verify_home(opened, bar.reach)
    state = f"the state after block {found.state_height} " + (
        "has the root that follows from them" if found.state_checked else "could not be compared with a later header"
    )
    says = "executed again from genesis" if found.replayed else "not executed: the first ones are kept no more"
    emit(as_json, {"home": str(home), **asdict(found)}, [
        f"blocks {found.first} to {found.height} are as they were signed; {says}",
        state if found.state_height else "there is no state; the next start makes it from the blocks",
    ])  # fmt: skip


@node.command(short_help="Take the last block's effect back.")
@home_option
@click.option("--yes", is_flag=True, help="Do not ask again.")
@json_option
def rollback(home: Path, yes: bool, as_json: bool) -> None:
    """Take back what a stopped node made of its last block, because its program was wrong about it, not the network.

    CometBFT goes back by one height and keeps the block; our state is set aside. At the next start all blocks are
    executed again, by the program that is then installed. Nothing that was signed is signed again.

    \b
    Examples:
      edgehold node rollback --home alpha --yes
      edgehold node rollback --home alpha --yes --json
    """
    opened = open_home(home)
    confirm(yes, f"Take back the last block's effect in {home}?")
    said, aside = roll_back(opened)
    facts = {"home": str(home), "cometbft": said, "aside": str(aside) if aside else None}
    emit(as_json, facts, [*wrap(said, "  "), f"the state is set aside in {aside}" if aside else "there was no state"])


@node.command(short_help="Snapshots for newcomers.")
@home_option
@click.option("--take", is_flag=True, help="Write one of a stopped node's state now.")
@json_option
def snapshot(home: Path, take: bool, as_json: bool) -> None:
    """List the snapshots that a node offers to newcomers; the last two are kept. (`snapshot_every` in its settings.)

    \b
    Examples:
      edgehold node snapshot --home alpha --take
      edgehold node snapshot --home alpha --json
    """
    opened = open_home(home)
    if take:
        take_snapshot(opened)
    found = snapshots_of(opened)
    rows = [[str(one.height), str(one.pieces), f"{one.bytes:,}"] for one in found]
    emit(
        as_json,
        {"home": str(home), "snapshots": [asdict(one) for one in found]},
        table(rows, ["height", "pieces", "bytes"]) if rows else "there is no snapshot",
    )
