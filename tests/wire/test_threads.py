"""Two threads that read their first message of a type at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

READERS = """
import sys
from threading import Barrier, Thread
from msgspec import defstruct
import msgspec
from edgehold.wire.codec import decode, decode_json, encode

sys.setswitchinterval(1e-6)
value = [[0] * 20] * 10
read_value, data = {"cbor": (decode, encode(value)), "json": (decode_json, msgspec.json.encode(value))}[sys.argv[1]]
for number in range(100):
    inner = defstruct("Inner", [(f"inner_{place}", int) for place in range(20)], array_like=True, frozen=True)
    outer = defstruct("Outer", [(f"outer_{place}", inner) for place in range(10)], array_like=True, frozen=True)
    barrier = Barrier(4)

    def read():
        barrier.wait()
        assert encode(read_value(data, outer)) == encode(value)

    threads = [Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
print("read")
"""


@pytest.mark.parametrize("form", ["cbor", "json"])
def test_threads_may_read_their_first_message_of_a_type_at_once(form: str) -> None:
    ran = subprocess.run([sys.executable, "-c", READERS, form], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "read\n"), ran.stderr
