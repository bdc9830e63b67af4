"""Publishing: fitted to the roster, figures computed here, refused when it cannot open."""

from collections.abc import Callable
from datetime import timedelta
from fractions import Fraction

import pytest
from fakes_coordinator import County, School, small_config, small_plan

from coordinator.errors import GroupTooSmallError, PlanRefusedError
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
