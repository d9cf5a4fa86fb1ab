"""The ledger as a light client sees it: the entries of one state, each by proof against one signed header.

The rules' own `State` reads through it, so that whoever decides something reads the ledger with the same functions as
its rules do, and believes no node.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from threading import Lock

from edgehold.errors import BadProof, HeaderMoved
from edgehold.ledger.genesis import found_network
from edgehold.ledger.state import State
from edgehold.ledger.transition import require_known_version
from edgehold.ports import Headers, Ledger
from edgehold.verify.header import hash_header, order_validators, verify_header
from edgehold.verify.inclusion import verify_answer
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.governance import Genesis
from edgehold.wire.header import Header, SignedHeader
from edgehold.wire.ids import Digest, Height
from edgehold.wire.light import ValidatorChange


@dataclass(frozen=True)
class FoundingHeaders:
    """The headers of a ledger whose validators are for ever those of genesis (`ports.Headers`)."""

    genesis: Genesis

    def verify(self, signed: SignedHeader) -> Header:
        """Check that the validators of genesis signed a header; returns it, raises `BadHeader`."""
        return verify_header(signed, self.genesis.chain, order_validators(self.genesis.validators))

    def changes(self, heights: Iterable[Height]) -> tuple[ValidatorChange, ...]:
        """None, whatever the heights."""
        return ()


@dataclass
class ProofCache:
    """Headers and entries that were verified in this process already, by header hash.

    Whoever believes this process may share it; a hub alone on its machine has its own. Only what a verification
    accepted is kept, and only for the last header. `headers` knows which headers are the ledger's; without it they are
    those that the validators of genesis signed. Safe between threads.
    """

    headers: Headers | None = None
    header: SignedHeader | None = None
    hash: Digest | None = None
    entries: dict[bytes, bytes | None] = field(default_factory=dict)
    changing: Lock = field(default_factory=Lock)


def proved_state(ledger: Ledger, cache: ProofCache) -> tuple[State, Digest]:
    """The last signed state, and the hash of the header that signs it.

    1. The header is the ledger's, as `cache.headers` knows (`BadHeader`), and of rules that this program has
       (`UnknownRules`): what others have written may mean something else.
    2. Each entry read is proved present or absent under its application hash (`BadProof`).
    3. All of them against that one header; if the state goes on meanwhile, `HeaderMoved`.
    """
    signed, _, _ = ledger.prove(entry_key(Collection.PARAMETERS))
    with cache.changing:
        if cache.hash is None or signed != cache.header:
            header = (cache.headers or FoundingHeaders(ledger.genesis)).verify(signed)
            require_known_version(header.app_version, header.height)
            cache.header, cache.hash, cache.entries = signed, hash_header(header), {}
        digest, entries = cache.hash, cache.entries

    def read(key: bytes) -> bytes | None:
        if key not in entries:
            shown, value, proof = ledger.prove(key)
            try:
                verify_answer(signed, key, value, proof)
            except BadProof:
                if shown.header == signed.header:
                    raise
                raise HeaderMoved(f"from height {signed.header.height} to {shown.header.height}") from None
            entries[key] = value
        return entries[key]

    network = found_network(ledger.genesis)
    return State(read=read, height=signed.header.height, header_hash=lambda height: None, network=network), digest
