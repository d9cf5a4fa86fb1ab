"""The WebAssembly engine: its version is part of what a program's digest names, its settings make runs repeatable."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import wasmtime
from wasmtime import Config, Engine

from edgehold.errors import EngineMismatch

ENGINE_VERSION: Final = "wasmtime 50.0.1"
"""The engine that programs are published for; the wheel pins it, and another one is refused."""

STACK_BYTES: Final = 1 << 20
"""Of native stack for one run; CPython's own limit on recursion stops ordinary programs earlier."""


def make_engine() -> Engine:
    """An engine that counts instructions, can be interrupted, and gives the same floats on every machine.

    Raises `EngineMismatch` when another version is installed than the one programs name.
    """
    check_version()
    config = Config()
    config.consume_fuel = True
    config.epoch_interruption = True
    config.cranelift_nan_canonicalization = True
    config.wasm_relaxed_simd_deterministic = True
    config.wasm_threads = False
    config.shared_memory = False
    config.max_wasm_stack = STACK_BYTES
    return Engine(config)


def check_version() -> None:
    """Raise `EngineMismatch` unless the engine that is installed is the one programs name.

    An installed distribution says its version in the name of a folder beside it; reading its metadata would take a
    cold process 10 ms, so that is done only where the folder is not found.
    """
    beside = Path(wasmtime.__file__).parents[1]
    if (beside / f"{ENGINE_VERSION.replace(' ', '-')}.dist-info").is_dir():
        return
    from importlib.metadata import version

    installed = f"wasmtime {version('wasmtime')}"
    if installed != ENGINE_VERSION:
        raise EngineMismatch(f"installed is {installed}, programs are published for {ENGINE_VERSION}")
