"""Write THIRD_PARTY.md: what Edgehold installs or links, with versions and licences. `--check` refuses a stale file."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from importlib.metadata import PackageMetadata, metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TARGET = ROOT / "THIRD_PARTY.md"

HEAD = """# Third-party software and data

Made by `tools/third_party.py` from the lock files; `make fix` writes it again.

"""

SHIPPED = """
## Inside the package

| what | licence | where it comes from |
| --- | --- | --- |
| `shipped/runtime.wasm.xz`: CPython 3.14 for WASI | PSF-2.0, Apache-2.0 WITH LLVM-exception | `tools/build_component` |
| `shipped/cohort`: 400 synthetic people | free to use (made with Synthea, Apache-2.0) | its README |
| `shipped/dictionaries`: public dictionaries | made from synthetic and CC0 examples | its README |
"""


def main() -> None:
    text = HEAD + python_part() + "\n" + rust_part() + SHIPPED
    if "--check" in sys.argv:
        if not TARGET.exists() or TARGET.read_text() != text:
            sys.exit("THIRD_PARTY.md is stale: run `make fix`")
        return
    TARGET.write_text(text)


def python_part() -> str:
    lines = [
        "## Python distributions that a hub installs\n",
        "| distribution | version | licence |",
        "| --- | --- | --- |",
    ]
    for name, version in re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements/hub.txt").read_text(), re.MULTILINE):
        lines.append(f"| {name} | {version} | {licence_of(metadata(name))} |")
    return "\n".join(lines) + "\n"


def licence_of(facts: PackageMetadata) -> str:
    if "License-Expression" in facts:
        return facts["License-Expression"]
    classifiers = [
        value.split(" :: ")[-1] for value in facts.get_all("Classifier") or [] if value.startswith("License ::")
    ]
    licence = facts["License"].strip().split("\n")[0] if "License" in facts else ""
    return ", ".join(classifiers) or licence or "see the distribution"


def rust_part() -> str:
    command = [
        "cargo",
        "metadata",
        "--locked",
        "--format-version",
        "1",
        "--filter-platform",
        "x86_64-unknown-linux-gnu",
    ]
    facts = json.loads(subprocess.run(command, cwd=ROOT / "rust", check=True, capture_output=True, text=True).stdout)
    linked = linked_packages(facts)
    lines = ["## Rust crates in the native module\n", "| crate | version | licence |", "| --- | --- | --- |"]
    for package in sorted(facts["packages"], key=lambda one: (one["name"], one["version"])):
        if package["id"] in linked and package["source"] is not None:
            lines.append(f"| {package['name']} | {package['version']} | {package['license'] or 'see the crate'} |")
    return "\n".join(lines) + "\n"


def linked_packages(facts: dict[str, object]) -> set[str]:
    """Ids reached from the root by normal dependencies: build and test tools are not linked."""
    resolve = facts["resolve"]
    assert isinstance(resolve, dict)
    nodes = {node["id"]: node for node in resolve["nodes"]}
    reached: set[str] = set()
    pending = [resolve["root"]]
    while pending:
        here = pending.pop()
        if here in reached:
            continue
        reached.add(here)
        pending += [
            dependency["pkg"]
            for dependency in nodes[here]["deps"]
            if any(kind["kind"] is None for kind in dependency["dep_kinds"])
        ]
    return reached


if __name__ == "__main__":
    main()
