"""Bad input of every kind gets a typed error that says what to do; no traceback, nothing half written."""

from hashlib import sha256
from pathlib import Path

import pytest
from cli_story import ONE, RIVERBEND, Edgehold

from edgehold.cli.network import find_id
from edgehold.errors import Ambiguous, NotFound

ORDER = "order new --epsilon 1 --program"
SHARE = f"hub share DATASET --hub {ONE} --with"
ATTEST = "issuer attest ashby --claim ethics --as accreditor-north --until"

BAD = {
    # records
    f"hub import missing.json --hub {ONE}": "EH701",
    f"hub import empty.json --hub {ONE}": "EH456",
    f"hub import broken.json --hub {ONE}": "EH451",
    f"hub import hollow --hub {ONE}": "EH701",
    f"hub import deep.json --hub {ONE}": "EH453",
    f"hub import altered.json --hub {ONE}": "EH151",
    f"issuer sign other.json --issuer {RIVERBEND}": "EH452",
    f"issuer sign picture.png --issuer {RIVERBEND}": "EH452",
    "program test bmi --data other.json": "EH452",
    "program test bmi --data picture.png": "EH451",
    # hubs and issuers
    "hub show --hub nowhere": "EH704",
    "hub show --hub garbage": "EH536",
    "hub init --network nowhere": "EH703",
    f"hub init --network demo-out --hub {ONE}": "EH535",
    "hub init --network demo-out --invitation other.json --hub mine": "EH543",
    "hub init --network demo-out --issuer nobody --hub mine": "EH701",
    "issuer sign record.json --issuer nowhere": "EH705",
    "issuer init --network demo-out --name X --sponsor nobody --issuer lab": "EH701",
    f"issuer enrol --panel 00000000 --hub {ONE} --issuer {RIVERBEND}": "EH701",
    f"issuer panel close xyz --issuer {RIVERBEND}": "EH701",
    f"{ATTEST} 1": "EH234",
    "issuer attest nobody --claim ethics --as accreditor-north --until 99999": "EH701",
    "issuer attest ashby --claim ethics --as nobody --until 99999": "EH701",
    "issuer withdraw ashby --claim auditor --as accreditor-north": "EH215",
    # the owner
    f"hub policy --set other.json --hub {ONE}": "EH521",
    f"hub policy --set picture.png --hub {ONE}": "EH702",
    f"hub policy --set record.json --write x.toml --hub {ONE}": "EH700",
    f"hub answer ffffffff yes --hub {ONE}": "EH701",
    f"hub enrol --panel ffffffff --hub {ONE}": "EH701",
    f"{SHARE} nobody --until 99999": "EH701",
    f"{SHARE} dr-lindqvist --until 1": "EH700",
    f"{SHARE} dr-lindqvist --until 99999 --out record.json": "EH535",
    f"hub share ffffffff --with dr-lindqvist --until 99999 --hub {ONE}": "EH701",
    f"hub withdraw --hub {ONE}": "EH700",
    f"hub withdraw --share ffffffff --yes --hub {ONE}": "EH701",
    f"hub erase DATASET --hub {ONE}": "EH700",
    f"hub erase --hub {ONE}": "EH700",
    # the network
    "ledger log --dir nowhere": "EH703",
    "ledger show --dir damaged": "EH703",
    "ledger show 999999": "EH701",
    "ledger show ffffffff": "EH701",
    "catalog --dir picture.png": "EH703",
    # the customer
    f"{ORDER} nothing": "EH701",
    f"{ORDER} missing.py": "EH701",
    f"{ORDER} alone.py": "EH561",
    f"{ORDER} bmi --customer nobody": "EH701",
    f"{ORDER} bmi --leader riverbend": "EH701",
    f"{ORDER} bmi --panel ffffffff": "EH701",
    f"{ORDER} bmi --purpose FUN": "EH700",
    f"{ORDER} bmi --purpose DS": "EH520",
    f"{ORDER} bmi --epsilon 1000": "EH700",
    "order status ffffffff": "EH701",
    "order result ffffffff": "EH701",
    "verify missing.cert --genesis demo-out/genesis.cbor": "EH701",
    "verify picture.png --genesis demo-out/genesis.cbor": "EH690",
    "verify demo-out/certificates/bmi.cert --genesis picture.png": "EH100",
    "verify demo-out/certificates/bmi.cert --genesis demo-out/certificates/bmi.cert": "EH100",
    "program new ../up": "EH561",
    "program new alone": "EH535",
    "program show nothing": "EH701",
    "explain EH999": "EH701",
    "demo --dir demo-out": "EH535",
}
"""A command, and the code of the error that it ends with."""


@pytest.fixture
def spoiled(here: Path) -> Path:
    """The story's folder with bad files of every kind in it."""
    Path("empty.json").write_bytes(b"")
    Path("broken.json").write_text('{"resourceType": "Bundle", "type": "collection", "entry": [')
    Path("other.json").write_text('{"hello": "world"}')
    Path("deep.json").write_text('{"resourceType": "Bundle", "entry": ' + "[" * 5000 + "]" * 5000 + "}")
    Path("picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(range(256)))
    Path("altered.json").write_text(Path("record.json").read_text().replace('"final"', '"amended"', 1))
    Path("altered.json.jws").write_bytes(Path("record.json.jws").read_bytes())
    Path("alone.py").write_text("def main(person):\n    return 1\n")
    Path("hollow/inner").mkdir(parents=True)
    Path("garbage").mkdir()
    Path("garbage/keys").write_bytes(b"\0" * 100)
    Path("garbage/keys").chmod(0o600)
    Path("garbage/network").write_text(str(Path("demo-out").resolve()))
    Path("damaged/ledger").mkdir(parents=True)
    for name in ("world.json", "genesis.cbor", "ledger/ledger.sqlite"):
        Path("damaged", name).write_bytes(b'{"\xff": 1}')
    return here


def contents(folder: Path) -> dict[str, str]:
    """Every file by its digest, but for what merely being opened changes: SQLite's files, the count of openings."""
    return {
        str(path.relative_to(folder)): sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file() and path.name != "world.json" and ".sqlite" not in path.name and ".db" not in path.name
    }


@pytest.mark.parametrize("command", BAD)
def test_bad_input_is_a_typed_error_and_nothing_is_written(command: str, spoiled: Path, edgehold: Edgehold) -> None:
    words = command.split()
    if "DATASET" in words:
        words[words.index("DATASET")] = edgehold("hub", "show", "--hub", ONE, "--json").json["objects"][0]["id"]
    before = contents(spoiled)
    ran = edgehold(*words, "--json")
    assert ran.code not in (0, 3)
    error = ran.json["error"]
    assert error["code"] == BAD[command], error
    assert error["message"]
    assert error["remedy"]
    assert "Traceback" not in ran.err
    assert contents(spoiled) == before


def test_a_hub_is_as_it_was_after_a_refused_import(spoiled: Path, edgehold: Edgehold) -> None:
    before = edgehold("hub", "show", "--hub", ONE, "--json").json
    for name in ("broken.json", "empty.json", "deep.json", "altered.json"):
        assert edgehold("hub", "import", name, "--hub", ONE).code != 0
    assert edgehold("hub", "show", "--hub", ONE, "--json").json == before


def test_a_refused_invitation_leaves_a_hub_that_can_ask_again(here: Path, edgehold: Edgehold) -> None:
    Path("wrong").write_text("00" * 16)
    assert edgehold("hub", "init", "--network", "demo-out", "--invitation", "wrong").code == 4
    assert edgehold("hub", "init", "--network", "demo-out", "--invitation", "record.json.invitation").code == 0
    assert edgehold("hub", "import", "record.json").code == 0
    assert edgehold("hub", "commit").code == 0


def test_an_id_is_found_by_its_beginning_and_only_if_it_is_one() -> None:
    known = [bytes.fromhex("aabb01"), bytes.fromhex("aabb02"), bytes.fromhex("ccdd01")]
    assert find_id("ccdd", known, "thing") == known[2]
    with pytest.raises(Ambiguous):
        find_id("aabb", known, "thing")
    for text in ("aab", "eeee", "zzzz", ""):
        with pytest.raises(NotFound):
            find_id(text, known, "thing")
