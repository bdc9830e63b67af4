"""A synthetic county: schools and pupils that exist nowhere, from a seed.

Rates and odds are those of `plan.assumptions`, which the forecast of a plan reads, too. Everything comes
from `random.Random(seed)`: the same seed gives the same files, byte for byte. Nothing else in the product
uses this generator.

For each pupil, in this order: grade, class, birthday, sex, boarding, left-behind status, family, consent,
participation, and for those who took the test level, factors, total, validity and date.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from random import Random
from typing import Final

from fedscreen.demo.school_files import (
    SYSTEM,
    CellValue,
    School,
    first_birthday,
    school_sizes,
    student_number,
    write_school,
)
from plan import assumptions
from plan.assumptions import (
    BOARDING_RATES,
    DURATION_S,
    FACTORS,
    FAMILY_FACTOR,
    HIGH_BY_LEVEL,
    INVALID_RANGE,
    LEFT_BEHIND_FACTOR,
    LEVEL_RATES,
    LOWEST_HIGH,
    MIGRANT_RATE,
    MOST_ALERTED,
    MOST_HIGH,
    OLDER_STAGES,
    SCHOOL_SPREAD,
    TESTED_UNASKED,
)
from plan.codes import CONSENT as CONSENT_WORDS
from plan.codes import FAMILY as FAMILY_WORDS
from plan.codes import LEFT_BEHIND as LEFT_BEHIND_WORDS
from plan.codes import SEX

DEFAULT_SCHOOL_YEAR: Final = "2026-2027"

ROSTER_HEADER: Final = (
    *("全国学籍号", "姓名", "性别", "年级", "班级", "就读方式", "是否留守儿童", "家庭结构"),
    *("是否进城务工人员随迁子女", "监护人同意", "未测原因"),
)
SCREENING_HEADER: Final = (
    *("学籍号", "姓名", "年级", "班级", "测评日期", "用时(秒)", "效度", "总分"),
    *(name for name, _, _ in FACTORS),
    "预警等级",
)

GRADE_NAMES: Final = {
    **{str(n): f"{name}年级" for n, name in zip(range(4, 10), "四五六七八九", strict=True)},
    "10": "高一",
    "11": "高二",
    "12": "高三",
    "V1": "中职一",
    "V2": "中职二",
    "V3": "中职三",
}
STAGE_GRADES: Final = {
    "primary": ("4", "5", "6"),
    "junior": ("7", "8", "9"),
    "senior": ("10", "11", "12"),
    "vocational": ("V1", "V2", "V3"),
}
TYPE_STAGES: Final = {
    "point": ("primary",),
    "primary": ("primary",),
    "nine-year": ("primary", "junior"),
    "junior": ("junior",),
    "senior": ("senior",),
    "vocational": ("vocational",),
}
TYPE_NAMES: Final = {
    "point": "教学点",
    "primary": "小学",
    "nine-year": "九年一贯制学校",
    "junior": "初级中学",
    "senior": "高级中学",
    "vocational": "职业技术学校",
}
TYPES_BY_SIZE: Final = (
    *("point", "point", "primary", "primary", "primary", "nine-year"),
    *("vocational", "primary", "junior", "primary", "junior", "senior"),
)
"""What a school of each twelfth of the sizes is, the smallest first."""
FEW_TYPES: Final = ("nine-year", "senior", "vocational", "primary")

# The plan room knows codes, a school's file has words; the order is that of the draws.
_ABSENCE_WORDS: Final = {"4": "请假", "5": "免测", "3": "未测", "7": "转出", "6": "拒测"}
SEX_FACTOR: Final = {SEX[code]: factor for code, factor in assumptions.SEX_FACTOR.items()}
BOYS: Final = assumptions.SEX_SHARES["1"]
LEFT_BEHIND: Final = {LEFT_BEHIND_WORDS[code]: share for code, share in assumptions.LEFT_BEHIND.items()}
LEFT_BEHIND_OLDER: Final = {
    LEFT_BEHIND_WORDS[code]: share for code, share in assumptions.LEFT_BEHIND_OLDER.items()
}
FAMILY: Final = {FAMILY_WORDS[code]: share for code, share in assumptions.FAMILY.items()}
NON_INTACT_FAMILIES: Final = tuple(FAMILY_WORDS[code] for code in assumptions.NON_INTACT_FAMILIES)
CONSENT: Final = {CONSENT_WORDS[code]: share for code, share in assumptions.CONSENT.items()}
ABSENCE_RANGES: Final = {_ABSENCE_WORDS[code]: span for code, span in assumptions.ABSENCE_RANGES.items()}
"""Reasons for no result; each school has its own share between the two."""
MAKE_UP_RATE: Final = 0.03

LABEL_STYLES: Final = (
    ("正常", "一级预警", "二级预警", "三级预警", "效度未通过"),
    ("绿色", "黄色", "橙色", "红色", "灰色"),
    ("一般观察", "一般关注", "需要关注", "重点关注", "无效"),
)
SURNAMES: Final = "王李张刘陈杨黄赵周吴徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹"
GIVEN: Final = (
    "安博晨丹恩帆刚涵佳凯兰萌宁平琪然思涛婉希雅泽志雨明春秋月云山石川江河海天星辰东南西北文武成功和顺"
)
PLACE_FIRST: Final = "青白红绿金银大小上下东西南北新老双石"
PLACE_SECOND: Final = "山河桥坪坝村岩溪塘岭湾寨林泉沟坡"


@dataclass(frozen=True, slots=True)
class _Habits:
    """What one school does its own way."""

    stages: tuple[str, ...]
    labels: tuple[str, ...]
    spread: float
    absences: dict[str, float]
    invalid_rate: float
    tested_on: dt.date
    region: int
    school_year: str


def make_county(
    schools: int, pupils: int | None, seed: int, school_year: str = DEFAULT_SCHOOL_YEAR
) -> list[School]:
    """Make a county of schools.

    Args:
        schools: how many; with five and more every stage is there.
        pupils: the exact total, or None for the usual sizes (about 6,300 with 12 schools).
        seed: any number; the same one gives the same county.
        school_year: `YYYY-YYYY`; tests are in September and October of its first year.

    Raises:
        DemoDataError: no school, or fewer pupils than schools.
    """
    random = Random(seed)
    sizes = school_sizes(schools, pupils)
    kinds = list(zip(sizes, _school_types(schools), strict=True))
    random.shuffle(kinds)
    places = random.sample([a + b for a in PLACE_FIRST for b in PLACE_SECOND], k=min(schools, 288))
    county = []
    for place, (size, kind) in enumerate(kinds):
        round_trip, index = divmod(place, len(places))
        name = f"云岭县{places[index]}{'第' + str(round_trip + 1) if round_trip else ''}{TYPE_NAMES[kind]}"
        attributes = {
            "county": "yunling",
            "school_type": kind,
            "deployment": "c" if kind == "point" else random.choice("aab"),
        }
        county.append(_make_school(f"s{place + 1:02d}", name, attributes, size, random, school_year, place))
    return county


def _school_types(schools: int) -> list[str]:
    if schools <= len(FEW_TYPES):
        return list(FEW_TYPES[:schools])
    last = len(TYPES_BY_SIZE) - 1
    return [TYPES_BY_SIZE[round(last * place / (schools - 1))] for place in range(schools)]


def _make_school(
    school_id: str,
    name: str,
    attributes: dict[str, str],
    size: int,
    random: Random,
    school_year: str,
    place: int,
) -> School:
    habits = _Habits(
        stages=TYPE_STAGES[attributes["school_type"]],
        labels=random.choice(LABEL_STYLES),
        spread=random.lognormvariate(0.0, SCHOOL_SPREAD),
        absences={reason: random.uniform(*span) for reason, span in ABSENCE_RANGES.items()},
        invalid_rate=random.uniform(*INVALID_RANGE),
        tested_on=dt.date(int(school_year[:4]), 9, 7) + dt.timedelta(days=random.randrange(20)),
        region=990000 + place % 1000,
        school_year=school_year,
    )
    roster: list[Sequence[CellValue]] = [ROSTER_HEADER]
    screening: list[Sequence[CellValue]] = [SCREENING_HEADER]
    numbers = _Numbers(random, habits)
    for position in range(size):
        stage = habits.stages[position * len(habits.stages) // size]
        grade = random.choice(STAGE_GRADES[stage])
        # One row at least: a platform's export without any pupil is refused, and rightly.
        enrolled, result = _make_pupil(stage, grade, numbers, random, habits, must_test=position == 0)
        roster.append(enrolled)
        if result is not None:
            screening.append(result)
    return School(school_id, name, attributes, SYSTEM, "platform", "mht", roster, screening)


class _Numbers:
    """Gives student numbers; none twice within a school, and each school has its own region."""

    def __init__(self, random: Random, habits: _Habits) -> None:
        self._random = random
        self._habits = habits
        self._used: set[str] = set()

    def next(self, grade: str, sex: str) -> str:
        first = first_birthday(grade, self._habits.school_year)
        while True:
            born = first + dt.timedelta(days=self._random.randrange(365))
            sequence = 2 * self._random.randrange(500) + (sex == "男")
            number = student_number(self._habits.region, born, sequence)
            if number not in self._used:
                self._used.add(number)
                return number


def _make_pupil(
    stage: str, grade: str, numbers: _Numbers, random: Random, habits: _Habits, must_test: bool
) -> tuple[list[CellValue], list[CellValue] | None]:
    """Make a pupil's row on the roster and, if the platform has one, the row there."""
    sex = "男" if random.random() < BOYS else "女"
    number = numbers.next(grade, sex)
    name = random.choice(SURNAMES) + "".join(random.choices(GIVEN, k=random.choice((1, 2, 2))))
    class_name = f"({random.randrange(1, 5)})班"
    is_older = stage in OLDER_STAGES
    left_behind = _pick(LEFT_BEHIND_OLDER if is_older else LEFT_BEHIND, random)
    family = _pick(FAMILY, random)
    consent = "同意" if must_test else _pick(CONSENT, random)
    absence = "" if must_test else _pick_absence(habits.absences, random)
    enrolled: list[CellValue] = [
        number,
        name,
        sex,
        GRADE_NAMES[grade],
        class_name,
        "住校" if random.random() < BOARDING_RATES[stage] else "走读",
        left_behind,
        family,
        "是" if random.random() < MIGRANT_RATE else "否",
        consent,
        absence or None,
    ]
    if absence or (consent != "同意" and random.random() >= TESTED_UNASKED):
        return enrolled, None
    odds = habits.spread * SEX_FACTOR[sex]
    odds *= LEFT_BEHIND_FACTOR if left_behind in ("一方外出", "双方外出") else 1.0
    odds *= FAMILY_FACTOR if family in NON_INTACT_FAMILIES else 1.0
    level = _pick_level(stage, odds, random)
    result = _make_result(level, random, habits, must_be_valid=must_test)
    return enrolled, [number, name, GRADE_NAMES[grade], class_name, *result]


def _make_result(level: int, random: Random, habits: _Habits, must_be_valid: bool) -> list[CellValue]:
    """Make the cells of a result, from the date on."""
    scores = list(_factor_scores(level, random))
    is_invalid = not must_be_valid and random.random() < habits.invalid_rate
    tested_on = habits.tested_on
    if random.random() < MAKE_UP_RATE:
        tested_on += dt.timedelta(days=random.randrange(3, 15))
    validity = "未通过" if is_invalid else "通过"
    label = habits.labels[4 if is_invalid else level]
    return [tested_on, random.randrange(*DURATION_S), validity, sum(scores), *scores, label]


def _pick(shares: dict[str, float], random: Random) -> str:
    """Pick a name by its share; the shares add up to 1."""
    drawn = random.random()
    for name, share in shares.items():
        drawn -= share
        if drawn < 0:
            return name
    return name


def _pick_absence(rates: dict[str, float], random: Random) -> str:
    drawn = random.random()
    for reason, rate in rates.items():
        drawn -= rate
        if drawn < 0:
            return reason
    return ""


def _pick_level(stage: str, odds: float, random: Random) -> int:
    rates = [rate * odds for rate in LEVEL_RATES[stage]]
    scale = min(1.0, MOST_ALERTED / sum(rates))
    drawn = random.random()
    for level, rate in zip((3, 2, 1), rates, strict=True):
        drawn -= rate * scale
        if drawn < 0:
            return level
    return 0


def _factor_scores(level: int, random: Random) -> Iterator[int]:
    """Draw the scores of the eight factors: high from 8 on, more often high with a higher level."""
    for _, highest, share in FACTORS:
        if random.random() < min(MOST_HIGH, share * HIGH_BY_LEVEL[level]):
            yield LOWEST_HIGH + int(random.random() ** 2 * (highest - LOWEST_HIGH + 1))
        else:
            yield int(random.random() * LOWEST_HIGH)


__all__ = ["FACTORS", "make_county", "write_school"]
