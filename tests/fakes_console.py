"""A console over the vault of a `SchoolHouse`, in this process: real answers, no processes, no network.

`Browser` is a person's browser without scripts: it follows links, fills forms in with the token of the page
it last saw, and keeps cookies.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
from fakes_federation import fake_bytes
from fakes_vault import CENSUS, SchoolHouse, pupils

from node.config import NodeConfig, NodeFolder
from node.console.app import make_app
from node.console.keeper import VaultKeeper
from node.console.sessions import LoginBrake, Sessions
from node.console.visit import Console
from node.errors import SessionError, VaultRefusal
from node.role_login import add_holder
from node.vault.errors import VaultError

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # it would rather have another client than httpx
    from starlette.testclient import TestClient

AUTHORITY = "127.0.0.1:8620"
BASE = f"http://{AUTHORITY}"
PASSPHRASE = "cedar lantern ninety rivers"
PSYCHOLOGIST, PRINCIPAL = "王敏", "李校长"
TOKEN = re.compile(r'name="form_token" value="([0-9a-f]+)"')

EXAMPLES = Path(__file__).parents[1] / "examples"
WAVE = {"wave": "A", "school_year": "2026-2027", "census_date": CENSUS.isoformat(), "consent": "record-only"}


def files(rows: int = 6, *, grade: str = "七年级", level: int = 1) -> dict[str, Any]:
    """Give the files of a small school as a form sends them; all pupils have one level."""
    numbers = [f"G9900012014090{place:04d}X" for place in range(rows)]
    roster = ["学籍号,姓名,年级,监护人同意", *(f"{number},欧阳甲,{grade},同意" for number in numbers)]
    found = (f"{number},2026-09-08,{level},{level}" for number in numbers)
    results = ["学籍号,测评日期,总分,预警等级", *found]
    profile = (EXAMPLES / "profiles/addhealth.toml").read_bytes()
    profile = profile.replace(b"[columns]\n", '[columns]\nname = ["姓名"]\n'.encode())
    return {
        "roster": ("a.csv", "\n".join(roster).encode()),
        "screening": ("b.csv", "\n".join(results).encode()),
        "profile": ("p.toml", profile),
        "codebook": ("c.toml", (EXAMPLES / "codebooks/addhealth.toml").read_bytes()),
    }


def quick_kdf(size: int, passphrase: bytes, salt: bytes, **_limits: int) -> bytes:
    """Stand in for Argon2id, which takes half a second."""
    return hashlib.sha256(salt + passphrase).digest()[:size]


class InProcess:
    """A desk that answers like a command's vault; counts its calls, and dies when told to.

    Attributes:
        house: the school behind it.
        seen: every command so far.
        dies: how many of the next calls end the vault instead of answering.
    """

    def __init__(self, house: SchoolHouse) -> None:
        self.house = house
        self.seen: list[dict[str, Any]] = []
        self.dies = 0

    def call(self, command: Mapping[str, Any], files: Mapping[str, bytes] | None = None) -> Any:
        self.seen.append(dict(command))
        if self.dies:
            self.dies -= 1
            raise SessionError("the vault ended", code="session")
        try:
            return self.house.desk.handle(command, files or {})
        except VaultError as err:
            raise VaultRefusal(err.message, err.advice, code=err.code, details=err.details) from err


class ConsoleHouse:
    """One school's console.

    Attributes:
        vault: what stands in for the vault's process.
        keeper: as the product makes it.
        now_s: the hand-moved clock of sessions.
        num_opened: how often the vault was opened.
        round_id: for a test's use.
    """

    def __init__(self, root: Path, *, node: str = "school-1", is_enrolled: bool = True) -> None:
        self.root, self.node, self.is_enrolled = root, node, is_enrolled
        self.now_s = 1000.0
        self.round_id = ""
        self.num_opened = 0
        self._entropy = iter(range(1_000_000))
        self.keeper = VaultKeeper(self._open)
        self.sessions = Sessions(self._random, lambda: self.now_s)
        self.keeper.ask("identity")
        config = NodeConfig(federation="county", node="school-1", key_source="credential")
        self.folder = NodeFolder(root)
        self.console = Console(
            self.folder, config, self.keeper, self.sessions, LoginBrake(lambda: self.now_s)
        )
        self.app = make_app(self.console, authority=AUTHORITY, operator="第一中学", language="en")

    def _random(self, size: int) -> bytes:
        return fake_bytes(f"console {next(self._entropy)}", size)

    @contextmanager
    def _open(self) -> Iterator[InProcess]:
        if self.num_opened == 0:
            self.vault = InProcess(SchoolHouse(self.root, node=self.node, is_enrolled=self.is_enrolled))
        self.num_opened += 1
        yield self.vault

    def do(self, step: Callable[[SchoolHouse], Any]) -> Any:
        """Do something with the school, in the only thread that may."""
        return self.keeper._thread.submit(step, self.vault.house).result()

    def start_round(self, *, with_records: bool = True) -> str:
        """Publish and approve a round, with 30 pupils imported; give its id."""

        def step(house: SchoolHouse) -> str:
            round_id = house.publish()
            house.federation.approve(round_id)
            house.sync()
            if with_records:
                house.save(pupils())
            return round_id.hex()

        return str(self.do(step))

    def give_roles(self) -> None:
        """Make a psychologist and a principal."""
        add_holder(self.keeper, "psychologist", PSYCHOLOGIST, PASSPHRASE)
        add_holder(self.keeper, "principal", PRINCIPAL, PASSPHRASE)

    def browser(self) -> Browser:
        """Give a new browser."""
        return Browser(self)


class Browser:
    """One browser.

    Attributes:
        page: the last answer.
    """

    def __init__(self, house: ConsoleHouse) -> None:
        self._house = house
        self.client = TestClient(house.app, base_url=BASE, raise_server_exceptions=True)
        self.page: httpx.Response = httpx.Response(204)

    @property
    def text(self) -> str:
        """What stands on the last page."""
        return self.page.text

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Open a page."""
        self.page = self.client.get(path, headers=headers)
        return self.page

    def post(
        self, path: str, texts: Mapping[str, str] | None = None, /, *, files: Any = None, **headers: str
    ) -> httpx.Response:
        """Send a form with the token of the page that is open."""
        found = TOKEN.search(self.text)
        form = {"form_token": found.group(1) if found else "", **(texts or {})}
        sent = {"origin": BASE, **headers}
        self.page = self.client.post(path, data=form, files=files, headers=sent)
        return self.page

    def enter(self) -> Browser:
        """Come in as IT."""
        self.get(f"/enter/{self._house.sessions.make_link()}")
        return self

    def log_in(self, role: str) -> Browser:
        """Come in as the holder of a role."""
        self.get("/login")
        name = PSYCHOLOGIST if role == "psychologist" else PRINCIPAL
        self.post("/login", {"role": role, "name": name, "passphrase": PASSPHRASE})
        return self
