"""Where a file is written whole or not at all, and where that cannot be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edgehold.durable import write_file


def test_a_link_stays_a_link_and_its_file_is_written(tmp_path: Path) -> None:
    link, file = tmp_path / "link", tmp_path / "elsewhere"
    link.symlink_to(file)
    write_file(link, "content")
    assert link.is_symlink()
    assert file.read_text() == "content"


def test_a_pipe_is_not_taken_the_place_of(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(OSError, match="is no file"):
        write_file(pipe, "content")
    assert pipe.is_fifo()
    assert [path.name for path in tmp_path.iterdir()] == ["pipe"]
