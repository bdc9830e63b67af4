"""The auditor's page after something was signed: the log as it is now, nothing asked for twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

pytest.importorskip("starlette", reason="the page needs fedscreen[web]")
pytest.importorskip("jinja2", reason="the page needs fedscreen[web]")

from fakes_auditor_page import AuditorHouse, Visitor, plan_like
from fakes_auditors import small_plan

from auditor.approve import review_plan
from auditor.cli_text import plan_lines
from auditor.errors import LinkError
from auditor.link import LogPage
from auditor.plan_changes import late_year
from crypto.fingerprint import fingerprint_words
from protos.card import fingerprint

NEEDS_SITTING = "Rounds that have their reports"


@pytest.fixture
def house(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[AuditorHouse]:
    """An auditor of a test's own, in a county whose roster is logged."""
    monkeypatch.setattr("os.fsync", lambda _descriptor: None)
    monkeypatch.setattr("auditor.page.pages_rounds.POLL_S", 0.02)
    made = AuditorHouse(tmp_path)
    yield made
    made.close()


def shown_sizes(house: AuditorHouse) -> list[int]:
    """Let the county show the log only up to the last number of this list: what it took comes later."""
    shown, get_log = [house.county.ledger.size], house.link.get_log

    def get_shown(start: int, max_entries: int) -> LogPage:
        page = get_log(start, max(0, min(max_entries, shown[-1] - start)))
        return replace(page, latest=house.county.note(shown[-1]))

    house.link.get_log = get_shown  # type: ignore[method-assign]
    return shown


def two_plans(house: AuditorHouse) -> list[bytes]:
    return [house.county.publish_plan(plan_like(name, name, "1/20", days=at)) for at, name in enumerate("ab")]


def today(visitor: Visitor) -> str:
    return visitor.get("/").text


def test_an_approved_plan_waits_no_more_on_any_page(house: AuditorHouse) -> None:
    one, _two = two_plans(house)
    visitor = house.visitor()
    assert "Plans that wait for you: 2." in today(visitor)
    visitor.get(f"/plans/{one.hex()}")
    text = visitor.post(f"/plans/{one.hex()}/approve").text
    assert "Approved; entry" in text
    assert f'href="/plans/{one.hex()}"' not in text
    assert "Plans that wait for you: 1." in today(visitor)
    assert NEEDS_SITTING not in visitor.text
    text = visitor.get(f"/rounds/{one.hex()}").text
    assert "It waits for approvals: a2, a3, a4." in text
    assert text.count('class="primary"') + text.count('class="button primary"') == 0


def test_a_year_that_was_approved_waits_no_more(house: AuditorHouse) -> None:
    rounds = " ".join(row.hex() for row in two_plans(house))
    visitor = house.visitor()
    visitor.get("/plans")
    assert "No plan waits for you." in visitor.post("/plans/year", {"rounds": rounds}).text
    assert "Approve plans" not in today(visitor)


@pytest.mark.parametrize("is_lost", [False, True], ids=["logged later", "answer lost"])
def test_an_approval_that_the_log_has_not_got_is_to_be_sent_not_signed_again(
    house: AuditorHouse, is_lost: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _two = two_plans(house)
    visitor, shown = house.visitor(), shown_sizes(house)
    visitor.get(f"/plans/{one.hex()}")
    if is_lost:
        lost = LinkError("unavailable", "the coordinator does not answer", is_temporary=True)
        with monkeypatch.context() as patch:
            patch.setattr(house.link, "submit_statement", _raising(lost), raising=False)
            assert visitor.post(f"/plans/{one.hex()}/approve").status_code == 409
    else:
        visitor.post(f"/plans/{one.hex()}/approve")
    assert f'href="/plans/{one.hex()}"' not in visitor.get("/plans").text
    assert "Plans that wait for you: 1." in today(visitor)
    assert "Send what you have signed" in visitor.text
    assert NEEDS_SITTING not in visitor.text
    text = visitor.get(f"/rounds/{one.hex()}").text
    assert "our approval is signed and not in the log yet" in text
    assert "Do the second sitting now" not in text
    assert text.count('class="primary"') + text.count('class="button primary"') == 1
    if is_lost:
        visitor.post("/work/start")
    shown.append(house.county.ledger.size)
    visitor.post("/look")
    assert list(house.county.round(one).approvals) == ["a1"]
    assert "Send what you have signed" not in today(visitor)


def _raising(err: Exception):  # type: ignore[no-untyped-def]
    def submit(_entry: bytes, _body: bytes) -> int:
        raise err

    return submit


def test_a_second_sitting_is_asked_for_with_a_list_of_reports_only(house: AuditorHouse) -> None:
    county, (one, _two) = house.county, two_plans(house)
    visitor = house.visitor()
    for desk in house.desks.values():
        desk.approve(one)
    visitor.post(f"/plans/{one.hex()}/approve")
    county.collect(one)
    visitor.post("/look")
    assert NEEDS_SITTING not in today(visitor)
    county.fix_candidates(one)
    visitor.post("/look")
    assert f"{NEEDS_SITTING}: 1." in today(visitor)
    assert "Do the second sitting now" in visitor.get(f"/rounds/{one.hex()}").text


def test_a_round_whose_time_is_over_is_given_up_not_called_complete(house: AuditorHouse) -> None:
    county, (one, _two) = house.county, two_plans(house)
    visitor = house.visitor()
    visitor.post(f"/plans/{one.hex()}/approve")
    county.clock = county.round(one).closes + timedelta(days=400)
    assert "Rounds that have ended" in today(visitor)
    assert NEEDS_SITTING not in visitor.text


def test_the_keys_of_auditors_are_words_for_the_telephone(house: AuditorHouse) -> None:
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", house.visitor().get("/keys").text))
    roster = house.county.ledger.roster.body
    for row in roster.auditors:
        for key in (row.statement, row.cosigner):
            line = fingerprint(key.text)
            assert key.text not in text
            assert line in text
            assert all(" ".join(fingerprint_words(line, name)) in text for name in ("zh", "en"))


def test_a_plan_for_a_school_year_that_is_over_is_marked(house: AuditorHouse) -> None:
    plan = small_plan()
    late = replace(plan, school_year="2025-2026", census_date=plan.census_date - timedelta(days=365))
    assert late_year(plan) is None
    assert late_year(replace(plan, opens=plan.opens - timedelta(days=60))) is None
    round_id = house.county.publish_plan(late)
    mark = "for the school year 2025-2026, which is over"
    visitor = house.visitor()
    assert mark in visitor.get("/plans").text
    assert mark in visitor.get(f"/plans/{round_id.hex()}").text
    with house.office.keeper.desk() as desk:  # type: ignore[union-attr]
        lines = list(plan_lines(review_plan(desk.context, round_id)))
    assert next(line for line in lines if mark in line).startswith("  ! ")
