"""The screening record: codes, the rules of dispositions, consent, and the canonical row."""

from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plan_samples import INVALID_TEST, record, untested

from crypto.canonical import encode_json
from plan.codes import (
    DISPOSITION,
    FIELD_CODES,
    FLAG,
    GRADE,
    GROUP,
    LEVEL,
    SYSTEM,
    TESTED,
    school_year_of,
    stage_of,
)
from plan.errors import RecordError
from plan.record import (
    FIELD_NAMES,
    FOLLOW_UP_FIELDS,
    TEST_FIELDS,
    Record,
    apply_consent,
    encode_row,
    from_row,
    to_row,
)


def keys_of(error: RecordError) -> set[str]:
    return {problem.key for problem in error.problems}


@pytest.mark.parametrize(
    ("grade", "system", "stage"),
    [
        ("1", "6-3", "primary"),
        ("6", "6-3", "primary"),
        ("6", "5-4", "junior"),
        ("5", "5-4", "primary"),
        ("7", "6-3", "junior"),
        ("9", "5-4", "junior"),
        ("10", "6-3", "senior"),
        ("12", "5-4", "senior"),
        ("V1", "6-3", "vocational"),
        ("V3", "5-4", "vocational"),
    ],
)
def test_the_stage_follows_from_grade_and_system(grade: str, system: str, stage: str) -> None:
    assert stage_of(grade, system) == stage
    assert untested(grade=grade, system=system).stage == stage


@pytest.mark.parametrize(
    ("grade", "system"), [("13", "6-3"), ("0", "6-3"), ("V4", "5-4"), ("", "6-3"), ("7", "9-0")]
)
def test_an_unknown_grade_or_system_has_no_stage(grade: str, system: str) -> None:
    with pytest.raises(RecordError):
        stage_of(grade, system)


@pytest.mark.parametrize(
    ("day", "year"),
    [(date(2026, 8, 31), "2025-2026"), (date(2026, 9, 1), "2026-2027"), (date(2027, 1, 1), "2026-2027")],
)
def test_a_school_year_begins_in_september(day: date, year: str) -> None:
    assert school_year_of(day) == year


def test_no_field_holds_a_name_or_a_number_of_a_pupil() -> None:
    assert not {"name", "student_no", "birth_ym", "class_no", "school_code", "level_local"} & set(FIELD_NAMES)


def test_a_record_never_shows_itself() -> None:
    shown = repr(record(level1="3", total=Decimal(77), factors_high=frozenset({"learning"})))
    assert shown == "Record(not shown)"


@pytest.mark.parametrize(
    "name", [name for name in FIELD_CODES if name not in ("disposition", "grade", "system")]
)
@pytest.mark.parametrize("code", ["x", "", " 1", 1, None], ids=repr)
def test_a_code_outside_of_its_set_is_refused(name: str, code: Any) -> None:
    with pytest.raises(RecordError) as caught:
        record(**{name: code})
    assert name in keys_of(caught.value)


SHAPES = [
    ("rec_key_short", {"rec_key": bytes(15)}, "rec_key"),
    ("rec_key_text", {"rec_key": "0" * 16}, "rec_key"),
    ("groups_unknown", {"groups": frozenset({"g8"})}, "groups"),
    ("groups_list", {"groups": ["g1"]}, "groups"),
    ("instrument_upper", {"instrument": "MHT"}, "instrument"),
    ("rule_version_space", {"rule_version": "2026 1"}, "rule_version"),
    ("codebook_short", {"codebook": "ab"}, "codebook"),
    ("codebook_upper", {"codebook": "AB" * 32}, "codebook"),
    ("day_is_datetime", {"administered_on": datetime(2026, 10, 1)}, "administered_on"),
    ("day_is_text", {"administered_on": "2026-10-01"}, "administered_on"),
    ("duration_negative", {"duration_s": -1}, "duration_s"),
    ("duration_bool", {"duration_s": True}, "duration_s"),
    ("duration_long", {"duration_s": 86_401}, "duration_s"),
    ("total_float", {"total": 65.0}, "total"),
    ("total_int", {"total": 65}, "total"),
    ("total_nan", {"total": Decimal("NaN")}, "total"),
    ("total_too_fine", {"total": Decimal("1.00001")}, "total"),
    ("factor_upper", {"factors_high": frozenset({"Learning"})}, "factors_high"),
    ("factor_number", {"factors_high": frozenset({1})}, "factors_high"),
    ("days_negative", {"days_to_review": -1}, "days_to_review"),
    ("days_float", {"days_to_review": 1.0}, "days_to_review"),
]


@pytest.mark.parametrize(("values", "key"), [item[1:] for item in SHAPES], ids=[item[0] for item in SHAPES])
def test_a_field_of_another_shape_is_refused(values: dict[str, Any], key: str) -> None:
    with pytest.raises(RecordError) as caught:
        replace(record(), **values)
    assert keys_of(caught.value) == {key}


DISPOSITIONS = [
    ("valid_without_level", {"level1": "9"}, "level1"),
    ("valid_without_instrument", {"instrument": ""}, "instrument"),
    ("valid_without_codebook", {"codebook": ""}, "codebook"),
    ("valid_without_day", {"administered_on": None}, "administered_on"),
    ("invalid_with_level", INVALID_TEST | {"level1": "2"}, "level1"),
    ("invalid_with_total", INVALID_TEST | {"total": Decimal(3)}, "total"),
    ("invalid_with_factor", INVALID_TEST | {"factors_high": frozenset({"learning"})}, "total"),
]


@pytest.mark.parametrize(
    ("values", "key"), [item[1:] for item in DISPOSITIONS], ids=[item[0] for item in DISPOSITIONS]
)
def test_fields_that_do_not_fit_a_test_are_refused(values: dict[str, Any], key: str) -> None:
    with pytest.raises(RecordError) as caught:
        record(**values)
    assert keys_of(caught.value) == {key}


_A_VALUE: dict[str, Any] = {
    "instrument": "mht",
    "rule_version": "1",
    "codebook": "ab" * 32,
    "administered_on": date(2026, 10, 1),
    "duration_s": 5,
    "total": Decimal(1),
    "factors_high": frozenset({"learning"}),
    "days_to_review": 3,
}


def a_value(name: str) -> Any:
    return _A_VALUE.get(name, "1")


@pytest.mark.parametrize("disposition", [code for code in DISPOSITION if code not in TESTED])
@pytest.mark.parametrize("name", TEST_FIELDS)
def test_an_untested_pupil_has_no_test_field(disposition: str, name: str) -> None:
    with pytest.raises(RecordError) as caught:
        untested(disposition=disposition, **{name: a_value(name)})
    assert keys_of(caught.value) == {name}


@pytest.mark.parametrize("disposition", ["6", "8"])
@pytest.mark.parametrize("name", FOLLOW_UP_FIELDS)
def test_without_consent_there_is_no_psychological_field(disposition: str, name: str) -> None:
    assert untested(disposition="3", **{name: a_value(name)})
    with pytest.raises(RecordError) as caught:
        untested(disposition=disposition, **{name: a_value(name)})
    assert keys_of(caught.value) == {name}


@pytest.mark.parametrize("disposition", ["6", "8"])
def test_without_consent_a_diagnosis_group_is_refused(disposition: str) -> None:
    assert untested(disposition=disposition, groups=frozenset({"g1"}))
    with pytest.raises(RecordError) as caught:
        untested(disposition=disposition, groups=frozenset({"g1", "g3"}))
    assert keys_of(caught.value) == {"groups"}


def test_every_problem_is_reported_and_no_value() -> None:
    with pytest.raises(RecordError) as caught:
        record(sex="7", level1="77", total=Decimal("66.66666"), boarding="zz")
    assert keys_of(caught.value) == {"sex", "level1", "total", "boarding"}
    assert all(text not in str(caught.value) for text in ("66.6", "77", "zz"))


def test_consent_given_changes_nothing() -> None:
    assert apply_consent(record(), "require") == record()


def test_consent_not_recorded_counts_only_as_such() -> None:
    pupil = record(
        guardian_consent="9", sex="2", level1="3", reviewed="1", groups=frozenset({"g1", "g3"}), validity="1"
    )
    counted = apply_consent(pupil, "require")
    assert counted == untested(guardian_consent="9", disposition="8", sex="2", groups=frozenset({"g1"}))
    assert apply_consent(counted, "require") == counted


@pytest.mark.parametrize(
    ("before", "consent", "after"),
    [
        ("1", "9", "8"),
        ("1", "2", "6"),
        ("3", "2", "6"),
        ("3", "9", "3"),
        ("4", "2", "4"),
        ("7", "9", "7"),
        ("5", "1", "5"),
    ],
)
def test_the_disposition_after_the_consent_rule(before: str, consent: str, after: str) -> None:
    make = record if before == "1" else untested
    assert apply_consent(make(disposition=before, guardian_consent=consent), "require").disposition == after


def test_an_untested_pupil_without_consent_loses_follow_up_fields() -> None:
    assert apply_consent(untested(guardian_consent="9", pool="1"), "require").pool == "9"


def test_record_only_changes_nothing() -> None:
    pupil = record(guardian_consent="2", level1="3")
    assert apply_consent(pupil, "record-only") == pupil


@pytest.mark.parametrize("policy", ["", "Require", "none"])
def test_an_unknown_policy_is_refused(policy: str) -> None:
    with pytest.raises(RecordError):
        apply_consent(record(), policy)


def some_records() -> st.SearchStrategy[Record]:
    fields = {
        name: st.sampled_from(sorted(codes))
        for name, codes in FIELD_CODES.items()
        if name not in TEST_FIELDS and name not in ("disposition",)
    }
    tested = st.fixed_dictionaries(
        {
            **fields,
            "grade": st.sampled_from(sorted(GRADE)),
            "system": st.sampled_from(sorted(SYSTEM)),
            "groups": st.frozensets(st.sampled_from(sorted(GROUP))),
            "level1": st.sampled_from(["0", "1", "2", "3"]),
            "level2": st.sampled_from(sorted(LEVEL)),
            "total": st.none() | st.decimals(-900, 900, places=2),
            "factors_high": st.frozensets(st.sampled_from(["learning", "social", "f_3"])),
            "duration_s": st.none() | st.integers(0, 86_400),
            "days_to_review": st.none() | st.integers(0, 3660),
        }
    )
    return tested.map(lambda values: record(**values))


@given(some_records())
def test_a_row_reads_back_as_the_same_record(pupil: Record) -> None:
    row = to_row(pupil)
    assert from_row(row) == pupil
    assert to_row(from_row(row)) == row
    assert all(isinstance(value, str | int | list) for value in row.values())
    assert encode_row(pupil) == encode_json(row)


@given(some_records(), st.sampled_from(["1", "2", "9"]))
def test_the_consent_rule_always_gives_a_valid_idempotent_record(pupil: Record, consent: str) -> None:
    counted = apply_consent(replace(pupil, guardian_consent=consent), "require")
    assert apply_consent(counted, "require") == counted
    if consent != "1":
        assert not counted.is_tested
        assert not counted.flags


def test_equal_scores_give_equal_rows() -> None:
    assert to_row(record(total=Decimal("12.50"))) == to_row(record(total=Decimal("12.5")))


ROWS = [
    ("unknown_key", {"name": "x"}),
    ("another_key", {"Grade": "7"}),
    ("default_written_out", {"sex": "9"}),
    ("long_score", {"total": "20.0"}),
    ("score_number", {"total": 20}),
    ("score_text", {"total": "many"}),
    ("key_not_hex", {"rec_key": "zz" * 16}),
    ("key_upper_hex", {"rec_key": "AB" * 16}),
    ("list_unsorted", {"groups": ["g2", "g1"]}),
    ("list_repeated", {"groups": ["g1", "g1"]}),
    ("list_is_text", {"groups": "g1"}),
    ("list_nested", {"groups": [["g1"]]}),
    ("day_impossible", {"administered_on": "2026-02-30"}),
    ("day_compact", {"administered_on": "20261015"}),
    ("code_number", {"sex": 1}),
    ("null", {"duration_s": None}),
    ("float", {"duration_s": 5.0}),
    ("bool", {"duration_s": True}),
]


@pytest.mark.parametrize("change", [item[1] for item in ROWS], ids=[item[0] for item in ROWS])
def test_another_spelling_of_a_row_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(RecordError):
        from_row({**to_row(record(total=Decimal(20))), **change})


@pytest.mark.parametrize("name", ["rec_key", "grade", "system", "disposition"])
def test_a_row_without_a_required_key_is_refused(name: str) -> None:
    row = to_row(record())
    del row[name]
    with pytest.raises(RecordError) as caught:
        from_row(row)
    assert keys_of(caught.value) == {name}


def test_flags_are_the_fields_that_are_one() -> None:
    assert record(reviewed="1", closed="0").flags == {"reviewed"}
    assert record(**dict.fromkeys(FLAG, "1")).flags == set(FLAG)
