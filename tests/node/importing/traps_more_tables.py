"""More traps: headers, rows, sheets and ledgers, as schools lay them out."""

from __future__ import annotations

import datetime as dt

import table_files as make
from trap_school import FACTORS, NAMES, School, Table, TrapSet, number

TRAPS = TrapSet()
right, refused = TRAPS.right, TRAPS.refused


# ---------------------------------------------------------------- where the header is


@right("header in row 20")
def _(school: School) -> None:
    school.screening = [[f"说明 {n}"] for n in range(19)] + school.screening


@refused("header in row 21", ("screening", 0, "", "header-not-found"))
def _(school: School) -> None:
    school.screening = [[f"说明 {n}"] for n in range(20)] + school.screening


@right("header in row 21, named by the profile")
def _(school: School) -> None:
    school.screening = [[f"说明 {n}"] for n in range(20)] + school.screening
    school.profile += "\n[screening]\nheader_row = 21\n"


@refused("header row of the profile that has none", ("screening", 0, "", "header-missing"))
def _(school: School) -> None:
    school.screening = [[], *school.screening]
    school.profile += "\n[screening]\nheader_row = 1\n"


@right("empty columns in front and empty rows around the header")
def _(school: School) -> None:
    school.roster = [[], [], *([None, None, *row] for row in school.roster)]
    school.roster.insert(3, [])
    school.more["roster"] = make.xls(school.roster)


@right("header of two tiers with blanks, the upper ones groups")
def _(school: School) -> None:
    head = school.screening[0]
    upper: list[make.Value] = ["学生信息", *[None] * 4, "测评信息", None, None, "结果", *[None] * 9]
    school.more["screening"] = make.xlsx([upper, [None] * 18, head, *school.screening[1:]])


@right("title of the table that names its columns")
def _(school: School) -> None:
    school.screening = [
        ["某校学生姓名、学籍号、总分汇总表"],
        ["日期:2026-09-20", None, "总分"],
        *school.screening,
    ]


@right("the header on each of many pages", *(("roster", row, "", "header-again") for row in (4, 7, 10)))
def _(school: School) -> None:
    for place in (3, 6, 9):
        school.roster.insert(place, list(school.roster[0]))


@right(
    "title and header on each page",
    ("roster", 5, "", "total-line"),
    ("roster", 6, "", "header-again"),
    ("roster", 4, "", "total-line"),
)
def _(school: School) -> None:
    school.roster[3:3] = [["第1页 共2页"], ["填报单位:某某小学"], list(school.roster[0])]


# ---------------------------------------------------------------- names of columns


@right("headers with their units")
def _(school: School) -> None:
    for header in ("总分", *FACTORS):
        school.screening[0][school.screening[0].index(header)] = f"{header}（分）"


@right("headers in two lines, with stars and colons")
def _(school: School) -> None:
    school.screening[0] = [f"*{str(head)[:1]}\r\n{str(head)[1:]}：" for head in school.screening[0]]


@refused("headers in traditional characters", *(("roster", 1, "", "missing-column"),))
def _(school: School) -> None:
    school.roster[0][0] = "全國學籍號"


@refused("a column of the profile that is called otherwise", ("screening", 1, "", "missing-column"))
def _(school: School) -> None:
    school.screening[0][school.screening[0].index("预警等级")] = "预警等级1"


@refused("the roster's first column twice", ("roster", 1, "", "double-column"))
def _(school: School) -> None:
    for row in school.roster:
        row.append(row[0])


@right("two columns that mean the same, of which the profile prefers one")
def _(school: School) -> None:
    for n, row in enumerate(school.roster):
        row.append("学籍号" if n == 0 else f"旧{n}")


@right("many columns that nobody knows, among them sensitive ones")
def _(school: School) -> None:
    more = ["身份证件号", "民族", "家庭住址", "监护人电话", "诊断", "备注"]
    for n, row in enumerate(school.roster):
        row += more if n == 0 else ["110101201509010028", "汉", "某某路1号", 13800000000, "无", "#N/A"]


@refused("files given the wrong way round", ("roster", 0, "", "files-swapped"))
def _(school: School) -> None:
    school.roster, school.screening = school.screening, school.roster


@refused("the same file twice", ("screening", 0, "", "wrong-file"))
def _(school: School) -> None:
    school.screening = school.roster


# ---------------------------------------------------------------- rows that are no pupils

_BLANK: list[make.Value] = [None] * 7
_TOTALS: dict[str, Table] = {
    "of the school": [["全校合计", *_BLANK, 204]],
    "of each class": [[None, None, None, "四年级小计", *_BLANK[:4], 102]],
    "in several words": [[None, "平均分", *_BLANK[:6], 34.5], ["最高分", *_BLANK, 35]],
    "as percents": [["合格率", *_BLANK, "75%"]],
    "with counts in words": [["合计:6人", None, "男3人", None, "女3人"]],
    "of zeros where sums were filled down": [[None, *_BLANK, 0], [None, *_BLANK, 0]],
}
for _name, _rows in _TOTALS.items():
    right(f"totals {_name}", *(("screening", 8 + n, "", "total-line") for n in range(len(_rows))))(
        lambda school, rows=_rows: school.screening.extend([list(row) for row in rows])
    )


@right("totals between the classes", ("screening", 5, "", "total-line"))
def _(school: School) -> None:
    school.screening.insert(4, ["1班小计", *[None] * 7, 102])


for _text in (
    "注:无效问卷不计入",
    "说明：本表由系统生成",
    "以上共6人",
    "※以上数据仅供参考",
    "班主任签字:",
    "制表人:某某  审核:某某",
    "2026年9月30日打印,第1页",
    "学校(盖章)",
    "校长签名",
    "本页完",
):
    right(f"remark below: {_text}", ("screening", 9, "", "total-line"))(
        lambda school, text=_text: school.screening.extend([[], [text]])
    )


@refused(
    "a remark that nobody can know as one",
    *(("screening", 8, c, "empty-cell") for c in "D"),
    ("screening", 8, "A", "student-no-form"),
)
def _(school: School) -> None:
    school.screening.append(["孩子们都很好"])


@right("numbers, formulas and zeros beside rows that nobody filled in")
def _(school: School) -> None:
    for n, row in enumerate(school.roster):
        row.insert(0, "序号" if n == 0 else n)
    school.roster += [[n, *[" "] * 11] for n in range(9, 300)]


# ---------------------------------------------------------------- sheets


@right("a sheet about the export in front, as Numbers writes it")
def _(school: School) -> None:
    about: Table = [
        ["本文稿从 Numbers 表格导出。"],
        [],
        ["表格名称", "Excel 工作表名称"],
        ["表格 1", "工作表 1"],
    ]
    school.more["screening"] = make.xlsx(
        about, [["表格 1"], *school.screening], titles=["导出概要", "工作表 1 - 表格 1"]
    )


@right("sheets with drop-down lists hidden behind the table")
def _(school: School) -> None:
    school.more["roster"] = make.xlsx(
        school.roster, [["性别", "年级"], ["男", "四年级"]], titles=["名册", "字典"], hidden=[1]
    )


@right("a sheet named in full width")
def _(school: School) -> None:
    school.more["roster"] = make.xlsx(school.roster[:3], school.roster, titles=["旧", "名册（１）"])
    school.sheets = {"roster": "名册(1)"}


@refused(
    "a sheet for each class, the last one with a pupil of the first", ("roster", 6, "A", "duplicate-pupil")
)
def _(school: School) -> None:
    school.more["roster"] = make.xls(
        school.roster[:5], [school.roster[0], *school.roster[5:], school.roster[1]]
    )
    school.sheets = {"roster": "*"}


@refused("a sheet by the number 0", ("roster", 0, "", "sheet-missing"))
def _(school: School) -> None:
    school.sheets = {"roster": "0"}


# ---------------------------------------------------------------- several files together


@refused("a ledger with a name alone", ("ledger.left-behind", 2, "", "identity-incomplete"))
def _(school: School) -> None:
    school.more["ledger.left-behind"] = make.text([["姓名"], [NAMES[0]]], "gb18030")


@right(
    "a ledger by number in small letters, with notes",
    ("ledger.hardship", 4, "", "total-line"),
    changes_records=True,
)
def _(school: School) -> None:
    school.more["ledger.hardship"] = make.text(
        [["困境学生"], ["学籍号", "姓名"], [number(1).lower(), NAMES[0]], ["合计", "1人"]], "utf-16"
    )


@refused("a ledger with a pupil twice", ("ledger.hardship", 3, "A", "duplicate-pupil"))
def _(school: School) -> None:
    school.more["ledger.hardship"] = make.xls([["学籍号"], [number(1)], [f"{number(1)} "]])


@refused("a retest before the test", ("retest", 2, "B", "day-before-test"))
def _(school: School) -> None:
    school.more["retest"] = make.xlsx(
        [["学籍号", "测评日期", "预警等级"], [number(1), dt.date(2026, 9, 1), "一级预警"]]
    )


@refused("a retest with a level in figures", ("retest", 2, "C", "bare-number"))
def _(school: School) -> None:
    school.more["retest"] = make.text([["学籍号", "测评日期", "预警等级"], [number(1), "2026-10-20", "2"]])


@refused("first test and make-up test, both valid", ("screening", 8, "S", "tested-twice"))
def _(school: School) -> None:
    for n, row in enumerate(school.screening):
        row.append("测次" if n == 0 else "初测")
    school.screening.append([*school.screening[1][:-1], "补测"])


@right("first test not valid, make-up test valid")
def _(school: School) -> None:
    for n, row in enumerate(school.screening):
        row.append("测次" if n == 0 else "初测")
    made_up = list(school.screening[1])
    school.set("screening", 1, "效度", "无效")
    school.screening.append(made_up)
    school.set("screening", 7, "测次", "初 测")
    school.set("screening", 1, "测次", "补测")
    school.screening[1], school.screening[7] = school.screening[7], school.screening[1]


@right("a test that is not valid keeps no score", changes_records=True)
def _(school: School) -> None:
    school.set("screening", 1, "效度", "未通过")
    school.set("screening", 1, "总分", None)
    school.set("screening", 1, "预警等级", None)


@refused("a roster of twins of one number", ("roster", 10, "A", "duplicate-pupil"))
def _(school: School) -> None:
    school.roster.append([number(1), f"{NAMES[0]}弟", *school.roster[1][2:]])


@refused("twins of one name in one class, and no numbers", ("screening", 2, "A", "ambiguous-pupil"))
def _(school: School) -> None:
    school.drop("screening", "学籍号")
    school.roster.append([number(9), *school.roster[1][1:]])


@right("twins of one name in one class, told apart by their own numbers", changes_records=True)
def _(school: School) -> None:
    school.drop("screening", "学籍号")
    for table in (school.roster, school.screening):
        for n, row in enumerate(table):
            row.append("学号" if n == 0 else f"20260{n}")
    school.roster.append([number(9), *school.roster[1][1:-1], "202609"])


@refused(
    "nobody of the roster in the platform's file",
    *(("screening", row, "A", "not-on-roster") for row in range(2, 8)),
)
def _(school: School) -> None:
    school.column("screening", "学籍号", lambda c: str(c).replace("G99", "G98"))
