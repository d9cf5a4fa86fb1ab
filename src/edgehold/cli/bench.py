"""`edgehold bench …`: how fast it is here, each figure beside its rival or limit in the same run."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from edgehold.bench.measure import LEAST_RUNS, Report, Row, Work, make_report
from edgehold.cli.output import cut, json_option, table, wrap

BENCHES = {
    "ledger": "blocks, latency, proofs and the Merkle map of the embedded ledger",
    "sandbox": "programs in the sandbox beside the same in native Python",
    "aggregation": "report verification beside the crate alone, whole reports at both aggregators",
    "consortium": "four validators beside CometBFT's own kvstore, and the light client",
    "newcomer": "a fresh node, from a snapshot of a million entries and by a million transactions",
    "map": "the Merkle map at ten million keys (needs 5 GB of disk), and a bucket into which keys were ground",
    "large": "a hub with five gigabytes of mixed data (needs 15 GB of disk and an hour)",
    "store": "what records and files take beside general compressors",
    "demo": "one hub's part, and the demo at 400 and 2,000 hubs",
}


@click.command(short_help="How fast it is here, beside a rival or limit.")
@click.argument("name", type=click.Choice(list(BENCHES)))
@click.option(
    "--runs", type=click.IntRange(min=1), default=LEAST_RUNS, show_default=True, help="Rounds; medians count."
)
@click.option("--quick", is_flag=True, help="Small sizes: shows that it runs; its figures mean little.")
@click.option(
    "--dir", "folder", type=click.Path(path_type=Path, file_okay=False), help="Write here, not in a temporary folder."
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="A folder of files that hubs take in, for the bench of the store.",
)
@json_option
def bench(name: str, runs: int, quick: bool, folder: Path | None, data: Path | None, as_json: bool) -> None:
    """Measure one part in turns with what it is compared to: medians over the rounds, and ratios.

    \b
    Examples:
      edgehold bench ledger --quick --runs 1
      edgehold bench sandbox --quick --runs 1 --json
    """
    measure: Callable[[Work], Sequence[Row]] = importlib.import_module(f"edgehold.bench.{name}").measure
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix="bench-", dir=folder) as scratch:
        work = Work(
            runs=runs,
            quick=quick,
            folder=Path(scratch),
            say=lambda words: click.echo(f"… {words}", err=True),
            data=data,
        )
        report = make_report(name, measure(work))
    if as_json:
        click.echo(json.dumps(report.as_json(), ensure_ascii=False))
        return
    for line in lines_of(report):
        click.echo(line)


def lines_of(report: Report) -> list[str]:
    """The report as a table, its conditions above it and what the figures stand beside below it."""
    rivals = list(dict.fromkeys(row.rival for row in report.rows if row.rival))
    rows = [
        [
            cut(row.name, 54),
            number(row.value),
            cut(row.unit, 10),
            "" if row.rival_value is None else number(row.rival_value),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            f"{row.spread:.0%}",
            "" if row.rival is None else letter(rivals.index(row.rival)),
        ]
        for row in report.rows
    ]
    return [
        *wrap(f"{report.bench}: {report.machine}; load {report.load:.1f}; medians of {report.rows[0].runs} rounds"),
        *table(rows, ["figure", "value", "unit", "beside", "ratio", "spread", ""]),
        *(line for place, rival in enumerate(rivals) for line in wrap(f"{letter(place)}  {rival}", "   ")),
    ]


def letter(place: int) -> str:
    """By which what stands beside a figure is named below the table: a … z, aa …"""
    return (letter(place // 26 - 1) if place >= 26 else "") + chr(ord("a") + place % 26)


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
