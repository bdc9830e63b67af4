"""The console as people meet it: the command as a process, a real node that sends, a real browser.

One node, one console and one browser for all tests. The fixture is the whole day: roles, import, decision,
sending, receipt; the tests look at what holds of every page afterwards, in any order.
"""

from __future__ import annotations

import gettext
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from wall_support import KEY, pids, wait_until
from whole_county import County, School, enrol, files_of, name_of, publish

from fedscreen.language import DOMAIN, LOCALE_DIR

playwright = pytest.importorskip("playwright.sync_api", reason="browser tests need playwright")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
pytestmark = [
    pytest.mark.process,
    pytest.mark.skipif(not CHROMIUM, reason="browser tests need Debian's chromium"),
]

PASSPHRASE = "cedar lantern ninety rivers"
PSYCHOLOGIST, PRINCIPAL = "王敏", "李校长"
QUIET = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)

LABELS = """() => [...document.querySelectorAll('input:not([type=hidden]), select, textarea')]
  .filter(field => !field.labels.length && !field.ariaLabel).map(field => field.outerHTML)"""
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
    if (!own || !node.offsetParent || node.closest('[hidden], .hidden-number')) continue;
    const [a, b] = [light(parse(getComputedStyle(node).color)), light(bed(node))];
    const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
    if (ratio < 4.5) found.push(node.outerHTML.slice(0, 80) + ' ' + ratio.toFixed(2));
  }
  return found;
}"""


@dataclass
class Day:
    """One school's console, a browser on it, and what was seen of both.

    Attributes:
        base: where the console is.
        page: the browser's only tab.
        requests: every address that the browser asked for.
        complaints: what the browser said about policies and errors.
    """

    school: School
    round_id: str
    base: str
    link: str
    page: Any = None
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def go(self, path: str) -> None:
        self.page.goto(self.base + path)

    def press(self, name: str) -> None:
        """Press a button in the content of the page."""
        self.page.get_by_role("main").get_by_role("button", name=name, exact=True).click()

    def become(self, role: str) -> None:
        """Let somebody sit there: a holder of a role, or IT, who came in by the link."""
        self.go("/")
        if self.page.locator("header .chip", has_text="·").count():
            self.page.get_by_role("button", name="Log out").click()
        if role != "it":
            self.log_in(role)

    def log_in(self, role: str) -> None:
        name = PSYCHOLOGIST if role == "psychologist" else PRINCIPAL
        self.go(f"/login?role={role}")
        self.page.get_by_label("Name", exact=True).fill(name)
        self.page.get_by_label("Passphrase", exact=True).fill(PASSPHRASE)
        self.press("Log in")


@pytest.fixture(scope="module")
def school(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[School, str]]:
    """A node that runs, with a round that collects."""
    root, patch = tmp_path_factory.mktemp("console"), pytest.MonkeyPatch()
    (root / "fedscreen-database-key").write_bytes(KEY)
    patch.setenv("CREDENTIALS_DIRECTORY", str(root))
    county = County()
    server, port = county.serve()
    made, row = enrol(root, county, port, 0)
    county.federation.roster_nodes = (row,)
    county.federation.join()
    round_id = publish(county.federation)
    made.start()
    try:
        wait_until(lambda: pids(made.folder))
        wait_until(lambda: [one for one in made.run("rounds")["rounds"] if one["is_cosigned"]])
        yield made, round_id
    finally:
        made.stop()
        server.stop(0).wait()
        patch.undo()


@pytest.fixture(scope="module")
def console(school: tuple[School, str]) -> Iterator[Day]:
    """The command, as a process of its own."""
    made, round_id = school
    command = [sys.executable, "-m", "fedscreen", "node", "console", "--dir", str(made.folder.root)]
    environ = {**os.environ, "FEDSCREEN_LANG": "en", "TZ": "Asia/Shanghai"}
    process = subprocess.Popen(
        [*command, "--port", "0", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ
    )
    try:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        yield Day(made, round_id, said["url"].rstrip("/"), said["link"])
    finally:
        process.terminate()
        rest, errors = process.communicate(timeout=30)
    assert (rest, errors) == (b"", b"")  # no line of a log, with pupils or without


@pytest.fixture(scope="module")
def day(console: Day, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Day]:
    """A browser that notes every request and every complaint, after the teacher's day."""
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(QUIET))
        context = browser.new_context(viewport={"width": 1366, "height": 768}, accept_downloads=True)
        console.page = context.new_page()
        console.page.set_default_timeout(10_000)
        console.page.on("request", lambda request: console.requests.append(request.url))
        console.page.on("console", lambda line: _note(console, line))
        console.page.on("pageerror", lambda error: console.complaints.append(str(error)))
        live_the_day(console, tmp_path_factory.mktemp("files"))
        yield console
        browser.close()


def _note(day: Day, line: Any) -> None:
    if line.type in ("error", "warning"):
        day.complaints.append(line.text)


def live_the_day(day: Day, tmp_path: Path) -> None:
    """Go the whole way, from the link to the receipt."""
    page = day.page
    page.goto(day.link)
    for role, name in (("psychologist", PSYCHOLOGIST), ("principal", PRINCIPAL)):
        make_role(day, role, name)
    import_files(day, tmp_path)
    day.go(f"/round/{day.round_id}/check")
    assert page.locator("td.num:not(.muted)").all_text_contents() == ["•"] * 46
    day.log_in("principal")
    page.get_by_role("link", name="Look at it").click()
    numbers = [int(text) for text in page.locator("td.num:not(.muted)").all_text_contents()]
    assert (len(numbers), sum(numbers)) == (46, 2 * 200)
    page.get_by_role("link", name="On to the signature").click()
    page.get_by_label("Approve and release").check()
    page.get_by_label("Passphrase of").fill(PASSPHRASE)
    day.press("Sign")
    assert page.url.endswith("/send")
    wait_until(lambda: page.reload() and "the receipt can be kept" in page.inner_text("main"))


def make_role(day: Day, role: str, name: str) -> None:
    day.go("/people")
    form = day.page.locator("form", has=day.page.locator(f"input[name=role][value={role}]"))
    form.get_by_label("Name").fill(name)
    form.get_by_label("New passphrase").fill(PASSPHRASE)
    form.get_by_label("The same again").fill(PASSPHRASE)
    form.get_by_role("button").click()
    assert f"{name} is" in day.page.inner_text("main")


def import_files(day: Day, tmp_path: Path) -> None:
    files = files_of(day.school.node)
    page = day.page
    day.go("/")
    page.get_by_role("link", name="Import files").click()
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
        page.set_input_files(f"#f-{name.split('.')[0]}", tmp_path / name)
    (tmp_path / "roster.csv").write_bytes(files["roster.csv"].replace("七年级".encode(), "七年".encode()))
    day.press("Check the files")
    assert "cannot be imported" in page.inner_text("main")
    assert name_of(day.school.node, 0) not in page.content()
    page.get_by_role("link", name="Choose files again").click()
    (tmp_path / "roster.csv").write_bytes(files["roster.csv"])
    page.set_input_files("#f-roster", tmp_path / "roster.csv")
    day.press("Check the files")
    assert "cannot be imported" not in page.inner_text("main")
    day.press("Import now")
    assert "200 pupils are stored" in page.inner_text("main")


PAGES = {
    "it": ("/", "/budget", "/people", "/status", "/round/ROUND/check", "/round/ROUND/send"),
    "psychologist": ("/", "/import", "/follow-up", "/hand-over", "/hand-over/new", "/reports"),
    "principal": ("/people", "/round/ROUND/check", "/round/ROUND/sheet", "/round/ROUND/sign"),
}


def test_every_page_reads_well(day: Day) -> None:
    """Labels, contrast, no sideways scrolling, wide and narrow, for every role."""
    for role, paths in PAGES.items():
        day.become(role)
        for path in paths:
            day.go(path.replace("ROUND", day.round_id))
            assert day.page.evaluate(LABELS) == [], path
            assert day.page.evaluate(CONTRAST) == [], path
            for width in (1366, 400):
                day.page.set_viewport_size({"width": width, "height": 768})
                assert day.page.evaluate(OVERFLOW) <= 0, (path, width)


def test_the_receipt_is_there(day: Day) -> None:
    day.go(f"/round/{day.round_id}/send")
    assert day.page.locator(".steps li.done").count() == 4
    with day.page.expect_download() as download:
        day.page.get_by_role("link", name="Save the receipt").click()
    assert Path(download.value.path()).read_text().startswith("c2sp.org/tlog-proof@v1")


def test_both_languages(day: Day) -> None:
    day.go("/budget")
    for code, tag, button in (("zh_CN", "zh-CN", "中文"), ("en", "en", "English")):
        day.page.get_by_role("button", name=button).click()
        words = gettext.translation(DOMAIN, LOCALE_DIR, [code], fallback=True).gettext
        assert day.page.url.endswith("/budget")
        assert day.page.get_attribute("html", "lang") == tag
        assert day.page.inner_text("h1") == words("Privacy account")
        assert words("spent") == day.page.get_attribute("svg.meter", "aria-label")


def test_the_sheet_is_one_page_of_a4(day: Day, tmp_path: Path) -> None:
    day.go(f"/round/{day.round_id}/sheet")
    assert day.page.get_by_role("button", name="Print").is_visible()
    data = day.page.pdf(prefer_css_page_size=True)
    assert len(re.findall(rb"/Type\s*/Page\b", data)) == 1
    boxes = {
        tuple(round(float(side)) for side in box.split())
        for box in re.findall(rb"/MediaBox\s*\[(.*?)\]", data)
    }
    assert boxes == {(0, 0, 595, 842)}


def test_the_keyboard_is_enough(day: Day) -> None:
    day.become("it")
    page = day.page
    day.go("/")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('main') !== null")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    day.go("/login?role=principal")
    assert page.evaluate("document.activeElement.name") == "name"  # autofocus
    page.keyboard.type(PRINCIPAL)
    page.keyboard.press("Tab")
    page.keyboard.type(PASSPHRASE)
    page.keyboard.press("Enter")
    page.wait_for_url(day.base + "/")
    assert PRINCIPAL in page.inner_text("header")


def test_another_page_of_the_browser_can_do_nothing(day: Day) -> None:
    """A form of another origin carries no cookie and a foreign origin: nothing is held."""
    other = day.page.context.new_page()
    other.set_content(
        f'<form method="post" action="{day.base}/round/{day.round_id}/hold"><input name="on" value="1">'
    )
    with other.expect_navigation() as navigation:
        other.evaluate("document.forms[0].submit()")
    assert navigation.value.status == 403
    assert day.school.run("status")["held"] == 0
    other.goto("about:blank")
    other.set_content(f'<iframe src="{day.base}/login"></iframe>')
    wait_until(lambda: [frame for frame in other.frames if "chrome-error" in frame.url])
    other.close()


def test_nothing_was_asked_of_another_host_and_no_rule_was_broken(day: Day) -> None:
    assert day.requests
    assert [url for url in day.requests if not url.startswith(day.base + "/")] == []
    assert day.complaints == []


def test_the_console_logs_no_request_and_keeps_no_file(day: Day) -> None:
    mine = {"node.toml", "running.json", "running.lock", "vault", "egress", "receipts"}
    assert {path.name for path in day.school.folder.root.iterdir()} <= mine


def test_what_is_no_form_leaves_no_line_anywhere(day: Day) -> None:
    """A parser complains in its log, which repeats what it was given; the fixture looks for any line."""
    address = day.base.removeprefix("http://")
    host, _sign, port = address.partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as link:
        body = b"--13812345678\r\nx"
        head = f"POST /login HTTP/1.1\r\nHost: {address}\r\nOrigin: {day.base}\r\n"
        kind = f"Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {len(body)}\r\n\r\n"
        link.sendall((head + kind).encode() + body)
        assert link.recv(4096).startswith(b"HTTP/1.1 400")
