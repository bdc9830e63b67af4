"""A plan with a turnout ladder: what it may say, what it is published as, what follows from that."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC
from fractions import Fraction
from typing import Any

import pytest
from plan_samples import ready_plan, ready_toml

from plan.document import PlanDocument, encode_body, from_published, parse_plan_toml, terms_of
from plan.errors import DocumentError, LayoutError
from plan.layout import build_layout
from plan.published import disagreement, noise_rows, read_published, step_rows, thresholds_sha256
from plan.publishing import resolve
from privacy.errors import NoiseParameterError
from protos.statements import Plan, body_ref, encode_statement


def draft(ladder: str) -> PlanDocument:
    """The ready plan with a value of `ladder`."""
    return parse_plan_toml(ready_toml().replace(b"[trust]\n", f"[trust]\nladder = {ladder}\n".encode()))


def statement_of(document: PlanDocument) -> Plan:
    """What is published of a plan, without its signature."""
    terms, layout = terms_of(document), build_layout(document)
    return Plan(
        federation="county-1",
        serial=1,
        roster=bytes(32),
        auditors=("a1", "a2", "a3", "a4"),
        threshold=terms.threshold,
        collude=terms.collude,
        quorum=terms.quorum,
        min_reports=terms.min_reports,
        colluding_schools=terms.colluding_schools,
        min_group=terms.min_group,
        rho=terms.rho,
        opens=terms.opens.astimezone(UTC),
        closes=terms.closes.astimezone(UTC),
        cells=layout.cells,
        noise=noise_rows(layout),
        body=body_ref(encode_body(document)),
        tiers=terms.tiers,
        steps=step_rows(layout),
    )


LADDERED = resolve(draft('"auto"'), 25)
STATEMENT, BODY = statement_of(LADDERED), encode_body(LADDERED)
PUBLISHED = read_published(STATEMENT, BODY)


# --- the key ----------------------------------------------------------------------------------


def test_a_plan_without_the_key_has_no_ladder_and_off_says_the_same() -> None:
    plain, off = ready_plan(25), resolve(draft('"off"'), 25)
    assert plain == off
    assert (plain.tiers, build_layout(plain).tiers, build_layout(plain).num_vectors) == ((), (), 1)
    text = encode_statement(statement_of(plain))
    assert "\ntier " not in text
    assert "\nstep " not in text


def test_auto_is_resolved_for_the_schools_and_stands_in_the_text_not_in_the_body() -> None:
    assert draft('"auto"').tiers is None
    assert LADDERED.tiers == (20, 21, 22, 23, 24)
    assert PUBLISHED.layout.tiers == (19, 20, 21, 22, 23, 24)
    assert encode_body(ready_plan(25)) == BODY
    assert from_published(BODY, terms_of(LADDERED)) == LADDERED
    lines = encode_statement(STATEMENT).splitlines()
    at = lines.index("tier 20")
    assert lines[at - 1].startswith("min-group ")
    assert lines[at : at + 5] == [f"tier {tier}" for tier in range(20, 25)]
    assert lines[at + 5].startswith("rho ")


def test_a_list_is_taken_as_it_stands() -> None:
    plan = resolve(draft("[22, 24]"), 25)
    assert plan.tiers == (22, 24)
    assert resolve(plan, 25) == plan
    assert build_layout(plan).num_vectors == 3


def test_where_every_school_must_report_auto_is_no_ladder() -> None:
    assert resolve(replace(draft('"auto"'), min_reports=25), 25).tiers == ()


@pytest.mark.parametrize(
    "ladder",
    ['"on"', "true", "20", "[]", "[0]", "[-3]", "[20.5]", '["20"]', "[true]", "[200001]",
     "[" + ", ".join(map(str, range(20, 33))) + "]"],
)  # fmt: skip
def test_other_values_are_refused_by_their_key(ladder: str) -> None:
    with pytest.raises(DocumentError, match=r"trust\.ladder"):
        draft(ladder)


@pytest.mark.parametrize("ladder", ["[22, 22]", "[24, 22]"])
def test_tiers_that_do_not_rise_are_refused(ladder: str) -> None:
    with pytest.raises(DocumentError, match=r"trust\.ladder"):
        draft(ladder)


@pytest.mark.parametrize("tiers", [(19,), (18, 22), (5, 6)])
def test_a_tier_that_is_not_above_h_is_refused(tiers: tuple[int, ...]) -> None:
    with pytest.raises(DocumentError, match=r"trust\.ladder"):
        replace(ready_plan(25), tiers=tiers)


def test_a_tier_that_is_never_reached_is_refused_when_it_is_published() -> None:
    assert resolve(draft("[24]"), 25).tiers == (24,)
    with pytest.raises(DocumentError, match=r"highest tier 25"):
        resolve(draft("[25]"), 25)


def test_a_draft_that_says_auto_has_no_terms_and_no_layout() -> None:
    waiting = replace(draft('"auto"'), min_reports=20)
    with pytest.raises(DocumentError, match=r"trust\.ladder: .*'auto'"):
        terms_of(waiting)
    with pytest.raises(DocumentError, match=r"trust\.ladder"):
        build_layout(waiting)


def test_every_problem_of_the_section_is_reported_together() -> None:
    text = ready_toml().replace(b"[trust]\n", b"[trust]\nladder = 3\n").replace(b'"auto"', b'"all"')
    with pytest.raises(DocumentError) as caught:
        parse_plan_toml(text)
    assert {problem.key for problem in caught.value.problems} >= {"trust.ladder", "trust.min_reports"}


# --- the layout -------------------------------------------------------------------------------


@pytest.mark.parametrize("schools", range(20, 26))
def test_the_released_variance_is_what_the_tier_leaves(schools: int) -> None:
    layout = PUBLISHED.layout
    assert layout.tier(schools) == schools - 20
    for table in layout.tables:
        noise = table.noise
        left = noise.components[0] + sum(noise.components[1 + schools - 20 :])
        assert table.released_variance(schools) == Fraction(schools * left, noise.scale**2)
        target = Fraction(table.delta_sq) / (2 * noise.rho)
        assert 1 <= table.released_variance(schools) / target <= Fraction(108, 100)


def test_the_tier_of_the_close_may_be_said_where_operators_are_fewer_than_reports() -> None:
    table = PUBLISHED.layout.tables[0]
    assert table.released_variance(25, tier=3) > table.released_variance(25, tier=5)
    assert table.released_variance(25) == table.released_variance(25, tier=5)
    with pytest.raises(NoiseParameterError):
        table.released_variance(25, tier=6)


def test_without_a_ladder_all_noise_stays() -> None:
    layout = build_layout(ready_plan(25))
    table = layout.tables[0]
    assert [layout.tier(schools) for schools in (1, 20, 25, 500)] == [0, 0, 0, 0]
    assert table.released_variance(25) == Fraction(25 * table.noise.s2, table.noise.scale**2)
    with pytest.raises(NoiseParameterError):
        table.released_variance(25, tier=1)


def test_a_ladder_costs_no_more_and_full_turnout_is_nearly_the_trusted_curators() -> None:
    plain, laddered = build_layout(ready_plan(25)), PUBLISHED.layout
    assert laddered.claimed_rho <= LADDERED.rho
    assert abs(laddered.claimed_rho - plain.claimed_rho) < LADDERED.rho / 1000
    for one, other in zip(plain.tables, laddered.tables, strict=True):
        saved = other.released_variance(25) / one.released_variance(25)
        assert abs(saved / Fraction(19, 24) - 1) < Fraction(1, 100)


def test_a_ladder_whose_noise_cannot_be_sized_is_refused_with_what_to_do() -> None:
    plan = replace(ready_plan(25), min_reports=5, colluding_schools=3, tiers=(199_999, 200_000))
    with pytest.raises(LayoutError, match="take tiers out of the ladder"):
        build_layout(plan)


# --- the statement ----------------------------------------------------------------------------


def test_every_component_stands_in_the_statement_with_its_thresholds() -> None:
    tables = PUBLISHED.layout.tables
    assert len(STATEMENT.steps) == 5 * len(tables)
    for table, line in zip(tables, STATEMENT.noise, strict=True):
        steps = [row for row in STATEMENT.steps if row[0] == table.id]
        assert [row[1] for row in steps] == [1, 2, 3, 4, 5]
        assert (line[2], *(row[2] for row in steps)) == table.noise.components
        assert all(row[3] == thresholds_sha256(row[2]) for row in steps)
    assert disagreement(STATEMENT, PUBLISHED) is None
    for tier in range(6):
        left = [(table.id, table.noise.scale, table.noise.left_at(tier)) for table in tables]
        assert list(STATEMENT.noise_left(tier)) == left


Change = Callable[[tuple[Any, ...]], tuple[Any, ...]]
CHANGES: dict[str, Change] = {
    "missing": lambda rows: rows[:-1],
    "none": lambda rows: (),
    "order": lambda rows: rows[::-1],
    "s2": lambda rows: ((*rows[0][:2], rows[0][2] - 1, rows[0][3]), *rows[1:]),
    "thresholds": lambda rows: ((*rows[0][:3], bytes(32)), *rows[1:]),
    "step": lambda rows: ((rows[0][0], 2, *rows[0][2:]), *rows[1:]),
    "one more": lambda rows: (*rows, rows[-1]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_step_that_does_not_follow_is_named(change: str) -> None:
    found = disagreement(replace(STATEMENT, steps=CHANGES[change](STATEMENT.steps)), PUBLISHED)
    assert found is not None
    assert found[0] == "wrong-noise"


def test_other_tiers_are_another_plan_with_other_noise() -> None:
    other = replace(STATEMENT, tiers=(20, 21, 22, 24))
    found = disagreement(other, read_published(other, BODY))
    assert found is not None
    assert found[0] == "wrong-noise"
