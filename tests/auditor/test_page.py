"""The auditor's page: who may come in, what each form does, that two clicks sign once; hostile forms."""

from __future__ import annotations

import gettext
import io
import json
import os
import re
import shutil
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from urllib.parse import urlencode

import pytest

pytest.importorskip("starlette", reason="the page needs fedscreen[web]")
pytest.importorskip("jinja2", reason="the page needs fedscreen[web]")

from click.testing import CliRunner
from fakes_auditor_page import BASE, AuditorHouse, Busy, Visitor, busy_house, plan_like
from fakes_auditors import run_all
from fakes_sticks import no_sockets
from fakes_trips import deliver

from auditor.cli import auditor
from auditor.enrol import load_policy
from auditor.evidence.writing import Request
from auditor.page import pages_evidence
from auditor.page.places import PLACES, Place
from auditor.page.stick_only import desk_of
from auditor.page.visit import ANYBODY, ENTERED, INSPECTOR, KEEPER, KEEPERS
from auditor.state import SlotKind
from fedscreen.language import DOMAIN, LOCALE_DIR
from pages.guard import SCRIPTLESS
from pages.sessions import IDLE_S, LINK_S, LONGEST_S
from protos.statements import digest
from protos.stick import from_auditor_path, to_auditor_path
from protos.trip_file import TripFile
from protos.trip_records import STATEMENT

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{7*7}}",
    "%(place)s%(x)d",
    "'; DROP TABLE accounts; --",
    "a\x00b",
    "a\r\nSet-Cookie: x=1",
    "a\u202eb",
    "1" * 400,
    "1e309",
    "-1",
    "1/0",
    "１２３",
    "../../../../etc/passwd",
    "/etc/passwd",
    "//evil.example/",
    "\\\\evil\\share",
    "A" * 1900,
]
FIELDS_OF = {
    "/logout": ("anything",),
    "/language": ("language", "back"),
    "/look": ("anything",),
    "/rosters/{digest:str}/sign": ("anything",),
    "/plans/year": ("rounds",),
    "/plans/{round:str}/approve": ("anything",),
    "/rounds/{round:str}/extend": ("extension",),
    "/work/start": ("kind",),
    "/work/stop": ("anything",),
    "/trips/read": ("stick",),
    "/trips": ("stick", "vectors", "sign.plan." + "0" * 64, "sign.deadline." + "0" * 64, "sign.roster.x"),
    "/challenge": ("bundle", "policy", "round", "number", "percent", "cheaters"),
    "/policy": ("max-rho", "min-group", "forbid-field", "forbid-table", "tuple", "tuple.4-3-1-3", "shown"),
    "/verify": ("folder", "policy", "head"),
    "/verify/diff": ("old", "new"),
    "/bundle": ("out", "public"),
    "/evidence": ("profile", "year", "out", "bundle"),
}
FORMS = [place for place in PLACES if place.method == "POST"]
POLICY = {"tuple.4-3-1-3": "1"}
SHOWN = re.compile(r'name="shown" value="([0-9a-f]{64})"')


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[AuditorHouse, Busy]]:
    """An auditor with something of everything; tests here change nothing that others see."""
    patch = pytest.MonkeyPatch()
    patch.setattr(os, "fsync", lambda _descriptor: None)
    made, ids = busy_house(tmp_path_factory.mktemp("busy"))
    yield made, ids
    made.close()
    patch.undo()


@pytest.fixture
def house(tmp_path: Path) -> Iterator[AuditorHouse]:
    """An auditor of a test's own, in a county whose roster is logged."""
    made = AuditorHouse(tmp_path)
    yield made
    made.close()


@pytest.fixture(scope="module")
def inspector(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AuditorHouse]:
    """A page without an auditor's folder, for all tests: it holds nothing that one could change."""
    made = AuditorHouse(tmp_path_factory.mktemp("inspector"), has_keys=False)
    yield made
    made.close()


def with_ids(path: str, ids: Busy) -> str:
    return path.replace("{digest:str}", ids.roster).replace("{round:str}", ids.plans[0])


def done(visitor: Visitor, path: str = "/work") -> str:
    """Wait until the work has ended; give its page."""
    for _ in range(100):
        visitor.get(path)
        if 'class="busy"' not in visitor.text:
            return visitor.text
        time.sleep(0.05)
    raise AssertionError("the work does not end")


# --- who may see what ------------------------------------------------------------------------------


def test_every_page_has_a_rule_and_every_form_is_tried_below() -> None:
    assert {place.who for place in PLACES} == {ANYBODY, ENTERED, KEEPERS}
    assert len({(place.method, place.path) for place in PLACES}) == len(PLACES)
    assert {place.path for place in FORMS} == set(FIELDS_OF)
    open_ones = {place.path for place in PLACES if "" in place.who}
    assert open_ones == {"/enter/{token:str}", "/gone", "/logout", "/language"}
    assert {place.path for place in PLACES if INSPECTOR in place.who} - open_ones == {
        *("/", "/verify", "/verify/result", "/verify/diff", "/evidence", "/evidence/result"),
        *("/challenge", "/challenge/result"),
    }


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_nobody_sees_a_page_without_the_link(busy: tuple[AuditorHouse, Busy], method: str) -> None:
    house, ids = busy
    visitor = house.visitor(is_in=False)
    visitor.get("/gone")
    for place in PLACES:
        if place.method == method and "" not in place.who:
            path = with_ids(place.path, ids).replace("{token:str}", "x")
            answer = visitor.get(path) if method == "GET" else visitor.post(path)
            assert answer.url.path == "/gone", place


def test_an_inspector_meets_only_what_needs_no_keys(inspector: AuditorHouse) -> None:
    visitor = inspector.visitor()
    for place in PLACES:
        if KEEPER in place.who and "" not in place.who:
            path = place.path.replace("{digest:str}", "0" * 64).replace("{round:str}", "0" * 64)
            answer = visitor.get(path) if place.method == "GET" else visitor.post(path)
            assert (answer.status_code == 403) == (INSPECTOR not in place.who), place


def test_a_link_works_once_and_for_ten_minutes(house: AuditorHouse) -> None:
    link = house.office.sessions.make_link()
    assert house.visitor(is_in=False).get(f"/enter/{link}").url.path == "/"
    assert house.visitor(is_in=False).get(f"/enter/{link}").status_code == 403
    late = house.office.sessions.make_link()
    house.now_s += LINK_S + 1
    assert house.visitor(is_in=False).get(f"/enter/{late}").status_code == 403


@pytest.mark.parametrize(("steps", "wait_s"), [(1, IDLE_S + 1), (40, LONGEST_S / 39)], ids=["idle", "long"])
def test_a_session_ends(house: AuditorHouse, steps: int, wait_s: float) -> None:
    visitor = house.visitor()
    for _ in range(steps):
        house.now_s += wait_s
        visitor.get("/policy")
    assert visitor.page.url.path == "/gone"
    assert visitor.post("/look").url.path == "/gone"


def test_a_page_that_looks_again_by_itself_keeps_no_session(house: AuditorHouse) -> None:
    visitor = house.visitor()
    house.now_s += IDLE_S - 10
    visitor.get("/work?auto=1")
    house.now_s += 20
    assert visitor.get("/work?auto=1").url.path == "/gone"


# --- what requests must be -------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["localhost:8640", "127.0.0.1", "evil.example:8640", "[::1]:8640", ""])
def test_another_host_is_refused(busy: tuple[AuditorHouse, Busy], host: str) -> None:
    answer = busy[0].visitor(is_in=False).client.get("/", headers={"host": host})
    assert answer.status_code == 421
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("origin", "site"),
    [("http://evil.example", ""), ("http://127.0.0.1:9", ""), ("null", ""), ("", ""), (BASE, "cross-site")],
)
def test_a_form_from_elsewhere_is_refused(busy: tuple[AuditorHouse, Busy], origin: str, site: str) -> None:
    visitor = busy[0].visitor()
    headers = {"origin": origin} | ({"sec-fetch-site": site} if site else {})
    assert visitor.post("/logout", None, **headers).status_code == 403
    assert visitor.get("/rounds").url.path == "/rounds"


ANSWERS = ["/", "/gone", "/nothing", "/static/app.css", "/shared/pages.css", "/enter/x"]


@pytest.mark.parametrize("path", ANSWERS)
def test_every_answer_carries_the_headers_and_no_script(busy: tuple[AuditorHouse, Busy], path: str) -> None:
    answer = busy[0].visitor().client.get(path, follow_redirects=False)
    for name, value in SCRIPTLESS.items():
        assert answer.headers.get_list(name) == [value]
    assert "script" not in SCRIPTLESS["content-security-policy"]
    assert "<script" not in answer.text
    assert "style=" not in answer.text


@pytest.mark.parametrize("place", FORMS, ids=lambda place: place.path)
def test_a_form_without_its_sessions_token_changes_nothing(
    busy: tuple[AuditorHouse, Busy], place: Place
) -> None:
    house, ids = busy
    visitor, before = house.visitor(), house.county.ledger.size
    other = house.visitor().token
    for token in ("", "0" * 64, other):
        body = urlencode({"form_token": token, **dict.fromkeys(FIELDS_OF[place.path], "x")})
        assert visitor.post_raw(with_ids(place.path, ids), body).status_code == 400
    assert house.county.ledger.size == before


@pytest.mark.parametrize("place", FORMS, ids=lambda place: place.path)
def test_hostile_texts_are_refused_or_shown_as_text(
    busy: tuple[AuditorHouse, Busy], place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    house, ids = busy
    monkeypatch.setattr("auditor.page.pages_rounds._sit", lambda *_arguments: None)
    monkeypatch.setattr("auditor.page.pages_verify._write", lambda *_arguments: "")
    if place.path in ("/plans/{round:str}/approve", "/rosters/{digest:str}/sign"):
        ids = ids._replace(plans=("0" * 64, ids.plans[1]), roster="0" * 64)
    before, policy = house.county.ledger.size, house.folder.policy.read_bytes()
    visitor, names = house.visitor(), FIELDS_OF[place.path]
    reads_none = names == (
        "anything",
    )  # how a form is read at all: some texts show it as well as all of them
    for at, text in enumerate(HOSTILE[::5] if reads_none else HOSTILE):
        form = {**POLICY, names[at % len(names)]: text, "form_token": visitor.token}
        answer = visitor.post_raw(with_ids(place.path, ids), urlencode(form, errors="surrogatepass"))
        assert answer.status_code in (200, 303, 400, 409), (text, answer.status_code)
        assert "<script>alert" not in answer.text
        assert "<img src=x" not in answer.text
        location = answer.headers.get("location", "/")
        assert location.startswith("/")
        assert not location.startswith("//")
        if place.path == "/logout":
            visitor = house.visitor()
    assert house.county.ledger.size == before
    assert house.folder.policy.read_bytes() == policy


@pytest.mark.parametrize(
    "path",
    [
        *("/rounds/<script>", "/rounds/" + "0" * 64, "/rounds/ab", "/plans/%00", "/plans/" + "g" * 64),
        *("/rosters/'", "/rosters/" + "a" * 5000, "/rounds/..%2f..%2fetc", "/verify/result?x=<script>"),
    ],
)
def test_hostile_addresses(busy: tuple[AuditorHouse, Busy], path: str) -> None:
    answer = busy[0].visitor().client.get(path)
    assert answer.status_code in (200, 404, 409)
    assert "<script>" not in answer.text


# --- what the pages do -----------------------------------------------------------------------------


def test_today_says_what_is_to_be_done(busy: tuple[AuditorHouse, Busy]) -> None:
    house, ids = busy
    text = house.visitor().get("/").text
    assert f'href="/rosters/{ids.roster}"' in text
    assert f'href="/rounds/{ids.extension}"' in text
    assert "Plans that wait for you: 3." in text
    assert "Rounds that have their reports: 1." in text
    assert "cosigners of the newest checkpoint" in text


def test_a_roster_is_shown_with_what_it_removes_and_two_clicks_sign_once(house: AuditorHouse) -> None:
    county = house.county
    gone = max(county.nodes)
    body = county.roster_body([row for row in county.all_roster_nodes() if row.id != gone])
    county.propose(body)
    visitor = house.visitor()
    found = re.search(r'href="(/rosters/[0-9a-f]{64})"', visitor.text)
    assert found is not None
    visitor.get(found.group(1))
    assert f"</strong> {gone}</li>" in visitor.text
    for _ in range(2):
        visitor.post(found.group(1) + "/sign")
        assert visitor.page.status_code == 200
        assert len(county.proposals[0].signatures) == 2  # coordinator, a1
    for name in ("a2", "a3"):
        line = county.auditors[name].sign(county.proposals[0].text)
        county.link(name).sign_roster(bytes.fromhex(found.group(1)[-64:]), line)
    assert county.proposals == []
    visitor.post("/look")
    assert "your signature was there already" in visitor.post(found.group(1) + "/sign").text


def test_a_plan_is_shown_against_policy_and_last_year(busy: tuple[AuditorHouse, Busy]) -> None:
    house, ids = busy
    visitor = house.visitor()
    text = visitor.get(f"/plans/{ids.plans[0]}").text
    assert "春季复测" in text
    assert "1/5 → 1/20" in text
    assert 'class="chip bad"' not in text
    refused = visitor.get(f"/plans/{ids.refused}").text
    assert "Must not be approved:" in refused
    assert 'class="chip bad"' in refused
    assert f'action="/plans/{ids.refused}/approve"' not in refused
    assert visitor.post(f"/plans/{ids.refused}/approve").status_code == 409


def test_two_clicks_approve_once_and_a_year_is_approved_as_shown(house: AuditorHouse) -> None:
    rounds = [
        house.county.publish_plan(plan_like(name, name, "1/20", days=at))
        for at, name in enumerate(("one", "two", "three"))
    ]
    visitor = house.visitor()
    first = f"/plans/{rounds[0].hex()}"
    visitor.get(first)
    sizes = {(visitor.post(first + "/approve").status_code, house.county.ledger.size) for _ in range(2)}
    assert len(sizes) == 1
    assert list(house.county.round(rounds[0]).approvals) == ["a1"]
    visitor.get("/plans")
    assert "Approve these 2 plans" in visitor.text
    visitor.post("/plans/year", {"rounds": " ".join(row.hex() for row in rounds[1:])})
    assert all("a1" in house.county.round(row).approvals for row in rounds)


def test_a_year_that_breaks_the_policy_is_not_approved_by_half(house: AuditorHouse) -> None:
    rounds = [
        house.county.publish_plan(plan_like(name, name, "1/4", days=at))
        for at, name in enumerate(("one", "two", "three"))
    ]
    visitor = house.visitor()
    visitor.get("/plans")
    assert "Not all of them together:" in visitor.text
    assert visitor.post("/plans/year", {"rounds": " ".join(row.hex() for row in rounds)}).status_code == 409
    assert not any(house.county.round(row).approvals for row in rounds)


def test_the_second_sitting_goes_on_until_the_sum_is_opened(
    house: AuditorHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("auditor.page.pages_rounds.POLL_S", 0.02)
    county, others = house.county, list(house.desks.values())
    round_id = county.publish_plan()
    for desk in others:
        desk.approve(round_id)
    visitor = house.visitor()
    visitor.post(f"/plans/{round_id.hex()}/approve")
    county.collect(round_id)
    county.fix_candidates(round_id)
    run_all(others)
    county.close(round_id, ["a2", "a3", "a4"])
    run_all(others)
    submit = house.link.submit_statement

    def submit_and_cosign(entry: bytes, body: bytes) -> int:
        position = submit(entry, body)
        county.cosign_as(["a2", "a3", "a4"], county.ledger.size)
        return position

    house.link.submit_statement = submit_and_cosign  # type: ignore[method-assign]
    visitor.post("/look")
    assert "do the second sitting" in visitor.get(f"/rounds/{round_id.hex()}").text
    for _ in range(2):  # a second click shows the first
        visitor.post("/work/start")
    assert "Done; nothing is left for you now." in done(visitor)
    assert "a1" in county.round(round_id).openings
    assert "The key of this round is destroyed." in visitor.get(f"/rounds/{round_id.hex()}").text
    with house.office.keeper.desk() as desk:  # type: ignore[union-attr]
        assert desk.state.signed_at(SlotKind.OPENING, round_id) is not None


def test_a_county_that_does_not_answer_leaves_the_own_copy(house: AuditorHouse) -> None:
    visitor = house.visitor()
    house.link.is_away = True
    visitor.post("/look")
    text = visitor.get("/").text
    assert "The county cannot be reached" in text
    assert "the coordinator does not answer" in text
    assert "log: 2 entries" in text


def test_work_elsewhere_is_waited_for_and_said(house: AuditorHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("auditor.page.keeper.PATIENCE_S", 0.01)
    visitor, keeper = house.visitor(), house.office.keeper
    assert keeper is not None
    with keeper.desk(0.1):
        assert "is at work" in visitor.get("/rounds").text


def test_what_nobody_foresaw_shows_its_kind_and_not_its_text(
    house: AuditorHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def crash(*_arguments: object) -> None:
        raise ValueError("secret 4711")

    monkeypatch.setattr("auditor.page.pages_rounds.title_of", crash)
    house.county.publish_plan()
    visitor = house.visitor()
    answer = visitor.get("/rounds")
    assert answer.status_code == 500
    assert "ValueError" in answer.text
    assert "4711" not in answer.text


# --- the policy ------------------------------------------------------------------------------------


def test_a_tighter_policy_is_stored_after_it_was_shown(house: AuditorHouse) -> None:
    visitor = house.visitor()
    visitor.get("/policy")
    form = {**POLICY, "max-rho": "0.2", "forbid-field": "sex，boarding"}
    visitor.post("/policy", form)
    assert "allows less" in visitor.text
    assert "allows more" not in visitor.text
    assert str(load_policy(house.folder.policy).max_rho) == "1/4"
    visitor.post("/policy", {**form, "shown": SHOWN.search(visitor.text).group(1)})  # type: ignore[union-attr]
    found = load_policy(house.folder.policy)
    assert (str(found.max_rho), found.forbidden_fields) == ("1/5", ("sex", "boarding"))
    assert house.num_opened == 1
    visitor.get("/rounds")
    assert house.num_opened == 2  # the new policy counts at once


def test_a_looser_policy_wants_the_federations_name(house: AuditorHouse) -> None:
    visitor, before = house.visitor(), house.folder.policy.read_bytes()
    visitor.get("/policy")
    form = {**POLICY, "max-rho": "1/3"}
    visitor.post("/policy", form)
    assert "allows more" in visitor.text
    shown = SHOWN.search(visitor.text).group(1)  # type: ignore[union-attr]
    for confirmed in ("", "yes", "county"):
        visitor.post("/policy", {**form, "shown": shown, "confirmed": confirmed})
        assert house.folder.policy.read_bytes() == before
    assert "That is not the federation" in visitor.text
    visitor.post("/policy", {**form, "shown": "0" * 64, "confirmed": house.county.federation})
    assert house.folder.policy.read_bytes() == before  # not what was shown
    visitor.post("/policy", {**form, "shown": shown, "confirmed": house.county.federation})
    assert str(load_policy(house.folder.policy).max_rho) == "1/3"


# --- verification ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def bundle(busy: tuple[AuditorHouse, Busy], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that the page has written."""
    visitor, out = busy[0].visitor(), tmp_path_factory.mktemp("stick") / "bundle"
    visitor.get("/verify")
    visitor.post("/bundle", {"out": str(out)})
    assert f"The bundle is written: {out}" in done(visitor, "/verify/result")
    return out


def test_a_bundle_is_written_and_verified(busy: tuple[AuditorHouse, Busy], bundle: Path) -> None:
    visitor = busy[0].visitor()
    visitor.get("/verify")
    visitor.post("/verify", {"folder": f'"{bundle}"'})
    text = done(visitor, "/verify/result")
    assert "Verification report" in text
    assert text.count(">PASS</span>") > 20
    assert "exists already" in visitor.post("/bundle", {"out": str(bundle)}).text


def test_an_inspector_verifies_without_a_folder_of_an_auditor(
    inspector: AuditorHouse, busy: tuple[AuditorHouse, Busy], bundle: Path
) -> None:
    visitor = inspector.visitor()
    assert visitor.page.url.path == "/verify"
    visitor.post("/verify", {"folder": str(bundle)})
    assert 'class="verdict warn">INCOMPLETE' in done(visitor, "/verify/result")
    assert "public bundle" not in visitor.text
    visitor.post("/verify", {"folder": str(bundle), "policy": str(busy[0].folder.policy)})
    assert 'class="verdict' in done(visitor, "/verify/result")
    assert ">SKIPPED</span>" not in visitor.text
    visitor.post("/verify/diff", {"old": str(bundle), "new": str(bundle)})
    assert 'class="verdict good">PASS' in done(visitor, "/verify/result")
    assert "the kept log, continued" in visitor.text
    assert "binds your institution" not in visitor.text  # nothing can be signed here
    stranger = inspector.root / "stranger"
    name, rest = (bundle / "log" / "checkpoint").read_text("utf-8").split("\n", 1)
    stranger.write_text(f"{name}-other\n{rest}", "utf-8")
    visitor.post("/verify/diff", {"old": str(stranger), "new": str(bundle)})
    assert 'class="verdict bad">FAIL' in done(visitor, "/verify/result")
    assert "ANOTHER HISTORY" in visitor.text
    assert f"{name}-other" in visitor.text  # both checkpoints are the evidence
    spoilt = Path(shutil.copytree(bundle, inspector.root / "spoilt"))
    with (spoilt / "log" / "checkpoint").open("ab") as file:
        file.write(b"x")
    visitor.post("/verify", {"folder": str(spoilt)})
    assert 'class="verdict bad">FAIL' in done(visitor, "/verify/result")


@pytest.fixture
def catalogue() -> Iterator[None]:
    """The catalogue is where the command would look for it."""
    before = gettext.bindtextdomain(DOMAIN)
    gettext.bindtextdomain(DOMAIN, str(LOCALE_DIR))
    yield
    gettext.bindtextdomain(DOMAIN, before)


def test_an_inspector_makes_an_evidence_pack_from_a_bundle(
    inspector: AuditorHouse,
    busy: tuple[AuditorHouse, Busy],
    bundle: Path,
    tmp_path: Path,
    catalogue: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    html_only = partial(Request, formats=("html",))
    monkeypatch.setattr(pages_evidence, "Request", html_only)
    visitor, out = inspector.visitor(), tmp_path / "pack"
    policy = str(busy[0].folder.policy)
    form = {"profile": "cn-minors-annual", "year": "2026", "bundle": str(bundle), "policy": policy}
    assert visitor.post("/evidence", {**form, "out": str(out), "year": "26"}).status_code == 409
    visitor.get("/evidence")
    visitor.post("/evidence", {**form, "out": str(out)})
    assert "The pack is made" in done(visitor, "/evidence/result")
    assert (out / "checkpoint.txt").is_file()


@pytest.mark.parametrize("folder", ["", "relative/path", "/no/such/folder"])
def test_a_path_that_is_none_is_said(inspector: AuditorHouse, folder: str) -> None:
    visitor = inspector.visitor()
    assert visitor.post("/verify", {"folder": folder}).status_code == 409


# --- the draw --------------------------------------------------------------------------------------


def test_an_inspector_draws_the_same_schools_as_the_command(
    inspector: AuditorHouse, busy: tuple[AuditorHouse, Busy], bundle: Path
) -> None:
    house, ids = busy
    policy = str(house.folder.policy)
    command = [
        "challenge",
        "select",
        ids.done[:8],
        "--bundle",
        str(bundle),
        "--policy",
        policy,
        "--number",
        "3",
    ]
    told = json.loads(CliRunner().invoke(auditor, [*command, "--json"], catch_exceptions=False).stdout)
    visitor = inspector.visitor()
    form = {"bundle": str(bundle), "policy": policy, "number": "3"}
    visitor.post("/challenge", form)
    text = done(visitor, "/challenge/result")
    assert re.findall(r'<th scope="row">([^<]+)</th>', text) == [row["node"] for row in told["schools"]]
    assert told["seed"] in text
    assert f"{100 * told['found']:.1f} %" in text
    visitor.post("/challenge", {"bundle": str(bundle)})
    assert "ame a policy file" in visitor.text
    assert visitor.post("/challenge", {**form, "percent": "90"}).status_code == 409
    visitor.post("/challenge", {**form, "round": ids.sitting[:8]})
    assert "no draw yet" in done(visitor, "/challenge/result")


# --- trips by stick --------------------------------------------------------------------------------


def waiting_house(house: AuditorHouse) -> tuple[bytes, bytes, str]:
    """Let two plans and a roster wait; gives the plans' rounds and the roster's digest."""
    county = house.county
    kept = [row for row in county.all_roster_nodes() if row.id != max(county.nodes)]
    proposal = county.propose(county.roster_body(kept))
    one, two = (county.publish_plan(plan_like(name, name, "1/20", days=at)) for at, name in enumerate("ab"))
    return one, two, digest(proposal.text).hex()


def answer_on(stick: Path) -> TripFile:
    """Read the auditor's answer."""
    return TripFile(io.BytesIO(from_auditor_path(stick, "a1").read_bytes()))


def test_a_trip_signs_what_was_ticked_and_nothing_else(house: AuditorHouse) -> None:
    one, two, roster = waiting_house(house)
    visitor = house.visitor()
    with house.by_stick() as stick, no_sockets():
        visitor.post("/trips/read", {"stick": str(stick)})
        ticks = re.findall(r'name="(sign\.[a-z]+\.[0-9a-f]{64})"', visitor.text)
        assert ticks == [f"sign.roster.{roster}", f"sign.plan.{one.hex()}", f"sign.plan.{two.hex()}"]
        assert not from_auditor_path(stick, "a1").exists()
        with house.office.keeper.desk() as desk:  # type: ignore[union-attr]
            assert desk.state.slot(SlotKind.APPROVAL, one) is None
        form = {"stick": str(stick), ticks[0]: "1", ticks[1]: "1", "sign.plan." + "0" * 64: "1"}
        visitor.post("/trips", form)
        text = done(visitor, "/trips/result")
        assert "Now eject the stick" in text
        assert text.count("Not signed:") == 1  # what was never shown
        assert "cosign that" in text  # what to come back for
        deliver(house.link, answer_on(stick))
        assert list(house.county.round(one).approvals) == ["a1"]
        assert not house.county.round(two).approvals
        assert len(house.county.proposals[0].signatures) == 2
        first = from_auditor_path(stick, "a1").read_bytes()
        visitor.post("/trips", form)
        assert first == from_auditor_path(stick, "a1").read_bytes()


def test_a_computer_without_a_certificate_shows_its_own_copy_and_takes_trips(house: AuditorHouse) -> None:
    keeper = house.office.keeper
    assert keeper is not None
    with house.by_stick() as stick, no_sockets():
        visitor = house.visitor()
        visitor.post("/trips", {"stick": str(stick)})
        keeper.open_desk = desk_of
        keeper.close()
        text = visitor.get("/").text
        assert "no certificate for the county" in text
        assert "log: 2 entries" in text
        assert visitor.get("/trips").status_code == 200


def test_a_deadline_that_changed_on_the_stick_is_not_granted(
    busy: tuple[AuditorHouse, Busy], monkeypatch: pytest.MonkeyPatch
) -> None:
    house, ids = busy
    visitor = house.visitor()
    with house.by_stick() as stick:
        visitor.post("/trips/read", {"stick": str(stick)})
        assert f'name="sign.deadline.{ids.extension}" value="' in visitor.text
        assert f'name="sign.plan.{ids.refused}"' not in visitor.text
        monkeypatch.setattr("auditor.desk.Desk.step", lambda *_words, **_options: [])
        visitor.post("/trips", {"stick": str(stick), f"sign.deadline.{ids.extension}": "0" * 64})
        assert "Not signed:" in done(visitor, "/trips/result")
        assert not list(answer_on(stick).parts(STATEMENT))
        to_auditor_path(stick, "a1").write_bytes(b"x")
        assert "not one that" in visitor.post("/trips/read", {"stick": str(stick)}).text


# --- the command -----------------------------------------------------------------------------------


def test_the_command_refuses_another_host_and_a_folder_without_an_auditor(tmp_path: Path) -> None:
    run = CliRunner().invoke
    refused = run(auditor, ["page", "--host", "0.0.0.0", "--json"])
    assert refused.exit_code == 1
    assert "127.0.0.1" in refused.output
    none = run(auditor, ["page", "--dir", str(tmp_path / "nobody"), "--json"])
    assert none.exit_code == 1
    assert "auditor init" in none.output


# --- last, because it changes what others see --------------------------------------------------------


def test_a_deadline_is_granted_as_shown(busy: tuple[AuditorHouse, Busy]) -> None:
    house, ids = busy
    visitor, path = house.visitor(), f"/rounds/{ids.extension}"
    visitor.get(path)
    found = re.search(r'name="extension" value="([0-9a-f]{64})"', visitor.text)
    assert found is not None
    refused = visitor.post(f"{path}/extend", {"extension": "0" * 64}).status_code
    visitor.get(path)
    for _ in range(2):
        visitor.post(f"{path}/extend", {"extension": found.group(1)})
    row = house.county.round(bytes.fromhex(ids.extension))
    assert refused == 409
    assert list(next(iter(row.changes.extended.values()))) == ["a1"]
