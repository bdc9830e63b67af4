"""`auditor init`, `join`, `keys show`: one fingerprint in three ways, told by telephone and compared."""

from __future__ import annotations

import html
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auditor.cli import auditor
from auditor.config import AuditorFolder
from auditor.enrol import make_request
from auditor.fingerprint_sheet import Shown, sheet
from crypto.fingerprint import fingerprint, fingerprint_words, read_fingerprint
from protos.enrolment import parse_request

Run = Callable[..., Result]
INIT = ("--federation", "county-1", "--id", "a1", "--operator", "红河学院")


@pytest.fixture
def folder(tmp_path: Path) -> AuditorFolder:
    return AuditorFolder(tmp_path / "folder")


@pytest.fixture
def run(folder: AuditorFolder) -> Run:
    def call(*arguments: str, answer: str = "") -> Result:
        return CliRunner().invoke(auditor, [*arguments, "--dir", str(folder.root)], input=answer)

    return call


def test_init_shows_what_the_county_will_read_from_the_request(run: Run, folder: AuditorFolder) -> None:
    shown = run("init", *INIT).output
    line = fingerprint(parse_request(make_request(folder)).key.text.encode())
    assert line in shown
    words = fingerprint_words(line, "en")
    assert all("  ".join(words[start : start + 4]) in shown for start in range(0, 16, 4))
    assert "█" in shown or "▄" in shown
    page = (folder.root / "fingerprints.html").read_text("utf-8")
    assert line in page
    assert "".join(re.findall("[\u4e00-\u9fff]+", page)) == "".join(fingerprint_words(line, "zh"))


def test_keys_show_gives_all_three_ways(run: Run, folder: AuditorFolder, tmp_path: Path) -> None:
    run("init", *INIT)
    values = json.loads(run("keys", "show", "--json", "--out", str(tmp_path / "page.html")).output)
    (row,) = values["fingerprints"]
    assert (row["kind"], row["name"]) == ("key", "county-1/auditor/a1")
    assert read_fingerprint(row["words_zh"]) == read_fingerprint(row["words_en"]) == row["fingerprint"]
    assert (tmp_path / "page.html").is_file()


def test_the_page_has_a_code_and_repeats_no_markup_of_others() -> None:
    row = Shown("key", "<script>", "0001-0203-0405-0607-0809-0a0b-0c0d-0e0f")
    page = sheet((row,), str)
    assert page.count("<svg") == 1
    assert html.escape("<script>") in page
    assert "<script" not in page


def test_without_a_drawer_of_codes_words_and_digits_remain(
    run: Run, folder: AuditorFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "segno", None)
    shown = run("init", *INIT)
    assert shown.exit_code == 0, shown.output
    assert "no QR code" in shown.output
    assert "<svg" not in (folder.root / "fingerprints.html").read_text()


def test_join_asks_for_the_fingerprint_and_never_goes_on_without(run: Run, tmp_path: Path) -> None:
    run("init", *INIT)
    grant = tmp_path / "grant.json"
    grant.write_text("{}")
    assert run("join", "--grant", str(grant), "--json").exit_code == 2
    asked = run("join", "--grant", str(grant), answer="x\n")
    assert "as the county tells it by telephone" in asked.output
    assert asked.exit_code == 1
