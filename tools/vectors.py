"""Writes what the ledger's types and rules imply: docs/entries.md, docs/entries.cddl and the vectors of every rule.

    make vectors

Everything follows from `edgehold.wire` and the cases in tests/ledger; a test compares the files with what this
would write.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import json
import sys
import types
import typing
from collections.abc import Iterable, Iterator
from enum import Enum, IntEnum
from pathlib import Path
from typing import Any

from msgspec import Meta, Struct

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "ledger"))

from edgehold.errors import Malformed, WrongNetwork, all_errors  # noqa: E402
from edgehold.ledger.state import ENTRY_TYPES, State  # noqa: E402
from edgehold.ledger.transition import execute, open_envelope  # noqa: E402
from edgehold.ledger.words import describe_entry, describe_envelope, show  # noqa: E402
from edgehold.wire.codec import encode  # noqa: E402
from edgehold.wire.entry import Collection  # noqa: E402
from edgehold.wire.governance import Genesis  # noqa: E402
from edgehold.wire.tx import MAX_TRANSACTION, RESERVED_TAGS, SLOT_SIGNED, Body, Envelope, Receipt, tag_of  # noqa: E402

rule_cases = importlib.import_module("rule_cases")
small_world = importlib.import_module("small_world")

BODIES: tuple[type[Struct], ...] = typing.get_args(Body)
LONGEST_EXAMPLE = 96
"""Bytes of an example that the document shows; the vectors have them whole."""

KEYS = {
    Collection.ACCOUNT: "account",
    Collection.ATTESTATION: "subject ‖ attestor ‖ claim (text)",
    Collection.STANDING: "service",
    Collection.COUNTED: "service ‖ customer ‖ period (8 bytes, big-endian)",
    Collection.PANEL: "panel",
    Collection.ROOT: "hub",
    Collection.PROGRAM: "program",
    Collection.REVIEW: "program ‖ reviewer",
    Collection.ORDER: "order",
    Collection.TASK: "task",
    Collection.REVOCATION: "task ‖ slot key",
    Collection.CONFIGURATION: "task",
    Collection.EVIDENCE: "evidence",
    Collection.PARAMETERS: "nothing",
    Collection.AGGREGATORS: "nothing",
    Collection.SEATS: "nothing",
    Collection.OFFICES: "nothing",
    Collection.RULES: "nothing",
    Collection.PROPOSAL: "proposal",
    Collection.AGENDA: "nothing",
}


# ── types ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def fields_of(kind: type[Struct]) -> dict[str, Any]:
    """Each field with its type, limits included."""
    hints = typing.get_type_hints(kind, include_extras=True)
    return {name: hints[name] for name in kind.__struct_fields__}


def tag_in(kind: type[Struct]) -> int | None:
    """The number that a type begins with on the wire, if it has one."""
    return typing.cast("int | None", kind.__struct_config__.tag)


def bare(hint: Any) -> tuple[Any, dict[str, int]]:
    """A type without its limits, and the limits."""
    limits: dict[str, int] = {}
    while True:
        if isinstance(hint, typing.NewType):
            hint = hint.__supertype__
        elif typing.get_origin(hint) is typing.Annotated:
            hint, *notes = typing.get_args(hint)
            for note in notes:
                if isinstance(note, Meta):
                    names = ("ge", "le", "gt", "lt", "min_length", "max_length")
                    found = {name: getattr(note, name) for name in names}
                    limits = {name: value for name, value in found.items() if value is not None} | limits
        else:
            return hint, limits


def is_struct(hint: Any) -> bool:
    """Whether a type is a message of its own."""
    return isinstance(hint, type) and issubclass(hint, Struct)


def options(hint: Any) -> tuple[Any, ...] | None:
    """The members of a union, or none if the type is no union."""
    return typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else None


def range_of(limits: dict[str, int]) -> tuple[int, int | None]:
    """The least and the largest integer."""
    least = limits.get("ge", limits.get("gt", -1) + 1)
    most = limits.get("le", limits["lt"] - 1 if "lt" in limits else None)
    return least, most


def structs_within(roots: Iterable[Any]) -> list[type[Struct]]:
    """The types themselves and all that their fields are made of, each once, in the order of their first use."""
    found: dict[type[Struct], None] = {}

    def visit(hint: Any) -> None:
        members = options(hint)
        kind, _ = bare(hint)
        if members is not None:
            for member in members:
                visit(member)
        elif typing.get_origin(kind) is tuple:
            visit(typing.get_args(kind)[0])
        elif is_struct(kind) and kind not in found:
            found[kind] = None
            for inner in fields_of(kind).values():
                visit(inner)

    for root in roots:
        visit(root)
    return list(found)


# ── CDDL (RFC 8610) ───────────────────────────────────────────────────────────────────────────────────────────────


class Cddl:
    """A specification in the making: each named type becomes a rule when it is first used."""

    def __init__(self) -> None:
        self.rules: dict[str, str] = {}

    def name(self, hint: Any) -> str:
        """A type as it is written where it is used."""
        if isinstance(hint, typing.NewType):
            self.rules.setdefault(hint.__name__, self.name(hint.__supertype__))
            return hint.__name__
        kind, limits = bare(hint)
        if kind is bool:
            return "bool"
        if kind is int:
            least, most = range_of(limits)
            return f"{least}..{most}" if most is not None else f"uint .ge {least}"
        if kind is bytes:
            least, most = limits.get("min_length", 0), limits["max_length"]
            return f"bytes .size {most}" if least == most else f"bytes .size ({least}..{most})"
        if kind is str:
            return f"text .size (0..{4 * limits['max_length']})"
        if typing.get_origin(kind) is tuple:
            item = self.name(typing.get_args(kind)[0])
            return f"[{limits.get('min_length', 0)}*{limits.get('max_length', '')} {item}]"
        name = str(kind.__name__)
        if name not in self.rules:
            self.rules[name] = ""  # keeps its place before what it is made of
            self.rules[name] = self.struct(kind) if issubclass(kind, Struct) else self.choice(kind)
        return name

    def choice(self, kind: type[Enum]) -> str:
        """An enumeration; texts as an expression, which validators treat alike wherever it stands."""
        values = [str(member.value) for member in kind]
        return " / ".join(values) if issubclass(kind, IntEnum) else f'text .regexp "{"|".join(values)}"'

    def struct(self, kind: type[Struct]) -> str:
        """A message as the array that it is on the wire."""
        tag = tag_in(kind)
        fields = [f"  {name}: {self.field(kind, name, hint)}," for name, hint in fields_of(kind).items()]
        return "\n".join(["[", *([f"  {tag},"] if tag is not None else []), *fields, "]"])

    def field(self, kind: type[Struct], name: str, hint: Any) -> str:
        """A field; one that may be missing, or has several forms, is a rule of its own."""
        members = options(hint)
        if members is None:
            return self.name(hint)
        rule = "Body" if set(members) == set(BODIES) else f"{kind.__name__}-{name}"
        self.rules[rule] = ""
        forms = [self.name(member) for member in members if member is not type(None)]
        self.rules[rule] = " / ".join(["null", *forms] if type(None) in members else forms)
        return rule


def make_cddl() -> str:
    """All the ledger's messages."""
    cddl = Cddl()
    sent = [cddl.name(kind) for kind in (Envelope, Receipt, Genesis)]
    kept = []
    for collection, kind in ENTRY_TYPES.items():
        rule = f"{collection.name.capitalize()}Entry"
        cddl.rules[rule] = cddl.name(kind)
        kept.append(rule)
    head = [
        "; Every message the ledger reads or keeps (RFC 8610). Written by tools/vectors.py from src/edgehold/wire.",
        "; Encoding: deterministic CBOR (RFC 8949, section 4.2). Text limits count characters; here, bytes of UTF-8.",
        "",
        f"Ledger = Transaction / {' / '.join([*sent, *kept])}",
        "",
        "Transaction = #6.18([",
        "  protected: bytes .size 3, ; the encoding of {1: -8}",
        "  unprotected: {},",
        "  payload: bytes, ; the encoding of an Envelope",
        "  signature: Signature,",
        "])",
    ]
    return "\n".join(head) + "\n\n" + "\n\n".join(f"{name} = {rule}" for name, rule in cddl.rules.items()) + "\n"


# ── the document ──────────────────────────────────────────────────────────────────────────────────────────────────


def word_type(hint: Any) -> str:
    """A type in words for the document."""
    members = options(hint)
    if members is not None:
        return "a body" if set(members) == set(BODIES) else " or ".join(word_type(member) for member in members)
    kind, limits = bare(hint)
    name = f" ({hint.__name__})" if isinstance(hint, typing.NewType) else ""
    if kind is type(None):
        return "none"
    if kind is bool:
        return "true or false"
    if kind is int:
        least, most = range_of(limits)
        return f"{least} … {word_number(most)}" if most is not None else f"{least} or more"
    if kind is bytes:
        least, most = limits.get("min_length", 0), limits["max_length"]
        return f"{most} bytes{name}" if least == most else f"{least} … {most} bytes{name}"
    if kind is str:
        return f"text, at most {limits['max_length']} characters"
    if typing.get_origin(kind) is tuple:
        least, most = limits.get("min_length", 0), limits.get("max_length")
        count = f"{least} … {most}" if most is not None else f"{least} or more"
        return f"list of {count}: {word_type(typing.get_args(kind)[0])}"
    if issubclass(kind, IntEnum):
        return ", ".join(f"{member.value} {member.name}" for member in kind)
    if issubclass(kind, Enum):
        return ", ".join(f"`{member.value}`" for member in kind)
    return f"[{kind.__name__}](#{kind.__name__.lower()})"


def word_number(number: int) -> str:
    """Large powers of two by their exponent."""
    for value, suffix in ((number, ""), (number + 1, " − 1")):
        if value >= 1 << 16 and value & (value - 1) == 0:
            return f"2^{value.bit_length() - 1}{suffix}"
    return str(number)


def comments_of(kind: type[Struct]) -> dict[str, str]:
    """What the source says of each field: the comment on its line, or the text below it."""
    source = inspect.getsource(kind)
    lines, (tree,) = source.splitlines(), ast.parse(source).body
    said: dict[str, str] = {}
    name = ""
    for node in typing.cast(ast.ClassDef, tree).body:
        match node:
            case ast.AnnAssign(target=ast.Name(id=field)):
                name = field
                _, _, comment = lines[node.lineno - 1].partition("  # ")
                said[name] = comment
            case ast.Expr(value=ast.Constant(value=str(text))) if name:
                said[name] = " ".join(text.split())
    return said


def describe_type(kind: type[Struct], example: bytes | None) -> Iterator[str]:
    """One section of the document."""
    tag = tag_in(kind)
    yield f"### {kind.__name__}"
    yield ""
    yield inspect.getdoc(kind) or ""
    yield ""
    if tag is not None:
        yield f"Tag {tag}."
        yield ""
    said = comments_of(kind)
    yield "| field | type | |"
    yield "| --- | --- | --- |"
    for name, hint in fields_of(kind).items():
        yield f"| `{name}` | {word_type(hint)} | {said[name].replace('|', chr(92) + '|')} |"
    yield ""
    if example is not None:
        cut = f"… ({len(example)} bytes)" if len(example) > LONGEST_EXAMPLE else ""
        yield f"Example: `{example[:LONGEST_EXAMPLE].hex()}{cut}`"
        yield ""


def make_document(examples: list[dict[str, Any]]) -> str:
    """docs/entries.md"""
    by_type = {example["type"]: bytes.fromhex(example["bytes"]) for example in examples}
    entries: list[type[Struct]] = [kind for kind in ENTRY_TYPES.values() if is_struct(kind)]
    named = {Envelope, Receipt, Genesis, *BODIES, *entries}
    parts = [kind for kind in structs_within([Envelope, Receipt, Genesis, *entries]) if kind not in named]
    lines = [
        "# What the ledger reads and keeps",
        "",
        "Written by `make vectors` from the types in `src/edgehold/wire`; `entries.cddl` says the same in CDDL, and",
        "the whole examples are in `tests/vectors/rules/entries.json`. Every message is a positional array in",
        "deterministic CBOR (RFC 8949, section 4.2); a transaction's body begins with its tag. What the writer would",
        "not have written is `Malformed`. The rules themselves are in [protocol.md](protocol.md).",
        "",
        "## Names",
        "",
        "`H(tag, data)` is SHA-256 over `edgehold:` ‖ tag ‖ 0x00 ‖ data.",
        "",
        "| name | is |",
        "| --- | --- |",
        "| network | H(`genesis`, genesis document) |",
        "| account | H(`account`, [role, key]) |",
        "| panel | H(`panel`, [issuer, DeclarePanel]) |",
        "| program | H(`program`, PublishProgram) |",
        "| order | H(`order`, [customer, PlaceOrder]) |",
        "| task | H(`task`, TaskConfiguration) |",
        "| proposal | H(`proposal`, [proposer, Propose]) |",
        "| evidence | H(`evidence`, [accused, task, tag, slot key or nothing]) |",
        "| envelope | H(`envelope`, Envelope): by this a transaction is remembered until it expires |",
        "",
        "What is signed outside an envelope, always as the 32 bytes of the hash:",
        "",
        "| signature | over |",
        "| --- | --- |",
        "| `OpenAccount.possession` | H(`open-account`, network ‖ sponsor ‖ key) |",
        "| both signatures of a candidate, `RotateKey.possession` | H(`validator-key`, network ‖ operator ‖ key) |",
        "| both signatures of a batch | H(`batch-statement`, BatchStatement) |",
        "| an upload receipt | H(`upload-receipt`, UploadReceipt) |",
        "| a permit | H(`permit`, Permit) |",
        "",
        "A sealed share is HPKE with info `edgehold share` ‖ 0x00 (leader) or 0x01 (helper) and aad",
        "[task, H(`batch-statement`, BatchStatement)]. The private key in a dispute is the seed from which the order's",
        "key pair is derived (RFC 9180, section 7.1.3).",
        "",
        "## Entries",
        "",
        "The flat key of an entry is the collection's number in one byte and then:",
        "",
        "| number | collection | key | value |",
        "| --- | --- | --- | --- |",
    ]
    lines += [
        f"| {collection.value} | {collection.name.lower()} | {KEYS[collection]} | {word_type(kind)} |"
        for collection, kind in ENTRY_TYPES.items()
    ]
    lines += ["", "## Reserved", "", "Later rules will use these tags; today they are `Malformed`.", ""]
    lines += [
        "| tag | for |",
        "| --- | --- |",
        *(f"| {tag} | {use} |" for tag, use in sorted(RESERVED_TAGS.items())),
        "",
    ]
    lines += [
        "## Transactions",
        "",
        f"At most {MAX_TRANSACTION} bytes: COSE_Sign1 (RFC 9052) with Ed25519, protected header `a10127`, no",
        "unprotected header, the network as external data, an `Envelope` as payload. The sender is an account and",
        f"signs with its key; of {', '.join(kind.__name__ for kind in SLOT_SIGNED)} it is a slot key and signs itself.",
        "",
    ]
    sent: list[type[Struct]] = [Envelope, *BODIES, Receipt]
    kept: list[type[Struct]] = [*entries, Genesis]
    for title, kinds in (("", sent), ("## What entries hold", kept), ("## Parts", parts)):
        lines += [title, ""] if title else []
        for kind in kinds:
            lines += describe_type(kind, by_type.get(kind.__name__))
    return "\n".join(lines).rstrip() + "\n"


# ── vectors ───────────────────────────────────────────────────────────────────────────────────────────────────────


def vector_of(case: Any) -> dict[str, Any]:
    """One case: what the rule read, what was sent, what it answered."""
    reads: dict[bytes, bytes | None] = {}
    headers: dict[int, bytes | None] = {}
    whole = case.world.state

    def read(key: bytes) -> bytes | None:
        reads[key] = whole.read(key)
        return reads[key]

    def header_hash(height: int) -> Any:
        headers[height] = whole.header_hash(height)
        return headers[height]

    receipt, writes = execute(State(read, whole.height, header_hash, whole.network), case.tx)
    body = case.tx.rstrip(b"\x00") if len(case.tx) > MAX_TRANSACTION else case.tx
    vector: dict[str, Any] = {"says": case.says, "height": whole.height}
    if whole.network != small_world.World().state.network:
        vector |= {"network": whole.network.id.hex(), "voting": show(whole.network.voting)}
    try:
        vector["asks"] = describe_envelope(open_envelope(case.tx, whole.network.id).envelope)
    except Malformed:
        vector["asks"] = "nothing that can be read"
    except WrongNetwork as error:
        vector["asks"] = str(error)
    vector["state"] = [entry_of(key, value) for key, value in sorted(reads.items())]
    if headers:
        vector["headers"] = {str(height): digest and digest.hex() for height, digest in sorted(headers.items())}
    vector["tx"] = body.hex()
    if body != case.tx:
        vector["then_zero_bytes"] = len(case.tx) - len(body)
    if receipt.number:
        names = {error.number: error.__name__ for error in all_errors()}
        vector["refused"] = {"code": receipt.number, "error": names[receipt.number], "facts": receipt.facts}
    else:
        vector["made"] = receipt.made and receipt.made.hex()
        vector["changes"] = [entry_of(key, value) for key, value in writes.items()]
    return vector


def entry_of(key: bytes, value: bytes | None) -> dict[str, Any]:
    """An entry in words and in bytes."""
    if value is None:
        return {"entry": f"no {Collection(key[0]).name.lower()}", "key": key.hex(), "value": None}
    return {"entry": describe_entry(key, value), "key": key.hex(), "value": value.hex()}


def make_rule_vectors() -> dict[str, dict[str, Any]]:
    """The vectors of each rule, by its name."""
    network = small_world.World().state.network
    fixed = {
        "network": network.id.hex(),
        "voting": show(network.voting),
    }
    return {
        rule.__name__: {
            "rule": rule.__name__,
            **fixed,
            "cases": [vector_of(case) for case in rule_cases.cases_of(rule)],
        }
        for rule in rule_cases.RULES
    }


def make_examples() -> list[dict[str, Any]]:
    """One example of each message: the first that the cases make."""
    found: dict[str, Any] = {"Genesis": small_world.GENESIS}
    collected: dict[Collection, tuple[bytes, bytes]] = {}
    for case in rule_cases.all_cases():
        if case.error is not None:
            continue
        receipt, writes = execute(case.world.state, case.tx)
        envelope = open_envelope(case.tx, case.world.state.network.id).envelope
        for message in (envelope, envelope.body, receipt):
            found.setdefault(type(message).__name__, message)
        for key, value in writes.items():
            if value is not None:
                collected.setdefault(Collection(key[0]), (key, value))
    order = ["Envelope", *(kind.__name__ for kind in BODIES), "Receipt", "Genesis"]
    examples = [example_of(name, encode(found[name]), show(found[name]), found[name]) for name in order]
    for collection, (key, value) in sorted(collected.items()):
        kind = ENTRY_TYPES[collection]
        name = kind.__name__ if is_struct(kind) else f"{collection.name.capitalize()}Entry"
        examples.append({"type": name, "collection": collection.name, "key": key.hex(), **entry_example(key, value)})
    return examples


def example_of(name: str, data: bytes, shown: object, message: Any) -> dict[str, Any]:
    """A message that is sent."""
    tag = {"tag": tag_of(message)} if type(message) in BODIES else {}
    return {"type": name, **tag, "bytes": data.hex(), "shown": shown}


def entry_example(key: bytes, value: bytes) -> dict[str, Any]:
    """A message that is kept."""
    return {"bytes": value.hex(), "words": describe_entry(key, value)}


def make_files() -> dict[str, str]:
    """Every file by its path in the repository."""
    examples = make_examples()
    files = {"docs/entries.md": make_document(examples), "docs/entries.cddl": make_cddl()}
    files["tests/vectors/rules/entries.json"] = as_json(examples)
    for rule, vectors in make_rule_vectors().items():
        files[f"tests/vectors/rules/{rule}.json"] = as_json(vectors)
    return files


def as_json(content: object) -> str:
    """JSON as people review it."""
    return json.dumps(content, indent=1, ensure_ascii=False) + "\n"


def main() -> None:
    """Write all files; what did not change stays as it is."""
    for path, text in make_files().items():
        file = ROOT / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if not file.exists() or file.read_text() != text:
            file.write_text(text)
            print(path)


if __name__ == "__main__":
    main()
