"""What kind of data a file holds: known by how it begins or, of a signal, by the header beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Final

from edgehold.codecs.choice import Cut, Profile, cut_for
from edgehold.codecs.cuts import BLOCK_HEAD, content_of_blocks
from edgehold.codecs.dicom import is_dicom
from edgehold.codecs.packs import GZIP, MOST_UNPACKED, is_block, is_pack, most_inside, zip_members
from edgehold.codecs.parts import parts_of
from edgehold.codecs.recognise import recognise, title_of
from edgehold.durable import storage_failures
from edgehold.errors import IntakeError, IntakeLimit, UnknownFormat
from edgehold.hub.intake.derive import HEADER
from edgehold.hub.intake.fhir import ZSTD_MAGIC, is_fhir
from edgehold.hub.intake.packs import holds_more, look_inside
from edgehold.wire.data import Kind

SAMPLE = 1 << 12
MOST_BYTES = 1 << 26
"""Of one file that is taken in at once; a larger one is taken in part by part."""
PIECE = 1 << 18
"""Bytes that are read at once where nothing is cut."""
SAMPLE_OF_LARGE = 1 << 20
"""By which it is found out how to cut it."""
TEXTS: Final = frozenset({Kind.LAB, Kind.WEARABLE, Kind.GENOTYPE})
"""Kinds whose files are texts, unless they are packed."""

WFDB_HEADER = re.compile(rb"\s*(?:#.*\s+)*[\w-]+(?:/\d+)?[ \t]+\d+(?:[ \t]+[\d.]+.*)?\r?\n\s*(?:#.*\s+)*\S+[ \t]+\d+")
"""The record line of a WFDB header, and how the line of its first signal or segment begins (header(5))."""


@dataclass(frozen=True)
class Format:
    """What a file is, by how it begins."""

    kind: Kind
    title: str
    """For people, for example `VCF in bgzip`."""
    is_packed: bool = False
    """It is gzip, bgzip or ZIP."""

    @property
    def is_text(self) -> bool:
        """Whether it is a text, in which no zero can be."""
        return self.kind in TEXTS and not self.is_packed


def kind_of(path: Path) -> Kind:
    """The kind of a file, see `format_of`."""
    return format_of(path).kind


def format_of(path: Path) -> Format:
    """What a file is; of `Kind.OTHER` if it is of no format that hubs know.

    Raises `UnknownFormat` if it is empty, `IntakeError` if it cannot be read.
    """
    sample = _read(path, SAMPLE)
    if not sample:
        raise UnknownFormat(f"{path.name}: is empty")
    if is_pack(sample):
        with _mapped(path) as data:
            inside = look_inside(data)
        return Format(inside.kind, f"{inside.title} in {inside.pack}", is_packed=True)
    if is_dicom(sample):
        return Format(Kind.IMAGE, "DICOM")
    if is_fhir(path):
        return Format(Kind.EHR, "FHIR in zstd" if sample.startswith(ZSTD_MAGIC) else "FHIR")
    if _is_header(path, sample) or _has_header(path):
        return Format(Kind.SIGNAL, "WFDB")
    kind = recognise(sample) or Kind.OTHER
    return Format(kind, title_of(kind, sample))


def read_whole(path: Path, *, is_text: bool) -> bytes:
    """The bytes of a file; raises `IntakeLimit` if they are more than a hub takes in at once, `UnknownFormat` if a text
    holds a zero."""
    data = _read(path, MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise IntakeLimit(f"{path.name}: /: more than {MOST_BYTES} bytes")
    if is_text and b"\0" in data:
        raise UnknownFormat(f"{path.name}: byte {data.index(0)}: a zero, which no text has")
    return data


def is_large(path: Path, form: Format) -> bool:
    """Whether a file is taken in part by part: it is larger than what is read at once, or it is packed and holds more."""
    if size_of(path) > MOST_BYTES:
        return True
    if not form.is_packed:
        return False
    start = _read(path, BLOCK_HEAD)
    with _readable(path), path.open("rb") as file:
        if is_block(start, is_first=True):
            return content_of_blocks(file) > MOST_UNPACKED
        if start.startswith(GZIP):
            return holds_more(parts_of(file))
    with _mapped(path) as data, suppress(IntakeError):
        return sum(one.size for one in zip_members(data, "", most_inside(len(data)))) > MOST_UNPACKED
    return False


def header_beside(path: Path) -> bytes | None:
    """The header of the record that a file of a signal belongs to, if it lies beside it."""
    header = path.with_suffix(HEADER)
    return read_whole(header, is_text=False) if header != path and header.is_file() else None


def cut_of(path: Path, kind: Kind, profile: Profile) -> Cut:
    """How to cut a large file."""
    return cut_for(_read(path, SAMPLE_OF_LARGE), size_of(path), kind, profile)


def read_parts(path: Path, cut: Cut, *, is_text: bool) -> Iterator[bytes]:
    """The parts of a large file; raises `IntakeError`, `UnknownFormat` if a text holds a zero."""
    at = 0
    with _readable(path), path.open("rb") as file:
        for part in cut.parts(file):
            if is_text and b"\0" in part:
                raise UnknownFormat(f"{path.name}: byte {at + part.index(0)}: a zero, which no text has")
            at += len(part)
            yield part


def read_pieces(path: Path) -> Iterator[bytes]:
    """The bytes of a file of any size, few at a time; raises `IntakeError`."""
    with _readable(path), path.open("rb") as file:
        while piece := file.read(PIECE):
            yield piece


def size_of(path: Path) -> int:
    """The bytes of a file; raises `IntakeError`."""
    with _readable(path):
        return path.stat().st_size


def _read(path: Path, most: int) -> bytes:
    with _readable(path), path.open("rb") as file:
        return file.read(most)


@contextmanager
def _mapped(path: Path) -> Iterator[mmap]:
    """A file as bytes that are read where they are looked at."""
    with _readable(path), path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as data:
        yield data


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        with storage_failures(path):
            yield
    except OSError as error:
        raise IntakeError(f"{path}: cannot be read: {error.strerror}") from error


def _is_header(path: Path, sample: bytes) -> bool:
    return path.suffix == HEADER and WFDB_HEADER.match(sample) is not None


def _has_header(path: Path) -> bool:
    """Whether a WFDB header of the same record lies beside a file: then this holds its signals or annotations."""
    header = path.with_suffix(HEADER)
    return header != path and header.is_file() and _is_header(header, _read(header, SAMPLE))
