"""The runtime component: CPython 3.14 for WebAssembly and our guest. Written by tools/build_component."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgehold.wire.ids import Digest

RUNTIME_FILE: Final = Path(__file__).with_name("runtime.wasm.xz")

RUNTIME_BYTES: Final = 19_866_924
"""Of the component, uncompressed."""

RUNTIME_DIGEST: Final = Digest(bytes.fromhex("099732122b7b847bb83db0aece1859036cd8042575acf5edf21587e9fd7e3a4a"))
"""`tagged_hash("runtime", component)`, uncompressed."""

GUEST_DIGEST: Final = Digest(bytes.fromhex("8339f45d311ca74d025e7cf4f738a12b2b8356738b34dad64257da11bf8e699b"))
"""Of the guest's files that the component was built from; a test compares them."""
