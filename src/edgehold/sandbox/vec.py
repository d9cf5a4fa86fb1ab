"""The interface `vec`: sums over whole columns of a run's tables, computed outside the interpreter but inside the engine.

A program names columns; no byte of them passes through it. The work is done by a small WebAssembly kernel (`vec.wat`)
in the store of the run itself: its instructions burn the run's fuel, the deadline stops it, its memory is bounded. What
the host adds, opening and reading files, is charged in fuel as well, by the call and by the byte. The order of every
sum is fixed (`interface.wit`), so that its bits are the same on every machine.

Only programs whose manifest declares the capability are given the interface; for all others it is denied.
"""

from __future__ import annotations

import ctypes
import os
import re
import stat
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple

from wasmtime import Engine, Instance, Module, Store, Trap, WasmtimeError

from edgehold.sandbox.capabilities import Answer

REFUSED: Final = "edgehold refuses vec: "
"""How the text begins that ends a run which names no column, or two that do not fit."""

KERNEL: Final = Path(__file__).with_name("vec.wat")

COLUMN: Final = re.compile(r"[a-z][a-z0-9_]{0,39}\.(u8|u32|i64|f64)", re.ASCII)
KINDS: Final = {"u8": (0, 1), "u32": (1, 4), "i64": (2, 8), "f64": (3, 8)}
"""By the end of a column's name: its kind in the kernel, and the bytes of a row."""
ONES: Final = 4
"""The kind of a column that is not there: all its rows are one."""

BLOCK: Final = 65_536
"""Rows of one block; the kernel's memory has room for one of each side."""
LEFT: Final = 1 << 16
RIGHT: Final = LEFT + 8 * BLOCK
"""Where the blocks lie in the kernel's memory."""

CALL_FUEL: Final = 1_000_000
BYTE_FUEL: Final = 2
"""What a call and a byte of a column cost besides the kernel's own instructions: about as much as the same time in a
program that computes."""


class Column(NamedTuple):
    """An open column."""

    name: str
    file: int
    kind: int
    width: int
    rows: int


class _Run(NamedTuple):
    """What the interface needs to know of the run that calls it."""

    store: Store
    tables: Path
    kernel: dict[str, Any]
    """The kernel's exports once the run has called it."""


class Vec:
    """The interface for all runs of one engine; several threads may use it, each for its own run."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._runs = threading.local()
        self._module: Module | None = None
        self._compiling = threading.Lock()

    @contextmanager
    def serving(self, store: Store, tables: Path) -> Iterator[None]:
        """Calls from this thread are of the run in this store until the block ends."""
        self._runs.current = _Run(store, tables, {})
        try:
            yield
        finally:
            del self._runs.current

    def answers(self) -> Mapping[str, Answer]:
        """The functions of the interface."""
        return {
            "dot": lambda _store, left, right: self._sum(left, right),
            "sum": lambda _store, column: self._sum(column, None),
        }

    def _sum(self, left: str, right: str | None) -> float:
        """The sum of one column, or of the products of two; every failure ends the run.

        An error has to be the engine's own kind: others travel through a global variable of the binding and could
        surface in another thread's run.
        """
        run: _Run = self._runs.current
        try:
            with ExitStack() as files:
                columns = [open_column(run.tables, name, files) for name in (left, right) if name is not None]
                if len({column.rows for column in columns}) > 1:
                    sizes = " and ".join(f"{column.rows} rows in {column.name}" for column in columns)
                    raise WasmtimeError(f"{REFUSED}the columns differ in length, {sizes}")
                if not self._charge(run.store, columns):
                    return 0.0
                return self._add_up(run, columns)
        except Trap as error:
            raise WasmtimeError(str(error)) from error
        except OSError as error:
            raise WasmtimeError(f"{REFUSED}a column cannot be read: {error.strerror}") from error

    def _charge(self, store: Store, columns: list[Column]) -> bool:
        """Take the fuel for reading the columns; if there is too little, take all, which ends the run at once."""
        cost = CALL_FUEL + BYTE_FUEL * sum(column.rows * column.width for column in columns)
        left = store.get_fuel()
        store.set_fuel(max(left - cost, 0))
        return left > cost

    def _add_up(self, run: _Run, columns: list[Column]) -> float:
        kernel = run.kernel or self._make_kernel(run)
        store = run.store
        memory: int = ctypes.addressof(kernel["memory"].data_ptr(store).contents)
        kernel["begin"](store, columns[0].kind, columns[1].kind if len(columns) > 1 else ONES)
        for first in range(0, columns[0].rows, BLOCK):
            rows = min(BLOCK, columns[0].rows - first)
            for column, place in zip(columns, (LEFT, RIGHT), strict=False):
                read_block(column, first, rows, memory + place)
            kernel["add"](store, rows)
        return float(kernel["total"](store))

    def _make_kernel(self, run: _Run) -> dict[str, Any]:
        with self._compiling:
            if self._module is None:
                self._module = Module(self._engine, KERNEL.read_text(encoding="utf-8"))
        exports = Instance(run.store, self._module, []).exports(run.store)
        run.kernel.update({name: exports[name] for name in ("memory", "begin", "add", "total")})
        return run.kernel


def open_column(tables: Path, name: str, files: ExitStack) -> Column:
    """Open a column of the tables, and nothing else: no path, no link, no folder; ends the run if there is none."""
    match = COLUMN.fullmatch(name)
    if match is None:
        raise WasmtimeError(f"{REFUSED}{name[:48]!r} is no name of a column, such as dosage.u8")
    kind, width = KINDS[match[1]]
    try:
        file = os.open(tables / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise WasmtimeError(f"{REFUSED}there is no column {name}") from error
    files.callback(os.close, file)
    status = os.fstat(file)
    if not stat.S_ISREG(status.st_mode) or status.st_size % width:
        raise WasmtimeError(f"{REFUSED}{name} does not consist of whole rows of {width} bytes")
    return Column(name, file, kind, width, status.st_size // width)


def read_block(column: Column, first: int, rows: int, address: int) -> None:
    """Read rows of a column to an address in the kernel's memory, and zeros after them up to a multiple of eight."""
    size, at = rows * column.width, first * column.width
    block = (ctypes.c_char * size).from_address(address)
    if os.preadv(column.file, [block], at) != size:
        raise WasmtimeError(f"{REFUSED}{column.name} became shorter")
    ctypes.memset(address + size, 0, -rows % 8 * column.width)
