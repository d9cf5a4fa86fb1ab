"""`edgehold bench store`, the container: rows read without the rest, versions, and how fast stored bytes are verified
and opened."""

from __future__ import annotations

import gzip
import json
import os
import time
from collections import Counter
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from edgehold.bench.measure import Row, Work, interleave, make_row
from edgehold.codecs.events import MISSING_TIME
from edgehold.codecs.segments import values_of
from edgehold.codecs.tables.form import schema_of
from edgehold.codecs.tables.genotypes import SCHEMA as GENOTYPES
from edgehold.demo.world import read_cohort
from edgehold.durable import remove_database
from edgehold.errors import EdgeholdError
from edgehold.hub.intake.fhir import is_fhir
from edgehold.hub.intake.kinds import format_of
from edgehold.hub.intake.take_in import import_file
from edgehold.hub.sealed import CHUNK
from edgehold.hub.store import Store
from edgehold.hub.tables import Rows, derive_tables
from edgehold.system import SystemRandomness
from edgehold.wire.data import Kind

NEW_ENTRIES: Final = 30
"""What a new version has more than the one before."""
YEAR: Final = 31_557_600
GENE: Final = 50_000
"""Bases."""
ALONE: Final = "the same record, stored by itself"
OBJECT: Final = "all bytes that are stored of the object"
BARE: Final = "AES-256-GCM of the same bytes in memory"


def measure_container(work: Work) -> list[Row]:
    """The figures of the container: on the FHIR records of the folder `--data`, or on one person of the cohort."""
    work.say("the container")
    with Store.create(work.folder / "container.sqlite", os.urandom(32), SystemRandomness()) as store:
        rows = [row for name, record in records_of(work) for row in measure_record(work, store, name, record)]
        rows += [row for path in genotypes_of(work) for row in measure_gene(work, store, path)]
    return [*rows, measure_opening(work)]


def records_of(work: Work) -> list[tuple[str, bytes]]:
    """Records of one document each that have a long history."""
    paths = [] if work.data is None else sorted(work.data.rglob("*.json"))
    found = [(path.name, path.read_bytes()) for path in paths if path.stat().st_size >= 1 << 20 and is_fhir(path)]
    return found or [("a person of the cohort", next(islice(read_cohort(None), 3, None)))]


def measure_record(work: Work, store: Store, name: str, record: bytes) -> list[Row]:
    """A version that has a few entries more, and one year of the code that the record has most of."""
    work.say(f"the container: {name}")
    bundle = json.loads(record)
    before = json.dumps(bundle | {"entry": bundle["entry"][:-NEW_ENTRIES]}, indent=2).encode()
    after = json.dumps(bundle, indent=2).encode()
    randomness, stem = SystemRandomness(), f"{name} in versions"
    alone, _ = store.put_object(record, name=name, kind=Kind.EHR, tables=derive_tables(record), randomness=randomness)
    store.put_object(before, name=stem, kind=Kind.EHR, randomness=randomness)
    next_, _ = store.put_object(after, name=stem, kind=Kind.EHR, randomness=randomness)
    for one in (before, after):
        packed, _ = store.put_object(gzip.compress(one), name=f"{stem}, packed", kind=Kind.EHR, randomness=randomness)

    files = store.table(alone.id)
    codes, times = values_of("code.u32", files["code.u32"]), values_of("time.i64", files["time.i64"])
    dated = [(code, moment) for code, moment in zip(codes, times, strict=True) if moment != MISSING_TIME]
    code = Counter(code for code, _ in dated).most_common(1)[0][0]
    start = max(moment for one, moment in dated if one == code) // YEAR * YEAR
    where = {"code.u32": (code, code), "time.i64": (start, start + YEAR - 1)}
    columns = ["time.i64", "value.f64"]
    read = store.read_rows(alone.id, columns, where, randomness)
    found = time_rows(work, lambda: store.read_rows(alone.id, columns, where, randomness))
    held = store.get_object(alone.id)
    years = (max(moment for _, moment in dated) - min(moment for _, moment in dated)) // YEAR
    return [
        make_row(f"{name}: {NEW_ENTRIES} new entries", "B", [next_.kept], ALONE, [fresh_size(work, after)]),
        make_row(
            f"{name}: {NEW_ENTRIES} new entries, in gzip",
            "B",
            [packed.kept],
            ALONE,
            [fresh_size(work, gzip.compress(after))],
        ),
        make_row(f"{name}, {years} years: one of a code, read", "B", [read.read], OBJECT, [held.kept + held.cached]),
        make_row(f"{name}: one year of a code", "ms", found),
    ]


def time_rows(work: Work, read: Callable[[], Rows]) -> list[float]:
    """Milliseconds of reading some rows, round by round."""

    def milliseconds() -> float:
        begun = time.perf_counter()
        read()
        return 1000 * (time.perf_counter() - begun)

    return interleave(work.runs, {"one": milliseconds})["one"]


def genotypes_of(work: Work) -> list[Path]:
    """The files of genotypes in the folder `--data`."""
    paths = [] if work.data is None else sorted(work.data.rglob("*"))
    return [path for path in paths if path.is_file() and is_genotype(path)]


def is_genotype(path: Path) -> bool:
    """Whether a file holds genotypes; one that cannot be read does not."""
    try:
        return format_of(path).kind is Kind.GENOTYPE
    except EdgeholdError:
        return False


def measure_gene(work: Work, store: Store, path: Path) -> list[Row]:
    """As many bases as a gene has, around the one in the middle of the table, without the rest of it."""
    work.say(f"the container: {path.name}")
    randomness = SystemRandomness()
    (held,) = import_file(store, path, randomness=randomness).added
    if held.descriptor.schema != GENOTYPES:
        return []  # sites without a person
    files = store.table(held.id)
    positions, chromosomes = values_of("position.u32", files["position.u32"]), files["chromosome.u8"]
    middle = len(positions) // 2
    chromosome, start = chromosomes[middle], max(0, positions[middle] - GENE // 2)
    where = {
        "chromosome.u8": (chromosome, chromosome),
        "position.u32": (0, start + GENE),
        "end.u32": (start, 2**32 - 1),
    }
    columns = [column["file"] for column in schema_of(files)["columns"]]
    read = store.read_rows(held.id, columns, where, randomness)
    found = time_rows(work, lambda: store.read_rows(held.id, columns, where, randomness))
    held = store.get_object(held.id)
    name = f"{path.name}, {len(positions):,} rows: {len(read.columns['dosage.u8'])} of a gene"
    return [
        make_row(f"{name}, read", "B", [read.read], OBJECT, [held.kept + held.cached]),
        make_row(name, "ms", found),
    ]


def fresh_size(work: Work, record: bytes) -> int:
    """What a record takes in a store of its own."""
    path = work.folder / "fresh.sqlite"
    with Store.create(path, os.urandom(32), SystemRandomness()) as store:
        found, _ = store.put_object(record, name="fresh", kind=Kind.EHR, randomness=SystemRandomness())
    remove_database(path)
    return found.kept


def measure_opening(work: Work) -> Row:
    """Gigabytes a second of stored bytes at rest that are read, verified and opened, on one core."""
    size = (4 if work.quick else 32) << 20
    data = os.urandom(size)
    path, hub_key, randomness = work.folder / "noise.sqlite", os.urandom(32), SystemRandomness()
    with Store.create(path, hub_key, randomness) as store:
        found, _ = store.put_object(data, name="noise", kind=Kind.OTHER, randomness=randomness)
    key, pieces = os.urandom(32), [data[at : at + CHUNK] for at in range(0, size, CHUNK)]
    sealed = [AESGCM(key).encrypt(bytes(12), piece, None) for piece in pieces]

    def bare() -> None:
        for piece in sealed:
            AESGCM(key).decrypt(bytes(12), piece, None)

    def rate(do: Callable[[], object]) -> Callable[[], float]:
        def run() -> float:
            begun = time.process_time()
            do()
            return size / 1e9 / (time.process_time() - begun)

        return run

    with Store.open(path, hub_key) as store:
        rates = interleave(work.runs, {"store": rate(lambda: store.check_stored(found.id)), "bare": rate(bare)})
    return make_row("stored bytes verified and opened", "GB/s", rates["store"], BARE, rates["bare"])
