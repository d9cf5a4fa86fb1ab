"""The application's process: a unix socket on which CometBFT opens its four connections.

Requests of all connections are answered one after the other, as CometBFT's own server does it: consensus waits for
nothing but the request that is being answered. Bytes that are no request close their connection. Whatever an answer
raises stops the process before anything is sent: CometBFT stops with it, and both start again from what was committed.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from pathlib import Path
from typing import cast

from google.protobuf.message import DecodeError

from edgehold.engine.replicated import Replica
from edgehold.errors import Malformed
from edgehold.ledger.genesis import read_genesis
from edgehold.server.abci.application import Application
from edgehold.server.abci.frames import FrameReader
from edgehold.server.abci.messages import types_pb2 as abci
from edgehold.system import SystemRandomness


def serve_application(
    genesis_path: Path, folder: Path, socket: Path, *, keep_blocks: int = 0, snapshot_every: int = 0
) -> None:
    """Keep the replica in a folder for the CometBFT that connects to a socket, until the process is told to stop.

    CometBFT keeps so many blocks (0: all); a snapshot is written every so many heights (0: never).
    Raises what the replica raises, at the start or later; then the process has to end, and may be started again.
    """
    # What is kept lives long and refers to nothing that refers back: looking for cycles in it costs 5 % and finds nothing.
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)
    replica = Replica(folder, read_genesis(genesis_path.read_bytes()), SystemRandomness())
    try:
        application = Application(replica, keep_blocks=keep_blocks, snapshot_every=snapshot_every)
        asyncio.run(_serve_until_told(application, socket))
    finally:
        replica.close()


async def _serve_until_told(application: Application, socket: Path) -> None:
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end, ended)
    await serve(application, socket, ended)


def end(ended: asyncio.Future[None]) -> None:
    """Let the server end, if it has not yet."""
    if not ended.done():
        ended.set_result(None)


async def serve(application: Application, socket: Path, ended: asyncio.Future[None]) -> None:
    """Answer on a socket, which is its owner's only, until it has ended; raises what an answer raises."""
    connections: set[asyncio.Transport] = set()
    socket.unlink(missing_ok=True)
    earlier = os.umask(0o177)
    try:
        loop = asyncio.get_running_loop()
        server = await loop.create_unix_server(lambda: Connection(application, connections, ended), socket)
    finally:
        os.umask(earlier)
    try:
        await ended
    finally:
        server.close()
        for transport in connections:
            transport.abort()
        while connections:
            await asyncio.sleep(0)  # for the sockets to be closed
        socket.unlink(missing_ok=True)


class Connection(asyncio.Protocol):
    """One of CometBFT's connections: for consensus, for the mempool, for queries, or for snapshots."""

    def __init__(
        self, application: Application, connections: set[asyncio.Transport], ended: asyncio.Future[None]
    ) -> None:
        self._application = application
        self._connections = connections
        self._ended = ended
        self._reader = FrameReader()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._connections.add(self._transport)
        if self._ended.done():
            self._transport.abort()

    def connection_lost(self, _: Exception | None) -> None:
        self._connections.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        """Answer every request that is complete; what is no request ends the connection."""
        if self._ended.done():
            return
        try:
            requests = [abci.Request.FromString(message) for message in self._reader.feed(data)]
            self._transport.writelines(list(self._application.answer(requests)))
        except (Malformed, DecodeError):
            self._transport.abort()
        except Exception as error:
            self._transport.abort()
            self._ended.set_exception(error)

    def pause_writing(self) -> None:
        """CometBFT does not read its answers: it need not be read either."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        self._transport.resume_reading()
