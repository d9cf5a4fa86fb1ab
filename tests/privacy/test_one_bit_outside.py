"""Programs that try to send one bit of a record out: by failing, by looping, by what they return, by how long they take.

Two thousand runs of each, half of them with the bit set, in the real sandbox and hub. Whoever sees the report and when
it leaves learns nothing of the bit: presence, size and height never differ, and a guesser that learns from a thousand
reports is as good as a coin over the next thousand.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING

import pytest
from guessing import accuracy, features_of
from scenario_world import LEADER, ScenarioWorld
from test_one_bit import Bit, Booth, Ended, Left, through_the_network
from test_programs import publish

if TYPE_CHECKING:
    from conftest import Figures

BIT = "person.events.time[0] & 1"
CHANNELS = {
    "failing": f"    return 1 // (1 - ({BIT}))",
    "looping": f"    while {BIT}:\n        pass\n    return 0",
    "a value": f"    return {BIT}",
    "a huge output": f"    return 'x' * 10**7 if {BIT} else 0",
    "an invalid output": f"    return [float('nan')] if {BIT} else 0",
    "time": f"    for _ in range(({BIT}) * 60_000):\n        pass\n    return 0",
}
GUESSED = 0.55
"""What the guesser stays below; over 1,000 guesses a coin does so in all but one of 1,300 tries."""


def answers(booth: Booth, bits: list[bool], first: int) -> list[Left]:
    """What leaves the hub in each run."""
    return [booth.answer(first + place, Bit(is_set=bit)) for place, bit in enumerate(bits)]


def bits_of(name: str, count: int) -> list[bool]:
    """As many of one as of the other, in an order of chance, in each half."""
    dice = Random(name)
    halves = [[False, True] * (count // 4) for _ in range(2)]
    for half in halves:
        dice.shuffle(half)
    return halves[0] + halves[1]


@pytest.mark.parametrize("channel", CHANNELS)
def test_who_sees_the_reports_cannot_guess_the_bit(
    world: ScenarioWorld, figures: Figures, is_long: bool, channel: str
) -> None:
    _, task = world.open_task(publish(world, CHANNELS[channel]))
    booth = Booth(world, task)
    bits = bits_of(channel, 2_000 if is_long else 40 if channel == "looping" else 120)
    left = answers(booth, bits, first=0)
    assert len({(one.state, one.upload_at, one.spent, len(one.report)) for one in left}) == 1
    guessed = accuracy(features_of([one.report for one in left], [[one.upload_at] for one in left]), bits)
    figures.add(f"one bit by {channel}: runs", len(left))
    figures.most(f"one bit by {channel}: guessed in the second half", guessed)
    if is_long:
        assert guessed <= GUESSED
    assert {bool(one.log) for one, bit in zip(left, bits, strict=True) if not bit} == {False}


def test_two_thousand_reports_of_one_value_or_another_look_alike(world: ScenarioWorld, figures: Figures) -> None:
    _, task = world.open_task("feasibility")
    booth, bits = Booth(world, task), bits_of("values", 2_000)
    left = [booth.answer(place, Ended(str(int(bit)))) for place, bit in enumerate(bits)]
    guessed = accuracy(features_of([one.report for one in left], [[one.upload_at] for one in left]), bits)
    figures.most("one bit by a value, sealed 2,000 times: guessed in the second half", guessed)
    assert len({len(one.report) for one in left}) == 1
    assert guessed <= GUESSED


@pytest.mark.parametrize("channel", CHANNELS)
def test_on_the_wire_both_have_the_same_messages_of_the_same_sizes(
    open_world: Callable[..., ScenarioWorld], channel: str
) -> None:
    shapes = []
    for value in (False, True):
        world = open_world()
        through_the_network(world, CHANNELS[channel], is_set=value)
        shapes.append([(len(message), len(answer)) for message, answer in world.lines[LEADER].said])
    assert shapes[0] == shapes[1]


def test_a_leak_of_any_kind_is_found() -> None:
    bits, dice = bits_of("leak", 400), Random(1)
    noise, silent = [dice.randbytes(400) for _ in bits], [[0.0] for _ in bits]
    longer = [data + bytes(bit) for data, bit in zip(noise, bits, strict=True)]
    marked = [data[:99] + bytes([data[99] & 0xFE | bit]) + data[100:] for data, bit in zip(noise, bits, strict=True)]
    likelier = [data.replace(b"\x00", b"\x01") if bit else data for data, bit in zip(noise, bits, strict=True)]
    assert accuracy(features_of(noise, silent), bits) < 0.62
    assert accuracy(features_of(longer, silent), bits) == 1
    assert accuracy(features_of(marked, silent), bits) == 1
    assert accuracy(features_of(likelier, silent), bits) > 0.75
    assert accuracy(features_of(noise, [[float(bit)] for bit in bits]), bits) == 1
