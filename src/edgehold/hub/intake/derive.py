"""Which table an original has: one for each kind, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain
from pathlib import PurePath
from typing import Any, Final

import msgspec

from edgehold.codecs.packs import GZIP, is_pack
from edgehold.codecs.tables.annotations import derive_annotations
from edgehold.codecs.tables.apple import derive_apple
from edgehold.codecs.tables.arrays import derive_array
from edgehold.codecs.tables.form import Derived, schema_of
from edgehold.codecs.tables.images import derive_image
from edgehold.codecs.tables.laboratory import MARK, Columns, derive_laboratory
from edgehold.codecs.tables.minutes import derive_minutes
from edgehold.codecs.tables.signals import derive_signals, read_header
from edgehold.codecs.tables.variants import MAGIC, derive_variants
from edgehold.errors import IntakeError, LargeFile, Malformed, NoTable
from edgehold.hub.intake.packs import unpacked_pieces
from edgehold.hub.intake.zips import Content
from edgehold.wire.codec import convert
from edgehold.wire.data import Kind

HEADER: str = ".hea"
"""The end of the name of a WFDB header."""


MOST_AT_ONCE: Final = 1 << 26
"""Bytes of an original whose table is made of all of it at once: arrays, signals, images."""


class Begun:
    """The pieces of an original, of which the first is looked at before all are gone through; if these can be had again, so
    can those."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self._rest: Iterator[bytes] | None = iter(pieces)
        self.first = next(self._rest, b"")

    def __iter__(self) -> Iterator[bytes]:
        rest, self._rest = self._rest, None
        return iter(self._pieces) if rest is None else chain((self.first,), rest)


class Unpacked:
    """The content of a gzip file in pieces, as often as that can be had."""

    def __init__(self, packed: Iterable[bytes], name: str) -> None:
        self._packed, self._name = packed, name

    def __iter__(self) -> Iterator[bytes]:
        return unpacked_pieces(self._packed, self._name)


def derive_table(
    original: Iterable[bytes], *, kind: Kind, name: str, header: bytes | None = None, columns: Columns | None = None
) -> Derived | None:
    """The table of an original in pieces that is no FHIR; none if its kind has none. `header` is that of a signal's record,
    `columns` what the owner says of a table in lines. What is packed with gzip is read as if it were not, of a ZIP file
    the largest part of the kind. Raises `IntakeError`."""
    pieces = Begun(original)
    is_packed = is_pack(pieces.first)
    if is_packed and kind is not Kind.OTHER:
        is_gzip = pieces.first.startswith(GZIP)
        pieces = Begun(Unpacked(pieces, name) if is_gzip else Content(pieces, kind, name))
    if columns is not None:
        return derive_laboratory(pieces, columns)
    match kind:
        case Kind.LAB:
            return derive_laboratory(pieces)
        case Kind.WEARABLE:
            is_markup = pieces.first.lstrip(MARK.encode() + b" \t\r\n").startswith(b"<")
            return derive_apple(pieces) if is_markup else derive_minutes(pieces)
        case Kind.GENOTYPE:
            return derive_variants(pieces) if pieces.first.startswith(MAGIC) else derive_array(at_once(pieces))
        case Kind.SIGNAL:
            return _derive_signal(at_once(pieces), name, header)
        case Kind.IMAGE:
            return derive_image(at_once(pieces) if is_packed else pieces.first)
        case _:
            return None


def at_once(pieces: Iterable[bytes]) -> bytes:
    """All pieces together; raises `LargeFile` if they are more than a table is made of at once."""
    whole = bytearray()
    for piece in pieces:
        whole += piece
        if len(whole) > MOST_AT_ONCE:
            raise LargeFile(f"it has more than {MOST_AT_ONCE} bytes, and its table is made of all of them at once")
    return bytes(whole)


def header_name(name: str) -> str | None:
    """What the header is called that lies beside a file of a signal; none for a header itself."""
    path = PurePath(name)
    return None if path.suffix == HEADER else path.with_suffix(HEADER).name


def _derive_signal(original: bytes, name: str, header: bytes | None) -> Derived | None:
    if header_name(name) is None:
        return None
    if header is None:
        raise NoTable("no header lies beside it, and nothing else says how to read it")
    is_named = any(channel.file == name for channel in read_header(header).channels)
    return derive_signals(original, name, header) if is_named else derive_annotations(original, header)


def derive_again(
    original: Iterable[bytes],
    *,
    kind: Kind,
    name: str,
    kept: Mapping[str, bytes] | None,
    beside: Callable[[str], Iterable[bytes]],
) -> Iterator[Derived | None]:
    """The table of an original as it was derived when it was taken in, to compare it with the one that was kept, of which
    `kept` are the files that are no columns; or to keep it, if none was.

    `beside` gives the originals of a name. If several headers have the name, it is one of the tables that they give; if
    there is no header any more, there is nothing to compare with.
    """
    columns = None if kept is None else _said(kept)
    above = header_name(name) if kind is Kind.SIGNAL else None
    if above is None:
        yield derive_table(original, kind=kind, name=name, columns=columns)
        return
    for header in beside(above):
        try:
            yield derive_table(original, kind=kind, name=name, header=header)
        except IntakeError:  # the header of another record of this name
            yield None


def _said(kept: Mapping[str, bytes]) -> Columns | None:
    """What the owner said of the columns that a kept table was made of."""
    said: Any = schema_of(kept).get("said")
    if said is None:
        return None
    try:
        return convert(said, Columns)
    except msgspec.ValidationError as error:
        raise Malformed(f"not what can be said of columns: {error}") from error
