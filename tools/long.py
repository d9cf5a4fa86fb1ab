"""`make long`: every campaign at full size, every bench, and the report of it in `docs/qa`.

Each part runs by itself and leaves its outcome in `long-out/PART.json`; the report is written from all outcomes that lie
there, each with the commit it was run at. So a part can be run again alone, and hours need not pass at one go:

    python -m tools.long                    all parts, then the report
    python -m tools.long simulation faults  these parts, then the report
    python -m tools.long --report           the report only
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgehold import __version__
from edgehold.bench.measure import describe_machine

ROOT = Path(__file__).parent.parent
OUTCOMES = ROOT / "long-out"
REPORT = ROOT / "docs" / "qa" / f"{'.'.join(__version__.split('.')[:2])}.md"

CAMPAIGNS = {
    "faults": ("tests/faults", "Crash states, failing I/O, killed processes"),
    "simulation": ("tests/simulation", "Simulated histories"),
    "hostile": ("tests/sandbox", "Hostile programs"),
    "fuzz": ("tests/fuzz", "Fuzzed decoders"),
    "mutants": ("tests/mutants", "Mutants and mixes"),
    "privacy": ("tests/privacy", "Privacy"),
    "scenarios": ("tests/scenarios", "Scenarios with all their seeds"),
}
"""Folders of tests with campaigns, and their headings."""

BENCHES = ("ledger", "consortium", "sandbox", "aggregation", "demo")

OTHERS = "others"
"""All other tests."""


@dataclass(frozen=True)
class Outcome:
    """What came of one part."""

    part: str
    command: str
    commit: str
    date: str
    seconds: float
    load: float
    """Load average of the last minute when the part began."""
    returned: int
    machine: str
    last_line: str
    figures: dict[str, float]
    bench: dict[str, Any] | None


def main() -> int:
    """Run the named parts (all, if none is named) and write the report; returns 1 if a part failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.long", description="Campaigns at full size, and their report."
    )
    parser.add_argument("parts", nargs="*", metavar="PART", help=", ".join(all_parts()))
    parser.add_argument("--report", action="store_true", help="only write the report again")
    given = parser.parse_args()
    unknown = set(given.parts) - set(all_parts())
    if unknown:
        parser.error(f"no such part: {', '.join(sorted(unknown))}")
    OUTCOMES.mkdir(exist_ok=True)
    failed = []
    for part in [] if given.report else given.parts or all_parts():
        outcome = run_part(part)
        (OUTCOMES / f"{part}.json").write_text(json.dumps(asdict(outcome), indent=1) + "\n")
        print(f"{part}: {outcome.last_line or outcome.returned} ({outcome.seconds:,.0f} s)", flush=True)
        failed += [part] if outcome.returned else []
    outcomes = {
        part: Outcome(**json.loads((OUTCOMES / f"{part}.json").read_text()))
        for part in all_parts()
        if (OUTCOMES / f"{part}.json").exists()
    }
    REPORT.parent.mkdir(exist_ok=True)
    REPORT.write_text("\n".join(render(outcomes)) + "\n")
    print(f"{REPORT.relative_to(ROOT)} written from {len(outcomes)} of {len(all_parts())} parts")
    return 1 if failed else 0


def all_parts() -> list[str]:
    """The names of all parts, in the order in which they run: what is timed comes last, alone."""
    return [*CAMPAIGNS, OTHERS, *(f"bench-{name}" for name in BENCHES)]


def command_of(part: str, figures: Path) -> list[str]:
    """The command of a part."""
    if part.startswith("bench-"):
        return [sys.executable, "-m", "edgehold.cli", "bench", part.removeprefix("bench-"), "--json"]
    pytest = [sys.executable, "-m", "pytest", "-n", "2", "--dist", "worksteal", "--long", "--figures", str(figures)]
    if part == OTHERS:
        return [*pytest, *(f"--ignore={folder}" for folder, _ in CAMPAIGNS.values())]
    return [*pytest, CAMPAIGNS[part][0]]


def run_part(part: str) -> Outcome:
    """Run one part to its end and gather what it found."""
    figures = OUTCOMES / f"{part}.figures.json"
    figures.unlink(missing_ok=True)
    command = command_of(part, figures)
    print(f"{part}: begins", flush=True)
    load, started = os.getloadavg()[0], time.monotonic()
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    (OUTCOMES / f"{part}.log").write_text(result.stdout + result.stderr)
    is_bench = part.startswith("bench-")
    words = [Path(word).name if word == sys.executable else word for word in command]
    lines = [] if is_bench else result.stdout.strip().splitlines()
    return Outcome(
        part=part,
        command=" ".join(word.replace(f"{ROOT}/", "") for word in words),
        commit=commit(),
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        seconds=seconds,
        load=load,
        returned=result.returncode,
        machine=describe_machine(),
        last_line=lines[-1].strip("= ") if lines else "",
        figures=json.loads(figures.read_text()) if figures.exists() else {},
        bench=json.loads(result.stdout) if is_bench and not result.returncode else None,
    )


def commit() -> str:
    """The commit that is checked out, marked if files differ from it."""

    def git(*words: str) -> str:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()

    return git("rev-parse", "--short", "HEAD") + ("+changes" if git("status", "--porcelain") else "")


def render(outcomes: dict[str, Outcome]) -> list[str]:
    """The report as Markdown."""
    machines = sorted({outcome.machine for outcome in outcomes.values()})
    lines = [
        f"# Quality report of {__version__}",
        "",
        "Written by `make long` (`python -m tools.long`); nothing here is typed by hand. Each part names the commit and the",
        "moment it was run, and the load average of the minute before it began.",
        "",
        *(f"Machine: {machine}." for machine in machines),
        "",
        "| part | commit | when | load | took | came of it |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for part in all_parts():
        if part in outcomes:
            one = outcomes[part]
            came = one.last_line or ("measured" if not one.returned else f"exit code {one.returned}")
            row = [part, one.commit, one.date, f"{one.load:.1f}", minutes(one.seconds), came]
        else:
            row = [part, "", "", "", "", "**not run**"]
        lines.append(f"| {' | '.join(row)} |")
    for part, (_, heading) in CAMPAIGNS.items():
        if part in outcomes and outcomes[part].figures:
            lines += ["", f"## {heading}", "", f"`{outcomes[part].command}`", "", "| figure | value |", "| --- | --- |"]
            lines += [f"| {name} | {number(value)} |" for name, value in outcomes[part].figures.items()]
    for name in BENCHES:
        one_bench = outcomes.get(f"bench-{name}")
        if one_bench is not None and one_bench.bench is not None:
            lines += ["", f"## Bench: {name}", "", *bench_table(one_bench.bench)]
    return lines


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
