"""Transactions of a wanted size for the bench of the consortium: real ones under the rules, and key=value for kvstore.

Of 184 B: an organisation pays another. Of 250 B: an issuer declares a panel. Of 1 kB: a customer places an order. Each
is signed by one of many organisations in turn and takes effect; a name, or the diseases of a purpose, are as long as the
size wants it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256

from edgehold.crypto.names import account_id, network_id, panel_id, possession_message, program_id
from edgehold.crypto.seal import SealKeyPair
from edgehold.crypto.signatures import SigningKey
from edgehold.crypto.transactions import sign_transaction
from edgehold.wire.account import Attest, Claim, OpenAccount, Role, Transfer
from edgehold.wire.data import Grade, Kind
from edgehold.wire.governance import Founder, Genesis, Parameters, Validator
from edgehold.wire.ids import AccountId, Digest, PublicKey
from edgehold.wire.order import SAMPLING_ONE, PlaceOrder, Schedule
from edgehold.wire.panel import ClosePanel, DeclarePanel
from edgehold.wire.program import MeasurementKind, MeasurementType, PublishProgram, RunLimits, Sensitivity
from edgehold.wire.purpose import Permission, Purpose
from edgehold.wire.tx import Body

TRANSFER, PANEL, ORDER = SIZES = (184, 250, 1000)
"""Bytes of a transaction; a transfer is never longer."""

VALIDATORS = [bytes([number]) * 32 for number in range(1, 5)]
"""The seeds of the consensus keys; everybody knows them: nothing here is worth anything."""

FOUNDERS = [SigningKey(bytes([number]) * 32) for number in range(11, 15)]
ACCREDITOR, OFFICE = FOUNDERS[:2]
EXPIRES = 1000
CREDITS = 10**9
OWN_CREDITS = 10_000
"""What each organisation gets from the treasurer, who is a founder."""

FAR = 2**40
LONGEST = 64
"""Characters of a short text."""

GENESIS = Genesis(
    chain="bench",
    time=1_600_000_000 * 10**9,
    founders=tuple(
        Founder(f"founder {number}", key.public, Role.ORGANISATION, CREDITS) for number, key in enumerate(FOUNDERS)
    ),
    accreditors=(0,),
    treasurer=0,
    validators=tuple(Validator(SigningKey(seed).public, 10) for seed in VALIDATORS),
    operators=(0, 1, 2, 3),
    parameters=Parameters(
        period=FAR,
        root_interval=1,
        block_interval_ms=1000,
        least_panel=1,
        most_panel=2000,
        least_batch=1,
        hub_quota=1,
        expiry=EXPIRES,
        abort_fee=0,
        helper_share=500,
        acceptance_cap=500_000,
        suspension=10,
    ),
)


class Traffic:
    """What the organisations of a network send; the same in every round, since every round has a network of its own."""

    def __init__(self, organisations: int) -> None:
        self._keys = [SigningKey(b"organisation" + number.to_bytes(20, "big")) for number in range(organisations)]
        self._accounts = [account_id(Role.ORGANISATION, key.public) for key in self._keys]
        self._network = network_id(GENESIS)
        self._office = account_id(Role.ORGANISATION, OFFICE.public)
        self._seal_key = SealKeyPair(bytes(32)).public
        self._program = PublishProgram(
            source=_digest("source"),
            runtime=_digest("runtime"),
            engine="wasmtime 50",
            schema="edgehold.events/1",
            kinds=(Kind.EHR,),
            sensitivity=Sensitivity.AGGREGATE,
            measurement=MeasurementType(kind=MeasurementKind.COUNT, length=1, bound=0, weight=0),
            limits=RunLimits(fuel=10**9, memory_bytes=2**26, output_bytes=2**16, deadline_ms=1000),
        )
        self._panel = self._declared("bench", 0, _digest("keys"))

    def founding(self) -> list[list[bytes]]:
        """What has to be on the ledger first, in stages: each is committed before the next is sent."""
        office, accreditor = self._office, account_id(Role.ORGANISATION, ACCREDITOR.public)

        def attest(subject: AccountId, claim: Claim) -> bytes:
            return self._sign(ACCREDITOR, accreditor, Attest(subject, claim, FAR, _digest("statement")))

        return [
            [
                attest(office, Claim.ISSUER),
                attest(office, Claim.ACCREDITED),
                self._sign(OFFICE, office, self._program),
                *(self._sign(ACCREDITOR, accreditor, self._opening(accreditor, key)) for key in self._keys),
            ],
            [
                self._sign(OFFICE, office, self._panel),
                *(attest(account, Claim.ISSUER) for account in self._accounts),
                *(self._sign(ACCREDITOR, accreditor, Transfer(account, OWN_CREDITS)) for account in self._accounts),
            ],
            [self._sign(OFFICE, office, ClosePanel(panel_id(office, self._panel), enrolled=1000))],
        ]

    @property
    def public_keys(self) -> list[PublicKey]:
        """Who signs in turn."""
        return [key.public for key in self._keys]

    def of_size(self, size: int, count: int, name: str) -> list[bytes]:
        """So many transactions of exactly this size; those of other names are others."""
        if size == TRANSFER:
            return [self._signed(number, self._transfer(number)) for number in range(count)]
        make = self._panel_of if size == PANEL else self._order_of
        padding = _fitting(size, lambda length: len(self._signed(0, make(f"{name} 0", length))))
        return [self._signed(number, make(f"{name} {number}", padding)) for number in range(count)]

    def _signed(self, number: int, body: Body) -> bytes:
        place = number % len(self._keys)
        return self._sign(self._keys[place], self._accounts[place], body)

    def _transfer(self, number: int) -> Body:
        """To the next organisation, and of another amount each time that an organisation pays."""
        turn, place = divmod(number + 1, len(self._accounts))
        return Transfer(to=self._accounts[place], credits=1 + turn)

    def _panel_of(self, name: str, padding: int) -> Body:
        return self._declared(next(_texts(name, padding)), 1, _digest(name))

    def _order_of(self, name: str, padding: int) -> Body:
        return PlaceOrder(
            program=program_id(self._program),
            purpose=Purpose(permission=Permission.DS, diseases=tuple(_texts(name, padding))),
            panels=(panel_id(self._office, self._panel),),
            sampling=SAMPLING_ONE,
            least_batch=100,
            sigma_numerator=40,
            sigma_denominator=1,
            price=0,
            leader=self._office,
            seal_key=self._seal_key,
            memo=_digest(name),
            schedule=Schedule(request=10, join=10, upload=10, revoke=10, close=10, share=10, accept=10),
        )

    def _declared(self, scheme: str, period: int, keys_root: Digest) -> DeclarePanel:
        return DeclarePanel(
            scheme=scheme,
            period=period,
            number=0,
            kinds=(Kind.EHR,),
            grade=Grade.SIGNED,
            schemas=("edgehold.events/1",),
            slots=1,
            keys_root=keys_root,
        )

    def _opening(self, sponsor: AccountId, key: SigningKey) -> OpenAccount:
        possession = key.sign(possession_message(self._network, sponsor, key.public))
        return OpenAccount(Role.ORGANISATION, key.public, None, possession)

    def _sign(self, key: SigningKey, sender: Digest, body: Body) -> bytes:
        return sign_transaction(key, self._network, sender, EXPIRES, body)


def key_values(size: int, count: int, name: str) -> list[bytes]:
    """So many transactions of this size for CometBFT's kvstore: one key each, which nobody signed."""
    texts = (_text(f"{name} {number}", size) for number in range(count))
    return [f"{text[:16]}={text[17:]}".encode() for text in texts]


def _fitting(size: int, size_with: Callable[[int], int]) -> int:
    """With how much padding a transaction has a size; raises `ValueError` if with none."""
    for padding in range(1, LONGEST * 16):
        if size_with(padding) == size:
            return padding
    raise ValueError(f"no transaction has {size} bytes")


def _texts(name: str, length: int) -> Iterator[str]:
    """Texts of so many characters in all, ascending, none longer than a short text may be."""
    for place, at in enumerate(range(0, length, LONGEST)):
        yield (chr(ord("a") + place) + _text(f"{name} {place}", LONGEST))[: min(LONGEST, length - at)]


def _text(name: str, length: int) -> str:
    """Characters that no compression makes fewer than half of."""
    digests = (sha256(f"{name} {part}".encode()).hexdigest() for part in range(length // 64 + 1))
    return "".join(digests)[:length]


def _digest(name: str) -> Digest:
    return Digest(sha256(name.encode()).digest())
