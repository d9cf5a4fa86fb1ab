"""The runtime made ready: unpacked from the package, compiled once to native code, kept in a private directory.

Compiled code runs outside every sandbox, so it is loaded only from a directory that nobody else can write to and only
if it is, byte for byte, what was compiled there: its digest lies beside it. A process takes the digest once, as long as
the file stays the same one, unchanged since: the directory protects from others, the digest from disks and accidents.

What only compiling needs is imported there: a process that finds the runtime compiled starts 10 ms sooner.
"""

from __future__ import annotations

import fcntl
import os
import platform
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from wasmtime import Engine, WasmtimeError
from wasmtime.component import Component

from edgehold.crypto.hash import tagged_hash
from edgehold.durable import storage_failures
from edgehold.errors import BrokenRuntime, CompileFailed, UntrustedCache
from edgehold.sandbox.engine import ENGINE_VERSION, make_engine
from edgehold.shipped.runtime import RUNTIME_BYTES, RUNTIME_DIGEST, RUNTIME_FILE
from edgehold.wire.ids import Digest

CHUNK: Final = 1 << 20

_CHECKED: Final[dict[Path, tuple[int | str, ...]]] = {}
"""Files whose digest this process has taken: which file it was, when it last changed, and the digest. A file's time of
change is set by the system at every write and cannot be set back."""


def silent(_line: str) -> None:
    """Progress that nobody watches."""


def runtime_digest() -> Digest:
    """Digest of the shipped runtime component, uncompressed: `tagged_hash("runtime", component)`."""
    return RUNTIME_DIGEST


def default_cache() -> Path:
    """Where compiled runtimes lie unless a caller says otherwise: `$XDG_CACHE_HOME/edgehold` or `~/.cache/edgehold`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "edgehold"


def prepare_runtime(cache: Path, progress: Callable[[str], None] = silent) -> Path:
    """The compiled runtime of this engine on this machine; compiles it first (5 to 30 s) if there is no usable one.

    Several processes may call this at once: one compiles, the others wait. Raises `UntrustedCache` when others can
    write to the directory, `BrokenRuntime` when the shipped component is not this version's, `CompileFailed`,
    `StorageFailed`.
    """
    make_private(cache)
    path = cache / f"runtime-{RUNTIME_DIGEST.hex()[:16]}-{ENGINE_VERSION.replace(' ', '-')}-{platform.machine()}.cwasm"
    try:
        with storage_failures(path), _locked(path.with_suffix(".lock")) as lock:
            if not _is_usable(path):
                progress("Preparing the program runtime: compiling it, once (5 to 30 s) …")
                _compile(read_component(), path, lock)
                progress(f"Prepared the program runtime: {path}")
    except OSError as error:
        raise CompileFailed(f"{cache} cannot be written: {error}") from error
    return path


def load_runtime(engine: Engine, path: Path) -> Component:
    """Load what `prepare_runtime` compiled.

    Raises `UntrustedCache` when others could have written it, when its bytes changed, or when the engine refuses it.
    """
    check_private(path.parent)
    check_private(path)
    check_digest(path)
    try:
        return Component.deserialize_file(engine, str(path))
    except WasmtimeError as error:
        raise UntrustedCache(f"{path} was compiled for another engine or machine: {error}") from error


def read_component(packed: Path = RUNTIME_FILE) -> bytes:
    """Unpack the runtime component and check that it is the one this version of Edgehold ships.

    Raises `BrokenRuntime`.
    """
    import lzma

    unpacker = lzma.LZMADecompressor(format=lzma.FORMAT_XZ, memlimit=256 << 20)
    try:
        component = unpacker.decompress(packed.read_bytes(), max_length=RUNTIME_BYTES + 1)
    except (lzma.LZMAError, OSError) as error:
        raise BrokenRuntime(f"{packed} cannot be read: {error}") from error
    digest = tagged_hash("runtime", component)
    if digest != RUNTIME_DIGEST:
        raise BrokenRuntime(f"{packed} holds {digest.hex()}, not {RUNTIME_DIGEST.hex()}")
    return component


def check_digest(path: Path) -> None:
    """Raise `UntrustedCache` unless the file is what was compiled there, by the digest beside it."""
    beside = _digest_file(path)
    expected = beside.read_text(encoding="ascii") if beside.is_file() else ""
    status = path.stat()
    unchanged = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns, expected)
    if _CHECKED.get(path) == unchanged:
        return
    if expected != digest_of_file(path).hex():
        raise UntrustedCache(f"{path} is not what was compiled there")
    _CHECKED[path] = unchanged


def digest_of_file(path: Path) -> Digest:
    """Digest of a large file, read in parts: over the digests of its parts of 1 MiB."""
    with path.open("rb") as file:
        parts = iter(lambda: file.read(CHUNK), b"")
        return tagged_hash("file", b"".join(tagged_hash("file-part", part) for part in parts))


def make_private(directory: Path) -> None:
    """Make the directory, for its owner alone; raises `UntrustedCache` if it cannot be or others can write to it."""
    try:
        with storage_failures(directory):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UntrustedCache(f"{directory} cannot be made: {error}") from error
    check_private(directory)


def check_private(path: Path) -> None:
    """Raise `UntrustedCache` unless this user owns the file or directory and nobody else can write to it."""
    status = path.lstat() if path.is_symlink() or path.exists() else None
    if status is None or path.is_symlink():
        raise UntrustedCache(f"{path} is missing or a link")
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise UntrustedCache(f"{path} belongs to user {status.st_uid} with mode {status.st_mode & 0o777:03o}")


def _is_usable(path: Path) -> bool:
    if not path.exists():
        return False
    try:
        load_runtime(make_engine(), path)
    except UntrustedCache:
        return False
    return True


def _compile(component: bytes, path: Path, lock: int) -> None:
    """Compile in a process of its own, whose 400 MB go when it ends, and put the result in place as a whole.

    That process holds the lock too: if this one is killed, the next waits until nobody writes there any more.
    """
    import subprocess

    source, target = path.with_suffix(".wasm"), path.with_suffix(".part")
    source.write_bytes(component)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "edgehold.sandbox.compiled", str(source), str(target)]
    try:
        done = subprocess.run(  # noqa: S603
            command, env=environment, capture_output=True, text=True, check=False, pass_fds=(lock,)
        )
        if done.returncode != 0:
            raise CompileFailed(f"{component[:4]!r}… ({len(component)} bytes): {done.stderr.strip()[-500:]}")
        _digest_file(path).write_text(digest_of_file(target).hex(), encoding="ascii")
        target.replace(path)
    finally:
        source.unlink(missing_ok=True)
        target.unlink(missing_ok=True)


def _digest_file(path: Path) -> Path:
    return path.with_suffix(".digest")


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Hold a lock between processes, as an open file; the system frees it when every process that has it is dead."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield descriptor
    finally:
        os.close(descriptor)


def main(source: str, target: str) -> None:
    """The work of the compiling process: from a component to native code."""
    os.umask(0o077)
    Path(target).write_bytes(Component.from_file(make_engine(), source).serialize())


if __name__ == "__main__":
    main(*sys.argv[1:])
