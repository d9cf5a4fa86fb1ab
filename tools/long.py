"""`make long`: every campaign at full size, every bench, and the report of it in `docs/qa`.

Hours need not pass at one go. A campaign is cut into slices; each slice's outcome is kept with the commit it was run at,
in a file beside the report, and the next call goes on with the slices that were not run yet:

    python -m tools.long                              all that is left, then the report
    python -m tools.long --minutes 30 simulation      slices of this part for half an hour, then the report
    python -m tools.long --again bench-ledger         this part anew, its earlier outcomes forgotten
    python -m tools.long --data FOLDER bench-store    with the files of a folder, which the benches of the store measure
    python -m tools.long --report                     the report only
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from edgehold import __version__
from edgehold.bench.measure import describe_machine

ROOT = Path(__file__).parent.parent
LOGS = ROOT / "long-out"
REPORT = ROOT / "docs" / "qa" / f"{'.'.join(__version__.split('.')[:2])}.md"
KEPT = REPORT.with_suffix(".json")
"""The outcomes from which the report is written."""

CAMPAIGNS = {
    "faults": ("tests/faults", "Crash states, failing I/O, killed processes", 35),
    "simulation": ("tests/simulation", "Simulated histories", 50),
    "hostile": ("tests/sandbox", "Hostile programs", 1),
    "fuzz": ("tests/fuzz", "Fuzzed decoders", 10),
    "mutants": ("tests/mutants", "Mutants and mixes", 5),
    "privacy": ("tests/privacy", "Privacy", 5),
    "consortium": ("tests/system/test_consortium_faults.py", "Validators that die, are cut off or lie", 1),
    "clocks": ("tests/system/test_consortium_clocks.py", "Validators whose clocks are wrong", 1),
    "damage": ("tests/system/test_damaged_files.py", "Bytes changed in what a node keeps", 10),
    "soak": ("tests/system/test_soak.py", "A quarter of an hour under load and kills", 1),
    "scenarios": ("tests/scenarios", "Scenarios with all their seeds", 1),
}
"""Where tests with campaigns are, their headings, and into how many slices they are cut."""

BENCHES = ("ledger", "consortium", "newcomer", "map", "sandbox", "aggregation", "store", "large", "demo")
OF_FILES = ("store", "large")
"""Benches of the files of a folder; without one that of the store measures what is shipped."""
ONLY_OF_FILES = "bench-large"
"""The part that does not run without one."""

OTHERS = "others"
"""All other tests."""

COMBINE: dict[str, Callable[[list[float]], float]] = {"sum": sum, "most": max, "least": min}


class Outcome(Struct, frozen=True):
    """What came of one slice of a part."""

    slice: int
    slices: int
    command: str
    commit: str
    date: str
    seconds: float
    load: float
    """Load average of the last minute when it began."""
    returned: int
    machine: str
    last_line: str
    figures: dict[str, tuple[str, float]]
    """Name → how such figures are put together, and this one."""
    bench: dict[str, Any] | None


Outcomes = dict[str, list[Outcome]]


def main() -> int:
    """Run what is left of the named parts (all, if none is named) and write the report; returns 1 if a slice failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.long", description="Campaigns at full size, and their report."
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(all_parts()))
    parser.add_argument("--minutes", type=float, default=float("inf"), help="begin no further slice after so long")
    parser.add_argument("--again", action="store_true", help="forget the earlier outcomes of the named parts")
    parser.add_argument("--data", type=Path, help="a folder of files for the benches of the store")
    parser.add_argument("--report", action="store_true", help="only write the report again")
    given = parser.parse_args()
    unknown = set(given.parts) - set(all_parts())
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    LOGS.mkdir(exist_ok=True)
    REPORT.parent.mkdir(exist_ok=True)
    outcomes = read_outcomes()
    if given.again:
        outcomes = {part: found for part, found in outcomes.items() if part not in given.parts}
    is_good = True
    if not given.report:
        until = time.monotonic() + 60 * given.minutes
        is_good = run_slices(outcomes, given.parts or all_parts(), until, given.data)
    REPORT.write_text("\n".join(render(outcomes)) + "\n")
    print(f"{REPORT.relative_to(ROOT)} written")
    return 0 if is_good else 1


def all_parts() -> list[str]:
    """The names of all parts, in the order in which they run: what is timed comes last, alone."""
    return [*CAMPAIGNS, OTHERS, *(f"bench-{name}" for name in BENCHES)]


def slices_of(part: str) -> int:
    """Into how many slices a part is cut."""
    return CAMPAIGNS[part][2] if part in CAMPAIGNS else 1


def read_outcomes() -> Outcomes:
    """What earlier calls found, as far as the parts are still cut so."""
    if not KEPT.exists():
        return {}
    found = msgspec.json.decode(KEPT.read_bytes(), type=Outcomes)
    return {
        part: [one for one in found[part] if one.slices == slices_of(part)] for part in all_parts() if part in found
    }


def run_slices(outcomes: Outcomes, parts: Iterable[str], until: float, data: Path | None) -> bool:
    """Run the slices that have no outcome yet, keeping each outcome at once; whether none failed."""
    is_good = True
    for part in parts:
        done = {one.slice for one in outcomes.get(part, [])}
        for number in range(slices_of(part)):
            if number in done or time.monotonic() > until or (part == ONLY_OF_FILES and data is None):
                continue
            outcome = run_slice(part, number, data)
            outcomes.setdefault(part, []).append(outcome)
            KEPT.write_bytes(msgspec.json.format(msgspec.json.encode(outcomes), indent=1) + b"\n")
            is_good = is_good and outcome.returned == 0
            said = f"{part} {number + 1}/{slices_of(part)}: {outcome.last_line or outcome.returned}"
            print(f"{said} ({outcome.seconds:,.0f} s)", flush=True)
    return is_good


def command_of(part: str, number: int, figures: Path, data: Path | None) -> list[str]:
    """The command of a slice."""
    if part.startswith("bench-"):
        name = part.removeprefix("bench-")
        files = ["--data", str(data)] if data is not None and name in OF_FILES else []
        return [sys.executable, "-m", "edgehold.cli", "bench", name, *files, "--json"]
    pytest = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "worksteal", "--long", "--figures", str(figures)]
    if part == OTHERS:
        return [*pytest, *(f"--ignore={folder}" for folder, _, _ in CAMPAIGNS.values())]
    return [*pytest, "--slice", f"{number + 1}/{slices_of(part)}", CAMPAIGNS[part][0]]


def run_slice(part: str, number: int, data: Path | None = None) -> Outcome:
    """Run one slice to its end and gather what it found."""
    figures = LOGS / f"{part}.figures.json"
    figures.unlink(missing_ok=True)
    command = command_of(part, number, figures, data)
    load, started = os.getloadavg()[0], time.monotonic()
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    (LOGS / f"{part}-{number + 1}.log").write_text(result.stdout + result.stderr)
    is_bench = part.startswith("bench-")
    words = ["FOLDER" if word == str(data) else Path(word).name if word == sys.executable else word for word in command]
    lines = [] if is_bench else result.stdout.strip().splitlines()
    return Outcome(
        slice=number,
        slices=slices_of(part),
        command=" ".join(word.replace(f"{ROOT}/", "") for word in words),
        commit=commit(),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        seconds=seconds,
        load=load,
        returned=result.returncode,
        machine=describe_machine(),
        last_line=lines[-1].strip("= ") if lines else "",
        figures=msgspec.json.decode(figures.read_bytes()) if figures.exists() else {},
        bench=msgspec.json.decode(result.stdout) if is_bench and not result.returncode else None,
    )


def commit() -> str:
    """The commit that is checked out, marked if files of the product or its tests differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    changed = git("status", "--porcelain", "--", "src", "rust", "tests", "tools", "pyproject.toml")
    return git("rev-parse", "--short", "HEAD") + ("+changes" if changed else "")


# ── the report ────────────────────────────────────────────────────────────────────────────────────────────────────


def render(outcomes: Outcomes) -> list[str]:
    """The report as Markdown."""
    machines = sorted({one.machine for found in outcomes.values() for one in found})
    lines = [
        f"# Quality report of {__version__}",
        "",
        "Written by `make long` (`python -m tools.long`) from the outcomes in",
        f"[`{KEPT.name}`]({KEPT.name}); nothing here is typed by hand. A campaign is cut into slices that need not run on one",
        "day: the table says how many of them ran, at which commits, and the load average of the minute before.",
        "A campaign whose slices did not all run has tried so much less than its full size, which its figures tell.",
        "",
        *(f"Machine: {machine}." for machine in machines),
        "",
        "| part | slices run | commits | when | load | took | came of it |",
        "| --- | --- | --- | --- | --- | --- | --- |",
        *(part_row(part, outcomes.get(part, [])) for part in all_parts()),
    ]
    for part, (_, heading, _) in CAMPAIGNS.items():
        figures = combined(outcomes.get(part, []))
        if figures:
            lines += [
                "",
                f"## {heading}",
                "",
                f"`{outcomes[part][0].command}`",
                "",
                "| figure | value |",
                "| --- | --- |",
            ]
            lines += [f"| {name} | {words} |" for name, words in figures]
    for name in BENCHES:
        for one in outcomes.get(f"bench-{name}", []):
            if one.bench is not None:
                lines += ["", f"## Bench: {name}", "", *bench_table(one.bench)]
    return lines


def part_row(part: str, found: list[Outcome]) -> str:
    """One part's line of the table."""
    if not found:
        return f"| {part} | 0 of {slices_of(part)} |  |  |  |  | **not run** |"
    dates = sorted(one.date for one in found)
    loads = [one.load for one in found]
    cells = [
        part,
        f"{len(found)} of {slices_of(part)}",
        ", ".join(dict.fromkeys(one.commit for one in found)),
        dates[0] if len(dates) == 1 else f"{dates[0]} to {dates[-1]}",
        f"{min(loads):.1f}" if len(loads) == 1 else f"{min(loads):.1f}–{max(loads):.1f}",
        minutes(sum(one.seconds for one in found)),
        came_of(found),
    ]
    return f"| {' | '.join(cells)} |"


def came_of(found: list[Outcome]) -> str:
    """What came of a part's slices, in words."""
    failed = [one for one in found if one.returned]
    if failed:
        return f"**{len(failed)} failed**: {failed[0].last_line or failed[0].returned}"
    return found[0].last_line or "measured" if len(found) == 1 else "all passed"


def combined(found: list[Outcome]) -> list[tuple[str, str]]:
    """The figures of all slices, equal names put together: name and value in words."""
    values: dict[str, tuple[str, list[float]]] = {}
    for one in found:
        for name, (how, value) in one.figures.items():
            values.setdefault(name, (how, []))[1].append(value)
    notes = {"sum": "", "most": "at most ", "least": "at least "}
    return [(name, notes[how] + number(COMBINE[how](several))) for name, (how, several) in sorted(values.items())]


def bench_table(bench: dict[str, Any]) -> list[str]:
    """One bench's rows."""
    lines = [
        f"Load at the end {bench['load']:.1f}. Medians; spread = (largest - smallest) / median.",
        "",
        "| figure | value | unit | beside it | which is | ratio | runs | spread |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in bench["rows"]:
        beside = "" if row["rival_value"] is None else number(row["rival_value"])
        ratio = "" if row["ratio"] is None else f"{row['ratio']:.2f}"
        cells = [row["name"], number(row["value"]), row["unit"], beside, row["rival"] or "", ratio, str(row["runs"])]
        lines.append(f"| {' | '.join(cells)} | {row['spread']:.0%} |")
    return lines


def number(value: float) -> str:
    """Whole numbers in full, others with three digits that count."""
    return f"{value:,.0f}" if value == int(value) or abs(value) >= 1000 else f"{value:.3g}"


def minutes(seconds: float) -> str:
    """A duration in the unit that one reads."""
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


if __name__ == "__main__":
    sys.exit(main())
