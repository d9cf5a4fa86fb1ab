"""Genotypes of arrays as text ↔ sparse bytes: of what everybody knows about the sites, only how this person differs.

`docs/formats.md`, genotypes/1. The work is done by the native module: rows at a site of a public base are told as such, and
what was called there under what a panel of other people's chromosomes lets expect. Whatever else stands in the file, comments,
spellings and line ends included, comes back byte for byte; what is no such text has no such encoding.
"""

from __future__ import annotations

from functools import cache
from typing import Final

from edgehold import _native
from edgehold.codecs.compared import bounded, compared
from edgehold.codecs.record import base_digest, read_base
from edgehold.crypto.hash import tagged_hash
from edgehold.errors import CannotDecode
from edgehold.wire.ids import Digest

GENOTYPES: Final = tagged_hash("codec", b"genotypes/1")
ARRAY_BASE = Digest(bytes.fromhex("0201a6bbf9995f90160be7551c581eb356d7234e15b4d92a6af86fa9b8c8823e"))
"""The sites and haplotypes that new genotypes are encoded against."""
SITES: Final = "sites"
"""What the file of such a base is called, between its digest and how it is packed."""


class GenotypesCodec:
    """The codec above a base of sites. One object serves any number of hubs and threads."""

    name = GENOTYPES

    def __init__(self, sites: bytes = b"") -> None:
        self.base = base_digest(sites) if sites else None
        self._known = _native.GenotypeBase(sites)

    def encode(self, data: bytes) -> bytes:
        """Fewer bytes, which were decoded once and compared before they are returned; raises `CannotDecode` if there
        are none, because the data are no genotypes in lines."""
        encoded = self._known.encode(data)
        if encoded is None:
            raise CannotDecode(f"{len(data)} bytes are no genotypes in lines")
        return compared(self, data, encoded)

    def decode(self, encoded: bytes, limit: int) -> bytes:
        """The bytes again; time and memory are bounded by the limit, whatever the encoding says."""
        return bounded(self._known.decode, encoded, limit)

    def sites(self) -> bytes:
        """The sites of the base, a line each: name, chromosome, position, and the two alleles, parted by tabs."""
        return self._known.sites()

    def panel(self) -> tuple[int, bytes]:
        """How many haplotypes the panel of the base has, and for each site a bit of each in whole bytes, the lowest first: 1
        where it has the second allele."""
        return self._known.panel()


@cache
def shipped_genotypes_codec(base: Digest | None) -> GenotypesCodec:
    """The codec with the base of that digest; raises as `read_base` does."""
    return GenotypesCodec() if base is None else GenotypesCodec(read_base(base, SITES))
