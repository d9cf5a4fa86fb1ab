"""Lets the tests of this folder share the chain, the node that serves it, and its lies; closes what they opened."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

for folder in (Path(__file__).parent, Path(__file__).parents[1] / "hub"):
    sys.path.insert(0, str(folder))

from served_node import Served, ServedNode  # noqa: E402

from edgehold.remote.node import Node  # noqa: E402
from edgehold.remote.rpc import Rpc  # noqa: E402


@pytest.fixture
def serve() -> Iterator[Callable[[Served], ServedNode]]:
    """Makes nodes that serve a chain until the test ends."""
    nodes: list[ServedNode] = []

    def one(served: Served) -> ServedNode:
        nodes.append(ServedNode(served))
        return nodes[-1]

    yield one
    for node in nodes:
        node.close()


@pytest.fixture
def ask() -> Iterator[Callable[..., Node]]:
    """Makes clients of nodes, which are closed when the test ends."""
    nodes: list[Node] = []

    def one(served: ServedNode, seconds: float = 5, limit: int = 8 << 20) -> Node:
        nodes.append(Node(Rpc(served.address, seconds=seconds, limit=limit)))
        return nodes[-1]

    yield one
    for node in nodes:
        node.close()
