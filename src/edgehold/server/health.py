"""Whether a node lives, whether it can be relied on, and its figures: /healthz, /readyz, /metrics on one port."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from edgehold.errors import EdgeholdError, Unavailable
from edgehold.server.inspection import Status

PATIENCE = 30.0
"""Seconds without a block, beyond three intervals, after which a node is not ready."""


@dataclass
class Vitals:
    """What the supervisor knows of its two processes, and how to ask the node."""

    ask: Callable[[], Status]
    interval: float
    """Seconds within which the network makes a block."""
    processes: dict[str, int] = field(default_factory=dict)
    """Process numbers of those that run."""
    restarts: int = 0

    def is_alive(self) -> bool:
        """Whether both processes run."""
        return len(self.processes) == 2

    def trouble(self) -> str | None:
        """Why this node is not to be asked now, or None."""
        if not self.is_alive():
            return "it does not run"
        try:
            status = self.ask()
        except EdgeholdError as error:
            return str(error)
        if status.catching_up:
            return f"it catches up, and is at height {status.height}"
        if status.height == 0 or status.block_age > 3 * self.interval + PATIENCE:
            return f"its last block, {status.height}, is {status.block_age:.0f} s old"
        return None

    def metrics(self) -> str:
        """The figures in Prometheus' text format."""
        lines = [
            *_metric("edgehold_restarts_total", "How often the pair was started again.", "counter", self.restarts),
            *_per_process("edgehold_process_up", "Whether the process runs.", lambda pid: 1, self.processes),
            *_per_process("edgehold_process_resident_bytes", "Its memory.", _resident, self.processes),
            *_per_process("edgehold_process_cpu_seconds_total", "Its processor time.", _cpu, self.processes, "counter"),
        ]
        try:
            status = self.ask()
        except EdgeholdError:
            return "\n".join([*lines, *_metric("edgehold_answers", "Whether the node answers.", "gauge", 0), ""])
        figures = {
            "answers": ("Whether the node answers.", 1),
            "height": ("Height of its last block.", status.height),
            "application_height": ("Height of the last block that the application keeps.", status.application_height),
            "block_age_seconds": ("Since the time of its last block.", round(status.block_age, 3)),
            "catching_up": ("Whether it fetches blocks that others made.", int(status.catching_up)),
            "peers": ("Nodes it is connected to.", len(status.peers)),
            "validators": ("Validators of the network.", len(status.validators)),
            "voting_power": ("Its own.", status.power),
            "voting_power_all": ("Of all validators.", sum(status.validators.values())),
        }
        for name, (says, value) in figures.items():
            lines += _metric(f"edgehold_{name}", says, "gauge", value)
        return "\n".join([*lines, ""])


@contextmanager
def serve_health(address: str, vitals: Vitals) -> Iterator[None]:
    """Answer on HOST:PORT while the block runs; raises `Unavailable` if the port is taken."""
    host, _, port = address.rpartition(":")
    handler = type("Handler", (_Handler,), {"vitals": vitals})
    try:
        server = ThreadingHTTPServer((host, int(port)), handler)
    except (OSError, OverflowError) as error:
        raise Unavailable(f"{address} cannot be listened on: {error}") from error
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.1}, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    vitals: Vitals
    timeout = 10

    def do_GET(self) -> None:
        match self.path.partition("?")[0]:
            case "/healthz":
                self._answer_whether(None if self.vitals.is_alive() else "it does not run")
            case "/readyz":
                self._answer_whether(self.vitals.trouble())
            case "/metrics":
                self._answer(HTTPStatus.OK, "text/plain; version=0.0.4; charset=utf-8", self.vitals.metrics())
            case _:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain; charset=utf-8", "there are /healthz /readyz /metrics\n")

    def _answer_whether(self, trouble: str | None) -> None:
        status = HTTPStatus.OK if trouble is None else HTTPStatus.SERVICE_UNAVAILABLE
        self._answer(status, "application/json", json.dumps({"ok": trouble is None, "reason": trouble}) + "\n")

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Who asks is in nobody's log."""


def _metric(name: str, says: str, kind: str, value: float) -> list[str]:
    return [f"# HELP {name} {says}", f"# TYPE {name} {kind}", f"{name} {value}"]


def _per_process(
    name: str, says: str, measure: Callable[[int], float], processes: dict[str, int], kind: str = "gauge"
) -> list[str]:
    lines = [f"# HELP {name} {says}", f"# TYPE {name} {kind}"]
    for process, pid in list(processes.items()):
        try:
            lines.append(f'{name}{{process="{process}"}} {measure(pid)}')
        except OSError:
            continue  # it ended just now, or this system has no /proc
    return lines


def _resident(pid: int) -> float:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _cpu(pid: int) -> float:
    words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
