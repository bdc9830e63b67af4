"""Coming in: brakes, sessions, the second factor, set-up codes, cookies and headers."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pyotp
import pytest
from fakes_dashboard import AUTHORITY, BASE, PASSPHRASE, Office, Visitor

from coordinator import accounts, log_in
from coordinator.dashboard.app import make_app
from coordinator.dashboard.guard import HEADERS, Address

WRONG = "some other words entirely"


def is_in(visitor: Visitor) -> bool:
    return visitor.client.get("/me", follow_redirects=False).status_code == 200


def test_a_right_passphrase_comes_in_and_a_wrong_one_does_not(office: Office) -> None:
    assert is_in(office.visitor("clerk"))
    visitor = office.visitor().log_in("clerk", WRONG)
    assert visitor.page.status_code == 403
    assert not is_in(visitor)


def test_nothing_tells_whether_an_account_exists(office: Office) -> None:
    known, unknown = office.visitor().log_in("clerk", WRONG), office.visitor().log_in("nobody", WRONG)
    blank = re.compile(r'value="[^"]*"')
    assert blank.sub("", known.text) == blank.sub("", unknown.text)
    assert known.page.status_code == unknown.page.status_code == 403


@pytest.mark.parametrize("state", ["shut", "no role", "no passphrase", "code issued"])
def test_an_account_that_may_not_log_in_does_not(office: Office, state: str) -> None:
    if state in ("no role", "no passphrase"):
        office.add("someone", "", "某人")
    with office.open.writing("test") as connection:
        if state == "shut":
            accounts.set_enabled(connection, "clerk", False)
        elif state == "no passphrase":
            accounts.give_role(connection, "someone", "clerk", "", {})
        elif state == "code issued":
            accounts.issue_code(connection, "clerk", "abcd-efgh", office.open.now_ms)
    name = "someone" if state.startswith("no ") else "clerk"
    assert not is_in(office.visitor().log_in(name))
    assert not is_in(office.visitor().log_in(name, ""))


def test_wrong_tries_wait_longer_and_longer_and_then_lock(office: Office) -> None:
    visitor = office.visitor()
    for place in range(log_in.LOCK_AFTER):
        assert visitor.log_in("clerk", WRONG).page.status_code == 403
        assert visitor.log_in("clerk").page.status_code == 429, "even the right one has to wait"
        if place < log_in.LOCK_AFTER - 1:
            office.county.advance(seconds=2**place)
    office.county.advance(seconds=log_in.LOCK_MS / 1000 - 2)
    assert visitor.log_in("clerk").page.status_code == 429
    assert "locked" in office.visitor("security").get("/roles").text
    office.county.advance(seconds=1)
    assert is_in(visitor.log_in("clerk"))


def test_an_unknown_account_locks_as_well(office: Office) -> None:
    visitor = office.visitor()
    assert visitor.log_in("nobody", WRONG).page.status_code == 403
    assert visitor.log_in("nobody", WRONG).page.status_code == 429


def test_the_security_administrator_unlocks(office: Office) -> None:
    visitor, helper = office.visitor(), office.visitor("security")
    for place in range(log_in.LOCK_AFTER):
        visitor.log_in("clerk", WRONG)
        office.county.advance(seconds=2**place)
    helper.get("/roles")
    assert "said=unlocked" in str(helper.post("/roles/unlock", {"name": "clerk"}).url)
    assert is_in(visitor.log_in("clerk"))


def test_many_wrong_tries_at_many_accounts_stop_everybody(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_in, "MAX_WRONG", 8)
    visitor = office.visitor()
    for place in range(log_in.MAX_WRONG):
        assert visitor.log_in(f"guess{place}", WRONG).page.status_code == 403
    assert visitor.log_in("guess", WRONG).page.status_code == 429
    assert visitor.log_in("clerk").page.status_code == 429
    office.county.advance(seconds=log_in.WINDOW_MS / 1000 + 1)
    assert is_in(visitor.log_in("clerk"))


def test_right_tries_are_not_counted_against_everybody(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_in, "MAX_WRONG", 8)
    for _place in range(log_in.MAX_WRONG + 5):
        assert is_in(office.visitor("clerk"))


def test_a_session_ends_after_quiet_and_after_its_longest_time(office: Office) -> None:
    visitor = office.visitor("clerk")
    office.county.advance(milliseconds=log_in.IDLE_MS - 1000)
    assert is_in(visitor)
    office.county.advance(milliseconds=log_in.IDLE_MS - 1000)
    assert is_in(visitor)
    office.county.advance(milliseconds=log_in.IDLE_MS + 1000)
    assert not is_in(visitor)
    visitor = office.visitor("clerk")
    for _place in range(log_in.LONGEST_MS // log_in.IDLE_MS * 2):
        office.county.advance(milliseconds=log_in.IDLE_MS // 2)
        last = is_in(visitor)
    assert last
    office.county.advance(milliseconds=log_in.IDLE_MS // 2)
    assert not is_in(visitor)


def test_a_page_that_looks_by_itself_keeps_no_session_open(office: Office) -> None:
    visitor = office.visitor("clerk")
    for _place in range(3):
        office.county.advance(milliseconds=log_in.IDLE_MS // 2)
        visitor.client.get("/me?auto=1")
    assert not is_in(visitor)


def test_an_account_has_few_sessions_and_the_oldest_goes(office: Office) -> None:
    visitors = []
    for _place in range(log_in.MAX_SESSIONS + 1):
        visitors.append(office.visitor("clerk"))
        office.county.advance(seconds=1)
    assert [is_in(visitor) for visitor in visitors] == [False, *[True] * log_in.MAX_SESSIONS]


def test_logging_in_and_out_changes_the_cookie_and_ends_the_session(office: Office) -> None:
    visitor = office.visitor()
    visitor.get("/login")
    name = Address("http", AUTHORITY).cookie
    before = visitor.client.cookies[name]
    visitor.log_in("clerk")
    inside = visitor.client.cookies[name]
    assert inside != before
    visitor.post("/logout")
    assert visitor.client.cookies[name] != inside
    visitor.client.cookies.set(name, inside, domain="127.0.0.1")
    assert not is_in(visitor)


def test_changing_the_passphrase_ends_other_sessions_only(office: Office) -> None:
    mine, other = office.visitor("clerk"), office.visitor("clerk")
    mine.get("/me")
    new = {"new": "other lantern fifty brooks", "again": "other lantern fifty brooks"}
    assert mine.post("/me/passphrase", {"passphrase": WRONG, **new}).status_code == 409
    office.county.advance(seconds=2)
    assert "said=passphrase" in str(mine.post("/me/passphrase", {"passphrase": PASSPHRASE, **new}).url)
    assert (is_in(mine), is_in(other)) == (True, False)
    assert not is_in(office.visitor().log_in("clerk"))
    office.county.advance(seconds=2)
    assert is_in(office.visitor().log_in("clerk", new["new"]))


def switch_on(office: Office, visitor: Visitor) -> tuple[str, list[str]]:
    visitor.get("/me")
    visitor.post("/me/second")
    found = re.search(r"<code>([A-Z2-7]{32})</code>", visitor.text)
    assert found is not None
    assert '<svg class="qr"' in visitor.text or 'class="qr"' in visitor.text
    secret = found[1]
    code = pyotp.TOTP(secret).at(office.county.clock)
    visitor.post("/me/second/confirm", {"code": code})
    return secret, re.findall(r"<li>([a-z2-7]{4}(?:-[a-z2-7]{4}){3})</li>", visitor.text)


def test_the_second_factor_is_asked_for_and_a_code_works_once(office: Office) -> None:
    secret, recovery = switch_on(office, office.visitor("clerk"))
    assert len(recovery) == accounts.NUM_RECOVERY
    totp = pyotp.TOTP(secret)
    visitor = office.visitor()
    assert not is_in(visitor.log_in("clerk"))
    office.county.advance(seconds=1)
    used = totp.at(office.county.clock)
    assert not is_in(visitor.log_in("clerk", code=used)), "used to switch it on"
    office.county.advance(seconds=60)
    assert is_in(visitor.log_in("clerk", code=totp.at(office.county.clock)))
    assert not is_in(office.visitor().log_in("clerk", code=totp.at(office.county.clock)))
    office.county.advance(seconds=60)
    assert is_in(office.visitor().log_in("clerk", code=recovery[0].upper()))
    assert not is_in(office.visitor().log_in("clerk", code=recovery[0]))


def test_a_wrong_code_does_not_switch_it_on(office: Office) -> None:
    visitor = office.visitor("clerk")
    visitor.get("/me")
    visitor.post("/me/second")
    for code in ("000000", "", "12345", "abcdef", "１２３４５６"):
        assert visitor.post("/me/second/confirm", {"code": code}).status_code == 409
    assert is_in(office.visitor().log_in("clerk"))


def test_a_set_up_code_makes_the_first_passphrase_once(office: Office) -> None:
    system, security = office.visitor("system"), office.visitor("security")
    system.get("/people")
    system.post("/people", {"name": "wang", "person": "王小明"})
    security.get("/roles")
    assert security.post("/roles/code", {"name": "wang"}).status_code == 409, "no role yet"
    security.get("/roles?account=wang")
    security.post("/roles", {"name": "wang", "role": "clerk", "node": ""})
    security.get("/roles")
    security.post("/roles/code", {"name": "wang"})
    found = re.search(r'class="code">([a-z2-7-]+)<', security.text)
    assert found is not None
    new = {"name": "wang", "new": PASSPHRASE, "again": PASSPHRASE}
    visitor = office.visitor()
    visitor.get("/setup")
    assert visitor.post("/setup", {**new, "code": "aaaa-bbbb-cccc-dddd"}).status_code == 403
    office.county.advance(seconds=2)
    visitor.post("/setup", {**new, "code": found[1]})
    assert visitor.page.url.path == "/board"
    again = office.visitor()
    again.get("/setup")
    assert again.post("/setup", {**new, "code": found[1]}).status_code == 403


def test_a_set_up_code_ends_with_its_time(office: Office) -> None:
    with office.open.writing("test") as connection:
        accounts.issue_code(connection, "clerk", "abcd-efgh", office.open.now_ms)
    office.county.advance(days=7, seconds=1)
    visitor = office.visitor()
    visitor.get("/setup")
    form = {"name": "clerk", "code": "abcd-efgh", "new": PASSPHRASE, "again": PASSPHRASE}
    assert visitor.post("/setup", form).status_code == 403


def test_every_answer_carries_the_headers(shared: Office) -> None:
    client = shared.visitor("clerk").client
    for path in ("/", "/board", "/nowhere", "/static/app.css"):
        headers = client.get(path).headers
        for name, value in HEADERS.items():
            assert headers[name] == value
        assert "server" not in headers
    assert "script-src" not in HEADERS["content-security-policy"]
    assert HEADERS["content-security-policy"].startswith("default-src 'none'")


def test_the_cookie_is_strict_and_secure_where_tls_is(shared: Office) -> None:
    answer = shared.visitor().get("/login")
    assert {"HttpOnly", "SameSite=strict"} <= set(answer.headers["set-cookie"].split("; "))
    app = make_app(shared.open, Address("https", "dash.example"), "en", shared.random)
    from fakes_dashboard import TestClient

    answer = TestClient(app, base_url="https://dash.example").get("/login")
    assert "Secure" in answer.headers["set-cookie"]
    assert answer.headers["set-cookie"].startswith("__Host-")
    assert "max-age" in answer.headers["strict-transport-security"]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1", "127.0.0.1:80", "localhost:8630", "[::1]:8630", ""]
)
def test_another_host_is_refused(shared: Office, host: str) -> None:
    answer = shared.visitor("clerk").client.get("/board", headers={"host": host})
    assert answer.status_code == 421
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("origin", "site"),
    [
        ("http://evil.example", ""),
        ("http://127.0.0.1:9", ""),
        ("null", ""),
        ("null", "cross-site"),
        (BASE, "cross-site"),
        ("", ""),
    ],
)
def test_a_form_from_elsewhere_is_refused(shared: Office, origin: str, site: str) -> None:
    visitor = shared.visitor("clerk")
    visitor.get("/me")
    headers = {"origin": origin} | ({"sec-fetch-site": site} if site else {})
    assert visitor.post("/logout", None, **headers).status_code == 403
    assert is_in(visitor)


def test_a_form_needs_the_token_of_its_own_cookie(shared: Office) -> None:
    mine, other = shared.visitor("clerk"), shared.visitor("clerk")
    other.get("/me")
    for token in ("", "0" * 64, other.token):
        assert mine.post("/logout", {"form_token": token}).status_code == 400
    assert is_in(mine)


def test_a_cookie_that_somebody_planted_is_replaced(shared: Office) -> None:
    """A form token follows from the cookie: one that others could know must not stay."""
    visitor = shared.visitor()
    name = Address("http", AUTHORITY).cookie
    visitor.client.cookies.set(name, "planted", domain="127.0.0.1")
    assert f"{name}=" in visitor.get("/login").headers["set-cookie"]


def test_the_way_back_of_the_language_stays_here(shared: Office) -> None:
    visitor = shared.visitor("clerk")
    visitor.get("/me")
    for back in ("//evil.example", "https://evil.example", "/\\evil.example", "", "javascript:alert(1)"):
        sent = {"form_token": visitor.token, "language": "en", "back": back}
        answer = visitor.client.post("/language", data=sent, headers={"origin": BASE}, follow_redirects=False)
        assert answer.headers["location"] == "/"


def test_the_dashboard_opens_no_key(office: Office, tmp_path: Path) -> None:
    """It works on a folder whose keys are gone."""
    import shutil

    shutil.rmtree(tmp_path / "county" / "keys")
    assert is_in(office.visitor("clerk"))
    assert office.visitor("clerk").get(f"/board/{office.county.round_id.hex()}").status_code == 200


def test_totp_follows_the_standard() -> None:
    secret = base64.b32encode(b"12345678901234567890").decode()
    assert accounts.matching_step(secret, "287082", 59) == 1  # RFC 6238, appendix B
    assert accounts.matching_step(secret, "287082", 119) is None
