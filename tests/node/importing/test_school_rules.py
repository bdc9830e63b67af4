"""The rules of a school beside its files: consent, census date, school codes, school system, passes."""

from __future__ import annotations

import datetime as dt

import pytest

from node.vault.import_file import ImportContext, import_files
from node.vault.importing.consent import consent_of
from node.vault.importing.join import class_key
from node.vault.importing.rows import PupilRow

PROFILE_TAIL = "[factors]"


def places(result):
    return [(issue.file, issue.row, issue.column, issue.code) for issue in result.issues]


def add_column(files, table, header, values, declared=""):
    rows = getattr(files, table)
    for row, value in zip(rows, [header, *values], strict=True):
        row.append(value)
    if declared:
        files.profile = files.profile.replace("[factors]", f"{declared}\n[factors]", 1)


def add_labels(files, field, **labels):
    lines = "".join(f'"{label}" = {code}\n' for label, code in labels.items())
    files.profile += f"\n[values.{field}]\n{lines}"


# --- consent -------------------------------------------------------------------------------------

ROW = PupilRow("roster", 2, {"grade": "4"})


@pytest.mark.parametrize(
    ("known", "code"),
    [
        ({}, "9"),
        ({"guardian_consent": "1"}, "1"),
        ({"guardian_consent": "2"}, "2"),
        ({"consent_testing": "1"}, "9"),
        ({"consent_testing": "1", "consent_statistics": "1"}, "1"),
        ({"consent_testing": "1", "consent_statistics": "2"}, "2"),
        ({"consent_testing": "2", "consent_statistics": "1"}, "2"),
        ({"guardian_consent": "1", "consent_statistics": "2"}, "2"),
        ({"guardian_consent": "2", "consent_testing": "1", "consent_statistics": "1"}, "2"),
    ],
    ids=str,
)
def test_consent_counts_only_if_nothing_is_denied_and_statistics_are_meant(known, code):
    assert consent_of(ROW, known, None) == (code, False)


def test_follow_up_may_be_denied_alone(files):
    add_column(files, "roster", "跟进同意", ["不同意", *["同意"] * 7], 'consent_follow_up = ["跟进同意"]')
    add_labels(files, "consent_follow_up", 同意=1, 不同意=2)
    add_column(files, "roster", "建档", ["是"] * 8, 'file_built = ["建档"]')
    add_labels(files, "file_built", 是=1)
    records = files.run().records
    assert [record.file_built for record in records[:2]] == ["9", "1"]
    assert [record.level1 for record in records[:2]] == ["2", "2"]


def with_classes(files, *rows):
    files.drop("roster", "监护人同意")
    declared = 'consent_form = ["版本"]\nconsent_date = ["日期"]'
    files.profile = files.profile.replace("[factors]", declared + "\n[factors]", 1)
    header = ["年级", "班级", "监护人同意", "版本", "日期"]
    return files.encode([header, *rows])


def test_a_class_consents_and_a_pupil_of_it_may_not(files):
    data = with_classes(files, ["四年级", "1班", "同意", "v1", "2026-09-01"])
    add_column(files, "roster", "监护人同意", ["不同意", *[None] * 7])
    result = files.run(consent=data)
    assert [record.guardian_consent for record in result.records[:4]] == ["2", "9", "1", "9"]
    assert result.counts["class_rows"] == 1


def test_consent_younger_than_the_test_is_a_warning(files):
    data = with_classes(
        files,
        ["四年级", "1班", "同意", "v1", "2026-09-21"],
        ["五年级", "1班", "同意", "v1", "2026-09-20"],
    )
    result = files.run(consent=data)
    assert places(result) == [("consent", 2, "E", "consent-late")]
    assert not result.is_refused


def test_a_class_twice_is_refused(files):
    row = ["四年级", "1班", "同意", "v1", "2026-09-01"]
    data = with_classes(files, row, [row[0], "(1)班", "不同意", *row[3:]])
    assert places(files.run(consent=data)) == [("consent", 3, "B", "double-class")]


# --- census date, school codes, school system ----------------------------------------------------


def test_a_pupil_counts_where_enrolled_on_the_census_date(files):
    left = [None, "2026-09-30", "2026-10-01", None, None, None, None, None]
    joined = [None, None, None, "2026-10-01", "2026/9/30", None, None, None]
    add_column(files, "roster", "离校", left, 'left_on = ["离校"]')
    add_column(files, "roster", "入校", joined, 'joined_on = ["入校"]')
    result = files.run()
    assert [record.disposition for record in result.records[:6]] == ["1", "7", "1", "7", "1", "1"]
    assert (result.records[1].level1, result.records[1].total) == ("9", None)
    assert places(result) == [("roster", 3, "K", "not-enrolled"), ("roster", 5, "L", "not-enrolled")]


def test_rows_of_another_school_are_refused(files):
    codes = ["3453000001"] * 4 + [3453000002.0] * 3 + ["3453000003"]
    add_column(files, "roster", "学校标识码", codes, 'school_code = ["学校标识码"]')
    assert not files.run().is_refused
    files.profile = 'school_codes = ["3453000001", "3453000002"]\n' + files.profile
    assert places(files.run()) == [("roster", 9, "K", "school-code")]


@pytest.mark.parametrize(("system", "code"), [("6-3", None), ("5-4", "grade-system")])
def test_the_first_junior_year_is_another_grade_in_each_system(files, system, code):
    files.set("roster", 1, "年级", "初一")
    context = ImportContext(b"\x07" * 32, "2026-2027", "A", dt.date(2026, 9, 30), system)
    result = import_files(files.contents(), context)
    assert [issue.code for issue in result.issues] == ([code] if code else [])
    if code:
        files.profile = files.profile.replace('"初一" = 7', '"初一" = 6')
        records = import_files(files.contents(), context).records
        assert (records[0].grade, records[0].stage) == ("6", "junior")


# --- days, passes, ledgers -----------------------------------------------------------------------


def test_days_to_review_follow_from_the_day_of_the_review(files):
    days = ["2026-09-23", None, "2026-09-20", None, None, None, None, None]
    add_column(files, "roster", "复核日期", days, 'reviewed_on = ["复核日期"]')
    assert [record.days_to_review for record in files.run().records[:3]] == [3, None, 0]
    files.set("roster", 1, "复核日期", "2026-09-19")
    assert places(files.run()) == [("roster", 2, "K", "day-before-test")]


def test_groups_of_all_files_add_up(files):
    ledger = '[[ledgers]]\nname = "a"\ngroups = ["g4"]\n[[ledgers]]\nname = "b"\ngroups = ["g6"]\n'
    files.profile = files.profile.replace("[columns]", ledger + "[columns]", 1)
    rows = [["学籍号"], [files.roster[1][0]], [files.roster[2][0]]]
    result = files.run(**{"ledger.a": files.encode(rows), "ledger.b": files.encode(rows[:2])})
    assert [record.groups for record in result.records[:3]] == [{"g4", "g6"}, {"g4"}, frozenset()]
    assert result.counts["ledger_rows"] == 3
    parts = [entry["part"] for entry in result.provenance.as_json()["files"]]
    assert parts[4:] == ["ledger.a", "ledger.b"]


def test_a_ledger_that_says_something_else_than_its_profile_is_refused(files):
    ledger = '[[ledgers]]\nname = "a"\nset = { family = 2 }\n'
    files.profile = files.profile.replace("[columns]", ledger + "[columns]", 1)
    for row in files.roster[1:]:
        row[7] = None
    rows = [["学籍号", "家庭结构"], [files.roster[1][0], "离异"], [files.roster[2][0], None]]
    records = files.run(**{"ledger.a": files.encode(rows)}).records
    assert [record.family for record in records[:3]] == ["2", "2", "9"]
    rows[2][1] = "双亲"
    assert places(files.run(**{"ledger.a": files.encode(rows)})) == [("ledger.a", 3, "B", "sources-differ")]


def test_two_ledgers_that_differ_are_refused(files):
    ledger = (
        '[[ledgers]]\nname = "a"\nset = { migrant = 1 }\n[[ledgers]]\nname = "b"\nset = { migrant = 0 }\n'
    )
    files.profile = files.profile.replace("[columns]", ledger + "[columns]", 1)
    rows = files.encode([["学籍号"], [files.roster[1][0]]])
    assert places(files.run(**{"ledger.a": rows, "ledger.b": rows})) == [
        ("ledger.b", 2, "", "sources-differ")
    ]


@pytest.mark.parametrize(
    ("text", "grade", "key"),
    [
        ("1班", "4", "1"),
        ("(1)班", "4", "1"),
        ("一班", "4", "1"),
        ("四年级1班", "4", "1"),
        ("四(1)班", "4", "1"),
        ("四1班", "4", "1"),
        ("401班", "4", "1"),
        ("401", "4", "1"),
        ("01", "4", "1"),
        ("十二班", "7", "12"),
        ("二十班", "7", "20"),
        ("二十一班", "7", "21"),
        ("高一(12)班", "10", "12"),
        ("1012", "10", "12"),
        ("2022级3班", "4", "3"),
        ("小学四年级一班", "4", "1"),
        ("四班", "4", "4"),
        ("4班", "4", "4"),
        ("41班", "4", "41"),
        ("实验班", "4", "实验"),
        ("", "4", ""),
    ],
)
def test_classes_are_compared_as_people_mean_them(text, grade, key):
    labels = {"四年级": "4", "七年级": "7", "高一": "10"}
    assert class_key(text, grade, labels) == key
