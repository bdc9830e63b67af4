"""Hostile forms: 50 texts and a dozen bodies into each. No error, no markup back, nothing stored half."""

from __future__ import annotations

import html
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote_plus, urlencode

import pytest
import sqlalchemy as sa
from fakes_coordinator import County
from fakes_dashboard import BASE, PASSPHRASE, Office, Visitor

from coordinator import schema
from coordinator.account_rules import ROLES
from coordinator.dashboard.places import PLACES
from results.facts import ATTESTATIONS, FIELDS

HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'><svg/onload=alert(1)>",
    "</title><script>alert(1)</script>",
    "javascript:alert(1)",
    "<a href=//evil.example>x</a>",
    "{{7*7}}",
    "{% for x in ().__class__.__base__.__subclasses__() %}{% endfor %}",
    "${7*7}",
    "#{7*7}",
    "%(place)s%(x)d",
    "%s%s%s%n",
    "=cmd|' /C calc'!A0",
    "+1+1",
    "-2+3",
    "@SUM(A1:A9)",
    "＝1+1",
    "' OR '1'='1",
    "'; DROP TABLE accounts; --",
    "1; SELECT pg_sleep(10)",
    "\\'; --",
    "admin'--",
    "a\x00b",
    "\x00",
    "a\x1b[31mred",
    "a\x07b\x08c",
    "a\r\nSet-Cookie: x=1",
    "a\u202eb",
    "\u2066abc\u2069",
    "\u200b",
    "\ufeff",
    "\ufffe",
    "\U000e0041",
    "ﷺ" * 20,
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢",
    "👩‍👩‍👧‍👦",
    "1" * 400,
    "9" * 30,
    "1e309",
    "NaN",
    "-1",
    "0x41",
    "１２３",
    "../../../../etc/passwd",
    "C:\\windows\\system32",
    "//evil.example/",
    "file:///etc/passwd",
    "A" * 1900,
    "王" * 1900,
    "null",
]
FIELDS_OF = {
    "/login": ("name", "passphrase", "code"),
    "/setup": ("name", "code", "new", "again"),
    "/language": ("language", "back"),
    "/logout": ("anything",),
    "/me/passphrase": ("passphrase", "new", "again"),
    "/me/second": ("anything",),
    "/me/second/confirm": ("code",),
    "/me/second/drop": ("passphrase",),
    "/me/sessions": ("anything",),
    "/people": ("name", "person"),
    "/people/enable": ("name",),
    "/people/disable": ("name",),
    "/roles": ("name", "role", "node"),
    "/roles/code": ("name",),
    "/roles/unlock": ("name",),
    "/board/{round:str}/close": ("without_missing",),
    "/facts": (
        *("year", "school_name", "stages.junior", "urban_rural", "n_students", "school_code"),
        *("room_open_hours_week", "vendor_nda_until", "meeting_levels.x", "unknown"),
    ),
    "/progress": ("round", "band", "by", "on", "started"),
}
FORMS = [place for place in PLACES if place.method == "POST"]
GOOD = {
    "/people": {"name": "new-one", "person": "新人"},
    "/roles": {"name": "spare", "role": "clerk", "node": ""},
    "/facts": {
        "year": "2026-2027",
        "school_name": "第一中学",
        "stages.junior": "1",
        "urban_rural": "1",
        "is_boarding": "0",
        "n_students": "900",
        "n_classes": "20",
        "teacher_full": "1",
        "teacher_part": "2",
        "room_standard": "1",
    },
    "/progress": {"band": "ge95", "by": "李校长", "on": "2026-10-20"},
}
KEPT = (schema.accounts, schema.facts, schema.progress, schema.close_requests, schema.recovery_codes)
MARKUP = ("<script>alert", "<img src=x", "<svg/onload", "<a href=//evil", "'><svg")


def test_the_list_is_long_enough_and_every_form_is_in_it() -> None:
    assert len(HOSTILE) == len(set(HOSTILE)) >= 50
    assert {place.path for place in FORMS} == set(FIELDS_OF)
    assert {"band", "by", "on", *ATTESTATIONS} >= set(FIELDS_OF["/progress"]) - {"round"}
    assert {name.partition(".")[0] for name in FIELDS_OF["/facts"]} - {"year", "unknown"} <= set(FIELDS)


def role_of(path: str, who: frozenset[str]) -> str:
    return "" if path in ("/login", "/setup", "/language") else next(role for role in ROLES if role in who)


def stored(office: Office) -> list[list[tuple[object, ...]]]:
    """Everything that forms can change, brakes, sessions and the journal aside."""
    with office.open.store.reading() as connection:
        return [[tuple(row) for row in connection.execute(sa.select(table))] for table in KEPT]


def with_path(path: str, office: Office) -> str:
    return path.replace("{round:str}", office.county.round_id.hex())


def send(office: Office, visitor: Visitor, path: str, body: str) -> bool:
    """Send a form; look that nothing went wrong, came back as markup, or was stored where it was refused.

    Returns:
        Whether the session is over.
    """
    before = stored(office)
    answer = visitor.post_raw(with_path(path, office), body)
    assert answer.status_code in (200, 303, 400, 403, 409, 429), (path, body[:80], answer.status_code)
    for markup in MARKUP:
        assert markup not in answer.text, (path, markup)
    location = answer.headers.get("location", "/")
    assert location.startswith("/"), location
    assert not location.startswith("//"), location
    assert "evil" not in location
    assert "x=1" not in answer.headers.get("set-cookie", "")
    if answer.status_code >= 400:
        assert stored(office) == before, (path, body[:80])
    return location.startswith("/login")


def encoded(form: dict[str, str]) -> str:
    return urlencode(form, errors="surrogatepass")


@pytest.fixture(scope="module")
def yard(
    templates: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory, quick: None
) -> Iterator[Office]:
    """A county whose round is collecting, for every form of this module."""
    folder = tmp_path_factory.mktemp("yard") / "county"
    shutil.copytree(templates("collecting"), folder)
    made = Office(County(folder))
    made.add("spare", "", "备用")
    yield made
    made.close()


@pytest.mark.parametrize("place", FORMS, ids=lambda place: place.path)
def test_hostile_texts_in_every_form(yard: Office, place: object) -> None:
    path, who, office = place.path, place.who, yard  # type: ignore[attr-defined]
    role = role_of(path, who)
    visitor = office.visitor(role)
    if not role:
        visitor.get("/login")
    names = FIELDS_OF[path]
    good = dict(GOOD.get(path, {}))
    if path == "/progress":
        good["round"] = office.county.round_id.hex()
    forms = [{**good, names[at % len(names)]: text} for at, text in enumerate(HOSTILE)]
    forms += [dict.fromkeys(names, text) for text in HOSTILE[::5]]
    for form in forms:
        is_over = send(office, visitor, path, encoded({**form, "form_token": visitor.token}))
        if is_over and role:
            visitor = office.visitor(role)


def bodies(form: dict[str, str]) -> Iterator[tuple[str, bytes, dict[str, str]]]:
    """Bodies that are no forms, or not these."""
    plain = urlencode(form).encode()
    first = next(iter(form))
    yield "empty", b"", {}
    yield "no token", urlencode({**form, "form_token": ""}).encode(), {}
    yield "another token", urlencode({**form, "form_token": "0" * 64}).encode(), {}
    yield "a token twice", plain + b"&form_token=" + form["form_token"].encode(), {}
    yield "a field twice", plain + b"&" + quote_plus(first).encode() + b"=other", {}
    yield "too large", plain + b"&x=" + b"a" * 70_000, {}
    yield "too many fields", plain + b"".join(b"&f%d=1" % at for at in range(300)), {}
    yield "too long a text", plain + b"&x=" + b"a" * 2_001, {}
    yield "json", b'{"name": 1}', {"content-type": "application/json"}
    yield (
        "a file",
        b"--b\r\nContent-Disposition: form-data; name=x; filename=y\r\n\r\nz\r\n--b--",
        {"content-type": "multipart/form-data; boundary=b"},
    )
    yield "a kind that is none", plain, {"content-type": "text/plain"}
    yield "a length that is none", plain, {"content-length": "99999999999999999999"}
    yield "not utf-8", plain + b"&x=%ff%fe%80", {}
    yield "half a percent", plain + b"&x=%", {}
    yield "half a character", plain + b"&x=%ed%a0%80", {}


@pytest.mark.parametrize("place", FORMS, ids=lambda place: place.path)
def test_bodies_that_are_no_forms(yard: Office, place: object) -> None:
    path, who, office = place.path, place.who, yard  # type: ignore[attr-defined]
    role = role_of(path, who)
    visitor = office.visitor(role)
    if not role:
        visitor.get("/login")
    good = {**GOOD.get(path, {}), "form_token": visitor.token}
    if len(good) == 1:
        good = {FIELDS_OF[path][0]: "x", **good}
    before = stored(office)
    for name, body, headers in bodies(good):
        sent = {"origin": BASE, "content-type": "application/x-www-form-urlencoded", **headers}
        answer = visitor.client.post(
            with_path(path, office), content=body, headers=sent, follow_redirects=False
        )
        is_taken = name in ("not utf-8", "half a percent", "half a character") and answer.status_code < 500
        assert answer.status_code == 400 or is_taken, (name, answer.status_code)
        if answer.status_code == 400:
            assert stored(office) == before, name
        before = stored(office)


HOSTILE_PATHS = [
    "/board/<script>",
    "/board/" + "0" * 64,
    "/board/" + "g" * 64,
    "/board/" + "a" * 5000,
    "/board/%00",
    "/board/..%2f..%2fetc",
    "/results/'; DROP TABLE accounts",
    "/results/" + "0" * 64 + "/report/xlsx",
    "/results/{id}/report/exe",
    "/results/{id}/report/..%2f..%2fx",
    "/results/{id}?class=<script>alert(1)</script>",
    "/results/{id}?class=public",
    "/results/{id}/report/json?class=nonsense&language=<b>",
    "/plans/{id}?pupils=-1",
    "/plans/{id}?pupils=<script>alert(1)</script>",
    "/plans/{id}?pupils=99999999999999999999",
    "/plans/{id}?pupils=٣",
    "/schools?year=<script>alert(1)</script>",
    "/board?said=<script>alert(1)</script>",
]


@pytest.mark.parametrize("path", HOSTILE_PATHS)
def test_hostile_addresses(shared: Office, path: str) -> None:
    answer = shared.visitor("clerk").client.get(path.replace("{id}", shared.county.round_id.hex()))
    assert answer.status_code in (200, 404, 409)
    assert "<script>alert" not in answer.text
    assert "<script>" not in answer.text


@pytest.mark.parametrize("before", ["-1", "x", "9" * 40, "", "0", "٣", "<script>"])
def test_a_page_of_the_journal_that_is_none(shared: Office, before: str) -> None:
    assert shared.visitor("audit").client.get("/journal", params={"before": before}).status_code == 200


def test_what_was_stored_is_shown_as_text_on_every_page(office: Office) -> None:
    """Markup that a field takes is a text: in the form, on the clerk's page, in the lists."""
    school = office.visitor("school")
    school.get("/facts")
    name = "<b>x</b>&amp;\"'=1+1"
    school.post("/facts", {**GOOD["/facts"], "school_name": name})
    assert "said=facts" in str(school.page.url)
    assert "<b>x" not in school.get("/facts").text
    assert html.escape(name).replace("&#x27;", "&#39;").replace("&quot;", "&#34;") in school.text
    system = office.visitor("system")
    system.get("/people")
    system.post("/people", {"name": "new-one", "person": "<b>x</b>"})
    assert "<b>x" not in system.get("/people").text
    assert "&lt;b&gt;x" in system.text
    assert "<b>x" not in office.visitor("security").get("/roles").text


def test_a_spreadsheet_takes_no_cell_for_a_formula(office: Office) -> None:
    """Names come from the roster; the list of missing schools opens in a spreadsheet."""
    from coordinator.dashboard import pages_board

    assert pages_board.cell_words("=cmd|' /C calc'!A0").startswith("'=")
    office.visitor("audit")
    rows = office.visitor("audit").get("/journal.csv").text.splitlines()
    assert rows[0].startswith("position,time,account")
    assert office.visitor().log_in(PASSPHRASE).page.status_code == 403


HIDDEN = [
    "a\x00b",
    "a\x1b[31m",
    "a\u202eb",
    "\u2066a\u2069",
    "a\u200bb",
    "\ufeffa",
    "\ufffe",
    "\U000e0041",
    "\u2028",
]


@pytest.mark.parametrize("text", HIDDEN, ids=ascii)
def test_a_character_that_cannot_be_seen_is_refused_in_any_field(shared: Office, text: str) -> None:
    visitor = shared.visitor("clerk")
    visitor.get("/me")
    body = encoded({"form_token": visitor.token, "anything": text})
    assert visitor.post_raw("/me/sessions", body).status_code == 400
