"""More traps: what stands in single cells of a school's tables."""

from __future__ import annotations

import datetime as dt

import table_files as make
from trap_school import FACTORS, NAMES, School, TrapSet, number

TRAPS = TrapSet()
right, refused = TRAPS.right, TRAPS.refused


def _second(table: str, header: str, value: make.Value):
    """Set the cell of the second pupil, who stands in row 3."""
    return lambda school: school.set(table, 2, header, value)


def _all(table: str, header: str, value: make.Value):
    return lambda school: school.column(table, header, lambda _: value)


def _numbers(change):
    return lambda school: school.column("screening", "学籍号", lambda cell: change(str(cell)))


# ---------------------------------------------------------------- student numbers

for _name, _change in {
    "in groups": lambda n: f"{n[:3]} {n[3:9]} {n[9:]}",
    "in small letters": str.lower,
    "behind an apostrophe": lambda n: f"'{n}",
    "behind a backtick": lambda n: f"`{n}",
    "with a quote behind": lambda n: f"{n}'",
    "in quotes": lambda n: f'"{n}"',
    "in quotes of China": lambda n: f"“{n}”",
    "with marks of direction": lambda n: f"\u202d{n}\u202c",
    "isolated": lambda n: f"\u2066{n}\u2069",
    "with soft hyphens and joiners": lambda n: f"{n[:9]}\u00ad{n[9:]}\u200d",
    "with an X that is a Roman ten": lambda n: n.replace("X", "Ⅹ"),
    "with tabs and line ends": lambda n: f"\t{n}\r\n",
    "with a mark of byte order in the middle": lambda n: f"{n[:4]}\ufeff{n[4:]}",
    "with an invisible filler": lambda n: f"{n}\u3164",
}.items():
    right(f"student number {_name}")(_numbers(_change))

for _name, _number in {
    "with dashes": "G9900-0120-1509-010-02X",
    "that is too long": "G9900012015090100021X",
    "that is too short": "G99000120150901002",
    "with the letter O": "G9900O120150901002X",
    "with a Cyrillic letter": "G99000120150901002\u0425",
    "with an exponent behind its letter": "G9.90001E+17",
    "with stars": "G9900***********02X",
}.items():
    refused(f"student number {_name}", ("screening", 3, "A", "student-no-form"))(
        _second("screening", "学籍号", _number)
    )
for _name, _number in {
    "with the letter lost": "99000120150901002X",
    "that is an identity card": "110101201509010028",
}.items():
    refused(f"student number {_name}", ("screening", 3, "A", "student-no-letter"))(
        _second("screening", "学籍号", _number)
    )
for _name, _number in {
    "as a number of 18 digits": 110101201509010028,
    "as 5.10502E+17": "5.10502E+17",
    "as 5.1E+17 of a small e": "5.1e17",
    "as a number with a fraction": 5.10502e17,
}.items():
    refused(f"student number {_name}", ("screening", 3, "A", "student-no-damaged"))(
        _second("screening", "学籍号", _number)
    )
refused("student number that is true", ("screening", 3, "A", "not-text"))(
    _second("screening", "学籍号", True)
)
refused("student number that is a day", ("screening", 3, "A", "not-text"))(
    _second("screening", "学籍号", dt.date(2026, 9, 1))
)
refused("student number that is small", ("screening", 3, "A", "student-no-form"))(
    _second("screening", "学籍号", 12)
)


@refused("the same number in capitals and small letters", ("roster", 10, "A", "duplicate-pupil"))
def _(school: School) -> None:
    school.roster.append([number(2).lower(), *school.roster[2][1:]])


# ---------------------------------------------------------------- names


def _named(roster: str, screening: str, *, by_name: bool = True):
    def spoil(school: School) -> None:
        school.set("roster", 1, "姓名", roster)
        school.set("screening", 1, "姓名", screening)
        if by_name:
            school.drop("screening", "学籍号")

    return spoil


for _name, (_roster, _screening) in {
    "in Extension B": ("𠀀𬎆", "𠀀𬎆"),
    "with a dot that another program writes": ("阿卜杜拉·买买提", "阿卜杜拉．买买提"),
    "with a bullet": ("阿卜杜拉·买买提", "阿卜杜拉•买买提"),
    "with a Japanese dot": ("阿卜杜拉·买买提", "阿卜杜拉・买买提"),
    "with a dot operator": ("阿卜杜拉·买买提", "阿卜杜拉⋅买买提"),
    "whose dot was left out": ("阿卜杜拉·买买提", "阿卜杜拉买买提"),
    "in Latin letters": ("Anna Müller", "ANNA  MU\u0308LLER"),
    "with spaces behind and a joiner": ("王测\u200d试子 ", "王 测试子\u3000"),
    "with a compatibility ideograph": ("金\uf90a测", "金金测"),
    "with a variation selector": ("葛测试", "葛\U000e0100测试"),
}.items():
    right(f"name {_name}")(_named(_roster, _screening))


@right("rare characters in GB18030 of four bytes")
def _(school: School) -> None:
    _named("㐂𠀀测", "㐂𠀀测")(school)
    school.more |= {
        part: make.text(rows, "gb18030")
        for part, rows in (("roster", school.roster), ("screening", school.screening))
    }


@right("names hidden with stars beside student numbers")
def _(school: School) -> None:
    school.column("screening", "姓名", lambda name: f"{str(name)[0]}**")


@refused(
    "names hidden with stars and no numbers", *(("screening", row, "A", "name-masked") for row in range(2, 8))
)
def _(school: School) -> None:
    school.drop("screening", "学籍号")
    school.column("screening", "姓名", lambda name: f"{str(name)[0]}＊＊")


refused("name with a lost character", ("screening", 2, "B", "contradicts-roster"))(
    _named("赵\U00020000甲", "赵?甲", by_name=False)
)
refused("name of simplified and traditional characters", ("screening", 2, "A", "not-on-roster"))(
    _named("张测国", "張測國")
)
refused("name of 200 characters", ("screening", 3, "B", "text-too-long"))(
    _second("screening", "姓名", "某" * 200)
)
refused("cell beyond what a spreadsheet holds", ("roster", 3, "B", "text-too-long"))(
    lambda school: school.more.update(
        roster=make.xlsx([[("某" * 40_000 if c == NAMES[1] else c) for c in row] for row in school.roster])
    )
)

# ---------------------------------------------------------------- sex, grade, class

for _label in ("男孩", "boy", "3", "男/女", "♂"):
    refused(f"sex {_label}", ("roster", 2, "C", "bare-number" if _label.isdigit() else "unmapped-label"))(
        lambda school, label=_label: school.set("roster", 1, "性别", label)
    )


@right("sex as 男生, 女性, M and F")
def _(school: School) -> None:
    spelt = iter(["男生", "女性", "M", "f", "男性", "女", "1", "F"])
    school.column("roster", "性别", lambda _: next(spelt))


right("sex unknown on the roster, known to the platform")(lambda school: school.set("roster", 1, "性别", 0))
refused("sex as a truth", ("roster", 2, "C", "not-text"))(
    lambda school: school.set("roster", 1, "性别", True)
)

for _label, _code in {
    "7": "bare-number",
    "2024级": "unmapped-label",
    "高2026级": "unmapped-label",
    "四(1)班": "unmapped-label",
    "毕业班": "unmapped-label",
    "-": "empty-cell",
}.items():
    refused(f"grade {_label}", ("roster", 3, "D", _code))(_second("roster", "年级", _label))


@right("grades as 小学四年级, 5年级 and with spaces")
def _(school: School) -> None:
    school.column("roster", "年级", lambda c: {"四年级": "小学 四年级", "五年级": "５年级"}[str(c)])


@right("classes as schools write them")
def _(school: School) -> None:
    school.drop("screening", "学籍号")
    spelt = iter(["四1", "五年1班", "0401", "五(01)班", "四（二）班", "2023级2班"])
    school.column("screening", "班级", lambda _: next(spelt))


@right("classes of the junior school as 七1, 0701, 初一(1)班 and 初2026级1班", changes_records=True)
def _(school: School) -> None:
    school.drop("screening", "学籍号")
    for table in ("roster", "screening"):
        school.column(table, "年级", lambda _: "七年级")
    spelt = iter(["七1", "0701", "初一(1)班", "初2026级1班", "七年级二班", "2026级(2)班"])
    school.column("screening", "班级", lambda _: next(spelt))


# ---------------------------------------------------------------- days

for _name, _day in {
    "with its zone": "2026-09-20T08:15:33+08:00",
    "of midnight in Greenwich's time": "2026-09-19T16:00:00.000Z",
    "of the evening in Greenwich's time": "2026-09-19 23:59:59+0000",
    "with points and no zeros": "2026.9.20",
    "in full-width digits": "２０２６年９月２０日",
    "with spaces": "2026 年 9 月 20 日",
    "with a weekday": "2026/9/20 周日",
    "with time in words": "2026年9月20日 上午8时15分",
    "as a number of a time": 46285.9999,
    "as text of a number with a fraction": "46285.25",
}.items():
    right(f"day {_name}")(_all("screening", "测评日期", _day))
for _name, _day in {
    "without a year": "９月２０日",
    "with two digits of the year": "26-9-20",
    "in English": "20-Sep-26",
    "of a Java program": "Sun Sep 20 08:15:33 CST 2026",
    "that is none": "2026-02-30",
    "of month 13": "2026/13/1",
    "in words": "昨天",
    "that is a period": "2026.9.20-9.25",
    "that is a month": "2026年9月",
    "as ######": "########",
    "of the Hebrew digits": "٢٠٢٦-٠٩-٢٠",
    "as a truth": True,
}.items():
    refused(f"day {_name}", ("screening", 3, "F", "date-form"))(_second("screening", "测评日期", _day))
for _name, _day in {
    "before the pupils were born": "1999-09-20",
    "of the next school year": "2027-09-20",
    "of 1900": 1,
    "of a workbook that counts from 1904": 44823,
}.items():
    refused(f"day {_name}", ("screening", 3, "F", "date-form" if _day == 1 else "date-range"))(
        _second("screening", "测评日期", _day)
    )


@right("a test that is still to come", ("screening", 3, "F", "day-to-come"), changes_records=True)
def _(school: School) -> None:
    school.set("screening", 2, "测评日期", "2026-11-20")


@right("not one result", ("screening", 0, "", "no-results"), changes_records=True)
def _(school: School) -> None:
    for header in ("总分", *FACTORS, "预警等级", "效度", "用时"):
        school.column("screening", header, lambda _: None)


for _name, _day in {
    "in the future": "2030-01-03",
    "of a grandfather": "1950-01-03",
    "as a name": "某某",
}.items():
    refused(f"birth {_name}", ("roster", 3, "F", "birth-form"))(_second("roster", "出生日期", _day))


@right("births at midnight in Greenwich's time")
def _(school: School) -> None:
    school.drop("screening", "学籍号")
    for n, row in enumerate(school.screening):
        row.append("出生日期" if n == 0 else f"2016-0{n}-01")
    school.column("roster", "出生日期", lambda c: f"{c - dt.timedelta(days=3)}T16:00:00.000Z")


# ---------------------------------------------------------------- scores and levels

for _name, _score in {
    "with its unit": "34分",
    "of full width": "３４",
    "with a decimal": "34.0",
    "with many decimals": 34.0000000001,
    "with spaces": "\u300034\u00a0",
}.items():
    right(f"score {_name}")(_all("screening", "总分", _score))
for _name, _score in {
    "as a fraction": "34/90",
    "as 缺考": "缺考",
    "as 未测": "未测",
    "in percent": "34%",
    "in words": "三十四",
    "with a comma": "3,4",
    "with an exponent": "3.4E+01",
    "as a truth": True,
    "as a day": dt.date(1900, 2, 3),
    "that is not a number": "NaN",
    "endless": "1e999",
    "with a sign": "+34",
}.items():
    refused(f"score {_name}", ("screening", 3, "I", "not-a-number"))(_second("screening", "总分", _score))
for _name, _score in {"below zero": -1, "above the range": 90.5, "huge": 1e300}.items():
    refused(f"score {_name}", ("screening", 3, "I", "not-a-number" if _score == 1e300 else "score-range"))(
        _second("screening", "总分", _score)
    )
for _name, _score in {"as a dash": "—", "left out": None, "as two dashes": "--"}.items():
    refused(f"score {_name}", ("screening", 3, "I", "empty-cell"))(_second("screening", "总分", _score))
refused("factor above its range", ("screening", 3, "K", "score-range"))(_second("screening", FACTORS[1], 11))

for _label, _level in {
    "Ⅲ级": "unmapped-level",
    "3级": "unmapped-level",
    "第三级": "unmapped-level",
    "无": "unmapped-level",
    "蓝色": "unmapped-level",
    "严重": "unmapped-level",
    "未测评": "unmapped-level",
    "3": "bare-number",
    "三级预警(红)": "unmapped-level",
}.items():
    refused(f"level {_label}", ("screening", 3, "R", _level))(_second("screening", "预警等级", _label))


@right("levels in other words for the same")
def _(school: School) -> None:
    spelt = iter(["需要关注", "中度", "橙色", "二级", "二 级 预 警", "二级\u200b预警"])
    school.column("screening", "预警等级", lambda _: next(spelt))


@right("levels the other way round", changes_records=True)
def _(school: School) -> None:
    school.profile = school.profile.replace('levels = "third-is-severe"', 'levels = "first-is-severe"')
    school.column("screening", "预警等级", lambda _: "一级预警")


@right("a level that says that the test was not valid", changes_records=True)
def _(school: School) -> None:
    school.set("screening", 2, "预警等级", "灰色")


refused("level left out", ("screening", 3, "R", "empty-cell"))(_second("screening", "预警等级", None))

# ---------------------------------------------------------------- durations, reasons, passes

for _name, _value in {
    "as a time of day": dt.time(0, 2, 3),
    "with a fraction": "123.4秒",
    "in small English": "2min3s",
}.items():
    right(f"duration {_name}")(_all("screening", "用时", _value))
for _name, _value in {
    "below zero": "-5秒",
    "of a number below zero": -5,
    "that is a fraction of a day": 0.00142,
    "in words": "超时",
    "of a program": "PT2M3S",
}.items():
    refused(f"duration {_name}", ("screening", 3, "G", "duration-form"))(_second("screening", "用时", _value))
refused("duration of two days", ("screening", 3, "G", "number-range"))(_second("screening", "用时", 172800))

for _word, _code in {"缺考": "unmapped-label", "旷考": "unmapped-label", "4": "bare-number"}.items():
    refused(f"reason {_word}", ("roster", 8, "K", _code))(
        lambda school, word=_word: school.set("roster", 7, "未测原因", word)
    )


@right("reasons in words", changes_records=True)
def _(school: School) -> None:
    for place, word in ((7, "休学"), (8, "转学")):
        school.set("roster", place, "未测原因", word)


@refused("a reason of the platform that differs from the roster's", ("roster", 8, "K", "reasons-differ"))
def _(school: School) -> None:
    for n, row in enumerate(school.screening):
        row.append("测评状态" if n == 0 else "已测")
    school.screening.append([number(7), NAMES[6], "男", "四年级", "2班", *[None] * 13, "拒测"])


def _passes(*words: make.Value):
    def spoil(school: School) -> None:
        spelt = iter(words)
        for n, row in enumerate(school.screening):
            row.append("测次" if n == 0 else next(spelt))

    return spoil


right("passes in words")(_passes("初测", "首测", "普测", "初筛", " 初 测 ", None))
refused("passes as numbers", *(("screening", row, "S", "bare-number") for row in range(2, 8)))(
    _passes(1, 1, "1", 1, 1, 1)
)
refused("pass that nobody knows", ("screening", 3, "S", "unmapped-label"))(
    _passes("初测", "第二次", "初测", "初测", "初测", "初测")
)
