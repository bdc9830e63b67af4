"""An auditor's page in one process: real auditors, a fake coordinator, no browser, no network.

`Visitor` is a person's browser without scripts: it fills forms in with the token of the page it last saw, and
keeps cookies.
"""

from __future__ import annotations

import re
import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest
from anyio.from_thread import start_blocking_portal
from fakes_auditors import Entropy, FakeCounty, FakeLink, joined_county, run_all, small_plan
from fakes_trips import put_file

from auditor import watch as watching
from auditor.config import AuditorConfig, AuditorFolder, write_config
from auditor.desk import Desk
from auditor.errors import LinkError
from auditor.page.app import make_app
from auditor.page.office import open_office
from pages.guard import Address
from pages.serve import LOOPBACK, listen, make_server
from plan.document import PlanDocument
from protos.card import encode_card
from protos.statements import Extension, digest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have another client than httpx
    from starlette.testclient import TestClient

AUTHORITY = "127.0.0.1:8640"
BASE = f"http://{AUTHORITY}"
OPERATOR = "州教育科学研究院"
TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')


class AwayLink(FakeLink):
    """A coordinator that does not answer while `is_away`."""

    is_away = False

    def get_log(self, start: int, max_entries: int):  # type: ignore[no-untyped-def]
        if self.is_away:
            raise LinkError("unavailable", "the coordinator does not answer", is_temporary=True)
        return super().get_log(start, max_entries)


class AuditorHouse:
    """One auditor with a page, and the county around it.

    Attributes:
        county: the fake coordinator and schools.
        desks: the other auditors, by id.
        now_s: the hand-moved clock of sessions.
        num_opened: how often the desk was opened.
    """

    def __init__(self, root: Path, county: FakeCounty | None = None, *, has_keys: bool = True) -> None:
        self.root = root
        self.county = county or joined_county()
        self.folder = AuditorFolder(root / "a1")
        self.link = AwayLink(self.county, "a1")
        self.now_s, self.num_opened = 1000.0, 0
        if has_keys:
            self._write_folder()
        self.desks = {
            name: self.county.desk(name, root / name) for name in sorted(self.county.auditors) if name != "a1"
        }
        self.office = open_office(
            self.folder if has_keys else None,
            self._open,
            lambda: self.county.clock,
            lambda: self.now_s,
            Entropy(f"page {root}"),
        )
        self.app = make_app(self.office, Address("http", AUTHORITY), "en")
        self._loop = start_blocking_portal()
        self.portal = self._loop.__enter__()  # one for all requests: to start one takes longer than a page

    def _write_folder(self) -> None:
        config = AuditorConfig(federation=self.county.federation, id="a1", operator=OPERATOR)
        write_config(self.folder, config)
        self.folder.policy.write_text(self.county.policy_text(), "utf-8")
        self.folder.card.write_text(encode_card(self.county.card), "utf-8")

    @contextmanager
    def _open(self, folder: AuditorFolder) -> Iterator[Desk]:
        self.num_opened += 1
        policy = folder.policy.read_text("utf-8")
        yield self.county.desk("a1", folder.root, link=self.link, policy=policy)

    @contextmanager
    def by_stick(self) -> Iterator[Path]:
        """Let trips open this auditor of the fake county; gives a stick with the county's newest file."""
        patch, stick = pytest.MonkeyPatch(), self.root / "stick"
        patch.setattr(
            watching,
            "open_desk",
            lambda folder, _config, link: self.county.desk("a1", folder.root, link=link),
        )
        try:
            put_file(self.county, stick, "a1")
            yield stick
        finally:
            patch.undo()

    def visitor(self, *, is_in: bool = True) -> Visitor:
        """Give a new browser; with `is_in` one that came in by a link."""
        found = Visitor(self)
        if is_in:
            found.get(f"/enter/{self.office.sessions.make_link()}")
        return found

    def close(self) -> None:
        """Stop what runs."""
        self.office.watcher.end()
        self.office.workshop.end()
        if self.office.keeper is not None:
            self.office.keeper.close()
        self._loop.__exit__(None, None, None)


class Visitor:
    """One browser.

    Attributes:
        page: the last answer.
    """

    def __init__(self, house: AuditorHouse) -> None:
        self.house = house
        self.client = TestClient(house.app, base_url=BASE, raise_server_exceptions=True)
        self.client.portal = house.portal
        self.page: httpx.Response = httpx.Response(204)
        self._token = ""

    @property
    def text(self) -> str:
        """What stands on the last page."""
        return self.page.text

    @property
    def token(self) -> str:
        """The form token of the last page that had one."""
        found = TOKEN.search(self.text)
        self._token = found.group(1) if found else self._token
        return self._token

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Open a page."""
        self.page = self.client.get(path, headers=headers)
        return self.page

    def post(self, path: str, texts: Mapping[str, str] | None = None, /, **headers: str) -> httpx.Response:
        """Send a form with the token of the page that is open."""
        form = {"form_token": self.token, **(texts or {})}
        self.page = self.client.post(path, data=form, headers={"origin": BASE, **headers})
        return self.page

    def post_raw(self, path: str, body: bytes | str, **headers: str) -> httpx.Response:
        """Send any bytes as a form."""
        sent = {"origin": BASE, "content-type": "application/x-www-form-urlencoded", **headers}
        answer: httpx.Response = self.client.post(path, content=body, headers=sent, follow_redirects=False)
        return answer


@contextmanager
def served(house: AuditorHouse, language: str = "zh_CN") -> Iterator[str]:
    """Serve the pages on a free port of this machine; gives their origin."""
    listener = listen(LOOPBACK, 0)
    address = Address("http", "{}:{}".format(*listener.getsockname()))
    server = make_server(make_app(house.office, address, language))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    try:
        yield address.origin
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()


def plan_like(
    ident: str, title: str, rho: str, *, days: int = 0, year: int = 2026, **changes: Any
) -> PlanDocument:
    """Give a small plan with another name, cost and day, so that it counts other pupils than the others."""
    plan, shift = small_plan(), timedelta(days=365 * (year - 2026))
    return replace(
        plan,
        id=ident,
        title=title,
        purpose="了解在校学生心理健康状况，安排辅导力量",
        rho=Fraction(rho),
        school_year=f"{year}-{year + 1}",
        census_date=plan.census_date + shift - timedelta(days=days),
        opens=plan.opens + shift,
        closes=plan.closes + shift,
        **changes,
    )


class Busy(NamedTuple):
    """What waits in a busy county, by id in hex; `roster` by digest."""

    done: str
    sitting: str
    extension: str
    plans: tuple[str, str]
    refused: str
    roster: str


def busy_house(root: Path) -> tuple[AuditorHouse, Busy]:
    """Make an auditor with something of everything: a released round, one to check, one to extend, plans."""
    county = joined_county()
    house = AuditorHouse(root, county)
    now = county.clock
    county.clock = now - timedelta(days=365)
    done = _approved(house, plan_like("spring", "春季复测", "1/5", year=2025))
    county.collect(done)
    county.fix_candidates(done)
    _run(house)
    county.close(done)
    _run(house, 3)
    county.release_real(done)
    _run(house)
    county.clock = now
    sitting = _approved(house, plan_like("autumn", "秋季全员测评", "1/5"))
    county.collect(sitting)
    county.fix_candidates(sitting)
    for desk in house.desks.values():
        desk.step()
    extension = _approved(house, plan_like("added", "补充测评", "1/20", days=1))
    county.collect(extension, sorted(county.nodes)[:3])
    later = county.round(extension).terms.closes + timedelta(days=14)
    county.add(
        Extension(county.federation, extension, 1, later, "schools-missing"), b"", [county.coordinator]
    )
    plans = (
        county.publish_plan(plan_like("spring", "春季复测", "1/20", days=2, min_group=6)),
        county.publish_plan(plan_like("teachers", "专项调查", "1/20", days=3)),
    )
    refused = county.publish_plan(plan_like("rare", "稀有群体", "3/10", days=4))
    body = county.roster_body([row for row in county.all_roster_nodes() if row.id != max(county.nodes)])
    proposal = county.propose(body, ["a2"])
    county.cosign_as(["a2", "a3", "a4"], county.ledger.size)
    names = (done, sitting, extension, plans[0], plans[1], refused)
    found = [name.hex() for name in names]
    roster = digest(proposal.text).hex()
    return house, Busy(found[0], found[1], found[2], (found[3], found[4]), found[5], roster)


def _approved(house: AuditorHouse, plan: PlanDocument) -> bytes:
    round_id = house.county.publish_plan(plan)
    for desk in house.desks.values():
        desk.approve(round_id)
    with house.office.keeper.desk() as own:  # type: ignore[union-attr]
        own.approve(round_id)
    return round_id


def _run(house: AuditorHouse, times: int = 1) -> None:
    with house.office.keeper.desk() as own:  # type: ignore[union-attr]
        run_all([own, *house.desks.values()], times)
