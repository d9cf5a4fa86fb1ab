"""The hub's side of an enrolment visit: slot keys blinded, signed all at once, checked and kept."""

from __future__ import annotations

from typing import TypeVar

from edgehold.crypto.blind import blind, finalize
from edgehold.crypto.hash import tagged_hash
from edgehold.crypto.merkle import tree_root
from edgehold.crypto.names import possession_message
from edgehold.errors import BadPanelKeys, BadSignature, EnrolmentError, NoService, all_errors
from edgehold.hub.journal import Journal
from edgehold.hub.keys import HubKeys
from edgehold.ports import Peer
from edgehold.wire.codec import decode, encode
from edgehold.wire.data import LeafOpening
from edgehold.wire.enrolment import (
    AccountAsked,
    AskAccount,
    AskPanelKeys,
    Blinded,
    Declined,
    Enrol,
    Enrolled,
    FromIssuer,
    Invitation,
    PanelKeys,
    ToIssuer,
    Visit,
)
from edgehold.wire.ids import AccountId, Digest, Modulus, NetworkId, PanelId, SlotKey
from edgehold.wire.panel import DeclarePanel

T = TypeVar("T", AccountAsked, PanelKeys, Enrolled)


def ask_account(issuer: Peer, sponsor: AccountId, network: NetworkId, keys: HubKeys, invitation: Invitation) -> Digest:
    """Ask the issuer to open the hub's account; returns the digest of the entry's envelope, to look for its receipt.

    Raises `EnrolmentError` as the issuer says it, `NoService`.
    """
    key = keys.signing.public
    asked = AskAccount(
        invitation=invitation,
        key=key,
        owner_key=keys.owner_key,
        possession=keys.signing.sign(possession_message(network, sponsor, key)),
    )
    return _send(issuer, asked, AccountAsked).envelope


def ask_panel_keys(issuer: Peer, panel: PanelId) -> tuple[Modulus, ...]:
    """The slot verification keys of a panel as its issuer shows them, in slot order; whoever relies on them compares
    the root. Raises `PanelNotOpen`, `NoService`.
    """
    return _send(issuer, AskPanelKeys(panel), PanelKeys).moduli


def enrol(
    issuer: Peer,
    network: NetworkId,
    declared: DeclarePanel,
    journal: Journal,
    keys: HubKeys,
    account: AccountId,
    panel: PanelId,
    opening: LeafOpening,
) -> None:
    """Enrol into a panel: one visit, all slots.

    1. The issuer's slot verification keys are those under the root that it declared on the ledger.
    2. The slot keys and what blinds them follow from the slot seed, so that a broken-off visit is repeated as it was.
    3. The issuer signs all of them or none; every token is checked before it is kept.

    Raises `BadPanelKeys`, `EnrolmentError` as the issuer says it, `NoService`.
    """
    # 1
    moduli = ask_panel_keys(issuer, panel)
    if len(moduli) != declared.slots or tree_root(moduli) != declared.keys_root:
        raise BadPanelKeys(f"{len(moduli)} keys of panel {panel.hex()} are not those under its root")
    # 2
    slot_keys = [SlotKey(keys.slot_key(panel, slot).public) for slot in range(len(moduli))]
    hidden = [
        blind(modulus, slot_key, keys.blinding_seed(panel, slot))
        for slot, (modulus, slot_key) in enumerate(zip(moduli, slot_keys, strict=True))
    ]
    visit = Visit(
        network=network,
        panel=panel,
        account=account,
        opening=opening,
        blinded=tuple(Blinded(one.message) for one in hidden),
    )
    signature = keys.signing.sign(tagged_hash("visit", encode(visit)))
    # 3
    answer = _send(issuer, Enrol(visit=visit, signature=signature), Enrolled)
    if answer.panel != panel or len(answer.signatures) != len(moduli):
        raise BadPanelKeys(f"{len(answer.signatures)} signatures for {len(moduli)} slots of panel {panel.hex()}")
    try:
        tokens = [
            (modulus, finalize(modulus, signed, one.secret, slot_key))
            for modulus, signed, one, slot_key in zip(moduli, answer.signatures, hidden, slot_keys, strict=True)
        ]
    except BadSignature as error:
        raise BadPanelKeys(f"panel {panel.hex()}: {error}") from error
    journal.add_panel(panel, tokens)


def _send(issuer: Peer, message: ToIssuer, kind: type[T]) -> T:
    answer: FromIssuer = decode(issuer.send(encode(message)), FromIssuer)
    if isinstance(answer, Declined):
        named = {error.number: error for error in all_errors() if issubclass(error, EnrolmentError)}
        raise named.get(answer.number, EnrolmentError)(answer.facts)
    if not isinstance(answer, kind):
        raise NoService(f"the issuer answered {type(answer).__name__} where {kind.__name__} was asked")
    return answer
