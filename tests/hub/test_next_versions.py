"""Versions of originals that could be encoded at once, but are too large to be told after another at once: the first is kept
as ever, and the next part by part."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from test_large_versions import DATA, DICE, FORMS, HEAD, LINES, VERSIONS, read, take, text

from edgehold.codecs import alike, cuts, packed, stretches
from edgehold.codecs import parts as in_parts
from edgehold.codecs.choice import Profile, codecs_for, encode_smallest
from edgehold.codecs.packed import DEFLATE
from edgehold.codecs.parts import PARTS
from edgehold.codecs.record import LinesCodec
from edgehold.errors import AlteredBlob, CannotDecode
from edgehold.hub import store as stores
from edgehold.hub.intake import kinds, large
from edgehold.hub.mending import mend_content, take_over, take_over_alone
from edgehold.hub.sealed import StoredObject
from edgehold.hub.store import MOST_LARGE_VERSIONS, Store
from edgehold.wire.data import Kind


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, size in (
        (stores, "LEAST_VERSION", 500),
        (stores, "MOST_VERSION", 5000),
        (packed, "MOST_KNOWN", 5000),
        (alike, "EVERY", 4000),
        (cuts, "TEXT_PART", 8000),
        (cuts, "TABLE_PART", 8000),
        (stretches, "TEXT_PART", 8000),
        (stretches, "TABLE_PART", 8000),
        (stretches, "SAMPLE", 1000),
        (stretches, "GAP", 8000),
        (stretches, "ROOM", 18_000),
        (in_parts, "PART", 32_000),
    ):
        monkeypatch.setattr(module, name, size)


@pytest.fixture
def chain(store: Store, tmp_path: Path) -> list[StoredObject]:
    return [take(store, tmp_path, one) for one in VERSIONS]


def alone(original: bytes, kind: Kind = Kind.LAB) -> int:
    """Bytes that it takes by itself."""
    return len(encode_smallest(original, codecs_for(kind))[1])


@pytest.mark.parametrize("profile", Profile)
def test_the_first_is_kept_as_ever_and_the_next_takes_little(store: Store, tmp_path: Path, profile: Profile) -> None:
    first, second, third = (take(store, tmp_path, one, profile=profile) for one in VERSIONS[:3])
    assert (first.after, second.after, third.after) == (None, first.id, second.id)
    assert first.descriptor.codec != PARTS
    assert (second.descriptor.codec, second.descriptor.previous) == (PARTS, first.leaf)
    assert first.encoded == len(encode_smallest(VERSIONS[0], codecs_for(Kind.LAB, profile))[1])
    assert max(second.encoded, third.encoded) < 0.25 * first.encoded
    assert [read(store, one) for one in (first, second, third)] == list(VERSIONS[:3])
    assert [store.get_original(one.id) for one in (first, second, third)] == list(VERSIONS[:3])
    assert not store.put_object(VERSIONS[1], name="x.csv", kind=Kind.LAB, randomness=DICE)[1], "it is here"
    assert store.check() == []


@pytest.mark.parametrize("forms", list(product(FORMS, FORMS)), ids="-".join)
def test_versions_follow_one_another_in_whatever_form_they_come(
    store: Store, tmp_path: Path, forms: tuple[str, str]
) -> None:
    versions = [FORMS[form](one) for form, one in zip(forms, VERSIONS, strict=False)]
    stored = [take(store, tmp_path, one) for one in versions]
    assert (stored[0].descriptor.codec == DEFLATE) == (forms[0] != "plain")
    assert stored[1].after == stored[0].id
    assert stored[1].encoded < 0.3 * stored[0].encoded
    assert [read(store, one) for one in stored] == versions
    assert store.check() == []
    store.erase(stored[0].id, DICE)
    assert read(store, stored[1]) == versions[1]
    made = store.get_object(stored[1].id)
    assert (made.after, made.descriptor.codec) == (None, PARTS)
    assert made.encoded < 2 * alone(versions[1])
    assert store.check() == []


@pytest.mark.parametrize("name", ["variants/nist.vcf", "lines/export.xml"])
def test_each_kind_has_versions(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(stores, "MOST_VERSION", 500)
    data = (DATA / name).read_bytes()
    versions = [data, data.replace(b"2016", b"2017", 1) if data.count(b"2016") else data + b"\n"]
    first, second = (take(store, tmp_path, one, Path(name).name) for one in versions)
    assert second.after == first.id
    assert second.encoded < 0.5 * first.encoded
    assert [read(store, one) for one in (first, second)] == versions
    assert store.check() == []


def test_packed_records_have_versions_and_tables(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stretches, "TABLE_PART", 50_000)
    line = (
        b'{"resourceType":"Observation","status":"final","code":{"coding":[{"system":"http://loinc.org","code":"29463-7"}]}'
        b',"effectiveDateTime":"2025-%02d-%02d","valueQuantity":{"value":%d,"code":"kg"}}\n'
    )
    numbers = Random(5)
    lines = [line % (n % 12 + 1, n % 28 + 1, numbers.randrange(10**4)) for n in range(1000)]
    versions = [FORMS["gzip"](b"".join(lines[:count])) for count in (990, 1000)]
    first, second = (take(store, tmp_path, one, "x.ndjson.gz") for one in versions)
    assert (first.descriptor.kind, second.after) == (Kind.EHR, first.id)
    assert store.table(second.id) != store.table(first.id)
    assert [read(store, one) for one in (first, second)] == versions
    assert store.check() == []


def test_each_of_a_chain_follows_the_one_before_up_to_the_last(store: Store, tmp_path: Path) -> None:
    versions = [text(1400 + number) for number in range(MOST_LARGE_VERSIONS + 3)]
    stored = [take(store, tmp_path, one) for one in versions]
    follows = [None, *(one.id for one in stored[:MOST_LARGE_VERSIONS]), None, stored[-2].id]
    assert [one.after for one in stored] == follows
    assert [one.descriptor.codec == PARTS for one in stored] == [after is not None for after in follows]
    assert [read(store, one) for one in stored] == versions


@pytest.mark.parametrize("number", range(3))
def test_what_follows_an_erased_version_outlives_it(store: Store, chain: list[StoredObject], number: int) -> None:
    follows = chain[number + 1]
    table = store.table(follows.id)
    store.erase(chain[number].id, DICE)
    made = store.get_object(follows.id)
    assert (made.after, made.descriptor.previous, made.slot) == (None, None, follows.slot)
    assert made.descriptor.codec == PARTS, "what follows it may count on that"
    assert store.table(follows.id) == table
    left = [place for place in range(4) if place != number]
    assert [read(store, chain[place]) for place in left] == [VERSIONS[place] for place in left]
    assert store.check() == []


def test_a_chain_may_be_erased_from_its_end(store: Store, chain: list[StoredObject]) -> None:
    for number in (2, 1, 0):
        store.erase(chain[number].id, DICE)
        assert read(store, chain[3]) == VERSIONS[3]
    assert store.check() == []


def test_what_was_mended_from_before_an_erasure_is_followed_still(
    store: Store, tmp_path: Path, chain: list[StoredObject]
) -> None:
    with Store.create(tmp_path / "other.sqlite", bytes(32), DICE) as other:
        for one in chain[:2]:
            take_over(other, one.id, store, DICE)
        store.erase(chain[0].id, DICE)
        store.execute("UPDATE chunk SET data = zeroblob(length(data)) WHERE place >> 24 = ?", chain[1].slot)
        take_over_alone(store, chain[1].id, other, DICE)
    assert [read(store, one) for one in chain[1:]] == list(VERSIONS[1:])
    assert store.check() == []


def strangers() -> list[bytes]:
    numbers = Random(3)
    return [HEAD + b"".join(b"2024-01-01,x,%d,g\n" % numbers.randrange(10**9) for _ in range(900)) for _ in range(2)]


def half_known() -> list[bytes]:
    """The second has of the first every other ten lines."""
    numbers = Random(4)
    new = [b"2024-01-01,x,%d,g\n" % numbers.randrange(10**9) for _ in range(1400)]
    lines = [(new if number // 10 % 2 else LINES)[number] for number in range(1400)]
    return [text(1400), HEAD + b"".join(lines)]


@pytest.mark.parametrize("versions", [strangers, half_known])
@pytest.mark.parametrize("form", FORMS)
def test_what_takes_no_less_than_half_is_kept_as_ever(
    store: Store, tmp_path: Path, versions: Callable[[], list[bytes]], form: str
) -> None:
    files = [FORMS[form](one) for one in versions()]
    stored = [take(store, tmp_path, one) for one in files]
    assert [one.after for one in stored] == [None, None]
    assert [one.encoded for one in stored] == list(map(alone, files))


@pytest.mark.parametrize("is_decoded", [False, True])
def test_what_is_unlike_is_neither_decoded_nor_encoded_in_parts(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_decoded: bool
) -> None:
    def refuse(*_: Any) -> Any:
        raise AssertionError("that takes time")

    if is_decoded:
        monkeypatch.setattr(stores, "is_alike", lambda *_: True)
    else:
        monkeypatch.setattr(Store, "_contents", refuse)
    monkeypatch.setattr(in_parts, "headed", refuse)
    for one in strangers():
        assert take(store, tmp_path, one).after is None


@pytest.mark.parametrize("form", FORMS)
def test_a_table_that_is_too_large_for_its_codec_at_once_is_told_in_parts(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    encode = LinesCodec.encode

    def encode_little(codec: LinesCodec, data: bytes) -> bytes:
        if len(data) > 20_000:
            raise CannotDecode("too many fields")
        return encode(codec, data)

    versions = [FORMS[form](one) for one in VERSIONS[:3]]
    monkeypatch.setattr(LinesCodec, "encode", encode_little)
    monkeypatch.setattr(stretches, "TABLE_PART", 30_000)
    stored = [take(store, tmp_path, one) for one in versions]
    assert [one.descriptor.codec for one in stored] == [PARTS] * 3
    assert [one.after for one in stored] == [None, *(one.id for one in stored[:-1])]
    assert stored[0].encoded < alone(versions[0])
    assert max(one.encoded for one in stored[1:]) < 0.3 * stored[0].encoded
    assert [read(store, one) for one in stored] == versions
    for one in stored[:2]:
        store.erase(one.id, DICE)
    made = store.get_object(stored[2].id)
    assert (made.after, made.descriptor.codec) == (None, PARTS)
    assert read(store, made) == versions[2]
    assert store.check() == []


@pytest.mark.parametrize("form", ["noise", "a broken ZIP file", "gzip, fast"])
def test_what_is_not_told_part_by_part_is_kept_as_ever(store: Store, tmp_path: Path, form: str) -> None:
    profile = Profile.FAST if form == "gzip, fast" else Profile.SMALL
    for number, one in enumerate(VERSIONS[:2]):
        match form:
            case "noise":
                data = Random(2).randbytes(20_000) + b"more" * number
            case "a broken ZIP file":
                data = FORMS["ZIP"](one)[:-30]
            case _:
                data = FORMS["gzip"](one)
        stored = take(store, tmp_path, data, "x", profile)
        assert stored.descriptor.codec != PARTS
        assert read(store, stored) == data
    assert store.check() == []


def test_an_altered_list_of_the_latest_stops_nothing(store: Store, tmp_path: Path) -> None:
    take(store, tmp_path, VERSIONS[0])
    store.execute("UPDATE fact SET value = zeroblob(100) WHERE name = 'latest'")
    second = take(store, tmp_path, VERSIONS[1])
    assert second.after is None
    store.erase(second.id, DICE)
    assert store.check() == ["the list of the latest objects was altered"]


def test_of_several_the_newest_that_is_alike_is_the_version_before(store: Store, tmp_path: Path) -> None:
    other, _ = strangers()
    first, _ = (take(store, tmp_path, one, name) for one, name in ((VERSIONS[0], "1.csv"), (other, "2.csv")))
    assert take(store, tmp_path, VERSIONS[1], "3.csv").after == first.id


def test_no_sketch_of_what_was_erased_is_left(store: Store, chain: list[StoredObject]) -> None:
    (sketch,) = (one.sketch for one in store._latest().large[Kind.LAB] if one.id == chain[0].id)
    assert sketch
    store.execute("UPDATE chunk SET data = zeroblob(length(data)) WHERE place >> 24 = ?", chain[0].slot)
    store.erase(chain[0].id, DICE)
    assert not any(one.sketch for one in store._latest().large[Kind.LAB])
    assert store.knows_latest()


def test_a_large_file_follows_one_that_is_kept_at_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = [take(store, tmp_path, VERSIONS[0])]
    size = len(VERSIONS[0]) + 1
    for module, name in ((stores, "AT_ONCE"), (large, "AT_ONCE"), (kinds, "MOST_BYTES")):
        monkeypatch.setattr(module, name, size)
    stored += [take(store, tmp_path, one) for one in VERSIONS[1:]]
    assert [one.after for one in stored] == [None, *(one.id for one in stored[:-1])]
    assert max(one.encoded for one in stored[1:]) < 0.25 * stored[0].encoded
    store.erase(stored[0].id, DICE)
    assert store.get_object(stored[1].id).descriptor.codec == PARTS
    assert [read(store, one) for one in stored[1:]] == list(VERSIONS[1:])


def test_what_cannot_be_unpacked_is_followed_by_nothing(store: Store, tmp_path: Path) -> None:
    data = FORMS["gzip"](VERSIONS[0])[:-500] + len(VERSIONS[0]).to_bytes(4, "little")
    stored = [take(store, tmp_path, one, "x.csv.gz") for one in (data, FORMS["gzip"](VERSIONS[1]))]
    assert [one.descriptor.codec != PARTS for one in stored] == [True, True]
    assert [one.id for one in store._latest().large[Kind.LAB]] == [stored[1].id]
    assert [read(store, one) for one in stored] == [data, FORMS["gzip"](VERSIONS[1])]


def test_what_has_any_number_of_parts_is_kept_as_ever(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "MOST_NEXT", 2)
    stored = [take(store, tmp_path, one) for one in VERSIONS[:2]]
    assert [one.after for one in stored] == [None, None]
    assert [one.descriptor.codec == PARTS for one in stored] == [False, False]


def test_small_files_do_not_stand_in_the_way(store: Store, tmp_path: Path) -> None:
    first = take(store, tmp_path, VERSIONS[0])
    small = [take(store, tmp_path, text(count)) for count in (100, 101)]
    assert small[1].after == small[0].id
    assert take(store, tmp_path, VERSIONS[1]).after == first.id
    assert store.knows_latest()


def test_damage_of_the_version_before_is_named_and_the_next_stands_by_itself(
    store: Store, tmp_path: Path, chain: list[StoredObject]
) -> None:
    place = "SELECT place FROM chunk WHERE place >> 24 = ?"
    (found,) = store.execute(place, chain[0].slot)
    store.execute("UPDATE chunk SET data = zeroblob(length(data)) WHERE place = ?", found[0])
    assert take(store, tmp_path, text(1450)).after is None
    for one in chain:
        with pytest.raises(AlteredBlob, match=f"chunk 0 of .* {chain[0].id.hex()}"):
            store.verify_original(one.id)
    store.erase(chain[0].id, DICE)
    with pytest.raises(AlteredBlob, match="before it is gone"):
        store.verify_original(chain[1].id)
    assert take(store, tmp_path, text(1451)).after is not None


def test_one_that_follows_what_is_not_kept_so_is_named(store: Store, tmp_path: Path) -> None:
    small = [take(store, tmp_path, text(count)) for count in (100, 101)]
    first, second = (take(store, tmp_path, one) for one in VERSIONS[:2])
    assert (small[1].after, second.after) == (small[0].id, first.id)
    row = store.row(second.id)
    record, key = store.open_record(row)
    assert key is not None
    assert row.identity is not None
    for one, error in ((small[0], CannotDecode), (small[1], AlteredBlob)):
        other = msgspec.structs.replace(record, after=one.id)
        store.describe(row.id, row.slot, row.identity, other, key, None, None, DICE)
        with pytest.raises(error):
            store.verify_original(row.id)


def test_a_damaged_chain_is_mended_and_taken_over(store: Store, tmp_path: Path, chain: list[StoredObject]) -> None:
    with Store.create(tmp_path / "other.sqlite", bytes(32), DICE) as other:
        for one in chain:
            take_over(other, one.id, store, DICE)
        assert other.check() == []
        store.execute("UPDATE chunk SET data = zeroblob(length(data)) WHERE place >> 24 = ?", chain[0].slot)
        mend_content(store, chain[0].id, other)
        assert store.check() == []
        store.bury(chain[0].id, DICE)
        for number in (1, 0):
            take_over_alone(store, chain[number].id, other, DICE)
        assert [read(store, one) for one in chain] == list(VERSIONS)
        assert store.check() == []
