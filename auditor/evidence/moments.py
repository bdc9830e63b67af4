"""Times and costs as a pack writes them. A year is the calendar year at the county's clock (UTC+8)."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone
from fractions import Fraction
from typing import Final

from privacy.accountant import epsilon
from privacy.risk import DELTA

COUNTY: Final = timezone(timedelta(hours=8))  # the whole country keeps one time


def written(moment: datetime) -> str:
    """Write a time, UTC, to the second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def day_of(moment: datetime) -> str:
    """Write the day of a time at the county."""
    return moment.astimezone(COUNTY).strftime("%Y-%m-%d")


def touches(opens: datetime, closes: datetime, year: int) -> bool:
    """Say whether a window has a day in a year."""
    return opens.astimezone(COUNTY).year <= year <= closes.astimezone(COUNTY).year


def decimal(rho: Fraction) -> str:
    """Write a cost as a decimal of at most six digits, rounded up."""
    parts = math.ceil(rho * 10**6)
    whole, rest = divmod(parts, 10**6)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".")


def shown_epsilon(rho: Fraction) -> str:
    """Write epsilon at delta = 10^-6 with three digits, as every command and docs/privacy.md do."""
    return f"{epsilon(rho, DELTA):.3f}"


def rational(rho: Fraction) -> str:
    """Write a cost exactly."""
    return f"{rho.numerator}/{rho.denominator}"
