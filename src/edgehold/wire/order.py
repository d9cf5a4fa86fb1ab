"""Orders: what a customer asks, of whom, for which purpose, with how much noise and for what price."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta, Struct

from edgehold.wire.ids import AccountId, Credits, Digest, Height, OrderId, PanelId, ProgramId, SealKey, TaskId
from edgehold.wire.purpose import Purpose

Span = Annotated[int, Meta(ge=1, le=1_000_000)]
"""A number of heights."""

SAMPLING_ONE = 65536
"""Sampling is a fraction of this: 65536 asks everybody."""


class Schedule(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """How many heights each phase may take; absolute heights are fixed when the helper joins."""

    request: Span  # from the order to the leader's request
    join: Span  # a drawn helper's time to join before the next is drawn
    upload: Span  # reports are taken until join + upload = U
    revoke: Span  # revocations count until U + revoke = R
    close: Span  # the batch closes until R + close
    share: Span  # both shares are posted until then + share
    accept: Span  # the customer accepts or disputes until then + accept


class PlaceOrder(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=30):
    """A customer orders an analysis; the price goes into escrow."""

    program: ProgramId
    purpose: Purpose
    panels: Annotated[tuple[PanelId, ...], Meta(min_length=1, max_length=4)]  # sorted, distinct, closed
    sampling: Annotated[int, Meta(ge=1, le=SAMPLING_ONE)]
    least_batch: Annotated[int, Meta(ge=1, le=10_000_000)]
    sigma_numerator: Annotated[int, Meta(ge=1, lt=2**32)]  # noise scale of one aggregator, in lowest terms
    sigma_denominator: Annotated[int, Meta(ge=1, lt=2**32)]
    price: Credits
    leader: AccountId
    seal_key: SealKey  # fresh for this order: both shares are sealed to it
    memo: Digest  # 32 bytes of the customer's: a seed's commitment in an audit, else random
    schedule: Schedule


class WithdrawOrder(Struct, frozen=True, array_like=True, forbid_unknown_fields=True, tag=31):
    """The customer takes an order back before a service made a task of it; the escrow returns."""

    order: OrderId


class Order(Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Entry: one order and what became of it."""

    customer: AccountId
    descriptor: PlaceOrder
    placed_at: Height
    escrow: Credits
    withdrawn_at: Height | None
    requested_at: Height | None
    leader_seal_key: SealKey | None
    leader_noise_commitment: Digest | None
    task: TaskId | None
    settled_at: Height | None
