"""Makes the public dictionary that the outlines of tables are packed with, and puts it into the package.

    python -m tools.train_table_dictionary COHORT.ndjson.zst FILE…

Of the cohort the outlines of people who stand at odd places are taken: figures are measured on every tenth, from the first
on. Of each FILE, one of every other kind of table, only its schema is. The output is named by its digest; put it into
`edgehold.codecs.general.TABLES_BASE`.
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path

import zstandard

from edgehold.codecs.general import DICTIONARIES, LEVEL, dictionary_digest
from edgehold.codecs.segments import SCHEMA, cut
from edgehold.demo.world import read_cohort
from edgehold.hub.intake.derive import derive_table
from edgehold.hub.intake.kinds import format_of, header_beside
from edgehold.hub.tables import derive_tables
from edgehold.wire.codec import encode

SIZE = 1 << 14
TIMES = 8
"""How often a schema is shown to the trainer, which passes over what it sees once."""


def outlines_of(cohort: Path) -> list[bytes]:
    """The outlines of every second person."""
    return [encode(cut(derive_tables(record))[0]) for record in islice(read_cohort(cohort), 1, None, 2)]


def schema_of(path: Path) -> bytes:
    """What the schema of a file's table says."""
    made = derive_table([path.read_bytes()], kind=format_of(path).kind, name=path.name, header=header_beside(path))
    if made is None:
        raise SystemExit(f"{path} has no table")
    return made.files[SCHEMA]


def main(cohort: Path, files: list[Path]) -> None:
    """Train, name and write."""
    schemas = sorted({schema_of(path) for path in files})
    samples: list[bytes | bytearray | memoryview[int]] = [*outlines_of(cohort), *schemas * TIMES]
    dictionary = zstandard.train_dictionary(SIZE, samples, level=LEVEL).as_bytes()
    target = DICTIONARIES / f"{dictionary_digest(dictionary).hex()}.zstd-dict"
    target.write_bytes(dictionary)
    sys.stdout.write(f"{len(dictionary)} bytes from {len(samples)} outlines and schemas: {target}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(argument) for argument in sys.argv[2:]])
