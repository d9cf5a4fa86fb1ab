"""Which table an original has: one for each kind, or none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import PurePath
from typing import Any

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
from edgehold.errors import IntakeError, Malformed, NoTable
from edgehold.hub.intake.packs import unpacked
from edgehold.wire.codec import convert
from edgehold.wire.data import Kind

HEADER: str = ".hea"
"""The end of the name of a WFDB header."""


def derive_table(
    original: bytes, *, kind: Kind, name: str, header: bytes | None = None, columns: Columns | None = None
) -> Derived | None:
    """The table of an original that is no FHIR; none if its kind has none. `header` is that of a signal's record,
    `columns` what the owner says of a table in lines. What is packed with gzip is read as if it were not, what is in a
    ZIP file has no table. Raises `IntakeError`."""
    if is_pack(original):
        if not original.startswith(GZIP):
            return None
        original = unpacked(original, name)
    if columns is not None:
        return derive_laboratory(original, columns)
    match kind:
        case Kind.LAB:
            return derive_laboratory(original)
        case Kind.WEARABLE:
            is_markup = original.lstrip(MARK.encode() + b" \t\r\n").startswith(b"<")
            return derive_apple(original) if is_markup else derive_minutes(original)
        case Kind.GENOTYPE:
            return derive_variants(original) if original.startswith(MAGIC) else derive_array(original)
        case Kind.SIGNAL:
            return _derive_signal(original, name, header)
        case Kind.IMAGE:
            return derive_image(original)
        case _:
            return None


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
    original: bytes,
    *,
    kind: Kind,
    name: str,
    kept: Mapping[str, bytes] | None,
    beside: Callable[[str], Iterable[bytes]],
) -> Mapping[str, bytes] | None:
    """The table of an original as it was derived when it was taken in, to compare it with the one that was kept.

    `beside` gives the originals of a name. If several headers have the name, it is the one that gives the table that was
    kept; if none is there any more, there is nothing to compare with, and the kept one is returned.
    """
    columns = None if kept is None else _said(kept)
    above = header_name(name) if kind is Kind.SIGNAL else None
    if above is None:
        derived = derive_table(original, kind=kind, name=name, columns=columns)
        return None if derived is None else derived.files
    found = kept
    for header in beside(above):
        try:
            derived = derive_table(original, kind=kind, name=name, header=header)
        except IntakeError:  # the header of another record of this name
            derived = None
        found = None if derived is None else derived.files
        if kept is None or found == kept:
            return found
    return found


def _said(kept: Mapping[str, bytes]) -> Columns | None:
    """What the owner said of the columns that a kept table was made of."""
    said: Any = schema_of(kept).get("said")
    if said is None:
        return None
    try:
        return convert(said, Columns)
    except msgspec.ValidationError as error:
        raise Malformed(f"not what can be said of columns: {error}") from error
