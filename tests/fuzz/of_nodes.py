"""Nodes as others see them: frames and requests on the application's socket, RPC answers, light blocks, snapshots."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from bombs import CBOR, JSON
from google.protobuf.message import DecodeError
from msgspec.structs import replace
from mutation import BY_BYTES, BY_FIELDS
from served_node import ServedNode
from signed_chain import SignedChain, grown
from target import BY_TOKENS, Reader, Target, require

from edgehold.bench.traffic import GENESIS, Traffic
from edgehold.demo.seeded import SeededRandomness
from edgehold.engine.replicated import SNAPSHOTS, Block, Replica
from edgehold.engine.snapshots import piece_digest, read_manifest, read_piece
from edgehold.errors import BadHeader, BadSnapshot, EdgeholdError, Malformed, NodeError, QueueFull, TooFarAhead
from edgehold.remote.node import Node
from edgehold.remote.rpc import Rpc
from edgehold.server.abci.application import Application
from edgehold.server.abci.frames import FrameReader, frame
from edgehold.server.abci.messages import types_pb2 as abci
from edgehold.verify.light import FOREVER, Terms, verify_fork, verify_step
from edgehold.wire.codec import decode, encode
from edgehold.wire.ids import Digest
from edgehold.wire.light import Fork, LightBlock
from edgehold.wire.query import ENTRY, RECEIPT
from edgehold.wire.snapshot import Manifest, Piece

SEEDED = SeededRandomness(1, "fuzzing")
VALID = Traffic(3).founding()[0]
"""Transactions for the first block of a network."""

# ── the application's socket ──────────────────────────────────────────────────────────────────────────────────────


def frames(folder: Path) -> Reader:
    """What comes over the socket, in one piece or in many."""
    seeds = [b"".join(frame(bytes(size)) for size in sizes) for sizes in ((0, 1, 127, 128), (300, 2), (20_000,))]

    def read(data: bytes) -> None:
        whole, reader = FrameReader().feed(data), FrameReader()
        size = 7 if len(data) < 1000 else 997
        pieces = [message for at in range(0, len(data), size) for message in reader.feed(data[at : at + size])]
        require(whole == pieces, "the same bytes in pieces are other messages")
        require(sum(map(len, whole)) <= len(data), "messages have more bytes than came")

    return Reader(read, seeds)


def requests(folder: Path) -> Reader:
    """Requests of CometBFT: nothing unsigned is taken at the door or voted for, whatever stands around it."""
    replica = Replica(None, GENESIS, SEEDED)
    application = Application(replica)
    header = {"height": 1, "hash": bytes(32)}
    asked = [
        abci.Request(echo=abci.RequestEcho(message="hello")),
        abci.Request(info=abci.RequestInfo(version="0.38.26")),
        *(abci.Request(check_tx=abci.RequestCheckTx(tx=one)) for one in VALID),
        abci.Request(check_tx=abci.RequestCheckTx(tx=VALID[0], type=abci.RECHECK)),
        abci.Request(query=abci.RequestQuery(path=ENTRY, data=b"\x00" * 33)),
        abci.Request(query=abci.RequestQuery(path=RECEIPT, data=bytes(32))),
        abci.Request(prepare_proposal=abci.RequestPrepareProposal(txs=VALID, max_tx_bytes=1000, height=1)),
        abci.Request(process_proposal=abci.RequestProcessProposal(txs=VALID, **header)),
        abci.Request(finalize_block=abci.RequestFinalizeBlock(txs=VALID, **header)),
        abci.Request(verify_vote_extension=abci.RequestVerifyVoteExtension(height=1)),
        abci.Request(list_snapshots=abci.RequestListSnapshots()),
        abci.Request(load_snapshot_chunk=abci.RequestLoadSnapshotChunk(height=1, format=1, chunk=0)),
    ]

    def read(data: bytes) -> None:
        request = abci.Request.FromString(data)
        kind = request.WhichOneof("value")
        if kind == "commit":
            raise Malformed("it would be another replica for what comes after")
        (said,) = application.answer([request])
        response = abci.Response.FromString(FrameReader().feed(said)[0])
        require(response.WhichOneof("value") == kind, "an answer to another request")
        if kind == "check_tx" and request.check_tx.type == abci.NEW:
            refused = response.check_tx.code != 0
            require(refused or request.check_tx.tx in VALID, "what nobody signed is taken at the door")
        if kind == "process_proposal":
            refused = response.process_proposal.status != abci.ResponseProcessProposal.ACCEPT
            require(refused or set(request.process_proposal.txs) <= set(VALID), "what nobody signed is voted for")
        if kind == "prepare_proposal":
            require(set(response.prepare_proposal.txs) <= set(VALID), "what nobody signed is proposed")

    return Reader(read, [one.SerializeToString() for one in asked])


# ── what nodes say ────────────────────────────────────────────────────────────────────────────────────────────────

METHODS: dict[str, dict[str, Any]] = {
    "status": {},
    "commit": {"height": "3"},
    "validators": {"height": "3", "page": "1", "per_page": "100"},
    "blockchain": {"minHeight": "1", "maxHeight": "4"},
    "block": {"height": "2"},
    "block_results": {"height": "2"},
    "abci_query": {"path": ENTRY, "data": "00", "height": "0"},
    "broadcast_tx_sync": {"tx": ""},
}


class Says(Rpc):
    """A connection at whose other end these bytes are said, whatever is asked."""

    said = b""

    def _exchange(self, body: bytes, method: str) -> bytes:
        self._asked = 0
        return self.said


def answers(folder: Path) -> Reader:
    """A node's answers over RPC; the first byte says to which question. Whatever is read keeps within its limits."""
    chain = SignedChain()
    for number in range(4):
        chain.append(transactions=[bytes([number])], results=[(0, b"receipt")])
    served = ServedNode(chain)
    served.close()
    rpc = Says("http://127.0.0.1:1")
    node = Node(rpc)
    ask = [
        node.status,
        lambda: node.signed_header(3),
        lambda: node.validators(3),
        lambda: node.headers(1, 4),
        lambda: node.block(2),
        lambda: node.results(2),
        lambda: node.query(ENTRY, b"\x00"),
        lambda: node.broadcast(b""),
    ]
    seeds = []
    for number, (method, params) in enumerate(METHODS.items()):
        said = served.answer({"id": 1, "method": method, "params": params})
        seeds.append(bytes([number]) + json.dumps(said).encode())
    seeds.append(b"\x01" + json.dumps({"jsonrpc": "2.0", "id": 1, "error": {"code": -32603, "message": "no"}}).encode())

    def read(data: bytes) -> None:
        if not data or data[0] >= len(ask):
            raise Malformed("no such question")
        rpc.said = data[1:]
        found: Any = ask[data[0]]()
        if data[0] in (1, 2):
            require(decode(encode(found), type(found)) == found, "what was read cannot be written")

    return Reader(read, seeds[:-1])


# ── what is signed ────────────────────────────────────────────────────────────────────────────────────────────────


def light_block(folder: Path) -> Reader:
    """A later header with its validators: what is taken is a header of the chain, with the sets that it names."""
    chain = grown(12, every=5)
    trusted, known = chain.light(1), {chain.light(height).signed.header: chain.light(height) for height in range(2, 13)}
    terms = Terms(chain=chain.chain, period=FOREVER, drift=1)

    def read(data: bytes) -> None:
        block = decode(data, LightBlock)
        verify_step(trusted, block, terms, now=chain.now(), entropy=SEEDED.draw(32))
        one = known.get(block.signed.header)
        require(one is not None, "a header that nobody signed is trusted")
        same = one and (one.validators, one.following) == (block.validators, block.following)
        require(bool(same), "other validators than the header names are trusted")

    return Reader(read, [encode(block) for block in list(known.values())[:5]])


def fork(folder: Path) -> Reader:
    """The proof that validators signed two headers of one height: it names only those who did."""
    chain = grown(6)
    other = chain.fork(5)
    valid = Fork(network=Digest(bytes(32)), common=chain.light(2), first=(chain.light(5),), second=(other.light(5),))
    headers = {chain.header(height) for height in range(1, 7)} | {other.header(5)}
    signers = {validator.key for validator in chain.validators(5).validators}

    def read(data: bytes) -> None:
        made = decode(data, Fork)
        accused = verify_fork(made, chain.chain)
        ends = {made.first[-1].signed.header, made.second[-1].signed.header}
        require(ends <= headers and set(accused) <= signers, "somebody is accused of what was not signed")

    return Reader(read, [encode(valid)])


# ── snapshots ─────────────────────────────────────────────────────────────────────────────────────────────────────


def snapshot(folder: Path) -> Reader:
    """A snapshot whose giver altered a piece and named the altered one: its entries are those of the root, or it is none.

    Answers and header hashes stand beside the root, and are believed.
    """
    source = Replica(folder / "source", GENESIS, SEEDED)
    source.finalize(Block(1, Digest(bytes(32)), 1, VALID))
    source.commit()
    source.take_snapshot()
    root = source.root
    source.close()
    snapshots = folder / "source" / SNAPSHOTS
    manifest = decode(read_manifest(snapshots, 1) or b"", Manifest)
    pieces = [read_piece(snapshots, 1, index) or b"" for index in range(len(manifest.pieces))]
    taker = Replica(folder / "taker", GENESIS, SEEDED)

    places = {type(decode(piece, Piece)): place for place, piece in enumerate(pieces)}

    def read(data: bytes) -> None:
        given = list(pieces)
        given[places[type(decode(data, Piece))]] = data
        named = replace(manifest, pieces=tuple(map(piece_digest, given)))
        restore(taker, encode(named), root, given)

    return Reader(read, pieces)


def manifest(folder: Path) -> Reader:
    """What a snapshot is said to consist of."""
    taker = Replica(folder / "taker", GENESIS, SEEDED)
    valid = Manifest(network=taker.network, height=1, pieces=(piece_digest(b"a"), piece_digest(b"b")))

    def read(data: bytes) -> None:
        taker.begin_restoring(data, Digest(bytes(32)))
        require(decode(data, Manifest).network == taker.network, "a snapshot of another network is begun")

    return Reader(read, [encode(valid)])


def restore(taker: Replica, named: bytes, root: Digest, pieces: list[bytes]) -> None:
    """Take over a snapshot as far as it goes, and forget it; raises `BadSnapshot`."""
    taker.begin_restoring(named, root)
    restoration = taker._restoration
    assert restoration is not None
    try:
        for index, piece in enumerate(pieces):
            require(restoration.add(index, piece), "a piece is not what its manifest names")
        restoration.finish()
    finally:
        restoration.discard()
        taker._restoration = None


TARGETS: dict[str, Target] = {
    "frames": Target(frames, (Malformed,), BY_BYTES),
    "abci requests": Target(requests, (DecodeError, EdgeholdError), BY_BYTES),
    "rpc answers": Target(answers, (NodeError, QueueFull, Malformed), BY_TOKENS, JSON.within(b"\x01", b"")),
    "light block": Target(light_block, (BadHeader, Malformed, TooFarAhead), BY_FIELDS, CBOR),
    "fork": Target(fork, (BadHeader, Malformed, TooFarAhead), BY_FIELDS, CBOR),
    "snapshot": Target(snapshot, (BadSnapshot, Malformed), BY_FIELDS, CBOR),
    "offered snapshot": Target(manifest, (BadSnapshot, Malformed), BY_FIELDS, CBOR),
}
