"""The columns of the workbook that a paper school fills in, and the profile by which it is imported again.

Both come from one list, so that they always fit: each column has its field, its header and, for a coded
field, its labels. Headers and labels are Chinese in every language, as the codebook's are: the zh labels of
the codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from plan.codes import (
    BOARDING,
    CONSENT,
    FAMILY,
    GRADE,
    GROUP,
    LEFT_BEHIND,
    OUTCOME,
    POOL,
    RECHECK,
    REF_DEST,
    SEX,
)

SHEET: Final = "测评登记"
HEADER_ROW: Final = 2  # the first row names the bands
MAX_TITLE: Final = 80
TESTED_LABEL: Final = "已测"
ABSENCE: Final[Mapping[str, str]] = {
    "none": TESTED_LABEL,
    "3": "未测",
    "4": "请假",
    "5": "免测",
    "6": "拒测",
    "7": "借读/转出",
}
VALIDITY: Final[Mapping[str, str]] = {"1": "有效", "2": "无效"}
YES_NO: Final[Mapping[str, str]] = {"1": "是", "0": "否"}
_YES_NO_COLUMNS: Final = (
    ("reviewed", "已复核"),
    ("guardian_told", "已告知监护人"),
    ("supported", "校内干预"),
    ("file_built", "一生一策"),
    ("carer_assigned", "专人包案"),
    ("referral_advised", "建议转介"),
    ("referral_attended", "已就诊"),
    ("green_channel_free", "绿色通道免费"),
    ("closed", "已结案"),
    ("home_visit", "本学期家访"),
    ("handed_over", "档案移交"),
)

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the workbook.

    Attributes:
        field: of the import profile; a factor is `factor.<id>`.
        header: the first row of the table.
        band: name of the group of columns that it stands in.
        labels: code to label of a coded field; empty for any other.
        scores: lowest and highest score; empty for any other.
        kind: "text", "date", "label" or "score".
        is_free: whether other texts than the labels may stand there, such as several of them.
    """

    field: str
    header: str
    band: str
    labels: Mapping[str, str]
    scores: tuple[str, str] = ("", "")
    kind: str = "text"
    is_free: bool = False


def _known(codes: Mapping[str, str]) -> dict[str, str]:
    """Give a code set without its code for unknown: an empty cell says that."""
    return {code: label for code, label in codes.items() if code != "9" or codes is GRADE}


def template_columns(answer: Values) -> tuple[Column, ...]:
    """Give the columns for a codebook and a roster.

    Args:
        answer: of the vault's command ``template``.
    """
    given = {name for pupil in answer["pupils"] for name in pupil}
    return (*_who(given), *_test(answer), *_background(given), *_follow_up(answer))


def _who(given: set[str]) -> Iterable[Column]:
    band = "学生"
    yield Column("student_no", "全国学籍号", band, {})
    if "local_no" in given:
        yield Column("local_no", "校内学号", band, {})
    yield Column("name", "姓名", band, {})
    yield Column("sex", "性别", band, _known(SEX), kind="label")
    yield Column("grade", "年级", band, _known(GRADE), kind="label")
    yield Column("class_no", "班级", band, {})
    if "birth_ym" in given:
        yield Column("birth_ym", "出生年月", band, {})
    yield Column("guardian_consent", "监护人同意", band, _known(CONSENT), kind="label")


def _test(answer: Values) -> Iterable[Column]:
    band, instrument = "测评", answer["instrument"]
    yield Column("absence", "测评情况", band, ABSENCE, kind="label")
    yield Column("administered_on", "测评日期", band, {}, kind="date")
    if instrument["has_validity"]:
        yield Column("validity", "效度", band, VALIDITY, kind="label")
    yield Column("total", "总分", band, {}, tuple(instrument["total"]), kind="score")
    for name, title, low, high in instrument["factors"]:
        yield Column(f"factor.{name}", title, band, {}, (low, high), kind="score")
    yield Column("level", "预警等级", band, answer["labels"], kind="label")


def _background(given: set[str]) -> Iterable[Column]:
    band = "基本情况"
    yield Column("boarding", "就读方式", band, _known(BOARDING), kind="label")
    yield Column("left_behind", "留守情况", band, _known(LEFT_BEHIND), kind="label")
    yield Column("family", "家庭结构", band, _known(FAMILY), kind="label")
    if "migrant" in given:
        yield Column("migrant", "随迁子女", band, YES_NO, kind="label")
    groups = {code: label.replace("/", "或") for code, label in GROUP.items()}  # "/" parts several groups
    yield Column("groups", "重点群体", band, groups, kind="label", is_free=True)


def _follow_up(answer: Values) -> Iterable[Column]:
    band = "复测与跟进"
    levels = {code: label for code, label in answer["labels"].items() if code != "9"}
    yield Column("recheck", "复测结果", band, _known(RECHECK), kind="label")
    yield Column("level2", "复核等级", band, levels, kind="label")
    yield Column("reviewed_on", "复核日期", band, {}, kind="date")
    for name, header in _YES_NO_COLUMNS[:8]:
        yield Column(name, header, band, YES_NO, kind="label")
    yield Column("ref_dest", "转介去向", band, _known(REF_DEST), kind="label")
    yield Column("outcome", "转归", band, _known(OUTCOME), kind="label")
    yield Column("pool", "预警库", band, _known(POOL), kind="label")
    for name, header in _YES_NO_COLUMNS[8:]:
        yield Column(name, header, band, YES_NO, kind="label")


def pupil_cells(pupil: Mapping[str, str], columns: Sequence[Column]) -> list[str]:
    """Give what is known of a pupil, column by column: labels of codes, texts as the roster spells them."""
    return [
        column.labels.get(pupil.get(column.field, ""), "") if column.labels else pupil.get(column.field, "")
        for column in columns
    ]


def template_profile(answer: Values, columns: Sequence[Column]) -> str:
    """Write the import profile (TOML) of the workbook, which is roster and results in one."""
    needed = {"student_no", "grade", "administered_on", "level", "total"}
    optional = [item.field for item in columns if item.field not in needed and "." not in item.field]
    place = f'sheet = "{SHEET}"\nheader_row = {HEADER_ROW}\n'
    lines = [
        "# 本模板与“fedscreen node template”生成的登记表配套;登记表同时作为名册和测评结果导入:",
        "# fedscreen node import --roster 登记表.xlsx --screening 登记表.xlsx"
        " --profile 本文件 --codebook 编码本.toml",
        f'id = "template-{answer["instrument"]["id"]}"',
        'version = "1"',
        f"title = {_text(('登记表 ' + answer['instrument']['title'])[:MAX_TITLE])}",
        'join = "student_no"',
        f"levels = {_text(answer['levels'])}",
        f"optional = [{', '.join(map(_text, optional))}]",
        f"\n[roster]\n{place}\n[screening]\n{place}\n[columns]",
        *(f"{item.field} = [{_text(item.header)}]" for item in columns if "." not in item.field),
        "\n[factors]",
        *(
            f"{item.field.removeprefix('factor.')} = [{_text(item.header)}]"
            for item in columns
            if item.field.startswith("factor.")
        ),
    ]
    for column in columns:
        if column.labels and column.field not in ("level", "level2"):
            lines.append(f"\n[values.{column.field}]")
            lines += [f"{_text(label)} = {_text(code)}" for code, label in column.labels.items()]
    return "\n".join(lines) + "\n"


def _text(text: str) -> str:
    """Write a TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in escaped) + '"'
