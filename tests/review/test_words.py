"""What commands print: no secret, however it is asked for."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from edgehold.cli.issuer import signed_lines, write_signed
from edgehold.issuer.issuer import SignedRecord
from edgehold.wire.enrolment import Invitation


def test_an_invitation_is_written_for_its_person_and_printed_nowhere(tmp_path: Path) -> None:
    invitation = Invitation(bytes(range(16)))
    file = tmp_path / "record.json"
    facts = write_signed(file, SignedRecord(signature=b"signature", invitation=invitation, adult=True))
    assert invitation.hex() not in json.dumps(facts) + " ".join(signed_lines(facts))
    written = tmp_path / "record.json.invitation"
    assert written.read_text().strip() == invitation.hex()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
