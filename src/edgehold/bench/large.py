"""`edgehold bench large`: a hub with five gigabytes of mixed data: what it takes in memory and time to import them, to
check them, to write them out again, to say what is there, and to wait.

The files are grown from those of the folder `--data`, one of each kind: copies one after another, each with other dates,
places or order, so that no two have the same bytes. Each step is a process of its own, run as a person runs it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path
from random import Random
from tempfile import TemporaryFile
from typing import Final

from edgehold.bench.measure import Row, Work, make_row
from edgehold.codecs.dicom import find_pixels
from edgehold.errors import Unavailable

MEGABYTE: Final = 1e6
BLOCK: Final = 0xFF00
"""Bytes of text in a block of bgzip."""
BLOCK_HEAD: Final = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff\x06\0BC\x02\0"
LAST_BLOCK: Final = bytes.fromhex("1f8b08040000000000ff0600424302001b0003000000000000000000")
IMPORT_LIMIT, IDLE_LIMIT = 400, 120
"""Megabytes that a process may have in memory."""
WAIT: Final = (
    "import sys, time; from pathlib import Path; from edgehold.cli.hub import opened\n"
    "with opened(Path(sys.argv[1])) as (own, _, _):\n    own.store.objects(); own.policy; time.sleep(2)\n"
)
"""A hub that is open and has nothing to do."""


@dataclass(frozen=True)
class Ran:
    """A process that ended well."""

    memory: float
    """Megabytes that it had in memory at most."""
    processor: float
    """Seconds of its processor's time."""
    seconds: float


def measure(work: Work) -> list[Row]:
    """Every figure of a large hub."""
    if work.data is None:
        raise Unavailable("this bench grows its files from those of a folder: say --data FOLDER")
    source, network, home, out = (work.folder / name for name in ("files", "network", "hub", "out"))
    source.mkdir()
    for name, (share, grow) in KINDS.items():
        work.say(f"a large {name}")
        size = int(share * (1e8 if work.quick else 5e9))
        write_up_to(source / name, grow(work.data, size), size)
        for header in work.data.rglob(Path(name).with_suffix(".hea").name):
            (source / header.name).write_bytes(header.read_bytes())
    sizes = {path.name: path.stat().st_size for path in source.iterdir()}
    total = sum(sizes.values()) / MEGABYTE
    run(["demo", "--hubs", "6", "--dir", str(network)])
    run(["hub", "init", "--network", str(network), "--hub", str(home)])
    steps = {
        "imported": ["hub", "import", str(source), "--hub", str(home), "--json"],
        "shown": ["hub", "show", "--hub", str(home), "--json"],
        "checked": ["hub", "check", "--hub", str(home), "--json"],
        "written out": ["hub", "export", "--original", "--out", str(out), "--hub", str(home), "--json"],
    }
    rows = []
    for step, command in steps.items():
        work.say(step)
        found = run(command)
        limit = [float(IMPORT_LIMIT)] if step == "imported" else []
        words = "what it may take" if limit else None
        rows += [
            make_row(f"{len(sizes)} files of {total:,.0f} MB, {step}: memory", "MB", [found.memory], words, limit),
            make_row(f"{step}: by processor time", "MB/s", [total / found.processor]),
            make_row(f"{step}: by the clock", "s", [found.seconds]),
        ]
    if differ := [path.name for path in source.iterdir() if digest_of(path) != digest_of(out / path.name)]:
        raise Unavailable(f"these came back as others: {', '.join(differ)}")
    kept = sum(path.stat().st_size for path in home.iterdir()) / MEGABYTE
    idle = run_python(["-c", WAIT, str(home)])
    return [
        *rows,
        make_row("the hub's folder", "MB", [kept], "its files as they came", [total]),
        make_row("a hub that waits: memory", "MB", [idle.memory], "what it may take", [float(IDLE_LIMIT)]),
    ]


def digest_of(path: Path) -> bytes:
    """The digest of a file of any size."""
    found = sha256()
    with path.open("rb") as file:
        while piece := file.read(1 << 20):
            found.update(piece)
    return found.digest()


# ── processes ─────────────────────────────────────────────────────────────────────────────────────────────────────


def run(arguments: list[str]) -> Ran:
    """One command of ours; raises `Unavailable` if it fails."""
    return run_python(["-m", "edgehold.cli", *arguments])


def run_python(arguments: list[str]) -> Ran:
    """One process: its memory is looked at ten times a second, since the system counts what it began with too."""
    begun, most, ended = time.monotonic(), 0, 0
    with TemporaryFile() as said:
        process = subprocess.Popen([sys.executable, *arguments], stdout=subprocess.DEVNULL, stderr=said)  # noqa: S603
        while not ended:
            most = max(most, peak_of(process.pid))
            time.sleep(0.1)
            ended, status, used = os.wait4(process.pid, os.WNOHANG)
        process.returncode = os.waitstatus_to_exitcode(status)
        said.seek(0)
        words = said.read().decode(errors="replace")[-500:]
    if status:
        raise Unavailable(f"{' '.join(arguments[:4])} ended with {process.returncode}: {words}")
    return Ran(most / MEGABYTE, used.ru_utime + used.ru_stime, time.monotonic() - begun)


def peak_of(process: int) -> int:
    """The most bytes that a process had in memory so far; 0 if it has ended."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())
    return int(lines.get("VmHWM", "0").split()[0]) << 10


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def write_up_to(path: Path, pieces: Iterator[bytes], size: int) -> None:
    """A file of some more bytes than these."""
    with path.open("wb") as file:
        for piece in pieces:
            file.write(piece)
            if file.tell() >= size:
                return


def found_in(data: Path, name: str) -> bytes:
    """A file of the folder; raises `Unavailable`."""
    path = next(iter(sorted(data.rglob(name))), None)
    if path is None:
        raise Unavailable(f"there is no file {name} in {data}")
    return path.read_bytes()


def grow_variants(data: Path, size: int) -> Iterator[bytes]:
    """A VCF of many chromosomes' length: the same variants, ever further on."""
    text = unpacked(found_in(data, "NA12878_NIST_chr21.vcf.gz"))
    end = text.rindex(b"\n#CHROM")
    end = text.index(b"\n", end + 1) + 1
    yield text[:end]
    lines = [line.split(b"\t", 2) for line in text[end:].splitlines(keepends=True)]
    for copy in count():
        name, shift = b"chr%d" % (copy % 22 + 1), copy // 22 * 48_000_000 + copy
        yield b"".join(b"%b\t%d\t%b" % (name, int(place) + shift, rest) for _, place, rest in lines)


def grow_blocks(data: Path, size: int) -> Iterator[bytes]:
    """The same as bgzip."""
    held = b""
    for piece in grow_variants(data, size):
        held += piece
        while len(held) >= BLOCK:
            text, held = held[:BLOCK], held[BLOCK:]
            stream = zlib.compressobj(6, zlib.DEFLATED, -15)
            packed = stream.compress(text) + stream.flush()
            length = (len(packed) + 25).to_bytes(2, "little")
            yield BLOCK_HEAD + length + packed + zlib.crc32(text).to_bytes(4, "little") + BLOCK.to_bytes(4, "little")


def unpacked(data: bytes) -> bytes:
    """What all members of a gzip file hold."""
    found = b""
    while data:
        stream = zlib.decompressobj(31)
        found += stream.decompress(data)
        data = stream.unused_data
    return found


def grow_export(data: Path, size: int) -> Iterator[bytes]:
    """An Apple Health export of many years."""
    text = found_in(data, "apple_export_A.xml")
    first = text.index(b" <Record")
    yield text[:first]
    lines = text[first : text.rindex(b"</HealthData>")]
    for copy in count():
        yield lines.replace(b'"2016-', b'"%d-' % (1900 + copy % 200))


def grow_table(data: Path, size: int) -> Iterator[bytes]:
    """Minutes of many years."""
    header, _, lines = found_in(data, "fitbit_minutes_A.csv").partition(b"\n")
    yield header + b"\n"
    for copy in count():
        yield lines.replace(b"2016-", b"%d-" % (1000 + copy))


def grow_records(data: Path, size: int) -> Iterator[bytes]:
    """Resources, one a line, of one person."""
    entries = json.loads(found_in(data, "synthea330_alla.json"))["entry"]
    resources = [one["resource"] for one in entries]
    lines = [json.dumps(one, separators=(",", ":")).encode() + b"\n" for one in resources]
    is_person = [one["resourceType"] == "Patient" for one in resources]
    yield b"".join(line for line, person in zip(lines, is_person, strict=True) if person)
    rest = b"".join(line for line, person in zip(lines, is_person, strict=True) if not person)
    for copy in count():
        yield rest.replace(b'"id":"', b'"id":"%x-' % copy, -1)


def grow_samples(data: Path, size: int) -> Iterator[bytes]:
    """A signal of many days: stretches of one, shuffled anew each time."""
    samples = found_in(data, "100.dat")
    stretches = [samples[at : at + 3000] for at in range(0, len(samples), 3000)]
    for copy in count():
        Random(copy).shuffle(stretches)  # noqa: S311
        yield b"".join(stretches)


def grow_frames(data: Path, size: int) -> Iterator[bytes]:
    """An image of many frames: one, moved on by some lines each time. Its header says how many bytes they have."""
    image = found_in(data, "MR2_UNCR.dcm")
    pixels = find_pixels(image)
    if pixels is None:
        raise Unavailable("MR2_UNCR.dcm has no native pixels")
    frame = image[pixels.start : pixels.start + pixels.size]
    line = pixels.columns * pixels.channels * pixels.bits // 8
    frames = max(size // len(frame), 1)
    yield image[: pixels.start - 4] + (len(frame) * frames).to_bytes(4, "little")
    for copy in range(frames):
        at = copy % pixels.rows * line
        yield frame[at:] + frame[:at]


def grow_anything(data: Path, size: int) -> Iterator[bytes]:
    """Bytes of no format: half of them noise, half words."""
    words = found_in(data, "README.md")
    for copy in count():
        yield Random(copy).randbytes(len(words)) + words  # noqa: S311


KINDS: Final[Mapping[str, tuple[float, Callable[[Path, int], Iterator[bytes]]]]] = {
    "genome.vcf": (0.16, grow_variants),
    "genome.vcf.gz": (0.04, grow_blocks),
    "export.xml": (0.24, grow_export),
    "minutes.csv": (0.04, grow_table),
    "records.ndjson": (0.04, grow_records),
    "100.dat": (0.08, grow_samples),
    "frames.dcm": (0.12, grow_frames),
    "anything.bin": (0.28, grow_anything),
}
"""Of each file its share of the bytes, and how it is made."""
