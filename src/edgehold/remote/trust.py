"""The headers that somebody trusts, and how trust goes on: light client, witnesses, and what is kept of a fork.

What is trusted is on disk before anybody relies on it, and only grows: after a restart no node can show less. Every new
header is compared with what the other nodes show; two headers of one height that are both signed as they must be are a
fork, which is kept as a file that proves it, and after which nothing is believed any more.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from typing import cast

import apsw

from edgehold.crypto.names import network_id
from edgehold.durable import Database, closed_on_failure, storage_failures, write_file
from edgehold.errors import (
    BadHeader,
    ForkFound,
    LyingNode,
    NodeError,
    StaleNode,
    StateNotKept,
    TrustExpired,
    WrongLedger,
)
from edgehold.ports import Clock, Randomness
from edgehold.remote.node import Node
from edgehold.remote.nodes import Nodes
from edgehold.verify.header import SECOND, hash_header, hash_validators, order_validators, verify_header
from edgehold.verify.light import Terms, check_next_validators, reach, verify_earlier, verify_first, verify_fork
from edgehold.wire.codec import decode, encode
from edgehold.wire.governance import Genesis
from edgehold.wire.header import Header, SignedHeader, ValidatorSet
from edgehold.wire.ids import Digest, Height, NetworkId
from edgehold.wire.light import Fork, LightBlock, ValidatorChange

FORMAT = b"edgehold trust 1"

KEPT = 100
"""Trusted headers on disk, the last ones and the first of all."""

REMEMBERED = 4096
"""Verified headers in memory."""

DAY = 86_400 * SECOND

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID, STRICT;
CREATE TABLE IF NOT EXISTS trusted (height INTEGER PRIMARY KEY, block BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS fork (id INTEGER PRIMARY KEY, fork BLOB NOT NULL) STRICT;
"""


class TrustStore:
    """Trusted headers in a file, or in memory if the path is None; several processes may share the file.

    Raises `WrongLedger` for a file of another network, `StorageFailed`.
    """

    def __init__(self, path: Path | None, network: NetworkId) -> None:
        self.path = path
        if path:
            with storage_failures(path):
                path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = Database(path, "PRAGMA busy_timeout=10000", "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL")
            with closed_on_failure(self._db), self._db.transaction():
                self._db.execute(_SCHEMA)
                for name, value in (("format", FORMAT), ("network", bytes(network))):
                    self._db.execute("INSERT OR IGNORE INTO meta VALUES (?, ?)", (name, value))
                    if self._one("SELECT value FROM meta WHERE name = ?", name) != value:
                        raise WrongLedger(f"{path}: its {name} is another")
        except apsw.Error as error:
            raise WrongLedger(f"{path} cannot be used for trusted headers: {error}") from error

    def last(self) -> LightBlock | None:
        """The highest trusted header."""
        return self._block("SELECT block FROM trusted ORDER BY height DESC LIMIT 1")

    def below(self, height: Height) -> LightBlock | None:
        """The highest trusted header that is not above a height."""
        return self._block("SELECT block FROM trusted WHERE height <= ? ORDER BY height DESC LIMIT 1", height)

    def above(self, height: Height) -> LightBlock | None:
        """The lowest trusted header that is not below a height."""
        return self._block("SELECT block FROM trusted WHERE height >= ? ORDER BY height LIMIT 1", height)

    def add(self, block: LightBlock) -> None:
        """Trust a header from now on; durable when this returns. What is there stays."""
        with self._db.transaction():
            self._db.execute("INSERT OR IGNORE INTO trusted VALUES (?, ?)", (block.height, encode(block)))
            self._db.execute(
                "DELETE FROM trusted WHERE height > (SELECT min(height) FROM trusted) AND height NOT IN "
                "(SELECT height FROM trusted ORDER BY height DESC LIMIT ?)",
                (KEPT,),
            )

    def fork(self) -> Fork | None:
        """The fork that was found, if there was one."""
        data = self._one("SELECT fork FROM fork ORDER BY id LIMIT 1")
        return None if data is None else decode(data, Fork)

    def add_fork(self, fork: Fork) -> Path | None:
        """Keep the proof of a fork, also as a file beside the store; returns that file's path."""
        with self._db.transaction():
            self._db.execute("INSERT INTO fork (fork) VALUES (?)", (encode(fork),))
        if self.path is None:
            return None
        file = self.path.with_name(f"fork-{fork.first[-1].height}.cbor")
        write_file(file, encode(fork))
        return file

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _block(self, query: str, *arguments: int) -> LightBlock | None:
        data = self._one(query, *arguments)
        return None if data is None else decode(data, LightBlock)

    def _one(self, query: str, *arguments: object) -> bytes | None:
        for (value,) in self._db.execute(query, arguments):
            return cast(bytes, value)
        return None


@dataclass(frozen=True, kw_only=True)
class Trust:
    """How far somebody trusts, in nanoseconds, and where trust begins."""

    period: int = 90 * DAY
    """Validators answer for what they signed for so long: a header that was not followed by then is no start any more."""
    drift: int = 10 * SECOND
    """A header's time may lie so far ahead of one's own clock."""
    age: int = 600 * SECOND
    """The newest header is not older, or the node is stale (or the ledger stands still)."""
    anchor: tuple[Height, Digest] | None = None
    """Height and hash of a header that somebody vouched for; without it trust begins with the validators of genesis."""


class LightClient:
    """Knows which headers are the ledger's, by asking nodes that may all lie. Safe between threads.

    Every method may raise `NodeError` (no node gives what holds), `TrustExpired` and `ForkFound`.
    """

    def __init__(
        self, nodes: Nodes, genesis: Genesis, store: TrustStore, clock: Clock, randomness: Randomness, trust: Trust
    ) -> None:
        self._nodes = nodes
        self._genesis = genesis
        self._network = network_id(genesis)
        self._store = store
        self._clock = clock
        self._randomness = randomness
        self._trust = trust
        self._terms = Terms(chain=genesis.chain, period=trust.period, drift=trust.drift)
        self._founding = order_validators(genesis.validators)
        self._sets: dict[Digest, ValidatorSet] = {hash_validators(self._founding): self._founding}
        self._known: OrderedDict[int, LightBlock] = OrderedDict()
        self._changing = RLock()
        self.seen: LightBlock | None = None
        """The newest header that was looked at in this process."""
        self.confirmed_at: Height = 0
        """The highest header that another node than the one asked has shown as well."""

    # ── what is asked of it ───────────────────────────────────────────────────────────────────────────────────────

    def newest(self) -> LightBlock:
        """The newest header that a node shows, verified, compared and kept; never below one that was seen before."""
        with self._acting():
            return self._look()

    def at(self, height: Height) -> LightBlock | None:
        """The header of a height; None if no node has one yet."""
        with self._acting():
            if height < 1:
                return None
            last = self._store.last()
            if last is None or height > last.height:
                last = self._look()
            elif self.seen is None or last.height > self.seen.height:
                self.seen = last  # another process saw it
            if height > last.height:
                return None
            return self._known.get(height) or self._nodes.ask(lambda node: self._find(node, height))

    def headers(self, first: Height, last: Height) -> list[Header]:
        """The headers of heights up to one that is there, each known by the one that follows it."""
        top = self.at(last)
        if top is None:
            raise StateNotKept(f"there is no header {last} yet")
        with self._acting():
            return self._nodes.ask(lambda node: _linked(node, first, top.signed.header))

    def verify(self, signed: SignedHeader) -> Header:
        """Check that a header is the ledger's, whoever shows it; returns it, raises `BadHeader`."""
        known = self.at(signed.header.height)
        if known is None or known.signed.header != signed.header:
            raise BadHeader(
                f"header {signed.header.height} is not the one that the validators of {self._genesis.chain} signed"
            )
        return signed.header

    def changes(self, heights: Iterable[Height]) -> tuple[ValidatorChange, ...]:
        """How those who sign these heights followed from the validators of genesis, over as few sets as there need be.

        A set that is replaced and comes back between two of them is no change. Raises `StateNotKept` for a height that
        is not there.
        """
        changes: list[ValidatorChange] = []
        block = self._there(1)
        for target in map(self._there, sorted(heights)):
            while block.validators != target.validators:
                if block.following == block.validators:
                    block = self._last_of(block, target)
                changes.append(ValidatorChange(block.signed, block.following))
                block = self._there(block.height + 1)
            block = target
        return tuple(changes)

    def close(self) -> None:
        """Close the store."""
        self._store.close()

    def _there(self, height: Height) -> LightBlock:
        block = self.at(height)
        if block is None:
            raise StateNotKept(f"there is no header {height} yet")
        return block

    def _last_of(self, block: LightBlock, beyond: LightBlock) -> LightBlock:
        """A header between two that its set signed and the next did not; the first's set did not sign the second."""
        while beyond.height > block.height + 1:
            between = self._there((block.height + beyond.height) // 2)
            block, beyond = (between, beyond) if between.validators == block.validators else (block, between)
        return block

    # ── going on ──────────────────────────────────────────────────────────────────────────────────────────────────

    def _look(self) -> LightBlock:
        self.seen = self._nodes.ask(self._advance)
        return self.seen

    def _advance(self, node: Node) -> LightBlock:
        """The newest header of one node, if it is none that lags."""
        signed = node.signed_header()
        trusted = self._last(node)
        height, now = signed.header.height, self._clock.now()
        if height < trusted.height:
            raise StaleNode(f"{node.address} shows height {height}, height {trusted.height} was seen before")
        if signed.header.time + self._trust.age < now:
            seconds = (now - signed.header.time) // SECOND
            raise StaleNode(f"{node.address}: its newest header, of height {height}, is {seconds} s old")
        if signed.header == trusted.signed.header:
            return trusted
        with _lies(node):
            block = self._light(node, signed)
            if height == trusted.height:
                self._accuse(node, trusted, block)
            way = self._way(node, trusted, block)
        self._compare(node, way)
        self._store.add(block)
        self._remember(block)
        return block

    def _last(self, node: Node) -> LightBlock:
        """The last trusted header; where there is none, trust begins."""
        last = self._store.last()
        if last is None:
            last = self._begin(node)
            self._store.add(last)
        return last

    def _begin(self, node: Node) -> LightBlock:
        height, digest = self._trust.anchor or (1, None)
        with _lies(node):
            block = self._light(node, node.signed_header(height))
            if digest is None:
                verify_first(block, self._terms, self._founding, entropy=self._randomness.draw(32))
            elif hash_header(block.signed.header) != digest:
                raise LyingNode(f"{node.address}: header {height} is not {digest.hex()}")
            else:
                verify_header(block.signed, self._terms.chain, block.validators, self._randomness.draw(32))
                check_next_validators(block)
        return block

    def _way(self, node: Node, trusted: LightBlock, target: LightBlock) -> list[LightBlock]:
        """How a header of a node follows from a trusted one."""
        search = reach(trusted, target.height, self._terms, now=self._clock.now(), randomness=self._randomness)
        height = next(search)
        try:
            while True:
                block = target if height == target.height else self._light(node, node.signed_header(height))
                height = search.send(block)
        except StopIteration as end:
            return cast(list[LightBlock], end.value)

    def _light(self, node: Node, signed: SignedHeader) -> LightBlock:
        """A header with its validators, of which only sets that were never seen are asked for."""
        header = signed.header
        own = self._set(node, header.height, header.validators_hash)
        if header.next_validators_hash == header.validators_hash:
            return LightBlock(signed, own, None)
        return LightBlock(signed, own, self._set(node, header.height + 1, header.next_validators_hash))

    def _set(self, node: Node, height: Height, digest: bytes) -> ValidatorSet:
        found = self._sets.get(Digest(digest))
        if found is None:
            found = node.validators(height)
            if hash_validators(found) != digest:
                raise LyingNode(f"{node.address}: its validators of height {height} are not those of its header")
            if len(self._sets) > REMEMBERED:
                self._sets.clear()
            self._sets[Digest(digest)] = found
        return found

    # ── other heights ─────────────────────────────────────────────────────────────────────────────────────────────

    def _find(self, node: Node, height: Height) -> LightBlock:
        """The header of a height up to the last, from the next trusted one below, or by its successors' hashes."""
        below, above = self._store.below(height), cast(LightBlock, self._store.above(height))
        with _lies(node):
            if above.height == height:
                block = above
            elif below and below.signed.header.time + self._terms.period > self._clock.now():
                block = self._light(node, node.signed_header(height))
                self._way(node, below, block)
                if above.height == height + 1:
                    verify_earlier(block.signed.header, above.signed.header)
            else:
                block = self._earlier(node, height, above.signed.header)
        self._remember(block)
        return block

    def _earlier(self, node: Node, height: Height, trusted: Header) -> LightBlock:
        while trusted.height > height + 1:
            trusted = _linked(node, max(height + 1, trusted.height - 19), trusted)[0]
        block = self._light(node, node.signed_header(height))
        verify_earlier(block.signed.header, trusted)
        verify_header(block.signed, self._terms.chain, block.validators, self._randomness.draw(32))
        check_next_validators(block)
        return block

    def _remember(self, block: LightBlock) -> None:
        self._known[block.height] = block
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    # ── witnesses and forks ───────────────────────────────────────────────────────────────────────────────────────

    def _compare(self, node: Node, way: list[LightBlock]) -> None:
        """Ask the other nodes for the same height; raises `ForkFound`. One that lies or lags is no witness."""
        block = way[-1]
        for witness in self._nodes.others(node):
            try:
                shown = witness.signed_header(block.height)
                if shown.header == block.signed.header:
                    self.confirmed_at = block.height
                    continue
                with _lies(witness):
                    other = self._way(witness, way[0], self._light(witness, shown))
            except NodeError as error:
                self._nodes.blame(witness, error)
                continue
            self._keep_fork(Fork(self._network, way[0], tuple(way[1:]), tuple(other[1:])))

    def _accuse(self, node: Node, trusted: LightBlock, block: LightBlock) -> None:
        """A node shows another header than the trusted one of this height: it lies, or the validators do."""
        common = self._store.below(trusted.height - 1)
        if common is None:
            raise BadHeader(f"header {block.height} is not the one that trust began with")
        first, second = self._way(node, common, trusted), self._way(node, common, block)
        self._keep_fork(Fork(self._network, common, tuple(first[1:]), tuple(second[1:])))

    def _keep_fork(self, fork: Fork) -> None:
        verify_fork(fork, self._terms.chain)
        raise ForkFound(self._fork_words(fork, self._store.add_fork(fork)))

    def _fork_words(self, fork: Fork, file: Path | None) -> str:
        both = ", ".join(key.hex() for key in verify_fork(fork, self._terms.chain)) or "none: the ways part below"
        hashes = " and ".join(hash_header(way[-1].signed.header).hex() for way in (fork.first, fork.second))
        kept = f", kept in {file.name}" if file else ""
        return (
            f"height {fork.first[-1].height} of {self._terms.chain} has headers {hashes}; who signed both: {both}{kept}"
        )

    @contextmanager
    def _acting(self) -> Iterator[None]:
        with self._changing:
            if (fork := self._store.fork()) is not None:
                raise ForkFound(self._fork_words(fork, None))
            yield


def _linked(node: Node, first: Height, top: Header) -> list[Header]:
    """A node's headers from a height up to a trusted one, each of which is the predecessor of the next."""
    headers = [*node.headers(first, top.height - 1), top] if first < top.height else [top]
    if [header.height for header in headers] != list(range(first, top.height + 1)):
        raise LyingNode(f"{node.address} does not give headers {first} to {top.height}")
    with _lies(node):
        for header, later in zip(headers[-2::-1], headers[:0:-1], strict=True):
            verify_earlier(header, later)
    return headers


@contextmanager
def _lies(node: Node) -> Iterator[None]:
    """What does not hold inside was said by a node; that trust has ended, or a fork was found, is not its fault."""
    try:
        yield
    except (TrustExpired, ForkFound):
        raise
    except BadHeader as error:
        raise LyingNode(f"{node.address}: {error}") from error
