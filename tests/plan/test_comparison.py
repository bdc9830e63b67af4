"""What `plan diff` says: every attribute is compared, privacy comes first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from datetime import date, timedelta
from decimal import Decimal
from fractions import Fraction

import pytest
from plan_samples import ready_plan, ready_toml

from plan.comparison import compare
from plan.document import PlanDocument, parse_plan_toml
from plan.instrument import Instrument
from plan.scores import ScoreRange
from plan.table_spec import TableSpec
from privacy.sensitivity import Neighbouring

BASE = ready_plan(60)
ATTRIBUTES = (("county", (("a", "甲"), ("b", "乙"))),)
PLAN_CHANGES: dict[str, tuple[object, str, bool]] = {
    "id": ("other", "id", False),
    "title": ("另一个", "title", False),
    "purpose": ("另一个", "purpose", True),
    "recipients": (("州教育局",), "recipients", True),
    "legal_basis": ("另一个", "legal_basis", True),
    "consent": ("record-only", "consent", True),
    "release_class": ("public", "release_class", True),
    "wave": ("X", "wave", False),
    "census_date": (date(2026, 9, 15), "census_date", True),
    "neighbouring": (Neighbouring.ADD_REMOVE, "neighbouring", True),
    "grades": (("7", "8"), "grades", True),
    "systems": (("6-3",), "systems", True),
    "has_critical_items": (True, "critical_items", True),
    "display_floor": (20, "floors.display", True),
    "denominator_floor": (50, "floors.denominator", True),
    "min_reports": (None, "trust.min_reports", True),
    "colluding_schools": (3, "trust.colluding_schools", True),
    "min_group": (9, "trust.min_group", True),
    "rho": (Fraction(1, 10), "rho", True),
    "opens": (BASE.opens + timedelta(days=1), "window.opens", False),
    "closes": (BASE.closes + timedelta(days=1), "window.closes", False),
    "attributes": (ATTRIBUTES, "attributes.county", True),
    "tiers": ((49, 54), "trust.ladder", True),
}
TOGETHER = {"num_auditors", "threshold", "collude", "quorum", "school_year", "instruments", "tables"}


@pytest.mark.parametrize("name", PLAN_CHANGES)
def test_each_attribute_of_a_plan_is_compared(name: str) -> None:
    value, key, is_privacy = PLAN_CHANGES[name]
    found = compare(BASE, replace(BASE, **{name: value}))  # type: ignore[arg-type]
    assert [(change.key, change.is_privacy) for change in found] == [(key, is_privacy)]
    back = compare(replace(BASE, **{name: value}), BASE)  # type: ignore[arg-type]
    assert [change.key for change in back] == [key]
    assert str(found[0].words) != str(back[0].words)


def test_no_attribute_of_a_plan_is_forgotten() -> None:
    assert {item.name for item in fields(PlanDocument)} == set(PLAN_CHANGES) | TOGETHER


def with_table(**changes: object) -> PlanDocument:
    table = replace(BASE.tables[5], **changes)  # type: ignore[arg-type]
    return replace(BASE, tables=tuple(table if item.id == "A6" else item for item in BASE.tables))


TABLE_CHANGES: dict[str, tuple[dict[str, object], set[str]]] = {
    "title": ({"title": "另一个"}, {"title"}),
    "dims": ({"dims": ("stage", "factor")}, {"dims"}),
    "where": ({"where": ()}, {"where"}),
    "multi": ({"dims": ("stage", "group"), "multi": "group"}, {"multi", "dims"}),
    "touch": ({"touch": 3}, {"touch"}),
    "weight": ({"weight": Fraction(2)}, {"weight"}),
    "instrument": ({"instrument": "mht"}, {"instrument"}),
    "reason": ({"reason": "需要"}, {"reason"}),
    "sum": (
        {"dims": ("stage",), "multi": "", "touch": 1, "sum": "total", "range": (0, 90)},
        {"sum", "dims", "multi", "touch"},
    ),
    "range": (
        {"dims": ("stage",), "multi": "", "touch": 1, "sum": "total", "range": (0, 80)},
        {"sum", "dims", "multi", "touch"},
    ),
}


@pytest.mark.parametrize("name", TABLE_CHANGES)
def test_each_attribute_of_a_table_is_compared(name: str) -> None:
    changes, keys = TABLE_CHANGES[name]
    found = compare(BASE, with_table(**changes))
    assert {change.key for change in found} == {f"tables.A6.{key}" for key in keys}
    assert all(
        change.is_privacy is (change.key not in ("tables.A6.title", "tables.A6.reason")) for change in found
    )


def test_no_attribute_of_a_table_is_forgotten() -> None:
    # attributes follow from dims and where
    assert {item.name for item in fields(TableSpec)} == {*TABLE_CHANGES, "id", "attributes"}


INSTRUMENT_CHANGES: dict[str, object] = {
    "digest": "ab" * 32,
    "total": ScoreRange(Decimal(0), Decimal(100)),
    "factors": (*BASE.instruments[0].factors[:7], ("impulsivity", "冲动")),
}


@pytest.mark.parametrize("name", INSTRUMENT_CHANGES)
def test_each_attribute_of_an_instrument_is_compared(name: str) -> None:
    changed = replace(BASE.instruments[0], **{name: INSTRUMENT_CHANGES[name]})  # type: ignore[arg-type]
    found = compare(BASE, replace(BASE, instruments=(changed,)))
    assert [change.key for change in found] == [f"instruments.mht.{name}"]


def test_no_attribute_of_an_instrument_is_forgotten() -> None:
    assert {item.name for item in fields(Instrument)} == {*INSTRUMENT_CHANGES, "id"}


@pytest.mark.parametrize(
    ("change", "texts"),
    [
        (
            lambda plan: replace(plan, tables=plan.tables[1:]),
            ["table A1 removed: 测评情况, grade × disposition"],
        ),
        (
            lambda plan: replace(plan, tables=(*plan.tables[1:], plan.tables[0])),
            ["order of the tables: A1, A2"],
        ),
        (
            lambda plan: replace(plan, tables=(*plan.tables, replace(plan.tables[2], id="X"))),
            ["table X added: 预警等级 × 住宿, stage × boarding × level, weight 1"],
        ),
        (
            lambda plan: replace(plan, num_auditors=5, threshold=4, collude=2, quorum=4),
            ["auditors n, threshold t, colluding f, quorum q: 4, 3, 1, 3 → 5, 4, 2, 4"],
        ),
        (
            lambda plan: replace(plan, instruments=(replace(plan.instruments[0], id="other"),)),
            ["instrument mht removed", "instrument other added"],
        ),
    ],
    ids=["removed", "order", "added", "auditors", "instrument"],
)
def test_words(change: Callable[[PlanDocument], PlanDocument], texts: list[str]) -> None:
    found = [str(item.words) for item in compare(BASE, change(BASE))]
    assert len(found) == len(texts)
    assert all(text.startswith(start) for text, start in zip(sorted(found), sorted(texts), strict=True))


def test_privacy_comes_first() -> None:
    new = replace(BASE, title="另一个", rho=Fraction(1, 10), tables=BASE.tables[1:])
    assert [change.key for change in compare(BASE, new)] == ["rho", "tables.A1", "title"]


def test_the_same_plan_has_no_changes() -> None:
    assert compare(BASE, parse_then_resolve()) == ()


def parse_then_resolve() -> PlanDocument:
    return replace(parse_plan_toml(ready_toml()), min_reports=48)


def test_a_ladder_that_is_still_to_be_chosen_is_named() -> None:
    draft = replace(parse_plan_toml(ready_toml()), tiers=None)
    (found,) = compare(parse_plan_toml(ready_toml()), draft)
    assert str(found.words) == "turnout ladder: off → auto"
