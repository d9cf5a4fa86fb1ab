"""Every decoder under a fuzzer: it refuses in its own words, in time and memory, and accepts nothing that it must not."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from decoders import DECODERS, KINDS_OF_READERS
from of_messages import KINDS

if TYPE_CHECKING:
    from conftest import Figures

RUN = Path(__file__).with_name("run.py")
SOURCE = Path(__file__).parents[2] / "src" / "edgehold"


class Fuzzer:
    """A process that has imported everything and forks another for each target."""

    def __init__(self, *options: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(RUN), "--serve", *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def run(self, target: str, runs: int, seed: int = 1) -> dict[str, Any]:
        """Fuzz a target with so many inputs, or with none have it read its bombs; what came of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"target": target, "runs": runs, "seed": seed}) + "\n")
        self._process.stdin.flush()
        came: dict[str, Any] = json.loads(self._process.stdout.readline())
        return came

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


@pytest.fixture(scope="session")
def fuzzer() -> Iterator[Fuzzer]:
    """With instrumented code."""
    process = Fuzzer()
    yield process
    process.close()


@pytest.fixture(scope="session")
def plain() -> Iterator[Fuzzer]:
    """With the code as it is, whose speed is that of the product."""
    process = Fuzzer("--plain")
    yield process
    process.close()


@pytest.mark.parametrize("target", DECODERS)
@pytest.mark.campaign(test=1_000, long=100_000, shard=10_000)
def test_no_input_crashes_hangs_or_takes_much_memory(
    fuzzer: Fuzzer, target: str, numbers: range, figures: Figures
) -> None:
    came = fuzzer.run(target, len(numbers), seed=numbers.start + 1)
    assert came["outcome"] == "passed", f"{came['log']}\ninput: {came['last']}"
    assert came["count"] >= len(numbers), "fewer inputs were read than were asked for"
    figures.add(f"fuzzed inputs: {target}", came["count"])
    figures.add("fuzzed inputs that were accepted", came["accepted"])
    figures.most("fuzzed inputs: processor time of the slowest, ms", 1000 * came["slowest"])
    figures.most("fuzzed inputs: growth of a process, MB", came["growth"] / 2**20)
    figures.add("fuzzed inputs: slow once, and quick when read again", came["slow once"])


@pytest.mark.parametrize("target", [name for name, target in DECODERS.items() if len(target.bombs)])
def test_every_bomb_is_refused_at_once(plain: Fuzzer, target: str, figures: Figures) -> None:
    came = plain.run(target, 0)
    assert came["outcome"] == "passed", f"{came['log']}\ninput: {came['last'][:2000]}"
    assert came["count"] == len(DECODERS[target].bombs) + len(DECODERS[target].heavy)
    figures.add("bombs refused", came["count"])
    figures.most("bombs: processor time of the slowest, ms", 1000 * came["slowest"])
    figures.most("bombs: memory taken by one, MB", came["growth"] / 2**20)
    figures.add("bombs: slow once, and quick when read again", came["slow once"])


@pytest.mark.parametrize(
    ("target", "outcome", "says"),
    [
        ("planted: fails", "crashed", "IndexError: planted"),
        ("planted: loops", "slow", "counts_up_forever"),
        ("planted: computes", "slow", "matches_forever"),
        ("planted: takes memory", "large", "keeps_a_lot"),
        ("planted: leaks", "large", ""),
        ("planted: refuses all", "crashed", "an example is refused"),
        ("planted: accepts too much", "crashed", "other bytes than those"),
    ],
)
def test_a_planted_fault_is_found(fuzzer: Fuzzer, target: str, outcome: str, says: str) -> None:
    came = fuzzer.run(target, 20_000)
    assert came["outcome"] == outcome, came["log"]
    assert says in came["log"]


def test_an_input_that_is_slow_once_is_read_again_and_the_others_follow(fuzzer: Fuzzer) -> None:
    came = fuzzer.run("planted: slow once", 20_000)
    assert (came["outcome"], came["slow once"]) == ("passed", 1), came["log"]
    assert came["count"] >= 20_000


GENERIC = {"kind", "ENTRY_TYPES[collection]", "cast(type[Any], kind)"}
"""Where the type comes in as an argument: whoever passes it on is seen, or the table of entries has it."""

UNIONS = {
    "Answer",
    "FromHub",
    "FromIssuer",
    "Internal",
    "Piece",
    "Request",
    "ToHub",
    "ToIssuer",
    "list[tuple[str, bytes]]",
    "bytes | None",
}
"""Types without a name of their own."""


def decoded_types(source: str) -> set[str]:
    """The types that a module passes to `decode`, as they are written there."""
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call) and len(node.args) == 2]
    kinds = (
        ast.unparse(call.args[1]) for call in calls if isinstance(call.func, ast.Name) and call.func.id == "decode"
    )
    return {kind.removeprefix("snapshot.") for kind in kinds}


def test_every_type_that_is_decoded_somewhere_is_a_target() -> None:
    modules = [path for path in SOURCE.rglob("*.py") if "bench" not in path.parts]
    found = set().union(*(decoded_types(path.read_text()) for path in modules)) - GENERIC
    assert len(found) > 25
    assert found <= UNIONS | {getattr(kind, "__name__", "") for kind in KINDS.values()}, "decoded, and not fuzzed"


def test_no_target_takes_the_name_of_another() -> None:
    assert len(DECODERS) == sum(len(kind.TARGETS) for kind in KINDS_OF_READERS)
