"""Components that ask for what no program may have: every interface of WASI by every version but the granted one, the
interfaces of later versions, names that look like granted ones, and things that are no interface."""

from __future__ import annotations

from edgehold.sandbox.capabilities import DENIED_INTERFACES, GRANTED, shadows

KNOWN = GRANTED | DENIED_INTERFACES | shadows().keys()
"""What the shipped runtime may name, each by one exact version."""

INTERFACES = (
    "cli/command", "cli/environment", "cli/exit", "cli/imports", "cli/run", "cli/stderr", "cli/stdin", "cli/stdout",
    "cli/terminal-input", "cli/terminal-output", "cli/terminal-stderr", "cli/terminal-stdin", "cli/terminal-stdout",
    "clocks/imports", "clocks/monotonic-clock", "clocks/system-clock", "clocks/timezone", "clocks/wall-clock",
    "config/store", "filesystem/imports", "filesystem/preopens", "filesystem/types", "http/client", "http/handler",
    "http/incoming-handler", "http/outgoing-handler", "http/proxy", "http/types", "io/error", "io/poll", "io/streams",
    "keyvalue/atomics", "keyvalue/batch", "keyvalue/store", "logging/logging", "messaging/producer", "nn/graph",
    "nn/inference", "random/insecure", "random/insecure-seed", "random/random", "sockets/instance-network",
    "sockets/ip-name-lookup", "sockets/network", "sockets/tcp", "sockets/tcp-create-socket", "sockets/types",
    "sockets/udp", "sockets/udp-create-socket", "threads/spawn", "tls/types", "webgpu/webgpu",
)  # fmt: skip

VERSIONS = (
    *(f"@0.2.{patch}" for patch in range(13)),
    "", "@0.0.1", "@0.1.0", "@0.2.0-rc-2023-11-10", "@0.2.9-draft", "@0.2.9+build", "@0.2.10", "@0.2.99", "@0.3.0",
    "@0.3.0-draft", "@0.3.0-rc-2025-09-16", "@0.3.1", "@1.0.0", "@2.0.9",
)  # fmt: skip

LOOKALIKES = (
    "edgehold:sandbox/vec@0.0.1", "edgehold:sandbox/vec@1.0.99", "edgehold:sandbox/vec@2.0.0", "edgehold:sandbox/vec",
    "edgehold:sandbox/vectors@1.0.0", "edgehold:sandbox/ve@1.0.0", "edgehold:sandbox/v-e-c@1.0.0",
    "edgehold:sandboxes/vec@1.0.0", "edgehold:sand/vec@1.0.0", "edge:sandbox/vec@1.0.0", "edgehold:hub/store@1.0.0",
    "edgehold:hub/keys@1.0.0", "edgehold:sandbox/host@1.0.0", "wasl:io/streams@0.2.9", "wasi:i0/streams@0.2.9",
    "wasi:io/stream@0.2.9", "wasi-io:streams/streams@0.2.9", "wasix:io/streams@0.2.9", "wasi:io/streams-v2@0.2.9",
    "env:memory/memory@0.2.9", "python:os/system@0.2.9",
)  # fmt: skip

NO_INTERFACES = (
    '(import "vec" (func (param "x" f64) (result f64)))',
    '(import "exec" (func (param "command" string)))',
    '(import "env" (instance (export "system" (func))))',
    '(import "code" (core module (import "env" "memory" (memory 1))))',
    '(import "thing" (type (sub resource)))',
    '(import "unlocked-dep=<a:b@{>=1.0.0}>" (instance))',
    '(import "locked-dep=<a:b@1.0.0>" (instance))',
    '(import "url=<https://example.org/code.wasm>" (instance))',
    '(import "integrity=<sha256-n4bQgYhMfWWaL+qgxVrQFaO/TxsrC4Is0V1sFbDwCgg=>" (instance))',
)


def asking_for(*imports: str) -> str:
    """A component with these imports that does nothing."""
    return f"(component {' '.join(imports)})"


def interface(name: str, *items: str) -> str:
    """The import of an interface, with some of its items."""
    return f'(import "{name}" (instance {" ".join(items)}))'


def ungranted() -> dict[str, str]:
    """Components by what they ask for: each for one thing that is not on the list."""
    names = [f"wasi:{name}{version}" for name in INTERFACES for version in VERSIONS]
    alone = {name: asking_for(interface(name)) for name in (*names, *LOOKALIKES) if name not in KNOWN}
    granted = [interface(name) for name in sorted(KNOWN)]
    hidden = {
        f"{name}, last of all": asking_for(*granted, interface(name))
        for name in ("wasi:sockets/tcp@0.2.8", "wasi:http/outgoing-handler@0.2.9", "wasi:random/random@0.2.8")
    }
    return alone | hidden | {text: asking_for(text) for text in NO_INTERFACES}
