"""What the ledger keeps about a service node's conduct: counts that rules derive from evidence, never opinions."""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta, Struct

from edgehold.wire.ids import AccountId, Counter, Height

EVIDENCE_UNIT = 1_000_000
"""Evidence is kept in millionths: one passed audit is 1,000,000."""

MAX_PAIR_MARKS = 64
"""Marks with more partners than this are forgotten, the oldest first; five already suspend."""

Evidence = Annotated[int, Meta(ge=0, le=2**53)]
"""An amount of evidence in millionths (`EVIDENCE_UNIT`)."""

Score = Annotated[int, Meta(ge=0, le=1_000_000)]
"""Credibility in parts per million."""


class Prior(IntEnum):
    """What accreditors attest about an organisation before any evidence."""

    UNKNOWN = 0
    VERIFIED = 1
    ACCREDITED = 2


class Fault(IntEnum):
    """Evidence that names one party, by its weight."""

    MISSED = 5
    """A share or a deadline was missed."""
    PROVEN = 20
    """Conflicting signatures, digest or noise mismatch, garbage share, dropped receipt, revoked report counted."""


class PairMark(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Something went wrong between two services and nobody can say at which of them."""

    partner: AccountId
    weight: Evidence


class Standing(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The integers from which a service's credibility follows (`policy.credibility.score`)."""

    good: Evidence = 0
    """From passed audits, faded."""
    accepted: Evidence = 0
    """From customers' acceptances without an audit, faded; kept apart because they can be bought."""
    bad: Evidence = 0
    """From faults that name this service, faded."""
    pair_marks: Annotated[tuple[PairMark, ...], Meta(max_length=MAX_PAIR_MARKS)] = ()
    """At most one per partner, the latest last."""
    audits: Counter = 0
    acceptances: Counter = 0
    """Acceptances that counted, ever."""
    tasks: Counter = 0
    suspended_at: Height | None = None
    """Height of the latest proven fault since the last re-attestation, or none."""
    strikes: Counter = 0
    """How often the service was suspended."""
