"""Writes noise.json: seeds, sigmas and the draws they give, by a sampler in plain Python that shares no code with ours.

The draws are frozen: run it only to add cases. It refuses to write what the native module does not give as well.
"""

from __future__ import annotations

import json
from fractions import Fraction
from hashlib import sha256
from itertools import count as count_from
from math import floor
from pathlib import Path

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from edgehold.vdaf.noise import draw_noise

FILE = Path(__file__).parent / "noise.json"
CASES = [("1/2", 60), ("1", 60), ("481/100", 60), ("17", 40), ("22/7", 40), ("1000003/1000", 30)]
CASES += [
    ("1/18446744073709551615", 10),
    ("18446744073709551615", 10),
    ("18446744073709551615/18446744073709551557", 20),
]


class Sampler:
    """Canonne, Kamath, Steinke (2020), algorithms 1 to 3, over the ChaCha20 key stream under the seed."""

    def __init__(self, seed: bytes) -> None:
        self.stream = Cipher(ChaCha20(seed, bytes(16)), None).encryptor()

    def uniform(self, below: int) -> int:
        bits = (below - 1).bit_length()
        while True:
            drawn = int.from_bytes(self.stream.update(bytes((bits + 7) // 8)), "little") % (1 << bits)
            if drawn < below:
                return drawn

    def bernoulli(self, over: int, under: int) -> bool:
        return self.uniform(under) < over

    def bernoulli_exp(self, over: int, under: int) -> bool:
        """True with probability exp(-over / under); the fraction is not reduced."""
        if over > under:
            for _ in range(over // under):
                if not self.bernoulli_exp(1, 1):
                    return False
            over %= under
        for k in count_from(1):
            if not self.bernoulli(over, under * k):
                return k % 2 == 1
        raise AssertionError

    def laplace(self, scale: int) -> int:
        while True:
            rest = self.uniform(scale)
            if not self.bernoulli_exp(rest, scale):
                continue
            whole = 0
            while self.bernoulli_exp(1, 1):
                whole += 1
            size, negative = rest + scale * whole, self.bernoulli(1, 2)
            if size or not negative:
                return -size if negative else size

    def gaussian(self, sigma: Fraction) -> int:
        scale = floor(sigma) + 1
        a, b = sigma.numerator, sigma.denominator
        while True:
            drawn = self.laplace(scale)
            if self.bernoulli_exp((abs(drawn) * scale * b**2 - a**2) ** 2, 2 * a**2 * b**2 * scale**2):
                return drawn


def make_cases() -> list[dict[str, object]]:
    cases: list[dict[str, object]] = []
    for number, (sigma, count) in enumerate(CASES):
        seed = sha256(b"noise vector %d" % number).digest()
        sampler = Sampler(seed)
        draws = [sampler.gaussian(Fraction(sigma)) for _ in range(count)]
        if draws != draw_noise(seed, Fraction(sigma), count):
            raise SystemExit(f"the native sampler disagrees at σ = {sigma}")
        cases.append({"seed": seed.hex(), "sigma": sigma, "draws": draws})
    return cases


if __name__ == "__main__":
    FILE.write_text("[\n" + ",\n".join(json.dumps(case) for case in make_cases()) + "\n]\n")
