"""Part of `edgehold bench store`: genotypes of arrays, beside what others make of them with the same public sites.

The rival knows the sites too: it writes two bits for each of them in their order (how many alleles are the second one, or that
nothing was called), and is not asked for anything else in the file. How many people it takes until a base has saved its own
bytes is said beside it.
"""

from __future__ import annotations

import lzma
from collections.abc import Iterator
from typing import Final

import zstandard

from edgehold.bench.measure import Row, make_row
from edgehold.codecs.choice import base_bytes
from edgehold.codecs.genotypes import ARRAY_BASE, GenotypesCodec, shipped_genotypes_codec

COLUMNS: Final = "two bits a site and zstd 22, with the same sites"
NOTHING: Final = 3
"""Neither was called at a site."""


def measure_array(name: str, text: bytes) -> list[Row]:
    """One file of genotypes, with the shipped base and without any."""
    bare, above = (len(shipped_genotypes_codec(base).encode(text)) for base in (None, ARRAY_BASE))
    rival = len(packed_columns(shipped_genotypes_codec(ARRAY_BASE), text))
    xz = len(lzma.compress(text, preset=9 | lzma.PRESET_EXTREME))
    rows = [
        make_row(f"genotypes of {name}, above the sites", "B", [above], COLUMNS, [rival]),
        make_row(f"genotypes of {name}, without a base", "B", [bare], "xz 9", [xz]),
    ]
    if above < bare:
        rows.append(
            make_row(
                f"genotypes of {name}: so many people until the base has saved its bytes",
                "",
                [base_bytes(ARRAY_BASE) / (bare - above)],
            )
        )
    return rows


def packed_columns(codec: GenotypesCodec, text: bytes) -> bytes:
    """What was called at the sites of a base; all else that stands in the text is not even counted."""
    rows = {
        tuple(fields[:3]): b"".join(fields[3:]) for fields in map(bytes.split, text.splitlines()) if len(fields) > 3
    }
    calls = [dosage_of(rows.get(site, b""), *alleles) for site, *alleles in sites_of(codec)]
    fours = (calls[at : at + 4] for at in range(0, len(calls), 4))
    columns = bytes(sum(call << 2 * place for place, call in enumerate(four)) for four in fours)
    return zstandard.ZstdCompressor(level=22).compress(columns)


def dosage_of(call: bytes, first: bytes, second: bytes) -> int:
    """How many of a call's two alleles are the second one."""
    return call.count(second) if len(call) == 2 and not call.strip(first + second) else NOTHING


def sites_of(codec: GenotypesCodec) -> Iterator[tuple[tuple[bytes, ...], bytes, bytes]]:
    """Of each site of a base its name, chromosome and position, and its two alleles."""
    for line in codec.sites().splitlines():
        *site, first, second = line.split(b"\t")
        yield tuple(site), first, second
