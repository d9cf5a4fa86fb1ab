"""The certificate: one file by which anybody who has the genesis file checks a result offline.

One canonical message in which every byte is checked: either it is hashed into something signed, or it is recomputed.
Its size does not depend on the number of reports but for the paths of eight drawn leaves.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from edgehold.wire.account import Attestation
from edgehold.wire.batch import LeafOpening
from edgehold.wire.header import SignedHeader
from edgehold.wire.ids import Digest, Modulus, Signature
from edgehold.wire.light import ValidatorChange
from edgehold.wire.order import PlaceOrder
from edgehold.wire.panel import DeclarePanel
from edgehold.wire.program import PublishProgram
from edgehold.wire.proof import MapProof
from edgehold.wire.task import Task, TaskConfiguration

DRAWN_LEAVES = 8
"""Accepted leaves that a certificate opens; the header after the close draws them, so nobody chooses them."""

SHARES_INSIDE = 4096
"""Bytes of both noised shares up to which they travel inside the certificate; beyond, in `NAME.shares` beside it."""

MOST_ATTESTATIONS = 112
"""Every one of 16 accreditors may make every one of 7 claims about a service."""


MOST_CHANGES = 200
"""Of the validators, between genesis and a certificate."""


class CertifiedPanel(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One panel of the task: its public descriptor and the slot verification key that its tokens are checked with."""

    descriptor: DeclarePanel
    modulus: Modulus
    path: Annotated[tuple[Digest, ...], Meta(max_length=8)]  # of the modulus under the panel's `keys_root`


class CertifiedParty(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """One aggregator: what accreditors attested when it joined, and its signature over the batch."""

    attestations: Annotated[tuple[Attestation, ...], Meta(max_length=MOST_ATTESTATIONS)]  # by attestor and claim
    signature: Signature


class Certificate(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="edgehold.certificate/1"):
    """Everything that links a result to genesis. The noised shares are empty where they lie beside the file."""

    state_header: SignedHeader  # its application hash is the state in which `task` stands
    drawing_header: SignedHeader  # of the height after the batch closed
    changes: Annotated[tuple[ValidatorChange, ...], Meta(max_length=MOST_CHANGES)]  # of the validators since genesis
    task: Task
    task_proof: MapProof
    configuration: TaskConfiguration
    order: PlaceOrder
    program: PublishProgram
    panels: Annotated[tuple[CertifiedPanel, ...], Meta(min_length=1, max_length=4)]
    leader: CertifiedParty
    helper: CertifiedParty
    leaves: Annotated[tuple[LeafOpening, ...], Meta(max_length=DRAWN_LEAVES)]
    leader_share: Annotated[bytes, Meta(max_length=SHARES_INSIDE)]
    helper_share: Annotated[bytes, Meta(max_length=SHARES_INSIDE)]


class DetachedShares(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag="edgehold.shares/1"):
    """The two noised shares of a certificate whose shares are too large to travel inside."""

    leader_share: bytes
    helper_share: bytes
