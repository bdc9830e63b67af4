"""Building tables from a release, selecting cells, and what does not fit."""

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from fakes_release import RELEASE, SCHOOLS

from results.errors import ReleaseError, ResultsError, SelectionError
from results.tables import NoisyTable, build_tables


@pytest.fixture
def tables(county):
    return build_tables(county.layout, county.released(), release=RELEASE, reports_in=SCHOOLS)


def test_a_release_without_noise_gives_back_every_count(county, tables):
    values = [table.value(i) for table in tables for i in range(table.cells)]
    assert values == county.counts.tolist()
    assert [table.id for table in tables] == ["A1", "A2", "A3", "A4", "A5", "A6", "A7"]


def test_values_and_standard_errors_are_exact(county):
    noise = np.full(county.layout.cells, -3)
    tables = build_tables(county.layout, county.released(noise), release=RELEASE, reports_in=SCHOOLS)
    table = tables[0]
    assert table.value(0) == int(county.counts[0]) - Fraction(3, 64)
    assert table.cell_variance == Fraction(SCHOOLS * table.layout.noise.s2, 64**2)
    assert table.se == math.sqrt(SCHOOLS * table.layout.noise.s2) / 64


def test_selected_cells_are_those_whose_keys_match(tables):
    for table in tables:
        for name in table.dims:
            for code in table.codes_of(name):
                expected = [i for i in range(table.cells) if table.layout.keys(i)[name] == code]
                assert list(table.select({name: {code}})) == expected
    assert tables[1].select({}) == tuple(range(tables[1].cells))
    two = tables[1].select({"grade": ["7", "8"], "level": ["3"]})
    assert [tuple(tables[1].layout.keys(i).values()) for i in two] == [
        (grade, sex, "3") for grade in ("7", "8") for sex in ("1", "2", "9")
    ]


@pytest.mark.parametrize(
    "selection",
    [
        {"stage": {"junior"}},
        {"grade": {"3"}},
        {"grade": {"7", "13"}},
        {"grade": set()},
        {"Grade": {"7"}},
        {"sex": "3"},
    ],
)
def test_a_selection_that_the_table_does_not_have_is_refused(tables, selection):
    with pytest.raises(SelectionError):
        tables[1].select(selection)


def _without(row, key):
    return {name: value for name, value in row.items() if name != key}


@pytest.mark.parametrize(
    "change",
    [
        lambda rows: rows[:-1],
        lambda rows: [*rows, rows[0]],
        lambda rows: [rows[1], rows[0], *rows[2:]],
        lambda rows: [{**rows[0], "id": "B1"}, *rows[1:]],
        lambda rows: [{**rows[0], "scale": 32}, *rows[1:]],
        lambda rows: [{**rows[0], "s2": rows[0]["s2"] + 1}, *rows[1:]],
        lambda rows: [{**rows[0], "sums": rows[0]["sums"][:-1]}, *rows[1:]],
        lambda rows: [{**rows[0], "sums": [*rows[0]["sums"], 0]}, *rows[1:]],
        lambda rows: [{**rows[0], "sums": [0.5, *rows[0]["sums"][1:]]}, *rows[1:]],
        lambda rows: [{**rows[0], "sums": [True, *rows[0]["sums"][1:]]}, *rows[1:]],
        lambda rows: [{**rows[0], "sums": "0" * 96}, *rows[1:]],
        lambda rows: [{**rows[0], "sums": None}, *rows[1:]],
        lambda rows: [_without(rows[0], "sums"), *rows[1:]],
        lambda rows: [_without(rows[0], "s2"), *rows[1:]],
        lambda rows: [{**rows[0], "title": ""}, *rows[1:]],
        lambda rows: [],
    ],
    ids=[
        "table-missing", "table-too-many", "order", "other-id", "other-scale", "other-variance",
        "cell-missing", "cell-too-many", "float", "bool", "text", "none", "no-sums", "no-variance",
        "unknown-key", "empty",
    ],
)  # fmt: skip
def test_a_release_that_does_not_fit_the_plan_is_refused(county, change):
    with pytest.raises(ReleaseError):
        build_tables(county.layout, change(county.released()), release=RELEASE, reports_in=SCHOOLS)


@pytest.mark.parametrize("reports_in", [0, -1, 1 << 19, 12.0, True, None])
def test_an_impossible_number_of_reports_is_refused(county, reports_in):
    with pytest.raises(ReleaseError, match="reports in"):
        build_tables(county.layout, county.released(), release=RELEASE, reports_in=reports_in)


def test_errors_and_reprs_hold_no_cell(county, tables):
    secret = replace(tables[0], sums=tuple([987654321] * 96))
    assert "987654321" not in repr(secret)
    with pytest.raises(ResultsError) as caught:
        NoisyTable(RELEASE, county.layout.tables[0], SCHOOLS, (987654321,))
    assert "987654321" not in str(caught.value)
