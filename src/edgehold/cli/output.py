"""How commands speak: plain text on a terminal, one JSON object with --json, progress as a bar or as JSON lines."""

from __future__ import annotations

import json
import os
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import click

from edgehold.errors import EdgeholdError, UsageError

F = TypeVar("F", bound=Callable[..., Any])

WIDTH = 100
"""Columns that our output fits into."""


def json_option(function: F) -> F:
    """The option --json that every command has."""
    return click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of text.")(function)


def emit(as_json: bool, data: dict[str, Any], text: str | Iterable[str]) -> None:
    """Print what a command found: the data as one JSON object, or the text."""
    if as_json:
        click.echo(json.dumps(data, ensure_ascii=False))
        return
    for line in [text] if isinstance(text, str) else text:
        click.echo(line)


def show_error(error: EdgeholdError, *, as_json: bool) -> None:
    """Say what went wrong, where, and what to do, on standard error; with --json as one object on standard output."""
    if as_json:
        facts = {"code": error.code, "error": type(error).__name__, "message": str(error), "remedy": error.remedy}
        click.echo(json.dumps({"error": facts}, ensure_ascii=False))
        return
    click.echo(f"{error.code} {type(error).__name__}: {error}", err=True)
    click.echo(f"  → {error.remedy}", err=True)


def cut(text: str, width: int = WIDTH) -> str:
    """A text that fits; --json has all of it."""
    return text if len(text) <= width else text[: width - 1] + "…"


def wrap(text: str, indent: str = "") -> list[str]:
    """A text in lines that fit, those after the first indented."""
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent)


def table(rows: list[list[str]], headings: list[str]) -> list[str]:
    """Lines of a table with aligned columns; a column of numbers is aligned to the right."""
    cells = [headings, *rows]
    widths = [max(len(row[column]) for row in cells) for column in range(len(headings))]
    numeric = [all(_is_number(row[column]) for row in rows) and bool(rows) for column in range(len(headings))]

    def line(row: list[str]) -> str:
        padded = (
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, numeric, strict=True)
        )
        return "  ".join(padded).rstrip()

    return [line(headings), line(["─" * width for width in widths]), *(line(row) for row in rows)]


def _is_number(text: str) -> bool:
    return text.replace(",", "").replace(".", "").replace("−", "").replace("-", "").replace("%", "").strip().isdigit()


class Progress:
    """One long piece of work: a bar on a terminal, a few JSON lines on standard error elsewhere."""

    def __init__(self, label: str, total: int, *, quiet: bool = False) -> None:
        self._label, self._total, self._done, self._quiet = label, total, 0, quiet
        self._terminal = sys.stderr.isatty()
        self._shown = "", -1

    def advance(self, count: int = 1) -> None:
        """Some more is done."""
        self._done += count
        self._show(self._label, self._done, self._total)

    def within(self, label: str, done: int, total: int) -> None:
        """Of a long step of the work so much of so much is done; the work itself is shown again when more of it is."""
        self._show(label, done, total)

    def _show(self, label: str, done: int, total: int) -> None:
        tenths = done * (40 if self._terminal else 4) // max(total, 1)
        if self._quiet or (label, tenths) == self._shown:
            return
        self._shown = label, tenths
        if self._terminal:
            bar = ("━" * tenths).ljust(40, "╌")
            line = f"  {cut(label, 34):<34} {bar} {done}/{total}"
            print(f"\r{line:<{WIDTH}}", end="", file=sys.stderr, flush=True)
        else:
            print(json.dumps({"progress": label, "done": done, "total": total}), file=sys.stderr, flush=True)

    def reach(self, done: int, total: int) -> None:
        """So much of so much is done."""
        self._total = total
        self.advance(done - self._done)

    def end(self) -> None:
        """The work is over; the bar makes room."""
        if self._terminal and not self._quiet:
            print("\r" + " " * WIDTH + "\r", end="", file=sys.stderr, flush=True)


@contextmanager
def progress(label: str, total: int, *, quiet: bool = False) -> Iterator[Progress]:
    """Show progress while a block runs."""
    bar = Progress(label, total, quiet=quiet)
    try:
        yield bar
    finally:
        bar.end()


def confirm(yes: bool, question: str) -> None:
    """Ask at a terminal; elsewhere only --yes is a yes."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(f"{question} Say --yes where nobody can be asked")
    click.confirm(question, abort=True)


def default_hub() -> Path:
    """Where a person's hub lives if nothing else is said: the XDG data folder."""
    return _xdg("XDG_DATA_HOME", ".local/share") / "edgehold" / "hub"


def default_issuer() -> Path:
    """Where a clinic's keys and panels live if nothing else is said."""
    return _xdg("XDG_DATA_HOME", ".local/share") / "edgehold" / "issuer"


def default_node() -> Path:
    """Where a node of the ledger lives if nothing else is said."""
    return _xdg("XDG_DATA_HOME", ".local/share") / "edgehold" / "node"


def _xdg(variable: str, fallback: str) -> Path:
    value = os.environ.get(variable, "")
    return Path(value) if value.startswith("/") else Path.home() / fallback
