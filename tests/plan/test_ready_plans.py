"""The ready plans: the year that they make together, the noise that they promise, the texts in them."""

import math
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction
from hashlib import sha256

import numpy as np
import pytest
from plan_samples import ROOT, ready_toml

from plan.calendar import calendar
from plan.document import PlanDocument, encode_body, from_published, parse_plan_toml, terms_of
from plan.identities import equalities
from plan.layout import Layout, build_layout
from plan.publishing import resolve
from privacy.least_squares import LeastSquares

NAMES = ("autumn-full", "autumn-small", "spring-monitor", "ledgers", "follow-up", "prefecture-rare")


def draft(name: str) -> PlanDocument:
    return parse_plan_toml(ready_toml(name))


def layout_of(name: str, schools: int) -> Layout:
    return build_layout(resolve(draft(name), schools))


def of_spring(plan: PlanDocument, **changes: object) -> PlanDocument:
    """Make the spring term's copy of the ledgers as its file says."""
    spring, opens = draft("spring-monitor"), plan.opens + timedelta(days=161)
    values = {"id": "ledgers-spring", "wave": "S", "census_date": spring.census_date, "opens": opens}
    return replace(plan, **(values | {"closes": opens + timedelta(days=25)} | changes))  # type: ignore[arg-type]


def test_a_plan_that_uses_nothing_newer_keeps_its_bytes() -> None:
    """Its body is in the log of every round of it: another one would be another round."""
    body = encode_body(draft("autumn-full"))
    assert sha256(body).hexdigest() == "d3d5bf67c6aa2f3685b9742e50ba863884b336f6641aca9e1f9d2ee256f75170"


def test_these_are_all_of_them() -> None:
    assert {path.stem for path in (ROOT / "plan" / "ready").iterdir()} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_ready_plan_is_named_like_its_file_and_survives_publishing(name: str) -> None:
    plan = resolve(draft(name), 60)
    assert (plan.id, plan.school_year, plan.release_class) == (name, "2026-2027", "internal")
    assert from_published(encode_body(plan), terms_of(plan)) == plan
    assert build_layout(plan).claimed_rho <= plan.rho


@pytest.mark.parametrize("schools", [7, 25, 90, 1200])
@pytest.mark.parametrize("name", NAMES)
def test_a_ready_plan_can_be_laid_out_for_any_number_of_schools(name: str, schools: int) -> None:
    assert Fraction(98, 100) < layout_of(name, schools).claimed_rho / draft(name).rho <= 1


@pytest.mark.parametrize("name", NAMES)
def test_what_people_read_is_chinese_and_names_no_sick_pupils(name: str) -> None:
    plan = draft(name)
    for text in (plan.title, plan.purpose, *plan.recipients, *(table.title for table in plan.tables)):
        assert any("一" <= char <= "鿿" for char in text)
    assert not any(word in ready_toml(name).decode() for word in ("心理疾病", "患者", "问题学生", "诊断结果"))
    assert "不作医学诊断" in plan.purpose


@pytest.mark.parametrize("first", ["autumn-full", "autumn-small"])
def test_the_year_costs_nine_twentieths_and_leaves_one_repeat(first: str) -> None:
    ledgers = draft("ledgers")
    plans = [draft(first), draft("spring-monitor"), ledgers, of_spring(ledgers), draft("follow-up")]
    (year,) = calendar(plans)
    assert [entry.id for entry in year.entries] == [
        first,
        "ledgers",
        "spring-monitor",
        "follow-up",
        "ledgers-spring",
    ]
    assert (year.spent, year.reserve, year.problems) == (Fraction(9, 20), Fraction(1, 20), ())


def test_the_prefectures_plan_takes_the_place_of_the_ledgers_rare_part() -> None:
    ledgers = draft("ledgers")
    rest = replace(ledgers, tables=ledgers.tables[2:], rho=Fraction(1, 36))
    plans = [draft(name) for name in ("autumn-full", "spring-monitor", "follow-up", "prefecture-rare")]
    (year,) = calendar([*plans, rest, of_spring(rest)])
    assert year.problems == ()
    assert year.reserve >= rest.rho
    as_before = {table.id: table.noise.s2 for table in layout_of("ledgers", 60).tables}
    for table in build_layout(resolve(rest, 60)).tables:
        assert table.noise.s2 == pytest.approx(as_before[table.id], rel=1e-6)
    (crowded,) = calendar([*plans, ledgers, of_spring(ledgers)])
    assert [problem.key for problem in crowded.problems] == ["2026-2027.reserve"]


def test_records_of_a_wave_are_taken_at_one_day() -> None:
    days = {(plan.wave, plan.census_date) for plan in map(draft, NAMES)}
    assert days == {("A", date(2026, 9, 30)), ("S", date(2027, 3, 15))}


SIGMAS = {
    "autumn-full": {"A6": 29.95, **dict.fromkeys(("A1", "A2", "A3", "A4", "A5", "A7"), 5.60)},
    "autumn-small": {"S1": 3.16, "S2": 4.08, "S3": 7.07, "S4": 7.07},
    "spring-monitor": dict.fromkeys(("B1", "B2", "B3"), 7.75),
    "ledgers": dict.fromkeys(("C2", "C2b", "C3", "C4", "C5"), 13.42),
    "follow-up": {"D1": 11.83, **dict.fromkeys(("D0", "D2", "D3", "D4"), 8.94)},
    "prefecture-rare": dict.fromkeys(("P1", "P2", "P3"), 10.0),
}


@pytest.mark.parametrize("name", NAMES)
def test_the_noise_of_each_table_is_what_its_file_says(name: str) -> None:
    layout = layout_of(name, 60)
    found = {table.id: table.noise.standard_error(layout.noise_schools) for table in layout.tables}
    assert found == pytest.approx(SIGMAS[name], rel=2e-3)


@pytest.mark.parametrize("stage", ["primary", "junior", "senior", "vocational"])
def test_a_small_county_knows_a_stages_level_three_within_thirteen(stage: str) -> None:
    """25 schools, all reporting: the 95 % half-width of a stage's pupils of level 3, raw and combined."""
    layout = layout_of("autumn-small", 25)
    (asked,) = [table for table in layout.tables if table.id == "S1"]
    variances = np.concatenate(
        [np.full(table.cells, float(table.released_variance(25))) for table in layout.tables]
    )
    weights = np.zeros(layout.cells)
    for index in range(asked.cells):
        keys = asked.keys(index)
        weights[asked.offset + index] = keys["stage"] == stage and keys["level"] == "3"
    raw = 1.96 * math.sqrt(float((weights**2 * variances).sum()))
    combined = 1.96 * math.sqrt(LeastSquares(variances, equalities(layout)).covariance(weights, weights))
    assert combined < raw <= 13
    assert (raw, combined) == (pytest.approx(12.31, abs=0.01), pytest.approx(10.57, abs=0.01))
    assert layout.noise_schools == 19


def test_sparse_tables_carry_a_reason() -> None:
    reasons = {table.id for name in NAMES for table in draft(name).tables if table.reason}
    assert reasons == {"C2b", "D3", "D4", "P1", "P2", "P3"}
