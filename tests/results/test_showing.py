"""How numbers are printed: rounding that keeps the interval, what is withheld and why, structural zeros."""

import pytest
from fakes_report import model_of, ready_plan, rich_county
from hypothesis import given, settings
from hypothesis import strategies as st

from plan.table_spec import TableSpec
from privacy.display import WITHHELD, Shown, show_count
from privacy.intervals import sum_interval
from results.rows import Row, make_row
from results.showing import Kind, as_shown, display_cell, display_count, display_rate, display_value, rounded


def row_of(value: float, se: float) -> Row:
    return make_row({}, value, se, sum_interval(value, se))


@pytest.mark.parametrize(
    ("value", "expected"),
    [(-17.2, 0), (-0.1, 0), (0.0, 0), (2.4, 0), (2.5, 5), (7.49, 5), (12.5, 15), (4998.0, 5000)],
)
def test_counts_are_rounded_to_five_and_never_negative(value: float, expected: int) -> None:
    assert rounded(value) == expected


@given(st.floats(11, 1e6), st.floats(0, 1e4), st.sampled_from([1, 5, 10]))
@settings(max_examples=200, deadline=None)
def test_a_printed_count_with_its_margin_holds_the_interval(value: float, se: float, step: int) -> None:
    row = row_of(value, se)
    found = display_count(row, show_count(value, se), step=step)
    if found.kind is not Kind.NUMBER:
        return
    assert found.value is not None
    assert found.margin is not None
    assert found.value % step == 0
    assert found.value - found.margin <= row.low95
    assert row.high95 <= found.value + found.margin
    assert found.margin <= (row.high95 - row.low95) / 2 + step / 2 + 1


@pytest.mark.parametrize(
    ("value", "se", "kind", "text"),
    [
        (312.0, 6.0, Kind.NUMBER, "310"),
        (312.0, 100.0, Kind.WITHHELD, "样本过小"),
        (10.9, 0.5, Kind.WITHHELD, "样本过小"),
        (4.0, 3.0, Kind.SMALL, "<10"),
        (4.0, 3.2, Kind.WITHHELD, "样本过小"),
        (-40.0, 9.0, Kind.SMALL, "<10"),
        (-40.0, 30.0, Kind.WITHHELD, "样本过小"),
    ],
)
def test_what_is_printed_for_a_count(value: float, se: float, kind: Kind, text: str) -> None:
    found = display_count(row_of(value, se), show_count(value, se))
    assert (found.kind, found.text()) == (kind, text)
    assert found.margin_text() == ("±14" if kind is Kind.NUMBER else "")
    assert found.text("too few") == text.replace("样本过小", "too few")


def test_a_structural_zero_is_a_dash_and_a_missing_number_is_withheld() -> None:
    assert display_count(row_of(0, 0), WITHHELD, is_zero=True).text() == "—"
    assert display_count(None, WITHHELD).kind is Kind.WITHHELD
    assert display_count(None, Shown(20, 5)).kind is Kind.WITHHELD


def test_rates_have_one_decimal() -> None:
    found = display_rate(Shown(7.0, 1.2))
    assert (found.text(), found.margin_text()) == ("7.0", "±1.2")
    assert display_rate(WITHHELD).text() == "样本过小"


def test_numbers_and_cells_of_a_model() -> None:
    county = rich_county(ready_plan("autumn-small"), 2000, 21)
    model = model_of(county)
    tested, coverage = model.value("IND-03"), model.value("IND-02")
    assert tested is not None
    assert coverage is not None
    assert display_value(tested).value == rounded(tested.row.released)
    assert display_value(coverage).text() == f"{coverage.shown.value:.1f}"
    assert as_shown(tested).value == display_value(tested).value
    assert as_shown(coverage) == coverage.shown
    hidden = next(value for value in model.indicators if value.shown.is_withheld)
    assert as_shown(hidden).is_withheld
    tables = (
        TableSpec(id="T", title="t", dims=("disposition", "level")),
        TableSpec(
            id="N", title="t", dims=("stage",), sum="total", range=(0, 90), where=(("disposition", ("1",)),)
        ),
        TableSpec(id="S", title="t", dims=("stage", "disposition")),
    )
    other = model_of(county.with_tables(*tables))
    crossed, means = other.table("T"), other.table("N")
    assert crossed is not None
    assert means is not None
    printed = [display_cell(crossed, cell).text() for cell in crossed.cells]
    assert printed[4] == "—"
    assert [display_cell(means, cell).decimals for cell in means.cells] == [1, 1, 1, 1]
