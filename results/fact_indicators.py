"""FI-01 to FI-10: what the facts of many schools say, as exact shares of the schools that have answered.

Order:
1. each school that has answered what an indicator needs gives a numerator and a base (`FactIndicator.of`);
2. both are added over schools, in all and by stage (a school counts in each of its stages) or by 城乡;
3. the share is shown with its base, with how many schools have not answered, and beside the targets that
   published documents name.

No noise is added and none is needed: nothing here is about a pupil in difficulty. No value names a school.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeAlias

from plan.codes import STAGE
from plan.errors import Problem, phrase
from results.errors import FactsError
from results.fact_fields import URBAN_RURAL
from results.fact_records import InstitutionFacts

Part: TypeAlias = tuple[Fraction, Fraction]
"""A school's numerator and base."""

PERCENT_OF_SCHOOLS: Final = "%(校)"
PERCENT_OF_PEOPLE: Final = "%(人)"
PERCENT_OF_CLASSES: Final = "%(班)"
RATIO: Final = "1:x"
NO_BASE: Final = "—"

FACT_DIMENSIONS: Final[Mapping[str, Mapping[str, str]]] = {"stage": STAGE, "urban_rural": URBAN_RURAL}
"""The dimensions that facts are broken down by, with their codes in order."""

LARGE_SCHOOL: Final = 1_000
LARGE_BOARDING_SCHOOL: Final = 200
OPEN_HOURS: Final = 10
YEAR_LESSONS: Final[Mapping[str, int]] = {"primary": 12, "junior": 14, "senior": 14, "vocational": 14}

_NATIONAL = "国家专项行动计划(2025年目标)"
_S1 = "贵州省第347号建议答复(2024)"
_S2 = "信阳市第61329号提案答复(2023)"
_S3 = "花教办函〔2025〕76号"
_S4 = "西安市十五部门专项行动计划(2024)"


@dataclass(frozen=True, slots=True)
class Target:
    """What a published document asks for; only to compare with, the county's own documents decide.

    Attributes:
        limit: in the indicator's unit: percent, or the most pupils for each teacher.
        source: zh name of the document.
        keys: of the breakdown it speaks of; empty for the total and every breakdown.
    """

    limit: int
    source: str
    keys: Mapping[str, str]

    def is_for(self, keys: Mapping[str, str]) -> bool:
        """Say whether the target speaks of a number with these keys."""
        return not self.keys or dict(self.keys) == dict(keys)


def _target(limit: int, source: str, **keys: str) -> Target:
    return Target(limit, source, keys)


@dataclass(frozen=True, slots=True)
class FactIndicator:
    """One entry of the catalogue.

    Attributes:
        id: as in the catalogue; variants of one entry have a suffix after a slash.
        name: zh.
        unit: what the number is a share of.
        definition: zh, numerator ÷ base.
        of: a school's numerator and base; None if it has not answered. A base of 0: not concerned.
        by: dimensions that it is broken down by, besides the total.
        targets: of published documents.
    """

    id: str
    name: str
    unit: str
    definition: str
    of: Callable[[InstitutionFacts], Part | None]
    by: tuple[str, ...] = ()
    targets: tuple[Target, ...] = ()


def _school(is_met: bool | None) -> Part | None:
    return None if is_met is None else (Fraction(is_met), Fraction(1))


def _at_least(name: str, limit: int) -> Callable[[InstitutionFacts], Part | None]:
    def of(facts: InstitutionFacts) -> Part | None:
        found = facts.number(name)
        return _school(None if found is None else found >= limit)

    return of


def _share(part: str, whole: str) -> Callable[[InstitutionFacts], Part | None]:
    def of(facts: InstitutionFacts) -> Part | None:
        counted, base = facts.number(part), facts.number(whole)
        return None if counted is None or base is None else (counted, base)

    return of


def _teachers(facts: InstitutionFacts) -> Fraction | None:
    full, part = facts.number("teacher_full"), facts.number("teacher_part")
    return None if full is None or part is None else full + part


def _any_teacher(facts: InstitutionFacts) -> Part | None:
    teachers = _teachers(facts)
    return _school(None if teachers is None else teachers >= 1)


def _obliged(facts: InstitutionFacts) -> Part | None:
    pupils, full = facts.number("n_students"), facts.number("teacher_full")
    if pupils is None or full is None or not facts.text("is_boarding"):
        return None
    is_large_boarding = facts.text("is_boarding") == "1" and pupils >= LARGE_BOARDING_SCHOOL
    is_obliged = pupils >= LARGE_SCHOOL or is_large_boarding
    return Fraction(is_obliged and full >= 1), Fraction(is_obliged)


def _pupils_a_teacher(facts: InstitutionFacts) -> Part | None:
    pupils, teachers = facts.number("n_students"), _teachers(facts)
    return None if pupils is None or teachers is None else (pupils, teachers)


def _standard_room(facts: InstitutionFacts) -> Part | None:
    answer = facts.text("room_standard")
    return _school(answer == "1" if answer else None)


def _year_lessons(facts: InstitutionFacts) -> Part | None:
    found = facts.number("lesson_hours_year")
    limit = max((YEAR_LESSONS[stage] for stage in facts.stages), default=None)
    return _school(None if found is None or limit is None else found >= limit)


def _vendor_agreement(facts: InstitutionFacts) -> Part | None:
    answer = facts.text("vendor_nda")
    return (Fraction(answer == "1"), Fraction(answer != "NA")) if answer else None


def _hours(limit: int, source: str) -> FactIndicator:
    return FactIndicator(
        f"FI-07/{limit}",
        f"培训学时达标率(≥{limit}学时)",
        PERCENT_OF_SCHOOLS,
        f"心理教师人均年培训学时≥{limit}的学校 ÷ 已填报学校",
        _at_least("training_hours_per_psych_teacher", limit),
        targets=(_target(100, source),),
    )


_ROOM_TARGETS = (
    _target(100, _S3),
    _target(70, _S2, urban_rural="1"),
    _target(80, _S2, urban_rural="2"),
    _target(80, _S2, urban_rural="3"),
)

FI_CATALOGUE: Final[tuple[FactIndicator, ...]] = (
    FactIndicator(
        "FI-01",
        "专(兼)职教师配备学校比例",
        PERCENT_OF_SCHOOLS,
        "专职与兼职心理教师合计≥1人的学校 ÷ 已填报学校",
        _any_teacher,
        ("stage", "urban_rural"),
        (_target(95, _NATIONAL), _target(100, _S1), _target(100, _S4)),
    ),
    FactIndicator(
        "FI-02",
        "专职教师配备学校比例",
        PERCENT_OF_SCHOOLS,
        "专职心理教师≥1人的学校 ÷ 已填报学校",
        _at_least("teacher_full", 1),
        ("stage",),
        (
            _target(100, _S3),
            *(_target(90, _S4, stage=stage) for stage in ("senior", "vocational")),
            *(_target(50, _S4, stage=stage) for stage in ("primary", "junior")),
        ),
    ),
    FactIndicator(
        "FI-03",
        "应配专职学校达标率",
        PERCENT_OF_SCHOOLS,
        "专职心理教师≥1人的应配学校 ÷ 应配学校"
        f"(学生≥{LARGE_SCHOOL}人,或寄宿制且学生≥{LARGE_BOARDING_SCHOOL}人)",
        _obliged,
        ("stage",),
        (_target(100, _S4),),
    ),
    FactIndicator(
        "FI-04",
        "心理教师师生比",
        RATIO,
        "在校学生数 ÷ 专兼职心理教师数(已填报学校合计)",
        _pupils_a_teacher,
        targets=(_target(1000, _S1), _target(1000, _S3)),
    ),
    FactIndicator(
        "FI-05/room",
        "达标辅导室比例",
        PERCENT_OF_SCHOOLS,
        "心理辅导室达标的学校 ÷ 已填报学校",
        _standard_room,
        ("urban_rural",),
        _ROOM_TARGETS,
    ),
    FactIndicator(
        "FI-05/hours",
        "辅导室开放时长达标比例",
        PERCENT_OF_SCHOOLS,
        f"辅导室每周课外开放≥{OPEN_HOURS}小时的学校 ÷ 已填报学校",
        _at_least("room_open_hours_week", OPEN_HOURS),
        ("urban_rural",),
        (_target(100, _S3),),
    ),
    FactIndicator(
        "FI-06",
        "课时达标率",
        PERCENT_OF_SCHOOLS,
        "每班每两周心理健康课≥1课时的学校 ÷ 已填报学校",
        _at_least("lessons_per_class_per_2weeks", 1),
        ("stage",),
        (_target(100, _S3),),
    ),
    FactIndicator(
        "FI-06/year",
        "学年课时达标率",
        PERCENT_OF_SCHOOLS,
        "每班每学年心理健康课小学≥12课时、中学≥14课时的学校(跨学段学校从高) ÷ 已填报学校",
        _year_lessons,
        ("stage",),
        (_target(100, _S2),),
    ),
    _hours(20, "红教体函〔2025〕50号"),
    _hours(24, _S4),
    _hours(40, _S3),
    FactIndicator(
        "FI-08/B",
        "班主任B证持证率",
        PERCENT_OF_PEOPLE,
        "持B证及以上的班主任数 ÷ 班主任数(已填报学校合计)",
        _share("cert_B_headteachers", "head_teacher_n"),
        targets=(_target(100, _S3),),
    ),
    FactIndicator(
        "FI-08/C",
        "教职工C证持证率",
        PERCENT_OF_PEOPLE,
        "持C证及以上的教职工数 ÷ 教职工数(已填报学校合计)",
        _share("cert_C_teachers_n", "teachers_n"),
        targets=(_target(100, _S3),),
    ),
    FactIndicator(
        "FI-09",
        "心理委员设置率",
        PERCENT_OF_CLASSES,
        "设有心理委员的班级数 ÷ 教学班数(已填报学校合计)",
        _share("class_officer_classes", "n_classes"),
        targets=(_target(100, _S2),),
    ),
    FactIndicator(
        "FI-10",
        "供应商保密协议签订率",
        PERCENT_OF_SCHOOLS,
        "与测评平台供应商签订保密协议的学校 ÷ 使用供应商平台的已填报学校",
        _vendor_agreement,
        targets=(_target(100, _S1),),
    ),
)
"""The indicators of school conditions; their ids are stable."""


@dataclass(frozen=True, slots=True)
class FactValue:
    """One number of an indicator of school conditions. It is exact and names no school.

    Attributes:
        indicator: the catalogue's entry.
        keys: dimension → code; empty for the total.
        value: numerator ÷ base, or None where the base is 0; a share of 1, or pupils for each teacher.
        numerator, base: what was divided: schools, people, classes or pupils.
        answered: schools whose answers are in it.
        missing: schools of the roster that have not answered; None in a breakdown, where a school that has
            not answered cannot be placed.
        shown: as people see it; shares rounded down, so that 100 % means all.
    """

    indicator: FactIndicator
    keys: Mapping[str, str]
    value: Fraction | None
    numerator: Fraction
    base: Fraction
    answered: int
    missing: int | None
    shown: str

    @property
    def id(self) -> str:
        """Id of the indicator."""
        return self.indicator.id

    @property
    def name(self) -> str:
        """Its zh name."""
        return self.indicator.name

    @property
    def unit(self) -> str:
        """Its unit."""
        return self.indicator.unit

    @property
    def definition(self) -> str:
        """Numerator ÷ base in zh."""
        return self.indicator.definition

    @property
    def targets(self) -> tuple[Target, ...]:
        """The targets that speak of this number."""
        return tuple(row for row in self.indicator.targets if row.is_for(self.keys))

    def meets(self, target: Target) -> bool | None:
        """Say whether a target is reached; None without a value."""
        if self.value is None:
            return None
        if self.unit == RATIO:
            return self.value <= target.limit
        return 100 * self.value >= target.limit

    def as_dict(self) -> dict[str, object]:
        """Return the value for a json file."""
        return {
            "id": self.id,
            "name": self.name,
            "unit": self.unit,
            "definition": self.definition,
            "keys": dict(self.keys),
            "numerator": str(self.numerator),
            "base": str(self.base),
            "schools_answered": self.answered,
            "schools_missing": self.missing,
            "shown": self.shown,
            "targets": [
                {"limit": row.limit, "source": row.source, "is_met": self.meets(row)} for row in self.targets
            ],
        }


def fact_indicators(facts: Sequence[InstitutionFacts], num_schools: int) -> tuple[FactValue, ...]:
    """Compute every indicator of the catalogue.

    Args:
        facts: of one school year, at most one a school.
        num_schools: schools of the roster, answered or not.

    Returns:
        Per indicator the total, then its breakdowns by codes that occur, in the order of the catalogue.

    Raises:
        FactsError: a school or another school year occurs twice, or there are more facts than schools.
    """
    if len({row.node for row in facts}) < len(facts) or len(facts) > num_schools:
        found = phrase("%(size)s forms for %(schools)s schools", size=len(facts), schools=num_schools)
        raise FactsError(Problem("node", found, phrase("at most one form for each school")))
    if len({row.year for row in facts}) > 1:
        raise FactsError(Problem("year", phrase("several school years"), phrase("one school year")))
    return tuple(value for entry in FI_CATALOGUE for value in _values(entry, facts, num_schools))


def _values(entry: FactIndicator, facts: Sequence[InstitutionFacts], num_schools: int) -> list[FactValue]:
    values = [_value(entry, {}, facts, num_schools)]
    for name in entry.by:
        for code in FACT_DIMENSIONS[name]:
            members = [row for row in facts if code in _codes_of(row, name)]
            if members:
                values.append(_value(entry, {name: code}, members, None))
    return values


def _codes_of(facts: InstitutionFacts, dimension: str) -> tuple[str, ...]:
    return facts.stages if dimension == "stage" else (facts.text(dimension),)


def _value(
    entry: FactIndicator, keys: Mapping[str, str], facts: Sequence[InstitutionFacts], num_schools: int | None
) -> FactValue:
    parts = [part for part in map(entry.of, facts) if part is not None]
    numerator = sum((part for part, _ in parts), Fraction(0))
    base = sum((whole for _, whole in parts), Fraction(0))
    value = numerator / base if base else None
    missing = None if num_schools is None else num_schools - len(parts)
    return FactValue(entry, keys, value, numerator, base, len(parts), missing, _shown(entry, value))


def _shown(entry: FactIndicator, value: Fraction | None) -> str:
    """Write a share in percent with at most 2 decimals, rounded down; a ratio as 1:x, rounded up."""
    if value is None:
        return NO_BASE
    if entry.unit == RATIO:
        return f"1:{_decimal(-(-value * 10 // 1), 1)}"
    return f"{_decimal(value * 100 * 100 // 1, 2)}%"


def _decimal(scaled: Fraction | int, places: int) -> str:
    whole, rest = divmod(int(scaled), 10**places)
    return f"{whole}.{rest:0{places}}".rstrip("0").rstrip(".") if rest else str(whole)
