"""Columns in the form that packs best: whatever they hold comes back, and what no hub writes is refused."""

from __future__ import annotations

from array import array
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgehold.codecs.columns import Form, forms_of, in_forms, most_in_forms, out_of_forms
from edgehold.codecs.general import shipped_codec
from edgehold.codecs.segments import FORMATS, STRINGS, Outline, cut
from edgehold.codecs.tables.form import STRING
from edgehold.errors import CannotDecode, Malformed


@dataclass(frozen=True)
class Cut:
    """The first group of a table."""

    outline: Outline
    group: bytes

    @property
    def folded(self) -> bytes:
        return in_forms(self.outline, 0, self.group)


def cut_of(**columns: array[int] | array[float]) -> Cut:
    outline, groups = cut({name.replace("_", "."): column.tobytes() for name, column in columns.items()})
    return Cut(outline, groups[0])


@given(st.integers(1, 50), st.data())
def test_any_columns_come_back(rows: int, data: st.DataObject) -> None:
    ends = data.draw(st.lists(st.sampled_from(sorted(FORMATS)), min_size=1, unique=True))
    widths = {end: array(FORMATS[end]).itemsize for end in ends}
    files = {f"a.{end}": data.draw(st.binary(min_size=rows * w, max_size=rows * w)) for end, w in widths.items()}
    outline, (group,) = cut(files)
    folded = in_forms(outline, 0, group)
    assert len(folded) == most_in_forms(outline, 0)
    assert out_of_forms(outline, 0, folded) == group


def test_each_column_has_the_form_that_packs_it_best() -> None:
    cut_ = cut_of(
        even_u32=array("I", range(1000, 9000, 8)),
        flag_u8=array("B", [7] * 1000),
        half_f64=array("d", (number % 10 / 2 for number in range(1000))),
    )
    assert list(cut_.folded[:2]) == [Form.STEPS, Form.PLAIN]
    assert cut_.folded[2] in forms_of("half.f64")
    wide = cut_of(n_i64=array("q", (number * 2_654_435_761 % 251 for number in range(1000))))
    assert wide.folded[0] == Form.PLANES
    bare, fewer = (len(shipped_codec(None).encode(one)) for one in (wide.group, wide.folded))
    assert fewer < bare


def test_strings_of_a_group_stay_behind_its_columns() -> None:
    rows, group = 8000, {"words.u32": array("I", range(8000)).tobytes()}
    schema = f'{{"columns":[{{"file":"words.u32","unit":"{STRING}"}}]}}'.encode()
    strings = ("[" + ",".join(f'"w{number}"' for number in range(rows)) + "]").encode()
    outline, groups = cut({**group, "schema.json": schema, STRINGS: strings})
    assert outline.words[1] > 0
    folded = in_forms(outline, 1, groups[1])
    assert folded.endswith(groups[1][outline.columns_in(1) :])
    assert out_of_forms(outline, 1, folded) == groups[1]


def test_what_no_hub_writes_is_refused() -> None:
    assert forms_of("x.f64") == [Form.PLAIN, Form.PLANES]
    assert forms_of("x.u8") == [Form.PLAIN, Form.STEPS]
    cut_ = cut_of(half_f64=array("d", [0.5, 1.5]), n_u8=array("B", [1, 2]))
    for forms in (b"\x02\x00", b"\x00\x01", b"\x03\x00", b"\x00\xff"):
        with pytest.raises(CannotDecode, match="has no form"):
            out_of_forms(cut_.outline, 0, forms + cut_.group)
    for folded in (b"", b"\x00", cut_.folded[:-1], cut_.folded + b"\x00"):
        with pytest.raises(Malformed):
            out_of_forms(cut_.outline, 0, folded)
    with pytest.raises(Malformed):
        in_forms(cut_.outline, 0, cut_.group + b"\x00")
