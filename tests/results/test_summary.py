"""The first page: coverage and level by stage, with intervals."""

import json

import numpy as np
import pytest
from fakes_release import RELEASE, SCHOOLS

from results.release import make_release, read_release
from results.summary import summarise
from results.tables import build_tables


def _summary(county, noise=None):
    return summarise(read_release(county.plan, county.released(noise), release=RELEASE, reports_in=SCHOOLS))


def test_levels_without_noise_are_the_direct_counts(county):
    levels = _summary(county).levels
    assert len(levels) == 5 * 5
    for count in levels:
        keys = dict(count.row.keys)
        expected = county.count(
            lambda p, keys=keys: (
                p.disposition in "12" and p.level1 == keys["level"] and keys.get("stage", p.stage) == p.stage
            )
        )
        assert count.row.released == expected


def test_levels_are_more_precise_than_any_table_alone(county):
    tables = build_tables(county.layout, county.released(), release=RELEASE, reports_in=SCHOOLS)
    count = next(c for c in _summary(county).levels if dict(c.row.keys) == {"stage": "senior", "level": "3"})
    assert count.sources == ("A2", "A3", "A4", "A5")
    assert count.row.se < 0.7 * 3**0.5 * tables[2].se


def test_invalid_tests_are_estimated_from_dispositions_too(county):
    nines = [c for c in _summary(county).levels if c.row.keys["level"] == "9"]
    assert all(c.sources == ("A1", "A2", "A3", "A4", "A5") for c in nines)


def test_coverage_has_the_deductions_apart(county):
    totals = {v.indicator.id: v.row.released for v in _summary(county).coverage if not v.keys}
    assert set(totals) == {"IND-01", "IND-02", "IND-02/leave", "IND-02b", "IND-03", "IND-04", "FS-01"}
    assert totals["FS-01"] == county.count(lambda p: p.disposition == "8")
    assert totals["IND-02b"] > totals["IND-02"] > totals["IND-02/leave"]


def test_the_summary_is_json_and_shows_what_people_may_see(county):
    noise = county.noise(np.random.default_rng(9), 1)[0]
    written = json.loads(json.dumps(_summary(county, noise).as_dict(), ensure_ascii=False))
    for row in (*written["coverage"], *written["levels"]):
        assert set(row) >= {"keys", "released", "se", "low95", "high95", "shown", "tables"}
        assert "±" in row["shown"] or row["shown"] == "样本过小"


def test_the_plans_display_floor_is_applied_to_levels(county):
    tables = build_tables(county.layout, county.released(), release=RELEASE, reports_in=SCHOOLS)
    counts = summarise(make_release(county.layout, tables, display_floor=6000)).levels
    assert all(count.shown.is_withheld for count in counts)
    assert not all(count.shown.is_withheld for count in _summary(county).levels)


@pytest.mark.parametrize("kept", [["A1"], ["A6", "A7"], ["A2"], []], ids=str)
def test_a_plan_gives_what_its_tables_can_give(county, kept):
    tables = build_tables(county.layout, county.released(), release=RELEASE, reports_in=SCHOOLS)
    summary = summarise(make_release(county.layout, [t for t in tables if t.id in kept]))
    assert bool([c for c in summary.levels if c.row.keys["level"] == "3"]) is ("A2" in kept)
    assert bool([v for v in summary.coverage if v.indicator.id == "IND-02"]) is ("A1" in kept)
    assert (summary.as_dict() == {"coverage": [], "levels": []}) is (not set(kept) & {"A1", "A2"})
