"""Build the runtime component that every hub runs programs in, and write down its digest.

    PYTHONPATH=src python tools/build_component/build.py

Takes `guest.py`, `edgehold.sandbox.person` and `interface.wit`, makes a WebAssembly component of CPython 3.14 with
componentize-py 0.25.1, and writes `src/edgehold/shipped/runtime.wasm.xz` and `runtime.py` beside it. The component is
*not* bit-reproducible: componentize-py stores the heap of an interpreter that has already started. So it is built once,
by a maintainer, and committed; a new build is a new runtime with a new digest, and programs are published for one
digest. A hub never builds it.
"""

from __future__ import annotations

import lzma
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from edgehold.crypto.hash import tagged_hash

TOOL_VERSION = "componentize-py 0.25.1"
ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "edgehold"
SHIPPED = SOURCE / "shipped"
GUEST = {
    "runtime.py": ROOT / "tools" / "build_component" / "guest.py",
    "interface.wit": SOURCE / "sandbox" / "interface.wit",
    "edgehold/__init__.py": SOURCE / "__init__.py",
    "edgehold/sandbox/__init__.py": SOURCE / "sandbox" / "__init__.py",
    "edgehold/sandbox/person.py": SOURCE / "sandbox" / "person.py",
}
"""Where the files of the guest lie, by their place inside the runtime."""

MODULE = '''"""The runtime component: CPython 3.14 for WebAssembly and our guest. Written by tools/build_component."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgehold.wire.ids import Digest

RUNTIME_FILE: Final = Path(__file__).with_name("runtime.wasm.xz")

RUNTIME_BYTES: Final = {size:_}
"""Of the component, uncompressed."""

RUNTIME_DIGEST: Final = Digest(bytes.fromhex("{digest}"))
"""`tagged_hash("runtime", component)`, uncompressed."""

GUEST_DIGEST: Final = Digest(bytes.fromhex("{guest}"))
"""Of the guest's files that the component was built from; a test compares them."""
'''


def main() -> None:
    """Build, pack, write."""
    tool = shutil.which("componentize-py", path=str(Path(sys.executable).parent))
    if tool is None or _version(tool) != TOOL_VERSION:
        sys.exit(f"{TOOL_VERSION} is needed in this environment: it is in the dependency group `dev`")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for place, file in GUEST.items():
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder / place)
        world = ["-d", str(folder / "interface.wit"), "-w", "program"]
        target = folder / "runtime.wasm"
        subprocess.run([tool, "-q", *world, "componentize", "runtime", "-p", name, "-o", str(target)], check=True)
        component = target.read_bytes()
    packed = lzma.compress(component, format=lzma.FORMAT_XZ, preset=9 | lzma.PRESET_EXTREME)
    digest = tagged_hash("runtime", component).hex()
    (SHIPPED / "runtime.wasm.xz").write_bytes(packed)
    text = MODULE.format(size=len(component), digest=digest, guest=guest_digest().hex())
    (SHIPPED / "runtime.py").write_text(text, encoding="utf-8")
    print(f"{len(component):,} bytes, {len(packed):,} packed, digest {digest}")


def guest_digest() -> bytes:
    """Digest of all that the runtime adds to CPython."""
    parts = (tagged_hash("guest-file", place.encode() + b"\x00" + GUEST[place].read_bytes()) for place in sorted(GUEST))
    return tagged_hash("guest", b"".join(parts))


def _version(tool: str) -> str:
    return subprocess.run([tool, "--version"], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
