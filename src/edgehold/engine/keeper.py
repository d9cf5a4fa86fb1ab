"""Group commit: a thread that makes the blocks of an embedded ledger while others submit."""

from __future__ import annotations

import threading

from edgehold.engine.embedded import EmbeddedLedger
from edgehold.errors import EngineHalted, StorageFailed


class Keeper:
    """Makes a block `window` seconds after a transaction came, so that those who come together share one durable write,
    and an empty one at least every `interval` seconds. It runs until `stop`, or until the engine halts; while the disk
    refuses a block it tries again every `interval`, and `trouble` says why.
    """

    def __init__(self, ledger: EmbeddedLedger, interval: float, window: float = 0.01) -> None:
        self._ledger = ledger
        self._interval = interval
        self._window = window
        self._stopped = threading.Event()
        self.trouble: StorageFailed | None = None
        self._thread = threading.Thread(target=self._run, name="edgehold keeper", daemon=True)
        self._thread.start()

    @property
    def is_running(self) -> bool:
        """Whether blocks are being made."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """Make no further block; returns when the last is durable."""
        self._stopped.set()
        self._ledger.wake()
        self._thread.join()

    def _run(self) -> None:
        while True:
            if self._ledger.wait_for_work(self._interval, self._stopped):
                self._stopped.wait(self._window)
            if self._stopped.is_set():
                return
            try:
                self._ledger.advance()
                self.trouble = None
            except StorageFailed as error:
                self.trouble = error
                self._stopped.wait(self._interval)
            except EngineHalted:
                return
