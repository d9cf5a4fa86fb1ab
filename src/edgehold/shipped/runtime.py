"""The runtime component: CPython 3.14 for WebAssembly and our guest. Written by tools/build_component."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgehold.wire.ids import Digest

RUNTIME_FILE: Final = Path(__file__).with_name("runtime.wasm.xz")

RUNTIME_BYTES: Final = 19_897_098
"""Of the component, uncompressed."""

RUNTIME_DIGEST: Final = Digest(bytes.fromhex("aa4221d7d6c45a822c9aed96792e55f022350ed0dec602bca44f122bdf0ce900"))
"""`tagged_hash("runtime", component)`, uncompressed."""

GUEST_DIGEST: Final = Digest(bytes.fromhex("a12e257583d69b9dd8fe1c2aaf83aaf1621651493a1cb54fe2fdd07b1579c7f9"))
"""Of the guest's files that the component was built from; a test compares them."""
