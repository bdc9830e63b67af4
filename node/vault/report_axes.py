"""By what the school's own report counts: the axes of its tables, each with its codes in an order to merge.

An axis gives each pupil exactly one code. Neighbouring codes may be printed together, so the order puts
together what people would: whoever was not tested, then the levels from mild to severe. Where two facts imply
one another (who attended a referral was advised one), they are one axis, so that no difference of two numbers
tells how many lie between.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from node.vault.errors import RecordsError, _
from plan.codes import BOARDING, FAMILY, GROUP, LEFT_BEHIND, MIGRANT, SEX, UNKNOWN
from plan.record import Record

ALERTED: Final = ("2", "3")
LATE_DAYS: Final = 15
SOON_DAYS: Final = 3


@dataclass(frozen=True, slots=True)
class Axis:
    """One way to tell pupils apart.

    Attributes:
        id: name of the axis.
        codes: in the order of merging.
        code_of: gives a pupil's code.
        weights: how much the cut before each code but the first tells; the same number of them.
    """

    id: str
    codes: tuple[str, ...]
    code_of: Callable[[Record], str]
    weights: tuple[int, ...]

    def cut_before(self, code: str) -> int:
        """Give the place of the cut before a code."""
        return self.codes.index(code)

    def weights_at(self, cuts: frozenset[int] | None = None) -> dict[int, int]:
        """Give the weight of each cut, of some or of all."""
        places = range(1, len(self.codes)) if cuts is None else sorted(cuts)
        return {place: self.weights[place - 1] for place in places}


def _status(record: Record) -> str:
    return f"l{record.level1}" if record.disposition == "1" else f"d{record.disposition}"


def status_of_row(row: object) -> str:
    """Give the status of a record's canonical row (`plan.record.to_row`), without the cost of reading it all.

    Raises:
        RecordsError: it is no such row.
    """
    if not isinstance(row, dict) or not isinstance(row.get("disposition"), str):
        raise RecordsError(_("the stored records are damaged"), code="records-damaged")
    code = f"l{row.get('level1')}" if row["disposition"] == "1" else f"d{row['disposition']}"
    if code not in STATUS.codes:
        raise RecordsError(_("the stored records are damaged"), code="records-damaged")
    return code


STATUS: Final = Axis(
    "status",
    ("d7", "d8", "d5", "d4", "d6", "d3", "d2", "l0", "l1", "l2", "l3"),
    _status,
    (1, 1, 3, 5, 2, 6, 5, 4, 9, 6),
)
"""Dispositions and levels in one: elsewhere, not recorded, exempt, on leave, refused, not tested, invalid,
and the levels 0 to 3 of a valid test."""

ON_LEAVE: Final = STATUS.cut_before("d4")
EXPECTED: Final = STATUS.cut_before("d6")
WILLING: Final = STATUS.cut_before("d3")
TESTED: Final = STATUS.cut_before("d2")
VALID: Final = STATUS.cut_before("l0")
ATTENTION: Final = STATUS.cut_before("l2")
SEVERE: Final = STATUS.cut_before("l3")


def _plain(name: str, codes: Mapping[str, str]) -> Axis:
    """Make the axis of a coded field; whoever is not known stands first, beside the most common code."""
    order = (UNKNOWN, *(code for code in codes if code != UNKNOWN))
    return Axis(name, order, lambda record: str(getattr(record, name)), (1,) * (len(order) - 1))


ATTRIBUTES: Final = (_plain("sex", SEX), _plain("boarding", BOARDING))
MORE_ATTRIBUTES: Final = tuple(
    _plain(name, codes)
    for name, codes in (("left_behind", LEFT_BEHIND), ("family", FAMILY), ("migrant", MIGRANT))
)
"""For the exact version only: the groups say the same of nearly the same pupils, and both together would
tell by their difference who is in one alone."""

_IN_GROUP: Final[Mapping[str, tuple[str, frozenset[str]]]] = MappingProxyType(
    {
        "g1": ("left_behind", frozenset("12")),
        "g2": ("family", frozenset("2")),
        "g4": ("family", frozenset("4")),
        "g5": ("migrant", frozenset("1")),
    }
)


def in_group(record: Record, group: str) -> bool:
    """Say whether a pupil is in a key group, by a ledger or by the roster's own column."""
    name, codes = _IN_GROUP.get(group, ("grade", frozenset[str]()))
    return group in record.groups or getattr(record, name) in codes


GROUPS: Final = tuple(GROUP)


def group_axis(group: str) -> Axis:
    """Make the axis of a key group: in it or not."""
    return _binary(group, lambda record: in_group(record, group))


def factor_axis(factor: str) -> Axis:
    """Make the axis of a factor: high or not."""
    return _binary(factor, lambda record: factor in record.factors_high)


def _binary(name: str, is_in: Callable[[Record], bool]) -> Axis:
    """Make an axis of those for whom something holds ("yes") and all others ("no")."""
    return Axis(name, ("no", "yes"), lambda record: "yes" if is_in(record) else "no", (1,))


def _is_one(name: str) -> Callable[[Record], bool]:
    return lambda record: getattr(record, name) == "1"


FOLLOW_UP: Final = tuple(
    _binary(name, _is_one(name))
    for name in ("guardian_told", "supported", "file_built", "carer_assigned", "home_visit", "handed_over")
)
RECHECK: Final = Axis("recheck", ("9", "0", "1", "2", "3"), lambda record: record.recheck, (1, 5, 3, 2))


def _review(record: Record) -> str:
    days = record.days_to_review
    if days is None:
        return "dated" if record.reviewed == "1" else "none"
    return "late" if days >= LATE_DAYS else ("soon" if days <= SOON_DAYS else "later")


def _referral(record: Record) -> str:
    if record.green_channel_free == "1":
        return "free"
    if record.referral_attended == "1":
        return "attended"
    return "advised" if record.referral_advised == "1" else "none"


def _closing(record: Record) -> str:
    if record.closed == "1" or record.outcome == "6":
        return "closed"
    return "none" if record.outcome == UNKNOWN else "going"


REVIEW: Final = Axis("review", ("none", "dated", "late", "later", "soon"), _review, (5, 2, 2, 3))
REFERRAL: Final = Axis("referral", ("none", "advised", "attended", "free"), _referral, (5, 4, 1))
CLOSING: Final = Axis("closing", ("none", "going", "closed"), _closing, (2, 4))
POOL: Final = Axis("pool", (UNKNOWN, "3", "2", "1"), lambda record: record.pool, (2, 4, 2))
OUTCOMES: Final = (
    Axis("ref_dest", (UNKNOWN, *"654321"), lambda record: record.ref_dest, (1,) * 6),
    Axis("outcome", (UNKNOWN, *"5123476"), lambda record: record.outcome, (1,) * 7),
    Axis("found_by", (UNKNOWN, *"1234"), lambda record: record.found_by, (1,) * 4),
    Axis("level2", (UNKNOWN, *"0123"), lambda record: record.level2, (1,) * 4),
)
"""For the exact version only."""

LEVELS: Final = ("none", "l0", "l1", "l2", "l3")


def level_code(record: Record | None) -> str:
    """Give a pupil's level in one wave, "none" without a valid test."""
    return f"l{record.level1}" if record is not None and record.disposition == "1" else "none"


CHANGE: Final = Axis("change", LEVELS, level_code, (3, 2, 9, 4))


def is_alerted(record: Record) -> bool:
    """Say whether the first test gave level 2 or 3: who is followed up."""
    return record.disposition == "1" and record.level1 in ALERTED


_DIGITS = {char: number for number, char in enumerate("〇一二三四五六七八九")}
_NUMBER = re.compile(r"[0-9]+|[〇一二三四五六七八九十]+")


def class_order(name: str) -> tuple[object, ...]:
    """Sort classes as people do: 2班 before 10班, 二班 before 十班; a name without a number comes last."""
    found = _NUMBER.findall(name)
    return (not found, [_number(text) for text in found], name)


def _number(text: str) -> int:
    if text.isdecimal():
        return int(text)
    if "十" not in text:
        return int("".join(str(_DIGITS[char]) for char in text))
    tens, _sign, ones = text.partition("十")
    return 10 * (_DIGITS.get(tens, 1)) + _DIGITS.get(ones, 0)
