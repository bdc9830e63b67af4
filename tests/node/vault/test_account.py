"""The account: the union of what is stored here and what the log tells; only a quorum gives back."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import pytest
from fakes_federation import TinyFederation
from fakes_vault import SchoolHouse, plan_of, utc

from node.vault.account import YearAccount
from node.vault.enrol import load_floors
from node.vault.errors import AccountError
from plan.layout import build_layout
from privacy.year_account import Charge
from protos.statements import Abandon

YEAR = "2026-2027"
COST = build_layout(plan_of()).claimed_rho


def account_of(house: SchoolHouse) -> YearAccount:
    parts = house.desk.enrolled()
    return parts.account.read(YEAR, load_floors(house.store).rho_year, parts.mirror)


def new_round(house: SchoolHouse, number: int) -> bytes:
    round_id = house.publish(replace(plan_of(), id=f"tiny-{number}"))
    house.federation.approve(round_id)
    house.sync()
    return round_id


def deliver(house: SchoolHouse, round_id: bytes) -> None:
    house.release(round_id)
    house.submit()
    house.sync()


def abandon(house: SchoolHouse, round_id: bytes, auditors: list[str]) -> None:
    for auditor in auditors:
        statement = Abandon(house.federation.federation, round_id, auditor, bytes(32), "policy")
        house.federation.add(statement, b"", [house.federation.auditors[auditor]])


def test_an_empty_account(house: SchoolHouse) -> None:
    house.sync()
    account = account_of(house)
    assert (account.spent, account.cap) == (0, Fraction(1, 2))


def test_a_round_in_both_sources_counts_once(house: SchoolHouse) -> None:
    deliver(house, house.start_round())
    account = account_of(house)
    assert len(account.local) == len(account.logged) == 1
    assert account.spent == COST


def test_the_charge_is_what_was_recomputed_not_what_the_plan_says(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.release(round_id)
    row = house.store.one("SELECT school_year, rho FROM charge")
    assert row == (YEAR, str(COST))
    assert Fraction(1, 5) != COST


def test_two_rounds_fit_and_a_third_does_not(house: SchoolHouse) -> None:
    deliver(house, house.start_round())
    deliver(house, new_round(house, 2))
    third = new_round(house, 3)
    with pytest.raises(AccountError) as caught:
        house.release(third)
    assert caught.value.code == "account-exceeded"
    assert caught.value.details["cap"] == "0.5"
    assert house.desk.outgoing() is None
    assert account_of(house).spent == 2 * COST


def test_a_repeat_of_a_charged_round_is_always_affordable(house: SchoolHouse) -> None:
    first = house.start_round()
    deliver(house, first)
    deliver(house, new_round(house, 2))
    account = account_of(house)
    assert account.after(Charge(first, YEAR, COST)) == 2 * COST


def test_every_year_has_its_own_account(house: SchoolHouse) -> None:
    deliver(house, house.start_round())
    parts = house.desk.enrolled()
    assert parts.account.read("2027-2028", Fraction(1, 2), parts.mirror).spent == 0


@pytest.mark.parametrize(
    ("auditors", "is_refunded"), [(["a1", "a2"], False), (["a1", "a2", "a3"], True)], ids=["two", "quorum"]
)
def test_only_a_quorum_of_abandons_gives_a_charge_back(
    house: SchoolHouse, auditors: list[str], is_refunded: bool
) -> None:
    round_id = house.start_round()
    deliver(house, round_id)
    abandon(house, round_id, auditors)
    house.sync()
    assert account_of(house).spent == (0 if is_refunded else COST)


def test_abandons_that_no_quorum_has_cosigned_give_nothing_back(house: SchoolHouse) -> None:
    round_id = house.start_round()
    deliver(house, round_id)
    abandon(house, round_id, ["a1", "a2", "a3"])
    page = house.federation.page(0, [], house.now)
    house.desk.on_log(0, list(page.entries), page.latest, b"")
    assert account_of(house).spent == COST
    house.sync()
    assert account_of(house).spent == 0


def test_a_predecessors_reports_count(house: SchoolHouse) -> None:
    """A school that takes over others takes over what is spent on their pupils, whoever they had before."""
    federation, own = house.federation, house.roster_node
    round_id = house.start_round()
    federation.report("s2", round_id)
    federation.report("s3", round_id)
    merge(federation, "s1", "s2")
    house.sync()
    assert account_of(house).spent == 0
    merge(federation, own.id, "s1")
    house.sync()
    assert account_of(house).spent == COST
    federation.report("s1", round_id)  # an open round keeps its roster
    house.sync()
    assert account_of(house).spent == COST


def merge(federation: TinyFederation, successor: str, gone: str) -> None:
    """Log a roster in which one node succeeds another, which leaves."""
    nodes = [row for row in federation.ledger.roster.body.nodes if row.id != gone]
    federation.join([replace(row, succeeds=(gone,) if row.id == successor else ()) for row in nodes])


def test_another_schools_reports_do_not_count(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.federation.report("s3", round_id)
    house.sync()
    assert account_of(house).spent == 0


def test_the_status_shows_the_account(house: SchoolHouse) -> None:
    house.now = utc(2026, 9, 12)
    round_id = house.start_round()
    house.release(round_id)
    assert house.call("status")["account"] == [
        {"school_year": YEAR, "spent": str(COST), "cap": "1/2", "rounds": [round_id.hex()]}
    ]
