"""Links between nodes that can be delayed, cut and broken: TCP passed on in this process, by a thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from itertools import combinations
from random import Random
from threading import Thread
from typing import Any, TypeVar, cast

T = TypeVar("T")
Pair = frozenset[int]

PIECE = 1 << 16
SEGMENT = 1448
"""Bytes that are lost together."""

AGAIN = 0.2
"""Seconds after which Linux sends again at the earliest what nobody acknowledged; each time after twice as long."""

WAITING = 256
"""Pieces of one direction that may wait for their time."""


class Relay:
    """Passes on what nodes say to each other. A pair of nodes has one link, whoever of the two opened the connection."""

    def __init__(self, seed: int = 1) -> None:
        self._dice = Random(seed)  # noqa: S311  no secrets
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="relay")
        self._thread.start()
        self._servers: list[asyncio.Server] = []
        self._cut: set[Pair] = set()
        self._open: dict[asyncio.Event, Pair] = {}
        self._closed: set[asyncio.Task[None]] = set()
        self._delay, self._jitter, self._lost = 0.0, 0.0, 0.0

    def link(self, one: int, other: int, port: int) -> int:
        """A port at which one node reaches the other, which listens at `port`."""
        return self._do(self._listen(frozenset((one, other)), port))

    def cut(self, *groups: Iterable[int]) -> None:
        """Nodes of different groups do not reach each other any more: connections end, new ones are not accepted."""
        members = [set(group) for group in groups]
        pairs = {
            frozenset((here, there)) for ours, theirs in combinations(members, 2) for here in ours for there in theirs
        }
        self._do(self._end(pairs))

    def lose(self, count: int) -> int:
        """End so many connections, whichever; both sides may connect again. Returns how many there were."""
        return self._do(self._lose(count))

    def heal(self) -> None:
        """Everybody reaches everybody again."""
        self._cut = set()

    def delay(self, seconds: float, jitter: float = 0.0, lost: float = 0.0) -> None:
        """From now on every piece arrives so much later, give or take the jitter, in its order.

        A share of segments may be lost, as TCP lets its users see that: what is lost, and all behind it, comes later.
        """
        self._delay, self._jitter, self._lost = seconds, jitter, lost

    def close(self) -> None:
        """End everything."""
        self._do(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    # ── in the thread ─────────────────────────────────────────────────────────────────────────────────────────────

    async def _listen(self, pair: Pair, port: int) -> int:
        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await self._pass_on(pair, port, reader, writer)

        server = await asyncio.start_server(accept, "127.0.0.1", 0)
        self._servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    async def _pass_on(self, pair: Pair, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers, tasks, ended = [writer], list[asyncio.Task[Any]](), asyncio.Event()
        own = cast("asyncio.Task[None]", asyncio.current_task())
        self._closed.add(own)
        self._open[ended] = pair
        try:
            if pair in self._cut:
                return
            there, back = await asyncio.open_connection("127.0.0.1", port)
            writers.append(back)
            for source, target in ((reader, back), (there, writer)):
                waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(WAITING)
                tasks += [asyncio.create_task(one) for one in (self._read(source, waiting), _write(waiting, target))]
            tasks.append(asyncio.create_task(ended.wait()))
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        except OSError:
            pass
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for one in writers:
                one.transport.abort()
            del self._open[ended]
            self._closed.discard(own)

    async def _read(self, reader: asyncio.StreamReader, waiting: asyncio.Queue[tuple[float, bytes]]) -> None:
        due = 0.0
        while data := await reader.read(PIECE):
            later = max(0.0, self._delay + self._dice.uniform(-self._jitter, self._jitter))
            due = max(due, self._loop.time() + later + self._sent_again(len(data)))
            await waiting.put((due, data))

    def _sent_again(self, size: int) -> float:
        """Seconds until the last segment of so many bytes comes, if each that is lost is sent again after a pause."""
        longest = 0.0
        for _ in range(-(-size // SEGMENT) if self._lost else 0):
            waited, pause = 0.0, AGAIN
            while self._dice.random() < self._lost:
                waited += pause
                pause *= 2
            longest = max(longest, waited)
        return longest

    async def _end(self, pairs: set[Pair]) -> None:
        self._cut |= pairs
        for ended, pair in self._open.items():
            if pair in pairs:
                ended.set()

    async def _lose(self, count: int) -> int:
        chosen = self._dice.sample(list(self._open), min(count, len(self._open)))
        for ended in chosen:
            ended.set()
        return len(chosen)

    async def _close(self) -> None:
        for server in self._servers:
            server.close()
        for ended in self._open:
            ended.set()
        await asyncio.gather(*self._closed)


async def _write(waiting: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
    loop = asyncio.get_running_loop()
    while True:
        due, data = await waiting.get()
        if (rest := due - loop.time()) > 0:
            await asyncio.sleep(rest)
        writer.write(data)
        await writer.drain()
