"""FHIR documents that are larger than is read at once: element by element, as strictly as others, and kept part by part.

The sizes are made small, so that a document of some kilobytes is a large one of many parts.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from edgehold.cli.program import tables_of
from edgehold.codecs import choice, cuts, events, parts
from edgehold.codecs.choice import Profile
from edgehold.codecs.elements import ELEMENTS
from edgehold.codecs.events import encode_table
from edgehold.codecs.general import ZSTD
from edgehold.codecs.parts import PARTS
from edgehold.codecs.tables.form import files_of
from edgehold.crypto.jws import sign_detached
from edgehold.crypto.names import account_id
from edgehold.crypto.signatures import SigningKey
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import (
    AlteredBlob,
    BadField,
    BadSignature,
    FileChanged,
    IntakeError,
    IntakeLimit,
    LargeFile,
    NotFhir,
    NotJson,
    SeveralPersons,
)
from edgehold.hub import sealed
from edgehold.hub import store as stores
from edgehold.hub.intake import documents, fhir
from edgehold.hub.intake.documents import derive_document
from edgehold.hub.intake.fhir import Limits, is_large_document, parse_document
from edgehold.hub.intake.imports import Imported, Listener, Together
from edgehold.hub.intake.take_in import import_file
from edgehold.hub.mending import mend_content, mend_derived, take_over, take_over_alone
from edgehold.hub.originals import write_originals
from edgehold.hub.rows import Wanted, read_part
from edgehold.hub.runs import read_together
from edgehold.hub.store import NO_TABLE, Doing, Store
from edgehold.verify.opening import signature_digest
from edgehold.wire.account import Role
from edgehold.wire.data import Kind

DICE = SeededRandomness(1, "documents")
LIMITS = Limits(document_bytes=2000)
KEY = SigningKey(bytes(32))
CLINIC = account_id(Role.ORGANISATION, KEY.public)
PATIENT = {"resourceType": "Patient", "id": "ada", "gender": "female", "birthDate": "1980-05-17"}
MEDICATION = {"resourceType": "Medication", "id": "aspirin", "code": {"text": "Aspirin"}}


@pytest.fixture(autouse=True)
def small_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    for module, name, size in (
        (stores, "AT_ONCE", 500),
        (sealed, "CHUNK", 512),
        (cuts, "ELEMENTS_PART", 6000),
        (cuts, "ELEMENT_PART", 16_000),
        (parts, "PART", 16_000),
    ):
        monkeypatch.setattr(module, name, size)


def observed(number: int) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "id": f"{number * 2_654_435_761 % 2**32:08x}-0000-4000-8000-{number:012x}",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": f"{number % 7}-1"}], "text": 'a "test" of ]},['},
        "effectiveDateTime": f"20{number % 25:02}-03-{number % 28 + 1:02}",
        "valueQuantity": {"value": number * 37 % 101 / 8, "unit": "mg"},
    }


def prescribed(number: int, medication: str = "aspirin") -> dict[str, Any]:
    return {
        "resourceType": "MedicationRequest",
        "authoredOn": f"2001-01-{number % 28 + 1:02}",
        "medicationReference": {"reference": f"Medication/{medication}"},
    }


def bundled(resources: list[dict[str, Any]], *, indent: int | None = 1, **others: Any) -> bytes:
    entries = [{"fullUrl": f"urn:uuid:{one.get('id')}", "resource": one} for one in resources]
    said = {"resourceType": "Bundle", "type": "collection", "entry": entries} | others
    return json.dumps(said, indent=indent).encode()


RESOURCES = [PATIENT, *(prescribed(number) for number in range(3)), *map(observed, range(60)), MEDICATION]
RECORD = bundled(RESOURCES)


def at_once(document: bytes) -> Mapping[str, bytes]:
    return encode_table(parse_document(document, "x").events())


def in_pieces(document: bytes, size: int = 100, limits: Limits = LIMITS) -> Mapping[str, bytes]:
    pieces = [document[at : at + size] for at in range(0, len(document), size)]
    return files_of(derive_document(pieces, "x.json", limits).table)


def take(
    store: Store,
    folder: Path,
    document: bytes,
    *,
    name: str = "x.json",
    signature: bytes | None = None,
    profile: Profile = Profile.SMALL,
    told: Listener | None = None,
) -> Imported:
    path = folder / name
    path.write_bytes(document)
    return import_file(
        store,
        path,
        limits=LIMITS,
        signature=signature,
        key_of=lambda _: KEY.public,
        profile=profile,
        told=told,
        randomness=DICE,
    )


def codecs_of(store: Store, one: Any) -> set[bytes]:
    record, chunks = store.open_chunks(one.id)
    found, opened = set(), choice.parts_codec(Kind.EHR).opened(chunks, record.received)
    while opened.next():
        found.add(opened.head.codec)
    return found


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────────


DOCUMENTS = [
    RECORD,
    bundled(RESOURCES, indent=None),
    bundled([]),
    bundled([PATIENT], entry=[{"link": []}, {"fullUrl": "a"}]),
    b'{"entry": [' + json.dumps({"resource": PATIENT}).encode() + b'], "type": "batch", "resourceType": "Bundle"}',
    b'{"resourceType":"List","entry":[{"item":{}},1,[2]],"status":"current"}',
    b'{"entry":[{"resource":{"resourceType":"Patient"}},[]],"resourceType":"Patient","gender":"male"}',
    json.dumps(observed(1)).encode(),
    b'{"resourceType":"Bundle","type":"batch","\\u0065ntry":[' + json.dumps({"resource": PATIENT}).encode() + b"]}",
    b'{"resourceType":"Bundle","type":"batch"}',
    b' {"resourceType" : "Bundle", "type":"batch", "entry" : [ ] } ',
]


@pytest.mark.parametrize("document", DOCUMENTS)
@pytest.mark.parametrize("size", [1, 7, 100_000])
def test_a_document_gives_the_table_that_it_gives_at_once(document: bytes, size: int) -> None:
    assert in_pieces(document, size) == at_once(document)


TOKENS = [
    b",",
    b"\f",
    b"[",
    b"]",
    b"{",
    b"}",
    b'"',
    b"\\",
    b":",
    b"1",
    b"\xff",
    b'"entry"',
    b'"resourceType"',
    b'"Patient"',
]


@given(st.sampled_from(DOCUMENTS[2:]), st.data())
def test_a_document_is_refused_or_read_as_it_is_at_once(document: bytes, data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(document)))
    changed = document[:at] + data.draw(st.sampled_from(TOKENS)) + document[at + data.draw(st.integers(0, 3)) :]
    try:
        known = at_once(changed)
    except IntakeError:
        with pytest.raises(IntakeError, match=r"^x\.json: /"):
            in_pieces(changed)
    else:
        assert in_pieces(changed) == known


@pytest.mark.parametrize(
    ("document", "error", "words"),
    [
        (
            RECORD.replace(b'"id": "aspirin"', b'"id": "aspirin", "id": "b"'),
            NotJson,
            "/entry/64/resource/id: the key is",
        ),
        (RECORD.replace(b'"id": "ada"', b'"id": "ada\xff"'), NotJson, "/entry/0: byte"),
        (RECORD.replace(b'"fullUrl": "urn:uuid:None"', b"1", 1), NotJson, "/entry/1: an object's key is missing"),
        (RECORD[:-200], NotJson, "/entry/63/resource/valueQuantity/value: the document ends too early"),
        (RECORD[:-9], NotJson, "/entry/64/resource: the document ends too early"),
        (RECORD[:-1], NotJson, "/entry: the document ends too early"),
        (bundled([], indent=None).replace(b"[]", b"[\v]"), NotJson, "/entry/0: not JSON"),
        (RECORD + b"\n{}", NotJson, "/: something follows the document"),
        (RECORD.replace(b'"entry"', b'"entry": [], "entry"'), NotJson, "/entry: the key is given twice"),
        (RECORD.replace(b"[\n  {", b"[\n  7, {", 1), NotFhir, "/entry/0: not an object"),
        (RECORD.replace(b"[\n  {", b"[\n ,  {", 1), NotJson, "/entry/0: "),
        (RECORD.replace(b'"Medication"', b'"Meditation"'), NotFhir, "/entry/64/resource/resourceType: missing, or no"),
        (RECORD.replace(b'"collection"', b'"collected"'), NotFhir, "/type: not a type"),
        (RECORD.replace(b'"Bundle"', b'"Bunch"'), NotFhir, "/resourceType: missing"),
        (RECORD.replace(b'"Bundle"', b"5"), NotFhir, "/resourceType: missing"),
        (
            bundled([{"resourceType": "Basic", "a": json.loads("[" * 61 + "]" * 61)}]),
            IntakeLimit,
            "/entry/0/resource/a",
        ),
        (
            bundled([PATIENT, observed(1) | {"code": {"coding": 5}}]),
            BadField,
            "/entry/1/resource/code/coding: Expected",
        ),
        (bundled([PATIENT, observed(1) | {"effectiveDateTime": "x"}]), BadField, "/entry/1/resource: not a date"),
    ],
)
def test_what_is_refused_is_refused_with_place_and_reason(
    store: Store, tmp_path: Path, document: bytes, error: type[IntakeError], words: str
) -> None:
    with pytest.raises(error) as raised:
        in_pieces(document)
    assert str(raised.value).startswith(f"x.json: {words}")
    if len(document) > LIMITS.document_bytes:
        with pytest.raises(error):
            take(store, tmp_path, document)
        assert store.objects() == []


def test_a_document_without_its_elements_is_bounded_and_so_is_each_of_them() -> None:
    for limits, words in (
        (Limits(element_bytes=300), r"^x\.json: /entry/\d+: more than 300 bytes"),
        (Limits(element_bytes=20), r"^x\.json: /: more than 20 bytes"),
        (Limits(resources=5, entry_bytes=1000), r"^x\.json: /entry: \d+ entries in no more than \d+ bytes"),
    ):
        with pytest.raises(IntakeLimit, match=words):
            in_pieces(RECORD, limits=limits)
    long = bundled([], indent=None) + b" " * 1000
    with pytest.raises(IntakeLimit, match=r"^x\.json: /: more than 900 bytes"):
        in_pieces(long, limits=Limits(element_bytes=900))


def test_medications_are_found_wherever_they_stand_and_what_is_remembered_of_them_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = prescribed(5) | {"contained": [MEDICATION], "medicationReference": {"reference": "#aspirin"}}
    stated = prescribed(6) | {"medicationCodeableConcept": {"text": "Aspirin"}}
    document = bundled([prescribed(1), MEDICATION, prescribed(2), prescribed(3, "unknown"), here, stated])
    texts = [one.text for one in sorted(parse_document(document, "x").events())]
    assert texts == ["Aspirin", "Aspirin", "", "Aspirin", "Aspirin"]
    assert in_pieces(document) == at_once(document)
    for name, most in (("MOST_HELD", 60), ("MOST_ROWS", 1)):
        monkeypatch.setattr(events, name, most)
        with pytest.raises(IntakeLimit, match=r"^x\.json: medications of more than"):
            in_pieces(document)
        monkeypatch.undo()


def test_times_are_read_again_that_are_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    known = at_once(RECORD)
    monkeypatch.setattr(events, "MOST_TIMES", 3)
    assert at_once(RECORD) == known


def test_only_files_of_one_document_are_large(tmp_path: Path) -> None:
    for name, content, is_large in (
        ("large.json", RECORD, True),
        ("line.json", bundled(RESOURCES, indent=None), True),
        ("small.json", bundled([PATIENT]), False),
        ("lines.ndjson", (json.dumps(PATIENT) + "\n").encode() * 60, False),
    ):
        (tmp_path / name).write_bytes(content)
        assert is_large_document(tmp_path / name, LIMITS) == is_large, name


def test_a_program_is_tried_on_what_a_hub_would_show_it(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(RECORD)
    assert tables_of(path, LIMITS) == tables_of(path) == at_once(RECORD)
    path.write_bytes(bundled([*RESOURCES, PATIENT | {"id": "bea"}]))
    for limits in (LIMITS, fhir.DEFAULT_LIMITS):
        with pytest.raises(SeveralPersons):
            tables_of(path, limits)


# ── storing ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("profile", Profile)
@pytest.mark.parametrize("indent", [None, 2])
def test_a_large_document_comes_back_with_its_table(
    store: Store, tmp_path: Path, indent: int | None, profile: Profile
) -> None:
    document = bundled(RESOURCES, indent=indent)
    done = take(store, tmp_path, document, profile=profile)
    (one,) = done.added
    assert (one.descriptor.kind, one.descriptor.codec, done.notes) == (Kind.EHR, PARTS, ())
    assert (done.rows, one.descriptor.first_year) == ({"edgehold.events/1": 65}, 2000)
    assert b"".join(store.read_original(one.id)) == document
    assert codecs_of(store, one) == ({ZSTD, ELEMENTS} if profile is Profile.SMALL else {ZSTD})
    assert store.table(one.id) == at_once(document)
    assert read_together(store, [one]) == [at_once(document)]
    found = read_part(store, one.id, Wanted(code="LOINC//1-1").where, DICE)
    assert found is not None
    assert len(found["time.i64"]) == 8 * 9
    again = take(store, tmp_path, document, profile=profile)
    assert (again.added, len(again.known), again.rows) == ((), 1, {})
    assert store.check() == []
    written, altered = write_originals(store, tmp_path / "out")
    assert (written[0].path.read_bytes(), altered) == (document, [])


def test_a_document_is_encoded_nearly_as_one_that_is_shorter(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuts, "ELEMENTS_PART", 16_000)
    (one,) = take(store, tmp_path, RECORD).added
    with Store.create(tmp_path / "other.sqlite", bytes(32), DICE) as other:
        (whole,) = import_file(other, tmp_path / "x.json", randomness=DICE).added
    assert one.encoded < 1.8 * whole.encoded


def test_the_next_version_is_told_after_the_one_before_which_can_be_erased(store: Store, tmp_path: Path) -> None:
    for indent in (None, 2):
        more = [*RESOURCES[:30], *map(observed, range(100, 103)), *RESOURCES[30:], observed(200)]
        first, second = (
            take(store, tmp_path, bundled(found, indent=indent), name=f"{indent}.json").added[0]
            for found in (RESOURCES, more)
        )
        assert second.after == first.id
        assert second.encoded < 0.4 * first.encoded
        assert store.check() == []
        store.erase(first.id, DICE)
        assert b"".join(store.read_original(second.id)) == bundled(more, indent=indent)
        assert ELEMENTS in codecs_of(store, store.get_object(second.id))
        assert store.check() == []


def test_damage_is_named_and_mended_with_another_store(store: Store, tmp_path: Path) -> None:
    (one,) = take(store, tmp_path, RECORD).added
    with Store.create(tmp_path / "other.sqlite", bytes(32), DICE) as other:
        take_over(other, one.id, store, DICE)
        store.execute("UPDATE chunk SET data = zeroblob(length(data)) WHERE place % 4 = 1")
        assert "chunk" in (store.fault_of(one.id) or "")
        with pytest.raises(AlteredBlob):
            store.verify_original(one.id)
        mend_content(store, one.id, other)
        assert store.check() == []
        store.put_table(one.id, encode_table([]), DICE)
        assert "its tables are not those of its original" in str(store.fault_of(one.id))
        mend_derived(store, one.id, DICE)
        assert store.table(one.id) == at_once(RECORD)
        take_over_alone(store, one.id, other, DICE)
        assert store.check() == []


def test_a_document_that_is_no_bundle_is_kept_with_what_it_says(store: Store, tmp_path: Path) -> None:
    single = observed(1) | {"note": [{"text": "long " * 1000}]}
    for number, text in enumerate((single, {"resourceType": "Basic", "id": "x" * 20_000})):
        document = json.dumps(text).encode()
        (one,) = take(store, tmp_path, document, name=f"{number}.json").added
        assert b"".join(store.read_original(one.id)) == document
        assert store.table(one.id) == at_once(document)
        assert (ELEMENTS in codecs_of(store, one)) == (text is single)
    assert store.check() == []


def test_an_element_that_is_larger_than_a_part_is_cut_anywhere(store: Store, tmp_path: Path) -> None:
    document = bundled([PATIENT, {"resourceType": "Binary", "data": "QUJD" * 5000}, *RESOURCES[4:], MEDICATION])
    (one,) = take(store, tmp_path, document).added
    assert b"".join(store.read_original(one.id)) == document
    assert store.check() == []


def test_a_second_person_is_refused_and_nothing_is_stored(store: Store, tmp_path: Path) -> None:
    with pytest.raises(SeveralPersons, match=r"^x\.json: /entry/65/resource: a second person"):
        take(store, tmp_path, bundled([*RESOURCES, PATIENT | {"id": "bea"}]))
    assert store.objects() == []


def test_a_signature_beside_a_large_document_is_checked_and_kept(store: Store, tmp_path: Path) -> None:
    token = sign_detached(RECORD, CLINIC, KEY.sign)
    with pytest.raises(BadSignature):
        take(store, tmp_path, RECORD + b" ", signature=token)
    assert store.objects() == []
    for _ in range(2):
        done = take(store, tmp_path, RECORD, signature=token)
    (one,) = done.known
    assert (store.get_signature(one.id), one.descriptor.signature) == (token, signature_digest(token))
    assert store.check() == []


def test_a_document_whose_table_is_too_large_is_kept_without(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    noted = {"resourceType": "Observation", "valueString": "very long " * 30, "code": {}}
    document = bundled([PATIENT, noted, noted, noted | {"valueString": "other " * 50}, *RESOURCES[1:]])
    for module, name, most in ((documents, "MOST_TEXT", 500), (events, "MOST_ROWS", 10), (events, "MOST_NAMES", 3)):
        monkeypatch.setattr(module, name, most)
        monkeypatch.setattr("edgehold.codecs.tables.runs.RUN", 8)
        with pytest.raises(LargeFile, match="more than"):
            in_pieces(document)
        done = take(store, tmp_path, document + b" " * most)
        monkeypatch.undo()
        assert (done.added[0].descriptor.schema, done.rows) == (NO_TABLE, {})
        assert "kept without a table: EH485 " in done.notes[0]


@pytest.mark.parametrize(
    "said",
    [{"code": {"coding": [{"code": "c" * 600}]}}, {"valueQuantity": {"value": 1, "unit": "u" * 600}}],
    ids=["a code", "a unit"],
)
def test_long_codes_and_units_count_as_words(said: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    document = bundled([PATIENT, observed(1) | said])
    assert in_pieces(document)
    monkeypatch.setattr(documents, "MOST_TEXT", 500)
    with pytest.raises(LargeFile, match="words of more than 500 letters together"):
        in_pieces(document)


def test_a_document_whose_rows_share_too_many_words_is_kept_without_a_table(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edgehold.codecs.segments.MOST_STRINGS", 10)
    done = take(store, tmp_path, RECORD)
    assert (done.added[0].descriptor.schema, done.rows) == (NO_TABLE, {})
    assert "kept without a table: EH485 " in done.notes[0]


def test_of_files_that_came_together_those_that_are_here_say_whose_they_are_too(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_bytes(RECORD)
    for _ in range(2):
        together = Together("export")
        done = import_file(store, path, limits=LIMITS, together=together, randomness=DICE)
        assert together.persons == {PATIENT["id"]}
    assert (done.added, len(done.known)) == ((), 1)


def test_a_document_that_becomes_another_after_it_was_found_to_be_here_is_not_stored(
    store: Store, tmp_path: Path
) -> None:
    take(store, tmp_path, RECORD)

    def heard(doing: Doing, done: int, total: int) -> None:
        if (doing, done) == (Doing.READ, total):
            (tmp_path / "x.json").write_bytes(b"{" + RECORD[:-1])

    with pytest.raises(FileChanged):
        take(store, tmp_path, RECORD, told=heard)
    assert len(store.objects()) == 1


def test_a_document_that_changes_meanwhile_is_not_stored(store: Store, tmp_path: Path) -> None:
    size = len(RECORD)

    def alter(about: Doing) -> Listener:
        def heard(doing: Doing, done: int, total: int) -> None:
            if (doing, done) == (about, total):
                (tmp_path / "x.json").write_bytes(RECORD.replace(b'"final"', b'"other"'))

        return heard

    for doing in (Doing.DERIVE, Doing.ENCODE):
        with pytest.raises(FileChanged):
            take(store, tmp_path, RECORD, told=alter(doing))
    assert (store.objects(), size) == ([], (tmp_path / "x.json").stat().st_size)


def test_what_is_done_with_a_large_document_is_told(store: Store, tmp_path: Path) -> None:
    heard: list[tuple[Doing, int, int]] = []
    take(store, tmp_path, RECORD, told=lambda *one: heard.append(one))
    assert list(dict.fromkeys(doing for doing, _, _ in heard)) == [Doing.READ, Doing.DERIVE, Doing.ENCODE]
    assert all(total == len(RECORD) and done <= total for _, done, total in heard)


def test_a_large_document_in_zstd_is_refused(store: Store, tmp_path: Path) -> None:
    assert fhir.DEFAULT_LIMITS.document_bytes == 1 << 24
    with pytest.raises(IntakeLimit, match="a document of more than 2000 bytes"):
        take(store, tmp_path, zstandard.compress(RECORD), name="x.json.zst")
    assert store.objects() == []
