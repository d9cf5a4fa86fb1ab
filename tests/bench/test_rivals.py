"""The rivals of the store's bench: the fewest bytes win by name, and who did not run has beaten nobody."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from edgehold.bench import rivals
from edgehold.bench.rivals import NotInstalled, NotTaken, best_rival, rivals_for
from edgehold.wire.data import Kind

DATA = Path(__file__).parent.parent / "data"
KINDS = {
    Kind.EHR: "fhir/hl7_r4_examples.ndjson",
    Kind.LAB: "lines/observations.csv",
    Kind.SIGNAL: "samples/s0010_re.dat",
    Kind.IMAGE: "samples/CT_small.dcm",
    Kind.GENOTYPE: "lines/small.vcf",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_rival_runs_or_is_named_as_not_run(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "DICTIONARY", 1_000_000)
    data = (DATA / KINDS[kind]).read_bytes()
    best = best_rival(data, kind)
    assert 0 < best.size < len(data)
    ran, _, missing = best.words.partition("; not run: ")
    winner, _, others = ran.partition(", the least of: ")
    assert winner in others
    for rival in rivals_for(kind):
        assert (rival.name in others) != (rival.name in missing)
        try:
            assert rival.size(data) >= best.size
        except NotInstalled:
            assert rival.name in missing


def test_a_rival_that_is_not_installed_has_beaten_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(package: str) -> None:
        raise ImportError(package)

    monkeypatch.setattr(rivals, "importlib", SimpleNamespace(import_module=refuse))
    best = best_rival((DATA / KINDS[Kind.IMAGE]).read_bytes(), Kind.IMAGE)
    assert "xz 9e" in best.words.partition("; not run: ")[0]
    assert "JPEG XL" in best.words.partition("; not run: ")[2]


def test_rivals_take_what_they_are_for() -> None:
    with pytest.raises(NotTaken):
        rivals.ppmd(bytes(rivals.SMALL + 1))
    with pytest.raises(NotTaken):
        rivals.layout_of_samples((DATA / KINDS[Kind.IMAGE]).read_bytes()[:6000])
    with pytest.raises(NotTaken):
        rivals.layout_of_samples(b"")


def test_a_rival_that_is_told_the_columns_gets_all_of_them() -> None:
    variants = (
        b"##fileformat=VCF\n#CHROM\n1\t5\t.\tA\tG\t9\t.\tDP=3;MQ=1\tGT:DP\t0/1:7\n1\t6\t.\tC\tG\t8\t.\tDP=4\tGT\t1/1\n"
    )
    columns = list(rivals.columns_of(variants))
    assert columns[:3] == [[b"##fileformat=VCF", b"#CHROM"], [b"1", b"1"], [b"5", b"6"]]
    assert columns[8:] == [[b"DP=3", b"DP=4"], [b"MQ=1", b""], [b"GT:DP", b"GT"], [b"0/1", b"1/1"], [b"7", b""]]
    assert list(rivals.columns_of(b"time;pulse\n1;60\n2;61\n")) == [[b"time;pulse"], [b"1", b"2"], [b"60", b"61"]]
    for other in (b"", b"<a>,</a>", b"one column\nonly"):
        with pytest.raises(NotTaken):
            list(rivals.columns_of(other))


def test_an_image_that_does_not_come_back_is_no_figure() -> None:
    numpy = pytest.importorskip("numpy")
    image = numpy.zeros((2, 2), "u1")
    assert rivals.checked(image, image.copy(), b"x") == b"x"
    with pytest.raises(NotTaken):
        rivals.checked(image, image + 1, b"x")
    with pytest.raises(NotTaken):
        rivals.checked(image, image[:1], b"x")


@pytest.mark.parametrize("packing", range(5))
def test_rivals_are_given_the_samples_that_ours_are_given(packing: int) -> None:
    pytest.importorskip("numpy")
    bodies = {0: bytes([0, 255]), 3: bytes([0xE3, 0x33, 0xF3])}
    body = bodies.get(packing, bytes([1, 2, 254, 255]))
    values = {0: [0, 255], 1: [513, -2], 2: [258, -257], 3: [995, 1011], 4: [513 - 32768, 65534 - 32768]}
    planes, around = rivals.planes_of(b"ab" + body + b"c", (2, packing, 1, 0, 0, 2))
    assert planes[:, 0].tolist() == values[packing]
    assert around > 3
