"""Several nodes of one ledger: the one that answers well is asked, and another when it does not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from threading import Lock
from time import monotonic
from typing import TypeVar

from edgehold.errors import NodeError, NodeUnreachable, StateNotKept, UsageError
from edgehold.remote.node import Node

T = TypeVar("T")

SIN_BIN = 30.0
"""Seconds for which a node that lied, or answered what is no answer, is asked after all others."""

PAUSE = 5.0
"""The same for one that did not answer, or is behind."""


class Nodes:
    """The nodes that a party knows, in the order in which it would ask them; safe between threads."""

    def __init__(self, nodes: Sequence[Node]) -> None:
        if not nodes:
            raise UsageError("a ledger is reached over at least one node")
        self._nodes = list(nodes)
        self._until: dict[Node, float] = {}
        self._changing = Lock()
        self.troubles: dict[str, str] = {}
        """What was last wrong with a node, by its address."""

    def in_order(self) -> list[Node]:
        """Those to be asked first, first."""
        now = monotonic()
        with self._changing:
            return sorted(self._nodes, key=lambda node: max(0.0, self._until.get(node, 0.0) - now))

    def others(self, node: Node) -> list[Node]:
        """Those beside one that have given no trouble lately: its witnesses."""
        now = monotonic()
        with self._changing:
            return [one for one in self._nodes if one is not node and self._until.get(one, 0.0) <= now]

    def ask(self, question: Callable[[Node], T]) -> T:
        """What the first node says to which the question raises no `NodeError`; raises what was wrong with all."""
        failed: list[NodeError] = []
        for node in self.in_order():
            try:
                return question(node)
            except NodeError as error:
                self.blame(node, error)
                failed.append(error)
        kinds = {type(error) for error in failed}
        kind = kinds.pop() if len(kinds) == 1 else NodeError
        raise kind("; ".join(str(error) for error in failed)) from failed[0]

    def blame(self, node: Node, error: NodeError) -> None:
        """Ask a node later than others for a while."""
        if isinstance(error, StateNotKept):
            return
        with self._changing:
            self.troubles[node.address] = f"{error.code} {error}"
            self._until[node] = monotonic() + (PAUSE if isinstance(error, NodeUnreachable) else SIN_BIN)

    def close(self) -> None:
        """Close all connections."""
        for node in self._nodes:
            node.close()
