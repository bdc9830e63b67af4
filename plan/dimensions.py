"""The dimensions that a plan's tables may be built from.

A single-valued dimension puts a pupil into exactly one of its codes (9, unknown, is a category); a set-valued
one (`is_set`) into none, one or several. `stage`, `level`, `alert`, `review`, `groups_held`, `band` and
`factor` are derived from the record. Only what stands here can be counted: class, school and dates cannot.
`NUMBERS` are the fields that a table may sum instead of counting pupils.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Final

from plan import codes
from plan.codes import FIELD_CODES, LEVEL, UNKNOWN, Codes
from plan.record import Record
from plan.scores import NUM_BANDS


@dataclass(frozen=True, slots=True)
class Dimension:
    """One dimension.

    Attributes:
        name: in a plan's `dims` and `where`.
        title: zh title of a column.
        codes: its codes and zh labels; empty for `factor`, whose codes come from the plan's instrument.
        is_set: whether a pupil may have several codes (a `multi` table).
        is_scored: whether its codes depend on an instrument (`band`, `factor`).
    """

    name: str
    title: str
    codes: Codes
    is_set: bool = False
    is_scored: bool = False


ALERT: Final[Codes] = MappingProxyType({"low": "0–1 级", "high": "2–3 级", "9": LEVEL["9"]})
"""The levels in two classes, for small counties and rare groups."""

REVIEW: Final[Codes] = MappingProxyType({"3": "≤ 3 天", "14": "4–14 天", "15": "≥ 15 天或未复核"})
"""Days from the alert to its review, as plan D counts them."""

GROUPS_HELD: Final[Codes] = MappingProxyType({"3": "0–3 类", "4": "4 类及以上"})
"""How many of the groups a pupil is in, for those whom the cap of a table over groups cuts short."""

BAND: Final[Codes] = MappingProxyType({str(band): f"第 {band + 1} 段" for band in range(NUM_BANDS)})
"""Tenths of the total score's range."""

_FIELD_TITLES = {
    "grade": "年级",
    "sex": "性别",
    "boarding": "就读方式",
    "left_behind": "是否留守",
    "family": "家庭结构",
    "migrant": "随迁子女",
    "disposition": "测评情况",
    "critical": "风险题",
    "found_by": "发现渠道",
    "recheck": "复测结果",
    "level2": "复核等级",
    "level_before": "上次预警等级",
    "file_built": "一生一策建档",
    "carer_assigned": "专人包案",
    "pool": "预警库变动",
    "ref_dest": "转介去向",
    "outcome": "转归",
    "home_visit": "本学期家访",
    "handed_over": "档案移交",
}

DIMENSIONS: Final[Mapping[str, Dimension]] = MappingProxyType(
    {
        item.name: item
        for item in (
            *(Dimension(name, title, FIELD_CODES[name]) for name, title in _FIELD_TITLES.items()),
            Dimension("stage", "学段", codes.STAGE),
            Dimension("level", "预警等级", LEVEL),
            Dimension("alert", "预警分类", ALERT),
            Dimension("review", "预警到复核", REVIEW),
            Dimension("groups_held", "重点群体数", GROUPS_HELD),
            Dimension("band", "分数段", BAND, is_scored=True),
            Dimension("factor", "因子偏高", MappingProxyType({}), is_set=True, is_scored=True),
            Dimension("group", "重点群体", codes.GROUP, is_set=True),
            Dimension("flag", "处置情况", codes.FLAG, is_set=True),
        )
    }
)
"""Every dimension by name."""

NUMBERS: Final[Mapping[str, str]] = MappingProxyType(
    {"total": "总分", "days_to_review": "预警到复核天数", "duration_s": "用时(秒)"}
)
"""Numeric fields of the record that a table may sum, with their zh titles; `total` is an instrument's."""

SCORED_NUMBERS: Final = frozenset({"total"})
"""Those of `NUMBERS` that depend on an instrument."""


_FIELDS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "stage": ("grade", "system"),
        "level": ("level1",),
        "alert": ("level1",),
        "review": ("days_to_review",),
        "groups_held": ("groups",),
        "band": ("total",),
        "factor": ("factors_high",),
        "group": ("groups",),
        "flag": tuple(codes.FLAG),
    }
)


def fields_of(name: str) -> tuple[str, ...]:
    """Name the fields of a record that its codes in a dimension depend on (beside the instrument)."""
    return _FIELDS.get(name, (name,))


def code_of(record: Record, name: str) -> str:
    """Return a record's code in a single-valued dimension other than `band`."""
    match name:
        case "level":
            return record.level1
        case "alert":
            if record.level1 == UNKNOWN:
                return UNKNOWN
            return "high" if record.level1 in ("2", "3") else "low"
        case "review":
            return _review_of(record.days_to_review)
        case "groups_held":
            return "4" if len(record.groups) >= 4 else "3"
    value = getattr(record, name)
    return str(value)


def codes_of(record: Record, name: str) -> frozenset[str]:
    """Return a record's codes in a set-valued dimension: `factor`, `group` or `flag`."""
    if name == "factor":
        return record.factors_high
    return record.groups if name == "group" else record.flags


def number_of(record: Record, name: str) -> Decimal | None:
    """Return a record's value in one of `NUMBERS`; None where it has none."""
    value = getattr(record, name)
    return None if value is None else Decimal(value)


def _review_of(days: int | None) -> str:
    if days is None or days >= 15:
        return "15"
    return "3" if days <= 3 else "14"
