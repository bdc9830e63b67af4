"""What stands in the sheets: shares, changes, from autumn to spring, steps, what a plan does not count."""

from __future__ import annotations

import pytest
import report_samples as samples

from coordinator.reports import words
from coordinator.reports.labels import INDICATORS, POPULATIONS, indicator_name
from coordinator.reports.material import Material
from coordinator.reports.sheets_comparison import (
    change_blocks,
    transition_drawing,
    transition_table,
)
from coordinator.reports.sheets_follow_up import funnel_drawing
from coordinator.reports.sheets_groups import factor_drawings
from coordinator.reports.sheets_testing import grade_drawing, stage_drawing
from coordinator.reports.workbook import make_workbook
from paper.document import Drawing, Figure, Paragraph, Part, Table
from paper.speech import speech_of
from results.catalogue import CATALOGUE, CUMULATIVE, SUPPORT
from results.facts import FI_CATALOGUE


def material(name: str = "autumn-full", language: str = "en") -> Material:
    return Material(samples.model(name), speech_of(language), samples.conditions())


def test_bars_of_a_stage_are_the_shares_of_its_levels() -> None:
    found = stage_drawing(material(), "x")
    assert found is not None
    model, compared = samples.model(), 0
    for place, stage in enumerate(("", "primary", "junior", "senior", "vocational")):
        keys = {"stage": stage} if stage else {}
        rates = [model.value(f"IND-08/{end}", **keys) for end in ("1+", "2+", "3")]
        one, two, three = (row.shown.value if row else None for row in rates)
        wanted = (
            None if one is None or two is None else one - two,
            None if two is None or three is None else two - three,
            three,
        )
        shares = [line.values[place] for line in found.lines]
        assert [share and share.value for share in shares] == [
            number if number is None else pytest.approx(number) for number in wanted
        ]
        compared += sum(number is not None for number in wanted)
        assert (found.totals[place] and found.totals[place].value) == one  # type: ignore[union-attr]
    assert compared >= 10


def test_drawings_hold_the_numbers_of_the_model() -> None:
    model = samples.model()
    grades, factors = grade_drawing(material(), "g"), factor_drawings(material())
    assert grades is not None
    shown = [row.shown.value for row in model.grade_lines]
    assert [value and value.value for value in grades.lines[0].values] == shown
    assert [value and value.value for value in factors[0].lines[0].values] == [
        row.shown.value for row in model.factor_bars
    ]
    assert factors[0].categories[0] == "Learning anxiety"


def test_a_change_is_the_difference_of_both_rounds_and_says_whether_it_is_clear() -> None:
    found = samples.model().comparison
    assert found is not None
    table = next(block for block in change_blocks(material()) if isinstance(block, Table))
    coverage = next(row for row in table.rows if row[:2] == ("Coverage", "Total"))
    change = found.change("IND-02")
    assert change is not None
    assert change.difference is not None
    now, before, difference = coverage[2:5]
    assert isinstance(now, Figure)
    assert isinstance(before, Figure)
    assert isinstance(difference, Figure)
    assert (now.value, before.value) == (change.now.shown.value, change.before.shown.value)
    assert difference.value == pytest.approx(change.difference.released, abs=0.05)
    half = (change.difference.high95 - change.difference.low95) / 2
    assert half <= difference.margin < half + 0.1
    words_of = {
        "higher": "higher",
        "lower": "lower",
        "unclear": "within the noise",
        "withheld": "cannot be said",
    }
    assert coverage[5] == words_of[change.verdict.value]


def test_a_brief_compares_stages_by_one_rate_only() -> None:
    long, short = (
        next(block for block in change_blocks(material(), is_short=is_short) if isinstance(block, Table))
        for is_short in (False, True)
    )
    assert len(short.rows) < len(long.rows)
    assert [row[0] for row in short.rows if row[1] != "Total"] == ["Rate of needs attention or more"] * 4


def test_the_way_from_autumn_to_spring_has_autumn_in_its_rows() -> None:
    table, drawing = (
        transition_table(material("spring-monitor")),
        transition_drawing(material("spring-monitor"), "t"),
    )
    assert table is not None
    assert drawing is not None
    model = samples.model("spring-monitor")
    value = model.value("FS-04", level_before="1", level="0")
    assert value is not None
    assert value.row is not None
    cell = table.rows[1][1]
    assert isinstance(cell, Figure)
    assert abs(float(cell.value or 0) - value.row.released) <= 2.5
    assert drawing.lines[1].values[0].value == cell.value  # type: ignore[union-attr]
    assert table.is_shaded


def test_the_steps_begin_with_all_who_need_attention() -> None:
    found = funnel_drawing(material("follow-up"), "f")
    assert found is not None
    assert found.categories == (
        "Needs attention or more",
        "Reviewed",
        "Guardian told",
        "Supported at school",
        "Referral advised",
        "Referral attended",
        "Free by the green channel",
        "Case closed",
    )
    first = found.lines[0].values[0]
    assert first is not None
    assert all(value is None or value.value <= first.value for value in found.lines[0].values)


@pytest.mark.parametrize(
    ("name", "empty"),
    [
        ("autumn-full", [words.FILES, words.REFERRAL]),
        ("ledgers", [words.TESTING, words.FACTORS, words.REFERRAL]),
        ("follow-up", [words.TESTING, words.GROUPS, words.FACTORS]),
    ],
)
def test_a_sheet_without_numbers_says_that_the_plan_does_not_count_this(
    name: str, empty: list[words.SheetName]
) -> None:
    parts = {part.name: part for part in make_workbook(material(name)).parts}
    found = [part for part in parts.values() if part.blocks == (Paragraph(words.NOT_COUNTED, "note"),)]
    assert {sheet.english for sheet in empty} <= {part.name for part in found}


def test_every_drawing_has_a_name_of_its_own() -> None:
    for name in ("autumn-full", "spring-monitor", "follow-up"):
        found = [
            b.name for p in make_workbook(material(name)).parts for b in p.blocks if isinstance(b, Drawing)
        ]
        assert len(found) == len(set(found))


def test_every_name_of_the_catalogues_has_english_words() -> None:
    entries = (*CATALOGUE, *SUPPORT, CUMULATIVE)
    assert {entry.id for entry in (*entries, *FI_CATALOGUE)} <= set(INDICATORS)
    people = {item.name for entry in entries for item in (entry.counted, entry.base) if item}
    assert people <= set(POPULATIONS)


def test_an_english_workbook_has_chinese_only_where_people_wrote_it() -> None:
    parts = {part.name: part for part in make_workbook(material()).parts}
    for name in ("Table 1 Testing", "Table 2 Alert levels", "Table 3 Key groups", "Table 4 High factors"):
        assert not [text for text in _texts(parts[name]) if any("一" <= char <= "鿿" for char in text)]


def _texts(part: Part) -> list[str]:
    found = [part.title, part.unit]
    for block in part.blocks:
        if isinstance(block, Table):
            found += [block.title, block.note, *(column.name for column in block.columns)]
            found += [cell for row in block.rows for cell in row if isinstance(cell, str)]
        elif isinstance(block, Drawing):
            found += [block.title, block.note, *block.categories, *(line.name for line in block.lines)]
        else:
            found.append(block.text)
    return found


def test_the_coverage_with_leave_is_named_by_its_base() -> None:
    value = samples.model().value("IND-02/leave")
    assert value is not None
    assert indicator_name(speech_of("zh_CN"), value) == "测评覆盖率(分母含请假)"
    assert indicator_name(speech_of("en"), value) == "Coverage (leave in the base)"
