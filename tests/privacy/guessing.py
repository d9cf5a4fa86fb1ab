"""Somebody who sees what leaves a hub and guesses a bit of the data behind it, having learnt from examples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Features = NDArray[np.float32]

MOST_BYTES = 2048
"""Of each thing seen, so many bytes are looked at bit by bit."""

STRONG = 0.9
"""A feature counts if it tells the two apart nearly as well as the best one."""


def features_of(seen: Sequence[bytes], numbers: Sequence[Sequence[float]]) -> Features:
    """One row for each thing seen: its size, what was measured beside it, how often each byte occurs, and each bit."""
    width = min(MOST_BYTES, max(len(one) for one in seen))
    rows = []
    for data, beside in zip(seen, numbers, strict=True):
        values = np.frombuffer(data, dtype=np.uint8)
        bits = np.unpackbits(np.frombuffer(data[:width].ljust(width, b"\0"), dtype=np.uint8))
        rows.append(np.concatenate([[len(data), *beside], np.bincount(values, minlength=256), bits]).astype(np.float32))
    return np.array(rows)


def accuracy(features: Features, bits: Sequence[bool]) -> float:
    """How often the second half of the bits is guessed, by a linear rule learnt from the first half.

    A feature is as strong as its two means are apart, in standard deviations; the strongest ones vote, each weighed as
    in the best rule for independent normal features (a diagonal discriminant).
    """
    known = np.array(bits)
    half = len(bits) // 2
    low, high = (features[:half][known[:half] == value] for value in (False, True))
    apart = high.mean(axis=0) - low.mean(axis=0)
    scale = (low.std(axis=0) + high.std(axis=0)) / 2 + 1e-6
    strength = np.abs(apart) / scale
    weights = np.where(strength >= STRONG * strength.max(), apart / scale**2, 0)
    guesses = (features[half:] - (high.mean(axis=0) + low.mean(axis=0)) / 2) @ weights > 0
    return float((guesses == known[half:]).mean())
