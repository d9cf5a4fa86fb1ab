"""What an owner can choose to lose: qualities of variants in steps.

No codec, since it has no way back: it is done once, before an original is committed to, if its owner asks, and the
descriptor names it. `docs/formats.md`, qualities/1. A number becomes the lower bound of its step, so whoever asks
whether it is at least one of the bounds gets the answer that the exact number would have given.

The steps of qualities are those of Illumina's eight bins up to 40 ("Reducing Whole-Genome Data Storage Footprint", 2014),
0 and 1 apart, then the upper bands of GATK's HaplotypeCaller up to 99, whose `--floor-blocks` writes lower bounds too.
Depths go in steps since spVCF rounds them (Lin et al. 2020), here in finer ones. Above, both go on as 1, 2, 5.
"""

from __future__ import annotations

import io
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

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
SAID: Final = b"##edgehold.lossy=" + QUALITIES.encode()
"""What the header says of a text in steps."""
QUAL: Final = 5
FIXED: Final = 8
SAMPLE: Final = 9
"""Places of the quality, of FORMAT behind the fields that every variant has, and of the one sample."""
LONGEST: Final = 1 << 11
"""Bytes of a sample's values with their keys; longer ones stay as they are."""
MOST_KNOWN: Final = 1 << 14
"""So many of them are remembered with what becomes of them."""

Step = Callable[[bytes], bytes]


@dataclass(frozen=True, kw_only=True)
class Losses:
    """What a text lost."""

    lost: Mapping[str, int]
    """Of each field how many of its numbers changed."""
    of: Mapping[str, int]
    """Of each field how many numbers there were."""


@dataclass(frozen=True, kw_only=True)
class Stepped:
    """A text whose qualities were put in steps."""

    text: bytes
    losses: Losses


def step_qualities(text: bytes) -> Stepped | None:
    """A VCF text with its qualities in steps; none if all of them are at the lower bounds of their steps already.

    Nothing else changes, but that a line of the header says so. Numbers that are spelled otherwise than VCF writes them,
    and lines that are no variants of one person or of none, stay as they are. Of a text that was put in steps nothing
    changes any more.
    """
    steps, found = Steps(), bytearray()
    for line in steps.step(io.BytesIO(text)):
        found += line
    losses = steps.losses()
    return None if losses is None else Stepped(text=bytes(found), losses=losses)


class Steps:
    """`step_qualities`, line by line; whether anything was lost is known behind the last."""

    def __init__(self) -> None:
        self._lost, self._seen = Counter[str](), Counter[str]()
        self._known: dict[tuple[bytes, bytes], _Cell] = {}
        self._has_names = False

    def step(self, lines: Iterable[bytes]) -> Iterator[bytes]:
        """The lines, with their ends, in steps."""
        said = set[bytes]()
        for line in lines:
            if self._has_names:
                yield self._variant(line)
                continue
            if line.startswith(NAMES):
                self._has_names = True
                saying = SAID + (b"\r\n" if line.endswith(b"\r\n") else b"\n")
                if saying not in said:
                    yield saying
            if SAID in line:
                said.update(SAID + end for end in (b"\r\n", b"\n") if line.endswith(SAID + end))
            yield line

    def losses(self) -> Losses | None:
        """What was lost so far; none if nothing was, or no line named the columns."""
        if not self._lost or not self._has_names:
            return None
        return Losses(lost=dict(sorted(self._lost.items())), of=dict(sorted(self._seen.items())))

    def _variant(self, line: bytes) -> bytes:
        fields = line.split(b"\t", SAMPLE + 1)
        if not FIXED <= len(fields) <= SAMPLE + 1:
            return line
        for place, keys in ((QUAL, b"QUAL"), (SAMPLE, fields[FIXED] if len(fields) > SAMPLE else b"")):
            if keys and len(keys) + len(fields[place]) <= LONGEST:
                cell = self._known.get((keys, fields[place])) or _stepped_cell(keys, fields[place])
                if len(self._known) < MOST_KNOWN:
                    self._known[keys, fields[place]] = cell
                self._seen.update(cell.of)
                self._lost.update(cell.lost)
                fields[place] = cell.stepped
        return b"\t".join(fields)


class _Cell(NamedTuple):
    """What becomes of QUAL, or of the values of one sample."""

    stepped: bytes
    lost: Mapping[str, int]
    of: Mapping[str, int]


def _stepped_cell(keys: bytes, cell: bytes) -> _Cell:
    lost, seen = Counter[str](), Counter[str]()
    bare = cell.rstrip(b"\r\n")
    values = bare.split(b":")
    names = keys.split(b":")
    for place, key in enumerate(names[: len(values)]):
        step = _step_of(key, has_alleles=BY_ALLELE in names)
        if step is not None:
            numbers = values[place].split(b",")
            stepped = list(map(step, numbers))
            seen[key.decode()] += sum(number != b"." for number in numbers)
            lost[key.decode()] += sum(map(bytes.__ne__, numbers, stepped))
            values[place] = b",".join(stepped)
    return _Cell(b":".join(values) + cell[len(bare) :], {name: count for name, count in lost.items() if count}, seen)


def _step_of(key: bytes, *, has_alleles: bool) -> Step | None:
    """How a number of a key is put in steps; none if it is kept."""
    if key in PHRED or key == b"QUAL":
        return step_phred
    if key in LOG10:
        return step_logarithm
    if key in DEPTH and not has_alleles:
        return step_depth
    return None


def step_phred(number: bytes) -> bytes:
    """The lower bound of a quality's step."""
    return _stepped(number, QUALITY_STEPS)


def step_depth(number: bytes) -> bytes:
    """The lower bound of a depth's step."""
    return _stepped(number, DEPTH_STEPS)


def step_logarithm(number: bytes) -> bytes:
    """The bound, nearer to zero, of a log10 likelihood's step: a tenth of the quality's, with as few decimals as it
    needs."""
    match = LOGARITHM.fullmatch(number)
    if match is None:
        return number
    tenths = 10 * int(match[1]) + int(match[2] or 0)
    if tenths and not number.startswith(b"-"):
        return number
    whole, tenth = divmod(_floor(tenths, QUALITY_STEPS), 10)
    if whole == tenth == 0:
        return b"0"
    return b"-%d.%d" % (whole, tenth) if tenth else b"-%d" % whole


def _stepped(number: bytes, steps: tuple[int, ...]) -> bytes:
    return b"%d" % _floor(int(number.partition(b".")[0]), steps) if NUMBER.fullmatch(number) else number


def _floor(number: int, steps: tuple[int, ...]) -> int:
    return steps[bisect_right(steps, number) - 1]
