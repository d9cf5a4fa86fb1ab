"""Parameters: the numbers that the other rules read, changed by the governor alone."""

from __future__ import annotations

from edgehold.errors import BadParameters, NotGovernor
from edgehold.ledger.state import Changes, State
from edgehold.wire.governance import Parameters, SetParameters
from edgehold.wire.ids import AccountId


def set_parameters(state: State, sender: AccountId, tx: SetParameters) -> Changes:
    """New numbers, in force for every later transaction; what an order or a task fixed stays as it is."""
    if sender != state.network.governor:
        raise NotGovernor(f"{sender.hex()} is not the governor of this network")
    require_consistent(tx.parameters)
    return Changes(parameters={(): tx.parameters})


def require_consistent(parameters: Parameters) -> None:
    """Raises `BadParameters` if no panel could ever be closed."""
    if parameters.least_panel > parameters.most_panel:
        raise BadParameters(f"the least panel, {parameters.least_panel}, is above the most, {parameters.most_panel}")
