"""The bench of hubs and demos: every row is there, and a demo that fails is no figure."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgehold.bench.demo import measure, play
from edgehold.bench.measure import Work
from edgehold.errors import Unavailable


def test_quick_rounds_give_every_row(tmp_path: Path) -> None:
    rows = measure(Work(runs=1, quick=True, folder=tmp_path, say=lambda words: None))
    assert [(row.name, row.unit) for row in rows] == [
        ("one hub's part in a task, processor time, many hubs in one process", "ms"),
        ("one hub's part in a task, processor time, each proving everything by itself", "ms"),
        ("demo of 6 people", "s"),
        ("demo of 6 people, processor time", "s"),
        ("demo of 6 people, memory at its peak", "MB"),
        ("demo of 12 people", "s"),
        ("demo of 12 people, processor time", "s"),
        ("demo of 12 people, memory at its peak", "MB"),
        ("time a person, demo of 12 by that of 6, by the clock", ""),
        ("time a person, demo of 12 by that of 6, by processor time", ""),
    ]
    assert all(row.value > 0 and row.runs == 1 for row in rows)
    shared, own = rows[:2]
    assert shared.ratio is not None
    assert own.ratio is not None
    assert min(shared.ratio, own.ratio) > 1, "nobody is faster than a part of the work"
    assert not list((tmp_path).glob("demo *")), "what a demo left is removed"


def test_a_demo_that_fails_is_no_figure(tmp_path: Path) -> None:
    (tmp_path / "demo 0").mkdir()
    (tmp_path / "demo 0" / "in the way").touch()
    with pytest.raises(Unavailable, match="the demo of 6 ended with"):
        play(Work(runs=1, quick=True, folder=tmp_path, say=lambda words: None), people=6, number=0)
