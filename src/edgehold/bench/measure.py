"""What every bench shares: subjects measured in turns, and rows that put each beside its rival or limit.

A figure is the median of several runs. Subjects of one comparison are interleaved (A B A B …), so that what else the
machine does meets all of them; the ratio is the median of the ratios of the single rounds.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

LEAST_RUNS = 5
"""A median over fewer rounds is no figure."""


@dataclass(frozen=True)
class Row:
    """One figure beside its rival or limit."""

    name: str
    value: float
    """Median over the runs."""
    unit: str
    rival: str | None
    """What stands beside it, in words; none if nothing comparable exists."""
    rival_value: float | None
    """The rival's median, in the same unit."""
    ratio: float | None
    """Median of value / rival value, round by round."""
    runs: int
    spread: float
    """(Largest - smallest) / median of the value."""


@dataclass(frozen=True)
class Report:
    """What one bench found, with the conditions it found it under."""

    bench: str
    machine: str
    load: float
    """The load average of the last minute at the end; most of it is the bench itself."""
    rows: list[Row]

    def as_json(self) -> dict[str, Any]:
        """The report as `--json` prints it."""
        return asdict(self)


@dataclass(frozen=True)
class Work:
    """What a bench is asked for."""

    runs: int
    quick: bool
    """Small sizes: only shows that everything runs."""
    folder: Path
    """An empty folder to write in, on the disk that is measured."""
    say: Callable[[str], None]
    """Tell what is being measured now."""
    data: Path | None = None
    """A folder with files to measure, where a bench takes some."""


def interleave(runs: int, subjects: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure each subject `runs` times, in turns; a subject returns its figure of one run."""
    found: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(runs):
        for name, subject in subjects.items():
            found[name].append(subject())
    return found


def make_row(
    name: str, unit: str, values: Sequence[float], rival: str | None = None, rival_values: Sequence[float] = ()
) -> Row:
    """A row from the values of the rounds, and the rival's of the same rounds."""
    middle = median(values)
    spread = (max(values) - min(values)) / middle if middle else 0.0
    ratios = [own / other for own, other in zip(values, rival_values, strict=True) if other] if rival_values else []
    return Row(
        name=name,
        value=middle,
        unit=unit,
        rival=rival,
        rival_value=median(rival_values) if rival_values else None,
        ratio=median(ratios) if ratios else None,
        runs=len(values),
        spread=spread,
    )


def make_report(bench: str, rows: Sequence[Row]) -> Report:
    """The report of a bench that has just ended."""
    return Report(bench=bench, machine=describe_machine(), load=os.getloadavg()[0], rows=list(rows))


def describe_machine() -> str:
    """Processor, cores, memory, system and Python, in one line."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    system = f"{platform.system()} {platform.release()}"
    return f"{_processor()}, {cores} cores, {memory:.0f} GiB, {system}, Python {platform.python_version()}"


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
