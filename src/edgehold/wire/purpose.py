"""What a customer asks to use data for, in the codes of the GA4GH Data Use Ontology (DUO).

An enumeration's value is the number in the official id: `Permission.HMB` is DUO:0000006.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from msgspec import Meta, Struct

from edgehold.wire.ids import AccountId, Height, Short


class Permission(IntEnum):
    """DUO data use permissions: what kind of use."""

    NRES = 4
    HMB = 6
    DS = 7
    POA = 11
    GRU = 42


class Modifier(IntEnum):
    """DUO data use modifiers: under which further conditions."""

    RS = 12
    NMDS = 15
    GSO = 16
    NPUNCU = 18
    PUB = 19
    COL = 20
    IRB = 21
    GS = 22
    MOR = 24
    TS = 25
    US = 26
    PS = 27
    IS = 28
    RTN = 29
    CC = 43
    NPOA = 44
    NPU = 45
    NCU = 46


class Term(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, order=True):
    """One modifier, with its argument where it has one (a region, months, a date, a project …), else the empty text."""

    modifier: Modifier
    argument: Short = ""


MOST_TERMS = 32
MOST_DISEASES = 16

Terms = Annotated[tuple[Term, ...], Meta(max_length=MOST_TERMS)]
"""Sorted, distinct."""

Diseases = Annotated[tuple[Short, ...], Meta(max_length=MOST_DISEASES)]
"""Codes such as MONDO:0005148, sorted; only with `Permission.DS`, and then at least one."""


class Purpose(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The use a customer asks for, and the conditions it undertakes to keep."""

    permission: Permission
    diseases: Diseases = ()
    undertakes: Terms = ()


class PermittedUse(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A use an owner allows, and the conditions an asker has to meet."""

    permission: Permission
    diseases: Diseases = ()
    requires: Terms = ()


class Asker(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the ledger says about the customer: its account and what accreditors attest of it, until which height."""

    account: AccountId
    not_for_profit_until: Height | None = None
    ethics_approval_until: Height | None = None
