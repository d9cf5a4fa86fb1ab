"""What left a hub, why, and what privacy loss it cost, as JSON values and lines."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from fractions import Fraction
from typing import Any

from edgehold.cli.network import Names, when
from edgehold.cli.output import WIDTH, table
from edgehold.demo.keeping import WorldLedger
from edgehold.hub.hub import Departure, Remains
from edgehold.hub.journal import RunState
from edgehold.policy.budget import DELTA, Spent, epsilon_of_rho

STATES = {
    RunState.REFUSED: "refused",
    RunState.ASKED: "waits for you",
    RunState.DECLINED: "you said no, or nothing in time",
    RunState.GRANTED: "granted",
    RunState.STORED: "waits for its height",
    RunState.SENT: "sent",
    RunState.MISSED: "nothing left",
    RunState.LOST: "the lost hub may have answered; counted as spent",
}
"""What became of a task, in the owner's words."""


def departure_facts(one: Departure, sentence: str) -> dict[str, Any]:
    """One line of the history as JSON values."""
    return {
        "task": one.task.hex(),
        "state": one.state.value,
        "sentence": sentence or one.sentence,
        "bytes_left": one.bytes_left,
        "sent_at": one.sent_at,
        "rho": str(one.loss),
        "epsilon": round(epsilon_of_rho(one.loss), 4),
        "included": one.included,
        "revoked_at": one.revoked_at,
        "log": one.log,
    }


def history_lines(tasks: list[dict[str, Any]], shares: list[dict[str, Any]], ledger: WorldLedger) -> list[str]:
    """The history, for people."""
    lines: list[str] = []
    for one in tasks:
        left = f"{one['bytes_left']:,} bytes left at height {one['sent_at']}" if one["bytes_left"] else "nothing left"
        cost = f", it cost ε {one['epsilon']:.2f}" if one["epsilon"] else ""
        lines += [f"{one['task'][:16]}  {STATES[RunState(one['state'])]}; {left}{cost}", *wrapped(one["sentence"])]
        if one["included"] is not None:
            lines.append("  The result counts you." if one["included"] else "  The result does not count you.")
        if one["log"]:
            lines += wrapped(f"The program gave nothing, a neutral report left: {one['log']}")
    for one in shares:
        ends = "withdrawn" if one["withdrawn_at"] is not None else f"until {when(ledger, one['until'])}"
        lines.append(f"share {one['share'][:16]}  with {one['recipient']}, {ends}, fetched {len(one['fetches'])} times")
        lines += [f"  {each['bytes_left']:,} bytes left at height {each['height']}" for each in one["fetches"]]
    return lines or ["nothing was asked and nothing left"]


def wrapped(sentence: str) -> list[str]:
    """A sentence in lines that fit."""
    return textwrap.wrap(sentence, WIDTH, initial_indent="  ", subsequent_indent="  ")


def totals(spent: list[Spent], label: Callable[[Spent], str]) -> dict[str, Fraction]:
    """ρ that was spent, by what a label tells apart."""
    found: dict[str, Fraction] = {}
    for one in spent:
        found[label(one)] = found.get(label(one), Fraction(0)) + one.loss
    return dict(sorted(found.items()))


def loss_facts(spent: Fraction, limit: Fraction) -> dict[str, Any]:
    """What was spent of a limit, exactly in ρ, and in ε for display."""
    left = max(Fraction(0), limit - spent)
    return {
        "rho_spent": str(spent),
        "rho_limit": str(limit),
        "rho_left": str(left),
        "epsilon_spent": round(epsilon_of_rho(spent), 4),
        "epsilon_limit": round(epsilon_of_rho(limit), 4),
        "epsilon_left": round(epsilon_of_rho(left), 4),
    }


def budget_lines(facts: dict[str, Any]) -> list[str]:
    """The budget, for people; ε does not add up, ρ does."""
    rows = [["this year", "all", *loss_cells(facts["year"])]]
    for name, title in (("customer", "one customer"), ("services", "one pair"), ("purpose", "one purpose")):
        rows += [[title, who, *loss_cells(loss)] for who, loss in facts[name].items()]
    headings = ["limit", "of", "ρ spent", "ρ allowed", "ρ left", "as ε left"]
    return [
        *table(rows, headings),
        "",
        f"ρ adds up exactly; ε is shown for δ = {DELTA:g} and does not. What is spent stays spent for a year.",
    ]


def loss_cells(loss: dict[str, Any]) -> list[str]:
    exact = [f"{float(Fraction(loss[name])):.4f}" for name in ("rho_spent", "rho_limit", "rho_left")]
    return [*exact, f"{loss['epsilon_left']:.2f}"]


def remains_facts(remains: Remains, names: Names) -> dict[str, Any]:
    """What is left elsewhere of what was erased, as JSON values."""
    return {
        "holders": [
            {
                "share": one.share.hex(),
                "recipient": names.title(one.recipient),
                "height": one.height,
                "bytes_left": one.bytes_left,
            }
            for one in remains.fetched
        ],
        "sums": [departure_facts(one, names.in_sentence(one.sentence)) for one in remains.sums],
    }


def remains_lines(left: dict[str, Any]) -> list[str]:
    """What is left elsewhere, for people."""
    lines = ["what is not reached:"]
    for one in left["holders"]:
        lines.append(f"  {one['recipient']} fetched it at height {one['height']}: ask them to destroy their copy")
    for one in left["sums"]:
        what = {True: "a result that is out counts you", None: "a sum may count you"}[one["included"]]
        lines += [f"  task {one['task'][:16]}: {what}", *wrapped(one["sentence"])]
    return [*lines, "  archives of your hub that were made before still hold it: destroy them, and make a new one"]
