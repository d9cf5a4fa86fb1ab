"""CometBFT's genesis file, made from ours; and the check that it was."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import Any

from edgehold.crypto.names import network_id
from edgehold.engine.blocks import APP_VERSION, MAX_BLOCK
from edgehold.errors import BadGenesis, WrongGenesis
from edgehold.verify.header import SECOND, address_of
from edgehold.wire.governance import Genesis

MAX_CHAIN = 50
"""Characters of a chain's name that CometBFT takes."""

EVIDENCE_HEIGHTS = 100_000
"""Heights for which a validator answers for what it signed twice."""

EVIDENCE_SECONDS = 21 * 24 * 3600

MAX_EVIDENCE = 1 << 16
"""Bytes of evidence in a block."""


def cometbft_genesis(genesis: Genesis) -> dict[str, Any]:
    """The content of CometBFT's `genesis.json` for the network that our document founds; raises `BadGenesis`.

    Its `app_state` names the network, that is the digest of our document: a node with another one does not start.
    """
    if len(genesis.chain) > MAX_CHAIN:
        raise BadGenesis(f"CometBFT takes {MAX_CHAIN} characters as the name of a chain, not {len(genesis.chain)}")
    return {
        "genesis_time": write_time(genesis.time),
        "chain_id": genesis.chain,
        "initial_height": "1",
        "consensus_params": {
            "block": {"max_bytes": str(MAX_BLOCK), "max_gas": "-1"},
            "evidence": {
                "max_age_num_blocks": str(EVIDENCE_HEIGHTS),
                "max_age_duration": str(EVIDENCE_SECONDS * SECOND),
                "max_bytes": str(MAX_EVIDENCE),
            },
            "validator": {"pub_key_types": ["ed25519"]},
            "version": {"app": str(APP_VERSION)},
            "abci": {"vote_extensions_enable_height": "0"},
        },
        "validators": [
            {
                "address": address_of(validator.key).hex().upper(),
                "pub_key": {"type": "tendermint/PubKeyEd25519", "value": b64encode(validator.key).decode()},
                "power": str(validator.power),
                "name": "",
            }
            for validator in genesis.validators
        ],
        "app_hash": "",
        "app_state": {"network": network_id(genesis).hex()},
    }


def require_genesis(genesis: Genesis, *, chain: str, time: int, app_state: Any, validators: dict[bytes, int]) -> None:
    """Check that CometBFT starts from the file that ours makes; raises `WrongGenesis`. `validators` are powers by key."""
    expected = {
        "chain": genesis.chain,
        "time": genesis.time,
        "app_state": {"network": network_id(genesis).hex()},
        "validators": {bytes(validator.key): validator.power for validator in genesis.validators},
    }
    given = {"chain": chain, "time": time, "app_state": app_state, "validators": validators}
    for name, value in expected.items():
        if given[name] != value:
            raise WrongGenesis(f"its {name} is {given[name]!r}, ours is {value!r}")


def write_time(nanoseconds: int) -> str:
    """A time as CometBFT's files have it (RFC 3339)."""
    seconds, rest = divmod(nanoseconds, SECOND)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{rest:09d}Z"
