"""Files in the format age (age-encryption.org/v1): sealed to any number of X25519 recipients, as a stream.

What is sealed and opened never lies in memory as a whole. Whoever opens a file learns that no byte of it was altered
piece by piece, 64 KiB at a time, and that nothing was cut only at the end; so nothing that comes out counts before
`open_stream` returns. age says who can read a file, and never who wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from bech32 import bech32_encode, convertbits
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pyrage import DecryptError, EncryptError, IdentityError, RecipientError, decrypt_io, encrypt_io, x25519

from edgehold.errors import ArchiveDamaged, BadIdentity, BadRecipient, SealedToOthers
from edgehold.wire.ids import SealKey

MOST_HEADER = 1 << 14
"""Bytes of the header of a file that is opened: to read it takes the library time that grows with their square."""
MOST_RECIPIENTS = 150
"""So many fit into it."""
NO_KEY_FITS = "No matching keys found"
"""How the library says that a file is sealed to others."""


class Source(Protocol):
    """Something that is read."""

    def read(self, size: int) -> bytes:
        """Up to so many bytes; none at the end."""
        ...


class Sink(Protocol):
    """Something that is written."""

    def write(self, data: bytes) -> int:
        """Take all of it."""
        ...


@dataclass(frozen=True, repr=False)
class AgeRecipient:
    """Whom a file is sealed to."""

    key: Any

    def __str__(self) -> str:
        return str(self.key)


@dataclass(frozen=True, repr=False)
class AgeIdentity:
    """A secret that opens what is sealed to its recipient. It never prints."""

    key: Any

    def __repr__(self) -> str:
        return "AgeIdentity(…)"

    __str__ = __repr__

    @property
    def recipient(self) -> AgeRecipient:
        """Whom to seal to, so that this identity opens it."""
        return AgeRecipient(self.key.to_public())


def identity_of(secret: bytes) -> AgeIdentity:
    """The identity made of a secret of 32 bytes, which is its X25519 private key."""
    return AgeIdentity(x25519.Identity.from_str(_spelled("age-secret-key-", secret).upper()))


def public_key_of(secret: bytes) -> SealKey:
    """The public half of such a secret."""
    return SealKey(X25519PrivateKey.from_private_bytes(secret).public_key().public_bytes_raw())


def recipient_of(public: SealKey) -> AgeRecipient:
    """The recipient with this X25519 public key."""
    return AgeRecipient(x25519.Recipient.from_str(_spelled("age", public)))


def read_recipients(text: str, place: str) -> list[AgeRecipient]:
    """The recipients of a text, one a line, with empty lines and lines that begin with `#`; raises `BadRecipient`."""
    found = []
    for number, line in _lines(text):
        try:
            found.append(AgeRecipient(x25519.Recipient.from_str(line)))
        except RecipientError as error:
            raise BadRecipient(f"{place}, line {number}: not a recipient of age") from error
    if not found:
        raise BadRecipient(f"{place} names no recipient")
    return found


def read_identities(text: str, place: str) -> list[AgeIdentity]:
    """The identities of a text as `age-keygen` writes it; raises `BadIdentity`."""
    found = []
    for number, line in _lines(text):
        try:
            found.append(AgeIdentity(x25519.Identity.from_str(line)))
        except IdentityError as error:
            raise BadIdentity(f"{place}, line {number}: not an identity of age") from error
    if not found:
        raise BadIdentity(f"{place} holds no identity")
    return found


def seal_stream(source: Source, sink: Sink, recipients: Sequence[AgeRecipient]) -> None:
    """Seal all that a source gives to each of the recipients. What source or sink raise comes through as it is. Raises
    `BadRecipient` if they are too many."""
    if len(recipients) > MOST_RECIPIENTS:
        raise BadRecipient(f"{len(recipients)} recipients are more than {MOST_RECIPIENTS}")
    ends = _Ends(source, sink)
    try:
        encrypt_io(ends, ends, [one.key for one in recipients])
    except EncryptError as error:
        raise ends.failure or error from error


def open_stream(source: Source, sink: Sink, identities: Sequence[AgeIdentity]) -> None:
    """Open a sealed stream into a sink. What source or sink raise comes through as it is.

    Raises `SealedToOthers`, `ArchiveDamaged`.
    """
    head = bytearray()
    while len(head) < MOST_HEADER and (piece := source.read(MOST_HEADER - len(head))):
        head += piece
    if len(head) == MOST_HEADER and b"\n--- " not in head:
        raise ArchiveDamaged(f"its header does not end within {MOST_HEADER} bytes")
    ends = _Ends(source, sink, bytes(head))
    try:
        decrypt_io(ends, ends, [one.key for one in identities])
    except (DecryptError, OSError) as error:
        if ends.failure is not None:
            raise ends.failure from error
        if str(error) == NO_KEY_FITS:
            raise SealedToOthers("none of its recipients belongs to the identity that was given") from error
        raise ArchiveDamaged(f"not a whole file of age: {error}") from error


class _Ends:
    """Both ends of a stream, as the library uses them: it wraps what they raise, so the first such error is kept."""

    def __init__(self, source: Source, sink: Sink, head: bytes = b"") -> None:
        self._source, self._sink, self._head = source, sink, head
        self.failure: BaseException | None = None

    def read(self, size: int) -> bytes:
        if self._head:
            found, self._head = self._head[:size], self._head[size:]
            return found
        return bytes(self._kept(self._source.read, size))

    def write(self, data: bytes) -> int:
        self._kept(self._sink.write, data)
        return len(data)

    def flush(self) -> None:
        """Nothing is held back here."""

    def _kept(self, act: Callable[[Any], Any], argument: object) -> Any:
        try:
            return act(argument)
        except BaseException as error:
            self.failure = self.failure or error
            raise


def _lines(text: str) -> list[tuple[int, str]]:
    lines = ((number, line.strip()) for number, line in enumerate(text.splitlines(), start=1))
    return [(number, line) for number, line in lines if line and not line.startswith("#")]


def _spelled(prefix: str, key: bytes) -> str:
    return str(bech32_encode(prefix, convertbits(key, 8, 5) or []))
