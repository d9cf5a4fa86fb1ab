"""Every public operation of every party that writes, each with the network in which it is about to happen.

One small network (the scenarios' people) lives through an order. Before each operation its folder is copied: so every
operation can be tried again and again from the moment at which it happened.
"""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

import apsw
from kinds_of_files import small_export, small_files, versions
from msgspec.structs import replace
from scenario_world import CUSTOMER, HELPER, LEADER, OPEN, SEED, ScenarioWorld, found_scenario, open_scenario
from survival import memory_folder

from edgehold.cli import edgehold, file_failure
from edgehold.cli.hub import make_hub
from edgehold.cli.issuer import make_issuer
from edgehold.cli.network import VISITORS
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.seal import SealKeyPair
from edgehold.demo import cast
from edgehold.demo.charts import write_chart
from edgehold.demo.founding import is_grown, save_facts
from edgehold.demo.orders import write_certificate
from edgehold.demo.parties import Direct, load_key, make_key
from edgehold.demo.world import Resident, read_cohort, secret_file, write_genesis_files
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.errors import EdgeholdError, ErasedObject, all_errors
from edgehold.hub.archive import export_hub, import_hub
from edgehold.hub.hub import Hub
from edgehold.hub.journal import RunState
from edgehold.hub.keys import KIT_FILE, create_keys, load_keys, read_kit
from edgehold.hub.originals import write_originals
from edgehold.hub.repair import repair_hub
from edgehold.hub.store import LEAST_VERSION
from edgehold.policy.policy import Mode
from edgehold.ports import Peer
from edgehold.wire.codec import decode, encode
from edgehold.wire.enrolment import Declined, FromIssuer
from edgehold.wire.ids import Digest, PanelId, TaskId
from edgehold.wire.service import Answer, Failure, FromAggregator, Internal, Request
from edgehold.wire.sharing import Fetch, FetchRecord, FromHub, NoParcel

HUB, ASKED, DECLINING, REVOKING, NEW, NEWER, NEWEST, ELSEWHERE = 1, 2, 3, 4, 15, 16, 17, 18
"""A hub that answers by itself, two whose owners are asked, one that takes its yes back, and four that are not there yet."""

TAKES_IN = "a hub takes in "
"""How operations begin that differ only in the kind of what is taken in."""

TABLES = Path("/dev/shm/edgehold-tables")
FOUNDING, MAILBOX = "founding", "mailbox"
TODAY = date(2026, 11, 24)
FAR = 100

Act = Callable[[ScenarioWorld], object]
Contents = Mapping[str, object]
"""What a party's folder holds, in a form in which equal means equal."""


@dataclass(frozen=True)
class Operation:
    """Something that a party does, the folder that it does it in, and the network just before."""

    name: str
    stage: Path
    folder: str
    """Whose disk fails: a folder of the network."""
    act: Act
    again: Act
    """What the party does when there is room again: mostly the same."""
    makes: bool
    """Whether it makes something that was not there: what a failed attempt leaves is nothing yet, and in nobody's way."""

    def failing(self, world: Path) -> tuple[Path, ...]:
        """What is on the disk that fails."""
        place = world / self.folder
        return (place, place.with_name(f".{place.name}.part"), world / MAILBOX, world / VISITORS, TABLES)


@dataclass
class Story:
    """The operations of one order's life, in their order."""

    folder: Path
    operations: list[Operation] = field(default_factory=list)
    _stages: int = 0
    _named: set[str] = field(default_factory=set)

    def do(
        self,
        world: ScenarioWorld,
        name: str,
        folder: str,
        act: Act,
        *,
        again: Act | None = None,
        makes: bool = False,
        by_change: bool = False,
    ) -> Any:
        """Let an operation happen, noted the first time. One that recurs is noted once for each set of tables it changes."""
        stage = self._copy(world)
        before = contents(world.folder / folder)
        result = act(world)
        changes = changed(before, contents(world.folder / folder))
        title = f"{name}: {', '.join(changes)}" if by_change else name
        if title in self._named or (by_change and not changes):
            shutil.rmtree(stage)
        else:
            self._named.add(title)
            self.operations.append(Operation(title, stage, folder, act, again or act, makes))
        return result

    def _copy(self, world: ScenarioWorld) -> Path:
        self._stages += 1
        stage = self.folder / f"stage {self._stages}"
        shutil.copytree(world.folder, stage, ignore=shutil.ignore_patterns("*-shm"))
        return stage


class Overheard:
    """A way to a service on which each message is noted as an operation of who receives it."""

    def __init__(self, story: Story, world: ScenarioWorld, name: str) -> None:
        self._story, self._world, self._name = story, world, name

    def send(self, message: bytes) -> bytes:
        """Deliver; a message that changes nothing is none of ours."""
        title = f"the {role(self._name)} answers {kind_of(message)}"
        answer: bytes = self._story.do(
            self._world, title, organisation(self._name), answering(self._name, message), by_change=True
        )
        return answer


# ── the story ─────────────────────────────────────────────────────────────────────────────────────────────────────


def live(folder: Path) -> list[Operation]:
    """One order's life, and what comes before and after it in a hub; every operation on the way."""
    found_scenario(folder / "world", SEED)
    story = Story(folder)
    with open_scenario(folder / "world") as world:
        (world.folder / FOUNDING).mkdir()
        (world.folder / MAILBOX).mkdir()
        _found(story, world)
        _settle(story, world)
        _start_again(story, world)
        for name in (LEADER, HELPER):
            world.directory.peers[world.account(name)] = Overheard(story, world, name)
        task = _work(story, world)
        _look_back(story, world, task)
        _share(story, world)
        _move(story, world)
        _fill(story, world)
        _come_to_an_end(story, world)
        _write_for_people(story, world)
        _start_the_others(story, world)
        _command(story, world)
    return story.operations


def _found(story: Story, world: ScenarioWorld) -> None:
    """Files that a network and its parties begin with."""
    story.do(world, "an organisation makes its key", f"{FOUNDING}/key", _make_key, makes=True)
    story.do(world, "the issuer makes its storage key", f"{FOUNDING}", _make_storage_key, makes=True)
    story.do(world, "genesis is written", f"{FOUNDING}", lambda world: _write_genesis(world), makes=True)
    story.do(world, "the network's facts are written", "", save_facts)


def _make_key(world: ScenarioWorld) -> None:
    make_key(world.folder / FOUNDING / "key", world.dice.of("another key"))


def _make_storage_key(world: ScenarioWorld) -> None:
    secret_file(world.folder / FOUNDING / "storage.key", world.dice.of("another storage key"))


def _write_genesis(world: ScenarioWorld) -> None:
    write_genesis_files(world.folder / FOUNDING, world.genesis)


def _settle(story: Story, world: ScenarioWorld) -> None:
    """A new hub: keys, store, account, record, root, panel, policy."""
    issuer, place = organisation(cast.ISSUER.name), hub_place(NEW)
    record = next(bundle for bundle in islice(read_cohort(None), NEW - 1, None) if is_grown(bundle))
    signed = story.do(world, "the issuer signs a record", issuer, lambda world: world.issuer.sign_record(record, TODAY))
    path = world.folder / MAILBOX / "record.json"
    path.write_bytes(record)
    path.with_name("record.json.jws").write_bytes(signed.signature)
    story.do(world, "a hub's keys are made", place, _make_hub_keys, makes=True)
    story.do(world, "a hub is made", place, _make_hub, makes=True)
    ask = sent(lambda line: hub(world, NEW).ask_account(line, world.issuer.account, signed.invitation))
    story.do(world, "the issuer sponsors a hub", issuer, at_the_desk(ask), by_change=True)
    _make_blocks(story, world)
    story.do(world, "a hub takes a record in", place, _import)
    story.do(world, "a hub commits", place, lambda world: hub(world, NEW).commit())
    _make_blocks(story, world)
    panel: PanelId = story.do(world, "the issuer declares a panel", issuer, _declare)
    _make_blocks(story, world)
    visit = sent(lambda line: hub(world, NEW).enrol(Through(line, world.issuer.handle, last=1), panel))
    story.do(world, "the issuer enrols a hub", issuer, at_the_desk(visit), by_change=True)
    enrolling = lambda world: hub(world, NEW).enrol(Direct(world.issuer.handle), panel)  # noqa: E731
    story.do(world, "a hub enrols", place, enrolling)
    story.do(world, "the issuer closes a panel", issuer, lambda world: world.issuer.close_panel(panel))
    story.do(world, "an owner sets a policy", place, lambda world: hub(world, NEW).set_policy(OPEN))
    world.ledger.advance()


def _make_hub_keys(world: ScenarioWorld) -> None:
    create_keys(world.hub_folder(NEW), world.dice.of("keys of another hub"))


def _make_hub(world: ScenarioWorld) -> None:
    folder = world.hub_folder(NEW)
    with Hub.create(folder, load_keys(folder), world.surroundings(NEW)):
        pass


def _import(world: ScenarioWorld) -> None:
    hub(world, NEW).import_file(world.folder / MAILBOX / "record.json")


def _declare(world: ScenarioWorld) -> PanelId:
    schemas = ("edgehold.events/1",)
    return world.issuer.declare_panel(scheme=cast.SCHEME, period=1, number=0, slots=1, schemas=schemas)


def _start_again(story: Story, world: ScenarioWorld) -> None:
    """What opening a party's files writes and opens."""
    for name in (LEADER, HELPER):
        starting = lambda world, name=name: world.restart_service(name)  # noqa: E731
        story.do(world, f"the {role(name)} starts", organisation(name), starting)
    story.do(world, "a hub opens", hub_place(HUB), _open_hub)


def _open_hub(world: ScenarioWorld) -> None:
    hub(world, HUB).close()
    with Hub.open(world.hub_folder(HUB), world.surroundings(HUB)) as opened:
        opened.history()
        opened.store.objects()


def _work(story: Story, world: ScenarioWorld) -> TaskId:
    """One order to its end, at which owners intervene."""
    hub(world, REVOKING).set_policy(OPEN)
    for number in (ASKED, DECLINING):
        hub(world, number).set_policy(replace(OPEN, mode=Mode.ASK))
    customer = organisation(CUSTOMER)
    order = story.do(world, "the customer places an order", customer, lambda world: world.order())
    while world.row(order).status.is_open:
        for name in (LEADER, HELPER):
            story.do(world, f"the {role(name)} steps", organisation(name), stepping(name), by_change=True)
        customer_steps = f"the customer steps, its order is {world.row(order).status.value}"
        story.do(world, customer_steps, customer, _customer_steps, by_change=True)
        for resident in world.residents:
            if resident.number in (HUB, ASKED, DECLINING, REVOKING):
                following = lambda world, number=resident.number: hub(world, number).follow()  # noqa: E731
                story.do(world, "a hub follows", hub_place(resident.number), following, by_change=True)
            else:
                resident.hub.follow()
        task = world.task_of(order)
        if task is not None:
            _intervene(story, world, task)
        _make_blocks(story, world)
    assert task is not None
    for name in (LEADER, HELPER):
        story.do(world, f"the {role(name)} steps", organisation(name), stepping(name), by_change=True)
    return task


def _customer_steps(world: ScenarioWorld) -> None:
    world.customers[CUSTOMER].step()


def _intervene(story: Story, world: ScenarioWorld, task: TaskId) -> None:
    """One owner says yes, one says no, one takes back what was sent."""
    if hub(world, ASKED).inbox():
        story.do(world, "an owner says yes", hub_place(ASKED), saying_yes(task), again=_say_yes_again(task))
    if hub(world, DECLINING).inbox():
        saying_no = lambda world: hub(world, DECLINING).answer(task, yes=False)  # noqa: E731
        story.do(world, "an owner says no", hub_place(DECLINING), saying_no)
    line = world.line(REVOKING, task)
    if line is not None and line.state is RunState.SENT and line.revoked_at is None:
        revoking = lambda world: hub(world, REVOKING).revoke(task)  # noqa: E731
        story.do(world, "an owner revokes", hub_place(REVOKING), revoking)


def saying_yes(task: TaskId) -> Act:
    """The owner's yes."""
    return lambda world: hub(world, ASKED).answer(task, yes=True)


def _say_yes_again(task: TaskId) -> Act:
    """The owner looks whether the question still stands; if the yes was heard, the hub does by itself what is left."""

    def act(world: ScenarioWorld) -> None:
        if hub(world, ASKED).inbox():
            saying_yes(task)(world)
        else:
            hub(world, ASKED).follow()

    return act


def _look_back(story: Story, world: ScenarioWorld, task: TaskId) -> None:
    """What a hub does when all is over."""
    for number in (HUB, REVOKING):
        checking = lambda world, number=number: hub(world, number).check_batch(task)  # noqa: E731
        story.do(world, "a hub checks the batch", hub_place(number), checking, by_change=True)


def _share(story: Story, world: ScenarioWorld) -> None:
    """A record is shared, fetched, and shared no more."""
    place, until = hub_place(HUB), world.ledger.height() + FAR
    dataset = next(one.id for one in hub(world, HUB).store.objects())
    sharing = lambda world: hub(world, HUB).share(dataset, world.account(CUSTOMER), until)  # noqa: E731
    share: Digest = story.do(world, "an owner shares a record", place, sharing)
    story.do(world, "a hub hands a shared record out", place, fetching(share))
    withdrawing = lambda world: hub(world, HUB).withdraw_share(share)  # noqa: E731
    story.do(world, "an owner ends a share", place, withdrawing)


def fetching(share: Digest) -> Act:
    """The customer fetches a shared record; that a hub's disk fails is an answer too, and raised here."""

    def act(world: ScenarioWorld) -> bytes:
        pair = SealKeyPair(world.dice.of("a fetch").draw(32))
        fetch = Fetch(world.ledger.network, share, world.account(CUSTOMER), pair.public, world.ledger.height())
        signature = world.keys[CUSTOMER].sign(tagged_hash("fetch", encode(fetch)))
        answer = hub(world, HUB).handle(encode(FetchRecord(fetch=fetch, signature=signature)))
        told: FromHub = decode(answer, FromHub)
        if isinstance(told, NoParcel):
            raise error_of(told.number, told.facts)
        return answer

    return act


def _move(story: Story, world: ScenarioWorld) -> None:
    """A hub is written into one file, made again of it elsewhere, and mended with it."""
    place = hub_place(HUB)
    story.do(world, "a hub is written into an archive", place, _export)
    story.do(world, "a lost hub is restored", hub_place(NEWEST), _restore, makes=True)
    story.do(world, "an archive becomes a hub elsewhere", hub_place(ELSEWHERE), _import_archive, makes=True)
    hub(world, HUB).store.execute("DELETE FROM chunk")
    story.do(world, "a damaged hub is mended", place, _repair)


def _export(world: ScenarioWorld) -> None:
    with as_a_command():
        export_hub(world.hub_folder(HUB), world.hub_folder(HUB) / "hub.age")


def _restore(world: ScenarioWorld) -> None:
    kit = read_kit(world.hub_folder(HUB) / KIT_FILE)
    with as_a_command():
        archive = world.hub_folder(HUB) / "hub.age"
        import_hub(archive, world.hub_folder(NEWEST), [kit.identity], network="here\n", kit=kit)


def _import_archive(world: ScenarioWorld) -> None:
    kit = read_kit(world.hub_folder(HUB) / KIT_FILE)
    with as_a_command():
        import_hub(world.hub_folder(HUB) / "hub.age", world.hub_folder(ELSEWHERE), [kit.identity], network=None)


def _repair(world: ScenarioWorld) -> None:
    kit = read_kit(world.hub_folder(HUB) / KIT_FILE)
    with as_a_command():
        archive = world.hub_folder(HUB) / "hub.age"
        repair_hub(world.hub_folder(HUB), archive, [kit.identity], world.dice.of("mending"))


def _fill(story: Story, world: ScenarioWorld) -> None:
    """A hub takes in files of every kind; their tables are read, everything is checked and written out again."""
    place, inbox = hub_place(NEW), world.folder / MAILBOX
    files = small_files()
    header = files.pop("100.hea")
    (inbox / "100.hea").write_bytes(header)
    for name, content in files.items():
        (inbox / name).write_bytes(content)
        story.do(world, f"{TAKES_IN}{name}", place, taking_in(name))
    for number, version in enumerate(versions(LEAST_VERSION)):
        (inbox / "noted.csv").write_bytes(version)
        story.do(world, f"{TAKES_IN}{'the next' if number else 'a first'} version", place, taking_in("noted.csv"))
    assert any(one.after for one in hub(world, NEW).store.objects())
    for name, content in small_export().items():
        (inbox / name).write_bytes(content)
    story.do(world, f"{TAKES_IN}an export", place, taking_in(*small_export()))
    for statement in ("UPDATE object SET tables = NULL", "DELETE FROM rows"):
        hub(world, NEW).store.execute(statement)
    story.do(world, "a table is read, derived and kept", place, reading("100.dat"))
    story.do(world, "a table is read that is kept", place, reading("100.dat"))
    story.do(world, "a hub is checked", place, _check)
    story.do(world, "the originals are written out", f"{FOUNDING}/originals", _write_originals, makes=True)


def taking_in(*names: str) -> Act:
    """A hub takes files in, several of them as one."""

    def act(world: ScenarioWorld) -> None:
        own, paths = hub(world, NEW), [world.folder / MAILBOX / name for name in names]
        if len(paths) > 1:
            own.import_together(paths)
        else:
            own.import_file(paths[0])

    return act


def reading(name: str) -> Act:
    """The rows of a record's table are read."""

    def act(world: ScenarioWorld) -> None:
        own = hub(world, NEW)
        found = next(one.id for one in own.store.objects() if one.name == name)
        own.store.read_rows(found, [], {}, world.dice.of("a table"))

    return act


def _check(world: ScenarioWorld) -> None:
    hub(world, NEW).close()
    assert hub(world, NEW).check() == []


def _write_originals(world: ScenarioWorld) -> None:
    with as_a_command():
        write_originals(hub(world, NEW).store, world.folder / FOUNDING / "originals")


def _come_to_an_end(story: Story, world: ScenarioWorld) -> None:
    """Owners erase and leave; what is erased has a next version."""
    dataset = next(one.after for one in hub(world, NEW).store.objects() if one.after is not None)

    def erase_again(world: ScenarioWorld) -> None:
        with suppress(ErasedObject):
            hub(world, NEW).erase(dataset)

    erasing = lambda world: hub(world, NEW).erase(dataset)  # noqa: E731
    story.do(world, "an owner erases a record", hub_place(NEW), erasing, again=erase_again)
    story.do(world, "an owner erases everything", hub_place(HUB), lambda world: hub(world, HUB).erase())
    story.do(world, "a hub commits to what is left", hub_place(HUB), lambda world: hub(world, HUB).commit())
    story.do(world, "an owner withdraws", hub_place(HUB), lambda world: hub(world, HUB).withdraw())


def _start_the_others(story: Story, world: ScenarioWorld) -> None:
    """Parties on which others rely as long as the network goes on."""
    story.do(world, "the customer starts", organisation(CUSTOMER), _start_customer)
    story.do(world, "the issuer starts", organisation(cast.ISSUER.name), _start_issuer)
    story.do(world, "the ledger starts", "ledger", _start_ledger)


def _start_customer(world: ScenarioWorld) -> None:
    world.customers[CUSTOMER].close()
    world._open_customer(CUSTOMER).close()


def _start_issuer(world: ScenarioWorld) -> None:
    world._register.close()
    world._open_issuer()


def _start_ledger(world: ScenarioWorld) -> None:
    world.ledger.close()
    folder = world.folder / "ledger"
    EmbeddedLedger(folder, world.genesis, load_key(folder), world._clock(), world.dice.of("the ledger again")).close()


def _write_for_people(story: Story, world: ScenarioWorld) -> None:
    """Files that parties and commands write beside what they keep."""
    row = world.customers[CUSTOMER].orders()[0]
    writing = lambda world: write_certificate(world.folder / FOUNDING, "bmi", row)  # noqa: E731
    story.do(world, "a certificate is written", f"{FOUNDING}/certificates", writing)
    charting = lambda world: write_chart({"mark": "bar"}, world.folder / FOUNDING, "bmi")  # noqa: E731
    story.do(world, "a chart is written", FOUNDING, charting)
    story.do(world, "a program is begun", FOUNDING, _begin_program)
    story.do(world, "the command makes an issuer", f"{FOUNDING}/issuer", _make_issuer_by_command, makes=True)


def _command(story: Story, world: ScenarioWorld) -> None:
    """Commands that need the ledger for themselves."""
    story.do(world, "a policy is written for its owner", FOUNDING, _write_policy)
    story.do(world, "the command makes a hub", hub_place(NEWER), _make_hub_by_command, makes=True)


@contextmanager
def as_a_command() -> Iterator[None]:
    """What the system says of files becomes ours as it does in every command; what is printed is of no interest."""
    try:
        with redirect_stdout(io.StringIO()):
            yield
    except OSError as error:
        raise file_failure(error) from error


def _begin_program(world: ScenarioWorld) -> None:
    with as_a_command():
        edgehold.main(["program", "new", "smokers", "--dir", str(world.folder / FOUNDING)], standalone_mode=False)


def _make_issuer_by_command(world: ScenarioWorld) -> None:
    with as_a_command():
        make_issuer(world.folder, world.folder / FOUNDING / "issuer", "a clinic")


def _write_policy(world: ScenarioWorld) -> None:
    world.ledger.close()
    place, file = str(world.hub_folder(HUB)), str(world.folder / FOUNDING / "policy.toml")
    with as_a_command():
        edgehold.main(["hub", "policy", "--hub", place, "--write", file], standalone_mode=False)


def _make_hub_by_command(world: ScenarioWorld) -> None:
    world.ledger.close()
    with as_a_command():
        make_hub(world.folder, world.hub_folder(NEWER), minor=False)


def _make_blocks(story: Story, world: ScenarioWorld) -> None:
    """What waits goes into blocks; a copy of the network forgets what waits, so that it is submitted again."""
    waiting = [request.transaction for request, _ in world.ledger._waiting.values()]

    def act(world: ScenarioWorld) -> None:
        world.ledger.submit_many(waiting)
        world.ledger.advance()

    story.do(world, f"the ledger makes blocks of {'some' if waiting else 'no'} transactions", "ledger", act)


# ── who does what ─────────────────────────────────────────────────────────────────────────────────────────────────


def organisation(name: str) -> str:
    """Where an organisation's files lie."""
    return f"organisations/{name}"


def hub_place(number: int) -> str:
    """Where a hub lies."""
    return f"hubs/{number:04d}"


def role(name: str) -> str:
    """What a service is in this order."""
    return {LEADER: "leader", HELPER: "helper"}[name]


def hub(world: ScenarioWorld, number: int) -> Hub:
    """One person's hub; the new one is opened when it is first asked for."""
    if number > len(world.residents):
        opened = Hub.open(world.hub_folder(number), world.surroundings(number))
        world.residents.append(Resident(number=number, adult=True, hub=opened))
    return world.hub(number)


def stepping(name: str) -> Act:
    """A service does what is due."""
    return lambda world: world.services[name].step()


def kind_of(message: bytes) -> str:
    """What a message to a service is about."""
    asked = decode(message, Request)
    return type(decode(asked.body, Internal) if isinstance(asked, FromAggregator) else asked).__name__


def answering(name: str, message: bytes) -> Act:
    """A service answers a message; that its disk fails is an answer too, and raised here."""

    def act(world: ScenarioWorld) -> bytes:
        answer = world.services[name].handle(message)
        told = decode(answer, Answer)
        if isinstance(told, Failure):
            raise error_of(told.number, told.facts)
        return answer

    return act


def at_the_desk(message: bytes) -> Act:
    """The issuer answers a message; a refusal is raised here."""

    def act(world: ScenarioWorld) -> bytes:
        answer = world.issuer.handle(message)
        told: FromIssuer = decode(answer, FromIssuer)
        if isinstance(told, Declined):
            raise error_of(told.number, told.facts)
        return answer

    return act


class NotDelivered(ConnectionError):
    """A message was caught on its way."""


@dataclass
class Catching:
    """A way that leads nowhere and keeps what was sent."""

    caught: bytes = b""

    def send(self, message: bytes) -> bytes:
        """Catch a message."""
        self.caught = message
        raise NotDelivered


@dataclass
class Through:
    """The first messages arrive, those after the `last` go another way."""

    other: Peer
    handle: Callable[[bytes], bytes]
    last: int

    def send(self, message: bytes) -> bytes:
        """Deliver, or not."""
        self.last -= 1
        return self.handle(message) if self.last >= 0 else self.other.send(message)


def sent(send: Callable[[Peer], object]) -> bytes:
    """The message that somebody would have sent."""
    line = Catching()
    with suppress(NotDelivered):
        send(line)
    assert line.caught
    return line.caught


def error_of(number: int, facts: str) -> EdgeholdError:
    """The error that a party told of."""
    return {error.number: error for error in all_errors()}[number](facts)


# ── what a folder holds ───────────────────────────────────────────────────────────────────────────────────────────

BESIDE = ("-wal", "-shm", "-journal", ".lock")
"""What SQLite and our locks put beside a database."""


DRAWN = {("object", "slot"), ("object", "tables"), ("chunk", "place"), ("rows", "place"), ("slot_keys", "sealed")}
"""Columns of numbers that are drawn, and of bytes whose number varies with what is drawn."""


def files_of(folder: Path) -> dict[str, bytes]:
    """The files of a folder as they lie there."""
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*")) if path.is_file()}


def contents(folder: Path) -> Contents:
    """What the files of a party hold once SQLite has recovered them."""
    return contents_of(files_of(folder))


def contents_of(files: Mapping[str, bytes]) -> Contents:
    """Numbers and words as they are; of bytes, which are mostly drawn or sealed, how many. The files are not touched."""
    with written(files) as folder:
        found: dict[str, object] = {}
        for name, content in files.items():
            if name.endswith((".sqlite", ".db")):
                found |= {f"{name} {table}": rows for table, rows in rows_of(folder / name).items()}
            elif not name.endswith(BESIDE):
                found[name] = (
                    len(content) if not name.endswith(".age") else "an archive, whose head has a random length"
                )
        return found


@contextmanager
def written(files: Mapping[str, bytes]) -> Iterator[Path]:
    """These files in a folder of their own."""
    with memory_folder() as folder:
        for name, content in files.items():
            if not name.endswith("-shm"):
                (folder / name).write_bytes(content)
        yield folder


def rows_of(path: Path) -> dict[str, list[tuple[object, ...]]]:
    """Every table of a database."""
    file = apsw.Connection(str(path), vfs="unix")
    try:
        tables = [name for (name,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        return {table: sorted(_rows(file, table), key=repr) for table in tables}
    finally:
        file.close()


def _rows(file: apsw.Connection, table: str) -> Iterator[tuple[object, ...]]:
    columns = [name for (name,) in file.execute("SELECT name FROM pragma_table_info(?)", (table,))]
    for row in file.execute(f'SELECT * FROM "{table}"'):
        yield tuple(outline(value) for name, value in zip(columns, row, strict=True) if (table, name) not in DRAWN)


def outline(value: object) -> object:
    """A value that is the same whatever was drawn."""
    return len(value) if isinstance(value, bytes) else value


def changed(before: Contents, after: Contents) -> list[str]:
    """Which tables and files differ, by their names."""
    names = sorted(before.keys() | after.keys())
    return [name.split()[-1] for name in names if before.get(name) != after.get(name)]
