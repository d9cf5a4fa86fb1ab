"""Programs that misbehave, each with the error that must stop it.

None may harm the process, the tables or the next run.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from edgehold.errors import (
    DeadlineExceeded,
    ForbiddenCapability,
    FuelExhausted,
    MemoryExceeded,
    OutputTooLarge,
    ProgramCrashed,
    ProgramFailed,
    ProgramTooLarge,
    SandboxError,
    StackExceeded,
)
from edgehold.wire.program import RunLimits

LITTLE = RunLimits(fuel=10**9, memory_bytes=64 << 20, output_bytes=4096, deadline_ms=60_000)
"""A tenth of a second of instructions; the deadline is out of reach."""

SHORT = msgspec.structs.replace(LITTLE, fuel=10**13, deadline_ms=100)
"""Fuel without end; the deadline comes soon."""

LONG = msgspec.structs.replace(LITTLE, fuel=10**12)


class Hostile(NamedTuple):
    """What it tries, its source, what stops it."""

    tries: str
    source: str
    stopped_by: type[SandboxError]
    limits: RunLimits = LITTLE


def body(*lines: str, imports: str = "") -> str:
    """A program whose `main` has these lines."""
    return "\n".join([imports, "def main(person):", *(f"    {line}" for line in lines)]) + "\n"


DEEP = "(" * 50_000 + "1" + ")" * 50_000

NETWORK = (
    Hostile(
        "a TCP connection",
        body(
            "_socket.socket(_socket.AF_INET, _socket.SOCK_STREAM).connect(('127.0.0.1', 22))", imports="import _socket"
        ),
        ForbiddenCapability,
    ),
    Hostile(
        "a UDP datagram",
        body(
            "_socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', 53))",
            imports="import _socket",
        ),
        ForbiddenCapability,
    ),
    Hostile(
        "a listening socket",
        body("_socket.socket(_socket.AF_INET6, _socket.SOCK_STREAM).bind(('::1', 0))", imports="import _socket"),
        ForbiddenCapability,
    ),
    Hostile(
        "a name of a host", body("_socket.getaddrinfo(b'localhost', 80)", imports="import _socket"), ForbiddenCapability
    ),
    Hostile("the module socket", body("import socket"), ProgramFailed),
    Hostile("the module urllib", body("import urllib.request"), ProgramFailed),
)

FILES = (
    Hostile("a file of the system", body("open('/etc/passwd').read()"), ProgramFailed),
    Hostile("the folder above", body("open('/in/../beside.txt').read()"), ProgramFailed),
    Hostile("the folder above, relatively", body("open('in/../../beside.txt').read()"), ProgramFailed),
    Hostile("a link that leads outside", body("open('/in/link').read()"), ProgramFailed),
    Hostile("the root", body("os.listdir('/')", imports="import os"), ProgramFailed),
    Hostile("writing", body("open('/in/new', 'w')"), ProgramFailed),
    Hostile("appending", body("open('/in/time.i64', 'ab')"), ProgramFailed),
    Hostile("truncating", body("os.truncate('/in/time.i64', 0)", imports="import os"), ProgramFailed),
    Hostile("deleting", body("os.unlink('/in/time.i64')", imports="import os"), ProgramFailed),
    Hostile("renaming", body("os.rename('/in/time.i64', '/in/x')", imports="import os"), ProgramFailed),
    Hostile("a new folder", body("os.mkdir('/in/x')", imports="import os"), ProgramFailed),
    Hostile("a new link", body("os.symlink('/etc', '/in/x')", imports="import os"), ProgramFailed),
    Hostile("a second name", body("os.link('/in/time.i64', '/in/x')", imports="import os"), ProgramFailed),
    Hostile("touching", body("os.utime('/in/time.i64', (1, 1))", imports="import os"), ProgramFailed),
)

PROCESS = (
    Hostile("sleeping", body("time.sleep(100)", imports="import time"), ForbiddenCapability),
    Hostile("waiting in select", body("select.select([], [], [], 100)", imports="import select"), ForbiddenCapability),
    Hostile("leaving at once", body("os._exit(0)", imports="import os"), ForbiddenCapability),
    Hostile("leaving", body("sys.exit(0)", imports="import sys"), ProgramFailed),
    Hostile("interrupting", body("raise KeyboardInterrupt"), ProgramFailed),
    Hostile("aborting", body("os.abort()", imports="import os"), ProgramCrashed),
    Hostile("a child", body("os.fork()", imports="import os"), ProgramFailed),
    Hostile("a command", body("os.system('ls')", imports="import os"), ProgramFailed),
    Hostile("a subprocess", body("import subprocess"), ProgramFailed),
    Hostile("a thread", body("_thread.start_new_thread(print, ())", imports="import _thread"), ProgramFailed),
    Hostile("native code", body("import ctypes"), ProgramFailed),
    Hostile("a flood of dice", body("os.urandom(1 << 24)", imports="import os"), DeadlineExceeded, SHORT),
)

LOOPS = (
    Hostile("a loop", body("while True: pass"), FuelExhausted),
    Hostile("a loop while loading", "while True: pass", FuelExhausted),
    Hostile("a loop until later", body("while True: pass"), DeadlineExceeded, SHORT),
    Hostile(
        "a loop that catches everything",
        body("while True:", "    try:", "        while True: pass", "    except BaseException: pass"),
        DeadlineExceeded,
        SHORT,
    ),
    Hostile(
        "waiting for the clock",
        body("while time.monotonic() < 1: pass", imports="import time"),
        DeadlineExceeded,
        SHORT,
    ),
    Hostile("dice without end", body("while True: os.urandom(4)", imports="import os"), DeadlineExceeded, SHORT),
    Hostile("reading without end", body("while True: person.events._read('time.i64')"), DeadlineExceeded, SHORT),
    Hostile("a number without end", body("return len(str(9 ** 10 ** 8))"), DeadlineExceeded, SHORT),
    Hostile("a sum without end", body("sum(itertools.count())", imports="import itertools"), FuelExhausted),
    Hostile("a bad pattern", body("re.match('(a+)+$', 'a' * 40 + 'b')", imports="import re"), FuelExhausted),
    Hostile(
        "a loop in the answer's last moment",
        "class Late(dict):\n    def items(self):\n        while True: pass\ndef main(person):\n    return Late(x=1)\n",
        FuelExhausted,
    ),
    Hostile(
        "a loop in the text of an error",
        "class Loud(Exception):\n    def __str__(self):\n        while True: pass\ndef main(person):\n    raise Loud\n",
        FuelExhausted,
    ),
)

MEMORY = (
    Hostile("a gibibyte", body("bytearray(1 << 30)"), MemoryExceeded),
    Hostile("lists without end", body("all = []", "while True: all.append(bytearray(1 << 20))"), MemoryExceeded),
    Hostile("text without end", body("text = 'x'", "while True: text += text"), ProgramCrashed),
    Hostile(
        "a packed bomb",
        body("zlib.decompress(zlib.compress(b'x'), bufsize=1 << 30)", imports="import zlib"),
        MemoryExceeded,
    ),
    Hostile("a wide number", body("'%1000000000d' % 1"), MemoryExceeded),
    Hostile("an answer of a megabyte", body("return 'x' * (1 << 20)"), OutputTooLarge),
    Hostile("an answer in small pieces", body("return [1] * 10_000"), OutputTooLarge),
    Hostile(
        "an answer that json did not write",
        body("return 1", imports="import json\njson.dumps = lambda *a, **k: '1' * 10_000_000"),
        OutputTooLarge,
    ),
    Hostile("a flood of output", body("while True: print('x' * 4096)"), DeadlineExceeded, SHORT),
    Hostile(
        "a flood of errors",
        body("while True: sys.stderr.write('x' * 4096)", imports="import sys"),
        DeadlineExceeded,
        SHORT,
    ),
)

DEPTH = (
    Hostile("recursion", body("main(person)"), StackExceeded),
    Hostile(
        "recursion without Python's limit",
        body("sys.setrecursionlimit(10 ** 9)", "main(person)", imports="import sys"),
        StackExceeded,
        LONG,
    ),
    Hostile("a deep answer", body("deep = []", "for _ in range(10 ** 5): deep = [deep]", "return deep"), StackExceeded),
    Hostile("a deep repr", body("deep = []", "for _ in range(10 ** 5): deep = [deep]", "repr(deep)"), StackExceeded),
    Hostile(
        "an answer that contains itself", body("answer = []", "answer.append(answer)", "return answer"), ProgramFailed
    ),
    Hostile("deep source", body(f"return {DEEP}"), ProgramTooLarge),
    Hostile("deep source made inside", body("eval('(' * 50_000 + '1' + ')' * 50_000)"), MemoryExceeded),
    Hostile("long source", "#" * (1 << 17), ProgramTooLarge),
)

INTERPRETER = (
    Hostile("no main", "x = 1", ProgramFailed),
    Hostile("a main that is a number", "main = 1", ProgramFailed),
    Hostile("source that is no Python", "def main(person) return 1", ProgramFailed),
    Hostile("source with a zero byte", "x = '\0'", ProgramFailed),
    Hostile("an answer that is no JSON", body("return {1, 2}"), ProgramFailed),
    Hostile("an answer that is not a number", body("return float('nan')"), ProgramFailed),
    Hostile(
        "an answer that is no text",
        body("return 1", imports="import json\njson.dumps = lambda *a, **k: 1"),
        ProgramCrashed,
    ),
    Hostile(
        "an error with no words",
        "class Mute(Exception):\n    def __str__(self): return 1\ndef main(person): raise Mute",
        ProgramCrashed,
    ),
    Hostile("no modules any more", body("sys.modules.clear()", "import json", imports="import sys"), ProgramCrashed),
    Hostile(
        "no builtins any more", body("vars(builtins).clear()", "return 1", imports="import builtins"), ProgramCrashed
    ),
    Hostile(
        "code that no compiler wrote",
        body("def f(): pass", "f.__code__ = f.__code__.replace(co_code=b'\\xff' * 64)", "f()"),
        ProgramCrashed,
    ),
    Hostile(
        "an early end of the interpreter",
        body("ctypes = sys.modules['componentize_py_runtime']", "ctypes.call_import(0, (), 0)", imports="import sys"),
        ProgramFailed,
    ),
)

PROGRAMS = (*NETWORK, *FILES, *PROCESS, *LOOPS, *MEMORY, *DEPTH, *INTERPRETER)
