"""The log of a node: one JSON object a line, whoever of the three processes says it. No transaction, key or person in it."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from threading import Lock
from typing import Any, TextIO


class Log:
    """Writes lines to a stream, whole, from any thread."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._lock = Lock()

    def say(self, message: str, *, level: str = "info", **facts: Any) -> None:
        """What the supervisor has to say."""
        self._write({"process": "node", "level": level, "message": message, **facts})

    def pass_on(self, process: str, line: bytes) -> None:
        """A line of another process: its own object, or its text as the message of one."""
        text = line.decode("utf-8", "replace").rstrip()
        if not text:
            return
        try:
            said = json.loads(text)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            said = {"level": "error", "message": text}
        message = said.pop("_msg", said.pop("message", ""))
        said.pop("ts", None)
        self._write({"process": process, "level": said.pop("level", "info"), "message": message, **said})

    def take_library_messages(self) -> None:
        """What the standard library has to say in this process comes here too."""
        logging.basicConfig(level=logging.WARNING, handlers=[_Handler(self)], force=True)

    def _write(self, facts: dict[str, Any]) -> None:
        now = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        line = json.dumps({"at": now, **facts}, ensure_ascii=False, default=str) + "\n"
        with self._lock:
            self._stream.write(line)
            self._stream.flush()


class _Handler(logging.Handler):
    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def emit(self, record: logging.LogRecord) -> None:
        self._log.say(record.getMessage(), level=record.levelname.lower(), module=record.name)
