"""Whole folders are taken in, and it is said what was found."""

import os
import shutil
from pathlib import Path

from cli_story import Edgehold

DATA = Path(__file__).parent.parent / "data"


def hub_folder() -> Path:
    """Where a hub lies if nobody says where."""
    return Path(os.environ["XDG_DATA_HOME"]) / "edgehold" / "hub"


def test_a_folder_is_taken_in_once_and_comes_back(here: Path, edgehold: Edgehold) -> None:
    folder = here / "mine"
    for name in ("samples", "lines"):
        shutil.copytree(DATA / name, folder / "study" / name)
    (folder / ".hidden").write_text("not to be found")
    (folder / "link").symlink_to(folder / "study")
    assert edgehold("hub", "init", "--network", "demo-out").code == 0
    found = edgehold("hub", "import", str(folder), "--json")
    assert found.code == 0
    files = {Path(one["file"]).relative_to(folder): one["kinds"] for one in found.json["imported"]}
    assert files.keys() == {path.relative_to(folder) for path in (folder / "study").rglob("*") if path.is_file()}
    assert files[Path("study/samples/CT_small.dcm")] == ["image"]
    assert files[Path("study/samples/100.atr")] == ["signal"]
    assert files[Path("study/lines/README.md")] == ["other"]
    held = edgehold("hub", "show", "--json").json
    objects = {one["name"]: one for one in held["objects"]}
    assert objects.keys() >= {"CT_small.dcm", "100.dat", "observations.csv"}
    shown = ("kind", "codec", "source", "original_bytes")
    assert [objects["100.dat"][key] for key in shown] == ["signal", "samples/1", None, 30_000]
    assert objects["CT_small.dcm"]["codec"] == "samples/1"
    assert objects["observations.csv"]["codec"] == "lines/1"
    for one in held["objects"]:
        assert 0 < one["stored_bytes"] <= one["original_bytes"]
        assert 0 <= one["padding_bytes"] < one["overhead_bytes"] < one["padding_bytes"] + 700
    stored = sum(one["stored_bytes"] + one["overhead_bytes"] for one in held["objects"])
    assert stored < held["total_bytes"] == sum(path.stat().st_size for path in hub_folder().glob("store.sqlite*"))
    assert held["base_bytes"] > 0, "the dictionary of the general codec"
    said = edgehold("hub", "show").out
    assert "of kind signal" in said
    assert "with public bases of" in said
    again = edgehold("hub", "import", str(folder), "--json").json["imported"]
    assert [one["records_added"] for one in again] == [0] * len(files)
    assert edgehold("hub", "export", "--original", "--out", "back").code == 0
    written = sorted(path.read_bytes() for path in Path("back").iterdir())
    assert written == sorted(path.read_bytes() for path in (folder / "study").rglob("*") if path.is_file())


def test_what_is_taken_in_to_be_read_at_once_is_kept_so(here: Path, edgehold: Edgehold) -> None:
    assert edgehold("hub", "init", "--network", "demo-out").code == 0
    files = [
        str(DATA / name) for name in ("samples/CT_small.dcm", "lines/observations.csv", "fhir/ips_example_bundle.json")
    ]
    assert edgehold("hub", "import", *files, "--profile", "fast").code == 0
    held = edgehold("hub", "show", "--json").json["objects"]
    codecs = {one["name"].partition(":")[0]: one["codec"] for one in held}
    assert codecs["CT_small.dcm"] == "pco/1"
    assert set(codecs.values()) == {"pco/1", "zstd/1"}
    assert edgehold("hub", "export", "--original", "--out", "back").code == 0
    written = sorted(path.read_bytes() for path in Path("back").iterdir())
    assert written == sorted(Path(file).read_bytes() for file in files)
