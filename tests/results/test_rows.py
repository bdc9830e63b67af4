"""Rows for json and csv: keys in order, archived numbers, nothing rounded or clipped."""

import json
import math

import numpy as np
import pytest
from fakes_release import RELEASE, SCHOOLS

from privacy.intervals import Z95
from results.rows import NUMBER_COLUMNS, label_of, table_columns, table_rows
from results.tables import build_tables


@pytest.fixture
def table(county):
    noise = county.noise(np.random.default_rng(4), 1)[0]
    return build_tables(county.layout, county.released(noise), release=RELEASE, reports_in=SCHOOLS)[1]


def test_one_row_per_cell_in_cell_order(table):
    rows = table_rows(table)
    assert len(rows) == table.cells == 180
    assert [tuple(row.keys) for row in rows] == [("grade", "sex", "level")] * 180
    assert list(rows[0].keys.values()) == ["4", "1", "0"]
    assert list(rows[-1].keys.values()) == ["V3", "9", "9"]
    assert [row.released * 64 for row in rows] == list(table.sums)


def test_numbers_are_the_archived_ones(table):
    rows = table_rows(table)
    se = math.sqrt(SCHOOLS * table.layout.noise.s2) / table.layout.noise.scale
    assert any(row.released < 0 for row in rows)
    for row in rows:
        assert row.se == se
        assert row.high95 - row.released == pytest.approx(Z95 * se)
        assert row.released - row.low95 == pytest.approx(Z95 * se)


def test_json_and_csv_hold_the_same(table):
    row = table_rows(table)[7]
    read = json.loads(json.dumps(row.as_dict()))
    assert read == {"keys": dict(row.keys), **{name: getattr(row, name) for name in NUMBER_COLUMNS}}
    assert table_columns(table) == ("grade", "sex", "level", "released", "se", "low95", "high95")
    assert dict(zip(table_columns(table), row.as_record(), strict=True)) == {
        **read["keys"], **{name: read[name] for name in NUMBER_COLUMNS},
    }  # fmt: skip


def test_rows_cannot_be_changed(table):
    row = table_rows(table)[0]
    with pytest.raises(TypeError):
        row.keys["grade"] = "5"
    with pytest.raises(AttributeError):
        row.released = 0.0


@pytest.mark.parametrize(
    ("dimension", "code", "label"),
    [
        ("level", "3", "重点关注"),
        ("stage", "primary", "小学"),
        ("factor", "social", "social"),
        ("x", "y", "y"),
    ],
)
def test_labels(dimension, code, label):
    assert label_of(dimension, code) == label
