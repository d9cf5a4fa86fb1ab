"""Names of things: every id is a type of its own, so that an account does not fit where an order is meant."""

from __future__ import annotations

from typing import Annotated, NewType

from msgspec import Meta

Digest = NewType("Digest", Annotated[bytes, Meta(min_length=32, max_length=32)])
"""32 bytes of SHA-256 over a tag and a message (see `crypto.hash`)."""

AccountId = NewType("AccountId", Digest)
PanelId = NewType("PanelId", Digest)
ProgramId = NewType("ProgramId", Digest)
OrderId = NewType("OrderId", Digest)
TaskId = NewType("TaskId", Digest)
ProposalId = NewType("ProposalId", Digest)
NetworkId = NewType("NetworkId", Digest)
"""Digest of the genesis document: no transaction or signature of one network is valid in another."""

ReportId = NewType("ReportId", Annotated[bytes, Meta(min_length=16, max_length=16)])

PublicKey = NewType("PublicKey", Annotated[bytes, Meta(min_length=32, max_length=32)])
"""Ed25519 (RFC 8032), judged by ZIP-215."""
Signature = NewType("Signature", Annotated[bytes, Meta(min_length=64, max_length=64)])
SealKey = NewType("SealKey", Annotated[bytes, Meta(min_length=32, max_length=32)])
"""X25519 public key for HPKE (RFC 9180)."""
SlotKey = NewType("SlotKey", PublicKey)
"""One person's one-time signing key for one task; the issuer signed it blindly."""
Token = NewType("Token", Annotated[bytes, Meta(min_length=256, max_length=256)])
"""RSASSA-PSS signature of the issuer's slot verification key over a slot key (RFC 9474)."""
Modulus = NewType("Modulus", Annotated[bytes, Meta(min_length=256, max_length=256)])
"""Big-endian modulus of an RSA-2048 slot verification key; the exponent is 65537."""

Height = Annotated[int, Meta(ge=0, le=2**53)]
Credits = Annotated[int, Meta(ge=0, le=2**53)]
Counter = Annotated[int, Meta(ge=0, le=2**32)]
MOST_SHORT = 64

Short = Annotated[str, Meta(max_length=MOST_SHORT)]
"""A short machine-readable text (a code, a schema id); never prose, never personal."""
