"""The commands: one module a party, one function a command. A command parses, calls a party, shows.

Exit codes: 0 ok, 1 failed, 2 usage, 3 partial, 4 needs auth, 5 refused by policy or budget, 6 not found, 7 busy,
8 verification failed, 130 interrupted.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from edgehold import __version__
from edgehold.cli.output import show_error
from edgehold.durable import is_storage_failure, storage_failure
from edgehold.errors import EdgeholdError, FileUnusable, UsageError

INTERRUPTED = 130

COMMANDS = {
    "demo": ("edgehold.cli.demo", "demo"),
    "verify": ("edgehold.cli.verify", "verify"),
    "ledger": ("edgehold.cli.ledger", "ledger"),
    "catalog": ("edgehold.cli.ledger", "catalog"),
    "issuer": ("edgehold.cli.issuer", "issuer"),
    "hub": ("edgehold.cli.hub", "hub"),
    "program": ("edgehold.cli.program", "program"),
    "schema": ("edgehold.cli.program", "schema"),
    "plan": ("edgehold.cli.plan", "plan"),
    "order": ("edgehold.cli.order", "order"),
    "node": ("edgehold.cli.node", "node"),
    "gov": ("edgehold.cli.gov", "gov"),
    "network": ("edgehold.cli.consortium", "network"),
    "up": ("edgehold.cli.consortium", "up"),
    "down": ("edgehold.cli.consortium", "down"),
    "bench": ("edgehold.cli.bench", "bench"),
    "explain": ("edgehold.cli.explain", "explain"),
}
"""Each command's module and function; a module is loaded when its command is called, so that `--help` is quick."""


class LazyGroup(click.Group):
    """A group that imports a command's module only when the command is needed."""

    def list_commands(self, context: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, function = COMMANDS[name]
        command: click.Command = getattr(importlib.import_module(module), function)
        return command


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="edgehold")
def edgehold() -> None:
    """Medical data without a centre: analyses travel to the data, only noised sums travel back.

    \b
    Begin with:
      edgehold demo --hubs 40 --dir demo-out
      edgehold verify demo-out/certificates/bmi.cert --genesis demo-out/genesis.cbor

    Exit codes: 0 ok, 1 failed, 2 usage, 3 partly done, 4 keys or invitation do not open, 5 refused by policy, budget or
    rule, 6 not found, 7 busy, 8 does not verify, 130 interrupted.

    Every command has --json and examples in its --help. `edgehold explain CODE` says what an error means.
    Completion: eval "$(_EDGEHOLD_COMPLETE=bash_source edgehold)" (or zsh_source, fish_source).
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run a command and leave with its exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(run(words))


def run(words: list[str]) -> int:
    """Run a command and return its exit code; whatever goes wrong is said in words, or with --json as one object."""
    as_json = "--json" in words
    try:
        code = edgehold.main(args=words, prog_name="edgehold", standalone_mode=False)
    except EdgeholdError as error:
        show_error(error, as_json=as_json)
        return error.exit_code
    except click.ClickException as error:
        if as_json:
            show_error(UsageError(error.format_message()), as_json=True)
        else:
            error.show()
        return UsageError.exit_code
    except (click.Abort, KeyboardInterrupt):
        click.echo("interrupted", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # whoever read it is gone
        return 1
    except OSError as error:
        failure = file_failure(error)
        show_error(failure, as_json=as_json)
        return failure.exit_code
    return code if isinstance(code, int) else 0


def file_failure(error: OSError) -> EdgeholdError:
    """What the system says of a file that a command reads or writes, as ours."""
    name = error.filename or "a file"
    if is_storage_failure(error):
        return storage_failure(error, Path(name))
    return FileUnusable(f"{name}: {error.strerror or error}")
