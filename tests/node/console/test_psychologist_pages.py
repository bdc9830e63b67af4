"""The psychologist's pages: follow-up, hand-over files, the school's own report."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from fakes_console import WAVE, Browser, ConsoleHouse, files
from fakes_vault import CENSUS

from node.console.pages_follow_up import SECTIONS, changed_values
from node.vault.follow_up_form import FORM_FIELDS

PAGES = ("/follow-up", "/hand-over", "/hand-over/new", "/hand-over/key", "/reports")
NAME = "欧阳甲"


@pytest.fixture(scope="module")
def house(shared: ConsoleHouse) -> ConsoleHouse:
    """One school for all of them."""
    return shared


@pytest.fixture(scope="module")
def browser(house: ConsoleHouse) -> Browser:
    """A psychologist at a school with three pupils of the highest level."""
    made = house.browser().log_in("psychologist")
    made.get("/import")
    made.post("/import", {"round": "", **WAVE}, files=files(3, level=4))
    made.post("/import/store")
    assert "3 pupils are stored" in made.text
    return made


def keys(browser: Browser) -> list[str]:
    browser.get("/follow-up")
    return re.findall(r'href="/follow-up/([0-9a-f]{32})\?', browser.text)


@pytest.mark.parametrize("path", PAGES)
def test_nobody_else_sees_these_pages(house: ConsoleHouse, browser: Browser, path: str) -> None:
    for other in (house.browser().enter(), house.browser().log_in("principal")):
        expected = 200 if path == "/reports" and "releasing" in other.text else 403
        assert other.get(path).status_code == expected
        assert NAME not in other.text


def test_the_list_shows_who_is_followed_up(browser: Browser) -> None:
    assert len(keys(browser)) == 3
    assert NAME in browser.text
    assert "review" in browser.text


def test_only_what_was_changed_becomes_an_entry(house: ConsoleHouse, browser: Browser) -> None:
    key = keys(browser)[0]
    house.vault.seen.clear()
    browser.get(f"/follow-up/{key}?set=2026-2027/A")
    form = {"groups": "1", "reviewed": "1", "days_to_review": "2", "file_built": "9", "group.g4": "1"}
    browser.post(f"/follow-up/{key}?set=2026-2027/A", form)
    assert "Stored." in browser.text
    browser.post(f"/follow-up/{key}?set=2026-2027/A", form)
    assert "Nothing was changed" in browser.text
    found = [row for row in house.vault.seen if row["command"] == "follow_up_set"]
    assert [row["values"] for row in found] == [{"reviewed": "1", "days_to_review": "2", "groups": ["g4"]}]
    browser.post(f"/follow-up/{key}/withdraw?set=2026-2027/A", {"entry": "1"})
    assert "was withdrawn" in browser.text


@pytest.mark.parametrize("days", ["-1", "x", "99999"])
def test_a_value_that_cannot_be_is_refused(browser: Browser, days: str) -> None:
    key = keys(browser)[0]
    browser.get(f"/follow-up/{key}")
    browser.post(f"/follow-up/{key}", {"days_to_review": days})
    assert 'class="notice bad"' in browser.text
    assert f'name="days_to_review" inputmode="numeric" maxlength="4" value="{days}"' in browser.text
    assert "send the form again" in browser.text
    assert "run the command" not in browser.text
    assert f'value="{days}"' not in browser.get(f"/follow-up/{key}").text


def test_a_pupil_of_another_wave_is_not_found(browser: Browser) -> None:
    answer = browser.get(f"/follow-up/{'ab' * 16}")
    assert answer.status_code == 409
    assert "no such pupil" in answer.text


def test_the_form_has_every_field_once() -> None:
    shown = [name for fields in SECTIONS.values() for name in fields]
    assert sorted([*shown, "groups"]) == sorted(FORM_FIELDS)


@pytest.mark.parametrize(
    ("before", "texts", "expected"),
    [
        ({}, {}, {}),
        ({}, {"reviewed": "9", "days_to_review": ""}, {}),
        ({"reviewed": "1"}, {"reviewed": "9"}, {"reviewed": "9"}),
        ({"reviewed": "1"}, {"reviewed": "1"}, {}),
        ({"days_to_review": 3}, {"days_to_review": "3"}, {}),
        ({"days_to_review": 3}, {"days_to_review": ""}, {"days_to_review": ""}),
        ({"groups": ["g1"]}, {"groups": "1"}, {"groups": []}),
        ({"groups": ["g1"]}, {}, {}),
        ({}, {"level1": "0", "form_token": "x"}, {}),
    ],
)
def test_what_a_form_changes(before: dict[str, Any], texts: dict[str, str], expected: Any) -> None:
    assert changed_values(before, texts) == expected


@pytest.fixture
def other(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> Iterator[Browser]:
    """The psychologist of another school."""
    house = ConsoleHouse(tmp_path_factory.mktemp("other"), node="school-2")
    house.give_roles()
    yield house.browser().log_in("psychologist")
    house.keeper.close()


def own_key(browser: Browser) -> tuple[bytes, str]:
    """Give a school's key file and its fingerprint."""
    key = browser.get("/hand-over/key").content
    browser.get("/hand-over")
    return key, re.findall(r"<dt>Fingerprint</dt><dd><code>(.*?)</code>", browser.text)[0]


def test_a_file_goes_from_school_to_school_and_a_receipt_back(browser: Browser, other: Browser) -> None:
    key, fingerprint = own_key(other)
    form = {"pupil": keys(browser)[0][:8], "set": "2026-2027/A", "kind": "transfer"}
    form |= {"fingerprint": fingerprint, "reason": "consent", "day": CENSUS.isoformat()}
    form |= {"words": "转学", "days": "14", "note": "请继续\r\n关心"}
    browser.post("/hand-over/new", form, files={"recipient": ("k", key)})
    assert "What would be handed over" in browser.text
    assert NAME in browser.text
    sealed = browser.post("/hand-over/make").content
    assert sealed.startswith(b"fedscreen/hand-over/v1\n")
    assert NAME.encode() not in sealed
    other.post("/hand-over/receive", files={"file": ("f", sealed)})
    assert NAME in other.text
    assert "关心" in other.text
    path = re.findall(r'href="(/hand-over/receipt/[0-9a-f]{32})"', other.text)[0]
    receipt = other.get(path).content
    shown = other.get("/hand-over")
    assert NAME in other.get(re.findall(r'href="(/hand-over/file/[0-9a-f]{32})"', shown.text)[0]).text
    browser.get("/hand-over")
    browser.post("/hand-over/receipt", files={"receipt": ("r", receipt)})
    assert "The receipt is kept" in browser.text


WRONG = [
    {"fingerprint": "aaaa-bbbb"},
    {"day": ""},
    {"days": "0"},
    {"days": "x"},
    {"pupil": "没有此人"},
    {"kind": "post"},
]


@pytest.mark.parametrize("changes", WRONG, ids=str)
def test_a_file_is_not_made_like_that(house: ConsoleHouse, browser: Browser, changes: dict[str, str]) -> None:
    house.vault.seen.clear()
    key, fingerprint = own_key(browser)
    form = {
        "pupil": keys(browser)[0][:8],
        "kind": "transfer",
        "fingerprint": fingerprint,
        "reason": "consent",
    }
    form |= {"day": CENSUS.isoformat(), "words": "转学", "days": "14"}
    browser.post("/hand-over/new", form | changes, files={"recipient": ("k", key)})
    assert 'class="notice bad"' in browser.text
    kept = form | changes
    for name in ("pupil", "fingerprint", "words", "day"):
        assert f'value="{kept[name]}"' in browser.text
    browser.post("/hand-over/make")
    assert browser.page.url.path == "/hand-over"
    made = [row["command"] for row in house.vault.seen if row.get("dry_run") == 0]
    assert made.count("hand_over_make") == 0


def report(browser: Browser, version: str, form: str = "html", reason: str = "") -> Any:
    browser.get("/reports")
    texts = {"set": "2026-2027/A", "version": version, "form": form, "reason": reason}
    return browser.post("/reports", texts)


@pytest.mark.parametrize(("form", "start"), [("html", b"<!"), ("xlsx", b"PK")])
def test_a_report_is_a_download(browser: Browser, form: str, start: bytes) -> None:
    answer = report(browser, "hand-in", form)
    assert answer.content.lower().startswith(start.lower())
    assert answer.headers["content-disposition"].startswith("attachment")
    assert NAME.encode() not in answer.content


def test_the_exact_report_needs_a_reason(browser: Browser) -> None:
    answer = report(browser, "exact", "xlsx")
    assert answer.url.path == "/reports"
    assert 'class="notice bad"' in answer.text
    assert 'value="exact" required checked' in answer.text
    assert 'value="xlsx" checked' in answer.text
    assert report(browser, "exact", reason="校内研判").content.startswith(b"<!")
    assert NAME in report(browser, "follow-up", reason="校内研判").text


@pytest.mark.parametrize("version", ["exact", "follow-up"])
def test_the_principal_gets_the_hand_in_version_alone(
    house: ConsoleHouse, browser: Browser, version: str
) -> None:
    other = house.browser().log_in("principal")
    assert report(other, "hand-in").status_code == 200
    answer = report(other, version, reason="我想看")
    assert answer.url.path == "/reports"
    assert 'class="notice bad"' in answer.text
    assert NAME not in answer.text


def test_a_kind_of_file_whose_package_is_missing_is_not_offered(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.console.pages_reports.find_spec", lambda name: None)
    text = browser.get("/reports").text
    assert 'value="pdf" disabled' in text
    assert "fedscreen[node,pdf]" in text
    assert 'value="html" checked' in text
    monkeypatch.setattr("node.console.pages_reports.find_spec", lambda name: name)
    assert "disabled" not in browser.get("/reports").text


def test_a_form_without_a_choice_is_asked_again(browser: Browser) -> None:
    report(browser, "all")
    assert "is missing" in browser.text
