"""The auditor's page as people meet it: a real browser without a single script, both languages, two widths.

One server and one browser for all tests; pictures of every page makes `bench/auditor_pages.py`.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes_auditor_page import AuditorHouse, Busy, busy_house, served
from page_looks import CHROMIUM, CONTRAST, HEADS, LABELS, OVERFLOW, QUIET

playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not CHROMIUM, reason="browser tests need Debian's chromium"),
]
PAGES = (
    *("/", "/rosters/{ids.roster}", "/plans", "/plans/{ids.plans[0]}", "/plans/{ids.refused}", "/rounds"),
    *(
        "/rounds/{ids.sitting}",
        "/rounds/{ids.extension}",
        "/policy",
        "/verify",
        "/challenge",
        "/trips",
        "/evidence",
        "/keys",
        "/work",
    ),
)
SCRIPTS = "() => [...document.scripts].map(script => script.outerHTML)"
TOO_WIDE = f"Math.max(0, ({OVERFLOW})())"
CUT_TABLES = """() => [...document.querySelectorAll('.scroll')]
  .filter(frame => frame.scrollWidth > frame.clientWidth + 1).map(frame => frame.innerText)"""
WRONG = f"""() => [document.documentElement.lang, {TOO_WIDE},
  ...[{CUT_TABLES}, {LABELS}, {HEADS}, {CONTRAST}, {SCRIPTS}].flatMap(look => look())]"""


@dataclass
class Sitting:
    """An auditor's page, a browser on it, and what was seen of both."""

    house: AuditorHouse
    ids: Busy
    base: str
    page: Any
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> int:
        return int(self.page.goto(self.base + path.format(ids=self.ids)).status)

    def press(self, name: str) -> None:
        self.page.get_by_role("main").get_by_role("button", name=name, exact=True).click()


@pytest.fixture(scope="module")
def sitting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sitting]:
    """Somebody who came in by the link."""
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fsync", lambda _descriptor: None)
    house, ids = busy_house(tmp_path_factory.mktemp("browser"))
    with playwright.sync_playwright() as engine, served(house, "en") as base, house.by_stick():
        browser = engine.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(QUIET))
        page = browser.new_context(viewport={"width": 1366, "height": 768}).new_page()
        page.set_default_timeout(20_000)
        made = Sitting(house, ids, base, page)
        page.on("request", lambda request: made.requests.append(request.url))
        page.on("console", lambda line: made.complaints.append(line.text))
        page.goto(f"{base}/enter/{house.office.sessions.make_link()}")
        yield made
        browser.close()
    house.close()
    patch.undo()


@pytest.mark.parametrize(("tag", "button", "first"), [("zh-CN", "中文", 0), ("en", "English", 1)])
def test_every_page_reads_well(sitting: Sitting, tag: str, button: str, first: int) -> None:
    """Labels, heads, contrast, no sideways scrolling of page or table at 390 px; every third at 1366×768.

    Every second page in each language, so that each is looked at once; all of them in both languages and
    widths opens `bench/auditor_pages.py`.
    """
    page = sitting.page
    sitting.go("/")
    page.get_by_role("button", name=button).click()
    page.set_viewport_size({"width": 390, "height": 844})
    for path in PAGES[first::2]:
        assert sitting.go(path) == 200, path
        assert page.evaluate(WRONG) == [tag, 0], path
    page.set_viewport_size({"width": 1366, "height": 768})
    for path in PAGES[first::6]:
        sitting.go(path)
        assert page.evaluate(OVERFLOW) <= 0, path


def test_a_first_sitting_from_the_first_page_with_the_keyboard(sitting: Sitting) -> None:
    page = sitting.page
    sitting.go("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    sitting.go("/plans/{ids.plans[0]}")
    sitting.press("Approve this plan")
    assert "Approved" in page.inner_text("main")
    assert "a1" in sitting.house.county.round(bytes.fromhex(sitting.ids.plans[0])).approvals


def test_a_bundle_is_verified_and_printed(sitting: Sitting, tmp_path: Path) -> None:
    page = sitting.page
    sitting.go("/verify")
    page.get_by_label("New folder").fill(str(tmp_path / "bundle"))
    sitting.press("Write")
    sitting.press("Verify it")
    page.wait_for_selector(".verdict")
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator(".official").is_visible()
    assert page.locator("td:has-text('PASS')").count() > 20
    page.emulate_media(media="screen")


def test_another_page_of_the_browser_can_do_nothing(sitting: Sitting) -> None:
    other = sitting.page.context.new_page()
    other.set_content(f'<form method="post" action="{sitting.base}/logout"><input name="x">')
    with other.expect_navigation() as navigation:
        other.evaluate("document.forms[0].submit()")
    assert navigation.value.status == 403
    other.close()
    assert sitting.go("/rounds") == 200
    assert sitting.page.url.endswith("/rounds")


def test_nothing_was_asked_of_another_host_and_no_rule_was_broken(sitting: Sitting) -> None:
    assert sitting.requests
    assert [url for url in sitting.requests if not url.startswith(sitting.base + "/")] == []
    assert sitting.complaints == []


def test_the_command_as_a_process_for_an_inspector(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fedscreen", "auditor", "page", "--port", "0", "--json"]
    root = str(Path(__file__).resolve().parents[2])
    environ = {**os.environ, "FEDSCREEN_LANG": "en", "PYTHONPATH": root}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ, cwd=tmp_path
    )
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
    finally:
        process.terminate()
        rest, errors = process.communicate(timeout=30)
    assert said["directory"] == ""
    assert said["link"].startswith(said["url"] + "enter/")
    assert said["url"].startswith("http://127.0.0.1:")
    assert (rest, errors) == (b"", b"")  # no line of a log
