"""Tricks: ways around a wall, each with the error that stops it, or with the answer that shows that it finds nothing."""

from __future__ import annotations

from typing import NamedTuple

from hostile import Hostile, body

from edgehold.errors import ForbiddenCapability, ProgramCrashed, ProgramFailed


class Vain(NamedTuple):
    """What it tries, its source, and what it gets instead: the same for every person and at every time."""

    tries: str
    source: str
    gets: str


def path(what: str, line: str) -> Hostile:
    """A way to a file that is not the program's."""
    return Hostile(what, body(line, imports="import os"), ProgramFailed)


UP = "/../../../../../../../.."

PATHS = (
    path("the process's environment", "return open('/proc/self/environ').read()"),
    path("the process's memory from below", f"return open('/in{UP}/proc/self/mem', 'rb').read(1)"),
    path("a device", "return open('/dev/urandom', 'rb').read(1)"),
    path("a change of place", "os.chdir('/')"),
    path("a change of place upwards", "os.chdir('/in/..')"),
    path("the folder above, listed", "return os.listdir('/in/..')"),
    path("the folder above, listed by its number", "return os.listdir(os.open('/in/..', os.O_RDONLY))"),
    path("above an open folder", "os.open('../beside.txt', os.O_RDONLY, dir_fd=os.open('/in', os.O_RDONLY))"),
    path("where a link leads", "return os.readlink('/in/link')"),
    path("the size of what a link leads to", "return os.stat('/in/link').st_size"),
    path("a name with a zero byte", "return open('/in/time.i64\\0.txt').read()"),
    path("a name of a megabyte", "return open('/in/' + 'a/' * 10 ** 6).read()"),
    path("a backslash", "return open('/in\\\\..\\\\beside.txt').read()"),
    path("a column opened to write", "os.open('/in/time.i64', os.O_RDWR)"),
    path("a column emptied when opened", "os.open('/in/time.i64', os.O_RDONLY | os.O_TRUNC)"),
    path("a column written through its number", "os.write(os.open('/in/time.i64', os.O_RDONLY), b'x')"),
    path("a column cut through its number", "os.ftruncate(os.open('/in/time.i64', os.O_RDONLY), 0)"),
    path("a file without a name", "os.open('/in', os.O_RDWR | 0x400000)"),
    path("a folder removed", "os.rmdir('/in')"),
    path("a column in memory", "import mmap"),
)

REST = (
    Hostile("a connection by another door", body("_socket.socket().connect_ex(('127.0.0.1', 80))",
                                                 imports="import _socket"), ForbiddenCapability),
    Hostile("two joined sockets", body("_socket.socketpair()", imports="import _socket"), ProgramFailed),
    Hostile("a signal", body("import signal; signal.alarm(1)"), ProgramFailed),
    Hostile("a fault", body("import faulthandler; faulthandler._sigsegv()"), ProgramCrashed),
    Hostile("a module of native code", body("import _imp; _imp.create_dynamic(None)"), ProgramFailed),
    Hostile("code from bytes that are none", body("import marshal; marshal.loads(b'\\xe3' + b'\\xff' * 100)"),
            ProgramFailed),
    Hostile("the runtime's own tests", body("import _testcapi"), ProgramFailed),
    Hostile("secrets", body("import secrets"), ProgramFailed),
    Hostile("a universally unique name", body("import uuid"), ProgramFailed),
    Hostile("a processor's clock", body("return time.clock_gettime(2)", imports="import time"), ProgramFailed),
    Hostile("setting the clock", body("time.clock_settime(0, 1)", imports="import time"), ProgramFailed),
    Hostile("escapes for a terminal", body(r"raise ValueError('\x1b[2J\x1b]0;yours\x07\x9b31m\u202etxt.exe\r\nEH000')"),
            ProgramFailed),
    Hostile("escapes in an error's name", body(r"raise type('\x1b[2J', (ValueError,), {})('\x1b[8m')"), ProgramFailed),
    Hostile("escapes in a file's name", body(r"open('/in/\x1b[2J')"), ProgramFailed),
)  # fmt: skip

PACK = "lambda x: struct.pack('<d', x).hex()"
BITS = "lambda n: struct.unpack('<d', struct.pack('<Q', n))[0]"

CANONICAL, KEPT = '"000000000000f87f"', '"efbe0000addef87f"'
"""What arithmetic makes of any such pattern; to take away the sign is no arithmetic, and keeps the rest of it."""

VAIN = (
    Vain("the time of day", body("return [time.time(), time.time_ns(), str(datetime.datetime.now())]",
                                 imports="import time, datetime"), '[0.0,0,"1970-01-01 00:00:00"]'),
    Vain("time that passes", body("t = time.perf_counter_ns()", "for _ in range(1000): pass",
                                  "return [time.perf_counter_ns() - t, time.monotonic(), time.monotonic_ns()]",
                                  imports="import time"), "[0,0.0,0]"),
    Vain("the place's time", body("return [time.tzname, time.timezone, time.localtime()[:6]]", imports="import time"),
         '[["UTC","UTC"],0,[1970,1,1,0,0,0]]'),
    Vain("the steps of a clock", body("return [time.get_clock_info(n).resolution for n in ('time', 'monotonic')]",
                                      imports="import time"), "[0.0,1e-09]"),
    Vain("dice", body("return [os.urandom(8).hex(), random.SystemRandom().random()]", imports="import os, random"),
         '["0000000000000000",0.0]'),
    Vain("the generator of dice", body("return [random.random(), random.Random().random(), random.getrandbits(32)]",
                                       imports="import random"), "[0.8444218515250481,0.31409123173544795,3255389356]"),
    Vain("the name of this host", body("return _socket.gethostname()", imports="import _socket"), '"(none)"'),
    Vain("the environment", body("return [dict(os.environ), sys.argv, os.getcwd()]", imports="import os, sys"),
         '[{},[],"/"]'),
    Vain("what is typed", body("return sys.stdin.read()", imports="import sys"), '""'),
    Vain("the mode of a column", body("os.chmod('/in/time.i64', 0o777)", "return 1", imports="import os"), "1"),
    Vain("a large write to both outputs", body("return [os.write(n, bytes(8 << 20)) for n in (1, 2)]",
                                               imports="import os"), "[65536,65536]"),
    Vain("watching itself", body("sys.settrace(print); sys.setprofile(print)", "return 1", imports="import sys"), "1"),
    Vain(
        "patterns of what is not a number",
        body(f"pack, bits = {PACK}, {BITS}",
             "quiet, minus, loud = bits(0x7FF8DEAD0000BEEF), bits(0xFFF8DEAD0000BEEF), bits(0x7FF0000000000001)",
             "return [pack(x) for x in (quiet + 1, minus * 1, loud + 0, quiet + minus, minus + quiet, abs(minus),"
             " float('inf') - float('inf'), 0 * float('-inf'), math.fsum([quiet, minus]), math.sqrt(quiet))]",
             imports="import struct, math"),
        f"[{', '.join([CANONICAL] * 5 + [KEPT] + [CANONICAL] * 4)}]".replace(" ", ""),
    ),
    Vain(
        "the sign of what is not a number",
        body("n = float('nan')", "return [str(n), str(-n), repr(abs(-n)), f'{-n:+f}', math.copysign(1, -n),"
             " max(n, 1.0) == 1.0, min(1.0, n), [n] == [n], hash(1.5)]", imports="import math"),
        '["nan","nan","nan","+nan",-1.0,false,1.0,true,1073741825]',
    ),
    Vain(
        "the last bits of floats",
        body("return [0.1 + 0.2, 5e-324, -0.0, f'{1e22:.17g}', math.sin(1e22), math.exp(1), math.pow(2, 0.5),"
             " math.lgamma(1e5), math.erf(0.3), math.tan(1.5), math.log1p(1e-10), math.gamma(5.5), round(2.675, 2),"
             " math.fsum([0.1] * 10), sum([0.1] * 10), math.hypot(3, 4.1), statistics.stdev([1, 2, 4.5])]",
             imports="import math, statistics"),
        "",
    ),
    Vain("the order of a set", body("return [[*{'b', 'a', 'c'}], hash('a'), hash(b'a'), id(object()), repr(object())]"),
         ""),
    Vain("where things lie", body("return [id(person), id(main), id('x' * 9), sys.getsizeof([]), sys.hash_info.width]",
                                  imports="import sys"), ""),
    Vain("a rising sawtooth of memory", body("return [len(bytearray(n << 18)) for n in range(40)][-1]"), "10223616"),
)  # fmt: skip
"""Where no answer stands, it is whatever the runtime gives, and has to be the same in every process."""

TRICKS = (*PATHS, *REST)
