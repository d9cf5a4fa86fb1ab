"""Variants as VCF and gVCF tell them ↔ sparse bytes: of each column only what the columns before it did not foretell.

`docs/formats.md`, variants/1. The work is done by the native module. A line of any shape comes back byte for byte; what has
no line of variants at all is left to other codecs.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Final

from edgehold import _native
from edgehold.codecs.compared import bounded, compared
from edgehold.crypto.hash import tagged_hash
from edgehold.errors import CannotDecode
from edgehold.wire.ids import Digest

VARIANTS: Final = tagged_hash("codec", b"variants/1")
VARIANT: Final = re.compile(rb"^[^#\t\n][^\t\n]*\t\d+\t[^\t\n]*\t[^\t\n]+\t(?:[^\t\n]*\t){3}[^\t\n]", re.MULTILINE)
"""A line with the eight fields of a variant, its position a number."""
SAMPLE: Final = 1 << 22
"""Bytes among which the first variant is looked for; a header may be long."""


class VariantsCodec:
    """The codec of variants. One object serves any number of hubs and threads."""

    name = VARIANTS
    base: Digest | None = None

    def encode(self, data: bytes) -> bytes:
        """Fewer bytes, which were decoded once and compared before they are returned; raises `CannotDecode` if there
        are none, because no line of the data is a variant."""
        if VARIANT.search(data, 0, SAMPLE) is None:
            raise CannotDecode(f"there are no variants in {len(data)} bytes")
        try:
            encoded = _native.variants_encode(data)
        except ValueError as error:
            raise CannotDecode(f"{len(data)} bytes cannot be told as variants: {error}") from error
        return compared(self, data, encoded)

    def decode(self, encoded: bytes, limit: int) -> bytes:
        """The bytes again; time and memory are bounded by the limit, whatever the encoding says."""
        return bounded(_native.variants_decode, encoded, limit)


@cache
def variants_codec() -> VariantsCodec:
    """The codec of variants."""
    return VariantsCodec()
