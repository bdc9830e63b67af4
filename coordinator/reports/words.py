"""The standing words of reports: names of sheets and chapters, footers, signature lines, release classes.

Messages are marked with `_` here and translated by the report's own `Speech`. The names of sheets are part of
the form that a bureau hands in; they are given in both languages as they stand there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


def _(message: str) -> str:
    """Mark a message for the catalogue; `Speech.say` translates it."""
    return message


@dataclass(frozen=True, slots=True)
class SheetName:
    """A sheet's name in both languages, at most 31 characters each."""

    chinese: str
    english: str


COVER: Final = SheetName("封面与口径说明", "Cover and reading notes")
TESTING: Final = SheetName("表1 测评组织情况", "Table 1 Testing")
LEVELS: Final = SheetName("表2 预警等级分布", "Table 2 Alert levels")
GROUPS: Final = SheetName("表3 重点群体预警情况", "Table 3 Key groups")
FACTORS: Final = SheetName("表4 因子偏高情况", "Table 4 High factors")
RECHECK: Final = SheetName("表5 复测复核情况", "Table 5 Recheck and review")
FILES: Final = SheetName("表6 一生一策与预警库", "Table 6 Plans and alert pool")
REFERRAL: Final = SheetName("表7 转介与闭环", "Table 7 Referral and closing")
COMPARISON: Final = SheetName("表8 与上次测评比较", "Table 8 Change since last time")
CONDITIONS: Final = SheetName("表9 学校条件", "Table 9 School conditions")
DEFINITIONS: Final = SheetName("附表 指标口径", "Annex Definitions")
QUALITY: Final = SheetName("附表 数据质量与隐私说明", "Annex Quality and privacy")
AUDIT: Final = SheetName("附表 审计凭证", "Annex Audit evidence")

FOOTERS: Final = (
    _(
        "These tables are privacy-protected totals with random noise. They must not be used to check on "
        "single pupils or to rank classes or schools."
    ),
    _("The results serve care in education only and are no medical diagnosis."),
    _(
        "This system is not for emergencies. Where a pupil may hurt themselves or others, follow the "
        "emergency plan at once, tell the guardian and see a doctor."
    ),
)
"""Stand under every sheet and at the end of a brief."""

NOTICE: Final = _("Estimates, not for statistical returns")
SIGN: Final = (_("Filled in by (unit, seal)"), _("Filled in by (person)"), _("Filled in on"))
WITHHELD: Final = _("too small")
TOTAL: Final = _("Total")
CLASSES: Final[Mapping[str, str]] = {
    "internal": _("Internal"),
    "on-request": _("On request"),
    "public": _("Public"),
}
"""Release classes."""

ERROR_BARS: Final = _("Error bars are 95-percent intervals; what is too small or too uncertain is not drawn.")
NOT_COUNTED: Final = _("The plan of this round does not count what this sheet is for.")
NOT_SHOWN: Final = _("The release class of this report does not show this.")
UNIT_PUPILS_PERCENT: Final = _("Unit: pupils, %")
UNIT_PUPILS: Final = _("Unit: pupils")
UNIT_PERCENT: Final = _("Unit: %")
CHAPTERS: Final = (
    _("I. The screening"),
    _("II. Results as a whole"),
    _("III. By stage, grade and sex"),
    _("IV. Key groups"),
    _("V. Recheck and follow-up"),
    _("VI. Conditions and resources"),
    _("VII. What needs attention"),
    _("VIII. Next steps"),
)
ANNEXES: Final = (_("Annex: how numbers are made"), _("Annex: privacy"), _("Annex: audit"))
