"""Bombs: small programs that would grow without end: in depth, in memory, in what the compiler makes of them, in what
they say. Each with the error that must stop it."""

from __future__ import annotations

from hostile import LITTLE, LONG, Hostile, body
from msgspec.structs import replace

from edgehold.errors import (
    FuelExhausted,
    MemoryExceeded,
    OutputTooLarge,
    ProgramCrashed,
    ProgramFailed,
    SandboxError,
    StackExceeded,
)

TALKATIVE = replace(LITTLE, output_bytes=1 << 20)
"""Room for an answer of a megabyte."""


def nest(what: str, start: str, step: str, then: str, imports: str = "") -> Hostile:
    """Something put into itself 100,000 times by `step`, and then used by code that is written in C."""
    lines = (f"x = {start}", f"for _ in range(10 ** 5): x = {step}", then)
    return Hostile(what, body(*lines, imports=imports), StackExceeded)


def grow(what: str, line: str, stopped_by: type[SandboxError] = MemoryExceeded, imports: str = "") -> Hostile:
    """One line that wants more than there is."""
    return Hostile(what, body(line, imports=imports), stopped_by)


def source(what: str, text: str, stopped_by: type[SandboxError]) -> Hostile:
    """A text that is short, and heavy to compile."""
    assert len(text) <= 60_100
    return Hostile(what, text, stopped_by)


def says(what: str, answer: str, stopped_by: type[SandboxError]) -> Hostile:
    """A program that puts its own function in the place of the one that writes the answer."""
    return Hostile(what, body("return 1", imports=f"import json\njson.dumps = lambda *a, **k: {answer}"), stopped_by)


DEEP = (
    nest("a chain of chains", "iter(())", "itertools.chain(x)", "next(x, None)", "import itertools"),
    nest("a map of maps", "iter((1,))", "map(abs, x)", "next(x)"),
    nest("a zip of zips", "iter((1,))", "zip(x)", "next(x)"),
    nest("lists to compare", "[]", "[x]", "x == eval(repr(1)) or x == [x[0]] or repr(x)"),
    nest("a tuple to hash", "()", "(x,)", "hash(x)"),
    nest("a tuple of types", "(int,)", "(x,)", "isinstance('', x)"),
    nest("a type of types", "int", "list[x]", "repr(x)"),
    nest("a copy", "[]", "[x]", "copy.deepcopy(x)", "import copy"),
    nest("an answer of dictionaries", "1", "{'x': x}", "return x"),
    Hostile(
        "objects let go one in the other",
        body(
            "class A: pass",
            "x = A()",
            "for _ in range(2 * 10 ** 5):",
            "    y = A(); y.x = x; x = y",
            "del y, x",
            "return 1",
        ),
        StackExceeded,
    ),
    Hostile("nested JSON", body("json.loads('[' * 10 ** 6)", imports="import json"), StackExceeded),
    Hostile(
        "nested objects of JSON", body('json.loads(\'{"x":\' * 10 ** 5)', imports="import json"), StackExceeded
    ),
    Hostile("a nested pattern", body("re.compile('(' * 10000 + ')' * 10000)", imports="import re"), StackExceeded),
    Hostile(
        "a pattern that looks ahead of itself",
        body("re.compile('(?=' * 5000 + ')' * 5000)", imports="import re"),
        StackExceeded,
    ),
    Hostile(
        "a generator of generators",
        body("def more(n):", "    yield from more(n + 1)", "next(more(0))"),
        StackExceeded,
    ),
    Hostile(
        "generators without Python's limit",
        body("def more(n):", "    yield from more(n + 1)", "sys.setrecursionlimit(10 ** 9)", "next(more(0))",
             imports="import sys"),
        StackExceeded,
        LONG,
    ),
    Hostile(
        "an attribute that asks for itself",
        "class A:\n    def __getattr__(self, name): return getattr(self, name)\ndef main(person): return A().x",
        StackExceeded,
    ),
    Hostile(
        "a text that contains its own text",
        "class A:\n    def __repr__(self): return repr(self)\ndef main(person): return repr(A())",
        StackExceeded,
    ),
    Hostile(
        "a comparison that compares itself",
        "class A:\n    def __eq__(self, other): return self == other\ndef main(person): return A() == A()",
        StackExceeded,
    ),
    Hostile(
        "an end that begins another",
        "class A:\n    def __del__(self): A()\ndef main(person): A()",
        StackExceeded,
    ),
    Hostile(
        "a sort that sorts", "def key(x): return sorted([1], key=key)\ndef main(person): return key(1)", StackExceeded
    ),
    Hostile(
        "a map without Python's limit",
        "import sys\ndef f(x): return next(map(f, [1]))\n"
        "def main(person):\n    sys.setrecursionlimit(10 ** 9)\n    return f(1)",
        StackExceeded,
        LONG,
    ),
    Hostile(
        "errors caused by errors",
        body("e = None", "for _ in range(10 ** 5):", "    n = ValueError(); n.__cause__ = e; e = n", "raise e"),
        ProgramFailed,
    ),
    Hostile(
        "groups of groups of errors",
        body("e = ValueError()", "for _ in range(5 * 10 ** 4): e = ExceptionGroup('x', [e])", "raise e"),
        ProgramFailed,
    ),
    Hostile("marshalled lists", body("import marshal; marshal.loads(b'[\\x01\\0\\0\\0' * 10 ** 5)"), ProgramFailed),
)  # fmt: skip

COMPILER = (
    source("lists in lists", "x = " + "[" * 30_000 + "]" * 30_000, MemoryExceeded),
    source("brackets at the parser's limit", "x = " + "(" * 250 + ")" * 250, MemoryExceeded),
    source("many signs", "x = " + "-" * 60_000 + "1", MemoryExceeded),
    source("a name of a name", "x = a" + ".a" * 30_000, StackExceeded),
    source("a long sum", "x = " + "1+" * 30_000 + "1", StackExceeded),
    source("calls of calls", "x = f" + "()" * 30_000, StackExceeded),
    source("functions of functions", "x = " + "lambda:" * 8_500 + "1", MemoryExceeded),
    source("a power at compile time", "x = 2 ** 2 ** 2 ** 2 ** 2 ** 2", FuelExhausted),
    source("a shift at compile time", "x = 1 << 10 ** 10", MemoryExceeded),
    source("a text at compile time", "x = " + "(" * 50 + "'a' * 4000" + ") * 4000" * 50, ProgramFailed),
    source("ten thousand cases", "match 1:\n case " + "|".join(map(str, range(10_000))) + ": pass", ProgramFailed),
    source("a tower of blocks", "".join(" " * i + "if 1:\n" for i in range(100)) + " " * 100 + "pass", ProgramFailed),
    Hostile("a text that doubles and is compiled", body("s = '1'", "while True: s = f'[{s},{s}]'; eval(s)"),
            FuelExhausted),
    Hostile("a class of a class", body("class A: pass", "while True: A = type('A', (A,), {})"), FuelExhausted),
    Hostile(
        "classes with fifty parents",
        body("c = [type('X', (), {}) for _ in range(300)]",
             "while True: c = [type('Y', tuple(c[i:i+50]), {}) for i in range(250)]"),
        FuelExhausted,
    ),
)  # fmt: skip

GROWTH = (
    grow("bytes times a billion", "b'x' * 10 ** 9"),
    grow("a list times a billion", "[0] * 10 ** 9"),
    grow("a tuple times a billion", "(0,) * 10 ** 9"),
    grow("a table of numbers", "array.array('d', bytes(8)) * (1 << 28)", imports="import array"),
    grow("a billion pad bytes", "struct.pack('1000000000x')", imports="import struct"),
    grow("a billion zeros in front", "'1'.zfill(1 << 30)"),
    grow("tabs made wide", "'\\t'.expandtabs(1 << 30)"),
    grow("two billion digits", "f'{1.0:.2000000000f}'"),
    grow("a shift by ten billion", "1 << 10 ** 10"),
    grow("a root of a hundred million digits", "decimal.getcontext().prec = 10 ** 8; decimal.Decimal(2).sqrt()",
         imports="import decimal"),
    grow("a joined text", "'x'.join(['y' * 10 ** 6] * 10 ** 4)", ProgramFailed),
    grow("a replaced text", "('x' * 10 ** 4).replace('x', 'y' * 10 ** 6)", ProgramFailed),
    grow("a sort of everything", "sorted(range(10 ** 9))"),
    grow("every window of an unpacker", "x = []\n    while True: x.append(zlib.decompressobj())",
         imports="import zlib"),
    grow("small objects", "x = []\n    while True: x.append(object())", FuelExhausted),
    grow("a dictionary", "x = {}\n    for i in itertools.count(): x[i] = i", FuelExhausted, "import itertools"),
    grow("a set", "x = set()\n    for i in itertools.count(): x.add(i)", FuelExhausted, "import itertools"),
    grow("a queue", "collections.deque(itertools.repeat(1))", FuelExhausted, "import collections, itertools"),
    grow("two readers of one stream", "a, b = itertools.tee(itertools.count())\n    for _ in a: pass", FuelExhausted,
         "import itertools"),
    grow("all products", "list(itertools.product(range(100), repeat=5))", FuelExhausted, "import itertools"),
    grow("rings of garbage", "while True:\n        a = []; a.append(a)", FuelExhausted),
)  # fmt: skip

NUMBERS = (
    grow("squares of squares", "x = 3\n    while True: x *= x", FuelExhausted),
    grow("shifts of shifts", "x = 1\n    while True: x <<= 10 ** 6", FuelExhausted),
    grow("a power by a large modulus", "pow(3, 1 << 10 ** 6, (1 << 10 ** 6) - 1)", FuelExhausted),
    grow("a factorial", "math.factorial(10 ** 8)", FuelExhausted, "import math"),
    grow("a product of all numbers", "math.prod(range(1, 10 ** 9))", FuelExhausted, "import math"),
    grow("a fraction of fractions", "x = fractions.Fraction(1, 3)\n    while True: x = x * x + 1", FuelExhausted,
         "import fractions"),
    grow("a number that is not in a range", "10.5 in range(10 ** 12)", FuelExhausted),
    grow("all orders of fifty", "sum(1 for _ in itertools.permutations(range(50)))", FuelExhausted,
         "import itertools"),
    grow("a needle that is not there", "while True: (b'a' * 10 ** 6).find(b'a' * 10 ** 5 + b'b')", FuelExhausted),
    grow("letters coded again and again", "x = b'x' * 10 ** 6\n    while True: base64.b64encode(x)", FuelExhausted,
         "import base64"),
)  # fmt: skip

OUTPUT = (
    says("an answer of twenty million characters", "'1' * 20_000_000", OutputTooLarge),
    says("an answer of three million faces", "'\\U0001F600' * 3_000_000", OutputTooLarge),
    says("an answer as large as the memory", "'1' * 40_000_000", ProgramCrashed),
    says("an answer that is half a letter", "'\\ud800'", ProgramCrashed),
    Hostile("an answer one byte too long", body("return 'x' * 4095"), OutputTooLarge),
    Hostile("a number of 4,300 digits", body("return 10 ** 4299"), OutputTooLarge),
    Hostile("zeros that are written long", body("return '\\0' * 700"), OutputTooLarge),
    Hostile("an answer of 900 levels", body("x = 1", "for _ in range(900): x = {'x': x}", "return x"), OutputTooLarge),
    Hostile("an error of twenty megabytes", body("raise ValueError('x' * 20_000_000)"), ProgramFailed),
    Hostile("an error of five million faces", body("raise ValueError('\\U0001F600' * 5_000_000)"), ProgramFailed),
    Hostile("an error with a long name", body("raise type('X' * 10 ** 6, (ValueError,), {})()"), ProgramFailed),
    Hostile("an error that is half a letter", body("raise ValueError('\\ud800')"), ProgramCrashed),
    Hostile(
        "an error that the runtime did not write",
        "import sys\nfor m in list(sys.modules.values()):\n    if hasattr(m, 'MOST_TEXT'): "
        "m.describe = lambda e: 'y' * 20_000_000\ndef main(person): raise ValueError",
        ProgramFailed,
    ),
)  # fmt: skip

BOMBS = (*DEEP, *COMPILER, *GROWTH, *NUMBERS, *OUTPUT)
