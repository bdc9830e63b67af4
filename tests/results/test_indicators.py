"""Indicators against direct counts of the pupils, their units and bases, the coverage of their intervals."""

from dataclasses import replace

import numpy as np
import pytest
from fakes_release import RELEASE, SCHOOLS

from plan.table_spec import TableSpec
from results.errors import ReleaseError
from results.indicators import CATALOGUE, indicators
from results.release import make_release, read_release
from results.summary import summarise
from results.tables import build_tables


def _release(county, noise=None):
    return read_release(county.plan, county.released(noise), release=RELEASE, reports_in=SCHOOLS)


CONDITIONS = {
    "应测人数": lambda p: p.disposition in "1236",
    "应测人数(含请假)": lambda p: p.disposition in "12346",
    "应测人数(不计未同意)": lambda p: p.disposition in "123",
    "同意未登记人数": lambda p: p.disposition == "8",
    "实测人数": lambda p: p.disposition in "12",
    "有效测评人数": lambda p: p.disposition == "1",
    "一般关注人数": lambda p: p.level1 == "1",
    "需要关注人数": lambda p: p.level1 == "2",
    "重点关注人数": lambda p: p.level1 == "3",
    "一般关注及以上人数": lambda p: p.level1 in "123",
    "需要关注及以上人数": lambda p: p.level1 in "23",
}
"""What each population is, said by its zh name and without any table."""


def _is_in(keys):
    return lambda p: all(getattr(p, name) in code.split("+") for name, code in keys.items())


def _truth(county, value):
    inside = _is_in(value.keys)
    counted = CONDITIONS[value.indicator.counted.name]
    number = county.count(lambda p: inside(p) and counted(p))
    if value.indicator.base is None:
        return number
    base = CONDITIONS[value.indicator.base.name]
    return 100 * number / county.count(lambda p: inside(p) and base(p))


@pytest.mark.parametrize("name", ["county", "mixed_county"])
def test_without_noise_every_indicator_is_the_direct_count(name, request):
    county = request.getfixturevalue(name)
    values = indicators(_release(county))
    assert {value.indicator.id for value in values} == {entry.id for entry in CATALOGUE}
    for value in values:
        if value.row is not None:
            assert value.row.released == pytest.approx(_truth(county, value), rel=1e-12)
    assert sum(value.row is None for value in values) <= 6  # rates on the few pupils of unknown sex


def test_the_catalogue_states_unit_base_and_breakdowns():
    by_id = {entry.id: entry for entry in CATALOGUE}
    assert {entry.id.split("/")[0] for entry in CATALOGUE} == {
        "IND-01", "IND-02", "IND-02b", "IND-03", "IND-04", "IND-07", "IND-08",
    }  # fmt: skip
    assert all(entry.unit == ("人" if entry.base is None else "%") for entry in CATALOGUE)
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


def test_intervals_of_indicators_and_levels_cover_the_truth(county):
    """40 rounds of every indicator; numbers of a round are correlated, so 93 to 97 %, with a fixed seed."""
    noise = county.noise(np.random.default_rng(6), 40)
    truths: dict[object, float] = {}
    hits = {"count": [], "rate": [], "level": []}
    for drawn in noise:
        release = _release(county, drawn)
        for value in indicators(release):
            if value.row is None:
                continue
            key = (value.indicator.id, *value.keys.items())
            if key not in truths:
                truths[key] = _truth(county, value)
            kind = "count" if value.indicator.base is None else "rate"
            hits[kind].append(value.row.low95 <= truths[key] <= value.row.high95)
        for count in summarise(release).levels:
            key = ("level", *count.row.keys.items())
            if key not in truths:
                keys = {"level1" if name == "level" else name: code for name, code in count.row.keys.items()}
                inside = _is_in(keys)
                truths[key] = county.count(lambda p, inside=inside: p.disposition in "12" and inside(p))
            hits["level"].append(count.row.low95 <= truths[key] <= count.row.high95)
    assert min(len(found) for found in hits.values()) >= 1000
    for found in hits.values():
        assert 0.93 <= np.mean(found) <= 0.97


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
    assert all(v.row.released == pytest.approx(_truth(counted, v)) for v in values)
    assert not {"IND-07/1", "IND-07/2", "IND-07/3", "IND-08/1+", "IND-08/3"} & by_id.keys()
    assert [v.keys for v in values if v.indicator.id == "IND-08/2+"] == [{}]
    assert [v.keys["stage"] for v in values if v.indicator.id == "IND-01" and v.keys] == [
        "primary", "junior", "senior", "vocational",
    ]  # fmt: skip
