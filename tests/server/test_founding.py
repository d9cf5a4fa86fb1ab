"""A network is founded by all who sign their part of it, and by nobody who does not."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from edgehold.cli import run
from edgehold.crypto.names import network_id
from edgehold.crypto.signatures import SigningKey
from edgehold.demo.seeded import SeededRandomness
from edgehold.errors import (
    BadFounderFile,
    BadNodeSettings,
    FileUnusable,
    FolderInUse,
    KeysUnusable,
    NoNode,
    NotAFounder,
)
from edgehold.server.cometbft import Settings, read_key_file
from edgehold.server.founding import (
    IN_EARNEST,
    accept_document,
    make_document,
    read_founder_file,
    write_document,
)
from edgehold.server.home import Home, make_home, open_home, peer_name, read_settings, sign_claim
from edgehold.wire.codec import encode
from edgehold.wire.founding import FounderClaim
from edgehold.wire.governance import Genesis

NAMES = ("alpha", "beta", "gamma")


@pytest.fixture
def homes(tmp_path: Path) -> list[Home]:
    return [made(tmp_path, name, number) for number, name in enumerate(NAMES)]


def made(folder: Path, name: str, number: int) -> Home:
    settings = Settings(
        name=name,
        address=f"{name}.example:26656",
        rpc="127.0.0.1:26657",
        health="127.0.0.1:26670",
        keep_blocks=number,
    )
    return make_home(folder / name, settings, SeededRandomness(number, name))


def document_of(claims: list[FounderClaim], accreditors: tuple[str, ...] = NAMES, treasurer: str = "beta") -> Genesis:
    return make_document(
        claims,
        chain="care",
        time=1_800_000_000_123_456_789,
        treasurer=treasurer,
        accreditors=accreditors,
        parameters=IN_EARNEST,
    )


def test_all_founders_get_one_network_whoever_collects_in_whatever_order(homes: list[Home], tmp_path: Path) -> None:
    claims = [read_founder_file(home.founder) for home in homes]
    genesis = document_of(claims)
    assert document_of(claims[::-1]) == genesis
    write_document(tmp_path / "network", genesis, claims)
    accepted = [accept_document(home, tmp_path / "network") for home in homes]
    assert {network_id(one) for one in accepted} == {network_id(genesis)}
    for home, claim in zip(homes, claims, strict=True):
        settings = read_settings(home)
        assert sorted(settings.peers) == sorted(peer_name(one) for one in claims if one != claim)
        assert settings.block_interval_ms == IN_EARNEST.block_interval_ms
    assert [read_settings(home).keep_blocks for home in homes] == [0, 1, 2]


def test_keys_and_homes_are_their_owner_s(homes: list[Home], tmp_path: Path) -> None:
    for path in (homes[0].consensus_key, homes[0].node_key, homes[0].account_key):
        assert path.stat().st_mode & 0o077 == 0
    assert homes[0].folder.stat().st_mode & 0o077 == 0
    with pytest.raises(FolderInUse):
        made(tmp_path, "alpha", 0)
    with pytest.raises(NoNode):
        open_home(tmp_path)


def test_a_founder_file_that_its_keys_did_not_sign_is_refused(homes: list[Home], tmp_path: Path) -> None:
    claim = read_founder_file(homes[0].founder)
    stranger, consensus = SigningKey(bytes([7]) * 32), read_key_file(homes[0].consensus_key)
    for signed in (sign_claim(claim, stranger, consensus), sign_claim(claim, stranger, stranger)):
        homes[0].founder.write_bytes(encode(signed))
        with pytest.raises(BadFounderFile):
            read_founder_file(homes[0].founder)
    data = homes[1].founder.read_bytes()
    for place in range(len(data)):
        homes[1].founder.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(BadFounderFile):
            read_founder_file(homes[1].founder)
    with pytest.raises(FileUnusable):
        read_founder_file(tmp_path / "nothing")


def test_offices_are_held_by_founders(homes: list[Home]) -> None:
    claims = [read_founder_file(home.founder) for home in homes]
    with pytest.raises(BadFounderFile, match="no founder is called delta"):
        document_of(claims, accreditors=("alpha", "delta"))


def test_a_home_accepts_only_what_has_its_own_keys_and_address(homes: list[Home], tmp_path: Path) -> None:
    claims = [read_founder_file(home.founder) for home in homes]
    own = claims[0]
    stranger = SigningKey(bytes([9]) * 32).public
    forged = {
        "without": claims[1:],
        "another account": [msgspec.structs.replace(own, account_key=stranger), *claims[1:]],
        "another vote": [msgspec.structs.replace(own, consensus_key=stranger), *claims[1:]],
        "another address": [msgspec.structs.replace(own, address="evil.example:26656"), *claims[1:]],
    }
    for name, listed in forged.items():
        accreditors = tuple(claim.name for claim in listed)
        write_document(tmp_path / name, document_of(listed, accreditors, treasurer=listed[-1].name), listed)
        with pytest.raises(NotAFounder):
            accept_document(homes[0], tmp_path / name)
    assert not homes[0].genesis.exists()


def test_a_home_belongs_to_one_network(homes: list[Home], tmp_path: Path) -> None:
    claims = [read_founder_file(home.founder) for home in homes]
    write_document(tmp_path / "first", document_of(claims), claims)
    write_document(tmp_path / "second", document_of(claims, accreditors=("alpha",)), claims)
    accept_document(homes[0], tmp_path / "first")
    accept_document(homes[0], tmp_path / "first")
    with pytest.raises(FolderInUse):
        accept_document(homes[0], tmp_path / "second")


def test_what_somebody_typed_wrongly_into_settings_or_keys_is_said(homes: list[Home]) -> None:
    homes[0].settings.write_text(homes[0].settings.read_text().replace("[edgehold]", "[edgehole]"))
    with pytest.raises(BadNodeSettings, match="edgehold"):
        read_settings(homes[0])
    homes[1].settings.write_text("moniker = ")
    with pytest.raises(BadNodeSettings):
        read_settings(homes[1])
    homes[2].node_key.write_text("{}")
    with pytest.raises(KeysUnusable):
        read_key_file(homes[2].node_key)


@pytest.mark.parametrize(
    ("words", "error"),
    [
        ("--join network/genesis.cbor", "UsageError"),
        ("--peer 00@127.0.0.1:1", "UsageError"),
        ("--snapshot-from 127.0.0.1:1", "UsageError"),
        ("--join network/genesis.cbor --peer 00@127.0.0.1:1 --network 00", "WrongNetwork"),
        ("--join network/genesis.cbor --peer 00@127.0.0.1:1 --snapshot-from 127.0.0.1:1 --trust 7", "UsageError"),
    ],
)
def test_a_newcomer_is_told_what_is_missing(
    words: str,
    error: str,
    homes: list[Home],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    claims = [read_founder_file(home.founder) for home in homes]
    write_document(tmp_path / "network", document_of(claims), claims)
    command = ["node", "init", "--home", "new", "--name", "new", "--address", "127.0.0.1:2", "--json", *words.split()]
    assert run(command) != 0
    assert json.loads(capsys.readouterr().out)["error"]["error"] == error
    assert not Path("new").exists()


@pytest.mark.parametrize("value", ["least_panel", "least_panel=many", "panels=3", "least_panel=0", "least_panel=5000"])
def test_a_parameter_that_is_none_founds_nothing(
    value: str, homes: list[Home], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [str(home.founder) for home in homes]
    out = tmp_path / "network"
    assert run(["network", "create", *files, "--chain", "care", "--set", value, "--out", str(out)]) != 0
    assert "EH" in capsys.readouterr().err
    assert not out.exists()


def test_a_founding_document_is_not_written_over(homes: list[Home], tmp_path: Path) -> None:
    create = ["network", "create", *(str(home.founder) for home in homes), "--chain", "care"]
    assert run([*create, "--out", str(tmp_path / "network")]) == 0
    first = (tmp_path / "network" / "genesis.cbor").read_bytes()
    assert run([*create, "--out", str(tmp_path / "network")]) != 0
    assert (tmp_path / "network" / "genesis.cbor").read_bytes() == first
