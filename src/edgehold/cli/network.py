"""How a command reaches its network: the folder of a demo, opened to look, or to let heights pass.

One process at a time keeps the ledger of a folder. A command that only looks opens the ledger alone; one that acts
opens the whole world, so that every party does what is due while its heights pass. Hubs and issuers made by a user lie
elsewhere; the network's folder remembers where (`visitors.json`), so that they take part too.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from edgehold.demo.keeping import WorldLedger, follow_validators, open_embedded
from edgehold.demo.parties import Direct, load_key, organisation_account
from edgehold.demo.world import CONSORTIUM, Resident, World, open_world
from edgehold.durable import PUBLIC, write_file
from edgehold.errors import Ambiguous, EdgeholdError, NotANetwork, NotFound, Unavailable, all_errors
from edgehold.hub.hub import NETWORK_FILE, Hub
from edgehold.issuer.issuer import Issuer
from edgehold.issuer.register import Register
from edgehold.ledger.genesis import found_network, read_genesis
from edgehold.ledger.state import State
from edgehold.ports import Ledger
from edgehold.system import SystemClock, SystemRandomness
from edgehold.wire.ids import AccountId, Digest

F = TypeVar("F", bound=Callable[..., Any])

NOTE = NETWORK_FILE
"""The file in a hub's or issuer's own folder that says where its network is."""

VISITORS = "visitors.json"

LEAST_PREFIX = 4
"""Characters by which an id may be named."""


def dir_option(function: F) -> F:
    """The option --dir of commands on a network's folder."""
    return click.option(
        "--dir",
        "folder",
        type=click.Path(path_type=Path),
        default=Path("demo-out"),
        show_default=True,
        help="The network's folder, as `edgehold demo` made it.",
    )(function)


# ── which network ─────────────────────────────────────────────────────────────────────────────────────────────────


class Facts(msgspec.Struct, frozen=True):
    """What commands need of `world.json`."""

    organisations: dict[str, str]
    adults: list[bool]
    panels: list[str]
    ledger: str = "embedded"


def require_network(folder: Path) -> Facts:
    """What a network's folder says of itself; raises `NotANetwork`."""
    _require_files(folder, "world.json", "genesis.cbor")
    try:
        facts = msgspec.json.decode((folder / "world.json").read_bytes(), type=Facts)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise NotANetwork(f"{folder / 'world.json'} is damaged: {error}") from error
    if facts.ledger != CONSORTIUM:
        _require_files(folder, "ledger/ledger.sqlite")
    return facts


def _require_files(folder: Path, *names: str) -> None:
    for name in names:
        if not (folder / name).is_file():
            raise NotANetwork(f"{folder} is not a network's folder: there is no {name} in it")


def remember_network(folder: Path, network: Path) -> None:
    """Note in a hub's or issuer's folder which network it belongs to, so that nobody types it again."""
    write_file(folder / NOTE, f"{network.resolve()}\n", mode=PUBLIC)


def network_of(folder: Path) -> Path:
    """The network of a hub's or issuer's folder: as it was noted, or, inside a demo, two folders up."""
    note = folder / NOTE
    if note.is_file():
        return Path(note.read_text(encoding="utf-8").strip())
    above = folder.resolve().parent.parent
    if (above / "world.json").is_file():
        return above
    raise NotANetwork(f"{folder} does not say which network it belongs to")


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def open_ledger(network: Path) -> Iterator[WorldLedger]:
    """The ledger alone, for looking; raises `NotANetwork`, `LedgerBusy`, `EngineError`, and `NodeError` for validators."""
    facts = require_network(network)
    genesis = read_genesis((network / "genesis.cbor").read_bytes())
    keep = follow_validators if facts.ledger == CONSORTIUM else open_embedded
    ledger = keep(network, genesis, SystemClock(), SystemRandomness())
    try:
        yield ledger
    finally:
        ledger.close()


def state_of(ledger: Ledger) -> State:
    """The last signed state, read from a ledger that this user keeps."""
    return State(ledger.read, ledger.height(), lambda height: None, found_network(ledger.genesis))


def when(ledger: Ledger, height: int) -> str:
    """The day and minute (UTC) of a height, or of what it will be, for people."""
    last = ledger.header(ledger.height())
    found = ledger.header(height) or last
    if found is None:
        return "not yet"
    ahead = max(0, height - ledger.height()) * ledger.genesis.parameters.block_interval_ms / 1000
    moment = datetime.fromtimestamp(found.header.time / 1e9 + ahead, UTC)
    return f"{'about ' if ahead else ''}{moment:%Y-%m-%d %H:%M}"


@dataclass(frozen=True)
class Names:
    """The names of organisations, as the network's folder knows them."""

    by_account: dict[AccountId, tuple[str, str]]

    def title(self, account: bytes) -> str:
        """An organisation's name for people; of a stranger, the beginning of the account."""
        known = self.by_account.get(AccountId(Digest(account)))
        return known[1] if known else account.hex()[:16]

    def account(self, text: str) -> AccountId:
        """The account meant by a short name, a title, or (the beginning of) its id; raises `NotFound`, `Ambiguous`."""
        for account, names in self.by_account.items():
            if text in names:
                return account
        if len(text) == 64 and is_hex(text):
            return AccountId(Digest(bytes.fromhex(text)))
        if len(text) >= LEAST_PREFIX and is_hex(text):
            return find_id(text, self.by_account, "organisation")
        known = ", ".join(name for name, _ in self.by_account.values())
        raise NotFound(f"there is no organisation {text!r}; there are {known}")

    def in_sentence(self, sentence: str) -> str:
        """A sentence of a hub with names where it has the beginnings of accounts."""
        for account, (_, title) in self.by_account.items():
            sentence = sentence.replace(f"Customer {account.hex()[:8]}", title)
        return sentence


def read_names(network: Path) -> Names:
    """Names of the organisations of a network, and of the issuers that visit it."""
    titles = require_network(network).organisations
    named = {
        organisation_account(load_key(network / "organisations" / name)): (name, title)
        for name, title in titles.items()
    }
    for issuer in visiting(network, "issuers"):
        if (issuer / "key").is_file():
            title = (issuer / "name").read_text(encoding="utf-8").strip()
            named[organisation_account(load_key(issuer))] = (title, title)
    return Names(named)


T = TypeVar("T", bound=bytes)


def find_id(text: str, known: Iterable[T], what: str) -> T:
    """The one id that begins with these hexadecimal characters; raises `NotFound`, `Ambiguous`."""
    if len(text) < LEAST_PREFIX or not is_hex(text):
        raise NotFound(f"{text!r} is not the id of a known {what}, nor its first {LEAST_PREFIX} characters or more")
    found = [one for one in known if one.hex().startswith(text.lower())]
    if not found:
        raise NotFound(f"there is no {what} {text}")
    if len(found) > 1:
        raise Ambiguous(f"{len(found)} of what is called {what} begin with {text}")
    return found[0]


def is_hex(text: str) -> bool:
    """Whether a text is hexadecimal digits and nothing else."""
    return bool(text) and all(letter in "0123456789abcdefABCDEF" for letter in text)


# ── acting ────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def open_network(network: Path) -> Iterator[World]:
    """The whole world of a folder with all who visit it, for commands in which heights pass."""
    require_network(network)
    with open_world(network, lambda line: click.echo(line, err=True)) as world:
        registers = []
        try:
            for folder in visiting(network, "issuers"):
                if (folder / "key").is_file():
                    register, issuer = open_issuer(folder, world.ledger)
                    registers.append(register)
                    world.directory.peers[issuer.account] = Direct(issuer.handle)
            for folder in visiting(network, "hubs"):
                if (folder / "keys").is_file():
                    world.residents.append(open_visitor(folder, world))
            yield world
        finally:
            for register in registers:
                register.close()


def open_visitor(folder: Path, world: World) -> Resident:
    """A hub that lies outside the network's folder, with the system's dice whatever the demo's are."""
    number = len(world.residents) + 1
    hub = Hub.open(folder, replace(world.surroundings(number), randomness=SystemRandomness()))
    return Resident(number=number, adult=not hub.keys.minor, hub=hub)


def open_issuer(folder: Path, ledger: Ledger) -> tuple[Register, Issuer]:
    """An issuer in a folder of its own; close the register afterwards."""
    key = load_key(folder)
    register = Register(folder / "register.sqlite", bytes.fromhex((folder / "storage.key").read_text().strip()))
    return register, Issuer(ledger, register, key, organisation_account(key), SystemRandomness())


def resident_at(world: World, folder: Path) -> Resident:
    """The hub of a folder among those of the open world; raises `NotFound`."""
    wanted = folder.resolve()
    for resident in world.residents:
        if resident.hub.store.path.resolve().parent == wanted:
            return resident
    raise NotFound(f"the hub in {folder} does not belong to the network in {world.folder}")


def visiting(network: Path, kind: str) -> list[Path]:
    """Folders of hubs or issuers that were made for this network elsewhere."""
    path = network / VISITORS
    if not path.is_file():
        return []
    try:
        return [Path(folder) for folder in json.loads(path.read_text(encoding="utf-8")).get(kind, [])]
    except (ValueError, AttributeError, TypeError) as error:
        raise NotANetwork(f"{path} is damaged: {type(error).__name__}") from error


def add_visitor(network: Path, kind: str, folder: Path) -> None:
    """Remember where a hub or issuer of this network lies."""
    known = {each: [str(one) for one in visiting(network, each)] for each in ("hubs", "issuers")}
    if str(folder.resolve()) not in known[kind]:
        known[kind].append(str(folder.resolve()))
    write_file(network / VISITORS, json.dumps(known, indent=1) + "\n", mode=PUBLIC)


def require_done(ledger: Ledger, envelope: Digest) -> Digest | None:
    """The id that a transaction made; raises the ledger's own refusal if it was refused."""
    receipt = ledger.receipt(envelope)
    if receipt is None:
        raise Unavailable(f"the ledger has not answered transaction {envelope.hex()} yet")
    if receipt.number:
        refusals = {error.number: error for error in all_errors()}
        raise refusals.get(receipt.number, EdgeholdError)(receipt.facts)
    return receipt.made
