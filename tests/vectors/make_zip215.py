"""Writes zip215.json: signatures on which Ed25519 libraries disagree, with the verdict of ZIP-215, in plain Python.

196 cases are those of ZIP-215: each of the 14 encodings of points of small order (8 canonical, 6 not) as key and as R,
s = 0, message "Zcash"; all hold. The others are near them: signatures shifted by a point of small order (they hold, by
the cofactor), s not below the group order, encodings of no point, changed messages and lengths. The curve is computed
here with integers.
"""

from __future__ import annotations

import json
from hashlib import sha512
from pathlib import Path

FILE = Path(__file__).parent / "zip215.json"
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, -1, P) % P
Point = tuple[int, int]
IDENTITY: Point = (0, 1)


def add(a: Point, b: Point) -> Point:
    (x1, y1), (x2, y2) = a, b
    cross = D * x1 * x2 * y1 * y2
    return (
        (x1 * y2 + x2 * y1) * pow(1 + cross, -1, P) % P,
        (y1 * y2 + x1 * x2) * pow(1 - cross, -1, P) % P,
    )


def times(scalar: int, point: Point) -> Point:
    total = IDENTITY
    while scalar:
        if scalar & 1:
            total = add(total, point)
        point, scalar = add(point, point), scalar >> 1
    return total


def square_root(value: int) -> int | None:
    root = pow(value, (P + 3) // 8, P)
    if (root * root - value) % P:
        root = root * pow(2, (P - 1) // 4, P) % P
    return None if (root * root - value) % P else root


def decode(encoded: bytes) -> Point | None:
    """ZIP-215: y may be p or more, and x = 0 may have its sign bit set."""
    bits = int.from_bytes(encoded, "little")
    y, sign = bits % 2**255 % P, bits >> 255
    x = square_root((y * y - 1) * pow(D * y * y + 1, -1, P) % P)
    if x is None:
        return None
    return (x if x % 2 == sign else -x % P), y


def encode(point: Point) -> bytes:
    return (point[1] | (point[0] % 2) << 255).to_bytes(32, "little")


BASE = decode((4 * pow(5, -1, P) % P).to_bytes(32, "little"))
assert BASE is not None


def holds(key: bytes, message: bytes, signature: bytes) -> bool:
    """ZIP-215: [8][s]B = [8]R + [8][k]A, with s below the group order."""
    if len(key) != 32 or len(signature) != 64:
        return False
    a, r, s = decode(key), decode(signature[:32]), int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    k = int.from_bytes(sha512(signature[:32] + key + message).digest(), "little") % L
    return times(8, times(s, BASE)) == times(8, add(r, times(k, a)))


def small_order_encodings() -> list[bytes]:
    """Every 32 bytes that decode to one of the 8 points of small order: 8 canonical, then 6 that are not."""
    generator = next(
        torsion
        for y in range(2, 100)
        if (point := decode(y.to_bytes(32, "little"))) and times(4, torsion := times(L, point)) != IDENTITY
    )
    points = [times(k, generator) for k in range(8)]
    found = [encode(point) for point in points]
    for bits in [
        y | sign << 255 for point in points for y in (point[1], point[1] + P) for sign in (0, 1) if y < 2**255
    ]:
        encoded = bits.to_bytes(32, "little")
        if decode(encoded) in points and encoded not in found:
            found.append(encoded)
    return found


def make_cases() -> list[dict[str, object]]:
    small = small_order_encodings()
    cases = [("small order", key, b"Zcash", r + bytes(32)) for key in small for r in small]
    secret, nonce, message = 2**200 + 12345, 2**201 + 54321, b"edgehold"
    for place in (0, 1, 3):
        torsion = decode(small[place]) or IDENTITY
        key, r = encode(add(times(secret, BASE), torsion)), encode(add(times(nonce, BASE), torsion))
        k = int.from_bytes(sha512(r + key + message).digest(), "little") % L
        s = (nonce + k * secret) % L
        signature = r + s.to_bytes(32, "little")
        cases += [
            (f"shifted by torsion {place}", key, message, signature),
            (f"shifted by torsion {place}, other message", key, message + b"!", signature),
            (f"shifted by torsion {place}, s + L", key, message, r + (s + L).to_bytes(32, "little")),
            (f"shifted by torsion {place}, s + 1", key, message, r + ((s + 1) % L).to_bytes(32, "little")),
        ]
    no_point = next(bytes([y]) + bytes(31) for y in range(2, 100) if decode(bytes([y]) + bytes(31)) is None)
    cases += [
        ("s = L", small[0], b"Zcash", small[0] + L.to_bytes(32, "little")),
        ("s = 2^255 - 1", small[0], b"Zcash", small[0] + (2**255 - 1).to_bytes(32, "little")),
        ("s = 2^256 - 1", small[0], b"Zcash", small[0] + b"\xff" * 32),
        ("key is no point", no_point, b"Zcash", small[0] + bytes(32)),
        ("R is no point", small[0], b"Zcash", no_point + bytes(32)),
        ("key too short", small[0][:31], b"Zcash", small[0] + bytes(32)),
        ("signature too long", small[0], b"Zcash", small[0] + bytes(33)),
        ("nothing", b"", b"", b""),
    ]
    return [
        {
            "case": case,
            "key": key.hex(),
            "message": text.hex(),
            "signature": signature.hex(),
            "holds": holds(key, text, signature),
        }
        for case, key, text, signature in cases
    ]


if __name__ == "__main__":
    FILE.write_text("[\n" + ",\n".join(json.dumps(case) for case in make_cases()) + "\n]\n")
