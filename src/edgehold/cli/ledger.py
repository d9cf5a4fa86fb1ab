"""`edgehold ledger` and `edgehold catalog`: what everybody may read, in words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from edgehold.cli.network import Names, dir_option, find_id, is_hex, open_ledger, read_names, state_of, when
from edgehold.cli.output import cut, emit, json_option, table
from edgehold.cli.program import programs_in
from edgehold.demo.keeping import WorldLedger
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.errors import NotFound
from edgehold.ledger.state import (
    ENTRY_TYPES,
    State,
    find_account,
    find_panel,
    find_program,
    get_standing,
    live_attestations,
)
from edgehold.ledger.transition import open_envelope
from edgehold.ledger.words import describe, describe_entry, describe_receipt
from edgehold.ledger.words import show as as_json_values
from edgehold.policy.credibility import PPM, is_suspended, score
from edgehold.wire.account import Claim, Role
from edgehold.wire.codec import decode
from edgehold.wire.credibility import Prior
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.ids import AccountId, Digest, PanelId, ProgramId

ONE_OPERATOR = "by one validator: this ledger has one operator, who must be trusted for order"

SINGLE = (
    Collection.ACCOUNT,
    Collection.STANDING,
    Collection.PANEL,
    Collection.ROOT,
    Collection.PROGRAM,
    Collection.ORDER,
    Collection.TASK,
    Collection.CONFIGURATION,
    Collection.EVIDENCE,
)
"""Collections whose entries lie under one id."""


@click.group(short_help="Everything that is public.")
def ledger() -> None:
    """The ledger: signed blocks of entries that everybody may read. Nothing in it is about one person's data."""


@ledger.command(short_help="Transactions, in words.")
@click.option("--from", "first", type=click.IntRange(min=1), help="First height.")
@click.option("--to", "last", type=click.IntRange(min=1), help="Last height.")
@click.option("--last", "count", type=click.IntRange(min=1), default=20, show_default=True, help="At most so many.")
@dir_option
@json_option
def log(first: int | None, last: int | None, count: int, folder: Path, as_json: bool) -> None:
    """List the latest transactions, or those of some heights: who asked for what, and what became of it.

    \b
    Examples:
      edgehold ledger log
      edgehold ledger log --from 1 --to 5 --last 100
      edgehold ledger log --last 3 --json
    """
    with open_ledger(folder) as opened:
        names = read_names(folder)
        top = opened.height()
        found = list(opened.transactions(first or 1, min(last or top, top)))
        shown = found[:count] if first is not None else found[-count:]
        facts, lines = [], []
        for height, transaction, receipt in shown:
            envelope = open_envelope(transaction, opened.network).envelope
            facts.append(
                {
                    "height": height,
                    "time": when(opened, height),
                    "sender": envelope.sender.hex(),
                    "name": names.title(envelope.sender),
                    "body": as_json_values(envelope.body),
                    "number": receipt.number,
                    "made": None if receipt.made is None else receipt.made.hex(),
                    "facts": receipt.facts,
                }
            )
            lines += [
                f"{height:>6}  {when(opened, height)}  {names.title(envelope.sender)}",
                f"        {cut(describe(envelope.body), 91)}",
                f"        {cut(describe_receipt(receipt), 91)}",
            ]
    lines.append(f"{len(shown)} of {len(found)} transactions of heights {first or 1} to {min(last or top, top)}")
    emit(as_json, {"transactions": facts, "height": top}, lines)


@ledger.command(short_help="One entry, one block, or what there is.")
@click.argument("what", required=False)
@dir_option
@json_option
def show(what: str | None, folder: Path, as_json: bool) -> None:
    """Show WHAT in words: an id (or its beginning), an organisation's name, or a height. Without it: the ledger itself.

    \b
    Examples:
      edgehold ledger show
      edgehold ledger show meridian
      edgehold ledger show 1
      edgehold ledger show PANEL --json
    """
    with open_ledger(folder) as opened:
        names = read_names(folder)
        if what is None:
            facts = ledger_facts(opened)
            emit(as_json, facts, ledger_lines(facts, opened))
        elif what.isdigit() and len(what) < 16:
            facts = block_facts(opened, int(what), names)
            emit(as_json, facts, block_lines(facts))
        else:
            entries = entries_of(opened, names, what)
            facts = {"entries": [entry_facts(collection, key, value) for collection, key, value in entries]}
            emit(as_json, facts, [line for _, key, value in entries for line in entry_lines(key, value, names)])


def ledger_facts(opened: WorldLedger) -> dict[str, Any]:
    """The ledger as a whole."""
    header = opened.header(opened.height())
    return {
        "network": opened.network.hex(),
        "chain": opened.genesis.chain,
        "height": opened.height(),
        "entries": opened.entries() if isinstance(opened, EmbeddedLedger) else None,
        "root": header.header.app_hash.hex() if header else None,
        "validators": len(state_of(opened).seats.seats),
        "period": state_of(opened).period,
        "parameters": as_json_values(state_of(opened).parameters),
    }


def ledger_lines(facts: dict[str, Any], opened: WorldLedger) -> list[str]:
    """The ledger as a whole, for people."""
    parameters = facts["parameters"]
    named = [f"{name.replace('_', ' ')} {value}" for name, value in parameters.items() if name != "is"]
    return [
        f"chain {facts['chain']}",
        f"  network   {facts['network']}",
        f"  height    {facts['height']} ({when(opened, facts['height'])}), period {facts['period']}",
        f"  entries   {'those' if facts['entries'] is None else format(facts['entries'], ',')} under root {facts['root']}",
        f"  signed    {ONE_OPERATOR if facts['validators'] == 1 else str(facts['validators']) + ' validators'}",
        f"  numbers   {'; '.join(named[:4])};",
        *(f"            {'; '.join(named[place : place + 4])}" for place in range(4, len(named), 4)),
    ]


def block_facts(opened: WorldLedger, height: int, names: Names) -> dict[str, Any]:
    """One block; raises `NotFound`."""
    signed = opened.header(height)
    if signed is None:
        raise NotFound(f"there is no block {height}; the ledger is at height {opened.height()}")
    found = list(opened.transactions(height, height))
    envelopes = [open_envelope(transaction, opened.network).envelope for _, transaction, _ in found]
    return {
        "height": height,
        "time": when(opened, height),
        "state_before": signed.header.app_hash.hex(),
        "validators_signed": len(signed.commit.signatures),
        "transactions": [
            {
                "sender": names.title(envelope.sender),
                "says": describe(envelope.body),
                "receipt": describe_receipt(receipt),
            }
            for envelope, (_, _, receipt) in zip(envelopes, found, strict=True)
        ],
    }


def block_lines(facts: dict[str, Any]) -> list[str]:
    """One block, for people."""
    lines = [
        f"block {facts['height']} ({facts['time']}), signed by {facts['validators_signed']}",
        f"  state before it {facts['state_before']}",
    ]
    for one in facts["transactions"]:
        lines += [f"  {one['sender']}: {cut(one['says'], 80)}", f"    {cut(one['receipt'], 90)}"]
    return lines if facts["transactions"] else [*lines, "  no transactions"]


def entries_of(opened: WorldLedger, names: Names, what: str) -> list[tuple[Collection, bytes, bytes]]:
    """Every entry under an id: what it is, its flat key, its bytes. Raises `NotFound`, `Ambiguous`."""
    name = resolve(opened, names, what)
    found = []
    for collection in SINGLE:
        key = entry_key(collection, name)
        value = opened.read(key)
        if value is not None:
            found.append((collection, key, value))
    state = state_of(opened)
    for attestor in (*state.offices.accreditors, state.network.members):
        for claim in Claim:
            key = entry_key(Collection.ATTESTATION, name, attestor, claim.value.encode())
            value = opened.read(key)
            if value is not None:
                found.append((Collection.ATTESTATION, key, value))
    if not found:
        raise NotFound(f"the ledger has no entry under {name.hex()}")
    return found


def resolve(opened: WorldLedger, names: Names, what: str) -> Digest:
    """The id that is meant by a name, an id, or the beginning of one."""
    for account, known in names.by_account.items():
        if what in known:
            return account
    if len(what) == 64 and is_hex(what):
        return Digest(bytes.fromhex(what))
    return find_id(what, sorted({*names.by_account, *made_ids(opened)}), "entry or organisation")


def made_ids(opened: WorldLedger) -> Iterator[Digest]:
    """The ids of everything that came to be, in order."""
    for _, _, receipt in opened.transactions(1, opened.height()):
        if receipt.number == 0 and receipt.made is not None:
            yield receipt.made


def entry_facts(collection: Collection, key: bytes, value: bytes) -> dict[str, Any]:
    """One entry as JSON values."""
    entry = decode(value, ENTRY_TYPES[collection])
    return {"collection": collection.name.lower(), "key": key.hex(), "entry": as_json_values(entry)}


def entry_lines(key: bytes, value: bytes, names: Names) -> list[str]:
    """One entry, for people: what it is, then a field a line."""
    head, _, rest = describe_entry(key, value).partition(": ")
    for account, (_, title) in names.by_account.items():
        head = head.replace(f"{account[:8].hex()}…", title)
        rest = rest.replace(f"{account[:8].hex()}…", title)
    return [head, *(f"  {line}" for line in wrapped(rest))]


def wrapped(text: str, width: int = 96) -> Iterator[str]:
    """A list of fields in lines that fit, broken at commas."""
    line = ""
    for part in text.split(", "):
        joined = f"{line}, {part}" if line else part
        if line and len(joined) > width:
            yield line + ","
            line = part
        else:
            line = joined
    yield line


@ledger.command(short_help="Replay every block from genesis.")
@dir_option
@json_option
def check(folder: Path, as_json: bool) -> None:
    """Replay the whole log from genesis and compare every block and root with what was signed.

    Exit code 8 at the first that differs.

    \b
    Examples:
      edgehold ledger check
      edgehold ledger check --json
    """
    with open_ledger(folder) as opened:
        is_own = isinstance(opened, EmbeddedLedger)
        height = opened.check() if isinstance(opened, EmbeddedLedger) else read_whole(opened)
        facts = ledger_facts(opened)
    facts["checked_to"] = height
    says = "replayed from genesis: every header, receipt and root is as it was signed"
    proved = "read from the validators: every header, transaction and receipt is proved (`node verify` also replays)"
    emit(as_json, facts, f"{height} blocks {says if is_own else proved}")


def read_whole(opened: WorldLedger) -> int:
    """Read every block that validators keep; raises `NodeError` for what does not hold."""
    height = opened.height()
    for _ in opened.transactions(1, height):
        pass
    return height


# ── the public catalogue ──────────────────────────────────────────────────────────────────────────────────────────


@click.command(short_help="Panels, programs and services to choose from.")
@dir_option
@json_option
def catalog(folder: Path, as_json: bool) -> None:
    """The public catalogue: which panels of persons there are, which programs, and which services with what record.

    What persons hold is not in it; ask with a feasibility order.

    \b
    Examples:
      edgehold catalog
      edgehold catalog --dir demo-out --json
    """
    with open_ledger(folder) as opened:
        names, state = read_names(folder), state_of(opened)
        made = list(made_ids(opened))
        panels = [facts for one in made if (facts := panel_facts(state, PanelId(one), names))]
        known = {name: one.manifest.name for name, one in programs_in(folder).items()}
        programs = [facts for one in made if (facts := program_facts(state, ProgramId(one), names, known))]
        services = [facts for account in names.by_account if (facts := service_facts(state, account, names))]
    emit(as_json, {"panels": panels, "programs": programs, "services": services}, [
        *panel_lines(panels), "", *program_lines(programs), "", *service_lines(services)
    ])  # fmt: skip


def panel_facts(state: State, panel: PanelId, names: Names) -> dict[str, Any] | None:
    """One panel as its public descriptor says, if the id is one."""
    entry = find_panel(state, panel)
    if entry is None:
        return None
    about = entry.descriptor
    return {
        "panel": panel.hex(),
        "issuer": names.title(entry.issuer),
        "scheme": about.scheme,
        "period": about.period,
        "kinds": [kind.value for kind in about.kinds],
        "grade": about.grade.value,
        "schemas": list(about.schemas),
        "enrolled": entry.enrolled,
        "slots": about.slots,
        "slots_left": about.slots - entry.next_slot,
        "open": entry.closed_at is None,
    }


def panel_lines(panels: list[dict[str, Any]]) -> list[str]:
    rows = [
        [
            one["panel"][:16],
            one["issuer"],
            f"{one['scheme']}, period {one['period']}",
            ", ".join(one["kinds"]),
            one["grade"].replace("_", "-"),
            "open" if one["open"] else f"{one['enrolled']:,}",
            f"{one['slots_left']} of {one['slots']}",
        ]
        for one in panels
    ]
    return table(rows, ["panel", "issuer", "scheme", "kinds", "grade", "persons", "tasks left"])


def program_facts(state: State, program: ProgramId, names: Names, known: dict[bytes, str]) -> dict[str, Any] | None:
    """One published program, if the id is one."""
    entry = find_program(state, program)
    if entry is None:
        return None
    about = entry.descriptor
    return {
        "program": program.hex(),
        "name": known.get(program),
        "publisher": names.title(entry.publisher),
        "reads": about.schema,
        "kind": about.measurement.kind.value,
        "length": about.measurement.length,
        "sensitivity": about.sensitivity.value,
        "approvals": entry.approvals,
        "objections": entry.objections,
    }


def program_lines(programs: list[dict[str, Any]]) -> list[str]:
    rows = [
        [
            one["name"] or one["program"][:16],
            one["publisher"],
            f"{one['kind']} of {one['length']}",
            one["reads"],
            one["sensitivity"],
            f"{one['approvals']} : {one['objections']}",
        ]
        for one in programs
    ]
    return table(rows, ["program", "publisher", "result", "reads", "outcome", "reviews"])


def service_facts(state: State, account: AccountId, names: Names) -> dict[str, Any] | None:
    """One service with its record and score, if the account is that of one."""
    found = find_account(state, account)
    claims = {one.claim for one in live_attestations(state, account)}
    if found is None or found.role is not Role.ORGANISATION or not claims & {Claim.ACCREDITED, Claim.INDEPENDENT}:
        return None
    standing = get_standing(state, account)
    return {
        "service": account.hex(),
        "name": names.title(account),
        "sponsor": None if found.sponsor is None else names.title(found.sponsor),
        "claims": sorted(claim.value for claim in claims),
        "score": score(standing, Prior.ACCREDITED, state.parameters.acceptance_cap) / PPM,
        "tasks": standing.tasks,
        "acceptances": standing.acceptances,
        "audits": standing.audits,
        "suspended_at": standing.suspended_at if is_suspended(standing) else None,
    }


def service_lines(services: list[dict[str, Any]]) -> list[str]:
    rows = [
        [
            one["name"],
            f"{one['score']:.2f}",
            "aggregates" if Claim.INDEPENDENT.value in one["claims"] else "leads",
            str(one["sponsor"]),
            str(one["tasks"]),
            str(one["acceptances"]),
            "" if one["suspended_at"] is None else f"suspended since {one['suspended_at']}",
        ]
        for one in sorted(services, key=lambda one: -one["score"])
    ]
    return table(rows, ["service", "credibility", "role", "attested by", "tasks", "accepted", ""])
