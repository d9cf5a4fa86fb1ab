"""Hub roots: every hub posts its one opaque root on the same schedule, changed or not."""

from __future__ import annotations

from edgehold.errors import RootTooSoon, WrongRole
from edgehold.ledger.state import Changes, State, find_root, get_account
from edgehold.wire.account import Role
from edgehold.wire.ids import AccountId
from edgehold.wire.root import CommitRoot, HubRoot


def commit_root(state: State, sender: AccountId, tx: CommitRoot) -> Changes:
    """A hub's root for this interval takes the place of its last one."""
    if get_account(state, sender).role is not Role.HUB:
        raise WrongRole(f"{sender.hex()} is no hub")
    last = find_root(state, sender)
    interval = state.parameters.root_interval
    if last is not None and last.at // interval == state.height // interval:
        raise RootTooSoon(f"{sender.hex()} posted its root at height {last.at}; the interval has {interval} heights")
    posted = last.posted + 1 if last is not None else 1
    return Changes(roots={sender: HubRoot(root=tx.root, at=state.height, posted=posted)})
