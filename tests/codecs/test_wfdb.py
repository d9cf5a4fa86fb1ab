"""Signals in the formats of WFDB (signal(5)) go through the codec of samples, and come back; so does what is none."""

from __future__ import annotations

import struct
from math import sin
from pathlib import Path
from random import Random

import pytest
import zstandard

from edgehold.codecs.samples import SAMPLES, samples_codec
from edgehold.demo.seeded import SeededRandomness
from edgehold.hub.intake.take_in import import_file
from edgehold.hub.store import Store
from edgehold.wire.data import Kind

DICE = SeededRandomness(1, "signals")


def beats(count: int, most: int) -> list[int]:
    """Two channels of something like a heart's signal, one sample of each in turn."""
    dice = Random(1)
    found = []
    for place in range(count):
        for shift in (0.0, 0.7):
            wave = sin(place / 25 + shift) + 3 * max(0.0, sin(place / 40 + shift) - 0.97) / 0.03
            found.append(round(wave * most / 5) + dice.randrange(-2, 3))
    return found


def packed_212(samples: list[int]) -> bytes:
    """Two samples of twelve bits in three bytes."""
    made = bytearray()
    for one, other in zip(samples[::2], samples[1::2], strict=True):
        one, other = one & 0xFFF, other & 0xFFF
        made += bytes([one & 0xFF, (one >> 8) | (other >> 8) << 4, other & 0xFF])
    return bytes(made)


def matrix(samples: list[int]) -> bytes:
    """A MATLAB 4 matrix of two rows, as WFDB writes it."""
    head = struct.pack("<5I", 30, 2, len(samples) // 2, 0, 4) + b"val\0"
    return head + struct.pack(f"<{len(samples)}h", *samples)


SMALL, LARGE = beats(6000, 100), beats(6000, 1800)
FORMATS = {
    "16": struct.pack(f"<{len(LARGE)}h", *LARGE),
    "61": struct.pack(f">{len(LARGE)}h", *LARGE),
    "80": bytes(sample + 128 for sample in SMALL),
    "212": packed_212(LARGE),
    "mat": matrix(LARGE),
}


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_is_told_by_samples_and_comes_back(tmp_path: Path, form: str) -> None:
    name = "r.mat" if form == "mat" else "r.dat"
    content = FORMATS[form]
    (tmp_path / name).write_bytes(content)
    (tmp_path / "r.hea").write_text(f"r 2 360 6000\n{name} {16 if form == 'mat' else form} 200\n{name} 16 200\n")
    (tmp_path / "r.atr").write_bytes(bytes(range(100)))
    with Store.create(tmp_path / "store.sqlite", bytes(32), DICE) as store:
        for file in (name, "r.hea", "r.atr"):
            done = import_file(store, tmp_path / file, randomness=DICE)
            stored = next(one for one in (*done.added, *done.known) if one.name == file)
            assert (stored.descriptor.kind, done.format) == (Kind.SIGNAL, "WFDB")
            assert store.get_original(stored.id) == (tmp_path / file).read_bytes()
            if file == name:
                assert stored.descriptor.codec == SAMPLES
                assert stored.encoded < 0.75 * len(zstandard.ZstdCompressor(level=22).compress(content))


@pytest.mark.parametrize("form", FORMATS)
def test_a_signal_that_is_cut_anywhere_comes_back(form: str) -> None:
    codec = samples_codec()
    for end in (3001, 3002, 3003):
        content = FORMATS[form][:end]
        assert codec.decode(codec.encode(content), end) == content


def test_a_signal_without_its_header_is_kept_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "r.dat").write_bytes(FORMATS["16"])
    with Store.create(tmp_path / "store.sqlite", bytes(32), DICE) as store:
        (stored,) = import_file(store, tmp_path / "r.dat", randomness=DICE).added
        assert stored.descriptor.kind is Kind.OTHER
        assert store.get_original(stored.id) == FORMATS["16"]
