"""Every exit code that is documented, by a command that ends with it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import apsw
from cli_story import ONE, RIVERBEND, Edgehold

from edgehold.cli.network import open_ledger

BUNDLE = {"resourceType": "Bundle", "type": "collection", "entry": []}


def test_0_when_all_is_well(here: Path, edgehold: Edgehold) -> None:
    assert edgehold("hub", "check", "--hub", ONE).code == 0


def test_1_when_a_program_fails_on_a_record(here: Path, edgehold: Edgehold) -> None:
    assert edgehold("program", "new", "broken").code == 0
    Path("broken.py").write_text("def main(person):\n    return 1 // 0\n")
    ran = edgehold("program", "test", "broken.py", "--data", "record.json")
    assert ran.code == 1
    assert "the hub would report the neutral measurement" in ran.out


def test_1_when_a_file_cannot_be_written(here: Path, edgehold: Edgehold) -> None:
    ran = edgehold("hub", "policy", "--write", "no/such/folder.toml", "--hub", ONE, "--json")
    assert ran.code == 1
    assert ran.json["error"]["error"] == "FileUnusable"


def test_2_when_a_command_is_not_understood(edgehold: Edgehold) -> None:
    assert edgehold("hub", "sell").code == 2
    assert edgehold("plan", "--reports", "none", "--epsilon", "1").code == 2
    ran = edgehold("plan", "--reports", "none", "--epsilon", "1", "--json")
    assert ran.json["error"]["code"] == "EH700"


def test_3_when_some_files_of_several_are_refused(here: Path, edgehold: Edgehold) -> None:
    Path("broken.json").write_text('{"resourceType": "Bundle"')
    ran = edgehold("hub", "import", "record.json", "broken.json", "--hub", ONE, "--json")
    assert ran.code == 3
    assert [one["file"] for one in ran.json["imported"]] == ["record.json"]
    assert len(ran.json["failed"]) == 1
    signed = edgehold("issuer", "sign", "record.json", "broken.json", "--issuer", RIVERBEND)
    assert signed.code == 3
    assert "refused: broken.json" in signed.out


def test_4_when_the_keys_do_not_open_the_hub(here: Path, edgehold: Edgehold) -> None:
    Path(ONE, "keys").chmod(0o644)
    ran = edgehold("hub", "show", "--hub", ONE)
    assert ran.code == 4
    assert "chmod 600" in ran.err


def test_4_when_an_invitation_was_used(here: Path, edgehold: Edgehold) -> None:
    invite = ("hub", "init", "--network", "demo-out", "--invitation", "record.json.invitation", "--hub")
    assert edgehold(*invite, "mine").code == 0
    assert edgehold(*invite, "another").code == 4


def test_5_when_the_ledger_refuses(here: Path, edgehold: Edgehold) -> None:
    ran = edgehold("issuer", "attest", "ashby", "--claim", "ethics", "--until", "90000", "--as", "treasurer")
    assert ran.code == 5
    assert "EH221 NotAccreditor" in ran.err


def test_5_when_too_few_people_permit(here: Path, edgehold: Edgehold) -> None:
    ran = edgehold("order", "new", "--program", "bmi", "--epsilon", "1", "--leader", "quillon", "--json")
    assert ran.code == 5
    assert ran.json["error"]["error"] == "TooFewReports"


def test_6_when_there_is_no_such_thing(here: Path, edgehold: Edgehold) -> None:
    assert edgehold("hub", "show").code == 6
    assert edgehold("ledger", "show", "nobody").code == 6


def test_7_when_another_process_keeps_the_ledger(here: Path, edgehold: Edgehold) -> None:
    with open_ledger(Path("demo-out")):
        ran = edgehold("ledger", "show")
    assert ran.code == 7
    assert "EH401 LedgerBusy" in ran.err


def test_8_when_a_chunk_is_altered_and_it_is_named(here: Path, edgehold: Edgehold) -> None:
    database = apsw.Connection(str(Path(ONE, "store.sqlite")))
    place, data = database.execute("SELECT place, data FROM chunk").fetchone()
    database.execute("UPDATE chunk SET data = ? WHERE place = ?", (data[:50] + b"\0" + data[51:], place))
    database.close()
    ran = edgehold("hub", "check", "--hub", ONE)
    assert ran.code == 8
    assert "chunk 0 of" in ran.err


def test_8_when_any_byte_of_a_certificate_is_changed(here: Path, edgehold: Edgehold) -> None:
    data = Path("demo-out/certificates/bmi.cert").read_bytes()
    for place in range(0, len(data), 997):
        Path("altered.cert").write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        assert edgehold("verify", "altered.cert", "--genesis", "demo-out/genesis.cbor").code == 8, place


def test_8_when_the_ledger_s_log_is_altered(here: Path, edgehold: Edgehold) -> None:
    database = apsw.Connection("demo-out/ledger/ledger.sqlite")
    database.execute("UPDATE tx SET bytes = x'00' WHERE height = 2 AND place = 0")
    database.close()
    assert edgehold("ledger", "check").code == 8


def heed_interruptions() -> None:
    """What a shell does for a command in the foreground; who runs tests in the background has them ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_130_when_it_is_interrupted(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "edgehold.cli", "demo", "--hubs", "24", "--dir", "story"]
    paths = os.pathsep.join(str(Path(part).resolve()) for part in sys.path if part)
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interruptions,
    ) as process:
        assert process.stderr is not None
        assert "progress" in json.loads(process.stderr.readline())
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.returncode == 130, rest
    assert rest.endswith("interrupted\n")
