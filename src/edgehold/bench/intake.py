"""`edgehold bench store`, the import: how much memory it takes to take in large files of many kinds, in a process of its
own, and how fast that goes."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Final

from edgehold.bench.measure import Row, Work, make_row
from edgehold.errors import Unavailable
from edgehold.hub.intake.take_in import import_file
from edgehold.hub.store import Store
from edgehold.system import SystemRandomness, return_large_pieces

LARGE, QUICK = 1 << 25, 1 << 17
"""Bytes of one file."""
EACH, QUICK_EACH = 4, 1
"""Files of each kind."""
MEGABYTE: Final = 1e6


def measure_import(work: Work) -> list[Row]:
    """Files of every kind are made and taken in one after another; the largest memory that the process had, and what
    was taken in each second of its processor's time."""
    work.say("the memory of an import")
    folder = work.folder / "large"
    folder.mkdir()
    files = make_files(folder, QUICK if work.quick else LARGE, QUICK_EACH if work.quick else EACH)
    command = [sys.executable, "-m", "edgehold.bench.intake", str(work.folder / "large.sqlite")]
    done = subprocess.run([*command, *map(str, files)], capture_output=True, check=False)  # noqa: S603
    if done.returncode:
        raise Unavailable(f"the import ended with {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}")
    said = json.loads(done.stdout)
    size = sum(path.stat().st_size for path in files) / MEGABYTE
    return [
        make_row(f"import memory, {len(files)} files of {size:,.0f} MB", "MB", [said["memory"] / MEGABYTE]),
        make_row("import memory: the process before the first file", "MB", [said["before"] / MEGABYTE]),
        make_row("imported", "MB/s", [size / said["seconds"]]),
    ]


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def make_files(folder: Path, size: int, each: int) -> list[Path]:
    """So many large files of each kind, none like another."""
    made = []
    for name, make in KINDS.items():
        for number in range(each):
            path = folder / f"{number}-{name}"
            make(path, size, Random(f"{name} {number}"))  # noqa: S311
            made.append(path)
    return made


def records(dice: Random) -> Iterator[bytes]:
    """A person's weights and heights as FHIR, one resource a line."""
    yield b'{"resourceType":"Patient","id":"1","birthDate":"1980-02-03"}\n'
    while True:
        number = dice.randrange(10**9)
        code = dice.choice(["29463-7", "8302-2"])
        yield (
            b'{"resourceType":"Observation","id":"%d","status":"final","code":{"coding":[{"system":"http://loinc.org",'
            b'"code":"%s"}]},"subject":{"reference":"Patient/1"},"effectiveDateTime":"20%02d-0%d-1%d","valueQuantity":'
            b'{"value":%d.%d,"unit":"kg"}}\n'
            % (number, code.encode(), number % 24, number % 9 + 1, number % 10, number % 50 + 50, number % 10)
        )


def measurements(dice: Random) -> Iterator[bytes]:
    """A table of a laboratory."""
    yield b"date,loinc,value,unit\n"
    while True:
        number = dice.randrange(10**9)
        yield b"2024-0%d-1%d,%d-%d,%d.%d,mmol/L\n" % (
            number % 9 + 1,
            number % 10,
            number % 900,
            number % 10,
            number % 77,
            number % 100,
        )


def variants(dice: Random) -> Iterator[bytes]:
    """Variants in VCF."""
    yield b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tS\n"
    place = 1
    while True:
        place += dice.randrange(1, 2000)
        yield b"chr1\t%d\t.\t%c\t%c\t%d\tPASS\tDP=%d\tGT\t0/1\n" % (
            place,
            *dice.sample(b"ACGT", 2),
            dice.randrange(100),
            dice.randrange(60),
        )


def noise(dice: Random) -> Iterator[bytes]:
    """Bytes of no format."""
    while True:
        yield dice.randbytes(1 << 16)


def samples(dice: Random) -> Iterator[bytes]:
    """Something as a sensor says it, sixteen bits a sample."""
    value = 0
    while True:
        value = max(-30_000, min(30_000, value + dice.randrange(-40, 41)))
        yield value.to_bytes(2, "little", signed=True)


def plain(lines: Callable[[Random], Iterator[bytes]]) -> Callable[[Path, int, Random], None]:
    """Files that hold such lines."""

    def make(path: Path, size: int, dice: Random) -> None:
        with path.open("wb") as file:
            write_up_to(file.write, lines(dice), size)

    return make


def gzipped(lines: Callable[[Random], Iterator[bytes]]) -> Callable[[Path, int, Random], None]:
    """Files that hold such lines packed, so many bytes unpacked."""

    def make(path: Path, size: int, dice: Random) -> None:
        with gzip.open(path, "wb", compresslevel=6) as file:
            write_up_to(file.write, lines(dice), size)

    return make


def make_zip(path: Path, size: int, dice: Random) -> None:
    """A ZIP file of two tables."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name in ("one.csv", "two.csv"):
            with file.open(name, "w") as part:
                write_up_to(part.write, measurements(dice), size // 2)


def write_up_to(write: Callable[[bytes], object], lines: Iterator[bytes], size: int) -> None:
    """Lines until there are so many bytes."""
    for line in lines:
        write(line)
        size -= len(line)
        if size <= 0:
            return


KINDS: Final[Mapping[str, Callable[[Path, int, Random], None]]] = {
    "records.ndjson": lambda path, size, dice: plain(records)(path, min(size, 15 << 20), dice),
    "records.ndjson.gz": lambda path, size, dice: gzipped(records)(path, min(size, 15 << 20), dice),
    "laboratory.csv": plain(measurements),
    "variants.vcf": plain(variants),
    "variants.vcf.gz": gzipped(variants),
    "tables.zip": make_zip,
    "signal.dat": lambda path, size, dice: plain(samples)(path, size // 4, dice),
    "anything.bin": plain(noise),
}


# ── the process that imports ──────────────────────────────────────────────────────────────────────────────────────


def peak() -> int:
    """The most bytes that this process had in memory since it was this program: what `getrusage` says begins with the
    memory of the process that began it."""
    status = Path("/proc/self/status").read_text()
    lines = dict(line.split(":", 1) for line in status.splitlines())
    return int(lines["VmHWM"].split()[0]) << 10


def main() -> None:
    """Import files into a new store, and say how much memory that took."""
    return_large_pieces()
    place, *paths = map(Path, sys.argv[1:])
    before, begun = peak(), time.process_time()
    grown = {}
    with Store.create(place, os.urandom(32), SystemRandomness()) as store:
        for path in paths:
            import_file(store, path, randomness=SystemRandomness())
            grown[path.name] = peak()
    facts = {"memory": peak(), "before": before, "after": grown, "seconds": time.process_time() - begun}
    sys.stdout.write(json.dumps(facts))


if __name__ == "__main__":
    main()
