"""Tables of laboratories and wearables: columns are found or said, and every cell becomes what it means."""

from __future__ import annotations

import csv
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from seen import DATA, events

from edgehold.codecs import events as events_module
from edgehold.codecs.events import MISSING_TIME, Event
from edgehold.codecs.tables.form import schema_of
from edgehold.codecs.tables.laboratory import Columns, derive_laboratory, read_columns, value_of
from edgehold.codecs.tables.minutes import derive_minutes
from edgehold.codecs.tables.moments import Moments, order_of_dates
from edgehold.errors import BadColumns, BadRow, IntakeError, IntakeLimit, SeveralPersons, UnknownColumns


def lab(text: str, columns: Columns | None = None) -> list[Event]:
    return events(derive_laboratory([text.encode()], columns))


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


def test_an_export_of_observations_gives_its_lines() -> None:
    data = (DATA / "lines" / "observations.csv").read_bytes()
    derived = derive_laboratory([data])
    expected = []
    for line in csv.DictReader(data.decode().splitlines()):
        is_number = line["TYPE"] == "numeric"
        code = line["CODE"] if "-" in line["CODE"] else None
        expected.append(
            Event(
                int(datetime.fromisoformat(line["DATE"]).timestamp()),
                f"LOINC//{code}" if code else f"LAB//{line['CODE']}",
                float(line["VALUE"]) if is_number else None,
                "" if is_number else line["VALUE"],
                line["UNITS"],
            )
        )
    assert len(expected) > 100
    assert sorted(events(derived), key=repr) == sorted(expected, key=repr)
    assert derived.years == (
        min(one.time for one in expected) // 31556952 + 1970,
        datetime.fromtimestamp(max(one.time for one in expected), UTC).year,
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "date,loinc,value,unit\n2024-03-01,2345-7,95,mg/dL\n",
            Event(at("2024-03-01"), "LOINC//2345-7", 95.0, "", "mg/dL"),
        ),
        (
            "Date;Test;Result;Units\n1.3.2024;Glukose;5,3;mmol/L\n",
            Event(at("2024-03-01"), "LAB//Glukose", 5.3, "", "mmol/L"),
        ),
        ("collected\tcode\tresult\n2024-03-01 08:15\tGLU\t<0.5\n", Event(at("2024-03-01T08:15"), "LAB//GLU", 0.5, "<")),
        ("date|test|result\n2024-03-01|HIV|negative\n", Event(at("2024-03-01"), "LAB//HIV", None, "negative")),
        ('date,test,result\n"2024-03-01","a ""b"", c",7\n', Event(at("2024-03-01"), 'LAB//a "b", c', 7.0)),
        (
            "\ufeffDATE,CODE,VALUE\r\n2024-03-01T08:15:00+01:00,x,1e2\r\n",
            Event(at("2024-03-01T07:15"), "LAB//x", 100.0),
        ),
        ("date,test,result,interpretation\n2024-03-01,K,4.1,H\n", Event(at("2024-03-01"), "LAB//K", 4.1, "H")),
        ("date,test,result\n,K,4.1\n\n", Event(MISSING_TIME, "LAB//K", 4.1)),
        ("time,test,result\n3/25/2024 1:05 PM,K,4.1\n", Event(at("2024-03-25T13:05"), "LAB//K", 4.1)),
        ("date,description,code,value\n20240301,Sodium,,140\n", Event(at("2024-03-01"), "LAB//Sodium", 140.0)),
    ],
)
def test_columns_are_known_by_what_they_are_called(text: str, expected: Event) -> None:
    assert lab(text) == [expected]


def test_what_is_no_utf8_is_windows() -> None:
    data = "date,test,result,unit\n2024-03-01,CRP,3,µg/L\n".encode("cp1252")
    assert events(derive_laboratory([data]))[0].unit == "µg/L"


def test_days_with_slashes_are_read_if_a_date_shows_which_is_first() -> None:
    head = "date,test,result\n"
    assert [one.time for one in lab(head + "01/02/2024,K,1\n25/02/2024,K,2\n")] == [at("2024-02-01"), at("2024-02-25")]
    assert [one.time for one in lab(head + "01/02/2024,K,1\n02/25/2024,K,2\n")] == [at("2024-01-02"), at("2024-02-25")]
    with pytest.raises(BadRow, match="line 2: a date of which nobody says"):
        lab(head + "01/02/2024,K,1\n")


SAID = """
date = "Abnahme"
code = "Analyt"
value = "Ergebnis"
unit = "Einheit"
text = "Bewertung"
vocabulary = "SWISSLAB"
dates = "DMY"
decimal = ","
"""


def test_the_owner_says_which_columns_hold_what() -> None:
    text = "Abnahme\tAnalyt\tErgebnis\tEinheit\tBewertung\n01/02/2024\tGLU\t5,3\tmmol/L\thoch\n01/02/2024\tFARBE\tgelb\t\t-\n"
    said = read_columns(SAID)
    assert lab(text, said) == [
        Event(at("2024-02-01"), "SWISSLAB//FARBE", None, "gelb", ""),
        Event(at("2024-02-01"), "SWISSLAB//GLU", 5.3, "hoch", "mmol/L"),
    ]
    facts = schema_of(derive_laboratory([text.encode()], said).files)["said"]
    assert facts == {"date": "Abnahme", "code": "Analyt", "value": "Ergebnis", "unit": "Einheit"} | {
        "text": "Bewertung",
        "vocabulary": "SWISSLAB",
        "dates": "DMY",
        "decimal": ",",
    }


@pytest.mark.parametrize(
    "text",
    [
        "",
        "date = 1",
        'date = "a"\ncode = "b"\nvalue = "c"\nmore = "d"',
        SAID.replace("DMY", "YDM"),
        SAID.replace("SWISSLAB", "a b"),
        "date = [",
    ],
)
def test_what_says_nothing_of_columns_is_refused(text: str) -> None:
    with pytest.raises(BadColumns):
        read_columns(text)


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("", UnknownColumns, "line 1"),
        ("one column\n1\n", UnknownColumns, "line 1"),
        ("a,b\n1,2\n", UnknownColumns, "hold the date or the value or the code"),
        ("date,value\n1,2\n", UnknownColumns, "hold the code"),
        ("date,test,result\n2024-13-01,K,1\n", BadRow, "line 2: a day that does not exist"),
        ("date,test,result\n2024-01-01,K\n", BadRow, "line 2: 2 columns"),
        ("date,test,result\n2024-01-01,,1\n", BadRow, "line 2: neither"),
        ('date,test,result\n2024-01-01,"' + "x" * 200_000 + '",1\n', BadRow, "line 2"),
        ("patient,date,test,result\na,2024-01-01,K,1\nb,2024-01-01,K,1\n", SeveralPersons, "line 3"),
        ("date,test,result" + ",x" * 2000 + "\n", IntakeLimit, "columns"),
    ],
)
def test_what_is_no_table_of_results_is_refused_at_its_line(text: str, error: type[IntakeError], says: str) -> None:
    with pytest.raises(error, match=says):
        lab(text)
    with pytest.raises(BadColumns, match="code: line 1"):
        lab("Abnahme,b\n1,2\n", Columns(date="Abnahme", code="c", value="b"))


def test_too_many_rows_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "MOST_ROWS", 1)
    with pytest.raises(IntakeLimit):
        lab("date,test,result\n2024-01-01,K,1\n2024-01-01,K,1\n")


@pytest.mark.parametrize(
    ("cell", "value", "text"),
    [
        ("5", 5.0, ""),
        ("-0.0", 0.0, ""),
        ("+.5e-3", 0.0005, ""),
        ("> 7", 7.0, ">"),
        ("≤7", 7.0, "≤"),
        ("1e999", None, "1e999"),
        ("5,3", None, "5,3"),
        ("nan", None, "nan"),
        ("1_0", None, "1_0"),
        ("", None, ""),
    ],
)
def test_a_cell_is_a_number_or_words(cell: str, value: float | None, text: str) -> None:
    assert value_of(cell) == (value, text)


# ── moments ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2024-02-29", "2024-02-29"),
        ("2024/02/29", "2024-02-29"),
        ("20240229T081530", None),
        ("2024-02-29T08:15:30Z", "2024-02-29T08:15:30"),
        ("2024-02-29T08:15:30.999Z", "2024-02-29T08:15:30"),
        ("2024-02-29 08:15:30 -0330", "2024-02-29T11:45:30"),
        ("2024-02-29 08:15:30+01", "2024-02-29T07:15:30"),
        ("29.2.2024 8:15", "2024-02-29T08:15:00"),
        ("29.2.2024, 08:15:30", "2024-02-29T08:15:30"),
        ("2/29/2024 12:00:00 AM", "2024-02-29T00:00:00"),
        ("2/29/2024 12:30 pm", "2024-02-29T12:30:00"),
        ("1.3.2024 8:15+01:30", "2024-03-01T06:45:00"),
        ("2024-02-30", None),
        ("2024-00-10", None),
        ("2024-01-01 25:00", None),
        ("2024-01-01 13:00 PM", None),
        ("2024-01-01 10:61", None),
        ("2024-01-01 10:10:10+15:00", None),
        ("1/2/2024", None),
        ("2024-02-29\n", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_moments_are_read_in_many_spellings(text: str, moment: str | None) -> None:
    for _ in range(2):  # the second time from what is remembered
        if moment is None:
            with pytest.raises(ValueError):  # noqa: PT011
                Moments().read(text)
        else:
            reader = Moments()
            assert [reader.read(text), reader.read(text)] == [at(moment)] * 2


@given(
    st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30)),
    st.sampled_from(["", "Z", " +0100", "-05:30"]),
    st.lists(st.integers(0, 59), max_size=5),
)
def test_what_is_remembered_of_a_minute_changes_nothing(moment: datetime, zone: str, seconds: list[int]) -> None:
    reader = Moments()
    for second in (moment.second, *seconds):
        text = f"{moment:%Y-%m-%d %H:%M}".zfill(16) + f":{second:02d}{zone}"
        assert reader.read(text) == Moments()._read(text)


def test_many_minutes_are_forgotten_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgehold.codecs.tables.moments.REMEMBERED", 2)
    reader = Moments()
    assert [reader.read(f"1970-01-01 00:{minute:02d}:01") for minute in range(9)] == [60 * m + 1 for m in range(9)]


def test_the_order_of_dates() -> None:
    assert order_of_dates(["1/2/2024", "x", "13/1/2024"]) == "DMY"
    assert order_of_dates(["1/13/2024"]) == "MDY"
    assert order_of_dates(["13.1.2024", "2024-01-13"]) == ""
    assert Moments("MDY").read("1/2/1970") == 86400


# ── minutes ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_minutes_give_an_event_for_each_measure() -> None:
    data = (DATA / "lines" / "minutes.csv").read_bytes()
    expected = []
    for line in csv.DictReader(data.decode().splitlines()):
        time = at(line["time"])
        expected += [
            Event(time, "OMH//heart-rate", float(line["heart_rate"]), "", "beats/min"),
            Event(time, "FITBIT//intensity", float(line["intensity"])),
            Event(time, "OMH//step-count", float(line["steps"]), "", "steps"),
        ]
    derived = derive_minutes([data])
    assert sorted(events(derived)) == sorted(expected)
    assert derived.years == (2016, 2016)


def test_a_wearable_s_own_export_and_empty_cells() -> None:
    text = b"Id,ActivityMinute,Steps,Calories\n7,4/13/2016 12:01:00 AM,0,\n7,4/12/2016 1:00:00 PM,,1.5\n"
    assert events(derive_minutes([text])) == [
        Event(at("2016-04-12T13:00"), "OMH//calories-burned", 1.5, "", "kcal"),
        Event(at("2016-04-13T00:01"), "OMH//step-count", 0.0, "", "steps"),
    ]


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        (b"a,steps\n1,2\n", UnknownColumns, "the time"),
        (b"time,a\n1,2\n", UnknownColumns, "the measure"),
        (b"time,steps\nx,2\n", BadRow, "line 2"),
        (b"id,time,steps\n1,2016-04-12,2\n2,2016-04-12,2\n", SeveralPersons, "line 3"),
    ],
)
def test_what_are_no_minutes_is_refused(text: bytes, error: type[IntakeError], says: str) -> None:
    with pytest.raises(error, match=says):
        derive_minutes([text])
