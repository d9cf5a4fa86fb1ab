"""Entries: everything the ledger keeps, each under one flat key, so that any of it can be proved to be there or not."""

from __future__ import annotations

from enum import IntEnum


class Collection(IntEnum):
    """The first byte of a flat key; the rest are the ids in the comment."""

    ACCOUNT = 1  # account
    ATTESTATION = 2  # subject ‖ attestor ‖ claim text
    STANDING = 3  # account of a service
    COUNTED = 4  # service ‖ customer ‖ period (8 bytes): an acceptance was counted
    PANEL = 5  # panel
    ROOT = 6  # account of a hub
    PROGRAM = 7  # program
    REVIEW = 8  # program ‖ reviewer
    ORDER = 9  # order
    TASK = 10  # task
    REVOCATION = 11  # task ‖ slot key
    CONFIGURATION = 12  # task
    EVIDENCE = 13  # evidence id: of accused, task, tag and slot key, so that nothing counts twice
    PARAMETERS = 14  # nothing
    AGGREGATORS = 15  # nothing: the sorted accounts ever attested as independent aggregators
    SEATS = 16  # nothing: the validators
    OFFICES = 17  # nothing
    RULES = 18  # nothing: versions of the rules
    PROPOSAL = 19  # proposal
    AGENDA = 20  # nothing: the open proposals


_FIRST_BYTES = {collection: bytes([collection]) for collection in Collection}


def entry_key(collection: Collection, *ids: bytes) -> bytes:
    """The flat key of an entry in the Merkle map."""
    return b"".join((_FIRST_BYTES[collection], *ids))
