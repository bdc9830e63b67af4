"""The dashboard as people meet it: the command as a process, a real browser without a single script.

One server and one browser for all tests; the wider matrix (every page × both languages × three widths) is
`bench/dashboard_pages.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from fakes_dashboard import PASSPHRASE, PERSONS, Office, named_county

from coordinator.account_rules import ROLES

playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not CHROMIUM, reason="browser tests need Debian's chromium"),
]
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
LABELS = """() => [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
  .filter(field => !field.labels.length && !field.ariaLabel).map(field => field.outerHTML)"""
HEADS = (
    """() => [...document.querySelectorAll('th')].filter(cell => !cell.scope).map(cell => cell.outerHTML)"""
)
OVERFLOW = "() => document.documentElement.scrollWidth - window.innerWidth"
CONTRAST = """() => {
  const light = ([r, g, b]) => [r, g, b].map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
    .reduce((sum, v, at) => sum + v * [.2126, .7152, .0722][at], 0);
  const parse = text => text.match(/[\\d.]+/g).map(Number);
  const bed = node => {
    for (; node; node = node.parentElement) {
      const color = parse(getComputedStyle(node).backgroundColor);
      if (color.length < 4 || color[3] === 1) return color;
    }
    return [255, 255, 255];
  };
  const found = [];
  for (const node of document.querySelectorAll('body *')) {
    const own = [...node.childNodes].some(child => child.nodeType === 3 && child.data.trim());
    if (!own || !node.offsetParent || node.closest('[hidden], svg')) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(bed(node))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) found.push(node.outerHTML.slice(0, 80) + ' ' + ratio.toFixed(2));
  }
  return found;
}"""
PAGES = {
    "": ("/login", "/setup"),
    "system": ("/system", "/people", "/log"),
    "security": ("/roles", "/roles?account=clerk", "/keys"),
    "audit": ("/journal", "/plans", "/budget"),
    "clerk": (
        *("/board", "/board/COLLECTING", "/results", "/results/RELEASED", "/schools", "/plans/RELEASED"),
        "/me",
    ),
    "school": ("/facts", "/progress"),
}


@dataclass
class Desk:
    """A dashboard, a browser on it, and what was seen of both.

    Attributes:
        requests: every address that the browser asked for.
        complaints: what the browser said about policies and errors.
    """

    base: str
    released: str
    collecting: str
    browser: Any = None
    pages: dict[str, Any] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def page(self, role: str) -> Any:
        """Give the tab of somebody who has logged in; everybody has an own profile."""
        if role not in self.pages:
            context = self.browser.new_context(viewport={"width": 1366, "height": 768})
            page = self.pages[role] = context.new_page()
            page.set_default_timeout(20_000)
            page.on("request", lambda request: self.requests.append(request.url))
            page.on("console", lambda line: self.complaints.append(line.text))
            page.on("pageerror", lambda error: self.complaints.append(str(error)))
            if role:
                page.goto(self.base + "/login")
                page.get_by_label("Account", exact=True).fill(role)
                page.get_by_label("Passphrase", exact=True).fill(PASSPHRASE)
                page.get_by_role("main").get_by_role("button", name="Log in").click()
        return self.pages[role]

    def address(self, path: str) -> str:
        return self.base + path.replace("RELEASED", self.released).replace("COLLECTING", self.collecting)


def fedscreen(*words: str, given: str = "") -> dict[str, Any]:
    environ = {**os.environ, "FEDSCREEN_LANG": "en"}
    command = [sys.executable, "-m", "fedscreen", "coordinator", *words, "--json"]
    done = subprocess.run(
        command, input=given, capture_output=True, text=True, env=environ, timeout=120, check=False
    )
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    return dict(json.loads(done.stdout))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """The command, as a process of its own, with accounts that the command line made."""
    folder = tmp_path_factory.mktemp("dashboard") / "county"
    county = named_county(folder)
    released, collecting = (round_id.hex() for round_id in county.desk.round_ids()[:2])
    Office(county, others="system").close()
    place = ("--dir", str(folder))
    given = ("--role", "system", "--person", PERSONS["system"], "--passphrase-stdin")
    fedscreen("account", "add", "system", *given, *place, given=PASSPHRASE + "\n")
    environ = {**os.environ, "FEDSCREEN_LANG": "en", "TZ": "Asia/Shanghai"}
    command = [sys.executable, "-m", "fedscreen", "coordinator", "dashboard", *place]
    process = subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environ,
    )
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        yield Desk(said["url"].rstrip("/"), released, collecting)
    finally:
        process.terminate()
        rest, errors = process.communicate(timeout=30)
    assert (rest, errors) == (b"", b"")  # no line of a log


@pytest.fixture(scope="module")
def desk(served: Desk) -> Iterator[Desk]:
    """A browser that notes every request and every complaint."""
    with playwright.sync_playwright() as engine:
        served.browser = engine.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(QUIET))
        yield served
        served.browser.close()


@pytest.mark.parametrize("role", PAGES, ids=lambda role: role or "nobody")
def test_every_page_reads_well(desk: Desk, role: str) -> None:
    """Labels, table heads, contrast, no sideways scrolling, at 1366×768 and at a phone's width."""
    page = desk.page(role)
    for path in PAGES[role]:
        page.set_viewport_size({"width": 1366, "height": 768})
        answer = page.goto(desk.address(path))
        assert answer.status == 200, path
        assert page.evaluate(LABELS) == [], path
        assert page.evaluate(HEADS) == [], path
        assert page.evaluate(CONTRAST) == [], path
        assert page.evaluate("document.scripts.length") == 0
        assert page.locator("main, header, footer").count() == 3
        for width in (1366, 390):
            page.set_viewport_size({"width": width, "height": 768})
            assert page.evaluate(OVERFLOW) <= 0, (path, width)


@pytest.mark.parametrize("role", ROLES)
def test_a_role_meets_a_closed_door_at_the_others_pages(desk: Desk, role: str) -> None:
    page = desk.page(role)
    for other, paths in PAGES.items():
        for path in paths if other not in ("", role) else ():
            status = page.context.request.get(desk.address(path)).status
            is_shared = path in ("/me", "/log") or path.startswith(("/plans", "/budget"))
            assert status == 403 or is_shared, (role, path)


def test_both_languages(desk: Desk) -> None:
    page = desk.page("clerk")
    page.goto(desk.address("/board"))
    for tag, button in (("zh-CN", "中文"), ("en", "English")):
        page.get_by_role("button", name=button).click()
        assert page.url.endswith("/board")
        assert page.get_attribute("html", "lang") == tag


def test_a_school_fills_its_form_and_the_clerk_sees_that(desk: Desk) -> None:
    page = desk.page("school")
    page.goto(desk.address("/facts"))
    for label, number in (("Pupils enrolled", "900"), ("Classes", "20"), ("Full-time psychology", "1")):
        page.get_by_label(label).first.fill(number)
    page.get_by_label("Part-time psychology").fill("2")
    page.get_by_label("junior", exact=True).check()
    for label in ("Urban or rural", "Boarding school", "Counselling room meets"):
        page.get_by_label(label).select_option("1")
    page.get_by_role("main").get_by_role("button", name="Save").click()
    assert "The facts are saved." in page.inner_text("main")
    clerk = desk.page("clerk")
    clerk.goto(desk.address("/schools"))
    assert "1 / 7" in clerk.inner_text("main")


def test_the_clerk_takes_the_workbook_away_and_the_audit_administrator_sees_that(desk: Desk) -> None:
    clerk = desk.page("clerk")
    clerk.goto(desk.address("/results/RELEASED"))
    with clerk.expect_download() as download:
        clerk.get_by_role("link", name="workbook (xlsx), English").click()
    assert Path(download.value.path()).read_bytes().startswith(b"PK")
    audit = desk.page("audit")
    audit.goto(desk.address("/journal"))
    assert "report taken" in audit.inner_text("main")
    assert "The journal is whole" in audit.inner_text("main")


def test_the_keyboard_is_enough(desk: Desk) -> None:
    page = desk.browser.new_context().new_page()
    page.goto(desk.base + "/login")
    assert page.evaluate("document.activeElement.name") == "name"  # autofocus
    page.keyboard.type("audit")
    page.keyboard.press("Tab")
    page.keyboard.type(PASSPHRASE)
    page.keyboard.press("Enter")
    page.wait_for_url(desk.base + "/journal")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.context.close()


def test_it_prints_without_navigation(desk: Desk) -> None:
    page = desk.page("clerk")
    page.goto(desk.address("/results/RELEASED"))
    page.emulate_media(media="print")
    assert not page.locator("nav").is_visible()
    assert page.locator("h1").is_visible()
    page.emulate_media(media="screen")


def test_another_page_of_the_browser_can_do_nothing(desk: Desk) -> None:
    other = desk.page("clerk").context.new_page()
    other.set_content(f'<form method="post" action="{desk.base}/logout"><input name="x">')
    with other.expect_navigation() as navigation:
        other.evaluate("document.forms[0].submit()")
    assert navigation.value.status == 403
    other.close()
    assert desk.page("clerk").goto(desk.address("/me")).url.endswith("/me")


def test_nothing_was_asked_of_another_host_and_no_rule_was_broken(desk: Desk) -> None:
    assert desk.requests
    assert [url for url in desk.requests if not url.startswith(desk.base + "/")] == []
    assert desk.complaints == []
