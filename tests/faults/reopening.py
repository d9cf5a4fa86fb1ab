"""What is left of a demo's folder whose process was killed: opened by every party's own classes and held to its word.

Run as a program, it is the fresh process after the death: it opens everything, measures how long that takes, looks for
broken promises, then lets the user's commands go on from there to the end, and looks once more.
"""

from __future__ import annotations

import contextlib
import io
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

from hub_history import is_paid, journal_faults, rank
from planted import PLANTED
from service_history import aggregator_faults, promise_in_answer, promise_in_message, promise_in_transaction
from witness import without_pictures, witness

from edgehold.aggregation.report import report_digest
from edgehold.cli import run
from edgehold.cli.hub import surroundings
from edgehold.cli.network import open_ledger, state_of
from edgehold.crypto.cose import open1
from edgehold.customer.orders import OrderStatus, OrderStore
from edgehold.demo import cast
from edgehold.demo.parties import load_key, organisation_account
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.errors import EdgeholdError, FolderInUse, NotANetwork, NotFounded
from edgehold.hub.catalog import Postings
from edgehold.hub.hub import Hub
from edgehold.hub.journal import Run, RunState
from edgehold.issuer.register import Register
from edgehold.ledger.state import find_task
from edgehold.policy.policy import Mode
from edgehold.sandbox.compiled import default_cache, prepare_runtime
from edgehold.sandbox.host import Sandbox
from edgehold.service.storage import Storage
from edgehold.verify.header import hash_header
from edgehold.wire.codec import decode, encode
from edgehold.wire.enrolment import AccountAsked, AskAccount, Enrol, Enrolled, FromIssuer, ToIssuer
from edgehold.wire.ids import AccountId, Digest, OrderId, PanelId, TaskId
from edgehold.wire.order import PlaceOrder
from edgehold.wire.report import decode_report
from edgehold.wire.root import CommitRoot
from edgehold.wire.service import Answer
from edgehold.wire.task import AcceptResult
from edgehold.wire.tx import Envelope

T = TypeVar("T")
Notes = list[dict[str, Any]]


@dataclass
class Remains:
    """Every party of a folder, open again."""

    folder: Path
    ledger: EmbeddedLedger
    register: Register
    nodes: dict[AccountId, Storage] = field(default_factory=dict)
    customers: dict[AccountId, OrderStore] = field(default_factory=dict)
    hubs: dict[AccountId, Hub] = field(default_factory=dict)
    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)
    """How long it took to open one party of a kind, the slowest, and all of them: of the clock and of the processor."""


@contextmanager
def reopened(folder: Path) -> Iterator[Remains]:
    """Open what lies in the folder; a party that is not whole yet is not there. Raises `NotANetwork`."""
    seconds: dict[str, tuple[float, float]] = {}

    def timed(kind: str, make: Callable[[], T]) -> T:
        wall, processor = time.monotonic(), time.process_time()
        made = make()
        took = time.monotonic() - wall, time.process_time() - processor
        seconds[kind] = max(seconds.get(kind, (0.0, 0.0)), took)
        return made

    began = time.monotonic(), time.process_time()
    with ExitStack() as stack:
        ledger = timed("ledger", lambda: stack.enter_context(open_ledger(folder)))
        sandbox = stack.enter_context(Sandbox(prepare_runtime(default_cache(), lambda _: None)))
        place = folder / "organisations"
        key = bytes.fromhex((place / cast.ISSUER.name / "storage.key").read_text())
        register = timed("issuer", lambda: Register(place / cast.ISSUER.name / "register.sqlite", key))
        stack.callback(register.close)
        left = Remains(folder, ledger, register, seconds=seconds)
        for one in cast.SERVICES:
            node = timed("service node", lambda one=one: Storage(place / one.name / "tasks.sqlite"))
            stack.callback(node.close)
            left.nodes[account_in(place / one.name)] = node
        for one in cast.CUSTOMERS:
            store = timed("customer", lambda one=one: OrderStore(place / one.name))
            stack.callback(store.close)
            left.customers[account_in(place / one.name)] = store
        for path in sorted((folder / "hubs").glob("*")):
            with contextlib.suppress(EdgeholdError):  # one that was promised to anybody is missed later
                hub = timed("hub", lambda path=path: open_hub(path, ledger, sandbox))
                stack.callback(hub.close)
                left.hubs[hub.account] = hub
        seconds["all parties"] = time.monotonic() - began[0], time.process_time() - began[1]
        yield left


def open_hub(path: Path, ledger: EmbeddedLedger, sandbox: Sandbox) -> Hub:
    """A hub with both its files."""
    hub = Hub.open(path, surroundings(ledger, sandbox))
    hub.panels()
    return hub


def account_in(folder: Path) -> AccountId:
    """The account of the organisation of a folder."""
    return organisation_account(load_key(folder))


def account_of(left: Remains, one: cast.Organisation) -> AccountId:
    """An organisation's account."""
    return account_in(left.folder / "organisations" / one.name)


# ── what must be true, whatever was promised ──────────────────────────────────────────────────────────────────────


def faults(left: Remains) -> Iterator[str]:
    """What is wrong with the parties, each by itself and among each other."""
    left.ledger.check()
    for account, hub in left.hubs.items():
        yield from (f"hub {account.hex()[:8]}: {fault}" for fault in journal_faults(hub))
        yield from (f"hub {account.hex()[:8]}: {fault}" for fault in budget_faults(hub))
    for account, node in left.nodes.items():
        for (task,) in node._run("SELECT task FROM task"):
            yield from (f"node {account.hex()[:8]}: {fault}" for fault in aggregator_faults(node, TaskId(task)))
        count, tasks, keys = node._row("SELECT count(*), count(DISTINCT report), count(DISTINCT slot_key) FROM report")
        if not count == tasks == keys:
            yield f"node {account.hex()[:8]}: {count} reports, {tasks} different, {keys} slot keys"
    yield from report_faults(left)
    yield from batch_faults(left)


def store_faults(left: Remains) -> Iterator[str]:
    """What is wrong with what the hubs keep."""
    for account, hub in left.hubs.items():
        yield from (f"hub {account.hex()[:8]}: {fault}" for fault in hub.store.check())


def budget_faults(hub: Hub) -> Iterator[str]:
    """What was spent is what the stored runs cost, and the rest is left."""
    stored = [run for run in hub._journal.runs(*RunState) if run.report is not None]
    costs = sum((Fraction(run.record.question.loss) for run in stored), Fraction(0))
    spent = sum((one.loss for one in hub.budget().spent), Fraction(0))
    if spent != costs or len(hub.budget().spent) != len(stored):
        yield f"{len(stored)} stored runs cost {costs}, spent was {spent}"


def runs_of(left: Remains) -> Iterator[tuple[AccountId, Run]]:
    """Every run of every hub."""
    for account, hub in left.hubs.items():
        for one in hub._journal.runs(*RunState):
            yield account, one


def report_faults(left: Remains) -> Iterator[str]:
    """Each report is of one hub and one task; one with a receipt lies at its leader as it was sent."""
    reports = Counter(decode_report(run.report).metadata.report for _, run in runs_of(left) if run.report is not None)
    yield from (f"report {one.hex()} is in {count} runs" for one, count in reports.items() if count > 1)
    for account, one in runs_of(left):
        if one.report is None or one.receipt is None:
            continue
        node = left.nodes[one.configuration.leader.account]
        found = node.find_report(one.task, decode_report(one.report).metadata.report)
        if found is None or found.digest != report_digest(one.report):
            yield f"hub {account.hex()[:8]} has a receipt for what its leader does not have"


def batch_faults(left: Remains) -> Iterator[str]:
    """In every closed batch both services list the same reports, as many as the ledger says, each of one hub."""
    stored = {
        (one.task, decode_report(one.report).metadata.report) for _, one in runs_of(left) if one.report is not None
    }
    state = state_of(left.ledger)
    for task in {TaskId(task) for node in left.nodes.values() for (task,) in node._run("SELECT task FROM task")}:
        entry = find_task(state, task)
        if entry is None or entry.batch is None:
            continue
        both = [node for node in left.nodes.values() if node.find_task(task) is not None]
        lists = [[leaf.report for leaf in node.leaves(task, accepted=True)] for node in both]
        if len(lists) != 2 or lists[0] != lists[1] or len(set(lists[0])) != entry.batch.statement.accepted:
            yield f"task {task.hex()}: lists of {[len(one) for one in lists]}, {entry.batch.statement.accepted} on the ledger"
        strange = [one for one in lists[0] if (task, one) not in stored]
        if strange:
            yield f"task {task.hex()} counts {len(strange)} reports that no hub stored"


# ── what was promised ─────────────────────────────────────────────────────────────────────────────────────────────


def broken(left: Remains, notes: Notes) -> Iterator[str]:
    """The promises that are not kept."""
    for note in notes:
        try:
            if not is_kept(left, note):
                yield f"lost: {note['promise']} {str(note)[:200]}"
        except (EdgeholdError, KeyError, TypeError) as error:
            yield f"lost: {note['promise']}: {type(error).__name__} {error}"
    runs = Counter((note["account"], note["task"]) for note in notes if note["promise"] == "run")
    yield from (f"hub {hub[:8]} ran {count} times for {task}" for (hub, task), count in runs.items() if count > 1)


def is_kept(left: Remains, note: dict[str, Any]) -> bool:
    """Whether one promise is kept."""
    account = AccountId(Digest(bytes.fromhex(note.get("account", ""))))
    match note["promise"]:
        case "header":
            signed = left.ledger.header(note["height"])
            return signed is not None and hash_header(signed.header).hex() == note["hash"]
        case "transaction":
            return is_known(left, bytes.fromhex(note["bytes"]))
        case "order":
            return left.customers[account].row(OrderId(Digest(bytes.fromhex(note["id"])))) is not None
        case "panel":
            return left.register.panel(PanelId(Digest(bytes.fromhex(note["id"])))) is not None
        case "upload":
            return is_paid(left.hubs[account], task_in(note), bytes.fromhex(note["report"]))
        case "run":
            return rank(left.hubs[account]._journal.run(task_in(note))) > 0
        case "message":
            is_kept_by = promise_in_message(bytes.fromhex(note["message"]))[1]
            return is_kept_by(left.nodes[account]) or account == account_of(
                left, cast.TWO_FACED
            )  # it says what it drops
        case "answer issuer":
            return knows_person(left, bytes.fromhex(note["message"]), bytes.fromhex(note["answer"]))
        case "import_file":
            held = {one.id.hex() for one in left.hubs[account].store.objects()}
            return held >= set(note["datasets"])
        case "set_policy":
            policy = left.hubs[account].policy
            return encode(policy).hex() == note["policy"] or policy.mode is Mode.NEVER  # the owner withdrew since
        case "enrol":
            return all(
                left.hubs[account]._journal.moduli(PanelId(Digest(bytes.fromhex(one)))) for one in note["panels"]
            )
        case "end":
            return True
        case _:
            return knows_answer(left.nodes[account], note)


def task_in(note: dict[str, Any]) -> TaskId:
    """The task of a promise."""
    return TaskId(Digest(bytes.fromhex(note["task"])))


def knows_answer(node: Storage, note: dict[str, Any]) -> bool:
    """Whether a node knows what it answered."""
    message, answer = bytes.fromhex(note["message"]), decode(bytes.fromhex(note["answer"]), Answer)
    parties = (promise_in_answer(is_leader, message, answer)[1](node) for is_leader in (True, False))
    return any(parties)


def knows_person(left: Remains, message: bytes, answer: bytes) -> bool:
    """Whether the issuer knows whose account it opened, and whom it enrolled."""
    asked: ToIssuer = decode(message, ToIssuer)
    match asked, decode(answer, FromIssuer):
        case AskAccount(invitation=invitation), AccountAsked():
            person = left.register.person_invited(invitation)
            return person is not None and person.account is not None
        case Enrol(), Enrolled(panel=panel):
            return left.register.enrolled(panel) > 0
        case _:
            return True


def is_known(left: Remains, transaction: bytes) -> bool:
    """Whether whoever submitted a transaction knows what it will need of it."""
    envelope: Envelope = decode(open1(transaction).payload, Envelope)
    if envelope.sender in left.nodes:
        return promise_in_transaction(transaction)[1](left.nodes[envelope.sender])
    match envelope.body:
        case PlaceOrder():
            rows = left.customers[envelope.sender].rows()
            return any(row.placed == envelope.body for row in rows)
        case AcceptResult() if envelope.sender in left.customers:
            rows = left.customers[envelope.sender].rows()
            return any(row.sent == transaction and row.certificate is not None for row in rows)
        case CommitRoot(root=root) if envelope.sender in left.hubs:
            kept = decode(left.hubs[envelope.sender].store.get_fact("postings"), Postings).newest_first
            return root in [one.root for one in kept]
        case _:
            return True


# ── going on ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Said:
    """What a command said with --json, and how it ended."""

    code: int
    facts: dict[str, Any]


def call(*words: str | Path) -> Said:
    """Run a command as a user does."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
        code = run([*map(str, words), "--json"])
    return Said(code, json.loads(said.getvalue()))


def is_founded(folder: Path) -> bool:
    """Whether the demo came as far as a network on which orders can be placed."""
    facts = folder / "world.json"
    return facts.is_file() and bool(json.loads(facts.read_text())["panels"])


def go_on(folder: Path, words: list[str]) -> Iterator[str]:
    """What goes wrong when a user goes on: every open order comes to its end, and there is a certificate that holds."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    if not is_founded(folder):
        is_network = all((folder / name).exists() for name in ("world.json", "ledger/ledger.sqlite"))
        expected = NotFounded if is_network else NotANetwork
        yield from refusal_faults(call("order", *words, "--dir", folder), expected)
        yield from refusal_faults(call("demo", "--hubs", "6", "--dir", folder), FolderInUse)
        return
    certificates = []
    for one in call("order", "status", "--dir", folder).facts["orders"]:
        if OrderStatus(one["status"]).is_open:
            ended = call("order", "result", one["order"], "--dir", folder)
            if ended.code == 0:
                certificates.append(ended.facts["certificate"])
            elif one["leader"] != cast.TWO_FACED.title:
                yield f"order {one['order']} does not come to its end: {ended}"
    if not certificates:
        new = call("order", *words, "--dir", folder)
        if new.code != 0:
            yield f"no new order can be placed: {new}"
            return
        certificates.append(new.facts["certificate"])
    for certificate in certificates:
        verified = call("verify", certificate, "--genesis", folder / "genesis.cbor")
        if verified.code != 0:
            yield f"{certificate} does not hold: {verified}"


def refusal_faults(said: Said, expected: type[EdgeholdError]) -> Iterator[str]:
    """What is wrong with a refusal: it is to be a certain one, in words."""
    if said.code == 0 or said.facts.get("error", {}).get("error") != expected.__name__:
        yield f"{expected.__name__} was to be said: {said}"


# ── the fresh process ─────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Found:
    """What a look at a folder shows: how long each party took to open, what is wrong, how many orders are open."""

    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    open_orders: int = 0
    running: int = 0
    """Programs that ran when it happened."""


def look(folder: Path, notes: Notes, *, closely: bool) -> Found:
    """Open what lies there and hold it to its word; closely, every record in the hubs is looked at too."""
    try:
        with reopened(folder) as left:
            open_orders = sum(len(store.open_rows()) for store in left.customers.values())
            records = list(store_faults(left)) if closely else []
            running = sum(run.state is RunState.GRANTED for _, run in runs_of(left))
            return Found(left.seconds, [*records, *faults(left), *broken(left, notes)], open_orders, running)
    except NotANetwork as error:
        promised = [note["promise"] for note in notes if note["promise"] != "transaction"]
        return Found(faults=[f"{error}, after {promised[:3]}"] if promised else [])


def main(folder: Path, notes: Notes, planted: str | None, words: list[str]) -> dict[str, Any]:
    """Open, look, go on, look again."""
    first = look(folder, notes, closely=True)
    founded = is_founded(folder)
    if planted is not None:
        PLANTED[planted]()
    since: Notes = []
    without_pictures()
    witness(since.append)
    going_on = [f"going on: {fault}" for fault in go_on(folder, words)]
    last = look(folder, notes + since, closely=False)
    if founded and last.open_orders:
        going_on.append(f"{last.open_orders} orders are still open")
    violations = [*first.faults, *going_on, *(f"in the end: {fault}" for fault in last.faults)]
    return {
        "seconds": first.seconds,
        "violations": violations,
        "founded": founded,
        "interrupted": first.open_orders,
        "running": first.running,
    }


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    before = [json.loads(line) for line in Path(told["notes"]).read_text().splitlines()]
    print(json.dumps(main(Path(told["folder"]), before, told["planted"], told["words"])))
