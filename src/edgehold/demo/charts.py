"""Charts of results as Vega-Lite specifications (version 5), and as SVG where the extra `charts` is installed."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from edgehold.durable import PUBLIC, write_file

SCHEMA = "https://vega.github.io/schema/vega-lite/v5.json"


def result_chart(
    title: str,
    subtitle: str,
    labels: Sequence[str],
    values: Sequence[int],
    intervals: Sequence[tuple[int, int]],
    exact: Sequence[int] | None = None,
) -> dict[str, Any]:
    """A bar for each noised value, its 95 % interval, and (in the demo, which knows it) the exact answer as a tick."""
    rows = [
        {"label": label, "value": value, "low": low, "high": high} | ({} if exact is None else {"exact": exact[place]})
        for place, (label, value, (low, high)) in enumerate(zip(labels, values, intervals, strict=True))
    ]
    across = {"field": "label", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": 260}}
    layers: list[dict[str, Any]] = [
        {
            "mark": {"type": "bar", "color": "#7aa6c2", "height": {"band": 0.7}},
            "encoding": {"x": {"field": "value", "type": "quantitative", "title": "persons"}},
        },
        {
            "mark": {"type": "rule", "color": "#1c3f54", "strokeWidth": 1.5},
            "encoding": {"x": {"field": "low", "type": "quantitative"}, "x2": {"field": "high"}},
        },
    ]
    if exact is not None:
        layers.append(
            {
                "mark": {"type": "tick", "color": "#c2452d", "thickness": 2.5, "height": 14},
                "encoding": {"x": {"field": "exact", "type": "quantitative"}},
            }
        )
    return {
        "$schema": SCHEMA,
        "title": {"text": title, "subtitle": subtitle, "anchor": "start"},
        "data": {"values": rows},
        "width": 480,
        "height": {"step": 22},
        "encoding": {"y": across},
        "layer": layers,
        "config": {"view": {"stroke": None}, "font": "sans-serif"},
    }


def write_chart(specification: dict[str, Any], folder: Path, name: str) -> list[Path]:
    """Write NAME.vl.json, and NAME.svg where it can be drawn; returns what was written."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [folder / f"{name}.vl.json"]
    write_file(written[0], json.dumps(specification, indent=1, ensure_ascii=False) + "\n", mode=PUBLIC)
    if importlib.util.find_spec("vl_convert") is not None:
        import vl_convert

        written.append(folder / f"{name}.svg")
        write_file(written[1], vl_convert.vegalite_to_svg(specification, vl_version="5.21"), mode=PUBLIC)
    return written
