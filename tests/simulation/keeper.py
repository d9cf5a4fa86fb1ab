"""A member of the consortium: the process that keeps the ledger, and what stands beside it for CometBFT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from files import Place
from universe import Machine

from edgehold.engine.replicated import Replica
from edgehold.server.abci.application import Application
from edgehold.server.abci.frames import FrameReader
from edgehold.server.abci.messages import types_pb2 as abci
from edgehold.wire.governance import Genesis
from edgehold.wire.ids import AccountId


class Keeper:
    """The process: a replica behind the application, asked in frames as CometBFT asks it."""

    def __init__(self, machine: Machine, genesis: Genesis, keep_blocks: int, snapshot_every: int) -> None:
        self._machine = machine
        self.replica = Replica(cast(Path, Place(machine.disk.folder)), genesis, machine.randomness())
        self._application = Application(self.replica, keep_blocks=keep_blocks, snapshot_every=snapshot_every)

    def ask_all(self, requests: Sequence[dict[str, Any]]) -> list[Any]:
        """The answers to requests that come together; the process may end before they leave it."""
        reader = FrameReader()
        frames = self._application.answer([abci.Request(**request) for request in requests])
        messages = [message for frame in frames for message in reader.feed(frame)]
        self._machine.reach_out()
        answers = [abci.Response.FromString(message) for message in messages]
        kinds = [next(iter(request)) for request in requests]
        assert [answer.WhichOneof("value") for answer in answers] == kinds
        return [getattr(answer, kind) for answer, kind in zip(answers, kinds, strict=True)]

    def close(self) -> None:
        """End the process."""
        self.replica.close()
        self._application._answers.clear()  # a circle of references, which would hold the tree of the state for long


@dataclass
class Member:
    """A validator's node beside its application. What it stores itself is durable when it is there."""

    number: int
    machine: Machine
    operator: AccountId
    stored: int
    """The last block that it has."""
    first: int = 1
    """The first block that it has."""
    committed: int = 0
    """The last height that its application said it keeps."""
    is_ready: bool = False
    """Whether the application was asked how far it is, and given what it had not kept."""
    is_cut: bool = False
    """Whether it reaches no other."""
    busy: tuple[int, int] | None = None
    """The opening in which it carries out a block that it helped to decide, and the height."""
    waiting: list[bytes] = field(default_factory=list)
    """Transactions that wait for a block."""

    @property
    def name(self) -> str:
        """Of its machine."""
        return self.machine.name

    @property
    def keeper(self) -> Keeper:
        """The process that runs."""
        keeper: Keeper = self.machine.party
        return keeper

    @property
    def is_busy(self) -> bool:
        """Whether it is between the decision on a block and its end."""
        return self.busy is not None and self.busy[0] == self.machine.openings and self.machine.is_up

    @property
    def height(self) -> int:
        """How far its application is; -1 while it is down."""
        return self.keeper.replica.height if self.machine.is_up and self.is_ready else -1

    def ask(self, **request: Any) -> Any:
        """The answer to one request, or None if the process ended over it."""
        answers = self.ask_all([request])
        return answers[0] if answers else None

    def ask_all(self, requests: Sequence[dict[str, Any]]) -> list[Any]:
        """The answers to requests that come together; none if the process is down or ended over them."""
        found: list[Any] = []
        kind = next(iter(requests[0]))
        self.machine.act(kind, lambda: found.extend(self.keeper.ask_all(requests)))
        return found
