"""What each role may see and do, over a real desk."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes_console import PASSPHRASE, PRINCIPAL, PSYCHOLOGIST, Browser, ConsoleHouse
from fakes_federation import CLOSES
from fakes_vault import SchoolHouse, pupils

from node.console.pages_round import choices_of, lay_out

ROLES = ("it", "psychologist", "principal")
COUNT = re.compile(r'<td class="num">(\d+)</td>')


@pytest.fixture
def round_id(house: ConsoleHouse) -> str:
    return house.start_round()


@pytest.fixture
def people(house: ConsoleHouse) -> dict[str, Browser]:
    house.give_roles()
    return {
        "it": house.browser().enter(),
        "psychologist": house.browser().log_in("psychologist"),
        "principal": house.browser().log_in("principal"),
    }


@pytest.fixture(scope="module")
def visitors(shared: ConsoleHouse) -> dict[str, Browser]:
    """As `people`, for tests that change nothing."""
    return {
        "it": shared.browser().enter(),
        "psychologist": shared.browser().log_in("psychologist"),
        "principal": shared.browser().log_in("principal"),
    }


# ------------------------------------------------------------ coming in


def test_the_link_leads_to_the_day(house: ConsoleHouse) -> None:
    browser = house.browser().enter()
    assert browser.page.status_code == 200
    assert "school IT" in browser.text


def test_a_used_link_says_what_to_do(house: ConsoleHouse) -> None:
    link = house.sessions.make_link()
    house.browser().get(f"/enter/{link}")
    answer = house.browser().get(f"/enter/{link}")
    assert answer.status_code == 403
    assert "press Enter" in answer.text


def test_first_holders_are_made_on_the_page_by_it(house: ConsoleHouse) -> None:
    browser = house.browser().enter()
    assert "nobody yet" in browser.text
    for role, name in (("psychologist", PSYCHOLOGIST), ("principal", PRINCIPAL)):
        browser.get("/people")
        browser.post("/people", {"role": role, "name": name, "new": PASSPHRASE, "again": PASSPHRASE})
        assert f"{name} is" in browser.text
    browser.log_in("principal")
    assert f"· {PRINCIPAL}" in browser.text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"again": "cedar lantern ninety river"}, "differ"),
        ({"new": "short", "again": "short"}, "12 to"),
        ({"name": ""}, "missing"),
        ({"name": "a\nb"}, "missing"),
        ({"role": "it"}, "missing"),
        ({"role": "director"}, "missing"),
    ],
)
def test_a_holder_is_not_made_like_that(house: ConsoleHouse, changes: dict[str, str], said: str) -> None:
    browser = house.browser().enter()
    browser.get("/people")
    form = {"role": "principal", "name": PRINCIPAL, "new": PASSPHRASE, "again": PASSPHRASE}
    browser.post("/people", form | changes)
    assert said in browser.text
    assert house.keeper.ask("roles")["holders"] == []
    is_kept = f'value="{PRINCIPAL}"' in browser.text
    assert is_kept == ("again" in changes)


def test_it_cannot_replace_a_holder(house: ConsoleHouse, people: dict[str, Browser]) -> None:
    browser = people["it"]
    browser.get("/people")
    other = "another passphrase of mine"
    browser.post("/people", {"role": "principal", "name": PRINCIPAL, "new": other, "again": other})
    assert "only a holder can add one" in browser.text
    assert house.browser().log_in("principal").page.url.path == "/"


def test_a_holder_adds_a_deputy_and_changes_the_own_passphrase(
    house: ConsoleHouse, people: dict[str, Browser]
) -> None:
    browser, other = people["principal"], "another passphrase of mine"
    form = {"role": "principal", "new": other, "again": other}
    browser.get("/people")
    browser.post("/people", {**form, "name": "副校长", "passphrase": "wrong wrong wrong"})
    assert "wrong" in browser.text
    house.now_s += 100
    browser.post("/people", {**form, "name": "副校长", "passphrase": PASSPHRASE})
    browser.post("/people", {**form, "name": PRINCIPAL, "passphrase": PASSPHRASE})
    assert [row["name"] for row in house.keeper.ask("roles")["holders"] if row["role"] == "principal"] == [
        "副校长",
        PRINCIPAL,
    ]
    assert browser.get("/budget").status_code == 200
    assert house.browser().log_in("principal").page.url.path == "/login"  # the old passphrase


def test_wrong_passphrases_are_slowed(house: ConsoleHouse, people: dict[str, Browser]) -> None:
    browser = house.browser()
    form = {"role": "principal", "name": PRINCIPAL, "passphrase": "wrong wrong wrong"}
    browser.get("/login")
    browser.post("/login", form)
    assert "wrong for the role" in browser.text
    asked = len(house.vault.seen)
    browser.post("/login", {**form, "passphrase": PASSPHRASE})
    assert "possible in 1 s" in browser.text
    assert len(house.vault.seen) == asked
    house.now_s += 1.5
    browser.post("/login", {**form, "passphrase": PASSPHRASE})
    assert browser.page.url.path == "/"


def test_nobody_learns_who_holds_a_role(house: ConsoleHouse, people: dict[str, Browser]) -> None:
    browser = house.browser()
    assert PRINCIPAL not in browser.get("/login").text
    said = []
    for name in (PRINCIPAL, "没有此人"):
        house.now_s += 100
        browser.get("/login")
        browser.post("/login", {"role": "principal", "name": name, "passphrase": "wrong wrong wrong"})
        said.append(re.findall(r"<strong>(.*?)</strong>", browser.text))
    assert said[0] == said[1]


def test_it_gets_the_own_place_back(house: ConsoleHouse, people: dict[str, Browser]) -> None:
    browser = people["it"].log_in("principal")
    assert browser.get("/import").status_code == 403
    browser.get("/")
    browser.post("/logout")
    assert "school IT" in browser.text
    browser.post("/logout")
    assert browser.page.url.path == "/login"
    assert browser.get("/budget").url.path == "/login"


def test_a_session_ends_by_itself(house: ConsoleHouse, people: dict[str, Browser]) -> None:
    house.now_s += 16 * 60
    for browser in people.values():
        assert browser.get("/").url.path == "/login"


# ------------------------------------------------------------ numbers


def test_numbers_are_for_psychologist_and_principal(
    shared: ConsoleHouse, visitors: dict[str, Browser]
) -> None:
    numbers = {}
    for role, browser in visitors.items():
        assert browser.get(f"/round/{shared.round_id}/check").status_code == 200
        numbers[role] = COUNT.findall(browser.text)
    assert numbers["it"] == []
    assert len(numbers["psychologist"]) == 46
    assert numbers["principal"] == numbers["psychologist"]
    assert "±22" in visitors["it"].text


def test_it_sees_no_number_on_a_node_without_roles_either(house: ConsoleHouse, round_id: str) -> None:
    browser = house.browser().enter()
    browser.get(f"/round/{round_id}/check")
    assert COUNT.findall(browser.text) == []
    assert house.keeper.ask("preview", round=round_id)["hidden"] == 0


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("page", ["sheet", "sign"])
def test_neither_sheet_nor_decision_holds_a_count(
    shared: ConsoleHouse, visitors: dict[str, Browser], role: str, page: str
) -> None:
    tables = shared.keeper.ask("preview", round=shared.round_id, actor=house_actor(shared))["tables"]
    assert any(cell["count"] for table in tables for cell in table["cells"])
    browser = visitors[role]
    assert browser.get(f"/round/{shared.round_id}/{page}").status_code == 200
    assert page != "sheet" or "operator of a1, operator of a2" in browser.text
    numbers = set(COUNT.findall(browser.text))
    assert numbers <= {"16", "30"}  # how many numbers each table has


def house_actor(house: ConsoleHouse) -> dict[str, str]:
    from node.role_login import actor_of

    return actor_of(house.keeper, "principal", PRINCIPAL, PASSPHRASE)


def test_a_wide_dimension_goes_down() -> None:
    cells = [{"keys": {"a": a, "b": str(b)}, "count": b} for a in "xy" for b in range(20)]
    grid = lay_out({"dims": ["a", "b"], "cells": cells})
    assert (grid.across, len(grid.rows), grid.total) == ("", 40, 380)
    narrow = lay_out({"dims": ["a", "b"], "cells": cells[:3] + cells[20:22]})
    assert (narrow.across, len(narrow.rows)) == ("b", 2)
    assert narrow.rows[1][1] == (0, 1, None)


# ------------------------------------------------------------ the decision


def decide(browser: Browser, round_id: str, decision: str, **changes: str) -> None:
    browser.get(f"/round/{round_id}/sign")
    records = re.search(r'name="records" value="([0-9a-f]+)"', browser.text)
    form = {"decision": decision, "reason": "", "passphrase": PASSPHRASE}
    form["records"] = records.group(1) if records else ""
    browser.post(f"/round/{round_id}/sign", form | changes)


def test_the_principal_approves_and_the_report_waits(
    house: ConsoleHouse, round_id: str, people: dict[str, Browser]
) -> None:
    browser = people["principal"]
    decide(browser, round_id, "approve")
    assert browser.page.url.path == f"/round/{round_id}/send"
    report = house.keeper.ask("rounds")["rounds"][0]["report"]
    assert (report["state"], report["released_by"]) == ("waiting", PRINCIPAL)


@pytest.mark.parametrize("role", ["it", "psychologist"])
def test_nobody_else_decides(shared: ConsoleHouse, visitors: dict[str, Browser], role: str) -> None:
    browser = visitors[role]
    decide(browser, shared.round_id, "approve")
    assert browser.page.status_code == 403
    assert shared.keeper.ask("rounds")["rounds"][0]["report"]["state"] == "none"


@pytest.mark.parametrize(
    ("decision", "changes", "said"),
    [
        ("approve", {"passphrase": "wrong wrong wrong"}, "wrong for the role"),
        ("approve", {"passphrase": ""}, "12 to"),
        ("approve", {"records": "ab" * 32}, "records have changed"),
        ("hold", {}, "needs a reason"),
        ("decline", {"reason": "  "}, "needs a reason"),
        ("release", {"reason": "x"}, "No decision was chosen"),
    ],
)
def test_a_decision_is_refused(
    shared: ConsoleHouse,
    visitors: dict[str, Browser],
    decision: str,
    changes: dict[str, str],
    said: str,
) -> None:
    shared.console.brake.succeed()
    browser = visitors["principal"]
    decide(browser, shared.round_id, decision, **changes)
    assert browser.page.url.path == f"/round/{shared.round_id}/sign"
    assert 'class="notice bad"' in browser.text
    assert said in browser.text
    row = shared.keeper.ask("rounds")["rounds"][0]
    assert (row["report"]["state"], row["decision"]) == ("none", {})


@pytest.mark.parametrize(("decision", "word"), [("hold", "held back"), ("decline", "declined")])
def test_what_was_decided_is_told_with_its_reason(
    house: ConsoleHouse, round_id: str, people: dict[str, Browser], decision: str, word: str
) -> None:
    decide(people["principal"], round_id, decision, reason="再核对一遍")
    people["it"].get("/")
    assert "再核对一遍" in people["it"].text
    assert word in people["it"].text
    assert PRINCIPAL in people["it"].text


def fields_of(text: str, name: str) -> list[str]:
    return re.findall(rf'name="{name}" value="([a-z]+)"', text)


def send(school: SchoolHouse) -> None:
    school.desk.on_receipt(school.submit())
    school.sync()


def test_what_is_refused_keeps_what_was_typed_but_no_passphrase(
    house: ConsoleHouse, round_id: str, people: dict[str, Browser]
) -> None:
    browser, wrong = people["principal"], "wrong wrong wrong"
    decide(browser, round_id, "hold", reason="再核对一遍", passphrase=wrong)
    assert "<strong>Name or passphrase is wrong" in browser.text
    assert 'value="再核对一遍"' in browser.text
    assert 'value="hold" required checked' in browser.text
    assert wrong not in browser.text
    house.now_s += 100
    decide(browser, round_id, "hold", reason="再核对一遍")
    assert "再核对一遍" not in re.sub(r"<p>.*?</p>", "", browser.get(f"/round/{round_id}/sign").text)


def test_no_passphrase_is_kept_between_two_pages(
    house: ConsoleHouse, round_id: str, people: dict[str, Browser]
) -> None:
    browser, wrong = people["principal"], "wrong wrong wrong"
    browser.get(f"/round/{round_id}/sign")
    browser.client.follow_redirects = False
    browser.post(f"/round/{round_id}/sign", {"decision": "hold", "reason": "再看", "passphrase": wrong})
    kept = str([row.typed for row in house.sessions._sessions.values()])
    assert "再看" in kept
    assert wrong not in kept


@pytest.mark.parametrize(
    ("changes", "held", "expected"),
    [
        ({}, "", ("approve", "hold", "decline")),
        ({"is_over": 1}, "", ()),
        ({"released": {"state": "waiting", "records": "a"}}, "", ("hold",)),
        ({"released": {"state": "waiting", "records": "a"}}, "hold", ("approve",)),
        ({"released": {"state": "waiting", "records": "b"}}, "", ("approve", "hold")),
        ({"released": {"state": "cosigned", "records": "a"}}, "", ()),
        ({"released": {"state": "cosigned", "records": "b"}}, "", ("approve",)),
        ({"released": {"state": "cosigned", "records": ""}}, "", ("approve",)),
        ({"released": {"state": "in-set", "records": "b"}, "is_over": 1}, "", ()),
    ],
)
def test_what_can_still_be_decided(changes: dict[str, Any], held: str, expected: tuple[str, ...]) -> None:
    answer = {"is_over": 0, "released": {}, "records": "a", **changes}
    assert choices_of(answer, {"decision": held} if held else {}) == expected


def test_a_report_in_the_log_is_signed_again_only_for_other_records(
    house: ConsoleHouse, round_id: str, people: dict[str, Browser]
) -> None:
    browser, path = people["principal"], f"/round/{round_id}/sign"
    decide(browser, round_id, "approve")
    released = house.keeper.ask("preview", round=round_id)["records"]
    assert fields_of(browser.get(path).text, "decision") == ["hold"]  # it waits
    house.do(send)
    assert fields_of(browser.get(path).text, "decision") == []
    assert "Nothing to decide" in browser.text
    house.do(lambda school: school.save(pupils(shift=3)))
    stored = house.keeper.ask("preview", round=round_id)["records"]
    assert fields_of(browser.get(path).text, "decision") == ["approve"]
    for page in ("check", "sheet", "sign"):
        text = browser.get(f"/round/{round_id}/{page}").text
        assert text.index(released[:16]) < text.index(stored[:16])
        assert "differ" in text


def test_a_closed_round_is_read_only(house: ConsoleHouse, round_id: str, people: dict[str, Browser]) -> None:
    browser = people["principal"]
    decide(browser, round_id, "approve")
    house.do(send)
    house.do(lambda school: (school.federation.fix_candidates(bytes.fromhex(round_id)), school.sync()))
    house.do(lambda school: school.save(pupils(shift=3)))
    browser.get(f"/round/{round_id}/sign")
    assert fields_of(browser.text, "decision") == []
    assert "has closed the collection" in browser.text
    for decision in ("approve", "hold", "decline"):
        decide(browser, round_id, decision, reason="x")
        assert browser.page.url.path == f"/round/{round_id}/sign"
        assert "takes no decision any more" in browser.text
    assert house.keeper.ask("status")["held"] == 0
    assert len(house.keeper.ask("rounds")["rounds"][0]["attempts"]) == 1


def test_the_check_is_done_once_a_holder_has_looked(
    house: ConsoleHouse, round_id: str, people: dict[str, Browser]
) -> None:
    path = f"/round/{round_id}/check"
    for role, is_done in (("it", False), ("psychologist", True)):
        browser = people[role]
        browser.get(path)
        assert ("Next: the principal signs" in browser.get("/").text) == is_done
    house.do(lambda school: school.save(pupils(shift=3)))
    assert "Next: look at what would leave" in people["psychologist"].get("/").text


def test_a_finished_round_stays_on_the_first_page(
    house: ConsoleHouse, round_id: str, people: dict[str, Browser], monkeypatch: pytest.MonkeyPatch
) -> None:
    decide(people["principal"], round_id, "approve")
    house.do(send)
    status = house.keeper.ask("status")
    status["rounds"][0]["state"] = "released"
    status["rounds"][0]["report"]["state"] = "released"
    monkeypatch.setattr("node.console.visit.Visit.ask", answer_with(house, status))
    text = people["it"].get("/").text
    assert "No round yet" not in text
    assert "Earlier rounds" not in text
    assert "part of the released sum" in text
    assert f'href="/round/{round_id}/receipt"' in text


def answer_with(house: ConsoleHouse, status: dict[str, Any]) -> Callable[..., Any]:
    def ask(_visit: object, name: str, /, **fields: Any) -> Any:
        return status if name == "status" else house.keeper.ask(name, **fields)

    return ask


def test_sending_is_followed_to_the_receipt(
    house: ConsoleHouse, round_id: str, people: dict[str, Browser]
) -> None:
    decide(people["principal"], round_id, "approve")
    browser = people["it"]
    browser.get(f"/round/{round_id}/send")
    assert 'content="20;' in browser.text
    house.do(lambda school: (school.desk.on_receipt(school.submit()), school.sync()))
    browser.get(f"/round/{round_id}/send")
    assert 'content="20;' not in browser.text
    proof = browser.get(f"/round/{round_id}/receipt")
    assert proof.text.startswith("c2sp.org/tlog-proof@v1")
    assert proof.headers["content-disposition"].startswith("attachment")


def test_holding_is_for_it_and_principal(
    house: ConsoleHouse, round_id: str, people: dict[str, Browser]
) -> None:
    people["psychologist"].get(f"/round/{round_id}/send")
    people["psychologist"].post(f"/round/{round_id}/hold", {"on": "1"})
    assert people["psychologist"].page.status_code == 403
    assert "Hold sending back" not in people["it"].get(f"/round/{round_id}/send").text  # nothing waits
    decide(people["principal"], round_id, "approve")
    assert "Hold sending back" in people["it"].get(f"/round/{round_id}/send").text
    people["it"].post(f"/round/{round_id}/hold", {"on": "1"})
    assert "Nothing was held back" in people["it"].text
    assert house.keeper.ask("status")["held"] == 0
    people["it"].post(f"/round/{round_id}/hold", {"on": "1", "sure": "yes"})
    assert house.keeper.ask("status")["held"] == 1
    assert "Sending is held" in people["principal"].get("/").text


def test_it_does_not_lift_what_the_principal_held(
    house: ConsoleHouse, round_id: str, people: dict[str, Browser]
) -> None:
    decide(people["principal"], round_id, "hold", reason="再核对一遍")
    people["it"].get(f"/round/{round_id}/send")
    answer = people["it"].post(f"/round/{round_id}/hold", {"on": "0"})
    assert (answer.status_code, house.keeper.ask("status")["held"]) == (409, 1)
    house.console.brake.succeed()
    decide(people["principal"], round_id, "approve")
    assert house.keeper.ask("status")["held"] == 0


@pytest.mark.parametrize("page", ["check", "sign", "sheet"])
def test_what_cannot_be_shown_any_more_is_told_with_the_round(
    house: ConsoleHouse, round_id: str, people: dict[str, Browser], page: str
) -> None:
    decide(people["principal"], round_id, "approve", reason="同意")

    def end(school: SchoolHouse) -> None:
        school.desk.on_receipt(school.submit())
        school.now = CLOSES + timedelta(days=1)
        school.sync()

    house.do(end)
    answer = people["principal"].get(f"/round/{round_id}/{page}")
    assert answer.status_code == 409
    assert "小型计划" in answer.text
    assert "同意" in answer.text
    assert f"/round/{round_id}/send" in answer.text


def test_a_page_that_looks_again_by_itself_keeps_no_session_open(
    house: ConsoleHouse, round_id: str, people: dict[str, Browser]
) -> None:
    browser = people["principal"]
    decide(browser, round_id, "approve")
    path = re.findall(r'http-equiv="refresh" content="20;url=(.*?)"', browser.text)[0]
    for _number in range(3):
        assert browser.get(path).status_code == 200
        house.now_s += 6 * 60
    assert browser.get(path).url.path == "/login"


def test_a_page_leaves_the_screen_when_the_session_is_over(visitors: dict[str, Browser]) -> None:
    for browser in visitors.values():
        assert 'http-equiv="refresh" content="902;url=/login?auto=1"' in browser.get("/").text


def test_a_round_that_is_not_there_is_refused(shared: ConsoleHouse, visitors: dict[str, Browser]) -> None:
    for page in ("check", "sheet", "sign", "send", "receipt"):
        answer = visitors["principal"].get(f"/round/{'ab' * 32}/{page}")
        assert answer.status_code == 409
        assert "no such round" in answer.text


# ------------------------------------------------------------ both languages, and what is escaped


@pytest.mark.parametrize("path", ["/", "/budget", "/status", "/people", "/import"])
def test_every_page_is_there_in_both_languages(
    shared: ConsoleHouse, visitors: dict[str, Browser], path: str
) -> None:
    browser = visitors["it"]
    for code, tag in (("zh_CN", "zh-CN"), ("en", "en")):
        browser.get("/")
        browser.post("/language", {"language": code, "back": path})
        assert browser.page.url.path == path
        assert f'<html lang="{tag}">' in browser.text
        assert 'style="' not in browser.text
        assert "<script>" not in browser.text


@pytest.mark.parametrize("back", ["//evil.example", "http://evil.example", "/\\evil.example", "", "x"])
def test_the_language_form_leads_nowhere_else(shared: ConsoleHouse, back: str) -> None:
    browser = shared.browser().enter()
    answer = browser.client.post(
        "/language",
        data={
            "form_token": re.findall(r'value="([0-9a-f]{64})"', browser.text)[0],
            "language": "en",
            "back": back,
        },
        headers={"origin": "http://127.0.0.1:8620"},
        follow_redirects=False,
    )
    assert answer.headers["location"] == "/"


def test_what_people_type_is_text(house: ConsoleHouse) -> None:
    browser, name = house.browser().enter(), "<script>alert(1)</script>"
    browser.get("/people")
    browser.post("/people", {"role": "principal", "name": name, "new": PASSPHRASE, "again": PASSPHRASE})
    assert "<script>alert" not in browser.text
    assert "&lt;script&gt;alert" in browser.text


def test_what_needs_an_eye_is_told_with_what_to_do(house: ConsoleHouse) -> None:
    browser = house.browser().enter()
    for sentence in ("not running", "fedscreen node run", "No recovery file", "recovery make"):
        assert sentence in browser.get("/").text
    house.do(lambda school: school.call("hold", on=1))
    assert "Sending is held" in browser.get("/").text


def test_a_dead_vault_is_opened_anew(house: ConsoleHouse, round_id: str) -> None:
    browser = house.browser().enter()
    house.vault.dies = 1
    assert browser.get("/").status_code == 200
    assert house.num_opened == 2


@pytest.mark.parametrize("path", ["/", "/budget", "/status", "/people", "/import"])
def test_a_node_that_has_not_joined_says_so(tmp_path: Path, path: str) -> None:
    house = ConsoleHouse(tmp_path, is_enrolled=False)
    browser = house.browser().enter()
    answer = browser.get(path)
    house.keeper.close()
    assert answer.status_code in (200, 409)
    assert "unforeseen" not in answer.text
    if path == "/":
        assert "not joined" in answer.text


def test_a_list_without_names_says_what_the_profile_needs(
    shared: ConsoleHouse, visitors: dict[str, Browser]
) -> None:
    text = visitors["psychologist"].get("/follow-up?all=1").text
    assert "<strong>No names are kept" in text
    assert "[columns]" in text
