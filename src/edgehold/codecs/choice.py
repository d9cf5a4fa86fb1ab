"""Which codec an object is encoded with: of those that can, the one of the fewest bytes; and the codec of a descriptor.

The small ones are tried first. A codec that cannot encode these bytes, or does not give them back, is passed over: the
general one always remains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cache, partial
from typing import BinaryIO, Final, assert_never

from edgehold.codecs.cuts import (
    BLOCK_HEAD,
    SAMPLES_PART,
    cut_blocks,
    cut_documents,
    cut_frames,
    cut_lines,
    cut_markup,
    cut_samples,
    cut_tables,
    unit_of,
)
from edgehold.codecs.dicom import find_pixels
from edgehold.codecs.elements import ELEMENTS, elements_codec
from edgehold.codecs.general import (
    DICTIONARIES,
    FAST_LEVEL,
    SHIPPED_BASE,
    ZSTD,
    Codec,
    Following,
    Holding,
    shipped_codec,
)
from edgehold.codecs.genotypes import ARRAY_BASE, GENOTYPES, SITES, shipped_genotypes_codec
from edgehold.codecs.packed import DEFLATE, PackedCodec, contents_of
from edgehold.codecs.packs import is_block, is_pack
from edgehold.codecs.parts import PARTS, PartsCodec, Ways, parts_of, pieces_of
from edgehold.codecs.pco import PCO, pco_codec
from edgehold.codecs.record import BASES, LINES, RECORD, RECORD_BASE, lines_codec, shipped_record_codec
from edgehold.codecs.samples import SAMPLES, FramesCodec, samples_codec, start_of_signal
from edgehold.codecs.stretches import STRETCHES, PackedPartsCodec, StretchesCodec, texts_of
from edgehold.codecs.variants import VARIANTS, variants_codec
from edgehold.errors import CannotDecode
from edgehold.wire.data import Kind
from edgehold.wire.ids import Digest

TITLES: Final = {
    ZSTD: "zstd/1",
    RECORD: "record/1",
    LINES: "lines/1",
    SAMPLES: "samples/1",
    PCO: "pco/1",
    VARIANTS: "variants/1",
    GENOTYPES: "genotypes/1",
    DEFLATE: "deflate/1",
    PARTS: "parts/1",
    STRETCHES: "stretches/1",
    ELEMENTS: "elements/1",
}


NEXT_SHARE: Final = 2
"""Of what could be encoded at once, and is the next version of another, parts have half the bytes of those of large files:
both versions are in memory beside them."""


class Profile(StrEnum):
    """What an owner would rather have."""

    SMALL = "small"
    """The fewest bytes."""
    FAST = "fast"
    """To read at once what is stored: a second for some hundred megabytes."""


def codecs_for(kind: Kind, profile: Profile = Profile.SMALL) -> Sequence[Codec]:
    """The codecs that are worth trying for what is said to be of a kind."""
    match profile:
        case Profile.SMALL:
            return small_codecs(kind)
        case Profile.FAST:
            return fast_codecs(kind)
        case _:
            assert_never(profile)


def fast_codecs(kind: Kind) -> Sequence[Codec]:
    """Those that decode 60 MB a second and more."""
    match kind:
        case Kind.EHR:
            return (shipped_codec(SHIPPED_BASE, FAST_LEVEL), shipped_codec(None, FAST_LEVEL))
        case Kind.SIGNAL | Kind.IMAGE:
            return (pco_codec(), shipped_codec(None, FAST_LEVEL))
        case _:
            return (shipped_codec(None, FAST_LEVEL),)


def small_codecs(kind: Kind) -> Sequence[Codec]:
    """Those that make the fewest bytes, of what is packed or not."""
    return (packed_codec(), *plain_codecs(kind))


def plain_codecs(kind: Kind) -> Sequence[Codec]:
    """Those that make the fewest bytes of what is not packed."""
    general = shipped_codec(SHIPPED_BASE)
    match kind:
        case Kind.EHR:
            return (shipped_record_codec(RECORD_BASE), lines_codec(), general)
        case Kind.LAB | Kind.WEARABLE:
            return (lines_codec(), general)
        case Kind.SIGNAL | Kind.IMAGE:
            return (samples_codec(), general)
        case Kind.GENOTYPE:
            return (variants_codec(), shipped_genotypes_codec(ARRAY_BASE), general)
        case _:
            return (general,)


def codecs_after(kind: Kind, before: bytes, profile: Profile = Profile.SMALL) -> Sequence[Codec]:
    """Of these codecs the ones that can tell a version as the difference from the one before."""
    following = (codec.after(before) for codec in codecs_for(kind, profile) if isinstance(codec, Following))
    return list({(codec.name, codec.base): codec for codec in following}.values())


def can_follow(original: bytes) -> bool:
    """Whether an original may be told as the difference from another: of what is packed, if anything inside may be."""
    return not is_pack(original) or any(contents_of(original).values())


def codec_after(codec: Codec, before: bytes) -> Codec:
    """The codec with which the version after one was encoded; raises `CannotDecode` if it knows no versions."""
    if not isinstance(codec, Following):
        raise CannotDecode(f"codec {codec_title(codec.name)} knows no versions")
    return codec.after(before)


def encode_smallest(original: bytes, codecs: Sequence[Codec]) -> tuple[Codec, bytes]:
    """The codec of the fewest bytes, and these; raises `CannotDecode` if none can encode the original."""
    found: list[tuple[Codec, bytes]] = []
    failed = CannotDecode("there is no codec")
    for codec in codecs:
        try:
            found.append((codec, codec.encode(original)))
        except CannotDecode as error:
            failed = error.with_traceback(None)  # which would hold the original until the collector came by
    if not found:
        raise failed
    return min(found, key=lambda one: len(one[1]))


def codec_named(name: Digest, base: Digest | None) -> Codec:
    """The codec that a descriptor names; raises `CannotDecode` if this version has none of that name, or not its base."""
    if name == ZSTD:
        return shipped_codec(base)
    if name == RECORD:
        return shipped_record_codec(base)
    if name == LINES:
        return lines_codec(base)
    if name == SAMPLES:
        return samples_codec()
    if name == PCO:
        return pco_codec()
    if name == VARIANTS:
        return variants_codec()
    if name == GENOTYPES:
        return shipped_genotypes_codec(base)
    if name == DEFLATE:
        return packed_codec()
    if name == PARTS:
        return parts_codec(Kind.OTHER)
    if name == STRETCHES:
        return stretches_codec()
    if name == ELEMENTS:
        return elements_codec(base)
    raise CannotDecode(f"codec {name.hex()} is not known to this version")


@cache
def packed_codec() -> PackedCodec:
    """The codec of packed files, which encodes what they hold by the codecs of its kind."""
    return PackedCodec(plain_codecs, codec_named)


@cache
def stretches_codec() -> StretchesCodec:
    """The codec of how parts of packed files were packed."""
    return StretchesCodec()


def ways_of(codecs: Sequence[Codec]) -> Ways:
    """These codecs, of which some may tell a part after others."""
    return Ways(codecs, [codec for codec in codecs if isinstance(codec, Following) and codec.name != DEFLATE])


def ways_inside(kind: Kind | None) -> Ways:
    """The codecs of what is inside of a large packed file, by its kind; none if it is packed itself."""
    match kind:
        case None:
            return Ways((shipped_codec(None),))
        case Kind.SIGNAL | Kind.IMAGE:
            return Ways(plain_codecs(kind))
        case _:
            return ways_of(plain_codecs(kind))


def codecs_inside() -> Sequence[Codec]:
    """Those that make the fewest bytes of a text that is inside of a large packed file, whatever its kind is."""
    codecs = (codec for kind in Kind for codec in ways_inside(kind).codecs if ways_inside(kind).following)
    return list({(codec.name, codec.base): codec for codec in codecs}.values())


@cache
def parts_codec(kind: Kind, profile: Profile = Profile.SMALL) -> PartsCodec:
    """The codec of what is too large to be encoded at once, each part by a codec for this kind; parts of text may be told
    after others."""
    if kind is Kind.EHR and profile is Profile.SMALL:
        following = (elements_codec(RECORD_BASE), lines_codec())
        ways = Ways((packed_codec(), *following, shipped_codec(SHIPPED_BASE)), following)
    else:
        ways = ways_of(codecs_for(kind, profile))
    return PartsCodec(codec_named, encode_smallest, ways, codecs_inside())


def bases_of(codec: Codec, encoded: bytes) -> tuple[Digest, ...]:
    """The public bases that whoever decodes needs, also those of encodings inside, in the order of their names."""
    found = set[Digest]() if codec.base is None else {codec.base}
    if isinstance(codec, Holding):
        for name, base, inner in codec.inside(encoded):
            found.update(bases_of(codec_named(name, base), inner))
    return tuple(sorted(found))


@dataclass(frozen=True)
class Cut:
    """How an original is cut that is too large to be encoded at once, and by which codecs its parts are encoded."""

    parts: Callable[[BinaryIO], Iterator[bytes]]
    codec: PartsCodec
    is_known: bool = True
    """Whether it is cut where its format allows it; else it is only divided."""


def cut_for(start: bytes, size: int, kind: Kind, profile: Profile = Profile.SMALL) -> Cut:
    """How to cut an original of so many bytes that begins so."""

    def cut(parts: Callable[[BinaryIO], Iterator[bytes]], codecs: Sequence[Codec]) -> Cut:
        return Cut(parts, PartsCodec(codec_named, encode_smallest, Ways(codecs)))

    codecs = codecs_for(kind, profile)
    if is_pack(start):
        if profile is Profile.SMALL and is_block(start[:BLOCK_HEAD], is_first=True):
            return cut(cut_blocks, (PackedCodec(lambda _: plain_codecs(kind), codec_named), shipped_codec(None)))
        if profile is Profile.SMALL:
            return Cut(pieces_of, PackedPartsCodec(codec_named, encode_smallest, ways_inside))
        return replace(cut(parts_of, (shipped_codec(None),)), is_known=False)
    pixels = find_pixels(start, size)
    if pixels is not None and unit_of(pixels) <= SAMPLES_PART:
        own = (FramesCodec(pixels),) if profile is Profile.SMALL else ()
        return cut(partial(cut_frames, pixels=pixels), (*own, *codecs))
    match kind:
        case Kind.GENOTYPE:
            return Cut(cut_lines, parts_codec(kind, profile))
        case Kind.EHR:
            return Cut(cut_documents, parts_codec(kind, profile))
        case Kind.LAB | Kind.WEARABLE:
            return Cut(cut_markup if start.startswith(b"<") else cut_tables, parts_codec(kind, profile))
        case Kind.SIGNAL:
            return cut(partial(cut_samples, start=start_of_signal(start, size)), codecs)
        case _:
            return replace(cut(parts_of, codecs), is_known=False)


def cut_next(original: bytes, kind: Kind, profile: Profile = Profile.SMALL) -> Cut | None:
    """How to cut an original that could be encoded at once, if it is the next version of another; none if it would not be
    told so."""
    if is_pack(original):
        if profile is not Profile.SMALL or is_block(original[:BLOCK_HEAD], is_first=True):
            return None
        return Cut(pieces_of, PackedPartsCodec(codec_named, encode_smallest, ways_inside, NEXT_SHARE))
    if kind not in (Kind.GENOTYPE, Kind.LAB, Kind.WEARABLE):
        return None
    codec = PartsCodec(codec_named, encode_smallest, ways_of(codecs_for(kind, profile)))
    return Cut(lambda file: texts_of(file.read(), NEXT_SHARE), codec)


def codec_title(name: Digest) -> str:
    """What a codec is called in `docs/formats.md`; of an unknown one, its digest."""
    return TITLES.get(name, name.hex())


def base_bytes(base: Digest) -> int:
    """Bytes that a shipped base takes on the disk; 0 if this version does not ship it."""
    files = (
        DICTIONARIES / f"{base.hex()}.zstd-dict",
        *(BASES / f"{base.hex()}.{form}.zst" for form in ("ndjson", SITES)),
    )
    return sum(one.stat().st_size for one in files if one.is_file())
