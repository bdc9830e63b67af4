"""Scores: exact, canonical, bounded."""

from decimal import Decimal

import pytest

from plan.scores import Comparator, ScoreRange, encode_score, is_score, parse_comparator, parse_score


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("65", "65"),
        ("65.0", "65"),
        ("12.50", "12.5"),
        ("0.0001", "0.0001"),
        ("-0", "0"),
        ("007", "7"),
        ("-3.5", "-3.5"),
    ],
)
def test_a_score_has_one_canonical_text(text: str, canonical: str) -> None:
    assert encode_score(parse_score(text)) == canonical


@pytest.mark.parametrize(
    "text",
    [
        "",
        " 5",
        "5 ",
        "+5",
        "5.",
        ".5",
        "1e3",
        "1,5",
        "0x10",
        "٣",
        "５",
        "1.23456",
        "1234567",
        "nan",
        "inf",
        "5\n",
        "--1",
    ],
)
def test_other_texts_are_no_scores(text: str) -> None:
    with pytest.raises(ValueError, match="not a decimal number"):
        parse_score(text)


def test_the_error_does_not_repeat_the_score() -> None:
    with pytest.raises(ValueError, match="not a decimal") as caught:
        parse_score("77.77777")
    assert "77" not in str(caught.value)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1E+6", "1000000", "0.00001", "1E-999999"])
def test_decimals_out_of_bounds_are_no_scores(value: str) -> None:
    assert not is_score(Decimal(value))


@pytest.mark.parametrize("value", ["0", "999999", "-999999.9999", "1E+5", "0.5000000"])
def test_decimals_within_bounds_are_scores(value: str) -> None:
    assert is_score(Decimal(value))


@pytest.mark.parametrize(
    ("score", "band"),
    [("0", 0), ("8.9999", 0), ("9", 1), ("44", 4), ("45", 5), ("80.9", 8), ("81", 9), ("89", 9), ("90", 9)],
)
def test_a_band_is_a_tenth_of_the_range(score: str, band: int) -> None:
    assert ScoreRange(Decimal(0), Decimal(90)).band_of(Decimal(score)) == band


def test_bands_of_a_short_range() -> None:
    scores = ScoreRange(Decimal(0), Decimal(8))
    assert [scores.band_of(Decimal(value)) for value in range(9)] == [0, 1, 2, 3, 5, 6, 7, 8, 9]


@pytest.mark.parametrize("score", ["-0.0001", "90.0001"])
def test_a_score_outside_of_the_range_has_no_band(score: str) -> None:
    with pytest.raises(ValueError, match="outside"):
        ScoreRange(Decimal(0), Decimal(90)).band_of(Decimal(score))


@pytest.mark.parametrize(("low", "high"), [("5", "5"), ("6", "5"), ("0", "NaN"), ("0", "1E+9")])
def test_a_range_needs_two_scores_in_order(low: str, high: str) -> None:
    with pytest.raises(ValueError, match="range"):
        ScoreRange(Decimal(low), Decimal(high))


@pytest.mark.parametrize(
    ("text", "below", "equal", "above"),
    [
        (">= 8", False, True, True),
        ("> 8", False, False, True),
        ("<= 8", True, True, False),
        ("< 8", True, False, False),
    ],
)
def test_a_comparator_says_whether_its_bound_counts(text: str, below: bool, equal: bool, above: bool) -> None:
    comparator = parse_comparator(text)
    assert comparator.text == text
    assert [comparator.holds(Decimal(v)) for v in ("7.9999", "8", "8.0001")] == [below, equal, above]


@pytest.mark.parametrize(
    "text", ["8", "≥ 8", "=> 8", "== 8", ">=  8", ">= 8 ", ">= x", ">=", "", "!= 8", ">= 1e3"]
)
def test_other_texts_are_no_comparators(text: str) -> None:
    with pytest.raises(ValueError, match="comparator"):
        parse_comparator(text)


def test_a_comparator_is_valid_by_construction() -> None:
    with pytest.raises(ValueError, match="comparator"):
        Comparator("==", Decimal(8))
    with pytest.raises(ValueError, match="comparator"):
        Comparator(">=", Decimal("NaN"))
