"""Signing a request to change the ledger."""

from __future__ import annotations

from edgehold.crypto.cose import sign1
from edgehold.crypto.signatures import SigningKey
from edgehold.wire.codec import encode
from edgehold.wire.ids import Digest, Height, NetworkId
from edgehold.wire.tx import Body, Envelope


def sign_transaction(key: SigningKey, network: NetworkId, sender: Digest, expires: Height, body: Body) -> bytes:
    """The signed bytes of a transaction. `sender` is an account, or the slot key for the bodies in `wire.tx.SLOT_SIGNED`;
    `expires` is the last height at which it may take effect."""
    return sign1(key, encode(Envelope(network=network, sender=sender, expires=expires, body=body)), network)
