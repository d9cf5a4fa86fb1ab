"""Every reader of bytes or text that somebody else may have made."""

from __future__ import annotations

import of_messages
import of_parties
import of_proofs
import of_records
import planted
from target import Target

DECODERS: dict[str, Target] = {
    **of_messages.TARGETS,
    **of_proofs.TARGETS,
    **of_records.TARGETS,
    **of_parties.TARGETS,
}

TARGETS: dict[str, Target] = {**DECODERS, **planted.TARGETS}
"""With those that show that the harness finds what it should."""
