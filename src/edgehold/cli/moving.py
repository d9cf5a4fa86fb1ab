"""Moving, restoring and repairing a hub: what the commands of `cli.hub` say and show. Each returns JSON values and lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from time import monotonic
from typing import Any, TypeAlias

from edgehold.cli.network import add_visitor, network_of, require_network
from edgehold.crypto.age import AgeIdentity, read_identities, read_recipients
from edgehold.errors import FileUnusable, NotANetwork, NotFound
from edgehold.hub.archive import Archive, export_hub, import_hub
from edgehold.hub.hub import NETWORK_FILE
from edgehold.hub.keys import RecoveryKit, read_kit
from edgehold.hub.repair import repair_hub
from edgehold.system import SystemRandomness
from edgehold.wire.data import ObjectId

Told: TypeAlias = tuple[dict[str, Any], list[str]]

MOST_TEXT = 1 << 20
"""Bytes of a file of keys."""


def move_out(hub: Path, target: Path, named: Sequence[str], recipients_file: Path | None) -> Told:
    """Write a hub's archive."""
    recipients = [one for text in named for one in read_recipients(text, "--recipient")]
    if recipients_file is not None:
        recipients += read_recipients(_text(recipients_file), str(recipients_file))
    made = export_hub(hub, target, recipients)
    facts = archive_facts(made) | {"file": str(target), "recipients": [str(one) for one in recipients]}
    others = f" and {len(recipients)} recipients" if len(recipients) > 1 else " and one recipient" if recipients else ""
    says = [
        f"your whole hub is in {target}: {made.objects} datasets, {made.size:,} bytes",
        f"  sealed to your recovery kit{others}, as of height {made.height}",
        "  what you erase from now on is still in it: then destroy it and make a new one",
    ]
    return facts, says


def move_in(archive: Path, hub: Path, identity: Path, network: Path | None) -> Told:
    """Make a hub of its archive and an identity."""
    return _made(archive, hub, read_identities(_text(identity), str(identity)), network, kit=None)


def restore(archive: Path, hub: Path, kit_file: Path, network: Path | None) -> Told:
    """Make a hub of its archive and the recovery kit."""
    kit = _kit(kit_file)
    return _made(archive, hub, [kit.identity], network, kit=kit)


def repair(hub: Path, archive: Path, kit_file: Path | None, identity: Path | None) -> Told:
    """Mend a hub with its archive, opened by the kit or by an identity."""
    if kit_file is not None:
        identities = [_kit(kit_file).identity]
    else:
        identities = [] if identity is None else read_identities(_text(identity), str(identity))
    mended = repair_hub(hub, archive, identities, SystemRandomness())
    facts = {
        name: [{"dataset": None if one is None else one.hex(), "what": what} for one, what in found]
        for name, found in (("restored", mended.restored), ("beyond", mended.beyond))
    }
    says = [f"{_title(one)}: {what}" for one, what in mended.restored]
    says += [f"still wrong: {_title(one)}: {what}" for one, what in mended.beyond]
    if not mended.beyond:
        says.append("every byte of your hub is the one that was stored")
    return {"hub": str(hub), **facts}, says


def _title(one: ObjectId | None) -> str:
    return "the store" if one is None else f"dataset {one.hex()[:8]}"


def _kit(path: Path) -> RecoveryKit:
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    return read_kit(path)


def _made(
    archive: Path, hub: Path, identities: Sequence[AgeIdentity], network: Path | None, kit: RecoveryKit | None
) -> Told:
    began = monotonic()
    if network is not None:
        require_network(network)
    note = None if network is None else f"{network.resolve()}\n"
    made = import_hub(archive, hub, identities, network=note, kit=kit)
    seconds = monotonic() - began
    place = _join(hub)
    facts = archive_facts(made) | {
        "hub": str(hub),
        "network": None if place is None else str(place),
        "seconds": round(seconds, 2),
    }
    says = [
        f"your hub is in {hub}: {made.objects} datasets, every byte checked, in {seconds:.1f} seconds",
        f"  account {made.account.hex()[:16]}, as of height {made.height}",
        "  what it may have answered since counts as spent",
        "  what you changed or erased since is as it was then: see `edgehold hub policy`, erase again",
        "  let no other copy of this hub run",
    ]
    if place is None:
        says.append(f"  its network is not on this machine: write the network's folder into {hub / NETWORK_FILE}")
    return facts, says


def _join(hub: Path) -> Path | None:
    """Let the hub's network know where it lies now; none if the network is not on this machine."""
    try:
        network = network_of(hub)
        require_network(network)
    except NotANetwork:
        return None
    if hub.resolve().parent.parent != network.resolve():
        add_visitor(network, "hubs", hub)
    return network


def archive_facts(archive: Archive) -> dict[str, Any]:
    """An archive as JSON values."""
    return {
        "account": archive.account.hex(),
        "height": archive.height,
        "datasets": archive.objects,
        "bytes": archive.size,
    }


def _text(path: Path) -> str:
    """A small text file of keys."""
    if not path.is_file():
        raise NotFound(f"there is no file {path}")
    if path.stat().st_size > MOST_TEXT:
        raise FileUnusable(f"{path} has {path.stat().st_size:,} bytes, more than any file of keys")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise FileUnusable(f"{path} is not text in UTF-8") from error
