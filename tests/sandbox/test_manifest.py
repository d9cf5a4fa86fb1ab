"""Manifests: what they say, and what they cannot say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.errors import BadManifest
from edgehold.sandbox.limits import DEFAULT_LIMITS
from edgehold.sandbox.manifest import parse_manifest
from edgehold.wire.program import Capability, MeasurementKind, MeasurementType

HEAD = """
name = "bmi"
title = "Counts people in classes of body mass index."
reads = "edgehold.events/1"
kinds = ["ehr"]
sensitivity = "aggregate"
"""


def manifest_with(measurement: str, head: str = HEAD, tail: str = "") -> bytes:
    return f"{head}\n[measurement]\n{measurement}\n{tail}".encode()


@pytest.mark.parametrize(
    ("section", "kind", "length", "bound", "weight"),
    [
        ('kind = "count"\nlabels = ["a"]', MeasurementKind.COUNT, 1, 0, 0),
        ('kind = "sum"\nlabels = ["a"]\nbound = 9', MeasurementKind.SUM, 1, 9, 0),
        ('kind = "histogram"\nlabels = ["a", "b", "n/a"]\ngroups = ["x", "y"]', MeasurementKind.HISTOGRAM, 3, 0, 0),
        ('kind = "multihot"\nlabels = ["a", "b"]\nweight = 2', MeasurementKind.MULTIHOT, 2, 0, 2),
        ('kind = "sumvec"\nlabels = ["a", "b"]\nbound = 3', MeasurementKind.SUMVEC, 2, 3, 0),
        ('kind = "l1bound"\nlabels = ["a", "b"]\nbound = 3', MeasurementKind.L1BOUND, 2, 3, 0),
    ],
)
def test_each_kind_of_measurement_is_understood(
    section: str, kind: MeasurementKind, length: int, bound: int, weight: int
) -> None:
    manifest = parse_manifest(manifest_with(section), "x.toml")
    assert manifest.measurement.type == MeasurementType(kind, length, bound, weight)
    assert manifest.run_limits == DEFAULT_LIMITS


@pytest.mark.parametrize(
    ("section", "says"),
    [
        ('kind = "count"\nlabels = ["a", "b"]', "a count has one label, not 2"),
        ('kind = "count"\nlabels = ["a"]\nbound = 1', "a count has no `bound`"),
        ('kind = "sum"\nlabels = ["a"]', "a sum needs `bound`"),
        ('kind = "histogram"\nlabels = ["a", "b"]', "its last is"),
        ('kind = "histogram"\nlabels = ["n/a"]', "at least two labels"),
        ('kind = "histogram"\nlabels = ["a", "a", "n/a"]', "differ"),
        ('kind = "histogram"\nlabels = ["a", "b", "n/a"]\ngroups = ["x", "y", "z"]', "divide"),
        ('kind = "multihot"\nlabels = ["a"]\nweight = 2', "more than the 1 labels"),
        ('kind = "multihot"\nlabels = ["a"]', "a multihot needs `weight`"),
        ('kind = "mean"\nlabels = ["a"]', "$.measurement.kind"),
        ('kind = "count"\nlabels = []', "$.measurement.labels"),
        ('kind = "count"\nlabels = ["a"]\nmystery = 1', "mystery"),
        ('kind = "count"\nlabels = ["a"]\n[limits]\nfuel = 0', "fuel"),
        ('kind = "count"\nlabels = ["a"]\n[limits]\nfuel = 1.5', "fuel"),
        ('kind = "count"\nlabels = ["a"', "x.toml"),
    ],
)
def test_a_wrong_measurement_is_refused_by_its_field(section: str, says: str) -> None:
    with pytest.raises(BadManifest) as refused:
        parse_manifest(manifest_with(section), "x.toml")
    assert str(refused.value).startswith("x.toml: ")
    assert says in str(refused.value)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('name = "bmi"', 'name = "../bmi"'),
        ('name = "bmi"', ""),
        ("Counts people in classes of body mass index.", "short"),
        ("Counts people in classes of body mass index.", "Two\\nlines of a title."),
        ("edgehold.events/1", "events"),
        ('["ehr"]', '["lab", "ehr"]'),
        ('["ehr"]', '["ehr", "ehr"]'),
        ('["ehr"]', "[]"),
        ('"aggregate"', '"harmless"'),
        ('sensitivity = "aggregate"', 'sensitivity = "aggregate"\npurposes = ["research"]'),
        ('sensitivity = "aggregate"', 'sensitivity = "aggregate"\ncapabilities = ["network"]'),
        ('sensitivity = "aggregate"', 'sensitivity = "aggregate"\ncapabilities = ["vec", "vec"]'),
    ],
)
def test_a_wrong_head_is_refused(old: str, new: str) -> None:
    with pytest.raises(BadManifest):
        parse_manifest(manifest_with('kind = "count"\nlabels = ["a"]', HEAD.replace(old, new)), "x.toml")


def test_a_program_has_the_capabilities_that_it_declares_and_no_others() -> None:
    section = 'kind = "count"\nlabels = ["a"]'
    assert parse_manifest(manifest_with(section), "x.toml").capabilities == ()
    declared = parse_manifest(manifest_with(section, head=HEAD + 'capabilities = ["vec"]'), "x.toml")
    assert declared.capabilities == (Capability.VEC,)


@given(st.binary(max_size=200) | st.text(max_size=200).map(str.encode))
def test_any_bytes_are_a_manifest_or_refused(data: bytes) -> None:
    with pytest.raises(BadManifest):
        parse_manifest(data, "x.toml")


def test_a_huge_manifest_is_refused() -> None:
    with pytest.raises(BadManifest, match="at most"):
        parse_manifest(b"#" * 100_000, "x.toml")
