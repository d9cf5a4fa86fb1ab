"""Charts are valid Vega-Lite that a renderer draws, with every value in them."""

import json
from pathlib import Path

from edgehold.demo.charts import result_chart, write_chart


def test_a_chart_is_written_as_specification_and_as_picture(tmp_path: Path) -> None:
    chart = result_chart("BMI", "285 reports", ["<18.5", "n/a"], [12, -3], [(2, 22), (-13, 7)], [14, 0])
    specification, picture = write_chart(chart, tmp_path, "bmi")
    assert json.loads(specification.read_text())["data"]["values"][1] == {
        "label": "n/a",
        "value": -3,
        "low": -13,
        "high": 7,
        "exact": 0,
    }
    assert picture.read_text().startswith("<svg")
    assert "&lt;18.5" in picture.read_text()
