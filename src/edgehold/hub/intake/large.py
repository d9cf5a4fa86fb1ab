"""A large file to the store: it is read again and again, part by part, and never in memory at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

from edgehold.codecs.choice import Cut
from edgehold.codecs.lossy import Losses
from edgehold.crypto.jws import Detached
from edgehold.errors import FileChanged, IntakeError, IntakeLimit, LargeFile
from edgehold.hub.intake.derive import derive_table
from edgehold.hub.intake.documents import derive_document
from edgehold.hub.intake.imports import Import
from edgehold.hub.intake.kinds import cut_of, header_beside, read_parts, read_pieces, size_of
from edgehold.hub.intake.packs import unpacked_name, unpacked_pieces
from edgehold.hub.intake.steps import step_file
from edgehold.hub.store import AT_ONCE, Doing, telling
from edgehold.hub.tables import Made, make_table
from edgehold.verify.opening import Commitment
from edgehold.wire.data import Kind
from edgehold.wire.ids import Digest


@dataclass(frozen=True, kw_only=True)
class Source:
    """What is kept of a large file, as often as it is read."""

    name: str
    size: int
    cut: Cut
    parts: Callable[[], Iterator[bytes]]
    """As it is encoded."""
    pieces: Callable[[], Iterator[bytes]]
    """As its table is made of it, few bytes at a time."""
    losses: Losses | None = None
    """What it lost; none if it is the file as it is."""


def take_large(file: Import) -> None:
    """Take a file in part by part, and its table with it; raises `IntakeError`, `BadSignature`, `HubError`."""
    source = lose(file, source_of(file))
    if file.form.is_packed and not source.cut.is_known:
        file.notes.append(f"{file.path.name}: kept as packed as it is, to be read at once")
    signed = file.begin_check(file.path.name)
    stored, is_new = file.store.put_parts(
        source.parts if signed is None else Checked(source.parts, signed).read,
        source.cut.codec,
        name=file.named(source.name),
        kind=file.form.kind,
        derive=derive_document_first(file, source) if is_document(file) else partial(derive, file),
        pieces=None if file.form.kind is Kind.IMAGE else source.pieces,
        signature=file.signature,
        profile=file.profile,
        lossy=file.lossy_name,
        randomness=file.randomness,
        told=count_up(file, source.size),
    )
    file.note_stored(stored, is_new=is_new)
    if file.form.kind is Kind.SIGNAL and (header := header_beside(file.path)) is not None:
        file.keep_header(header)


def source_of(file: Import) -> Source:
    """The file as it is."""
    path, cut = file.path, cut_of(file.path, file.form.kind, file.profile)
    return Source(
        name=path.name,
        size=size_of(path),
        cut=cut,
        parts=partial(read_parts, path, cut, is_text=file.form.is_text),
        pieces=partial(read_pieces, path),
    )


def lose(file: Import, exact: Source) -> Source:
    """The file without what its owner would rather lose; as it is, and a note, if it is packed and cannot be read."""
    if not file.is_to_lose(telling(exact.pieces, count_up(file, exact.size), Doing.READ)()):
        return exact
    try:
        source = in_steps(file, exact)
    except IntakeError as error:
        if not file.form.is_packed:
            raise type(error)(f"{file.path.name}: {error}") from error
        file.note_fault(error)
        return exact
    file.lost = source.losses
    return source


def in_steps(file: Import, exact: Source) -> Source:
    """The text of the file with its qualities in steps, unpacked; the file as it is if nothing of it would be lost."""

    def text(pieces: Callable[[], Iterator[bytes]]) -> Iterator[bytes]:
        return unpacked_pieces(pieces(), file.path.name) if file.form.is_packed else pieces()

    read = exact.pieces if file.form.is_packed else exact.parts
    first_time = telling(read, count_up(file, exact.size), Doing.STEP)
    stepped = step_file(partial(text, read), text(first_time))
    if stepped is None:
        return exact
    cut = stepped.cut(file.profile)
    return Source(
        name=unpacked_name(exact.name),
        size=stepped.size,
        cut=cut,
        parts=partial(stepped.parts, cut),
        pieces=stepped.pieces,
        losses=stepped.losses,
    )


def is_document(file: Import) -> bool:
    """Whether it is a FHIR document, which is refused if it cannot be read."""
    return file.form.kind is Kind.EHR and not file.form.is_packed


def derive_document_first(file: Import, source: Source) -> Callable[[Iterable[bytes]], Made | None]:
    """What gives the table of a document that was read before it is encoded, since it may be refused, and encoding takes
    long. One that came alone and is here already is not read again. Raises `IntakeError`."""
    told = count_up(file, source.size)
    read, made = Noted(telling(source.pieces, told, Doing.DERIVE)), None
    if file.together is not None or not file.store.holds(telling(source.pieces, told, Doing.READ)()):
        made = table_of_document(file, read)

    def derived(pieces: Iterable[bytes]) -> Made | None:
        """The table, if it was made of these; nobody asks if they are here."""
        again = Noted(lambda: iter(pieces))
        for _ in again:
            pass
        if again.digests != read.digests:
            raise FileChanged(f"{file.path.name}: some bytes were others when they were read again")
        if made is not None:
            file.count_rows(made)
        return made

    return derived


def table_of_document(file: Import, pieces: Iterable[bytes]) -> Made | None:
    """The table of a FHIR document, or a note why there is none: alone its size can be in the way. Raises `IntakeError`."""
    try:
        found = derive_document(pieces, file.path.name, file.limits, file.check_person)
    except LargeFile as error:
        file.go_without_table(error)
        return None
    try:
        return make_table(found)
    except IntakeLimit as error:
        file.go_without_table(LargeFile(str(error)))
        return None


class Noted:
    """Pieces that can be had again, and the digests of all of them together, each time."""

    def __init__(self, read: Callable[[], Iterator[bytes]]) -> None:
        self._read = read
        self.digests: set[Digest] = set()

    def __iter__(self) -> Iterator[bytes]:
        found = Commitment()
        for piece in self._read():
            found.update(piece)
            yield piece
        self.digests.add(found.digest())


def derive(file: Import, pieces: Iterable[bytes]) -> Made | None:
    """The table of what is kept, or a note why there is none. The store asks for it if the file is new, so its rows count."""
    kind, name = file.form.kind, file.path.name
    if kind is Kind.OTHER:
        return None
    if kind in (Kind.SIGNAL, Kind.EHR):  # of health records those that are packed
        why = f"it has more than {AT_ONCE} bytes, and its table is made of all of them at once"
        file.go_without_table(LargeFile(why))
        return None
    try:
        found = derive_table(pieces, kind=kind, name=name, columns=file.columns)
        made = None if found is None else make_table(found)
    except FileChanged:
        raise
    except IntakeError as error:
        file.go_without_table(error)
        return None
    if found is not None:
        file.note_lack(found)
    if made is not None:
        file.count_rows(made)
    return made


class Checked:
    """Parts that are read again and again; what was read for the first time is what has to be signed."""

    def __init__(self, parts: Callable[[], Iterator[bytes]], signed: Detached) -> None:
        self._parts = parts
        self._signed: Detached | None = signed

    def read(self) -> Iterator[bytes]:
        """The parts; raises `BadSignature` behind the last of the first time."""
        for part in self._parts():
            if self._signed is not None:
                self._signed.update(part)
            yield part
        if self._signed is not None:
            self._signed.finish()
            self._signed = None


def count_up(file: Import, size: int) -> Callable[[Doing, int], None]:
    """What hears how many more bytes were done, of how many there are, and tells whoever wants to know how many that
    makes."""
    done = Counter[Doing]()

    def heard(doing: Doing, count: int) -> None:
        done[doing] += count
        if file.told is not None:
            file.told(doing, min(done[doing], size), size)

    return heard
