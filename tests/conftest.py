"""What every test may use: campaigns, whose size depends on the tier, and figures that are printed at the end.

A campaign is a test over many numbered cases (seeds, states, mutants). `make test` runs some of them, `make long` all:

    @pytest.mark.campaign(test=500, long=100_000, shard=50)
    def test_…(numbers: range, figures: Figures) -> None:
        for number in numbers: …

A failing case says its number; `pytest PATH --number N` runs that one again. `--slice 3/50` runs the third of fifty parts
of each campaign; every other test belongs to the first.
"""

from __future__ import annotations

import gc
import json
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from itertools import chain, groupby, islice
from pathlib import Path

import pytest
from hypothesis import settings

TESTS = Path(__file__).parent
sys.path.insert(0, str(TESTS))

UNTRACED = ("demo", "faults", "fuzz", "journeys", "mutants", "privacy", "scenarios", "simulation")
"""Folders whose tests run without the coverage tracer: they take what others cover through many or hostile hours."""

MARKED = re.compile(r"\bmark\.(?:campaign|untraced)\b")
"""How a test of another folder says that it runs without the tracer."""

ALIKE = ("cli", "customer", "faults", "hub", "issuer", "privacy", "review", "scenarios", "service", "simulation")
"""Folders whose tests found their networks alike."""

MEASURED = ("fuzz", "sandbox")
"""Folders whose tests measure memory."""

LENGTHY = ("faults", "journeys", "sandbox", "system")
"""Folders whose tests take long each, and mostly wait for other processes: they and campaigns come first, so that no
process is left with them."""

USUALLY, SELDOM = gc.get_threshold(), (50_000, 20, 20)
"""How often the collector looks through everything; what tests leave behind is small beside what they import."""

IN_MEMORY = Path("/dev/shm")
ROOM, MEMORY = 4 << 30, 8 << 30
"""Bytes that must be free there, and of memory at all, for the tests' files to lie in memory: a third of the time goes into
waiting for a disk to say that it wrote what is removed soon."""

COMBINE: dict[str, Callable[[float, float], float]] = {"sum": lambda a, b: a + b, "most": max, "least": min}


class Figures:
    """What a test measured or counted; equal names of several tests are put together."""

    def __init__(self, properties: list[tuple[str, object]]) -> None:
        self._properties = properties

    def add(self, name: str, count: float) -> None:
        """So many more of something."""
        self._properties.append(("figure", [name, "sum", count]))

    def most(self, name: str, value: float) -> None:
        """The largest seen."""
        self._properties.append(("figure", [name, "most", value]))

    def least(self, name: str, value: float) -> None:
        """The smallest seen."""
        self._properties.append(("figure", [name, "least", value]))


@pytest.fixture
def figures(request: pytest.FixtureRequest) -> Figures:
    """Figures of this test for the summary at the end."""
    return Figures(request.node.user_properties)


@pytest.fixture(scope="module", autouse=True)
def computed_once(request: pytest.FixtureRequest) -> Iterator[None]:
    """What networks that begin alike have in common is computed once."""
    gc.set_threshold(*(USUALLY if folder_of(request.path) in MEASURED else SELDOM))
    if folder_of(request.path) not in ALIKE:
        yield
        return
    from once import computing_once

    with computing_once():
        yield


@pytest.fixture(scope="session")
def is_long(request: pytest.FixtureRequest) -> bool:
    """Whether campaigns run at the size of `make long`."""
    return bool(request.config.getoption("--long"))


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("edgehold")
    group.addoption("--long", action="store_true", help="campaigns at the size of `make long`")
    group.addoption("--number", type=int, help="run one number of each campaign again")
    group.addoption("--slice", metavar="K/N", default="1/1", help="run the K-th of N parts of each campaign")
    group.addoption("--tracer", choices=("on", "off"), help="only tests that run with, or without, the coverage tracer")
    group.addoption("--figures", type=Path, help="write the figures as JSON to this file")


def pytest_configure(config: pytest.Config) -> None:
    if not config.getoption("--long") and "TMPDIR" not in os.environ and has_room():
        os.environ["TMPDIR"] = str(IN_MEMORY)
        tempfile.tempdir = None
    settings.register_profile("edgehold", deadline=None, max_examples=100 if config.getoption("--long") else 40)
    settings.load_profile("edgehold")
    config.addinivalue_line("markers", "campaign(test, long, shard): many numbered cases, more of them with --long")
    config.addinivalue_line(
        "markers", "on_validators: a scenario that is played on a ledger of four also without --long"
    )


def has_room() -> bool:
    """Whether the tests' files can lie in memory."""
    if not (IN_MEMORY.is_dir() and os.access(IN_MEMORY, os.W_OK)):
        return False
    available = re.search(r"^MemAvailable: +(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE)
    return shutil.disk_usage(IN_MEMORY).free >= ROOM and available is not None and int(available[1]) << 10 >= MEMORY


def pytest_report_header() -> str:
    return f"temporary files: {tempfile.gettempdir()}"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    marker = metafunc.definition.get_closest_marker("campaign")
    if marker is None:
        return
    one, shard = metafunc.config.getoption("--number"), int(marker.kwargs["shard"])
    total = int(marker.kwargs["long" if metafunc.config.getoption("--long") else "test"])
    slice_, slices = slice_of(metafunc.config)
    shards = [range(at, min(at + shard, total)) for at in range(0, total, shard)][slice_ - 1 :: slices]
    if one is not None:
        shards = [range(one, one + 1)]
    metafunc.parametrize("numbers", shards, ids=[f"{numbers.start}-{numbers.stop - 1}" for numbers in shards])


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Files without a test of the part that is asked for are not even read."""
    if collection_path.suffix != ".py" or TESTS not in collection_path.parents:
        return None
    is_untraced = folder_of(collection_path) in UNTRACED
    match config.getoption("--tracer"):
        case "on" if is_untraced:
            return True
        case "off" if not (is_untraced or MARKED.search(collection_path.read_text())):
            return True
        case _:
            return None


@pytest.hookimpl(trylast=True)  # pytest itself moves those together that share a fixture with the same parameter
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        if folder_of(item.path) in UNTRACED or is_campaign(item):
            item.add_marker(pytest.mark.untraced)
    if (tracer := config.getoption("--tracer")) is not None:
        items[:] = [item for item in items if (item.get_closest_marker("untraced") is None) == (tracer == "on")]
    if slice_of(config)[0] > 1:
        items[:] = [item for item in items if is_campaign(item)]
    items[:] = dealt(items, getattr(config, "workerinput", {}).get("workercount", 1))


def dealt(items: list[pytest.Item], hands: int) -> list[pytest.Item]:
    """The tests in an order whose equal parts, one for each process, begin with what takes long: for half of them that is
    what mostly waits, for the others campaigns, which compute."""
    files = [list(those) for _, those in groupby(items, key=lambda item: item.path)]
    waiting = [those for those in files if folder_of(those[0].path) in LENGTHY]
    computing = [[item] for item in items if is_campaign(item) and folder_of(item.path) not in LENGTHY]
    some, rest = hands - hands // 2, hands // 2
    shares = [list(chain.from_iterable(waiting[hand::some])) for hand in range(some)]
    shares += [list(chain.from_iterable(computing[hand::rest])) for hand in range(rest)]
    chosen = {id(item) for share in shares for item in share}
    others = iter([item for item in items if id(item) not in chosen])
    size = -(-len(items) // hands)
    return [item for share in shares for item in chain(share, islice(others, max(0, size - len(share))))] + list(others)


def is_campaign(item: pytest.Item) -> bool:
    """Whether a test is a slice of a campaign."""
    return item.get_closest_marker("campaign") is not None


def folder_of(path: Path) -> str:
    """The folder of the tests in which a file lies."""
    return path.relative_to(TESTS).parts[0]


def slice_of(config: pytest.Config) -> tuple[int, int]:
    """Which part of how many is asked for."""
    one, _, all_ = str(config.getoption("--slice")).partition("/")
    return int(one), int(all_)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> Iterator[None]:
    """Figures come before what pytest says of failures, and their bare names at the very end, where logs are kept."""
    print_figures(terminalreporter, config)
    yield
    for kind in ("failed", "error"):
        for report in terminalreporter.stats.get(kind, []):
            terminalreporter.write_line(f"{kind}: {report.nodeid[:200]}")


def print_figures(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    found: dict[str, tuple[str, float]] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if getattr(report, "when", None) != "call":
                continue
            for kind, value in report.user_properties:
                if kind == "figure":
                    name, how, number = value
                    found[name] = (how, COMBINE[how](found[name][1], number) if name in found else number)
    if not found:
        return
    terminalreporter.section("figures")
    for name, (how, number) in sorted(found.items()):
        note = {"sum": "", "most": " at most", "least": " at least"}[how]
        terminalreporter.write_line(f"{name}:{note} {number:,.6g}" if number % 1 else f"{name}:{note} {int(number):,}")
    path = config.getoption("--figures")
    if path is not None:
        path.write_text(json.dumps(dict(sorted(found.items())), indent=1))
