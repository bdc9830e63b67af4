"""The planted pupils' four files, and every way in which a test spoils them."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from promise_county import CLASS, NAMES, planted_number, planted_scores, pupil_rows

from fedscreen.demo.county import ROSTER_HEADER, SCREENING_HEADER
from fedscreen.demo.school_files import encode_workbook, read_example

Rows = list[list[Any]]
SCORE = 973155  # no score has six digits


@dataclass
class Files:
    """Roster and screening of the planted pupils, as rows to be spoilt, and the other two files."""

    roster: Rows = field(default_factory=list)
    screening: Rows = field(default_factory=list)
    replaced: dict[str, bytes] = field(default_factory=dict)
    ending: str = "xlsx"

    def cell(self, table: str, row: int, header: str, value: object) -> None:
        rows = getattr(self, table)
        rows[row][rows[0].index(header)] = value

    def contents(self) -> dict[str, bytes]:
        encode = encode_csv if self.ending == "csv" else lambda rows: encode_workbook("x", rows)
        made = {"roster": encode(self.roster), "screening": encode(self.screening)}
        rules = {
            "profile": read_example("profiles/platform.toml"),
            "codebook": read_example("codebooks/mht.toml"),
        }
        return {**made, **rules, **self.replaced}

    def names(self) -> dict[str, str]:
        tables = {role: f"{role}.{self.ending}" for role in ("roster", "screening")}
        return {**tables, "profile": "profile.toml", "codebook": "codebook.toml"}


def encode_csv(rows: Rows) -> bytes:
    target = io.StringIO(newline="")
    csv.writer(target).writerows([["" if cell is None else str(cell) for cell in row] for row in rows])
    return target.getvalue().encode()


def planted_files(label: str = "三级预警") -> Files:
    pairs = [
        pupil_rows(planted_number(place), name, "7", CLASS, planted_scores(place), label)
        for place, name in enumerate(NAMES)
    ]
    return Files(
        [list(ROSTER_HEADER), *(enrolled for enrolled, _result in pairs)],
        [list(SCREENING_HEADER), *(result for _enrolled, result in pairs)],
    )


def rename(table: str, header: str, new: str) -> Callable[[Files], None]:
    return lambda files: files.cell(table, 0, header, new)


def put(table: str, header: str, value: object) -> Callable[[Files], None]:
    return lambda files: files.cell(table, 2, header, value)


def file(role: str, make: Callable[[Files], bytes], ending: str = "xlsx") -> Callable[[Files], None]:
    def spoil(files: Files) -> None:
        files.ending = ending
        files.replaced[role] = make(files)

    return spoil


def double_row(files: Files) -> None:
    files.roster.append(list(files.roster[1]))


def stranger(files: Files) -> None:
    files.screening.append([f"G{'9' * 17}X", NAMES[0], *files.screening[1][2:]])


def shifted(files: Files) -> None:
    """Every cell one column to the right, as after a paste in the wrong place."""
    files.screening[1:] = [[None, *row[:-1]] for row in files.screening[1:]]


def longer_row(files: Files) -> None:
    files.ending = "csv"
    files.roster[1].append(NAMES[1])


def as_csv(change: Callable[[bytes], bytes]) -> Callable[[Files], None]:
    return file("screening", lambda files: change(encode_csv(files.screening)), "csv")


def planted_toml(example: str) -> Callable[[Files], bytes]:
    """A rule file in which a pupil's row was pasted as a key and as a value."""
    line = f'\n"{NAMES[0]}" = "{planted_number(0)}"\n'
    return lambda _files: read_example(example) + line.encode()


SPOILT: dict[str, Callable[[Files], None]] = {
    "missing column": rename("roster", "全国学籍号", NAMES[0]),
    "two columns of one field": rename("roster", "姓名", "全国学籍号"),
    "name in the place of a level": put("screening", "预警等级", NAMES[1]),
    "number in the place of a level": put("screening", "预警等级", planted_number(1)),
    "name in the place of a grade": put("roster", "年级", NAMES[1]),
    "class in the place of a consent": put("roster", "监护人同意", CLASS),
    "name in the place of a reason": put("roster", "未测原因", NAMES[2]),
    "bare number": put("roster", "性别", SCORE),
    "score out of range": put("screening", "总分", SCORE),
    "score of a factor out of range": put("screening", "学习焦虑", SCORE),
    "name in the place of a score": put("screening", "对人焦虑", NAMES[3]),
    "number of a pupil damaged": put("roster", "全国学籍号", planted_number(1)[:-1]),
    "number of a pupil as a number": put("roster", "全国学籍号", int(planted_number(0)[1:-1])),
    "name in the place of a number": put("screening", "学籍号", NAMES[4]),
    "name in the place of a date": put("screening", "测评日期", NAMES[5]),
    "duplicate pupil": double_row,
    "pupil not on the roster": stranger,
    "result and reason": put("roster", "未测原因", "请假"),
    "columns shifted": shifted,
    "row longer than the header": longer_row,
    "csv cut in a character": as_csv(lambda data: data + "王".encode()[:2]),
    "csv in GB18030 cut in a character": as_csv(lambda data: data.decode().encode("gb18030") + b"\xcd"),
    "csv in UTF-16 cut in a character": as_csv(lambda data: data.decode().encode("utf-16") + b"\x4e"),
    "csv with a zero byte": as_csv(lambda data: data.replace(b",", b"\0,", 40)),
    "csv with an open quote": as_csv(lambda data: data.replace(NAMES[1].encode(), b'"' + NAMES[1].encode())),
    "web page called xlsx": file("screening", lambda files: b"<html>" + encode_csv(files.screening)),
    "truncated workbook": file("roster", lambda files: encode_workbook("x", files.roster)[:-300]),
    "roster for a profile": file("profile", lambda files: encode_csv(files.roster)),
    "roster for a codebook": file("codebook", lambda files: encode_csv(files.roster)),
    "workbook for a codebook": file("codebook", lambda files: encode_workbook("x", files.roster)),
    "row in a profile": file("profile", planted_toml("profiles/platform.toml")),
}
