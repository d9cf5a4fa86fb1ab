"""Validators as real processes: two halves that live and die together, four that make blocks while three are there."""

from __future__ import annotations

import io
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import ProxyHandler, build_opener

import apsw
import msgspec
import pytest

from edgehold.cli import run
from edgehold.engine.replicated import FILE
from edgehold.ledger.genesis import read_genesis, write_genesis
from edgehold.server import pair
from edgehold.server.cometbft import VERSION
from edgehold.server.founding import read_founder_file
from edgehold.server.home import Home, open_home, peer_name, read_settings
from edgehold.server.inspection import ask_status
from edgehold.server.loopback import LOG, free_ports, homes_in, start_nodes, wait_for_height
from edgehold.server.pair import RESTARTS, running
from edgehold.server.replay import roll_back

pytestmark = pytest.mark.system


def edgehold(*words: str, code: int = 0) -> Any:
    """Run a command; what it says with --json."""
    said, log = io.StringIO(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(log):
        ended = run([*words, "--json"])
    assert ended == code, said.getvalue() + log.getvalue()
    return json.loads(said.getvalue())


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a network of four; whatever the tests do to it, nothing of it is left."""
    folder = tmp_path_factory.mktemp("network")
    yield folder
    edgehold("down", "--dir", str(folder))
    assert processes_in(folder) == []
    assert not [*folder.rglob("*.sock"), *folder.rglob("*.lock")]


@pytest.fixture
def folder(network: Path) -> Path:
    """A network of four, all of it up."""
    edgehold("up", "--validators", "4", "--block-interval", "300", "--dir", str(network))
    return network


def processes_in(folder: Path) -> list[str]:
    """Command lines of all processes that work below a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            place = (process / "cwd").resolve()
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:
            continue
        if place.is_relative_to(folder) or str(folder) in words:
            found.append(f"{process.name} {words}")
    return found


def halves(home: Home) -> dict[str, int]:
    """The process numbers of application and CometBFT, as the log has them last."""
    lines = [json.loads(line) for line in (home.folder / LOG).read_text().splitlines()]
    return {line["message"].split()[0]: line["pid"] for line in lines if "pid" in line}


def height(home: Home) -> int:
    return ask_status(read_settings(home).rpc).height


def wait_for(holds: Callable[[], bool], what: str, seconds: float = 40) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, f"waited {seconds} s for {what}"
        time.sleep(0.05)


def wait_for_blocks(home: Home, count: int = 2) -> None:
    first = height(home)
    wait_for(lambda: height(home) >= first + count, f"{count} blocks")


def ask(home: Home, path: str) -> tuple[int, str]:
    """What the node's own port answers."""
    try:
        with build_opener(ProxyHandler({})).open(f"http://{read_settings(home).health}{path}", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def listens(home: Home) -> bool:
    try:
        return ask(home, "/healthz")[0] > 0
    except OSError:
        return False


def metrics(home: Home) -> dict[str, float]:
    status, text = ask(home, "/metrics")
    assert status == 200
    lines = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in lines}


def test_a_whole_network_comes_up_and_down_and_up_again(folder: Path) -> None:
    homes = homes_in(folder)
    status = edgehold("node", "status", "--home", str(homes[1].folder))
    assert status["power"] == 10
    assert len(status["validators"]) == 4
    wait_for(lambda: len(ask_status(read_settings(homes[0]).rpc).peers) == 3, "every peer")
    wait_for_blocks(homes[0])
    before = height(homes[0])
    assert len(edgehold("down", "--dir", str(folder))["stopped"]) == 4
    assert processes_in(folder) == []
    assert not [*folder.rglob("*.sock"), *folder.rglob("*.lock")]
    edgehold("node", "status", "--home", str(homes[1].folder), code=7)
    edgehold("up", "--dir", str(folder))
    assert height(homes[0]) >= before


@pytest.mark.parametrize("half", ["application", "cometbft"])
def test_when_one_half_is_killed_both_start_again(folder: Path, half: str) -> None:
    home = homes_in(folder)[0]
    before, restarts = halves(home), metrics(home)["edgehold_restarts_total"]
    os.kill(before[half], signal.SIGKILL)
    wait_for(lambda: set(halves(home).values()).isdisjoint(before.values()), "both halves, new")
    wait_for(lambda: ask(home, "/readyz")[0] == 200, "the node to be ready")
    wait_for_blocks(home)
    assert metrics(home)["edgehold_restarts_total"] == restarts + 1


def test_a_killed_supervisor_leaves_nobody_behind(folder: Path) -> None:
    home = homes_in(folder)[0]
    pid = running(home)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not processes_in(home.folder), "both halves to end")
    assert running(home) is None


def test_two_of_four_make_no_block_and_three_go_on(folder: Path) -> None:
    homes = homes_in(folder)
    stop(homes[3])
    wait_for_blocks(homes[0])
    stop(homes[2])
    time.sleep(1)  # a block that was decided already
    stuck = height(homes[0])
    time.sleep(3)  # ten intervals
    assert height(homes[0]) == stuck
    assert height(homes[1]) == stuck
    edgehold("up", "--dir", str(folder))
    healed = time.monotonic()
    wait_for(lambda: height(homes[0]) > stuck, "the next block", 30)
    assert time.monotonic() - healed < 30
    for home in homes:
        wait_for(lambda home=home: height(home) > stuck, "everybody to be there again")  # type: ignore[misc]


def stop(home: Home) -> None:
    pid = running(home)
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: running(home) is None, "the node to end")


def node_here(home: Home, *options: str, meanwhile: Callable[[], None], code: int = 0) -> dict[str, Any]:
    """Run a node in this process while something happens to it; then it is told to stop."""
    troubles: list[BaseException] = []

    def act() -> None:
        try:
            wait_for(lambda: running(home) is not None, "the node to begin")
            meanwhile()
        except BaseException as trouble:
            troubles.append(trouble)
        if code == 0 or troubles:
            os.kill(os.getpid(), signal.SIGTERM)

    if running(home):
        stop(home)
    thread = threading.Thread(target=act)
    thread.start()
    try:
        said = edgehold("node", "start", *options, "--home", str(home.folder), code=code)
    finally:
        thread.join()
    assert troubles == []
    return dict(said)


def kill_application(home: Home) -> None:
    """As soon as there is one that has begun; a socket may be what a killed one left."""

    def applications() -> list[int]:
        return [int(line.split()[0]) for line in processes_in(home.folder) if "edgehold.server.application" in line]

    wait_for(lambda: home.socket.exists() and len(applications()) == 1, "the application")
    (pid,) = applications()
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{pid}").exists(), "its end")


def test_a_node_runs_until_it_is_told_to_stop(folder: Path) -> None:
    home = homes_in(folder)[0]
    begun: list[str] = []

    def look() -> None:
        wait_for(lambda: listens(home), "the node's own port")
        begun.append(ask(home, "/metrics")[1])
        wait_for(lambda: ask(home, "/readyz")[0] == 200, "the node")
        assert ask(home, "/healthz")[0] == 200
        assert ask(home, "/anything")[0] == 404
        assert metrics(home)["edgehold_answers"] == 1

    assert node_here(home, meanwhile=look)["stopped"]
    assert "edgehold_answers 0" in begun[0].splitlines()
    assert processes_in(home.folder) == []
    assert not home.socket.exists()


def test_a_node_without_restart_ends_with_an_error_when_a_half_is_killed(folder: Path) -> None:
    home = homes_in(folder)[0]
    error = node_here(home, meanwhile=lambda: kill_application(home), code=1)["error"]
    assert error["error"] == "NodeEnded"
    assert "application ended by SIGKILL" in error["message"]


def test_a_node_that_fails_again_and_again_ends(folder: Path) -> None:
    home = homes_in(folder)[0]

    def kill_again_and_again() -> None:
        for _ in range(RESTARTS):
            kill_application(home)

    error = node_here(home, "--restart", meanwhile=kill_again_and_again, code=1)["error"]
    assert f"{RESTARTS} times within" in error["message"]


@pytest.mark.parametrize("behind", [0, 10])
def test_a_node_whose_consensus_failed_ends(folder: Path, monkeypatch: pytest.MonkeyPatch, behind: int) -> None:
    """While it decides with the others, or while it fetches the blocks that they have made without it."""
    home, other = homes_in(folder)[:2]
    lying = str(Path(__file__).with_name("lying_application.py"))
    with monkeypatch.context() as changed:
        changed.setattr(
            pair, "application_command", lambda folder: [sys.executable, lying, "wrong root at once", folder]
        )
        stop(home)
        wait_for_blocks(other, behind)
        error = node_here(home, meanwhile=lambda: None, code=1)["error"]
    assert "consensus failed" in error["message"]
    assert processes_in(home.folder) == []
    roll_back(home)


def test_a_home_has_one_node(folder: Path) -> None:
    home = homes_in(folder)[0]
    said = edgehold("node", "start", "--home", str(home.folder), code=7)
    assert said["error"]["error"] == "NodeRuns"
    assert str(running(home)) in said["error"]["message"]


def test_a_node_says_whether_it_lives_and_is_ready_and_how_it_is(folder: Path) -> None:
    home = homes_in(folder)[0]
    assert ask(home, "/healthz") == (200, '{"ok": true, "reason": null}\n')
    assert ask(home, "/readyz")[0] == 200
    assert ask(home, "/anything")[0] == 404
    figures = metrics(home)
    assert figures["edgehold_voting_power_all"] == 40
    assert figures["edgehold_height"] >= 1
    assert figures['edgehold_process_resident_bytes{process="application"}'] > 1 << 20
    os.kill(halves(home)["cometbft"], signal.SIGSTOP)  # it hangs: alive, and of no use
    try:
        assert ask(home, "/healthz")[0] == 200
        wait_for(lambda: ask(home, "/readyz")[0] == 503, "the node to be found hanging")
    finally:
        os.kill(halves(home)["cometbft"], signal.SIGCONT)


def test_every_line_of_the_log_is_one_object(folder: Path) -> None:
    for line in (homes_in(folder)[0].folder / LOG).read_text().splitlines():
        assert {"at", "process", "level", "message"} <= json.loads(line).keys()


# ── a stopped node's disk ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def stopped(folder: Path) -> Home:
    """One of four, stopped after it kept a few blocks; the others go on."""
    home = homes_in(folder)[0]
    wait_for_blocks(home, 3)
    stop(home)
    return home


def test_what_a_stopped_node_keeps_is_verified_from_genesis(stopped: Home) -> None:
    found = edgehold("node", "verify", "--home", str(stopped.folder))
    assert found["first"] == 1
    assert found["replayed"]
    assert found["state_checked"]
    assert found["state_height"] == found["height"] >= 3


def test_an_altered_state_is_noticed(stopped: Home, tmp_path: Path) -> None:
    copy = Home(tmp_path / "copy")
    shutil.copytree(stopped.folder, copy.folder)
    database = apsw.Connection(str(copy.replica / FILE))
    database.execute("UPDATE passed SET root = zeroblob(32) WHERE height = (SELECT max(height) FROM passed)")
    database.close()
    assert edgehold("node", "verify", "--home", str(copy.folder), code=8)["error"]["error"] == "StateMismatch"


def test_blocks_of_another_genesis_are_noticed(stopped: Home, tmp_path: Path) -> None:
    copy = Home(tmp_path / "copy")
    shutil.copytree(stopped.folder, copy.folder)
    genesis = read_genesis(copy.genesis.read_bytes())
    richer = msgspec.structs.replace(genesis.founders[0], credits=genesis.founders[0].credits + 1)
    forged = msgspec.structs.replace(genesis, founders=(richer, *genesis.founders[1:]))
    copy.genesis.write_bytes(write_genesis(forged))
    assert edgehold("node", "verify", "--home", str(copy.folder), code=8)["error"]["error"] == "StateMismatch"


def test_a_node_that_went_back_comes_to_the_same_state(stopped: Home, folder: Path) -> None:
    edgehold("node", "rollback", "--home", str(stopped.folder), code=2)  # nobody said yes
    said = edgehold("node", "rollback", "--yes", "--home", str(stopped.folder))
    assert Path(said["aside"]).is_dir()
    edgehold("up", "--dir", str(folder))
    wait_for_blocks(stopped)
    stop(stopped)
    assert edgehold("node", "verify", "--home", str(stopped.folder))["state_checked"]


def test_a_newcomer_begins_with_a_snapshot_and_follows(stopped: Home, folder: Path, tmp_path: Path) -> None:
    taken = edgehold("node", "snapshot", "--take", "--home", str(stopped.folder))["snapshots"]
    edgehold("up", "--dir", str(folder))
    settings = read_settings(stopped)
    peer, rpc, health = (f"127.0.0.1:{port}" for port in free_ports(3))
    place = ["--address", peer, "--rpc", rpc, "--health", health, "--name", "newcomer"]
    join = ["--join", str(stopped.genesis), "--peer", peer_name(read_founder_file(stopped.founder))]
    edgehold("node", "init", "--home", str(tmp_path / "new"), *place, *join, "--snapshot-from", settings.rpc)
    newcomer = open_home(tmp_path / "new")
    start_nodes([newcomer])
    try:
        status = wait_for_height(newcomer, taken[-1]["height"] + 2)
        assert status.first_height > taken[-1]["height"] - 1
        assert status.power == 0
        wait_for_blocks(newcomer)
    finally:
        stop(newcomer)
    found = edgehold("node", "verify", "--home", str(newcomer.folder))
    assert found["first"] > 1
    assert not found["replayed"]


def test_the_doctor_finds_what_is_wrong(stopped: Home, folder: Path) -> None:
    def wrong(code: int = 1) -> set[str]:
        said = edgehold("node", "doctor", "--home", str(stopped.folder), code=code)
        return {one["what"] for one in said["findings"] if not one["ok"]}

    assert wrong(code=0) == set()
    stopped.consensus_key.chmod(0o644)
    assert wrong() == {"keys"}
    stopped.consensus_key.chmod(0o600)
    text = stopped.cometbft_genesis.read_text()
    stopped.cometbft_genesis.write_text(text.replace("edgehold-local", "another"))
    assert wrong() == {"genesis"}
    stopped.cometbft_genesis.write_text(text)
    with socket.create_server(("127.0.0.1", int(read_settings(stopped).health.rpartition(":")[2]))):
        assert wrong() == {"ports"}
    edgehold("up", "--dir", str(folder))
    wait_for(lambda: ask(stopped, "/readyz")[0] == 200, "the node to be ready")
    assert wrong(code=0) == set()


def test_without_the_program_the_error_says_how_to_get_it(stopped: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEHOLD_COMETBFT", "/nowhere/cometbft")
    error = edgehold("node", "start", "--home", str(stopped.folder), code=2)["error"]
    assert error["error"] == "NoCometBft"
    assert "make cometbft" in error["remedy"]
    monkeypatch.setenv("EDGEHOLD_COMETBFT", "/bin/true")
    assert "0.38.26" in edgehold("node", "start", "--home", str(stopped.folder), code=2)["error"]["message"]


def test_the_version_is_the_one_that_is_built() -> None:
    modules = (Path(__file__).parents[2] / "tools" / "cometbft" / "go.mod").read_text()
    assert re.search(rf"github.com/cometbft/cometbft v{VERSION}\b", modules)


def test_systemd_is_told_when_a_node_answers_and_stops(stopped: Home, tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
        told.bind(str(tmp_path / "notify"))
        told.settimeout(40)
        start = [sys.executable, "-m", "edgehold.cli", "node", "start", "--json", "--home", str(stopped.folder)]
        environment = os.environ | {"NOTIFY_SOCKET": str(tmp_path / "notify")}
        with subprocess.Popen(start, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment) as node:
            assert told.recv(64) == b"READY=1"
            node.terminate()
            assert told.recv(64) == b"STOPPING=1"
        assert node.returncode == 0


def test_the_unit_for_systemd_starts_a_command_that_there_is() -> None:
    unit = (Path(__file__).parents[2] / "packaging" / "systemd" / "edgehold-node.service").read_text()
    (command,) = re.findall(r"^ExecStart=/opt/edgehold/bin/edgehold (.+)$", unit, re.MULTILINE)
    ran = subprocess.run(
        [sys.executable, "-m", "edgehold.cli", *command.split()], capture_output=True, text=True, check=False
    )
    assert json.loads(ran.stdout)["error"]["error"] == "NoNode"  # this machine has none there
