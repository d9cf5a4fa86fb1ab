"""Versions: what follows another is kept as the difference from it, and outlives it."""

from __future__ import annotations

import gzip
import json
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from test_store import IPS, KEY, RANDOMNESS, execute, put, take_in

from edgehold.codecs import packed
from edgehold.codecs.choice import Profile, codec_title, codecs_after
from edgehold.errors import AlteredBlob, ErasedObject
from edgehold.hub.store import LEAST_VERSION, MOST_VERSIONS, Store
from edgehold.wire.data import Kind

RECORD = json.loads(IPS.read_bytes())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with Store.create(tmp_path / "hub.store", KEY, RANDOMNESS) as made:
        yield made


def version(number: int) -> bytes:
    """The record with so many entries more."""
    weights = [weight(place) for place in range(number)]
    return json.dumps(RECORD | {"entry": RECORD["entry"] + weights}, indent=2).encode()


def weight(number: int) -> dict[str, Any]:
    return {
        "resource": {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "29463-7"}]},
            "effectiveDateTime": f"2025-{number % 12 + 1:02}-0{number % 9 + 1}",
            "valueQuantity": {"value": 70 + number * 7 % 31 / 10, "code": "kg"},
        }
    }


def test_a_new_version_takes_little_and_both_come_back(store: Store) -> None:
    old, new = put(store, version(0)), put(store, version(30))
    first, second = store.get_object(old), store.get_object(new)
    assert (first.after, second.after) == (None, old)
    assert second.descriptor.previous == first.leaf
    assert second.encoded < 0.15 * first.encoded
    assert (store.get_original(old), store.get_original(new)) == (version(0), version(30))
    assert store.check() == []


@pytest.mark.parametrize("kind", [Kind.LAB, Kind.OTHER])
def test_texts_and_other_files_have_versions_too(store: Store, kind: Kind) -> None:
    numbers = random.Random(1)
    rows = [f"2025-01-01,{numbers.randrange(10**9)},mmol/L\n" for _ in range(2000)]
    text = [("date,value,unit\n" + "".join(rows[:count])).encode() for count in (1900, 2000)]
    ids = [store.put_object(one, name="x.csv", kind=kind, randomness=RANDOMNESS)[0].id for one in text]
    first, second = map(store.get_object, ids)
    assert second.after == first.id
    assert second.encoded < 0.15 * first.encoded
    assert [store.get_original(one) for one in ids] == text


def test_packed_files_have_versions(store: Store) -> None:
    numbers = random.Random(4)
    rows = [f"2025-01-01,{numbers.randrange(10**9)},mmol/L\n" for _ in range(4000)]
    texts = [("date,value,unit\n" + "".join(rows[:count])).encode() for count in (3900, 3950, 4000)]
    versions = [texts[0], *map(gzip.compress, texts[1:])]
    assert all(len(one) >= LEAST_VERSION for one in versions)
    ids = [store.put_object(one, name="x.csv", kind=Kind.LAB, randomness=RANDOMNESS)[0].id for one in versions]
    first, *later = map(store.get_object, ids)
    assert [one.after for one in later] == ids[:2]
    assert all(one.encoded < 0.15 * first.encoded for one in later)
    assert [store.get_original(one) for one in ids] == versions
    store.erase(ids[1], RANDOMNESS)
    assert store.get_object(ids[2]).after is None
    assert store.get_original(ids[2]) == versions[2]
    assert store.check() == []


def test_what_holds_too_much_to_be_told_after_another_stands_by_itself(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = random.Random(5)
    rows = [f"2025-01-01,{numbers.randrange(10**9)},mmol/L\n" for _ in range(4000)]
    files = [gzip.compress("".join(rows[:count]).encode()) for count in (3900, 4000)]
    monkeypatch.setattr(packed, "MOST_KNOWN", 50_000)
    ids = [store.put_object(one, name="x.csv.gz", kind=Kind.LAB, randomness=RANDOMNESS)[0].id for one in files]
    assert [store.get_object(one).after for one in ids] == [None, None]
    assert [store.get_original(one) for one in ids] == files


def test_what_resembles_nothing_stands_by_itself(store: Store) -> None:
    numbers = random.Random(2)
    for _ in range(2):
        noise = numbers.randbytes(LEAST_VERSION)
        found, _ = store.put_object(noise, name="noise", kind=Kind.OTHER, randomness=RANDOMNESS)
        assert found.after is None
        assert found.descriptor.previous is None


def test_small_records_are_not_compared(store: Store) -> None:
    small = version(0)[: LEAST_VERSION - 1]
    for one in (small, small[:-1]):
        found, _ = store.put_object(one, name="small", kind=Kind.OTHER, randomness=RANDOMNESS)
        assert found.after is None


def test_of_several_the_one_of_the_same_name_is_the_version_before(store: Store, tmp_path: Path) -> None:
    numbers = random.Random(3)
    ids = {}
    for name in ("a", "b"):
        data = numbers.randbytes(LEAST_VERSION)
        ids[name] = (data, store.put_object(data, name=name, kind=Kind.OTHER, randomness=RANDOMNESS)[0].id)
    data, before = ids["a"]
    found, _ = store.put_object(data + b"more", name="a", kind=Kind.OTHER, randomness=RANDOMNESS)
    assert found.after == before


def test_a_chain_of_versions_ends(store: Store) -> None:
    versions = [b"date,value\n" + b"2025-01-01,70.5\n" * (1200 + number) for number in range(MOST_VERSIONS + 2)]
    stored = [store.put_object(one, name="x.csv", kind=Kind.LAB, randomness=RANDOMNESS)[0] for one in versions]
    assert [one.after is None for one in stored] == [True, *[False] * MOST_VERSIONS, True]
    assert [store.get_original(one.id) for one in stored] == versions


def test_what_follows_an_erased_version_outlives_it(store: Store) -> None:
    ids = [put(store, version(number), signature=b"of a clinic") for number in range(3)]
    tables = store.table(ids[1])
    leaf = store.get_object(ids[1]).leaf
    store.erase(ids[0], RANDOMNESS)
    alone, last = map(store.get_object, ids[1:])
    assert (alone.after, last.after) == (None, alone.id)
    assert alone.descriptor.previous is None
    assert alone.leaf != leaf
    assert [store.get_original(one) for one in ids[1:]] == [version(1), version(2)]
    assert store.get_signature(alone.id) == b"of a clinic"
    assert store.table(alone.id) == tables
    assert store.check() == []
    assert store.put_object(version(1), name="x", kind=Kind.EHR, randomness=RANDOMNESS)[1] is False


@pytest.mark.parametrize(("profile", "codec"), [(Profile.FAST, "zstd/1"), (Profile.SMALL, "record/1")])
def test_what_follows_an_erased_version_is_kept_as_its_owner_asked(store: Store, profile: Profile, codec: str) -> None:
    ids = [
        store.put_object(version(number), name="x", kind=Kind.EHR, profile=profile, randomness=RANDOMNESS)[0].id
        for number in range(2)
    ]
    assert store.get_object(ids[1]).after == ids[0]
    store.erase(ids[0], RANDOMNESS)
    alone = store.get_object(ids[1])
    assert codec_title(alone.descriptor.codec) == codec
    assert alone.bases == (alone.descriptor.base,)


def test_each_codec_is_tried_once_for_a_version() -> None:
    assert [codec_title(one.name) for one in codecs_after(Kind.EHR, version(0), Profile.FAST)] == ["zstd/1"]
    small = ["deflate/1", "record/1", "lines/1", "zstd/1"]
    assert [codec_title(one.name) for one in codecs_after(Kind.EHR, version(0))] == small


def test_no_byte_of_an_erased_version_is_left_in_what_follows(store: Store) -> None:
    ids = [put(store, version(number)) for number in range(2)]
    ((old,),) = execute(store.path, "SELECT wrapped FROM object WHERE id = ?", ids[1])
    store.erase(ids[0], RANDOMNESS)
    ((new,),) = execute(store.path, "SELECT wrapped FROM object WHERE id = ?", ids[1])
    assert old != new
    assert old not in store.path.read_bytes()
    with pytest.raises(ErasedObject):
        store.get_original(ids[0])


def test_an_altered_version_is_named_and_the_next_stands_by_itself(store: Store) -> None:
    first = put(store, version(0))
    execute(store.path, "UPDATE chunk SET data = zeroblob(length(data))")
    found, _ = store.put_object(version(1), name="x.json", kind=Kind.EHR, randomness=RANDOMNESS)
    assert found.after is None
    with pytest.raises(AlteredBlob):
        store.get_original(first)


def test_an_altered_list_of_the_latest_is_named_and_stops_nothing(store: Store) -> None:
    put(store, version(0))
    execute(store.path, "UPDATE fact SET value = zeroblob(100) WHERE name = 'latest'")
    found, _ = store.put_object(version(1), name="x.json", kind=Kind.EHR, randomness=RANDOMNESS)
    assert found.after is None
    assert store.check() == ["the list of the latest objects was altered"]


def test_importing_a_newer_file_stores_the_difference(store: Store, tmp_path: Path) -> None:
    shutil.copy(IPS, tmp_path / "export.json")
    (first,) = take_in(store, tmp_path / "export.json").added
    (tmp_path / "export.json").write_bytes(version(30))
    (second,) = take_in(store, tmp_path / "export.json").added
    assert second.after == first.id
    assert second.kept < 0.5 * first.kept
