"""Which tables count which pupils, and the exact variances of what is estimated from all of them."""

from dataclasses import replace

import numpy as np
import pytest
from fakes_release import RELEASE, SCHOOLS, autumn_plan

from plan.identities import equalities
from plan.layout import build_layout
from plan.table_spec import TableSpec
from results.errors import SelectionError
from results.estimates import Estimate, best_estimate, covariance
from results.estimator import estimator_of
from results.rates import rate_of
from results.release import make_release, stages_by_grade
from results.tables import build_tables


def _release(county, noise=None, release=RELEASE, layout=None):
    layout = layout or county.layout
    tables = build_tables(layout, county.released(noise), release=release, reports_in=SCHOOLS)
    return make_release(layout, tables)


def _chosen(**codes):
    return {name: frozenset(value.split()) for name, value in codes.items()}


def _best(county, *alternatives, layout=None):
    return best_estimate(_release(county, layout=layout), alternatives)


def _where(layout, table_id, where, **changes):
    """Return the layout with another filter on one of its tables."""
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
        ({"disposition": "1"}, "A1 A2 A3 A4 A5 A7", lambda p: p.disposition == "1"),
        ({"level": "0 1 2 3"}, "A1 A2 A3 A4 A5 A7", lambda p: p.disposition == "1"),
        ({"level": "9"}, "A1", lambda p: p.disposition != "1"),
        ({"disposition": "3", "level": "9"}, "A1", lambda p: p.disposition == "3"),
        ({"alert": "high", "sex": "1"}, "A2", lambda p: p.level1 in "23" and p.sex == "1"),
        ({"disposition": "1", "factor": "social"}, "A6", lambda p: "social" in p.factors_high),
        ({"disposition": "8", "stage": "senior"}, "A1", lambda p: p.disposition + p.stage == "8senior"),
        ({"level": "3"}, _LEVELS, lambda p: p.level1 == "3"),
        ({"level": "2 3", "stage": "primary"}, _LEVELS, lambda p: p.level1 in "23" and p.stage == "primary"),
        ({"level": "2", "grade": "9"}, "A2", lambda p: p.level1 == "2" and p.grade == "9"),
        ({"level": "1", "sex": "2"}, "A2", lambda p: p.level1 == "1" and p.sex == "2"),
        ({"level": "3", "left_behind": "1 2"}, "A4", lambda p: p.level1 == "3" and p.left_behind in "12"),
        ({"level": "3", "boarding": "2"}, "A3", lambda p: p.level1 == "3" and p.boarding == "2"),
        ({"disposition": "1 2", "level": "9"}, _ALL, lambda p: p.disposition == "2"),
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
        _chosen(level="0 9"),  # the tables of the tested do not know the untested
        _chosen(sex="1"),  # only the tested ones are counted by sex
        _chosen(left_behind="1"),
        _chosen(disposition="3", level="3"),
        _chosen(level="3", boarding="2", sex="1"),
        _chosen(level="3", class_no="1"),
        _chosen(level="3", grade="3"),
        _chosen(level="3", stage="university"),
        _chosen(band="1"),
        _chosen(disposition="1", factor="social phobia"),
        _chosen(factor="social"),
    ],
)
def test_nothing_is_estimated_from_a_table_of_other_pupils(county, selection):
    assert _best(county, selection) is None


def test_the_first_wording_that_a_table_knows_is_taken(county):
    valid = _best(county, _chosen(class_no="1"), _chosen(disposition="1"))
    assert valid.value == county.count(lambda p: p.disposition == "1")


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
    sources = _best(county, _chosen(level="3"), layout=layout).sources
    assert ("A3" in sources) is is_used
    assert "A2" in sources


def test_a_filter_asked_for_must_keep_the_same_codes(county):
    layout = _where(county.layout, "A3", (("disposition", ("1", "2", "3")),))
    assert "A3" not in _best(county, _chosen(disposition="1 2"), layout=layout).sources


def test_a_table_of_one_of_several_instruments_is_not_used(county):
    mht = county.layout.scope.instruments[0]
    layout = _where(county.layout, "A3", county.layout.tables[2].where, instrument=mht)
    assert "A3" in _best(county, _chosen(level="3"), layout=layout).sources
    two = replace(layout.scope, instruments=(mht, replace(mht, id="phq9")))
    assert _best(county, _chosen(level="3"), layout=replace(layout, scope=two)).sources == ("A2", "A4", "A5")


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


def test_tables_agree_on_every_number_that_they_share(county):
    """With noise: what one table says of a stage, a level or all, every other one says, too."""
    release = _release(county, county.noise(np.random.default_rng(11), 1)[0])
    for selection in (_chosen(level="3"), _chosen(disposition="1 2", stage="junior"), _chosen(level="0")):
        values = [
            sum(release.estimates[table.layout.offset + cell] for cell in cells)
            for table in release.tables
            if (cells := release.estimator.pupils.cells(table.layout, selection))
        ]
        assert len(values) >= 4
        assert values == pytest.approx([best_estimate(release, [selection]).value] * len(values), abs=1e-3)


def test_estimates_are_narrower_than_any_table_alone_and_no_cell_is_wider(county):
    release = _release(county)
    estimator = release.estimator
    raw = [float(table.cell_variance) for table in release.tables for _ in range(table.cells)]
    assert estimator.raw_variances.tolist() == raw
    assert np.all(estimator.variances <= estimator.raw_variances)
    level = best_estimate(release, [_chosen(level="3", stage="senior")])
    cell = release.tables[2].cell_variance
    assert level.se < 0.65 * float(3 * cell) ** 0.5  # A3 alone: 3 sigma²
    assert level.variance < 1 / (1 / 3 + 1 / 4 + 1 / 5 + 1 / 9) * float(cell)  # A2 to A5 alone: 1.12 sigma²


def test_variance_and_covariance_are_those_of_the_projection(county):
    """Against a dense computation with numpy over the same equalities."""
    release = _release(county)
    estimator = release.estimator
    one = best_estimate(release, [_chosen(level="2 3", stage="senior")])
    other = best_estimate(release, [_chosen(disposition="1 2")])
    rows = np.zeros((0, county.layout.cells))
    for left, right in equalities(release.layout):
        row = np.zeros(county.layout.cells)
        row[list(left)], row[list(right)] = 1, -1
        rows = np.vstack([rows, row])
    spread = np.diag(estimator.raw_variances)
    projected = spread - spread @ rows.T @ np.linalg.pinv(rows @ spread @ rows.T) @ rows @ spread
    for a, b in ((one, one), (one, other), (other, one), (other, other)):
        weights = [np.bincount(e.cells, minlength=county.layout.cells) for e in (a, b)]
        assert covariance(a, b) == pytest.approx(weights[0] @ projected @ weights[1])


def test_noise_of_estimates_has_the_stated_variance_and_covariance(county):
    """5,000 rounds; variance within 7 %, covariance within 0.05: false alarm below 1e-3, seed fixed."""
    release = _release(county)
    scales = np.concatenate([np.full(t.cells, t.layout.noise.scale) for t in release.tables])
    noise = release.estimator.estimate(county.noise(np.random.default_rng(5), 5000) / scales)
    level, tested = (
        best_estimate(release, [_chosen(level="2 3", stage="senior")]),
        best_estimate(release, [_chosen(disposition="1 2")]),
    )
    measured = np.cov([noise[:, list(e.cells)].sum(axis=1) / e.se for e in (level, tested)])
    assert measured[0, 0] == pytest.approx(1, abs=0.07)
    assert measured[1, 1] == pytest.approx(1, abs=0.07)
    stated = covariance(level, tested) / (level.se * tested.se)
    assert stated > 0.05
    assert measured[0, 1] == pytest.approx(stated, abs=0.05)


def test_a_known_zero_is_exactly_zero(county):
    """No pupil of a valid test has level 9: the released cell is noise, its estimate is 0 without any."""
    valid = county.with_tables(
        TableSpec(id="V", title="t", dims=("level",), where=(("disposition", ("1",)),)),
        TableSpec(id="A", title="t", dims=("disposition",)),
    )
    release = _release(valid, valid.noise(np.random.default_rng(2), 1)[0])
    assert release.tables[0].value(4) != 0
    assert (release.estimates[4], release.estimator.variances[4]) == (0.0, 0.0)
    assert release.estimator.covariance((4,), (4,)) == 0.0


def test_the_estimator_of_a_layout_is_made_once(county):
    one, other = _release(county), _release(county, release="cd" * 32)
    assert one.estimator is other.estimator
    assert one.estimator is estimator_of(one.layout, tuple(t.cell_variance for t in one.tables))


def test_numbers_of_different_releases_never_meet(county):
    one, other = _release(county), _release(county, release="cd" * 32)
    counted = best_estimate(one, [_chosen(level="3")])
    base = best_estimate(other, [_chosen(disposition="1")])
    for refused in (
        lambda: covariance(counted, base),
        lambda: rate_of(counted, base),
        lambda: make_release(county.layout, [one.tables[1], other.tables[2]]),
    ):
        with pytest.raises(SelectionError, match="release"):
            refused()


def test_an_estimate_of_nothing_is_refused(county):
    with pytest.raises(SelectionError):
        Estimate(_release(county), (), ())
