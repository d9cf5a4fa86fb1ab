"""One run: from a grant to the sealed report that waits for its height.

What leaves does not depend on what the hub holds: the height was drawn before the run, every report of a task has one
size, and whatever is missing, altered, unsigned or goes wrong gives the *neutral* measurement. Why stays in the owner's
journal.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from edgehold.codecs.events import SCHEMA, join_tables
from edgehold.codecs.tables.form import schema_of
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.jws import Detached
from edgehold.errors import (
    EdgeholdError,
    LargeTable,
    NotCommitted,
    NotTheRecord,
    ProgramDiffers,
    StorageFailed,
    UnknownObject,
)
from edgehold.hub.catalog import open_leaf
from edgehold.hub.originals import whole_of
from edgehold.hub.sealed import StoredObject
from edgehold.hub.store import Store
from edgehold.hub.tables import tables_directory
from edgehold.hub.watch import SeenTask
from edgehold.ledger.state import State, find_root, get_account
from edgehold.sandbox.host import Sandbox
from edgehold.sandbox.program import Failed, Measurement, run_program
from edgehold.vdaf.prio3 import neutral
from edgehold.verify.opening import verify_opening
from edgehold.wire.codec import encode
from edgehold.wire.data import Grade, Kind
from edgehold.wire.ids import AccountId, Digest

Library: TypeAlias = Callable[[Digest], bytes | None]
"""Where a hub finds the public source of a program by its digest."""

MOST_JOINED = 1 << 21
"""Rows of several tables that are joined; of one there may be more."""
INTERRUPTED = "The hub was stopped while the program ran; it is not run again."


@dataclass(frozen=True)
class Bench:
    """What a run needs: the person's store, the sandbox, and the sources of programs."""

    store: Store
    sandbox: Sandbox
    library: Library


def measure(bench: Bench, state: State, account: AccountId, seen: SeenTask) -> tuple[Measurement, str]:
    """The measurement for a task, and in words for the owner why it is the neutral one, if it is for a reason."""
    configuration, panel = seen.configuration, seen.configuration.panels[seen.panel]
    try:
        source = bench.library(seen.program.source)
        if source is None:
            raise ProgramDiffers(f"the source of program {configuration.program.hex()} could not be had")
        datasets = find_together(bench.store, find_dataset(bench.store, seen.program.schema, seen.program.kinds))
        issuer = panel.issuer if panel.grade is Grade.SIGNED else None
        for dataset in datasets:
            check_dataset(bench.store, state, account, dataset, issuer)
        with tables_directory(join_tables(read_together(bench.store, datasets))) as tables:
            outcome = run_program(bench.sandbox, source, seen.program, tables)
    except StorageFailed:  # nothing ran: the same again when there is room
        raise
    except EdgeholdError as error:
        return neutral(configuration.measurement), f"{error.code} {error}"
    if isinstance(outcome, Failed):
        return neutral(configuration.measurement), f"{outcome.reason.code} {outcome.reason}"
    return outcome.measurement, ""


def find_dataset(store: Store, schema: str, kinds: Collection[Kind]) -> StoredObject:
    """The hub's dataset of a schema and of one of these kinds, the one that reaches furthest if there are several; raises
    `UnknownObject`. Events come from records, laboratories and wearables: a program says which it is for."""
    held = (one for one in store.objects() if not one.descriptor.tombstone)
    found = [one for one in held if one.descriptor.schema == schema and one.descriptor.kind in kinds]
    if not found:
        raise UnknownObject(f"this hub holds no dataset of schema {schema} and kind {', '.join(sorted(kinds))}")
    return max(found, key=lambda one: (one.descriptor.last_year or 0, one.received, one.id))


def find_together(store: Store, dataset: StoredObject) -> list[StoredObject]:
    """A dataset with those of its schema that came with it, as the files of one export or the records of one file do:
    a program sees them all. They are known by their names, which say the folder or the file and line; of versions of one
    name only the newest counts."""
    whole = whole_of(dataset.name)
    if whole is None or dataset.descriptor.schema != SCHEMA:
        return [dataset]
    held = [one for one in store.objects() if one.descriptor.schema == SCHEMA and whole_of(one.name) == whole]
    followed = {(one.after, one.name) for one in held}
    return [one for one in held if (one.id, one.name) not in followed]


def read_together(store: Store, datasets: Sequence[StoredObject]) -> list[dict[str, bytes]]:
    """The tables that a program sees as one; raises `LargeTable` if they are too large to be joined."""
    tables = [store.table(one.id) for one in datasets]
    rows = sum(schema_of(one)["rows"] for one in tables)
    if len(tables) > 1 and rows > MOST_JOINED:
        raise LargeTable(f"{len(tables)} tables of {rows} rows together, more than {MOST_JOINED}")
    return tables


def check_dataset(
    store: Store, state: State, account: AccountId, dataset: StoredObject, issuer: AccountId | None
) -> None:
    """Check that a dataset is what stands on the ledger and, for a panel of grade *signed*, what the issuer signed.

    1. Every stored byte is the one that was stored (`AlteredBlob`).
    2. The leaf, made of what the store says of commitment and signature, stands under the hub's live root
       (`NotCommitted`, `BadProof`).
    3. The stored bytes give the original that was committed to (`AlteredBlob`), and the panel's issuer signed it
       (`NotTheRecord`, `BadSignature`). The same bytes, signature and key are decoded once while the store is open.
    """
    # 1
    stored = store.check_stored(dataset.id)
    # 2
    root = find_root(state, account)
    if root is None:
        raise NotCommitted(f"account {account.hex()} has no root on the ledger")
    token = store.get_signature(dataset.id)
    verify_opening(root.root, open_leaf(store, dataset.id, root.root))
    # 3
    key = None if issuer is None else get_account(state, issuer).key
    found = tagged_hash("checked", encode((stored, token, issuer, key)))
    if found not in store.checked:
        if issuer is None:
            store.verify_original(dataset.id)
        else:
            check_signature(state, store.read_original(dataset.id), token, issuer)
        store.checked.add(found)


def check_signature(state: State, original: Iterable[bytes], token: bytes | None, issuer: AccountId) -> None:
    """Check that this issuer's account signed a record, whose bytes come in pieces; raises `NotTheRecord`, `BadSignature`."""
    if token is None:
        raise NotTheRecord("the record came without an issuer's signature")
    key = get_account(state, issuer).key
    signed = Detached(token, lambda _: key)
    for piece in original:
        signed.update(piece)
    signer = signed.finish()
    if signer != issuer:
        raise NotTheRecord(f"the record was signed by {signer.hex()}, the panel is issuer {issuer.hex()}'s")
