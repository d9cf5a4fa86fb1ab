"""Health records as FHIR R4: a bundle or resource as JSON, or NDJSON with one of them a line.

A file is read one document at a time, so that memory holds one bundle, never the file. Each document becomes a
`Record`: its exact bytes (what an issuer signs and what is stored) and its resources. What is not strictly a FHIR R4
document is refused with file, line, place in the document and reason.
"""

from __future__ import annotations

import io
import re
from calendar import monthrange
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import zstandard

from edgehold.codecs.events import Event, derive_events
from edgehold.codecs.packs import GZIP, is_pack
from edgehold.codecs.recognise import is_fhir_text
from edgehold.durable import storage_failures
from edgehold.errors import BadField, IntakeError, IntakeLimit, NoTable, NotFhir, NotFound, SeveralPersons
from edgehold.hub.intake import packs, zips
from edgehold.hub.intake.json_text import MAX_DEPTH, find_excess, read_json

_BUNDLE_TYPES = "document message transaction transaction-response batch batch-response history searchset collection"
BUNDLE_TYPES = frozenset(_BUNDLE_TYPES.split())
_RESOURCE_TYPES = """
    Account ActivityDefinition AdverseEvent AllergyIntolerance Appointment AppointmentResponse AuditEvent Basic Binary
    BiologicallyDerivedProduct BodyStructure Bundle CapabilityStatement CarePlan CareTeam CatalogEntry ChargeItem
    ChargeItemDefinition Claim ClaimResponse ClinicalImpression CodeSystem Communication CommunicationRequest
    CompartmentDefinition Composition ConceptMap Condition Consent Contract Coverage CoverageEligibilityRequest
    CoverageEligibilityResponse DetectedIssue Device DeviceDefinition DeviceMetric DeviceRequest DeviceUseStatement
    DiagnosticReport DocumentManifest DocumentReference EffectEvidenceSynthesis Encounter Endpoint EnrollmentRequest
    EnrollmentResponse EpisodeOfCare EventDefinition Evidence EvidenceVariable ExampleScenario ExplanationOfBenefit
    FamilyMemberHistory Flag Goal GraphDefinition Group GuidanceResponse HealthcareService ImagingStudy Immunization
    ImmunizationEvaluation ImmunizationRecommendation ImplementationGuide InsurancePlan Invoice Library Linkage List
    Location Measure MeasureReport Media Medication MedicationAdministration MedicationDispense MedicationKnowledge
    MedicationRequest MedicationStatement MedicinalProduct MedicinalProductAuthorization
    MedicinalProductContraindication MedicinalProductIndication MedicinalProductIngredient MedicinalProductInteraction
    MedicinalProductManufactured MedicinalProductPackaged MedicinalProductPharmaceutical
    MedicinalProductUndesirableEffect MessageDefinition MessageHeader MolecularSequence NamingSystem NutritionOrder
    Observation ObservationDefinition OperationDefinition OperationOutcome Organization OrganizationAffiliation
    Parameters Patient PaymentNotice PaymentReconciliation Person PlanDefinition Practitioner PractitionerRole Procedure
    Provenance Questionnaire QuestionnaireResponse RelatedPerson RequestGroup ResearchDefinition
    ResearchElementDefinition ResearchStudy ResearchSubject RiskAssessment RiskEvidenceSynthesis Schedule
    SearchParameter ServiceRequest Slot Specimen SpecimenDefinition StructureDefinition StructureMap Subscription
    Substance SubstanceNucleicAcid SubstancePolymer SubstanceProtein SubstanceReferenceInformation
    SubstanceSourceMaterial SubstanceSpecification SupplyDelivery SupplyRequest Task TerminologyCapabilities TestReport
    TestScript ValueSet VerificationResult VisionPrescription
"""
RESOURCE_TYPES = frozenset(_RESOURCE_TYPES.split())
"""The 148 resource types of FHIR 4.0.1."""

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
SAMPLE = 1 << 16
PATIENT = re.compile(r"(?:.*/)?Patient/([A-Za-z0-9.-]{1,64})(?:/_history/.*)?")
"""A reference to a person, with the person's id."""
TYPE = re.compile(rb'"resourceType"\s*:\s*"([A-Za-z]+)"')
BIRTH = re.compile(r"(\d{4})(?:-(\d\d)(?:-(\d\d))?)?", re.ASCII)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """How much of one document a hub takes in."""

    document_bytes: int = 1 << 24
    """A larger one is read element by element, if it is in a file of its own and not packed."""
    element_bytes: int = 1 << 26
    """Of one element of such a document, or of all that is around them."""
    entry_bytes: int = 64
    """Of each entry of such a document beyond `resources`, on average; FHIR's have hundreds."""
    joined_bytes: int = 1 << 22
    """Of single resources in lines that are one record; what follows is another record."""
    depth: int = MAX_DEPTH
    resources: int = 100_000
    empty_lines: int = 100_000
    """In one file; what is packed can hold millions in few bytes."""
    expansion: int = 200
    """How many times larger than packed a file may be, beyond its first document; FHIR packs to a tenth or twentieth."""


DEFAULT_LIMITS = Limits()


@dataclass(frozen=True, kw_only=True)
class Record:
    """One document: what is stored and signed, and what it says."""

    place: str
    """File and line, for messages."""
    original: bytes
    resources: Sequence[dict[str, Any]]
    pointers: Sequence[str]
    """Where each resource stands in the document (JSON pointers)."""

    def events(self) -> list[Event]:
        """The events of the record; raises `BadField`, naming file, place and reason."""
        try:
            return derive_events(self.resources, self.pointers)
        except BadField as error:
            raise BadField(f"{self.place}: {error}") from error


# ── reading ───────────────────────────────────────────────────────────────────────────────────────────────────────


def is_fhir(path: Path) -> bool:
    """Whether a file, plain or as zstd, begins like a FHIR bundle or a FHIR resource in JSON."""
    with _open(path, DEFAULT_LIMITS) as file:
        sample = file.read(SAMPLE)
    return is_fhir_text(sample)


def read_records(path: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[Record]:
    """The records of a FHIR file, JSON or NDJSON, plain or as zstd, in their order.

    A line that holds a bundle is a record. Lines of single resources that follow each other are one record, or several if
    they are many. Raises
    `IntakeError`s on the way: let what was read have an effect only after the last record.
    """
    with _open(path, limits) as file:
        yield from _split(file, path.name, limits)


def is_large_document(path: Path, limits: Limits = DEFAULT_LIMITS) -> bool:
    """Whether a FHIR file is one document that is larger than is read at once: it is not packed, and its first line is no
    document."""
    with _open(path, limits) as file:
        if isinstance(file.raw, _Unpacked) or path.stat().st_size <= limits.document_bytes:
            return False
        line = file.readline(limits.document_bytes + 1)
    return len(line) > limits.document_bytes or not _is_document(line)


def read_original(original: bytes, place: str, limits: Limits = DEFAULT_LIMITS) -> Record:
    """The record of bytes that were stored as one; raises `IntakeError` if they are none, or several."""
    records = list(_split(io.BufferedReader(io.BytesIO(original)), place, limits))
    if len(records) != 1:
        raise NotFhir(f"{place}: /: {len(records)} records where one was expected")
    return records[0]


def read_packed(packed: bytes, place: str, limits: Limits = DEFAULT_LIMITS) -> Iterator[Record]:
    """The records of FHIR that is packed, in their order: of a gzip file, or of each part of a ZIP file that is FHIR.

    Raises `IntakeError`s on the way."""
    found = False
    for name, content in _unpacked(packed, place):
        found = True
        yield from _split(io.BufferedReader(io.BytesIO(content)), name, limits)
    if not found:
        raise NoTable("none of its parts is FHIR")


def _unpacked(packed: bytes, place: str) -> Iterator[tuple[str, bytes]]:
    if packed.startswith(GZIP):
        yield place, packs.unpacked(packed, place)
        return
    for part in zips.parts_of([packed], place):
        content = b"".join(part.content)
        if is_fhir_text(content[: packs.SAMPLE]):
            yield f"{place}: /{part.name}", content


def events_of(original: bytes, place: str, limits: Limits = DEFAULT_LIMITS) -> list[Event]:
    """The events of an original that was stored: of one record, or of all that are packed in it."""
    if not is_pack(original):
        return read_original(original, place, limits).events()
    return [event for record in read_packed(original, place, limits) for event in record.events()]


def _split(file: io.BufferedReader, name: str, limits: Limits) -> Iterator[Record]:
    first = _read_line(file, limits, name)
    if file.peek(1) and _is_document(first):
        yield from _split_lines(first, file, name, limits)
        return
    document = first + file.read(limits.document_bytes + 1 - len(first))
    _check_size(document, limits, name)
    yield parse_document(document, name, limits)


def _split_lines(line: bytes, file: io.BufferedReader, name: str, limits: Limits) -> Iterator[Record]:
    singles: list[tuple[bytes, Record]] = []
    size = number = empty = 0
    while line:
        number += 1
        if not line.strip():
            empty += 1
            if empty > limits.empty_lines:
                raise IntakeLimit(f"{name} line {number}: /: more than {limits.empty_lines} empty lines")
        else:
            record = parse_document(line.rstrip(b"\r\n"), f"{name} line {number}", limits)
            is_single = record.pointers == [""]
            is_full = size + len(line) > limits.joined_bytes or len(singles) >= limits.resources
            if singles and (is_full or not is_single):
                yield _joined(singles)
                size = 0
            if is_single:
                singles.append((line, record))
                size += len(line)
            else:
                yield record
            del record  # whoever took it may be done with it before the next is read
        line = _read_line(file, limits, name)
    if singles:
        yield _joined(singles)


def _joined(singles: list[tuple[bytes, Record]]) -> Record:
    """Single resources as one record, its bytes those of their lines; the list is empty afterwards."""
    record = Record(
        place=singles[0][1].place,
        original=b"".join(line for line, _ in singles),
        resources=[record.resources[0] for _, record in singles],
        pointers=[f"/line {number}" for number in range(len(singles))],
    )
    singles.clear()
    return record


def parse_document(document: bytes, place: str, limits: Limits = DEFAULT_LIMITS) -> Record:
    """One FHIR document; raises `NotJson`, `NotFhir` or `IntakeLimit`, naming file, place and reason."""
    try:
        value = read_json(document, limits.depth)
    except IntakeError as error:
        raise type(error)(f"{place}: {error}") from error
    if resource_type(value, place, "") != "Bundle":
        return Record(place=place, original=document, resources=[value], pointers=[""])
    kind = value.get("type")
    if type(kind) is not str or kind not in BUNDLE_TYPES:
        raise NotFhir(f"{place}: /type: not a type of bundle that FHIR R4 has")
    entries = value.get("entry", [])
    if type(entries) is not list:
        raise NotFhir(f"{place}: /entry: not a list")
    if len(entries) > limits.resources:
        raise IntakeLimit(f"{place}: /entry: {len(entries)} entries are more than {limits.resources}")
    resources, pointers = [], []
    for index, entry in enumerate(entries):
        if has_resource(entry, place, index):
            resources.append(entry["resource"])
            pointers.append(f"/entry/{index}/resource")
    return Record(place=place, original=document, resources=resources, pointers=pointers)


def has_resource(entry: Any, place: str, index: int) -> bool:
    """Whether an entry of a bundle has a resource; raises `NotFhir` if it is no entry, or that is none of FHIR R4."""
    if type(entry) is not dict:
        raise NotFhir(f"{place}: /entry/{index}: not an object")
    if "resource" not in entry:
        return False
    resource_type(entry["resource"], place, f"/entry/{index}/resource")
    return True


def resource_type(value: Any, place: str, pointer: str) -> str:
    """The type of a resource; raises `NotFhir` if it is none of FHIR R4."""
    if type(value) is not dict:
        raise NotFhir(f"{place}: {pointer or '/'}: not a FHIR resource, which is an object")
    name = value.get("resourceType")
    if type(name) is not str or name not in RESOURCE_TYPES:
        raise NotFhir(f"{place}: {pointer}/resourceType: missing, or no resource type of FHIR R4")
    return name


# ── whose record it is ────────────────────────────────────────────────────────────────────────────────────────────


def birth_date(resources: Iterable[Mapping[str, Any]]) -> date | None:
    """The person's birth date, or None if it is not stated. Of a month or year alone its last day, so that nobody
    is taken for older than is known."""
    for resource in resources:
        match = (
            BIRTH.fullmatch(str(resource.get("birthDate", ""))) if resource.get("resourceType") == "Patient" else None
        )
        if match is not None:
            year, month = int(match[1]), int(match[2] or 12)
            try:
                return date(year, month, int(match[3] or monthrange(year, month)[1]))
            except ValueError:
                return None
    return None


def check_one_person(persons: set[str], record: Record) -> None:
    """Note the persons of a record in `persons`; raises `SeveralPersons` when they become more than one."""
    for resource, pointer in zip(record.resources, record.pointers, strict=True):
        if resource["resourceType"] == "Patient":
            persons.add(str(resource.get("id", "")))
            if len(persons) > 1:
                raise SeveralPersons(f"{record.place}: {pointer}: a second person; a hub keeps one person's data")


def check_one_subject(persons: set[str], record: Record) -> None:
    """As `check_one_person`, and whoever a resource says that it is about counts too: in a Bulk Data export the person
    stands in a file of its own. Raises `SeveralPersons`."""
    check_one_person(persons, record)
    for resource, pointer in zip(record.resources, record.pointers, strict=True):
        for name in ("subject", "patient"):
            about = resource.get(name)
            reference = about.get("reference") if type(about) is dict else None
            match = PATIENT.fullmatch(reference) if type(reference) is str else None
            if match is not None:
                persons.add(match[1])
                if len(persons) > 1:
                    raise SeveralPersons(
                        f"{record.place}: {pointer}/{name}: a second person; a hub keeps one person's data"
                    )


def bulk_type(path: Path) -> str | None:
    """The type of the resources in a file that looks like one of a Bulk Data export, which has one resource a line; none
    if it does not."""
    if not path.name.endswith((".ndjson", ".ndjson.gz")):
        return None
    with _open(path, DEFAULT_LIMITS) as file:
        sample = file.read(SAMPLE)
    if sample.startswith(GZIP):
        sample = packs.beginning(sample)
    match = TYPE.search(sample) if is_fhir_text(sample) else None
    name = match[1].decode() if match else "Bundle"
    return name if name in RESOURCE_TYPES and name != "Bundle" else None


# ── files ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def _open(path: Path, limits: Limits) -> Iterator[io.BufferedReader[Any]]:
    try:
        with storage_failures(path), path.open("rb") as plain:
            if not plain.peek(4).startswith(ZSTD_MAGIC):
                yield plain
                return
            most = limits.document_bytes + limits.expansion * path.stat().st_size
            with io.BufferedReader(_Unpacked(plain, path.name, most), SAMPLE) as unpacked:
                yield unpacked
    except FileNotFoundError as error:
        raise NotFound(f"there is no file {path}") from error
    except OSError as error:
        raise IntakeError(f"{path}: cannot be read: {error.strerror}") from error
    except zstandard.ZstdError as error:
        raise IntakeError(f"{path}: not a whole zstd file: {error}") from error


class _Unpacked(io.RawIOBase):
    """The content of a zstd file, up to the size that a file of its kind can have."""

    def __init__(self, packed: io.BufferedReader, name: str, most: int) -> None:
        self._reader = zstandard.ZstdDecompressor(max_window_size=1 << 27).stream_reader(
            packed, read_across_frames=True
        )
        self._name = name
        self._left = most

    def readable(self) -> bool:
        """It is read, not written."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; raises `IntakeLimit` once there is more than is believed."""
        with memoryview(buffer) as place:
            data = self._reader.read(len(place))
            place[: len(data)] = data
        self._left -= len(data)
        if self._left < 0:
            raise IntakeLimit(f"{self._name}: /: unpacks to more than any file of health records of its size")
        return len(data)


def _read_line(file: io.BufferedReader, limits: Limits, name: str) -> bytes:
    line = file.readline(limits.document_bytes + 1)
    _check_size(line, limits, name)
    return line


def _check_size(document: bytes, limits: Limits, name: str) -> None:
    if len(document) > limits.document_bytes:
        raise IntakeLimit(f"{name}: /: a document of more than {limits.document_bytes} bytes")


def _is_document(line: bytes) -> bool:
    """Whether a line is a document by itself, so that the file is NDJSON."""
    if find_excess(line) is not None:
        return True  # whoever reads it as one refuses it
    try:
        msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return False
    return True
