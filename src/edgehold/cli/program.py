"""`edgehold program` and `edgehold schema`: write a program, try it on a record, see what it may read and say."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import click

from edgehold.analyses import NAMES, shipped_programs, template
from edgehold.cli.output import WIDTH, emit, json_option, table
from edgehold.codecs.events import COLUMNS as EVENT_COLUMNS
from edgehold.codecs.events import SCHEMA as EVENTS
from edgehold.codecs.events import derive_events, encode_table
from edgehold.codecs.tables.form import TYPES, Column
from edgehold.codecs.tables.genotypes import COLUMNS as GENOTYPE_COLUMNS
from edgehold.codecs.tables.genotypes import SCHEMA as GENOTYPES
from edgehold.codecs.tables.images import COLUMNS as IMAGE_COLUMNS
from edgehold.codecs.tables.images import SCHEMA as IMAGES
from edgehold.codecs.tables.signals import SCHEMA as SIGNALS
from edgehold.crypto.names import program_id
from edgehold.durable import PUBLIC, write_file
from edgehold.errors import FolderInUse, NoTable, NotFound
from edgehold.hub.intake.derive import derive_table
from edgehold.hub.intake.documents import derive_document
from edgehold.hub.intake.fhir import (
    DEFAULT_LIMITS,
    Limits,
    check_one_person,
    is_large_document,
    read_packed,
    read_records,
)
from edgehold.hub.intake.kinds import format_of, header_beside, read_pieces, read_whole
from edgehold.hub.intake.large import Noted
from edgehold.hub.tables import tables_directory
from edgehold.sandbox.compiled import default_cache, prepare_runtime
from edgehold.sandbox.host import Sandbox
from edgehold.sandbox.manifest import parse_manifest
from edgehold.sandbox.program import (
    Failed,
    Measured,
    Outcome,
    Program,
    load_program,
    make_program,
    run_program,
)
from edgehold.vdaf.prio3 import neutral
from edgehold.wire.data import Kind

WHAT = {
    EVENTS: {
        "time": "seconds since 1970-01-01 UTC; the least int64 where it is not known",
        "code": "vocabulary and code, for example LOINC//39156-5 (index into the strings)",
        "value": "the number; NaN where there is none",
        "text": "the words or coded answer (index into the strings)",
        "unit": "UCUM unit of the number (index into the strings)",
    },
    GENOTYPES: {
        "chromosome": "1 to 22; 23 X, 24 Y, 25 both, 26 MT, others from 27",
        "position": "the first base, from 1",
        "end": "the last base that the row speaks of",
        "dosage": "copies of alt that the person has; 255 for a missing call",
        "ploidy": "alleles of the call: 2 or 1; 0 if nothing is said",
        "phased": "0 no; 1 yes; 2 yes, and alt is on the first haplotype alone",
        "quality": "of the place; NaN where there is none",
        "ref": "the reference allele (index into the strings)",
        "alt": "the allele that is counted (index into the strings)",
        "name": "of the variant, such as rs123 (index into the strings)",
        "filter": "that the place failed; empty if none (index into the strings)",
    },
    SIGNALS: {"sample_0": "of the first channel, as the converter gave it; sample_1 of the second …"},
    IMAGES: {
        "time": "seconds since 1970-01-01 UTC; the least int64 where it is not known",
        "study": "identifier (index into the strings)",
        "series": "identifier (index into the strings)",
        "instance": "identifier of the image (index into the strings)",
        "class": "what kind of object it is (index into the strings)",
        "modality": "CT, MR, CR … (index into the strings)",
        "body": "the part of the body, as a code (index into the strings)",
        "rows": "of pixels",
        "columns": "of pixels",
        "frames": "images in the file",
        "bits": "that are used of a sample",
    },
}
"""Each table that programs read: its columns, and what they are."""
COLUMNS = {
    EVENTS: EVENT_COLUMNS,
    GENOTYPES: GENOTYPE_COLUMNS,
    SIGNALS: (Column("sample_0", "i64", ""),),
    IMAGES: IMAGE_COLUMNS,
}


@click.group(short_help="Write and try programs.")
def program() -> None:
    """Programs: a few dozen lines of Python with a manifest, run at every hub that permits."""


@program.command(short_help="Begin a program.")
@click.argument("name")
@click.option("--dir", "folder", type=click.Path(path_type=Path), default=Path(), help="Where to write it.")
@json_option
def new(name: str, folder: Path, as_json: bool) -> None:
    """Write NAME.py and NAME.toml: a program that can be tried as it is.

    \b
    Examples:
      edgehold program new smokers
      edgehold program test smokers.py --data record.json
    """
    source, manifest = template(name)
    make_program(source.encode(), parse_manifest(manifest.encode(), f"{name}.toml"))
    files = [folder / f"{name}.py", folder / f"{name}.toml"]
    for file in files:
        if file.exists():
            raise FolderInUse(f"{file} exists; nothing was written")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        for file, text in zip(files, (source, manifest), strict=True):
            write_file(file, text, mode=PUBLIC)
    except BaseException:
        for file in files:
            file.unlink(missing_ok=True)  # half a program would be in the way of the next attempt
        raise
    emit(as_json, {"files": [str(file) for file in files]}, [f"wrote {file}" for file in files])


@program.command(short_help="Dry run: exactly what would leave.")
@click.argument("name")
@click.option(
    "--data", type=click.Path(path_type=Path), required=True, help="A record: FHIR, or any file that has a table."
)
@json_option
def test(name: str, data: Path, as_json: bool) -> int:
    """Run a program (a file, or the name of a shipped one) on a record, in the same sandbox as a hub does.

    Nothing leaves this machine. Shown is the measurement that would be split into shares, and the neutral one that
    leaves instead when the program fails; then the exit code is 1.

    \b
    Examples:
      edgehold program test bmi --data record.json
      edgehold program test smokers.py --data record.json --json
    """
    chosen = find_program(name)
    if not data.is_file():
        raise NotFound(f"there is no file {data}")
    tables = tables_of(data)
    runtime = prepare_runtime(default_cache(), lambda line: click.echo(line, err=True))
    with Sandbox(runtime) as sandbox, tables_directory(tables) as folder:
        outcome = run_program(sandbox, chosen.source, chosen.descriptor, folder)
    facts = outcome_facts(chosen, outcome)
    emit(as_json, facts, outcome_lines(chosen, facts))
    return 0 if facts["failed"] is None else 1


def tables_of(data: Path, limits: Limits = DEFAULT_LIMITS) -> Mapping[str, bytes]:
    """What a hub would show programs of a file; raises `IntakeError`."""
    form = format_of(data)
    kind = form.kind
    if kind is Kind.EHR and not form.is_packed and is_large_document(data, limits):
        check = partial(check_one_person, set[str]())
        return derive_document(Noted(partial(read_pieces, data)), data.name, limits, check).files
    if kind in (Kind.EHR, Kind.OTHER):  # of what is no FHIR that reader knows best why
        return encode_table(derive_events(read_one_person(data)))
    header = header_beside(data) if kind is Kind.SIGNAL else None
    original = read_whole(data, is_text=form.is_text)
    derived = derive_table([original], kind=kind, name=data.name, header=header)
    if derived is None:
        raise NoTable(f"{data.name}: a header alone has no table")
    return derived.files


def read_one_person(data: Path) -> list[dict[str, Any]]:
    """All resources of a file; raises `IntakeError`, `SeveralPersons`."""
    persons: set[str] = set()
    resources: list[dict[str, Any]] = []
    is_packed = format_of(data).is_packed
    for record in read_packed(read_whole(data, is_text=False), data.name) if is_packed else read_records(data):
        check_one_person(persons, record)
        resources += record.resources
    return resources


@program.command(short_help="What a program reads and says.")
@click.argument("name", required=False)
@json_option
def show(name: str | None, as_json: bool) -> None:
    """Show a program: what it says of itself, its id on the ledger, and its source. Without NAME: the shipped ones.

    \b
    Examples:
      edgehold program show
      edgehold program show bmi
    """
    if name is None:
        known = [program_facts(one) for one in shipped_programs().values()]
        emit(as_json, {"programs": known}, [line for one in known for line in (one["name"], *wrapped(one["title"]))])
        return
    chosen = find_program(name)
    facts = program_facts(chosen)
    text = [
        facts["name"],
        *wrapped(facts["title"]),
        f"  id       {facts['id']}",
        f"  reads    {facts['reads']}",
        *(f"  may use  {capability}" for capability in facts["capabilities"]),
        f"  says     {facts['kind']} of {len(facts['labels'])}:",
        *(f"             {label}" for label in facts["labels"]),
        f"  limits   {limits_words(facts['limits'])}",
        "",
        *(f"  {line}" for line in chosen.source.decode().splitlines()),
    ]
    emit(as_json, facts, text)


@click.group(short_help="The tables that programs read.")
def schema() -> None:
    """Schemas: the tables that programs read."""


@schema.command("show", short_help="Columns of a table.")
@click.argument("name", default=EVENTS, metavar="[SCHEMA]", type=click.Choice(list(WHAT)))
@json_option
def show_schema(name: str, as_json: bool) -> None:
    """Show the columns of a table: of edgehold.events/1, genotypes/1, signals/1 or images/1.

    \b
    Examples:
      edgehold schema show
      edgehold schema show edgehold.genotypes/1
    """
    types = {column.name: TYPES[column.end] for column in COLUMNS[name]}
    columns = [{"name": column, "type": types[column], "what": what} for column, what in WHAT[name].items()]
    rows = [[one["name"], one["type"], one["what"]] for one in columns]
    emit(as_json, {"schema": name, "columns": columns}, table(rows, ["column", "type", "what"]))


def find_program(name: str) -> Program:
    """A shipped program by name, or one in a file; raises `NotFound`, `BadManifest`."""
    if name in NAMES:
        return shipped_programs()[name]
    if not name.endswith(".py"):
        raise NotFound(f"no shipped program is called {name!r} (there are {', '.join(NAMES)}); a file ends in .py")
    if not Path(name).is_file():
        raise NotFound(f"there is no file {name}")
    return load_program(Path(name))


def programs_in(folder: Path) -> dict[bytes, Program]:
    """The shipped programs and those added to a folder, by their ids."""
    added = [load_program(path) for path in sorted((folder / "programs").glob("*.py"))]
    return {program_id(one.descriptor): one for one in (*shipped_programs().values(), *added)}


def program_facts(chosen: Program) -> dict[str, Any]:
    manifest = chosen.manifest
    limits = manifest.run_limits
    return {
        "name": manifest.name,
        "title": manifest.title,
        "id": program_id(chosen.descriptor).hex(),
        "reads": manifest.reads,
        "capabilities": [capability.value for capability in manifest.capabilities],
        "kind": manifest.measurement.kind.value,
        "labels": list(manifest.measurement.labels),
        "limits": {
            "fuel": limits.fuel,
            "memory_bytes": limits.memory_bytes,
            "output_bytes": limits.output_bytes,
            "deadline_ms": limits.deadline_ms,
        },
    }


def wrapped(text: str) -> list[str]:
    """A text in lines that fit."""
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def limits_words(limits: dict[str, int]) -> str:
    """What a run may use, for people."""
    memory, output = limits["memory_bytes"] // 2**20, limits["output_bytes"] // 2**10
    return f"{limits['fuel']:,} units of fuel, {memory} MiB, {output} KiB said, {limits['deadline_ms'] / 1000:g} s"


def outcome_facts(chosen: Program, outcome: Outcome) -> dict[str, Any]:
    measurement = chosen.manifest.measurement
    neutral_one = neutral(measurement.type)
    facts: dict[str, Any] = {
        "program": chosen.manifest.name,
        "labels": list(measurement.labels),
        "neutral": neutral_one,
    }
    match outcome:
        case Measured(measured, fuel):
            return facts | {"measurement": measured, "fuel": fuel, "leaves": measured, "failed": None}
        case Failed(reason):
            failed = {"code": reason.code, "error": type(reason).__name__, "message": str(reason)}
            return facts | {"measurement": None, "fuel": None, "leaves": neutral_one, "failed": failed}


def outcome_lines(chosen: Program, facts: dict[str, Any]) -> list[str]:
    said = facts["leaves"]
    labels = facts["labels"]
    words = labels[said] if chosen.manifest.measurement.kind.value == "histogram" else str(said)
    if facts["failed"] is None:
        first = [f"the program says {said} ({words}); it took {facts['fuel']:,} units of fuel"]
    else:
        first = [
            f"the program failed: {facts['failed']['code']} {facts['failed']['message']}",
            f"the hub would report the neutral measurement {said} ({words}); nobody else would learn of the failure",
        ]
    return [*first, "two sealed shares of this one measurement would leave, and nothing else"]
