"""The model of a release for reports: the same numbers as the result files, and what belongs to them."""

import json
from dataclasses import replace
from datetime import date, timedelta
from fractions import Fraction

import numpy as np
import pytest
from fakes_release import SCHOOLS, County
from fakes_report import head_of, model_of, noise_of, ready_plan, rich_county

from plan.table_spec import TableSpec
from results.catalogue import STEP_COUNTS
from results.files import result_files
from results.report_model import ReportModel, build_report
from results.report_parts import About, AuditNote


@pytest.fixture(scope="module")
def small() -> County:
    return rich_county(ready_plan("autumn-small"), 3000, 11)


@pytest.fixture(scope="module")
def model(small: County) -> ReportModel:
    return model_of(small)


def test_numbers_are_those_of_the_result_files(small: County, model: ReportModel) -> None:
    files = result_files(head_of(small), small.plan, small.released(noise_of(small, 1)))
    found = json.loads(files["indicators.json"])["indicators"]
    assert [value.as_dict() for value in model.indicators] == found
    release = json.loads(files["release.json"])
    for table, raw, estimates in zip(model.tables, release["tables"], release["estimates"], strict=True):
        assert (table.id, table.sigma) == (raw["id"], raw["se"])
        for cell, released, estimate in zip(table.cells, raw["cells"], estimates["cells"], strict=True):
            assert cell.released.as_dict() == released
            assert (cell.estimate.released, cell.estimate.se) == (estimate["estimate"], estimate["se"])
            assert cell.shown.text() == estimate["shown"]
    levels = {tuple(v.keys.items()): v.row.released for v in model.level_by_stage if v.row}
    assert len(levels) == 25
    for row in release["summary"]["levels"]:
        assert levels[tuple(row["keys"].items())] == pytest.approx(row["released"])


def test_the_head_says_who_and_when(model: ReportModel, small: County) -> None:
    head = model.head
    assert (head.federation_title, head.plan_id, head.plan_class) == ("样例县", "autumn-small", "internal")
    assert (head.school_year, head.wave, head.census_date) == ("2026-2027", "A", date(2026, 9, 30))
    assert (head.schools, head.reports_in, head.reports_out, head.not_reported) == (SCHOOLS, SCHOOLS, 0, 0)
    assert head.stages == ("primary", "junior", "senior", "vocational")
    assert [item.id for item in head.instruments] == ["mht"]
    assert head.instruments[0].factors[0] == ("learning", "学习焦虑")
    assert model.release_class == "internal"
    assert head.closes == small.plan.closes
    extended = small.plan.closes + timedelta(days=3)
    assert model_of(small, about=About(closes=extended)).head.closes == extended
    bare = build_report(head_of(small, schools=20), small.plan, small.released())
    assert (bare.head.federation_title, bare.head.not_reported) == ("county-1", 20 - SCHOOLS)
    assert [str(note) for note in bare.notes][1] == "the numbers are about the pupils of 12 of 20 schools"


def test_privacy_is_recomputed_from_the_noise(model: ReportModel, small: County) -> None:
    note = model.privacy
    assert note.rho == small.layout.claimed_rho == sum(table.rho for table in note.tables)
    assert note.rho <= note.plan_rho == Fraction(1, 5)
    assert note.epsilon == pytest.approx(3.131, abs=1e-3)
    assert 0.65 < note.guess < 0.66
    assert [table.sigma for table in note.tables] == [table.sigma for table in model.tables]
    assert all(0 < table.typical_se <= table.sigma for table in note.tables)
    assert (note.spent, note.cap) == (Fraction(1, 4), Fraction(1, 2))


def test_suppressed_cells_are_counted_without_structural_zeros(model: ReportModel) -> None:
    table = model.table("S1")
    assert table is not None
    hidden = [cell for cell in table.cells if cell.shown.is_withheld]
    assert 0 < table.suppressed == len(hidden) < len(table.cells)
    assert model.suppressed.tables["S1"] == table.suppressed
    assert model.suppressed.cells == sum(model.suppressed.tables.values())
    assert model.suppressed.of_cells == model.head.cells
    hidden_numbers = [v for v in (*model.indicators, *model.support) if v.shown.is_withheld]
    assert model.suppressed.numbers == len(hidden_numbers)
    zeros = replace(table, cells=tuple(replace(cell, is_zero=True) for cell in table.cells))
    assert zeros.suppressed == 0


def test_cells_that_nobody_can_be_in_are_structural_zeros(small: County) -> None:
    tables = (TableSpec(id="T", title="t", dims=("disposition", "level")),)
    model = model_of(small.with_tables(*tables))
    table = model.table("T")
    assert table is not None
    for cell in table.cells:
        is_valid = cell.keys["disposition"] == "1"
        assert cell.is_zero is (is_valid is (cell.keys["level"] == "9"))
        assert not cell.is_zero or (cell.estimate.released == 0 and cell.shown.is_withheld)


def test_a_table_of_sums_has_means(small: County) -> None:
    tables = (
        TableSpec(id="A", title="t", dims=("stage", "disposition")),
        TableSpec(
            id="T", title="t", dims=("stage",), sum="total", range=(0, 90), where=(("disposition", ("1",)),)
        ),
    )
    table = model_of(small.with_tables(*tables), seed=None).table("T")
    assert table is not None
    assert (table.number, table.unit) == ("总分", "总分")
    scores = [int(p.total) for p in small.pupils if p.total is not None and p.stage == "senior"]
    cell = table.cell(stage="senior")
    assert cell is not None
    assert cell.estimate is not None
    assert cell.estimate.released == pytest.approx(np.mean(scores))
    assert table.cell(stage="nowhere") is None


def test_charts_have_their_numbers() -> None:
    autumn = model_of(rich_county(ready_plan("autumn-full", with_optional=True), 300, 12))
    assert [v.keys["grade"] for v in autumn.grade_lines] == list(autumn.head.grades)
    assert [v.keys["factor"] for v in autumn.factor_bars] == [
        f for f, _ in autumn.head.instruments[0].factors
    ]
    assert autumn.transition == autumn.funnel == ()
    spring = model_of(rich_county(ready_plan("spring-monitor", with_optional=True), 300, 13))
    assert len(spring.transition) == 16
    follow_up = model_of(rich_county(ready_plan("follow-up", with_optional=True), 900, 14))
    assert follow_up.funnel[0][0].keys == {"flag": "reviewed"}
    assert len(follow_up.funnel) == 7
    for count, share in follow_up.funnel:
        assert count.indicator is STEP_COUNTS
        assert share is not None
        assert share.keys == count.keys
        assert share.counted is not None
        assert share.counted.released == count.row.released


def test_values_are_found_by_id_entry_and_keys(model: ReportModel) -> None:
    assert {v.indicator.id for v in model.values("IND-08")} == {"IND-08/1+", "IND-08/2+", "IND-08/3"}
    found = model.value("IND-08/2+", stage="junior")
    assert found is not None
    assert dict(found.keys) == {"stage": "junior"}
    assert model.value("IND-08/2+", stage="junior", sex="1") is None
    assert model.value("IND-99") is None
    assert model.table("A1") is None


def test_audit_facts_and_corrections_are_passed_on(small: County) -> None:
    head = replace(
        head_of(small),
        status="withdrawn",
        corrections=(
            {"status": "corrected", "tables": ["S1"], "successor": "", "reason": "late-report"},
            {"status": "withdrawn", "tables": [], "successor": "", "reason": "wrong-file"},
        ),
    )
    audit = AuditNote(origin="log", log_size=7, witnesses=("a",))
    model = build_report(head, small.plan, small.released(), audit=audit, facts_missing=3)
    assert model.audit == audit
    assert (model.facts, model.facts_missing) == ((), 3)
    assert [str(note) for note in model.notes][:2] == [
        "tables not to be read as they stand, as was logged later: S1 (late-report)",
        "this release was withdrawn and must not be used: wrong-file",
    ]
    default = model_of(small).audit
    assert (default.auditors, default.threshold, default.quorum, default.replicas) == (4, 3, 3, 3)


def test_nothing_in_a_model_is_by_school(model: ReportModel) -> None:
    names = {name for value in (*model.indicators, *model.support) for name in value.keys}
    names |= {name for table in model.tables for name in table.dims}
    assert not {name for name in names if "school" in name or "node" in name or "class" in name}
