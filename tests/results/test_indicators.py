"""Indicators against direct counts of the pupils, their units and bases."""

from dataclasses import replace

import numpy as np
import pytest
from fakes_release import RELEASE, SCHOOLS
from indicator_truths import truth

from plan.table_spec import TableSpec
from results.catalogue import CATALOGUE, CUMULATIVE
from results.errors import ReleaseError
from results.indicators import indicators
from results.release import make_release, read_release
from results.tables import build_tables


def _release(county, noise=None):
    return read_release(county.plan, county.released(noise), release=RELEASE, reports_in=SCHOOLS)


def test_without_noise_every_indicator_is_the_direct_count(mixed_county):
    county = mixed_county
    values = indicators(_release(county))
    for value in values:
        if value.row is not None:
            assert value.row.released == pytest.approx(truth(county, value), rel=1e-12, abs=1e-9)
    few = [value for value in values if value.row is None]  # rates on pupils of unknown sex, say
    assert len(few) <= 30
    assert not any(value.keys.keys() <= {"stage"} for value in few)


def test_the_catalogue_states_unit_base_and_breakdowns():
    by_id = {entry.id: entry for entry in CATALOGUE}
    numbers = [f"IND-{number:02}" for number in range(1, 35)]
    found = {entry.entry for entry in (*CATALOGUE, CUMULATIVE)}
    assert found == {*numbers, "IND-02b"}
    assert len(by_id) == len(CATALOGUE)
    assert all(entry.unit == ("人" if entry.base is None else "%") for entry in CATALOGUE)
    assert CUMULATIVE.unit == "人次"
    assert by_id["IND-02"].definition == "实测人数 ÷ 应测人数"
    assert by_id["IND-02b"].definition == "实测人数 ÷ 应测人数(不计未同意)"
    assert by_id["IND-08/3"].definition == "重点关注人数 ÷ 有效测评人数"
    assert by_id["IND-07/3"].by == ("stage", "grade", "sex")
    for words in ("疾病", "患者", "问题学生", "排名", "异常"):
        assert not any(words in entry.name + entry.definition for entry in CATALOGUE)


def test_breakdowns_are_those_that_the_plan_can_give(county):
    keys = [tuple(v.keys.items()) for v in indicators(_release(county)) if v.indicator.id == "IND-01"]
    assert keys[0] == ()
    assert [key[0][1] for key in keys[1:5]] == ["primary", "junior", "senior", "vocational"]
    assert len(keys) == 1 + 4 + 12  # A1 has no sex
    sexes = [
        v.keys["sex"]
        for v in indicators(_release(county))
        if v.indicator.id == "IND-08/2+" and "sex" in v.keys
    ]
    assert sexes == ["1", "2", "9"]


def test_stages_that_share_a_grade_come_together_only_where_they_must(mixed_county):
    values = indicators(_release(mixed_county))
    stages = {
        entry: [v.keys["stage"] for v in values if v.indicator.id == entry and "stage" in v.keys]
        for entry in ("IND-01", "IND-03", "IND-07/3")
    }
    assert stages["IND-01"] == ["senior", "vocational", "primary+junior"]
    assert stages["IND-03"] == stages["IND-07/3"] == ["primary", "junior", "senior", "vocational"]


def test_json_of_an_indicator(county):
    value = next(v for v in indicators(_release(county)) if v.indicator.id == "IND-02" and v.keys)
    assert value.as_dict() == {
        "id": "IND-02",
        "name": "测评覆盖率",
        "unit": "%",
        "definition": "实测人数 ÷ 应测人数",
        "keys": {"stage": "primary"},
        "released": value.row.released,
        "se": value.row.se,
        "low95": value.row.low95,
        "high95": value.row.high95,
        "shown": value.shown.text(),
        "tables": ["A1", "A2", "A3", "A4", "A5"],
    }
    assert value.row.low95 < value.row.released < value.row.high95 <= 100


def test_a_tiny_county_gets_no_rate_and_no_small_count(tiny_county):
    noise = tiny_county.noise(np.random.default_rng(8), 1)[0]
    values = indicators(_release(tiny_county, noise))
    rates = [v for v in values if v.indicator.base is not None and v.keys]
    assert rates
    assert all(v.row is None and v.shown.is_withheld for v in rates)
    assert rates[0].as_dict()["released"] is None
    assert rates[0].as_dict()["shown"] == "样本过小"
    levels = [v for v in values if v.indicator.id.startswith("IND-07")]
    assert all(v.row is not None and v.shown.is_withheld for v in levels)  # archived, but not shown


def test_the_plans_floors_are_applied(county):
    layout = county.layout
    tables = build_tables(layout, county.released(), release=RELEASE, reports_in=SCHOOLS)
    strict = make_release(layout, tables, display_floor=6000, denominator_floor=6000)
    values = indicators(strict)
    assert all(v.shown.is_withheld for v in values if v.indicator.base is None)
    assert {v.row is None for v in values if v.indicator.base is not None} == {True}
    plan = replace(county.plan, display_floor=400, denominator_floor=700)
    release = read_release(plan, county.released(), release=RELEASE, reports_in=SCHOOLS)
    assert (release.display_floor, release.denominator_floor) == (400, 700)


def test_a_body_that_does_not_fit_the_plan_is_refused(county):
    with pytest.raises(ReleaseError):
        read_release(county.plan, county.released()[1:], release=RELEASE, reports_in=SCHOOLS)


def test_a_small_plan_with_two_alert_classes(county):
    """Tables of alert classes (0-1, 2-3) give what they can: no single level, no level by stage."""
    tested = (("disposition", ("1", "2")),)
    tables = (
        TableSpec(id="S2", title="测评情况", dims=("stage", "disposition")),
        TableSpec(id="S3", title="预警 × 留守", dims=("left_behind", "alert"), where=tested),
        TableSpec(id="S4", title="预警 × 家庭", dims=("family", "alert"), where=tested),
    )
    counted = county.with_tables(*tables)
    values = indicators(_release(counted))
    by_id = {v.indicator.id: v for v in values if not v.keys}
    assert by_id["IND-08/2+"].sources == ("S3", "S4", "S2")
    assert all(v.row.released == pytest.approx(truth(counted, v)) for v in values)
    assert not {"IND-07/1", "IND-07/2", "IND-07/3", "IND-08/1+", "IND-08/3"} & by_id.keys()
    assert [v.keys for v in values if v.indicator.id == "IND-08/2+"] == [{}]
    assert [v.keys["stage"] for v in values if v.indicator.id == "IND-01" and v.keys] == [
        "primary", "junior", "senior", "vocational",
    ]  # fmt: skip
