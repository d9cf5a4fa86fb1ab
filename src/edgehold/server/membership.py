"""What the operator of a node does as a member of its network: apply with its keys, and change the consensus key.

A new consensus key is on disk before the ledger hears of it, and takes the old one's place when the ledger has it: whatever
happens in between, the key that votes is never lost.
"""

from __future__ import annotations

from edgehold.crypto.names import account_id, network_id, validator_key_message
from edgehold.crypto.signatures import SigningKey
from edgehold.durable import sync_folder, write_file
from edgehold.ledger.state import State
from edgehold.ports import Randomness
from edgehold.server.cometbft import consensus_key_file, read_key_file
from edgehold.server.home import Home, consensus_key_of, network_of_home
from edgehold.wire.account import Role
from edgehold.wire.governance import Candidate, RotateKey

NEXT = "priv_validator_key.next.json"
OLD = "priv_validator_key.old.json"


def make_candidate(home: Home, account: SigningKey) -> Candidate:
    """What members need to admit a node's operator as a validator; nothing in it is secret. Raises `NodeNotFounded`."""
    consensus = consensus_key_of(home)
    operator = account_id(Role.ORGANISATION, account.public)
    message = validator_key_message(network_id(network_of_home(home)), operator, consensus.public)
    return Candidate(
        account_key=account.public,
        key=consensus.public,
        account_signature=account.sign(message),
        possession=consensus.sign(message),
    )


def prepare_rotation(home: Home, account: SigningKey, randomness: Randomness) -> RotateKey:
    """A fresh consensus key beside the one that votes, or the one that was prepared before; and what the ledger is told."""
    path = home.consensus_key.with_name(NEXT)
    if not path.exists():
        seed = randomness.draw(32)
        write_file(path, consensus_key_file(SigningKey(seed), seed))
    key = read_key_file(path)
    operator = account_id(Role.ORGANISATION, account.public)
    message = validator_key_message(network_id(network_of_home(home)), operator, key.public)
    return RotateKey(key=key.public, possession=key.sign(message))


def finish_rotation(home: Home, state: State, account: SigningKey) -> bool:
    """Put the prepared key in the place of the old one, which stays beside it, if the ledger has it; whether it has."""
    path = home.consensus_key.with_name(NEXT)
    operator = account_id(Role.ORGANISATION, account.public)
    keys = {seat.operator: seat.key for seat in state.seats.seats}
    if not path.exists() or keys.get(operator) != read_key_file(path).public:
        return False
    write_file(home.consensus_key.with_name(OLD), home.consensus_key.read_text(encoding="utf-8"))
    path.replace(home.consensus_key)
    sync_folder(path.parent)
    return True
