"""The load of a bench as a process of its own: transactions to every node in turn, at a rate or as fast as nodes take them.

`python -m edgehold.bench.sending FILE PORTS RATE`: a file with one transaction a line (base64), the nodes' RPC ports
with commas between, transactions a second (0: as fast as they are taken). It says when it is ready, and is told when to
begin, in seconds since 1970. Open loop: what is due is sent whatever became of the rest. Prints how many were refused,
and when the last was sent.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Sequence
from http.client import HTTPConnection
from pathlib import Path

BURST = 100
"""Transactions of a request in a burst; nodes take no more at once."""

REQUESTS = 20
"""Requests a second and node at a rate, so that the load leaves the processors to the nodes."""

SECONDS = 60.0


def main() -> None:
    """Send, and say what came of it."""
    file, ports, rate = sys.argv[1:]
    transactions, nodes = Path(file).read_text().split(), ports.split(",")
    own_rate = float(rate) / len(nodes)
    senders = [_Sender(int(port), transactions[place :: len(nodes)], own_rate) for place, port in enumerate(nodes)]
    print("ready", flush=True)
    start = float(sys.stdin.readline())
    threads = [threading.Thread(target=sender.send, args=(start,)) for sender in senders]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refused = sum(sender.refused for sender in senders)
    print(json.dumps({"refused": refused, "ended": max(sender.ended for sender in senders)}))


def batch_size(own_rate: float) -> int:
    """Transactions that go to one node together; they leave when the last of them is due."""
    return max(2, int(own_rate / REQUESTS)) if own_rate else BURST


class _Sender:
    """What goes to one node, over one connection; requests are made before the first is due."""

    def __init__(self, port: int, transactions: Sequence[str], rate: float) -> None:
        size, starts = batch_size(rate), range(0, len(transactions), batch_size(rate))
        self._requests = [_request(transactions[at : at + size]) for at in starts]
        self._due = [min(at + size, len(transactions)) / rate if rate else 0.0 for at in starts]
        self._connection = HTTPConnection("127.0.0.1", port, timeout=SECONDS)
        self.refused = 0
        self.ended = 0.0

    def send(self, start: float) -> None:
        """Send each request when it is due, from a moment on."""
        for due, body in zip(self._due, self._requests, strict=True):
            if (rest := start + due - time.time()) > 0:
                time.sleep(rest)
            self._connection.request("POST", "/", body, {"Content-Type": "application/json"})
            self.refused += self._connection.getresponse().read().count(b'"error"')
        self.ended = time.time()
        self._connection.close()


def _request(transactions: Sequence[str]) -> bytes:
    calls = (
        f'{{"jsonrpc":"2.0","id":{number},"method":"broadcast_tx_async","params":{{"tx":"{transaction}"}}}}'
        for number, transaction in enumerate(transactions)
    )
    return f"[{','.join(calls)}]".encode()


if __name__ == "__main__":
    main()
