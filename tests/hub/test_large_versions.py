"""Versions of originals that are larger than what is read at once: each is kept as the difference, part by part, and
outlives the one before."""

from __future__ import annotations

import gzip
import io
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from random import Random

import msgspec
import pytest

from edgehold.codecs import choice, cuts, parts, stretches
from edgehold.codecs.choice import Profile
from edgehold.codecs.parts import PARTS
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import AlteredBlob, CannotDecode, FileChanged
from edgehold.hub import sealed
from edgehold.hub import store as stores
from edgehold.hub.intake import kinds, large
from edgehold.hub.intake.take_in import import_file
from edgehold.hub.mending import mend_content, take_over, take_over_alone
from edgehold.hub.sealed import SPARE_SLOT, StoredObject, place_of
from edgehold.hub.store import MOST_LARGE_VERSIONS, Doing, Store
from edgehold.wire.data import Kind

DATA = Path(__file__).parent.parent / "data"
DICE = SeededRandomness(1, "large versions")
NUMBERS = Random(1)
HEAD = b"date,code,value,unit\n"
LINES = [
    b"2025-%02d-%02d,glucose,%d,mmol/L\n" % (n % 12 + 1, n % 28 + 1, NUMBERS.randrange(10**6)) for n in range(1500)
]


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, size in (
        (stores, "AT_ONCE", 500),
        (large, "AT_ONCE", 500),
        (kinds, "MOST_BYTES", 500),
        (sealed, "CHUNK", 512),
        (cuts, "TEXT_PART", 4000),
        (cuts, "TABLE_PART", 4000),
        (cuts, "SAMPLES_PART", 12_000),
        (choice, "SAMPLES_PART", 12_000),
        (stretches, "TEXT_PART", 4000),
        (stretches, "TABLE_PART", 4000),
        (stretches, "SAMPLES_PART", 12_000),
        (stretches, "SAMPLE", 1000),
        (stretches, "GAP", 4000),
        (stretches, "ROOM", 9000),
        (parts, "PART", 16_000),
    ):
        monkeypatch.setattr(module, name, size)


def text(count: int) -> bytes:
    return HEAD + b"".join(LINES[:count])


def take(
    store: Store, folder: Path, data: bytes, name: str = "x.csv", profile: Profile = Profile.SMALL
) -> StoredObject:
    path = folder / name
    path.write_bytes(data)
    (one,) = import_file(store, path, profile=profile, randomness=DICE).added
    return one


def read(store: Store, one: StoredObject) -> bytes:
    return b"".join(store.read_original(one.id))


VERSIONS = (text(1400), text(1410), text(1410).replace(LINES[700], b"2026-01-01,glucose,5,mmol/L\n"), text(1500))


def zipped(*contents: bytes, is_stored: bool = False) -> bytes:
    """A ZIP file of these parts."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_STORED if is_stored else zipfile.ZIP_DEFLATED) as file:
        for number, content in enumerate(contents):
            file.writestr(zipfile.ZipInfo(f"{number}.csv"), content, file.compression)
    return made.getvalue()


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "plain": lambda content: content,
    "gzip": lambda content: gzip.compress(content, mtime=0),
    "ZIP": lambda content: zipped(content, HEAD + LINES[3]),
}


@pytest.fixture
def versions(request: pytest.FixtureRequest) -> list[bytes]:
    """The versions in one form."""
    return [FORMS[getattr(request, "param", "plain")](one) for one in VERSIONS]


in_both_forms = pytest.mark.parametrize("versions", ["plain", "ZIP"], indirect=True)


@pytest.fixture
def chain(store: Store, tmp_path: Path, versions: list[bytes]) -> list[StoredObject]:
    return [take(store, tmp_path, one) for one in versions]


@pytest.mark.parametrize("form", list(FORMS)[1:])
def test_a_new_version_of_a_packed_file_takes_little_and_both_come_back(
    store: Store, tmp_path: Path, form: str
) -> None:
    versions = [FORMS[form](one) for one in VERSIONS]
    stored = [take(store, tmp_path, one) for one in versions]
    assert [one.after for one in stored] == [None, *(one.id for one in stored[:-1])]
    assert all(one.encoded < 0.25 * stored[0].encoded for one in stored[1:])
    assert [read(store, one) for one in stored] == versions
    assert store.check() == []


def test_versions_follow_one_another_in_whatever_form_they_come(store: Store, tmp_path: Path) -> None:
    names = ["x.csv", "x.csv.gz", "x.zip", "y.csv"]
    versions = [form(one) for form, one in zip([*FORMS.values(), bytes], VERSIONS, strict=True)]
    stored = [take(store, tmp_path, *one) for one in zip(versions, names, strict=True)]
    assert [one.after for one in stored] == [None, *(one.id for one in stored[:-1])]
    assert all(one.encoded < 0.25 * stored[0].encoded for one in stored[1:])
    for number in range(3):
        store.erase(stored[number].id, DICE)
        assert [read(store, one) for one in stored[number + 1 :]] == versions[number + 1 :]
    assert store.check() == []


def test_what_is_small_in_a_zip_file_follows_what_was_there(store: Store, tmp_path: Path) -> None:
    days = [HEAD + b"".join(LINES[at : at + 50]) for at in range(0, 1500, 50)]
    inside = [days[:-1], [b"a,b\n" * 30, *days[:11], *days[12:]]]
    versions = [zipped(*inside[0]), zipped(*inside[1]), zipped(*inside[1], is_stored=True)]
    stored = [take(store, tmp_path, one) for one in versions]
    assert all(one.encoded < 0.5 * stored[0].encoded for one in stored[1:])
    assert [read(store, one) for one in stored] == versions


def test_a_packed_file_that_changes_while_it_is_compared_is_not_taken_in(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "x.csv.gz"
    take(store, tmp_path, FORMS["gzip"](VERSIONS[0]), path.name)
    path.write_bytes(FORMS["gzip"](VERSIONS[1]))

    def change(doing: Doing, *_: int) -> None:
        if doing is Doing.READ:
            path.write_bytes(FORMS["gzip"](VERSIONS[2]))
        assert doing in {Doing.READ, Doing.COMPARE}

    with pytest.raises(FileChanged):
        import_file(store, path, told=change, randomness=DICE)
    assert len(store.objects()) == 1


@pytest.mark.parametrize("profile", Profile)
def test_a_new_version_takes_little_and_both_come_back(store: Store, tmp_path: Path, profile: Profile) -> None:
    first, second = (take(store, tmp_path, one, profile=profile) for one in VERSIONS[:2])
    assert (first.after, second.after, second.descriptor.codec) == (None, first.id, PARTS)
    assert second.descriptor.previous == first.leaf
    assert second.encoded < 0.2 * first.encoded
    assert [read(store, one) for one in (first, second)] == list(VERSIONS[:2])
    assert store.check() == []


@pytest.mark.parametrize(
    "name", ["variants/nist.vcf", "lines/export.xml", "packed/gzip.vcf.gz", "samples/CT_small.dcm"]
)
def test_each_kind_has_versions(store: Store, tmp_path: Path, name: str) -> None:
    data = (DATA / name).read_bytes()
    versions = [data, data.replace(b"2016", b"2017", 1) if data.count(b"2016") else data + b"\n"]
    first, second = (take(store, tmp_path, one, Path(name).name) for one in versions)
    assert [read(store, one) for one in (first, second)] == versions
    if not name.startswith("samples"):
        assert second.after == first.id
        assert second.encoded < 0.5 * first.encoded
    assert store.check() == []


def test_each_of_a_chain_follows_the_one_before_up_to_the_last(store: Store, tmp_path: Path) -> None:
    versions = [text(1400 + number) for number in range(MOST_LARGE_VERSIONS + 2)]
    stored = [take(store, tmp_path, one) for one in versions]
    assert [one.after for one in stored] == [None, *(one.id for one in stored[:MOST_LARGE_VERSIONS]), None]
    assert [read(store, one) for one in stored] == versions


@in_both_forms
@pytest.mark.parametrize("number", range(3))
def test_what_follows_an_erased_version_outlives_it(
    store: Store, versions: list[bytes], chain: list[StoredObject], number: int
) -> None:
    follows = chain[number + 1]
    table = store.table(follows.id)
    store.erase(chain[number].id, DICE)
    alone = store.get_object(follows.id)
    assert (alone.after, alone.descriptor.previous, alone.slot) == (None, None, follows.slot)
    assert alone.leaf != follows.leaf
    assert store.table(follows.id) == table
    left = [place for place in range(4) if place != number]
    assert [read(store, chain[place]) for place in left] == [versions[place] for place in left]
    assert [store.get_object(one.id).after for one in chain[number + 2 :]] == [one.id for one in chain[number + 1 : -1]]
    assert store.check() == []


@in_both_forms
def test_an_erased_version_leaves_what_follows_as_if_it_had_come_alone(
    store: Store, tmp_path: Path, versions: list[bytes]
) -> None:
    chain = [take(store, tmp_path, one) for one in versions[:2]]
    with Store.create(tmp_path / "other.sqlite", bytes(32), DICE) as other:
        alone = take(other, tmp_path, versions[1])
    store.erase(chain[0].id, DICE)
    made = store.get_object(chain[1].id)
    assert (made.encoded, made.bases, made.commitment) == (alone.encoded, alone.bases, alone.commitment)


def test_no_table_that_was_altered_keeps_what_follows_from_going_on(
    store: Store, versions: list[bytes], chain: list[StoredObject]
) -> None:
    store.execute("UPDATE object SET tables = zeroblob(100) WHERE id = ?", chain[1].id)
    store.erase(chain[0].id, DICE)
    assert read(store, chain[1]) == versions[1]
    assert store.row(chain[1].id).tables is None
    assert store.strays() == []
    assert store.check() == []


def test_what_is_packed_has_parts_that_are_the_same(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parts, "PART", 2000)
    noise = Random(2).randbytes(20_000)
    first, second = (take(store, tmp_path, noise + end, "x.bin") for end in (b"", b"more"))
    assert second.after == first.id
    assert second.encoded < 0.2 * first.encoded
    assert read(store, second) == noise + b"more"
    store.erase(first.id, DICE)
    assert read(store, second) == noise + b"more"


def test_what_resembles_nothing_stands_by_itself(store: Store, tmp_path: Path) -> None:
    numbers = Random(3)
    for _ in range(2):
        one = take(
            store, tmp_path, HEAD + b"".join(b"2024-01-01,x,%d,g\n" % numbers.randrange(10**9) for _ in range(900))
        )
        assert (one.after, one.descriptor.previous) == (None, None)


def test_large_and_small_files_do_not_stand_in_each_others_way(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    large = [take(store, tmp_path, VERSIONS[0])]
    small = [text(1000), text(1001)]
    ids = [store.put_object(one, name="x.csv", kind=Kind.LAB, randomness=DICE)[0].id for one in small]
    large.append(take(store, tmp_path, VERSIONS[1]))
    assert store.get_object(ids[1]).after == ids[0]
    assert large[1].after == large[0].id
    assert store.knows_latest()


def harm(store: Store, one: StoredObject) -> None:
    place = place_of(store.get_object(one.id).slot, 1)
    store.execute("UPDATE chunk SET data = zeroblob(length(data)) WHERE place = ?", place)


@in_both_forms
def test_damage_of_the_version_before_is_named_and_the_next_stands_by_itself(
    store: Store, tmp_path: Path, versions: list[bytes], chain: list[StoredObject]
) -> None:
    harm(store, chain[0])
    assert take(store, tmp_path, text(1450)).after is None
    for one in chain:
        with pytest.raises(AlteredBlob, match=f"chunk 1 of .* {chain[0].id.hex()}"):
            store.verify_original(one.id)
    assert len(store.check()) == len(chain)
    store.erase(chain[0].id, DICE)
    with pytest.raises(AlteredBlob, match="before it is gone"):
        store.verify_original(chain[1].id)
    assert store.strays() == []
    assert take(store, tmp_path, text(1451)).after is not None


def test_a_version_before_that_is_gone_is_none(store: Store, tmp_path: Path, chain: list[StoredObject]) -> None:
    harm(store, chain[2])
    store.erase(chain[2].id, DICE)
    assert take(store, tmp_path, text(1450)).after is None


def test_one_that_follows_another_kind_of_encoding_is_named(store: Store, chain: list[StoredObject]) -> None:
    small, _ = store.put_object(b"small", name="small", kind=Kind.OTHER, randomness=DICE)
    row = store.row(chain[1].id)
    record, key = store.open_record(row)
    assert key is not None
    assert row.identity is not None
    other = msgspec.structs.replace(record, after=small.id)
    store.describe(row.id, row.slot, row.identity, other, key, None, None, DICE)
    with pytest.raises(CannotDecode, match="instead of"):
        store.verify_original(row.id)


@in_both_forms
def test_a_damaged_chain_is_mended_and_taken_over(
    store: Store, tmp_path: Path, versions: list[bytes], chain: list[StoredObject]
) -> None:
    with Store.create(tmp_path / "other.sqlite", bytes(32), DICE) as other:
        for one in chain:
            take_over(other, one.id, store, DICE)
        assert other.check() == []
        harm(store, chain[0])
        mend_content(store, chain[0].id, other)
        assert store.check() == []
        table = other.table(chain[2].id)
        store.bury(chain[1].id, DICE)
        for number in (2, 1):
            take_over_alone(store, chain[number].id, other, DICE)
            assert store.get_object(chain[number].id).after is None
        assert store.check() == []
        assert store.table(chain[2].id) == table
        assert [read(store, one) for one in chain] == versions


def test_few_parts_of_each_version_are_in_memory(
    store: Store, chain: list[StoredObject], monkeypatch: pytest.MonkeyPatch
) -> None:
    most = 0
    told = parts.Parts._told

    def counted(one: parts.Parts) -> bytes:
        nonlocal most
        before = one._before
        if before is not None:
            held = [part for part, _ in before._held.values()]
            most = max(most, sum(map(len, held)))
        return told(one)

    monkeypatch.setattr(parts.Parts, "_told", counted)
    for one in chain:
        store.verify_original(one.id)
    assert 0 < most <= 3 * 4000


@pytest.mark.parametrize("is_large", [True, False])
def test_an_object_that_was_altered_is_no_version_before_and_stops_no_import(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_large: bool
) -> None:
    if not is_large:
        monkeypatch.setattr(stores, "AT_ONCE", 1 << 26)
        monkeypatch.setattr(large, "AT_ONCE", 1 << 26)
        monkeypatch.setattr(kinds, "MOST_BYTES", 1 << 26)
        monkeypatch.setattr(stores, "LEAST_VERSION", 500)
    first, second = (take(store, tmp_path, one) for one in VERSIONS[:2])
    store.execute("UPDATE object SET sealed = zeroblob(length(sealed)) WHERE id = ?", second.id)
    assert take(store, tmp_path, VERSIONS[2]).after == first.id
    store.execute("UPDATE object SET id = zeroblob(16) WHERE id = ?", second.id)
    assert take(store, tmp_path, VERSIONS[3]).after is not None


@pytest.mark.parametrize("damage", ["another's place", "a stray chunk", "its identity"])
def test_damage_elsewhere_keeps_no_version_from_being_erased_nor_what_follows_from_going_on(
    store: Store, tmp_path: Path, versions: list[bytes], chain: list[StoredObject], damage: str
) -> None:
    other = take(store, tmp_path, b"a,b\n" + bytes(range(32, 120)) * 9 + b"\n", "y.csv")
    match damage:
        case "another's place":
            store.execute("UPDATE object SET slot = x'00' WHERE id = ?", other.id)
        case "a stray chunk":
            store.execute("INSERT INTO chunk VALUES(?, x'00')", place_of(SPARE_SLOT, 0))
        case _:
            store.execute("UPDATE object SET identity = NULL WHERE id = ?", chain[1].id)
    with suppress(AlteredBlob):  # what else is erased is not known then
        store.erase(chain[0].id, DICE)
    if damage != "another's place":
        assert store.get_object(chain[1].id).after is None
        assert store.row(chain[1].id).identity is not None
        assert store.check() == []
    assert read(store, chain[1]) == versions[1]


def test_a_version_that_cannot_be_decoded_is_not_gone_on_with(
    store: Store, tmp_path: Path, versions: list[bytes], chain: list[StoredObject], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(one: parts.Parts) -> bytes:
        raise CannotDecode("not today")

    with monkeypatch.context() as patched:
        patched.setattr(parts.Parts, "_told", refuse)
        one = take(store, tmp_path, VERSIONS[3].replace(LINES[400], b""))
    assert one.after == chain[-1].id, "some parts are the same"
    assert read(store, one) == VERSIONS[3].replace(LINES[400], b"")
    assert [read(store, one) for one in chain] == versions
