"""Images: the row says what the reference implementation reads, and nothing of whom."""

from __future__ import annotations

import io
import struct
from datetime import UTC, datetime

import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRBigEndian, ImplicitVRLittleEndian, JPEG2000Lossless
from seen import DATA, rows

from edgehold.codecs.events import MISSING_TIME
from edgehold.codecs.tables.images import derive_image
from edgehold.errors import BadImage, NoTable

FILES = ["CT_small.dcm", "MR_small.dcm"]


@pytest.mark.parametrize("name", FILES)
def test_the_row_of_a_real_file_is_what_the_reference_reads(name: str) -> None:
    path = DATA / "samples" / name
    read = pydicom.dcmread(path)
    derived = derive_image(path.read_bytes())
    (row,) = rows(derived.files)
    assert row["study"] == read.StudyInstanceUID
    assert row["series"] == read.SeriesInstanceUID
    assert row["instance"] == read.SOPInstanceUID
    assert row["class"] == read.SOPClassUID
    assert row["modality"] == read.Modality
    assert (row["rows"], row["columns"], row["frames"], row["bits"]) == (read.Rows, read.Columns, 1, read.BitsStored)
    day, clock = next(
        (read[f"{what}Date"].value, read[f"{what}Time"].value)
        for what in ("Acquisition", "Content", "Series", "Study")
        if f"{what}Date" in read and read[f"{what}Date"].value
    )
    moment = datetime.strptime(f"{day}{clock[:6]}", "%Y%m%d%H%M%S").replace(tzinfo=UTC)
    assert row["time"] == int(moment.timestamp())
    assert derived.years == (moment.year, moment.year)
    name_of_person = str(read.PatientName).encode()
    assert name_of_person
    assert not any(name_of_person in data for data in derived.files.values())


def made(**fields: object) -> Dataset:
    one = Dataset()
    one.SOPInstanceUID, one.SOPClassUID = "1.2.3", "1.2.840.10008.5.1.4.1.1.2"
    one.Rows, one.Columns, one.BitsStored = 300, 200, 12
    for name, value in fields.items():
        setattr(one, name, value)
    return one


def written(one: Dataset, syntax: str = "1.2.840.10008.1.2.1") -> bytes:
    one.file_meta = FileMetaDataset()
    one.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
    one.file_meta.MediaStorageSOPInstanceUID = one.get("SOPInstanceUID", "1")
    one.file_meta.MediaStorageSOPClassUID = one.get("SOPClassUID", "1")
    file = io.BytesIO()
    pydicom.dcmwrite(file, one, enforce_file_format=True)
    return file.getvalue()


@pytest.mark.parametrize(
    "syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian, JPEG2000Lossless, "1.2.840.10008.1.2.1"]
)
def test_every_syntax_is_read_also_with_sequences_and_compressed_pixels(syntax: str) -> None:
    inside = Dataset()
    inside.ReferencedSOPInstanceUID = "9.9"
    one = made(NumberOfFrames=7, StudyDate="20200229", Modality="CT", BodyPartExamined="CHEST")
    one.ReferencedStudySequence = [inside]
    one.ReferencedStudySequence.is_undefined_length = True
    (row,) = rows(derive_image(written(one, syntax)).files)
    assert (row["instance"], row["rows"], row["columns"], row["frames"]) == ("1.2.3", 300, 200, 7)
    assert (row["modality"], row["body"], row["study"]) == ("CT", "CHEST", "")
    assert row["time"] == datetime(2020, 2, 29, tzinfo=UTC).timestamp()


def test_what_has_another_form_counts_as_not_said() -> None:
    data = written(made(ContentDate="20201201", ContentTime="101112"))
    data = data.replace(b"20201201", b"20201301").replace(b"5.1.4.1.1.2\0" + b"\x08", b"5..4.1.1.2\0\0" + b"\x08")
    (row,) = rows(derive_image(data).files)
    assert (row["class"], row["time"], row["frames"]) == ("", MISSING_TIME, 1)
    assert derive_image(data).years is None


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", group, number, vr, len(value)) + value


FILE = bytes(128) + b"DICM"
SYNTAX = element(2, 0x10, b"UI", b"1.2.840.10008.1.2.1\0")
INSTANCE = element(8, 0x18, b"UI", b"1.2.3\0")


def test_a_file_that_breaks_off_says_so() -> None:
    derived = derive_image(FILE + SYNTAX + INSTANCE + element(0x20, 0xD, b"UI", b"1.2\0")[:-1])
    assert rows(derived.files)[0]["instance"] == "1.2.3"
    assert "cannot all be followed" in derived.note
    assert rows(derive_image(FILE + SYNTAX + INSTANCE + element(0x28, 0x10, b"US", b"1234")).files)[0]["rows"] == 0


@pytest.mark.parametrize(
    ("data", "error", "says"),
    [
        (b"", BadImage, "not a DICOM file"),
        (FILE, BadImage, "which image it is"),
        (FILE + SYNTAX[:-4], BadImage, "cannot all be followed"),
        (FILE + struct.pack("<HH2s2xI", 2, 1, b"OB", 0xFFFFFFFF), BadImage, "has no end"),
        (FILE + element(2, 0x10, b"UI", b"1.2.840.10008.1.2.1.99") + b"x", NoTable, "deflated"),
        (FILE + SYNTAX + struct.pack("<HH2s2xI", 8, 1, b"SQ", 0xFFFFFFFF) * 50, BadImage, "sequences"),
    ],
)
def test_what_is_no_image_is_refused(data: bytes, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        derive_image(data)
