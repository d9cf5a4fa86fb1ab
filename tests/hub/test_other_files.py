"""Files that are no FHIR: known by how they begin, kept byte for byte, written out again under their own names."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from edgehold.codecs.events import decode_table
from edgehold.codecs.lossy import QUALITIES, Loss, step_qualities
from edgehold.codecs.recognise import recognise
from edgehold.codecs.tables.form import schema_of
from edgehold.codecs.tables.laboratory import Columns
from edgehold.crypto.jws import sign_detached
from edgehold.crypto.names import account_id
from edgehold.crypto.signatures import SigningKey
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import (
    AlteredBlob,
    BadColumns,
    FolderInUse,
    IntakeError,
    IntakeLimit,
    NoTable,
    NotAStore,
    SignedExactly,
    UnknownFormat,
)
from edgehold.hub.intake import kinds
from edgehold.hub.intake.derive import derive_table
from edgehold.hub.intake.take_in import import_file
from edgehold.hub.originals import file_name, write_originals
from edgehold.hub.sealed import StoredObject
from edgehold.hub.store import NO_TABLE, Store
from edgehold.wire.account import Role
from edgehold.wire.data import Kind, ObjectId

DATA = Path(__file__).parent.parent / "data"
EVENTS, GENOTYPES, SIGNALS, IMAGES = (f"edgehold.{name}/1" for name in ("events", "genotypes", "signals", "images"))
FILES = {
    "lines/observations.csv": (Kind.LAB, EVENTS),
    "lines/minutes.csv": (Kind.WEARABLE, EVENTS),
    "lines/export.xml": (Kind.WEARABLE, EVENTS),
    "lines/array.txt": (Kind.GENOTYPE, GENOTYPES),
    "lines/small.vcf": (Kind.GENOTYPE, GENOTYPES),
    "samples/100.hea": (Kind.SIGNAL, NO_TABLE),
    "samples/100.dat": (Kind.SIGNAL, SIGNALS),
    "samples/100.atr": (Kind.SIGNAL, EVENTS),
    "samples/3975656_0005.dat": (Kind.SIGNAL, SIGNALS),
    "samples/CT_small.dcm": (Kind.IMAGE, IMAGES),
    "samples/MR_small.dcm": (Kind.IMAGE, IMAGES),
    "samples/s0010_re.dat": (Kind.OTHER, NO_TABLE),  # no header lies beside it
    "lines/README.md": (Kind.OTHER, NO_TABLE),
}
ALONG = {"samples/3975656_0005.hea"}
"""What a file of the above brings along."""
DICE = SeededRandomness(1, "other files")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store.sqlite", bytes(32), DICE)


def test_each_comes_back_under_its_name_and_only_once(store: Store, tmp_path: Path) -> None:
    for name, (kind, schema) in FILES.items():
        done = import_file(store, DATA / name, randomness=DICE)
        first = done.added[0]
        assert (first.descriptor.kind, first.descriptor.schema) == (kind, schema)
        assert (sum(done.rows.values()) > 0) == (schema != NO_TABLE)
        assert all("ends after" in note for note in done.notes), "the files of signals are the first bytes of theirs"
        assert import_file(store, DATA / name, randomness=DICE).added == ()
    import_file(store, DATA / "fhir" / "ips_example_bundle.json", randomness=DICE)
    assert store.check() == []
    written, altered = write_originals(store, tmp_path / "out")
    assert not altered
    assert {one.path.name: one.path.read_bytes() for one in written} == {
        path.name: path.read_bytes()
        for path in (DATA / name for name in (*FILES, *ALONG, "fhir/ips_example_bundle.json"))
    }
    assert all(one.path.stat().st_mode & 0o777 == 0o600 for one in written)


def only(store: Store, name: str) -> StoredObject:
    return next(one for one in store.objects() if one.name == name)


def test_a_table_says_of_which_years_it_is_and_is_the_one_that_the_original_gives(store: Store) -> None:
    for name, (_, schema) in FILES.items():
        import_file(store, DATA / name, randomness=DICE)
        one = only(store, Path(name).name)
        if schema == NO_TABLE:
            with pytest.raises(NoTable):
                store.table(one.id)
            continue
        kept = store.table(one.id)
        assert schema_of(kept)["schema"] == schema
        store.execute("UPDATE object SET tables = NULL WHERE id = ?", one.id)
        assert store.table(one.id) == kept
    assert only(store, "export.xml").descriptor.last_year == 2016
    store.execute("DELETE FROM rows")
    assert store.check() == []


def test_a_table_that_is_not_its_original_s_is_named(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    import_file(store, DATA / "lines" / "minutes.csv", randomness=DICE)
    changed = derive_table([b"time,steps\n2016-04-01,7\n"], kind=Kind.WEARABLE, name="x")
    monkeypatch.setattr("edgehold.hub.store.derive_again", lambda *_, **__: iter([changed]))
    (fault,) = store.check()
    assert "its tables are not those of its original" in fault


def copied(folder: Path, *names: str) -> Path:
    folder.mkdir()
    for name in names:
        shutil.copy(DATA / "samples" / name, folder)
    return folder


def test_the_header_of_a_signal_is_found_among_others_of_its_name(store: Store, tmp_path: Path) -> None:
    """Two records of one name: each signal keeps the table that its own header gives."""
    one = copied(tmp_path / "one", "100.hea", "100.dat")
    other = copied(tmp_path / "other", "100.hea", "100.dat")
    (other / "100.hea").write_text("100 1 125\n100.dat 16\n")
    (other / "100.dat").write_bytes((other / "100.dat").read_bytes()[:3000])
    (third := tmp_path / "third").mkdir()
    (third / "100.hea").write_text("100 1 100\nelsewhere.dat 16\n")
    for folder in (third, one, other):
        for name in ("100.hea", "100.dat"):
            if (folder / name).exists():
                import_file(store, folder / name, randomness=DICE)
    assert store.check() == []
    rates = {schema_of(store.table(each.id))["rate"] for each in store.objects() if each.name == "100.dat"}
    assert rates == {360.0, 125.0}
    for each in store.objects():
        if each.name == "100.hea":
            store.erase(each.id, DICE)
    assert store.check() == [], "with the headers gone there is nothing to compare with"


def test_a_signal_without_its_header_waits_for_it(store: Store, tmp_path: Path) -> None:
    folder = copied(tmp_path / "one", "100.hea", "100.atr")
    (folder / "100.hea").write_text("100 1 125\n100.atr 16x\n")
    done = import_file(store, folder / "100.atr", randomness=DICE)
    assert done.added[0].descriptor.schema == NO_TABLE
    assert "EH471" in done.notes[0]
    with pytest.raises(NoTable, match="no header"):
        derive_table([b"x"], kind=Kind.SIGNAL, name="x.dat")


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("x.csv", b"date,value\n2024-01-01,1\n", "EH458"),
        ("x.vcf", b"##fileformat=VCFv4.2\n#CHROM\n", "EH457"),
        ("x.dcm", bytes(128) + b"DICM", "EH472"),
        ("x.xml", b"<HealthData>", "EH459"),
    ],
)
def test_a_file_of_which_no_table_can_be_made_is_kept_and_it_is_said_why(
    store: Store, tmp_path: Path, name: str, content: bytes, says: str
) -> None:
    (tmp_path / name).write_bytes(content)
    done = import_file(store, tmp_path / name, randomness=DICE)
    assert [one.descriptor.schema for one in done.added] == [NO_TABLE]
    (note,) = done.notes
    assert note.startswith(f"{name}: kept without a table: {says} ")
    assert store.get_original(done.added[0].id) == content
    assert store.check() == []


def test_the_owner_says_which_columns_a_table_has(store: Store, tmp_path: Path) -> None:
    """What was said is kept in the table, so that it can be derived again."""
    path = tmp_path / "labor.txt"
    path.write_text("Datum;Was;Wert\n1.3.2024;CRP;3,5\n")
    with pytest.raises(BadColumns, match=r"labor\.txt: code"):
        import_file(store, path, columns=Columns(date="Datum", code="x", value="Wert"), randomness=DICE)
    assert store.objects() == []
    said = Columns(date="Datum", code="Was", value="Wert")
    (stored,) = import_file(store, path, columns=said, randomness=DICE).added
    assert stored.descriptor.kind is Kind.LAB
    assert decode_table(store.table(stored.id))[0].value == 3.5
    image = import_file(store, DATA / "samples" / "CT_small.dcm", columns=said, randomness=DICE)
    assert image.rows == {IMAGES: 1}, "what has no columns is read as ever"
    assert store.check() == []


def test_what_was_erased_is_not_written_and_what_was_altered_is_named(store: Store, tmp_path: Path) -> None:
    first, second = (
        import_file(store, DATA / "lines" / name, randomness=DICE).added[0] for name in ("array.txt", "small.vcf")
    )
    store.erase(first.id, DICE)
    store.execute("UPDATE chunk SET data = CAST(data || x'00' AS BLOB)")
    written, altered = write_originals(store, tmp_path / "out")
    assert written == []
    assert [type(one) for one in altered] == [AlteredBlob]
    assert second.id.hex() in str(altered[0])


def test_text_where_bytes_were_kept_is_a_damaged_store(store: Store) -> None:
    kept = import_file(store, DATA / "lines" / "array.txt", randomness=DICE).added[0]
    store.execute("UPDATE chunk SET data = CAST(data AS TEXT)")
    with pytest.raises(NotAStore, match="damaged"):
        store.get_original(kept.id)


def test_a_folder_that_holds_something_is_left_alone(store: Store, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("mine")
    for place in ("out", "out/mine"):
        with pytest.raises(FolderInUse):
            write_originals(store, tmp_path / place)
    assert (tmp_path / "out" / "mine").read_text() == "mine"


def test_records_of_one_file_or_of_one_name_are_files_of_their_own() -> None:
    name = ObjectId(bytes(16))
    assert file_name("x.ndjson line 3", name, set()) == "x.line-3.ndjson"
    assert file_name("a.csv", name, {"a.csv"}) == "a.00000000.csv"
    assert file_name("../../etc/passwd", name, set()) == "passwd"
    assert file_name("", name, set()) == "record.00000000"
    assert file_name("..", name, set()) == "record.00000000"


@pytest.mark.parametrize(
    "sample",
    [
        b"rsid\tchromosome\tposition\tgenotype\nrs1\t1\t5\tAG\n",
        b"RSID,CHROMOSOME,POSITION,RESULT\n",
        b'# MyHeritage\nRSID,CHROMOSOME,POSITION,RESULT\n"rs1","1","5","AG"\n',
        b"#AncestryDNA\nrsid\tchromosome\tposition\tallele1\tallele2\nrs1\t23\t5\t0\t0\n",
    ],
)
def test_genotypes_are_known_by_their_lines_or_by_the_names_of_their_columns(sample: bytes) -> None:
    assert recognise(sample) is Kind.GENOTYPE


@pytest.mark.parametrize(
    "sample",
    [
        b"",
        b"prose",
        b"a,b\n1,2",
        b"\x89PNG\r\n",
        b"code,value\0",
        b"<html>",
        b"# a note of 23andMe\n",
        b'{"a":[1,value,2,code]}\n{}',
    ],
)
def test_what_hubs_do_not_know_is_no_text_of_theirs(sample: bytes) -> None:
    assert recognise(sample) is None


def test_a_text_too_large_or_with_a_zero_in_it_is_refused(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(b"code,value\n" + b"1,2\n" * 2000 + b"\0")
    with pytest.raises(UnknownFormat, match="byte 8011: a zero"):
        import_file(store, path, randomness=DICE)
    monkeypatch.setattr(kinds, "MOST_BYTES", 100)
    with pytest.raises(IntakeLimit, match="more than 100 bytes"):
        kinds.read_whole(path, is_text=True)
    with pytest.raises(IntakeError, match="cannot be read"):
        import_file(store, tmp_path, randomness=DICE)
    (tmp_path / "y").touch()
    with pytest.raises(UnknownFormat, match="y: is empty"):
        import_file(store, tmp_path / "y", randomness=DICE)
    assert store.objects() == []


HEADERS = {
    "100 2 360 650000\n100.dat 212 200": True,
    "s0010_re 15 1000 38400\r\ns0010_re.dat 16 2000": True,
    "# said before\n\nmulti/3 2 125 1000\nfirst 300": True,
    "03700181 3 125 75000 17:27:45 15/08/1994\n03700181.dat 212x4": True,
    "plain 1\nplain.dat 16": True,
    "": False,
    "100 2 360 650000\n": False,
    "a text of words\nin two lines": False,
}


@pytest.mark.parametrize("text", HEADERS)
def test_a_header_of_a_record_is_known_and_so_is_what_lies_beside_it(tmp_path: Path, text: str) -> None:
    for name in ("r.hea", "r.dat", "r.txt.hea", "q.dat"):
        (tmp_path / name).write_text(text if name == "r.hea" else "anything")
    assert (kinds.kind_of(tmp_path / "r.dat") is Kind.SIGNAL) == HEADERS[text]
    assert kinds.kind_of(tmp_path / "q.dat") is Kind.OTHER
    assert kinds.kind_of(tmp_path / "r.txt.hea") is Kind.OTHER


# ── lossy ─────────────────────────────────────────────────────────────────────────────────────────────────────────

VARIANTS = DATA / "variants" / "hg00268.g.vcf"


def test_nothing_is_lost_unless_its_owner_asks(store: Store, tmp_path: Path) -> None:
    exact = import_file(store, VARIANTS, randomness=DICE)
    assert exact.lost is None
    assert exact.added[0].descriptor.lossy is None
    again = import_file(store, VARIANTS, lossy=Loss.QUALITIES, randomness=DICE)
    assert (again.added, again.lost) == ((), None), "every byte of it is here already"
    for name in ("lines/array.txt", "lines/observations.csv", "variants/platinum.vcf"):  # there is nothing to lose
        (found,) = import_file(store, DATA / name, lossy=Loss.QUALITIES, randomness=DICE).added
        assert found.descriptor.lossy is None
        assert store.get_original(found.id) == (DATA / name).read_bytes()
    assert store.check() == []


@pytest.mark.parametrize(("name", "kept_as"), [("a.g.vcf", "a.g.vcf"), ("a.g.vcf.gz", "a.g.vcf"), ("a.vcf", "a.vcf")])
def test_what_was_lost_is_recorded_and_said(store: Store, tmp_path: Path, name: str, kept_as: str) -> None:
    exact = VARIANTS.read_bytes()
    path = tmp_path / name
    path.write_bytes(gzip.compress(exact) if name == "a.g.vcf.gz" or name == "a.vcf" else exact)
    imported = import_file(store, path, lossy=Loss.QUALITIES, randomness=DICE)
    (found,) = imported.added
    assert (found.name, found.descriptor.lossy) == (kept_as, QUALITIES)
    assert imported.lost is not None
    stepped = step_qualities(exact)
    assert stepped is not None
    assert (store.get_original(found.id), imported.lost) == (stepped.text, stepped.losses)
    assert schema_of(store.table(found.id))["schema"] == GENOTYPES
    assert not import_file(store, path, lossy=Loss.QUALITIES, randomness=DICE).added
    (written,), _ = write_originals(store, tmp_path / "out")
    assert (written.path.name, written.lossy) == (kept_as, QUALITIES)
    (whole,) = import_file(store, path, randomness=DICE).added
    assert store.get_original(whole.id) == path.read_bytes(), "the exact file can still be taken in"
    assert store.check() == []


def test_a_broken_pack_loses_nothing(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "a.vcf.gz"
    path.write_bytes(gzip.compress(VARIANTS.read_bytes())[:-3])
    imported = import_file(store, path, lossy=Loss.QUALITIES, randomness=DICE)
    assert imported.lost is None
    assert store.get_original(imported.added[0].id) == path.read_bytes()


def test_what_is_signed_is_kept_exactly_or_not_at_all(store: Store) -> None:
    key = SigningKey(bytes(32))
    token = sign_detached(VARIANTS.read_bytes(), account_id(Role.ORGANISATION, key.public), key.sign)
    with pytest.raises(SignedExactly, match=r"hg00268\.g\.vcf"):
        import_file(
            store,
            VARIANTS,
            signature=token,
            key_of=lambda signer: key.public,
            lossy=Loss.QUALITIES,
            randomness=DICE,
        )
    assert store.objects() == []
