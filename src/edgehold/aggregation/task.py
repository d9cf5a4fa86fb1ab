"""What an aggregator, and a hub, know of a task beside its configuration: its id, phases, Prio3 instance and sizes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import cache

from edgehold.crypto.merkle import tree_root
from edgehold.crypto.names import task_id
from edgehold.crypto.seal import OVERHEAD
from edgehold.errors import PanelKeysDiffer
from edgehold.vdaf.prio3 import NONCE_BYTES, Prio3, make_prio3, neutral
from edgehold.wire.ids import Digest, Modulus, PublicKey, ReportId, Signature, SlotKey, TaskId, Token
from edgehold.wire.program import MeasurementType
from edgehold.wire.report import (
    HpkeCiphertext,
    PermitExtension,
    Report,
    ReportMetadata,
    encode_input_share,
    encode_report,
)
from edgehold.wire.task import Party, TaskConfiguration

VERSION = b"dap-18"

_ROLE = {Party.LEADER: b"\x02", Party.HELPER: b"\x03"}


class Phase(IntEnum):
    """Where a task stands at a height; heights are the only clock."""

    UPLOAD = 0
    """Reports are taken, up to and including `upload_until`."""
    REVOKE = 1
    """Only revocations count, up to and including `revoke_until`."""
    CLOSE = 2
    """The lists are agreed and signed."""
    SHARE = 3
    """Both noised shares are posted."""
    ACCEPT = 4
    """The customer accepts or disputes."""
    OVER = 5


@dataclass(frozen=True)
class ServedTask:
    """One task as its aggregators see it: everything that follows from the configuration and the issuers' key lists."""

    task: TaskId
    configuration: TaskConfiguration
    vdaf: Prio3
    moduli: tuple[Modulus, ...]
    """For each panel the modulus of the key that signed the tokens of this task's slot."""
    report_size: int
    """Bytes of every report."""

    @property
    def context(self) -> bytes:
        """The application context of the VDAF (DAP-18, section 4.4.2)."""
        return vdaf_context(self.task)


def phase(configuration: TaskConfiguration, height: int) -> Phase:
    """The phase in which a transaction or message at this height falls."""
    ends = (
        configuration.upload_until,
        configuration.revoke_until,
        configuration.close_until,
        configuration.share_until,
        configuration.accept_until,
    )
    return Phase(sum(height > end for end in ends))


def vdaf_context(task: TaskId) -> bytes:
    """What every hash inside the VDAF begins with: protocol version and task."""
    return VERSION + task


def input_share_info(party: Party) -> bytes:
    """What a sealed input share is for (HPKE `info`): the input of one task's leader or helper, sent by a hub."""
    return VERSION + b" input share" + b"\x01" + _ROLE[party]


def serve_task(configuration: TaskConfiguration, panel_keys: Sequence[Sequence[Modulus]]) -> ServedTask:
    """Prepare a task from its configuration and each of its panels' slot verification keys, in slot order.

    Raises `PanelKeysDiffer` if a list is not the one under the panel's root.
    """
    moduli = []
    for panel, keys in zip(configuration.panels, panel_keys, strict=True):
        if len(keys) != panel.slots or tree_root(keys) != panel.keys_root:
            raise PanelKeysDiffer(f"{len(keys)} keys for panel {panel.panel.hex()} are not those under its root")
        moduli.append(keys[panel.slot])
    return ServedTask(
        task=task_id(configuration),
        configuration=configuration,
        vdaf=prio3_for(configuration.measurement),
        moduli=tuple(moduli),
        report_size=report_size(configuration.measurement),
    )


@cache
def prio3_for(measurement: MeasurementType) -> Prio3:
    """The Prio3 instance of a measurement type, made once; raises `BadMeasurement` for bounds that make no type."""
    return make_prio3(measurement)


@cache
def report_size(measurement: MeasurementType) -> int:
    """Bytes of every report with this type of measurement, whatever is measured."""
    public_share, leader_share, helper_share = share_sizes(measurement)
    permit = PermitExtension(
        permit=Signature(bytes(64)),
        panel=0,
        slot_key=SlotKey(PublicKey(bytes(32))),
        token=Token(bytes(256)),
        leader_share=Digest(bytes(32)),
        helper_share=Digest(bytes(32)),
    )
    report = Report(
        metadata=ReportMetadata(report=ReportId(bytes(16)), time=0, permit=permit),
        public_share=bytes(public_share),
        leader=HpkeCiphertext(enc=bytes(32), payload=bytes(leader_share + OVERHEAD - 32)),
        helper=HpkeCiphertext(enc=bytes(32), payload=bytes(helper_share + OVERHEAD - 32)),
    )
    return len(encode_report(report))


@cache
def share_sizes(measurement: MeasurementType) -> tuple[int, int, int]:
    """Bytes of the public share and of the leader's and the helper's plaintext input shares as they are encoded."""
    vdaf = prio3_for(measurement)
    random = bytes(vdaf.random_length)
    public, (leader, helper) = vdaf.shard(b"", neutral(measurement), bytes(NONCE_BYTES), random)
    return len(public), len(encode_input_share(leader)), len(encode_input_share(helper))
