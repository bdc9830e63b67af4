"""Which tables count which pupils, and the exact variances of what is combined."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from fakes_release import RELEASE, SCHOOLS, autumn_plan

from plan.layout import build_layout
from plan.table_spec import TableSpec
from results.errors import SelectionError
from results.estimates import Estimate, Term, best_estimate, covariance, margin, stages_by_grade
from results.rates import rate_of
from results.tables import build_tables


def _tables(county, noise=None, release=RELEASE):
    return build_tables(county.layout, county.released(noise), release=release, reports_in=SCHOOLS)


def _chosen(**codes):
    return {name: frozenset(value.split()) for name, value in codes.items()}


def _best(county, *alternatives, tables=None):
    return best_estimate(tables or _tables(county), alternatives, stages_by_grade(county.layout))


def _where(layout, table_id, where, **changes):
    """Return the layout's tables with another filter on one of them."""
    return replace(
        layout,
        tables=tuple(replace(t, where=where, **changes) if t.id == table_id else t for t in layout.tables),
    )


_ALL, _LEVELS = "A1 A2 A3 A4 A5", "A2 A3 A4 A5"


@pytest.mark.parametrize(
    ("selection", "sources", "condition"),
    [
        ({"disposition": "1 2"}, _ALL, lambda p: p.disposition in "12"),
        ({"disposition": "1 2", "stage": "junior"}, _ALL, lambda p: p.is_tested and p.stage == "junior"),
        ({"disposition": "1 2 3 6"}, "A1", lambda p: p.disposition in "1236"),
        ({"disposition": "1"}, "A1", lambda p: p.disposition == "1"),
        ({"disposition": "8", "stage": "senior"}, "A1", lambda p: p.disposition + p.stage == "8senior"),
        ({"level": "3"}, _LEVELS, lambda p: p.level1 == "3"),
        ({"level": "2 3", "stage": "primary"}, _LEVELS, lambda p: p.level1 in "23" and p.stage == "primary"),
        ({"level": "2", "grade": "9"}, "A2", lambda p: p.level1 == "2" and p.grade == "9"),
        ({"level": "1", "sex": "2"}, "A2", lambda p: p.level1 == "1" and p.sex == "2"),
        ({"level": "3", "left_behind": "1 2"}, "A4", lambda p: p.level1 == "3" and p.left_behind in "12"),
        ({"level": "3", "boarding": "2"}, "A3", lambda p: p.level1 == "3" and p.boarding == "2"),
        ({"disposition": "1 2", "level": "9"}, _LEVELS, lambda p: p.disposition == "2"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else None,
)
def test_every_table_that_counts_exactly_these_pupils_is_used(county, selection, sources, condition):
    estimate = _best(county, _chosen(**selection))
    assert estimate is not None
    assert " ".join(estimate.sources) == sources
    assert estimate.value == county.count(condition) > 0


@pytest.mark.parametrize(
    "selection",
    [
        _chosen(level="9"),  # the tables of the tested do not know the untested
        _chosen(level="0 9"),
        _chosen(sex="1"),  # only the tested ones are counted by sex
        _chosen(left_behind="1"),
        _chosen(disposition="3", level="9"),
        _chosen(level="3", boarding="2", sex="1"),
        _chosen(level="3", class_no="1"),
        _chosen(level="3", grade="3"),
        _chosen(level="3", stage="university"),
        _chosen(band="1"),
        _chosen(disposition="1", factor="social"),
    ],
)
def test_nothing_is_estimated_from_a_table_of_other_pupils(county, selection):
    assert _best(county, selection) is None


def test_alternatives_describe_the_same_pupils_and_each_table_is_used_once(county):
    valid = _best(county, _chosen(disposition="1"), _chosen(level="0 1 2 3"))
    assert valid.sources == ("A1", "A2", "A3", "A4", "A5")
    assert valid.value == county.count(lambda p: p.disposition == "1")


def test_scores_of_one_instrument_are_never_mixed_with_counts_of_pupils(county):
    """A7 counts only pupils with a score, A6 factors: neither is a source of the valid."""
    valid = _best(county, _chosen(disposition="1"))
    assert valid.sources == ("A1",)


@pytest.mark.parametrize(
    ("where", "is_used"),
    [
        ((("disposition", ("1", "2")),), True),
        ((("disposition", ("1",)),), True),
        ((), True),
        ((("disposition", ("1", "2", "3")),), True),
        ((("disposition", ("2",)),), False),
        ((("disposition", ("1", "2")), ("sex", ("1",))), False),
        ((("grade", ("7",)),), False),
        ((("boarding", ("2",)), ("disposition", ("1", "2"))), False),
    ],
    ids=str,
)
def test_a_filter_that_may_drop_some_of_the_pupils_disqualifies_a_table(county, where, is_used):
    layout = _where(county.layout, "A3", where)
    tables = build_tables(layout, county.released(), release=RELEASE, reports_in=SCHOOLS)
    sources = _best(county, _chosen(level="3"), tables=tables).sources
    assert ("A3" in sources) is is_used
    assert "A2" in sources


def test_a_filter_asked_for_must_keep_the_same_codes(county):
    layout = _where(county.layout, "A3", (("disposition", ("1", "2", "3")),))
    tables = build_tables(layout, county.released(), release=RELEASE, reports_in=SCHOOLS)
    assert "A3" not in _best(county, _chosen(disposition="1 2"), tables=tables).sources


def test_a_table_of_one_of_several_instruments_is_not_used(county):
    layout = _where(
        county.layout, "A3", county.layout.tables[2].where, instrument=county.layout.scope.instruments[0]
    )
    tables = build_tables(layout, county.released(), release=RELEASE, reports_in=SCHOOLS)
    assert "A3" not in _best(county, _chosen(level="3"), tables=tables).sources


def test_grades_of_two_stages_tell_only_both_together(mixed_county):
    expected = {"disposition": frozenset("1236")}
    county = mixed_county
    assert _best(county, {**expected, "stage": frozenset(("primary",))}) is None
    assert _best(county, {**expected, "stage": frozenset(("junior", "senior"))}) is None
    both = _best(county, {**expected, "stage": frozenset(("primary", "junior"))})
    assert both.value == county.count(lambda p: p.disposition in "1236" and p.stage in ("primary", "junior"))
    senior = _best(county, {**expected, "stage": frozenset(("senior",))})
    assert senior.value == county.count(lambda p: p.disposition in "1236" and p.stage == "senior")
    junior = _best(county, _chosen(level="3", stage="junior"))
    assert junior.sources == ("A3", "A4", "A5")
    assert junior.value == county.count(lambda p: p.level1 == "3" and p.stage == "junior")


def test_stages_of_grades():
    assert stages_by_grade(build_layout(autumn_plan()))["6"] == {"primary", "junior"}
    one = stages_by_grade(build_layout(replace(autumn_plan(), systems=("5-4",))))
    assert one["6"] == {"junior"}
    assert one["V2"] == {"vocational"}


_TESTED = (("disposition", ("1", "2")),)


def test_a_table_that_keeps_some_grades_never_stands_for_a_stage(county):
    kept = TableSpec(
        id="G", title="t", dims=("grade", "level"), where=(_TESTED[0], ("grade", ("7", "8"))),
    )  # fmt: skip
    other = county.with_tables(kept)
    assert _best(other, _chosen(level="1", stage="junior")) is None
    assert _best(other, _chosen(level="1")) is None
    assert _best(other, _chosen(level="1", grade="7")).value == county.count(
        lambda p: p.level1 + p.grade == "17"
    )


def test_pupils_of_several_groups_are_counted_only_group_by_group(county):
    groups = TableSpec(id="C2", title="t", dims=("group", "level"), where=_TESTED, multi="group", touch=3)
    other = county.with_tables(groups)
    assert _best(other, _chosen(level="1")) is None
    assert _best(other, _chosen(level="1", group="g1 g4")) is None
    left_behind = _best(other, _chosen(level="1", group="g1"))
    assert left_behind.value == county.count(lambda p: p.level1 == "1" and "g1" in p.groups) > 0


def test_of_several_wordings_the_one_with_fewest_cells_is_summed(county):
    both = county.with_tables(TableSpec(id="D", title="t", dims=("disposition", "level")))
    for wordings in (("1", "0 1 2 3"), ("0 1 2 3", "1")):
        choices = [_chosen(disposition=w) if w == "1" else _chosen(level=w) for w in wordings]
        valid = _best(both, *choices)
        assert valid.value == county.count(lambda p: p.disposition == "1")
        assert valid.variance == 5 * _tables(both)[0].cell_variance


def test_covariance_counts_only_shared_cells(county):
    tables = _tables(county)
    cell = tables[1].cell_variance
    one, two = margin(tables[1], _chosen(level="2 3")), margin(tables[1], _chosen(level="3", sex="1 2"))
    assert covariance(one, two) == covariance(two, one) == len(two.terms[0].cells) * cell == 24 * cell
    assert covariance(one, margin(tables[1], _chosen(level="0 1"))) == 0
    assert covariance(one, margin(tables[2], _chosen(level="3"))) == 0
    assert (
        covariance(margin(tables[1], _chosen(level="3", sex="1")), margin(tables[1], _chosen(grade="7")))
        == cell
    )


def test_margin_of_one_table(county):
    tables = _tables(county)
    boarders = margin(tables[2], _chosen(boarding="2", level="3"))
    assert boarders.value == county.count(lambda p: p.boarding == "2" and p.level1 == "3")
    assert boarders.variance == 4 * tables[2].cell_variance


def test_a_margin_never_counts_a_pupil_twice(county):
    factors = _tables(county)[5]
    high = margin(factors, _chosen(factor="social"))
    assert high.value == county.count(lambda p: "social" in p.factors_high)
    for selection in ({}, _chosen(factor="social phobia"), _chosen(stage="junior")):
        with pytest.raises(SelectionError, match="select exactly one code"):
            margin(factors, selection)


def test_combination_has_least_variance_and_exact_value(county):
    tables = _tables(county)
    combined = _best(county, _chosen(level="3", stage="senior"))
    singles = [margin(t, _chosen(level="3", stage="senior")) for t in tables[2:5]]
    singles.append(margin(tables[1], _chosen(level="3", grade="10 11 12")))
    assert combined.variance == 1 / sum(1 / single.variance for single in singles)
    assert sum(term.weight for term in combined.terms) == 1
    assert combined.variance < min(single.variance for single in singles) / 2


def test_noise_of_combined_estimates_has_the_stated_variance_and_covariance(county):
    """5,000 rounds; variance within 7 %, covariance within 0.05: false alarm below 1e-3, seed fixed."""
    noise = county.noise(np.random.default_rng(5), 5000)
    level, tested = (
        _best(county, _chosen(level="2 3", stage="senior")),
        _best(county, _chosen(disposition="1 2")),
    )
    columns = []
    for estimate in (level, tested):
        total = np.zeros(5000)
        for term in estimate.terms:
            table = term.table.layout
            total += (
                float(term.weight)
                * noise[:, [table.offset + i for i in term.cells]].sum(axis=1)
                / table.noise.scale
            )
        columns.append(total / estimate.se)
    measured = np.cov(columns)
    assert measured[0, 0] == pytest.approx(1, abs=0.07)
    assert measured[1, 1] == pytest.approx(1, abs=0.07)
    stated = float(covariance(level, tested)) / (level.se * tested.se)
    assert stated > 0.05
    assert measured[0, 1] == pytest.approx(stated, abs=0.05)


def test_numbers_of_different_releases_never_meet(county):
    one, other = _tables(county), _tables(county, release="cd" * 32)
    counted, base = margin(one[1], _chosen(level="3")), margin(other[0], _chosen(disposition="1"))
    for refused in (
        lambda: covariance(counted, base),
        lambda: rate_of(counted, base),
        lambda: _best(county, _chosen(level="3"), tables=[one[1], other[2]]),
        lambda: Estimate((*counted.terms, *base.terms)),
    ):
        with pytest.raises(SelectionError, match="release"):
            refused()


def test_an_estimate_of_nothing_or_of_a_table_twice_is_refused(county):
    term = Term(_tables(county)[0], (0,), Fraction(1))
    for terms in ((), (term, term)):
        with pytest.raises(SelectionError):
            Estimate(terms)
