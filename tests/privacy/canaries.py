"""Words that occur nowhere but in certain records, and a search for them in every spelling that software gives to text."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from random import Random
from typing import Any

import zstandard

SONG = "zq7xk9wvj"
"""How every canary begins; whoever finds this has found one."""

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


def hatch(count: int) -> list[str]:
    """So many canaries."""
    dice = Random("canaries")
    return [f"{SONG}{number:03}{''.join(dice.choices('bcdfghlmnprst', k=6))}" for number in range(count)]


def plant(bundle: bytes, canaries: list[str]) -> tuple[bytes, int]:
    """A FHIR bundle with canaries in names, addresses, identifiers, codes, texts and notes; and how many it has."""
    document = json.loads(bundle)
    left = iter(canaries)
    planted = 0
    for place, field in _places(document):
        canary = next(left, None)
        if canary is None:
            break
        place[field] = canary
        planted += 1
    return json.dumps(document, separators=(",", ":")).encode(), planted


def _places(document: dict[str, Any]) -> Iterator[tuple[Any, Any]]:
    """Where a canary can sit: the person first, then codes and texts of what happened to them."""
    resources = [entry["resource"] for entry in document["entry"]]
    for patient in (one for one in resources if one["resourceType"] == "Patient"):
        for name in patient.get("name", []):
            yield name, "family"
            yield name["given"], 0
        for identifier in patient.get("identifier", []):
            yield identifier, "value"
        for address in patient.get("address", []):
            yield address, "city"
            yield address["line"], 0
        for contact in patient.get("telecom", []):
            yield contact, "value"
        yield patient["maritalStatus"], "text"
    for resource in resources:
        match resource["resourceType"]:
            case "Condition" | "Procedure":
                yield resource["code"]["coding"][0], "code"
                yield resource["code"]["coding"][0], "display"
                yield resource["code"], "text"
            case "Observation" if "valueCodeableConcept" in resource:
                yield resource["valueCodeableConcept"], "text"
                resource["note"] = [{"text": ""}]
                yield resource["note"][0], "text"
            case "Observation" if resource["code"]["coding"][0]["code"] not in ("39156-5", "85354-9"):
                yield resource["code"]["coding"][0], "code"
                if "valueQuantity" in resource:
                    yield resource["valueQuantity"], "unit"
            case _:
                pass


def spellings() -> list[bytes]:
    """The song in plain text, UTF-16, hexadecimal and base64, in upper case too."""
    found = []
    for song in (SONG, SONG.upper()):
        plain = song.encode()
        found += [plain, song.encode("utf-16-le"), plain.hex().encode(), plain.hex().upper().encode()]
        for before in range(3):
            encoded = base64.b64encode(bytes(before) + plain)
            found.append(encoded[4 if before else 0 : len(encoded) // 4 * 4 - 4])
    return found


SPELLINGS = spellings()


def sings(data: bytes) -> bool:
    """Whether a canary is in there, also inside what is packed."""
    return any(one in data for one in SPELLINGS) or any(
        any(one in unpacked for one in SPELLINGS) for unpacked in _unpacked(data)
    )


def _unpacked(data: bytes) -> Iterator[bytes]:
    at = data.find(ZSTD_MAGIC)
    while at >= 0:
        with suppress(zstandard.ZstdError):
            yield zstandard.ZstdDecompressor().decompressobj().decompress(data[at:])
        at = data.find(ZSTD_MAGIC, at + 1)


def singing_files(folder: Path) -> set[str]:
    """The files below a folder in which a canary is, in content or in name."""
    return {
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if (path.is_file() and sings(path.read_bytes())) or sings(path.name.encode())
    }
