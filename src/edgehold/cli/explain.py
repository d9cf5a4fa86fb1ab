"""`edgehold explain`: what an error means and what to do about it."""

from __future__ import annotations

import inspect
import textwrap

import click

from edgehold.cli.output import WIDTH, cut, emit, json_option, table
from edgehold.errors import EdgeholdError, NotFound, all_errors


@click.command(short_help="What an error code means.")
@click.argument("code", required=False)
@json_option
def explain(code: str | None, as_json: bool) -> None:
    """Say what an error CODE (EH207, 207 or its name) means and what to do. Without CODE: list all.

    \b
    Examples:
      edgehold explain EH151
      edgehold explain BadSignature --json
      edgehold explain
    """
    known = every_error()
    if code is None:
        rows = [[kind_code(kind), kind.__name__, cut(first_sentence(kind), 67)] for kind in known]
        emit(as_json, {"errors": [facts(kind) for kind in known]}, table(rows, ["code", "name", "what"]))
        return
    wanted = code.upper().removeprefix("EH")
    for kind in known:
        if code == kind.__name__ or (wanted.isdigit() and int(wanted) == kind.number):
            emit(as_json, facts(kind), describe(kind))
            return
    raise NotFound(f"no error has the code or name {code!r}")


def every_error() -> list[type[EdgeholdError]]:
    """All error classes, by number."""
    return sorted(all_errors(), key=lambda kind: kind.number)


def kind_code(kind: type[EdgeholdError]) -> str:
    return f"EH{kind.number:03d}"


def first_sentence(kind: type[EdgeholdError]) -> str:
    return " ".join((inspect.getdoc(kind) or "").split()).split(". ")[0].rstrip(".")


def facts(kind: type[EdgeholdError]) -> dict[str, object]:
    return {
        "code": kind_code(kind),
        "name": kind.__name__,
        "what": " ".join((inspect.getdoc(kind) or "").split()),
        "family": kind.__mro__[1].__name__,
        "remedy": kind.remedy,
        "exit_code": kind.exit_code,
    }


def describe(kind: type[EdgeholdError]) -> list[str]:
    found = facts(kind)
    return [
        f"{found['code']} {found['name']} (a kind of {found['family']}; exit code {found['exit_code']})",
        *wrapped("what", str(found["what"])),
        *wrapped("do", str(found["remedy"])),
    ]


def wrapped(heading: str, text: str) -> list[str]:
    """A heading and its text, in lines that fit."""
    return textwrap.wrap(text, WIDTH, initial_indent=f"  {heading:<6} ", subsequent_indent=" " * 9)
