"""Makes the public base that genotypes of arrays are encoded against, and puts it into the package.

    python -m tools.make_site_base SITES.tsv.gz [HAPLOTYPES.zst]

The sites are rows of chromosome, position, name, two alleles, how often the second was seen, and of how many. The haplotypes
are bytes, one of each haplotype for the first eight sites, then for the next, in which the highest bit says whether it has the
second allele at the first of the eight. Without haplotypes the base holds how frequent the second alleles are. What is in a base
is in every copy of it: it is made of public data only, and figures are measured on others than its people. The output is named
by its digest; put it into `edgehold.codecs.genotypes.ARRAY_BASE`.
The bytes are described in `docs/formats.md`, genotypes/1.
"""

from __future__ import annotations

import gzip
import re
import sys
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import zstandard

from edgehold.codecs.genotypes import SITES
from edgehold.codecs.record import BASES, base_digest

TITLE = b"edgehold.sites/1\n"
NAME = re.compile(rb"(.*?)(?:([1-9]\d{0,8}))?")
Bits = np.ndarray[Any, np.dtype[np.uint8]]


class Site(NamedTuple):
    """One place where people differ."""

    chromosome: bytes
    position: int
    letters: bytes
    number: int | None
    first: bytes
    second: bytes
    seen: int
    of: int


def read_sites(text: bytes) -> list[Site]:
    """The sites of a table with a header."""
    return [make_site(*row.split(b"\t")) for row in text.splitlines()[1:]]


def make_site(
    chromosome: bytes, position: bytes, name: bytes, first: bytes, second: bytes, count: bytes, of: bytes
) -> Site:
    """A site from its fields."""
    parts = NAME.fullmatch(name)
    if parts is None:
        raise ValueError(f"{name!r} is no name")
    number = int(parts[2]) if parts[2] else None
    return Site(chromosome, int(position), parts[1], number, *letters_of(first, second), int(count), int(of))


def letters_of(first: bytes, second: bytes) -> tuple[bytes, bytes]:
    """How arrays call two alleles: by the one letter in which they differ, or D and I, of which I is the longer one."""
    while min(len(first), len(second)) > 1 and first[-1:] == second[-1:]:
        first, second = first[:-1], second[:-1]
    if len(first) == len(second) == 1:
        return first, second
    return (b"D", b"I") if len(first) < len(second) else (b"I", b"D")


def read_panel(packed: bytes, sites: int) -> Bits:
    """A row of each site, with a zero or one for each haplotype."""
    with zstandard.ZstdDecompressor().stream_reader(packed) as unpacked:
        eights = np.frombuffer(unpacked.read(), np.uint8).reshape((sites + 7) // 8, -1)
    return np.unpackbits(eights, axis=0)[:sites]


def planes(numbers: list[int], width: int) -> bytes:
    """All lowest bytes, then all second ones."""
    return np.array(numbers, "<u4").view(np.uint8).reshape(-1, 4).T[:width].tobytes()


def short(texts: list[bytes], counts: list[int] | None = None) -> bytes:
    """Texts with their lengths, each with a count behind it if there are counts."""
    parts = [bytes([len(text)]) + text for text in texts]
    if counts is not None:
        parts = [part + count.to_bytes(4, "little") for part, count in zip(parts, counts, strict=True)]
    return bytes([len(texts)]) + b"".join(parts)


def runs_of(panel: Bits, chromosomes: list[int]) -> bytes:
    """The panel in runs, in an order in which those stand together that were alike at the sites before."""
    found = bytearray()
    rows = iter(panel)
    for count in chromosomes:
        order = np.arange(panel.shape[1])
        for _, row in zip(range(count), rows, strict=False):
            alleles = row[order]
            ends = np.flatnonzero(np.diff(alleles)) + 1
            lengths = np.diff(np.concatenate(([0], ends, [len(alleles)])))
            for length in ([0] if alleles[0] else []) + lengths.tolist():
                found += bytes([length]) if length < 128 else bytes([128 | length >> 8, length & 255])
            order = np.concatenate((order[alleles == 0], order[alleles == 1]))
    return bytes(found)


def make_base(sites: list[Site], panel: Bits | None) -> bytes:
    """The bytes of a base."""
    on_each = [(name, len(list(group))) for name, group in groupby(sites, lambda site: site.chromosome)]
    letters = sorted({site.letters for site in sites})
    distances = [
        site.position - (before.position if before is not None and before.chromosome == site.chromosome else 0)
        for before, site in zip([None, *sites], sites, strict=False)
    ]
    counts = [count for _, count in on_each]
    parts = [
        TITLE,
        len(sites).to_bytes(4, "little"),
        (0 if panel is None else panel.shape[1]).to_bytes(4, "little"),
        short([name for name, _ in on_each], counts),
        short(letters),
        planes(distances, 4),
        bytes(letters.index(site.letters) for site in sites),
        planes([0 if site.number is None else site.number + 1 for site in sites], 4),
        b"".join(site.first for site in sites),
        b"".join(site.second for site in sites),
        planes([(2 * site.seen + 1) * 32768 // (site.of + 1) for site in sites], 2)
        if panel is None
        else runs_of(panel, counts),
    ]
    return b"".join(parts)


def main(sites: Path, haplotypes: Path | None) -> None:
    """Make, name and write."""
    known = read_sites(gzip.decompress(sites.read_bytes()))
    panel = None if haplotypes is None else read_panel(haplotypes.read_bytes(), len(known))
    base = make_base(known, panel)
    target = BASES / f"{base_digest(base).hex()}.{SITES}.zst"
    target.write_bytes(zstandard.ZstdCompressor(level=22).compress(base))
    sys.stdout.write(f"{len(base)} bytes, {target.stat().st_size} packed: {target}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
