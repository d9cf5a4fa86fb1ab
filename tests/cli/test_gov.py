"""`edgehold gov` in the folder of a network that one process keeps: its one member decides alone."""

from __future__ import annotations

from pathlib import Path

from cli_story import Edgehold


def test_the_one_member_decides_alone(here: Path, edgehold: Edgehold) -> None:
    before = edgehold("ledger", "show", "--json").json["parameters"]["hub_quota"]
    shown = edgehold("gov", "show", "--json").json
    assert [one["name"] for one in shown["members"]] == ["treasurer"]
    ran = edgehold("gov", "propose", "parameters", f"hub_quota={before + 1}", "--as", "treasurer", "--json")
    assert (ran.json["status"], ran.json["needed"]) == ("decided", 1)
    assert edgehold("ledger", "show", "--json").json["parameters"]["hub_quota"] == before + 1
    listed = edgehold("gov", "show", "--all", "--json").json["proposals"]
    assert ran.json["proposal"] in {one["proposal"] for one in listed}
    assert edgehold("gov", "show", "--json").json["proposals"] == []
    assert "decided at height" in edgehold("gov", "show", ran.json["proposal"]).out


def test_refusals_say_what_is_wrong(here: Path, edgehold: Edgehold) -> None:
    for words, code, name in (
        (["parameters", "hub_quota=7", "--as", "ashby"], 5, "NotMember"),
        (["parameters", "hub_quota=7"], 2, "UsageError"),
        (["parameters", "hub_quota=none", "--as", "treasurer"], 2, "UsageError"),
        (["parameters", "hub_quota=7", "--as", "nobody"], 6, "NotFound"),
        (["power", "treasurer", "0", "--as", "treasurer"], 5, "LoneValidator"),
        (["admit", "nowhere.cbor", "--as", "treasurer"], 1, "FileUnusable"),
        (["rules", "2", "--from", "1", "--as", "treasurer"], 5, "RulesTooSoon"),
    ):
        ran = edgehold("gov", "propose", *words)
        assert ran.code == code, (words, ran)
        assert name in ran.err
    ran = edgehold("gov", "vote", "0123", "yes", "--as", "treasurer")
    assert ran.code == 6
    ran = edgehold("gov", "vote", "00" * 32, "yes", "--as", "treasurer")
    assert "UnknownProposal" in ran.err


def test_offices_change_and_are_shown(here: Path, edgehold: Edgehold) -> None:
    made = edgehold("gov", "propose", "office", "accreditor", "ashby", "--as", "treasurer", "--json")
    assert made.json["status"] == "decided"
    shown = edgehold("gov", "show")
    assert "accreditors  " in shown.out
    assert "Ashby" in shown.out
    assert "nothing is proposed" in shown.out
    gone = edgehold("gov", "propose", "office", "accreditor", "ashby", "--remove", "--as", "treasurer", "--json")
    assert gone.json["status"] == "decided"
    again = edgehold("gov", "propose", "office", "accreditor", "ashby", "--remove", "--as", "treasurer")
    assert "NothingChanges" in again.err
