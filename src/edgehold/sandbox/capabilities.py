"""What a program can reach: an allow-list over everything the runtime's component asks for.

CPython asks for the whole of WASI 0.2, as a C library does. Each import falls in one of four classes, by its name and
exact version; whatever is in none makes the runtime unusable:

    granted   streams, and files below the one read-only directory a run is given; standard output leads nowhere
    shadowed  clocks that stand still, dice that always show zero, an empty environment
    denied    sockets, names of hosts, sleeping, leaving: calling one ends the run
    declared  what a program is given if its manifest asks for it (`wire.program.Capability`), and denied if not
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from wasmtime import Engine, WasmtimeError
from wasmtime.component import Component, ComponentInstanceType, FuncType, Linker, LinkerInstance, Record, ResourceType

from edgehold.errors import RuntimeRefused
from edgehold.wire.program import Capability

Answer = Callable[..., Any]

WASI: Final = "0.2.9"
"""The one version of WASI this table was read against."""

MOST_DICE: Final = 4096
"""Bytes a runtime may ask for at once; its C library asks for at most 208, whatever a program wants."""

DENIED: Final = "edgehold denies "
"""How the text of a denial begins, by which the host recognises its own word in an error of the engine."""

GRANTED: Final = frozenset(
    f"wasi:{name}@{WASI}"
    for name in (
        "io/poll", "io/error", "io/streams", "filesystem/types", "filesystem/preopens", "cli/stdin", "cli/stdout",
        "cli/stderr", "cli/terminal-input", "cli/terminal-output", "cli/terminal-stdin", "cli/terminal-stdout",
        "cli/terminal-stderr",
    )
)  # fmt: skip

DENIED_INTERFACES: Final = frozenset(
    f"wasi:{name}@{WASI}"
    for name in (
        "cli/exit", "sockets/network", "sockets/instance-network", "sockets/tcp", "sockets/tcp-create-socket",
        "sockets/udp", "sockets/udp-create-socket", "sockets/ip-name-lookup",
    )
)  # fmt: skip

DECLARED: Final = {Capability.VEC: "edgehold:sandbox/vec@1.0.0"}
"""The interface that each capability stands for."""

OWN_RESOURCES: Final = (
    "network", "tcp-socket", "udp-socket", "incoming-datagram-stream", "outgoing-datagram-stream",
    "resolve-address-stream",
)  # fmt: skip
"""Resource types of the denied interfaces; no instance of one can ever exist."""


def make_linker(
    engine: Engine, component: Component, given: Mapping[Capability, Mapping[str, Answer]] = MappingProxyType({})
) -> Linker:
    """Bind every import of a runtime as the table above says; `given` is what programs declared, with its answers.

    Raises `RuntimeRefused` for an import that is not in the table.
    """
    linker = Linker(engine)
    linker.allow_shadowing = True
    linker.add_wasip2()
    declared = {name: given.get(capability, {}) for capability, name in DECLARED.items()}
    with linker.root() as root:
        for name, extern in component.type.imports(engine).items():
            if name in GRANTED:
                continue
            answers = {} if name in DENIED_INTERFACES else (shadows() | declared).get(name)
            interface = extern.ty
            if answers is None or not isinstance(interface, ComponentInstanceType):
                raise RuntimeRefused(f"the runtime asks for {name}, which no program may have")
            with root.add_instance(name) as instance:
                _bind(engine, instance, name, interface, answers)
    return linker


def shadows() -> dict[str, Mapping[str, Answer]]:
    """What the shadowed interfaces answer, always the same; their other functions are denied."""
    epoch = Record()
    vars(epoch).update(seconds=0, nanoseconds=0)
    return {
        f"wasi:clocks/wall-clock@{WASI}": {"now": lambda _store: epoch, "resolution": lambda _store: epoch},
        f"wasi:clocks/monotonic-clock@{WASI}": {"now": lambda _store: 0, "resolution": lambda _store: 1},
        f"wasi:random/random@{WASI}": {"get-random-bytes": zero_dice},
        f"wasi:cli/environment@{WASI}": {"get-environment": lambda _store: [], "get-arguments": lambda _store: []},
    }


def _bind(
    engine: Engine, instance: LinkerInstance, name: str, interface: ComponentInstanceType, answers: Mapping[str, Answer]
) -> None:
    for item, extern in interface.exports(engine).items():
        if isinstance(extern.ty, FuncType):
            instance.add_func(item, answers.get(item) or _denial(f"{name} {item}"))
        elif name in DENIED_INTERFACES and item in OWN_RESOURCES:
            instance.add_resource(item, ResourceType.host(OWN_RESOURCES.index(item)), lambda _store, _number: None)


def zero_dice(_store: object, count: int) -> bytes:
    """What a program gets for random bytes; too many at once end the run."""
    if count > MOST_DICE:
        raise WasmtimeError(f"{DENIED}{count} random bytes at once")
    return bytes(count)


def _denial(what: str) -> Answer:
    """A function that ends the run. The error has to be the engine's own kind: others travel through a global variable
    of the binding and could surface in another thread's run."""

    def deny(_store: object, *_arguments: object) -> None:
        raise WasmtimeError(f"{DENIED}{what}")

    return deny
