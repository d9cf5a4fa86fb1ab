"""Files that are no FHIR: known by how they begin, kept byte for byte, written out again under their own names."""

from __future__ import annotations

from pathlib import Path

import pytest

from edgehold.codecs.recognise import recognise
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import AlteredBlob, FolderInUse, IntakeError, IntakeLimit, NotAStore, UnknownFormat
from edgehold.hub.intake import kinds
from edgehold.hub.intake.take_in import NO_TABLE, import_file
from edgehold.hub.originals import file_name, write_originals
from edgehold.hub.store import Store
from edgehold.wire.data import Kind, ObjectId

DATA = Path(__file__).parent.parent / "data"
KINDS = {
    "lines/observations.csv": Kind.LAB,
    "lines/minutes.csv": Kind.WEARABLE,
    "lines/export.xml": Kind.WEARABLE,
    "lines/array.txt": Kind.GENOTYPE,
    "lines/small.vcf": Kind.GENOTYPE,
    "samples/100.hea": Kind.SIGNAL,
    "samples/100.dat": Kind.SIGNAL,
    "samples/100.atr": Kind.SIGNAL,
    "samples/3975656_0005.dat": Kind.SIGNAL,
    "samples/CT_small.dcm": Kind.IMAGE,
    "samples/MR_small.dcm": Kind.IMAGE,
    "samples/s0010_re.dat": Kind.OTHER,  # no header lies beside it
    "lines/README.md": Kind.OTHER,
}
DICE = SeededRandomness(1, "other files")


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.create(tmp_path / "store.sqlite", bytes(32), DICE)


def test_each_comes_back_under_its_name_and_only_once(store: Store, tmp_path: Path) -> None:
    for name, kind in KINDS.items():
        done = import_file(store, DATA / name, randomness=DICE)
        assert [(one.descriptor.kind, one.descriptor.schema) for one in done.added] == [(kind, NO_TABLE)]
        assert import_file(store, DATA / name, randomness=DICE).added == ()
    import_file(store, DATA / "fhir" / "ips_example_bundle.json", randomness=DICE)
    assert store.check() == []
    written, altered = write_originals(store, tmp_path / "out")
    assert not altered
    assert {one.path.name: one.path.read_bytes() for one in written} == {
        path.name: path.read_bytes() for path in (DATA / name for name in (*KINDS, "fhir/ips_example_bundle.json"))
    }
    assert all(one.path.stat().st_mode & 0o777 == 0o600 for one in written)


def test_what_was_erased_is_not_written_and_what_was_altered_is_named(store: Store, tmp_path: Path) -> None:
    first, second = (
        import_file(store, DATA / "lines" / name, randomness=DICE).added[0] for name in ("array.txt", "small.vcf")
    )
    store.erase(first.id, DICE)
    store._execute("UPDATE chunk SET data = CAST(data || x'00' AS BLOB)")
    written, altered = write_originals(store, tmp_path / "out")
    assert written == []
    assert [type(one) for one in altered] == [AlteredBlob]
    assert second.id.hex() in str(altered[0])


def test_text_where_bytes_were_kept_is_a_damaged_store(store: Store) -> None:
    kept = import_file(store, DATA / "lines" / "array.txt", randomness=DICE).added[0]
    store._execute("UPDATE chunk SET data = CAST(data AS TEXT)")
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
        import_file(store, path, randomness=DICE)
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
