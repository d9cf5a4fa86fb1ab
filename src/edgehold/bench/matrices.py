"""Part of `edgehold bench store`: sparse matrices beside the formats that others keep them in.

Two kinds: which of n people carry the rarer allele of which site, and which codes the events of which person have, and how
often. Every format holds the same rows, columns and entries, without the names of either, and is read back where it is ours.
A rival that is not installed (the extra `bench`) has a row without a figure.
"""

from __future__ import annotations

import io
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from importlib.util import find_spec
from itertools import islice, pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import zstandard

from edgehold.bench.measure import Row, Work, make_row
from edgehold.bench.rivals import NotTaken
from edgehold.codecs.genotypes import ARRAY_BASE, shipped_genotypes_codec
from edgehold.codecs.sparse import Sparse, decode_matrix, encode_matrix
from edgehold.demo.world import read_cohort
from edgehold.errors import Unavailable
from edgehold.hub.intake.fhir import read_original

PEOPLE: Final = 100
"""Of the cohort, whose events make a matrix."""
SITES: Final = 20_000
"""Of a panel, the first ones."""
CHUNK: Final = (1000, 10_000)
"""Sites and people of a chunk, as VCF-Zarr has them by default."""
MILLION: Final = 1e6


def measure(work: Work) -> list[Row]:
    """Every figure of matrices."""
    return [row for name, matrix in matrices_of(work) for row in measure_matrix(work, name, matrix)]


def matrices_of(work: Work) -> Iterator[tuple[str, Sparse]]:
    """The matrices there are, by name: events of the cohort, the panel of the shipped base, panels in the folder `--data`."""
    yield "events of people by code", events_by_code(8 if work.quick else PEOPLE)
    if not is_installed("numpy"):
        return
    sites = 200 if work.quick else SITES
    yield "rarer alleles of the shipped panel", carriers(*shipped_genotypes_codec(ARRAY_BASE).panel(), sites)
    for path in sorted(work.data.rglob("*panel.npz") if work.data else ()):
        yield f"rarer alleles of {path.name}", simulated_carriers(path, sites)


def events_by_code(people: int) -> Sparse:
    """How often each code is among a person's events; the commonest codes come first."""
    found = [
        Counter(event.code for event in read_original(record, "record").events())
        for record in islice(read_cohort(None), people)
    ]
    spread = Counter(code for person in found for code in person)
    columns = {code: place for place, code in enumerate(sorted(spread, key=lambda code: (-spread[code], code)))}
    return Sparse.of(len(columns), ({columns[code]: times for code, times in person.items()} for person in found))


def carriers(haplotypes: int, bits: bytes, sites: int) -> Sparse:
    """Of each haplotype of a panel the sites, of so many first ones, where it has the rarer allele; a site is so many bits."""
    import numpy as np

    packed = np.frombuffer(bits, np.uint8).reshape(-1, (haplotypes + 7) // 8)[:sites]
    return rarer(np.unpackbits(packed, axis=1, bitorder="little")[:, :haplotypes])


def simulated_carriers(path: Path, sites: int) -> Sparse:
    """The same of a panel in an archive of arrays: eight sites a byte, and how many sites."""
    import numpy as np

    with np.load(path) as arrays:
        return rarer(np.unpackbits(arrays["G"], axis=0)[: min(sites, len(arrays["pos"]))])


def rarer(panel: Any) -> Sparse:
    """A row of each haplotype, an entry where it has the rarer allele."""
    import numpy as np

    is_other = 2 * panel.sum(axis=1, keepdims=True, dtype=np.int64) > panel.shape[1]
    return Sparse.of(len(panel), (dict.fromkeys(np.flatnonzero(row).tolist(), 1) for row in (panel ^ is_other).T))


def measure_matrix(work: Work, name: str, matrix: Sparse) -> list[Row]:
    """One matrix: bytes beside every rival's, and the time ours takes."""
    work.say(name)
    entries, rows = len(matrix.places), len(matrix.starts) - 1
    begun = time.process_time()
    encoded = encode_matrix(matrix)
    written = time.process_time()
    if decode_matrix(encoded, rows + entries) != matrix:
        raise Unavailable("an encoding does not give back the matrix")
    read = time.process_time()
    title = f"{name}, {rows:,} by {matrix.columns:,}, {entries:,} entries"
    return [
        *(rival_row(title, len(encoded), rival, needs, size, matrix) for rival, (needs, size) in RIVALS.items()),
        make_row(f"{name}: entries encoded", "M/s", [entries / MILLION / (written - begun)]),
        make_row(f"{name}: entries decoded", "M/s", [entries / MILLION / (read - written)]),
    ]


def rival_row(
    title: str, ours: int, rival: str, needs: str | None, size: Callable[[Sparse], int], matrix: Sparse
) -> Row:
    """Our bytes beside a rival's, or beside none if it is not installed."""
    if needs is not None and not is_installed(needs):
        return make_row(title, "B", [ours], f"{rival}: {needs} is not installed")
    try:
        return make_row(title, "B", [ours], rival, [size(matrix)])
    except NotTaken:
        return make_row(title, "B", [ours], f"{rival}: takes nothing of the kind")


def is_installed(package: str) -> bool:
    """Whether a package of the extra can be imported."""
    return find_spec(package) is not None


# ── rivals ────────────────────────────────────────────────────────────────────────────────────────────────────────


def dense_bytes(matrix: Sparse) -> int:
    """Every entry, a byte each if that is enough for all, packed with zstd."""
    width = 1 if max(matrix.values, default=0) < 256 else 4
    packer = zstandard.ZstdCompressor(level=19).compressobj()
    size = 0
    for start, end in pairwise(matrix.starts):
        row = bytearray(matrix.columns * width)
        for place, value in zip(matrix.places[start:end], matrix.values[start:end], strict=True):
            row[place * width : place * width + width] = value.to_bytes(width, "little")
        size += len(packer.compress(bytes(row)))
    return size + len(packer.flush())


def rows_bytes(matrix: Sparse) -> int:
    """Compressed sparse rows as `scipy.sparse.save_npz` writes them: three arrays, deflated, each as narrow as it can be."""
    import numpy as np

    def narrow(numbers: Any) -> Any:
        found = np.array(numbers)
        return found.astype(np.min_scalar_type(int(found.max(initial=0))))

    target = io.BytesIO()
    np.savez_compressed(
        target,
        indptr=narrow(matrix.starts),
        indices=narrow(matrix.places),
        data=narrow(matrix.values),
        shape=np.array([len(matrix.starts) - 1, matrix.columns]),
        format=np.array(b"csr"),
    )
    return len(target.getvalue())


def parquet_bytes(matrix: Sparse) -> int:
    """A table of row, column and value, packed with zstd."""
    import pyarrow
    import pyarrow.parquet

    rows = [row for row, (start, end) in enumerate(pairwise(matrix.starts)) for _ in range(start, end)]
    columns: Mapping[str, Any] = {"row": rows, "column": list(matrix.places), "value": list(matrix.values)}
    table = pyarrow.table({name: pyarrow.array(numbers, pyarrow.uint32()) for name, numbers in columns.items()})
    target = pyarrow.BufferOutputStream()
    pyarrow.parquet.write_table(table, target, compression="zstd", compression_level=19)
    return int(target.getvalue().size)


def zarr_bytes(matrix: Sparse) -> int:
    """Sites by people in chunks, as VCF-Zarr keeps genotypes: Blosc with zstd and bits shuffled."""
    import numpy as np
    import zarr
    import zarr.codecs

    dense = np.zeros((matrix.columns, len(matrix.starts) - 1), np.min_scalar_type(max(matrix.values, default=0)))
    for row, (start, end) in enumerate(pairwise(matrix.starts)):
        dense[matrix.places[start:end], row] = matrix.values[start:end]
    store = zarr.storage.MemoryStore()
    packed = zarr.create_array(
        store,
        shape=dense.shape,
        chunks=tuple(min(one, most) for one, most in zip(dense.shape, CHUNK, strict=True)),
        dtype=dense.dtype,
        compressors=zarr.codecs.BloscCodec(cname="zstd", clevel=7, shuffle="bitshuffle"),
    )
    packed[:] = dense
    return sum(len(part) for part in store._store_dict.values())


def plink_bytes(matrix: Sparse) -> int:
    """PLINK 2's `.pgen`, of phased people of two rows each, without the file of sites; raises `NotTaken` for what is no
    allele, or not two a person."""
    import numpy as np
    import pgenlib

    people, odd = divmod(len(matrix.starts) - 1, 2)
    if odd or max(matrix.values, default=0) > 1:
        raise NotTaken
    carried: list[list[int]] = [[] for _ in range(matrix.columns)]
    for row, (start, end) in enumerate(pairwise(matrix.starts)):
        for place in matrix.places[start:end]:
            carried[place].append(row)
    with TemporaryDirectory() as folder:
        target = Path(folder, "one.pgen")
        writer = pgenlib.PgenWriter(
            bytes(target), people, variant_ct=matrix.columns, nonref_flags=False, hardcall_phase_present=True
        )
        for rows in carried:
            alleles = np.zeros(2 * people, np.int32)
            alleles[rows] = 1
            writer.append_alleles(alleles, all_phased=True)
        writer.close()
        return target.stat().st_size


RIVALS: Final[dict[str, tuple[str | None, Callable[[Sparse], int]]]] = {
    "every entry a byte, zstd 19": (None, dense_bytes),
    "compressed sparse rows in npz": ("numpy", rows_bytes),
    "Parquet, zstd 19": ("pyarrow", parquet_bytes),
    "VCF-Zarr": ("zarr", zarr_bytes),
    "PLINK 2, phased": ("pgenlib", plink_bytes),
}
"""What each needs, and how many bytes it takes."""
