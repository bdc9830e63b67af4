"""Look at every page of an auditor: both languages, two widths, screenshots to be looked at.

    python bench/auditor_pages.py OUT

Exit code 1 where a page answers with an error or has to be scrolled sideways. Needs playwright and chromium.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fakes_auditor_page import AuditorHouse, Busy, busy_house, served
from playwright.sync_api import sync_playwright

from fedscreen.language import speak

WIDTHS = (1366, 390)
PAGES = (
    *("/", "/rosters/ROSTER", "/plans", "/plans/PLAN", "/plans/REFUSED", "/rounds", "/rounds/DONE"),
    *(
        "/rounds/SITTING",
        "/rounds/EXTENSION",
        "/policy",
        "/verify",
        "/challenge",
        "/trips",
        "/evidence",
        "/keys",
        "/work",
        "/no-such-page",
    ),
)
OVERFLOW = "document.documentElement.scrollWidth - window.innerWidth"


def where(path: str, ids: Busy) -> str:
    """Put the ids of a busy county into a path."""
    names = {"ROSTER": ids.roster, "PLAN": ids.plans[0], "REFUSED": ids.refused, "DONE": ids.done}
    names |= {"SITTING": ids.sitting, "EXTENSION": ids.extension}
    for name, value in names.items():
        path = path.replace(name, value)
    return path


class Looker:
    """One browser tab that takes pictures and notes what is wrong."""

    def __init__(self, browser: Any, house: AuditorHouse, origin: str, language: str, out: Path) -> None:
        self.page, self.origin, self.language, self.out = browser.new_page(), origin, language, out
        self.house, self.wrong = house, list[str]()
        cookie = {"name": "fedscreen-language", "value": language, "url": origin}
        self.page.context.add_cookies([cookie])
        self.page.goto(f"{origin}/enter/{house.office.sessions.make_link()}")

    def look(self, name: str) -> None:
        """Take pictures of the page that is open."""
        for width in WIDTHS:
            self.page.set_viewport_size({"width": width, "height": 844 if width < 500 else 768})
            over = self.page.evaluate(OVERFLOW)
            self.page.screenshot(path=self.out / f"{name}-{self.language}-{width}.png", full_page=True)
            if over > 0:
                self.wrong.append(f"{name} {self.language} {width}: {over} px too wide")

    def open(self, path: str, ids: Busy) -> None:
        """Open a page and look at it."""
        status = self.page.goto(self.origin + where(path, ids)).status
        if status != 200 and "no-such" not in path:
            self.wrong.append(f"{path} {self.language}: status {status}")
        self.look("page" + path.replace("/", "_").lower())

    def press(self, selector: str, name: str) -> None:
        """Press something, then look."""
        with self.page.expect_navigation():
            self.page.click(selector)
        self.look(name)


def walk(looker: Looker, ids: Busy, bundle: Path) -> None:
    """Open every page, then what forms lead to."""
    for path in PAGES:
        looker.open(path, ids)
    looker.open("/policy", ids)
    looker.page.fill("[name=max-rho]", "1/3")
    looker.page.fill("[name=forbid-field]", "sex")
    looker.press("main form.stack button", "policy-change")
    looker.open("/verify", ids)
    looker.page.fill("[name=out]", str(bundle))
    looker.press("main form[action='/bundle'] button", "bundle-written")
    looker.open("/challenge", ids)
    looker.press("main form button", "drawn")
    looker.open("/trips", ids)
    looker.page.fill("[name=stick]", str(looker.house.root / "stick"))
    looker.press("main form button", "trip")
    looker.press("main form button.primary", "trip-made")
    looker.open("/verify", ids)
    looker.page.fill("[name=folder]", str(bundle))
    looker.press("main form[action='/verify'] button", "verdict")
    looker.page.emulate_media(media="print")
    looker.look("verdict-print")
    looker.page.emulate_media(media="screen")
    looker.press("header form[action='/logout'] button", "gone")
    looker.page.goto(looker.origin + "/enter/used")
    looker.look("entered-twice")


def main(out: Path) -> int:
    """Make the auditor, look at its pages, say what is wrong."""
    out.mkdir(parents=True, exist_ok=True)
    speak({"FEDSCREEN_LANG": "zh_CN"})
    if os.environ.get("FEDSCREEN_LOCALE_DIR"):  # a catalogue that is not committed yet
        import gettext

        gettext.bindtextdomain("fedscreen", os.environ["FEDSCREEN_LOCALE_DIR"])
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as engine:
        house, ids = busy_house(Path(folder))
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        try:
            browser = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
            with served(house) as origin, house.by_stick():
                for language in ("zh_CN", "en"):
                    looker = Looker(browser, house, origin, language, out)
                    walk(looker, ids, Path(folder) / f"bundle-{language}")
                    wrong += looker.wrong
            browser.close()
        finally:
            house.close()
    for line in wrong:
        print(line)
    print(f"{len(list(out.glob('*.png')))} screenshots in {out}, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
