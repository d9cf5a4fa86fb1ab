"""Events: what programs see of a health record, one row for each thing that was stated at a time.

The table `edgehold.events/1` has the shape of MEDS (time, code, numeric value), with text and unit beside it. Here it is
derived from FHIR R4 resources, which stay the source of truth; whatever is not named here makes no event. What else has
events is read in `codecs.tables`.

    resource              code                         time                              value, text, unit
    ────────────────────  ───────────────────────────  ────────────────────────────────  ─────────────────────────────
    Patient               MEDS_BIRTH; MEDS_DEATH       birthDate; deceasedDateTime       —
                          GENDER//male                 missing                           —
    Observation           LOINC//39156-5               effective                         its value
      each component      LOINC//8480-6                effective                         the component's value
    Condition             SNOMED//59621000             onset, else recordedDate          —
    Procedure             SNOMED//710824005            performed                         —
    MedicationRequest     RXNORM//310798               authoredOn                        —
    Immunization          CVX//140                     occurrence                        —
    AllergyIntolerance    ALLERGY//SNOMED//91935009    onset, else recordedDate          —
    Encounter             ENCOUNTER//AMB               start of period                   text: code of its type

*Code.* The first coding in a vocabulary that is at home in that kind of resource (`HOME`), else the first coding,
written after the kind: `OBSERVATION//SNOMED//59621000` is something observed, never the diagnosis. Without any coding
it is `OBSERVATION//` and the words are the text. An allergy to aspirin is never a prescription of aspirin, hence
`ALLERGY//`.

*Value.* A quantity gives value and unit (its UCUM code, else its words), and a comparator (`<`) as text; a boolean
gives 1 or 0; a coded answer gives its code as text; words and times are text. An observation that only groups
components has no row itself.

*Left out*: what the record says did not happen or is wrong (`entered-in-error`, refuted, cancelled, not done, drafts,
plans).

*Time.* Seconds since 1970-01-01T00:00:00Z, fractions cut off. A time with a zone is converted to UTC. A date counts
from its first moment in UTC, a month from its first day, a year from its first of January. A period counts from its
start.
"""

from __future__ import annotations

import re
import struct
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec
from msgspec import Meta, Struct

from edgehold.codecs.tables.form import (
    SECONDS,
    STRING,
    Column,
    Derived,
    years_between,
)
from edgehold.codecs.tables.runs import Columns, RunRows
from edgehold.errors import BadField, IntakeLimit, Malformed
from edgehold.wire.codec import convert

SCHEMA = "edgehold.events/1"
MISSING_TIME = -(2**63)
"""The time of what is true without a time, and of what was recorded without one."""
CANONICAL_NAN = b"\x00\x00\x00\x00\x00\x00\xf8\x7f"
"""The one bit pattern that stands for "no value" in `value.f64`."""
NAN = struct.unpack("<d", CANONICAL_NAN)[0]

SYSTEMS = {
    "http://loinc.org": "LOINC",
    "http://snomed.info/sct": "SNOMED",
    "http://www.nlm.nih.gov/research/umls/rxnorm": "RXNORM",
    "http://hl7.org/fhir/sid/cvx": "CVX",
    "http://hl7.org/fhir/sid/icd-10": "ICD10",
    "http://hl7.org/fhir/sid/icd-10-cm": "ICD10CM",
    "http://hl7.org/fhir/sid/icd-9-cm": "ICD9CM",
    "http://www.cms.gov/Medicare/Coding/ICD10": "ICD10PCS",
    "http://www.ama-assn.org/go/cpt": "CPT",
    "http://www.whocc.no/atc": "ATC",
    "http://hl7.org/fhir/sid/ndc": "NDC",
}
"""Short names of vocabularies; a code of any other system is written after the system's own URI."""

HOME = {
    "OBSERVATION": frozenset({"LOINC"}),
    "CONDITION": frozenset({"SNOMED", "ICD10", "ICD10CM", "ICD9CM"}),
    "PROCEDURE": frozenset({"SNOMED", "ICD10PCS", "CPT"}),
    "MEDICATION": frozenset({"RXNORM", "ATC", "NDC"}),
    "IMMUNIZATION": frozenset({"CVX"}),
    "ALLERGY": frozenset[str](),
}
"""Vocabularies whose codes, in that kind of resource, need no word before them."""


class Event(NamedTuple):
    """One row: something stated about the person at a time."""

    time: int
    """Seconds since 1970 UTC, or `MISSING_TIME`."""
    code: str
    value: float | None = None
    text: str = ""
    unit: str = ""


# ── the fields of FHIR that events are made of ────────────────────────────────────────────────────────────────────


class Coding(Struct, frozen=True, gc=False):
    system: str = ""
    code: str = ""


class Concept(Struct, frozen=True):
    coding: list[Coding] = []
    text: str = ""


class Period(Struct, frozen=True, gc=False):
    start: str = ""


class Quantity(Struct, frozen=True, gc=False):
    value: float | None = None
    unit: str = ""
    code: str = ""
    comparator: str = ""


class Reference(Struct, frozen=True, gc=False):
    reference: str = ""


class Answer(Struct, frozen=True, rename="camel"):
    """The value[x] of an observation or of one of its components."""

    code: Concept = msgspec.field(default_factory=Concept)
    value_quantity: Quantity | None = None
    value_codeable_concept: Concept | None = None
    value_string: str | None = None
    value_boolean: bool | None = None
    value_integer: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)] | None = None
    value_date_time: str | None = None
    value_time: str | None = None


class Observation(Answer, frozen=True, rename="camel"):
    status: str = ""
    effective_date_time: str = ""
    effective_instant: str = ""
    effective_period: Period = Period()
    component: list[Answer] = []


class Condition(Struct, frozen=True, rename="camel"):
    code: Concept = msgspec.field(default_factory=Concept)
    verification_status: Concept = msgspec.field(default_factory=Concept)
    onset_date_time: str = ""
    onset_period: Period = Period()
    recorded_date: str = ""


class Procedure(Struct, frozen=True, rename="camel"):
    status: str = ""
    code: Concept = msgspec.field(default_factory=Concept)
    performed_date_time: str = ""
    performed_period: Period = Period()


class Medication(Struct, frozen=True, rename="camel"):
    id: str = ""
    code: Concept = msgspec.field(default_factory=Concept)


class Contained(Struct, frozen=True, rename="camel"):
    resource_type: str = ""
    id: str = ""
    code: Any = None


class MedicationRequest(Struct, frozen=True, rename="camel"):
    status: str = ""
    do_not_perform: bool = False
    medication_codeable_concept: Concept | None = None
    medication_reference: Reference = Reference()
    authored_on: str = ""
    contained: list[Contained] = []


class Immunization(Struct, frozen=True, rename="camel"):
    status: str = ""
    vaccine_code: Concept = msgspec.field(default_factory=Concept)
    occurrence_date_time: str = ""


class Encounter(Struct, frozen=True, rename="camel"):
    status: str = ""
    kind: Coding = msgspec.field(name="class", default_factory=Coding)
    type: list[Concept] = []
    period: Period = Period()


class Patient(Struct, frozen=True, rename="camel"):
    id: str = ""
    gender: str = ""
    birth_date: str = ""
    deceased_date_time: str = ""


FORMS: Mapping[str, type[Struct]] = {
    "Patient": Patient,
    "Observation": Observation,
    "Condition": Condition,
    "Procedure": Procedure,
    "MedicationRequest": MedicationRequest,
    "Medication": Medication,
    "Immunization": Immunization,
    "AllergyIntolerance": Condition,
    "Encounter": Encounter,
}
"""The part of each resource type that is read; an allergy has the fields of a condition."""

NOT_SO = frozenset({"entered-in-error", "refuted", "cancelled", "not-done", "draft", "preparation", "planned"})
"""Status words that say: this is wrong, or did not happen."""


# ── from resources to events ──────────────────────────────────────────────────────────────────────────────────────


def derive_events(resources: Sequence[Mapping[str, Any]], places: Sequence[str] | None = None) -> list[Event]:
    """The events of one person's resources, in no particular order.

    `resources` are FHIR R4 resources as JSON objects; `places` says where each stands in its document (a JSON pointer),
    for messages. Raises `BadField` naming the place of the first field that is not of its FHIR type.
    """
    events: list[Event] = []
    reader = EventReader(events.append)
    for position, resource in enumerate(resources):
        reader.read(resource, f"/{position}" if places is None else places[position])
    reader.finish()
    return events


class _BadTime(ValueError):
    """Not a date or time of FHIR R4; the message says of which field."""


class EventReader:
    """Reads the events of one record, resource by resource, and adds each to what is given. It remembers times and
    medications met on the way, and which prescriptions refer to one, since that may come behind them."""

    def __init__(self, add: Callable[[Event], object]) -> None:
        self._add_event = add
        self._medications: dict[str, tuple[str, str]] = {}
        self._names: dict[str, int] = {}
        """Of medications that prescriptions refer to, each with its number."""
        self._referring: tuple[array[int], array[int]] = array("q"), array("I")
        """Of each such prescription its time and the number of that name."""
        self._held = 0
        self._times: dict[str, int] = {"": MISSING_TIME}

    def read(self, resource: Mapping[str, Any], place: str) -> None:
        """Add the events of one resource; raises `BadField` naming the place of the first field that is not of its FHIR
        type, `IntakeLimit`."""
        name = resource.get("resourceType", "")
        form = FORMS.get(name)
        if form is None:
            return
        try:
            self._read(name, convert(resource, form))
        except _BadTime as error:
            raise BadField(f"{place or '/'}: {error}") from error
        except msgspec.ValidationError as error:
            raise _bad_field(place, error) from error

    def finish(self) -> None:
        """Add the prescriptions of what was stated elsewhere, when all resources have been read."""
        names, nothing = list(self._names), stated_in("MEDICATION", Concept())
        for time, number in zip(*self._referring, strict=True):
            code, text = self._medications.get(names[number], nothing)
            self._add_event(Event(time, code, None, text))

    def _read(self, name: str, read: Any) -> None:
        match read:
            case Observation():
                self._observation(read)
            case Condition():
                if not any(coding.code in NOT_SO for coding in read.verification_status.coding):
                    kind = "ALLERGY" if name == "AllergyIntolerance" else "CONDITION"
                    time = self._time(read.onset_date_time or read.onset_period.start or read.recorded_date)
                    self._add(time, kind, read.code)
            case Procedure():
                if read.status not in NOT_SO:
                    self._add(
                        self._time(read.performed_date_time or read.performed_period.start), "PROCEDURE", read.code
                    )
            case MedicationRequest():
                if read.status not in NOT_SO and not read.do_not_perform:
                    self._prescription(read)
            case Medication():
                self._medications[read.id] = stated_in("MEDICATION", read.code)
                self._hold(read.id, *self._medications[read.id])
            case Immunization():
                if read.status not in NOT_SO:
                    self._add(self._time(read.occurrence_date_time), "IMMUNIZATION", read.vaccine_code)
            case Encounter():
                if read.status not in NOT_SO:
                    text = answer_text(read.type[0]) if read.type else ""
                    self._add_event(Event(self._time(read.period.start), f"ENCOUNTER//{read.kind.code}", None, text))
            case Patient():
                self._patient(read)

    def _patient(self, patient: Patient) -> None:
        if patient.birth_date:
            self._add_event(Event(self._time(patient.birth_date), "MEDS_BIRTH"))
        if patient.deceased_date_time:
            self._add_event(Event(self._time(patient.deceased_date_time), "MEDS_DEATH"))
        if patient.gender:
            self._add_event(Event(MISSING_TIME, f"GENDER//{patient.gender}"))

    def _observation(self, observation: Observation) -> None:
        if observation.status in NOT_SO:
            return
        time = self._time(
            observation.effective_date_time or observation.effective_period.start or observation.effective_instant
        )
        value, text, unit = answer_of(observation)
        if value is not None or text or not observation.component:
            self._add(time, "OBSERVATION", observation.code, value, text, unit)
        for component in observation.component:
            self._add(time, "OBSERVATION", component.code, *answer_of(component))

    def _prescription(self, request: MedicationRequest) -> None:
        """What was prescribed: stated, or referred to by id within the document (`#id`, `Medication/id`,
        `urn:uuid:id`)."""
        time = self._time(request.authored_on)
        if request.medication_codeable_concept is not None:
            self._add(time, "MEDICATION", request.medication_codeable_concept)
            return
        name = re.split("[#/:]", request.medication_reference.reference)[-1]
        for contained in request.contained:
            if contained.resource_type == "Medication" and contained.id == name:
                self._add(time, "MEDICATION", convert(contained.code, Concept))
                return
        self._hold(*() if name in self._names else (name,))
        for column, number in zip(self._referring, (time, self._names.setdefault(name, len(self._names))), strict=True):
            column.append(number)

    def _hold(self, *texts: str) -> None:
        """Count what is remembered of medications; raises `IntakeLimit` if it is too much."""
        self._held += sum(len(text) + PLACE for text in texts)
        if self._held > MOST_HELD or len(self._referring[0]) >= MOST_ROWS:
            raise IntakeLimit(
                f"medications of more than {MOST_HELD} letters, or in more than {MOST_ROWS} prescriptions"
            )

    def _add(
        self, time: int, kind: str, concept: Concept, value: float | None = None, text: str = "", unit: str = ""
    ) -> None:
        code, words = stated_in(kind, concept)
        self._add_event(Event(time, code, value, text or words, unit))

    def _time(self, text: str) -> int:
        time = self._times.get(text)
        if time is None:
            time = parse_time(text)
            if len(self._times) < MOST_TIMES and len(text) <= MOST_TIME:
                self._times[text] = time
        return time


def stated_in(kind: str, concept: Concept) -> tuple[str, str]:
    """The code that stands for a concept in resources of this kind, and its words if it has no coding."""
    return code_of(kind, concept), "" if concept.coding else concept.text


def code_of(kind: str, concept: Concept) -> str:
    """The code that stands for a concept in resources of this kind (see *Code* above)."""
    home = HOME[kind]
    for coding in concept.coding:
        name = SYSTEMS.get(coding.system)
        if name in home:
            return f"{name}//{coding.code}"
    if not concept.coding:
        return f"{kind}//"
    return f"{kind}//{coding_text(concept.coding[0])}"


def coding_text(coding: Coding) -> str:
    """A coding as one string: vocabulary, two strokes, code."""
    return f"{SYSTEMS.get(coding.system, coding.system)}//{coding.code}"


def answer_text(concept: Concept) -> str:
    """A coded answer as text: its first code, or its words where it has none."""
    return coding_text(concept.coding[0]) if concept.coding else concept.text


def answer_of(answer: Answer) -> tuple[float | None, str, str]:
    """Value, text and unit of an observation or component (see *Value* above)."""
    if answer.value_quantity is not None:
        quantity = answer.value_quantity
        value = None if quantity.value is None else quantity.value + 0.0  # -0.0 becomes 0.0
        return value, quantity.comparator, quantity.code or quantity.unit
    if answer.value_codeable_concept is not None:
        return None, answer_text(answer.value_codeable_concept), ""
    if answer.value_boolean is not None:
        return float(answer.value_boolean), "", ""
    if answer.value_integer is not None:
        return float(answer.value_integer), "", ""
    return None, answer.value_string or answer.value_date_time or answer.value_time or "", ""


TIME = re.compile(
    r"(\d{4})(?:-(0[1-9]|1[0-2])(?:-(0[1-9]|[12]\d|3[01])"
    r"(?:T([01]\d|2[0-3]):([0-5]\d):([0-5]\d|60)(?:\.\d+)?(?:Z|([+-])(0\d|1[0-4]):([0-5]\d)))?)?)?",
    re.ASCII,
)
"""FHIR R4 `dateTime` (which includes `date` and `instant`)."""
MONTH_DAYS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse_time(text: str) -> int:
    """Seconds since 1970 UTC of a FHIR date or time (see *Time* above); ValueError if it is none."""
    match = TIME.fullmatch(text)
    if match is None:
        raise _BadTime("not a date or time of FHIR R4 (YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss with a zone)")
    year, month, day, hour, minute, second, sign, zone_hour, zone_minute = match.groups()
    seconds = 86400 * days_since_1970(int(year), int(month or 1), int(day or 1))
    if hour:
        seconds += 3600 * int(hour) + 60 * int(minute) + int(second)
    if sign:
        offset = 3600 * int(zone_hour) + 60 * int(zone_minute)
        seconds -= offset if sign == "+" else -offset
    return seconds


def days_since_1970(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a day of the proleptic Gregorian calendar; ValueError for a day that does not exist."""
    is_leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if year < 1 or day > MONTH_DAYS[month - 1] + (is_leap and month == 2):
        raise _BadTime("a day that does not exist")
    before = year - 1
    leap_days = before // 4 - before // 100 + before // 400
    in_year = sum(MONTH_DAYS[: month - 1]) + (is_leap and month > 2) + day - 1
    return 365 * before + leap_days + in_year - 719162


def _bad_field(place: str, error: msgspec.ValidationError) -> BadField:
    reason, _, path = str(error).partition(" - at `$")
    pointer = re.sub(r"\[(\d+)\]", r"/\1", path.rstrip("`")).replace(".", "/")
    return BadField(f"{place}{pointer}: {reason}")


# ── the table ─────────────────────────────────────────────────────────────────────────────────────────────────────


COLUMNS = (
    Column("time", "i64", SECONDS),
    Column("code", "u32", STRING),
    Column("value", "f64", "the row's own unit"),
    Column("text", "u32", STRING),
    Column("unit", "u32", STRING),
)
MOST_ROWS = 1 << 24
"""Of one table."""
MOST_NAMES = 1 << 22
"""Of distinct codes, units and texts."""
MOST_HELD, PLACE = 1 << 25, 32
"""Letters of names, codes and words of medications that are remembered of a record, each with so many more."""
MOST_TIMES, MOST_TIME = 1 << 16, 40
"""Times of which it is remembered what they stand for, and the letters of each."""


class EventRows:
    """The rows of a table `edgehold.events/1` that is being made, in any order."""

    def __init__(self) -> None:
        self._rows = RunRows(COLUMNS, "", _keys)
        self._times, self._codes, self._values, self._texts, self._units = self._rows.columns
        self._stated: list[int] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, time: int, code: str, value: float | None = None, text: str = "", unit: str = "") -> None:
        """One more row; raises `IntakeLimit` if there are too many."""
        if self._rows.is_full:
            self._note_years()
            self._rows.close_run()
        if len(self._rows) >= MOST_ROWS:
            raise IntakeLimit(f"more than {MOST_ROWS} events")
        place = self._rows.strings.place
        self._times.append(time)
        self._codes.append(place(code))
        self._values.append(NAN if value is None else value + 0.0)  # -0.0 becomes 0.0
        self._texts.append(place(text))
        self._units.append(place(unit))

    def derived(self, note: str = "", said: Mapping[str, str] | None = None) -> Derived:
        """The table with its years, birth apart; the rows are gone afterwards."""
        self._note_years()
        years = years_between(min(self._stated, default=None), max(self._stated, default=None))
        facts = {} if said is None else {"said": said}
        table = self._rows.table(SCHEMA, MOST_NAMES, **facts)
        return Derived(schema=SCHEMA, table=table, years=years, note=note)

    def _note_years(self) -> None:
        """Remember the first and the last moment that is stated in the rows of a run."""
        birth = self._rows.strings.find("MEDS_BIRTH")
        rows = zip(self._times, self._codes, strict=True)
        stated = [time for time, code in rows if time != MISSING_TIME and code != birth]
        if stated:
            self._stated = [*self._stated, min(stated), max(stated)]


def _keys(columns: Columns) -> list[Sequence[Any]]:
    """By what rows are sorted: a row without a value before those that have one."""
    times, codes, values, texts, units = columns
    is_number = array("b", (value == value for value in values))
    numbers = values if all(is_number) else array("d", (value if value == value else 0.0 for value in values))
    return [times, codes, is_number, numbers, texts, units]


def encode_table(events: Iterable[Event], said: Mapping[str, str] | None = None) -> dict[str, bytes]:
    """The files of table `edgehold.events/1`, by name; equal sets of events give equal bytes.

    Columns are little-endian and of equal length. Rows are sorted by time, code, value (none first), text, unit;
    strings by code point, the empty string first, each once. `said` is what the owner said of the columns that the events
    come from, and stands in `schema.json`.
    """
    rows = EventRows()
    for event in events:
        rows.add(*event)
    return dict(rows.derived(said=said).files)


class _Said(Struct):
    """What of `schema.json` does not follow from the rows."""

    said: dict[str, str] | None = None


def decode_table(files: Mapping[str, bytes]) -> list[Event]:
    """The rows of a table in their order; refuses (`Malformed`) whatever `encode_table` would not have written."""
    try:
        count = len(files["time.i64"]) // 8
        times = struct.unpack(f"<{count}q", files["time.i64"])
        values = struct.unpack(f"<{count}d", files["value.f64"])
        codes, texts, units = (struct.unpack(f"<{count}I", files[f"{name}.u32"]) for name in ("code", "text", "unit"))
        strings = msgspec.json.decode(files["strings.json"], type=list[str])
        said = msgspec.json.decode(files["schema.json"], type=_Said).said
        events = [
            Event(time, strings[code], None if value != value else value, strings[text], strings[unit])
            for time, code, value, text, unit in zip(times, codes, values, texts, units, strict=True)
        ]
    except (KeyError, IndexError, UnicodeDecodeError, struct.error, msgspec.MsgspecError) as error:
        raise Malformed(f"not a table {SCHEMA}: {error}") from error
    if encode_table(events, said) != dict(files):
        raise Malformed(f"not the canonical files of a table {SCHEMA}")
    return events


def join_tables(tables: Sequence[Mapping[str, bytes]]) -> dict[str, bytes]:
    """The rows of several tables as one. What several of them state alike is there as often as in the one that states it
    most often, so that a version of a record beside an earlier one adds what is new."""
    if len(tables) == 1:
        return dict(tables[0])
    rows = Counter[Event]()
    for table in tables:
        rows |= Counter(decode_table(table))
    return encode_table(list(rows.elements()))
