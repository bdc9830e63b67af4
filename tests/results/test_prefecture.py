"""Indicators over counties: sums and quotients of sums, never averages; their intervals and their files."""

import json
from dataclasses import replace

import numpy as np
import pytest
from fakes_release import SCHOOLS, County
from fakes_report import noise_of, ready_plan, rich_county
from indicator_truths import truth

from results.combined_files import CountyHead, combined_files
from results.combining import Part
from results.errors import SelectionError
from results.indicators import IndicatorValue, indicators
from results.prefecture import total_indicators
from results.release import read_release


def _part(county: County, number: int, noise: np.ndarray | None = None) -> Part:
    release = read_release(county.plan, county.released(noise), release=f"{number:064x}", reports_in=SCHOOLS)
    return Part(release, frozenset(f"{number}/{school}" for school in range(SCHOOLS)))


@pytest.fixture(scope="module")
def counties() -> list[County]:
    return [rich_county(ready_plan("autumn-small"), size, 80 + size) for size in (900, 500, 250)]


@pytest.fixture(scope="module")
def whole(counties: list[County]) -> County:
    pupils = tuple(pupil for county in counties for pupil in county.pupils)
    return replace(counties[0], pupils=pupils, counts=sum(county.counts for county in counties))


def test_without_noise_they_are_the_direct_counts_of_all_pupils(
    counties: list[County], whole: County
) -> None:
    values = total_indicators([_part(county, number) for number, county in enumerate(counties)])
    assert len(values) == len(indicators(_part(whole, 9).release))
    for value in values:
        if value.row is not None:
            assert value.row.released == pytest.approx(truth(whole, value), abs=1e-9)
    told = [value for value in values if value.base and value.row]
    alone = indicators(_part(counties[2], 2).release)
    assert sum(value.row is None for value in alone) > sum(value.row is None for value in values)
    assert len(told) > 20


def test_intervals_hold_the_truth_and_variances_add(counties: list[County], whole: County) -> None:
    """20 rounds; the mean coverage of correlated numbers lies within 91 and 99 %; fixed seeds."""
    hits: list[bool] = []
    truths: dict[object, float] = {}
    for seed in range(20):
        parts = [_part(c, n, noise_of(c, 1000 * n + seed)) for n, c in enumerate(counties)]
        for value in total_indicators(parts):
            if value.row is None or (value.base and value.base.low95 < 60):
                continue
            key = (value.indicator.id, *value.keys.items())
            if key not in truths:
                truths[key] = truth(whole, value)
            hits.append(value.row.low95 <= truths[key] <= value.row.high95)
    assert len(hits) > 1500
    assert 0.91 <= np.mean(hits) <= 0.99
    one = {v.indicator.id: v for v in indicators(parts[0].release) if not v.keys}
    three = {v.indicator.id: v for v in total_indicators(parts) if not v.keys}
    assert three["IND-03"].row.se == pytest.approx(3**0.5 * one["IND-03"].row.se)
    assert three["IND-08/2+"].covariance == pytest.approx(3 * one["IND-08/2+"].covariance)


def test_what_one_county_cannot_give_is_left_out(counties: list[County]) -> None:
    fewer = counties[1].with_tables(*[t for t in counties[1].plan.tables if t.id != "S3"])
    values = total_indicators([_part(counties[0], 1), _part(fewer, 2)])
    ids = {value.indicator.id for value in values}
    assert "IND-11" in ids
    assert "IND-10" not in ids


def test_floors_are_the_strictest_of_the_counties(counties: list[County]) -> None:
    strict = replace(counties[1], plan=replace(counties[1].plan, display_floor=5000, denominator_floor=5000))
    values = total_indicators([_part(counties[0], 1), _part(strict, 2)])
    assert all(value.shown.is_withheld for value in values)


def test_the_same_schools_twice_are_refused(counties: list[County]) -> None:
    part = _part(counties[0], 1)
    with pytest.raises(SelectionError, match="one twice"):
        total_indicators([part, part])


def test_one_county_alone_is_its_own_release(counties: list[County]) -> None:
    part = _part(counties[0], 1, noise_of(counties[0], 5))
    for mine, its in zip(total_indicators([part]), indicators(part.release), strict=True):
        assert _numbers(mine) == pytest.approx(_numbers(its))
        assert mine.shown == its.shown


def test_the_files_of_a_total_hold_its_indicators(counties: list[County]) -> None:
    parts = [_part(county, number, noise_of(county, number)) for number, county in enumerate(counties)]
    files = combined_files([_head(number) for number in range(3)], parts)
    found = json.loads(files["indicators.json"])
    assert found["indicators"] == [value.as_dict() for value in total_indicators(parts)]
    assert (found["format"], found["plan"]) == ("fedscreen/combined/v1", "autumn-small")
    assert files["indicators.csv"].count(b"\n") == 1 + len(found["indicators"])
    assert files == combined_files([_head(number) for number in range(3)], parts)


def _head(number: int) -> CountyHead:
    digest = f"{number:064x}"
    return CountyHead(
        federation=f"county-{number}",
        round_id=digest,
        release=digest,
        plan="autumn-small",
        school_year="2026-2027",
        wave="A",
        standing="valid",
        corrections=(),
        schools=SCHOOLS,
        reports_in=SCHOOLS,
        rho="1/5",
        log_size=9,
        log_root=digest,
        policy=digest,
    )


def _numbers(value: IndicatorValue) -> list[float]:
    rows = [row for row in (value.row, value.counted, value.base) if row is not None]
    return [number for row in rows for number in (row.released, row.se, row.low95, row.high95)]
