"""Words for the dimensions and codes of a plan's tables, wherever a school's own tables are shown."""

from __future__ import annotations

import gettext
import os
from collections.abc import Mapping
from typing import Final

from node.errors import _ as N_  # translated where it is shown
from node.local_report import words as report_words
from plan.codes import UNKNOWN
from plan.dimensions import DIMENSIONS

ENGLISH: Final[Mapping[str, Mapping[str, str]]] = {
    **report_words.AXES,
    "groups": report_words.GROUPS,
    "level": {**report_words.AXES["level2"], UNKNOWN: report_words.UNKNOWN},
    "grade": report_words.GRADES,
    "group": report_words.GROUPS,
    "factor": report_words.FACTORS,
    "disposition": {
        "1": N_("valid test"),
        **{name[1:]: text for name, text in report_words.STATUS.items() if name.startswith("d")},
    },
    "recheck_by": {
        "1": N_("the school's own psychology teacher"),
        "2": N_("somebody else"),
        "3": N_("a hospital"),
    },
    "alert": {"low": N_("level 0 or 1"), "high": N_("level 2 or 3")},
    "stage": {
        "primary": N_("primary school"),
        "junior": N_("junior school"),
        "senior": N_("senior school"),
        "vocational": N_("vocational school"),
    },
}
TITLES: Final[Mapping[str, str]] = {
    **report_words.TITLES,
    "grade": N_("grade"),
    "stage": N_("stage"),
    "level": N_("level"),
    "level_before": N_("level before"),
    "alert": N_("level"),
    "disposition": N_("test taken"),
    "critical": N_("risk item"),
    "groups_held": N_("number of groups"),
    "band": N_("score band"),
    "factor": N_("high factor"),
    "group": N_("group"),
    "flag": N_("step"),
}
"""Names of a plan's dimensions outside Chinese; in Chinese they have the plan's own titles."""


def title_of(dimension: str) -> str:
    """Say a plan's dimension: its title in Chinese, a word of ours otherwise."""
    if os.environ.get("LANGUAGE") == "zh_CN":
        known = DIMENSIONS.get(dimension)
        return known.title if known is not None else dimension
    return gettext.gettext(TITLES.get(dimension, dimension)).lower()


def cell_word(dimension: str, code: str, label: str) -> str:
    """Say a code of a plan's table: the plan's label in Chinese, a word of ours in other languages."""
    known = ENGLISH.get(dimension, {}).get(code)
    if os.environ.get("LANGUAGE") == "zh_CN":
        return label
    if dimension == "band" and code.isdigit():
        return gettext.gettext(N_("band %(number)s")) % {"number": int(code) + 1}
    return gettext.gettext(known) if known else (label if label == code else f"{label} ({code})")
