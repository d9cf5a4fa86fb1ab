"""The story of `edgehold demo`, in six acts, told in lines of at most 100 columns; its facts are one JSON object.

What only the hubs know (their decisions and reasons) is shown because this demo owns all the hubs, and says so.
"""

from __future__ import annotations

import resource
import shutil
import sys
import tempfile
import textwrap
import time
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import apsw

from edgehold.demo import cast
from edgehold.demo.founding import (
    Received,
    bundles_of,
    enrol_adults,
    found,
    open_organisations,
    pass_into_next_period,
    publish_programs,
    settle_people,
)
from edgehold.demo.orders import (
    Asked,
    ExactAnswers,
    Report,
    history_orders,
    place,
    report_on,
    run_to_end,
    score_of,
    standing_of,
    state_of,
)
from edgehold.demo.parties import Direct
from edgehold.demo.teller import WIDTH, Teller
from edgehold.demo.world import Resident, World
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.errors import BadCertificate, EdgeholdError
from edgehold.hub.sharing import fetch_record
from edgehold.hub.store import Store
from edgehold.policy.accuracy import half_width
from edgehold.policy.budget import epsilon_of_rho, rho_of_epsilon, sigma_for
from edgehold.policy.credibility import PPM
from edgehold.policy.policy import Policy
from edgehold.sandbox.compiled import default_cache, prepare_runtime
from edgehold.sandbox.host import Sandbox
from edgehold.system import return_large_pieces
from edgehold.vdaf.field import decode_share
from edgehold.vdaf.prio3 import make_prio3
from edgehold.verify.certificate import verify_certificate
from edgehold.wire.credibility import EVIDENCE_UNIT, Prior
from edgehold.wire.purpose import Purpose

BAR = 50
HISTOGRAM_D_SQUARED = 2


@dataclass(frozen=True, kw_only=True)
class Script:
    """What `edgehold demo` was asked to play."""

    folder: Path
    people: int
    cohort: Path | None
    epsilon: float
    seed: int | None
    validators: int = 0
    """How many keep the ledger as processes of their own; 0 for this process alone."""


def play(script: Script, teller: Teller) -> dict[str, Any]:
    """Play all six acts; returns the facts for --json. Raises `BadCertificate` if any certificate does not hold."""
    started = time.monotonic()
    return_large_pieces()
    if script.seed is not None:
        teller.say(f"Seeded with {script.seed}: not private. Whoever knows the seed knows every key and every noise.")
    with teller.part("runtime"):
        sandbox = Sandbox(prepare_runtime(default_cache(), teller.say))
    with teller.part("founding"):
        world = found(script.folder, script.people, script.cohort, script.seed, sandbox, validators=script.validators)
    with sandbox, world:
        if world.is_consortium:
            teller.text(
                f"{script.validators} validators on this machine keep the ledger; their heights pass by themselves."
            )
        received = first_act(world, script, teller)
        exact = measure_exactly(world, script, teller)
        first = second_act(world, script, exact, teller)
        third_act(world, first[0], teller)
        results = fourth_act(world, script, exact, teller)
        fifth_act(world, results[0], teller)
        last = sixth_act(world, exact, teller)
        say_goodbye(script.folder, teller)
        teller.seconds["all"] = round(time.monotonic() - started, 3)
        header = world.ledger.header(world.ledger.height())
        return {
            "dir": str(script.folder),
            "genesis": str(script.folder / "genesis.cbor"),
            "hubs": received.people,
            "bytes_received": received.received,
            "bytes_kept": received.kept,
            "ledger": {
                "height": world.ledger.height(),
                "entries": world.ledger.entries() if isinstance(world.ledger, EmbeddedLedger) else None,
                "root": header.header.app_hash.hex() if header else None,
            },
            "orders": [report.facts(world) for report in (*first, *results, last)],
            "seconds": teller.seconds,
            "peak_rss_bytes": peak_memory(),
        }


def peak_memory() -> int:
    """The most memory this process held, in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


# ── act 1 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def first_act(world: World, script: Script, teller: Teller) -> Received:
    """Hubs: people receive their signed record; roots and panels stand on the ledger."""
    teller.act(1, "hubs")
    people, adults = len(world.facts["adults"]), sum(world.facts["adults"])
    with teller.part("organisations"):
        open_organisations(world)
    with teller.part("records and hubs", "records signed, hubs made", people) as tick:
        received = settle_people(world, tick)
    with teller.part("enrolment", "adults enrolled", adults) as tick:
        enrol_adults(world, tick)
    with teller.part("programs"):
        publish_programs(world)
    share = received.kept / received.received
    teller.text(
        f"{people} people receive their health record, signed by {cast.ISSUER.title}, on a hub of their own: "
        f"{received.received / 1e6:.1f} MB received, {received.kept / 1e6:.2f} MB kept, sealed ({share:.1%}). "
        f"{people} opaque roots and nothing else of them is on the ledger."
    )
    if script.cohort is None and people > 400:
        teller.text(f"The cohort has 400 people; the other {people - 400} are the same records under new identities.")
    parameters = world.genesis.parameters
    teller.text(
        f"{adults} of them are adults and enrol in a panel of {cast.EARLIER_SLOTS} slots of the earlier period and one of "
        f"{cast.SLOTS} of this one. For each slot the clinic signs, blindly, one key of each person; each key answers once."
    )
    for name, here, floor in (
        ("least panel", parameters.least_panel, cast.NETWORK_LEAST_PANEL),
        ("least batch", parameters.least_batch, cast.NETWORK_LEAST_BATCH),
    ):
        if here < floor:
            teller.text(f"Note: the {name} here is {here}, below the {floor} of a network in earnest.")
    return received


def measure_exactly(world: World, script: Script, teller: Teller) -> ExactAnswers:
    """What the programs would say of each person, directly from the bundles, for the comparison in act 4."""
    exact = ExactAnswers()
    people = len(world.residents)
    with teller.part("exact answers", "exact answers, to compare", people) as tick:
        for bundle in bundles_of(script.cohort, people):
            exact.add(bundle)
            tick()
    return exact


# ── act 2 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def second_act(world: World, script: Script, exact: ExactAnswers, teller: Teller) -> list[Report]:
    """Who asks: three leaders with their scores, and who permits the same order."""
    teller.act(2, "who asks")
    earlier = history_orders(world.earlier_panel)
    with teller.part("history", "the services' history, run fast", len(earlier)) as tick:
        for asked in earlier:
            run_to_end(world, [place(world, asked)])
            tick()
        pass_into_next_period(world)
    teller.text(
        f"In the earlier period {len(earlier)} small orders made the services' records: real entries, all by the rules. "
        "In the last one, one leader signed two different lists; the other aggregator sent both signatures to the ledger."
    )
    teller.say("")
    for one in cast.LEADERS:
        teller.say(
            f"  {one.title:<20} credibility {score_of(world, world.account(one.name)) / PPM:.2f}   {why(world, one.name)}"
        )
    placed = [
        place(
            world,
            Asked(
                customer=cast.UNIVERSITY.name,
                leader=one.name,
                program="bmi",
                epsilon=script.epsilon,
                purpose=cast.HEALTH_RESEARCH,
                panel=world.panel,
            ),
        )
        for one in cast.LEADERS
    ]
    with teller.part("first order"):
        run_to_end(world, placed)
    reports = [report_on(world, one, f"first-{one.asked.leader}", exact) for one in placed]
    teller.say("")
    teller.text(
        f"{cast.UNIVERSITY.title} asks all three for the same: {reports[0].program.manifest.title} "
        f"Of {reports[0].enrolled} adults permit (known only to the hubs; shown because this demo owns them all):"
    )
    for report in reports:
        permitted = report.answers.permitted
        bar = "█" * round(BAR * permitted / max(report.enrolled, 1))
        title = report.facts(world)["leader"]
        teller.say(f"  {title:<20} {bar:<{BAR}} {permitted:>4}  {report.row.status.value}")
        for reason, count in report.answers.refused.items():
            teller.say(f"  {'':<20} {count:>4} refused: {reason}")
    return reports


def why(world: World, name: str) -> str:
    """A score in words: what is attested, what happened."""
    standing, prior = standing_of(world, world.account(name))
    words = {Prior.ACCREDITED: "accredited", Prior.VERIFIED: "verified", Prior.UNKNOWN: "unknown"}[prior]
    if standing.suspended_at is not None:
        return f"{words}; suspended at height {standing.suspended_at}: it signed two lists"
    if standing.accepted == 0:
        return f"{words}; a newcomer: nothing is known of it yet"
    return f"{words}; {standing.accepted / EVIDENCE_UNIT:.1f} accepted orders count, {standing.bad // EVIDENCE_UNIT} faults"


# ── act 3 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def third_act(world: World, report: Report, teller: Teller) -> None:
    """One person's view of the first order: the sentence, what was read, what left, what it cost."""
    teller.act(3, "one person's view")
    number = report.answers.included[0]
    resident = world.resident(number)
    departure = report.answers.departures[number]
    policy, period = resident.hub.policy, state_of(world).period
    explain_allowance(policy, teller)
    teller.say("")
    teller.text(f"Hub {number:04d} decided: {departure.sentence}")
    table = resident.hub.store.table(resident.hub.store.objects()[0].id)
    rows = len(table["time.i64"]) // 8
    teller.text(
        f"The program read one table of {rows} events of this person, in a sandbox without network, clock or dice: "
        f"{len(report.program.source.splitlines())} lines of Python that anybody can read "
        f"(edgehold program show {report.program.manifest.name})."
    )
    teller.text(
        f"What left: {departure.bytes_left} bytes, the same number for everybody, at height {departure.sent_at}, "
        "which was drawn before the program ran; two sealed shares and a one-time permit, no account."
    )
    show_share(world, report, teller)
    left = resident.hub.budget().left(period)
    before = left + departure.loss
    teller.text(
        f"Budget of this year: ρ {float(before):.3f} before, {float(departure.loss):.4f} for this answer, {float(left):.3f} "
        f"left (ε {epsilon_of_rho(left):.1f} at δ 1e-6). It is never given back."
    )


def explain_allowance(policy: Policy, teller: Teller) -> None:
    """What the demo's owners allow, and what the defaults would."""
    here, default = Fraction(policy.loss_per_year), Policy()
    year, order = epsilon_of_rho(Fraction(default.loss_per_year)), epsilon_of_rho(Fraction(default.loss_per_order))
    teller.text(
        f"Owners here allow ε {epsilon_of_rho(here):.0f} a year (ρ {float(here):.2f}) and half of it to one customer, pair of "
        f"services or purpose. By default it would be ε {year:.0f} a year and a fifth of that (ε {order:.1f}) for one "
        "order: an order of ε 2 would be refused."
    )


def show_share(world: World, report: Report, teller: Teller) -> None:
    """A share of a measurement is noise; split one here, with fresh dice, to look at it."""
    measurement = report.program.descriptor.measurement
    vdaf = make_prio3(measurement)
    dice = world.dice.of("a share to look at")
    _, (leader, _) = vdaf.shard(b"demo", 0, dice.draw(16), dice.draw(vdaf.random_length))
    numbers = decode_share(measurement, leader[: 16 * measurement.length])
    shown = ", ".join(f"{number:.3e}" for number in numbers[:4])
    teller.text(
        f'One share of the measurement "{report.program.manifest.measurement.labels[0]}", split once more to look at: {shown}, …'
    )


# ── act 4 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def fourth_act(world: World, script: Script, exact: ExactAnswers, teller: Teller) -> list[Report]:
    """Results of three orders by three customers beside the exact answers."""
    teller.act(4, "results")
    asked: list[tuple[str, str, Purpose]] = [
        (cast.REGISTRY.name, "bmi", cast.GENERAL_RESEARCH),
        (cast.HOSPITAL.name, "pressure_by_hypertension", cast.HYPERTENSION_RESEARCH),
        (cast.AGENCY.name, "disorders", cast.HEALTH_RESEARCH),
    ]
    with teller.part("three orders", "orders", len(asked)) as tick:
        placed = [
            place(
                world,
                Asked(
                    customer=customer,
                    leader=cast.GOOD.name,
                    program=program,
                    epsilon=script.epsilon,
                    purpose=purpose,
                    panel=world.panel,
                ),
            )
            for customer, program, purpose in asked
        ]
        run_to_end(world, placed)
        for _ in placed:
            tick()
    reports = [report_on(world, one, one.asked.program, exact) for one in placed]
    teller.text(
        f"Three customers, three programs, ε {script.epsilon:g} each. Why so much, with {len(world.residents)} people? The noise "
        f"does not shrink with the crowd: a histogram's cell is known to ± {cell_width(script.epsilon)} here, and would be to "
        f"± {cell_width(0.5)} at ε 0.5, more than most cells hold. Many thousand people need no more than that."
    )
    for report in reports:
        show_result(report, world, teller)
    return reports


def cell_width(epsilon: float) -> int:
    """Half of the 95 % interval of a histogram's cell."""
    return half_width(sigma_for(rho_of_epsilon(epsilon), HISTOGRAM_D_SQUARED))


def show_result(report: Report, world: World, teller: Teller) -> None:
    """A result's cells: value, interval, exact answer."""
    facts = report.facts(world)
    teller.say("")
    teller.text(report.program.manifest.title)
    if report.verdict is None or report.exact is None:
        teller.say(f"    no result: {report.row.status.value} {report.row.reason or ''}")
        return
    teller.say(f"    {facts['customer']}, {facts['batch']} reports; 95 % interval, exact answer of the same people")
    inside = 0
    largest = max([1, *facts["result"]])
    labels = report.program.manifest.measurement.labels
    for label, value, (low, high), truth in zip(labels, facts["result"], facts["interval"], report.exact, strict=True):
        holds = low <= truth <= high
        inside += holds
        mark, bar = " " if holds else "!", "▇" * max(0, round(14 * value / largest))
        teller.say(f"    {label:<43} {value:>5}  [{low:>4}, {high:>4}]  exact {truth:>4} {mark} {bar}".rstrip())
    teller.say(f"    {inside} of {len(report.exact)} intervals hold the exact answer")


# ── act 5 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def fifth_act(world: World, report: Report, teller: Teller) -> None:
    """Proof: the certificate's checks, what it relies on, and one byte changed."""
    teller.act(5, "proof")
    data = report.row.certificate
    if data is None:
        raise BadCertificate(f"there is no certificate to show: the order is {report.row.status.value}")
    with teller.part("verification"):
        verdict = verify_certificate(data, world.genesis, report.row.shares)
    teller.text(f"{report.certificate}: {len(data)} bytes, checked with the genesis file alone.")
    group = ""
    for check in verdict.checks:
        if check.group != group:
            group = check.group
            teller.say(f"  {group}:")
        for place_, line in enumerate(textwrap.wrap(check.says, WIDTH - 8)):
            teller.say(f"    {('✗' if group == 'never shown' else '✓') if place_ == 0 else ' '} {line}")
    middle = len(data) // 2
    changed = data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]
    try:
        verify_certificate(changed, world.genesis, report.row.shares)
    except EdgeholdError as refusal:
        teller.text(f"One bit of byte {middle} changed: refused. {refusal.code} {refusal}")
    else:
        raise BadCertificate(f"a certificate with another byte {middle} was accepted")


# ── act 6 ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def sixth_act(world: World, exact: ExactAnswers, teller: Teller) -> Report:
    """Control: a record shared, an owner who withdraws, one who erases, an altered chunk."""
    teller.act(6, "control")
    with teller.part("control"):
        share_with_doctor(world, world.adults[0], teller)
        leaver, eraser = world.adults[1], world.adults[2]
        leaver.hub.withdraw()
        eraser.hub.erase()
        placed = place(
            world,
            Asked(
                customer=cast.PLANNER.name,
                leader=cast.GOOD.name,
                program="feasibility",
                epsilon=cast.LATER_EPSILON,
                purpose=cast.HYPERTENSION_RESEARCH,
                panel=world.panel,
            ),
        )
        run_to_end(world, [placed])
    report = report_on(world, placed, "feasibility", exact)
    teller.text(
        f"Hub {leaver.number:04d} withdraws; in the next task it is silent: "
        f"{'not ' if leaver.number not in report.answers.departures else ''}asked, "
        f"{'' if leaver.number in report.answers.included else 'not '}in the batch."
    )
    teller.text(
        f"Hub {eraser.number:04d} erases its record: the keys and salts are destroyed, a tombstone stays, "
        "and the root on the ledger links to nothing. What results it was summed into contain it still."
    )
    show_result(report, world, teller)
    alter_chunk(world, world.adults[3], teller)
    return report


def share_with_doctor(world: World, resident: Resident, teller: Teller) -> None:
    """One record to one named recipient until a height; served, then withdrawn."""
    doctor = cast.DOCTOR.name
    hub = resident.hub
    until = world.ledger.height() + 20
    share = hub.share(hub.store.objects()[0].id, world.account(doctor), until)
    key, dice = world.keys[doctor], world.dice.of(doctor)
    peer = Direct(hub.handle)
    record = fetch_record(peer, state_of(world), share, world.account(doctor), key, dice)
    issuer = world.title(record.issuer) if record.issuer else "nobody"
    teller.text(
        f"Hub {resident.number:04d} shares its record with {cast.DOCTOR.title} until height {until}: {len(record.record)} bytes "
        f"fetched, opened, found under the hub's root on the ledger and signed by {issuer}. The fetch is in the owner's history."
    )
    hub.withdraw_share(share)
    try:
        fetch_record(peer, state_of(world), share, world.account(doctor), key, dice)
    except EdgeholdError as refusal:
        teller.text(f"The share is withdrawn; the next fetch fails: {refusal.code} {refusal}")


def alter_chunk(world: World, resident: Resident, teller: Teller) -> None:
    """One byte of a stored chunk changed, in a copy of the hub's store: named and refused, never returned."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "store.sqlite"
        for path in world.hub_folder(resident.number).glob("store.sqlite*"):
            shutil.copy(path, folder)
        database = apsw.Connection(str(copy))
        place, chunk = next(iter(database.execute("SELECT place, data FROM chunk ORDER BY place LIMIT 1")))
        altered = chunk[:99] + bytes([chunk[99] ^ 1]) + chunk[100:]
        database.execute("UPDATE chunk SET data = ? WHERE place = ?", (altered, place))
        database.close()
        with Store.open(copy, resident.hub.keys.storage_key) as store:
            found = store.check()
    teller.text(f"One byte of a stored chunk altered (in a copy): refused. {found[0] if found else 'NOT FOUND'}")
    if not found:
        raise BadCertificate("an altered chunk was not found")


def say_goodbye(folder: Path, teller: Teller) -> None:
    """Three commands to try next."""
    teller.say("")
    teller.say(f"  {folder} holds the certificates, the charts, genesis, the ledger and all hubs. Try next:")
    teller.say(f"    edgehold verify {folder}/certificates/bmi.cert --genesis {folder}/genesis.cbor")
    teller.say(f"    edgehold hub history --hub {folder}/hubs/0001")
    teller.say(f"    edgehold order new --dir {folder} --program feasibility --epsilon 1")
