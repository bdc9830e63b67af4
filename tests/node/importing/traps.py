"""The trap files: what schools and platforms really send, each with what must come of it.

A trap spoils one thing of a good school (eight pupils, six of them tested) and says what is expected: the
same records as without it, perhaps with warnings, or a refusal by file, row, column and code.
`python tests/node/importing/traps.py DIR` writes all of them as files, to be tried by hand.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

import table_files as make
from trap_school import FACTORS, NAMES, School, Table, TrapSet, both, number, swap

_SET = TrapSet()
right, refused, schools, TRAPS = _SET.right, _SET.refused, _SET.schools, _SET.traps


# ---------------------------------------------------------------- kinds of file

for _encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "gb18030", "gbk"):
    right(f"csv in {_encoding}")(both(lambda rows, e=_encoding: make.text(rows, e)))
for _title, _separator in (("tabs", "\t"), ("semicolons", ";"), ("bars", "|")):
    right(f"text with {_title}")(both(lambda rows, s=_separator: make.text(rows, "gb18030", s)))
right("unicode text of Excel")(both(lambda rows: make.text(rows, "utf-16", "\t")))
right("line ends of an old Mac")(both(lambda rows: make.text(rows, end="\r")))
right("csv padded with ^Z")(both(lambda rows: make.text(rows, "gb18030") + b"\x1a"))
right("csv that names its separator")(both(lambda rows: b"sep=;\r\n" + make.text(rows, "utf-8", ";")))
right("old xls")(both(make.xls))
right("xls with a hidden sheet")(both(lambda rows: make.xls([["说明"]], rows, hidden=[0])))
right("xlsx with inline texts")(both(lambda rows: make.xlsx(rows, strings=False)))
right("xlsx with prefixed tags")(both(lambda rows: make.xlsx(rows, prefix="x")))
right("dates that lost their format")(both(lambda rows: make.xlsx(rows, plain_dates=True)))
right("formats down to the last row")(
    both(
        lambda rows: make.xlsx(
            rows, extra='<row r="1048576" s="1"><c r="A1048576" s="1"/><c r="XFD1048576" s="1"/></row>'
        )
    )
)
right("csv cells kept as texts")(
    both(
        lambda rows: make.text(
            [[f'="{c}"' if isinstance(c, str) and c.startswith("G9") else c for c in r] for r in rows]
        )
    )
)
right("numbers with a tab behind them")(
    both(
        lambda rows: make.text(
            [[f"{c}\t" if isinstance(c, str) and c.startswith("G9") else c for c in r] for r in rows]
        )
    )
)
refused("password, xlsx", ("roster", 0, "", "password"))(
    swap(
        "roster", lambda rows: make.compound({"EncryptedPackage": bytes(5000), "EncryptionInfo": bytes(200)})
    )
)
refused("password, xls", ("screening", 0, "", "password"))(
    swap("screening", lambda rows: make.xls(rows, password=True))
)
refused("Excel 95", ("roster", 0, "", "xls-too-old"))(
    swap("roster", lambda _: make.compound({"Book": bytes(5000)}))
)
refused("Word document", ("roster", 0, "", "not-a-table"))(
    swap("roster", lambda _: make.compound({"WordDocument": bytes(5000)}))
)
refused("web page called xls", ("screening", 0, "", "web-page"))(
    swap("screening", lambda _: "<html><table><tr><td>姓名</td></tr></table></html>".encode())
)
refused("web page in GBK with blanks", ("screening", 0, "", "web-page"))(
    swap("screening", lambda _: b"\r\n  <!DOCTYPE html><meta charset=gbk>" + "姓名".encode("gbk"))
)
refused("XML spreadsheet of 2003", ("screening", 0, "", "web-page"))(
    swap("screening", lambda _: b'<?xml version="1.0"?><?mso-application progid="Excel.Sheet"?><Workbook/>')
)
refused("web archive", ("screening", 0, "", "web-page"))(
    swap("screening", lambda _: b"MIME-Version: 1.0\r\nX: y")
)
refused("PDF", ("roster", 0, "", "not-a-table"))(swap("roster", lambda _: b"%PDF-1.7\n"))
refused("picture", ("roster", 0, "", "not-a-table"))(
    swap("roster", lambda _: b"\x89PNG\r\n\x1a\n" + bytes(50))
)
refused("archive", ("roster", 0, "", "not-a-table"))(swap("roster", lambda _: b"Rar!\x1a\x07\x01\x00"))
refused("zip of a workbook", ("roster", 0, "", "not-xlsx"))(
    swap("roster", lambda rows: make.zipped({"名册.xlsx": make.xlsx(rows)}))
)
refused("xlsb", ("roster", 0, "", "other-workbook"))(
    swap("roster", lambda _: make.zipped({"xl/workbook.bin": b"\x83\x01"}))
)
refused("ods", ("roster", 0, "", "other-workbook"))(
    swap(
        "roster",
        lambda _: make.zipped(
            {"mimetype": b"application/vnd.oasis.opendocument.spreadsheet", "content.xml": b"<x/>"}
        ),
    )
)
refused("zip bomb", ("roster", 0, "", "xlsx-bomb"))(
    swap(
        "roster", lambda _: make.zipped({"xl/workbook.xml": b"<a/>", "xl/sharedStrings.xml": bytes(65 << 20)})
    )
)
refused("cut-off xlsx", ("roster", 0, "", "xlsx-damaged"))(swap("roster", lambda rows: make.xlsx(rows)[:900]))
refused("cut-off xls", ("roster", 0, "", "xls-damaged"))(swap("roster", lambda rows: make.xls(rows)[:2000]))
refused("empty file", ("screening", 0, "", "file-empty"))(swap("screening", lambda _: b""))
refused("workbook without a cell", ("screening", 0, "", "header-not-found"))(
    swap("screening", lambda _: make.xlsx([]))
)
refused("header only", ("screening", 0, "", "no-rows"))(swap("screening", lambda rows: make.xlsx(rows[:1])))
refused("bytes that are no text", ("screening", 0, "", "file-not-text"))(
    swap("screening", lambda _: bytes(range(128, 256)) * 4)
)
refused("csv cut in the middle of a character", ("screening", 7, "", "text-damaged"))(
    swap("screening", lambda rows: make.text(rows)[:-3] + b"\xe9")
)
refused("names lost in a wrong encoding", ("roster", 2, "", "text-damaged"))(
    swap("roster", lambda rows: make.text(rows).replace("赵".encode(), "\ufffd\ufffd".encode()))
)
refused("quotes that do not match", ("screening", 3, "", "csv-damaged"))(
    swap("screening", lambda rows: make.text(rows).replace("钱测".encode(), '"钱"测'.encode()))
)
refused("a comma in a name", ("screening", 3, "S", "cell-past-header"))(
    swap("screening", lambda rows: make.text(rows).replace("钱测试乙".encode(), "钱,测试乙".encode()))
)


# ---------------------------------------------------------------- headers and sheets


@right("title and notes above the header")
def _(school: School) -> None:
    top: Table = [["云岭县某某小学 2026 年秋季学生名册"], ["填报单位(盖章):某某小学", None, "2026-09-30"], []]
    school.roster = top + school.roster


@right("header in row 19")
def _(school: School) -> None:
    school.screening = [[f"说明 {n}"] for n in range(18)] + school.screening


@refused("header in row 30", ("screening", 0, "", "header-not-found"))
def _(school: School) -> None:
    school.screening = [[f"说明 {n}"] for n in range(29)] + school.screening


@right("header of two tiers with merged cells")
def _(school: School) -> None:
    head = school.screening[0]
    upper = [*head[:9], "因子分", *[None] * 7, "预警等级"]
    lower = [*[None] * 9, *head[9:17], None]
    merged = [(0, c, 1, c) for c in (*range(9), 17)] + [(0, 9, 0, 16)]
    school.more["screening"] = make.xlsx([upper, lower, *school.screening[1:]], merged=merged)


@right("header of two tiers in xls")
def _(school: School) -> None:
    head = school.screening[0]
    upper = ["测评结果", *[None] * 17]
    school.more["screening"] = make.xls([upper, head, *school.screening[1:]], merged=[(0, 0, 0, 17)])


@right("header with marks, breaks and full-width signs")
def _(school: School) -> None:
    school.screening[0] = (
        ["*学籍号", "姓 名(必填)", "性别:", "年\n级", "班级*", "测评日期", "用时（秒）", "效度", "总\u3000分"]
        + [f"{name}\u200b" for name in FACTORS]
        + ["预警\u00a0等级"]
    )


@right("aliases of headers")
def _(school: School) -> None:
    for old, new in (
        ("学籍号", "国网学籍号"),
        ("测评日期", "完成时间"),
        ("总分", "总得分(标准分)"),
        ("预警等级", "风险等级"),
    ):
        school.screening[0][school.screening[0].index(old)] = new


@right("the right one of several sheets")
def _(school: School) -> None:
    school.more["roster"] = make.xlsx(
        [["使用说明"], ["请勿修改"]], school.roster, [["姓名", "电话"], ["x", "1"]]
    )


@right("a hidden copy of the table")
def _(school: School) -> None:
    school.more["roster"] = make.xlsx(school.roster, school.roster[:3], hidden=[1])


@refused("two sheets that could be meant", ("roster", 0, "", "which-sheet"))
def _(school: School) -> None:
    school.more["roster"] = make.xlsx(school.roster, [["说明"]], school.roster)


@right("two sheets, one named by number")
def _(school: School) -> None:
    school.more["roster"] = make.xlsx(school.roster[:2], [["说明"]], school.roster)
    school.sheets = {"roster": "3"}


@right("a sheet for each class, all taken")
def _(school: School) -> None:
    school.more["roster"] = make.xlsx(school.roster[:5], school.roster[:1] + school.roster[5:], [["说明"]])
    school.sheets = {"roster": "*"}


@right("a class whose sheet lacks a column", ("roster", 0, "", "sheet-left-out"))
def _(school: School) -> None:
    other = [
        [cell for cell in row if cell not in ("年级", "四年级")]
        for row in (school.roster[0], school.roster[1])
    ]
    school.more["roster"] = make.xlsx(school.roster, other)


@right("two tables one below the other", ("screening", 5, "", "header-again"))
def _(school: School) -> None:
    longer = [*school.screening[0], "复测等级"]
    school.screening.insert(4, longer)  # the second has more columns than the first


@refused("a sheet that is not there", ("roster", 0, "", "sheet-missing"))
def _(school: School) -> None:
    school.sheets = {"roster": "初一"}


@refused("column that is missing", ("screening", 1, "", "missing-column"))
def _(school: School) -> None:
    school.drop("screening", "测评日期")


@refused("header twice", ("screening", 1, "", "double-column"))
def _(school: School) -> None:
    school.screening[0][9] = "总分"


# ---------------------------------------------------------------- rows that are no pupils


@right("total lines", ("screening", 8, "", "total-line"), ("screening", 9, "", "total-line"))
def _(school: School) -> None:
    school.screening.append(["合计", *[None] * 7, 204, *[0] * 8, None])
    school.screening.append([None, "平均", *[None] * 6, 34, *[1] * 8, None])


@right("signature and remark below", ("roster", 10, "", "total-line"), ("roster", 12, "", "total-line"))
def _(school: School) -> None:
    school.roster += [["备注:本表一式两份"], [], ["填表人:", None, None, "审核人:"]]


@right("header repeated on every page", ("screening", 5, "", "header-again"))
def _(school: School) -> None:
    school.screening.insert(4, list(school.screening[0]))


@right("ragged and empty tail rows")
def _(school: School) -> None:
    school.screening += [[None] * 18, [" "], ["\u3000", "\u200b"], []]


@right("class merged over its pupils")
def _(school: School) -> None:
    for row in school.roster[2:5]:
        row[4] = None
    school.more["roster"] = make.xlsx(school.roster, merged=[(1, 4, 4, 4)])


@right("a value that is a word of headers")
def _(school: School) -> None:
    school.drop("screening", "姓名", "性别", "年级", "班级")
    for place, row in enumerate(school.screening):
        row.append("身份" if place == 0 else "学生")


@right("header of two tiers without merged cells, in csv")
def _(school: School) -> None:
    head = school.screening[0]
    upper = [
        "学籍号",
        *["基本情况", None, None, None],
        "测评日期",
        "用时",
        "效度",
        "总分",
        "因子",
        *[None] * 7,
        "预警等级",
    ]
    lower = [None, *head[1:5], *[None] * 4, *head[9:17], None]
    school.more["screening"] = make.text([upper, lower, *school.screening[1:]], "gb18030")


@right("words of totals and remarks beside a pupil")
def _(school: School) -> None:
    for place, row in enumerate(school.screening):
        row.append(
            "老师评语" if place == 0 else ["平均", "合计", "备注:无", "注:见附表", "人数", None][place - 1]
        )


@right("numbers in front of rows that nobody filled in")
def _(school: School) -> None:
    for table in (school.roster, school.screening):
        for place, row in enumerate(table):
            row.insert(0, "序号" if place == 0 else place)
        table += [[place] for place in range(len(table), len(table) + 5)]


@refused("name without anything else", ("roster", 10, "A", "empty-cell"), ("roster", 10, "D", "empty-cell"))
def _(school: School) -> None:
    school.roster.append([None, "冯测试壬"])


# ---------------------------------------------------------------- cells


@right("zero-width, NBSP, full-width everywhere")
def _(school: School) -> None:
    school.column(
        "screening", "学籍号", lambda c: "\u200b" + "".join(chr(ord(x) + 0xFEE0) for x in str(c)) + "\u00a0"
    )
    school.column("screening", "姓名", lambda c: f"\u3000{str(c)[0]}\u00a0{str(c)[1:]}\ufeff")
    school.column("screening", "总分", lambda c: "３４")
    school.column("roster", "年级", lambda c: f" {c}\u200b ")
    school.column("roster", "监护人同意", lambda c: "同\u3000意")


@right("sex as 1 and 2")
def _(school: School) -> None:
    for table in ("roster", "screening"):
        school.column(table, "性别", lambda c: {"男": 1, "女": "2"}[str(c)])


@right("numbers as texts")
def _(school: School) -> None:
    for header in ("总分", *FACTORS):
        school.column("screening", header, lambda c: f" {c} ")


for _name, _day in {
    "iso": "2026-09-20", "slashes": "2026/9/20", "chinese": "2026年9月20日", "digits": "20260920",
    "dots": "2026.09.20", "time behind": "2026-09-20 08:15:33", "serial": 46285, "serial as text": "46285",
    "serial with time": 46285.343, "T": "2026-09-20T08:15:33.000Z", "afternoon": "2026/9/20 下午 3:05:00",
    "weekday": "2026年9月20日 星期日",
}.items():  # fmt: skip
    right(f"date: {_name}")(lambda school, day=_day: school.column("screening", "测评日期", lambda _: day))

for _name, _duration in {
    "seconds": "123秒", "minutes": "2分3秒", "minutes in words": "2分钟3秒", "clock": "00:02:03", "bare": 123,
    "with a space": "123 秒", "s": "123s", "signs": "2'3\"",
}.items():  # fmt: skip
    right(f"duration: {_name}")(lambda school, d=_duration: school.column("screening", "用时", lambda _: d))


@refused("duration that is a clock without seconds", ("screening", 3, "G", "duration-form"))
def _(school: School) -> None:
    school.set("screening", 2, "用时", "2:03")


@right("dashes for nothing", changes_records=True)
def _(school: School) -> None:
    for header, sign in (("用时", "-"), ("效度", "/")):
        school.set("screening", 2, header, sign)
    school.screening.append(
        [number(8), NAMES[7], "女", "五年级", "2班", "-", "—", "——", "/", *["NULL"] * 8, "-"]
    )


@refused("day of another year", ("screening", 3, "F", "date-range"))
def _(school: School) -> None:
    school.set("screening", 2, "测评日期", "2025-09-20")


@refused("american day", ("screening", 3, "F", "date-form"))
def _(school: School) -> None:
    school.set("screening", 2, "测评日期", "9/20/2026")


@refused("number lost by Excel", ("screening", 3, "A", "student-no-damaged"))
def _(school: School) -> None:
    school.set("screening", 2, "学籍号", 990001201509010020)


@refused("number as 9.9E+17 in csv", ("roster", 3, "A", "student-no-damaged"))
def _(school: School) -> None:
    school.set("roster", 2, "全国学籍号", "9.90001E+17")
    school.more["roster"] = make.text(school.roster, "gb18030")


@refused("number rounded to zeros in csv", ("roster", 3, "A", "student-no-damaged"))
def _(school: School) -> None:
    school.set("roster", 2, "全国学籍号", "990001201509010000")
    school.more["roster"] = make.text(school.roster, "gb18030")


@refused("formula that failed", ("screening", 3, "I", "formula-error"))
def _(school: School) -> None:
    school.set("screening", 2, "总分", "#N/A")


@right("formula that failed in a column nobody reads")
def _(school: School) -> None:
    for n, row in enumerate(school.screening):
        row.append("备用" if n == 0 else "#REF!")


@refused("score out of range", ("screening", 3, "I", "score-range"))
def _(school: School) -> None:
    school.set("screening", 2, "总分", 91)


@refused("level as a bare number", ("screening", 3, "R", "bare-number"))
def _(school: School) -> None:
    school.set("screening", 2, "预警等级", 2)


@refused("level that the codebook does not know", ("screening", 3, "R", "unmapped-level"))
def _(school: School) -> None:
    school.set("screening", 2, "预警等级", "紫色")


@refused("numbered levels without a direction", ("screening", 2, "R", "ambiguous-level"))
def _(school: School) -> None:
    school.profile = school.profile.replace('levels = "third-is-severe"', 'levels = ""')
    school.set("screening", 1, "预警等级", "三级预警")


@refused("left-behind as a bare number", ("roster", 3, "H", "bare-number"))
def _(school: School) -> None:
    school.set("roster", 2, "是否留守儿童", 2)


@refused("grade that no profile knows", ("roster", 3, "D", "unmapped-label"))
def _(school: School) -> None:
    school.set("roster", 2, "年级", "学前班")


# ---------------------------------------------------------------- who is who


@right("no student numbers in the platform's file")
def _(school: School) -> None:
    school.drop("screening", "学籍号")


@right("classes spelt in other ways")
def _(school: School) -> None:
    school.drop("screening", "学籍号")
    spelt = iter(["四(1)班", "五年级1班", "401", "五（1）班", "四年级二班", "502班"])
    school.column("screening", "班级", lambda _: next(spelt))


@right("classes that hold the grade, and no column of grades")
def _(school: School) -> None:
    school.drop("screening", "学籍号", "年级")
    spelt = iter(["四年级1班", "五(1)班", "四(1)班", "五年级一班", "四年级(2)班", "五(2)班"])
    school.column("screening", "班级", lambda _: next(spelt))


@right("middle dots and spaces in names")
def _(school: School) -> None:
    school.drop("screening", "学籍号")
    school.set("roster", 1, "姓名", "阿依·古丽")
    school.set("screening", 1, "姓名", "阿依•古 丽")


@refused("two pupils of one name and class", ("screening", 2, "A", "ambiguous-pupil"))
def _(school: School) -> None:
    school.drop("screening", "学籍号")
    for header in ("姓名", "性别", "年级", "班级"):
        school.set("roster", 7, header, school.roster[1][school.roster[0].index(header)])


@right("two pupils of one name in two classes")
def _(school: School) -> None:
    school.drop("screening", "学籍号")
    school.set("roster", 7, "姓名", NAMES[0])


@right("two pupils of one name and class, born in two months")
def _(school: School) -> None:
    school.drop("screening", "学籍号")
    school.set("roster", 7, "姓名", NAMES[0])
    school.set("roster", 7, "班级", "1班")
    for n, row in enumerate(school.screening):
        row.append("出生年月" if n == 0 else f"2016年{n}月")


@refused("pupil of another class", ("screening", 3, "D", "contradicts-roster"))
def _(school: School) -> None:
    school.drop("screening", "学籍号")
    school.set("screening", 2, "班级", "9班")


@refused("pupil who is not on the roster", ("screening", 3, "A", "not-on-roster"))
def _(school: School) -> None:
    school.set("screening", 2, "学籍号", "G990001201509019994")


@refused("name that is not on the roster", ("screening", 3, "A", "not-on-roster"))
def _(school: School) -> None:
    school.drop("screening", "学籍号")
    school.set("screening", 2, "姓名", "测试账号")


@refused("number of one pupil, name of another", ("screening", 3, "B", "contradicts-roster"))
def _(school: School) -> None:
    school.set("screening", 2, "姓名", NAMES[4])


@right("sex that differs from the roster", ("screening", 3, "C", "differs-from-roster"))
def _(school: School) -> None:
    school.set("screening", 2, "性别", "男")


@refused("name alone", ("screening", 3, "D", "identity-incomplete"))
def _(school: School) -> None:
    school.drop("screening", "学籍号")
    school.set("screening", 2, "班级", None)


@refused("pupil twice", ("screening", 8, "A", "duplicate-pupil"))
def _(school: School) -> None:
    school.screening.append(list(school.screening[2]))


@refused("result and a reason for having none", ("roster", 3, "K", "tested-and-excused"))
def _(school: School) -> None:
    school.set("roster", 2, "未测原因", "请假")


@right("status column of the platform")
def _(school: School) -> None:
    for n, row in enumerate(school.screening):
        row.append("完成状态" if n == 0 else "已完成")
    school.screening.append([number(8), NAMES[7], "女", "五年级", "2班", *[None] * 13, "未开始"])


# ---------------------------------------------------------------- ledgers


def _ledger(*rows: list[make.Value]) -> bytes:
    return make.xls([["单亲家庭学生台账"], ["序号", "姓名", "性别", "年级", "班级", "家庭结构"], *rows])


@right("ledger of single parents", changes_records=True)
def _(school: School) -> None:
    school.set("roster", 2, "家庭结构", None)
    school.more["ledger.single-parent"] = _ledger([1, NAMES[1], "女", "五年级", "1班", "离异"])


@refused("ledger with a stranger", ("ledger.single-parent", 3, "B", "not-on-roster"))
def _(school: School) -> None:
    school.more["ledger.single-parent"] = _ledger([1, "某某某", "女", "五年级", "1班", None])


@refused("ledger that contradicts the roster", ("ledger.single-parent", 3, "F", "sources-differ"))
def _(school: School) -> None:
    school.more["ledger.single-parent"] = _ledger([1, NAMES[1], "女", "五年级", "1班", "离异"])


@refused("ledger that no profile knows", ("ledger", 0, "", "which-ledger"))
def _(school: School) -> None:
    school.more["ledger.other"] = _ledger([1, NAMES[1], "女", "五年级", "1班", None])


@right("list of parents who refused", changes_records=True)
def _(school: School) -> None:
    school.set("roster", 8, "监护人同意", None)
    school.more["ledger.no-consent"] = make.text([["学籍号"], [number(8)]], "gb18030")


@right("consent by class", changes_records=True)
def _(school: School) -> None:
    school.drop("roster", "监护人同意")
    rows: Table = [["年级", "班级", "监护人同意", "同意书版本", "签署日期"]]
    rows += [
        [grade, f"{n}班", "同意", "2026-1", "2026/9/1"] for grade in ("四年级", "五年级") for n in (1, 2)
    ]
    school.more["consent"] = make.xlsx(rows)


@refused(
    "consent of a class without a form",
    ("consent", 2, "D", "empty-cell"),
    ("consent", 2, "B", "class-not-on-roster"),
)
def _(school: School) -> None:
    school.more["consent"] = make.xlsx(
        [
            ["年级", "班级", "监护人同意", "同意书版本", "签署日期"],
            ["四年级", "7班", "同意", None, "2026/9/1"],
        ]
    )


@refused("profile that is none", ("profile", 0, "", "profile-invalid"))
def _(school: School) -> None:
    school.profile = "这不是模板"


def write_all(folder: Path) -> None:
    """Write the traps as files, one folder each."""
    for name, school, trap in _SET.schools():
        place = folder / name.replace("/", "-").replace(" ", "-")
        place.mkdir(parents=True, exist_ok=True)
        for part, data in school.files().items():
            ending = ".toml" if part in ("profile", "codebook") else ".dat"
            (place / f"{part}{ending}").write_bytes(data)
        expected: Mapping[str, object] = {
            "refused": trap.is_refused,
            "issues": trap.places,
            "sheets": school.sheets,
        }
        (place / "expected.txt").write_text(repr(expected), encoding="utf-8")


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))
