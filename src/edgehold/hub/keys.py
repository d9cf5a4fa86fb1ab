"""A hub's secrets: what is kept in its folder, what goes into the owner's recovery kit, and what is derived from both.

The *owner key* exists only in the recovery kit, which is written once and kept away from the hub; it stands above the
*hub key* that signs from day to day. Slot keys are derived, so that whoever holds the kit can revoke what a lost hub
permitted.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from msgspec import Struct

from edgehold.crypto.aead import derive_key
from edgehold.crypto.age import AgeIdentity, AgeRecipient, identity_of, public_key_of, recipient_of
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.signatures import SigningKey
from edgehold.durable import storage_failures, write_file
from edgehold.errors import FolderInUse, KeysUnusable, Malformed
from edgehold.ports import Randomness
from edgehold.wire.codec import decode, encode
from edgehold.wire.ids import Digest, PanelId, PublicKey, SealKey, TaskId

KEYS_FILE = "keys"
KIT_FILE = "recovery.kit"

FRACTION = 65536
"""A sampling draw is one of so many values (`wire.order.SAMPLING_ONE`)."""


class KeyFile(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What lies in a hub's folder, readable by its owner alone."""

    hub_seed: Digest
    storage_key: Digest
    slot_seed: Digest
    sampling_secret: Digest
    owner_key: PublicKey
    recovery_key: SealKey
    """To which every archive of the hub is sealed; only the recovery kit opens that."""
    minor: bool

    def __repr__(self) -> str:
        return "KeyFile(…)"


class RecoveryKit(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the owner keeps offline: the owner key, and what no backup can be read or revoked without."""

    owner_seed: Digest
    storage_key: Digest
    slot_seed: Digest

    @property
    def identity(self) -> AgeIdentity:
        """What opens the archives of this hub: an identity of age, derived from the owner key."""
        return identity_of(_archive_secret(self))

    def __repr__(self) -> str:
        return "RecoveryKit(…)"


@dataclass(frozen=True, repr=False)
class HubKeys:
    """The secrets of one hub. They never print."""

    file: KeyFile
    signing: SigningKey

    def __repr__(self) -> str:
        return "HubKeys(…)"

    @property
    def minor(self) -> bool:
        """Whether the owner was a minor when the hub was made: then its policy says never."""
        return self.file.minor

    @property
    def owner_key(self) -> PublicKey:
        """The public half of the offline key above this hub."""
        return self.file.owner_key

    @property
    def recovery(self) -> AgeRecipient:
        """Whom every archive is sealed to: the owner, by the recovery kit."""
        return recipient_of(self.file.recovery_key)

    @property
    def storage_key(self) -> bytes:
        """32 bytes that wrap the keys of the store's objects."""
        return self.file.storage_key

    def slot_key(self, panel: PanelId, slot: int) -> SigningKey:
        """The one-time key with which this person signs in that slot of that panel."""
        return SigningKey(tagged_hash("slot-key", self.file.slot_seed + panel + slot.to_bytes(2, "big")))

    def blinding_seed(self, panel: PanelId, slot: int) -> bytes:
        """The 32 bytes that blind a slot key: the same at each try, so that an interrupted visit can be repeated."""
        return tagged_hash("slot-blinding", self.file.slot_seed + panel + slot.to_bytes(2, "big"))

    def is_sampled(self, task: TaskId, sampling: int) -> bool:
        """Whether this hub belongs to the task's sample of `sampling` in 65,536; nobody else can tell."""
        draw = tagged_hash("sampling", self.file.sampling_secret + task)
        return int.from_bytes(draw[:8], "big") % FRACTION < sampling

    def upload_height(self, task: TaskId, first: int, last: int) -> int:
        """The height, within first … last inclusive, at which this hub's report to the task leaves."""
        draw = tagged_hash("upload-height", self.file.sampling_secret + task)
        return first + int.from_bytes(draw[:16], "big") % (last - first + 1)


def create_keys(folder: Path, randomness: Randomness, *, minor: bool = False) -> HubKeys:
    """Make a hub's folder with fresh keys and write the recovery kit beside them, for the owner to take away.

    Raises `FolderInUse` if there are keys or a kit already: neither is ever overwritten.
    """
    with storage_failures(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in (KEYS_FILE, KIT_FILE):
        if (folder / name).exists():
            raise FolderInUse(f"{folder / name} exists")
    kit = RecoveryKit(*(Digest(randomness.draw(32)) for _ in range(3)))
    file = KeyFile(
        hub_seed=Digest(randomness.draw(32)),
        storage_key=kit.storage_key,
        slot_seed=kit.slot_seed,
        sampling_secret=Digest(randomness.draw(32)),
        owner_key=SigningKey(kit.owner_seed).public,
        recovery_key=public_key_of(_archive_secret(kit)),
        minor=minor,
    )
    write_file(folder / KIT_FILE, encode(kit))
    try:
        write_file(folder / KEYS_FILE, encode(file))
    except BaseException:
        (folder / KIT_FILE).unlink()  # a kit of keys that do not exist: the next attempt makes both
        raise
    return HubKeys(file, SigningKey(file.hub_seed))


def load_keys(folder: Path) -> HubKeys:
    """Read the keys of a hub's folder.

    Raises `KeysUnusable` if they are missing, altered or readable by others, `StorageFailed`.
    """
    path = folder / KEYS_FILE
    try:
        if path.stat().st_mode & 0o077:
            raise KeysUnusable(f"{path} can be read by others: mode {path.stat().st_mode & 0o777:o}")
        with storage_failures(path):
            return read_keys(path.read_bytes())
    except (OSError, Malformed) as error:
        raise KeysUnusable(f"{path}: {type(error).__name__}") from error


def read_keys(content: bytes) -> HubKeys:
    """The keys as they lie in their file; raises `Malformed`."""
    file = decode(content, KeyFile)
    return HubKeys(file, SigningKey(file.hub_seed))


def is_of_kit(keys: HubKeys, kit: RecoveryKit) -> bool:
    """Whether keys and kit were made for the same hub."""
    file = keys.file
    shared = (file.storage_key, file.slot_seed, file.owner_key, file.recovery_key)
    return shared == (
        kit.storage_key,
        kit.slot_seed,
        SigningKey(kit.owner_seed).public,
        public_key_of(_archive_secret(kit)),
    )


def _archive_secret(kit: RecoveryKit) -> bytes:
    return derive_key(kit.owner_seed, "recovery/archive")


def read_kit(path: Path) -> RecoveryKit:
    """Read a recovery kit. Raises `KeysUnusable` if it is not one, `StorageFailed`."""
    try:
        with storage_failures(path):
            return decode(path.read_bytes(), RecoveryKit)
    except (OSError, Malformed) as error:
        raise KeysUnusable(f"{path}: {type(error).__name__}") from error
