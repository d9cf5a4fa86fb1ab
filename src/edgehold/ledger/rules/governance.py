"""Parameters: the numbers that the other rules read, changed by the governor alone."""

from __future__ import annotations

from edgehold.errors import BadParameters, NotGovernor
from edgehold.ledger.state import Changes, State
from edgehold.wire.governance import Parameters, SetParameters
from edgehold.wire.ids import AccountId

LARGEST_PANEL = 10_000_000
"""Persons; an order's least batch goes no further either."""


def set_parameters(state: State, sender: AccountId, tx: SetParameters) -> Changes:
    """New numbers, in force for every later transaction; what an order or a task fixed stays as it is."""
    if sender != state.network.governor:
        raise NotGovernor(f"{sender.hex()} is not the governor of this network")
    require_consistent(tx.parameters)
    return Changes(parameters={(): tx.parameters})


def require_consistent(parameters: Parameters) -> None:
    """Raises `BadParameters` if no panel could ever be closed, or one so large that sums of panels overflow."""
    if not parameters.least_panel <= parameters.most_panel <= LARGEST_PANEL:
        least, most = parameters.least_panel, parameters.most_panel
        raise BadParameters(f"panels of {least} to {most} persons; the largest has {LARGEST_PANEL}")
