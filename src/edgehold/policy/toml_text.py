"""TOML as people give it to us, for policies and manifests: small, shallow, and read in bounded time.

The reader of the standard library takes time and memory with the square of the parts of a dotted key, and reaches
Python's own limits with deep brackets and long numbers. All that is refused with one error here.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from typing import Any

from edgehold.errors import Malformed

MOST_CHARACTERS = 64 * 1024

LONG_KEY = re.compile(r"""(?:\.[ \t]*+(?:[A-Za-z0-9_-]++|"(?:[^"\\\n]|\\.)*+"|'[^'\n]*+')[ \t]*+){32}""")
"""More parts than any key of ours has; also inside a string, where nothing of ours has so many points either."""

LONG_NUMBER = re.compile(r"0[xob][0-9A-Fa-f_]{200}")
"""Such numbers have no limit in the reader, and cannot be shown in decimal."""


def read_toml(text: str, parse_float: Callable[[str], Any] = float) -> dict[str, Any]:
    """The document's tables; raises `Malformed` with the place, where there is one."""
    if len(text) > MOST_CHARACTERS:
        raise Malformed(f"{len(text)} characters, at most {MOST_CHARACTERS} are allowed")
    if LONG_KEY.search(text):
        raise Malformed("a key of more than 32 parts")
    if LONG_NUMBER.search(text):
        raise Malformed("a number of more than 200 digits")
    try:
        return tomllib.loads(text, parse_float=parse_float)
    except RecursionError as error:
        raise Malformed("not TOML: too many brackets inside each other") from error
    except ValueError as error:  # among them `TOMLDecodeError`, and whole numbers of too many digits
        raise Malformed(f"not TOML: {error}") from error
