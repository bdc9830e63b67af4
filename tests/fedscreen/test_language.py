"""The catalogue: complete, current, with the placeholders of the source; and the choice of the language."""

from __future__ import annotations

import ast
import gettext
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from fedscreen.language import DOMAIN, LOCALE_DIR, choose_language, speak
from plan import words

babel_extract = pytest.importorskip("babel.messages.extract")
babel_frontend = pytest.importorskip("babel.messages.frontend")
babel_mofile = pytest.importorskip("babel.messages.mofile")
babel_pofile = pytest.importorskip("babel.messages.pofile")

ROOT = Path(__file__).resolve().parents[2]
PO = LOCALE_DIR / "zh_CN" / "LC_MESSAGES" / "fedscreen.po"
ROOMS = (
    "node",
    "coordinator",
    "auditor",
    "pages",
    "paper",
    "results",
    "plan",
    "privacy",
    "crypto",
    "protos",
    "fedscreen",
)
KEYWORDS = {"_": None, "phrase": None, "N_": None, "ngettext": (1, 2)}
PLACE = re.compile(r"%%|%\(\w+\)[-#0-9.]*[a-z]|\{[^{}]*\}")
SAME_IN_BOTH = {
    "TOML",
    "'auto'",
    "tuple: %(reason)s",
    "auditor.toml: %(problem)s",
    "auditors = %(n)s, threshold = %(t)s, collude = %(f)s, quorum = %(q)s",
}


def catalogue() -> dict[str, tuple[str, set[str]]]:
    """Give each msgid (a plural's: the plural form) with its translation and flags."""
    found = {}
    with PO.open("rb") as file:
        for message in babel_pofile.read_po(file, locale="zh_CN"):
            if message.id:
                is_plural = isinstance(message.id, tuple | list)
                msgid = message.id[1] if is_plural else message.id
                text = message.string[0] if is_plural else message.string
                found[msgid] = (text, set(message.flags))
    return found


def used() -> set[str]:
    """Give the msgids in the sources."""
    found = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            if "_pb2" in path.name:
                continue
            with path.open("rb") as file:
                rows = babel_extract.extract("python", file, KEYWORDS, options={"encoding": "utf-8"})
                for _line, message, _comments, _context in rows:
                    found.add(message if isinstance(message, str) else message[1])
    return found | used_in_pages()


def used_in_pages() -> set[str]:
    """Give the msgids in the templates of all pages."""
    found = set()
    rooms = ("node/console", "coordinator/dashboard", "auditor/page", "pages")
    for path in (path for room in rooms for path in (ROOT / room / "templates").glob("*.html")):
        with path.open("rb") as file:
            options = {"encoding": "utf-8", "newstyle_gettext": "true", "silent": "false"}
            rows = babel_extract.extract("jinja2", file, KEYWORDS, options=options)
            found |= {message for _line, message, _comments, _context in rows}
    return found - {""}


def test_every_message_is_in_the_catalogue_and_nothing_else() -> None:
    known, sources = set(catalogue()), used()
    assert sources - known == set(), "run `make locale`, then translate what is new in the .po"
    assert known - sources == set(), "run `make locale`"


def test_every_message_is_translated() -> None:
    missing = [msgid for msgid, (text, _flags) in catalogue().items() if not text]
    assert missing == []


def test_nothing_is_fuzzy() -> None:
    assert [msgid for msgid, (_text, flags) in catalogue().items() if "fuzzy" in flags] == []


def test_placeholders_are_those_of_the_source() -> None:
    wrong = [
        msgid
        for msgid, (text, _flags) in catalogue().items()
        if sorted(PLACE.findall(msgid)) != sorted(PLACE.findall(text))
        and set(PLACE.findall(msgid)) != set(PLACE.findall(text))
    ]
    assert wrong == []


def test_a_lonely_percent_sign_is_no_placeholder() -> None:
    bad = []
    for msgid, (text, _flags) in catalogue().items():
        if PLACE.search(msgid) and "%(" in msgid:
            rest = PLACE.sub("", text)
            if "%" in rest:
                bad.append(msgid)
    assert bad == []


def test_translations_are_chinese_unless_they_are_only_places_and_signs() -> None:
    letters = re.compile(r"[A-Za-z]{3}")
    chinese = re.compile(r"[\u4e00-\u9fff]")
    english = [
        msgid
        for msgid, (text, _flags) in catalogue().items()
        if letters.search(PLACE.sub("", text)) and not chinese.search(text)
    ]
    assert set(english) <= SAME_IN_BOTH


def test_leading_spaces_are_kept_for_indented_lines() -> None:
    shifted = [
        msgid
        for msgid, (text, _flags) in catalogue().items()
        if msgid.startswith("  ") and (len(msgid) - len(msgid.lstrip())) != (len(text) - len(text.lstrip()))
    ]
    assert shifted == []


def test_the_compiled_catalogue_is_that_of_the_source(tmp_path: Path) -> None:
    with PO.open("rb") as source, (tmp_path / "made.mo").open("wb") as target:
        babel_mofile.write_mo(target, babel_pofile.read_po(source, locale="zh_CN"))
    assert (tmp_path / "made.mo").read_bytes() == PO.with_suffix(".mo").read_bytes(), "run `make locale`"


def test_every_marker_function_is_one_that_extraction_reads() -> None:
    """A new marker with another name would leave its messages out of the catalogue without a sound."""
    names = set()
    for room in ROOMS:
        for path in (ROOT / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.ImportFrom) and node.module == "gettext":
                    names |= {alias.asname or alias.name for alias in node.names}
    assert names == {"_", "ngettext"}


def test_every_table_of_words_is_translated() -> None:
    known = catalogue()
    tables = [table for name, table in vars(words).items() if name.isupper()]
    assert len(tables) >= 8
    for table in tables:
        assert set(table.values()) <= set(known)


@pytest.mark.parametrize(
    ("environ", "language"),
    [
        ({}, "zh_CN"),
        ({"LANG": "C.UTF-8"}, "zh_CN"),
        ({"LANG": "zh_CN.UTF-8"}, "zh_CN"),
        ({"LANG": "en_GB.UTF-8"}, "en"),
        ({"LANG": "en_GB.UTF-8", "LC_ALL": "zh_CN.UTF-8"}, "zh_CN"),
        ({"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_US.UTF-8"}, "en"),
        ({"FEDSCREEN_LANG": "en", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"FEDSCREEN_LANG": "zh", "LANG": "en_US.UTF-8"}, "zh_CN"),
        ({"FEDSCREEN_LANG": "", "LANG": "en_US.UTF-8"}, "en"),
    ],
    ids=["nothing", "C", "zh", "en", "LC_ALL first", "LC_MESSAGES", "asked en", "asked zh", "empty"],
)
def test_the_language_is_chosen(environ: dict[str, str], language: str) -> None:
    assert choose_language(environ) == language


def test_speak_sets_what_gettext_and_children_read(monkeypatch: pytest.MonkeyPatch) -> None:
    bound: dict[str, str] = {}
    monkeypatch.setattr(gettext, "bindtextdomain", lambda domain, folder: bound.update({domain: folder}))
    monkeypatch.setattr(gettext, "textdomain", lambda domain: bound.update(current=domain))
    environ = {"FEDSCREEN_LANG": "en"}
    speak(environ)
    assert environ["LANGUAGE"] == "en"
    assert bound == {DOMAIN: str(LOCALE_DIR), "current": DOMAIN}


def run(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("LC_", "LANG"))}
    clean.pop("FEDSCREEN_LANG", None)
    return subprocess.run(
        [sys.executable, "-m", "fedscreen", *arguments],
        cwd=ROOT,
        env={**clean, **environ},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.mark.process
@pytest.mark.parametrize(
    "arguments",
    [("node", "import", "--help"), ("auditor", "bundle", "--help")],
    ids=["node import", "auditor bundle"],
)
def test_help_is_chinese_unless_english_is_asked_for(arguments: tuple[str, ...]) -> None:
    chinese, english = run(*arguments), run(*arguments, FEDSCREEN_LANG="en")
    assert (chinese.returncode, english.returncode) == (0, 0)
    assert "选项:" in chinese.stdout
    assert "Options:" in english.stdout
    assert not CHINESE.search(english.stdout)
    plain = re.sub(r"(?m)^用法: .*|^ +-.*?  |^ {2}[a-z-]+ {2,}|\[[a-z|A-Z0-9-]+\]", "", chinese.stdout)
    assert not re.search(r"[a-z]{3,} [a-z]{3,} [a-z]{3,}", plain), plain


@pytest.mark.process
def test_refusals_are_in_the_readers_language(tmp_path: Path) -> None:
    (tmp_path / "plan.toml").write_text('format = "fedscreen/plan/v1"\nodd = 1\n', "utf-8")
    arguments = ("plan", "check", str(tmp_path / "plan.toml"))
    chinese, english = run(*arguments), run(*arguments, FEDSCREEN_LANG="en")
    assert (chinese.returncode, english.returncode) == (1, 1)
    assert "未知的键" in chinese.stderr
    assert "an unknown key" in english.stderr
    for command in ("coordinator", "auditor", "node"):
        other = run(
            command,
            "round" if command == "coordinator" else "status",
            *(["status"] if command == "coordinator" else []),
            "--dir",
            str(tmp_path / command),
        )
        assert other.returncode == 1
        assert other.stderr.startswith("拒绝：")
        assert "请先运行" in other.stderr


@pytest.mark.process
def test_json_is_english_in_every_language(tmp_path: Path) -> None:
    result = run("node", "status", "--dir", str(tmp_path / "n"), "--json")
    assert result.returncode == 1
    assert not CHINESE.search(result.stdout)
    assert '"error"' in result.stdout
