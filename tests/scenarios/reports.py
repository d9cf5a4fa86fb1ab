"""Reports as a dishonest hub would make them: with the real functions, every ingredient can be another."""

from __future__ import annotations

from typing import TypedDict

from scenario_world import ScenarioWorld

from edgehold.aggregation.report import make_report
from edgehold.aggregation.task import input_share_info, prio3_for, vdaf_context
from edgehold.crypto.names import input_share_digest, permit_message
from edgehold.crypto.seal import ENCAPSULATED, seal
from edgehold.crypto.signatures import SigningKey
from edgehold.demo.seeded import SeededRandomness
from edgehold.sandbox.program import Measurement
from edgehold.wire.batch import Permit
from edgehold.wire.ids import ReportId, SlotKey, TaskId, Token
from edgehold.wire.report import (
    HpkeCiphertext,
    PermitExtension,
    Report,
    ReportMetadata,
    encode_input_share,
    encode_report,
    encode_share_aad,
)
from edgehold.wire.task import Party


class Credential(TypedDict):
    """What a permit is signed with."""

    slot_key: SigningKey
    token: Token


def credential_of(world: ScenarioWorld, number: int, task: TaskId, *, later: int = 0) -> Credential:
    """A person's slot key and token for a task's slot of the person's panel, or for a later slot."""
    hub = world.hub(number)
    (panel,) = hub.panels()
    slots = {one.panel: one.slot for one in world.configuration(task).panels}
    slot = slots.get(panel, 0) + later
    return {"slot_key": hub.keys.slot_key(panel, slot), "token": hub._journal.token(panel, slot)}


def report_of(
    world: ScenarioWorld, number: int, task: TaskId, measurement: Measurement, label: str = "", **changes: object
) -> bytes:
    """A person's report to a task; the label makes its dice its own, and any ingredient may be another."""
    ingredients = {
        "configuration": world.configuration(task),
        "panel": 0,
        **credential_of(world, number, task),
        "randomness": SeededRandomness(number, label),
    }
    ingredients |= changes
    configuration = ingredients.pop("configuration")
    return make_report(configuration, measurement, **ingredients)  # type: ignore[arg-type]


def out_of_bounds(world: ScenarioWorld, number: int, task: TaskId) -> bytes:
    """A report whose shares add up to no measurement of the task, permitted by its slot key as it is."""
    configuration, credential = world.configuration(task), credential_of(world, number, task)
    vdaf = prio3_for(configuration.measurement)
    dice = SeededRandomness(number, "out of bounds")
    report = ReportId(dice.draw(16))
    public, (leader, helper) = vdaf.shard(vdaf_context(task), 0, report, dice.draw(vdaf.random_length))
    shares = [encode_input_share(bytes([leader[0] ^ 1]) + leader[1:]), encode_input_share(helper)]
    digests = [input_share_digest(share) for share in shares]
    permit = Permit(task=task, report=report, leader_share=digests[0], helper_share=digests[1])
    metadata = ReportMetadata(
        report=report,
        time=configuration.opened_at,
        permit=PermitExtension(
            permit=credential["slot_key"].sign(permit_message(permit)),
            panel=0,
            slot_key=SlotKey(credential["slot_key"].public),
            token=credential["token"],
            leader_share=digests[0],
            helper_share=digests[1],
        ),
    )
    aad = encode_share_aad(task, metadata, public)
    keys = (configuration.leader.seal_key, configuration.helper.seal_key)
    sealed = [
        seal(key, input_share_info(party), aad, share, dice)
        for key, party, share in zip(keys, Party, shares, strict=True)
    ]
    parts = [HpkeCiphertext(enc=one[:ENCAPSULATED], payload=one[ENCAPSULATED:]) for one in sealed]
    return encode_report(Report(metadata=metadata, public_share=public, leader=parts[0], helper=parts[1]))
