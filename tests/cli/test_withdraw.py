"""A report taken back while revocations count is in no sum; later it is refused plainly."""

from __future__ import annotations

from pathlib import Path

from cli_story import Edgehold


def test_a_report_taken_back_in_time_is_not_counted(here: Path, edgehold: Edgehold) -> None:
    number, task = next(
        (number, one["task"])
        for number in range(4, 20)
        for one in edgehold("hub", "history", "--hub", f"demo-out/hubs/{number:04d}", "--json").json["tasks"]
        if one["state"] in ("stored", "sent") and one["included"] is None
    )
    hub = f"demo-out/hubs/{number:04d}"
    taken = edgehold("hub", "withdraw", "--task", task, "--yes", "--hub", hub, "--json")
    assert taken.code == 0
    assert taken.json["revoked"] == task
    order = next(one for one in edgehold("order", "status", "--json").json["orders"] if one["status"] == "placed")
    ended = edgehold("order", "result", order["order"], "--json")
    assert ended.code == 0
    own = [one for one in edgehold("hub", "history", "--hub", hub, "--json").json["tasks"] if one["task"] == task]
    assert own[0]["included"] is not True
    again = edgehold("hub", "withdraw", "--task", task, "--yes", "--hub", hub, "--json")
    assert again.code == 6, "it never left, so there is nothing more to take back"


def test_a_share_and_a_task_are_not_taken_back_at_once(here: Path, edgehold: Edgehold) -> None:
    both = edgehold("hub", "withdraw", "--share", "abcd", "--task", "abcd", "--yes", "--hub", "demo-out/hubs/0001")
    assert both.code == 2
