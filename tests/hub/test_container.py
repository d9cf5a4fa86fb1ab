"""The container inside an archive: one spelling for one content, and nothing else is read."""

from __future__ import annotations

import io
import tarfile
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.crypto.padding import padme
from edgehold.errors import ArchiveUnknown, Malformed
from edgehold.hub import container
from edgehold.hub.container import (
    Head,
    Schema,
    Statement,
    Unpacker,
    decode_rows,
    encode_row,
    encode_schema,
    pack,
    read_head,
    read_part_name,
    read_schema,
    table_parts,
)
from edgehold.wire.codec import encode
from edgehold.wire.ids import AccountId, Digest

NAMES = st.text("abcdefghijklmnopqrstuvwxyz/0123456789", min_size=1, max_size=100).filter(
    lambda name: name != "digests"
)
CELLS = st.none() | st.integers(-(1 << 63), (1 << 63) - 1) | st.text() | st.binary()
MEMBERS = [("edgehold-hub", b"x"), ("empty", b""), ("block", bytes(512)), ("long", b"y" * 5000)]


def unpacked(data: bytes, piece: int = 8192) -> list[tuple[str, bytes]]:
    """The members of a container that comes in pieces."""
    found: list[tuple[str, bytes]] = []
    unpacker = Unpacker(lambda name, content: found.append((name, content)))
    for at in range(0, len(data), piece):
        assert unpacker.write(data[at : at + piece]) == len(data[at : at + piece])
    unpacker.close()
    return found


@given(st.lists(st.tuples(NAMES, st.binary(max_size=2000)), max_size=6), st.integers(1, 5000))
def test_what_was_packed_is_unpacked(members: list[tuple[str, bytes]], piece: int) -> None:
    assert unpacked(b"".join(pack(members)), piece) == members


def test_any_tar_reads_it_and_the_digests_are_those_of_sha256sum() -> None:
    with tarfile.open(fileobj=io.BytesIO(b"".join(pack(MEMBERS)))) as tar:
        read = {one.name: tar.extractfile(one).read() for one in tar.getmembers()}  # type: ignore[union-attr]
        assert {one.mode for one in tar.getmembers()} == {0o600}
    lines = read.pop("digests").decode().splitlines()
    assert read == dict(MEMBERS)
    assert lines == [f"{sha256(content).hexdigest()}  {name}" for name, content in MEMBERS]


def test_no_byte_can_be_changed_added_or_taken_away() -> None:
    data = b"".join(pack(MEMBERS))
    for place in range(len(data)):
        with pytest.raises(Malformed):
            unpacked(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
    for length in range(0, len(data), 97):
        with pytest.raises(Malformed):
            unpacked(data[:length])
    for more in (b"\0", b"x", bytes(512), bytes(20_000)):
        with pytest.raises(Malformed):
            unpacked(data + more)


def test_sizes_tell_little() -> None:
    sizes = {len(b"".join(pack([("x", bytes(512 * count))]))) // 512 for count in range(100, 1000)}
    assert len(sizes) < 60
    assert all(padme(size) == size for size in sizes)


def test_a_member_that_is_too_large_is_refused_before_it_comes() -> None:
    header = container._header("x", container.MOST + 1)
    with pytest.raises(Malformed):
        unpacked(header)


# ── rows ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(1, 5).flatmap(lambda columns: st.lists(st.tuples(*[CELLS] * columns))))
def test_rows_come_back(rows: list[tuple[object, ...]]) -> None:
    part = b"".join(encode_row(row) for row in rows)  # type: ignore[arg-type]
    assert decode_rows(part, len(rows[0]) if rows else 1) == rows


@given(st.binary(max_size=60), st.integers(0, 3))
def test_bytes_are_rows_or_malformed(part: bytes, columns: int) -> None:
    try:
        rows = decode_rows(part, columns)
    except Malformed:
        return
    assert b"".join(encode_row(row) for row in rows) == part


def test_a_table_is_cut_between_rows_and_an_empty_one_is_a_part_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "PART", 100)
    rows = [(bytes(40),)] * 5
    parts = list(table_parts("store.sqlite", "blob", rows))
    assert [name for name, _ in parts] == [f"store.sqlite/blob/0000000{number}" for number in range(2)]
    assert [row for _, part in parts for row in decode_rows(part, 1)] == rows
    assert list(table_parts("store.sqlite", "blob", [])) == [("store.sqlite/blob/00000000", b"")]


def test_a_part_of_more_cells_than_bytes_that_it_may_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(container, "MOST_CELLS", 10)
    assert len(decode_rows(bytes(10), 1)) == 10
    with pytest.raises(Malformed, match="more than 10"):
        decode_rows(bytes(11), 1)


def test_a_number_that_no_table_has_is_a_fault_of_ours() -> None:
    with pytest.raises(TypeError, match="float"):
        encode_row((1.5,))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "name", ["x", "a/b", "a/b/1", "a/b/0000000x", "a/b c/00000000", "a/b/00000000/c", "a//00000000"]
)
def test_a_part_has_a_name_of_ours(name: str) -> None:
    with pytest.raises(Malformed):
        read_part_name(name)


@pytest.mark.parametrize(
    "part", [b"\4", b"\1\0", b"\2" + (5).to_bytes(8, "big") + b"four", b"\2" + (1).to_bytes(8, "big") + b"\xff"]
)
def test_what_is_no_cell_is_malformed(part: bytes) -> None:
    with pytest.raises(Malformed):
        decode_rows(part, 1)


# ── what is said of it ────────────────────────────────────────────────────────────────────────────────────────────


def test_an_archive_of_another_version_is_said_to_be_one() -> None:
    head = Head(version="edgehold.hub/2", account=AccountId(Digest(bytes(32))), height=1)
    with pytest.raises(ArchiveUnknown, match=r"edgehold.hub/1"):
        read_head(encode(head))


def schema_of(*statements: tuple[str, str], page_size: int = 4096, user_version: int = 0) -> bytes:
    """A schema with these kinds and names."""
    made = tuple(Statement(kind, name, "CREATE …") for kind, name in statements)
    return encode_schema(Schema(page_size=page_size, user_version=user_version, statements=made))


def test_a_schema_is_one_of_tables_and_then_indices() -> None:
    assert read_schema(schema_of(("table", "a"), ("table", "b"), ("index", "c"))).page_size == 4096
    for schema in (
        schema_of(("index", "a"), ("table", "b")),
        schema_of(("table", "a b")),
        schema_of(page_size=1000),
        schema_of(user_version=1 << 31),
        encode_schema(Schema(page_size=512, user_version=0, statements=(Statement("table", "a", "CREATE\0"),))),
    ):
        with pytest.raises(Malformed):
            read_schema(schema)
    with pytest.raises(ArchiveUnknown):
        read_schema(schema_of(("table", "a"), ("trigger", "b")))
