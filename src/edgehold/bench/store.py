"""`edgehold bench store`: the bytes that records take, beside the best general compressors, and how fast they are encoded.

The people of the cohort stand one by one, as each has a hub of their own, without those of whom the public base is made;
the rival knows the same base. Other files are those of the folder `--data`, by kinds that hubs take in, in both profiles
beside the best of `rivals`. Every encoding is decoded and compared. Bytes are of the encoding alone: keys, description and
padding come on top, the same for all.
"""

from __future__ import annotations

import gzip
import lzma
import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Final

import msgspec
import zstandard

from edgehold.bench import matrices
from edgehold.bench.arrays import measure_array
from edgehold.bench.container import measure_container
from edgehold.bench.intake import measure_import
from edgehold.bench.measure import Row, Work, interleave, make_row
from edgehold.bench.rivals import best_rival
from edgehold.codecs.choice import Profile, codec_title, codecs_for, encode_smallest
from edgehold.codecs.general import Codec
from edgehold.codecs.genotypes import GENOTYPES
from edgehold.codecs.record import RECORD_BASE, read_base
from edgehold.demo.world import read_cohort
from edgehold.errors import EdgeholdError, Unavailable
from edgehold.hub.intake.kinds import kind_of
from edgehold.wire.data import Kind

KNOWING: Final = "the least of zstd 19 with the same base as dictionary and with one trained from it"
EVERY: Final = 10
"""Of the cohort every tenth person is measured."""
ATTACHED: Final = 40
"""People whose records are packed into an attachment."""
MEGABYTE: Final = 1e6


def measure(work: Work) -> list[Row]:
    """Every figure of the store."""
    files = (row for path in files_of(work) for row in measure_file(work, path))
    others = (*matrices.measure(work), *measure_container(work), *measure_import(work))
    return [*measure_cohort(work), *measure_attachment(work), *files, *others]


def measure_cohort(work: Work) -> list[Row]:
    """People one by one: bytes beside a rival that knows the same base, and the time it takes."""
    work.say("people of the cohort")
    base = read_base(RECORD_BASE)
    known = frozenset(base.splitlines())
    people = [one for one in islice(read_cohort(None), 0, None, EVERY) if one not in known]
    people = people[: 4 if work.quick else len(people)]
    rivals = [knowing(zstandard.ZstdCompressionDict(base, dict_type=zstandard.DICT_TYPE_RAWCONTENT)), trained(base)]
    encoded = [checked(one, Kind.EHR) for one in people]
    ours = [len(one) for _, one in encoded]
    theirs = [min(len(rival(one)) for rival in rivals) for one in people]
    ratios = [own / other for own, other in zip(ours, theirs, strict=True)]
    pairs = [(codec, data, bytes_) for data, (codec, bytes_) in zip(people, encoded, strict=True)]
    return [
        make_row("a person of the cohort, median", "B", [median(ours)], KNOWING, [median(theirs)]),
        make_row("a person beside the rival's encoding, median", "", [median(ratios)]),
        *measure_speed(work, "people of the cohort", pairs),
    ]


def measure_attachment(work: Work) -> list[Row]:
    """A record that carries along what was packed before, as images and pages of clinics are: other records in xz."""
    name = "a record with an attachment"
    work.say(name)
    page = lzma.compress(b"\n".join(islice(read_cohort(None), ATTACHED)))
    data = msgspec.json.encode({"resourceType": "Binary", "contentType": "application/x-xz", "data": page})
    codec, encoded = checked(data, Kind.EHR)
    best = best_rival(data, Kind.EHR)
    sizes = make_row(
        f"{name}, of {len(data):,}, {codec_title(codec.name)}", "B", [len(encoded)], best.words, [best.size]
    )
    return [sizes, *measure_speed(work, name, [(codec, data, encoded)])]


def knowing(dictionary: zstandard.ZstdCompressionDict) -> Callable[[bytes], bytes]:
    """zstd that knows something."""
    dictionary.precompute_compress(level=19)
    return lambda data: zstandard.ZstdCompressor(dict_data=dictionary, write_dict_id=False).compress(data)


def trained(base: bytes) -> Callable[[bytes], bytes]:
    """zstd with a dictionary that was trained from the entries of a base, as large as the base is packed."""
    size = len(zstandard.ZstdCompressor(level=22).compress(base))
    samples: list[bytes | bytearray | memoryview[int]] = [base[at : at + 4096] for at in range(0, len(base), 4096)]
    return knowing(zstandard.train_dictionary(size, samples, level=19))


def files_of(work: Work) -> list[Path]:
    """The files of the folder `--data`, of kinds that hubs take in."""
    if work.data is None:
        return []
    found = [path for path in sorted(work.data.rglob("*")) if path.is_file() and is_known(path)]
    if not found:
        raise Unavailable(f"there is no file in {work.data} that a hub takes in")
    return found


def is_known(path: Path) -> bool:
    """Whether a file is of a format that hubs know; what is packed with gzip is unpacked first."""
    try:
        return path.suffix == ".gz" or kind_of(path) is not Kind.OTHER
    except EdgeholdError:
        return False


def measure_file(work: Work, path: Path) -> list[Row]:
    """One file in both profiles: bytes beside the best of the rivals, and the time it takes."""
    work.say(path.name)
    packed = path.read_bytes()
    data = gzip.decompress(packed) if path.suffix == ".gz" else packed
    kind = Kind.GENOTYPE if path.suffix == ".gz" else kind_of(path)
    best = best_rival(data, kind)
    rows: list[Row] = []
    for profile in Profile:
        codec, encoded = checked(data, kind, profile)
        name = path.name if profile is Profile.SMALL else f"{path.name} ({profile.value})"
        sizes = make_row(
            f"{name}, of {len(data):,}, {codec_title(codec.name)}", "B", [len(encoded)], best.words, [best.size]
        )
        rows += [sizes, *measure_speed(work, name, [(codec, data, encoded)])]
        if codec.name == GENOTYPES:
            rows += measure_array(path.name, data)
    return rows


def checked(data: bytes, of_kind: Kind, profile: Profile = Profile.SMALL) -> tuple[Codec, bytes]:
    """The smallest encoding; raises `Unavailable` if it does not give back the data."""
    codec, encoded = encode_smallest(data, codecs_for(of_kind, profile))
    if codec.decode(encoded, len(data)) != data:
        raise Unavailable("an encoding does not give back what was encoded")
    return codec, encoded


def measure_speed(work: Work, name: str, pairs: Sequence[tuple[Codec, bytes, bytes]]) -> list[Row]:
    """Megabytes of originals a second, on one core: encoded (with the decoding that compares), and decoded."""
    size = sum(len(data) for _, data, _ in pairs) / MEGABYTE

    def rate(do: Callable[[Codec, bytes, bytes], object]) -> Callable[[], float]:
        def run() -> float:
            begun = time.process_time()
            for pair in pairs:
                do(*pair)
            return size / (time.process_time() - begun)

        return run

    found = interleave(
        work.runs,
        {
            "encoded": rate(lambda codec, data, _: codec.encode(data)),
            "decoded": rate(lambda codec, data, encoded: codec.decode(encoded, len(data))),
        },
    )
    return [make_row(f"{name}: {how}", "MB/s", values) for how, values in found.items()]
