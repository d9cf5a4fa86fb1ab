"""What a stopped node has on disk: its blocks read through CometBFT itself, replayed, gone back over; its snapshots."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from edgehold.crypto.names import network_id
from edgehold.engine.blocks import encode_receipt
from edgehold.engine.replicated import FILE, SNAPSHOTS, Block, Replica
from edgehold.engine.snapshots import read_manifest, snapshot_heights
from edgehold.errors import BrokenLog, NodeError, NodeNotReady, NothingToGoBackTo, StateMismatch, StateNotKept
from edgehold.remote.node import HEADERS, Node
from edgehold.remote.nodes import Nodes
from edgehold.remote.rpc import Rpc
from edgehold.remote.trust import DAY, LightClient, Trust, TrustStore
from edgehold.server.cometbft import find_cometbft, require_version
from edgehold.server.home import Home, network_of_home, read_settings
from edgehold.server.loopback import free_ports
from edgehold.server.pair import only_one
from edgehold.system import SystemClock, SystemRandomness
from edgehold.verify.header import hash_header, hash_results, hash_transactions
from edgehold.wire.codec import decode
from edgehold.wire.governance import Genesis
from edgehold.wire.header import Header
from edgehold.wire.ids import Digest
from edgehold.wire.snapshot import Manifest

PATIENCE = 30.0
FOREVER = Trust(period=40_000 * DAY, age=40_000 * DAY)
"""Nobody lies to itself with old keys: headers on one's own disk are only checked for being whole and signed."""

Results = list[tuple[int, bytes]]
"""Number and bytes of the receipts of a block."""


@dataclass(frozen=True)
class Verified:
    """What `node verify` found to be as it was signed."""

    first: int
    """The first block that is kept."""
    height: int
    replayed: bool
    """Whether every block since genesis was executed again; not if the first ones are kept no more."""
    state_height: int
    """Of the replica; 0 if there is none and the next start makes one."""
    state_checked: bool
    """Whether its root was compared; not if it is at the last height and no earlier block is left to begin from."""


def verify_home(home: Home, tick: Callable[[int, int], None]) -> Verified:
    """Check a stopped node's blocks and state against what the validators signed.

    1. Every header that is kept follows from genesis (or, if the first ones are kept no more, from the header that this
       node began with) and is signed by the validators of its time.
    2. Every block has the transactions that its header names.
    3. Executed again since genesis, every block gives the root and the receipts that the next header signs. If the
       first ones are kept no more, the receipts that CometBFT keeps are those that the next header signs.
    4. The entries of the replica have the root that stands in the header after its height.
    5. The heights and receipts that the replica remembers are those of the blocks.

    Raises `NodeRuns`, `LyingNode`, `BrokenLog`, `StateMismatch`.
    """
    genesis, dice = network_of_home(home), SystemRandomness()
    with only_one(home), kept_blocks(home) as node:
        top = node.signed_header().header.height
        first = first_block(node, top)
        store = TrustStore(None, network_id(genesis))
        trust = replace(FOREVER, anchor=None if first == 1 else _beginning(home, node, first))
        light = LightClient(Nodes([node]), genesis, store, SystemClock(), dice, trust)
        try:
            fresh = Replica(None, genesis, dice) if first == 1 else None
            roots: dict[int, bytes] = {}
            if fresh:
                roots[0] = light.headers(1, 1)[0].app_hash
                if fresh.root != roots[0]:
                    raise StateMismatch(f"genesis gives root {fresh.root.hex()}, header 1 signs {roots[0].hex()}")
            with _replica_of(home, genesis) as replica:
                if fresh:
                    _require_remembered(replica, Block(0, Digest(b""), genesis.time, ()), roots[0], [])
                # 1
                for header, following in pairwise(_headers(light, first, top)):
                    block = _block(node, header)
                    results = _replay(fresh, block, following) if fresh else _results(node, following)
                    roots[header.height] = following.app_hash
                    _require_remembered(replica, block, following.app_hash, results)
                    tick(header.height, top)
                if fresh and top > fresh.height:
                    block = _block(node, light.headers(top, top)[0])
                    roots[top], results = _execute(fresh, block)
                    _require_remembered(replica, block, roots[top], results)
                # 4
                if replica is None:
                    return Verified(first, top, fresh is not None, 0, state_checked=False)
                expected = roots.get(replica.height)
                if expected is not None and expected != replica.root:
                    raise StateMismatch(
                        f"height {replica.height}: the replica has root {replica.root.hex()}, the blocks give {expected.hex()}"
                    )
                return Verified(first, top, fresh is not None, replica.height, state_checked=expected is not None)
        finally:
            light.close()


@contextmanager
def _replica_of(home: Home, genesis: Genesis) -> Iterator[Replica | None]:
    """The state in a home, if there is one."""
    if not (home.replica / FILE).is_file():
        yield None
        return
    replica = Replica(home.replica, genesis, SystemRandomness())
    try:
        yield replica
    finally:
        replica.close()


def _beginning(home: Home, node: Node, first: int) -> tuple[int, Digest]:
    """The header that was vouched for when a newcomer joined; else the first that is kept, which is believed."""
    sync = read_settings(home).sync
    if sync is not None and sync.height >= first:
        return sync.height, Digest(bytes.fromhex(sync.hash))
    return first, hash_header(node.signed_header(first).header)


def _headers(light: LightClient, first: int, top: int) -> Iterator[Header]:
    for start in range(first, top + 1, HEADERS):
        yield from light.headers(start, min(start + HEADERS - 1, top))


def _block(node: Node, header: Header) -> Block:
    """Number 2 of `verify_home`."""
    shown, transactions = node.block(header.height)
    if shown != header or hash_transactions(transactions) != header.data_hash:
        raise BrokenLog(f"block {header.height} is not the one that was signed")
    return Block(header.height, hash_header(header), header.time, transactions)


def _replay(replica: Replica, block: Block, following: Header) -> Results:
    """Number 3 of `verify_home`."""
    root, results = _execute(replica, block)
    if (root, hash_results(results)) != (following.app_hash, following.last_results_hash):
        raise StateMismatch(
            f"block {block.height}, executed again, gives another root or other receipts than were signed"
        )
    return results


def _execute(replica: Replica, block: Block) -> tuple[bytes, Results]:
    receipts, root = replica.finalize(block)
    replica.commit()
    return root, [(receipt.number, encode_receipt(receipt)) for receipt in receipts]


def _results(node: Node, following: Header) -> Results:
    """Number 3 of `verify_home`, where nothing can be executed."""
    results = node.results(following.height - 1)
    if hash_results(results) != following.last_results_hash:
        raise BrokenLog(f"the receipts of block {following.height - 1} are not those that were signed")
    return results


def _require_remembered(replica: Replica | None, block: Block, root: bytes, results: Results) -> None:
    """Number 5 of `verify_home`."""
    if replica and block.height <= replica.height:
        replica.require_kept(block, Digest(root), results)


def first_block(node: Node, top: int) -> int:
    """The first block that is kept, found by halves."""
    low, high = 1, top
    while low < high:
        middle = (low + high) // 2
        try:
            node.signed_header(middle)
        except StateNotKept:
            low = middle + 1
        else:
            high = middle
    return low


@contextmanager
def kept_blocks(home: Home) -> Iterator[Node]:
    """CometBFT's own reader of a stopped node's blocks; raises `NodeNotReady`."""
    program = find_cometbft()
    require_version(program)
    (port,) = free_ports(1)
    command = [str(program), "inspect", "--home", str(home.folder.resolve()), "--rpc.laddr", f"tcp://127.0.0.1:{port}"]
    with subprocess.Popen(  # noqa: S603  the program that `find_cometbft` names
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        node = Node(Rpc(f"http://127.0.0.1:{port}"))
        try:
            _wait_for(node, process)
            yield node
        finally:
            node.close()
            process.terminate()


def _wait_for(node: Node, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + PATIENCE
    while True:
        try:
            node.signed_header()
        except NodeError as error:
            if process.poll() is not None or time.monotonic() > end:
                raise NodeNotReady(f"the blocks cannot be read: {error}") from error
            time.sleep(0.05)
        else:
            return


# ── going back ────────────────────────────────────────────────────────────────────────────────────────────────────


def roll_back(home: Home) -> tuple[str, Path | None]:
    """Take the last block's effect back, here and in CometBFT; at the next start both execute blocks again.

    CometBFT goes back by one height and keeps the block; the replica is set aside and comes from all blocks anew.
    Returns what CometBFT says and where the replica lies. Raises `NodeRuns`, `NothingToGoBackTo`.
    """
    with only_one(home):
        with kept_blocks(home) as node:
            first = first_block(node, node.signed_header().header.height)
        if first > 1:
            raise NothingToGoBackTo(f"blocks are kept from {first} on; the replica cannot come from them anew")
        ran = subprocess.run(  # noqa: S603  the program that `find_cometbft` names
            [find_cometbft(), "rollback", "--home", home.folder.resolve()], capture_output=True, text=True, check=False
        )
        if ran.returncode:
            raise NothingToGoBackTo((ran.stdout + ran.stderr).strip().splitlines()[-1])
        aside = None
        if home.replica.exists():
            aside = home.replica.with_name(f"replica-{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}")
            home.replica.rename(aside)
        return ran.stdout.strip().splitlines()[-1], aside


# ── snapshots ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that lies in a home, for newcomers."""

    height: int
    pieces: int
    bytes: int


def snapshots_of(home: Home) -> list[Snapshot]:
    """The snapshots of a home, the earliest first."""
    folder = home.replica / SNAPSHOTS
    found = []
    for height in snapshot_heights(folder):
        manifest = read_manifest(folder, height)
        if manifest is not None:
            size = sum(path.stat().st_size for path in (folder / str(height)).iterdir())
            found.append(Snapshot(height, len(decode(manifest, Manifest).pieces), size))
    return found


def take_snapshot(home: Home) -> None:
    """Write a snapshot of a stopped node's state; raises `NodeRuns`."""
    with only_one(home):
        replica = Replica(home.replica, network_of_home(home), SystemRandomness())
        try:
            replica.take_snapshot()
        finally:
            replica.close()
