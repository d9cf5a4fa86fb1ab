"""A network whose validators change: a fourth joins by vote, one leaves, one changes its key, and rules end that nobody has."""

from __future__ import annotations

import io
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import msgspec
import pytest
from one_validator import wait_for

from edgehold.cli import run
from edgehold.demo.seeded import SeededRandomness
from edgehold.engine.replicated import Replica
from edgehold.remote.ledger import connect
from edgehold.server.founding import IN_EARNEST, make_document, read_founder_file
from edgehold.server.home import Home, consensus_key_of, network_of_home, read_settings
from edgehold.server.inspection import ask_status
from edgehold.server.loopback import LOG, bring_up, found_homes, homes_in, make_homes, start_nodes, take_down
from edgehold.server.pair import running
from edgehold.system import SystemClock, SystemRandomness
from edgehold.verify.header import SECOND, order_validators, verify_header
from edgehold.verify.light import validators_at, verify_changes
from edgehold.verify.view import ProofCache, proved_state
from edgehold.wire.governance import Voting

pytestmark = pytest.mark.system

INTERVAL_MS = 500


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """Four nodes, of which three are validators."""
    folder = tmp_path / "network"
    claims = make_homes(folder, 4, INTERVAL_MS, SeededRandomness(1, str(tmp_path)))
    genesis = make_document(
        claims[:3],
        chain="governed",
        time=time.time_ns() // SECOND * SECOND,
        treasurer=claims[0].name,
        accreditors=[claims[0].name],
        parameters=msgspec.structs.replace(IN_EARNEST, block_interval_ms=INTERVAL_MS),
        voting=Voting(notice=4, rotation=1),
    )
    found_homes(folder, genesis)
    try:
        bring_up(folder)
        yield folder
    finally:
        take_down(folder)


def edgehold(*words: str | Path) -> Any:
    """What a command says as JSON."""
    said, log = io.StringIO(), io.StringIO()
    with redirect_stdout(said), redirect_stderr(log):
        ended = run([*map(str, words), "--json"])
    assert ended == 0, (words, said.getvalue(), log.getvalue())
    return json.loads(said.getvalue())


def decide(home: Home, others: list[Home], *change: str | Path) -> None:
    """One member proposes, others say yes, the last of them decides."""
    made = edgehold("gov", "propose", *change, "--home", home.folder)
    for other in others:
        assert made["status"] == "open"
        made = edgehold("gov", "vote", made["proposal"], "yes", "--home", other.folder)
    assert made["status"] == "decided", made


def stop(home: Home) -> None:
    pid = running(home)
    assert pid is not None
    os.kill(pid, signal.SIGTERM)
    wait_for(lambda: running(home) is None, "the node's end")


def powers_at(home: Home) -> dict[str, int]:
    """The validators, as a node's CometBFT has them."""
    return dict(ask_status(read_settings(home).rpc).validators)


def key_of(home: Home) -> str:
    return consensus_key_of(home).public.hex()


def test_validators_join_leave_and_change_keys_and_light_clients_follow(folder: Path, figures: Any) -> None:
    first, second, third, fourth = homes_in(folder)
    begun = time.monotonic()
    edgehold("gov", "candidate", "--home", fourth.folder, "--out", folder / "candidate.cbor")
    decide(first, [second, third], "admit", folder / "candidate.cbor")
    wait_for(lambda: powers_at(first).get(key_of(fourth)) == 10, "the fourth validator's power")
    wait_for(lambda: ask_status(read_settings(fourth).rpc).power == 10, "the fourth validator's own view")
    figures.most("governance: from proposal to a fourth validator that votes, s", time.monotonic() - begun)

    decide(fourth, [first, second], "power", read_founder_file(third.founder).name, "0")
    wait_for(lambda: key_of(third) not in powers_at(first), "the third validator's leave")
    stop(third)

    old = key_of(second)
    rotated = edgehold("gov", "rotate", "--home", second.folder)
    assert rotated["consensus_key"] == key_of(second) != old
    stop(second)
    start_nodes([second])
    wait_for(lambda: set(powers_at(first)) == {key_of(first), key_of(second), key_of(fourth)}, "the new key")
    wait_for(lambda: ask_status(read_settings(first).rpc).height > rotated["signs_from"] + 2, "blocks by the new key")

    genesis = network_of_home(first)
    addresses = [f"http://{read_settings(home).rpc}" for home in (first, second, fourth)]
    ledger = connect(addresses, genesis, None, SystemClock(), SystemRandomness())
    try:
        newest = ledger.light.newest().signed.header.height
        changes = ledger.light.changes(range(1, newest + 1))
        assert len(changes) == 3
        reigns = verify_changes(changes, genesis.chain, order_validators(genesis.validators))
        for height in range(1, newest + 1):
            signed = ledger.header(height)
            assert signed is not None
            verify_header(signed, genesis.chain, validators_at(reigns, height))
            assert signed.header.app_version == 1
        state, _ = proved_state(ledger, ProofCache(headers=ledger.light))
        assert {seat.key.hex(): seat.power for seat in state.seats.seats} == powers_at(first)
    finally:
        ledger.close()
    halt_at_unknown_rules([first, second, fourth])
    found = edgehold("node", "verify", "--home", first.folder)
    assert (found["replayed"], found["state_checked"]) == (True, True)


def halt_at_unknown_rules(homes: list[Home]) -> None:
    """All nodes stop before the first block of rules that they do not have, and say so."""
    last = ask_status(read_settings(homes[0]).rpc).height + 14
    decide(homes[0], homes[1:], "rules", "2", "--from", str(last + 1))
    for home in homes:
        wait_for(lambda log=home.folder / LOG: "EH415 UnknownRules" in log.read_text(), "the end of known rules")  # type: ignore[misc]
    wait_for(
        lambda: any("the cometbft ended" in log or "the application ended" in log for log in logs_of(homes)), "a halt"
    )
    for home in homes:
        if running(home) is not None:
            stop(home)
        replica = Replica(home.replica, network_of_home(home), SystemRandomness())
        try:
            assert (replica.height, replica.rules) == (last, 2)
        finally:
            replica.close()


def logs_of(homes: list[Home]) -> list[str]:
    return [(home.folder / LOG).read_text() for home in homes]
