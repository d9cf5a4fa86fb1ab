"""A validator that needs nobody else, in a home like any; and all that it had made when it was killed."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from four_validators import Validator
from one_validator import wait_for

from edgehold.crypto.names import account_id, network_id
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.demo.seeded import SeededRandomness
from edgehold.durable import Database
from edgehold.engine.blocks import encode_receipt
from edgehold.engine.replicated import FILE, Block, Replica
from edgehold.remote.node import Node
from edgehold.server.cometbft import Settings
from edgehold.server.founding import CREDITS, IN_EARNEST
from edgehold.server.home import Home, consensus_key_of, found_home, make_home, network_of_home
from edgehold.server.loopback import free_ports
from edgehold.server.replay import kept_blocks
from edgehold.verify.header import SECOND, hash_header
from edgehold.wire.account import Role, Transfer
from edgehold.wire.governance import Founder, Genesis
from edgehold.wire.governance import Validator as FoundingValidator
from edgehold.wire.ids import Digest

KEYS = [SigningKey(bytes([seed]) * 32) for seed in (2, 3)]
ACCOUNTS = [account_id(Role.ORGANISATION, key.public) for key in KEYS]
BLOCKS = 12
"""So many are made, with transactions in most."""

TABLES = {"passed": "height", "answer": "epoch, envelope", "state": "key_hash"}
"""The tables of a state, and in which order they are read."""


@dataclass(frozen=True)
class Kept:
    """What a node has on disk, and what was signed."""

    home: Home
    signed: list[tuple[Block, Digest, list[tuple[int, bytes]]]]
    """Every block from height 0 on, the root after it, and number and bytes of its receipts."""
    content: dict[str, list[Any]]
    """Every table of the state after the last of these blocks."""

    @property
    def genesis(self) -> Genesis:
        return network_of_home(self.home)

    @property
    def height(self) -> int:
        return self.signed[-1][0].height

    def go_on(self, replica: Replica) -> None:
        """Let a replica that is behind execute what comes after its height; every root and receipt is what was signed."""
        for block, root, results in self.signed[replica.height + 1 :]:
            assert execute(replica, block) == (root, results)


def live_and_be_killed(folder: Path) -> Kept:
    """Found a network of one, let it make some blocks under transfers, and kill both halves at once."""
    home = found_alone(folder / "home")
    genesis = network_of_home(home)
    validator = Validator(home)
    try:
        validator.start()
        wait_for(lambda: validator.height() >= 1, "the first block")
        credits = 0
        while validator.height() < BLOCKS:
            credits += 1
            body = Transfer(to=ACCOUNTS[1], credits=credits)
            signed = sign_transaction(KEYS[0], network_id(genesis), ACCOUNTS[0], 40 + 10 * credits, body)
            assert validator.node.broadcast(signed).code == 0
            time.sleep(0.05)  # so that they come into several blocks
    finally:
        validator.kill()
        home.socket.unlink(missing_ok=True)
    fresh = Replica(folder / "replica", genesis, SeededRandomness(1, "fresh"))
    try:
        with kept_blocks(home) as node:
            kept = Kept(home, [(Block(0, Digest(b""), genesis.time, ()), fresh.root, []), *replay(fresh, node)], {})
    finally:
        fresh.close()
    kept.content.update(content_of(folder / "replica"))
    shutil.rmtree(folder / "replica")
    return kept


def found_alone(folder: Path) -> Home:
    """The home of a network's only validator."""
    peer, rpc, health = (f"127.0.0.1:{port}" for port in free_ports(3))
    settings = Settings(name="alone", address=peer, rpc=rpc, health=health)
    home = make_home(folder, settings, SeededRandomness(1, "alone"))
    names = [f"founder {place}" for place in range(len(KEYS))]
    genesis = Genesis(
        chain="alone",
        time=time.time_ns() // SECOND * SECOND,
        founders=tuple(
            Founder(name, key.public, Role.ORGANISATION, CREDITS) for name, key in zip(names, KEYS, strict=True)
        ),
        accreditors=(0,),
        treasurer=0,
        validators=(FoundingValidator(consensus_key_of(home).public, 10),),
        operators=(1,),
        parameters=msgspec.structs.replace(IN_EARNEST, block_interval_ms=300),
    )
    found_home(home, genesis, [])
    return home


def replay(replica: Replica, node: Node) -> list[tuple[Block, Digest, list[tuple[int, bytes]]]]:
    """Every block that a node keeps, executed."""
    signed = []
    for height in range(1, node.signed_header().header.height + 1):
        header, transactions = node.block(height)
        block = Block(height, hash_header(header), header.time, transactions)
        assert header.app_hash == replica.root
        signed.append((block, *execute(replica, block)))
    return signed


def execute(replica: Replica, block: Block) -> tuple[Digest, list[tuple[int, bytes]]]:
    """The root and the receipts that a block comes to."""
    receipts, root = replica.finalize(block)
    replica.commit()
    return root, [(receipt.number, encode_receipt(receipt)) for receipt in receipts]


def content_of(folder: Path) -> dict[str, list[Any]]:
    """Every table of the state in a replica's folder."""
    database = Database(folder / FILE)
    try:
        return {
            table: database.execute(f"SELECT * FROM {table} ORDER BY {order}").fetchall()
            for table, order in TABLES.items()
        }
    finally:
        database.close()
