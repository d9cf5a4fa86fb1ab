"""The outside as the inside sees it; each Protocol is cut to what its callers use.

Two implementations of each stand above: the real one and an in-memory or seeded one for tests and the demo.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Protocol

from edgehold.wire.governance import Genesis
from edgehold.wire.header import Header, SignedHeader
from edgehold.wire.ids import Digest, Height, Modulus, NetworkId, PanelId
from edgehold.wire.light import ValidatorChange
from edgehold.wire.proof import MapProof
from edgehold.wire.tx import Receipt


class Randomness(Protocol):
    """Where every party gets its dice: the operating system's, or (in tests and the seeded demo only) a seed's."""

    def draw(self, count: int) -> bytes:
        """That many uniformly random bytes, never given out before."""
        ...


class Clock(Protocol):
    """Where an engine gets the time that headers carry; no rule ever reads it."""

    def now(self) -> int:
        """Nanoseconds since 1970-01-01 UTC."""
        ...


class Ledger(Protocol):
    """The ledger as every party but its keepers sees it. Answers are claims; who relies on one asks for its proof.

    Submitting does not wait: a party submits, and looks for the receipt or the entry at a later height. So a party is a
    state machine that can be stopped anywhere, and heights pass without it.
    """

    @property
    def genesis(self) -> Genesis:
        """What the network started from."""
        ...

    @property
    def network(self) -> NetworkId:
        """Digest of the genesis document."""
        ...

    def height(self) -> int:
        """Of the last block whose state is signed (its header is there and `prove` answers for it)."""
        ...

    def submit(self, transaction: bytes) -> Digest:
        """Queue a signed transaction for the next block; returns the digest of its envelope. Raises `Malformed`, `BadSignature`."""
        ...

    def receipt(self, envelope: Digest) -> Receipt | None:
        """What became of a transaction: None while it waits (or was never seen, or expired and was forgotten)."""
        ...

    def read(self, key: bytes) -> bytes | None:
        """The value under a flat key in the last signed state (see `wire.entry`)."""
        ...

    def prove(self, key: bytes) -> tuple[SignedHeader, bytes | None, MapProof]:
        """The last signed state's value with its proof, and the header whose application hash is that state."""
        ...

    def header(self, height: int) -> SignedHeader | None:
        """The signed header of a height, or None above the last."""
        ...

    def transactions(self, first: int, last: int) -> Iterator[tuple[int, bytes, Receipt]]:
        """Every transaction of the blocks first..last (inclusive) in order: height, signed bytes, receipt."""
        ...


class Headers(Protocol):
    """Who knows which headers are the ledger's, whoever shows them."""

    def verify(self, signed: SignedHeader) -> Header:
        """Check that a header is the ledger's; returns it, raises `BadHeader`."""
        ...

    def changes(self, heights: Iterable[Height]) -> tuple[ValidatorChange, ...]:
        """How those who sign these heights followed from the validators of genesis."""
        ...


class Peer(Protocol):
    """Another party, reached by messages only: bytes out, bytes back."""

    def send(self, message: bytes) -> bytes:
        """Deliver a message and return the answer. Raises `ConnectionError` when the party cannot be reached."""
        ...


class PanelKeys(Protocol):
    """Where the public list of a panel's slot verification keys is fetched; its root is on the ledger."""

    def moduli(self, panel: PanelId) -> tuple[Modulus, ...]:
        """The moduli in slot order, as the issuer publishes them; who relies on them compares the root."""
        ...
