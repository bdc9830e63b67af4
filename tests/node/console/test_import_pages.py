"""Import on the page: checked first, kept in memory, stored on a yes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from fakes_console import BASE, WAVE, Browser, ConsoleHouse, files

from node.console import forms


@pytest.fixture
def browser(house: ConsoleHouse) -> Browser:
    made = house.browser().enter()
    made.get("/import")
    return made


def check(browser: Browser, sent: dict[str, Any] | None = None, **texts: str) -> None:
    browser.get("/import")
    browser.post("/import", {"round": "", **WAVE, **texts}, files=files() if sent is None else sent)


def stored(house: ConsoleHouse) -> list[int]:
    return [row["num_records"] for row in house.keeper.ask("records_summary")["records"]]


def test_files_are_checked_and_stored_on_a_yes(house: ConsoleHouse, browser: Browser) -> None:
    check(browser)
    assert browser.page.url.path == "/import/result"
    assert "in order" in browser.text
    assert stored(house) == []
    browser.post("/import/store")
    assert browser.page.url.path == "/"
    assert "6 pupils are stored" in browser.text
    assert stored(house) == [6]


def test_a_wrong_file_is_refused_by_row_and_only_that_file_is_chosen_again(
    house: ConsoleHouse, browser: Browser
) -> None:
    check(browser, files(grade="七年纪"))
    assert "Nothing was stored" in browser.text
    assert "Import now" not in browser.text
    assert "2-7" in browser.text
    assert "欧阳" not in browser.text
    browser.post("/import/store")
    assert stored(house) == []
    assert all(row["dry_run"] for row in house.vault.seen if row["command"] == "import")
    check(browser, {"roster": files()["roster"]})
    assert "in order" in browser.text
    browser.post("/import/store")
    assert stored(house) == [6]


@pytest.mark.parametrize(
    ("ending", "start"), [("csv", b"\xef\xbb\xbf"), ("html", b"<!doctype"), ("xlsx", b"PK")]
)
def test_the_problems_are_a_file_too(browser: Browser, ending: str, start: bytes) -> None:
    check(browser, files(grade="七年纪"))
    answer = browser.get(f"/import/problems.{ending}")
    assert answer.content.startswith(start)
    assert answer.headers["content-disposition"] == f'attachment; filename="problems.{ending}"'
    assert "欧阳".encode() not in answer.content


@pytest.mark.parametrize("missing", ["roster", "screening", "profile", "codebook"])
def test_what_is_missing_is_asked_for(house: ConsoleHouse, browser: Browser, missing: str) -> None:
    sent = {name: file for name, file in files().items() if name != missing}
    check(browser, sent)
    assert browser.page.url.path == "/import"
    assert "missing" in browser.text
    check(browser, {missing: files()[missing]})
    assert "in order" in browser.text


def test_files_are_forgotten_when_asked_and_with_the_session(house: ConsoleHouse, browser: Browser) -> None:
    check(browser)
    browser.post("/import/discard")
    browser.get("/import/result")
    assert browser.page.url.path == "/import"
    check(browser)
    house.now_s += 16 * 60
    house.sessions.forget_ended()
    assert all(session.staged is None for session in house.sessions._sessions.values())


def test_the_last_import_is_taken_back_after_a_tick(house: ConsoleHouse, browser: Browser) -> None:
    check(browser)
    browser.post("/import/store")
    browser.get("/import")
    browser.post("/import/undo")
    assert stored(house) == [6]
    browser.post("/import/undo", {"sure": "yes"})
    assert stored(house) == []


def test_nothing_is_offered_that_cannot_be_taken_back(
    house: ConsoleHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser, tick = house.browser().enter(), 'name="sure"'
    house.start_round()
    assert tick not in browser.get("/import").text  # nothing was imported by a command
    check(browser)
    browser.post("/import/store")
    assert tick in browser.get("/import").text
    assert "autumn term of 2026-2027" in browser.text
    monkeypatch.setattr("node.vault.undo_import.has_report", lambda *_names: True)
    assert tick not in browser.get("/import").text


def test_a_wave_is_kept_when_its_year_is_missing(browser: Browser) -> None:
    check(browser, school_year="", by="陈老师")
    assert browser.page.url.path == "/import"
    assert '<option value="A" selected>' in browser.text
    assert 'value="陈老师"' in browser.text


def test_who_has_no_result_is_told(house: ConsoleHouse, browser: Browser) -> None:
    fewer = files(5)["screening"]
    check(browser, {**files(6), "screening": fewer})
    assert "without a result: 1;" in browser.text


def test_a_profile_is_proposed(house: ConsoleHouse, browser: Browser) -> None:
    sent = {"a": files()["roster"], "b": files()["screening"]}
    answer = browser.post("/import/guess", {"school_year": "2026-2027"}, files=sent)
    assert b"[" in answer.content
    assert answer.headers["content-disposition"] == 'attachment; filename="profile.toml"'


def test_a_ledger_goes_by_its_name(house: ConsoleHouse, browser: Browser) -> None:
    sent = {**files(), "ledger.1": ("l.csv", b"x"), "ledger.2": ("l.csv", b"y")}
    check(browser, sent, **{"name.ledger.1": "single-parent"})
    parts = set(next(iter(house.sessions._sessions.values())).staged.files)
    assert {"ledger.single-parent", "ledger."} <= parts


def test_nothing_of_a_file_is_written_to_a_disk(
    house: ConsoleHouse, browser: Browser, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made: list[object] = []

    def note(*arguments: object, **options: object) -> object:
        made.append(arguments)
        raise AssertionError("a temporary file")

    monkeypatch.setattr(tempfile, "_mkstemp_inner", note)
    monkeypatch.setattr(tempfile, "TemporaryFile", note)
    before = {path for path in tmp_path.rglob("*") if not path.name.startswith("vault.db")}
    sent = {**files(), "retest": ("r.csv", b"x" * (5 * 2**20))}
    check(browser, sent)
    assert made == []
    assert {path for path in tmp_path.rglob("*") if not path.name.startswith("vault.db")} == before


def test_too_much_is_refused(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forms, "MAX_UPLOAD_BYTES", 2**20)
    check(browser, {**files(), "retest": ("r.csv", b"x" * (2**20 + 1))})
    assert browser.page.status_code == 413
    assert "larger than 1 MiB" in browser.text


def test_without_having_come_in_only_a_small_form_is_read(house: ConsoleHouse) -> None:
    browser = house.browser()
    browser.get("/login")
    large = "x" * (forms.MAX_FORM_BYTES + 1)
    assert browser.post("/login", {"name": large}).status_code == 413
    browser.get("/login")
    assert browser.post("/login", files={"roster": ("r.csv", large.encode())}).status_code == 413


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/json", b"{}"),
        ("multipart/form-data", b"x"),
        ("multipart/form-data; boundary=b", b"--b\r\nContent-Disposition: nothing\r\n\r\nx"),
        ("", b""),
    ],
)
def test_what_is_no_form_is_refused(house: ConsoleHouse, browser: Browser, kind: str, body: bytes) -> None:
    answer = browser.client.post(
        "/import", content=body, headers={"origin": BASE, "content-type": kind}, follow_redirects=False
    )
    assert answer.status_code == 400
    assert stored(house) == []
