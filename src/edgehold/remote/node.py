"""What a CometBFT node (v0.38) says on its RPC, read into our words. Nothing here is believed yet.

Heights above the node's last, or below its first, are `StateNotKept`. Everything that is not as a node writes it is
`BadNodeAnswer`.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta, Struct

from edgehold.errors import BadNodeAnswer, Malformed, NodeSaysNo, QueueFull, StateNotKept
from edgehold.remote.rpc import Rpc
from edgehold.verify.header import ABSENT_TIME, SECOND
from edgehold.wire.codec import convert
from edgehold.wire.governance import Validator
from edgehold.wire.header import (
    Address,
    BlockId,
    Commit,
    CommitSignature,
    Header,
    PartSetHeader,
    SignedHeader,
    ValidatorSet,
    VoteFlag,
)
from edgehold.wire.ids import Digest, Height, PublicKey

T = TypeVar("T")

PAGE = 100
"""Validators that a node gives at a time."""

HEADERS = 20
"""Headers that a node gives at a time."""

Number = Annotated[str, Meta(pattern=r"^(0|[1-9][0-9]{0,18})$")]
"""CometBFT writes 64-bit integers as text."""


_NOT_THERE = ("current blockchain height", "lowest height is", "could not find results for height")
"""What a node says of heights that it has not, or not any more."""


class _Parts(Struct, frozen=True):
    total: int
    hash: str


class _BlockId(Struct, frozen=True):
    hash: str
    parts: _Parts


class _Version(Struct, frozen=True):
    block: Number
    app: Number = "0"


class _Header(Struct, frozen=True):
    version: _Version
    chain_id: str
    height: Number
    time: str
    last_block_id: _BlockId
    last_commit_hash: str
    data_hash: str
    validators_hash: str
    next_validators_hash: str
    consensus_hash: str
    app_hash: str
    last_results_hash: str
    evidence_hash: str
    proposer_address: str


class _Vote(Struct, frozen=True):
    block_id_flag: int
    validator_address: str
    timestamp: str
    signature: str | None


class _Commit(Struct, frozen=True):
    height: Number
    round: int
    block_id: _BlockId
    signatures: list[_Vote]


class _SignedHeader(Struct, frozen=True):
    header: _Header
    commit: _Commit


class _CommitAnswer(Struct, frozen=True):
    signed_header: _SignedHeader


class _Key(Struct, frozen=True):
    type: str
    value: str


class _Validator(Struct, frozen=True):
    pub_key: _Key
    voting_power: Number


class _ValidatorsAnswer(Struct, frozen=True):
    validators: list[_Validator]
    total: Number


class _Data(Struct, frozen=True):
    txs: list[str]


class _Block(Struct, frozen=True):
    header: _Header
    data: _Data


class _BlockAnswer(Struct, frozen=True):
    block: _Block


class _Result(Struct, frozen=True):
    code: int
    data: str | None


class _ResultsAnswer(Struct, frozen=True):
    height: Number
    txs_results: list[_Result] | None


class _Meta(Struct, frozen=True):
    header: _Header


class _BlockchainAnswer(Struct, frozen=True):
    block_metas: list[_Meta]


class _QueryResponse(Struct, frozen=True):
    code: int
    log: str = ""
    value: str | None = None


class _QueryAnswer(Struct, frozen=True):
    response: _QueryResponse


class _BroadcastAnswer(Struct, frozen=True):
    code: int
    log: str = ""


class _NodeInfo(Struct, frozen=True):
    network: str


class _SyncInfo(Struct, frozen=True):
    latest_block_height: Number
    catching_up: bool


class _StatusAnswer(Struct, frozen=True):
    node_info: _NodeInfo
    sync_info: _SyncInfo


@dataclass(frozen=True)
class Status:
    """What a node says of itself."""

    chain: str
    height: Height
    is_catching_up: bool


@dataclass(frozen=True)
class Said:
    """An answer of the application: code 0 and a value, or the number of an error and its facts."""

    code: int
    facts: str
    value: bytes = b""


class Node:
    """One node, asked in our words; every answer is a claim. Safe between threads."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    @property
    def address(self) -> str:
        """Where it is asked."""
        return self._rpc.address

    def close(self) -> None:
        """Close its connections."""
        self._rpc.close()

    def status(self) -> Status:
        """Which chain it follows, and how far it is."""
        said = self._rpc.call("status", _StatusAnswer)
        return Status(said.node_info.network, int(said.sync_info.latest_block_height), said.sync_info.catching_up)

    def signed_header(self, height: Height | None = None) -> SignedHeader:
        """The header of a height, or the last, with the votes for it."""
        said = self._at("commit", _CommitAnswer, {} if height is None else {"height": str(height)})
        with self._reading("commit"):
            return SignedHeader(_header(said.signed_header.header), _commit(said.signed_header.commit))

    def validators(self, height: Height) -> ValidatorSet:
        """Who signs a height; known for one height above the last, too."""
        found: list[_Validator] = []
        for page in (1, 2):
            asked = {"height": str(height), "page": str(page), "per_page": str(PAGE)}
            said = self._at("validators", _ValidatorsAnswer, asked)
            found += said.validators
            if len(found) >= int(said.total):
                break
        with self._reading("validators"):
            return _checked(ValidatorSet(tuple(_validator(one) for one in found)))

    def headers(self, first: Height, last: Height) -> list[Header]:
        """The headers of at most 20 heights, rising; a node may give fewer."""
        asked = {"minHeight": str(first), "maxHeight": str(last)}
        said = self._at("blockchain", _BlockchainAnswer, asked)
        with self._reading("blockchain"):
            return sorted((_header(meta.header) for meta in said.block_metas), key=lambda header: header.height)

    def block(self, height: Height) -> tuple[Header, list[bytes]]:
        """A block's header and transactions."""
        said = self._at("block", _BlockAnswer, {"height": str(height)})
        with self._reading("block"):
            return _header(said.block.header), [_base64(one) for one in said.block.data.txs]

    def results(self, height: Height) -> list[tuple[int, bytes]]:
        """Code and data of each transaction of a block."""
        said = self._at("block_results", _ResultsAnswer, {"height": str(height)})
        with self._reading("block_results"):
            return [(one.code, _base64(one.data or "")) for one in said.txs_results or ()]

    def query(self, path: str, data: bytes, height: Height = 0) -> Said:
        """Ask the application (`wire.query`)."""
        asked = {"path": path, "data": data.hex(), "height": str(height), "prove": False}
        said = self._rpc.call("abci_query", _QueryAnswer, **asked).response
        with self._reading("abci_query"):
            return Said(said.code, said.log[:400], _base64(said.value or ""))

    def broadcast(self, transaction: bytes) -> Said:
        """Hand in a transaction; the same bytes again are taken as well. Raises `QueueFull`, `Malformed`."""
        try:
            said = self._rpc.call("broadcast_tx_sync", _BroadcastAnswer, tx=b64encode(transaction).decode())
        except NodeSaysNo as error:
            if "already exists in cache" in str(error):
                return Said(0, "")
            if "mempool is full" in str(error):
                raise QueueFull(str(error)) from error
            if "too large" in str(error):
                raise Malformed(str(error)) from error
            raise
        return Said(said.code, said.log[:400])

    def _at(self, method: str, kind: type[T], asked: Mapping[str, object]) -> T:
        try:
            return self._rpc.call(method, kind, **asked)
        except NodeSaysNo as error:
            if any(words in str(error) for words in _NOT_THERE):
                raise StateNotKept(str(error)) from error
            raise

    @contextmanager
    def _reading(self, method: str) -> Iterator[None]:
        try:
            yield
        except (ValueError, OverflowError, msgspec.ValidationError) as error:
            raise BadNodeAnswer(f"{self.address} does not answer {method} as a node does: {error}") from error


# ── from JSON; all raise ValueError ───────────────────────────────────────────────────────────────────────────────


def _header(said: _Header) -> Header:
    return _checked(
        Header(
            block_version=int(said.version.block),
            app_version=int(said.version.app),
            chain=said.chain_id,
            height=int(said.height),
            time=_time(said.time),
            last_block=_block_id(said.last_block_id),
            last_commit_hash=_hex(said.last_commit_hash),
            data_hash=_hex(said.data_hash),
            validators_hash=_hex(said.validators_hash),
            next_validators_hash=_hex(said.next_validators_hash),
            consensus_hash=_hex(said.consensus_hash),
            app_hash=_hex(said.app_hash),
            last_results_hash=_hex(said.last_results_hash),
            evidence_hash=_hex(said.evidence_hash),
            proposer=Address(_hex(said.proposer_address)),
        )
    )


def _commit(said: _Commit) -> Commit:
    votes = tuple(_vote(vote) for vote in said.signatures)
    return _checked(Commit(int(said.height), said.round, _block_id(said.block_id), votes))


def _vote(said: _Vote) -> CommitSignature:
    flag, time = VoteFlag(said.block_id_flag), _time(said.timestamp)
    if flag is VoteFlag.ABSENT:
        if time != ABSENT_TIME:
            raise ValueError(f"an absent vote has the time {said.timestamp}")
        time = 0
    return CommitSignature(flag, _hex(said.validator_address), time, _base64(said.signature or ""))


def _validator(said: _Validator) -> Validator:
    if said.pub_key.type != "tendermint/PubKeyEd25519":
        raise ValueError(f"a validator's key is of type {said.pub_key.type[:60]}")
    return Validator(PublicKey(_base64(said.pub_key.value)), int(said.voting_power))


def _block_id(said: _BlockId) -> BlockId:
    return BlockId(_hex(said.hash), PartSetHeader(said.parts.total, _hex(said.parts.hash)))


def _checked(message: T) -> T:
    """The same message, if its fields keep within their limits; raises `ValueError`."""
    return convert(msgspec.to_builtins(message, builtin_types=(bytes,)), type(message))


def _hex(text: str) -> Digest:
    return Digest(bytes.fromhex(text))


def _base64(text: str) -> bytes:
    try:
        return b64decode(text, validate=True)
    except Base64Error as error:
        raise ValueError(f"not base64: {error}") from error


_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?Z", re.ASCII)


def _time(text: str) -> int:
    """Nanoseconds since 1970 of a time as Go writes it."""
    match = _TIME.fullmatch(text)
    if match is None:
        raise ValueError(f"not a time: {text[:60]!r}")
    whole = datetime.fromisoformat(match[1]).replace(tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)
    return (whole.days * 86_400 + whole.seconds) * SECOND + int((match[2] or "").ljust(9, "0"))
