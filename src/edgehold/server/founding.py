"""How several organisations found a network: each writes a founder file, one document is made of them, all compare it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgehold.crypto.names import founder_message
from edgehold.crypto.signatures import verify
from edgehold.durable import PUBLIC, write_file
from edgehold.errors import BadFounderFile, BadSignature, FileUnusable, Malformed, NotAFounder
from edgehold.ledger.genesis import read_genesis, show_genesis, write_genesis
from edgehold.server.home import Home, consensus_key_of, found_home, peer_name, read_settings
from edgehold.verify.header import SECOND
from edgehold.wire.account import Role
from edgehold.wire.codec import decode
from edgehold.wire.founding import FounderClaim, FounderFile
from edgehold.wire.governance import Founder, Genesis, Parameters, Validator, Voting
from edgehold.wire.ids import PublicKey

CREDITS = 1_000_000_000
"""What the treasurer begins with; customers get theirs from it."""

USUAL_VOTING = Voting()
"""More than two thirds of the members decide on everything."""

POWER = 10
"""Of each founding validator: more than 1, so that powers can change by thirds of it."""

IN_EARNEST = Parameters(
    period=262_800,  # 91 days and a quarter at 30 s
    root_interval=20_160,  # a week
    block_interval_ms=30_000,
    least_panel=200,
    most_panel=2000,
    least_batch=100,
    hub_quota=10_000,
    expiry=1000,
    abort_fee=50,
    helper_share=400,
    acceptance_cap=500_000,
    suspension=262_800,
)
"""Parameters of a network whose blocks come at least every 30 s."""

DOCUMENT = "genesis.cbor"
PEERS = "peers.txt"


def read_founder_file(path: Path) -> FounderClaim:
    """What a founder says of itself, if both of its keys signed it; raises `BadFounderFile`, `FileUnusable`."""
    try:
        found = decode(path.read_bytes(), FounderFile)
        message = founder_message(found.claim)
        verify(found.claim.account_key, message, found.account_signature)
        verify(found.claim.consensus_key, message, found.consensus_signature)
    except OSError as error:
        raise FileUnusable(f"{path}: {error.strerror}") from error
    except (Malformed, BadSignature) as error:
        raise BadFounderFile(f"{path}: {error}") from error
    return found.claim


def make_document(
    claims: Sequence[FounderClaim],
    *,
    chain: str,
    time: int,
    treasurer: str,
    accreditors: Sequence[str],
    parameters: Parameters,
    voting: Voting = USUAL_VOTING,
) -> Genesis:
    """The genesis document of these founders, whatever their order; each operates a validator of the same power.

    Raises `BadFounderFile` if an office is held by nobody; `BadGenesis` comes when it is written.
    """
    founders = sorted(claims, key=lambda claim: claim.name)
    places = {claim.name: place for place, claim in enumerate(founders)}
    unknown = {treasurer, *accreditors} - set(places)
    if unknown:
        raise BadFounderFile(f"no founder is called {', '.join(sorted(unknown))}; there are {', '.join(places)}")
    return Genesis(
        chain=chain,
        time=time // SECOND * SECOND,
        founders=tuple(
            Founder(
                name=claim.name,
                key=claim.account_key,
                role=Role.ORGANISATION,
                credits=CREDITS if claim.name == treasurer else 0,
            )
            for claim in founders
        ),
        accreditors=tuple(sorted(places[name] for name in set(accreditors))),
        treasurer=places[treasurer],
        validators=tuple(Validator(key=claim.consensus_key, power=POWER) for claim in founders),
        operators=tuple(range(len(founders))),
        parameters=parameters,
        voting=voting,
    )


def write_document(folder: Path, genesis: Genesis, claims: Sequence[FounderClaim]) -> None:
    """What every founder gets: the document, the same for people, and where the nodes are reached."""
    data = write_genesis(genesis)
    folder.mkdir(parents=True, exist_ok=True)
    write_file(folder / DOCUMENT, data, mode=PUBLIC)
    write_file(folder / "genesis.json", show_genesis(genesis) + "\n", mode=PUBLIC)
    peers = sorted(peer_name(claim) for claim in claims)
    write_file(folder / PEERS, "".join(f"{peer}\n" for peer in peers), mode=PUBLIC)


def voting_key(home: Home) -> PublicKey:
    """The public half of the key that votes for a node; one that its signer has is named by the founder file.

    Raises `KeysUnusable`, `BadFounderFile`, `FileUnusable`.
    """
    if read_settings(home).signer:
        return read_founder_file(home.founder).consensus_key
    return consensus_key_of(home).public


def accept_document(home: Home, folder: Path) -> Genesis:
    """Let a founder's home belong to the network of a founding folder; raises `NotAFounder`, `FolderInUse`.

    1. Name and account key of the home's founder file are those of a founder.
    2. The home's consensus key is a validator.
    3. The home's node is where the others will look for it.
    """
    genesis = read_genesis((folder / DOCUMENT).read_bytes())
    peers = (folder / PEERS).read_text(encoding="utf-8").split()
    claim = read_founder_file(home.founder)
    # 1
    if (claim.name, claim.account_key) not in {(founder.name, founder.key) for founder in genesis.founders}:
        raise NotAFounder(f"{claim.name} with account key {claim.account_key.hex()} is not among the founders")
    # 2
    key = voting_key(home)
    if claim.consensus_key != key or key not in {validator.key for validator in genesis.validators}:
        raise NotAFounder(f"the consensus key {key.hex()} of this home is not among the validators")
    # 3
    if peer_name(claim) not in peers:
        raise NotAFounder(f"the others would not look for this node at {claim.address}: {peer_name(claim)} is missing")
    found_home(home, genesis, [peer for peer in peers if peer != peer_name(claim)])
    return genesis
