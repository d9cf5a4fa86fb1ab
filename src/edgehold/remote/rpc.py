"""JSON-RPC over HTTP to one node: bounded in bytes and in time, whatever is at the other end.

The whole of a call has one deadline, not each of its reads: who sends a byte now and then does not hold us. An answer
is read up to its limit and no further, its JSON into a declared form. Redirections are not followed.
"""

from __future__ import annotations

import io
import socket
import ssl
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from threading import Lock
from time import monotonic
from typing import Any, TypeVar, cast
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from edgehold.errors import BadNodeAnswer, NodeSaysNo, NodeUnreachable, UsageError
from edgehold.wire.codec import decode_json

T = TypeVar("T")

MAX_ANSWER = 8 << 20
"""Bytes of an answer; a full block of 1 MiB, in base64 with its votes, has 2 MiB."""

SECONDS = 10.0
"""In which a call has to be answered."""

MOST_IDLE = 4
"""Connections of one node that are kept open."""


class _Trouble(Struct, frozen=True):
    """Why a node did not answer as asked, in its words."""

    code: int
    message: str = ""
    data: str = ""


class _Reply(Struct, frozen=True):
    jsonrpc: str
    result: msgspec.Raw = msgspec.Raw(b"")
    id: int | None = None
    error: _Trouble | None = None


class Rpc:
    """One node's RPC address, such as `http://127.0.0.1:26657`; safe between threads. Raises `UsageError`."""

    def __init__(self, address: str, *, seconds: float = SECONDS, limit: int = MAX_ANSWER) -> None:
        parts = urlsplit(address)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.query:
            raise UsageError(f"{address} is not the address of a node: http://host:port or https://host:port")
        self.address = address
        self._path = parts.path or "/"
        self._seconds = seconds
        self._limit = limit
        self._connect: Callable[[], HTTPConnection] = lambda: (
            HTTPSConnection(cast(str, parts.hostname), parts.port, context=ssl.create_default_context())
            if parts.scheme == "https"
            else HTTPConnection(cast(str, parts.hostname), parts.port)
        )
        self._idle: list[HTTPConnection] = []
        self._changing = Lock()
        self._asked = 0

    def call(self, method: str, kind: type[T], **parameters: object) -> T:
        """Ask a node. Raises `NodeUnreachable`, `BadNodeAnswer`, and `NodeSaysNo` for an error that the node reports."""
        with self._changing:
            self._asked += 1
            number = self._asked
        asked = {"jsonrpc": "2.0", "id": number, "method": method, "params": parameters}
        body = self._exchange(msgspec.json.encode(asked), method)
        try:
            reply = decode_json(body, _Reply)
            if reply.error is None and reply.id == number and reply.jsonrpc == "2.0":
                return decode_json(reply.result, kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise BadNodeAnswer(f"{self.address} does not answer {method} as asked: {error}") from error
        if reply.error is None:
            raise BadNodeAnswer(f"{self.address} answers {method} {number} with the answer to {reply.id}")
        said = reply.error.data or reply.error.message
        raise NodeSaysNo(f"{self.address} answers {method}: {said[:300]}")

    def close(self) -> None:
        """Close what is open; the next call opens again."""
        with self._changing:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _exchange(self, body: bytes, method: str) -> bytes:
        deadline = monotonic() + self._seconds
        with self._changing:
            connection = self._idle.pop() if self._idle else None
        try:
            if connection is not None:
                # The node may have closed it meanwhile; only then is it worth another try.
                with suppress(OSError, HTTPException):
                    return self._send(connection, body, deadline)
                connection.close()
            return self._send(self._open(deadline), body, deadline)
        except (OSError, HTTPException) as error:
            raise NodeUnreachable(
                f"{self.address} does not answer {method}: {error or type(error).__name__}"
            ) from error

    def _open(self, deadline: float) -> HTTPConnection:
        connection = self._connect()
        connection.timeout = _remaining(deadline)
        try:
            connection.connect()
        except BaseException:
            connection.close()
            raise
        connection.sock = _Watched(connection.sock)
        return connection

    def _send(self, connection: HTTPConnection, body: bytes, deadline: float) -> bytes:
        """One request over a connection, which is kept if it can be used again and closed otherwise."""
        is_reusable = False
        try:
            cast(_Watched, connection.sock).deadline = deadline
            connection.request("POST", self._path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            data = answer.read(self._limit + 1)
            is_reusable = len(data) <= self._limit and answer.isclosed() and connection.sock is not None
        finally:
            if is_reusable:
                self._keep(connection)
            else:
                connection.close()
        if len(data) > self._limit:
            raise BadNodeAnswer(f"{self.address} answers with more than {self._limit} bytes")
        return data

    def _keep(self, connection: HTTPConnection) -> None:
        with self._changing:
            if len(self._idle) < MOST_IDLE:
                self._idle.append(connection)
                return
        connection.close()


class _Watched:
    """A socket that gives up when a deadline passes, however often something comes in meanwhile."""

    def __init__(self, inner: socket.socket) -> None:
        self._inner = inner
        self._readers = 0
        self._is_closed = False
        self.deadline = 0.0

    def sendall(self, data: Any) -> None:
        self._inner.settimeout(_remaining(self.deadline))
        self._inner.sendall(data)

    def receive_into(self, buffer: Any) -> int:
        self._inner.settimeout(_remaining(self.deadline))
        return self._inner.recv_into(buffer)

    def makefile(self, mode: str) -> io.BufferedReader:
        self._readers += 1
        return io.BufferedReader(_WatchedReads(self))

    def close(self) -> None:
        """As a socket's: what still reads from it goes on until it is closed itself."""
        self._is_closed = True
        if not self._readers:
            self._inner.close()

    def release(self) -> None:
        self._readers -= 1
        if self._is_closed and not self._readers:
            self._inner.close()


class _WatchedReads(io.RawIOBase):
    def __init__(self, watched: _Watched) -> None:
        self._watched = watched

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        return self._watched.receive_into(buffer)

    def close(self) -> None:
        if not self.closed:
            self._watched.release()
        super().close()


def _remaining(deadline: float) -> float:
    remaining = deadline - monotonic()
    if remaining <= 0:
        raise TimeoutError("timed out")
    return remaining
