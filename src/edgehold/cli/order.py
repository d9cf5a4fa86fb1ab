"""`edgehold order`: what a customer does on a demo's folder, from an order to its certificate."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, TypeVar

import click

from edgehold.cli.ledger import made_ids
from edgehold.cli.network import (
    Names,
    dir_option,
    find_id,
    open_ledger,
    open_network,
    read_names,
    require_done,
    state_of,
    when,
)
from edgehold.cli.output import emit, json_option, progress
from edgehold.cli.program import find_program, programs_in
from edgehold.crypto.names import program_id
from edgehold.customer.customer import QUICK
from edgehold.customer.orders import OrderRow, OrderStatus, OrderStore
from edgehold.demo import cast
from edgehold.demo.keeping import WorldLedger
from edgehold.demo.orders import Asked, Placed, place, report_on, run_to_end, sigma_of, task_of
from edgehold.demo.world import World
from edgehold.durable import PUBLIC, write_file
from edgehold.errors import (
    EdgeholdError,
    FolderInUse,
    NoResult,
    NotFound,
    TooFewReports,
    UsageError,
    all_errors,
)
from edgehold.ledger.state import find_order, find_panel, find_task
from edgehold.ledger.state import find_program as find_published
from edgehold.policy.accuracy import interval, noise_sd
from edgehold.policy.budget import epsilon_of_rho, rho_of, squared_sensitivity
from edgehold.policy.purpose import check_use
from edgehold.sandbox.program import Program
from edgehold.verify.certificate import Verdict
from edgehold.wire.ids import OrderId, PanelId
from edgehold.wire.purpose import Permission, Purpose

F = TypeVar("F", bound=Callable[..., Any])

HEIGHTS = sum((QUICK.request, QUICK.join, QUICK.upload, QUICK.revoke, QUICK.close, QUICK.share, QUICK.accept))
"""The most heights that an order takes."""


@click.group(short_help="Order an analysis, follow it, get the result.")
def order() -> None:
    """Order an analysis on a network's folder, follow it, and get a result that anybody can check.

    Exit codes: 0 ok, 1 failed, 2 usage, 5 refused, or too few people answered, 6 not found, 7 busy, 8 does not verify.
    """


# ── ordering ──────────────────────────────────────────────────────────────────────────────────────────────────────


@order.command(short_help="Place an order and run it to its end.")
@click.option("--program", "name", required=True, metavar="NAME|FILE.py", help="A shipped program, or one of yours.")
@click.option("--epsilon", type=click.FloatRange(0.01, 8), required=True, help="Privacy loss a person, at δ = 1e-6.")
@click.option("--customer", default=cast.PLANNER.name, show_default=True, help="Who asks, and pays.")
@click.option("--leader", default=cast.GOOD.name, show_default=True, help="The service; see `edgehold catalog`.")
@click.option("--panel", metavar="ID", help="A closed panel; else the one of the present period.")
@click.option("--purpose", default="HMB", show_default=True, help="DUO code: GRU, HMB, POA, or DS:CODE[,CODE].")
@click.option("--hold", is_flag=True, help="Stop when hubs can answer, for those whose owners want to be asked.")
@dir_option
@json_option
def new(
    name: str,
    epsilon: float,
    customer: str,
    leader: str,
    panel: str | None,
    purpose: str,
    hold: bool,
    folder: Path,
    as_json: bool,
) -> None:
    """Order an analysis: heights pass until the hubs have answered, the two services have summed, and it is verified.

    The certificate and a chart are written to the folder. With --hold the order waits for owners. `order result` goes
    on, also with an order whose command was stopped; `order status` lists it.

    \b
    Examples:
      edgehold order new --program feasibility --epsilon 1
      edgehold order new --program bmi --epsilon 1 --customer brookside --leader larkspur --json
      edgehold order new --program smokers.py --epsilon 1
      edgehold order new --program feasibility --epsilon 0.5 --hold
    """
    wanted = parse_purpose(purpose)
    chosen = find_program(name)
    with open_network(folder) as world:
        for one, known in ((customer, world.customers), (leader, world.services)):
            if one not in known:
                raise NotFound(f"{one!r} is none of {', '.join(known)}")
        audience = world.panel if panel is None else PanelId(find_id(panel, closed_panels(world), "closed panel"))
        title = publish(world, customer, name, chosen)
        asked = Asked(customer=customer, leader=leader, program=title, epsilon=epsilon, purpose=wanted, panel=audience)
        placed = place(world, asked)
        if hold:
            hold_open(world, placed)
            row = world.customers[customer].order(placed.order)
            facts = status_facts(row, customer, world.ledger, read_names(folder), programs_by_id(world))
            emit(as_json, facts, status_lines(facts, world.ledger))
            return
        facts, says = finish(world, placed)
    emit(as_json, facts, says)


def parse_purpose(text: str) -> Purpose:
    """A purpose from its DUO code, `DS` with its diseases; raises `UsageError`, `BadPurpose`."""
    code, _, diseases = text.partition(":")
    if code.upper() not in Permission.__members__:
        raise UsageError(f"purpose {text!r} is none of {', '.join(Permission.__members__)}")
    named = tuple(sorted(set(filter(None, diseases.split(",")))))
    purpose = Purpose(permission=Permission[code.upper()], diseases=named)
    check_use(purpose)
    return purpose


def closed_panels(world: World) -> list[PanelId]:
    """The panels that orders may name."""
    state = state_of(world.ledger)
    found = [(PanelId(one), find_panel(state, PanelId(one))) for one in made_ids(world.ledger)]
    return [name for name, entry in found if entry is not None and entry.closed_at is not None]


def publish(world: World, customer: str, name: str, chosen: Program) -> str:
    """Put a program on the ledger, and its source into the folder, unless both are there; returns its short name."""
    title = name if not name.endswith(".py") else Path(name).stem
    known = world.programs().get(title)
    if known is not None and known.descriptor != chosen.descriptor:
        raise FolderInUse(f"{world.folder} has another program {title!r}; give yours another name")
    if find_published(state_of(world.ledger), program_id(chosen.descriptor)) is None:
        envelope = world.submit(customer, chosen.descriptor)
        world.advance()
        require_done(world.ledger, envelope)
    if known is None:
        target = world.folder / "programs"
        target.mkdir(exist_ok=True)
        for suffix in (".toml", ".py"):  # whoever finds the source finds its manifest beside it
            write_file(target / f"{title}{suffix}", Path(name).with_suffix(suffix).read_bytes(), mode=PUBLIC)
    return title


def hold_open(world: World, placed: Placed) -> None:
    """Let heights pass until the order is a task and every hub has decided or asked its owner."""
    customer = world.customers[placed.asked.customer]
    with progress("until hubs can answer", QUICK.request + QUICK.join) as bar:

        def is_task() -> bool:
            bar.advance()
            placed_yet = find_order(state_of(world.ledger), placed.order) is not None
            ended = not customer.order(placed.order).status.is_open
            return ended or (placed_yet and task_of(world, placed) is not None)

        world.advance_until(is_task)
    require_open(customer.order(placed.order))
    world.for_each_hub(lambda resident: resident.hub.follow())


# ── the end of an order ───────────────────────────────────────────────────────────────────────────────────────────


def finish(world: World, placed: Placed) -> tuple[dict[str, Any], list[str]]:
    """Run an order to its end and give its result, for --json and for people; raises why there is none."""
    with progress("heights", HEIGHTS) as bar:
        run_to_end(world, [placed], bar.advance)
    row = world.customers[placed.asked.customer].order(placed.order)
    if row.certificate is None:
        raise_ending(row)
    name = f"{placed.asked.program}-{placed.order.hex()[:8]}"
    report = report_on(world, placed, name, None)
    if report.verdict is None or report.certificate is None:
        raise NoResult(f"order {placed.order.hex()} is {row.status.value} and has no certificate")
    facts = result_facts(world, report.program, report.verdict, row, placed, report.certificate)
    return facts, result_lines(facts)


def require_open(row: OrderRow) -> None:
    """Raises why an order ended, if it did."""
    if not row.status.is_open:
        raise_ending(row)


def raise_ending(row: OrderRow) -> None:
    """Raises what an order without a result ended with."""
    reason = row.reason or ""
    if row.status is OrderStatus.REFUSED:
        number, _, facts = reason.removeprefix("EH").partition(": ")
        refusals = {error.number: error for error in all_errors()}
        raise refusals.get(int(number) if number.isdigit() else 0, EdgeholdError)(facts)
    if row.status is OrderStatus.TOO_FEW:
        raise TooFewReports(f"order {row.order.hex()}: fewer than {row.placed.least_batch} reports came")
    raise NoResult(f"order {row.order.hex()} is {row.status.value}{': ' + reason if reason else ''}")


def result_facts(
    world: World, program: Program, verdict: Verdict, row: OrderRow, placed: Placed, certificate: Path
) -> dict[str, Any]:
    """A result as JSON values: only what its customer knows."""
    sigma = sigma_of(verdict)
    return {
        "order": placed.order.hex(),
        "program": placed.asked.program,
        "title": program.manifest.title,
        "customer": world.facts["organisations"][placed.asked.customer],
        "leader": world.title(verdict.configuration.leader.account),
        "helper": world.title(verdict.configuration.helper.account),
        "status": row.status.value,
        "asked": sum(panel.enrolled for panel in verdict.configuration.panels),
        "batch": verdict.batch,
        "rejected": verdict.rejected,
        "epsilon": round(verdict.epsilon, 4),
        "delta": verdict.delta,
        "labels": list(program.manifest.measurement.labels),
        "result": verdict.values,
        "interval": [list(interval(value, sigma)) for value in verdict.values],
        "noise_sd": noise_sd(sigma),
        "certificate": str(certificate),
        "chart": str(world.folder / "charts" / f"{certificate.stem}.vl.json"),
    }


def result_lines(facts: dict[str, Any]) -> list[str]:
    """A result, for people: each value with its 95 % interval."""
    width = max(len(label) for label in facts["labels"])
    most = max(1, *facts["result"])
    lines = [
        facts["title"],
        f"  {facts['batch']} of {facts['asked']} persons answered; ε {facts['epsilon']:.2f} at δ {facts['delta']:g}, "
        f"noise sd {facts['noise_sd']:.1f} a value; 95 % intervals:",
    ]
    for label, value, (low, high) in zip(facts["labels"], facts["result"], facts["interval"], strict=True):
        bar = "▇" * max(0, round(30 * value / most))
        lines.append(f"  {label:<{width}}  {value:>6}  [{low:>5}, {high:>5}]  {bar}".rstrip())
    return [
        *lines,
        f"  order {facts['order'][:16]}, led by {facts['leader']} with {facts['helper']}: {facts['status']}",
        f"  certificate {facts['certificate']}",
        f"  chart       {facts['chart']}",
    ]


# ── following ─────────────────────────────────────────────────────────────────────────────────────────────────────


@order.command(short_help="Where orders stand.")
@click.argument("name", metavar="ORDER", required=False)
@dir_option
@json_option
def status(name: str | None, folder: Path, as_json: bool) -> None:
    """Show where an ORDER (its id, or the beginning of it) stands, or every order of the folder's customers.

    \b
    Examples:
      edgehold order status
      edgehold order status ORDER --json
    """
    with open_ledger(folder) as ledger:
        names, programs = read_names(folder), programs_in(folder)
        known = [status_facts(one.row, one.customer, ledger, names, programs) for one in placed_orders(folder)]
        if name is not None:
            wanted = find_id(name, [bytes.fromhex(one["order"]) for one in known], "order").hex()
            known = [one for one in known if one["order"] == wanted]
        lines = [line for one in known for line in status_lines(one, ledger)]
    emit(as_json, {"orders": known}, lines or ["nobody ordered anything yet"])


@dataclass(frozen=True)
class Known:
    """One order in its customer's store."""

    customer: str
    row: OrderRow


def placed_orders(folder: Path) -> Iterator[Known]:
    """Every order of the folder's customers, the oldest of each first."""
    for customer in cast.CUSTOMERS:
        with opened_store(folder / "organisations" / customer.name) as store:
            for row in store.rows():
                yield Known(customer.name, row)


@contextmanager
def opened_store(folder: Path) -> Iterator[OrderStore]:
    """A customer's store of orders."""
    with ExitStack() as stack:
        store = OrderStore(folder)
        stack.callback(store.close)
        yield store


def programs_by_id(world: World) -> dict[bytes, Program]:
    """The programs of an open world, by their ids."""
    return {program_id(one.descriptor): one for one in world.programs().values()}


def status_facts(
    row: OrderRow, customer: str, ledger: WorldLedger, names: Names, programs: dict[bytes, Program]
) -> dict[str, Any]:
    """Where an order stands, as its customer and everybody who reads the ledger see it."""
    state = state_of(ledger)
    entry = find_order(state, row.order)
    task = None if entry is None or entry.task is None else find_task(state, entry.task)
    program = programs.get(row.placed.program)
    sigma = Fraction(row.placed.sigma_numerator, row.placed.sigma_denominator)
    loss = None if program is None else rho_of(sigma, squared_sensitivity(program.descriptor.measurement))
    batch = None if task is None or task.batch is None else task.batch.statement
    return {
        "order": row.order.hex(),
        "customer": customer,
        "program": row.placed.program.hex()[:16] if program is None else program.manifest.name,
        "leader": names.title(row.placed.leader),
        "helper": None if task is None else names.title(task.helper),
        "epsilon": None if loss is None else round(epsilon_of_rho(loss), 4),
        "status": row.status.value,
        "reason": row.reason,
        "placed_at": None if entry is None else entry.placed_at,
        "task": None if entry is None or entry.task is None else entry.task.hex(),
        "upload_until": None if task is None else task.upload_until,
        "ends_by": None if task is None else task.accept_until,
        "batch": None if batch is None else batch.accepted,
        "rejected": None if batch is None else batch.rejected,
    }


def status_lines(facts: dict[str, Any], ledger: WorldLedger) -> list[str]:
    """Where an order stands, for people."""
    placed = "not on the ledger yet" if facts["placed_at"] is None else when(ledger, facts["placed_at"])
    epsilon = "" if facts["epsilon"] is None else f", ε {facts['epsilon']:.2f}"
    lines = [
        f"{facts['order'][:16]}  {facts['status']:<12} {facts['program']} for {facts['customer']}{epsilon}, {placed}"
    ]
    helper = f" with {facts['helper']}" if facts["helper"] else ""
    reports = "" if facts["batch"] is None else f", {facts['batch']} reports, {facts['rejected']} rejected"
    lines.append(f"                  led by {facts['leader']}{helper}{reports}")
    if facts["status"] == OrderStatus.PLACED.value and facts["upload_until"] is not None:
        lines.append(f"                  hubs answer until height {facts['upload_until']}; now is {ledger.height()}")
    if OrderStatus(facts["status"]).is_open:
        lines.append(f"                  go on with: edgehold order result {facts['order'][:16]}")
    if facts["reason"]:
        lines.append(f"                  {facts['reason']}")
    return lines


@order.command(short_help="The result, with its intervals.")
@click.argument("name", metavar="ORDER")
@dir_option
@json_option
def result(name: str, folder: Path, as_json: bool) -> None:
    """Show the result of an ORDER; one that is still open is run to its end first.

    \b
    Examples:
      edgehold order result ORDER
      edgehold order result ORDER --json
    """
    with open_network(folder) as world:
        known = [Known(customer, row) for customer, one in world.customers.items() for row in one.orders()]
        wanted = find_id(name, [one.row.order for one in known], "order")
        found = next(one for one in known if one.row.order == wanted)
        facts, says = finish(world, placed_of(world, found))
    emit(as_json, facts, says)


def placed_of(world: World, known: Known) -> Placed:
    """An order that was placed earlier, as the demo's functions take it."""
    placed = known.row.placed
    titles = {program_id(one.descriptor): name for name, one in world.programs().items()}
    if placed.program not in titles:
        raise NotFound(f"the source of program {placed.program.hex()} is not in {world.folder}")
    program = world.programs()[titles[placed.program]]
    sigma = Fraction(placed.sigma_numerator, placed.sigma_denominator)
    asked = Asked(
        customer=known.customer,
        leader=next(name for name in world.services if world.account(name) == placed.leader),
        program=titles[placed.program],
        epsilon=epsilon_of_rho(rho_of(sigma, squared_sensitivity(program.descriptor.measurement))),
        purpose=placed.purpose,
        panel=placed.panels[0],
    )
    return Placed(asked=asked, order=OrderId(known.row.order), score=0)
