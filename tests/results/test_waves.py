"""IND-05 over several releases, and one number over the waves."""

from dataclasses import replace
from datetime import date

import numpy as np
import pytest
from fakes_report import model_of, ready_plan, rich_county

from results.errors import SelectionError
from results.report_model import ReportModel
from results.waves import cumulative, trend, with_cumulative


@pytest.fixture(scope="module")
def models() -> list[ReportModel]:
    autumn = rich_county(ready_plan("autumn-small"), 900, 51)
    spring = rich_county(ready_plan("spring-monitor"), 800, 52)
    return [model_of(autumn, 1), model_of(spring, 2)]


def _tested(size: int, seed: int, plan: str) -> int:
    county = rich_county(ready_plan(plan), size, seed)
    return county.count(lambda p: p.disposition in "12")


def test_person_times_are_the_sum_over_waves() -> None:
    autumn = rich_county(ready_plan("autumn-small"), 900, 51)
    spring = rich_county(ready_plan("spring-monitor"), 800, 52)
    found = cumulative([model_of(autumn, 1, None), model_of(spring, 2, None)])
    assert found is not None
    assert found.row is not None
    assert found.row.released == _tested(900, 51, "autumn-small") + _tested(800, 52, "spring-monitor")
    assert (found.indicator.id, found.indicator.unit, dict(found.keys)) == ("IND-05", "人次", {})


def test_variances_add(models: list[ReportModel]) -> None:
    found = cumulative(models)
    assert found is not None
    assert found.row is not None
    rows = [model.value("IND-03").row for model in models]
    assert found.row.released == pytest.approx(sum(row.released for row in rows))
    assert found.row.se == pytest.approx(np.hypot(*(row.se for row in rows)))
    assert found.row.low95 < found.row.released < found.row.high95
    assert not found.shown.is_withheld
    assert found.sources == ("2026-2027 A", "2026-2027 S")


def test_it_stands_at_its_place_in_the_catalogue(models: list[ReportModel]) -> None:
    for _ in range(2):
        model = with_cumulative(models[1], models[:1])
    entries = list(dict.fromkeys(value.indicator.entry for value in model.indicators))
    place = entries.index("IND-05")
    assert entries[place - 1 : place + 2] == ["IND-04", "IND-05", "IND-06"]
    assert model.value("IND-05") == cumulative(models)
    assert with_cumulative(model, models[:1]) == model


def test_a_release_without_coverage_gives_no_person_times(models: list[ReportModel]) -> None:
    follow_up = model_of(rich_county(ready_plan("follow-up"), 500, 53), 3)
    other = replace(follow_up, head=replace(follow_up.head, school_year="2025-2026"))
    assert cumulative([*models, other]) is None
    assert with_cumulative(other, models) is other


def test_waves_count_once_and_withdrawn_releases_never(models: list[ReportModel]) -> None:
    again = replace(models[0], head=replace(models[0].head, round_id="ff" * 32))
    withdrawn = replace(models[1], head=replace(models[1].head, status="withdrawn"))
    for refused, words in (
        ([], "one release or more"),
        ([*models, again], "found one twice"),
        ([models[0], withdrawn], "withdrawn one"),
    ):
        with pytest.raises(SelectionError, match=words):
            cumulative(refused)
    other_county = replace(again, head=replace(again.head, federation="county-2"))
    assert cumulative([*models, other_county]) is not None


def test_a_trend_is_in_order_of_census_dates(models: list[ReportModel]) -> None:
    later = replace(models[0], head=replace(models[0].head, census_date=date(2027, 9, 30)))
    gone = replace(models[0], head=replace(models[0].head, status="withdrawn"))
    points = trend([later, models[1], models[0], gone], "IND-08/2+", stage="junior")
    assert [point.head.census_date.isoformat() for point in points] == [
        "2026-09-30",
        "2027-03-15",
        "2027-09-30",
    ]
    assert points[0].value == models[0].value("IND-08/2+", stage="junior")
    assert trend(models, "IND-10", left_behind="1")[1].value is None
