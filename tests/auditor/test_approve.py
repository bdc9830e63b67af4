"""Approving a plan: once, after recomputing it, and only what the policy allows."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import timedelta
from fractions import Fraction
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
from fakes_auditors import Entropy, FakeCounty, joined_county, replace_method, small_plan
from plan_samples import ready_toml

from auditor.approve import review_plan, verify_policy, year_cost
from auditor.desk import Desk
from auditor.errors import AbstainError, LinkError, RefusalError, StateError
from auditor.plan_view import asks_the_same, view_plan
from auditor.state import SecretKind, SlotKind
from crypto.sealing import round_public_key
from plan.document import PlanDocument, parse_plan_toml
from plan.layout import build_layout
from plan.published import Published
from plan.publishing import resolve
from plan.table_spec import TableSpec
from protos.statements import Approval


def _refused(desk: Desk, round_id: bytes, code: str) -> None:
    with pytest.raises(RefusalError) as caught:
        desk.approve(round_id)
    assert caught.value.code == code
    assert desk.state.slot(SlotKind.APPROVAL, round_id) is None
    assert desk.state.secret(SecretKind.ROUND_KEY, round_id) is None


def test_an_approval_carries_instance_key_and_draw(county: FakeCounty, desks: dict[str, Desk]) -> None:
    round_id = county.publish_plan()
    desks["a1"].approve(round_id)
    approval: Approval = county.round(round_id).approvals["a1"].statement
    state = desks["a1"].state
    secret, draw = state.secret(SecretKind.ROUND_KEY, round_id), state.secret(SecretKind.DRAW, round_id)
    assert secret is not None
    assert draw is not None
    assert approval.instance == state.instance
    assert approval.round_key == round_public_key(secret)
    assert approval.draw == hashlib.sha256(draw).digest()


def test_two_auditors_have_different_keys_nonces_and_draws(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    approvals = [row.statement for row in county.round(round_id).approvals.values()]
    for part in ("instance", "round_key", "nonce", "draw"):
        assert len({getattr(approval, part) for approval in approvals}) == 4


def test_approving_again_sends_the_same_bytes(county: FakeCounty, tmp_path: Path) -> None:
    link = county.link("a1")
    desk = county.desk("a1", tmp_path, link=link)
    round_id = county.publish_plan()
    position = desk.approve(round_id)
    assert county.desk("a1", tmp_path, link=link).approve(round_id) == position
    assert len(link.sent) == 2
    assert link.sent[0] == link.sent[1]


def test_an_approval_that_was_not_delivered_is_sent_again(county: FakeCounty, tmp_path: Path) -> None:
    link = county.link("a1")
    desk = county.desk("a1", tmp_path, link=link)
    round_id = county.publish_plan()
    original = link.submit_statement

    def fail(entry: bytes, body: bytes) -> int:
        link.sent.append(entry)
        raise LinkError("unavailable", "gone", is_temporary=True)

    replace_method(link, "submit_statement", fail)
    with pytest.raises(LinkError):
        desk.approve(round_id)
    replace_method(link, "submit_statement", original)
    desk.step()
    assert link.sent[0] == link.sent[1]
    assert "a1" in county.round(round_id).approvals


def test_an_unknown_round_is_refused(desks: dict[str, Desk]) -> None:
    _refused(desks["a1"], bytes(32), "no-such-round")


def test_a_plan_that_does_not_name_the_auditor_is_refused(tmp_path: Path) -> None:
    county = joined_county(num_auditors=5, quorum=4)
    desk = county.desk("a5", tmp_path)
    _refused(desk, county.publish_plan(), "not-an-auditor")


def test_an_expired_plan_is_refused(county: FakeCounty, desks: dict[str, Desk]) -> None:
    county.clock = small_plan().closes
    _refused(desks["a1"], county.publish_plan(), "expired")


def _replaced(**changes: Any) -> PlanDocument:
    return replace(small_plan(), **changes)


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("max-rho 1/4", "max-rho 1/6", "max-rho"),
        ("max-rho-year 1/2", "max-rho-year 1/10", "max-rho-year"),
        ("min-reports 5", "min-reports 6", "min-reports"),
        ("min-group 5", "min-group 6", "min-group"),
        ("tuple 4 3 1 3", "tuple 5 4 2 4", "tuple"),
        ("min-group 5", "min-group 5\nforbid-field sex", "forbid-field"),
        ("min-group 5", "min-group 5\nforbid-field disposition", "forbid-field"),
        ("min-group 5", "min-group 5\nforbid-table A3", "forbid-table"),
        ("min-group 5", "min-group 5\nforbid-relation replace-one", "forbid-relation"),
        ("min-group 5", "min-group 5\nmin-colluding-schools 2", "min-colluding-schools"),
    ],
)
def test_a_plan_against_the_policy_is_refused(
    county: FakeCounty, tmp_path: Path, old: str, new: str, code: str
) -> None:
    policy = county.policy_text()
    assert old in policy
    desk = county.desk("a1", tmp_path, policy=policy.replace(old, new))
    _refused(desk, county.publish_plan(), code)


def test_a_plan_at_the_policys_bounds_is_approved(county: FakeCounty, tmp_path: Path) -> None:
    policy = county.policy_text().replace("max-rho 1/4", "max-rho 1/5")
    policy += "min-colluding-schools 1\nforbid-table A2\nforbid-relation add-remove\n"
    desk = county.desk("a1", tmp_path, policy=policy.replace("max-rho-year 1/2", "max-rho-year 1/5"))
    desk.approve(county.publish_plan())


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cells": 30}, "wrong-cells"),
        ({"rho": Fraction(1, 10)}, "wrong-noise"),
        ({"raw_body": b'{"tables":[]}'}, "wrong-plan"),
        ({"min_reports": 6}, "wrong-noise"),
    ],
)
def test_a_plan_whose_figures_do_not_follow_is_refused(
    county: FakeCounty, desks: dict[str, Desk], changes: dict[str, Any], code: str
) -> None:
    _refused(desks["a1"], county.publish_plan(**changes), code)


def _noise(county: FakeCounty) -> list[Any]:
    """The noise lines that the small plan must have."""
    return list(county.round(county.publish_plan()).terms.noise)


@pytest.mark.parametrize("part", [1, 2, 3], ids=["scale", "s2", "thresholds"])
def test_a_changed_noise_line_is_refused(county: FakeCounty, desks: dict[str, Desk], part: int) -> None:
    noise = _noise(county)
    first: list[Any] = list(noise[0])
    first[part] = bytes(32) if part == 3 else first[part] + 1
    noise[0] = tuple(first)
    _refused(desks["a1"], county.publish_plan(noise=noise), "wrong-noise")


def test_a_missing_noise_line_is_refused(county: FakeCounty, desks: dict[str, Desk]) -> None:
    _refused(desks["a1"], county.publish_plan(noise=_noise(county)[:1]), "wrong-noise")


def test_a_plan_with_a_ladder_is_approved_and_one_with_a_changed_step_is_not(
    county: FakeCounty, desks: dict[str, Desk]
) -> None:
    laddered = replace(small_plan(), tiers=(5,))
    round_id = county.publish_plan(laddered)
    desks["a1"].approve(round_id)
    table, step, s2, thresholds = county.round(round_id).terms.steps[0]
    steps = ((table, step, s2 - 1, thresholds), *county.round(round_id).terms.steps[1:])
    _refused(desks["a1"], county.publish_plan(laddered, steps=steps), "wrong-noise")


def test_too_few_independent_operators_in_the_roster_are_refused(tmp_path: Path) -> None:
    county = FakeCounty()
    county.nodes["s6"].operator = county.nodes["s5"].operator
    county.nodes["s4"].operator = county.nodes["s5"].operator
    county.join()
    county.clock = small_plan().opens
    _refused(county.desk("a1", tmp_path), county.publish_plan(), "min-reports")


def test_a_small_group_in_the_roster_is_refused(tmp_path: Path) -> None:
    county = FakeCounty()
    for number, node in enumerate(county.nodes.values()):
        node.attributes = (("grade", "7" if number else "8"),)
    county.join()
    county.clock = small_plan().opens
    _refused(county.desk("a1", tmp_path), county.publish_plan(), "min-group")


@pytest.mark.parametrize("field", ["county", "days_to_review"])
def test_a_forbidden_attribute_or_number_is_refused(tmp_path: Path, field: str) -> None:
    county = FakeCounty()
    for node in county.nodes.values():
        node.attributes = (("county", "a"),)
    county.join()
    county.clock = small_plan().opens
    table = TableSpec(
        id="K",
        title="天数",
        dims=("county",),
        attributes=("county",),
        sum="days_to_review",
        range=(0, 30),
    )
    round_id = county.publish_plan(_replaced(tables=(table,), attributes=(("county", (("a", "甲县"),)),)))
    desk = county.desk("a1", tmp_path)
    review_plan_ok(desk, round_id)
    forbidding = replace(desk.context.policy, forbidden_fields=(field,))
    plan = county.round(round_id)
    with pytest.raises(RefusalError, match=field):
        verify_policy(forbidding, plan.terms, view_plan(plan.terms, plan.plan.body))


def test_a_column_with_a_small_county_is_refused(tmp_path: Path) -> None:
    county = FakeCounty()
    for number, node in enumerate(county.nodes.values()):
        node.attributes = (("county", "a" if number else "b"),)
    county.join()
    county.clock = small_plan().opens
    values = (("county", (("a", "甲县"), ("b", "乙县"))),)
    table = TableSpec(id="K", title="等级", dims=("county", "level"), attributes=("county",))
    desk = county.desk("a1", tmp_path)
    _refused(desk, county.publish_plan(_replaced(tables=(table,), attributes=values)), "min-group")
    kept = replace(table, where=(("county", ("a",)),))
    review_plan_ok(desk, county.publish_plan(_replaced(tables=(kept,), attributes=values)))


def test_asking_the_same_again_is_refused_once_there_are_reports(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    again = county.publish_plan(_replaced(title="换个名字"))
    review_plan_ok(desks["a1"], again)
    county.collect(round_id, ["s1"])
    desks["a1"].sync()
    _refused(desks["a1"], again, "second-plan")


@pytest.mark.parametrize(
    ("table", "changes", "is_refused"),
    [
        (0, {"dims": ("disposition", "grade")}, True),
        (0, {"where": (("sex", ("1", "2", "9")),)}, True),
        (0, {"where": (("sex", ("1",)),)}, True),
        (1, {"where": ()}, True),
        (1, {"where": (("disposition", ("1", "3")),)}, True),
        (1, {"where": (("disposition", ("3",)),)}, False),
        (1, {"dims": ("grade", "level")}, False),
        (1, {"sum": "days_to_review", "range": (0, 30)}, False),
    ],
    ids=[
        "other order",
        "idle filter",
        "some of them",
        "all of them",
        "overlap",
        "nobody twice",
        "other dims",
        "a sum",
    ],
)
def test_a_question_dressed_up_is_the_same_question(
    county: FakeCounty,
    desks: dict[str, Desk],
    round_id: bytes,
    table: int,
    changes: dict[str, Any],
    is_refused: bool,
) -> None:
    asked = replace(small_plan().tables[table], id="B1", title="换个名字", **changes)
    again = county.publish_plan(_replaced(tables=(asked,), rho=Fraction(1, 20)))
    county.collect(round_id, ["s1"])
    desks["a1"].sync()
    if is_refused:
        _refused(desks["a1"], again, "second-plan")
    else:
        review_plan_ok(desks["a1"], again)


def test_no_two_ready_plans_of_a_census_ask_the_same() -> None:
    """Else the year of ready plans could not be run: an auditor refuses the second one."""
    names = ("autumn-full", "spring-monitor", "ledgers", "follow-up", "prefecture-rare")
    plans = [resolve(parse_plan_toml(ready_toml(name)), 60) for name in names]
    views = [Published(plan, build_layout(plan), (), plan.rho) for plan in plans]
    assert not any(asks_the_same(one, other) for one, other in combinations(views, 2))
    assert asks_the_same(views[0], views[0])


def review_plan_ok(desk: Desk, round_id: bytes) -> None:
    desk.sync()
    assert not review_plan(desk.context, round_id).is_approved


def test_a_rerun_after_an_abandoned_round_is_approved(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    county.collect(round_id)
    county.clock = small_plan().closes + timedelta(days=100)
    for desk in desks.values():
        desk.step()
    assert county.round(round_id).is_refundable
    county.clock = small_plan().opens
    again = county.publish_plan(_replaced(title="重做"))
    desks["a1"].approve(again)
    row = county.round(again)
    assert year_cost(desks["a1"].context, row, view_plan(row.terms, row.plan.body)) == Fraction(1, 5)


def test_the_school_year_adds_up(county: FakeCounty, desks: dict[str, Desk], round_id: bytes) -> None:
    tables = small_plan().tables
    other = _replaced(
        title="另一个", tables=tables[1:], census_date=small_plan().census_date - timedelta(days=1)
    )
    second = county.publish_plan(other)
    desks["a1"].approve(second)
    third = county.publish_plan(replace(other, title="第三个"))
    desks["a1"].sync()
    row = county.round(third)
    assert year_cost(desks["a1"].context, row, view_plan(row.terms, row.plan.body)) == Fraction(3, 5)
    _refused(desks["a1"], third, "max-rho-year")


def test_a_reissued_plan_without_reports_costs_once(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes
) -> None:
    second = county.publish_plan(closes=small_plan().closes - timedelta(days=1))
    desks["a1"].approve(second)
    row = county.round(second)
    assert year_cost(desks["a1"].context, row, view_plan(row.terms, row.plan.body)) == Fraction(1, 5)


def test_a_copy_of_the_state_without_its_instance_abstains(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes, tmp_path: Path
) -> None:
    (desks["a1"].state.directory / "instance").unlink()
    restored = county.desk("a1", tmp_path / "a1", entropy=Entropy("restored"))
    with pytest.raises(StateError, match="another instance"):
        restored.approve(round_id)
    county.collect(round_id)
    county.fix_candidates(round_id)
    events = restored.step()
    assert [event.kind for event in events if event.round_id] == ["error"]
    assert "another instance" in events[-1].detail
    assert not county.round(round_id).checked


def test_an_empty_state_abstains_from_a_round_that_it_approved_before(
    county: FakeCounty, desks: dict[str, Desk], round_id: bytes, tmp_path: Path
) -> None:
    restored = county.desk("a1", tmp_path / "elsewhere", entropy=Entropy("restored"))
    with pytest.raises(AbstainError, match="a restored copy abstains"):
        restored.approve(round_id)
    county.collect(round_id)
    county.fix_candidates(round_id)
    county.clock = small_plan().closes + timedelta(days=100)
    events = restored.step()
    assert "AbstainError" in events[-1].detail
    assert not county.round(round_id).checked
    assert not county.round(round_id).abandons
