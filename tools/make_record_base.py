"""Makes the public base that FHIR records are encoded against, and puts it into the package.

    python -m tools.make_record_base COHORT.ndjson.zst

Takes the people in the middle of a synthetic cohort by size, so that no one record is most of it. What is in a base is in
every copy of it: it is made from public data only, and figures are measured on others than its people. The output is
named by its digest; put it into `edgehold.codecs.record.RECORD_BASE`.
"""

from __future__ import annotations

import sys
from pathlib import Path

import zstandard

from edgehold.codecs.record import BASES, base_digest

PEOPLE = 8


def middle_of(records: list[bytes]) -> list[bytes]:
    """So many records around the median size, in the order of the cohort."""
    by_size = sorted(range(len(records)), key=lambda number: (len(records[number]), number))
    first = (len(records) - PEOPLE) // 2
    return [records[number] for number in sorted(by_size[first : first + PEOPLE])]


def main(cohort: Path) -> None:
    """Choose, name and write."""
    with zstandard.ZstdDecompressor().stream_reader(cohort.read_bytes()) as unpacked:
        records = unpacked.read().splitlines()
    documents = b"".join(record + b"\n" for record in middle_of(records))
    target = BASES / f"{base_digest(documents).hex()}.ndjson.zst"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(zstandard.ZstdCompressor(level=22).compress(documents))
    sys.stdout.write(f"{len(documents)} bytes of {PEOPLE} people, {target.stat().st_size} packed: {target}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
