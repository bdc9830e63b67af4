"""The good school of the trap files: its tables, how they are spoilt, and what is expected of each trap.

A trap spoils one thing of eight pupils, six of them tested. What must come of it are the same records as
without it, perhaps with warnings, or a refusal by file, row, column and code.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import table_files as make

EXAMPLES = Path(__file__).parents[1] / "examples"
FACTORS = ["学习焦虑", "对人焦虑", "孤独倾向", "自责倾向", "过敏倾向", "身体症状", "恐怖倾向", "冲动倾向"]
TESTED_ON = dt.date(2026, 9, 20)
NAMES = ["赵测试甲", "钱测试乙", "孙测试丙", "李测试丁", "周测试戊", "吴测试己", "郑测试庚", "王测试辛"]
ROSTER = [
    *["全国学籍号", "姓名", "性别", "年级", "班级", "出生日期", "就读方式"],
    *["是否留守儿童", "家庭结构", "监护人同意", "未测原因"],
]
SCREENING = [
    "学籍号",
    "姓名",
    "性别",
    "年级",
    "班级",
    "测评日期",
    "用时",
    "效度",
    "总分",
    *FACTORS,
    "预警等级",
]

Table = list[list[make.Value]]
Place = tuple[str, int, str, str]
"""File, row, column and code of an issue."""


def number(place: int) -> str:
    """Give the student number of a pupil of the good school."""
    return f"G99000120150901{place:03d}X"


def good_roster() -> Table:
    """Give the roster of the good school; number 7 is on leave, 8 has no reason."""
    rows: Table = [list(ROSTER)]
    for place in range(1, 9):
        sex, grade = ("男", "四年级") if place % 2 else ("女", "五年级")
        rows.append(
            [
                *[
                    number(place),
                    NAMES[place - 1],
                    sex,
                    grade,
                    f"{1 + place // 5}班",
                    dt.date(2016, place, 3),
                ],
                *["走读", "否", "双亲", "同意", "请假" if place == 7 else None],
            ]
        )
    return rows


def good_screening() -> Table:
    """Give the platform's file of the good school."""
    rows: Table = [list(SCREENING)]
    for place in range(1, 7):
        sex, grade = ("男", "四年级") if place % 2 else ("女", "五年级")
        scores = [9, 8, 7, 0, 1, 2, 3, 4]
        rows.append(
            [
                *[
                    number(place),
                    NAMES[place - 1],
                    sex,
                    grade,
                    f"{1 + place // 5}班",
                    TESTED_ON,
                    "123秒",
                    "通过",
                ],
                *[sum(scores), *scores, "二级预警"],
            ]
        )
    return rows


@dataclass
class School:
    """The good school's tables, to be spoilt, and how they are written."""

    roster: Table = field(default_factory=good_roster)
    screening: Table = field(default_factory=good_screening)
    more: dict[str, bytes] = field(default_factory=dict)
    profile: str = (EXAMPLES / "profiles/platform-person.toml").read_text(encoding="utf-8")
    sheets: dict[str, str] = field(default_factory=dict)

    def set(self, table: str, row: int, header: str, value: make.Value) -> None:
        """Set one cell; row 1 is the first pupil."""
        rows: Table = getattr(self, table)
        rows[row][rows[0].index(header)] = value

    def column(self, table: str, header: str, change: Callable[[make.Value], make.Value]) -> None:
        """Change a column's cells."""
        rows: Table = getattr(self, table)
        index = rows[0].index(header)
        for row in rows[1:]:
            row[index] = change(row[index])

    def drop(self, table: str, *headers: str) -> None:
        """Take columns out."""
        rows: Table = getattr(self, table)
        for header in headers:
            index = rows[0].index(header)
            for row in rows:
                del row[index]

    def files(self) -> dict[str, bytes]:
        """Write all files."""
        codebook = (EXAMPLES / "codebooks/mht.toml").read_bytes()
        written = {
            "roster": make.xlsx(self.roster),
            "screening": make.xlsx(self.screening),
            "profile": self.profile.encode(),
            "codebook": codebook,
        }
        return written | self.more


@dataclass(frozen=True)
class Trap:
    """One trap: how to lay it, and the issues expected; errors refuse, warnings and none import right."""

    spoil: Callable[[School], object]
    places: tuple[Place, ...] = ()
    is_refused: bool = False
    changes_records: bool = False


class TrapSet:
    """Traps by name."""

    def __init__(self) -> None:
        self.traps: dict[str, Trap] = {}

    def right(self, name: str, *warnings: Place, changes_records: bool = False) -> Callable[..., object]:
        """Lay a trap that imports right, with these warnings."""
        return self._lay(name, Trap(lambda _: None, warnings, False, changes_records))

    def refused(self, name: str, *places: Place) -> Callable[..., object]:
        """Lay a trap that is refused with these issues."""
        return self._lay(name, Trap(lambda _: None, places, True))

    def _lay(self, name: str, trap: Trap) -> Callable[..., object]:
        if name in self.traps:
            raise ValueError(f"two traps are called {name}")

        def lay(spoil: Callable[[School], object]) -> Callable[[School], object]:
            self.traps[name] = replace(trap, spoil=spoil)
            return spoil

        return lay

    def lay(self, name: str) -> School:
        """Give the good school, spoilt by a trap."""
        school = School()
        self.traps[name].spoil(school)
        return school

    def schools(self) -> Iterator[tuple[str, School, Trap]]:
        """Give every trap with its spoilt school."""
        for name, trap in self.traps.items():
            yield name, self.lay(name), trap


def swap(part: str, write: Callable[[Table], bytes]) -> Callable[[School], None]:
    """Write one file in another way."""

    def spoil(school: School) -> None:
        table: Table = getattr(school, part)
        school.more[part] = write(table)

    return spoil


def both(write: Callable[[Table], bytes]) -> Callable[[School], None]:
    """Write both tables in another way."""

    def spoil(school: School) -> None:
        school.more |= {"roster": write(school.roster), "screening": write(school.screening)}

    return spoil
