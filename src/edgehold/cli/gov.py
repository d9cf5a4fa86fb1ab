"""`edgehold gov …`: what the members of a network decide together, and their validators' keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

from edgehold.cli.consortium import with_values
from edgehold.cli.ledger import made_ids
from edgehold.cli.network import (
    Names,
    find_id,
    is_hex,
    open_ledger,
    read_names,
    require_done,
    state_of,
)
from edgehold.cli.output import emit, json_option, table, wrap
from edgehold.crypto.names import account_id
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.demo.keeping import WorldLedger, follow_home
from edgehold.demo.parties import load_key, organisation_account
from edgehold.durable import PUBLIC, write_file
from edgehold.errors import FileUnusable, NotFound, UsageError
from edgehold.ledger.rules.governance import members_of, share_for
from edgehold.ledger.state import State, find_proposal, get_proposal, rules_version
from edgehold.ledger.words import describe
from edgehold.ledger.words import show as as_json_values
from edgehold.server.home import open_home, read_settings
from edgehold.server.loopback import VALIDATORS, homes_in
from edgehold.server.membership import finish_rotation, make_candidate, prepare_rotation
from edgehold.system import SystemClock, SystemRandomness
from edgehold.wire.codec import decode, encode
from edgehold.wire.governance import (
    AdmitValidator,
    AppointTreasurer,
    Candidate,
    Change,
    Office,
    Proposal,
    Propose,
    SetOffice,
    SetParameters,
    SetPower,
    SwitchRules,
    Vote,
)
from edgehold.wire.ids import AccountId, Digest, ProposalId
from edgehold.wire.tx import Body

F = TypeVar("F", bound=Callable[..., Any])

AHEAD = 100
"""Heights within which what a member sends takes effect, or never does."""


# ── where the members meet ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Place:
    """How a command was told which network is meant, and who speaks."""

    folder: Path
    home: Path | None
    speaker: str | None
    key: Path | None

    def signer(self) -> SigningKey:
        """The account key of who speaks; raises `UsageError`, `KeysUnusable`, `NotFound`."""
        if self.key is not None:
            return load_key(self.key)
        if self.home is not None:
            return load_key(open_home(self.home).account_key.parent)
        if self.speaker is None:
            raise UsageError("say who speaks: --as NAME in a folder, or --home with the node of a member")
        own = self.folder / "organisations" / self.speaker
        if own.is_dir():
            return load_key(own)
        homes = homes_in(self.folder) if (self.folder / VALIDATORS).is_dir() else []
        for home in homes:
            if read_settings(home).name == self.speaker:
                return load_key(home.account_key.parent)
        raise NotFound(f"{self.folder} has no keys of {self.speaker!r}")

    @contextmanager
    def meeting(self) -> Iterator[Meeting]:
        """The ledger, opened or followed over RPC, and the names of who takes part."""
        if self.home is not None:
            ledger: WorldLedger = follow_home(open_home(self.home), SystemClock(), SystemRandomness())
            try:
                yield Meeting(ledger, founders_of(ledger))
            finally:
                ledger.close()
            return
        with open_ledger(self.folder) as ledger:
            known = founders_of(ledger).by_account | read_names(self.folder).by_account
            yield Meeting(ledger, Names(known))


def founders_of(ledger: WorldLedger) -> Names:
    """The names by which genesis knows its founders."""
    return Names({account_id(one.role, one.key): (one.name, one.name) for one in ledger.genesis.founders})


@dataclass(frozen=True)
class Meeting:
    """A ledger whose members are asked, and their names."""

    ledger: WorldLedger
    names: Names

    @property
    def state(self) -> State:
        """As it was signed last."""
        return state_of(self.ledger)

    def send(self, key: SigningKey, body: Body) -> Digest | None:
        """Send what a member says and wait for the ledger's answer; the id that it made. Raises its refusal."""
        expires = self.ledger.height() + min(AHEAD, self.state.parameters.expiry)
        account = organisation_account(key)
        envelope = self.ledger.submit(sign_transaction(key, self.ledger.network, account, expires, body))
        self.ledger.advance()
        return require_done(self.ledger, envelope)

    def account(self, text: str) -> AccountId:
        """The organisation that is meant, by name or id; raises `NotFound`, `Ambiguous`."""
        return self.names.account(text)

    def proposal(self, text: str) -> ProposalId:
        """The proposal that is meant, by its id or, if it is open, the beginning of that; raises `NotFound`."""
        if len(text) == 64 and is_hex(text):
            return ProposalId(Digest(bytes.fromhex(text)))
        return find_id(text, [one.proposal for one in self.state.agenda.open], "open proposal")


def place_options(function: F) -> F:
    """The options that say which network is meant, and who speaks."""
    for option in (
        click.option("--key", type=click.Path(path_type=Path), help="The folder with the account key, if elsewhere."),
        click.option("--as", "speaker", metavar="NAME", help="Who speaks, in --dir: an organisation or a validator."),
        click.option("--home", type=click.Path(path_type=Path), help="A node's home: its network, asked over RPC."),
        click.option(
            "--dir",
            "folder",
            type=click.Path(path_type=Path),
            default=Path("demo-out"),
            show_default=True,
            help="The network's folder, as `edgehold demo` made it.",
        ),
    ):
        function = option(function)
    return function


@click.group(short_help="What the members of a network decide together.")
def gov() -> None:
    """Members are the operators of validators: they propose, each has one vote, and enough of them decide.

    In the folder of a demo say --dir and --as; elsewhere --home of a node of the network.
    """


# ── looking ───────────────────────────────────────────────────────────────────────────────────────────────────────


@gov.command(short_help="Members, offices, open proposals; or one proposal.")
@click.argument("proposal", required=False)
@click.option("--all", "everything", is_flag=True, help="Also proposals that are over; reads every block.")
@place_options
@json_option
def show(
    proposal: str | None,
    everything: bool,
    folder: Path,
    home: Path | None,
    speaker: str | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Show who the members are, what is in force and what is proposed, or one PROPOSAL with who said what.

    \b
    Examples:
      edgehold gov show --home alpha
      edgehold gov show PROPOSAL --home alpha --json
    """
    with Place(folder, home, speaker, key).meeting() as meeting:
        if proposal is not None:
            facts = proposal_facts(meeting, meeting.proposal(proposal))
            emit(as_json, facts, proposal_lines(facts))
            return
        shown = [one.proposal for one in meeting.state.agenda.open]
        if everything:
            state = meeting.state
            made = (ProposalId(one) for one in made_ids(meeting.ledger))
            shown = [one for one in made if find_proposal(state, one) is not None]
        facts = network_facts(meeting, shown)
        emit(as_json, facts, network_lines(facts))


def network_facts(meeting: Meeting, proposals: Sequence[ProposalId]) -> dict[str, Any]:
    """The network as its members see it."""
    state, names = meeting.state, meeting.names
    following = state.rules.following
    return {
        "height": state.height,
        "members": [
            {
                "operator": seat.operator.hex(),
                "name": names.title(seat.operator),
                "key": seat.key.hex(),
                "power": seat.power,
                "key_since": seat.key_since,
            }
            for seat in state.seats.seats
        ],
        "accreditors": [names.title(account) for account in state.offices.accreditors],
        "treasurer": names.title(state.offices.treasurer),
        "rules": rules_version(state.rules, state.height),
        "rules_next": as_json_values(following) if following and following.height > state.height else None,
        "voting": msgspec.structs.asdict(state.network.voting),
        "proposals": [proposal_facts(meeting, one) for one in proposals],
    }


def network_lines(facts: dict[str, Any]) -> list[str]:
    """The network for people."""
    total = sum(one["power"] for one in facts["members"])
    members = [
        [one["name"], one["operator"][:16], one["key"][:16], str(one["power"]), f"{one['power'] / total:.0%}"]
        for one in facts["members"]
    ]
    ahead = facts["rules_next"]
    then = f"; version {ahead['version']} from height {ahead['height']} on" if ahead else ""
    proposals = [[one["proposal"][:16], one["status"], one["proposer"], one["says"][:44]] for one in facts["proposals"]]
    return [
        *table(members, ["member", "account", "consensus key", "power", "share"]),
        "",
        *wrap(f"accreditors  {', '.join(facts['accreditors'])}", "             "),
        f"treasurer    {facts['treasurer']}",
        f"rules        version {facts['rules']}{then}",
        "",
        *(table(proposals, ["proposal", "", "by", "change"]) if proposals else ["nothing is proposed"]),
    ]


def proposal_facts(meeting: Meeting, name: ProposalId) -> dict[str, Any]:
    """One proposal; raises `UnknownProposal`."""
    state, names = meeting.state, meeting.names
    found = get_proposal(state, name)
    members = members_of(state)
    share = share_for(state.network.voting, found.change)
    yes = sum(member in found.yes for member in members)
    return {
        "proposal": name.hex(),
        "proposer": names.title(found.proposer),
        "change": as_json_values(found.change),
        "says": describe(found.change),
        "until": found.until,
        "yes": [names.title(one) for one in found.yes],
        "no": [names.title(one) for one in found.no],
        "counted": yes,
        "needed": -(-share * len(members) // 1000),
        "done_at": found.done_at,
        "status": status_of(found, state.height),
    }


def status_of(proposal: Proposal, height: int) -> str:
    """What became of a proposal, in a word."""
    if proposal.done_at is not None:
        return "decided"
    return "open" if height <= proposal.until else "expired"


def proposal_lines(facts: dict[str, Any]) -> list[str]:
    """One proposal for people."""
    what = f"decided at height {facts['done_at']}" if facts["done_at"] is not None else facts["status"]
    return [
        f"proposal {facts['proposal']}",
        f"  {what}; by {facts['proposer']}, until height {facts['until']}",
        *wrap(f"  {facts['says']}", "  "),
        *wrap(f"  yes  {', '.join(facts['yes'])} ({facts['counted']} of {facts['needed']} needed)", "       "),
        *wrap(f"  no   {', '.join(facts['no']) or 'nobody'}", "       "),
    ]


# ── deciding ──────────────────────────────────────────────────────────────────────────────────────────────────────


@gov.group(short_help="Propose a change.")
def propose() -> None:
    """Propose a change and say yes to it. A single member decides with that."""


def propose_options(function: F) -> F:
    """The options of every proposal."""
    heights = click.option(
        "--for", "heights", type=click.IntRange(1), help="Open for so many heights; the most if not said."
    )
    return json_option(place_options(heights(function)))


def put(make: Callable[[Meeting], Change], place: Place, heights: int | None, as_json: bool) -> None:
    """Propose a change, and show what became of it."""
    key = place.signer()
    with place.meeting() as meeting:
        open_for = min(heights or meeting.state.network.voting.longest, meeting.state.network.voting.longest)
        until = meeting.ledger.height() + open_for
        made = meeting.send(key, Propose(change=make(meeting), until=until))
        facts = proposal_facts(meeting, ProposalId(made or Digest(b"")))
    emit(as_json, facts, proposal_lines(facts))


@propose.command(short_help="Other parameters.")
@click.argument("values", nargs=-1, required=True, metavar="NAME=NUMBER...")
@propose_options
def parameters(
    values: Sequence[str],
    heights: int | None,
    folder: Path,
    home: Path | None,
    speaker: str | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Propose other numbers for some parameters; `edgehold ledger show` lists those in force.

    \b
    Examples:
      edgehold gov propose parameters hub_quota=20000 --home alpha --json
    """
    place = Place(folder, home, speaker, key)
    put(lambda here: SetParameters(with_values(here.state.parameters, values, "parameter")), place, heights, as_json)


@propose.command(short_help="A new validator.")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--power", type=click.IntRange(1), default=10, show_default=True)
@propose_options
def admit(
    file: Path,
    power: int,
    heights: int | None,
    folder: Path,
    home: Path | None,
    speaker: str | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Propose that the organisation whose candidate FILE it is (`gov candidate`) keeps the ledger too.

    \b
    Examples:
      edgehold gov propose admit candidate.cbor --home alpha
      edgehold gov propose admit candidate.cbor --power 3 --home alpha --json
    """
    try:
        candidate = decode(file.read_bytes(), Candidate)
    except OSError as error:
        raise FileUnusable(f"{file}: {error.strerror}") from error
    put(lambda here: AdmitValidator(candidate, power), Place(folder, home, speaker, key), heights, as_json)


@propose.command(name="power", short_help="Another power for a validator; 0: it leaves.")
@click.argument("operator")
@click.argument("number", type=click.IntRange(0))
@propose_options
def set_power(
    operator: str,
    number: int,
    heights: int | None,
    folder: Path,
    home: Path | None,
    speaker: str | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Propose another voting power for the validator of OPERATOR (a name or account). With 0 it leaves.

    \b
    Examples:
      edgehold gov propose power gamma 0 --home alpha
      edgehold gov propose power gamma 12 --home alpha --json
    """
    place = Place(folder, home, speaker, key)
    put(lambda here: SetPower(here.account(operator), number), place, heights, as_json)


@propose.command(short_help="Somebody gets an office, or loses it.")
@click.argument("which", type=click.Choice([one.value for one in Office]))
@click.argument("account")
@click.option("--remove", is_flag=True, help="The organisation loses it.")
@propose_options
def office(
    which: str,
    account: str,
    remove: bool,
    heights: int | None,
    folder: Path,
    home: Path | None,
    speaker: str | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Propose that ACCOUNT (a name or id) accredits, or issues, or no longer does.

    \b
    Examples:
      edgehold gov propose office accreditor gamma --remove --home alpha
      edgehold gov propose office issuer beta --home alpha --json
    """
    place = Place(folder, home, speaker, key)
    put(lambda here: SetOffice(Office(which), here.account(account), not remove), place, heights, as_json)


@propose.command(short_help="Another treasurer.")
@click.argument("account")
@propose_options
def treasurer(
    account: str,
    heights: int | None,
    folder: Path,
    home: Path | None,
    speaker: str | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Propose that ACCOUNT gives credits; those that the treasurer has left go over to it.

    \b
    Examples:
      edgehold gov propose treasurer gamma --home alpha --json
    """
    put(lambda here: AppointTreasurer(here.account(account)), Place(folder, home, speaker, key), heights, as_json)


@propose.command(short_help="Another version of the rules.")
@click.argument("version", type=click.IntRange(1, 2**16 - 1))
@click.option("--from", "first", type=click.IntRange(1), required=True, metavar="HEIGHT", help="The first such block.")
@propose_options
def rules(
    version: int,
    first: int,
    heights: int | None,
    folder: Path,
    home: Path | None,
    speaker: str | None,
    key: Path | None,
    as_json: bool,
) -> None:
    """Propose that blocks from a height on follow VERSION of the rules; nodes without it stop there.

    \b
    Examples:
      edgehold gov propose rules 2 --from 1000000 --home alpha --json
    """
    put(lambda here: SwitchRules(version, first), Place(folder, home, speaker, key), heights, as_json)


@gov.command(short_help="Say yes or no to a proposal.")
@click.argument("proposal")
@click.argument("word", type=click.Choice(["yes", "no"]))
@place_options
@json_option
def vote(
    proposal: str, word: str, folder: Path, home: Path | None, speaker: str | None, key: Path | None, as_json: bool
) -> None:
    """Say yes or no to PROPOSAL (its id, or the beginning of it), once and for all. The deciding yes carries it out.

    \b
    Examples:
      edgehold gov vote PROPOSAL yes --home beta
      edgehold gov vote PROPOSAL no --home gamma --json
    """
    place = Place(folder, home, speaker, key)
    signer = place.signer()
    with place.meeting() as meeting:
        name = meeting.proposal(proposal)
        meeting.send(signer, Vote(proposal=name, yes=word == "yes"))
        facts = proposal_facts(meeting, name)
    emit(as_json, facts, proposal_lines(facts))


# ── keys of one's own ─────────────────────────────────────────────────────────────────────────────────────────────


@gov.command(short_help="Make the file with which a node's operator applies.")
@click.option("--home", type=click.Path(path_type=Path), required=True, help="The node's home.")
@click.option("--key", type=click.Path(path_type=Path), help="The folder with the account key, if elsewhere.")
@click.option("--out", type=click.Path(path_type=Path), default=Path("candidate.cbor"), show_default=True)
@json_option
def candidate(home: Path, key: Path | None, out: Path, as_json: bool) -> None:
    """Write what the members need to admit this node's operator: two public keys, each signed by its owner.

    \b
    Examples:
      edgehold gov candidate --home delta
      edgehold gov candidate --home delta --out candidate.cbor --json
    """
    opened = open_home(home)
    account = load_key(key or opened.account_key.parent)
    made = make_candidate(opened, account)
    write_file(out, encode(made), mode=PUBLIC)
    facts = {"file": str(out), "operator": organisation_account(account).hex(), "consensus_key": made.key.hex()}
    emit(as_json, facts, [
        f"{out}: account {facts['operator'][:16]}, consensus key {facts['consensus_key'][:16]}",
        "Send it to a member of the network; nothing in it is secret.",
    ])  # fmt: skip


@gov.command(short_help="Change a validator's consensus key.")
@click.option("--home", type=click.Path(path_type=Path), required=True, help="The validator's home.")
@click.option("--key", type=click.Path(path_type=Path), help="The folder with the account key, if elsewhere.")
@json_option
def rotate(home: Path, key: Path | None, as_json: bool) -> None:
    """Give this home's validator a fresh consensus key. It votes two heights later: start the node again at once.

    Interrupted, the same command goes on with the key that it had made. The old one stays beside it as
    priv_validator_key.old.json; destroy it when the new one has voted.

    \b
    Examples:
      edgehold gov rotate --home alpha
    """
    opened = open_home(home)
    place = Place(Path(), home, None, key)
    account = place.signer()
    with place.meeting() as meeting:
        if not finish_rotation(opened, meeting.state, account):
            meeting.send(account, prepare_rotation(opened, account, SystemRandomness()))
            finish_rotation(opened, meeting.state, account)
        seat = next(one for one in meeting.state.seats.seats if one.operator == organisation_account(account))
    facts = {
        "home": str(home),
        "consensus_key": seat.key.hex(),
        "since": seat.key_since,
        "signs_from": seat.key_since + 2,
    }
    emit(as_json, facts, [
        f"from height {facts['signs_from']} on this validator signs with",
        f"  {seat.key.hex()}",
        f"Stop the node and start it again: edgehold node start --home {home}",
    ])  # fmt: skip
