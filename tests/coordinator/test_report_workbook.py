"""The workbook: its sheets and charts, the release's numbers, no formula, the same bytes; LibreOffice."""

from __future__ import annotations

import io
import json
import math
import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import report_samples as samples
from python_calamine import CalamineWorkbook

from coordinator.errors import ReportError
from coordinator.reports import KINDS, render
from coordinator.reports.workbook import make_workbook
from plan.codes import GRADE, LEVEL, SEX, STAGE
from results.release_class import CLASSES, narrow

SHEETS = [
    "封面与口径说明",
    "表1 测评组织情况",
    "表2 预警等级分布",
    "表3 重点群体预警情况",
    "表4 因子偏高情况",
    "表5 复测复核情况",
    "表6 一生一策与预警库",
    "表7 转介与闭环",
    "表8 与上次测评比较",
    "表9 学校条件",
    "附表 指标口径",
    "附表 数据质量与隐私说明",
    "附表 审计凭证",
]
WITHHELD = "样本过小"
TRIGGERS = tuple("=+-@\t\r＝＋－＠")
ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", autouse=True)
def _bound() -> None:
    samples.bind()


@pytest.fixture(scope="module")
def book() -> bytes:
    return render(samples.model(), "xlsx", "zh_CN", conditions=samples.conditions())


def sheets_of(data: bytes) -> dict[str, list[list[Any]]]:
    found = CalamineWorkbook.from_filelike(io.BytesIO(data))
    return {name: found.get_sheet_by_name(name).to_python() for name in found.sheet_names}


def tables_in(rows: list[list[Any]]) -> Iterator[tuple[list[str], dict[str, list[Any]]]]:
    """Yield the tables of a sheet: header, and the cells of each row by its name."""
    header: list[str] = []
    lines: dict[str, list[Any]] = {}
    for row in rows:
        if "±" in row:
            header, lines = [str(cell) for cell in row], {}
        elif header and row[0] != "" and len([c for c in row if c != ""]) > 1:
            lines[str(row[0])] = row
        elif header:
            yield header, lines
            header = []


def expected(value: dict[str, Any]) -> tuple[float, float] | None:
    """Say what may be printed of an archived number: None, or the number and its margin."""
    if value["shown"] == WITHHELD:
        return None
    if value["unit"] == "%":
        shown, margin = value["shown"].split(" ± ")
        return float(shown), float(margin)
    shown = 5 * math.floor(value["released"] / 5 + 0.5)
    return shown, math.ceil(max(shown - value["low95"], value["high95"] - shown))


def check(cells: list[Any], at: int, value: dict[str, Any]) -> None:
    wanted = expected(value)
    if wanted is None:
        assert cells[at] in (WITHHELD, "<10")
        assert cells[at + 1] == ""
    else:
        assert (cells[at], cells[at + 1]) == pytest.approx(wanted)


ROWS = {
    **{name: {"stage": code} for code, name in STAGE.items()},
    **{name: {"grade": code} for code, name in GRADE.items()},
    **{name: {"sex": code} for code, name in SEX.items()},
    "合计": {},
}
COLUMNS = {
    "应测": "IND-01",
    "测评覆盖率（%）": "IND-02",
    "覆盖率（分母含请假）（%）": "IND-02/leave",
    "有效率（%）": "IND-04",
    "未同意/拒测率（%）": "IND-06",
    "一般关注及以上检出率（%）": "IND-08/1+",
    "需要关注及以上检出率（%）": "IND-08/2+",
    "重点关注检出率（%）": "IND-08/3",
    **{LEVEL[code]: f"IND-07/{code}" for code in "123"},
}


def test_the_sheets_have_the_names_of_the_form_in_their_order(book: bytes) -> None:
    assert list(sheets_of(book)) == SHEETS


def test_numbers_are_those_of_the_archive(book: bytes) -> None:
    archive = samples.archived()["indicators.json"]["indicators"]
    known = {(row["id"], tuple(sorted(row["keys"].items()))): row for row in archive}
    compared = 0
    for name in SHEETS[1:3]:
        for header, lines in tables_in(sheets_of(book)[name]):
            for label, cells in lines.items():
                for title, entry in COLUMNS.items():
                    value = known.get((entry, tuple(sorted(ROWS[label].items()))))
                    if title in header and value:
                        check(cells, header.index(title), value)
                        compared += 1
    assert compared > 150


def test_levels_are_those_of_the_summary_of_the_release(book: bytes) -> None:
    summary = samples.archived()["release.json"]["summary"]["levels"]
    header, lines = next(tables_in(sheets_of(book)[SHEETS[2]]))
    compared = 0
    for row in summary:
        label = STAGE.get(row["keys"].get("stage", ""), "合计")
        check(lines[label], header.index(LEVEL[row["keys"]["level"]]), {**row, "unit": "人"})
        compared += 1
    assert compared == 25


def test_numbers_are_numbers_and_what_is_withheld_is_a_word(book: bytes) -> None:
    found = [
        cell
        for header, lines in tables_in(sheets_of(book)[SHEETS[1]])
        for cells in lines.values()
        for place, cell in enumerate(cells)
        if header[place] != "" and place > 0
    ]
    assert {type(cell) for cell in found} == {float, str}
    assert {cell for cell in found if isinstance(cell, str)} <= {WITHHELD, "<10", "—", ""}
    assert WITHHELD in found


def test_every_sheet_says_whose_it_is_what_it_is_and_how_to_read_it(book: bytes) -> None:
    for name, rows in sheets_of(book).items():
        text = "\n".join(str(cell) for row in rows for cell in row)
        for words in (
            "样例县",
            "内部 · 估计数，不作统计报表数据",
            "填报单位（盖章）",
            "填表人",
            "填报日期",
            "本表为经隐私保护处理的汇总统计，含随机扰动，不得用于核对个人、班级或学校排名。",
            "测评结果仅供教育关怀工作参考，不作为医学诊断。",
            "本系统不用于紧急情况上报。发现学生有自伤、伤人风险，请立即按应急预案告知监护人并就医。",
        ):
            assert words in text, (name, words)


def test_the_cover_says_the_deadline_in_force_the_day_of_release_and_what_is_rounded() -> None:
    model = samples.model()
    closes, day = datetime(2026, 12, 9, 15, tzinfo=UTC), datetime(2026, 12, 11, 17, tzinfo=UTC)
    assert model.head.released is None
    known = replace(model, head=replace(model.head, closes=closes, released=day))
    for kind in ("json", "html", "xlsx"):
        data = render(known, kind, "en")
        if kind == "xlsx":
            data = json.dumps(sheets_of(data)["Cover and reading notes"]).encode()
        text = re.sub(r"<[^>]+>|[\s\",:]+|value", " ", data.decode())
        text = " ".join(text.split())
        assert "Deadline in force 2026-12-09" in text, kind
        assert "Numbers released on 2026-12-12" in text, kind  # by the clock of China
        assert "judged before it is rounded to a multiple of 5" in text, kind
    assert "Numbers released on" not in render(model, "json", "en").decode()


def test_pages_are_a4_landscape_with_class_and_number(book: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        pages = [archive.read(name).decode() for name in archive.namelist() if "worksheets/sheet" in name]
    assert len(pages) == len(SHEETS)
    for page in pages:
        assert 'paperSize="9"' in page
        assert 'orientation="landscape"' in page
        assert "内部" in re.findall("<oddHeader>(.*?)</oddHeader>", page)[0]
        assert "&amp;P / &amp;N" in page


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("autumn-full", ["barChart", "lineChart", "barChart"]),
        ("follow-up", ["barChart"]),
        ("ledgers", []),
    ],
)
def test_charts_are_drawn_by_the_spreadsheet_program(name: str, kinds: list[str]) -> None:
    data = render(samples.model(name), "xlsx", "zh_CN")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        charts = [archive.read(item).decode() for item in archive.namelist() if "charts/chart" in item]
    assert [re.findall("<c:(barChart|lineChart)>", text)[0] for text in charts] == kinds
    if name == "autumn-full":
        assert all("<c:errBars>" in text for text in charts[1:])
        assert "<a:pattFill" in charts[0]


def test_the_matrix_from_autumn_to_spring_is_a_heat_table() -> None:
    data = render(samples.model("spring-monitor"), "xlsx", "zh_CN")
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        page = archive.read("xl/worksheets/sheet9.xml").decode()
    assert page.count("colorScale>") == 8  # a scale for each of four rows


@pytest.mark.parametrize("text", samples.HOSTILE)
def test_a_hostile_name_does_no_harm(text: str) -> None:
    model = samples.named(text)
    with zipfile.ZipFile(
        io.BytesIO(render(model, "xlsx", "zh_CN", conditions=samples.conditions()))
    ) as archive:
        for name in archive.namelist():
            page = archive.read(name).decode()
            if "worksheets" in name:
                assert "<f>" not in page
                assert "hyperlink" not in page
        strings = re.findall("<t[^>]*>(.*?)</t>", archive.read("xl/sharedStrings.xml").decode(), re.DOTALL)
    assert strings
    assert not [words for words in strings if words.startswith(TRIGGERS)]
    json.loads(render(model, "json", "zh_CN", conditions=samples.conditions()))
    data = render(model, "csv.zip", "zh_CN", conditions=samples.conditions())
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        for name in archive.namelist():
            raw = archive.read(name)
            assert raw.startswith(b"\xef\xbb\xbf")
            assert not re.search('(^|,)"[=+@\t＝＋－＠-]', raw.decode("utf-8-sig"), re.MULTILINE)


def test_facts_by_school_are_for_the_class_internal_only() -> None:
    narrowed = replace(samples.model(), head=replace(samples.model().head, plan_class="public"))
    for name in ("internal", "on-request", "public"):
        model = narrow(narrowed, CLASSES[name])
        text = render(model, "json", "zh_CN", conditions=samples.conditions()).decode()
        assert ("第3中学" in text) == (name == "internal")
        assert {"internal": "内部", "on-request": "依申请", "public": "主动公开"}[name] in text


def test_nothing_ranks_or_names_a_school_by_alerts() -> None:
    for name in ("autumn-full", "spring-monitor", "follow-up", "ledgers"):
        found = json.loads(render(samples.model(name), "json", "zh_CN", conditions=samples.conditions()))
        for part in found["parts"]:
            if part["name"] != "表9 学校条件":
                assert "中学" not in json.dumps(part["tables"], ensure_ascii=False).replace("中学≥", "")


def test_an_unknown_kind_or_language_is_refused() -> None:
    with pytest.raises(ReportError, match="kind"):
        render(samples.model(), "xls", "zh_CN")
    with pytest.raises(ReportError, match="language"):
        render(samples.model(), "xlsx", "fr")


SCRIPT = """
import hashlib, locale, sys
import report_samples as samples
from coordinator.reports import KINDS, render
locale.setlocale(locale.LC_ALL, "")
samples.bind()
model = samples.model("follow-up", samples.SMALL_SIZE)
for kind in KINDS:
    for language in ("zh_CN", "en") if kind in ("xlsx", "html") else ("zh_CN",):
        data = render(model, kind, language, conditions=samples.conditions())
        print(kind, language, hashlib.sha256(data).hexdigest())
"""


def test_the_same_release_gives_the_same_bytes_in_every_process() -> None:
    settings = (
        {"PYTHONHASHSEED": "1", "TZ": "Asia/Shanghai", "LC_ALL": "C.UTF-8"},
        {"PYTHONHASHSEED": "77", "TZ": "America/New_York", "LC_ALL": "C", "LANGUAGE": "en"},
    )
    runs = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT],
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PYTHONPATH": f"{ROOT}:{ROOT / 'tests'}", **extra},
            stdout=subprocess.PIPE,
            text=True,
        )
        for extra in settings
    ]
    first, second = (run.communicate(timeout=120)[0].splitlines() for run in runs)
    assert len(first) == len(KINDS) + 2
    assert first == second


SOFFICE = shutil.which("soffice")


@pytest.mark.skipif(SOFFICE is None, reason="LibreOffice (soffice) is not installed")
def test_libreoffice_opens_it_with_every_sheet_and_chart_and_no_formula(tmp_path: Path) -> None:
    model = samples.named(samples.HOSTILE[0])
    source = tmp_path / "report.xlsx"
    source.write_bytes(render(model, "xlsx", "zh_CN", conditions=samples.conditions()))
    command = [
        str(SOFFICE),
        f"-env:UserInstallation=file://{tmp_path / 'profile'}",
        "--headless",
        *("--convert-to", "xlsx:Calc MS Excel 2007 XML", "--outdir", str(tmp_path / "out"), str(source)),
    ]
    subprocess.run(command, check=True, capture_output=True, timeout=120)
    data = (tmp_path / "out" / "report.xlsx").read_bytes()
    opened, written = sheets_of(data), sheets_of(source.read_bytes())
    assert list(opened) == SHEETS
    for name in SHEETS[1:5]:
        numbers = [[cell for cell in row if isinstance(cell, float)] for row in written[name]]
        again = [[cell for cell in row if isinstance(cell, float)] for row in opened[name]]
        assert [row for row in again if row] == [row for row in numbers if row]
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        names = archive.namelist()
        pages = [archive.read(name).decode() for name in names if "worksheets/sheet" in name]
        strings = archive.read("xl/sharedStrings.xml").decode()
    assert sum("charts/chart" in name for name in names) == 3
    assert not any("<f" in re.sub("<(firstFooter|formula)", "", page) for page in pages)
    assert not any("ddeLink" in name or "externalLink" in name for name in names)
    assert "&apos;=cmd|" in strings or "'=cmd|" in strings


def test_the_cover_lists_every_other_sheet() -> None:
    from coordinator.reports.material import Material
    from paper.speech import speech_of

    document = make_workbook(Material(samples.model(), speech_of("en")))
    listed = document.parts[0].blocks[-1].rows  # type: ignore[union-attr]
    assert [row[1] for row in listed] == [part.name for part in document.parts[1:]]
    assert all(len(part.name) <= 31 for part in document.parts)
