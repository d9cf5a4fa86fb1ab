"""`edgehold verify`: a certificate, checked offline by anybody who has the genesis file."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import click

from edgehold.cli.output import WIDTH, emit, json_option
from edgehold.errors import BadCertificate, Malformed, NotFound
from edgehold.ledger.genesis import read_genesis
from edgehold.verify.certificate import NEVER_SHOWN, Check, Verdict, verify_certificate

MOST_BYTES = 64 << 20
"""Of any file read here; detached shares of the longest vector are smaller."""


@click.command(short_help="Check a certificate offline.")
@click.argument("certificate", type=click.Path(path_type=Path))
@click.option("--genesis", type=click.Path(path_type=Path), required=True, help="The network's genesis file.")
@json_option
def verify(certificate: Path, genesis: Path, as_json: bool) -> None:
    """Check a CERTIFICATE: who signed what, which batch, how much noise, and that the shares give the result.

    Shares that are too large to travel inside are read from NAME.shares beside it. Exit code 8 if anything does not
    hold.

    \b
    Examples:
      edgehold verify demo-out/certificates/bmi.cert --genesis demo-out/genesis.cbor
      edgehold verify demo-out/certificates/bmi.cert --genesis demo-out/genesis.cbor --json
    """
    document = read_genesis(read_file(genesis))
    beside = certificate.with_suffix(".shares")
    data, shares = read_file(certificate), read_file(beside) if beside.exists() else None
    try:
        verdict = verify_certificate(data, document, shares)
    except Malformed as error:
        raise BadCertificate(f"{certificate}: {error}") from error
    emit(as_json, verdict_facts(verdict), [f"{certificate} holds.", "", *verdict_lines(verdict)])


def read_file(path: Path) -> bytes:
    """A file's bytes; raises `NotFound`, `BadCertificate` for one that is too large to be any of ours."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    if path.stat().st_size > MOST_BYTES:
        raise BadCertificate(f"{path} has {path.stat().st_size} bytes, more than any certificate or genesis file")
    return path.read_bytes()


def verdict_facts(verdict: Verdict) -> dict[str, Any]:
    """A verdict as JSON values."""
    return {
        "task": verdict.task.hex(),
        "order": verdict.configuration.order.hex(),
        "batch": verdict.batch,
        "rejected": verdict.rejected,
        "result": verdict.values,
        "half_width": verdict.half_width,
        "epsilon": round(verdict.epsilon, 4),
        "delta": verdict.delta,
        "operators": verdict.operators,
        "relies_on": groups(verdict.checks),
    }


def groups(checks: list[Check]) -> dict[str, list[str]]:
    """What is said, by group."""
    found: dict[str, list[str]] = {}
    for check in checks:
        found.setdefault(check.group, []).append(check.says)
    return found


def verdict_lines(verdict: Verdict) -> list[str]:
    """A verdict for people: the four groups, then the result."""
    lines = []
    for group, sayings in groups(verdict.checks).items():
        mark = "✗" if group == NEVER_SHOWN else "✓"
        lines.append(f"  {group}:")
        for says in sayings:
            lines += textwrap.wrap(says, WIDTH, initial_indent=f"    {mark} ", subsequent_indent="      ")
    shown = ", ".join(f"{value} ± {verdict.half_width}" for value in verdict.values[:12])
    more = "" if len(verdict.values) <= 12 else f" … ({len(verdict.values)} values)"
    return [*lines, f"  result (95 % intervals): {shown}{more}"]
