"""`edgehold`, watched: what it promises to anybody goes down a pipe at that moment, and at a chosen step it is killed.

Run as a program, it is the real command with all its parties; nothing but looking is added. A step is a statement that
writes to a database, a file that is opened for writing, renamed or removed, or a promise that was made; death comes by
SIGKILL, before the step is taken.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any

import apsw
from planted import PLANTED

import edgehold.hub.hub as hub_module
from edgehold.cli import run
from edgehold.customer.customer import Customer
from edgehold.demo.parties import Direct
from edgehold.engine.embedded import EmbeddedLedger
from edgehold.hub.hub import Hub
from edgehold.issuer.issuer import Issuer
from edgehold.service.node import ServiceNode
from edgehold.verify.header import hash_header
from edgehold.wire.codec import decode, encode
from edgehold.wire.service import Request, Upload

Note = Callable[[dict[str, Any]], None]

READING = ("SELECT", "PRAGMA")
TOUCHING = ("os.rename", "os.remove", "os.mkdir", "shutil.copyfile")


class Fate:
    """When this process dies: at the n-th step, before a statement, or after something was promised so many times."""

    def __init__(
        self, step: int | None = None, before: str | None = None, after: str | None = None, times: int = 1
    ) -> None:
        self._step, self._before, self._after, self._times = step, before, after, times
        self._steps = count(1)
        self.taken = 0

    def step(self) -> None:
        """The next step is about to be taken."""
        self.taken = next(self._steps)
        if self.taken == self._step:
            die()

    def see_statement(self, _: object, statement: str, __: object) -> bool:
        """SQLite is about to run a statement."""
        if not statement.lstrip().upper().startswith(READING):
            self.step()
        if self._before is not None and statement.startswith(self._before):
            die()
        return True

    def see_promise(self, promise: str) -> None:
        """Something was promised."""
        self._times -= promise == self._after
        if not self._times:
            die()
        self.step()

    def see_event(self, event: str, arguments: tuple[Any, ...]) -> None:
        """The interpreter is about to touch a file."""
        if event in TOUCHING or (event == "open" and isinstance(arguments[2], int) and arguments[2] & os.O_ACCMODE):
            self.step()

    def begin(self) -> None:
        """From here on."""
        apsw.connection_hooks.append(self._watch)
        sys.addaudithook(self.see_event)

    def _watch(self, connection: apsw.Connection) -> None:
        connection.exec_trace = self.see_statement


def die() -> None:
    """As the power of the whole process is cut."""
    os.kill(os.getpid(), signal.SIGKILL)


def without_pictures() -> None:
    """As where the extra `charts` is not installed: drawing takes longer than an order."""
    sys.modules["vl_convert"] = None  # type: ignore[assignment]


def witness(note: Note) -> None:
    """Note every promise of every party of this process."""
    _after(EmbeddedLedger, "advance", lambda ledger, height: note(_header(ledger, height)))
    _before(EmbeddedLedger, "submit", lambda _, transaction: note(_note("transaction", bytes=transaction.hex())))
    _after(
        Customer, "place", lambda customer, order: note(_note("order", account=customer.account.hex(), id=order.hex()))
    )
    _after(Issuer, "declare_panel", lambda _, panel: note(_note("panel", id=panel.hex())))
    _before(Hub, "_ask", lambda hub, _, message: _is_upload(message) and note(_upload(hub, message)))
    _before(ServiceNode, "_ask", lambda node, _, message, __: note(_about(node, "message", message=message.hex())))
    for name in ("import_file", "set_policy", "enrol"):
        _after(Hub, name, lambda hub, _, name=name: note(_about(hub, name, **_kept(hub, name))))
    _witness_answers(note)
    _witness_runs(note)


def _note(promise: str, **facts: Any) -> dict[str, Any]:
    return {"promise": promise, **facts}


def _about(party: Any, promise: str, **facts: Any) -> dict[str, Any]:
    return _note(promise, account=party.account.hex(), **facts)


def _header(ledger: EmbeddedLedger, height: int) -> dict[str, Any]:
    signed = ledger.header(height)
    assert signed is not None
    return _note("header", height=height, hash=hash_header(signed.header).hex())


def _is_upload(message: Any) -> bool:
    return isinstance(message, Upload)


def _upload(hub: Hub, message: Upload) -> dict[str, Any]:
    return _about(hub, "upload", task=message.task.hex(), report=message.report.hex())


def _kept(hub: Hub, name: str) -> dict[str, Any]:
    match name:
        case "import_file":
            return {"datasets": [one.id.hex() for one in hub.store.objects()]}
        case "set_policy":
            return {"policy": encode(hub.policy).hex()}
        case _:
            return {"panels": [panel.hex() for panel in hub.panels()]}


def _witness_answers(note: Note) -> None:
    """What a service node or an issuer answered; `Direct` is the way between all parties of one process."""
    send = Direct.send

    def watched(self: Direct, message: bytes) -> bytes:
        answer = send(self, message)
        party = getattr(self.handle, "__self__", None)
        if isinstance(party, ServiceNode | Issuer):
            kind = type(decode(message, Request)).__name__ if isinstance(party, ServiceNode) else "issuer"
            note(_about(party, f"answer {kind}", message=message.hex(), answer=answer.hex()))
        return answer

    Direct.send = watched  # type: ignore[method-assign]


def _witness_runs(note: Note) -> None:
    """A program is about to run over somebody's data."""
    measure = hub_module.measure

    def watched(bench: Any, state: Any, account: bytes, seen: Any) -> Any:
        note(_note("run", account=account.hex(), task=seen.question.task.hex()))
        return measure(bench, state, account, seen)

    hub_module.measure = watched


def _after(owner: type, name: str, see: Callable[..., Any]) -> None:
    method = getattr(owner, name)

    @wraps(method)
    def watched(self: Any, *arguments: Any, **options: Any) -> Any:
        result = method(self, *arguments, **options)
        see(self, result)
        return result

    setattr(owner, name, watched)


def _before(owner: type, name: str, see: Callable[..., Any]) -> None:
    method = getattr(owner, name)

    @wraps(method)
    def watched(self: Any, *arguments: Any, **options: Any) -> Any:
        see(self, *arguments, **options)
        return method(self, *arguments, **options)

    setattr(owner, name, watched)


def main(notes: Path, fate: Fate, planted: str | None, words: list[str]) -> int:
    """Run a command until it ends or dies."""
    if planted is not None:
        PLANTED[planted]()
    pipe = os.open(notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def note(facts: dict[str, Any]) -> None:
        os.write(pipe, json.dumps(facts).encode() + b"\n")
        fate.see_promise(facts["promise"])

    without_pictures()
    witness(note)
    fate.begin()
    code = run(words)
    sys.stdout.flush()
    os.write(pipe, json.dumps({"promise": "end", "steps": fate.taken}).encode() + b"\n")
    return code


if __name__ == "__main__":
    told = json.loads(sys.argv[1])
    sys.exit(main(Path(told["notes"]), Fate(**told["fate"]), told["planted"], told["words"]))
