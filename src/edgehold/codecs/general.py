"""Any record ↔ sparse bytes: zstd (RFC 8878) against a public dictionary.

What FHIR records have in common (skeletons, terminology) lies once in the dictionary, which is made from public
synthetic records, is named by its digest and is part of the package; what is stored of a person is the difference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Final, Protocol, runtime_checkable

import zstandard

from edgehold.codecs.compared import compared
from edgehold.crypto.hash import tagged_hash
from edgehold.errors import CannotDecode
from edgehold.wire.ids import Digest

DICTIONARIES = Path(__file__).parent.parent / "shipped" / "dictionaries"
TABLES_BASE = Digest(bytes.fromhex("8a43afa5cd66e43aee426ec668ad26d24a015c178c5212856665bd5641b4a6c0"))
"""The dictionary that outlines of tables are packed with."""
SHIPPED_BASE = Digest(bytes.fromhex("7c6017683cda37c580250ccc594f9100ec9c603ffcac5c4a6a15a64391aaed2c"))
"""The dictionary that new records are encoded against."""
ZSTD: Final = tagged_hash("codec", b"zstd/1")
LEVEL = 12
FAST_LEVEL = 19
"""Where nothing else is tried; it takes longer to write and no longer to read."""
MAX_WINDOW_LOG = 27
MAX_WINDOW = 1 << MAX_WINDOW_LOG
"""Bytes; what a decoder may be made to hold."""


class Codec(Protocol):
    """A lossless way to make bytes fewer, named by what a reader needs to undo it."""

    name: Digest
    """Names the method; the same name always decodes the same bytes to the same bytes."""
    base: Digest | None
    """Names the public base that is the same for everybody, if there is one."""

    def encode(self, data: bytes) -> bytes:
        """Fewer bytes, which were decoded once and compared before they are returned; raises `CannotDecode` if this
        codec has none for them."""
        ...

    def decode(self, encoded: bytes, limit: int) -> bytes:
        """The bytes again; raises `CannotDecode` if they are none of this codec's or would be more than `limit`."""
        ...


class Decoder(Protocol):
    """What a codec encoded on its way out."""

    def decode(self, encoded: bytes, limit: int) -> bytes:
        """The bytes again; raises `CannotDecode` if they are none of this codec's or would be more than `limit`."""
        ...


class Going(Protocol):
    """The parts of a packed file on their way out, in turn."""

    def decode(self, encoded: bytes, inside: bytes, limit: int) -> bytes:
        """The next part, of which this is inside; raises `CannotDecode` if it is none of its codec's or would be more bytes
        than `limit`."""
        ...


@runtime_checkable
class GoingOn(Codec, Protocol):
    """A codec that says how parts of a packed file were packed, each of which goes on where the one before ended."""

    def begin(self) -> Going:
        """What decodes the parts of one file in turn."""
        ...


@runtime_checkable
class Holding(Codec, Protocol):
    """A codec whose encoding holds others."""

    def inside(self, encoded: bytes) -> Iterator[tuple[Digest, Digest | None, bytes]]:
        """Of each encoding inside: the name of its codec, that of its base, and itself; raises `CannotDecode`."""
        ...


@runtime_checkable
class Following(Codec, Protocol):
    """A codec that can know one version of the data when it encodes the next."""

    def after(self, before: bytes) -> Codec:
        """The codec for a version that follows this one; whoever decodes needs it too."""
        ...


class Zstd:
    """zstd with or without a public dictionary. One object serves any number of hubs and threads: they share the digested
    dictionary, and each call has a context of its own."""

    def __init__(self, dictionary: bytes = b"", level: int = LEVEL) -> None:
        self.base = dictionary_digest(dictionary) if dictionary else None
        self.name = ZSTD
        self._dictionary = zstandard.ZstdCompressionDict(dictionary) if dictionary else None
        self._parameters: Sequence[zstandard.ZstdCompressionParameters] = ()
        self._level = level
        if self._dictionary is not None:
            self._dictionary.precompute_compress(level=level)
            self._decompressor()  # digests the dictionary for reading too, before there are threads

    def after(self, before: bytes) -> Zstd:
        """The codec for a version that follows this one, which takes the place of the dictionary."""
        following = Zstd()
        following._dictionary = zstandard.ZstdCompressionDict(before, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        window = min(MAX_WINDOW_LOG, max(2 * len(before), 1 << 16).bit_length())
        following._parameters = [
            zstandard.ZstdCompressionParameters.from_level(
                LEVEL, window_log=window, enable_ldm=is_far, write_dict_id=False
            )
            for is_far in (
                True,
                False,
            )  # matches of lines are mostly told in fewer bytes where they are not sought far off
        ]
        return following

    def encode(self, data: bytes) -> bytes:
        """Fewer bytes, which were decoded once and compared before they are returned."""
        encoded = min((one.compress(data) for one in self._compressors(len(data))), key=len)
        return compared(self, data, encoded)

    def decode(self, encoded: bytes, limit: int) -> bytes:
        """The bytes again; the frame's own size is judged before anything is unpacked."""
        if not encoded.startswith(zstandard.FRAME_HEADER):  # nor one to be skipped, for which the library makes room
            raise CannotDecode(f"{len(encoded)} bytes do not begin like a frame of this codec")
        try:
            size = zstandard.frame_content_size(encoded)
            if not 0 <= size <= limit:
                raise CannotDecode(f"the frame holds {size} bytes, the limit is {limit}")
            return self._decompressor().decompress(encoded, allow_extra_data=False)
        except zstandard.ZstdError as error:
            raise CannotDecode(f"{len(encoded)} bytes are not a frame of this codec and dictionary: {error}") from error

    def _compressors(self, size: int) -> Iterator[zstandard.ZstdCompressor]:
        """Those of which the one that takes the fewest bytes is chosen."""
        for parameters in self._parameters:
            yield zstandard.ZstdCompressor(compression_params=parameters, dict_data=self._dictionary)
        if not self._parameters:
            yield self._compressor(size)

    def _compressor(self, size: int) -> zstandard.ZstdCompressor:
        if self._level == LEVEL:
            return zstandard.ZstdCompressor(level=LEVEL, dict_data=self._dictionary, write_dict_id=False)
        known = 0 if self._dictionary is None else len(self._dictionary)
        parameters = zstandard.ZstdCompressionParameters.from_level(
            self._level,
            source_size=size,
            dict_size=known,
            window_log=min(MAX_WINDOW_LOG, max(10, (size + known).bit_length())),
            enable_ldm=True,
            write_dict_id=False,
        )
        return zstandard.ZstdCompressor(compression_params=parameters, dict_data=self._dictionary)

    def _decompressor(self) -> zstandard.ZstdDecompressor:
        return zstandard.ZstdDecompressor(dict_data=self._dictionary, max_window_size=MAX_WINDOW)


def dictionary_digest(dictionary: bytes) -> Digest:
    """The name of a dictionary."""
    return tagged_hash("dictionary", dictionary)


@cache
def shipped_codec(base: Digest | None, level: int = LEVEL) -> Zstd:
    """The codec with the dictionary of that digest; raises `CannotDecode` if this package does not ship it or it was
    altered."""
    if base is None:
        return Zstd(level=level)
    path = DICTIONARIES / f"{base.hex()}.zstd-dict"
    if not path.is_file():
        raise CannotDecode(f"dictionary {base.hex()} is not shipped with this version")
    dictionary = path.read_bytes()
    if dictionary_digest(dictionary) != base:
        raise CannotDecode(f"dictionary {base.hex()} was altered on disk")
    return Zstd(dictionary, level)
