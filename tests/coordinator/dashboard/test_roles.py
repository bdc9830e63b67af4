"""Who may see what: every page × every role, from the table of pages itself.

`RULES` repeats by hand who may see each page: a new page without a line here fails, and so does a page whose
roles were changed without anybody having looked.
"""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape

import pytest
from fakes_dashboard import BASE, PERSONS, SCHOOL_NODE, Office

from coordinator.account_rules import ROLES
from coordinator.dashboard.places import NAVIGATION, PLACES, Place

ALL = "system security audit clerk school"
RULES = {
    "GET /": f"- {ALL}",
    "GET /login": f"- {ALL}",
    "POST /login": "-",
    "GET /setup": "-",
    "POST /setup": "-",
    "POST /logout": ALL,
    "POST /language": f"- {ALL}",
    "GET /me": ALL,
    "POST /me/passphrase": ALL,
    "POST /me/second": ALL,
    "POST /me/second/confirm": ALL,
    "POST /me/second/drop": ALL,
    "POST /me/sessions": ALL,
    "GET /system": "system",
    "GET /people": "system",
    "POST /people": "system",
    "POST /people/enable": "system",
    "POST /people/disable": "system",
    "GET /roles": "security",
    "POST /roles": "security",
    "POST /roles/code": "security",
    "POST /roles/unlock": "security",
    "GET /keys": "security",
    "GET /journal": "audit",
    "GET /journal.csv": "audit",
    "GET /log": "clerk audit system",
    "GET /plans": "clerk audit",
    "GET /plans/{round:str}": "clerk audit",
    "GET /budget": "clerk audit",
    "GET /board": "clerk",
    "GET /board/{round:str}": "clerk",
    "GET /board/{round:str}/missing.csv": "clerk",
    "POST /board/{round:str}/close": "clerk",
    "GET /results": "clerk",
    "GET /results/{round:str}": "clerk",
    "GET /results/{round:str}/report/{kind:str}": "clerk",
    "GET /facts": "school",
    "POST /facts": "school",
    "GET /progress": "school",
    "POST /progress": "school",
    "GET /schools": "clerk",
}


def name_of(place: Place) -> str:
    return f"{place.method} {place.path}"


def filled(place: Place, office: Office) -> str:
    path = place.path.replace("{round:str}", office.county.round_id.hex())
    return path.replace("{kind:str}", "json")


def test_every_page_has_a_rule_and_every_rule_a_page() -> None:
    names = [name_of(place) for place in PLACES]
    assert len(names) == len(set(names))
    assert set(names) == set(RULES)


@pytest.mark.parametrize("place", PLACES, ids=name_of)
def test_a_page_is_for_those_that_the_rule_names(place: Place) -> None:
    said = {"" if role == "-" else role for role in RULES[name_of(place)].split()}
    assert set(place.who) == said


@pytest.mark.parametrize("role", ["", *ROLES], ids=["nobody", *ROLES])
def test_every_page_answers_every_role_as_the_table_says(shared: Office, role: str) -> None:
    visitor = shared.visitor(role)
    client = visitor.client
    for place in PLACES:
        path = filled(place, shared)
        if place.method == "GET":
            answer = client.get(path, follow_redirects=False)
        else:  # without a token: nothing changes, but who may come so far is told
            answer = client.post(path, data={"a": "b"}, headers={"origin": BASE}, follow_redirects=False)
        if role in place.who:
            assert answer.status_code in ((200, 303) if place.method == "GET" else (400,)), name_of(place)
        elif not role:
            assert (answer.status_code, answer.headers["location"]) == (303, "/login"), name_of(place)
        else:
            assert answer.status_code == 403, name_of(place)
            assert "This page is for another role" in answer.text


@pytest.mark.parametrize("role", ROLES)
def test_other_methods_and_unknown_paths_are_refused(shared: Office, role: str) -> None:
    client = shared.visitor(role).client
    for place in PLACES:
        path = filled(place, shared)
        for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"):
            assert client.request(method, path, headers={"origin": BASE}).status_code == 405
    for path in ("/nowhere", "/static/../app.py", "/static/%2e%2e/app.py", "/board/x/y", "/%00", "/static/"):
        assert client.get(path).status_code == 404, path


@pytest.mark.parametrize("role", ROLES)
def test_every_link_of_every_page_leads_somewhere(shared: Office, role: str) -> None:
    visitor = shared.visitor(role)
    seen: set[str] = set()
    waiting = ["/"]
    while waiting:
        path = waiting.pop()
        if path in seen:
            continue
        seen.add(path)
        page = visitor.client.get(path)
        assert page.status_code == 200, (role, path)
        waiting += [link.replace("&amp;", "&") for link in re.findall(r'<a [^>]*href="(/[^"]*)"', page.text)]
    offered = {href for href, _name, who in NAVIGATION if role in who}
    assert offered <= seen


SECRETS = {
    "accounts": (PERSONS["audit"], PERSONS["security"], PERSONS["system"]),
    "other schools": ("school 2", "s02"),
    "reporting": ("reported",),
    "results": ("Levels by stage", "IND-02"),
    "plans": ("小计划",),
    "journal": ("The journal is whole",),
}
HIDDEN_FROM = {
    "system": ("reporting", "results", "plans", "journal", "other schools"),
    "security": ("reporting", "results", "plans", "journal"),
    "audit": ("reporting", "results", "other schools"),
    "clerk": ("accounts", "journal"),
    "school": ("accounts", "reporting", "results", "plans", "journal", "other schools"),
}


@pytest.mark.parametrize("role", ROLES)
def test_no_page_shows_what_its_role_may_not_see(shared: Office, role: str) -> None:
    """Every page of a role, forms refused ones too, without the words of what is not its business."""
    shared.visitor("clerk").get("/board")
    visitor = shared.visitor(role)
    texts = []
    for place in PLACES:
        if role in place.who and place.method == "GET":
            texts.append(visitor.client.get(filled(place, shared)).text)
        elif role in place.who and place.path != "/logout":
            visitor.get("/me")
            texts.append(visitor.post(filled(place, shared)).text)
    text = "\n".join(texts).replace(PERSONS[role], "")
    for kind in HIDDEN_FROM[role]:
        for word in SECRETS[kind]:
            assert word not in text, (role, kind)


def test_the_secrets_of_that_test_are_shown_to_those_who_may(shared: Office) -> None:
    """Otherwise it would notice nothing."""
    clerk = shared.visitor("clerk")
    board = clerk.get(f"/board/{shared.county.round_id.hex()}").text
    for word in (*SECRETS["other schools"], *SECRETS["reporting"], *SECRETS["plans"]):
        assert word in board
    for word in SECRETS["accounts"]:
        assert word in shared.visitor("security").get("/roles").text
    assert "The journal is whole" in shared.visitor("audit").get("/journal").text


def test_a_school_sees_its_own_forms_only(office: Office) -> None:
    office.add("other", "school", "第二中学填报人", "s02")
    school, other = office.visitor("school"), office.visitor("other")
    school.get("/facts")
    assert "school 1" in school.text
    form = {
        "year": "2026-2027",
        "school_name": "独有之名",
        "stages.junior": "1",
        "urban_rural": "1",
        "is_boarding": "0",
        "n_students": "900",
        "n_classes": "20",
        "teacher_full": "1",
        "teacher_part": "2",
        "room_standard": "1",
    }
    assert "said=facts" in str(school.post("/facts", form).url)
    assert "独有之名" in school.get("/facts").text
    assert "独有之名" not in other.get("/facts").text
    school.get("/facts")
    school.post("/facts", {**form, "node": "s02"})  # whose it is, the account says
    assert "独有之名" not in other.get("/facts").text
    assert SCHOOL_NODE in office.visitor("clerk").get("/schools").text


def test_the_board_says_what_a_clerk_can_do_and_counts_days_like_the_command(office: Office) -> None:
    county = office.county
    county.clock = county.round(county.round_id).closes - timedelta(days=38, hours=23)
    text = unescape(office.visitor("clerk").get(f"/board/{county.round_id.hex()}").text)
    (days,) = {row.days_left for row in county.desk.rounds.overdue(county.round_id, {})}
    assert (days, "<dd>38</dd>" in text, "ends in 38 days" in text) == (38, True, True)
    assert "tell the system administrator" in text
    assert "round missing" not in text
    assert "round extend" not in text


def test_every_form_that_changes_something_stands_in_the_journal() -> None:
    without = {place.path for place in PLACES if place.method == "POST" and not place.action}
    assert without == {"/language"}


def test_what_is_read_taken_and_refused_stands_in_the_journal(shared: Office) -> None:
    round_id = shared.county.round_id.hex()
    clerk = shared.visitor("clerk")
    clerk.get(f"/results/{round_id}")
    clerk.get(f"/results/{round_id}/report/json?class=public")  # of a plan that is internal
    clerk.post(f"/board/{round_id}/close")
    rows = [line.split(",") for line in shared.visitor("audit").get("/journal.csv").text.splitlines()[1:]]
    found = [(row[2], row[4], row[5], row[6]) for row in rows]
    short = round_id[:16]
    assert ("clerk", "read-results", short, "done") in found
    assert ("clerk", "take-report", f"{short} json public", "refused") in found
    assert ("clerk", "close-round", short, "asked") in found
    assert ("audit", "take-journal", "", "done") in found
