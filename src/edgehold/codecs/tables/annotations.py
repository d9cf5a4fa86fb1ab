"""Events from the annotations of a WFDB record (`100.atr`), in the format of MIT: what somebody or a program saw in a signal.

code       the mark of the annotation: WFDB//N is a normal beat, WFDB//V a premature one of the ventricle
time       the second in which it lies; missing where the record's header has no date
value      seconds since the record's beginning, with their fraction
text       what was written beside it, such as the rhythm `(AFIB`
"""

from __future__ import annotations

import re
import struct
from typing import Final

from edgehold.codecs.events import MISSING_TIME, EventRows
from edgehold.codecs.tables.form import Derived
from edgehold.codecs.tables.signals import LEAST_RATE, Header, read_header
from edgehold.errors import BadSignal, IntakeLimit

MARKS: Final = ' NLRaVFJASEj/Q~ | sT*D"=pB^t+u?![]en@xf()r'
"""The mark of each code from 0 on, a blank for those that have none."""
MOST_CODE: Final = 49
MOST_SAMPLE: Final = 1 << 40
MOST_BYTES: Final = 1 << 21
"""Ten times those of a day's heartbeats."""
SKIP, NUMBER, SUBTYPE, CHANNEL, WORDS = 59, 60, 61, 62, 63
"""Codes that say something of the annotation before or after them."""
RESOLUTION: Final = re.compile(r"## time resolution: (\d{1,9}(?:\.\d{1,9})?)\0*")


def derive_annotations(data: bytes, header: bytes) -> Derived:
    """The annotations of a file; raises `BadSignal`, which names the byte."""
    about = read_header(header)
    rows = EventRows()
    rate = about.rate
    for sample, code, words in read_annotations(data):
        resolution = RESOLUTION.fullmatch(words)
        if sample == 0 and resolution is not None and float(resolution[1]) >= LEAST_RATE:
            rate = float(resolution[1])
            continue
        seconds = sample / rate
        rows.add(moment_of(about, seconds), f"WFDB//{mark_of(code)}", seconds, words.rstrip("\0"), "s")
    return rows.derived()


def moment_of(header: Header, seconds: float) -> int:
    """The second in which a moment of a record lies."""
    return MISSING_TIME if header.start is None else int(header.start + seconds // 1)


def mark_of(code: int) -> str:
    """The mark of a code; its number where it has none."""
    mark = MARKS[code : code + 1].strip()
    return mark or str(code)


def read_annotations(data: bytes) -> list[tuple[int, int, str]]:
    """Sample, code and words of each annotation; raises `BadSignal`, `IntakeLimit`."""
    if len(data) > MOST_BYTES:
        raise IntakeLimit(f"annotations of more than {MOST_BYTES} bytes")
    found: list[tuple[int, int, str]] = []
    at = sample = 0
    while True:
        if at + 2 > len(data):
            raise BadSignal(f"byte {at}: the annotations end without an end")
        (word,) = struct.unpack_from("<H", data, at)
        at += 2
        code, step = word >> 10, word & 0x3FF
        if not word:
            if data[at:].strip(b"\0"):
                raise BadSignal(f"byte {at}: something follows the end of the annotations")
            return found
        if code == SKIP:
            if at + 4 > len(data):
                raise BadSignal(f"byte {at}: half of a number")
            high, low = struct.unpack_from("<hH", data, at)
            sample += (high << 16) + low
            at += 4
        elif code == WORDS:
            words = data[at : at + step]
            at += step + step % 2
            if not found or len(words) < step:
                raise BadSignal(f"byte {at}: words that belong to no annotation")
            found[-1] = (*found[-1][:2], words.decode("utf-8", "replace"))
        elif code in (NUMBER, SUBTYPE, CHANNEL):
            if not found:
                raise BadSignal(f"byte {at}: a number that belongs to no annotation")
        elif code <= MOST_CODE:
            sample += step
            if not 0 <= sample < MOST_SAMPLE:
                raise BadSignal(f"byte {at}: an annotation before or far behind the record")
            if code:  # what is none only moves the time on
                found.append((sample, code, ""))
        else:
            raise BadSignal(f"byte {at}: no code of an annotation")
