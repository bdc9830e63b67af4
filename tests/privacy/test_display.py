"""The display rule: what is shown, rounded, or withheld."""

from fractions import Fraction

import pytest

from privacy.display import (
    DISPLAY_FLOOR,
    SAMPLE_TOO_SMALL,
    WITHHELD,
    Shown,
    show_count,
    show_mean,
    show_rate,
)
from privacy.errors import PrivacyError
from privacy.intervals import Z95, Interval, Rate


@pytest.mark.parametrize(
    ("value", "se", "text"),
    [
        (Fraction(489), 4.0, "489 ± 8"),
        (Fraction(4895, 10), 4.0, "490 ± 8"),
        (Fraction(48949, 100), 4.0, "489 ± 8"),
        (1234567.0, 100.0, "1234567 ± 196"),
        (11, 0.0, "11 ± 0"),
        (100, 25.5, "100 ± 50"),
    ],
)
def test_a_count_that_is_large_enough_is_rounded_and_its_margin_rounded_up(value, se, text):
    assert show_count(value, se).text() == text


@pytest.mark.parametrize(
    ("value", "se"),
    [
        (-5, 1.0),
        (0, 0.0),
        (1, 0.0),
        (10, 0.1),
        (Fraction(1099, 100), 0.0),
        (100, 25.6),
        (20, 10.0),
        (-1000, 1.0),
    ],
)
def test_a_small_negative_or_uncertain_count_is_withheld(value, se):
    shown = show_count(value, se)
    assert shown is WITHHELD
    assert shown.is_withheld
    assert shown.text() == SAMPLE_TOO_SMALL == "样本过小"
    assert shown.text("<11") == "<11"


def test_counts_can_be_rounded_to_a_step():
    assert show_count(Fraction(4874, 10), 4.0, step=5) == Shown(485, 10)
    assert show_count(Fraction(4875, 10), 4.0, step=5) == Shown(490, 10)


def test_the_floor_can_be_raised_but_not_lowered():
    assert show_count(40, 1.0, floor=41).is_withheld
    assert not show_count(40, 1.0, floor=40).is_withheld
    with pytest.raises(PrivacyError):
        show_count(40, 1.0, floor=DISPLAY_FLOOR - 1)
    with pytest.raises(PrivacyError):
        show_count(40, 1.0, step=0)


def _rate(value: float, se: float) -> Rate:
    return Rate(value, se, Interval(0.0, 1.0))


def test_a_rate_is_shown_in_percent():
    assert show_rate(_rate(0.1234, 0.01)).text() == "12.3 ± 2.0"
    assert show_rate(_rate(0.96, 0.001)) == Shown(96.0, 0.2)


def test_a_noisy_rate_above_1_is_shown_as_100():
    assert show_rate(_rate(1.002, 0.001)).value == 100.0


@pytest.mark.parametrize("value", [None, _rate(0.1, 0.03), _rate(-0.01, 0.001), _rate(0.0, 0.01)])
def test_an_uncertain_negative_or_missing_rate_is_withheld(value):
    assert show_rate(value) is WITHHELD


def test_a_margin_of_exactly_half_is_shown():
    """With a standard error that is a power of two no rounding gets between."""
    assert show_count(16 * Z95, 8.0) == Shown(31, 16)
    assert show_rate(_rate(Z95 / 4, 0.125)) == Shown(49.0, 24.5)
    assert show_mean(_rate(16 * Z95, 8.0)) == Shown(31.4, 15.7)
    assert show_rate(_rate(0.5, 0.1)) == Shown(50.0, 19.6)


def test_the_margin_of_a_rate_is_rounded_up_to_a_tenth_of_a_percent():
    assert show_rate(_rate(0.6, 0.2501 / Z95)).margin == 25.1
    assert show_rate(_rate(0.6, 0.2499 / Z95)).margin == 25.0


@pytest.mark.parametrize(
    ("value", "half", "text"),
    [
        (23.44, 2.01, "23.4 ± 2.1"),
        (23.45, 2.09, "23.5 ± 2.1"),
        (60.0, 29.95, "60.0 ± 30.0"),
        (60.04, 20.0, "60.0 ± 20.0"),
        (99.96, 33.31, "100.0 ± 33.4"),
        (150.0, 10.11, "150.0 ± 10.2"),
    ],
)
def test_a_mean_is_shown_with_one_decimal_and_its_margin_rounded_up(value, half, text):
    assert show_mean(_rate(value, half / Z95)).text() == text


@pytest.mark.parametrize("value", [None, _rate(20.0, 10.1 / Z95), _rate(-1.0, 0.1), _rate(0.0, 0.1)])
def test_an_uncertain_negative_or_missing_mean_is_withheld(value):
    assert show_mean(value) is WITHHELD


def test_what_lacks_its_margin_or_its_value_is_no_number():
    assert Shown(5.0, None).text() == Shown(None, 5.0).text() == SAMPLE_TOO_SMALL
    assert not Shown(5.0, None).is_withheld
