"""Lists and the state map: roots as published, proofs that hold, and every altered proof refused."""

from __future__ import annotations

import json
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from edgehold import _native
from edgehold.crypto.merkle import (
    MemoryTable,
    MerkleMap,
    check_path,
    hash_key,
    tree_path,
    tree_paths,
    tree_root,
    verify_absence,
    verify_presence,
)
from edgehold.errors import BadProof, Malformed
from edgehold.wire.codec import decode, encode
from edgehold.wire.ids import Digest
from edgehold.wire.proof import BUCKET_BITS, LargeBucket, MapProof, SmallBucket

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "rfc6962.json").read_text())
CROWD = json.loads((Path(__file__).parents[1] / "vectors" / "crowded_bucket.json").read_text())["keys"]
LEAVES = [bytes.fromhex(leaf) for leaf in VECTORS["leaves"]]


def root_by_definition(leaves: list[bytes]) -> bytes:
    """RFC 9162, section 2.1.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + root_by_definition(leaves[:split]) + root_by_definition(leaves[split:])).digest()


def path_by_definition(index: int, leaves: list[bytes]) -> list[bytes]:
    """RFC 9162, section 2.1.3.1."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*path_by_definition(index, leaves[:split]), root_by_definition(leaves[split:])]
    return [*path_by_definition(index - split, leaves[split:]), root_by_definition(leaves[:split])]


# ── lists ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("size", range(9))
def test_roots_are_the_published_ones(size: int) -> None:
    assert tree_root(LEAVES[:size]).hex() == VECTORS["roots"][size]


def test_a_path_is_the_published_one() -> None:
    for index, path in VECTORS["paths_of_eight"].items():
        assert [sibling.hex() for sibling in tree_path(LEAVES, int(index))] == path


@pytest.mark.parametrize("size", [*range(1, 34), 100, 257])
def test_root_and_paths_follow_the_definition(size: int) -> None:
    leaves = [number.to_bytes(2, "big") for number in range(size)]
    assert tree_root(leaves) == root_by_definition(leaves)
    for index, path in enumerate(tree_paths(leaves, range(size))):
        assert path == path_by_definition(index, leaves)
        check_path(tree_root(leaves), leaves[index], index, size, path)


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_path_for_a_leaf_that_is_not_there(index: int) -> None:
    with pytest.raises(IndexError):
        tree_path([b"a", b"b", b"c"], index)
    with pytest.raises(BadProof):
        check_path(tree_root([b"a", b"b", b"c"]), b"a", index, 3, [])


@given(size=st.integers(1, 70), data=st.data())
def test_an_altered_path_is_refused(size: int, data: st.DataObject) -> None:
    leaves = [bytes([number]) for number in range(size)]
    root, index = tree_root(leaves), data.draw(st.integers(0, size - 1))
    path = tree_path(leaves, index)
    other = data.draw(st.integers(0, size - 1).filter(lambda place: place != index) if size > 1 else st.just(size))
    attempts: list[tuple[bytes, int, list[Digest]]] = [
        (leaves[index] + b"x", index, path),
        (leaves[index], other, path),
        (leaves[index], index, [*path, Digest(bytes(32))]),
    ]
    if path:
        place = data.draw(st.integers(0, len(path) - 1))
        flipped = Digest(bytes([path[place][0] ^ 1]) + path[place][1:])
        attempts += [
            (leaves[index], index, path[:-1]),
            (leaves[index], index, [*path[:place], flipped, *path[place + 1 :]]),
        ]
    for leaf, at, siblings in attempts:
        with pytest.raises(BadProof):
            check_path(root, leaf, at, size, siblings)


# ── the map ───────────────────────────────────────────────────────────────────────────────────────────────────────


def map_of(content: dict[bytes, bytes]) -> MerkleMap:
    tree = MerkleMap(MemoryTable())
    tree.update(dict(content))
    return tree


def test_an_empty_map_has_a_root_and_proves_absence() -> None:
    tree = MerkleMap(MemoryTable())
    verify_absence(tree.root, b"nothing", tree.prove(b"nothing"))
    empty = sha256(b"\x00").digest()
    for _ in range(BUCKET_BITS):
        empty = sha256(b"\x01" + empty + empty).digest()
    assert tree.root == empty


def test_a_key_is_shown_with_its_value_and_no_other() -> None:
    tree = map_of({b"order": b"one", b"task": b"two"})
    proof = decode(encode(tree.prove(b"order")), MapProof)
    verify_presence(tree.root, b"order", b"one", proof)
    for key, value in [(b"order", b"two"), (b"task", b"one"), (b"nothing", b"one")]:
        with pytest.raises(BadProof):
            verify_presence(tree.root, key, value, proof)
    with pytest.raises(BadProof):
        verify_absence(tree.root, b"order", proof)


def test_a_removed_key_is_absent_and_leaves_no_trace() -> None:
    tree = map_of({b"order": b"one", b"task": b"two"})
    tree.update({b"order": None, b"never there": None})
    verify_absence(tree.root, b"order", tree.prove(b"order"))
    assert tree.root == map_of({b"task": b"two"}).root


def test_a_proof_for_another_root_is_refused() -> None:
    tree = map_of({b"order": b"one"})
    proof, before = tree.prove(b"order"), tree.root
    tree.update({b"order": b"changed"})
    verify_presence(before, b"order", b"one", proof)
    with pytest.raises(BadProof):
        verify_presence(tree.root, b"order", b"one", proof)


def test_any_byte_changed_in_a_proof_is_noticed() -> None:
    tree = map_of({str(number).encode(): b"value" for number in range(50)})
    data = encode(tree.prove(b"7"))
    for place in range(len(data)):
        changed = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises((BadProof, Malformed)):
            verify_presence(tree.root, b"7", b"value", decode(changed, MapProof))


@settings(max_examples=30, deadline=None)
@given(
    first=st.dictionaries(st.binary(max_size=3), st.binary(max_size=3), max_size=60),
    second=st.dictionaries(st.binary(max_size=3), st.none() | st.binary(max_size=3), max_size=60),
    asked=st.binary(max_size=3),
)
def test_the_root_depends_on_the_content_alone(
    first: dict[bytes, bytes], second: dict[bytes, bytes | None], asked: bytes
) -> None:
    table = MemoryTable()
    tree = MerkleMap(table)
    tree.update(dict(first))
    before = tree.root, tree.prove(asked)
    staged = tree.stage(second)
    assert (tree.root, tree.prove(asked)) == before
    tree.apply(staged)
    assert tree.root == staged.root
    with pytest.raises(ValueError, match="worked out after 1 writes, made after 2"):
        tree.apply(staged)
    content = {key: value for key, value in (first | second).items() if value is not None}
    assert tree.root == map_of(content).root == MerkleMap(table).root
    proof = tree.prove(asked)
    if asked in content:
        verify_presence(tree.root, asked, content[asked], proof)
    else:
        verify_absence(tree.root, asked, proof)


def root_by_the_text(lines: list[bytes], bits: int, small: int) -> bytes:
    """What the module's docstring says of lines: buckets by their first bits, then the binary tree."""
    buckets: list[list[bytes]] = [[] for _ in range(1 << bits)]
    for line in sorted(lines):
        buckets[line[0] >> (8 - bits)].append(line)
    level = [
        sha256(b"\x00" + b"".join(bucket)).digest()
        if len(bucket) <= small
        else sha256(b"\x02" + len(bucket).to_bytes(8, "big") + root_by_definition(bucket)).digest()
        for bucket in buckets
    ]
    while len(level) > 1:
        level = [sha256(b"\x01" + a + b).digest() for a, b in zip(level[::2], level[1::2], strict=True)]
    return level[0]


KEYS = [sha256(bytes([number])).digest() for number in range(24)]


@given(
    updates=st.lists(
        st.dictionaries(st.sampled_from(KEYS), st.none() | st.binary(min_size=32, max_size=32), max_size=12), max_size=5
    )
)
def test_the_native_tree_is_hashed_as_the_text_says(updates: list[dict[bytes, bytes | None]]) -> None:
    tree, held = _native.MerkleTree(3, 2), dict[bytes, bytes]()
    for update in updates:
        touched = {key[0] >> 5 for key in update}
        present = [key + value for key, value in held.items() if key[0] >> 5 in touched]
        put = [key + value for key, value in update.items() if value is not None]
        removed = [key for key, value in update.items() if value is None]
        before, staged = tree.root, tree.stage(put, removed, present)
        assert tree.root == before
        tree.apply(staged)
        held = {key: value for key, value in (held | update).items() if value is not None}
        assert tree.root == staged.root == root_by_the_text([key + value for key, value in held.items()], 3, 2)


def test_the_native_tree_refuses_what_does_not_fit() -> None:
    tree, line = _native.MerkleTree(3, 2), bytes(64)
    before = tree.root
    for put, removed, present, words in (
        ([line[1:]], [], [], "a line has 63 bytes instead of 64"),
        ([], [], [line * 2], "a line has 128 bytes instead of 64"),
        ([], [line], [], "the digest of a key has 64 bytes instead of 32"),
        ([line], [], [b"\xff" * 64], "belongs to no bucket of this write"),
    ):
        with pytest.raises(ValueError, match=words):
            tree.stage(put, removed, present)
    with pytest.raises(ValueError, match="there is no bucket 8 among 8"):
        tree.siblings(8)
    with pytest.raises(ValueError, match="1 writes back, 0 are kept"):
        tree.siblings(0, 1)
    assert tree.root == before
    for bits in (0, 25):
        with pytest.raises(ValueError, match="1 to 24 are possible"):
            _native.MerkleTree(bits, 2)


@settings(max_examples=60, deadline=None)
@given(
    updates=st.lists(
        st.dictionaries(
            st.sampled_from([str(number).encode() for number in CROWD[:70]] + [b"a", b"b"]),
            st.none() | st.binary(max_size=3),
            max_size=40,
        ),
        max_size=7,
    )
)
def test_what_the_map_held_some_updates_ago_is_proved_under_the_root_of_then(
    updates: list[dict[bytes, bytes | None]],
) -> None:
    """Also where a bucket is large then or now: the keys fall into few buckets."""
    tree = MerkleMap(MemoryTable(), kept=3)
    held: list[tuple[Digest, dict[bytes, bytes | None]]] = [(tree.root, {})]
    for update in updates:
        tree.update(update)
        held.insert(0, (tree.root, {**held[0][1], **update}))
    for back, (root, entries) in enumerate(held[:4]):
        for key in [*entries, b"nobody"]:
            proof, value = tree.prove(key, back), entries.get(key)
            if value is None:
                verify_absence(root, key, proof)
            else:
                verify_presence(root, key, value, proof)
    for back in range(min(len(updates), 3) + 1, 6):
        with pytest.raises(ValueError, match="are kept"):
            tree.prove(b"a", back)


def test_a_map_that_keeps_nothing_proves_what_it_holds() -> None:
    tree = MerkleMap(MemoryTable())
    tree.update({b"a": b"1"})
    tree.update({b"a": b"2"})
    verify_presence(tree.root, b"a", b"2", tree.prove(b"a"))
    with pytest.raises(ValueError, match="1 writes back, 0 are kept"):
        tree.prove(b"a", 1)


# ── a large bucket ────────────────────────────────────────────────────────────────────────────────────────────────


CROWDED = sorted((str(number).encode() for number in CROWD), key=hash_key)


@pytest.fixture(scope="module")
def crowded() -> MerkleMap:
    """A map with one bucket of 77 entries; of the 80 keys that share it the first, the last and one more are absent."""
    return map_of({key: key for key in CROWDED if key not in ABSENT} | {b"elsewhere": b"value"})


ABSENT = [CROWDED[0], CROWDED[40], CROWDED[-1]]


def test_a_crowded_bucket_shows_what_is_there(crowded: MerkleMap) -> None:
    for key in CROWDED[1:40]:
        data = encode(crowded.prove(key))
        assert len(data) < 1_024
        verify_presence(crowded.root, key, key, decode(data, MapProof))
    with pytest.raises(BadProof):
        verify_absence(crowded.root, CROWDED[5], crowded.prove(CROWDED[5]))


@pytest.mark.parametrize("key", ABSENT)
def test_a_crowded_bucket_shows_what_is_not_there(crowded: MerkleMap, key: bytes) -> None:
    proof = decode(encode(crowded.prove(key)), MapProof)
    assert isinstance(proof.bucket, LargeBucket)
    verify_absence(crowded.root, key, proof)
    with pytest.raises(BadProof):
        verify_presence(crowded.root, key, key, proof)


def test_entries_that_are_not_neighbours_do_not_show_absence(crowded: MerkleMap) -> None:
    absent, held = CROWDED[40], CROWDED[39]
    honest = crowded.prove(absent)
    before, after = honest.bucket.entries
    further = crowded.prove(CROWDED[42]).bucket.entries[0]
    for entries in [(before,), (after,), (before, further), (after, before), (after, further)]:
        with pytest.raises(BadProof):
            verify_absence(crowded.root, absent, replace(honest, bucket=replace(honest.bucket, entries=entries)))
    present = crowded.prove(held)
    with pytest.raises(BadProof):
        verify_absence(crowded.root, held, present)
    neighbours = replace(honest.bucket, entries=(before, after))
    with pytest.raises(BadProof):
        verify_presence(crowded.root, held, held, replace(honest, bucket=neighbours))


def test_a_bucket_shrinks_back_to_a_small_one(crowded: MerkleMap) -> None:
    keys = CROWDED[1:70]
    tree = map_of(dict.fromkeys(keys, b"value"))
    tree.update(dict.fromkeys(keys[10:]))
    assert isinstance(tree.prove(keys[0]).bucket, SmallBucket)
    assert tree.root == map_of(dict.fromkeys(keys[:10], b"value")).root


def test_entries_of_another_bucket_are_refused() -> None:
    tree = map_of({b"order": b"one"})
    bucket = tree.prove(b"order").bucket
    with pytest.raises(BadProof):
        verify_absence(tree.root, b"nothing", replace(tree.prove(b"nothing"), bucket=bucket))
    with pytest.raises(BadProof):
        verify_absence(tree.root, b"order", replace(tree.prove(b"order"), bucket=SmallBucket(())))
