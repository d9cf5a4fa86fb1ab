"""Programs and what attested organisations say about them."""

from __future__ import annotations

from typing import assert_never

from msgspec.structs import replace

from edgehold.crypto.names import program_id
from edgehold.errors import MeasurementUnfit, NotAttested, ProgramExists, SelfDealing
from edgehold.ledger.rules.panels import require_sorted
from edgehold.ledger.state import (
    Changes,
    State,
    find_program,
    find_review,
    get_organisation,
    get_program,
    live_attestations,
)
from edgehold.ledger.words import describe
from edgehold.wire.ids import AccountId
from edgehold.wire.program import (
    MeasurementKind,
    MeasurementType,
    Program,
    PublishProgram,
    Review,
    ReviewProgram,
)

MOST_BITS = 1 << 18
"""Bits of a measurement that is sharded bit by bit: 4 MiB a report, which travels in one message. Beyond it no hub
could answer, and every hub that said yes would be stuck with it."""


def publish_program(state: State, sender: AccountId, tx: PublishProgram) -> Changes:
    """An organisation publishes a program; the id does not depend on who does."""
    get_organisation(state, sender)
    require_sorted("kinds", [kind.value for kind in tx.kinds])
    require_sorted("capabilities", [capability.value for capability in tx.capabilities])
    if not is_well_bounded(tx.measurement):
        raise MeasurementUnfit(f"this is none: {describe(tx.measurement)}")
    program = program_id(tx)
    if find_program(state, program) is not None:
        raise ProgramExists(f"program {program.hex()} is there already")
    published = Program(publisher=sender, descriptor=tx, published_at=state.height, approvals=0, objections=0)
    return Changes(programs={program: published}, made=program)


def is_well_bounded(measurement: MeasurementType) -> bool:
    """Whether the fields a kind uses are within its limits, and the others have their fixed value."""
    length, bound, weight = measurement.length, measurement.bound, measurement.weight
    match measurement.kind:
        case MeasurementKind.COUNT:
            return (length, bound, weight) == (1, 0, 0)
        case MeasurementKind.SUM:
            return (length, weight) == (1, 0) and bound >= 1
        case MeasurementKind.HISTOGRAM:
            return (bound, weight) == (0, 0) and length >= 2
        case MeasurementKind.MULTIHOT:
            return bound == 0 and 1 <= weight <= length
        case MeasurementKind.SUMVEC | MeasurementKind.L1BOUND:
            return weight == 0 and bound >= 1 and (length + 1) * bound.bit_length() <= MOST_BITS
        case _ as unreachable:
            assert_never(unreachable)


def review_program(state: State, sender: AccountId, tx: ReviewProgram) -> Changes:
    """An attested organisation's word on a program, in place of its earlier one; people read it, no score does."""
    program = get_program(state, tx.program)
    if program.publisher == sender:
        raise SelfDealing(f"{sender.hex()} reviews its own program {tx.program.hex()}")
    if not live_attestations(state, sender):
        raise NotAttested(f"nothing is attested of {sender.hex()} at height {state.height}")
    earlier = find_review(state, tx.program, sender)
    approvals, objections = program.approvals, program.objections
    if earlier is not None:
        approvals -= earlier.approves
        objections -= not earlier.approves
    return Changes(
        programs={
            tx.program: replace(program, approvals=approvals + tx.approves, objections=objections + (not tx.approves))
        },
        reviews={(tx.program, sender): Review(approves=tx.approves, statement=tx.statement, at=state.height)},
    )
