"""The runtime component: CPython 3.14 for WebAssembly and our guest. Written by tools/build_component."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from edgehold.wire.ids import Digest

RUNTIME_FILE: Final = Path(__file__).with_name("runtime.wasm.xz")

RUNTIME_BYTES: Final = 19_917_405
"""Of the component, uncompressed."""

RUNTIME_DIGEST: Final = Digest(bytes.fromhex("93051247ddbf0dbc59f1e1482f85c54d958a2c9a8a1171858b1a0e9a1127f901"))
"""`tagged_hash("runtime", component)`, uncompressed."""

GUEST_DIGEST: Final = Digest(bytes.fromhex("0ff2ad5c21155c17a9ae22c47838a29fce37a396228b3459c65f49b57337328c"))
"""Of the guest's files that the component was built from; a test compares them."""
