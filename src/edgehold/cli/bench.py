"""`edgehold bench …`: how fast it is here, each figure beside its rival or limit in the same run."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from edgehold.bench.measure import LEAST_RUNS, Report, Row, Work, make_report
from edgehold.cli.output import json_option, table

BENCHES = {
    "ledger": "blocks, latency, proofs and the Merkle map of the embedded ledger",
    "sandbox": "programs in the sandbox beside the same in native Python",
    "aggregation": "report verification beside the crate alone, whole reports at both aggregators",
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
@json_option
def bench(name: str, runs: int, quick: bool, folder: Path | None, as_json: bool) -> None:
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
        work = Work(runs=runs, quick=quick, folder=Path(scratch), say=lambda words: click.echo(f"… {words}", err=True))
        report = make_report(name, measure(work))
    if as_json:
        click.echo(json.dumps(report.as_json(), ensure_ascii=False))
        return
    for line in lines_of(report):
        click.echo(line)


def lines_of(report: Report) -> list[str]:
    """The report as a table, with its conditions above it."""
    rows = [
        [
            row.name,
            number(row.value),
            row.unit,
            "" if row.rival_value is None else number(row.rival_value),
            "" if row.ratio is None else f"{row.ratio:.2f}",
            f"{row.spread:.0%}",
            row.rival or "",
        ]
        for row in report.rows
    ]
    conditions = f"{report.bench}: {report.machine}; load {report.load:.1f}; medians of {report.rows[0].runs} rounds"
    return [conditions, *table(rows, ["figure", "value", "unit", "beside it", "ratio", "spread", "which is"])]


def number(value: float) -> str:
    """Three digits that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
