"""The county's dashboard in one process, over a real coordinator's database, without a browser or a network.

`Visitor` is a person's browser without scripts: it fills forms in with the token of the page it last saw, and
keeps cookies.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path

import httpx
from anyio.from_thread import start_blocking_portal
from fakes_coordinator import County, fake_bytes, small_plan
from sqlalchemy import Connection

from coordinator import accounts, log_in
from coordinator.account_rules import CLERK, ROLES, SCHOOL
from coordinator.dashboard.app import make_app
from coordinator.dashboard.county import open_county
from coordinator.dashboard.guard import Address

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have another client than httpx
    from starlette.testclient import TestClient

AUTHORITY = "127.0.0.1:8630"
BASE = f"http://{AUTHORITY}"
PASSPHRASE = "cedar lantern ninety rivers"
TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')
PERSONS = {
    "system": "王系统",
    "security": "李安全",
    "audit": "张审计",
    CLERK: "赵统计",
    SCHOOL: "第一中学填报人",
}
SCHOOL_NODE = "s01"


def quick_str(passphrase: bytes, **_limits: int) -> bytes:
    """Stand in for Argon2id, which takes long."""
    return b"quick " + hashlib.sha256(passphrase).hexdigest().encode()


def quick_verify(stored: bytes, passphrase: bytes) -> bool:
    """Compare with what `quick_str` made."""
    return stored == quick_str(passphrase)


class Office:
    """A county with a dashboard and an account per role.

    Attributes:
        county: the coordinator with its schools and auditors.
        open: what the dashboard has open.

    Args:
        others: a role whose account somebody else makes.
    """

    def __init__(self, county: County, language: str = "en", others: str = "") -> None:
        self.county = county
        self._entropy = iter(range(10_000_000))
        self.open = open_county(county.directory, self._now)
        self.app = make_app(self.open, Address("http", AUTHORITY), language, self.random)
        self._loop = start_blocking_portal()
        self.portal = self._loop.__enter__()  # one for all requests: to start one takes longer than a page
        nodes = self.open.nodes()
        with self.open.writing("accounts") as connection:
            for role in (role for role in ROLES if role != others):
                self._add(connection, role, role, PERSONS[role], SCHOOL_NODE if role == SCHOOL else "", nodes)

    def _now(self) -> datetime:
        return self.county.clock

    def random(self, size: int) -> bytes:
        return fake_bytes(f"dashboard {next(self._entropy)}", size)

    def add(self, name: str, role: str, person: str, node: str = "") -> None:
        """Make an account with a passphrase."""
        nodes = self.open.nodes()
        with self.open.writing("account") as connection:
            self._add(connection, name, role, person, node, nodes)

    def _add(
        self,
        connection: Connection,
        name: str,
        role: str,
        person: str,
        node: str,
        nodes: Mapping[str, str],
    ) -> None:
        accounts.add(connection, name, person, self.open.now_ms)
        if role:
            accounts.give_role(connection, name, role, node, nodes)
            accounts.set_passphrase(connection, name, accounts.stretch(PASSPHRASE), self.open.now_ms)

    def visitor(self, role: str = "") -> Visitor:
        """Give a new browser; with a role somebody who has logged in, whatever was tried before."""
        found = Visitor(self)
        if role:
            self.county.advance(seconds=1)
            with self.open.writing("account") as connection:
                log_in.unlock(connection, role)
        return found.log_in(role) if role else found

    def close(self) -> None:
        """Close both."""
        self._loop.__exit__(None, None, None)
        self.open.close()
        self.county.desk.close()


class Visitor:
    """One browser.

    Attributes:
        page: the last answer.
    """

    def __init__(self, office: Office) -> None:
        self.office = office
        self.client = TestClient(office.app, base_url=BASE, raise_server_exceptions=True)
        self.client.portal = office.portal
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
        sent = {"origin": BASE, **headers}
        self.page = self.client.post(path, data=form, headers=sent)
        return self.page

    def post_raw(self, path: str, body: bytes | str, **headers: str) -> httpx.Response:
        """Send any bytes as a form."""
        sent = {"origin": BASE, "content-type": "application/x-www-form-urlencoded", **headers}
        return self.client.post(path, content=body, headers=sent, follow_redirects=False)

    def log_in(self, name: str, passphrase: str = PASSPHRASE, code: str = "") -> Visitor:
        """Come in."""
        self.get("/login")
        self.post("/login", {"name": name, "passphrase": passphrase, "code": code})
        return self


NAMES = (
    "第一中学",
    "第二中学",
    "实验小学",
    "城关镇中心小学",
    "民族中学",
    "职业高级中学",
    "河口九年一贯制学校",
)


def named_county(directory: Path, num_schools: int = 7) -> County:
    """Make a county with schools as they are called: one round released, another collecting."""
    county = County(directory, num_schools)
    for place, school in enumerate(county.schools.values()):
        number, kind = divmod(place, len(NAMES))
        school.operator = NAMES[kind] + (f"({number + 1})" if number else "")
    county.released()
    plan = small_plan(id="later", title="补充测评", closes=county.clock + timedelta(days=9))
    later = county.publish(plan)
    county.approve(later)
    for name in list(county.schools)[: num_schools // 2]:
        ledger = county.ledger()
        before = next(iter(ledger.rounds.values())).reports[(name, 0)].digest
        county.desk.submit_report(name, county.schools[name].payload(ledger, later, previous=before))
    county.cosign(["a1", "a2", "a3"])
    return county
