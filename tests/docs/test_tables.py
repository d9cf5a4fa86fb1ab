"""The page about tables: every command of it runs, and what it says of columns and limits is what there is."""

import re
import shlex
from pathlib import Path

import polars as pl
import pytest
from cli_story import Edgehold
from pages import ROOT, commands

from edgehold.codecs import events
from edgehold.codecs.tables import genotypes, images, laboratory, signals
from edgehold.codecs.tables.laboratory import read_columns

PAGE = (ROOT / "docs" / "tables.md").read_text()
TYPED = [line for line in commands(PAGE) if " --" in line]

FILES = {
    "labor.csv": "Abnahme;Analyt;Ergebnis;Einheit;Bewertung\n01/02/2024;GLU;5,3;mmol/L;normal\n",
    "glucose.csv": "date,loinc,value,unit\n2016-03-01,2345-7,95,mg/dL\n",
    "steps.csv": "time,steps\n2016-04-01 10:00:00,7\n",
    "variants.vcf": "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tme\n"
    "chr7\t117559590\trs113993960\tATCT\tA\t50\tPASS\t.\tGT\t0/1\n",
    "ecg.hea": "ecg 1 100 10000\necg.dat 16 200 12 0 0 0 0 II\n",
}


@pytest.fixture
def dataset(here: Path, edgehold: Edgehold) -> str:
    """A hub that holds what the page speaks of; the id of its signal."""
    for name, text in FILES.items():
        Path(name).write_text(text)
    Path("ecg.dat").write_bytes(bytes(20_000))
    Path("columns.toml").write_text(re.search(r"^```toml\n([\s\S]*?)^```", PAGE, re.MULTILINE)[1])  # type: ignore[index]
    assert edgehold("hub", "init", "--network", "demo-out").code == 0
    assert edgehold("hub", "import", *(name for name in [*FILES, "ecg.dat"] if name != "labor.csv")).code == 0
    return next(str(one["id"]) for one in edgehold("hub", "show", "--json").json["objects"] if one["name"] == "ecg.dat")


def test_every_command_of_the_page_runs(dataset: str, edgehold: Edgehold) -> None:
    assert len(TYPED) >= 7
    for line in TYPED:
        ran = edgehold(*shlex.split(line.replace("DATASET", dataset)))
        assert ran.code == 0, (line, ran)
        assert ran.out
    assert pl.read_parquet("steps.parquet")["value"].to_list() == [7.0]
    assert (
        edgehold("hub", "table", "--kind", "lab", "--code", "SWISSLAB//GLU", "--json").json["rows"][0]["value"] == 5.3
    )


def test_the_file_of_columns_is_one() -> None:
    assert read_columns(re.search(r"^```toml\n([\s\S]*?)^```", PAGE, re.MULTILINE)[1]).dates == "DMY"  # type: ignore[index]


def test_schemas_columns_and_limits_are_those_of_the_code() -> None:
    rows = dict(re.findall(r"^\| `(edgehold\.\w+/1)` \| .* \| (.*) \|$", PAGE, re.MULTILINE))
    assert rows[events.SCHEMA] == ", ".join(column.name for column in events.COLUMNS)
    assert rows[genotypes.SCHEMA] == ", ".join(column.name for column in genotypes.COLUMNS)
    assert set(rows) == {events.SCHEMA, genotypes.SCHEMA, signals.SCHEMA, images.SCHEMA}
    powers = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹", "0123456789")
    found = re.findall(r"^\| (.*?) \| ([^|]*2[⁰-⁹²³¹]+(?:; 2[⁰-⁹²³¹]+)?) \|", PAGE, re.MULTILINE)
    limits = {
        what: [2 ** int(power.translate(powers)) for power in re.findall(r"2([⁰-⁹²³¹]+)", most)] for what, most in found
    }
    assert limits == {
        "rows of genotypes": [genotypes.MOST_ROWS],
        "rows of events": [events.MOST_ROWS],
        "lines of a table in lines": [laboratory.MOST_LINES],
        "characters of a row of a table in lines": [laboratory.MOST_ROW],
        "different names and alleles; codes, units and words": [genotypes.MOST_NAMES, events.MOST_NAMES],
        "text of an array, samples of a signal file": [signals.MOST_SAMPLES],
    }
