"""Where an original that is too large to be encoded at once is cut, so that each part can be encoded by itself.

    lines      behind the line that stands out, so that the same lines are cut alike in the next version of a file
    markup     the same, and behind what the next line is indented by, so that a part begins with a tag
    documents  between the elements of the list in a document, likewise behind the one that stands out
    blocks     between the blocks of a bgzip file: each part is a bgzip file of its own
    frames     what is before the pixels of an image, then whole frames, or lines of one that is larger than a part
    samples    where frames of samples end, for any packing and nearly any count of channels

Anything else is cut at fixed sizes (`parts.parts_of`). A reader only puts the parts together: where they were cut is no
part of the format.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Final

from edgehold import _native
from edgehold.codecs.dicom import Pixels
from edgehold.codecs.packs import is_block
from edgehold.codecs.parts import PART, parts_of

TEXT_PART: Final = 20 << 20
"""Bytes of text in a part at most: so many that models have long learned what they can, and that an import stays small."""
LEAST_TEXT, LEAST_TABLE = 3, 2
"""Quarters of them that a part of text, of a table or of markup has at least, if it is not the last: the more, the fewer
parts there are, and the later the cuts of two versions meet again behind a change."""
SAMPLES_PART: Final = 2**7 * 3**3 * 5 * 7 * 11 * 13
"""Bytes of samples in a part, 17.3 million: whole frames of up to 16 channels, and of most counts above, in any packing."""
BLOCKS_PART: Final = 8 << 20
"""Bytes of text in a part of bgzip, which is in memory several times: packed, unpacked, and as both are compared."""
MOST_BLOCKS: Final = 1 << 12
"""Of a part."""
TABLE_PART: Final = 8 << 20
"""Bytes of a table or of markup in a part at most; `lines/1` takes twenty-five times as many in memory."""
ELEMENTS_PART: Final = 1 << 24
"""Bytes of elements in a part at most, a quarter of them at least: a list that is cut often says much twice."""
ELEMENT_PART: Final = 20 << 20
"""Bytes of an element that is a part by itself, and of other parts of a document, at most."""
BLOCK_HEAD, LEAST_BLOCK = 18, 26
"""Bytes of the header of a bgzip block, and of a block that holds nothing at all, the length of its text included."""


def find_cut(text: bytes, least: int, *, is_markup: bool = False) -> int:
    """Where a text is cut that goes on: behind one of the lines that end behind so many bytes, chosen by what stands before
    its end; behind the last line if none does, and at the end if there is none at all. Markup is cut before a tag."""
    last = text.rfind(b"<") + 1 if is_markup else 0
    lines = text[:last] if last else text
    end = _native.lines_cut(lines, least) or lines.rfind(b"\n") + 1 or len(text)
    while is_markup and text.startswith((b" ", b"\t"), end):
        end += 1
    return end


def cut_lines(
    file: BinaryIO, most: int | None = None, least: int = LEAST_TEXT, *, is_markup: bool = False
) -> Iterator[bytes]:
    """Parts of at most so many bytes that end with a line, but for the last, and for lines that are longer.

    Of the lines that end behind so many quarters of what a part may have, one is chosen by what stands before its end:
    so other lines before or behind change where one or two parts end, and then the cuts are the same again.
    """
    most = TEXT_PART if most is None else most
    held = b""
    while piece := file.read(most - len(held)):
        held += piece
        end = find_cut(held, most * least // 4, is_markup=is_markup) if len(held) == most else len(held)
        yield held[:end]
        held = held[end:]
    if held:
        yield held


def cut_tables(file: BinaryIO) -> Iterator[bytes]:
    """Parts of tables in lines."""
    yield from cut_lines(file, TABLE_PART, LEAST_TABLE)


def cut_markup(file: BinaryIO) -> Iterator[bytes]:
    """Parts of markup in lines, each of which begins with a tag: what a line is indented by goes with the line before."""
    yield from cut_lines(file, TABLE_PART, LEAST_TABLE, is_markup=True)


def cut_documents(file: BinaryIO) -> Iterator[bytes]:
    """Parts of a document in JSON: what is before the elements of its list, whole elements with the comma and the spaces
    behind each, what is behind them; and pieces of what would be too large."""
    scanner, held, most = _native.ElementScanner(), b"", ELEMENTS_PART
    while True:
        held += file.read(max(most - len(held), 0))
        end = scanner.cut(held, ELEMENTS_PART // 4, ELEMENTS_PART)
        if not end and most <= len(held) < ELEMENT_PART:
            most = ELEMENT_PART
            continue
        if not end:
            scanner.skip(held)
            end = len(held)
        if not end:
            return
        yield held[:end]
        held, most = held[end:], ELEMENTS_PART


def cut_blocks(file: BinaryIO) -> Iterator[bytes]:
    """Parts of whole blocks of bgzip; from the first byte on that is in none, parts of a fixed size."""
    part = bytearray()
    content = blocks = 0
    while head := file.read(BLOCK_HEAD):
        size = int.from_bytes(head[-2:], "little") + 1
        if not is_block(head, is_first=True) or size < LEAST_BLOCK:
            break
        body = file.read(size - BLOCK_HEAD)
        text = int.from_bytes(body[-4:], "little")
        if part and (len(part) + size > PART or content + text > BLOCKS_PART or blocks == MOST_BLOCKS):
            yield bytes(part)
            part, content, blocks = bytearray(), 0, 0
        part += head + body
        content, blocks = content + text, blocks + 1
    if part:
        yield bytes(part)
    if head:
        yield head
    yield from parts_of(file)


def content_of_blocks(file: BinaryIO) -> int:
    """Bytes that the blocks of a bgzip file say they hold, up to the first byte that is in none."""
    content = 0
    while is_block(head := file.read(BLOCK_HEAD), is_first=True):
        size = int.from_bytes(head[-2:], "little") + 1
        if size < LEAST_BLOCK:
            break
        content += int.from_bytes(file.read(size - BLOCK_HEAD)[-4:], "little")
    return content


def cut_frames(file: BinaryIO, pixels: Pixels) -> Iterator[bytes]:
    """What is before the pixels, as many of their frames as a part has room for, and what is behind them."""
    if head := file.read(pixels.start):
        yield head
    unit = unit_of(pixels)
    left, most = pixels.size, max(SAMPLES_PART // unit, 1) * unit
    while left and (part := file.read(min(left, most))):
        yield part
        left -= len(part)
    yield from parts_of(file)


def unit_of(pixels: Pixels) -> int:
    """Bytes of what parts of an image are made of: a frame or, if that is larger than a part, a line."""
    line = pixels.columns * (1 if pixels.is_planar else pixels.channels) * pixels.bits // 8
    frame = pixels.rows * pixels.columns * pixels.channels * pixels.bits // 8
    return frame if frame <= SAMPLES_PART else line


def cut_samples(file: BinaryIO, start: int) -> Iterator[bytes]:
    """Parts of whole frames of samples; the first has also what is before the samples."""
    most = start + SAMPLES_PART
    while part := file.read(most):
        yield part
        most = SAMPLES_PART
