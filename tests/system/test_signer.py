"""A validator whose consensus key lies elsewhere: CometBFT's own remote signer has it, on another machine in earnest."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from test_node import ask, edgehold, height, listens, processes_in, stop, wait_for

from edgehold.server.founding import voting_key
from edgehold.server.home import Home, consensus_key_of, open_home, read_settings
from edgehold.server.loopback import free_ports, start_nodes

pytestmark = pytest.mark.system

SIGNER = Path(sys.executable).with_name("priv_val_server")
SAYS = "readable by their owner only; the consensus key is its signer's; the account key lies here too: better in a safe place"


@pytest.fixture
def signed_elsewhere(tmp_path: Path) -> Iterator[Home]:
    """The home of a network's only validator, which waits for its signer."""
    ports = free_ports(4)
    address, rpc, health, signer = (f"127.0.0.1:{port}" for port in ports)
    folder = tmp_path / "alpha"
    places = ("--address", address, "--rpc", rpc, "--health", health, "--signer", signer)
    assert edgehold("node", "init", "--home", str(folder), "--name", "Alpha", *places)["signer"] == signer
    founding = (
        "--chain",
        "care",
        "--treasurer",
        "Alpha",
        "--set",
        "block_interval_ms=300",
        "--out",
        str(tmp_path / "network"),
    )
    edgehold("network", "create", str(folder / "founder.cbor"), *founding)
    yield open_home(folder)
    wait_for(lambda: processes_in(tmp_path) == [], "the end of every process")


def has_its_key(home: Home) -> bool:
    """Whether CometBFT, which does not listen before it knows its key, listens."""
    host, _, port = read_settings(home).rpc.rpartition(":")
    try:
        socket.create_connection((host.removeprefix("http://").removeprefix("tcp://"), int(port)), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def signer_of(home: Home, key: Path, state: Path, place: str) -> Iterator[None]:
    """The signer, with the key, as long as the block runs. It tries to reach the node for a second and then rests for
    ever, so it is begun again until it reached the node."""
    chain = json.loads(home.cometbft_genesis.read_bytes())["chain_id"]
    command = [SIGNER, "-addr", place, "-chain-id", chain, "-priv-key", key, "-priv-state", state]
    is_wanted = Event()
    is_wanted.set()

    def serve() -> None:
        while is_wanted.is_set():
            with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as signer:
                end = time.monotonic() + 2
                while is_wanted.is_set() and signer.poll() is None and (has_its_key(home) or time.monotonic() < end):
                    time.sleep(0.05)
                signer.kill()

    service = Thread(target=serve)
    service.start()
    try:
        yield
    finally:
        is_wanted.clear()
        service.join()


def test_a_key_that_a_signer_has_votes_from_there(signed_elsewhere: Home, tmp_path: Path) -> None:
    home, place = signed_elsewhere, read_settings(signed_elsewhere).signer
    assert place is not None
    folder = str(home.folder)
    key, state = tmp_path / "signer.json", tmp_path / "signer-state.json"
    voter = consensus_key_of(home).public
    home.consensus_key.rename(key)
    home.signed_last.rename(state)
    edgehold("network", "accept", str(tmp_path / "network"), "--home", folder)
    assert voting_key(home) == voter
    with signer_of(home, key, state, place):
        start_nodes([home])
        wait_for(lambda: listens(home) and ask(home, "/readyz")[0] == 200 and height(home) >= 3, "blocks")
        assert int(json.loads(state.read_bytes())["height"]) >= 3
    stopped = height(home)
    wait_for(lambda: int(json.loads(state.read_bytes())["height"]) <= stopped + 1, "the signer to be gone")
    with signer_of(home, key, state, place):
        wait_for(lambda: height(home) >= stopped + 2, "blocks, once the signer is back")
    stop(home)
    assert keys_found(home, code=0) == {"what": "keys", "ok": True, "says": SAYS, "remedy": ""}
    home.consensus_key.write_text(key.read_text())
    assert "a key in two places signs twice" in keys_found(home, code=1)["remedy"]


def keys_found(home: Home, code: int) -> dict[str, Any]:
    """What the doctor says of the keys."""
    said = edgehold("node", "doctor", "--home", str(home.folder), code=code)
    return next(one for one in said["findings"] if one["what"] == "keys")


def test_without_its_signer_a_node_says_what_it_waits_for(signed_elsewhere: Home, tmp_path: Path) -> None:
    edgehold("network", "accept", str(tmp_path / "network"), "--home", str(signed_elsewhere.folder))
    error = edgehold("node", "start", "--home", str(signed_elsewhere.folder), code=1)["error"]
    assert "the cometbft ended with code 1" in error["message"]
