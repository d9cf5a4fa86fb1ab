"""`edgehold demo`: the main job, end to end, as a story."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edgehold.cli.output import Progress, json_option
from edgehold.demo.cast import EPSILON
from edgehold.demo.story import Script, play
from edgehold.demo.teller import Teller
from edgehold.errors import UsageError
from edgehold.server.loopback import take_down


@click.command(short_help="The main job, end to end, as a story.")
@click.option("--hubs", type=click.IntRange(min=6), default=400, show_default=True, help="How many people.")
@click.option("--cohort", type=click.Path(path_type=Path), help="FHIR R4 bundles, one a line, as .ndjson.zst.")
@click.option("--dir", "folder", type=click.Path(path_type=Path), default=Path("demo-out"), help="An empty folder.")
@click.option(
    "--epsilon", type=click.FloatRange(0.1, 8), default=EPSILON, show_default=True, help="Privacy loss an order."
)
@click.option("--seed", type=int, help="Repeat bit for bit. Not private!")
@click.option(
    "--ledger",
    type=click.Choice(["embedded", "consortium"]),
    default="embedded",
    show_default=True,
    help="Kept by this process, or by validators with processes of their own.",
)
@click.option("--validators", type=click.IntRange(1, 16), default=4, show_default=True, help="Of a consortium.")
@json_option
def demo(
    hubs: int,
    cohort: Path | None,
    folder: Path,
    epsilon: float,
    seed: int | None,
    ledger: str,
    validators: int,
    as_json: bool,
) -> None:
    """Play the whole story: people with hubs, services, orders, certificates, in six acts, in one folder.

    \b
    Examples:
      edgehold demo --hubs 24 --dir story --seed 1
      edgehold demo --hubs 24 --dir facts --json
      edgehold demo --hubs 24 --dir together --ledger consortium

    A consortium's validators are stopped at the end; `edgehold up --dir together` starts them again.
    """
    is_consortium = ledger == "consortium"
    if is_consortium and seed is not None:
        raise UsageError("--seed repeats a ledger of one process; the heights of validators pass as they pass")
    teller = Teller(
        say=(lambda line: click.echo(line, err=True)) if as_json else click.echo,
        bar=lambda label, total: Progress(label, total),
    )
    script = Script(
        folder=folder,
        people=hubs,
        cohort=cohort,
        epsilon=epsilon,
        seed=seed,
        validators=validators if is_consortium else 0,
    )
    try:
        facts = play(script, teller)
    finally:
        if is_consortium and (folder / "validators").is_dir():
            take_down(folder)
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
