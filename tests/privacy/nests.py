"""Canaries in every kind of file that a hub takes in."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from canaries import plant

from edgehold.demo.world import read_cohort
from edgehold.wire.data import Kind

DATA = Path(__file__).parents[1] / "data"

TEXTS = {
    "lines/array.txt": (Kind.GENOTYPE, "# {}\n"),
    "lines/small.vcf": (Kind.GENOTYPE, "##note={}\n"),
    "lines/observations.csv": (Kind.LAB, "1969-02-07T16:29:56Z,a,b,vital-signs,8302-2,{},48.2,cm,numeric\n"),
    "lines/minutes.csv": (Kind.WEARABLE, "2016-04-02 09:49:00,75,1,{}\n"),
    "lines/export.xml": (Kind.WEARABLE, '<Record type="{}" sourceName="a" startDate="b" endDate="c"/>\n'),
    "samples/100.hea": (Kind.SIGNAL, "# {}\n"),
    "lines/README.md": (Kind.OTHER, "{}\n"),
}
"""Files of lines: of which kind, and a line with room for a canary."""

SAMPLES = {"samples/100.dat": Kind.SIGNAL, "samples/CT_small.dcm": Kind.IMAGE}
"""Files of numbers, in the middle of which there is room for text too."""


def build(folder: Path, canaries: list[str]) -> Iterator[tuple[Path, Kind, int]]:
    """Files of all kinds with all of these canaries, and how many each has."""
    left = iter(canaries)
    share = len(canaries) // (len(TEXTS) + len(SAMPLES) + 1)
    for name, (kind, line) in TEXTS.items():
        content = (DATA / name).read_bytes()
        content = content[: content.rindex(b"\n") + 1]
        if name.endswith((".txt", ".vcf")):  # what begins with a comment goes on with one
            head, _, rest = content.partition(b"\n")
        elif name.endswith(".xml"):
            head, _, rest = content.rpartition(b"\n</")
            rest = b"</" + rest
        else:
            head, rest = content.rstrip(b"\n"), b""
        lines = "".join(line.format(next(left)) for _ in range(share)).encode()
        yield _written(folder / Path(name).name, head + b"\n" + lines + rest), kind, share
    for name, kind in SAMPLES.items():
        content = (DATA / name).read_bytes()
        nest = "".join(next(left) for _ in range(share)).encode()
        at = len(content) // 2
        yield _written(folder / Path(name).name, content[:at] + nest + content[at + len(nest) :]), kind, share
    rest_of_them = list(left)
    people = (bundle for bundle in read_cohort(None) if len(json.loads(bundle)["entry"]) > 100)
    planted, count = plant(next(people), rest_of_them)
    assert count == len(rest_of_them)
    yield _written(folder / "record.json", planted), Kind.EHR, count


def _written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path
