"""Panels: the persons an issuer enrolled for a period, known to the ledger only by the keys that sign their slots."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from edgehold.wire.data import Grade, Kind
from edgehold.wire.ids import AccountId, Counter, Digest, Height, Modulus, PanelId, Short, SlotKey, Token

Slot = Annotated[int, Meta(ge=0, lt=256)]


class DeclarePanel(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=10):
    """An issuer declares a panel before anybody enrols. Panels of one scheme and period are disjoint."""

    scheme: Short
    period: Counter
    number: Annotated[int, Meta(ge=0, lt=65536)]  # of the panel within scheme and period
    kinds: Annotated[tuple[Kind, ...], Meta(min_length=1, max_length=7)]  # sorted
    grade: Grade
    schemas: Annotated[tuple[Short, ...], Meta(min_length=1, max_length=8)]  # schema ids, sorted
    slots: Annotated[int, Meta(ge=1, le=256)]
    keys_root: Digest  # RFC 6962 tree over the moduli of the slot verification keys, in slot order


class ClosePanel(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=11):
    """The issuer ends the enrolment and states how many persons it enrolled; orders name closed panels only."""

    panel: PanelId
    enrolled: Counter


class Panel(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: one panel."""

    issuer: AccountId
    descriptor: DeclarePanel
    declared_at: Height
    enrolled: Counter | None  # None while open
    closed_at: Height | None
    next_slot: Counter


class SlotCredential(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What shows that a slot key belongs to somebody of a panel, and for which slot, without saying to whom."""

    panel: PanelId
    slot: Slot
    key: SlotKey
    token: Token
    modulus: Modulus
    path: Annotated[tuple[Digest, ...], Meta(max_length=8)]  # of the modulus under the panel's `keys_root`
