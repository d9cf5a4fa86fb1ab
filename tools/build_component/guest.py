"""The runtime that the sandbox starts for each run: CPython with the standard modules below, and no others.

Modules are imported here, while the component is built, because inside the sandbox there are no files to import them
from. The module also gives programs their `Person`.
"""

from __future__ import annotations

import array
import base64
import binascii
import bisect
import collections
import copy
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import heapq
import itertools
import json
import math
import operator
import random
import re
import statistics
import string
import struct
import textwrap
import traceback
import typing
import zlib

import wit_world  # type: ignore[import-not-found]
from componentize_py_types import Err  # type: ignore[import-not-found]
from wit_world.imports import vec  # type: ignore[import-not-found]

from edgehold.sandbox.person import Person

FOR_PROGRAMS = (
    array, base64, binascii, bisect, collections, copy, dataclasses, datetime, decimal, enum, fractions, functools,
    heapq, itertools, json, math, operator, re, statistics, string, struct, textwrap, typing, zlib,
)  # fmt: skip

random.Random.seed.__defaults__ = (0, 2)
"""The generator of `random` starts from zero. It would ask the host for 2,496 bytes at every start, and get zeros."""

MOST_TEXT = 2_000
"""Characters of an error that reach the owner's log."""


class HostVec:
    """The sums that the host makes; a call ends the run unless the program's manifest declares them."""

    def dot(self, left: str, right: str) -> float:
        """The sum of the products of two columns, row by row."""
        return float(vec.dot(str(left), str(right)))

    def sum(self, column: str) -> float:
        """The sum of one column."""
        return float(vec.sum(str(column)))


class WitWorld(wit_world.WitWorld):  # type: ignore[misc]
    """The exports of `sandbox/interface.wit`."""

    def run(self, source: str, params: str) -> str:
        """Run the program's `main` and give its answer as JSON; every way to fail is one of the world's."""
        try:
            names: dict[str, typing.Any] = {"__name__": "program"}
            exec(compile(source, "program.py", "exec"), names)  # noqa: S102 - this is what a sandbox is for
            return json.dumps(names["main"](Person(params, vec=HostVec())), allow_nan=False, separators=(",", ":"))
        except MemoryError:
            raise Err(wit_world.Failure_Memory()) from None
        except RecursionError:
            raise Err(wit_world.Failure_Depth()) from None
        except BaseException as error:
            raise Err(wit_world.Failure_Raised(describe(error))) from None


def describe(error: BaseException) -> str:
    """The error and the lines of the program that led to it, cut to `MOST_TEXT`."""
    places = [
        f"line {frame.lineno}" for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "program.py"
    ]
    where = f" ({' > '.join(places)})" if places else ""
    return f"{type(error).__name__}: {str(error)[:MOST_TEXT]}{where}"[:MOST_TEXT]
