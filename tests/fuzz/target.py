"""What is fuzzed: one reader of foreign bytes, with examples that it accepts and the ways in which it may say no."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from bombs import Bombs
from mutation import BY_BYTES, BY_FIELDS, Mutator

from edgehold.errors import Malformed


class Broken(Exception):
    """A reader accepted what it must not, or gave back another value than was written: always a defect."""


@dataclass(frozen=True)
class Reader:
    """A reader in working order. `read` returns, refuses by one of the target's refusals, or shows a defect."""

    read: Callable[[bytes], object]
    seeds: Sequence[bytes]


NO_BOMBS = Bombs()


@dataclass(frozen=True)
class Target:
    """How a reader is made ready in an empty folder, how it refuses, and which changes its format invites."""

    prepare: Callable[[Path], Reader]
    refusals: tuple[type[Exception], ...] = (Malformed,)
    mutators: Sequence[Mutator] = BY_FIELDS
    bombs: Bombs = NO_BOMBS
    """Inputs that ask for much more than they are worth; each has to be refused."""
    heavy: Bombs = NO_BOMBS
    """Inputs that are good, and much: each has to be read as fast."""


def require(holds: bool, what: str) -> None:
    """Raise `Broken` unless this holds."""
    if not holds:
        raise Broken(what)


def only(valid: Collection[bytes], check: Callable[[bytes], object]) -> Reader:
    """A reader of signed or sealed bytes: whatever passes is, byte for byte, one of the valid ones."""

    def read(data: bytes) -> None:
        check(data)
        require(data in valid, "other bytes than those that were signed, sealed or proved are accepted")

    return Reader(read, list(valid))


# ── text ──────────────────────────────────────────────────────────────────────────────────────────────────────────

TOKEN = re.compile(rb'"(?:[^"\\\n]|\\.)*"|[\w.+-]+|\s+|.', re.DOTALL)

ODD_TOKENS = (
    *(b"", b"null", b"true", b"0", b"-1", b"-0.0", b"1e400", b"1e-400", b"9" * 30, b"9" * 5000, b"0x" + b"f" * 300),
    *(b'""', b'"\\ud800"', b'"\\u0000"', b'"\xff"', b'"' + b"a" * 300 + b'"', b'"9999-12-31"', b'"0000-00-00"'),
    *(
        b"{}",
        b"[]",
        b"[[]]",
        b'{"a": 1, "a": 2}',
        b"[" * 100,
        b'{"a":' * 100,
        b"\n",
        b"#",
        b"=",
        b".a" * 40,
        b"[[use]]",
    ),
    *(
        b'"1/0"',
        b'"1/3"',
        b"NaN",
        b"inf",
        b"1979-05-27T07:32:00Z",
        "\N{ARABIC-INDIC DIGIT ONE}".encode(),
        b"\xef\xbb\xbf",
    ),
)


def change_token(data: bytes, others: Sequence[bytes], dice: Random) -> bytes:
    """One word, number, string or mark is another, is missing, or stands there twice."""
    parts = TOKEN.findall(data) or [b""]
    at = dice.randrange(len(parts))
    kind = dice.randrange(5)
    if kind == 0:
        parts[at] = dice.choice(ODD_TOKENS)
    elif kind == 1:
        parts[at] = dice.choice(TOKEN.findall(dice.choice(others)) or [b""])
    elif kind == 2:
        parts.insert(at, dice.choice(ODD_TOKENS))
    elif kind == 3:
        del parts[at]
    else:
        parts[at:at] = parts[at : at + dice.randrange(1, 40)]
    return b"".join(parts)


BY_TOKENS: tuple[Mutator, ...] = (*BY_BYTES, *(change_token,) * 12)
