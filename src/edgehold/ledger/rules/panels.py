"""Panels: declared by an issuer before anybody enrols, closed with the number of persons who did."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from msgspec.structs import replace

from edgehold.crypto.names import panel_id
from edgehold.errors import NotIssuer, NotSorted, PanelClosed, PanelExists, PanelSizeOutOfRange
from edgehold.ledger.state import Changes, State, find_panel, get_panel, require_claim
from edgehold.wire.account import Claim
from edgehold.wire.ids import AccountId
from edgehold.wire.panel import ClosePanel, DeclarePanel, Panel


def declare_panel(state: State, sender: AccountId, tx: DeclarePanel) -> Changes:
    """An issuer declares a panel: what its persons' data are and under which keys their slots are signed."""
    require_claim(state, sender, Claim.ISSUER)
    require_sorted("kinds", [kind.value for kind in tx.kinds])
    require_sorted("schemas", tx.schemas)
    panel = panel_id(sender, tx)
    if find_panel(state, panel) is not None:
        raise PanelExists(f"panel {panel.hex()} is there already")
    declared = Panel(
        issuer=sender,
        descriptor=tx,
        declared_at=state.height,
        enrolled=None,
        closed_at=None,
        next_slot=0,
    )
    return Changes(panels={panel: declared}, made=panel)


def close_panel(state: State, sender: AccountId, tx: ClosePanel) -> Changes:
    """The issuer ends the enrolment; from now on orders may name the panel."""
    panel = get_panel(state, tx.panel)
    if panel.issuer != sender:
        raise NotIssuer(f"panel {tx.panel.hex()} belongs to {panel.issuer.hex()}")
    if panel.closed_at is not None:
        raise PanelClosed(f"panel {tx.panel.hex()} closed at height {panel.closed_at} with {panel.enrolled} persons")
    least, most = state.parameters.least_panel, state.parameters.most_panel
    if not least <= tx.enrolled <= most:
        raise PanelSizeOutOfRange(f"{tx.enrolled} persons; a panel has {least} to {most}")
    return Changes(panels={tx.panel: replace(panel, enrolled=tx.enrolled, closed_at=state.height)})


def require_sorted(name: str, items: Sequence[str] | Sequence[bytes]) -> None:
    """Raises `NotSorted` unless the items ascend, each once."""
    if any(not one < following for one, following in pairwise(items)):  # type: ignore[operator]
        raise NotSorted(f"{name} do not ascend, or name something twice")
