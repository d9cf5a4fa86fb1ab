"""Set up a checkout: the environment from the lock file, the native module, the sandbox's runtime.

Run by `make` with whatever Python 3 is there; uses the standard library only. Does nothing twice: each step has a
stamp that names the inputs it was made from.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
LEAST_PYTHON = (3, 11)
LEAST_RUST = (1, 89)

NATIVE_INPUTS = ["pyproject.toml", "rust/Cargo.toml", "rust/Cargo.lock", "rust/src/**/*.rs"]
ENVIRONMENT_INPUTS = ["requirements/dev.txt", "requirements/uv.txt"]


def main() -> None:
    check_tools()
    step("environment", ENVIRONMENT_INPUTS, make_environment)
    step("native module", [*ENVIRONMENT_INPUTS, *NATIVE_INPUTS], build_native)
    run(PYTHON, "-m", "edgehold.sandbox")


def check_tools() -> None:
    """Say everything that is missing at once, and how to get it."""
    missing = []
    if sys.version_info < LEAST_PYTHON:
        missing.append(
            f"Python {LEAST_PYTHON[0]}.{LEAST_PYTHON[1]} or newer (this is {sys.version.split()[0]}): "
            "install it, then run `make PYTHON=python3.12 …`."
        )
    rust = rust_version()
    if rust is None:
        missing.append("Rust: install it with rustup (https://rustup.rs, or your system's package `rustup`).")
    elif rust < LEAST_RUST:
        missing.append(
            f"Rust {LEAST_RUST[0]}.{LEAST_RUST[1]} or newer (found {rust[0]}.{rust[1]}): `rustup update stable`."
        )
    if shutil.which("cc") is None:
        missing.append(
            "A C compiler `cc`, which Rust links with: `apt install build-essential` or `xcode-select --install`."
        )
    if missing:
        sys.exit("Edgehold cannot be set up yet. Missing:\n  - " + "\n  - ".join(missing))


def rust_version() -> tuple[int, int] | None:
    cargo = shutil.which("cargo")
    if cargo is None:
        return None
    words = subprocess.run([cargo, "--version"], capture_output=True, text=True, check=False).stdout.split()
    try:
        major, minor = words[1].split(".")[:2]
        return int(major), int(minor)
    except (IndexError, ValueError):
        return None


def make_environment() -> None:
    if not (VENV / "bin/uv").exists():  # nothing there yet, or a folder that something else made
        shutil.rmtree(VENV, ignore_errors=True)
        run(sys.executable, "-m", "venv", VENV)
        run(PYTHON, "-m", "pip", "install", "--quiet", "--require-hashes", "-r", ROOT / "requirements/uv.txt")
    run(
        VENV / "bin/uv",
        "pip",
        "sync",
        "--quiet",
        "--compile-bytecode",
        "--python",
        PYTHON,
        "--require-hashes",
        ROOT / "requirements/dev.txt",
    )


def build_native() -> None:
    environment = {**os.environ, "VIRTUAL_ENV": str(VENV), "PATH": f"{VENV / 'bin'}:{os.environ['PATH']}"}
    environment.pop("CONDA_PREFIX", None)
    run(VENV / "bin/maturin", "develop", "--release", "--locked", "--quiet", "--uv", environment=environment)


def step(name: str, patterns: list[str], action: object) -> None:
    """Run an action unless its stamp says that it ran on exactly these inputs."""
    assert callable(action)
    stamp = VENV / f".{name.replace(' ', '-')}.stamp"
    digest = digest_of(patterns)
    if stamp.exists() and stamp.read_text() == digest:
        return
    print(f"set-up: {name} …", flush=True)
    started = time.monotonic()
    action()
    stamp.write_text(digest)
    print(f"set-up: {name} done in {time.monotonic() - started:.0f} s", flush=True)


def digest_of(patterns: list[str]) -> str:
    total = hashlib.sha256()
    for pattern in patterns:
        for path in sorted(ROOT.glob(pattern)):
            total.update(
                path.relative_to(ROOT).as_posix().encode() + b"\x00" + hashlib.sha256(path.read_bytes()).digest()
            )
    return total.hexdigest()


def run(*command: object, environment: dict[str, str] | None = None) -> None:
    words = [str(word) for word in command]
    result = subprocess.run(words, cwd=ROOT, env=environment, check=False)
    if result.returncode != 0:
        sys.exit(f"set-up failed: `{' '.join(words)}` returned {result.returncode}")


if __name__ == "__main__":
    main()
