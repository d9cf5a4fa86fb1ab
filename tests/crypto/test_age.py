"""Files of age: sealed to several, opened by each, by the standard's own words, and by nobody else."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.crypto.age import (
    MOST_RECIPIENTS,
    AgeIdentity,
    identity_of,
    open_stream,
    public_key_of,
    read_identities,
    read_recipients,
    recipient_of,
    seal_stream,
)
from edgehold.errors import ArchiveDamaged, BadIdentity, BadRecipient, SealedToOthers

ONE, OTHER = identity_of(bytes(range(32))), identity_of(bytes(range(1, 33)))


def sealed(plain: bytes, *identities: AgeIdentity) -> bytes:
    """A file of age, sealed to these."""
    sink = io.BytesIO()
    seal_stream(io.BytesIO(plain), sink, [one.recipient for one in identities])
    return sink.getvalue()


def opened(data: bytes, *identities: AgeIdentity) -> bytes:
    """What a file of age holds."""
    sink = io.BytesIO()
    open_stream(io.BytesIO(data), sink, identities)
    return sink.getvalue()


@given(st.binary(max_size=200_000))
def test_each_recipient_opens_it_and_nobody_else(plain: bytes) -> None:
    data = sealed(plain, ONE, OTHER)
    assert data.startswith(b"age-encryption.org/v1\n")
    assert opened(data, ONE) == opened(data, OTHER) == plain
    with pytest.raises(SealedToOthers):
        opened(data, identity_of(bytes(32)))


def test_a_key_is_spelled_as_the_standard_says() -> None:
    """The example of age's own documentation, and the halves of a key belong together."""
    text = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
    assert str(read_identities(text, "the suite")[0].recipient) == str(identity_of(bytes([66]) * 32).recipient)
    assert str(recipient_of(public_key_of(bytes(range(32))))) == str(ONE.recipient)
    assert str(ONE.recipient).startswith("age1")
    assert repr(ONE) == str(ONE) == "AgeIdentity(…)"


@pytest.mark.parametrize(
    "change", [lambda data: data[:-1], lambda data: data[:40], lambda data: data + b"x", lambda _: b""]
)
def test_a_file_that_is_cut_or_longer_is_refused(change: object) -> None:
    with pytest.raises(ArchiveDamaged):
        opened(change(sealed(bytes(100_000), ONE)), ONE)  # type: ignore[operator]


def test_no_byte_can_be_changed() -> None:
    data = sealed(bytes(1000), ONE)
    for place in range(0, len(data), 7):
        altered = data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :]
        with pytest.raises((ArchiveDamaged, SealedToOthers)):
            opened(altered, ONE)


def test_files_of_keys_have_comments_and_are_named_when_they_are_wrong() -> None:
    secret = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
    (identity,) = read_identities(f"# created: today\n\n  {secret}\n", "key.txt")
    assert len(read_recipients(f"{identity.recipient}\n# mine\n{identity.recipient}\n", "keys.txt")) == 2
    for text in ("", "# nothing\n"):
        with pytest.raises(BadRecipient, match="names no recipient"):
            read_recipients(text, "keys.txt")
        with pytest.raises(BadIdentity, match="holds no identity"):
            read_identities(text, "key.txt")
    with pytest.raises(BadRecipient, match=r"keys.txt, line 2"):
        read_recipients(f"# x\n{secret}", "keys.txt")
    with pytest.raises(BadIdentity, match=r"key.txt, line 1") as refused:
        read_identities(secret.lower(), "key.txt") and read_identities(f"{secret}x", "key.txt")
    assert secret not in str(refused.value)


class Broken(io.RawIOBase):
    """An end of a stream that fails after a while."""

    def __init__(self, calls: int) -> None:
        self.calls = calls

    def read(self, size: int = -1) -> bytes:
        self.calls -= 1
        if self.calls < 0:
            raise OSError(28, "No space left on device")
        return bytes(size)

    def write(self, data: object) -> int:
        self.read(0)
        return len(data)  # type: ignore[arg-type]


def test_what_an_end_raises_comes_through() -> None:
    data = sealed(bytes(1 << 20), ONE)
    with pytest.raises(OSError, match="No space"):
        seal_stream(Broken(20), io.BytesIO(), [ONE.recipient])
    with pytest.raises(OSError, match="No space"):
        seal_stream(io.BytesIO(bytes(1 << 20)), Broken(3), [ONE.recipient])
    with pytest.raises(OSError, match="No space"):
        open_stream(io.BytesIO(data), Broken(3), [ONE])


def test_a_header_that_does_not_end_is_refused_at_once() -> None:
    """To read it to its end would take hours."""
    data = b"age-encryption.org/v1\n" + b"-> X25519 A\n" * 100_000
    with pytest.raises(ArchiveDamaged, match="header"):
        open_stream(io.BytesIO(data), io.BytesIO(), [ONE])


def test_as_many_recipients_as_fit_can_open_and_more_are_refused() -> None:
    many = [identity_of(bytes([number]) * 32) for number in range(MOST_RECIPIENTS)]
    sealed, opened = io.BytesIO(), io.BytesIO()
    seal_stream(io.BytesIO(b"words"), sealed, [one.recipient for one in many])
    open_stream(io.BytesIO(sealed.getvalue()), opened, many[-1:])
    assert opened.getvalue() == b"words"
    with pytest.raises(BadRecipient, match="more than"):
        seal_stream(io.BytesIO(), io.BytesIO(), [many[0].recipient] * (MOST_RECIPIENTS + 1))
