"""A published plan read back, figures that do not follow from it, and groups that are too small."""

from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from plan_samples import ready_plan

from plan.document import PlanDocument, encode_body, terms_of
from plan.errors import PlanError
from plan.groups import attribute_sets, small_groups
from plan.layout import build_layout
from plan.published import disagreement, noise_rows, read_published
from protos.statements import Plan, body_ref


def statement_of(document: PlanDocument) -> Plan:
    terms, layout, body = terms_of(document), build_layout(document), encode_body(document)
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
        body=body_ref(body),
    )


DOCUMENT = ready_plan(12)
STATEMENT, BODY = statement_of(DOCUMENT), encode_body(DOCUMENT)
PUBLISHED = read_published(STATEMENT, BODY)


def test_a_plan_is_read_back_as_it_was_published() -> None:
    assert PUBLISHED.document.tables == DOCUMENT.tables
    assert PUBLISHED.layout.cells == 652
    assert Fraction(199, 1000) < PUBLISHED.rho <= Fraction(1, 5)
    assert disagreement(STATEMENT, PUBLISHED) is None


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"cells": 651}, "wrong-cells"),
        ({"noise": STATEMENT.noise[:-1]}, "wrong-noise"),
        ({"noise": (("A1", 64, 1, bytes(32)), *STATEMENT.noise[1:])}, "wrong-noise"),
        ({"noise": ((*STATEMENT.noise[0][:3], bytes(32)), *STATEMENT.noise[1:])}, "wrong-noise"),
        ({"noise": STATEMENT.noise[::-1]}, "wrong-noise"),
        ({"rho": Fraction(19, 100)}, "wrong-rho"),
    ],
    ids=["cells", "missing", "s2", "thresholds", "order", "rho"],
)
def test_a_figure_that_does_not_follow_is_named(changes: dict[str, object], code: str) -> None:
    found = disagreement(replace(STATEMENT, **changes), PUBLISHED)  # type: ignore[arg-type]
    assert found is not None
    assert found[0] == code


def test_less_noise_by_fewer_schools_is_another_plan() -> None:
    """The number of reports sizes the noise: a statement that asks for more of them has other lines."""
    other = read_published(replace(STATEMENT, min_reports=12), BODY)
    assert other.noise != PUBLISHED.noise


@pytest.mark.parametrize("body", [b"", b"{}", BODY[:-1], BODY.replace(b"A1", b"B1", 1) + b" "])
def test_a_body_that_is_no_plan_is_refused(body: bytes) -> None:
    with pytest.raises(PlanError):
        read_published(STATEMENT, body)


def test_terms_out_of_their_range_are_refused() -> None:
    late = datetime(2030, 1, 1, tzinfo=UTC)
    with pytest.raises(PlanError):
        read_published(replace(STATEMENT, closes=late), BODY)


SCHOOLS = {f"s{n}": {"sex": "1" if n < 3 else "2", "county": "x"} for n in range(8)}


def test_only_attributes_that_a_table_uses_make_groups() -> None:
    assert attribute_sets(PUBLISHED.layout, {"s1": {"county": "x"}}) == frozenset()
    assert attribute_sets(PUBLISHED.layout, SCHOOLS) == frozenset({("sex",)})


def test_small_groups_are_listed_with_their_schools() -> None:
    assert small_groups(PUBLISHED.layout, SCHOOLS, SCHOOLS, 5) == {(("sex", "1"),): ("s0", "s1", "s2")}
    assert small_groups(PUBLISHED.layout, SCHOOLS, SCHOOLS, 3) == {}
    assert small_groups(PUBLISHED.layout, SCHOOLS, ["s3"], 2) == {(("sex", "2"),): ("s3",)}
    assert small_groups(PUBLISHED.layout, SCHOOLS, [], 5) == {}
