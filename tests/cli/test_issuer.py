"""A panel from its declaration to an order over it, and a program of one's own that runs on it."""

from pathlib import Path

from cli_story import RIVERBEND, Edgehold


def test_a_panel_of_all_adults_is_closed_and_can_be_ordered(here: Path, edgehold: Edgehold) -> None:
    assert edgehold("hub", "init", "--network", "demo-out", "--invitation", "record.json.invitation").code == 0
    assert edgehold("hub", "import", "record.json").code == 0
    assert edgehold("hub", "commit").code == 0
    (panel,) = [one["panel"] for one in edgehold("catalog", "--json").json["panels"] if one["open"]]
    assert edgehold("hub", "enrol", "--panel", panel[:12]).code == 0
    hubs = [word for hub in sorted(Path("demo-out/hubs").iterdir()) for word in ("--hub", str(hub))]
    visits = edgehold("issuer", "enrol", "--panel", panel, *hubs, "--issuer", RIVERBEND, "--json")
    assert visits.code == 3
    assert len(visits.json["enrolled"]) == 21
    assert {one["code"] for one in visits.json["failed"]} == {"EH503", "EH544"}
    closed = edgehold("issuer", "panel", "close", panel, "--issuer", RIVERBEND, "--json")
    assert closed.json["enrolled"] == 22
    assert edgehold("program", "new", "diabetics").code == 0
    ordered = edgehold("order", "new", "--program", "diabetics.py", "--epsilon", "1", "--panel", panel, "--json")
    assert ordered.code == 0
    assert ordered.json["asked"] == 22
    assert ordered.json["labels"] == ["people with type 2 diabetes"]
    (refusal,) = edgehold("hub", "history", "--json").json["tasks"]
    assert refusal["state"] == "refused"


def test_another_program_of_the_same_name_is_refused(here: Path, edgehold: Edgehold) -> None:
    assert edgehold("program", "new", "bmi").code == 0
    Path("bmi.py").write_text("def main(person):\n    return 1\n")
    ran = edgehold("order", "new", "--program", "./bmi.py", "--epsilon", "1", "--json")
    assert ran.json["error"]["error"] == "FolderInUse"
