"""Four validators, each as its two processes, with links between them that can be cut; and a load that counts answers."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from threading import Event, Lock, Thread
from types import MappingProxyType
from typing import Any

import msgspec
from msgspec import Struct
from one_validator import wait_for

from edgehold.bench.relay import Relay
from edgehold.bench.validators import Processor, processor_seconds
from edgehold.crypto.cose import open1
from edgehold.crypto.names import account_id, network_id, payload_digest
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import NodeError
from edgehold.remote.node import HEADERS, Node
from edgehold.remote.rpc import Rpc
from edgehold.server.cometbft import find_cometbft
from edgehold.server.founding import CREDITS, IN_EARNEST, make_document, read_founder_file
from edgehold.server.home import Home, found_home, read_settings
from edgehold.server.loopback import homes_in, make_homes
from edgehold.verify.header import SECOND, hash_header
from edgehold.wire.account import Account, Role, Transfer
from edgehold.wire.codec import decode
from edgehold.wire.entry import Collection, entry_key
from edgehold.wire.governance import Voting
from edgehold.wire.header import Header
from edgehold.wire.ids import Digest
from edgehold.wire.query import ENTRY, RECEIPT, EntryAnswer, ReceiptAnswer

LYING = Path(__file__).with_name("lying_application.py")
COUNT = 4
INTERVAL_MS = 1000
"""Blocks come at least so often."""

PATIENCE = 60.0
RECOVERY = 30.0
"""Seconds within which blocks have to come again when enough validators reach each other."""


class _Info(Struct):
    last_block_height: str = "0"
    last_block_app_hash: str = ""


class _Answer(Struct):
    response: _Info


class Validator:
    """One node's two processes; each can be killed by itself, and both started again on what they left."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.port = port_of(read_settings(home).rpc)
        self._rpc = Rpc(f"http://127.0.0.1:{self.port}", seconds=5)
        self.node = Node(self._rpc)
        self.application: subprocess.Popen[bytes] | None = None
        self.cometbft: subprocess.Popen[bytes] | None = None
        self.program = find_cometbft()
        self.environment: dict[str, str] = {}
        """What CometBFT is told beside what this process was."""

    @property
    def processes(self) -> list[subprocess.Popen[bytes]]:
        return [process for process in (self.application, self.cometbft) if process]

    def start(self, lie: str | None = None) -> None:
        """Start both, with an honest application or another one; returns when both run."""
        home = self.home
        home.socket.unlink(missing_ok=True)
        program = [str(LYING), lie] if lie else ["-m", "edgehold.server.application"]
        self.application = self._spawn([sys.executable, *program, str(home.folder)])
        application = self.application
        wait_for(lambda: home.socket.exists() or application.poll() is not None, "the application's socket")
        self.cometbft = self._spawn([str(self.program), "start", "--home", str(home.folder)], self.environment)

    def kill(self) -> None:
        """End both at once."""
        for process in self.processes:
            process.kill()
        self.let_go()

    def let_go(self) -> None:
        """Both have ended, or end now."""
        for process in self.processes:
            with suppress(ProcessLookupError):
                process.kill()
            process.wait()
            if process.stdin:
                process.stdin.close()
        self.application = self.cometbft = None
        self._rpc.close()

    @property
    def is_running(self) -> bool:
        return len(self.processes) == 2 and all(process.poll() is None for process in self.processes)

    def applied(self) -> tuple[int, str]:
        """Height and root of the state that the application committed last; 0 if nobody answers."""
        try:
            info = self._rpc.call("abci_info", _Answer).response
        except NodeError:
            return 0, ""
        return int(info.last_block_height), info.last_block_app_hash

    def height(self) -> int:
        return self.applied()[0]

    def call(self, method: str, **parameters: object) -> Any:
        """What the node says, as it says it."""
        return msgspec.json.decode(self._rpc.call(method, msgspec.Raw, **parameters))

    def processor(self) -> Processor:
        """Processor seconds that both have used."""
        assert self.cometbft is not None
        assert self.application is not None
        return Processor(processor_seconds(self.cometbft), processor_seconds(self.application))

    def catch_up(self, others: FourValidators) -> float:
        """Seconds until it has what any had when this began, and all are of one state."""
        begun, goal = time.monotonic(), others.top()
        wait_for(lambda: self.height() >= goal, f"height {goal}", PATIENCE)
        return time.monotonic() - begun

    def log(self) -> str:
        return (self.home.folder / "log").read_text(errors="replace")

    def _spawn(self, command: Sequence[str], more: Mapping[str, str] = MappingProxyType({})) -> subprocess.Popen[bytes]:
        environment = {**os.environ, **more}
        with (self.home.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self.home.folder, env=environment, stdin=subprocess.PIPE, stdout=log, stderr=log
            )


class FourValidators:
    """The network; every node reaches every other over a link of its own."""

    def __init__(self, folder: Path, founded_ago: int = 0) -> None:
        """Found it, so many seconds ago as its document says."""
        self.folder = folder
        self.relay = Relay()
        make_homes(folder, COUNT, INTERVAL_MS, SeededRandomness(1, str(folder)))
        homes = homes_in(folder)
        claims = [read_founder_file(home.founder) for home in homes]
        self.genesis = make_document(
            claims,
            chain="four-validators",
            time=(time.time_ns() // SECOND - founded_ago) * SECOND,
            treasurer=claims[0].name,
            accreditors=[claims[1].name],
            parameters=msgspec.structs.replace(IN_EARNEST, block_interval_ms=INTERVAL_MS),
            voting=Voting(),
        )
        for place, home in enumerate(homes):
            peers = [
                f"{claim.node}@127.0.0.1:{self.relay.link(place, other, port_of(claim.address))}"
                for other, claim in enumerate(claims)
                if other != place
            ]
            found_home(home, self.genesis, peers)
            know_nobody_else(home)
        self.validators = [Validator(home) for home in homes]
        self.load = Load(self)

    def start(self) -> None:
        """Start all, and wait for the first block."""
        for validator in self.validators:
            if not validator.is_running:
                validator.let_go()
                validator.start()
        self.agree(1)

    def recover(self) -> None:
        """Let everything be as it should: links, processes, and one state."""
        self.relay.delay(0)
        self.relay.heal()
        self.start()

    def stop(self) -> None:
        """End everything."""
        self.load.stop()
        for validator in self.validators:
            validator.kill()
        self.relay.close()

    def top(self) -> int:
        """The highest height that any application has committed."""
        return max(validator.height() for validator in self.validators)

    def agree(self, height: int = 0, among: Iterable[int] = range(COUNT)) -> int:
        """Wait until these applications are at one height, this at least, with one root; returns it."""
        places, found = list(among), [(0, "")]

        def is_agreed() -> bool:
            states = {self.validators[place].applied() for place in places}
            found[:] = states
            return len(states) == 1 and found[0][0] >= max(height, 1)

        wait_for(is_agreed, f"one state of {places}", PATIENCE)
        return found[0][0]

    def stand_still(self, seconds: float) -> None:
        """No application commits anything for so long; a block that was decided before is let come, if the machine is busy."""

        def heights() -> list[int]:
            return [validator.height() for validator in self.validators if validator.is_running]

        deadline = time.monotonic() + PATIENCE
        most, before = max(heights()) + 1, list[int]()
        while before != (now := heights()):
            assert max(now) <= most, f"blocks go on: {now}"
            assert time.monotonic() < deadline, f"blocks come late: {now}"
            before = now
            time.sleep(seconds)

    def wait_for_blocks(self, count: int, among: Sequence[int] = range(COUNT)) -> float:
        """Seconds until each of these has so many blocks more than any had before."""
        begun, goal = time.monotonic(), max(self.validators[place].height() for place in among) + count
        wait_for(lambda: all(self.validators[place].height() >= goal for place in among), f"height {goal}", PATIENCE)
        return time.monotonic() - begun

    def halve_and_reunite(self, seconds: float) -> float:
        """Two halves stand still for so long; a transaction that one took is answered once they are one again.

        Returns the seconds from the reunion to a block, at most `RECOVERY`.
        """
        self.relay.cut((0, 1), (2, 3))
        signed, envelope = self.load.transfer(self.top())
        assert self.validators[0].node.broadcast(signed).code == 0
        self.stand_still(seconds)
        assert not self.load.is_answered(0, envelope)
        self.relay.heal()
        reunion = self.wait_for_blocks(1)
        assert reunion <= RECOVERY
        wait_for(lambda: self.load.is_answered(COUNT - 1, envelope), "the receipt on the other side", RECOVERY)
        return reunion

    # ── as the bench's observer sees a network ────────────────────────────────────────────────────────────────────

    @property
    def ports(self) -> list[int]:
        return [validator.port for validator in self.validators]

    @property
    def node(self) -> Node:
        return self.validators[0].node

    def applied(self) -> tuple[int, str]:
        return self.validators[0].applied()

    def processor(self) -> Processor:
        pairs = [validator.processor() for validator in self.validators if validator.is_running]
        return Processor(sum(one.nodes for one in pairs), sum(one.applications for one in pairs))

    # ── what must always hold ─────────────────────────────────────────────────────────────────────────────────────

    def check(self, among: Sequence[int] = range(COUNT)) -> int:
        """No fork, nothing acknowledged lost, nothing applied twice; returns how many transactions there are."""
        height = self.agree(among=among)
        left = {self.credits_left(place, height) for place in among}  # the state of a block is kept for a few blocks
        chains = [headers_of(self.validators[place].node, height) for place in among]
        assert all(chain == chains[0] for chain in chains), "a fork"
        node = self.validators[among[0]].node
        blocks = [node.block(header.height)[1] for header in chains[0]]
        payloads = [open1(transaction).payload for block in blocks for transaction in block]
        envelopes = [payload_digest(payload) for payload in payloads]
        assert len(set(envelopes)) == len(envelopes), "a transaction is there twice"
        assert self.load.acknowledged <= set(envelopes), "an acknowledged transaction is lost"
        paid = sum(self.load.sent[envelope] for envelope in envelopes)
        assert left == {CREDITS - paid}
        return len(envelopes)

    def credits_left(self, place: int, height: int) -> int:
        """What the treasurer holds after a block, as a node says."""
        said = self.validators[place].node.query(ENTRY, entry_key(Collection.ACCOUNT, self.load.payer), height)
        assert said.code == 0, said.facts
        value = decode(said.value, EntryAnswer).value
        assert value is not None
        return decode(value, Account).credits


@dataclass
class Load:
    """Transfers of the treasurer, each of another amount."""

    network: FourValidators
    sent: dict[Digest, int] = field(default_factory=dict)
    """Credits by envelope."""
    acknowledged: set[Digest] = field(default_factory=set)
    """Those whose receipt a node showed."""

    def __post_init__(self) -> None:
        homes = [validator.home for validator in self.network.validators]
        keys = [SigningKey(bytes.fromhex(home.account_key.read_text())) for home in homes]
        accounts = [account_id(Role.ORGANISATION, key.public) for key in keys]
        self._key, self.payer, self._payees = keys[0], accounts[0], accounts[1:]
        self._network_id = network_id(self.network.genesis)
        self._ending = Event()
        self._threads: list[Thread] = []
        self._changing = Lock()

    def transfer(self, height: int) -> tuple[bytes, Digest]:
        """The next transfer, signed."""
        with self._changing:
            credits = len(self.sent) + 1
            body = Transfer(to=self._payees[credits % len(self._payees)], credits=credits)
            signed = sign_transaction(self._key, self._network_id, self.payer, height + 900, body)
            envelope = payload_digest(open1(signed).payload)
            self.sent[envelope] = credits
        return signed, envelope

    def note(self, signed: bytes) -> Digest:
        """Another transaction, by which the treasurer pays nothing, is sent as well."""
        envelope = payload_digest(open1(signed).payload)
        with self._changing:
            self.sent[envelope] = 0
        return envelope

    def pay(self, place: int, seconds: float = RECOVERY) -> float:
        """Hand one transfer to a node and wait until that node shows its receipt; returns the seconds it took."""
        begun, validator = time.monotonic(), self.network.validators[place]
        signed, envelope = self.transfer(self.network.top())
        assert validator.node.broadcast(signed).code == 0
        wait_for(lambda: self.is_answered(place, envelope), "the receipt", seconds)
        return time.monotonic() - begun

    def is_answered(self, place: int, envelope: Digest) -> bool:
        """Whether a node shows the receipt of a transaction; then it may not be lost."""
        try:
            said = self.network.validators[place].node.query(RECEIPT, envelope)
        except NodeError:
            return False
        found = decode(said.value, ReceiptAnswer).found
        if found is None:
            return False
        assert found.receipt.number == 0
        self.acknowledged.add(envelope)
        return True

    def start(self, per_second: float) -> None:
        """Send from now on, to every node in a thread of its own: one that hangs keeps nobody else waiting."""
        self._ending.clear()
        pause = COUNT / per_second
        self._threads = [Thread(target=self._send, args=(place, pause), name="load") for place in range(COUNT)]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Send no more."""
        self._ending.set()
        for thread in self._threads:
            thread.join()
        self._threads = []

    def _send(self, place: int, pause: float) -> None:
        validator = self.network.validators[place]
        waiting: deque[Digest] = deque(maxlen=200)  # the oldest go, which were lost with the node that held them
        while not self._ending.wait(pause):
            if not validator.is_running or not (height := validator.height()):
                continue
            signed, envelope = self.transfer(height)
            waiting.append(envelope)
            with suppress(NodeError):
                validator.node.broadcast(signed)
            for _ in range(min(3, len(waiting))):
                other = waiting.popleft()
                if not self.is_answered(place, other):
                    waiting.append(other)


def headers_of(node: Node, height: int) -> list[Header]:
    """The headers up to a height, each named by the next."""
    chain: list[Header] = []
    for first in range(1, height + 1, HEADERS):
        chain += node.headers(first, min(first + HEADERS - 1, height))
    for one, following in pairwise(chain):
        assert following.last_block.hash == hash_header(one)
    assert [header.height for header in chain] == list(range(1, height + 1))
    return chain


def know_nobody_else(home: Home) -> None:
    """A node tells nobody of others: what it is told of them is all it ever knows, so that a link that is cut is cut."""
    text = home.settings.read_text()
    home.settings.write_text(text.replace("[p2p]\n", "[p2p]\npex = false\n", 1))


def port_of(address: str) -> int:
    return int(address.rpartition(":")[2])


def eventually(holds: Callable[[], bool], what: str, seconds: float = RECOVERY) -> float:
    """Seconds until something holds."""
    begun = time.monotonic()
    wait_for(holds, what, seconds)
    return time.monotonic() - begun
