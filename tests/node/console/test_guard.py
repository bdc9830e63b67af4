"""Who may ask at all, and what every answer carries."""

from __future__ import annotations

import pytest
from fakes_console import BASE, ConsoleHouse

from node.console.app import PLACES
from node.console.guard import HEADERS, is_own_origin

HOSTS = [
    "localhost:8620",
    "127.0.0.1",
    "127.0.0.1:80",
    "evil.example:8620",
    "127.0.0.1:8620.evil.example",
    "[::1]:8620",
    "",
]


@pytest.mark.parametrize("host", HOSTS)
def test_another_host_is_refused_before_anything_is_looked_at(shared: ConsoleHouse, host: str) -> None:
    browser = shared.browser().enter()
    before = len(shared.vault.seen)
    answer = browser.get("/", host=host)
    assert answer.status_code == 421
    assert len(shared.vault.seen) == before
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("origin", "site"),
    [
        ("http://evil.example", ""),
        ("http://127.0.0.1:9999", ""),
        ("null", ""),
        ("null", "cross-site"),
        ("null", "same-site"),
        (BASE, "cross-site"),
        (BASE, "none"),
        ("", ""),
    ],
)
def test_a_form_from_elsewhere_is_refused(shared: ConsoleHouse, origin: str, site: str) -> None:
    browser = shared.browser().enter()
    headers = {"origin": origin} | ({"sec-fetch-site": site} if site else {})
    assert browser.post("/logout", None, **headers).status_code == 403
    assert browser.get("/").url.path == "/"  # still there


@pytest.mark.parametrize(("origin", "site"), [(BASE, ""), (BASE, "same-origin"), ("null", "same-origin")])
def test_a_form_of_this_page_is_taken(origin: str, site: str) -> None:
    assert is_own_origin({"origin": origin, "sec-fetch-site": site}, "127.0.0.1:8620")


def test_a_form_without_the_sessions_token_is_refused(shared: ConsoleHouse) -> None:
    mine, other = shared.browser().enter(), shared.browser().enter()
    other.get("/")
    mine.get("/")
    stolen = mine.post("/status/check", {"form_token": other.text[:10]})
    assert stolen.status_code == 403
    assert not any(row["command"] == "check_store" for row in shared.vault.seen)


@pytest.mark.parametrize("method", ["PUT", "DELETE", "OPTIONS", "TRACE", "PATCH"])
def test_other_methods_are_refused(shared: ConsoleHouse, method: str) -> None:
    assert shared.browser().client.request(method, "/").status_code == 405


@pytest.mark.parametrize(
    "path", ["/login", "/", "/nothing", "/static/app.css", "/static/nothing", "/enter/x"]
)
def test_every_answer_carries_the_headers(shared: ConsoleHouse, path: str) -> None:
    answer = shared.browser().client.get(path, follow_redirects=False)
    for name, value in HEADERS.items():
        assert answer.headers.get_list(name) == [value]
    assert "server" not in answer.headers


def test_the_policy_allows_nothing_inline_and_nothing_from_elsewhere() -> None:
    policy = HEADERS["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "http" not in policy
    assert "frame-ancestors 'none'" in policy


def test_the_cookie_is_out_of_reach(shared: ConsoleHouse) -> None:
    cookie = shared.browser().get("/login").headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "domain" not in cookie


@pytest.mark.parametrize("place", [row for row in PLACES if "" not in row.who], ids=lambda row: row.path)
def test_nobody_sees_a_page_without_having_come_in(shared: ConsoleHouse, place: object) -> None:
    path = place.path.replace("{round:str}", "ab" * 32).replace("{ending:str}", "csv")  # type: ignore[attr-defined]
    browser = shared.browser()
    browser.get("/login")
    before = len(shared.vault.seen)
    if place.method == "GET":  # type: ignore[attr-defined]
        answer = browser.get(path)
    else:
        answer = browser.post(path)
    assert answer.url.path == "/login"
    assert len(shared.vault.seen) == before


def test_what_nobody_foresaw_shows_its_kind_and_not_its_text(
    shared: ConsoleHouse, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    browser = shared.browser().enter()

    def crash(*_arguments: object, **_fields: object) -> None:
        raise ValueError("13812345678 must not be shown")

    monkeypatch.setattr(shared.keeper, "ask", crash)
    answer = browser.get("/budget")
    assert answer.status_code == 500
    assert "ValueError" in answer.text
    assert "13812345678" not in answer.text + "".join(capfd.readouterr())
