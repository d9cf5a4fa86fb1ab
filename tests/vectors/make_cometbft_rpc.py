"""Records cometbft_rpc.json: what real nodes say on RPC, three of a network of four with CometBFT's own kvstore.

    make cometbft && .venv/bin/python tests/vectors/make_cometbft_rpc.py

The fourth validator is never started, so commits have an absent vote; a transaction changes another's power.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

COMETBFT = Path(sys.executable).parent / "cometbft"
FIRST_PORT = 37_600
NODES = 4


def main() -> None:
    with TemporaryDirectory() as folder:
        home = Path(folder)
        testnet = ["testnet", "--v", str(NODES), "--o", folder, "--starting-ip-address", "127.0.0.1"]
        subprocess.run([COMETBFT, *testnet, "--populate-persistent-peers=false"], check=True, capture_output=True)
        peers = ",".join(f"{node_id(home, number)}@127.0.0.1:{port(number)}" for number in range(NODES - 1))
        processes = [start(home, number, peers) for number in range(NODES - 1)]
        try:
            recorded = record(home)
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                process.wait(10)
    Path(__file__).with_name("cometbft_rpc.json").write_text(json.dumps(recorded, indent=1) + "\n")


def node_id(home: Path, number: int) -> str:
    command = [COMETBFT, "show-node-id", "--home", home / f"node{number}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def port(number: int) -> int:
    return FIRST_PORT + 10 * number


def start(home: Path, number: int, peers: str) -> subprocess.Popen[bytes]:
    configuration = home / f"node{number}" / "config" / "config.toml"
    text = configuration.read_text().replace("addr_book_strict = true", "addr_book_strict = false")
    text = text.replace("allow_duplicate_ip = false", "allow_duplicate_ip = true").replace(
        'timeout_commit = "1s"', 'timeout_commit = "100ms"'
    )
    configuration.write_text(text)
    command = [COMETBFT, "start", "--home", configuration.parents[1], "--proxy_app", "kvstore"]
    addresses = [f"--p2p.laddr=tcp://127.0.0.1:{port(number)}", f"--rpc.laddr=tcp://127.0.0.1:{port(number) + 1}"]
    return subprocess.Popen([*command, *addresses, "--p2p.persistent_peers", peers], stdout=subprocess.DEVNULL)


def call(method: str, **params: object) -> dict[str, Any]:
    """The status and body of an answer, and what was asked."""
    asked = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
    address = f"http://127.0.0.1:{port(0) + 1}/"
    request = urllib.request.Request(address, json.dumps(asked).encode(), {"Content-Type": "application/json"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310 (our own node)
            return {"asked": asked, "status": answer.status, "body": answer.read().decode()}
    except urllib.error.HTTPError as error:
        return {"asked": asked, "status": error.code, "body": error.read().decode()}


def height() -> int:
    try:
        return int(json.loads(call("status")["body"])["result"]["sync_info"]["latest_block_height"])
    except OSError:
        return 0


def wait_for(wanted: int) -> None:
    for _ in range(300):
        if height() >= wanted:
            return
        time.sleep(0.2)
    sys.exit(f"the network did not reach height {wanted}")


def record(home: Path) -> dict[str, Any]:
    """Every answer that the ledger client reads, and every refusal that it may meet."""
    wait_for(3)
    genesis = json.loads((home / "node0" / "config" / "genesis.json").read_text())
    key = genesis["validators"][0]["pub_key"]["value"]
    say = {name: base64.b64encode(data).decode() for name, data in {"pair": b"a=b", "bad": b"nonsense"}.items()}
    said: dict[str, Any] = {"sent": call("broadcast_tx_sync", tx=say["pair"])}
    said["sent_again"] = call("broadcast_tx_sync", tx=say["pair"])
    said["refused"] = call("broadcast_tx_sync", tx=say["bad"])
    said["too_large"] = call("broadcast_tx_sync", tx=base64.b64encode(b"x=" + bytes([65]) * 1_100_000).decode())
    said["too_large"]["asked"]["params"]["tx"] = "…"
    wait_for(before := height() + 3)
    at = next(each for each in range(1, before) if "YT1i" in call("block", height=str(each))["body"])
    call("broadcast_tx_sync", tx=base64.b64encode(f"val=ed25519!{key}!3".encode()).decode())
    wait_for(height() + 5)
    said |= {
        "status": call("status"),
        "commit": call("commit", height=str(at)),
        "commit_last": call("commit"),
        "commit_above": call("commit", height="1000000"),
        "commit_zero": call("commit", height="0"),
        "validators": call("validators", height=str(at), page="1", per_page="100"),
        "validators_last": call("validators", height=str(height()), page="1", per_page="100"),
        "validators_page": call("validators", height=str(at), page="2", per_page="2"),
        "validators_no_page": call("validators", height=str(at), page="2", per_page="100"),
        "block": call("block", height=str(at)),
        "block_next": call("block", height=str(at + 1)),
        "block_results": call("block_results", height=str(at)),
        "block_results_empty": call("block_results", height="1"),
        "blockchain": call("blockchain", minHeight=str(at), maxHeight=str(at + 1)),
        "query": call("abci_query", path="/store", data=b"a".hex(), height="0", prove=False),
        "query_nothing": call("abci_query", path="/store", data=b"zz".hex(), height="0", prove=False),
        "unknown_method": call("no_such_method"),
        "bad_parameter": call("commit", height="x"),
    }
    return {"origin": f"CometBFT {version()}, kvstore", "genesis": genesis, "answers": said}


def version() -> str:
    return subprocess.run([COMETBFT, "version"], check=True, capture_output=True, text=True).stdout.strip()


if __name__ == "__main__":
    main()
