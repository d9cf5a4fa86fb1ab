"""Makes the public dictionary that FHIR records are encoded against, and puts it into the package.

    python tools/train_dictionary.py BUNDLE.json… RESOURCES.ndjson…

The input is public and synthetic, and holds none of the people that the package is tried on: what is in a dictionary is
in every copy of it. Resources are cut to the types that records here have and trained one by one, spelled without
spaces, as most programs write them. The output is named by its digest; put it into
`edgehold.codecs.general.SHIPPED_BASE`.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import zstandard

from edgehold.codecs.general import DICTIONARIES, LEVEL, dictionary_digest

TYPES = frozenset(
    {
        "AllergyIntolerance",
        "Condition",
        "Encounter",
        "Immunization",
        "MedicationRequest",
        "Observation",
        "Patient",
        "Procedure",
    }
)
SIZE = 1 << 18


def entries(path: Path) -> Iterator[dict[str, Any]]:
    """The entries of a bundle, or the lines of an NDJSON file each as an entry, of the types that are kept."""
    if path.suffix == ".ndjson":
        found = [{"resource": json.loads(line)} for line in path.read_text().splitlines()]
    else:
        found = json.loads(path.read_text())["entry"]
    return (entry for entry in found if entry["resource"]["resourceType"] in TYPES)


def main(paths: list[Path]) -> None:
    """Train, name and write."""
    kept = [entry for path in paths for entry in entries(path)]
    samples: list[bytes | bytearray | memoryview[int]] = [
        json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode() for entry in kept
    ]
    dictionary = zstandard.train_dictionary(SIZE, samples, level=LEVEL).as_bytes()
    digest = dictionary_digest(dictionary)
    target = DICTIONARIES / f"{digest.hex()}.zstd-dict"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(dictionary)
    sys.stdout.write(f"{len(dictionary)} bytes from {len(samples)} resources: {target}\n")


if __name__ == "__main__":
    main([Path(argument) for argument in sys.argv[1:]])
