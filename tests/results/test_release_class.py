"""Release classes: an open model holds nothing that its class withholds; none is more open than its plan."""

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from datetime import date
from fractions import Fraction

import pytest
from fakes_facts import facts
from fakes_release import County
from fakes_report import model_of, ready_plan, rich_county

from plan.document import RELEASE_CLASSES
from privacy.display import WITHHELD, Shown
from privacy.intervals import Interval
from results.catalogue import CATALOGUE
from results.comparing import with_earlier
from results.errors import ReleaseClassError
from results.fact_indicators import fact_indicators
from results.indicators import IndicatorValue
from results.release_class import CLASSES, DEFAULT, INTERNAL, ON_REQUEST, PUBLIC, classes_of, narrow
from results.report_model import ReportModel
from results.rows import Row, make_row

OPEN = (ON_REQUEST, PUBLIC)


@pytest.fixture(scope="module")
def county() -> County:
    document = replace(ready_plan("autumn-full", with_optional=True), release_class="public")
    return rich_county(document, 2500, 61)


@pytest.fixture(scope="module")
def model(county: County) -> ReportModel:
    before = model_of(county, 1)
    head = replace(before.head, census_date=date(2025, 9, 30), school_year="2025-2026")
    return with_earlier(model_of(county, 2, 3), replace(before, head=head))


def _rows(value: object) -> Iterator[Row]:
    """Yield every row anywhere in a model."""
    if isinstance(value, Row):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _rows(item)
    elif is_dataclass(value):
        for item in fields(value):
            yield from _rows(getattr(value, item.name))


def test_the_classes_are_those_of_a_plan_and_the_default_is_internal() -> None:
    assert tuple(CLASSES) == RELEASE_CLASSES
    assert DEFAULT is INTERNAL
    assert [item.label for item in CLASSES.values()] == ["内部", "依申请", "主动公开"]
    assert [item.floor for item in CLASSES.values()] == sorted(item.floor for item in CLASSES.values())
    assert INTERNAL.floor == 11
    assert [item.relative for item in CLASSES.values()] == [Fraction(1, 2), Fraction(1, 3), Fraction(1, 5)]


@pytest.mark.parametrize("wanted", OPEN, ids=lambda item: item.code)
def test_an_open_model_holds_nothing_withheld(wanted: object, model: ReportModel) -> None:
    narrowed = narrow(model, wanted)
    numbers = (*narrowed.indicators, *narrowed.support)
    withheld = [value for value in numbers if value.shown.is_withheld]
    assert withheld or wanted is PUBLIC
    assert all(value.row is value.counted is value.base is None for value in withheld)
    for value in numbers:
        if not value.shown.is_withheld:
            _check_size(value, wanted)
    assert narrowed.tables == ()
    found = [*_rows(narrowed)]
    assert found
    kept = {id(row) for value in numbers for row in (value.row, value.counted, value.base)}
    changes = narrowed.comparison.changes
    assert changes
    for change in changes:
        _check_size(change.now, wanted)
        _check_size(change.before, wanted)
    kept |= {id(row) for c in changes for v in (c.now, c.before) for row in (v.row, v.counted, v.base)}
    assert {id(row) for row in found} == kept - {id(None)} | {id(c.difference) for c in changes}


def _check_size(value: IndicatorValue, wanted: object) -> None:
    rows = [value.row] if value.indicator.base is None else [value.counted, value.base]
    assert all(row.released >= wanted.floor for row in rows)
    assert all((row.high95 - row.low95) / 2 <= wanted.relative * row.released * (1 + 1e-9) for row in rows)
    if value.base is not None:
        assert value.base.low95 >= wanted.base_floor


def test_public_numbers_are_of_coverage_alone(model: ReportModel) -> None:
    public = narrow(model, PUBLIC)
    entries = {value.indicator.entry for value in public.indicators}
    assert entries == {"IND-01", "IND-02", "IND-02b", "IND-03", "IND-04", "IND-06"}
    assert public.support == ()
    assert {name for value in public.indicators for name in value.keys} == {"stage"}
    assert public.level_by_stage == public.grade_lines == public.factor_bars == public.funnel == ()
    assert {change.now.indicator.entry for change in public.comparison.changes} <= entries


def test_on_request_has_levels_but_no_groups_of_pupils(model: ReportModel) -> None:
    narrowed = narrow(model, ON_REQUEST)
    entries = {value.indicator.entry for value in narrowed.indicators}
    assert {"IND-07", "IND-08"} <= entries
    assert not entries & {f"IND-{number}" for number in (*range(9, 16), 25, 26, 30, 32, 34)}
    names = {name for value in (*narrowed.indicators, *narrowed.support) for name in value.keys}
    assert names <= {"stage", "level"}


@pytest.mark.parametrize("name", ["ledgers", "follow-up", "spring-monitor"])
def test_other_plans_lose_their_rare_parts(name: str) -> None:
    document = replace(ready_plan(name, with_optional=True), release_class="public")
    model = model_of(rich_county(document, 600, 62))
    rare = {"group", "ref_dest", "outcome", "family", "left_behind", "critical", "factor", "grade", "sex"}
    for wanted in OPEN:
        numbers = (*narrow(model, wanted).indicators, *narrow(model, wanted).support)
        assert not {key for value in numbers for key in value.keys} & rare
        assert all(value.row is None for value in numbers if value.shown.is_withheld)
    entries = {value.indicator.entry for value in narrow(model, PUBLIC).indicators}
    assert entries <= {"IND-01", "IND-02", "IND-02b", "IND-03", "IND-04", "IND-06", "IND-19"}


@pytest.mark.parametrize("wanted", OPEN, ids=lambda item: item.code)
def test_who_took_part_and_rare_deployments_stay_inside(wanted: object, model: ReportModel) -> None:
    head = replace(model.head, deployments={"a": 9, "b": 4, "c": 5})
    narrowed = narrow(replace(model, head=head), wanted)
    assert narrowed.release_class == wanted.code
    assert (narrowed.head.schools_in, narrowed.head.late) == (frozenset(), None)
    assert narrowed.head.deployments == {"a": 9, "c": 5}
    assert narrowed.comparison.before.schools_in == frozenset()
    assert (narrowed.head.reports_in, narrowed.privacy, narrowed.audit) == (12, model.privacy, model.audit)


def test_conditions_of_a_few_schools_stay_inside(model: ReportModel) -> None:
    places = ["3" if number < 3 else "1" for number in range(12)]
    schools = [facts(f"s{number:02}", urban_rural=place) for number, place in enumerate(places)]
    values = fact_indicators(schools, 12)
    narrowed = narrow(replace(model, facts=values), PUBLIC)
    assert 0 < len(narrowed.facts) < len(values)
    assert all(value.answered >= model.head.min_group for value in narrowed.facts)


def _row(value: float, half_width: float) -> Row:
    return make_row({}, value, half_width / 1.96, Interval(value - half_width, value + half_width))


def _rate(
    rate: tuple[float, float], counted: tuple[float, float], base: tuple[float, float]
) -> IndicatorValue:
    entry = next(item for item in CATALOGUE if item.id == "IND-02")
    return IndicatorValue(entry, {}, _row(*rate), Shown(*rate), ("T",), _row(*counted), _row(*base))


@pytest.mark.parametrize(
    ("value", "on_request", "public"),
    [
        (_rate((50, 5), (400, 9), (800, 9)), True, True),
        (_rate((50, 11), (400, 9), (800, 9)), True, False),  # 1/5 of the rate is 10
        (_rate((50, 17), (400, 9), (800, 9)), False, False),  # 1/3 is 16.7
        (_rate((10, 1), (49, 5), (490, 9)), True, False),  # 50 in the numerator
        (_rate((10, 1), (19, 5), (490, 9)), False, False),  # 20
        (_rate((10, 1), (60, 13), (600, 9)), True, False),  # the numerator alone is too uncertain
        (_rate((10, 1), (60, 21), (600, 9)), False, False),
        (_rate((50, 5), (155, 9), (308, 9)), True, False),  # the base may be below 300
        (_rate((80, 5), (87, 9), (108, 9)), False, False),  # below 100
        (replace(_rate((50, 5), (400, 9), (800, 9)), shown=WITHHELD), False, False),
        (replace(_rate((50, 5), (400, 9), (800, 9)), row=None), False, False),
    ],
)
def test_a_rate_is_shown_only_if_its_numerator_and_base_could_be(
    value: IndicatorValue, on_request: bool, public: bool
) -> None:
    assert ON_REQUEST.shows(value) is on_request
    assert PUBLIC.shows(value) is public


@pytest.mark.parametrize(
    ("count", "half_width", "on_request", "public"),
    [
        (50, 10, True, True),
        (49, 3, True, False),
        (20, 3, True, False),
        (19, 3, False, False),
        (60, 13, True, False),
    ],
)
def test_counts_have_a_floor_and_a_precision(
    count: float, half_width: float, on_request: bool, public: bool
) -> None:
    entry = next(item for item in CATALOGUE if item.id == "IND-03")
    value = IndicatorValue(entry, {}, _row(count, half_width), Shown(count, half_width), ("T",))
    assert (ON_REQUEST.shows(value), PUBLIC.shows(value)) == (on_request, public)


def test_the_internal_model_is_whole(model: ReportModel) -> None:
    assert narrow(model) is model
    assert model.tables
    assert model.head.schools_in


def test_no_model_is_more_open_than_its_plan(model: ReportModel) -> None:
    for plan_class, allowed in (
        ("internal", [INTERNAL]),
        ("on-request", [INTERNAL, ON_REQUEST]),
        ("public", [INTERNAL, ON_REQUEST, PUBLIC]),
    ):
        assert list(classes_of(plan_class)) == allowed
        planned = replace(model, head=replace(model.head, plan_class=plan_class))
        for wanted in CLASSES.values():
            if wanted in allowed:
                assert narrow(planned, wanted).release_class == wanted.code
            else:
                with pytest.raises(ReleaseClassError, match=f"approved as '{CLASSES[plan_class].title}'"):
                    narrow(planned, wanted)


def test_a_narrowed_or_withdrawn_model_is_not_opened(model: ReportModel) -> None:
    with pytest.raises(ReleaseClassError, match="expected an internal model"):
        narrow(narrow(model, PUBLIC), ON_REQUEST)
    withdrawn = replace(model, head=replace(model.head, status="withdrawn"))
    assert narrow(withdrawn) is withdrawn
    with pytest.raises(ReleaseClassError, match="withdrawn"):
        narrow(withdrawn, PUBLIC)
