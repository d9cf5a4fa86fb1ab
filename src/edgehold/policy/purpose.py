"""May data be used for this purpose: the codes of the GA4GH Data Use Ontology (DUO) and what each means to a machine.

An owner's `PermittedUse` names a permission and what it requires; a customer's `Purpose` names a permission and what it
undertakes. Permissions form a tree: no restriction ⊇ general research ⊇ {health research ⊇ one disease, ancestry}.
Where a modifier cannot be checked by a hub (publication, collaboration …) it binds by the customer's signed
undertaking in the order; approval by an ethics board and being not for profit need an accreditor's attestation. Labels
are those of duo.csv in the ontology's repository (EBISPOT/DUO, CC BY 4.0).
"""

from __future__ import annotations

import re
from enum import Enum
from typing import assert_never

from edgehold.errors import BadPurpose
from edgehold.wire.ids import MOST_SHORT
from edgehold.wire.purpose import MOST_DISEASES, MOST_TERMS, Asker, Modifier, Permission, PermittedUse, Purpose, Term


class Check(Enum):
    """How a required modifier is met."""

    UNDERTAKEN = "the customer undertakes the same, with the same argument"
    NO_LONGER = "the customer undertakes the same for at most as many months"
    NO_EARLIER = "the customer undertakes the same until at least that date"
    APPROVED = "an accreditor attests an ethics approval"
    NOT_FOR_PROFIT = "an accreditor attests that the customer is not for profit"
    NON_COMMERCIAL = "the customer undertakes that the use is not commercial"
    NEITHER_PROFIT_NOR_COMMERCE = "both of the last two"
    NAMED_ACCOUNT = "the customer's account is the one named"
    NOT_ANCESTRY = "the use is not the study of ancestry, nor wide enough to include it without an undertaking"
    WIDENS = "not a condition: it allows clinical care besides research"


PERMISSIONS: dict[Permission, str] = {
    Permission.NRES: "no restriction",
    Permission.GRU: "general research use",
    Permission.HMB: "health or medical or biomedical research",
    Permission.DS: "disease specific research",
    Permission.POA: "population origins or ancestry research only",
}
"""Official labels of the permissions."""

WIDER: dict[Permission, Permission] = {
    Permission.GRU: Permission.NRES,
    Permission.HMB: Permission.GRU,
    Permission.POA: Permission.GRU,
    Permission.DS: Permission.HMB,
}
"""The next wider permission of each but the widest."""

MODIFIERS: dict[Modifier, tuple[str, str, Check]] = {
    Modifier.RS: ("research specific restrictions", "research type", Check.UNDERTAKEN),
    Modifier.NMDS: ("no general methods research", "", Check.UNDERTAKEN),
    Modifier.GSO: ("genetic studies only", "", Check.UNDERTAKEN),
    Modifier.NPUNCU: ("not for profit, non commercial use only", "", Check.NEITHER_PROFIT_NOR_COMMERCE),
    Modifier.PUB: ("publication required", "", Check.UNDERTAKEN),
    Modifier.COL: ("collaboration required", "investigator", Check.UNDERTAKEN),
    Modifier.IRB: ("ethics approval required", "", Check.APPROVED),
    Modifier.GS: ("geographical restriction", "region", Check.UNDERTAKEN),
    Modifier.MOR: ("publication moratorium", "date, YYYY-MM-DD", Check.NO_EARLIER),
    Modifier.TS: ("time limit on use", "months", Check.NO_LONGER),
    Modifier.US: ("user specific restriction", "account, hexadecimal", Check.NAMED_ACCOUNT),
    Modifier.PS: ("project specific restriction", "project", Check.UNDERTAKEN),
    Modifier.IS: ("institution specific restriction", "account, hexadecimal", Check.NAMED_ACCOUNT),
    Modifier.RTN: ("return to database or resource", "", Check.UNDERTAKEN),
    Modifier.CC: ("clinical care use", "", Check.WIDENS),
    Modifier.NPOA: ("population origins or ancestry research prohibited", "", Check.NOT_ANCESTRY),
    Modifier.NPU: ("not for profit organisation use only", "", Check.NOT_FOR_PROFIT),
    Modifier.NCU: ("non-commercial use only", "", Check.NON_COMMERCIAL),
}
"""For each modifier its official label, what its argument is (empty: it has none), and how it is met."""

_ARGUMENTS = {
    Check.NO_LONGER: re.compile(r"[1-9][0-9]{0,3}"),
    Check.NO_EARLIER: re.compile(r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"),
    Check.NAMED_ACCOUNT: re.compile(r"[0-9a-f]{64}"),
}


def duo_id(code: Permission | Modifier) -> str:
    """The official id, for example DUO:0000006."""
    return f"DUO:{code.value:07d}"


def describe_use(use: Purpose | PermittedUse) -> str:
    """A use in the ontology's words, for people."""
    terms = use.undertakes if isinstance(use, Purpose) else use.requires
    about = f" ({', '.join(use.diseases)})" if use.diseases else ""
    conditions = [f"{MODIFIERS[term.modifier][0]}{': ' + term.argument if term.argument else ''}" for term in terms]
    return "; ".join([PERMISSIONS[use.permission] + about, *conditions])


def check_use(use: Purpose | PermittedUse) -> None:
    """Refuse a use that says nothing definite; the same for what is asked and for what is allowed.

    Raises `BadPurpose`: diseases without DS or DS without diseases, unsorted or repeated parts, an argument that is
    missing, of the wrong form, or given to a modifier that has none; more or longer parts than a message can have.
    """
    terms = use.undertakes if isinstance(use, Purpose) else use.requires
    texts = [*use.diseases, *(term.argument for term in terms)]
    if len(use.diseases) > MOST_DISEASES or len(terms) > MOST_TERMS or any(len(text) > MOST_SHORT for text in texts):
        raise BadPurpose(
            f"{len(use.diseases)} diseases and {len(terms)} modifiers, the longest text of "
            f"{max(map(len, texts), default=0)} characters: at most {MOST_DISEASES}, {MOST_TERMS} and {MOST_SHORT} are allowed"
        )
    if bool(use.diseases) != (use.permission is Permission.DS):
        raise BadPurpose(f"{use.permission.name} with {len(use.diseases)} diseases: DS names at least one, others none")
    if list(use.diseases) != sorted(set(use.diseases)) or list(terms) != sorted(set(terms)):
        raise BadPurpose(f"diseases and modifiers are sorted and distinct, unlike those of {use.permission.name}")
    for term in terms:
        _, argument, check = MODIFIERS[term.modifier]
        if bool(term.argument) != bool(argument):
            raise BadPurpose(f"{term.modifier.name} takes {argument or 'no argument'}, not {term.argument!r}")
        form = _ARGUMENTS.get(check)
        if form and not form.fullmatch(term.argument):
            raise BadPurpose(f"{term.modifier.name} takes {argument}, not {term.argument!r}")


def includes(wide: Permission, narrow: Permission) -> bool:
    """Whether whatever the narrow permission allows is allowed by the wide one too."""
    if wide is narrow:
        return True
    return narrow in WIDER and includes(wide, WIDER[narrow])


def permits(allowed: PermittedUse, asked: Purpose, asker: Asker, height: int) -> str | None:
    """Nothing if the use is permitted at this height, else the first reason why not, as half a sentence."""
    if not includes(allowed.permission, asked.permission):
        return f"{PERMISSIONS[asked.permission]} is asked, {PERMISSIONS[allowed.permission]} is allowed"
    foreign = [disease for disease in asked.diseases if disease not in allowed.diseases]
    if allowed.permission is Permission.DS and foreign:
        return f"{foreign[0]} is not among the diseases allowed"
    if _undertakes(asked, Modifier.CC) and allowed.permission is not Permission.NRES and not _allows_care(allowed):
        return "clinical care use is asked and not allowed"
    for term in allowed.requires:
        if not _meets(term, asked, asker, height):
            label, _, check = MODIFIERS[term.modifier]
            return f"{label}{' (' + term.argument + ')' if term.argument else ''} is not met: {check.value}"
    return None


def _meets(term: Term, asked: Purpose, asker: Asker, height: int) -> bool:
    """Whether one required modifier is met; `MODIFIERS` says how."""
    undertaken = [other.argument for other in asked.undertakes if other.modifier is term.modifier]
    non_commercial = _undertakes(asked, Modifier.NCU) or _undertakes(asked, Modifier.NPUNCU)
    not_for_profit = _holds(asker.not_for_profit_until, height)
    check = MODIFIERS[term.modifier][2]
    match check:
        case Check.UNDERTAKEN:
            return term.argument in undertaken
        case Check.NO_LONGER:
            return any(int(months) <= int(term.argument) for months in undertaken)
        case Check.NO_EARLIER:
            return any(date >= term.argument for date in undertaken)
        case Check.APPROVED:
            return _holds(asker.ethics_approval_until, height)
        case Check.NOT_FOR_PROFIT:
            return not_for_profit
        case Check.NON_COMMERCIAL:
            return non_commercial
        case Check.NEITHER_PROFIT_NOR_COMMERCE:
            return not_for_profit and non_commercial
        case Check.NAMED_ACCOUNT:
            return asker.account.hex() == term.argument
        case Check.NOT_ANCESTRY:
            narrow = asked.permission in (Permission.HMB, Permission.DS)
            return narrow or (asked.permission is not Permission.POA and _undertakes(asked, Modifier.NPOA))
        case Check.WIDENS:
            return True
        case _:
            assert_never(check)


def _undertakes(asked: Purpose, modifier: Modifier) -> bool:
    return any(term.modifier is modifier for term in asked.undertakes)


def _allows_care(allowed: PermittedUse) -> bool:
    return any(term.modifier is Modifier.CC for term in allowed.requires)


def _holds(until: int | None, height: int) -> bool:
    """Whether an attestation still stands at this height; its last height counts."""
    return until is not None and height <= until
