"""Limits that `docs/threats.md` states and that no other test shows."""

from __future__ import annotations

import pytest
from forge import Forged, forge, with_fields

from edgehold.errors import BadCertificate
from edgehold.verify.certificate import Verdict, verify_certificate
from edgehold.wire.task import Outcome


def check(forged: Forged) -> Verdict:
    return verify_certificate(forged.data, forged.genesis, forged.detached)


def test_limit_shown_a_certificate_of_before_the_settlement_verifies_for_ever() -> None:
    """One that is made after a dispute is refused; the one of before knows nothing of it."""
    before, after = forge(), forge(task=with_fields(outcome=Outcome.UNUSABLE, settled_at=120))
    with pytest.raises(BadCertificate):
        check(after)
    assert check(before)
