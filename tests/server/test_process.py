"""The application's process, and the classes of its messages."""

from __future__ import annotations

import signal
import subprocess
import sys
from filecmp import dircmp
from pathlib import Path

import pytest
from played import Line, init_chain, listens
from test_engine import GENESIS
from tools.abci_messages import PACKAGE, ROOT, write_messages

from edgehold.ledger.genesis import write_genesis
from edgehold.server.abci.messages import types_pb2 as abci

pytestmark = pytest.mark.system


def started(folder: Path) -> subprocess.Popen[bytes]:
    (folder / "genesis").write_bytes(write_genesis(GENESIS))
    options = ["--genesis", "genesis", "--folder", "replica", "--socket", "socket"]
    command = [sys.executable, "-m", "edgehold.server.abci", *options]
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE)
    while not listens(folder / "socket"):
        assert process.poll() is None, process.communicate()
    return process


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_ends_in_peace_when_it_is_told_to(tmp_path: Path, number: int) -> None:
    process = started(tmp_path)
    line = Line(tmp_path / "socket")
    assert line.ask(info=abci.RequestInfo()).last_block_height == 0
    process.send_signal(number)
    _, said = process.communicate(timeout=20)
    line.close()
    assert (process.returncode, said) == (0, b"")
    assert not (tmp_path / "socket").exists()


def test_it_ends_with_the_reason_when_it_must_not_go_on(tmp_path: Path) -> None:
    process = started(tmp_path)
    line = Line(tmp_path / "socket")
    request = init_chain(GENESIS)
    request.chain_id = "another"
    with pytest.raises(ConnectionError):
        line.ask(init_chain=request)
    line.close()
    _, said = process.communicate(timeout=20)
    assert process.returncode == 1
    assert b"WrongGenesis: its chain is 'another', ours is 'conformance'" in said


def test_the_classes_of_messages_are_those_of_the_pinned_definitions(tmp_path: Path) -> None:
    write_messages(tmp_path)
    compared = dircmp(tmp_path / PACKAGE, ROOT / "src" / PACKAGE, ignore=["__pycache__"])
    assert not compared.left_only + compared.right_only + compared.diff_files
    assert len(compared.same_files) == 11
