"""A stand-in for CometBFT: members decide on blocks, carry them out, catch up, and begin with snapshots of others.

It asks each application what CometBFT v0.38 would ask it, in the same order: a proposer prepares, all present look at the
proposal, more than two thirds of the power decide; the block is stored, finalized, committed. After a restart `Info` says
which blocks are given again. Sources: CometBFT `consensus/replay.go`, `state/execution.go`, `statesync/syncer.go`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, Any

from keeper import Member
from msgspec.structs import replace
from signed_chain import SignedChain
from trade import GENESIS, Book
from universe import SECOND, Violation

from edgehold.crypto.names import network_id
from edgehold.engine.blocks import encode_receipt
from edgehold.engine.snapshots import manifest_digest, piece_digest
from edgehold.server.abci.frames import frame
from edgehold.server.abci.messages import types_pb2 as abci
from edgehold.verify.header import SECOND as NANOSECONDS
from edgehold.verify.header import hash_header, order_validators
from edgehold.wire.codec import decode, encode
from edgehold.wire.governance import Validator
from edgehold.wire.header import ValidatorSet
from edgehold.wire.ids import PublicKey
from edgehold.wire.snapshot import EntriesPiece, Manifest, Piece
from edgehold.wire.tx import Receipt

if TYPE_CHECKING:
    from consortium import Consortium

ROOM = 2000
"""Bytes that a block has for transactions; few, so that it is full sometimes."""

ROUNDS = 4
"""Proposers that have their turn in one interval."""

AT_ONCE = 4
"""Blocks that a member fetches in one interval."""


@dataclass(frozen=True)
class Outcome:
    """What a block came to on a replica: the root of the state, code and data of each transaction, changed powers."""

    root: bytes
    results: tuple[tuple[int, bytes], ...]
    powers: tuple[tuple[bytes, int], ...]

    @property
    def receipts(self) -> list[Receipt]:
        """One for each transaction."""
        return [decode(data, Receipt) for _, data in self.results]


def after_powers(validators: ValidatorSet, powers: Sequence[tuple[bytes, int]]) -> ValidatorSet:
    """The set after a block changed powers."""
    by_key: dict[bytes, int] = {one.key: one.power for one in validators.validators} | dict(powers)
    return order_validators(Validator(PublicKey(key), power) for key, power in by_key.items() if power)


def init_chain() -> abci.RequestInitChain:
    """What CometBFT makes of its genesis file."""
    request = abci.RequestInitChain(
        chain_id=GENESIS.chain,
        initial_height=1,
        app_state_bytes=b'{"network": "%s"}' % network_id(GENESIS).hex().encode(),
    )
    request.time.seconds, request.time.nanos = divmod(GENESIS.time, NANOSECONDS)
    for validator in GENESIS.validators:
        request.validators.add(power=validator.power).pub_key.ed25519 = validator.key
    return request


def finalize_block(chain: SignedChain, height: int) -> abci.RequestFinalizeBlock:
    """What CometBFT says of a decided block."""
    header = chain.header(height)
    request = abci.RequestFinalizeBlock(
        txs=chain.block(height).transactions, height=height, hash=hash_header(header), proposer_address=header.proposer
    )
    request.time.seconds, request.time.nanos = divmod(header.time, NANOSECONDS)
    return request


def size_in_block(transactions: Sequence[bytes]) -> int:
    """Bytes that transactions take up in a block: each with its length and a byte that names the field."""
    return sum(1 + len(frame(one)) for one in transactions)


def outcome_of(response: abci.ResponseFinalizeBlock) -> Outcome:
    """What an application said of a block."""
    return Outcome(
        root=response.app_hash,
        results=tuple((result.code, result.data) for result in response.tx_results),
        powers=tuple((one.pub_key.ed25519, one.power) for one in response.validator_updates),
    )


def forged_snapshot(true: abci.Snapshot, pieces: list[bytes], dice: Random) -> abci.Snapshot:
    """A snapshot with another value under one key, in these pieces, and all that names them made to fit."""
    places = [place for place, data in enumerate(pieces) if isinstance(decode(data, Piece), EntriesPiece)]
    place = dice.choice(places)
    piece = decode(pieces[place], Piece)
    assert isinstance(piece, EntriesPiece)
    entries = list(piece.entries)
    at = dice.randrange(len(entries))
    entries[at] = entries[at][0], dice.randbytes(30)
    pieces[place] = encode(EntriesPiece(tuple(entries)))
    manifest = encode(
        replace(decode(true.metadata, Manifest), pieces=tuple(piece_digest(data) for data in pieces)),
    )
    forged = abci.Snapshot()
    forged.CopyFrom(true)
    forged.metadata, forged.hash = manifest, manifest_digest(manifest)
    return forged


class Consensus:
    """The blocks that were decided, and how members come to them."""

    def __init__(self, consortium: Consortium, chain: SignedChain, outcomes: dict[int, Outcome], book: Book) -> None:
        self.consortium = consortium
        self.universe = consortium.universe
        self.chain = chain
        self.outcomes = outcomes
        self.book = book
        self.owners = {validator.key: number for number, validator in enumerate(GENESIS.validators)}
        """Whose key it is or was, by members' numbers."""

    # ── deciding ──────────────────────────────────────────────────────────────────────────────────────────────────

    def powers(self, height: int) -> dict[int, int]:
        """The members' powers in the votes for a height."""
        return {self.owners[one.key]: one.power for one in self.chain.validators(height).validators}

    def decide(self) -> None:
        """The present members try to decide on the next block."""
        universe, height = self.universe, self.chain.height + 1
        powers = self.powers(height)
        members = [one for one in self.consortium.members if self._is_present(one, height)]
        if not self._suffices([one.number for one in members], powers):
            universe.count("intervals without a block")
            return
        turns = [self.owners[one.key] for one in self.chain.validators(height).validators]
        for round_ in range(ROUNDS):
            proposer = self.consortium.members[turns[(height + round_) % len(turns)]]
            if not self._is_present(proposer, height):
                continue
            proposal = self._proposal(proposer, height)
            if proposal is None or size_in_block(proposal) > ROOM:
                continue
            yes = self._votes(proposer, height, proposal)
            if self._suffices(yes, powers):
                self._decided(height, proposal, yes)
                return
            universe.count("proposals refused")

    def _is_present(self, member: Member, height: int) -> bool:
        return not member.is_cut and member.height == member.stored == height - 1 and not member.is_busy

    def _suffices(self, voters: Sequence[int], powers: dict[int, int]) -> bool:
        return sum(powers.get(voter, 0) for voter in voters) * 3 > sum(powers.values()) * 2

    def _proposal(self, proposer: Member, height: int) -> list[bytes] | None:
        """What a member proposes; an honest one what its application chooses."""
        offered = proposer.waiting + self.consortium.strays(height)
        request = abci.RequestPrepareProposal(txs=offered, max_tx_bytes=ROOM, height=height)
        prepared = proposer.ask(prepare_proposal=request)
        if prepared is None:
            return None
        chosen = list(prepared.txs)
        objection = self.book.objection(height, chosen)
        if objection is not None or size_in_block(chosen) > ROOM:
            raise Violation(f"{proposer.name} would propose what does not belong into block {height}: {objection}")
        if not self.consortium.is_bad(proposer):
            return chosen
        return self.consortium.bad_proposal(height, chosen)

    def _votes(self, proposer: Member, height: int, proposal: list[bytes]) -> list[int]:
        """Who votes for a proposal; all that are honest find the same."""
        objection = self.book.objection(height, proposal)
        yes = []
        members = list(self.consortium.members)
        self.universe.dice.shuffle(members)
        for member in members:
            if not self._is_present(member, height):
                continue
            looked = member.ask(process_proposal=abci.RequestProcessProposal(txs=proposal, height=height))
            if looked is None:
                continue
            accepts = looked.status == abci.ResponseProcessProposal.ACCEPT
            if accepts and objection is not None:
                raise Violation(f"{member.name} votes for an invalid block {height}: {objection}")
            if not accepts and objection is None:
                raise Violation(f"{member.name} refuses a good block {height}")
            if accepts or (member is proposer and self.consortium.is_bad(member)):
                yes.append(member.number)
        return yes

    def _decided(self, height: int, proposal: list[bytes], yes: Sequence[int]) -> None:
        """The block is decided: its header is signed, and everybody who was there carries it out."""
        universe, chain = self.universe, self.chain
        validators = chain.validators(height)
        before = self.outcomes[height - 1]
        places = [place for place, one in enumerate(validators.validators) if self.owners[one.key] not in yes]
        chain.append(
            app_hash=before.root,
            transactions=proposal,
            next_validators=after_powers(validators, before.powers),
            absent=places,
            time=self.consortium.time(),
        )
        if chain.validators(height + 1) != validators:
            universe.count("changes of validators")
            self.consortium.weigh()
        universe.count("blocks")
        universe.note("block", height, hash_header(chain.header(height)).hex(), len(proposal))
        for member in self.consortium.members:
            if self._is_present(member, height):
                member.busy = (member.machine.openings, height)
                universe.after(self._moment(), self._to_carry_out(member, height))

    def _moment(self) -> int:
        return self.universe.dice.randrange(SECOND // 10, SECOND // 3)

    def _to_carry_out(self, member: Member, height: int) -> Callable[[], None]:
        opening = member.machine.openings

        def store_and_finalize() -> None:
            if member.machine.is_up and member.machine.openings == opening:
                member.stored = height
                if self.finalize(member, height):
                    self.universe.after(self._moment(), finish)

        def finish() -> None:
            if member.machine.is_up and member.machine.openings == opening:
                member.busy = None
                self.commit(member, height)

        return store_and_finalize

    # ── carrying out ──────────────────────────────────────────────────────────────────────────────────────────────

    def finalize(self, member: Member, height: int) -> bool:
        """Give a member's application a block; whether it came to what all come to."""
        response = member.ask(finalize_block=finalize_block(self.chain, height))
        if response is None:
            return False
        found, block = outcome_of(response), self.chain.block(height)
        first = self.outcomes.setdefault(height, found)
        if first is found:
            block.results = list(found.results)
            if len(found.results) != len(block.transactions) or any(
                receipt.number != code or encode_receipt(receipt) != data
                for receipt, (code, data) in zip(found.receipts, found.results, strict=True)
            ):
                raise Violation(f"{member.name} gives block {height} receipts that do not fit it")
            if (objection := self.book.objection(height, block.transactions)) is not None:
                raise Violation(f"an invalid block {height} was decided: {objection}")
            self.book.add(height, block.transactions, found.receipts)
            self.universe.note("outcome", height, found.root.hex())
        elif first != found:
            raise Violation(f"{member.name} comes to another root or other receipts in block {height}")
        return True

    def commit(self, member: Member, height: int) -> bool:
        """Let a member's application keep the block; whether it says that it does."""
        response = member.ask(commit=abci.RequestCommit())
        if response is None:
            return False
        member.committed = height
        member.first = max(member.first, response.retain_height)
        if member.height != height or member.keeper.replica.root != self.outcomes[height].root:
            raise Violation(f"{member.name} kept another state than that after block {height}")
        self.universe.note(member.name, "keeps block", height)
        self.consortium.kept(member, height)
        self._recheck(member, height)
        return True

    def _recheck(self, member: Member, height: int) -> None:
        """What waits may wait no longer once it was answered or has expired."""
        decided = set(self.chain.block(height).transactions)
        waiting = [one for one in member.waiting if one not in decided]
        again = [{"check_tx": abci.RequestCheckTx(tx=one, type=abci.RECHECK)} for one in waiting]
        answers = member.ask_all(again) if again else []
        member.waiting = [one for one, answer in zip(waiting, answers, strict=False) if answer.code == 0]
        for one in member.waiting if height == self.chain.height else ():
            if (objection := self.book.objection(height + 1, [one])) is not None:
                raise Violation(f"{member.name} lets wait what can be in no block after {height}: {objection}")

    # ── coming back ───────────────────────────────────────────────────────────────────────────────────────────────

    def shake_hands(self, member: Member) -> None:
        """Ask an application that just started how far it is, and give it again what it has not kept."""
        member.is_ready, member.busy, member.waiting = False, None, []
        info = member.ask(info=abci.RequestInfo())
        if info is None:
            return
        height = info.last_block_height
        if height < member.committed:
            raise Violation(f"{member.name} lost what it kept: height {height} after height {member.committed}")
        if height > 0 == member.stored:
            # It ended between the last piece of a snapshot and the word that all is there: CometBFT begins anew.
            self.consortium.begin_anew(member)
            return
        if height > member.stored:
            raise Violation(f"{member.name} is at height {height}, its blocks end at {member.stored}")
        if height and info.last_block_app_hash != self.outcomes[height].root:
            raise Violation(f"{member.name} comes back at height {height} with another root")
        if height == 0:
            founded = member.ask(init_chain=init_chain())
            if founded is None:
                return
            if self.outcomes.setdefault(0, Outcome(founded.app_hash, (), ())).root != founded.app_hash:
                raise Violation(f"{member.name} begins with another root")
        member.is_ready = True
        for missed in range(height + 1, member.stored + 1):
            self.universe.count("blocks replayed after a restart")
            if not (self.finalize(member, missed) and self.commit(member, missed)):
                return

    def catch_up(self, member: Member) -> None:
        """Fetch blocks that others have, or a snapshot if there is nothing yet."""
        if member.is_cut or member.is_busy or member.height < 0:
            return
        if member.height == 0 and member.stored == 0 and self._begin_with_snapshot(member):
            return
        reached = [one for one in self.consortium.members if one is not member and one.height >= 0 and not one.is_cut]
        for height in range(member.stored + 1, min(self.chain.height, member.stored + AT_ONCE) + 1):
            if member.height != member.stored or not any(one.first <= height <= one.stored for one in reached):
                if len(reached) == len(self.consortium.members) - 1 and all(one.first > height for one in reached):
                    self.consortium.begin_anew(member)
                return
            member.stored = height
            self.universe.count("blocks caught up")
            if not (self.finalize(member, height) and self.commit(member, height)):
                return

    # ── snapshots ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin_with_snapshot(self, member: Member) -> bool:
        """Take over the state of another member, if one offers it; whether there was any to be had."""
        offers: list[tuple[Member, Any]] = []
        for other in self.consortium.members:
            if other is not member and other.height > 0 and not other.is_cut:
                listed = other.ask(list_snapshots=abci.RequestListSnapshots())
                offers += [(other, one) for one in (listed.snapshots if listed else ())]
        offers = [(other, one) for other, one in offers if one.height < self.chain.height]
        if not offers:
            return False
        other, snapshot = self.universe.dice.choice(offers)
        holders = [one for one, offer in offers if offer == snapshot]
        if self.consortium.happens("forged snapshots", 0.3):
            self._refuse_forged(member, other, snapshot)
            return True
        offered, is_true = self.consortium.perhaps_changed_offer(snapshot)
        root = self.chain.header(offered.height + 1).app_hash if offered.height < self.chain.height else bytes(32)
        answer = member.ask(offer_snapshot=abci.RequestOfferSnapshot(snapshot=offered, app_hash=root))
        if answer is None:
            return True
        if (answer.result == abci.ResponseOfferSnapshot.ACCEPT) != is_true:
            raise Violation(f"{member.name} answers {answer.result} to an offer that is {is_true}")
        if is_true:
            self._take_over(member, snapshot, holders)
        return True

    def _refuse_forged(self, member: Member, other: Member, snapshot: Any) -> None:
        """Offer a snapshot of another state, which fits together: only the root that was signed tells."""
        height, pieces = snapshot.height, []
        for index in range(snapshot.chunks):
            request = abci.RequestLoadSnapshotChunk(height=height, format=snapshot.format, chunk=index)
            loaded = other.ask(load_snapshot_chunk=request)
            if loaded is None or not loaded.chunk:
                return
            pieces.append(loaded.chunk)
        self.universe.count("forged snapshots")
        forged = forged_snapshot(snapshot, pieces, self.universe.dice)
        root = self.chain.header(height + 1).app_hash
        answer = member.ask(offer_snapshot=abci.RequestOfferSnapshot(snapshot=forged, app_hash=root))
        for index, piece in enumerate(pieces):
            if answer is None:
                return
            answer = member.ask(apply_snapshot_chunk=abci.RequestApplySnapshotChunk(index=index, chunk=piece))
        if answer is not None and answer.result != abci.ResponseApplySnapshotChunk.REJECT_SNAPSHOT:
            raise Violation(f"{member.name} takes over a forged snapshot: {answer.result}")

    def _take_over(self, member: Member, snapshot: Any, holders: list[Member]) -> None:
        apply, missing, tries = abci.ResponseApplySnapshotChunk, list(range(snapshot.chunks)), 0
        while missing and tries < snapshot.chunks * 5:
            tries += 1
            index, holder = missing.pop(0), self.universe.dice.choice(holders)
            request = abci.RequestLoadSnapshotChunk(height=snapshot.height, format=snapshot.format, chunk=index)
            loaded = holder.ask(load_snapshot_chunk=request)
            true = loaded.chunk if loaded else b""
            piece = self.consortium.perhaps_changed_piece(true)
            if not piece:
                missing.append(index)
                continue
            given = abci.RequestApplySnapshotChunk(index=index, chunk=piece, sender=holder.name)
            answer = member.ask(apply_snapshot_chunk=given)
            if answer is None:
                return
            if piece == true and answer.result != apply.ACCEPT:
                raise Violation(f"{member.name} does not take piece {index} of a good snapshot: {answer.result}")
            if piece != true:
                if answer.result != apply.RETRY or list(answer.refetch_chunks) != [index]:
                    raise Violation(f"{member.name} takes a changed piece of a snapshot: {answer.result}")
                missing.append(index)
        if missing:
            self.universe.count("snapshots given up")
            return
        info = member.ask(info=abci.RequestInfo())
        if info is None:
            return
        if (info.last_block_height, info.last_block_app_hash) != (
            snapshot.height,
            self.outcomes[snapshot.height].root,
        ):
            raise Violation(f"{member.name} took over a snapshot and is at height {info.last_block_height}")
        member.stored = member.committed = snapshot.height
        member.first = snapshot.height + 1
        self.universe.count("snapshots taken over")
