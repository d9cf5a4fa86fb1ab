"""JSON records such as FHIR's, and tables in lines ↔ sparse bytes: only what nobody expected is spelled.

`docs/formats.md`, record/1 and lines/1. The work is done by the native module: a document is told member by member, or
line by line, to a model that may have been told the documents of a public base before. Whatever is valid JSON, or a
text in lines, comes back byte for byte, spaces and spellings included; what is neither has no such encoding.
"""

from __future__ import annotations

from copy import copy
from functools import cache, partial
from pathlib import Path
from typing import Final

import zstandard

from edgehold import _native
from edgehold.codecs.compared import bounded, compared
from edgehold.crypto.hash import tagged_hash
from edgehold.errors import CannotDecode
from edgehold.wire.ids import Digest

BASES = Path(__file__).parent.parent / "shipped" / "bases"
RECORD_BASE = Digest(bytes.fromhex("007675283f15fa449d78d98aa2433088b95d2e457c3bb7c6a2a297eae6a2bd62"))
"""The documents that new records are encoded against."""
RECORD: Final = tagged_hash("codec", b"record/1")
LINES: Final = tagged_hash("codec", b"lines/1")
MAX_BASE = 1 << 24


class RecordCodec:
    """The codec above a base of JSON documents. One object serves any number of hubs and threads."""

    name = RECORD

    def __init__(self, documents: bytes = b"") -> None:
        self.base = base_digest(documents) if documents else None
        self.known: Final = _native.RecordBase([documents] if documents else [])
        self._before: bytes | None = None

    def after(self, before: bytes) -> RecordCodec:
        """The codec for a version that follows this one."""
        following = copy(self)
        following._before = before
        return following

    def encode(self, data: bytes) -> bytes:
        """Fewer bytes, which were decoded once and compared before they are returned; raises `CannotDecode` if there
        are none, because the data, or the version before, are not JSON."""
        return compared(self, data, self.tell(data))

    def tell(self, data: bytes) -> bytes:
        """As `encode`, for whoever decodes and compares them."""
        try:
            encoded = self.known.encode(data, self._before)
        except ValueError as error:
            raise CannotDecode(f"the version before is not JSON: {error}") from error
        if encoded is None:
            raise CannotDecode(f"{len(data)} bytes are not JSON")
        return encoded

    def decode(self, encoded: bytes, limit: int) -> bytes:
        """The bytes again; time and memory are bounded by the limit, whatever the encoding says."""
        return bounded(partial(self.known.decode, before=self._before), encoded, limit)


class LinesCodec:
    """The codec of tables and other texts in lines, above the base of a codec of records. One object serves any number
    of hubs and threads."""

    name = LINES

    def __init__(self, records: RecordCodec) -> None:
        self.base = records.base
        self._known = records.known
        self._before: bytes | None = None

    def after(self, before: bytes) -> LinesCodec:
        """The codec for a version that follows this one."""
        following = copy(self)
        following._before = before
        return following

    def encode(self, data: bytes) -> bytes:
        """Fewer bytes, which were decoded once and compared before they are returned; raises `CannotDecode` if there
        are none, because the data, or the version before, are no table and no markup."""
        try:
            encoded = self._known.encode_lines(data, self._before)
        except ValueError as error:
            raise CannotDecode(f"the version before is no text in lines: {error}") from error
        if encoded is None:
            raise CannotDecode(f"{len(data)} bytes are not a table or markup in lines")
        return compared(self, data, encoded)

    def decode(self, encoded: bytes, limit: int) -> bytes:
        """The bytes again; time and memory are bounded by the limit, whatever the encoding says."""
        return bounded(partial(self._known.decode_lines, before=self._before), encoded, limit)


def base_digest(documents: bytes) -> Digest:
    """The name of a base."""
    return tagged_hash("base", documents)


def read_base(base: Digest, form: str = "ndjson") -> bytes:
    """The bytes of a shipped base; raises `CannotDecode` if this package does not ship it in this form or it was altered."""
    path = BASES / f"{base.hex()}.{form}.zst"
    if not path.is_file():
        raise CannotDecode(f"base {base.hex()} is not shipped with this version")
    try:
        documents = zstandard.ZstdDecompressor(max_window_size=MAX_BASE).decompress(path.read_bytes(), MAX_BASE)
    except zstandard.ZstdError as error:
        raise CannotDecode(f"base {base.hex()} was altered on disk") from error
    if base_digest(documents) != base:
        raise CannotDecode(f"base {base.hex()} was altered on disk")
    return documents


@cache
def shipped_record_codec(base: Digest | None) -> RecordCodec:
    """The codec with the base of that digest; raises as `read_base` does."""
    return RecordCodec() if base is None else RecordCodec(read_base(base))


@cache
def lines_codec(base: Digest | None = RECORD_BASE) -> LinesCodec:
    """The codec of texts in lines with the base of that digest; raises as `read_base` does."""
    return LinesCodec(shipped_record_codec(base))
