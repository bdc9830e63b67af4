"""A small school whose files are right, to be spoilt by one thing at a time."""

from __future__ import annotations

import csv
import datetime as dt
import io
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import xlsxwriter

from node.vault.import_file import ImportContext, ImportResult, import_files

EXAMPLES = Path(__file__).parents[3] / "examples"
FACTORS = ["学习焦虑", "对人焦虑", "孤独倾向", "自责倾向", "过敏倾向", "身体症状", "恐怖倾向", "冲动倾向"]
ROSTER_HEADER = [
    *["全国学籍号", "姓名", "性别", "年级", "班级", "就读方式"],
    *["是否留守儿童", "家庭结构", "监护人同意", "未测原因"],
]
SCREENING_HEADER = ["学籍号", "姓名", "测评日期", "效度", "总分", *FACTORS, "预警等级"]
TESTED_ON = dt.date(2026, 9, 20)
SECRET = b"\x07" * 32


def student_no(place: int) -> str:
    return f"G99000120150901{place:03d}X"


def name(place: int) -> str:
    return "赵钱孙李周吴郑王"[place % 8] + f"测试{'甲乙丙丁戊己庚辛'[place % 8]}"


@dataclass
class Files:
    """Rows of both files, profile and codebook; `run` writes and imports them."""

    roster: list[list[object]] = field(default_factory=list)
    screening: list[list[object]] = field(default_factory=list)
    profile: str = ""
    codebook: str = ""
    ending: str = "xlsx"

    def set(self, table: str, row: int, header: str, value: object) -> None:
        """Set one cell; row 1 is the first pupil."""
        rows = getattr(self, table)
        rows[row][rows[0].index(header)] = value

    def rename(self, table: str, header: str, new: str) -> None:
        rows = getattr(self, table)
        rows[0][rows[0].index(header)] = new

    def drop(self, table: str, header: str) -> None:
        rows = getattr(self, table)
        index = rows[0].index(header)
        for row in rows:
            del row[index]

    def encode(self, rows: list[list[object]]) -> bytes:
        return encode_xlsx(rows) if self.ending == "xlsx" else encode_csv(rows)

    def contents(self) -> dict[str, bytes]:
        return {
            "roster": self.encode(self.roster),
            "screening": self.encode(self.screening),
            "profile": self.profile.encode(),
            "codebook": self.codebook.encode(),
        }

    def run(self, policy: str = "require", **replaced: bytes) -> ImportResult:
        return import_files({**self.contents(), **replaced}, context(policy))


def context(policy: str = "require") -> ImportContext:
    return ImportContext(SECRET, "2026-2027", "A", dt.date(2026, 9, 30), "6-3", policy)


def encode_xlsx(rows: list[list[object]], **sheets: list[list[object]]) -> bytes:
    target = io.BytesIO()
    book = xlsxwriter.Workbook(target, {"in_memory": True, "default_date_format": "yyyy-mm-dd"})
    for title, cells in {"Sheet1": rows, **sheets}.items():
        sheet = book.add_worksheet(title)
        for row, values in enumerate(cells):
            for column, value in enumerate(values):
                if isinstance(value, str):
                    sheet.write_string(row, column, value)
                elif value is not None:
                    sheet.write(row, column, value)
    book.close()
    return target.getvalue()


def encode_csv(rows: list[list[object]]) -> bytes:
    target = io.StringIO(newline="")
    csv.writer(target).writerows([["" if v is None else v for v in row] for row in rows])
    return target.getvalue().encode()


@pytest.fixture
def files() -> Files:
    """Give eight pupils: six tested, number 7 on leave, number 8 without any reason."""
    roster: list[list[object]] = [list(ROSTER_HEADER)]
    screening: list[list[object]] = [list(SCREENING_HEADER)]
    for place in range(1, 9):
        sex, grade = ("男", "四年级") if place % 2 else ("女", "五年级")
        reason = "请假" if place == 7 else None
        roster.append(
            [student_no(place), name(place), sex, grade, "1班", "走读", "否", "双亲", "同意", reason]
        )
        if place <= 6:
            scores = [9, 8, 7, 0, 1, 2, 3, 4]
            screening.append(
                [student_no(place), name(place), TESTED_ON, "通过", sum(scores), *scores, "二级预警"]
            )
    return Files(
        roster,
        screening,
        (EXAMPLES / "profiles/platform.toml").read_text(encoding="utf-8"),
        (EXAMPLES / "codebooks/mht.toml").read_text(encoding="utf-8"),
    )
