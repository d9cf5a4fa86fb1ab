"""The sandbox: one engine and one compiled runtime, a fresh instance for every run, nothing kept between runs.

A run reads one directory, takes two texts and gives one text. It cannot reach anything else (see `capabilities`), and
it ends: by its answer, or at a limit, each with an error of its own. Several threads may run programs in one `Sandbox`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Final, NamedTuple, Self

from wasmtime import Engine, Store, WasiConfig, WasmtimeError
from wasmtime.component import Linker, Variant

from edgehold.errors import (
    DeadlineExceeded,
    ForbiddenCapability,
    FuelExhausted,
    MemoryExceeded,
    NoTables,
    OutputTooLarge,
    ProgramCrashed,
    ProgramFailed,
    ProgramTooLarge,
    SandboxError,
    StackExceeded,
)
from edgehold.sandbox.capabilities import DENIED, make_linker
from edgehold.sandbox.compiled import load_runtime
from edgehold.sandbox.engine import make_engine
from edgehold.sandbox.vec import REFUSED, Vec
from edgehold.wire.program import Capability, RunLimits

MOST_SOURCE: Final = 64 * 1024
"""Bytes of a program's text."""

MOST_PARAMS: Final = 16 * 1024
"""Bytes of a program's parameters as JSON text."""

MOST_REASON: Final = 2_000
"""Characters of a program's own words about its failure that reach the owner's log."""

BEAT: Final = 0.005
"""Seconds between two looks at the deadlines."""

IDLE_BEATS: Final = 200
"""Beats without a run after which the pulse rests."""

TABLE_ELEMENTS: Final = 100_000
"""Entries of function tables in one run; the runtime has about 13,000 and never grows them."""


class Answer(NamedTuple):
    """What a run gave: JSON text, and the fuel it took, which repeats exactly and must not leave the hub."""

    text: str
    fuel: int


class Sandbox:
    """Runs programs in the compiled runtime at a path that `prepare_runtime` gave.

    Raises `UntrustedCache`, `RuntimeRefused`, `EngineMismatch`. Close it to end its one background thread.
    """

    def __init__(self, runtime: Path) -> None:
        self._engine = make_engine()
        self._component = load_runtime(self._engine, runtime)
        self._vec = Vec(self._engine)
        self._linkers = {frozenset[Capability](): make_linker(self._engine, self._component)}
        self._linking = threading.Lock()
        self._pulse = Pulse(self._engine)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the background thread; runs after this have no deadline and are refused."""
        self._pulse.stop()

    def run(
        self, source: str, tables: Path, params: str, limits: RunLimits, capabilities: Collection[Capability] = ()
    ) -> Answer:
        """Run `main` of a program text over the tables in one directory, read-only.

        `params` is JSON text; `capabilities` are those that the program's manifest declares. Raises the `SandboxError`
        that says what stopped the program: `FuelExhausted`, `DeadlineExceeded`, `MemoryExceeded`, `StackExceeded`,
        `OutputTooLarge`, `ForbiddenCapability`, `ProgramFailed`, `ProgramCrashed`; before it starts `ProgramTooLarge`
        and `NoTables`. All of them stay with the owner.
        """
        for what, text, most in (("source", source, MOST_SOURCE), ("parameters", params, MOST_PARAMS)):
            if (size := len(text.encode("utf-8", "surrogatepass"))) > most:
                raise ProgramTooLarge(f"{what} of {size} bytes, at most {most} are allowed")
        if not tables.is_dir():
            raise NoTables(f"{tables} is not a directory")
        store = Store(self._engine)
        try:
            linker = self._linker_with(frozenset(capabilities))
            with self._pulse, self._vec.serving(store, tables):
                _equip(store, tables, limits)
                text = self._call(linker, store, source, params, limits)
                return Answer(text, limits.fuel - store.get_fuel())
        finally:
            store.close()

    def _linker_with(self, capabilities: frozenset[Capability]) -> Linker:
        with self._linking:
            if capabilities not in self._linkers:
                answers = {Capability.VEC: self._vec.answers()}
                given = {capability: answers[capability] for capability in capabilities}
                self._linkers[capabilities] = make_linker(self._engine, self._component, given)
            return self._linkers[capabilities]

    def _call(self, linker: Linker, store: Store, source: str, params: str, limits: RunLimits) -> str:
        try:
            function = linker.instantiate(store, self._component).get_func(store, "run")
            if function is None:
                raise ProgramCrashed("the runtime has no function `run`")
            result = function(store, source, params)
        except WasmtimeError as error:
            raise stopped(str(error), limits) from error
        if isinstance(result, Variant):
            raise failed(result, limits)
        size = len(result.encode("utf-8"))
        if size > limits.output_bytes:
            raise OutputTooLarge(f"the answer has {size} bytes, at most {limits.output_bytes} are allowed")
        return str(result)


class Pulse:
    """The engine's clock: advances its epoch while runs are under way, so that each ends at its deadline.

    It is entered around each run; after a second without runs it rests. A beat that comes late, because other threads
    keep this one waiting, makes up for those that were missed.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._changed = threading.Condition()
        self._runs = 0
        self._resting = True
        self._stopped = False
        self._counted = time.monotonic()
        threading.Thread(target=self._beat, name="sandbox-pulse", daemon=True).start()

    def __enter__(self) -> None:
        with self._changed:
            if self._stopped:
                raise ProgramFailed("the sandbox is closed")
            self._catch_up()
            self._runs += 1
            if self._resting:
                self._changed.notify()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._runs -= 1

    def stop(self) -> None:
        """End the thread once the runs under way have ended."""
        with self._changed:
            self._stopped = True
            self._changed.notify()

    def _beat(self) -> None:
        idle = 0
        with self._changed:
            while self._runs or not self._stopped:
                idle = 0 if self._runs else idle + 1
                self._resting = idle > IDLE_BEATS
                self._changed.wait(None if self._resting else BEAT)
                self._catch_up()

    def _catch_up(self) -> None:
        """Count the beats since the last count; while nothing runs, nobody waits for them."""
        beats = int((time.monotonic() - self._counted) / BEAT)
        self._counted += beats * BEAT
        for _ in range(beats if self._runs else 0):
            self._engine.increment_epoch()


def failed(failure: Variant, limits: RunLimits) -> SandboxError:
    """The error for a failure that the runtime reports, a case of `failure` in `interface.wit`."""
    match failure.tag:
        case "memory":
            return MemoryExceeded(f"the program wanted more than {limits.memory_bytes} bytes")
        case "depth":
            return StackExceeded("the program called more deeply than its interpreter allows")
        case _:
            return ProgramFailed(str(failure.payload)[:MOST_REASON])


def stopped(message: str, limits: RunLimits) -> SandboxError:
    """The error for a run that the engine ended, by the cause at the end of the engine's message."""
    cause = message.rsplit("Caused by:", 1)[-1].strip()
    if "all fuel consumed" in cause:
        return FuelExhausted(f"the program used up its {limits.fuel} units of fuel")
    if "interrupt" in cause:
        return DeadlineExceeded(f"the program ran longer than {limits.deadline_ms} ms")
    if "exceeds memory limits" in cause:
        return MemoryExceeded(f"the runtime alone needs more than {limits.memory_bytes} bytes")
    if "call stack exhausted" in cause:
        return StackExceeded("the program called more deeply than the sandbox allows")
    if DENIED in cause:
        return ForbiddenCapability(cause[cause.index(DENIED) :].splitlines()[0])
    if REFUSED in cause:
        return ProgramFailed(cause[cause.index(REFUSED) :].splitlines()[0])
    return ProgramCrashed(cause[:200])


def _equip(store: Store, tables: Path, limits: RunLimits) -> None:
    """Give a run its fuel, its deadline, its memory and its one directory."""
    store.set_fuel(limits.fuel)
    store.set_epoch_deadline(int(limits.deadline_ms / 1000 / BEAT) + 1)
    store.set_limits(memory_size=limits.memory_bytes, table_elements=TABLE_ELEMENTS)
    wasi = WasiConfig()
    wasi.preopen_dir(str(tables), "/in", False)
    store.set_wasi(wasi)
