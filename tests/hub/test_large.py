"""Originals that are larger than what is read at once: cut, encoded, sealed and read part by part.

The sizes are made small, so that a file of some kilobytes is a large one of many parts.
"""

from __future__ import annotations

import gzip
import os
import signal
from pathlib import Path

import msgspec
import pytest
from test_intake_packs import bgzipped

from edgehold.codecs import choice, cuts, packs, parts, stretches
from edgehold.codecs.choice import Profile
from edgehold.codecs.events import Event, decode_table, encode_table
from edgehold.codecs.general import ZSTD, shipped_codec
from edgehold.codecs.lossy import QUALITIES, Loss, step_qualities
from edgehold.codecs.parts import PARTS, PartsCodec, Ways
from edgehold.codecs.tables.form import column_of
from edgehold.codecs.tables.laboratory import Columns
from edgehold.crypto.jws import sign_detached
from edgehold.crypto.names import account_id
from edgehold.crypto.signatures import SigningKey
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import (
    AlteredBlob,
    BadColumns,
    BadSignature,
    CannotDecode,
    FileChanged,
    IntakeLimit,
    LargeOriginal,
    LargeTable,
    NoTable,
    SignedExactly,
    UnknownFormat,
)
from edgehold.hub import runs, sealed
from edgehold.hub import store as stores
from edgehold.hub.intake import kinds, large, steps
from edgehold.hub.intake.derive import derive_table
from edgehold.hub.intake.imports import Imported
from edgehold.hub.intake.take_in import import_file
from edgehold.hub.mending import mend_content, mend_derived, take_over
from edgehold.hub.originals import write_originals
from edgehold.hub.rows import Wanted, read_part
from edgehold.hub.runs import read_together
from edgehold.hub.sealed import PLACES
from edgehold.hub.store import NO_TABLE, Doing, Store
from edgehold.verify.opening import record_commitment, signature_digest
from edgehold.wire.account import Role
from edgehold.wire.data import Kind

DATA = Path(__file__).parent.parent / "data"
DICE = SeededRandomness(1, "large files")
EVENTS = "edgehold.events/1"
SCHEMAS = {
    Kind.LAB: EVENTS,
    Kind.WEARABLE: EVENTS,
    Kind.GENOTYPE: "edgehold.genotypes/1",
    Kind.IMAGE: "edgehold.images/1",
}
FILES = {
    "lines/observations.csv": Kind.LAB,
    "lines/export.xml": Kind.WEARABLE,
    "variants/hg00268.g.vcf": Kind.GENOTYPE,
    "packed/gzip.vcf.gz": Kind.GENOTYPE,
    "samples/100.dat": Kind.SIGNAL,
    "samples/CT_small.dcm": Kind.IMAGE,
    "lines/README.md": Kind.OTHER,
}


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, size in (
        (stores, "AT_ONCE", 500),
        (large, "AT_ONCE", 500),
        (kinds, "MOST_BYTES", 500),
        (sealed, "CHUNK", 512),
        (cuts, "TEXT_PART", 6000),
        (stretches, "TEXT_PART", 6000),
        (stretches, "TABLE_PART", 6000),
        (stretches, "ROOM", 6000),
        (stretches, "GAP", 6000),
        (cuts, "TABLE_PART", 6000),
        (cuts, "BLOCKS_PART", 6000),
        (cuts, "SAMPLES_PART", 12_000),
        (choice, "SAMPLES_PART", 12_000),
        (parts, "PART", 16_000),
        (steps, "BLOCK", 4000),
        (cuts, "PART", 16_000),
    ):
        monkeypatch.setattr(module, name, size)


def take(store: Store, path: Path, profile: Profile = Profile.SMALL) -> Imported:
    return import_file(store, path, profile=profile, randomness=DICE)


@pytest.mark.parametrize("profile", Profile)
def test_each_kind_comes_back_and_is_committed_to_as_if_it_had_come_at_once(
    store: Store, tmp_path: Path, profile: Profile
) -> None:
    for name, kind in FILES.items():
        done = take(store, DATA / name, profile)
        one = done.added[0]
        assert (one.descriptor.kind, one.descriptor.codec) == (kind, PARTS), name
        assert one.descriptor.schema == SCHEMAS.get(kind, NO_TABLE)
        original = (DATA / name).read_bytes()
        assert b"".join(store.read_original(one.id)) == original
        assert one.commitment == record_commitment(original)
        assert any("EH485" in note for note in done.notes) == (kind is Kind.SIGNAL)
        assert take(store, DATA / name).added == ()
        with pytest.raises(LargeOriginal):
            store.get_original(one.id)
        if kind in SCHEMAS:
            known = derive_table([original], kind=kind, name=name)
            assert known is not None
            assert (done.rows, one.descriptor.first_year) == ({known.schema: known.rows}, (known.years or (None,))[0])
            assert store.table(one.id) == known.files
        else:
            with pytest.raises(NoTable):
                store.table(one.id)
    assert store.check() == []
    assert store.path.with_name("store.sqlite-wal").stat().st_size == 0, "the log is emptied"
    written, altered = write_originals(store, tmp_path / "out")
    assert not altered
    assert {one.path.name for one in written} >= {Path(name).name for name in FILES}
    for one in written:
        name = next((name for name in FILES if name.endswith(f"/{one.path.name}")), f"samples/{one.path.name}")
        assert one.path.read_bytes() == (DATA / name).read_bytes()


def test_a_chunk_that_is_altered_missing_or_elsewhere_is_named_and_can_be_put_back(
    store: Store, tmp_path: Path
) -> None:
    one = take(store, DATA / "samples" / "100.dat").added[0]
    with Store.create(tmp_path / "other.sqlite", bytes(32), DICE) as other:
        take_over(other, one.id, store, DICE)
        first, at = one.slot << PLACES, (one.slot << PLACES) + 2
        for harm in (
            f"UPDATE chunk SET data = zeroblob(length(data)) WHERE place = {at}",
            f"DELETE FROM chunk WHERE place = {at}",
            f"UPDATE chunk SET data = (SELECT data FROM chunk WHERE place = {first}) WHERE place = {at}",
        ):
            store._database.execute(harm).fetchall()
            assert "chunk" in (store.fault_of(one.id) or "")
            with pytest.raises(AlteredBlob):
                store.verify_original(one.id)
            written, altered = write_originals(store, tmp_path / f"out {len(harm)}")
            assert (one.id not in {some.id for some in written}, len(altered)) == (True, 1)
            assert not (tmp_path / f"out {len(harm)}" / "100.dat").exists()
            mend_content(store, one.id, other)
            assert store.fault_of(one.id) is None


def test_a_table_of_a_large_image_is_made_of_its_beginning_each_time(store: Store) -> None:
    take(store, DATA / "samples" / "CT_small.dcm")
    one = store.objects()[0]
    kept = store.table(one.id)
    mend_derived(store, one.id, DICE)
    assert store.table(one.id) == kept
    assert store.check() == []


def test_rows_of_a_large_file_are_read_and_its_table_is_checked_and_mended(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = DATA / "variants" / "nist.vcf"
    one = take(store, path).added[0]
    known = derive_table([path.read_bytes()], kind=Kind.GENOTYPE, name=path.name)
    assert known is not None
    found = read_part(store, one.id, Wanted(region="chr21:9412000-9414000").where, DICE)
    assert found is not None
    positions = column_of(known.files, "position.u32").tolist()
    ends = column_of(known.files, "end.u32").tolist()
    assert column_of(found, "position.u32").tolist() == [
        start for start, end in zip(positions, ends, strict=True) if start <= 9414000 and end >= 9412000
    ]
    mend_derived(store, one.id, DICE)
    assert store.table(one.id) == known.files
    assert store.fault_of(one.id) is None
    store.put_table(one.id, encode_table([]), DICE)
    assert "its tables are not those of its original" in str(store.fault_of(one.id))
    mend_derived(store, one.id, DICE)
    monkeypatch.setattr(stores, "MOST_VIEW", 100)
    with pytest.raises(LargeTable, match="more than 100"):
        store.table(one.id)
    assert store.fault_of(one.id) is None
    store.execute("UPDATE object SET tables = NULL WHERE id = ?", one.id)
    store.remove_content(one.slot, ("rows",))
    assert store.table(one.id) == known.files


def test_tables_that_are_too_large_together_are_not_joined(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    held = [take(store, DATA / "lines" / name).added[0] for name in ("minutes.csv", "observations.csv")]
    assert len(read_together(store, held)) == 2
    monkeypatch.setattr(runs, "MOST_JOINED", 10)
    assert len(read_together(store, held[:1])) == 1
    with pytest.raises(LargeTable, match="2 tables"):
        read_together(store, held)


def test_columns_that_are_named_of_a_large_file_stay_with_its_table(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "labor.csv"
    path.write_bytes(b"Tag;Was;Wert\n" + b"13/2/2020;GLU;4,5\n" * 500)
    said = Columns(date="Tag", code="Was", value="Wert", vocabulary="X")
    done = import_file(store, path, columns=said, randomness=DICE)
    one = done.added[0]
    assert (one.descriptor.codec, one.descriptor.kind, done.rows) == (PARTS, Kind.LAB, {EVENTS: 500})
    assert decode_table(store.table(one.id))[0] == Event(1581552000, "X//GLU", 4.5)
    assert store.check() == []


def test_why_a_large_file_has_no_table_or_half_of_one_is_said(store: Store, tmp_path: Path) -> None:
    vcf, export = (DATA / name for name in ("variants/nist.vcf", "lines/export.xml"))
    for name, data, words in (
        ("two.vcf", vcf.read_bytes().replace(b"\tFORMAT\t", b"\tFORMAT\tother\t"), "EH455"),
        ("broken.vcf", vcf.read_bytes() + b"broken\n", "line"),
        ("export.xml", export.read_bytes()[:-60], "it ends at line"),
    ):
        (tmp_path / name).write_bytes(data)
        done = take(store, tmp_path / name)
        assert words in done.notes[0], done.notes
        assert bool(done.added[0].descriptor.schema) == (name == "export.xml")
    assert store.check() == []


def test_a_file_that_changes_before_its_table_is_made_is_not_stored(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "changing.csv"
    original = (DATA / "lines" / "observations.csv").read_bytes()
    for change in (original[:-1] + b"x", b"x" * len(original)):
        path.write_bytes(original)

        def alter(doing: Doing, done: int, total: int, change: bytes = change) -> None:
            if (doing, done) == (Doing.ENCODE, total):
                path.write_bytes(change)

        with pytest.raises(FileChanged):
            import_file(store, path, told=alter, randomness=DICE)
    assert store.objects() == []


def test_a_file_that_changes_meanwhile_is_not_stored(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "growing.csv"
    path.write_bytes((DATA / "lines" / "observations.csv").read_bytes())

    def grow(doing: Doing, *_: int) -> None:
        with path.open("ab") as file:
            file.write(b"more\n" if doing is Doing.ENCODE else b"")

    def alter(doing: Doing, *_: int) -> None:
        if doing is not Doing.ENCODE:
            return
        with path.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"x")

    for change in (grow, alter):
        with pytest.raises(FileChanged):
            import_file(store, path, told=change, randomness=DICE)
    assert store.objects() == []
    assert store.check() == []


def test_what_needs_all_of_a_file_at_once_is_refused(store: Store, tmp_path: Path) -> None:
    path = DATA / "lines" / "observations.csv"
    with pytest.raises(BadColumns, match="observations"):
        import_file(store, path, columns=Columns(date="nowhere", code="code", value="value"), randomness=DICE)
    broken = tmp_path / "zero.csv"
    broken.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(UnknownFormat, match=f"byte {path.stat().st_size}"):
        take(store, broken)
    assert store.objects() == []


def test_each_reading_of_a_large_file_is_told_with_what_it_is_for(store: Store) -> None:
    path, heard = DATA / "lines" / "observations.csv", list[tuple[Doing, int, int]]()
    size = path.stat().st_size
    import_file(store, path, told=lambda *one: heard.append(one), randomness=DICE)
    doings = list(dict.fromkeys(doing for doing, _, _ in heard))
    assert doings == [Doing.READ, Doing.ENCODE, Doing.DERIVE]
    for doing in doings:
        done = [done for about, done, total in heard if about is doing and total == size]
        assert done == sorted(done)
        assert done[-1] == size


# ── signatures ────────────────────────────────────────────────────────────────────────────────────────────────────────


KEY = SigningKey(bytes(32))
CLINIC = account_id(Role.ORGANISATION, KEY.public)


def test_a_large_file_that_is_signed_keeps_its_signature(store: Store) -> None:
    path = DATA / "variants" / "nist.vcf"
    token = sign_detached(path.read_bytes(), CLINIC, KEY.sign)
    take(store, path)
    for _ in range(2):
        done = import_file(store, path, signature=token, key_of=lambda _: KEY.public, randomness=DICE)
        one = (*done.added, *done.known)[0]
        assert one.descriptor.codec == PARTS
        assert (store.get_signature(one.id), one.descriptor.signature) == (token, signature_digest(token))
        assert store.check() == []
    store.erase(one.id, DICE)
    (anew,) = import_file(store, path, signature=token, key_of=lambda _: KEY.public, randomness=DICE).added
    assert store.get_signature(anew.id) == token
    assert store.check() == []


def test_a_large_file_that_was_not_signed_so_is_refused(store: Store, tmp_path: Path) -> None:
    original = (DATA / "variants" / "nist.vcf").read_bytes()
    token = sign_detached(original, CLINIC, KEY.sign)
    path = tmp_path / "changed.vcf"
    path.write_bytes(original[:-2] + b"x\n")
    for key_of in (lambda _: KEY.public, None):
        with pytest.raises(BadSignature):
            import_file(store, path, signature=token, key_of=key_of, randomness=DICE)
    path.write_bytes(original)
    with pytest.raises(SignedExactly, match="changed"):
        import_file(store, path, signature=token, key_of=lambda _: KEY.public, lossy=Loss.QUALITIES, randomness=DICE)
    assert store.objects() == []


# ── what an owner would rather lose ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", ["hg00268.g.vcf", "hg00268.g.vcf.gz", "hg00268.g.vcf.bgz"])
def test_qualities_of_a_large_file_are_lost_as_those_of_a_small_one(store: Store, tmp_path: Path, name: str) -> None:
    text = (DATA / "variants" / "hg00268.g.vcf").read_bytes()
    path = tmp_path / name
    path.write_bytes({".vcf": lambda text: text, ".gz": gzip.compress, ".bgz": bgzipped}[path.suffix](text))
    expected = step_qualities(text)
    assert expected is not None
    heard = list[Doing]()
    done = import_file(store, path, lossy=Loss.QUALITIES, told=lambda doing, *_: heard.append(doing), randomness=DICE)
    (one,) = done.added
    assert (one.name, one.descriptor.codec, one.descriptor.lossy) == ("hg00268.g.vcf", PARTS, QUALITIES)
    assert done.lost == expected.losses
    assert list(dict.fromkeys(heard)) == [Doing.READ, Doing.STEP, Doing.ENCODE, Doing.DERIVE]
    assert b"".join(store.read_original(one.id)) == expected.text
    known = derive_table([expected.text], kind=Kind.GENOTYPE, name=name)
    assert known is not None
    assert store.table(one.id) == known.files
    again = import_file(store, path, lossy=Loss.QUALITIES, randomness=DICE)
    assert (again.added, again.known) == ((), (one,))
    (exact,) = take(store, path).added
    assert b"".join(store.read_original(exact.id)) == path.read_bytes()
    assert import_file(store, path, lossy=Loss.QUALITIES, randomness=DICE).known == (exact,), "all of it is here"
    assert store.check() == []


def test_what_is_in_steps_already_or_no_variants_loses_nothing(store: Store, tmp_path: Path) -> None:
    expected = step_qualities((DATA / "variants" / "hg00268.g.vcf").read_bytes())
    assert expected is not None
    (tmp_path / "again.vcf").write_bytes(expected.text.rstrip())
    for path in (tmp_path / "again.vcf", DATA / "lines" / "array.txt"):
        done = import_file(store, path, lossy=Loss.QUALITIES, randomness=DICE)
        assert (done.lost, done.added[0].descriptor.lossy) == (None, None)
        assert b"".join(store.read_original(done.added[0].id)) == path.read_bytes()


def test_a_large_file_whose_text_cannot_be_read_line_by_line_loses_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (DATA / "variants" / "hg00268.g.vcf").read_bytes()
    packed, plain = tmp_path / "broken.vcf.gz", tmp_path / "long.vcf"
    packed.write_bytes(gzip.compress(text)[:-3])
    done = import_file(store, packed, lossy=Loss.QUALITIES, randomness=DICE)
    assert (done.lost, "kept as it is" in done.notes[0]) == (None, True)
    assert b"".join(store.read_original(done.added[0].id)) == packed.read_bytes()
    monkeypatch.setattr(steps, "MOST_LINE", 10_000)
    plain.write_bytes(text + b"x" * 40_000)
    with pytest.raises(IntakeLimit, match="a line of more than"):
        import_file(store, plain, lossy=Loss.QUALITIES, randomness=DICE)


def test_packed_files_that_cannot_be_unpacked_are_kept_as_they_are(store: Store, tmp_path: Path) -> None:
    for name, start in (("some.zip", packs.ZIP), ("some.gz", packs.GZIP + bytes(7))):
        path = tmp_path / name
        path.write_bytes(start + os.urandom(40_000))
        kept = take(store, path).added[0]
        assert b"".join(store.read_original(kept.id)) == path.read_bytes()
        quick = take(store, path.rename(tmp_path / f"quick-{name}"))
        assert quick.known == (kept,)


def test_a_large_packed_file_is_unpacked_but_for_who_wants_to_read_it_at_once(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stretches, "TABLE_PART", 1 << 20)
    monkeypatch.setattr(parts, "PART", 1 << 25)
    path = tmp_path / "x.csv.gz"
    path.write_bytes(gzip.compress((DATA / "lines" / "observations.csv").read_bytes()))
    fast = import_file(store, path, profile=Profile.FAST, randomness=DICE)
    assert any("as packed as it is" in note for note in fast.notes)
    store.erase(fast.added[0].id, DICE)
    small = import_file(store, path, randomness=DICE)
    assert small.notes == ()
    assert small.added[0].encoded < fast.added[0].encoded / 2
    assert store.check() == []
    assert write_originals(store, tmp_path / "out")[1] == []
    assert (tmp_path / "out" / "x.csv.gz").read_bytes() == path.read_bytes()


def test_an_image_whose_elements_cannot_be_followed_is_kept_without_a_table(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "odd.dcm"
    path.write_bytes(bytes(128) + b"DICM" + bytes(4000))
    done = take(store, path)
    assert (done.added[0].descriptor.schema, "EH472" in done.notes[0]) == (NO_TABLE, True)


def test_a_small_file_of_blocks_that_hold_much_is_cut_as_well(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "blocks.vcf.gz"
    path.write_bytes(bgzipped((DATA / "lines" / "small.vcf").read_bytes()))
    monkeypatch.setattr(kinds, "MOST_BYTES", 1 << 26)
    assert take(store, path).added[0].descriptor.codec != PARTS
    store.erase(store.objects()[0].id, DICE)
    monkeypatch.setattr(kinds, "MOST_UNPACKED", 1000)
    one = take(store, path).added[0]
    assert one.descriptor.codec == PARTS
    known = derive_table([path.read_bytes()], kind=Kind.GENOTYPE, name="x")
    assert known is not None
    assert store.table(one.id) == known.files


def test_a_process_that_is_killed_within_a_large_file_leaves_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    with Store.create(path, bytes(32), DICE) as store:
        take(store, DATA / "lines" / "README.md")
    child = os.fork()
    if not child:
        with Store.open(path, bytes(32)) as store:
            import_file(
                store,
                DATA / "variants" / "nist.vcf",
                told=lambda doing, *_: os.kill(os.getpid(), signal.SIGKILL * (doing is Doing.ENCODE)),
                randomness=DICE,
            )
        os._exit(0)  # not reached
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    with Store.open(path, bytes(32)) as store:
        assert [one.name for one in store.objects()] == ["README.md"]
        assert store.check() == []
        assert take(store, DATA / "variants" / "nist.vcf").added


def test_padding_of_several_chunks_is_left_out_when_it_is_read(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed, "CHUNK", 16)
    noise = os.urandom(2050)
    one, _ = store.put_object(noise, name="noise", kind=Kind.OTHER, randomness=DICE)
    assert one.padding > 16
    assert store.get_original(one.id) == noise


class Lying:
    """A codec whose encoding is of other bytes."""

    name = ZSTD
    base = None

    def encode(self, data: bytes) -> bytes:
        return shipped_codec(None).encode(data[::-1])

    def decode(self, encoded: bytes, limit: int) -> bytes:
        raise AssertionError


def test_a_part_that_comes_back_as_another_is_named(store: Store) -> None:
    codec = PartsCodec(choice.codec_named, choice.encode_smallest, Ways([Lying()]))
    one, _ = store.put_parts(lambda: iter([b"some ", b"bytes"]), codec, name="x", kind=Kind.OTHER, randomness=DICE)
    with pytest.raises(CannotDecode, match="another than it was"):
        store.verify_original(one.id)


def test_what_is_not_what_was_committed_to_is_known_behind_the_last_part(store: Store) -> None:
    one = take(store, DATA / "lines" / "observations.csv").added[0]
    row = store.row(one.id)
    record, key = store.open_record(row)
    assert key is not None
    assert row.identity is not None
    other = msgspec.structs.replace(record, commitment=record_commitment(b"others"))
    store.describe(one.id, row.slot, row.identity, other, key, None, None, DICE)
    with pytest.raises(AlteredBlob, match="committed to"):
        store.verify_original(one.id)
