"""What a hub holds, by object and by kind: what it was, what is kept of it, and from whom it is."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any, Final

from edgehold.cli.network import (
    Names,
    state_of,
    when,
)
from edgehold.cli.output import table
from edgehold.codecs.choice import base_bytes, codec_title
from edgehold.crypto.jws import signer_of
from edgehold.demo.keeping import WorldLedger
from edgehold.errors import (
    NotCommitted,
)
from edgehold.hub.catalog import open_leaf
from edgehold.hub.hub import Hub
from edgehold.hub.sealed import StoredObject
from edgehold.ledger.state import find_root, get_panel
from edgehold.wire.ids import Digest

NAME_WIDTH: Final = 20


def holdings(own: Hub, names: Names) -> dict[str, Any]:
    """Everything a hub keeps, as JSON values. `base_bytes` are those of public bases, the same for everybody;
    `total_bytes` all that the store takes on the disk, its index and free room too."""
    objects = own.store.objects()
    bases = {base for one in objects for base in one.bases}
    return {
        "objects": [object_facts(own, names, one) for one in objects],
        "base_bytes": sum(base_bytes(base) for base in bases),
        "total_bytes": own.store.size(),
    }


def object_facts(own: Hub, names: Names, one: StoredObject) -> dict[str, Any]:
    """One object as JSON values. What programs see of it is derived, and not in `stored_bytes`; padding is part of
    `overhead_bytes`."""
    about = one.descriptor
    signature = None if about.tombstone else own.store.get_signature(one.id)
    return {
        "id": one.id.hex(),
        "name": one.name,
        "kind": about.kind.value,
        "schema": about.schema,
        "years": [about.first_year, about.last_year],
        "original_bytes": one.received,
        "stored_bytes": one.encoded,
        "overhead_bytes": one.kept - one.encoded,
        "padding_bytes": one.padding,
        "derived_bytes": one.cached,
        "follows": None if one.after is None else one.after.hex(),
        "codec": None if about.tombstone else codec_title(about.codec),
        "lossy": about.lossy,
        "source": None if signature is None else names.title(signer_of(signature)),
        "erased": about.tombstone,
    }


def holding_lines(objects: Sequence[dict[str, Any]], base: int) -> list[str]:
    """Every object, and of several of a kind their sum, for people."""
    rows = [
        [
            one["id"][:8],
            "erased" if one["erased"] else one["kind"],
            _years([one]),
            f"{one['original_bytes']:,}",
            f"{one['stored_bytes'] + one['overhead_bytes']:,}",
            _codec(one),
            one["source"] or "you",
            one["name"] if len(one["name"]) <= NAME_WIDTH else one["name"][: NAME_WIDTH - 1] + "…",
        ]
        for one in objects
    ]
    lines = table(rows, ["dataset", "kind", "years", "bytes before", "after", "codec", "from", "name"])
    held = sorted((one for one in objects if not one["erased"]), key=lambda one: str(one["kind"]))
    for kind, those in ((kind, list(those)) for kind, those in groupby(held, key=lambda one: str(one["kind"]))):
        if len(those) > 1:
            before = sum(one["original_bytes"] for one in those)
            after = sum(one["stored_bytes"] + one["overhead_bytes"] for one in those)
            lines.append(f"{len(those)} of kind {kind}, {_years(those)}: {before:,} bytes before, {after:,} after")
    if any(one["lossy"] for one in held):
        lines.append("lossy: kept in steps and not exactly; the file that was imported cannot come back")
    if base:
        lines.append(f"with public bases of {base:,} bytes, the same for everybody")
    return lines


def _codec(one: dict[str, Any]) -> str:
    """The codec, what was lost before, and of a version the one it is the difference from."""
    lossy = f", lossy {one['lossy']}" if one["lossy"] else ""
    follows = f" after {one['follows'][:8]}" if one["follows"] else ""
    return f"{one['codec'] or ''}{follows}{lossy}"


def _years(objects: Sequence[dict[str, Any]]) -> str:
    years = [year for one in objects for year in one["years"] if year is not None]
    return f"{min(years)}–{max(years)}" if years else "–"


def root_facts(own: Hub, ledger: WorldLedger) -> dict[str, Any]:
    """The hub's root on the ledger, and whether all datasets stand under it."""
    state = state_of(ledger)
    root = find_root(state, own.account)
    interval = state.parameters.root_interval
    return {
        "root": None if root is None else root.root.hex(),
        "at": None if root is None else root.at,
        "next_at": ledger.height() if root is None else (root.at // interval + 1) * interval,
        "complete": root is not None and all(is_under(own, one, root.root) for one in own.store.objects()),
    }


def is_under(own: Hub, one: StoredObject, root: Digest) -> bool:
    """Whether a dataset, as it is now, stands under a root."""
    try:
        open_leaf(own.store, one.id, root)
    except NotCommitted:
        return False
    return True


def root_lines(facts: dict[str, Any], ledger: WorldLedger) -> list[str]:
    """The root, for people."""
    if facts["root"] is None:
        return ["  root      none on the ledger yet (`edgehold hub commit`)"]
    complete = "all you hold is under it" if facts["complete"] else "what changed since is not under it yet"
    return [
        f"  root      {facts['root'][:16]}… at height {facts['at']} ({when(ledger, facts['at'])}): {complete}",
        f"            the next is due at height {facts['next_at']} ({when(ledger, facts['next_at'])})",
    ]


def show_lines(facts: dict[str, Any], own: Hub, ledger: WorldLedger, names: Names) -> list[str]:
    """A hub, for people."""
    sponsor = f", opened by {facts['sponsor']}" if facts["sponsor"] else ", not on the ledger yet"
    lines = [f"hub in {facts['hub']}", f"  account   {facts['account'][:16]}…{sponsor}"]
    lines += root_lines(facts["root"], ledger)
    lines.append(f"  policy    {facts['policy']}{' (the hub of a minor)' if facts['minor'] else ''}")
    state = state_of(ledger)
    for panel in own.panels():
        entry = get_panel(state, panel)
        scheme, period = entry.descriptor.scheme, entry.descriptor.period
        lines.append(f"  panel     {panel.hex()[:16]}… {scheme}, period {period}, of {names.title(entry.issuer)}")
    if not facts["objects"]:
        return [*lines, "", "  no datasets yet (`edgehold hub import FILE`)"]
    return [*lines, "", *(f"  {line}" for line in holding_lines(facts["objects"], facts["base_bytes"]))]
