"""The whole import: what comes out of right files, and that wrong ones give nothing but issues."""

from __future__ import annotations

import datetime as dt
import hashlib
import hmac
import traceback
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from node.vault.errors import CommandError
from node.vault.import_file import ImportContext, ImportResult, import_files
from node.vault.importing.errors import ADVICE, MAX_ISSUES, MESSAGES, ImportingError
from node.vault.importing.reader import read_sheets


def context() -> ImportContext:
    return ImportContext(b"\0" * 32, "2026-2027", "A", dt.date(2026, 9, 30), "6-3")


def places(result: ImportResult) -> list[tuple[str, int, str, str]]:
    return [(issue.file, issue.row, issue.column, issue.code) for issue in result.issues]


def text_of(result: ImportResult) -> str:
    """Everything that an import says to anybody."""
    said = [repr(result), str(result.counts), repr(result.provenance)]
    said += [str(issue.as_json()) + repr(issue) for issue in result.issues]
    return "\n".join(said)


def test_right_files_give_a_record_for_each_pupil_of_the_roster(files):
    result = files.run()
    assert not result.is_refused
    assert result.issues == ()
    assert [record.disposition for record in result.records] == ["1"] * 6 + ["4", "3"]
    first = result.records[0]
    assert (first.grade, first.sex, first.boarding, first.left_behind, first.family) == (
        "4",
        "1",
        "1",
        "0",
        "1",
    )
    assert (first.level1, first.total, first.validity) == ("2", Decimal(34), "1")
    assert first.factors_high == {"learning", "social"}
    assert first.administered_on == dt.date(2026, 9, 20)
    assert first.instrument == "mht"
    assert first.codebook == result.codebook.digest.hex()


def test_record_key_is_the_keyed_student_number(files):
    number = files.roster[1][0].encode()
    expected = hmac.new(b"\x07" * 32, number, hashlib.sha256).digest()[:16]
    assert files.run().records[0].rec_key == expected


def test_csv_gives_the_same_records_as_xlsx(files):
    from_xlsx = files.run()
    files.ending = "csv"
    from_csv = files.run()
    assert [r.rec_key for r in from_csv.records] == [r.rec_key for r in from_xlsx.records]
    assert from_csv.records == from_xlsx.records


def test_csv_with_a_byte_order_mark_is_read(files):
    files.ending = "csv"
    with_mark = {part: b"\xef\xbb\xbf" + data for part, data in files.contents().items()}
    assert files.run(**with_mark).records == files.run().records


def test_counts_and_provenance_tell_rows_and_digests_only(files):
    contents = files.contents()
    result = files.run()
    assert result.counts == {
        "roster_rows": 8,
        "screening_rows": 6,
        "matched": 6,
        "without_row": 2,
        "records": 8,
    }
    told = result.provenance.as_json()
    assert [entry["part"] for entry in told["files"]] == ["roster", "screening", "profile", "codebook"]
    assert told["files"][0]["rows"] == 8
    files.ending = "csv"  # this test's workbooks hold the time at which they were made
    contents, told = files.contents(), files.run().provenance.as_json()
    for entry in told["files"]:
        assert entry["sha256"] == hashlib.sha256(contents[entry["part"]]).hexdigest()
        assert entry["bytes"] == len(contents[entry["part"]])


def test_profile_digest_is_of_its_content_not_of_its_spelling(files):
    first = files.run().provenance.profile
    files.profile = "\ufeff# a remark\n" + files.profile.replace("\n", "\r\n")
    assert files.run().provenance.profile == first
    files.profile = files.profile.replace('"走读" = 1', '"走读" = 2')
    assert files.run().provenance.profile != first


# --- dispositions and consent -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "disposition"),
    [("未测", "3"), ("请假", "4"), ("免测", "5"), ("休学", "5"), ("拒测", "6"), ("借读", "7"), ("转出", "7")],
)
def test_reason_decides_what_an_untested_pupil_counts_as(files, reason, disposition):
    files.set("roster", 8, "未测原因", reason)
    assert files.run().records[7].disposition == disposition


def test_reason_may_stand_in_the_platform_file(files):
    for row, cells in enumerate(files.screening):
        cells.append("未测原因" if row == 0 else None)
    files.screening.append([files.roster[8][0], None, None, None, None, *[None] * 8, None, "拒测"])
    assert files.run().records[7].disposition == "6"


def test_empty_platform_row_is_no_test(files):
    files.screening.append([*files.roster[8][:2], dt.date(2026, 9, 20), None, None, *[None] * 8, None])
    assert files.run().records[7].disposition == "3"


def test_failed_validity_makes_an_invalid_test_without_level_or_score(files):
    files.set("screening", 1, "效度", "未通过")
    record = files.run().records[0]
    assert (record.disposition, record.level1, record.total) == ("2", "9", None)
    assert record.factors_high == frozenset()


def test_level_that_the_codebook_maps_to_nine_makes_an_invalid_test(files):
    files.set("screening", 1, "预警等级", "灰色")
    record = files.run().records[0]
    assert (record.disposition, record.level1, record.total) == ("2", "9", None)


def test_failed_validity_score_makes_an_invalid_test(files):
    files.profile = files.profile.replace("[factors]", 'validity_score = ["效度分"]\n[factors]')
    for row, cells in enumerate(files.screening):
        cells.append("效度分" if row == 0 else (7 if row == 2 else 6))
    assert [r.disposition for r in files.run().records[:3]] == ["1", "2", "1"]


@pytest.mark.parametrize(("consent", "disposition"), [("未登记", "8"), (None, "8"), ("不同意", "6")])
def test_tested_without_consent_leaves_no_psychological_field(files, consent, disposition):
    files.set("roster", 1, "监护人同意", consent)
    record = files.run().records[0]
    assert record.disposition == disposition
    assert (record.level1, record.total, record.instrument, record.administered_on) == ("9", None, "", None)
    assert record.factors_high == frozenset()
    assert (record.grade, record.sex) == ("4", "1")


def test_untested_pupil_who_did_not_agree_counts_as_refused(files):
    files.set("roster", 8, "监护人同意", "不同意")
    assert files.run().records[7].disposition == "6"


def test_record_only_policy_keeps_a_pupil_without_recorded_consent(files):
    files.set("roster", 1, "监护人同意", "未登记")
    record = files.run("record-only").records[0]
    assert (record.disposition, record.level1) == ("1", "2")


def test_consent_may_stand_in_the_platform_file(files):
    files.drop("roster", "监护人同意")
    for row, cells in enumerate(files.screening):
        cells.append("监护人同意" if row == 0 else "同意")
    assert Counter(r.disposition for r in files.run().records) == {"1": 6, "4": 1, "3": 1}


def test_no_consent_at_all_is_a_warning(files):
    for row in range(1, 9):
        files.set("roster", row, "监护人同意", None)
    result = files.run()
    assert places(result) == [("roster", 0, "", "no-consent")]
    assert result.issues[0].severity == "warning"
    assert not result.is_refused
    assert len(result.records) == 8


def test_roster_wins_over_the_platform_for_an_attribute(files):
    for row, cells in enumerate(files.screening):
        cells.append("性别" if row == 0 else "女")
    files.set("roster", 3, "性别", None)
    records = files.run().records
    assert (records[0].sex, records[2].sex) == ("1", "2")


# --- what people's spreadsheets do ---------------------------------------------------------------


def test_invisible_and_full_width_characters_do_not_count(files):
    number = str(files.screening[1][0])
    full_width = "".join(chr(ord(c) + 0xFEE0) for c in number)
    files.set("screening", 1, "学籍号", f"\u200b {full_width}\u00a0")
    files.set("screening", 1, "总分", "\u3000３４")
    files.set("screening", 1, "预警等级", "二级\u200b 预警")
    files.set("roster", 1, "年级", " 四\u00a0年级")
    files.set("roster", 2, "全国学籍号", number.replace("001X", "002x"))
    files.rename("screening", "总分", " 总 分\ufeff")
    assert files.run().records[0].level1 == "2"
    assert not files.run().is_refused


def test_empty_and_ragged_tail_rows_are_left_out(files):
    files.roster += [[None, " ", None], [], ["\u200b"]]
    files.screening.append([None] * 14)
    for files.ending in ("xlsx", "csv"):
        assert len(files.run().records) == 8


def test_header_row_and_sheet_come_from_the_profile(files):
    files.roster.insert(0, ["云岭县某校学籍名册"])
    files.profile = files.profile.replace("[columns]", "[roster]\nheader_row = 2\n[columns]")
    assert len(files.run().records) == 8
    files.roster[2][3] = "大班"
    assert places(files.run()) == [("roster", 3, "D", "unmapped-label")]


@pytest.mark.parametrize(
    "day", ["2026-09-20", "2026/9/20", "2026年9月20日", "20260920", "2026.9.20", "2026-09-20 08:15", 20260920]
)
def test_days_are_read_as_people_write_them(files, day):
    files.set("screening", 1, "测评日期", day)
    assert files.run().records[0].administered_on == dt.date(2026, 9, 20)


def test_several_groups_in_one_cell(files):
    files.profile = files.profile.replace("[factors]", 'groups = ["重点群体"]\n[factors]')
    files.profile += '\n[values.groups]\n"留守" = "g1"\n"残疾" = "g6"\n"心理障碍" = "g3"\n"无" = "none"\n'
    values = ["重点群体", "留守、残疾", "心理障碍;留守", "无", None, None, None, None, None]
    for cells, value in zip(files.roster, values, strict=True):
        cells.append(value)
    files.set("roster", 2, "监护人同意", "未登记")
    records = files.run().records
    assert records[0].groups == {"g1", "g6"}
    assert records[1].groups == {"g1"}  # without consent no diagnosis
    assert records[2].groups == records[3].groups == frozenset()


# --- what is refused -----------------------------------------------------------------------------

Spoil = Callable[..., object]
SPOILT: dict[str, tuple[Spoil, tuple[str, int, str, str]]] = {
    "missing column of the roster": (lambda f: f.drop("roster", "年级"), ("roster", 1, "", "missing-column")),
    "missing column of the platform": (
        lambda f: f.drop("screening", "预警等级"),
        ("screening", 1, "", "missing-column"),
    ),
    "missing factor": (lambda f: f.drop("screening", "身体症状"), ("screening", 1, "", "missing-column")),
    "missing attribute": (lambda f: f.drop("roster", "是否留守儿童"), ("roster", 1, "", "missing-column")),
    "missing consent column": (
        lambda f: f.drop("roster", "监护人同意"),
        ("roster", 1, "", "missing-column"),
    ),
    "renamed column": (
        lambda f: f.rename("screening", "总分", "量表分"),
        ("screening", 1, "", "missing-column"),
    ),
    "column twice": (lambda f: f.rename("roster", "班级", "年级"), ("roster", 1, "", "double-column")),
    "unmapped grade": (lambda f: f.set("roster", 2, "年级", "学前班"), ("roster", 3, "D", "unmapped-label")),
    "unmapped level": (
        lambda f: f.set("screening", 2, "预警等级", "紫色"),
        ("screening", 3, "N", "unmapped-level"),
    ),
    "level as a bare number": (
        lambda f: f.set("screening", 2, "预警等级", 3),
        ("screening", 3, "N", "bare-number"),
    ),
    "attribute as a bare number": (
        lambda f: f.set("roster", 2, "是否留守儿童", 2),
        ("roster", 3, "G", "bare-number"),
    ),
    "attribute as a truth value": (
        lambda f: f.set("roster", 2, "性别", True),
        ("roster", 3, "C", "not-text"),
    ),
    "empty grade": (lambda f: f.set("roster", 2, "年级", None), ("roster", 3, "D", "empty-cell")),
    "total too high": (lambda f: f.set("screening", 2, "总分", 91), ("screening", 3, "E", "score-range")),
    "total too low": (lambda f: f.set("screening", 2, "总分", -1), ("screening", 3, "E", "score-range")),
    "factor too high": (
        lambda f: f.set("screening", 2, "孤独倾向", 11),
        ("screening", 3, "H", "score-range"),
    ),
    "total is text": (lambda f: f.set("screening", 2, "总分", "约30"), ("screening", 3, "E", "not-a-number")),
    "total is a day": (
        lambda f: f.set("screening", 2, "总分", dt.date(2026, 1, 30)),
        ("screening", 3, "E", "not-a-number"),
    ),
    "total missing": (lambda f: f.set("screening", 2, "总分", None), ("screening", 3, "E", "empty-cell")),
    "factor missing": (
        lambda f: f.set("screening", 2, "恐怖倾向", None),
        ("screening", 3, "L", "empty-cell"),
    ),
    "level missing": (lambda f: f.set("screening", 2, "预警等级", None), ("screening", 3, "N", "empty-cell")),
    "day missing": (lambda f: f.set("screening", 2, "测评日期", None), ("screening", 3, "C", "empty-cell")),
    "no such day": (
        lambda f: f.set("screening", 2, "测评日期", "2026-02-30"),
        ("screening", 3, "C", "date-form"),
    ),
    "day as a bare number": (
        lambda f: f.set("screening", 2, "测评日期", 46285 - 1462),  # a workbook that counts from 1904
        ("screening", 3, "C", "date-range"),
    ),
    "day of the year before": (
        lambda f: f.set("screening", 2, "测评日期", dt.date(2026, 8, 31)),
        ("screening", 3, "C", "date-range"),
    ),
    "pupil twice on the roster": (
        lambda f: f.roster.append(list(f.roster[3])),
        ("roster", 10, "A", "duplicate-pupil"),
    ),
    "pupil twice in the platform file": (
        lambda f: f.screening.append(list(f.screening[3])),
        ("screening", 8, "A", "duplicate-pupil"),
    ),
    "pupil not on the roster": (
        lambda f: f.set("screening", 2, "学籍号", "G990001201509019994"),
        ("screening", 3, "A", "not-on-roster"),
    ),
    "number stored as a number": (
        lambda f: f.set("screening", 2, "学籍号", 990001201509010020),
        ("screening", 3, "A", "student-no-damaged"),
    ),
    "number with an exponent": (
        lambda f: f.set("roster", 8, "全国学籍号", "9.90001E+17"),
        ("roster", 9, "A", "student-no-damaged"),
    ),
    "number without its letter": (
        lambda f: f.set("roster", 8, "全国学籍号", "990001201509010083"),
        ("roster", 9, "A", "student-no-letter"),
    ),
    "small number": (
        lambda f: f.set("roster", 8, "全国学籍号", 20260101),
        ("roster", 9, "A", "student-no-form"),
    ),
    "no student number": (
        lambda f: f.set("roster", 8, "全国学籍号", None),
        ("roster", 9, "A", "empty-cell"),
    ),
    "result and reason": (
        lambda f: f.set("roster", 2, "未测原因", "请假"),
        ("roster", 3, "J", "tested-and-excused"),
    ),
    "unknown reason": (
        lambda f: f.set("roster", 8, "未测原因", "不想来"),
        ("roster", 9, "J", "unmapped-label"),
    ),
    "validity unknown": (
        lambda f: f.set("screening", 2, "效度", "可疑"),
        ("screening", 3, "D", "unmapped-label"),
    ),
    "ninth grade is not unknown": (
        lambda f: (f.set("roster", 1, "年级", "九年级"), f.set("roster", 2, "年级", " ")),
        ("roster", 3, "D", "empty-cell"),
    ),
    "no pupil": (lambda f: f.roster.__delitem__(slice(1, None)), ("roster", 0, "", "no-rows")),
    "no header": (lambda f: f.screening.clear(), ("screening", 0, "", "header-not-found")),
}


@pytest.mark.parametrize("case", SPOILT.values(), ids=SPOILT.keys())
@pytest.mark.parametrize("ending", ["xlsx", "csv"])
def test_one_wrong_thing_refuses_everything_by_its_place(files, case, ending):
    spoil, place = case
    spoil(files)
    files.ending = ending
    result = files.run()
    # csv has no types and no empty sheet: the same things are refused, three of them under another name.
    untyped = {
        "number stored as a number": "student-no-letter",
        "attribute as a truth value": "unmapped-label",
    }
    if ending == "csv":
        name = next(name for name, other in SPOILT.items() if other is case)
        place = (*place[:3], {**untyped, "no header": "file-empty"}.get(name, place[3]))
    assert places(result) == [place]
    assert result.is_refused
    assert result.records == ()
    assert result.counts == {}


def test_reasons_of_both_files_must_agree(files):
    for row, cells in enumerate(files.screening):
        cells.append("未测原因" if row == 0 else None)
    files.screening.append([files.roster[7][0], None, None, None, None, *[None] * 8, None, "拒测"])
    assert places(files.run()) == [("roster", 8, "J", "reasons-differ")]


def test_consents_of_both_files_must_agree(files):
    for row, cells in enumerate(files.screening):
        cells.append("监护人同意" if row == 0 else "不同意" if row == 4 else None)
    assert places(files.run()) == [("roster", 5, "I", "consents-differ")]


def with_passes(files):
    """Add the column of passes (测次); all are make-up tests until a test says otherwise."""
    files.profile = files.profile.replace("[factors]", 'sitting = ["测次"]\n[factors]')
    files.profile += '\n[values.sitting]\n"初测" = 1\n"补测" = 2\n"复测" = 3\n'
    for row, cells in enumerate(files.screening):
        cells.append("测次" if row == 0 else "补测")


def test_a_make_up_test_counts_as_the_result(files):
    with_passes(files)
    assert {r.sitting for r in files.run().records if r.is_tested} == {"2"}


def test_a_retest_gives_the_level_after_the_recheck_and_never_the_first(files):
    with_passes(files)
    again = {1: "一级预警", 2: "二级预警", 3: "三级预警"}
    for row, label in again.items():
        cells = list(files.screening[row])
        cells[2], cells[13], cells[14] = dt.date(2026, 10, 8), label, "复测"
        files.screening.append(cells)
    records = files.run().records
    assert [(r.level1, r.level2, r.recheck, r.sitting) for r in records[:4]] == [
        ("2", "1", "1", "2"),
        ("2", "2", "2", "2"),
        ("2", "3", "3", "2"),
        ("2", "9", "0", "2"),
    ]
    assert records[6].recheck == "9"


def test_a_retest_file_of_its_own_gives_the_same(files):
    rows = [list(files.screening[0]), list(files.screening[1])]
    rows[1][2], rows[1][13] = dt.date(2026, 10, 8), "正常"
    rows[1][4:13] = [None] * 9  # a retest is often shorter: its level is enough
    record = files.run(retest=files.encode(rows)).records[0]
    assert (record.level1, record.level2, record.recheck) == ("2", "0", "1")


def test_a_retest_without_a_test_or_before_it_is_refused(files):
    with_passes(files)
    files.set("screening", 4, "测次", "复测")
    assert places(files.run()) == [("screening", 5, "N", "recheck-untested")]
    cells = list(files.screening[1])
    cells[2], cells[14] = dt.date(2026, 9, 1), "复测"
    files.screening.append(cells)
    files.set("screening", 4, "测次", "补测")
    assert places(files.run()) == [("screening", 8, "C", "day-before-test")]


def test_two_valid_results_of_one_pupil_are_refused_and_one_invalid_gives_way(files):
    with_passes(files)
    cells = list(files.screening[1])
    cells[14] = "初测"
    files.screening.append(cells)
    assert places(files.run()) == [("screening", 2, "O", "tested-twice")]
    cells[3], cells[4] = "未通过", None
    assert files.run().records[0].sitting == "2"
    files.screening.append(list(cells))
    assert places(files.run()) == [("screening", 9, "A", "duplicate-pupil")]


def test_all_problems_are_told_at_once(files):
    files.set("roster", 1, "年级", "?")
    files.set("screening", 2, "总分", 91)
    files.set("screening", 2, "预警等级", "紫色")
    files.set("screening", 3, "学籍号", "G990001201509019994")
    assert [code for *_, code in places(files.run())] == [
        "unmapped-label",
        "score-range",
        "unmapped-level",
        "not-on-roster",
    ]


def test_too_many_problems_are_bounded(files):
    for place in range(MAX_ISSUES + 50):
        files.screening.append([f"G99000120150902{place:04d}", *files.screening[1][1:]])
    result = files.run()
    assert len(result.issues) == MAX_ISSUES + 1
    assert result.issues[-1].code == "more-issues"


def test_row_longer_than_the_header_is_refused_in_csv(files):
    files.ending = "csv"
    files.screening[2].insert(1, "王,某")
    files.screening[2][1] = "王"
    result = files.run()
    assert ("screening", 3, "O", "cell-past-header") in places(result)


def test_a_label_of_two_meanings_needs_the_name_of_its_set(files):
    files.set("screening", 2, "预警等级", "三级预警")
    assert files.run().records[1].level1 == "3"
    files.profile = files.profile.replace('levels = "third-is-severe"', 'levels = "first-is-severe"')
    assert files.run().records[1].level1 == "1"
    files.profile = files.profile.replace('levels = "first-is-severe"', "")
    assert places(files.run()) == [("screening", 3, "N", "ambiguous-level")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('levels = "third-is-severe"', 'levels = "no-such-set"'),
        ('phobia = ["恐怖倾向"]', ""),
        ("[values.grade]", 'other = ["别的"]\n[values.grade]'),
    ],
    ids=["label set", "factor left out", "factor too many"],
)
def test_profile_and_codebook_must_fit(files, old, new):
    assert old in files.profile
    files.profile = files.profile.replace(old, new)
    result = files.run()
    assert [issue.code for issue in result.issues] == ["profile-invalid"]
    assert result.records == ()


def test_codebook_that_is_none_is_refused(files):
    result = files.run(codebook=b"total = 90")
    assert result.is_refused
    assert {issue.code for issue in result.issues} == {"codebook-invalid"}


@pytest.mark.parametrize("part", ["roster", "screening", "profile", "codebook"])
def test_missing_file_is_refused(files, part):
    contents = files.contents()
    del contents[part]
    result = import_files(contents, context())
    assert places(result) == [(part, 0, "", "file-missing")]


def test_both_unreadable_files_are_told(files):
    result = files.run(roster=b"%PDF-1.7", screening=b"")
    assert places(result) == [("roster", 0, "", "not-a-table"), ("screening", 0, "", "file-empty")]


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("record_secret", b"short"),
        ("school_year", "2025-2026"),
        ("census_date", dt.date(2027, 9, 1)),
        ("wave", "B"),
        ("school_system", "63"),
        ("consent_policy", "none"),
    ],
)
def test_context_out_of_range_is_refused(key, value):
    values = {
        "record_secret": b"\0" * 32,
        "school_year": "2026-2027",
        "wave": "A",
        "census_date": dt.date(2026, 9, 30),
        "school_system": "6-3",
        "consent_policy": "require",
    }
    ImportContext(**values)
    with pytest.raises(CommandError):
        ImportContext(**{**values, key: value})


# --- nothing of a pupil is ever said -------------------------------------------------------------

CANARIES = ["G99000120150901", "测试", "赵", "钱", "紫色", "不想来", "77.77", "约30", "2026-02-30"]


@pytest.mark.parametrize("case", SPOILT.values(), ids=SPOILT.keys())
@pytest.mark.parametrize("ending", ["xlsx", "csv"])
def test_no_text_of_an_import_holds_what_a_pupil_row_holds(files, case, ending):
    case[0](files)
    if files.screening and "总分" in files.screening[0]:
        files.set("screening", -1, "总分", "77.77")
    files.ending = ending
    said = text_of(files.run())
    assert not [canary for canary in CANARIES if canary in said]


@pytest.mark.parametrize("part", ["profile", "codebook"])
@pytest.mark.parametrize("ending", ["xlsx", "csv"])
def test_a_roster_given_as_profile_or_codebook_is_not_repeated(files, part, ending):
    files.ending = ending
    said = text_of(files.run(**{part: files.contents()["roster"]}))
    assert not [canary for canary in CANARIES if canary in said]


def test_the_traceback_of_a_refusal_holds_no_cell(files):
    files.ending = "csv"
    data = files.contents()["roster"] + '"G990001201509010011,测试'.encode()
    with pytest.raises(ImportingError) as caught:
        read_sheets("roster", data)
    said = "".join(traceback.format_exception(caught.value))
    assert not [canary for canary in CANARIES if canary in said]


def without(profile, *fields):
    lines = profile.splitlines(keepends=True)
    return "".join(line for line in lines if not line.startswith(tuple(f"{name} = " for name in fields)))


def test_names_and_classes_that_the_profile_does_not_read_are_told_with_the_line_to_add(files):
    whole = files.profile
    files.profile = without(whole, "name", "class_no").replace('"name", "class_no"', "").replace(", ]", "]")
    result = files.run()
    assert [(i.file, i.row, i.column, i.code, i.severity, dict(i.values)["line"]) for i in result.issues] == [
        ("roster", 1, "B", "names-not-read", "warning", 'name = ["姓名"]'),
        ("roster", 1, "E", "classes-not-read", "warning", 'class_no = ["班级"]'),
    ]
    assert not any(card.name or card.class_name for card in result.cards)
    lines = [dict(issue.values)["line"] for issue in result.issues]
    files.profile = files.profile.replace("[columns]", "\n".join(["[columns]", *lines]), 1)
    assert files.run().issues == ()
    assert all(card.name and card.class_name for card in files.run().cards)


def test_a_header_that_the_profile_spells_otherwise_is_told_with_the_whole_line(files):
    files.profile = without(files.profile, "name").replace("[columns]", '[columns]\nname = ["本名"]', 1)
    (issue,) = files.run().issues
    assert dict(issue.values) == {"line": 'name = ["本名", "姓名"]'}


def test_an_empty_column_of_names_is_nothing_to_tell(files):
    files.profile = without(files.profile, "name").replace('"name", ', "")
    for row in range(1, 9):
        files.set("roster", row, "姓名", None)
    assert files.run().issues == ()


def test_files_given_the_wrong_way_round_are_told_in_one_sentence(files):
    given = files.contents()

    def codes(**replaced):
        return [(issue.file, issue.code) for issue in files.run(**replaced).issues]

    assert codes(roster=given["screening"], screening=given["roster"]) == [("roster", "files-swapped")]
    assert codes(profile=given["codebook"], codebook=given["profile"]) == [("profile", "rules-swapped")]
    assert codes(roster=given["profile"]) == [("roster", "rules-as-table")]
    assert codes(screening=given["codebook"]) == [("screening", "rules-as-table")]
    assert ("profile", "rules-swapped") not in codes(profile=given["codebook"])


def test_every_code_has_its_message_and_its_advice():
    assert MESSAGES.keys() == ADVICE.keys()
    assert all(text.endswith(".") for text in (*MESSAGES.values(), *ADVICE.values()))


def test_records_do_not_show_themselves(files):
    result = files.run()
    assert "Record(" not in repr(result)
    assert "34" not in repr(result.records[0])


def test_a_part_that_no_import_has_is_refused(files):
    with pytest.raises(CommandError):
        files.run(timetable=b"x")
    with pytest.raises(CommandError):
        import_files(files.contents(), replace(context(), sheets={"retest": "2"}))
