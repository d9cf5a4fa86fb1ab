"""Moving, restoring and repairing a hub by commands: what they say, what they refuse, and how they end."""

import shutil
from pathlib import Path

import apsw
import pytest
from cli_story import ONE, Edgehold

ELSEWHERE = ("hub", "restore", "--kit", "recovery.kit", "--archive", "hub.age", "--hub")


@pytest.fixture
def archive(here: Path, edgehold: Edgehold) -> Path:
    """The archive of the story's first hub."""
    assert edgehold("hub", "export", "--to", "hub.age", "--recipients-file", "keys.txt", "--hub", ONE).code == 0
    return here / "hub.age"


def test_a_hub_is_moved_to_another_folder_of_its_network(archive: Path, edgehold: Edgehold) -> None:
    before = edgehold("hub", "show", "--json", "--hub", ONE).json
    shutil.rmtree(ONE)
    moved = edgehold("hub", "import", "hub.age", "--identity", "key.txt", "--hub", ONE, "--json")
    assert moved.code == 0
    assert moved.json["account"] == before["account"]
    assert moved.json["bytes"] == archive.stat().st_size
    after = edgehold("hub", "show", "--json", "--hub", ONE).json
    assert after["root"] == before["root"]
    assert after["objects"] == before["objects"]
    assert edgehold("hub", "check", "--hub", ONE).code == 0


def test_a_restored_hub_joins_its_network_where_it_is_said_to_lie(archive: Path, edgehold: Edgehold) -> None:
    shutil.rmtree(ONE)
    lost = edgehold(*ELSEWHERE, "alone")
    assert lost.code == 0
    assert "its network is not on this machine: write the network's folder into alone/network" in lost.out
    joined = edgehold(*ELSEWHERE, "joined", "--network", "demo-out", "--json").json
    assert joined["network"] == str((archive.parent / "demo-out").resolve())
    assert joined["seconds"] > 0
    assert str((archive.parent / "joined").resolve()) in Path("demo-out/visitors.json").read_text()
    assert edgehold("hub", "history", "--hub", "joined").code == 0
    again = edgehold("hub", "export", "--to", "again.age", "--hub", "joined")
    assert again.code == 0
    assert edgehold("hub", "restore", "--kit", "recovery.kit", "--archive", "again.age", "--hub", "third").code == 0
    assert Path("third/network").read_text() == f"{joined['network']}\n"


def test_what_is_damaged_is_named_and_mended(archive: Path, edgehold: Edgehold) -> None:
    file = apsw.Connection(f"{ONE}/store.sqlite")
    file.execute("DELETE FROM chunk")
    file.close()
    found = edgehold("hub", "check", "--hub", ONE)
    assert found.code == 8
    assert edgehold("hub", "export", "--to", "bad.age", "--hub", ONE).code == 8
    mend = ("hub", "repair", "--from", "hub.age", "--hub", ONE)
    mended = edgehold(*mend, "--kit", "recovery.kit")
    assert mended.code == 0
    assert "its missing or altered bytes are back" in mended.out
    assert "every byte of your hub is the one that was stored" in mended.out
    assert edgehold(*mend, "--identity", "key.txt", "--json").json == {"hub": ONE, "restored": [], "beyond": []}
    assert edgehold("hub", "check", "--subset", "1/1", "--hub", ONE).code == 0


def test_3_when_something_is_beyond_repair(archive: Path, edgehold: Edgehold) -> None:
    assert edgehold("hub", "import", "record.json", "--hub", ONE).code == 0
    file = apsw.Connection(f"{ONE}/store.sqlite")
    file.execute("DELETE FROM chunk")
    file.close()
    mended = edgehold("hub", "repair", "--from", "hub.age", "--kit", "recovery.kit", "--hub", ONE)
    assert mended.code == 3
    assert "still wrong: dataset" in mended.out


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (f"hub export --hub {ONE}", 2),
        (f"hub export --original --to x.age --hub {ONE}", 2),
        (f"hub export --original --hub {ONE}", 2),
        (f"hub export --to x.age --out folder --hub {ONE}", 2),
        (f"hub export --original --out folder --recipients-file keys.txt --hub {ONE}", 2),
        (f"hub export --to hub.age --hub {ONE}", 1),
        (f"hub export --to x.age --recipient nobody --hub {ONE}", 1),
        (f"hub export --to x.age --recipients-file missing.txt --hub {ONE}", 6),
        (f"hub export --to x.age --recipients-file hub.age --hub {ONE}", 1),
        (f"hub export --to x.age --recipients-file large.txt --hub {ONE}", 1),
        ("hub export --to x.age --hub nowhere", 6),
        ("hub import hub.age record.json --identity key.txt --hub new", 2),
        (f"hub import record.json --network demo-out --hub {ONE}", 2),
        ("hub import missing.age --identity key.txt --hub new", 6),
        ("hub import hub.age --identity keys.txt --hub new", 4),
        ("hub import record.json --identity key.txt --hub new", 8),
        (f"hub import hub.age --identity key.txt --hub {ONE}", 1),
        ("hub import hub.age --identity key.txt --network nowhere --hub new", 6),
        ("hub restore --kit missing.kit --archive hub.age --hub new", 6),
        ("hub restore --kit demo-out/hubs/0002/recovery.kit --archive hub.age --hub new", 4),
        ("hub restore --kit key.txt --archive hub.age --hub new", 4),
        (f"hub repair --from hub.age --hub {ONE}", 2),
        (f"hub repair --from hub.age --kit recovery.kit --identity key.txt --hub {ONE}", 2),
        ("hub repair --from hub.age --identity key.txt --hub demo-out/hubs/0002", 4),
        (f"hub check --subset 8/7 --hub {ONE}", 2),
        (f"hub check --subset 0/7 --hub {ONE}", 2),
        (f"hub check --subset one --hub {ONE}", 2),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(
    archive: Path, edgehold: Edgehold, line: str, code: int
) -> None:
    Path("large.txt").write_bytes(bytes((1 << 20) + 1))
    before = {path.name for path in Path().iterdir()}
    ran = edgehold(*line.split())
    assert ran.code == code, ran
    assert {path.name for path in Path().iterdir()} == before


def test_an_erasure_says_what_it_does_not_reach(here: Path, edgehold: Edgehold) -> None:
    dataset = edgehold("hub", "show", "--json", "--hub", ONE).json["objects"][0]["id"]
    history = edgehold("hub", "history", "--json", "--hub", ONE).json
    said = edgehold("hub", "erase", dataset, "--yes", "--hub", ONE)
    assert "fetched it at height" in said.out
    assert "a result that is out counts you" in said.out
    assert "archives of your hub" in said.out
    shares = [one for one in history["shares"] if one["fetches"]]
    assert said.out.count("ask them to destroy their copy") == sum(len(one["fetches"]) for one in shares)
    other = edgehold("hub", "erase", "--all", "--yes", "--hub", "demo-out/hubs/0002", "--json").json
    assert other["holders"] == []
    assert {one["state"] for one in other["sums"]} <= {"sent", "stored", "lost"}
