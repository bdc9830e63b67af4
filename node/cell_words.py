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
    "stage": {
        "primary": N_("primary school"),
        "junior": N_("junior school"),
        "senior": N_("senior school"),
        "vocational": N_("vocational school"),
    },
}


def title_of(dimension: str) -> str:
    """Say a plan's dimension: its title in Chinese, its name otherwise."""
    known = DIMENSIONS.get(dimension)
    is_chinese = os.environ.get("LANGUAGE") == "zh_CN"
    return known.title if known is not None and is_chinese else dimension


def cell_word(dimension: str, code: str, label: str) -> str:
    """Say a code of a plan's table: the plan's label in Chinese, a word of ours in other languages."""
    known = ENGLISH.get(dimension, {}).get(code)
    if os.environ.get("LANGUAGE") == "zh_CN":
        return label
    return gettext.gettext(known) if known else (label if label == code else f"{label} ({code})")
