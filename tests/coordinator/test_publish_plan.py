"""Publishing: fitted to the roster, figures computed here, refused when it cannot open."""

from collections.abc import Callable, Sequence
from datetime import timedelta
from fractions import Fraction

import pytest
from fakes_coordinator import County, School, small_config, small_plan

from coordinator.errors import GroupTooSmallError, PlanRefusedError, RosterWaitsError
from coordinator.plan_view import published_plan
from privacy.discrete_gaussian import Sampler
from protos.statements import digest


def test_the_round_id_is_the_digest_of_the_statement(county: County) -> None:
    county.found()
    round_id = county.publish()
    round_log = county.round(round_id)
    assert digest(round_log.plan.text) == round_id
    assert round_log.terms.auditors == ("a1", "a2", "a3", "a4")
    assert round_log.terms.roster == county.ledger().roster.digest


def test_figures_follow_from_the_plan(county: County) -> None:
    county.found()
    round_log = county.round(county.publish())
    layout = published_plan(round_log).layout
    assert round_log.terms.cells == layout.cells == 31
    expected = [
        (table.id, table.noise.scale, table.noise.s2, Sampler(table.noise.s2).digest)
        for table in layout.tables
    ]
    assert list(round_log.terms.noise) == expected


@pytest.mark.parametrize(("schools", "needed"), [(5, 5), (6, 5), (7, 6), (12, 10)])
def test_auto_min_reports(make_county: Callable[..., County], schools: int, needed: int) -> None:
    county = make_county(num_schools=schools)
    county.found()
    assert county.round(county.publish()).terms.min_reports == needed


def test_publishing_again_gives_the_same_round(county: County) -> None:
    county.found()
    assert county.publish() == county.publish()
    assert county.publish(small_plan(title="另一个")) != county.publish()
    assert [row.terms.serial for row in county.ledger().rounds.values()] == [1, 2]


def test_a_released_plan_may_be_run_again(released: County) -> None:
    first = released.round_id
    assert released.publish() != first
    assert len(released.desk.round_ids()) == 2


def test_too_few_independent_operators(make_county: Callable[..., County]) -> None:
    county = make_county(num_schools=6)
    for name in ("s05", "s06"):
        county.schools[name] = School(name, "school 1")
    county.found()
    with pytest.raises(PlanRefusedError, match="5 reports needed, 4 schools"):
        county.publish()


def test_a_tuple_that_the_roster_does_not_allow(county: County) -> None:
    county.found()
    with pytest.raises(PlanRefusedError, match=r"\(3, 3, 2, 3\) is not in the roster"):
        county.publish(small_plan(num_auditors=3, threshold=3, collude=2, quorum=3))
    assert county.ledger().size == 1


def test_an_expired_plan(county: County) -> None:
    county.found()
    county.clock = small_plan().closes
    with pytest.raises(PlanRefusedError, match="over"):
        county.publish()
    county.clock -= timedelta(seconds=1)
    county.publish()


def test_production_wants_pinned_codebooks(make_county: Callable[..., County]) -> None:
    county = make_county(config=small_config(kind="production"))
    county.found()
    with pytest.raises(PlanRefusedError, match="digest"):
        county.publish()


@pytest.mark.parametrize(
    "names", [("a1", "a2", "a3"), ("a1", "a2", "a3", "a9"), ("a1", "a2", "a3", "a4", "a4", "a9")]
)
def test_wrong_auditors(county: County, names: tuple[str, ...]) -> None:
    county.found()
    with pytest.raises(PlanRefusedError, match="auditors"):
        county.desk.publish_plan(small_plan(), names)


def test_named_auditors_come_in_roster_order(make_county: Callable[..., County]) -> None:
    config = small_config(tuples=((3, 3, 1, 3), (4, 3, 1, 3)), quorum=3)
    county = make_county(config=config)
    county.found()
    plan = small_plan(num_auditors=3, threshold=3, collude=1, quorum=3)
    round_id = county.desk.publish_plan(plan, ("a4", "a1", "a3"))
    assert county.round(round_id).terms.auditors == ("a1", "a3", "a4")


def test_a_group_below_min_group_in_the_roster(make_county: Callable[..., County]) -> None:
    county = make_county(num_schools=6)
    for place, name in enumerate(county.schools):
        grade = "7" if place < 5 else "8"
        county.schools[name] = School(name, f"school {place}", (("grade", grade),))
    county.found()
    with pytest.raises(GroupTooSmallError, match="grade = 8"):
        county.publish()


def test_costs_are_not_above_the_stated_rho(county: County) -> None:
    county.found()
    round_log = county.round(county.publish())
    assert published_plan(round_log).layout.claimed_rho <= round_log.terms.rho == Fraction(1, 5)


def wait_for_schools(county: County, signed: Sequence[str]) -> str:
    """Log a roster of the auditors alone, then draft one with the schools; give what publishing says."""
    for auditor in county.auditors.values():
        county.desk.approve_request(auditor.request())
    county.desk.propose_roster()
    county.sign_rosters()
    for school in county.schools.values():
        county.desk.approve_request(school.request())
    digest_hex = county.desk.propose_roster().hex()
    county.sign_rosters(signed)
    with pytest.raises(RosterWaitsError) as caught:
        county.publish()
    return str(caught.value).replace(digest_hex[:16], "D")


def test_schools_that_wait_for_signatures_are_said_to_wait(county: County) -> None:
    assert wait_for_schools(county, ["a3"]) == (
        "roster 2 (D…) with 6 schools waits for the auditors' signatures: 1 of the 3 needed; signed: a3; "
        "still to sign: a1, a2, a4"
    )
    county.sign_rosters(["a1", "a4"])
    assert county.round(county.publish()).terms.min_reports == 5


def test_nobody_has_signed_the_first_roster(county: County) -> None:
    county.enrol()
    county.desk.propose_roster()
    with pytest.raises(
        RosterWaitsError, match="0 of the 4 needed; signed: nobody yet; still to sign: a1, a2"
    ):
        county.publish()


def test_what_the_waiting_roster_would_refuse_too_is_told_with_it(make_county: Callable[..., County]) -> None:
    text = wait_for_schools(make_county(num_schools=4), ["a1"])
    assert text.endswith("found 5 reports needed, 4 schools enrolled; allowed: at most the number of schools")
    assert "and under that roster: trust.min_reports" in text


def test_a_plan_that_no_signature_mends_is_refused_for_its_own_reason(county: County) -> None:
    county.found()
    county.desk.approve_request(School("s99", "school 99").request())
    county.desk.propose_roster()
    with pytest.raises(PlanRefusedError, match="is not in the roster") as caught:
        county.publish(small_plan(num_auditors=3, threshold=3, collude=2, quorum=3))
    assert type(caught.value) is PlanRefusedError
    assert county.publish()  # under the roster in force, whatever waits


def test_a_group_that_waits_for_signatures(make_county: Callable[..., County]) -> None:
    county = make_county(num_schools=6)
    for place, name in enumerate(county.schools):
        county.schools[name] = School(name, f"school {place}", (("grade", "7" if place < 5 else "8"),))
    county.found()
    for place in range(4):
        county.desk.approve_request(School(f"t{place}", f"other {place}", (("grade", "8"),)).request())
    county.desk.propose_roster()
    with pytest.raises(RosterWaitsError, match="with 10 schools waits"):
        county.publish()
    county.sign_rosters()
    county.publish()
