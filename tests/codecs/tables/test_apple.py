"""Apple Health: records become events, markup is bounded, and a file that breaks off says where."""

from __future__ import annotations

from datetime import datetime
from xml.etree import ElementTree

import pytest
from seen import DATA, events

from edgehold.codecs.events import MISSING_TIME, Event
from edgehold.codecs.tables import apple
from edgehold.codecs.tables.apple import derive_apple, without_document_type
from edgehold.errors import IntakeLimit, NoTable

BEGIN = '<?xml version="1.0" encoding="UTF-8"?>\n'
RECORD = '<Record type="HKQuantityTypeIdentifierStepCount" unit="count" startDate="{}" endDate="{}" value="6"/>'
ONE = RECORD.format("2016-04-01 03:41:11 +0100", "2016-04-01 03:41:40 +0100")
STEPS = Event(1459478471, "APPLE//HKQuantityTypeIdentifierStepCount", 6.0, "", "count")


def export(inside: str, before: str = "") -> bytes:
    return f"{BEGIN}{before}<HealthData>\n{inside}\n</HealthData>\n".encode()


def test_every_record_of_a_real_export_is_an_event() -> None:
    data = (DATA / "lines" / "export.xml").read_bytes()
    expected = []
    for one in ElementTree.fromstring(data).iter("Record"):  # noqa: S314
        start = int(datetime.strptime(one.attrib["startDate"], "%Y-%m-%d %H:%M:%S %z").timestamp())
        expected.append(
            Event(start, f"APPLE//{one.attrib['type']}", float(one.attrib["value"]), "", one.attrib["unit"])
        )
    found = events(derive_apple([data]))
    assert sorted(one for one in found if one.code.startswith("APPLE//HKQ")) == sorted(expected)
    assert {one.code for one in found} >= {"MEDS_BIRTH", "GENDER//male"}
    assert derive_apple([data]).note == ""


def test_categories_workouts_and_correlations() -> None:
    sleep = (
        '<Record type="HKCategoryTypeIdentifierSleepAnalysis" startDate="2016-04-01 00:00:00 +0000" '
        'endDate="2016-04-01 01:00:30 +0000" value="HKCategoryValueSleepAnalysisAsleep"><MetadataEntry key="a" value="b"/></Record>'
    )
    bare = '<Record type="HKCategoryTypeIdentifierMindfulSession" startDate="2016-04-01 00:00:00 +0000"/>'
    run = (
        '<Workout workoutActivityType="HKWorkoutActivityTypeRunning" duration="31.5" durationUnit="min" '
        'startDate="2016-04-01 10:00:00 +0000"/>'
    )
    both = f'<Correlation type="HKCorrelationTypeIdentifierBloodPressure">{ONE}</Correlation>'
    assert events(derive_apple([export(sleep + bare + run + both + ONE)])) == [
        Event(1459468800, "APPLE//HKCategoryTypeIdentifierMindfulSession"),
        Event(
            1459468800,
            "APPLE//HKCategoryTypeIdentifierSleepAnalysis",
            3630.0,
            "HKCategoryValueSleepAnalysisAsleep",
            "s",
        ),
        STEPS,
        Event(1459504800, "APPLE//HKWorkoutActivityTypeRunning", 31.5, "", "min"),
    ]


def test_the_person_is_born_and_perhaps_of_a_sex() -> None:
    kind = "HKCharacteristicTypeIdentifier"
    me = f'<Me {kind}DateOfBirth="1970-01-02" {kind}BiologicalSex="HKBiologicalSexFemale"/>'
    derived = derive_apple([export(me + ONE)])
    assert events(derived) == [Event(MISSING_TIME, "GENDER//female"), Event(86400, "MEDS_BIRTH"), STEPS]
    assert derived.years == (2016, 2016)
    assert events(derive_apple([export(f'<Me {kind}BiologicalSex="HKBiologicalSexNotSet"/>{ONE}')])) == [STEPS]


@pytest.mark.parametrize(
    "before",
    [
        "<!DOCTYPE HealthData>\n",
        '<!DOCTYPE HealthData SYSTEM "file:///etc/passwd">\n',
        "<!-- one -->\n<!-- ] --><!DOCTYPE HealthData [\n<!-- ]> -->\n<!ELEMENT HealthData (a[b] ]>\n",
        "<!DOCTYPE HealthData [<!ATTLIST Record device CDATA #IMPLIED\n <!-- not closed -->]  >",
        '<!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;&a;&a;">]>',
    ],
)
def test_the_document_type_is_stepped_over_and_lines_stay_lines(before: str) -> None:
    data = export(ONE, before)
    assert events(derive_apple([data])) == [STEPS]
    assert without_document_type(data).count(b"\n") == data.count(b"\n")
    assert b"DOCTYPE" not in without_document_type(data)


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (export(ONE)[:-15], "no element found"),
        (export(ONE + "\x01"), "line 3, column"),
        (export(f"{ONE}\n<Record a='1' a='2'/>"), "line 4, column"),
        (export(f"{ONE}\n&a;"), "line 4, column"),
        (export(f"{ONE}\n<Record startDate='x'/>"), "line 4: startDate: no date or time"),
        (export(f"{ONE}\n<Me HKCharacteristicTypeIdentifierDateOfBirth='x'/>"), "line 4: date of birth"),
        (export(ONE).replace(b"</HealthData>", b"\xff"), "line 4, column"),
    ],
)
def test_a_table_ends_where_the_export_breaks_off(data: bytes, says: str) -> None:
    derived = derive_apple([data])
    assert events(derived) == [STEPS]
    assert derived.note.startswith("it ends at ")
    assert says in derived.note


def test_an_export_is_utf8_whatever_it_says() -> None:
    assert events(derive_apple([export(ONE).replace(b'"UTF-8"', b'"UTF-6"')])) == [STEPS]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        export(""),
        export(ONE, "<!DOCTYPE HealthData [ <!-- "),
        export(ONE, "<!DOCTYPE HealthData [ ] "),
        f"{BEGIN}<!DOCTYPE HealthData ".encode(),
        f"{BEGIN}<!-- {ONE}".encode(),
        export("", "<!DOCTYPE a><!DOCTYPE b>"),
    ],
)
def test_without_a_record_there_is_no_table(data: bytes) -> None:
    with pytest.raises(NoTable):
        derive_apple([data])


def test_markup_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(IntakeLimit, match="unfinished"):
        derive_apple([export(ONE + "<Record a='" + "x" * (1 << 20) + "'/>")])
    with pytest.raises(IntakeLimit, match="inside each other"):
        derive_apple([export(ONE + "<a>" * 40)])
    monkeypatch.setattr(apple, "MOST_ELEMENTS", 3)
    monkeypatch.setattr(apple, "OF_RECORD", 1)
    assert derive_apple([export(ONE * 20)]).rows == 20
    with pytest.raises(IntakeLimit, match="elements"):
        derive_apple([export(ONE + "<a/>" * 4)])
