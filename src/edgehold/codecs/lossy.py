"""What an owner can choose to lose: qualities of variants in steps.

No codec, since it has no way back: it is done once, before an original is committed to, if its owner asks, and the
descriptor names it. `docs/formats.md`, qualities/1. A number becomes the lower bound of its step, so whoever asks
whether it is at least one of the bounds gets the answer that the exact number would have given.

The steps of qualities are those of Illumina's eight bins up to 40 ("Reducing Whole-Genome Data Storage Footprint", 2014),
0 and 1 apart, then the upper bands of GATK's HaplotypeCaller up to 99, whose `--floor-blocks` writes lower bounds too.
Depths go in steps since spVCF rounds them (Lin et al. 2020), here in finer ones. Above, both go on as 1, 2, 5.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

QUALITIES: Final = "qualities/1"


class Loss(StrEnum):
    """What can be lost."""

    QUALITIES = "qualities"
    """Genotype qualities and likelihoods, depths and QUAL of VCF are kept in steps."""


_ABOVE: Final = tuple(step * 10**power for power in range(2, 9) for step in (2, 5, 10))
QUALITY_STEPS: Final = (0, 1, 2, 10, 20, 25, 30, 35, 40, 50, 60, 70, 80, 90, 99, *_ABOVE)
"""Lower bounds, phred: −10·log10 of the probability that something is wrong."""
DEPTH_STEPS: Final = (0, 1, 2, 3, 4, 5, 6, 8, 10, 15, 20, 30, 40, 50, 60, 80, 100, 150, *_ABOVE)
"""Lower bounds, reads."""

PHRED: Final = frozenset({b"GQ", b"GQX", b"RGQ", b"PL", b"PP"})
"""Keys of FORMAT whose values are phred: of VCF 4.3, GATK and Illumina's gVCF."""
LOG10: Final = frozenset({b"GL"})
"""Those whose values are log10 of a likelihood: a tenth of phred, negative."""
DEPTH: Final = frozenset({b"DP", b"DPF", b"DPI", b"MIN_DP"})
"""Those whose values are reads. Where AD counts them by allele, they are kept: that would tell them anyway."""
BY_ALLELE: Final = b"AD"
NUMBER: Final = re.compile(rb"\d{1,9}(?:\.\d{0,30})?")
LOGARITHM: Final = re.compile(rb"-?(\d{1,8})(?:\.(\d)?\d{0,30})?")
NAMES: Final = b"#CHROM\t"
FIXED: Final = 8
"""Fields before FORMAT."""
QUAL: Final = 5
MOST_KNOWN: Final = 1 << 16
"""Cells and values that are remembered with what becomes of them."""

Step = Callable[[bytes], bytes]


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """A text whose qualities were put in steps."""

    text: bytes
    lost: Mapping[str, int]
    """Of each field how many of its numbers changed."""
    of: Mapping[str, int]
    """Of each field how many numbers there were."""


def step_qualities(text: bytes) -> Stepped | None:
    """A VCF text with its qualities in steps; none if all of them are at the lower bounds of their steps already.

    Nothing else changes, but that a line of the header says so. Numbers that are spelled otherwise than VCF writes them,
    and lines that are no variants, stay as they are. Of a text that was put in steps nothing changes any more.
    """
    lost, seen = Counter[str](), Counter[str]()
    lines = text.split(b"\n")
    header = next((number for number, line in enumerate(lines) if line.startswith(NAMES)), len(lines))
    for number in range(header + 1, len(lines)):
        fields = lines[number].split(b"\t")
        if len(fields) < FIXED:
            continue
        cells = [(QUAL, b"QUAL")]
        cells += [(place, fields[FIXED]) for place in range(FIXED + 1, len(fields))]
        for place, keys in cells:
            cell, changed, counted = _stepped_cell(keys, fields[place])
            for key in counted:
                seen[key] += counted[key]
            if changed:
                lost.update(changed)
                fields[place] = cell
        lines[number] = b"\t".join(fields)
    if not lost:
        return None
    said = b"##edgehold.lossy=" + QUALITIES.encode() + (b"\r" if lines[header].endswith(b"\r") else b"")
    if said not in lines[:header]:
        lines.insert(header, said)
    return Stepped(text=b"\n".join(lines), lost=dict(sorted(lost.items())), of=dict(sorted(seen.items())))


@lru_cache(MOST_KNOWN)
def _stepped_cell(keys: bytes, cell: bytes) -> tuple[bytes, Mapping[str, int], Mapping[str, int]]:
    """The values of one sample, or QUAL, in steps; how many numbers of each key changed, and how many there were."""
    lost, seen = Counter[str](), Counter[str]()
    bare = cell.rstrip(b"\r")
    values = bare.split(b":")
    names = keys.split(b":")
    for place, key in enumerate(names[: len(values)]):
        step = _step_of(key, has_alleles=BY_ALLELE in names)
        if step is not None:
            numbers = values[place].split(b",")
            stepped = list(map(step, numbers))
            name = key.decode()
            seen[name] += sum(number != b"." for number in numbers)
            lost[name] += sum(map(bytes.__ne__, numbers, stepped))
            values[place] = b",".join(stepped)
    return b":".join(values) + cell[len(bare) :], {key: count for key, count in lost.items() if count}, seen


def _step_of(key: bytes, *, has_alleles: bool) -> Step | None:
    """How a number of a key is put in steps; none if it is kept."""
    if key in PHRED or key == b"QUAL":
        return step_phred
    if key in LOG10:
        return step_logarithm
    if key in DEPTH and not has_alleles:
        return step_depth
    return None


@lru_cache(MOST_KNOWN)
def step_phred(number: bytes) -> bytes:
    """The lower bound of a quality's step."""
    return _stepped(number, QUALITY_STEPS)


@lru_cache(MOST_KNOWN)
def step_depth(number: bytes) -> bytes:
    """The lower bound of a depth's step."""
    return _stepped(number, DEPTH_STEPS)


@lru_cache(MOST_KNOWN)
def step_logarithm(number: bytes) -> bytes:
    """The bound, nearer to zero, of a log10 likelihood's step: a tenth of the quality's, with as few decimals as it
    needs."""
    match = LOGARITHM.fullmatch(number)
    if match is None or not (number.startswith(b"-") or int(match[1]) == int(match[2] or 0) == 0):
        return number
    whole, tenth = divmod(_floor(10 * int(match[1]) + int(match[2] or 0), QUALITY_STEPS), 10)
    if whole == tenth == 0:
        return b"0"
    return b"-%d.%d" % (whole, tenth) if tenth else b"-%d" % whole


def _stepped(number: bytes, steps: tuple[int, ...]) -> bytes:
    return b"%d" % _floor(int(number.partition(b".")[0]), steps) if NUMBER.fullmatch(number) else number


def _floor(number: int, steps: tuple[int, ...]) -> int:
    return steps[bisect_right(steps, number) - 1]
