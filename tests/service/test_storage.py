"""The store's threads get their turns: a busy one keeps nobody out, and a transaction is nobody else's."""

from __future__ import annotations

from pathlib import Path
from threading import Event, Thread

from edgehold.service.storage import Storage, Turns


def test_who_waits_gets_the_store_before_its_holder_gets_it_again() -> None:
    turns, order, waiting = Turns(), list[str](), Event()

    def other() -> None:
        waiting.set()
        with turns:
            order.append("other")

    with turns:
        thread = Thread(target=other)
        thread.start()
        waiting.wait()
        while not turns.is_awaited:
            pass
    with turns:
        order.append("holder")
    thread.join()
    assert order == ["other", "holder"]


def test_the_holder_takes_it_again_without_waiting_for_itself() -> None:
    turns = Turns()
    with turns, turns:
        pass
    with turns:
        pass


def test_nobody_reads_or_writes_between_the_statements_of_a_transaction(tmp_path: Path) -> None:
    storage = Storage(tmp_path / "node.sqlite")
    seen: list[int] = []
    reader = Thread(target=lambda: seen.append(storage.followed()))
    with storage.transaction():
        storage.follow(7)
        reader.start()
        reader.join(0.01)
        storage.follow(8)
    reader.join()
    storage.close()
    assert seen == [8]
