"""Pictures of what a hub holds, as Vega-Lite specifications and SVG: a timeline of years, and a strip of a signal."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from edgehold.codecs.events import MISSING_TIME
from edgehold.codecs.events import SCHEMA as EVENTS
from edgehold.codecs.tables.form import column_of, schema_of, year_of
from edgehold.demo.charts import SCHEMA
from edgehold.durable import write_file
from edgehold.errors import NothingToShow, NotInstalled
from edgehold.hub.rows import physical, read_part, stretch
from edgehold.hub.store import Store
from edgehold.system import SystemRandomness
from edgehold.wire.data import ObjectId

COLOURS: Final = {
    "ehr": "#1c3f54",
    "lab": "#4c8c6b",
    "wearable": "#c98a2b",
    "genotype": "#7a5195",
    "signal": "#c2452d",
    "image": "#3f7fae",
    "other": "#8a8a8a",
}
LONGEST_NAME: Final = 40
WIDTH: Final = 640
LABELS: Final = 220
"""Pixels of the names beside a timeline."""
SECOND: Final = 100
"""Pixels of a strip's second, if it is not much too long or short for it."""
MOST_POINTS: Final = 4000
"""Of a channel; of more, the least and the greatest of each piece are drawn."""
TRACE: Final = 84
"""Pixels of a channel's height, at most."""


# ── the timeline ──────────────────────────────────────────────────────────────────────────────────────────────────


def timeline(store: Store) -> dict[str, Any]:
    """Datasets from their first to their last year, and events by year and kind; raises `NothingToShow`."""
    datasets, events = [], Counter[tuple[str, int]]()
    for one in store.objects():
        about = one.descriptor
        if about.tombstone or about.first_year is None or about.last_year is None:
            continue
        name = one.name if len(one.name) <= LONGEST_NAME else one.name[: LONGEST_NAME - 1] + "…"
        datasets.append(
            {
                "name": f"{name} · {one.id.hex()[:4]}",
                "kind": about.kind.value,
                "first": about.first_year,
                "last": about.last_year,
            }
        )
        if about.schema == EVENTS:
            read = store.read_rows(one.id, ["time.i64", "code.u32"], {}, SystemRandomness())
            for year, count in events_by_year(read.columns, read.strings).items():
                events[about.kind.value, year] += count
    if not datasets:
        raise NothingToShow("no dataset says of which years it is")
    counted = [{"kind": kind, "year": year, "events": count} for (kind, year), count in sorted(events.items())]
    return timeline_chart(sorted(datasets, key=lambda one: (one["kind"], one["first"], one["name"])), counted)


def events_by_year(columns: Mapping[str, bytes], strings: Mapping[int, str]) -> Counter[int]:
    """How many events of a table lie in each year, birth apart."""
    birth = next((place for place, string in strings.items() if string == "MEDS_BIRTH"), -1)
    times, codes = column_of(columns, "time.i64"), column_of(columns, "code.u32")
    days = Counter(
        time // 86400 for time, code in zip(times, codes, strict=True) if time != MISSING_TIME and code != birth
    )
    years = Counter[int]()
    for day, count in days.items():
        years[year_of(86400 * day)] += count
    return years


def timeline_chart(datasets: Sequence[Mapping[str, Any]], events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The specification of the timeline."""
    years = [one[end] for one in datasets for end in ("first", "last")] + [one["year"] for one in events]
    kinds = [kind for kind in COLOURS if any(one["kind"] == kind for one in datasets)]
    domain = [min(years) - 0.5, max(years) + 0.5]
    colour = {
        "field": "kind",
        "type": "nominal",
        "scale": {"domain": kinds, "range": [COLOURS[kind] for kind in kinds]},
        "legend": {"title": None, "orient": "top", "symbolType": "square"},
    }
    step = max(1, math.ceil((max(years) - min(years)) / 12))
    ticks = list(range(math.ceil(min(years) / step) * step, max(years) + 1, step))
    across = {
        "type": "quantitative",
        "scale": {"domain": domain, "nice": False, "zero": False},
        "axis": {"format": "d", "values": ticks, "title": None, "grid": True},
    }
    spans = [{**one, "from": one["first"] - 0.4, "to": one["last"] + 0.4} for one in datasets]
    held = {
        "title": {"text": "datasets", "anchor": "start", "fontSize": 12},
        "data": {"values": spans},
        "width": WIDTH,
        "height": {"step": 18},
        "mark": {"type": "bar", "height": 9, "cornerRadius": 2},
        "encoding": {
            "x": {"field": "from", **across},
            "x2": {"field": "to"},
            "y": {"field": "name", "type": "nominal", "sort": None, "title": None, "axis": {"labelLimit": LABELS - 12}},
            "color": colour,
        },
    }
    panels: list[dict[str, Any]] = [held]
    for kind in kinds:
        rows = [one for one in events if one["kind"] == kind]
        if rows:
            panels.append(
                {
                    "title": {"text": f"events a year: {kind}", "anchor": "start", "fontSize": 12},
                    "data": {"values": [{**one, "from": one["year"] - 0.4, "to": one["year"] + 0.4} for one in rows]},
                    "width": WIDTH,
                    "height": 80,
                    "mark": {"type": "bar"},
                    "encoding": {
                        "x": {"field": "from", **across},
                        "x2": {"field": "to"},
                        "y2": {"datum": 0},
                        "y": {
                            "field": "events",
                            "type": "quantitative",
                            "title": None,
                            "axis": {"tickCount": 3, "format": "~s"},
                        },
                        "color": colour,
                    },
                }
            )
    return {
        "$schema": SCHEMA,
        "title": {"text": "What this hub holds, by year", "anchor": "start", "offset": 12},
        "vconcat": panels,
        "resolve": {"scale": {"color": "shared"}},
        "config": {
            "view": {"stroke": None},
            "font": "sans-serif",
            "axis": {"gridColor": "#e4e4e4", "domain": False},
            "axisY": {"minExtent": LABELS, "maxExtent": LABELS},
        },
    }


# ── the strip ─────────────────────────────────────────────────────────────────────────────────────────────────────


def strip(store: Store, object_id: ObjectId, at: float, length: float) -> dict[str, Any]:
    """Some seconds of a signal, of which only these are read; raises `NothingToShow`."""
    part = read_part(store, object_id, lambda table: stretch(table, at, length), SystemRandomness())
    assert part is not None  # noqa: S101  # a stretch of rows is always some
    return strip_chart(part)


def strip_chart(part: Mapping[str, bytes]) -> dict[str, Any]:
    """All channels of a part of a signal, one below the other, on a grid of 0.2 seconds."""
    schema = schema_of(part)
    rate, first = schema["rate"], schema["first_row"]
    begin, end = first / rate, (first + schema["rows"]) / rate
    width = min(1400, max(320, round((end - begin) * SECOND)))
    shown = 0.2 if end - begin <= 12 else 10 ** math.ceil(math.log10((end - begin) / 60))
    grid = [round(shown * number, 6) for number in range(math.ceil(begin / shown), math.floor(end / shown) + 1)]
    panels = [
        _trace(part, channel, place, grid, (begin, end), width, is_last=place == len(schema["channels"]) - 1)
        for place, channel in enumerate(schema["channels"])
    ]
    return {
        "$schema": SCHEMA,
        "title": {
            "text": f"{schema['record']}, {schema['file']}",
            "subtitle": f"{begin:g} to {end:g} s, {rate:g} samples a second; a line every {shown:g} s",
            "anchor": "start",
        },
        "vconcat": panels,
        "spacing": 6,
        "config": {"view": {"stroke": "#f0c8c0"}, "font": "sans-serif"},
    }


def _trace(
    files: Mapping[str, bytes],
    channel: Mapping[str, Any],
    place: int,
    grid: Sequence[float],
    span: tuple[float, float],
    width: int,
    *,
    is_last: bool,
) -> dict[str, Any]:
    """One channel."""
    schema = schema_of(files)
    column, read = physical(files, channel)
    rate, first = schema["rate"], schema["first_row"]
    points = [
        {"s": round((first + row) / rate, 5), "v": read(column[row])}
        for row in thinned(column, channel["missing"], channel["every"])
    ]
    values = [point["v"] for point in points if point["v"] is not None]
    low, high = (min(values), max(values)) if values else (0.0, 1.0)
    step = step_of(channel["unit"], high - low)
    low, high = math.floor(low / step) * step, math.ceil(high / step) * step
    if high <= low:
        high = low + step
    lines = round((high - low) / step)
    marks = [round(low + step * number, 9) for number in range(lines + 1)]
    name = channel["name"] or f"channel {place}"
    apart = 5 * (grid[1] - grid[0]) if len(grid) > 1 else 1.0
    every_fifth = f"abs(datum.value / {apart:g} - round(datum.value / {apart:g})) < 0.001"
    return {
        "data": {"values": points},
        "width": width,
        "height": min(3 * TRACE, max(40, 20 * lines)),
        "mark": {
            "type": "line",
            "color": "#1c3f54",
            "strokeWidth": 1,
            "strokeJoin": "round",
            "invalid": "break-paths-filter-domains",
        },
        "encoding": {
            "x": {
                "field": "s",
                "type": "quantitative",
                "scale": {"domain": list(span), "nice": False, "zero": False},
                "axis": {
                    "values": list(grid),
                    "grid": True,
                    "gridColor": {"condition": {"test": every_fifth, "value": "#e3a297"}, "value": "#f3d5cf"},
                    "labelExpr": f"{every_fifth} ? datum.label : ''",
                    "title": "seconds" if is_last else None,
                    "labels": is_last,
                    "ticks": is_last,
                    "domain": False,
                    "labelOverlap": "greedy",
                    "format": "~f",
                },
            },
            "y": {
                "field": "v",
                "type": "quantitative",
                "scale": {"domain": [low, high], "nice": False, "zero": False},
                "axis": {
                    "values": marks,
                    "grid": True,
                    "gridColor": "#f3d5cf",
                    "title": f"{name} ({channel['unit']})",
                    "titleAngle": 0,
                    "titleAlign": "right",
                    "titleX": -46,
                    "domain": False,
                    "ticks": False,
                    "labelOverlap": "greedy",
                    "format": "~f",
                },
            },
        },
    }


def step_of(unit: str, span: float) -> float:
    """How far the lines of a channel are apart: half a millivolt as on paper, if these are not too many or too few; else
    about six of 1, 2 or 5 times a power of ten."""
    if unit.lower() == "mv" and 0.4 <= span <= 6:
        return 0.5
    if span <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(span / 6))
    return next(times * power for times in (1, 2, 5, 10) if span / (times * power) <= 6)


def thinned(column: Sequence[int], missing: int, every: int) -> Iterator[int]:
    """The rows of a channel to be drawn: all that are not repeated or, if they are too many, of each piece the least and
    the greatest, so that no peak is lost."""
    rows = range(0, len(column), every)
    if len(rows) <= MOST_POINTS:
        yield from rows
        return
    piece = 2 * math.ceil(len(rows) / MOST_POINTS)
    for start in range(0, len(rows), piece):
        some = [row for row in rows[start : start + piece] if column[row] != missing] or [rows[start]]
        yield from sorted({min(some, key=column.__getitem__), max(some, key=column.__getitem__)})


# ── drawing ───────────────────────────────────────────────────────────────────────────────────────────────────────


def draw(specification: Mapping[str, Any], path: Path) -> int:
    """Write a picture as SVG; returns its bytes. Raises `NotInstalled` without the extra `charts`."""
    if find_spec("vl_convert") is None:
        raise NotInstalled("pictures need the extra `charts`: pip install 'edgehold[charts]'")
    import vl_convert

    picture = vl_convert.vegalite_to_svg(dict(specification), vl_version="5.21")
    write_file(path, picture)
    return len(picture.encode())
