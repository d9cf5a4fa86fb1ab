"""The WebAssembly engine: its version is part of what a program's digest names, its settings make runs repeatable."""

from __future__ import annotations

from importlib.metadata import version
from typing import Final

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
    installed = f"wasmtime {version('wasmtime')}"
    if installed != ENGINE_VERSION:
        raise EngineMismatch(f"installed is {installed}, programs are published for {ENGINE_VERSION}")
    config = Config()
    config.consume_fuel = True
    config.epoch_interruption = True
    config.cranelift_nan_canonicalization = True
    config.wasm_relaxed_simd_deterministic = True
    config.wasm_threads = False
    config.shared_memory = False
    config.max_wasm_stack = STACK_BYTES
    return Engine(config)
