"""Sentences of a brief from numbers: always with the interval, never sharper than it.

What is withheld is said to be too small; what the plan does not count gives no sentence. A difference is only
called one where it is larger than the noise of both numbers can make it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

from coordinator.reports import words
from coordinator.reports.material import Keys, Material
from results.indicators import IndicatorValue
from results.showing import Display, display_value

_ = words._


def amount(material: Material, value: IndicatorValue) -> str:
    """Say a number with its interval, such as 约12.8%,95%区间12.2%~13.4%."""
    shown = display_value(value)
    if shown.value is None or shown.margin is None:
        return material.say(_("a number too small to show"))
    is_rate = value.indicator.unit == "%"
    low, high = max(shown.value - shown.margin, 0), shown.value + shown.margin
    decimals = 1 if is_rate else 0
    unit = "%" if is_rate else material.speech.choose(value.indicator.unit, "")
    told = {
        "value": f"{shown.value:.{decimals}f}{unit}",
        "low": f"{low:.{decimals}f}{unit}",
        "high": f"{min(high, 100) if is_rate else high:.{decimals}f}{unit}",
    }
    return material.say(_("about %(value)s, 95%% interval %(low)s to %(high)s")) % told


def named_amount(material: Material, name: str, indicator: str, keys: Keys | None = None) -> str:
    """Say a name and its number; empty if the release does not have it."""
    value = material.value(indicator, keys or {})
    if value is None:
        return ""
    told = {"name": name, "number": amount(material, value)}
    return material.say(_("%(name)s: %(number)s")) % told


def joined(material: Material, parts: Iterable[str]) -> str:
    """Join parts of a sentence; empty parts go."""
    kept = [part for part in parts if part]
    return material.speech.choose("；", "; ").join(kept) + material.speech.choose("。", ".") if kept else ""


def together(material: Material, *sentences: str) -> str:
    """Put sentences behind each other."""
    return material.speech.choose("", " ").join(sentence for sentence in sentences if sentence)


def listed(material: Material, parts: Iterable[str]) -> str:
    """Name several things."""
    return material.speech.choose("、", ", ").join(part for part in parts if part)


def is_below(shown: Display | None, limit: float) -> bool:
    """Say whether a shown number with its margin lies below a limit."""
    if shown is None or shown.value is None or shown.margin is None:
        return False
    return shown.value + shown.margin < limit


def is_above(one: Display | None, other: Display | None) -> bool:
    """Say whether a shown number is larger than another by more than the noise of both."""
    if one is None or other is None or None in (one.value, one.margin, other.value, other.margin):
        return False
    found = (one.value or 0) - (other.value or 0)
    return found > math.hypot(one.margin or 0, other.margin or 0)
