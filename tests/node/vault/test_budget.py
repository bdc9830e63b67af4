"""The meter of a school year: recomputed from both sources, under both relations, and in the worst case."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from fakes_vault import SchoolHouse, plan_of, pupils, utc

from node.vault.errors import CommandError
from plan.costs import rho_alone, rho_under
from plan.layout import build_layout
from privacy.accountant import epsilon
from privacy.risk import gaussian_guess, guess_bound
from privacy.sensitivity import Neighbouring
from protos.statements import Abandon

REPLACE, ADD = Neighbouring.REPLACE_ONE, Neighbouring.ADD_REMOVE
LAYOUT = build_layout(plan_of())
COST, YEAR = LAYOUT.claimed_rho, "2026-2027"


def deliver(house: SchoolHouse, round_id: bytes) -> None:
    house.release(round_id)
    house.submit()
    house.sync()


def abandon(house: SchoolHouse, round_id: bytes, auditors: list[str]) -> None:
    for auditor in auditors:
        statement = Abandon(house.federation.federation, round_id, auditor, bytes(32), "policy")
        house.federation.add(statement, b"", [house.federation.auditors[auditor]])


def budget(house: SchoolHouse, **fields: Any) -> dict[str, Any]:
    answer = house.call("budget", **fields)
    assert json.loads(json.dumps(answer)) == answer
    return answer


def sources(answer: dict[str, Any]) -> list[tuple[int, int, int]]:
    return [(row["in_store"], row["in_log"], row["given_back"]) for row in answer["rounds"]]


def test_an_empty_year(house: SchoolHouse) -> None:
    house.sync()
    answer = budget(house)
    assert (answer["school_year"], answer["is_current"], answer["years"]) == (YEAR, 1, [YEAR])
    assert (answer["spent"], answer["left"], answer["cap"], answer["rho_round"]) == ("0", "1/2", "1/2", "1/4")
    assert (answer["rounds"], answer["relation"]) == ([], "replace-one")
    assert answer["risks"]["replace-one"]["guess"] == pytest.approx(0.5)
    assert answer["alone"]["rho"] == "0"


def test_a_round_is_told_with_its_cost_and_its_sources(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.release(round_id)
    assert sources(budget(house)) == [(1, 0, 0)]
    house.submit()
    house.sync()
    answer = budget(house)
    assert sources(answer) == [(1, 1, 0)]
    row = answer["rounds"][0]
    assert (row["round"], row["title"], row["census_date"]) == (round_id.hex(), "小型计划", "2026-09-05")
    assert (Fraction(row["rho"]), row["relation"], row["predecessors"]) == (COST, "replace-one", [])
    assert row["charged"].startswith("2026-09-10")
    assert Fraction(answer["spent"]) == COST
    assert Fraction(answer["left"]) == Fraction(1, 2) - COST


def test_a_restored_backup_shows_what_the_log_says(house: SchoolHouse) -> None:
    round_id = house.start_round()
    house.store.close()
    backup = (house.folder / "vault.db").read_bytes()
    house.open()
    deliver(house, round_id)
    house.store.close()
    (house.folder / "vault.db").write_bytes(backup)
    house.open()
    house.sync()
    answer = budget(house)
    assert sources(answer) == [(0, 1, 0)]
    assert Fraction(answer["spent"]) == COST


def test_a_round_that_was_given_back_is_shown_and_does_not_count(house: SchoolHouse) -> None:
    round_id = house.start_round()
    deliver(house, round_id)
    abandon(house, round_id, ["a1", "a2", "a3"])
    house.sync()
    answer = budget(house)
    assert sources(answer) == [(1, 1, 1)]
    assert (answer["spent"], answer["risks"]["replace-one"]["rho"]) == ("0", "0")
    assert Fraction(answer["alone"]["rho"]) > 0  # auditors that collude may have kept the keys


def test_a_predecessors_round_is_named(house: SchoolHouse) -> None:
    federation, own = house.federation, house.roster_node
    round_id = house.start_round()
    federation.report("s1", round_id)
    federation.report("s3", round_id)
    rest = [row for row in federation.ledger.roster.body.nodes if row.id not in ("s1", own.id)]
    federation.join([*rest, replace(own, succeeds=("s1",))])
    house.sync()
    answer = budget(house)
    assert (sources(answer), answer["rounds"][0]["predecessors"]) == ([(0, 1, 0)], ["s1"])
    assert Fraction(answer["spent"]) == COST


def test_the_risks_are_those_of_both_relations(house: SchoolHouse) -> None:
    deliver(house, house.start_round())
    answer = budget(house)
    for relation in (REPLACE, ADD):
        found, rho = answer["risks"][relation.value], rho_under(LAYOUT, relation)
        assert Fraction(found["rho"]) == rho
        assert found["epsilon"] == epsilon(rho, 1e-6)
        assert found["guess"] == pytest.approx(guess_bound(rho))
        assert found["gaussian_guess"] == gaussian_guess(rho)
        assert 0 < found["eta"] < 1e-25
        assert found["total_delta"] >= found["delta"] + (1 + math.exp(found["epsilon"])) * found["eta"]
    assert answer["at_cap"]["rho"] == "1/2"


def test_one_round_of_the_weaker_relation_makes_the_years_claim_the_weaker_one(house: SchoolHouse) -> None:
    deliver(house, house.start_round())
    weaker = plan_of(id="weaker", neighbouring=ADD, rho=Fraction(1, 10))
    round_id = house.publish(weaker)
    house.federation.approve(round_id)
    house.sync()
    deliver(house, round_id)
    answer, added = budget(house), build_layout(weaker)
    assert answer["relation"] == "add-remove"
    assert Fraction(answer["spent"]) == COST + added.claimed_rho
    assert Fraction(answer["risks"]["replace-one"]["rho"]) == COST + rho_under(added, REPLACE)
    assert Fraction(answer["risks"]["add-remove"]["rho"]) == rho_under(LAYOUT, ADD) + added.claimed_rho


def test_what_is_left_alone_counts_every_vector(house: SchoolHouse) -> None:
    round_id = house.start_round()
    deliver(house, round_id)
    first = budget(house)["alone"]
    assert Fraction(first["rho"]) == rho_alone(LAYOUT, REPLACE)
    assert float(Fraction(first["rho"]) / COST) == pytest.approx(LAYOUT.noise_schools, rel=1e-6)
    assert (first["collude"], first["threshold"], first["auditors"], first["complete"]) == (1, 3, 4, 1)
    house.save(pupils(shift=1))
    deliver(house, round_id)
    again = budget(house)
    assert again["rounds"][0]["vectors"] == 2
    assert Fraction(again["alone"]["rho"]) == 2 * Fraction(first["rho"])
    assert Fraction(again["spent"]) == COST


def test_a_charge_whose_plan_is_lost_covers_both_relations(house: SchoolHouse) -> None:
    house.sync()
    with house.store.transaction("charge"):
        house.store.execute(
            "INSERT INTO charge (round, school_year, rho, charged) VALUES (?, ?, ?, ?)",
            (bytes(32), YEAR, "1/10", "2026-09-10T00:00:00Z"),
        )
    answer = budget(house)
    assert (answer["rounds"][0]["title"], answer["relation"]) == ("", "add-remove")
    assert [answer["risks"][name]["rho"] for name in ("replace-one", "add-remove")] == ["1/5", "1/10"]
    assert answer["alone"]["complete"] == 0


def test_another_year_is_shown_on_request(house: SchoolHouse) -> None:
    deliver(house, house.start_round())
    house.now = utc(2027, 9, 2)
    house.sync()
    now = budget(house)
    assert (now["school_year"], now["years"], now["rounds"]) == ("2027-2028", ["2027-2028", YEAR], [])
    before = budget(house, year=YEAR)
    assert (before["school_year"], before["is_current"]) == (YEAR, 0)
    assert Fraction(before["spent"]) == COST


def test_a_lowered_cap_that_is_overspent_leaves_nothing(house: SchoolHouse) -> None:
    deliver(house, house.start_round())
    house.call("floors", floors={"rho_year": "1/10"})
    answer = budget(house)
    assert (answer["cap"], answer["left"]) == ("1/10", "0")


@pytest.mark.parametrize("year", ["2026", "2026-2028", "2026-2027 ", "x" * 60])
def test_a_year_that_is_none_is_refused(house: SchoolHouse, year: str) -> None:
    house.sync()
    with pytest.raises(CommandError, match="a school year such as"):
        budget(house, year=year)


def test_the_meter_changes_nothing_and_names_no_pupil(house: SchoolHouse) -> None:
    deliver(house, house.start_round())
    before = list(house.steps)
    answer = budget(house)
    assert house.steps == before
    assert not {"num_records", "count", "counts", "records"} & set(json.dumps(answer).split('"'))
    assert budget(house) == answer
