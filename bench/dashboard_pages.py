"""Look at every page of the dashboard: both languages, three widths, screenshots to be looked at.

    python bench/dashboard_pages.py OUT [READY-PLAN]

The results are those of a made-up county of 3,000 pupils under a ready plan, so that every chart has numbers.
Exit code 1 where a page answers with an error or has to be scrolled sideways. Needs playwright and chromium.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from fakes_dashboard import PASSPHRASE, Office, named_county
from fakes_report import model_of, ready_plan, rich_county
from playwright.sync_api import sync_playwright

from coordinator.dashboard import pages_results
from coordinator.dashboard.app import make_app
from coordinator.dashboard.guard import Address
from coordinator.dashboard.serve import address_of, bind, make_server
from fedscreen.language import speak

WIDTHS = (1366, 768, 390)
PAGES = {
    "": ("/login", "/setup"),
    "clerk": (
        *("/board", "/board/COLLECTING", "/board/RELEASED", "/results", "/results/RELEASED", "/schools"),
        *("/plans", "/plans/RELEASED", "/budget", "/log", "/me", "/journal"),
    ),
    "system": ("/system", "/people"),
    "security": ("/roles", "/roles?account=clerk", "/keys"),
    "audit": ("/journal",),
    "school": ("/facts", "/progress"),
}


@contextmanager
def served(office: Office) -> Iterator[Address]:
    """Serve the dashboard on a free port of this machine."""
    listener = bind("127.0.0.1:0", has_certificate=False)
    address = address_of(listener, "", has_certificate=False)
    server = make_server(make_app(office.open, address, "zh_CN", office.random))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        server.should_exit = True
        thread.join(10)


def look(browser: Any, address: Address, ids: tuple[str, str], out: Path) -> list[str]:
    """Open every page; return what is wrong."""
    wrong = []
    for language in ("zh_CN", "en"):
        for role, paths in PAGES.items():
            context = browser.new_context()
            context.add_cookies([{"name": "fedscreen-language", "value": language, "url": address.origin}])
            page = context.new_page()
            if role:
                page.goto(address.origin + "/login")
                page.fill("[name=name]", role)
                page.fill("[name=passphrase]", PASSPHRASE)
                page.click("main button")
            for path in paths:
                where = path.replace("RELEASED", ids[0]).replace("COLLECTING", ids[1])
                name = f"{role or 'nobody'}{path.replace('/', '_').replace('?', '_')}"
                for width in WIDTHS:
                    page.set_viewport_size({"width": width, "height": 768})
                    status = page.goto(address.origin + where).status
                    over = page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
                    page.screenshot(path=out / f"{name}-{language}-{width}.png", full_page=True)
                    if over > 0 or status not in (200, 403):
                        wrong.append(f"{name} {language} {width}: status {status}, {over} px too wide")
            context.close()
    return wrong


def main(out: Path, plan: str = "autumn-full") -> int:
    """Make the county, look at its pages, say what is wrong."""
    out.mkdir(parents=True, exist_ok=True)
    model = model_of(rich_county(ready_plan(plan, with_optional=True), 3000, seed=1))
    speak({"FEDSCREEN_LANG": "zh_CN"})
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as engine:
        office = Office(named_county(Path(folder) / "county", 9))
        released, collecting = (round_id.hex() for round_id in office.county.desk.round_ids()[:2])
        chromium = shutil.which("chromium") or shutil.which("chromium-browser")
        browser = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        with (
            patch.object(pages_results, "shown_report", lambda _book, _log: model),
            served(office) as address,
        ):
            wrong = look(browser, address, (released, collecting), out)
        browser.close()
        office.close()
    for line in wrong:
        print(line)
    print(f"{len(list(out.glob('*.png')))} screenshots in {out}, {len(wrong)} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:3]))
