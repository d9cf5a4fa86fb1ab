"""Slot credentials: a slot key belongs to somebody of a task's panel, and nobody learns to whom."""

from __future__ import annotations

from edgehold.crypto.blind import verify_token
from edgehold.crypto.merkle import check_path
from edgehold.errors import BadCredential, CryptoError
from edgehold.wire.ids import SlotKey
from edgehold.wire.panel import SlotCredential
from edgehold.wire.task import TaskConfiguration


def verify_credential(configuration: TaskConfiguration, credential: SlotCredential, sender: SlotKey) -> None:
    """Check that the sender is a slot key of this task; raises `BadCredential`.

    1. The credential is the sender's own.
    2. It names a panel of the task, and the slot that the task took of it.
    3. The modulus is the one for this slot under the panel's root of keys.
    4. The token is the issuer's signature under that key over the slot key.
    """
    if credential.key != sender:
        raise BadCredential("the credential is another slot key's")
    panels = [panel for panel in configuration.panels if panel.panel == credential.panel]
    if not panels:
        raise BadCredential(f"the task does not ask panel {credential.panel.hex()}")
    panel = panels[0]
    if credential.slot != panel.slot:
        raise BadCredential(f"the task took slot {panel.slot} of the panel, not {credential.slot}")
    try:
        check_path(panel.keys_root, credential.modulus, credential.slot, panel.slots, credential.path)
        verify_token(credential.modulus, credential.key, credential.token)
    except CryptoError as error:
        raise BadCredential(f"slot {credential.slot} of panel {credential.panel.hex()}: {error}") from error
