"""The school's own report as files: what stands on every page, what can do no harm, and the command."""

from __future__ import annotations

import gettext
import html
import importlib.util
import io
import json
import re
import stat
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from click.testing import CliRunner
from click.testing import Result as Ran
from fakes_vault import pupils
from python_calamine import CalamineWorkbook

from node.cli import node as group
from node.errors import ConfigError
from node.local_report import words
from node.local_report.compose import make_document
from node.local_report.document import Document, Share, cell_text
from node.local_report.html import encode_html
from node.local_report.pdf import encode_pdf
from node.local_report.workbook import encode_workbook, sheet_names
from node.vault.follow_up_form import open_steps
from node.vault.local_report import EXACT, HAND_IN, Wave, report_tables
from node.vault.report_axes import (
    ATTRIBUTES,
    CLOSING,
    FOLLOW_UP,
    GROUPS,
    MORE_ATTRIBUTES,
    OUTCOMES,
    POOL,
    RECHECK,
    REFERRAL,
    REVIEW,
    STATUS,
)
from plan.codes import GRADE, WAVE

EVIL = '=1+1<script>alert("&")</script>'
BANNED = ("问题学生", "患者", "心理疾病", "异常学生", "诊断为", "patient", "illness", "disorder", "abnormal")
HEAD = {
    "operator": f"示例{EVIL}",
    "node": "s",
    "school_year": "2026-2027",
    "wave": "A",
    "census_date": "2026-09-05",
    "imported": "",
    "instruments": [["mht", "2026.1"]],
    "has_classes": 1,
}


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", "en")


def counts_of(version: str) -> dict[str, Any]:
    """Make an answer with every kind of table, over made-up counts."""
    records = pupils(400)
    classes = {record.rec_key: str(1 + place % 4) for place, record in enumerate(records)}
    statuses = {record.rec_key: STATUS.code_of(record) for record in pupils(400, shift=1)}
    wave = Wave(tuple(records), classes, statuses, ("learning",))
    mark = {"who": f"王{EVIL}" * (version == EXACT), "when": "2026-10-01T16:30:00Z", "why": EVIL}
    tables = report_tables(wave, version)
    before = {"school_year": "2025-2026", "wave": "S"}
    return {**HEAD, "version": version, "mark": mark, "tables": tables, "before": before, "floor": 10}


def list_answer() -> dict[str, Any]:
    pupil = {
        "name": EVIL,
        "no": "+1",
        "grade": "7",
        "class": "@1",
        "level1": "3",
        "level": "2",
        "critical": "1",
        "recheck": "1",
        "open": ["reviewed", "closed"],
    }
    mark = {"who": f"王{EVIL}", "when": "2026-10-01T16:30:00Z", "why": "研判"}
    return {**HEAD, "version": "follow-up", "mark": mark, "pupils": [pupil] * 60}


ANSWERS = [lambda: counts_of(HAND_IN), lambda: counts_of(EXACT), list_answer]
IDS = ["hand-in", "exact", "follow-up"]


def parts_of(book: bytes) -> dict[str, str]:
    with zipfile.ZipFile(io.BytesIO(book)) as archive:
        return {name: archive.read(name).decode() for name in archive.namelist() if name.endswith("xml")}


def texts_of(document: Document) -> set[str]:
    tables = [table for section in document.sections for table in section.tables]
    cells = {cell_text(cell) for table in tables for row in table.rows for cell in row}
    return (
        cells
        | {text for table in tables for text in (table.title, table.note, *table.header)}
        | {
            *(text for pair in (*document.facts, *document.figures) for text in pair),
            *(section.title for section in document.sections),
            *(*document.notes, *document.footers, document.title, document.subtitle, document.mark),
        }
    )


@pytest.mark.parametrize("make_answer", ANSWERS, ids=IDS)
def test_a_page_shows_everything_and_nothing_in_it_runs_or_loads(make_answer: Any) -> None:
    document = make_document(make_answer())
    page = encode_html(document).decode()
    shown = html.unescape(re.sub(r"<[^>]*>", "\n", page))
    assert not {text for text in texts_of(document) if text and text not in shown}
    assert "<script" not in page
    assert not re.search(r"\b(src=|href=|url\()", page)
    assert "default-src 'none'" in page
    watermark = html.escape(document.watermark)
    assert page.count(watermark) > 2  # over the page, and at the foot of every printed one


@pytest.mark.parametrize("make_answer", ANSWERS, ids=IDS)
def test_a_workbook_shows_everything_as_text_and_says_who_on_every_sheet(make_answer: Any) -> None:
    document = make_document(make_answer())
    book = encode_workbook(document)
    sheets = [sheet.to_python() for sheet in sheets_of(book)]
    assert len(sheets) == 1 + len(document.sections)
    for name, part in parts_of(book).items():
        if name.startswith("xl/worksheets/"):
            assert "<f>" not in part
            assert document.watermark.replace("&", "&&") in html.unescape(part)
    assert all(document.watermark in str(rows) for rows in sheets)
    texts = {cell for rows in sheets for row in rows for cell in row if isinstance(cell, str)}
    assert {text for text in texts_of(document) if text and not number(text)} <= texts
    cells = [cell for s in document.sections for t in s.tables for row in t.rows for cell in row]
    numbers = sorted(cell for rows in sheets for row in rows for cell in row if isinstance(cell, float))
    wanted = [float(cell) for cell in cells if isinstance(cell, int)]
    wanted += [round(cell.value, 6) for cell in cells if isinstance(cell, Share)]
    assert numbers == pytest.approx(sorted(wanted))


def sheets_of(book: bytes) -> Iterator[Any]:
    workbook = CalamineWorkbook.from_filelike(io.BytesIO(book))
    return (workbook.get_sheet_by_name(name) for name in workbook.sheet_names)


def number(text: str) -> bool:
    return text[:1].isdigit()


@pytest.mark.parametrize("make_answer", ANSWERS, ids=IDS)
def test_the_same_report_gives_the_same_bytes(make_answer: Any) -> None:
    for encode in (encode_html, encode_workbook, encode_pdf):
        assert encode(make_document(make_answer())) == encode(make_document(make_answer()))


def test_a_pdf_is_written_with_what_looks_like_markup_in_it() -> None:
    for answer in ANSWERS:
        data = encode_pdf(make_document({**answer(), "operator": '#panic("x") $ ] */ \\ "'}))
        assert data.startswith(b"%PDF-")
        assert len(data) > 20_000


def test_without_typst_or_a_chinese_font_it_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    document = make_document(list_answer())
    monkeypatch.setattr("node.local_report.pdf.CHINESE_FONTS", ("No Such Font",))
    with pytest.raises(ConfigError) as refused:
        encode_pdf(document)
    assert refused.value.code == "no-font"
    monkeypatch.setitem(sys.modules, "typst", None)
    with pytest.raises(ConfigError) as refused:
        encode_pdf(document)
    assert refused.value.code == "no-typst"


def test_the_hand_in_version_has_no_number_of_one_to_nine_pupils() -> None:
    document = make_document(counts_of(HAND_IN))
    cells = [cell for s in document.sections for table in s.tables for row in table.rows for cell in row]
    assert not [cell for cell in cells if isinstance(cell, int) and 0 < cell < 10]
    assert "10" in document.notes[0]


def test_a_school_of_six_pupils_gets_a_report_that_says_why_it_is_empty() -> None:
    tables = report_tables(Wave(tuple(pupils(6))), HAND_IN)
    document = make_document({**counts_of(HAND_IN), "tables": tables})
    assert tables == []
    assert document.figures == ()
    assert [section.tables for section in document.sections] == [()]
    for encode in (encode_html, encode_workbook, encode_pdf):
        assert encode(document)


def school_line(*blocks: tuple[tuple[str, ...], int]) -> list[tuple[Any, ...]]:
    """Give the rows of the first table for a school whose columns are merged like this."""
    table = {
        "id": "school",
        "rows": [[[""]]],
        "columns": [list(codes) for codes, _count in blocks],
        "counts": [[count for _codes, count in blocks]],
        "coverage": [{"expected": {}, "with_leave": {}}],
    }
    document = make_document({**counts_of(HAND_IN), "tables": [table]})
    return [(name, count) for name, count, _share in document.sections[0].tables[0].rows]


def test_the_table_of_who_was_tested_adds_up_also_where_the_untested_are_merged_with_a_level() -> None:
    none = (("d7", "d8", "d5", "d4", "d6"), 0)
    merged = school_line(none, (("d3", "d2", "l0"), 14), (("l1",), 10), (("l2", "l3"), 12))
    assert [count for _name, count in merged] == [0, 14, 22, 36]
    assert merged[1][0] == "routine observation, or not tested, invalid test"
    assert merged[2][0] == "general attention or more"
    apart = school_line(none, (("d3", "d2"), 14), (("l0", "l1", "l2", "l3"), 22))
    assert [name for name, _count in apart][1:] == ["not tested, invalid test", "valid test", "Enrolled"]
    whole = school_line((tuple(STATUS.codes), 36))
    assert [count for _name, count in whole] == [36, 36]


def test_a_list_without_any_name_says_which_line_the_profile_lacks() -> None:
    answer = list_answer()
    assert "columns" not in make_document(answer).sections[0].note
    for pupil in answer["pupils"]:
        pupil["name"] = ""
    assert 'name = ["姓名"] under [columns]' in make_document(answer).sections[0].note


def test_the_secret_versions_say_so_and_the_list_tells_of_emergencies_first() -> None:
    hand_in, exact, names = (make_document(answer()) for answer in ANSWERS)
    assert [d.is_secret for d in (hand_in, exact, names)] == [False, True, True]
    assert exact.footers[0] != hand_in.footers[0] != names.footers[0]
    assert all(words.FOOTERS[1:] == d.footers[1:] for d in (hand_in, exact, names))
    assert names.warning == words.FOOTERS[2]
    assert "2026-10-02 00:30" in names.watermark  # Beijing time


def test_every_code_has_a_word() -> None:
    axes = (RECHECK, REVIEW, REFERRAL, CLOSING, POOL, *OUTCOMES, *ATTRIBUTES, *MORE_ATTRIBUTES)
    for axis in axes:
        assert set(axis.codes) == set(words.AXES[axis.id]), axis.id
        assert axis.id in words.TITLES
    assert {axis.id for axis in FOLLOW_UP} <= words.TITLES.keys()
    assert set(words.STATUS) == set(STATUS.codes)
    assert set(words.GRADES) == set(GRADE)
    assert set(words.WAVES) == set(WAVE)
    assert set(words.GROUPS) == set(GROUPS)
    source = Path(open_steps.__code__.co_filename).read_text("utf-8").split("def open_steps", 1)[1]
    steps = set(re.findall(r'"(\w+)"', source.split("def ", 1)[0])) & set(words.STEPS)
    assert steps == set(words.STEPS)


@pytest.mark.parametrize("language", ["en", "zh_CN"])
def test_no_word_calls_a_pupil_ill_or_a_problem(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LANGUAGE", language)
    for make_answer in ANSWERS:
        text = " ".join(texts_of(make_document(make_answer())))
        assert not [word for word in BANNED if word in text]
    assert gettext.gettext("no such message id") == "no such message id"


@pytest.mark.parametrize(
    ("codes", "text"),
    [
        (["d7"], "elsewhere or moved away"),
        (["d3", "d2"], "not tested, invalid test"),
        (list(STATUS.codes), "all enrolled"),
        (list(STATUS.codes[:7]), "no valid test"),
        (["l0", "l1", "l2", "l3"], "valid test"),
        (["l2", "l3"], "needs attention or more"),
        (["l0", "l1"], "routine observation, general attention"),
        (["d2", "l0"], "routine observation, or invalid test"),
        ([*STATUS.codes[:7], "l0", "l1"], "general attention or less, or no valid test"),
    ],
)
def test_merged_codes_are_named_as_people_would(codes: list[str], text: str) -> None:
    assert words.status_block(codes) == text


def test_sheets_get_names_that_they_may_have() -> None:
    names = sheet_names(["a/b[c]", "x" * 40, "X" * 31, "", "x" * 31])
    assert len({name.lower() for name in names}) == 5
    assert all(0 < len(name) <= 31 and not set(name) & set("[]:*?/\\") for name in names)


# ---------------------------------------------------------------- the commands


@pytest.fixture(scope="module")
def traps() -> ModuleType:
    path = Path(__file__).parent / "importing" / "traps.py"
    spec = importlib.util.spec_from_file_location("report_traps", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["report_traps"] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, traps: ModuleType) -> Iterator[Path]:
    """A node with a psychologist and the records of the good school."""
    root = tmp_path_factory.mktemp("report")
    (root / "fedscreen-database-key").write_bytes(bytes(range(60, 92)))
    (root / "passphrase").write_text("correct horse battery\n")
    (root / "passphrase").chmod(0o600)
    for part, data in traps.School().files().items():
        (root / part).write_bytes(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CREDENTIALS_DIRECTORY", str(root))
        patch.setenv("LANGUAGE", "en")
        done(run(root / "node", "init", "--federation", "f", "--id", "s", "--operator", "一中"))
        done(run(root / "node", "role add", "psychologist", *HOLDER, str(root / "passphrase")))
        files = [
            word
            for part in ("roster", "screening", "profile", "codebook")
            for word in (f"--{part}", str(root / part))
        ]
        target = ("--wave", "A", "--school-year", "2026-2027", "--census-date", "2026-09-30")
        done(run(root / "node", "import", *files, *target))
        yield root


HOLDER = ("--holder", "王老师", "--role-passphrase-file")


def run(folder: Path, command: str, *arguments: str) -> Ran:
    found = CliRunner().invoke(group, [*command.split(), "--dir", str(folder), *arguments])
    if found.exception and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found


def done(ran: Ran) -> Ran:
    assert ran.exit_code == 0, ran.output
    return ran


@pytest.mark.process
def test_the_list_is_written_for_its_owner_only_and_the_hand_in_version_names_nobody(
    folder: Path, traps: ModuleType, tmp_path: Path
) -> None:
    named, plain = tmp_path / "list.html", tmp_path / "report.xlsx"
    who = (*HOLDER, str(folder / "passphrase"), "--reason", "期末研判")
    done(run(folder / "node", "report", "--out", str(named), "--follow-up", *who))
    assert stat.S_IMODE(named.stat().st_mode) == 0o600
    assert traps.NAMES[0] in named.read_text("utf-8")
    assert "王老师" in named.read_text("utf-8")
    shown = json.loads(done(run(folder / "node", "report", "--out", str(plain), "--json", *who[:4])).output)
    assert shown == {"version": "hand-in", "school_year": "2026-2027", "wave": "A", "file": str(plain)}
    assert not [
        name for name in traps.NAMES for text in parts_of(plain.read_bytes()).values() if name in text
    ]


@pytest.mark.process
def test_the_template_of_a_roster_is_written_with_its_profile(
    folder: Path, traps: ModuleType, tmp_path: Path
) -> None:
    book, profile = tmp_path / "book.xlsx", tmp_path / "profile.toml"
    out = ("--out", str(book), "--profile-out", str(profile))
    files = ("--roster", str(folder / "roster"), "--codebook", str(folder / "codebook"))
    done(run(folder / "node", "template", *files, *out))
    assert stat.S_IMODE(book.stat().st_mode) == 0o600
    assert traps.NAMES[7] in str(next(sheets_of(book.read_bytes())).to_python())
    assert "[columns]" in profile.read_text("utf-8")


@pytest.mark.process
def test_a_template_is_never_written_over_and_names_the_next_command(folder: Path, tmp_path: Path) -> None:
    book, profile = tmp_path / "my book.xlsx", tmp_path / "profile.toml"
    codebook = str(folder / "codebook")
    asks = ("template", "--codebook", codebook, "--out", str(book), "--profile-out", str(profile))
    shown = done(run(folder / "node", *asks)).output
    assert "empty rows" in shown
    assert "own roster with names" not in shown
    named = f'--roster "{book}" --screening "{book}" --profile {profile} --codebook {codebook}'
    assert f"then: fedscreen node import {named}" in shown
    for left, other in ((book, profile), (profile, book)):
        other.unlink()
        before = left.read_bytes()
        refused = run(folder / "node", *asks, "--json")
        assert (refused.exit_code, json.loads(refused.output)["error"]) == (1, "exists")
        assert (left.read_bytes(), other.exists()) == (before, False)
        done(run(folder / "node", *asks[:-4], "--out", str(tmp_path / "o"), "--profile-out", str(other)))
        (tmp_path / "o").unlink()


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (("--out", "a.xlsx", "--exact"), 2),
        (("--out", "a.xlsx", "--exact", "--follow-up"), 2),
        (("--out", "a.xlsx", "--reason", "期末研判"), 2),
        (("--out", "a.docx"), 1),
    ],
    ids=["no holder", "both", "reason for hand-in", "another ending"],
)
def test_wrong_usage_is_told_before_the_vault_is_opened(
    tmp_path: Path, arguments: tuple[str, ...], exit_code: int
) -> None:
    assert run(tmp_path / "nowhere", "report", *arguments).exit_code == exit_code
