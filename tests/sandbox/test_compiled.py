"""The compiled runtime: unpacked, checked, compiled once, and loaded only from a private place."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import pytest
import wasmtime

from edgehold.crypto.hash import tagged_hash
from edgehold.errors import BrokenRuntime, CompileFailed, EngineMismatch, RuntimeRefused, UntrustedCache
from edgehold.sandbox import capabilities, compiled, engine
from edgehold.sandbox.compiled import (
    default_cache,
    digest_of_file,
    load_runtime,
    prepare_runtime,
    read_component,
    runtime_digest,
)
from edgehold.sandbox.engine import make_engine
from edgehold.shipped import runtime as shipped

ROOT = Path(__file__).resolve().parents[2]
EMPTY = b"\x00asm\x0d\x00\x01\x00"
"""A component with nothing in it."""


@pytest.fixture
def copy(runtime: Path, tmp_path: Path) -> Path:
    """The compiled runtime in a private directory of its own."""
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    for file in (runtime, runtime.with_suffix(".digest")):
        shutil.copy(file, folder / file.name)
    return folder / runtime.name


def test_the_shipped_component_is_the_one_named_in_code() -> None:
    component = read_component()
    assert len(component) == shipped.RUNTIME_BYTES
    assert tagged_hash("runtime", component) == shipped.RUNTIME_DIGEST == runtime_digest()


def test_the_guest_in_the_tree_is_the_one_the_component_was_built_from() -> None:
    spec = importlib.util.spec_from_file_location("build", ROOT / "tools" / "build_component" / "build.py")
    assert spec is not None
    assert spec.loader is not None
    build = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(build)
    assert build.guest_digest() == shipped.GUEST_DIGEST, "run tools/build_component/build.py and commit the component"


@pytest.mark.parametrize("damage", [b"", b"\x00" * 100, None])
def test_a_damaged_component_is_refused(tmp_path: Path, damage: bytes | None) -> None:
    packed = tmp_path / "runtime.wasm.xz"
    if damage is not None:
        packed.write_bytes(damage)
    with pytest.raises(BrokenRuntime):
        read_component(packed)


def test_what_is_compiled_is_not_compiled_again(copy: Path) -> None:
    lines: list[str] = []
    assert prepare_runtime(copy.parent, lines.append) == copy
    assert lines == []


def test_a_changed_byte_is_not_loaded_and_makes_it_compile_again(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = bytearray(copy.read_bytes())
    data[len(data) // 2] ^= 1
    copy.write_bytes(data)
    with pytest.raises(UntrustedCache):
        load_runtime(make_engine(), copy)
    monkeypatch.setattr(compiled, "read_component", lambda: b"\x00asm, but not really")
    lines: list[str] = []
    with pytest.raises(CompileFailed):
        prepare_runtime(copy.parent, lines.append)
    assert lines[0].startswith("Preparing")
    assert not copy.with_suffix(".wasm").exists()


def test_a_process_takes_the_digest_once_unless_file_or_digest_change(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[Path] = []

    def count(path: Path) -> bytes:
        taken.append(path)
        return digest_of_file(path)

    monkeypatch.setattr(compiled, "digest_of_file", count)
    for _ in range(2):
        load_runtime(make_engine(), prepare_runtime(copy.parent))
    assert taken == [copy]
    data = copy.read_bytes()
    copy.write_bytes(data)
    load_runtime(make_engine(), copy)
    assert taken == [copy] * 2
    another = copy.with_suffix(".part")
    another.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    another.chmod(0o600)
    another.replace(copy)
    with pytest.raises(UntrustedCache):
        load_runtime(make_engine(), copy)
    copy.with_suffix(".digest").write_text("00" * 32)
    with pytest.raises(UntrustedCache):
        load_runtime(make_engine(), copy)
    assert taken == [copy] * 4


def test_a_component_is_compiled_into_a_private_place_and_loads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiled, "read_component", lambda: EMPTY)
    lines: list[str] = []
    path = prepare_runtime(tmp_path / "new" / "cache", lines.append)
    assert len(lines) == 2
    assert {file.name for file in path.parent.iterdir()} == {
        path.name, path.with_suffix(".digest").name, path.with_suffix(".lock").name,
    }  # fmt: skip
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert path.stat().st_mode & 0o777 == 0o600
    load_runtime(make_engine(), path)


def test_a_compiler_that_outlives_its_killed_parent_keeps_others_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    script = f"from edgehold.sandbox import compiled; compiled.read_component = lambda: {EMPTY!r}; "
    script += f"compiled.prepare_runtime(compiled.Path({str(cache)!r}))"
    parent = subprocess.Popen([sys.executable, "-c", script])
    children = Path(f"/proc/{parent.pid}/task/{parent.pid}/children")
    while not (compilers := children.read_text().split()):
        assert parent.poll() is None
    os.kill(int(compilers[0]), signal.SIGSTOP)
    parent.kill()
    parent.wait()
    with next(cache.glob("*.lock")).open() as lock:
        with pytest.raises(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.kill(int(compilers[0]), signal.SIGCONT)
        fcntl.flock(lock, fcntl.LOCK_EX)
    monkeypatch.setattr(compiled, "read_component", lambda: EMPTY)
    load_runtime(make_engine(), prepare_runtime(cache))


def test_a_place_that_cannot_be_used_is_named(copy: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(UntrustedCache, match="cannot be made"):
        prepare_runtime(tmp_path / "file" / "cache")
    copy.with_suffix(".lock").mkdir()
    with pytest.raises(CompileFailed, match="cannot be written"):
        prepare_runtime(copy.parent)


def test_code_for_another_engine_is_not_loaded(copy: Path) -> None:
    copy.write_bytes(b"not compiled by this engine")
    copy.with_suffix(".digest").write_text(compiled.digest_of_file(copy).hex())
    with pytest.raises(UntrustedCache, match="another engine"):
        load_runtime(make_engine(), copy)


def test_a_place_that_others_can_write_to_is_refused(copy: Path, tmp_path: Path) -> None:
    copy.chmod(0o666)
    with pytest.raises(UntrustedCache):
        load_runtime(make_engine(), copy)
    copy.chmod(0o600)
    copy.parent.chmod(0o777)
    with pytest.raises(UntrustedCache):
        prepare_runtime(copy.parent)
    with pytest.raises(UntrustedCache):
        load_runtime(make_engine(), tmp_path / "absent" / copy.name)
    copy.parent.chmod(0o700)
    (tmp_path / "link").symlink_to(copy.parent)
    with pytest.raises(UntrustedCache):
        load_runtime(make_engine(), tmp_path / "link" / copy.name)


def test_another_version_of_the_engine_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "ENGINE_VERSION", "wasmtime 1.0.0")
    with pytest.raises(EngineMismatch, match=r"wasmtime 1.0.0"):
        make_engine()


def test_an_engine_without_a_folder_that_names_its_version_is_asked_for_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(wasmtime, "__file__", str(tmp_path / "wasmtime" / "__init__.py"))
    make_engine()
    monkeypatch.setattr(metadata, "version", lambda name: f"2.0.0 of {name}")
    with pytest.raises(EngineMismatch, match=r"wasmtime 2.0.0"):
        make_engine()


def test_a_runtime_that_asks_for_more_is_refused(runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = make_engine()
    monkeypatch.setattr(capabilities, "GRANTED", capabilities.GRANTED - {"wasi:filesystem/preopens@0.2.9"})
    with pytest.raises(RuntimeRefused, match=r"asks for wasi:filesystem/preopens"):
        capabilities.make_linker(made, load_runtime(made, runtime))


def test_too_many_dice_at_once_are_refused() -> None:
    assert capabilities.zero_dice(None, 16) == bytes(16)
    with pytest.raises(capabilities.WasmtimeError, match="edgehold denies"):
        capabilities.zero_dice(None, 1 << 30)


def test_the_cache_follows_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache() == tmp_path / "edgehold"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache() == tmp_path / ".cache" / "edgehold"
