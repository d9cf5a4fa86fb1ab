"""The demo's parties in one process: where their folders are, how they reach each other, and the one that cheats."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from threading import RLock

from edgehold.crypto.names import account_id
from edgehold.crypto.signatures import SigningKey
from edgehold.demo.seeded import SeededRandomness
from edgehold.durable import storage_failures, write_file
from edgehold.errors import FolderInUse, KeysUnusable, Unavailable
from edgehold.ports import Peer, Randomness
from edgehold.system import SystemRandomness
from edgehold.wire.account import Role
from edgehold.wire.codec import decode, encode
from edgehold.wire.enrolment import AskPanelKeys, FromIssuer, PanelKeys
from edgehold.wire.ids import AccountId, Modulus, PanelId


@dataclass(frozen=True)
class Direct:
    """A party of this process, reached by its one function, one message at a time (`ports.Peer`)."""

    handle: Callable[[bytes], bytes]
    lock: RLock = field(default_factory=RLock)

    def send(self, message: bytes) -> bytes:
        with self.lock:
            return self.handle(message)


@dataclass
class Directory:
    """Who can be reached, by account; parties find each other here and nowhere else."""

    peers: dict[AccountId, Peer] = field(default_factory=dict)

    def __call__(self, account: AccountId) -> Peer:
        if account not in self.peers:
            raise ConnectionError(f"nobody answers for {account.hex()}")
        return self.peers[account]


@dataclass(frozen=True)
class PublishedKeys:
    """The public lists of slot verification keys, as the issuer serves them (`ports.PanelKeys`)."""

    issuer: Peer

    def moduli(self, panel: PanelId) -> tuple[Modulus, ...]:
        answer: FromIssuer = decode(self.issuer.send(encode(AskPanelKeys(panel=panel))), FromIssuer)
        if not isinstance(answer, PanelKeys):
            raise Unavailable(f"the issuer does not give the keys of panel {panel.hex()}")
        return answer.moduli


@dataclass(frozen=True)
class Dice:
    """Randomness for each party: the operating system's, or with a seed a stream of the party's own."""

    seed: int | None
    opening: int = 0
    """How often the folder was opened before: a stream is never begun again."""

    def of(self, party: str) -> Randomness:
        return SystemRandomness() if self.seed is None else SeededRandomness(self.seed, f"{party}/{self.opening}")


def make_key(folder: Path, randomness: Randomness) -> SigningKey:
    """Make an organisation's signing key in its folder; raises `FolderInUse`."""
    path = folder / "key"
    if path.exists():
        raise FolderInUse(f"{path} exists")
    with storage_failures(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    seed = randomness.draw(32)
    write_file(path, seed.hex() + "\n")
    return SigningKey(seed)


def load_key(folder: Path) -> SigningKey:
    """Read an organisation's signing key; raises `KeysUnusable`, `StorageFailed`."""
    try:
        with storage_failures(folder / "key"):
            return SigningKey(bytes.fromhex((folder / "key").read_text()))
    except (OSError, ValueError) as error:
        raise KeysUnusable(f"{folder / 'key'}: {type(error).__name__}") from error


def organisation_account(key: SigningKey) -> AccountId:
    return account_id(Role.ORGANISATION, key.public)
