"""Scores of an instrument: exact decimals, their ranges, comparators and bands.

A score is a finite `Decimal` of magnitude below 10^6 with at most four decimal places. Its canonical text
has no exponent, no plus sign and no zeros at the end, so that equal scores have equal bytes.
"""

import re
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

_SCORE = re.compile(r"-?[0-9]{1,6}(?:\.[0-9]{1,4})?\Z", re.ASCII)
_COMPARATOR = re.compile(r"(>=|>|<=|<) ?(-?[0-9]{1,6}(?:\.[0-9]{1,4})?)\Z", re.ASCII)

NUM_BANDS = 10
"""A band is a tenth of the codebook's total range."""


def is_score(value: Decimal) -> bool:
    """Say whether a decimal is finite, below 10^6 in magnitude and has at most four decimal places."""
    if not value.is_finite() or value.adjusted() > 5:
        return False
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent >= -64 and value == round(value, 4)


def encode_score(value: Decimal) -> str:
    """Return the canonical text of a score: `65`, `12.5`, `0`."""
    text = f"{value:.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def parse_score(text: str) -> Decimal:
    """Read a score from plain decimal text (trailing zeros are fine).

    Raises:
        ValueError: no such text. The message does not repeat it: it may be a pupil's score.
    """
    if not _SCORE.match(text):
        raise ValueError("not a decimal number with at most six digits before and four behind the point")
    return Decimal(encode_score(Decimal(text)))


@dataclass(frozen=True, slots=True)
class ScoreRange:
    """The scores that an instrument can give, both ends included; low < high."""

    low: Decimal
    high: Decimal

    def __post_init__(self) -> None:
        if not (is_score(self.low) and is_score(self.high) and self.low < self.high):
            raise ValueError("a score range needs two scores, the lower one first")

    def contains(self, value: Decimal) -> bool:
        """Say whether a score lies in the range."""
        return self.low <= value <= self.high

    def band_of(self, value: Decimal) -> int:
        """Return the tenth of the range that a score lies in, 0 to 9; the highest score is in 9.

        Raises:
            ValueError: the score lies outside of the range.
        """
        if not self.contains(value):
            raise ValueError("the score lies outside of its range")
        part = (Fraction(value) - Fraction(self.low)) / (Fraction(self.high) - Fraction(self.low))
        return min(NUM_BANDS - 1, int(part * NUM_BANDS))


@dataclass(frozen=True, slots=True)
class Comparator:
    """An explicit cut-off such as `>= 8`: whether the bound itself counts is never left open."""

    operator: str
    bound: Decimal

    def __post_init__(self) -> None:
        if self.operator not in (">=", ">", "<=", "<") or not is_score(self.bound):
            raise ValueError("a comparator is >=, >, <= or < and a score")

    @property
    def text(self) -> str:
        """Canonical text: operator, one space, score."""
        return f"{self.operator} {encode_score(self.bound)}"

    def holds(self, value: Decimal) -> bool:
        """Say whether a score meets the comparator."""
        match self.operator:
            case ">=":
                return value >= self.bound
            case ">":
                return value > self.bound
            case "<=":
                return value <= self.bound
            case _:
                return value < self.bound


def parse_comparator(text: str) -> Comparator:
    """Read a comparator; ValueError when the text is none."""
    match = _COMPARATOR.match(text)
    if not match:
        raise ValueError("not a comparator such as '>= 8'")
    return Comparator(match[1], parse_score(match[2]))
