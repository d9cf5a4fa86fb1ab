"""The manifest of a program: what it reads, what it may say, and what its numbers mean, in TOML beside the source.

    name = "bmi"
    title = "Counts people in five classes of body mass index, by their latest measurement."
    reads = "edgehold.events/1"
    kinds = ["ehr"]
    sensitivity = "aggregate"
    purposes = ["DUO:0000042"]

    [measurement]
    kind = "histogram"
    labels = ["below 18.5", "18.5 to 25", "25 to 30", "30 to 35", "35 and above", "n/a"]

    [limits]
    fuel = 2_000_000_000

The title is the sentence an owner reads before saying yes. `purposes` are hints for customers. There is one label for
each number of the result; a histogram's last is "n/a". `groups` names equal runs of labels, one after another, without
the last "n/a". What `[limits]` leaves out has the value of `limits.DEFAULT_LIMITS`. `capabilities = ["vec"]` gives the
program sums over whole columns (`person.Person.vec`); it has none that it does not declare.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec
from msgspec import Meta, Struct

from edgehold.errors import BadManifest, Malformed
from edgehold.policy.toml_text import read_toml
from edgehold.sandbox.limits import DEFAULT_LIMITS
from edgehold.wire.codec import convert
from edgehold.wire.data import Kind
from edgehold.wire.program import Capability, MeasurementKind, MeasurementType, RunLimits, Sensitivity

NOT_AVAILABLE: Final = "n/a"
"""The label of a histogram's last bucket: persons without usable data, and neutral reports."""

MOST_BYTES: Final = 64 * 1024

Label = Annotated[str, Meta(min_length=1, max_length=80)]

DOMAIN: Final = {
    MeasurementKind.COUNT: frozenset[str](),
    MeasurementKind.SUM: frozenset({"bound"}),
    MeasurementKind.HISTOGRAM: frozenset[str](),
    MeasurementKind.MULTIHOT: frozenset({"weight"}),
    MeasurementKind.SUMVEC: frozenset({"bound"}),
    MeasurementKind.L1BOUND: frozenset({"bound"}),
}
"""Which numbers a kind of measurement needs beside its labels; the others are left out."""


class Measures(Struct, frozen=True, forbid_unknown_fields=True):
    """The section `[measurement]`: the type of the one measurement of a person, and what each place of it means."""

    kind: MeasurementKind
    labels: Annotated[tuple[Label, ...], Meta(min_length=1, max_length=100_000)]
    bound: Annotated[int, Meta(ge=1, lt=2**32)] | None = None
    weight: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    groups: Annotated[tuple[Label, ...], Meta(max_length=1_000)] = ()

    @property
    def type(self) -> MeasurementType:
        """As the ledger and the aggregators know it."""
        return MeasurementType(kind=self.kind, length=len(self.labels), bound=self.bound or 0, weight=self.weight or 0)


class LimitsGiven(Struct, frozen=True, forbid_unknown_fields=True):
    """The section `[limits]`."""

    fuel: int = DEFAULT_LIMITS.fuel
    memory_bytes: int = DEFAULT_LIMITS.memory_bytes
    output_bytes: int = DEFAULT_LIMITS.output_bytes
    deadline_ms: int = DEFAULT_LIMITS.deadline_ms


class Manifest(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a program says of itself."""

    name: Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9_]{0,63}\Z")]
    title: Annotated[str, Meta(min_length=10, max_length=200, pattern=r"\A[^\x00-\x1f\x7f]*\Z")]
    reads: Annotated[str, Meta(pattern=r"\A[a-z][a-z0-9.]{0,55}/[1-9][0-9]{0,3}\Z")]
    kinds: Annotated[tuple[Kind, ...], Meta(min_length=1, max_length=7)]
    sensitivity: Sensitivity
    purposes: Annotated[tuple[Annotated[str, Meta(pattern=r"\ADUO:\d{7}\Z")], ...], Meta(max_length=32)] = ()
    capabilities: Annotated[tuple[Capability, ...], Meta(max_length=7)] = ()
    measurement: Measures
    limits: LimitsGiven = LimitsGiven()

    @property
    def run_limits(self) -> RunLimits:
        """As the ledger pins them and the sandbox keeps them."""
        return RunLimits(**msgspec.structs.asdict(self.limits))


def parse_manifest(data: bytes, where: str) -> Manifest:
    """Read a manifest; `where` names the file in messages.

    Raises `BadManifest` with the line or field that is wrong.
    """
    if len(data) > MOST_BYTES:
        raise BadManifest(f"{where} has {len(data)} bytes, at most {MOST_BYTES} are allowed")
    try:
        manifest = convert(read_toml(data.decode("utf-8")), Manifest)
    except (Malformed, UnicodeDecodeError, msgspec.ValidationError) as error:
        raise BadManifest(f"{where}: {error}") from error
    reasons = [
        *_order_reasons("kinds", [kind.value for kind in manifest.kinds]),
        *_order_reasons("capabilities", [capability.value for capability in manifest.capabilities]),
        *_measurement_reasons(manifest.measurement),
        *_limits_reasons(manifest.limits),
    ]
    if reasons:
        raise BadManifest(f"{where}: {'; '.join(reasons)}")
    return manifest


def _order_reasons(field: str, names: list[str]) -> list[str]:
    return [] if names == sorted(set(names)) else [f"`{field}` must be sorted, each once"]


def _limits_reasons(limits: LimitsGiven) -> list[str]:
    """Each limit lies within what the ledger accepts."""
    reasons = []
    for field in msgspec.structs.fields(RunLimits):
        try:
            msgspec.convert(getattr(limits, field.name), field.type)
        except msgspec.ValidationError as error:
            reasons.append(f"`{field.name}`: {error}")
    return reasons


def _measurement_reasons(measures: Measures) -> list[str]:
    """Everything that is wrong with the section `[measurement]`, in words."""
    kind, labels = measures.kind, measures.labels
    is_histogram = kind is MeasurementKind.HISTOGRAM
    reasons = []
    for field, value in (("bound", measures.bound), ("weight", measures.weight)):
        if (value is not None) != (field in DOMAIN[kind]):
            reasons.append(f"a {kind.value} {'needs' if value is None else 'has no'} `{field}`")
    if kind in (MeasurementKind.COUNT, MeasurementKind.SUM) and len(labels) != 1:
        reasons.append(f"a {kind.value} has one label, not {len(labels)}")
    if is_histogram and (len(labels) < 2 or labels[-1] != NOT_AVAILABLE):
        reasons.append(f'a histogram has at least two labels, and its last is "{NOT_AVAILABLE}"')
    if len(set(labels)) != len(labels):
        reasons.append("`labels` must differ from each other")
    if measures.weight is not None and measures.weight > len(labels):
        reasons.append(f"`weight` {measures.weight} is more than the {len(labels)} labels")
    if measures.groups and (len(labels) - is_histogram) % len(measures.groups):
        reasons.append(f"{len(measures.groups)} `groups` do not divide the labels evenly")
    return reasons
