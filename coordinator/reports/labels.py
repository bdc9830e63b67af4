"""English words for what plans, codes and catalogues name in Chinese; a Chinese report takes their own words.

They are data like the Chinese ones (`plan.codes`, `results.catalogue`), not messages: a label that has no
English word here is shown as the plan writes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from paper.speech import Speech
from plan.dimensions import DIMENSIONS
from results.facts import FactValue
from results.indicators import IndicatorValue
from results.pupils import JOIN

_YES_NO: Final = {"0": "no", "1": "yes", "9": "unknown"}
CODES: Final[Mapping[str, Mapping[str, str]]] = {
    "stage": {
        "primary": "Primary",
        "junior": "Junior secondary",
        "senior": "Senior secondary",
        "vocational": "Vocational",
    },
    "grade": {
        **{str(number): f"Grade {number}" for number in range(1, 10)},
        **{str(9 + number): f"Senior {number}" for number in range(1, 4)},
        **{f"V{number}": f"Voc. {number}" for number in range(1, 4)},
    },
    "sex": {"1": "Boys", "2": "Girls", "9": "Not stated"},
    "boarding": {"1": "Day pupils", "2": "Boarders", "9": "Unknown"},
    "left_behind": {"0": "Not left behind", "1": "One parent away", "2": "Both parents away", "9": "Unknown"},
    "family": {
        "1": "Two parents",
        "2": "Single parent (divorced)",
        "3": "Single parent (bereaved, other)",
        "4": "Without parental care",
        "9": "Unknown",
    },
    "migrant": {"0": "Not migrant", "1": "Migrant workers' children", "9": "Unknown"},
    "disposition": {
        "1": "Valid test",
        "2": "Invalid test",
        "3": "Not tested",
        "4": "On leave",
        "5": "Exempt",
        "6": "No consent or refused",
        "7": "Elsewhere or moved away",
        "8": "Consent not recorded",
    },
    "level": {
        "0": "Routine observation",
        "1": "General attention",
        "2": "Needs attention",
        "3": "Priority attention",
        "9": "Invalid or not assessed",
    },
    "alert": {"low": "Level 0 or 1", "high": "Level 2 or 3", "9": "Invalid or not assessed"},
    "critical": {"0": "none", "1": "marked", "9": "not asked"},
    "found_by": {
        "1": "Online test",
        "2": "Observation at school",
        "3": "Community screening",
        "4": "Several ways",
        "9": "Unknown",
    },
    "recheck": {"0": "No recheck", "1": "Lowered", "2": "Unchanged", "3": "Raised", "9": "Not recorded"},
    "file_built": _YES_NO,
    "carer_assigned": _YES_NO,
    "home_visit": _YES_NO,
    "handed_over": _YES_NO,
    "pool": {"1": "Newly added", "2": "Staying", "3": "Taken off", "9": "Not in the pool"},
    "group": {
        "g1": "Left behind",
        "g2": "Single parent (divorced)",
        "g3": "Diagnosed by a specialist",
        "g4": "In hardship",
        "g5": "Migrant children",
        "g6": "Disabled",
        "g7": "Violence or bullying",
        "g9": "Other key group",
    },
    "groups_held": {"3": "0 to 3 groups", "4": "4 groups or more"},
    "flag": {
        "reviewed": "Reviewed",
        "guardian_told": "Guardian told",
        "supported": "Supported at school",
        "referral_advised": "Referral advised",
        "referral_attended": "Referral attended",
        "green_channel_free": "Free by the green channel",
        "closed": "Case closed",
    },
    "review": {"3": "Within 3 days", "14": "4 to 14 days", "15": "15 days or more, or not"},
    "band": {str(place): f"Band {place + 1}" for place in range(10)},
    "ref_dest": {
        "1": "Psychiatric hospital",
        "2": "General hospital",
        "3": "Maternal and child hospital",
        "4": "County counselling centre",
        "5": "Social organisation",
        "6": "Guardian declined",
        "9": "None",
    },
    "outcome": {
        "1": "Out-patient",
        "2": "In-patient",
        "3": "Leave of absence",
        "4": "Back at school",
        "5": "Follow-up at school",
        "6": "Closed",
        "7": "Lost or moved away",
        "9": "None",
    },
    "factor": {
        "learning": "Learning anxiety",
        "social": "Social anxiety",
        "loneliness": "Loneliness",
        "self_blame": "Self-blame",
        "sensitivity": "Oversensitivity",
        "somatic": "Bodily complaints",
        "phobia": "Fearfulness",
        "impulsivity": "Impulsivity",
        "obsession": "Obsession",
        "paranoia": "Suspicion",
        "hostility": "Hostility",
        "interpersonal": "Interpersonal sensitivity",
        "depression": "Low mood",
        "anxiety": "Anxiety",
        "study_pressure": "Study pressure",
        "maladjustment": "Maladjustment",
        "mood_swings": "Mood swings",
        "imbalance": "Imbalance",
        "somatization": "Somatisation",
        "psychoticism": "Psychoticism",
        "other": "Other complaints",
    },
    "urban_rural": {"1": "City", "2": "Town", "3": "Countryside"},
    "wave": {"A": "autumn term", "S": "spring term", "X": "special screening"},
}
"""dimension → code → English word."""
_TERMS: Final[Mapping[str, str]] = {"A": "秋季学期", "S": "春季学期", "X": "专项测评"}
_PRINTED: Final = {"IND-02/leave": "测评覆盖率(分母含请假)"}  # the archived name reads as if it were higher
_LIKE: Final = {"level2": "level", "level_before": "level"}

DIMENSION_NAMES: Final[Mapping[str, str]] = {
    "stage": "stage",
    "grade": "grade",
    "sex": "sex",
    "boarding": "boarding",
    "left_behind": "left behind",
    "family": "family",
    "migrant": "migrant",
    "disposition": "outcome of the testing",
    "critical": "risk items",
    "found_by": "found by",
    "recheck": "recheck",
    "level2": "level after the recheck",
    "level_before": "autumn level",
    "file_built": "plan and file",
    "carer_assigned": "carer",
    "pool": "alert pool",
    "ref_dest": "referred to",
    "outcome": "outcome",
    "home_visit": "home visit",
    "handed_over": "file handed over",
    "factor": "high factors",
    "group": "key group",
    "groups_held": "number of key groups",
    "level": "level",
    "alert": "alert",
    "review": "days to review",
    "band": "score band",
    "flag": "step",
    "county": "county",
}
"""dimension → English."""

INDICATORS: Final[Mapping[str, str]] = {
    "IND-01": "Pupils to be tested",
    "IND-02": "Coverage",
    "IND-02/leave": "Coverage (leave in the base)",
    "IND-02b": "Coverage (refusals not in the base)",
    "IND-03": "Pupils tested",
    "IND-04": "Share of valid tests",
    "IND-05": "Tests so far",
    "IND-06": "Refusals and missing consent",
    "IND-07/1": "Pupils found: general attention",
    "IND-07/2": "Pupils found: needs attention",
    "IND-07/3": "Pupils found: priority attention",
    "IND-08/1+": "Rate of general attention or more",
    "IND-08/2+": "Rate of needs attention or more",
    "IND-08/3": "Rate of priority attention",
    "IND-09": "Alert rate of boarders and day pupils",
    "IND-10": "Alert rate of left-behind pupils",
    "IND-11": "Alert rate by family",
    "IND-12": "Rate of a high factor",
    "IND-13": "Ways of finding",
    "IND-14": "Distribution over score bands",
    "IND-15": "Rate of marked risk items",
    "IND-16": "Rechecked",
    "IND-17": "Lowered, unchanged or raised by the recheck",
    "IND-18": "Priority attention after the recheck",
    "IND-19": "Coverage of the spring monitoring",
    "IND-20/up": "From autumn to spring: raised",
    "IND-20/same": "From autumn to spring: unchanged",
    "IND-20/down": "From autumn to spring: lowered",
    "IND-21": "New alerts in spring",
    "IND-22": "Own plan and file made",
    "IND-23": "Alert pool: added, staying, taken off",
    "IND-24": "Reviewed in time",
    "IND-25": "Pupils in the three ledgers",
    "IND-26": "Alert rate of key groups",
    "IND-26/count": "Pupils with an alert in key groups",
    "IND-27": "Carer named",
    "IND-28": "Guardian told",
    "IND-29/advised": "Referral advised",
    "IND-29/attended": "Referral attended",
    "IND-30": "Where pupils were referred to",
    "IND-30/free": "Pupils in hardship treated free of charge",
    "IND-31": "Files handed over",
    "IND-32/leave": "Pupils on leave of absence",
    "IND-32/back": "Pupils back at school",
    "IND-33": "Cases closed",
    "IND-34": "Home visits (three ledgers)",
    "FS-01": "Consent not recorded",
    "FS-02": "Pupils in four key groups or more",
    "FS-03": "Pupils by level",
    "FS-04": "Autumn level by spring level",
    "FS-05": "Pupils by step",
    "FS-06": "Share of the pupils with an alert by step",
    "FS-07": "Pupils who need attention or more",
    "FS-08": "Outcome of the testing",
    "FI-01": "Schools with a psychology teacher",
    "FI-02": "Schools with a full-time psychology teacher",
    "FI-03": "Schools obliged to have one that do",
    "FI-04": "Pupils for each psychology teacher",
    "FI-05/room": "Schools with a standard counselling room",
    "FI-05/hours": "Rooms open 10 hours a week or more",
    "FI-06": "Schools with a lesson every two weeks",
    "FI-06/year": "Schools with the lessons of a year",
    "FI-07/20": "Schools with 20 hours of training",
    "FI-07/24": "Schools with 24 hours of training",
    "FI-07/40": "Schools with 40 hours of training",
    "FI-08/B": "Head teachers with certificate B",
    "FI-08/C": "Staff with certificate C",
    "FI-09": "Classes with peer officers",
    "FI-10": "Schools with a confidentiality agreement",
}
"""id → English name."""

POPULATIONS: Final[Mapping[str, str]] = {
    "应测人数": "pupils to be tested",
    "实测人数": "pupils tested",
    "应测人数(含请假)": "pupils to be tested or on leave",
    "应测人数(不计未同意)": "pupils to be tested, refusals left out",
    "有效测评人数": "pupils with a valid test",
    "监护人未同意/学生拒测人数": "refusals and missing consent",
    "全体学生": "all pupils",
    "一般观察人数": "pupils of level 0",
    "一般关注人数": "pupils of level 1",
    "需要关注人数": "pupils of level 2",
    "重点关注人数": "pupils of level 3",
    "一般关注及以上人数": "pupils of level 1 to 3",
    "需要关注及以上人数": "pupils of level 2 or 3",
    "该因子偏高人数": "pupils with this factor high",
    "该渠道发现人数": "pupils found this way",
    "已登记发现渠道人数": "pupils with a recorded way of being found",
    "该分数段有效测评人数": "valid tests in this band",
    "风险题有提示人数": "pupils with a marked risk item",
    "作答风险题的有效测评人数": "valid tests that had the risk items",
    "已复测人数": "pupils rechecked (level 2 or 3)",
    "复测为该结果人数": "pupils of this result of the recheck (level 2 or 3)",
    "复测后为重点关注人数": "pupils of level 3 after the recheck",
    "春季等级升高人数": "pupils whose level rose",
    "秋季、春季均有效测评人数": "valid tests in both terms",
    "春季等级持平人数": "pupils whose level stayed",
    "春季等级降低人数": "pupils whose level fell",
    "其中春季为需要关注及以上人数": "of them, level 2 or 3 in spring",
    "秋季为一般观察且春季有效测评人数": "level 0 in autumn, valid test in spring",
    "已建一生一策档案人数": "pupils with an own plan and file (level 2 or 3)",
    "预警库该类变动人数": "pupils of the alert pool",
    "3 天内复核人数": "pupils reviewed within 3 days (level 2 or 3)",
    "该台账在册人数": "pupils in the ledger",
    "该类重点群体人数": "pupils of the group",
    "已落实专人包案人数": "pupils with a named carer (level 2 or 3)",
    "已告知监护人人数": "pupils whose guardian was told (level 2 or 3)",
    "重点关注学生中建议转介人数": "referral advised (level 3)",
    "重点关注学生中已就诊人数": "referral attended (level 3)",
    "有转介记录人数": "pupils with a recorded referral",
    "转介至该去向人数": "pupils referred there",
    "预警学生中绿色通道免费就医人数": "treated free by the green channel (level 2 or 3)",
    "档案已移交人数": "pupils whose file was handed over",
    "休学人数": "pupils on leave of absence",
    "复学人数": "pupils back at school",
    "已结案人数": "cases closed (level 2 or 3)",
    "该台账中已家访人数": "pupils of the ledger visited at home",
    "同意未登记人数": "pupils without recorded consent",
    "同属四类及以上重点群体人数": "pupils in four key groups or more",
    "预警学生中完成该步骤人数": "pupils at this step (level 2 or 3)",
}
"""zh name of a set of pupils → English."""

FACT_DEFINITIONS: Final[Mapping[str, str]] = {
    "FI-01": "schools with a full-time or part-time psychology teacher ÷ schools that answered",
    "FI-02": "schools with a full-time psychology teacher ÷ schools that answered",
    "FI-03": "of the schools with 1,000 pupils, or boarding with 200: those with a full-time teacher ÷ all",
    "FI-04": "pupils ÷ psychology teachers, all schools that answered together",
    "FI-05/room": "schools whose room meets the standard ÷ schools that answered",
    "FI-05/hours": "schools whose room is open 10 hours a week or more ÷ schools that answered",
    "FI-06": "schools with a lesson per class every two weeks ÷ schools that answered",
    "FI-06/year": "schools with 12 (primary) or 14 lessons a class and year ÷ schools that answered",
    "FI-07/20": "schools with 20 training hours a psychology teacher and year ÷ schools that answered",
    "FI-07/24": "schools with 24 training hours a psychology teacher and year ÷ schools that answered",
    "FI-07/40": "schools with 40 training hours a psychology teacher and year ÷ schools that answered",
    "FI-08/B": "head teachers with certificate B ÷ head teachers",
    "FI-08/C": "staff with certificate C ÷ staff",
    "FI-09": "classes with peer officers ÷ classes",
    "FI-10": "schools with an agreement ÷ schools that use a vendor's platform",
}
FACT_UNITS: Final[Mapping[str, str]] = {
    "%(校)": "% of schools",
    "%(人)": "% of people",
    "%(班)": "% of classes",
    "1:x": "1:x",
}
UNITS: Final[Mapping[str, str]] = {"人": "pupils", "人次": "tests", "%": "%"}


def code_label(speech: Speech, dimension: str, code: str, own: Mapping[str, str] | None = None) -> str:
    """Name a code; several joined codes, such as `primary+junior`, are named together.

    Args:
        own: zh labels that the plan gives itself, such as an instrument's factors.
    """
    parts = (_one_label(speech, dimension, part, own or {}) for part in code.split(JOIN))
    return speech.choose("、", " + ").join(parts)


def _one_label(speech: Speech, dimension: str, code: str, own: Mapping[str, str]) -> str:
    known = DIMENSIONS.get(dimension)
    chinese = own.get(code) or (known.codes.get(code, code) if known else code)
    return speech.choose(chinese, CODES.get(_LIKE.get(dimension, dimension), {}).get(code, chinese))


def wave_name(speech: Speech, wave: str) -> str:
    """Name a wave as a term."""
    return speech.choose(_TERMS.get(wave, wave), CODES["wave"].get(wave, wave))


def indicator_name(speech: Speech, value: IndicatorValue | FactValue) -> str:
    """Name an indicator."""
    found = value.indicator
    return speech.choose(_PRINTED.get(found.id, found.name), INDICATORS.get(found.id, found.name))


def unit_name(speech: Speech, unit: str) -> str:
    """Name a unit."""
    return speech.choose(unit, UNITS.get(unit, FACT_UNITS.get(unit, unit)))


def definition_of(speech: Speech, value: IndicatorValue | FactValue) -> str:
    """Say what an indicator counts, over which base."""
    found = value.indicator
    if speech.is_chinese:
        return found.definition
    if isinstance(value, FactValue):
        return FACT_DEFINITIONS.get(found.id, found.definition)
    people = (value.indicator.counted, value.indicator.base)
    return " ÷ ".join(POPULATIONS.get(item.name, item.name) for item in people if item)
