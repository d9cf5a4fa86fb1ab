"""The issuer's register: which person has which records, account and panel, and the sealed keys of the slots.

It holds what a clinic knows anyway (a person's reference, whether an adult) and nothing that the person's hub keeps
secret: no salts, no slot keys, no openings. The slots' RSA keys are sealed under the issuer's storage key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgehold.crypto import aead
from edgehold.durable import Database, reserve_file
from edgehold.ports import Randomness
from edgehold.wire.codec import decode, encode
from edgehold.wire.enrolment import Invitation
from edgehold.wire.ids import AccountId, Digest, Modulus, PanelId
from edgehold.wire.panel import DeclarePanel

_TABLES = """
CREATE TABLE IF NOT EXISTS persons(
    person TEXT PRIMARY KEY, adult INTEGER NOT NULL, invitation BLOB NOT NULL UNIQUE, account BLOB UNIQUE);
CREATE TABLE IF NOT EXISTS records(
    signature BLOB NOT NULL, person TEXT NOT NULL, commitment BLOB NOT NULL, PRIMARY KEY(signature, person));
CREATE TABLE IF NOT EXISTS panels(
    panel BLOB PRIMARY KEY, descriptor BLOB NOT NULL, closed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS slot_keys(
    panel BLOB NOT NULL, slot INTEGER NOT NULL, modulus BLOB NOT NULL, sealed BLOB NOT NULL, PRIMARY KEY(panel, slot));
CREATE TABLE IF NOT EXISTS enrolments(
    scheme TEXT NOT NULL, period INTEGER NOT NULL, person TEXT NOT NULL, panel BLOB NOT NULL, request BLOB NOT NULL,
    PRIMARY KEY(scheme, period, person));
"""


@dataclass(frozen=True)
class Person:
    """Somebody to whom the issuer handed a record."""

    reference: str
    adult: bool
    account: AccountId | None


@dataclass(frozen=True)
class Enrolment:
    """A person's one place in a scheme and period."""

    panel: PanelId
    request: Digest
    """Of what was asked, so that the same request gets the same answer."""


class Register:
    """The issuer's database. One process at a time; every change is durable when the call returns."""

    def __init__(self, path: Path, storage_key: bytes) -> None:
        self._key = storage_key
        reserve_file(path)
        self.database = Database(path, "PRAGMA journal_mode=WAL", "PRAGMA synchronous=FULL", _TABLES)

    def close(self) -> None:
        """Let go of the file."""
        self.database.close()

    # ── persons and records ───────────────────────────────────────────────────────────────────────────────────────

    def add_record(
        self, person: str, *, adult: bool, invitation: Invitation, signature: Digest, commitment: Digest
    ) -> Invitation:
        """Note a signed record; returns the person's invitation, the first one if there was one before."""
        with self.database:
            self.database.execute(
                "INSERT INTO persons(person, adult, invitation) VALUES(?, ?, ?)"
                " ON CONFLICT(person) DO UPDATE SET adult = excluded.adult",
                (person, adult, invitation),
            )
            self.database.execute("INSERT OR IGNORE INTO records VALUES(?, ?, ?)", (signature, person, commitment))
        rows = self.database.execute("SELECT invitation FROM persons WHERE person = ?", (person,))
        return Invitation(bytes(rows.get))

    def person_invited(self, invitation: Invitation) -> Person | None:
        """Whom an invitation was handed to."""
        return self._person("invitation = ?", invitation)

    def person_of(self, account: AccountId) -> Person | None:
        """Whose hub an account belongs to."""
        return self._person("account = ?", account)

    def set_account(self, person: str, account: AccountId) -> None:
        """Note which account a person's hub has."""
        self.database.execute("UPDATE persons SET account = ? WHERE person = ?", (account, person))

    def is_record_of(self, person: str, signature: Digest, commitment: Digest) -> bool:
        """Whether the issuer handed this person a record with that signature over those bytes."""
        found = self.database.execute(
            "SELECT 1 FROM records WHERE signature = ? AND person = ? AND commitment = ?",
            (signature, person, commitment),
        )
        return found.fetchone() is not None

    def _person(self, condition: str, value: bytes) -> Person | None:
        query = f"SELECT person, adult, account FROM persons WHERE {condition}"  # noqa: S608 — two fixed conditions
        row = self.database.execute(query, (value,)).fetchone()
        if row is None:
            return None
        reference, adult, account = row
        return Person(reference, bool(adult), AccountId(Digest(account)) if account is not None else None)

    # ── panels ────────────────────────────────────────────────────────────────────────────────────────────────────

    def add_panel(
        self, panel: PanelId, descriptor: DeclarePanel, keys: Sequence[tuple[bytes, Modulus]], randomness: Randomness
    ) -> None:
        """Store a panel with its slots' keys (private key in DER, modulus), each sealed for its panel and slot."""
        with self.database:
            self.database.execute("INSERT INTO panels(panel, descriptor) VALUES(?, ?)", (panel, encode(descriptor)))
            self.database.executemany(
                "INSERT INTO slot_keys VALUES(?, ?, ?, ?)",
                [
                    (panel, slot, modulus, aead.seal(self._key, _place(panel, slot), private, randomness))
                    for slot, (private, modulus) in enumerate(keys)
                ],
            )

    def panel(self, panel: PanelId) -> tuple[DeclarePanel, bool] | None:
        """A panel's descriptor, and whether it is closed."""
        row = self.database.execute("SELECT descriptor, closed FROM panels WHERE panel = ?", (panel,)).fetchone()
        return (decode(bytes(row[0]), DeclarePanel), bool(row[1])) if row else None

    def panels(self) -> list[PanelId]:
        """Every panel this issuer declared, in the order of declaration."""
        return [PanelId(Digest(panel)) for (panel,) in self.database.execute("SELECT panel FROM panels ORDER BY rowid")]

    def moduli(self, panel: PanelId) -> list[Modulus]:
        """The slot verification keys, in slot order."""
        rows = self.database.execute("SELECT modulus FROM slot_keys WHERE panel = ? ORDER BY slot", (panel,))
        return [Modulus(modulus) for (modulus,) in rows]

    def private_keys(self, panel: PanelId) -> list[bytes]:
        """The slots' private keys in DER, in slot order. Raises `CannotOpen` under another storage key."""
        rows = self.database.execute("SELECT slot, sealed FROM slot_keys WHERE panel = ? ORDER BY slot", (panel,))
        return [aead.open_sealed(self._key, _place(panel, slot), sealed) for slot, sealed in rows]

    def close_panel(self, panel: PanelId) -> int:
        """Enrol nobody any more; returns how many were enrolled."""
        self.database.execute("UPDATE panels SET closed = 1 WHERE panel = ?", (panel,))
        return self.enrolled(panel)

    # ── enrolments ────────────────────────────────────────────────────────────────────────────────────────────────

    def enrolled(self, panel: PanelId) -> int:
        """How many persons a panel has."""
        return int(self.database.execute("SELECT count(*) FROM enrolments WHERE panel = ?", (panel,)).get)

    def enrolment(self, descriptor: DeclarePanel, person: str) -> Enrolment | None:
        """The place a person has in a panel's scheme and period, in whichever panel of it."""
        row = self.database.execute(
            "SELECT panel, request FROM enrolments WHERE scheme = ? AND period = ? AND person = ?",
            (descriptor.scheme, descriptor.period, person),
        ).fetchone()
        return Enrolment(PanelId(Digest(row[0])), Digest(row[1])) if row else None

    def enrol(self, descriptor: DeclarePanel, person: str, enrolment: Enrolment) -> None:
        """Give a person their place."""
        self.database.execute(
            "INSERT INTO enrolments VALUES(?, ?, ?, ?, ?)",
            (descriptor.scheme, descriptor.period, person, enrolment.panel, enrolment.request),
        )


def _place(panel: PanelId, slot: int) -> bytes:
    return panel + slot.to_bytes(2, "big")
