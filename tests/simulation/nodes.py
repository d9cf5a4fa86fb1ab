"""The members' nodes as light clients reach them: each shows what its member has, or what its member would have believed.

A node that lies has a story for a while: blocks that honest validators never signed, shown alike whatever is asked. Who
tells it signs with the keys of the lying members and of strangers, with no others.
"""

from __future__ import annotations

import json
from random import Random
from typing import TYPE_CHECKING, Any

from keeper import Member
from msgspec.structs import replace
from served_node import Params, Says, ServedNode
from signed_chain import Block, SignedChain, key_of
from universe import Machine

from edgehold.errors import NodeUnreachable
from edgehold.remote.rpc import Rpc
from edgehold.server.abci.messages import types_pb2 as abci
from edgehold.verify.header import order_validators
from edgehold.wire.codec import decode, encode
from edgehold.wire.governance import Validator
from edgehold.wire.header import SignedHeader, ValidatorSet
from edgehold.wire.ids import PublicKey
from edgehold.wire.query import ENTRY, EntryAnswer, ReceiptAnswer

if TYPE_CHECKING:
    from consortium import Consortium

STRANGERS = [key_of(number).public for number in range(30, 34)]
"""Keys that never signed for the consortium; the liars hold them."""

STORIES = ("equivocation", "strangers", "old keys", "more power", "copied votes", "old blocks")


class Gone(Exception):
    """The node does not answer."""


class Node(ServedNode):
    """One member's RPC, without a socket."""

    def __init__(self, consortium: Consortium, member: Member) -> None:
        self.consortium = consortium
        self.member = member
        self.lies = {}
        self.asked: list[str] = []
        self.story: SignedChain | None = None
        self.is_frozen_at: int | None = None
        self.served = self

    # ── what it has ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _chain(self) -> SignedChain:
        return self.story or self.consortium.chain

    @property
    def height(self) -> int:
        height = self.member.height
        if height < 1:
            raise Gone
        if self.story is not None:
            return self.story.height
        return height if self.is_frozen_at is None else min(height, self.is_frozen_at)

    def block(self, height: int) -> Block:
        if height < self.member.first and self.story is None:
            raise Says(f"height {height} is not available, lowest height is {self.member.first}")
        return self._chain.block(height)

    def validators(self, height: int) -> ValidatorSet:
        return self._chain.validators(height)

    def query(self, path: str, data: bytes, height: int) -> tuple[int, str, bytes]:
        answer = self._ask(path, data, height)
        if answer[0] == 0 and self.is_lying and self.consortium.universe.chance(0.5):
            self.consortium.universe.count("false answers to light clients")
            return 0, "", self._another(path, data, answer[2])
        return answer

    def _ask(self, path: str, data: bytes, height: int) -> tuple[int, str, bytes]:
        answer = self.member.ask(query=abci.RequestQuery(path=path, data=data, height=height))
        if answer is None:
            raise Gone
        return answer.code, answer.log, answer.value

    def broadcast(self, transaction: bytes) -> tuple[int, str]:
        answers = self.consortium.hand_in(self.member, [transaction])
        if not answers:
            raise Gone
        return answers[0].code, answers[0].log

    # ── lies ──────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def is_lying(self) -> bool:
        """Whether its member would have light clients believe what is not so, now."""
        return self.member.number in self.consortium.regime.liars and not self.consortium.is_calm

    def begin_another_story(self) -> None:
        """From now on it shows something else, or for a while what its member has."""
        self.story, self.is_frozen_at = None, None
        dice, chain = self.consortium.universe.dice, self.consortium.chain
        if not self.is_lying or dice.random() < 0.3:
            return
        kind = dice.choice(STORIES)
        self.consortium.universe.count("stories told to light clients")
        self.consortium.universe.note(self.member.name, "tells of", kind)
        if kind == "old blocks":
            self.is_frozen_at = dice.randrange(1, chain.height + 1)
        else:
            self.story = self._told(kind, dice.randrange(max(2, chain.height - 4), chain.height + 2), dice)

    def _told(self, kind: str, height: int, dice: Random) -> SignedChain:
        """The chain as it is below a height, and from there on a story."""
        chain, keys = self.consortium.chain, self.consortium.liars_keys()
        story = SignedChain(chain.chain, chain.blocks[0].validators, chain.start)
        story.blocks = chain.blocks[: height - 1]
        real = chain.validators(height)
        own = [one for one in real.validators if one.key in keys]
        match kind:
            case "strangers":
                told = order_validators([*own, *(Validator(key, 10) for key in STRANGERS)])
            case "old keys":
                told = order_validators(Validator(PublicKey(key), 10) for key in sorted(keys))
            case "more power":
                others = [one for one in real.validators if one.key not in keys]
                told = order_validators([*others, *(replace(one, power=one.power * 1000) for one in own)])
            case _:
                told = real
        story.next_validators = told if told.validators else real
        for _ in range(dice.randrange(1, 4)):
            places = [at for at, one in enumerate(story.next_validators.validators) if one.key not in keys]
            story.append(app_hash=dice.randbytes(32), absent=places)
        if kind == "copied votes" and height <= chain.height:
            block, votes = story.block(height), chain.block(height).signed.commit.signatures
            commit = replace(block.signed.commit, signatures=votes)
            story.blocks[height - 1] = Block(SignedHeader(block.signed.header, commit), block.validators)
        return story

    def _another(self, path: str, data: bytes, value: bytes) -> bytes:
        """Another answer of the application."""
        dice = self.consortium.universe.dice
        if path != ENTRY:
            told = decode(value, ReceiptAnswer)
            if told.found is None or dice.random() < 0.3:
                return encode(ReceiptAnswer(told.height, None))
            receipt = replace(told.found.receipt, number=0 if told.found.receipt.number else 1)
            return encode(ReceiptAnswer(told.height, replace(told.found, receipt=receipt)))
        answer = decode(value, EntryAnswer)
        match dice.choice(("other value", "nothing", "other height", "other state")):
            case "other value":
                return encode(replace(answer, value=dice.randbytes(40)))
            case "nothing":
                return encode(replace(answer, value=None))
            case "other height":
                return encode(replace(answer, height=max(0, answer.height + dice.choice((-1, 1)))))
            case _:
                code, _, before = self._ask(path, data, max(1, answer.height - 1))
                return encode(replace(decode(before, EntryAnswer), height=answer.height)) if code == 0 else value

    def do_block(self, params: Params) -> Any:
        """A block, perhaps without its last transaction."""
        told = super().do_block(params)
        if self._lies_about_blocks() and told["block"]["data"]["txs"]:
            told["block"]["data"]["txs"].pop()
        return told

    def do_block_results(self, params: Params) -> Any:
        """Results, perhaps with those of another transaction in the first place."""
        told = super().do_block_results(params)
        if told["txs_results"] and self._lies_about_blocks():
            told["txs_results"][0] = told["txs_results"][-1] | {"code": self.consortium.universe.dice.randrange(3)}
        return told

    def _lies_about_blocks(self) -> bool:
        if not self.is_lying or not self.consortium.universe.chance(0.3):
            return False
        self.consortium.universe.count("false answers to light clients")
        return True

    def do_blockchain(self, params: Params) -> Any:
        if int(params["minHeight"]) < self.member.first and self.story is None:
            raise Says(f"lowest height is {self.member.first}")
        return super().do_blockchain(params)


class Line(Rpc):
    """The way from one light client to one node."""

    def __init__(self, client: Machine, node: Node) -> None:
        super().__init__(f"http://member-{node.member.number + 1}")
        self._client = client
        self._node = node
        self.noise = 0
        """What was lost, changed or refused since it was last looked at."""

    def _exchange(self, body: bytes, method: str) -> bytes:
        consortium, member = self._node.consortium, self._node.member
        universe = consortium.universe
        self._client.reach_out()
        if universe.is_looking:
            raise NodeUnreachable("only looking")
        if member.is_cut or consortium.happens("lost messages", 0.15):
            self.noise += 1
            raise NodeUnreachable(f"{self.address} cannot be reached")
        try:
            reply = self._node.answer(json.loads(body))
        except Gone as error:
            self.noise += 1
            raise NodeUnreachable(f"{self.address} is gone") from error
        self._client.reach_out()
        self.noise += "error" in reply
        answer = json.dumps(reply, separators=(",", ":")).encode()
        if consortium.happens("changed messages", 0.1):
            self.noise += 1
            universe.count("changed messages")
            return consortium.changed(answer)
        return answer
