"""A command that was stopped in the middle is no hindrance to the next, and one learns how to go on."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cli_story import Edgehold


class KilledError(BaseException):
    """The process ends here."""


def dying_at(name: str, write: Callable[..., int]) -> Callable[..., int]:
    """A way to write that ends the process before the first byte of the files of this name."""

    def watched(file: int, *arguments: Any) -> int:
        if name in str(Path(f"/proc/self/fd/{file}").readlink()):
            raise KilledError
        return write(file, *arguments)

    return watched


@pytest.mark.parametrize("file", ["own.toml", "own.py"])
def test_half_a_program_in_the_folder_is_no_hindrance(
    here: Path, edgehold: Edgehold, monkeypatch: pytest.MonkeyPatch, file: str
) -> None:
    assert edgehold("program", "new", "own").code == 0
    order = ("order", "new", "--program", "own.py", "--epsilon", "0.5", "--hold", "--json")
    with monkeypatch.context() as patched:
        for call in ("write", "sendfile"):
            patched.setattr(os, call, dying_at(f"programs/{file}", getattr(os, call)))
        with pytest.raises(KilledError):
            edgehold(*order)
    again = edgehold(*order)
    assert again.code == 0, again.out
    assert again.json["program"] == "own"


def test_the_status_of_an_open_order_says_how_to_go_on(here: Path, edgehold: Edgehold) -> None:
    (order,) = [
        one["order"] for one in edgehold("order", "status", "--json").json["orders"] if one["status"] == "placed"
    ]
    said = edgehold("order", "status", order)
    (command,) = [line.split("go on with: edgehold ")[1] for line in said.out.splitlines() if "go on with" in line]
    assert edgehold(*command.split()).code == 0
    assert "go on with" not in edgehold("order", "status", order).out
