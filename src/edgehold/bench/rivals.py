"""The best that others have for a kind of file: what `edgehold bench store` puts beside each encoding.

Each rival is run as its makers recommend for the fewest bytes, and given what ours is given: the same public base, and
where the samples lie. Those that come as packages are in the extra `bench`; a rival that is not installed, or that does
not take a file, is named as not run and has beaten nobody.
"""

from __future__ import annotations

import bz2
import importlib
import io
import lzma
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import takewhile, zip_longest
from pathlib import Path
from tempfile import TemporaryDirectory
from types import ModuleType
from typing import Any, Final

import zstandard

from edgehold import _native
from edgehold.codecs.dicom import find_pixels, is_dicom
from edgehold.codecs.samples import BIG, BYTE, GROUPS, LITTLE, TWELVE, Layout, find_samples
from edgehold.demo.world import read_cohort
from edgehold.errors import CannotDecode
from edgehold.wire.data import Kind

LONG_WINDOW: Final = 27
DICTIONARY: Final = 10_000_000
"""Bytes of the public cohort that zstd is given as a dictionary for records."""
SMALL: Final = 2_000_000
"""Bytes of a text up to which PPMd is run."""
PPMD_ORDERS: Final = (4, 6, 8, 12, 16)
PPMD_MEMORY: Final = 1 << 26
FLAC_CHANNELS: Final = 8
COHORT: Final = "zstd 22 with 10 MB of the public cohort"
COLUMNS: Final = "OpenZL, told the columns"
CHANNELS: Final = "OpenZL, told the channels"
COLUMN_ENDS: Final = b",;\t"
"""What may stand between the columns of a text."""
CELLS_WITHIN: Final = {7: b";", 9: b":"}
"""Of the columns of a VCF those that are told cell by cell: what is said of a place, and of the person there."""
MOST_CELLS: Final = 40


class NotTaken(Exception):
    """This rival has nothing for such bytes."""


class NotInstalled(Exception):
    """The package of this rival is missing here."""


@dataclass(frozen=True)
class Rival:
    """A way that others have."""

    name: str
    size: Callable[[bytes], int]
    """Bytes that it makes of bytes; raises `NotTaken`, `NotInstalled`."""


@dataclass(frozen=True)
class Best:
    """The fewest bytes of all rivals that ran."""

    size: int
    words: str
    """Whose they are, of how many, and which did not run."""


def best_rival(data: bytes, kind: Kind) -> Best:
    """The best of the rivals for a kind of file."""
    sizes: dict[str, int] = {}
    missing: list[str] = []
    for rival in rivals_for(kind):
        try:
            sizes[rival.name] = rival.size(data)
        except NotTaken:
            continue
        except NotInstalled:
            missing.append(rival.name)
    winner = min(sizes, key=lambda name: sizes[name])
    words = f"{winner}, the least of: {', '.join(sizes)}"
    return Best(sizes[winner], f"{words}; not run: {', '.join(missing)}" if missing else words)


def rivals_for(kind: Kind) -> Sequence[Rival]:
    """The rivals for a kind of file, those for all kinds first."""
    general = [
        Rival("zstd 22, long window", zstd_long),
        Rival("xz 9e", lambda data: len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))),
        Rival("bzip2 9", lambda data: len(bz2.compress(data))),
        Rival("brotli 11", brotli),
    ]
    match kind:
        case Kind.EHR:
            return [*general, Rival("PPMd", ppmd), Rival(COHORT, zstd_cohort)]
        case Kind.LAB | Kind.WEARABLE:
            known = Rival(COHORT, zstd_cohort)
            return [*general, Rival("PPMd", ppmd), known, Rival("OpenZL", openzl), Rival(COLUMNS, openzl_columns)]
        case Kind.GENOTYPE:
            return [*general, Rival(COLUMNS, openzl_columns), Rival("VCF-Zarr by bio2zarr", vcf_zarr)]
        case Kind.SIGNAL:
            return [*general, Rival("FLAC", flac), Rival("pcodec 12", pcodec), Rival(CHANNELS, openzl_channels)]
        case Kind.IMAGE:
            return [
                *general,
                Rival("pcodec 12", pcodec),
                *(Rival(f"{name} and zstd 22 for the rest", pixels_by(how)) for name, how in IMAGE_CODECS.items()),
            ]
        case _:
            return general


def installed(package: str) -> ModuleType:
    """An optional package; raises `NotInstalled`."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise NotInstalled(package) from error


# ── for anything ──────────────────────────────────────────────────────────────────────────────────────────────────


def zstd_long(data: bytes, known: zstandard.ZstdCompressionDict | None = None) -> int:
    """zstd at its highest level, its window as long as a reader takes without being asked, with long-distance matching."""
    reach = len(data) + (0 if known is None else len(known))
    parameters = zstandard.ZstdCompressionParameters.from_level(
        22, window_log=min(LONG_WINDOW, max(10, reach.bit_length())), enable_ldm=True, write_dict_id=False
    )
    return len(zstandard.ZstdCompressor(compression_params=parameters, dict_data=known).compress(data))


def zstd_cohort(data: bytes) -> int:
    """zstd that knows other people's records."""
    return zstd_long(data, cohort_dictionary())


@cache
def cohort_dictionary() -> zstandard.ZstdCompressionDict:
    """The beginning of the public cohort."""
    people: list[bytes] = []
    size = 0
    for person in read_cohort(None):
        people.append(person)
        size += len(person) + 1
        if size >= DICTIONARY:
            break
    return zstandard.ZstdCompressionDict(b"\n".join(people), dict_type=zstandard.DICT_TYPE_RAWCONTENT)


def brotli(data: bytes) -> int:
    """brotli with its largest usual window."""
    return len(installed("brotli").compress(data, quality=11, lgwin=24))


def ppmd(data: bytes) -> int:
    """PPMd, variant H of 7-Zip, at the best of several orders."""
    if len(data) > SMALL:
        raise NotTaken
    package = installed("pyppmd")
    return min(
        len(encoder.encode(data) + encoder.flush())
        for encoder in (package.Ppmd7Encoder(order, PPMD_MEMORY) for order in PPMD_ORDERS)
    )


def openzl(data: bytes) -> int:
    """OpenZL, its general graph."""
    package = installed("openzl.ext")
    return zl(package, package.Type.Serial, data, package.graphs.Compress())


def zl(package: ModuleType, kind: Any, values: Any, graph: Any, lengths: Any = None) -> int:
    """Bytes that a graph of OpenZL makes of values; it reads them where they are, so they are held meanwhile."""
    compressor = package.Compressor()
    compressor.select_starting_graph(graph(compressor))
    compressor.set_parameter(package.CParam.FormatVersion, package.MAX_FORMAT_VERSION)
    compressor.set_parameter(package.CParam.CompressionLevel, 9)
    context = package.CCtx()
    context.ref_compressor(compressor)
    inputs = [package.Input(kind, values) if lengths is None else package.Input(kind, values, lengths)]
    return len(context.compress(inputs))


# ── for text in columns ───────────────────────────────────────────────────────────────────────────────────────────


def openzl_columns(data: bytes) -> int:
    """OpenZL, which is told what is a column, each by the graph that makes the fewest bytes of it. What stands between
    the columns is not counted, nor which graph it was. Raises `NotTaken` for what is no table."""
    package = installed("openzl.ext")
    return sum(column_size(package, column) for column in columns_of(data))


def columns_of(data: bytes) -> Iterator[list[bytes]]:
    """The columns of a text, what stands above them first; raises `NotTaken`."""
    lines = data.splitlines()
    if not lines or data[:1] in (b"<", b"{", b"["):
        raise NotTaken
    above = sum(1 for _ in takewhile(lambda line: line.startswith(b"#"), lines)) or 1
    is_variants = data.startswith(b"##fileformat=VCF")
    ends = b"\t" if is_variants else COLUMN_ENDS
    end = max((lines[-1].count(one), bytes([one])) for one in ends)[1]
    rows = [line.split(end) for line in lines[above:]]
    columns = [list(column) for column in zip_longest(*rows, fillvalue=b"")]
    if len(columns) < 2:
        raise NotTaken
    yield lines[:above]
    for place, column in enumerate(columns):
        within = CELLS_WITHIN.get(place) if is_variants else None
        cells = [] if within is None else list(zip_longest(*(cell.split(within) for cell in column), fillvalue=b""))
        yield from map(list, cells) if 0 < len(cells) < MOST_CELLS else [column]


def column_size(package: ModuleType, column: Sequence[bytes]) -> int:
    """The fewest bytes that OpenZL makes of a column: as text, as strings, as distinct strings, as numbers, as steps."""
    numpy = installed("numpy")
    compress, kinds = package.graphs.Compress(), package.Type
    sizes = [zl(package, kinds.Serial, b"\n".join(column) + b"\n", compress)]
    if text := b"".join(column):
        strings, lengths = numpy.frombuffer(text, numpy.uint8).copy(), numpy.array(list(map(len, column)), numpy.uint32)
        distinct = lambda to: package.nodes.TokenizeString(sort=False)(to, compress, compress)  # noqa: E731
        sizes += [zl(package, kinds.String, strings, graph, lengths) for graph in (compress, distinct)]
    if all(cell.isdigit() and len(cell) < 19 and (cell == b"0" or cell[:1] != b"0") for cell in column):
        numbers = numpy.array(list(map(int, column)), numpy.int64)
        steps = lambda to: package.nodes.DeltaInt()(to, compress)  # noqa: E731
        sizes += [zl(package, kinds.Numeric, numbers, graph) for graph in (compress, steps)]
    return min(sizes)


def vcf_zarr(data: bytes) -> int:
    """VCF-Zarr, as bio2zarr writes it when it is not told anything: every file of the folder."""
    if not data.startswith(b"##fileformat=VCF"):
        raise NotTaken
    package, tabix = installed("bio2zarr.vcf"), installed("pysam")
    with TemporaryDirectory() as folder:
        text, made = Path(folder, "one.vcf"), Path(folder, "one.vcz")
        text.write_bytes(data)
        package.convert([tabix.tabix_index(str(text), preset="vcf", force=True)], str(made))
        return sum(path.stat().st_size for path in made.rglob("*") if path.is_file())


# ── for samples ───────────────────────────────────────────────────────────────────────────────────────────────────


def layout_of_samples(data: bytes) -> Layout:
    """Where the samples lie; raises `NotTaken` if there are none."""
    try:
        start, layout = find_samples(data)
        return layout or _native.samples_layout(data, start)
    except (CannotDecode, ValueError) as error:
        raise NotTaken from error


def planes_of(data: bytes, layout: Layout) -> tuple[Any, int]:
    """An array of 16-bit samples, a column a channel, and how many bytes zstd makes of what is around them."""
    numpy = installed("numpy")
    start, packing, channels, _, _, samples = layout
    size, count = GROUPS[packing]
    end = start + samples // count * size
    body = numpy.frombuffer(data[start:end], numpy.uint8)
    if packing == BYTE:
        found = body.astype(numpy.int16)
    elif packing == TWELVE:
        first, middle, last = (body[at::3].astype(numpy.int32) for at in range(3))
        pairs = numpy.stack([first | (middle & 15) << 8, last | (middle >> 4) << 8], axis=1).reshape(-1)
        found = (pairs - (pairs >> 11 << 12)).astype(numpy.int16)
    elif packing in (LITTLE, BIG):
        found = body.view("<i2" if packing == LITTLE else ">i2").astype(numpy.int16)
    else:
        found = (body.view("<u2").astype(numpy.int32) - 32768).astype(numpy.int16)
    return found.reshape(-1, channels), zstd_long(data[:start] + data[end:])


def flac(data: bytes) -> int:
    """FLAC at its highest level, eight channels at a time."""
    package = installed("soundfile")
    planes, around = planes_of(data, layout_of_samples(data))
    total = around
    for at in range(0, planes.shape[1], FLAC_CHANNELS):
        packed = io.BytesIO()
        part = planes[:, at : at + FLAC_CHANNELS]
        package.write(packed, part, 44100, format="FLAC", subtype="PCM_16", compression_level=1.0)
        total += len(packed.getvalue())
    return total


def pcodec(data: bytes) -> int:
    """pcodec at its highest level, channel by channel."""
    package = installed("pcodec")
    standalone = installed("pcodec.standalone")
    numpy = installed("numpy")
    planes, around = planes_of(data, layout_of_samples(data))
    config = package.ChunkConfig(compression_level=12)
    columns = (numpy.ascontiguousarray(planes[:, channel]) for channel in range(planes.shape[1]))
    return around + sum(len(standalone.simple_compress(column, config)) for column in columns)


def openzl_channels(data: bytes) -> int:
    """OpenZL, which is told what is a channel, each by the graph that makes the fewest bytes of it."""
    package, numpy = installed("openzl.ext"), installed("numpy")
    planes, around = planes_of(data, layout_of_samples(data))
    compress, nodes = package.graphs.Compress(), package.nodes

    def halves(to: Any) -> Any:
        parts = nodes.ConvertNumToStructLE()(to, nodes.TransposeSplit()(to, compress))
        return nodes.DeltaInt()(to, nodes.Zigzag()(to, parts))

    graphs = (compress, lambda to: nodes.DeltaInt()(to, compress), halves)
    columns = (numpy.ascontiguousarray(planes[:, channel]) for channel in range(planes.shape[1]))
    return around + sum(min(zl(package, package.Type.Numeric, column, graph) for graph in graphs) for column in columns)


# ── for pixels ────────────────────────────────────────────────────────────────────────────────────────────────────


def jpeg_xl(package: ModuleType, image: Any) -> bytes:
    """JPEG XL without loss, at the effort of storage.md's table."""
    encoded: bytes = package.jpegxl_encode(image, lossless=True, effort=9)
    return checked(image, package.jpegxl_decode(encoded), encoded)


def jpeg_ls(package: ModuleType, image: Any) -> bytes:
    """JPEG-LS without loss."""
    encoded: bytes = package.jpegls_encode(image)
    return checked(image, package.jpegls_decode(encoded), encoded)


def jpeg_2000(package: ModuleType, image: Any) -> bytes:
    """JPEG 2000 with reversible wavelets, without the boxes around its codestream."""
    encoded: bytes = package.jpeg2k_encode(image, level=0, reversible=True, codecformat="J2K")
    return checked(image, package.jpeg2k_decode(encoded), encoded)


IMAGE_CODECS: Final[dict[str, Callable[[ModuleType, Any], bytes]]] = {
    "JPEG XL, effort 9,": jpeg_xl,
    "JPEG-LS": jpeg_ls,
    "JPEG 2000": jpeg_2000,
}


def checked(image: Any, decoded: Any, encoded: bytes) -> bytes:
    """What was encoded, if the image comes back from it."""
    if decoded.shape != image.shape or (decoded != image).any():
        raise NotTaken
    return encoded


def pixels_by(how: Callable[[ModuleType, Any], bytes]) -> Callable[[bytes], int]:
    """Bytes that a codec of images makes of the pixels, image by image, and zstd of everything else."""

    def size(data: bytes) -> int:
        package = installed("imagecodecs")
        numpy = installed("numpy")
        pixels = find_pixels(data) if is_dicom(data) else None
        if pixels is None:
            raise NotTaken
        order = ">" if pixels.is_big_endian else "<"
        kind = "u1" if pixels.bits == 8 else f"{order}{'i' if pixels.is_signed else 'u'}2"
        values = numpy.frombuffer(data[pixels.start : pixels.start + pixels.size], kind)
        least = int(values.min())
        # the codecs take no negative numbers: what they get begins at zero
        unsigned = (values.astype(numpy.int32) - min(least, 0)).astype("u1" if pixels.bits == 8 else "u2")
        shape = (-1, pixels.rows, pixels.columns)
        if pixels.channels > 1:
            planar = (-1, pixels.channels, pixels.rows, pixels.columns)
            images = unsigned.reshape(planar if pixels.is_planar else (*shape, pixels.channels))
            images = numpy.moveaxis(images, 1, -1) if pixels.is_planar else images
        else:
            images = unsigned.reshape(shape)
        around = zstd_long(data[: pixels.start] + data[pixels.start + pixels.size :])
        try:
            return around + sum(len(how(package, numpy.ascontiguousarray(image))) for image in images)
        except (RuntimeError, ValueError, NotImplementedError) as error:
            raise NotTaken from error

    return size
