"""Whole folders are taken in, and it is said what was found."""

import shutil
from pathlib import Path

from cli_story import Edgehold

DATA = Path(__file__).parent.parent / "data"


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
    again = edgehold("hub", "import", str(folder), "--json").json["imported"]
    assert [one["records_added"] for one in again] == [0] * len(files)
    assert edgehold("hub", "export", "--original", "--out", "back").code == 0
    written = sorted(path.read_bytes() for path in Path("back").iterdir())
    assert written == sorted(path.read_bytes() for path in (folder / "study").rglob("*") if path.is_file())
