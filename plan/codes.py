"""The code sets of the screening record v1, with their zh labels.

Codes are text ("1", "9", "V2", "g3") and keep the order that the cells of a table have. Unknown is the code
"9": a category of its own, never blank.

Spec: JY/T 1002 and GB/T 2261.1 where they define a set; docs, the screening record, for the others.
"""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final, TypeAlias

from plan.errors import Problem, RecordError, phrase

Codes: TypeAlias = Mapping[str, str]
"""A code set: code → zh label, in the order of the cells of a table."""

UNKNOWN: Final = "9"
TESTED: Final = ("1", "2")
"""Dispositions of pupils who took the test (实测)."""
VALID: Final = "1"
"""The disposition of a valid test."""
WITHOUT_CONSENT: Final = ("6", "8")
"""Dispositions that leave no psychological field: refused, and consent not recorded."""


def _codes(*pairs: tuple[str, str]) -> Codes:
    return MappingProxyType(dict(pairs))


def _numbered(*labels: str) -> Codes:
    return _codes(*((str(place), label) for place, label in enumerate(labels, start=1)))


def _yes_no(yes: str, no: str) -> Codes:
    return _codes(("0", no), ("1", yes), ("9", "未知"))


WAVE: Final = _codes(("A", "秋季"), ("S", "春季"), ("X", "专项"))
SYSTEM: Final = _codes(("6-3", "六三学制"), ("5-4", "五四学制"))
STAGE: Final = _codes(("primary", "小学"), ("junior", "初中"), ("senior", "高中"), ("vocational", "中职"))
GRADE: Final = _codes(
    *zip(
        (*(str(number) for number in range(1, 13)), "V1", "V2", "V3"),
        (*(f"{n}年级" for n in "一二三四五六七八九"), "高一", "高二", "高三", "中职一", "中职二", "中职三"),
        strict=True,
    )
)
SEX: Final = _codes(("1", "男"), ("2", "女"), ("9", "未说明"))
BOARDING: Final = _codes(("1", "走读"), ("2", "住校"), ("9", "未知"))
LEFT_BEHIND: Final = _codes(("0", "非留守"), ("1", "一方外出"), ("2", "双方外出"), ("9", "未知"))
FAMILY: Final = _codes(
    ("1", "双亲"), ("2", "单亲(离异)"), ("3", "单亲(丧亲/其他)"), ("4", "无父母监护"), ("9", "未知")
)
MIGRANT: Final = _yes_no("随迁子女", "非随迁")
GROUP: Final = _codes(
    ("g1", "留守"),
    ("g2", "单亲(离异)"),
    ("g3", "心理障碍(经专科诊断)"),
    ("g4", "困境"),
    ("g5", "流动随迁"),
    ("g6", "残疾"),
    ("g7", "家暴/校园欺凌经历"),
    ("g9", "其他重点"),
)
SITTING: Final = _numbered("初测", "补测", "复测")
DISPOSITION: Final = _numbered(
    "已测有效",
    "已测无效",
    "未测",
    "请假",
    "免测",
    "监护人未同意/学生拒测",
    "借读/转出/已排除",
    "同意未登记",
)
CONSENT: Final = _codes(("1", "同意"), ("2", "不同意"), ("9", "未登记"))
INFORMED: Final = _yes_no("学生知情", "学生不知情")
VALIDITY: Final = _codes(("1", "通过"), ("2", "未通过"), ("9", "无效度量表"))
CRITICAL: Final = _codes(("0", "无"), ("1", "有"), ("9", "不适用"))
LEVEL: Final = _codes(
    ("0", "一般观察"), ("1", "一般关注"), ("2", "需要关注"), ("3", "重点关注"), ("9", "无效/未评定")
)
FOUND_BY: Final = _codes(
    ("1", "线上测评"), ("2", "学校线下观察"), ("3", "社区筛查"), ("4", "多渠道"), ("9", "未知")
)
RECHECK: Final = _codes(("0", "未复测"), ("1", "降级"), ("2", "维持"), ("3", "升级"), ("9", "不适用"))
RECHECK_BY: Final = _codes(("1", "本校心理教师"), ("2", "第三方"), ("3", "医院"), ("9", "未知"))
FILE_BUILT: Final = _yes_no("已建档", "未建档")
CARER: Final = _yes_no("已包案", "未包案")
POOL: Final = _codes(("1", "新增"), ("2", "在册"), ("3", "销号"), ("9", "不在库"))
FLAG: Final = _codes(
    ("reviewed", "已复核"),
    ("guardian_told", "已告知监护人"),
    ("supported", "校内干预"),
    ("referral_advised", "建议转介"),
    ("referral_attended", "已就诊"),
    ("green_channel_free", "绿色通道免费"),
    ("closed", "已结案"),
)
YES_NO: Final = _yes_no("是", "否")
REF_DEST: Final = _codes(
    ("1", "精神专科"),
    ("2", "综合医院心理门诊"),
    ("3", "妇幼"),
    ("4", "区县心理中心"),
    ("5", "社会机构"),
    ("6", "监护人未同意"),
    ("9", "无"),
)
OUTCOME: Final = _codes(
    ("1", "门诊随访"),
    ("2", "住院"),
    ("3", "休学"),
    ("4", "复学"),
    ("5", "校内随访"),
    ("6", "结案"),
    ("7", "失访/转出"),
    ("9", "无"),
)
HOME_VISIT: Final = _yes_no("已家访", "未家访")
HANDED_OVER: Final = _yes_no("已移交", "未移交")

FIELD_CODES: Final[Mapping[str, Codes]] = MappingProxyType(
    {
        "grade": GRADE,
        "system": SYSTEM,
        "sex": SEX,
        "boarding": BOARDING,
        "left_behind": LEFT_BEHIND,
        "family": FAMILY,
        "migrant": MIGRANT,
        "sitting": SITTING,
        "disposition": DISPOSITION,
        "guardian_consent": CONSENT,
        "student_informed": INFORMED,
        "validity": VALIDITY,
        "critical": CRITICAL,
        "level1": LEVEL,
        "level_before": LEVEL,
        "found_by": FOUND_BY,
        "recheck": RECHECK,
        "recheck_by": RECHECK_BY,
        "level2": LEVEL,
        "file_built": FILE_BUILT,
        "carer_assigned": CARER,
        "pool": POOL,
        **dict.fromkeys(FLAG, YES_NO),
        "ref_dest": REF_DEST,
        "outcome": OUTCOME,
        "home_visit": HOME_VISIT,
        "handed_over": HANDED_OVER,
    }
)
"""Every single-valued coded field of `Record` with its code set."""

_HIDDEN: Final = phrase("a value that is not repeated here")


def code_problems(values: Mapping[str, object]) -> list[Problem]:
    """Return a problem for each field whose value is none of its codes; the value is not repeated."""
    return [
        Problem(name, _HIDDEN, phrase("one of the codes %(codes)s", codes=", ".join(FIELD_CODES[name])))
        for name, code in values.items()
        if not isinstance(code, str) or code not in FIELD_CODES[name]
    ]


def stage_of(grade: str, system: str) -> str:
    """Return the stage (学段) of a pupil's grade under a school system: a key of `STAGE`.

    Raises:
        RecordError: an unknown grade or system.
    """
    if grade not in GRADE or system not in SYSTEM:
        raise RecordError(*code_problems({"grade": grade, "system": system}))
    if grade.startswith("V"):
        return "vocational"
    number = int(grade)
    if number >= 10:
        return "senior"
    return "primary" if number <= (6 if system == "6-3" else 5) else "junior"


def school_year_of(day: date) -> str:
    """Return the school year, `YYYY-YYYY`, that a day lies in: 1 September to 31 August."""
    first = day.year if day.month >= 9 else day.year - 1
    return f"{first:04d}-{first + 1:04d}"
