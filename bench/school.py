"""One large school: 10,000 pupils through import, tables, report and the vault's memory, against limits.

Import is the whole command in processes of its own (`fedscreen node import` on a node that was just made),
its peak memory the vault's; the rest are steps inside an open vault, by the ready plan autumn-full: tabulate
is counting records that have been read, read and tabulate what a `preview` does, report what a `release`
does, reading included. `ours` and `reference` are seconds
or MiB; the reference is the limit that this project has set itself, not another program.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
for folder in (ROOT, ROOT / "tests"):
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))

from fakes_federation import TinyFederation
from fakes_vault import SchoolHouse
from plan_samples import codebook, ready_toml
from playwright.sync_api import sync_playwright

from bench.row import Row, make_row
from fedscreen.demo.county import make_county
from fedscreen.demo.school_files import write_school
from node.vault.check_round import check_round
from node.vault.records import read_records
from node.vault.tabulate import count_records, count_round
from plan.document import PlanDocument, parse_plan_toml
from plan.publishing import pin_codebook, resolve

PUPILS, QUICK_PUPILS = 10_000, 2_000
CENSUS = "2026-09-30"
WAVE = ("--wave", "A", "--school-year", "2026-2027", "--census-date", CENSUS)
LIMITS = {"import": 3.0, "tabulate": 0.2, "read and tabulate": 0.4, "report": 1.0, "vault MiB": 120.0}
FIRST_PAGE_S = 0.3
PASSPHRASE = "four unrelated words here"
SAMPLE_S = 0.01
COUNTY = "532501"


def rows(quick: bool) -> Iterator[Row]:
    """Measure one school; see the module."""
    pupils = QUICK_PUPILS if quick else PUPILS
    share = pupils / PUPILS
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_school(_large_school(pupils), folder / "files")
        seconds, peak = _import(folder)
        yield make_row("school: import", pupils, 0, seconds, LIMITS["import"] * share, 1.0)
        yield make_row("school: console's first page", pupils, 0, _first_page(folder), FIRST_PAGE_S, 1.0)
        yield make_row("school: vault's peak, MiB", pupils, 0, peak / 2**20, LIMITS["vault MiB"], 1.0)
        for step, found, cells in _count_and_release(folder):
            yield make_row(f"school: {step}", pupils, cells, found, LIMITS[step] * share, 1.0)


def _large_school(pupils: int) -> object:
    """A complete school, which has pupils of every stage but vocational."""
    return max(make_county(12, 12 * pupils, 5), key=lambda school: -abs(school.num_pupils - pupils))


def _import(folder: Path) -> tuple[float, int]:
    """Run the commands; give the seconds of `import` and the vault's largest resident set, in bytes."""
    passphrase = folder / "passphrase"
    passphrase.write_text(PASSPHRASE + "\n", "utf-8")
    passphrase.chmod(0o600)
    command = [sys.executable, "-m", "fedscreen", "node"]
    environ = _environ(folder)
    identity = ("--federation", "bench", "--id", "s01", "--operator", "School 1", "--system", "6-3")
    subprocess.run([*command, "init", *identity, "--attribute", f"county={COUNTY}"], env=environ, check=True)
    names = {"roster": "roster.xlsx", "screening": "screening.xlsx"}
    names |= {"profile": "profile.toml", "codebook": "codebook.toml"}
    files = [word for role, name in names.items() for word in (f"--{role}", str(folder / "files" / name))]
    start = time.monotonic()
    with subprocess.Popen([*command, "import", *files, *WAVE], env=environ) as process:
        peak = _watch(process)
    if process.returncode:
        raise RuntimeError("the import failed")
    return time.monotonic() - start, peak


def _first_page(folder: Path) -> float:
    """Open the console on that node; give the seconds from the link to the page with all that it loads.

    Loaded by the system's Chromium in a fresh profile, or where there is none, asked for over HTTP.
    """
    command = [sys.executable, "-m", "fedscreen", "node", "console", "--port", "0", "--json"]
    with subprocess.Popen(command, env=_environ(folder), stdout=subprocess.PIPE) as process:
        try:
            link = json.loads(process.stdout.readline())["link"]
            chromium = shutil.which("chromium") or shutil.which("chromium-browser")
            return _load(link, chromium) if chromium else _timed(lambda: urllib.request.urlopen(link).read())
        finally:
            process.terminate()


def _load(link: str, chromium: str) -> float:
    with sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page()
        page.goto("about:blank")
        seconds = _timed(lambda: page.goto(link, wait_until="load"))
        browser.close()
    return seconds


def _environ(folder: Path) -> dict[str, str]:
    passphrase = folder / "passphrase"
    environ = {**os.environ, "FEDSCREEN_NODE_DIR": str(folder / "node"), "PYTHONPATH": str(ROOT)}
    return environ | {"FEDSCREEN_NODE_PASSPHRASE_FILE": str(passphrase), "FEDSCREEN_LANG": "en"}


def _watch(process: subprocess.Popen[bytes]) -> int:
    """Give the largest resident set of any vault under a command, by the kernel's own high-water mark."""
    peak = 0
    while process.poll() is None:
        for child in _descendants(process.pid):
            with suppress(OSError, ValueError, IndexError):
                if b"node.vault.worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                    status = Path(f"/proc/{child}/status").read_text("ascii")
                    peak = max(peak, int(status.split("VmHWM:")[1].split()[0]) * 1024)
        threading.Event().wait(SAMPLE_S)
    return peak


def _descendants(pid: int) -> Iterator[int]:
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text("ascii").split()):
                yield child
                yield from _descendants(child)


def _plan() -> PlanDocument:
    return resolve(pin_codebook(parse_plan_toml(ready_toml("autumn-full")), codebook("mht")), 7)


def _count_and_release(folder: Path) -> Iterator[tuple[str, float, int]]:
    """Import into a vault in this process, and time the steps of a preview and of a release."""
    federation = TinyFederation(kind="production")
    for node in federation.nodes.values():
        node.attributes = (("county", COUNTY),)
    house = SchoolHouse(folder, federation, county=COUNTY)
    plan = _plan()
    house.now = plan.opens + timedelta(days=1)
    round_id = house.publish(plan)
    federation.approve(round_id)
    house.sync()
    names = ("roster.xlsx", "screening.xlsx", "profile.toml", "codebook.toml")
    files = {name.split(".")[0]: (folder / "files" / name).read_bytes() for name in names}
    answer = house.call("import", files, round=round_id.hex())
    if answer["refused"]:
        raise RuntimeError(f"the import was refused: {answer['issues'][:3]}")
    parts = house.desk.enrolled()
    checked = check_round(parts, round_id)
    cells = checked.published.layout.cells
    store, published, attributes = parts.store, checked.published, checked.attributes
    records = read_records(store, count_round(store, published, attributes).record_set)
    yield "tabulate", _timed(lambda: count_records(published, records, attributes)), cells
    yield "read and tabulate", _timed(lambda: count_round(store, published, attributes)), cells
    yield "report", _timed(lambda: house.release(round_id)), cells
    house.store.close()


def _timed(action: Callable[[], object]) -> float:
    start = time.monotonic()
    action()
    return time.monotonic() - start
