"""Every reader of bytes or text that somebody else may have made."""

from __future__ import annotations

import of_archives
import of_messages
import of_nodes
import of_packs
import of_parties
import of_proofs
import of_records
import planted
from target import Target

KINDS_OF_READERS = (of_messages, of_proofs, of_records, of_packs, of_parties, of_nodes, of_archives)

DECODERS: dict[str, Target] = {name: target for kind in KINDS_OF_READERS for name, target in kind.TARGETS.items()}

TARGETS: dict[str, Target] = {**DECODERS, **planted.TARGETS}
"""With those that show that the harness finds what it should."""
