"""FI-01 to FI-10: exact shares of the schools that have answered, and how many have not."""

from __future__ import annotations

from fractions import Fraction

import pytest
from fakes_facts import facts
from hypothesis import given
from hypothesis import strategies as st

from results.facts import FI_CATALOGUE, FactsError, FactValue, InstitutionFacts, fact_indicators, parse_facts


def value(
    rows: list[InstitutionFacts], indicator: str, num_schools: int | None = None, **keys: str
) -> FactValue:
    found = fact_indicators(rows, len(rows) if num_schools is None else num_schools)
    return next(row for row in found if row.id == indicator and dict(row.keys) == keys)


def school(node: str, **changes: object) -> InstitutionFacts:
    return facts(node, **changes)


def test_the_catalogue_has_all_ten() -> None:
    ids = {row.id.partition("/")[0] for row in FI_CATALOGUE}
    assert ids == {f"FI-{number:02}" for number in range(1, 11)}
    assert len({row.id for row in FI_CATALOGUE}) == len(FI_CATALOGUE)
    for row in FI_CATALOGUE:
        assert row.unit
        assert "÷" in row.definition
        assert row.targets


def test_a_school_without_any_teacher_is_counted_in_the_base() -> None:
    found = value(
        [school("a"), school("b", teacher_full=0), school("c", teacher_full=0, teacher_part=0)], "FI-01"
    )
    assert (found.numerator, found.base, found.value, found.shown) == (2, 3, Fraction(2, 3), "66.66%")


def test_full_time_teachers_are_by_stage_with_their_own_targets() -> None:
    rows = [
        school("a", stages=["primary"]),
        school("b", stages=["primary"], teacher_full=0),
        school("c", stages=["senior"]),
        school("d", stages=["primary", "junior"], teacher_full=0),
    ]
    total = value(rows, "FI-02")
    primary = value(rows, "FI-02", stage="primary")
    senior = value(rows, "FI-02", stage="senior")
    assert (total.shown, primary.shown, senior.shown) == ("50%", "33.33%", "100%")
    assert [(row.limit, primary.meets(row)) for row in primary.targets] == [(100, False), (50, False)]
    assert [(row.limit, senior.meets(row)) for row in senior.targets] == [(100, True), (90, True)]
    assert [row.limit for row in total.targets] == [100]


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"n_students": 999}, (0, 0)),
        ({"n_students": 1000}, (1, 1)),
        ({"n_students": 1000, "teacher_full": 0}, (0, 1)),
        ({"n_students": 199, "n_students_g4plus": 1, "is_boarding": "1"}, (0, 0)),
        ({"n_students": 200, "n_students_g4plus": 1, "is_boarding": "1"}, (1, 1)),
        ({"n_students": 200, "n_students_g4plus": 1, "is_boarding": "1", "teacher_full": 0}, (0, 1)),
        ({"n_students": 200, "n_students_g4plus": 1, "is_boarding": "0", "teacher_full": 0}, (0, 0)),
    ],
)
def test_who_must_have_a_full_time_teacher(changes: dict[str, object], part: tuple[int, int]) -> None:
    found = value([school("a", **changes)], "FI-03")
    assert (found.numerator, found.base) == part
    assert found.answered == 1
    assert (found.value is None) == (part[1] == 0)


def test_the_ratio_is_of_sums_and_rounded_up() -> None:
    found = value([school("a", n_students=800), school("b", n_students=1201, teacher_part=0)], "FI-04")
    assert (found.numerator, found.base, found.shown) == (2001, 3, "1:667")
    assert [found.meets(row) for row in found.targets] == [True, True]
    assert value([school("a", teacher_part=2, n_students=1000)], "FI-04").shown == "1:333.4"
    over = value([school("a", n_students=2001)], "FI-04")
    assert over.shown == "1:1000.5"
    assert [over.meets(row) for row in over.targets] == [False, False]
    none = value([school("a", teacher_full=0, teacher_part=0)], "FI-04")
    assert (none.value, none.shown) == (None, "—")


def test_rooms_are_by_town_and_country() -> None:
    rows = [school("a"), school("b", urban_rural="3", room_standard="0"), school("c", urban_rural="2")]
    assert value(rows, "FI-05/room").shown == "66.66%"
    assert [value(rows, "FI-05/room", urban_rural=code).shown for code in "123"] == ["100%", "100%", "0%"]
    assert [row.limit for row in value(rows, "FI-05/room", urban_rural="3").targets] == [100, 80]


def test_hours_at_the_limit_are_enough() -> None:
    rows = [school("a", room_open_hours_week="10"), school("b", room_open_hours_week="9.9")]
    assert value(rows, "FI-05/hours").shown == "50%"


def test_lessons_of_a_year_are_measured_by_the_highest_stage() -> None:
    rows = [
        school("a", lesson_hours_year=12),
        school("b", lesson_hours_year=13, stages=["primary", "junior"]),
        school("c", lesson_hours_year=14, stages=["junior"]),
    ]
    assert value(rows, "FI-06/year").shown == "66.66%"
    assert value(rows, "FI-06/year", stage="primary").shown == "50%"


def test_training_is_measured_against_each_standard() -> None:
    rows = [school("a", training_hours_per_psych_teacher=hours) for hours in ("24",)]
    assert [value(rows, f"FI-07/{limit}").shown for limit in (20, 24, 40)] == ["100%", "100%", "0%"]


def test_certificates_are_shares_of_people_and_80_27_can_be_reproduced() -> None:
    found = value([school("a", teachers_n=900, head_teacher_n=598, cert_B_headteachers=480)], "FI-08/B")
    assert (found.unit, found.shown) == ("%(人)", "80.26%")  # rounded down, never up
    assert value([school("a", cert_C_teachers_n=None)], "FI-08/C").answered == 0


def test_officers_are_a_share_of_classes() -> None:
    found = value([school("a"), school("b", n_classes=10, class_officer_classes=10)], "FI-09")
    assert (found.numerator, found.base, found.shown) == (29, 30, "96.66%")


def test_schools_without_a_vendor_are_not_in_the_base_but_have_answered() -> None:
    rows = [
        school("a"),
        school("b", vendor_nda="NA", vendor_nda_until=None),
        school("c", vendor_nda="0", vendor_nda_until=None),
        school("d", vendor_nda=None, vendor_nda_until=None),
    ]
    found = value(rows, "FI-10", num_schools=9)
    assert (found.numerator, found.base, found.answered, found.missing) == (1, 2, 3, 6)


def test_how_many_have_not_answered_is_always_told() -> None:
    rows = [school("a"), school("b", lesson_hours_year=None)]
    for row in fact_indicators(rows, 5):
        if row.keys:
            assert row.missing is None
        else:
            assert row.missing == 5 - row.answered
    assert value(rows, "FI-06/year", 5).missing == 4


def test_without_any_answer_nothing_is_claimed() -> None:
    for row in fact_indicators([], 4):
        assert (row.value, row.shown, row.missing, row.answered) == (None, "—", 4, 0)
        assert all(row.meets(target) is None for target in row.targets)


def test_nearly_all_is_not_shown_as_all() -> None:
    found = value([school("a", teachers_n=3000, cert_C_teachers_n=2999)], "FI-08/C")
    assert found.shown == "99.96%"
    assert [found.meets(row) for row in found.targets] == [False]


def test_no_value_names_a_school() -> None:
    rows = [school("node-x", school_name="保密中学")]
    text = str([row.as_dict() for row in fact_indicators(rows, 1)])
    assert "保密中学" not in text
    assert "node-x" not in text


@pytest.mark.parametrize("num_schools", [1, 2])
def test_a_school_twice_or_more_forms_than_schools_are_refused(num_schools: int) -> None:
    rows = [school("a"), school("a" if num_schools == 2 else "b")]
    with pytest.raises(FactsError):
        fact_indicators(rows, num_schools)


def test_two_school_years_are_not_added() -> None:
    other = parse_facts("b", "2025-2026", facts().plain())
    with pytest.raises(FactsError):
        fact_indicators([school("a"), other], 2)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from("123")), max_size=8))
def test_parts_make_the_whole(rows: list[tuple[int, int, str]]) -> None:
    made = [
        school(f"n{place}", teacher_full=full, teacher_part=part, urban_rural=place_code)
        for place, (full, part, place_code) in enumerate(rows)
    ]
    found = fact_indicators(made, len(made))
    for entry in FI_CATALOGUE:
        if entry.by == ("urban_rural",) or entry.id == "FI-01":
            total = next(row for row in found if row.id == entry.id and not row.keys)
            parts = [row for row in found if row.id == entry.id and "urban_rural" in row.keys]
            assert sum(row.numerator for row in parts) == total.numerator
            assert sum(row.base for row in parts) == total.base
    for row in found:
        if row.value is not None and row.unit != "1:x":
            assert 0 <= row.value <= 1
