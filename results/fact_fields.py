"""What is asked about a school's conditions for mental-health work: names, labels, kinds and ranges.

People type these values into the coordinator's form or spreadsheet, once a school and school year. Rules:

1. A value is about the school: rooms, hours, staff, contracts. A count of pupils in difficulty is never a
   fact; plans C and D collect those, with noise, through the nodes (`is_about_difficulty` refuses them).
2. Facts are exact and outside of differential privacy. No node computes one.
3. They are shown by school only to that school and inside the county (`results.fact_records`).

Values come as text, whole numbers or lists; each kind reads them strictly and has one canonical form.
"""

import re
import unicodedata
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType
from typing import Final

from plan.codes import STAGE, Codes
from plan.errors import Phrase, phrase

COUNT: Final = "count"
DECIMAL: Final = "decimal"
CHOICE: Final = "choice"
CHOICES: Final = "choices"
TEXT: Final = "text"
TEXTS: Final = "texts"
DATE: Final = "date"
KINDS: Final = (COUNT, DECIMAL, CHOICE, CHOICES, TEXT, TEXTS, DATE)
"""Kinds of values: whole number, number with one decimal, one code, several codes, text, texts, day."""


def _codes(*pairs: tuple[str, str]) -> Codes:
    return MappingProxyType(dict(pairs))


YES_NO: Final = _codes(("1", "是"), ("0", "否"))
YES_NO_NA: Final = _codes(("1", "是"), ("0", "否"), ("NA", "不适用"))
URBAN_RURAL: Final = _codes(("1", "城区"), ("2", "镇区"), ("3", "乡村"))
RURAL: Final = ("2", "3")
ROOM_FUNCTIONS: Final = _codes(
    ("office", "办公接待"),
    ("individual", "个体辅导"),
    ("group", "团体辅导"),
    ("sandplay", "沙盘"),
    ("release", "宣泄"),
)
MEETING_LEVELS: Final = _codes(("school", "学校"), ("grade", "年级"), ("class", "班级"))
FUNDS: Final = _codes(
    ("0", "无"),
    ("lt1", "1万元以下"),
    ("1-5", "1万至5万元"),
    ("5-10", "5万至10万元"),
    ("ge10", "10万元及以上"),
)

SECTIONS: Final[Mapping[str, tuple[str, Phrase]]] = MappingProxyType(
    {
        "school": ("学校基本情况", phrase("About the school")),
        "staff": ("师资", phrase("Staff")),
        "room": ("辅导室", phrase("Counselling room")),
        "lessons": ("课程与活动", phrase("Lessons and activities")),
        "network": ("工作机制与家校", phrase("Organisation and families")),
        "training": ("培训", phrase("Training")),
        "services": ("服务与转介", phrase("Services and referral")),
        "platform": ("测评平台与保密", phrase("Testing platform and confidentiality")),
    }
)
"""Sections of the form: zh title, and the title for every language."""


@dataclass(frozen=True, slots=True)
class Field:
    """One thing that is asked of a school.

    Attributes:
        name: key in JSON and of the form.
        section: key of `SECTIONS`.
        zh: label in Chinese forms and tables.
        label: label in the reader's language; `str` gives English.
        kind: one of `KINDS`.
        low, high: range of a number, both inclusive; of texts, `high` is the most characters of one.
        step: numbers are multiples of it.
        unit: zh unit of a number, or "".
        codes: of a choice, code → zh label.
        is_required: whether a school cannot leave it out.
    """

    name: str
    section: str
    zh: str
    label: Phrase
    kind: str
    low: int = 0
    high: int = 0
    step: int = 1
    unit: str = ""
    codes: Codes = field(default_factory=lambda: MappingProxyType({}))
    is_required: bool = False

    @property
    def en(self) -> str:
        """The English label."""
        return str(self.label)

    @property
    def header(self) -> str:
        """The zh header of its column: label, unit, and a star where it must be filled in."""
        unit = f"({self.unit})" if self.unit else ""
        return f"{self.zh}{unit}{'*' if self.is_required else ''}"


def _number(
    name: str, zh: str, label: Phrase, high: int, unit: str, kind: str = COUNT, **more: int | bool
) -> Field:
    return Field(name, "", zh, label, kind, 0, high, unit=unit, **more)  # type: ignore[arg-type]


def _choice(name: str, zh: str, label: Phrase, codes: Codes = YES_NO, *, is_required: bool = False) -> Field:
    return Field(name, "", zh, label, CHOICE, codes=codes, is_required=is_required)


def _text(name: str, zh: str, label: Phrase, high: int, kind: str = TEXT, **more: bool) -> Field:
    return Field(name, "", zh, label, kind, 1, high, **more)  # type: ignore[arg-type]


_SCHOOL = (
    _text("school_name", "学校名称", phrase("Name of the school"), 80, is_required=True),
    _text(
        "school_code", "学校(机构)标识码", phrase("School codes (JY/T 1002), 10 characters each"), 10, TEXTS
    ),
    _text("county_code", "行政区划码", phrase("Code of the county (GB/T 2260)"), 6),
    _text("reporting_group", "片区/镇街/学区", phrase("District or township that it reports with"), 40),
    Field("stages", "", "学段", phrase("Stages"), CHOICES, codes=STAGE, is_required=True),
    _choice("urban_rural", "城乡", phrase("Urban or rural"), URBAN_RURAL, is_required=True),
    _choice("is_boarding", "是否寄宿制", phrase("Boarding school"), is_required=True),
    _number("n_students", "在校学生数", phrase("Pupils enrolled"), 30_000, "人", is_required=True),
    _number("n_students_g4plus", "四年级及以上学生数", phrase("Pupils of grade 4 and above"), 30_000, "人"),
    _number("n_boarders", "住校生数", phrase("Boarders"), 30_000, "人"),
    _number("n_classes", "教学班数", phrase("Number of classes"), 600, "个", is_required=True),
)
_STAFF = (
    _number("teachers_n", "教职工数", phrase("Teachers and other staff"), 3_000, "人"),
    _number(
        "teacher_full", "专职心理教师数", phrase("Full-time psychology teachers"), 100, "人", is_required=True
    ),
    _number(
        "teacher_part", "兼职心理教师数", phrase("Part-time psychology teachers"), 500, "人", is_required=True
    ),
    _number(
        "teacher_cert",
        "持心理健康教育教师资格或心理咨询师证书的心理教师数",
        phrase("Psychology teachers with a certificate"),
        500,
        "人",
    ),
    _number(
        "vice_principal_hours_week",
        "心理副校长每周工作时间",
        phrase("Hours a week of the vice principal for mental health"),
        60,
        "小时",
        DECIMAL,
    ),
    _number("head_teacher_n", "班主任数", phrase("Head teachers"), 1_000, "人"),
    _number(
        "cert_B_headteachers",
        "持B证及以上的班主任数",
        phrase("Head teachers with certificate B or above"),
        1_000,
        "人",
    ),
    _number(
        "cert_C_teachers_n", "持C证及以上的教职工数", phrase("Staff with certificate C or above"), 3_000, "人"
    ),
)
_ROOM = (
    _choice(
        "room_standard", "心理辅导室是否达标", phrase("Counselling room meets the standard"), is_required=True
    ),
    _number(
        "room_open_hours_week",
        "辅导室每周课外开放时间",
        phrase("Opening hours of the room a week, outside lessons"),
        100,
        "小时",
        DECIMAL,
    ),
    Field("room_functions", "", "辅导室功能区", phrase("Areas of the room"), CHOICES, codes=ROOM_FUNCTIONS),
)
_LESSONS = (
    _number(
        "lessons_per_class_per_2weeks",
        "每班每两周心理健康课时",
        phrase("Lessons for each class in two weeks"),
        20,
        "课时",
        DECIMAL,
    ),
    _number(
        "lesson_hours_year",
        "每班每学年心理健康课时",
        phrase("Lessons for each class in a school year"),
        200,
        "课时",
    ),
    _number(
        "theme_meetings_term",
        "本学期心理主题班会次数",
        phrase("Class meetings on mental health this term"),
        200,
        "次",
    ),
    _number(
        "special_education_sessions_term",
        "本学期心理专题教育次数",
        phrase("Special sessions this term"),
        200,
        "次",
    ),
)
_NETWORK = (
    _number(
        "class_officer_classes",
        "设有心理委员的班级数",
        phrase("Classes with a mental-health officer"),
        600,
        "个",
    ),
    _number(
        "officer_trainings",
        "本学期心理委员培训次数",
        phrase("Trainings of these officers this term"),
        100,
        "次",
    ),
    _choice("morning_check", "是否落实心理晨检", phrase("Morning check in place")),
    Field(
        "meeting_levels",
        "",
        "例会层级",
        phrase("Levels that hold regular meetings"),
        CHOICES,
        codes=MEETING_LEVELS,
    ),
    _choice("crisis_plan", "是否有危机应急预案", phrase("Crisis plan in place")),
    _choice("four_level_network", "是否建立四级预警网络", phrase("Four-level warning network in place")),
    _choice("parent_school", "是否设有家长学校", phrase("Parent school in place")),
    _number(
        "parent_events_term", "本学期面向家长的活动次数", phrase("Events for parents this term"), 200, "次"
    ),
    _number(
        "home_visit_coverage_pct",
        "本学期家访覆盖率(按5%取整)",
        phrase("Families visited this term in percent, in steps of 5"),
        100,
        "%",
        step=5,
    ),
)
_TRAINING = (
    _number(
        "trainings_n",
        "本学年心理健康培训场次",
        phrase("Trainings on mental health this school year"),
        500,
        "场",
    ),
    _number(
        "training_hours_per_psych_teacher",
        "心理教师人均年培训学时",
        phrase("Training hours a year of each psychology teacher"),
        500,
        "学时",
        DECIMAL,
    ),
    _number(
        "training_hours_other",
        "其他教师人均年培训学时",
        phrase("Training hours a year of other teachers"),
        500,
        "学时",
        DECIMAL,
    ),
)
_SERVICES = (
    _choice("hotline", "是否有心理援助热线或咨询通道", phrase("Hotline or advice channel in place")),
    _number("partner_hospitals_n", "合作医疗机构数", phrase("Partner hospitals"), 50, "个"),
    _choice("green_channel", "是否有转介绿色通道", phrase("Green channel for referral in place")),
    _choice(
        "funds_yuan_band", "本学年心理健康工作经费", phrase("Funds for mental health this school year"), FUNDS
    ),
)
_PLATFORM = (
    _text("platform_vendor", "测评平台供应商", phrase("Vendor of the testing platform"), 80),
    _text(
        "platform_admin_holder",
        "平台局端管理员账号由谁持有",
        phrase("Who holds the bureau's administrator accounts of the platform"),
        80,
    ),
    Field(
        "platform_export_removed_on",
        "",
        "局端导出权限收回日期",
        phrase("Day on which the bureau's right to export was removed"),
        DATE,
    ),
    _choice(
        "vendor_nda",
        "是否与供应商签订保密协议",
        phrase("Confidentiality agreement with the vendor"),
        YES_NO_NA,
    ),
    Field("vendor_nda_until", "", "保密协议有效期至", phrase("End of the confidentiality agreement"), DATE),
    _choice(
        "vendor_change_deletion_certificate",
        "更换供应商时是否取得数据删除证明",
        phrase("Deletion certificate of the former vendor"),
        YES_NO_NA,
    ),
    _text("instruments_used", "使用的量表", phrase("Instruments in use"), 40, TEXTS),
    _text("consent_form_version", "监护人知情同意书版本", phrase("Version of the consent form"), 40),
)


def _named(**sections: tuple[Field, ...]) -> Mapping[str, Field]:
    placed = (
        Field(
            row.name,
            section,
            row.zh,
            row.label,
            row.kind,
            row.low,
            row.high,
            row.step,
            row.unit,
            row.codes,
            row.is_required,
        )
        for section, rows in sections.items()
        for row in rows
    )
    return MappingProxyType({row.name: row for row in placed})


FIELDS: Final[Mapping[str, Field]] = _named(
    school=_SCHOOL,
    staff=_STAFF,
    room=_ROOM,
    lessons=_LESSONS,
    network=_NETWORK,
    training=_TRAINING,
    services=_SERVICES,
    platform=_PLATFORM,
)
"""Every field by its name, in the order of the form."""

MAX_TEXTS: Final = 20
"""Most entries of a field of kind `texts`."""

_DIFFICULTY = re.compile(
    "留守|流动|随迁|单亲|离异|困境|孤儿|残疾|贫困|低保|预警|重点|关注对象|障碍|抑郁|焦虑|自伤|自杀|高危|个案|台账|在册|"
    "建档|确诊|就诊|转介人|休学|欺凌|家暴|辅导人次|谈话人次|名单|姓名|学籍号|"
    "left.?behind|divorc|orphan|disab|poor|alert|high.?risk|depress|anxi|suicid|self.?harm|case|diagnos"
    "|student.?name|pupil.?name",
    re.IGNORECASE,
)


def is_about_difficulty(name: str) -> bool:
    """Say whether a key or header that is no field speaks of pupils in difficulty, or of single pupils."""
    return _DIFFICULTY.search(plain(name)) is not None


_DAY = re.compile(r"(20[0-9]{2})[-/.年]([0-9]{1,2})[-/.月]([0-9]{1,2})日?(?:T?00:00:00)?\Z", re.ASCII)


def parse_day(text: str) -> date | None:
    """Read a day such as 2026-09-20, 2026/9/20 or 2026年9月20日; None if it is none."""
    found = _DAY.match(plain(text))
    with suppress(ValueError):  # 31 February
        return date(int(found[1]), int(found[2]), int(found[3])) if found else None
    return None


def plain(text: str) -> str:
    """Return text in the form it is compared in: NFKC, without white space and invisible characters."""
    kept = (char for char in unicodedata.normalize("NFKC", text) if unicodedata.category(char) != "Cf")
    return "".join(char for char in kept if not char.isspace())


def field_of_header(header: str) -> Field | None:
    """Find the field that a column's header names: its zh label or header, English label or name."""
    return _BY_HEADER.get(plain(header).rstrip("*").lower())


_BY_HEADER: Final = {
    plain(text).rstrip("*").lower(): row
    for row in FIELDS.values()
    for text in (row.zh, row.header, row.en, row.name)
}
