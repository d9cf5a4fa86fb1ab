"""The owner's standing answer, as data, as a file people can edit, and as a digest that decisions name."""

from __future__ import annotations

import re
from enum import StrEnum
from fractions import Fraction
from typing import Annotated, Any, NoReturn, assert_never

from msgspec import Meta, Struct

from edgehold.crypto.hash import tagged_hash
from edgehold.errors import BadPolicy, BadPurpose, Malformed
from edgehold.policy.budget import DEFAULT_SHARE, DEFAULT_YEARLY, Budget, Ratio
from edgehold.policy.credibility import PPM
from edgehold.policy.purpose import check_use
from edgehold.policy.toml_text import read_toml
from edgehold.wire.codec import encode
from edgehold.wire.credibility import Score
from edgehold.wire.data import Kind
from edgehold.wire.ids import AccountId, Digest
from edgehold.wire.program import Sensitivity
from edgehold.wire.purpose import Modifier, Permission, PermittedUse, Term


class Mode(StrEnum):
    """What happens to a task that passes every term."""

    ALWAYS = "always"
    ASK = "ask"
    NEVER = "never"


class LeastCredibility(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """The least credibility of both services, in parts per million, by how much an outcome can say about persons."""

    aggregate: Score = 500_000
    model: Score = 700_000
    record: Score = 900_000


HEALTH_RESEARCH = PermittedUse(Permission.HMB)
MOST_USES = 32
MOST_TRUSTED = 256


class Policy(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What an owner allows, without being asked again."""

    mode: Mode = Mode.ALWAYS
    uses: Annotated[tuple[PermittedUse, ...], Meta(max_length=MOST_USES)] = (HEALTH_RESEARCH,)
    """Any one of them is enough."""
    kinds: Annotated[tuple[Kind, ...], Meta(max_length=7)] = tuple(sorted(Kind))
    least_credibility: LeastCredibility = LeastCredibility()
    ask_for_records: bool = True
    """Ask for outcomes of sensitivity `record`, whatever the mode says."""
    trusted: Annotated[tuple[AccountId, ...], Meta(max_length=MOST_TRUSTED)] = ()
    """If not empty, one of the two services must be among these."""
    least_batch: Annotated[int, Meta(ge=1, le=10_000_000)] = 100
    loss_per_order: Ratio = str(DEFAULT_YEARLY * DEFAULT_SHARE)
    """ρ of one order."""
    loss_per_year: Ratio = str(DEFAULT_YEARLY)
    """ρ of four ledger periods; the three shares are fractions of it."""
    customer_share: Ratio = str(DEFAULT_SHARE)
    services_share: Ratio = str(DEFAULT_SHARE)
    purpose_share: Ratio = str(DEFAULT_SHARE)

    def threshold(self, sensitivity: Sensitivity) -> int:
        """The least credibility for this sensitivity, in parts per million; equal passes."""
        match sensitivity:
            case Sensitivity.AGGREGATE:
                return self.least_credibility.aggregate
            case Sensitivity.MODEL:
                return self.least_credibility.model
            case Sensitivity.RECORD:
                return self.least_credibility.record
            case _:
                assert_never(sensitivity)


def policy_id(policy: Policy) -> Digest:
    """The digest that descriptors and decisions name a policy by."""
    return tagged_hash("policy", encode(policy))


def minor() -> Policy:
    """The policy of a minor's hub: never, to anybody."""
    return Policy(mode=Mode.NEVER, uses=(), kinds=())


def opening_budget(policy: Policy) -> Budget:
    """A budget of which nothing is spent yet."""
    return Budget(
        yearly=Fraction(policy.loss_per_year),
        customer_share=Fraction(policy.customer_share),
        services_share=Fraction(policy.services_share),
        purpose_share=Fraction(policy.purpose_share),
    )


# ── as a file ─────────────────────────────────────────────────────────────────────────────────────────────────────

_NUMBER = re.compile(r"[0-9]{1,40}(/[0-9]{1,40}|\.[0-9]{1,40})?")
_SECTIONS = {
    "": ("mode", "kinds", "ask_for_records", "trusted", "least_batch"),
    "least_credibility": ("aggregate", "model", "record"),
    "loss": ("order", "year"),
    "share": ("customer", "services", "purpose"),
    "use": ("permission", "diseases", "modifiers"),
}
"""The tables of a policy file and their keys; `use` is an array of tables."""


def write_policy(policy: Policy) -> str:
    """The policy as TOML; `read_policy` gives the same policy back."""
    least = policy.least_credibility
    lines = [
        f'mode = "{policy.mode.value}"  # always, ask or never',
        f"kinds = {_array(kind.value for kind in policy.kinds)}",
        f"ask_for_records = {str(policy.ask_for_records).lower()}",
        "# accounts; if there are any, one of the two services must be among them:",
        f"trusted = {_array(account.hex() for account in policy.trusted)}",
        f"least_batch = {policy.least_batch}",
        "",
        "[least_credibility]  # from 0 to 1, of both services",
        f'aggregate = "{Fraction(least.aggregate, PPM)}"',
        f'model = "{Fraction(least.model, PPM)}"',
        f'record = "{Fraction(least.record, PPM)}"',
        "",
        "[loss]  # zero-concentrated privacy loss ρ; 311/1000 is ε 4",
        f'order = "{policy.loss_per_order}"',
        f'year = "{policy.loss_per_year}"',
        "",
        "[share]  # of a year, that one can spend",
        f'customer = "{policy.customer_share}"',
        f'services = "{policy.services_share}"',
        f'purpose = "{policy.purpose_share}"',
    ]
    for use in policy.uses:
        terms = (f"{term.modifier.name}:{term.argument}".rstrip(":") for term in use.requires)
        lines += ["", "[[use]]", f'permission = "{use.permission.name}"']
        lines += [f"diseases = {_array(use.diseases)}", f"modifiers = {_array(terms)}"]
    return "\n".join(lines) + "\n"


def read_policy(text: str, name: str = "policy.toml") -> Policy:
    """Read a policy from TOML; what is left out has its default, except that without `use` nothing is permitted.

    Numbers that are not whole may be written as 0.5 or "1/2"; both are exact. Raises `BadPolicy` with file and key.
    """
    return _Reader(name).policy(text)


def _array(items: Any) -> str:
    """TOML's array of basic strings; the items are printable."""
    return "[" + ", ".join('"' + item.replace("\\", "\\\\").replace('"', '\\"') + '"' for item in items) + "]"


class _Reader:
    """Reads one file, and knows its name for complaints."""

    def __init__(self, name: str) -> None:
        self.name = name

    def fail(self, key: str, what: str) -> NoReturn:
        raise BadPolicy(f"{self.name}: {key}: {what}")

    def policy(self, text: str) -> Policy:
        try:
            document = read_toml(text, parse_float=str)
        except Malformed as error:
            raise BadPolicy(f"{self.name}: {error}") from error
        tables = {section: document.pop(section, {}) for section in _SECTIONS if section not in ("", "use")}
        uses = document.pop("use", [])
        if not isinstance(uses, list):
            self.fail("use", "is written as [[use]]")
        if len(uses) > MOST_USES:
            self.fail("use", f"{len(uses)} of them, at most {MOST_USES} are allowed")
        self.known("", document)
        for section, table in tables.items():
            self.known(section, table)
        default = Policy()
        least, loss, share = tables["least_credibility"], tables["loss"], tables["share"]
        standard = default.least_credibility
        return Policy(
            mode=self.member(Mode, "mode", document.get("mode", default.mode.value)),
            uses=tuple(self.use(f"use[{number}]", use) for number, use in enumerate(uses)),
            kinds=self.kinds(document),
            least_credibility=LeastCredibility(
                aggregate=self.credibility("least_credibility.aggregate", least.get("aggregate"), standard.aggregate),
                model=self.credibility("least_credibility.model", least.get("model"), standard.model),
                record=self.credibility("least_credibility.record", least.get("record"), standard.record),
            ),
            ask_for_records=self.of(bool, "ask_for_records", document.get("ask_for_records", default.ask_for_records)),
            trusted=self.trusted(document),
            least_batch=self.least_batch(document.get("least_batch", default.least_batch)),
            loss_per_order=str(self.number("loss.order", loss.get("order", default.loss_per_order))),
            loss_per_year=str(self.number("loss.year", loss.get("year", default.loss_per_year))),
            customer_share=str(self.share("share.customer", share.get("customer", default.customer_share))),
            services_share=str(self.share("share.services", share.get("services", default.services_share))),
            purpose_share=str(self.share("share.purpose", share.get("purpose", default.purpose_share))),
        )

    def known(self, section: str, table: Any) -> None:
        if not isinstance(table, dict):
            self.fail(section, "is a table")
        for key in table:
            if key not in _SECTIONS[section.partition("[")[0]]:
                self.fail(f"{section}.{key}".lstrip("."), "no such key")

    def of(self, kind: type, key: str, value: Any) -> Any:
        if type(value) is not kind:
            self.fail(key, f"{value!r} is not of type {kind.__name__}")
        return value

    def member(self, kind: Any, key: str, value: Any) -> Any:
        """The member of an enumeration: by its name for DUO codes, by its value for the others."""
        names = {member.name if isinstance(member.value, int) else member.value: member for member in kind}
        if not isinstance(value, str) or value not in names:
            self.fail(key, f"{value!r} is none of {', '.join(names)}")
        return names[value]

    def texts(self, key: str, value: Any) -> list[str]:
        for item in self.of(list, key, value):
            if len(self.of(str, key, item)) > 64 or not item.isprintable():
                self.fail(key, f"{item[:64]!r} is not a printable text of at most 64 characters")
        return list(value)

    def number(self, key: str, value: Any) -> Fraction:
        written = str(value)
        if isinstance(value, bool) or not _NUMBER.fullmatch(written):
            self.fail(key, f"{value!r} is not a number like 0.5 or 1/2")
        try:
            return Fraction(written)
        except ZeroDivisionError:
            self.fail(key, f"{value!r} divides by zero")

    def share(self, key: str, value: Any) -> Fraction:
        share = self.number(key, value)
        if share > 1:
            self.fail(key, f"{value} is more than 1")
        return share

    def credibility(self, key: str, value: Any, default: int) -> int:
        """Parts per million, rounded up: never less strict than written."""
        if value is None:
            return default
        return -(-self.share(key, value) * PPM // 1)

    def least_batch(self, value: Any) -> int:
        number: int = self.of(int, "least_batch", value)
        if not 1 <= number <= 10_000_000:
            self.fail("least_batch", f"{number} is not from 1 to 10,000,000")
        return number

    def kinds(self, document: dict[str, Any]) -> tuple[Kind, ...]:
        if "kinds" not in document:
            return Policy().kinds
        return tuple(sorted({self.member(Kind, "kinds", kind) for kind in self.texts("kinds", document["kinds"])}))

    def trusted(self, document: dict[str, Any]) -> tuple[AccountId, ...]:
        accounts = self.texts("trusted", document.get("trusted", []))
        for account in accounts:
            if not re.fullmatch(r"[0-9a-f]{64}", account):
                self.fail("trusted", f"{account!r} is not an account in hexadecimal")
        if len(set(accounts)) > MOST_TRUSTED:
            self.fail("trusted", f"{len(set(accounts))} accounts, at most {MOST_TRUSTED} are allowed")
        return tuple(AccountId(Digest(bytes.fromhex(account))) for account in sorted(set(accounts)))

    def use(self, key: str, table: Any) -> PermittedUse:
        self.known(key, table)
        terms = []
        for written in self.texts(f"{key}.modifiers", table.get("modifiers", [])):
            code, _, argument = written.partition(":")
            terms.append(Term(self.member(Modifier, f"{key}.modifiers", code), argument))
        diseases = self.texts(f"{key}.diseases", table.get("diseases", []))
        use = PermittedUse(
            permission=self.member(Permission, f"{key}.permission", table.get("permission")),
            diseases=tuple(sorted(set(diseases))),
            requires=tuple(sorted(set(terms))),
        )
        try:
            check_use(use)
        except BadPurpose as error:
            raise BadPolicy(f"{self.name}: {key}: {error}") from error
        return use
