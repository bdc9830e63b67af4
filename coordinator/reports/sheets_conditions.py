"""表9: school conditions, typed by people; exact, without noise, and by school only inside the county."""

from __future__ import annotations

from collections.abc import Iterator

from coordinator.reports import words
from coordinator.reports.labels import code_label, indicator_name, unit_name
from coordinator.reports.material import Material
from coordinator.reports.sheets_testing import sheet
from paper.document import Block, Cell, Column, Paragraph, Part, Table
from results.fact_indicators import FACT_DIMENSIONS
from results.facts import (
    DECLARATION,
    DECLARATION_TEXT,
    FIELDS,
    INTERNAL,
    SECTIONS,
    FactValue,
    InstitutionFacts,
    show_value,
)

MAX_COLUMNS = 9
_HIDDEN = frozenset({"school_name", "platform_admin_holder"})  # the row's name; a person's name


def conditions(material: Material) -> Part:
    """Make 表9 学校条件: indicators, then what each school typed, section by section."""
    blocks: list[Block] = []
    if material.model.facts:
        blocks.append(fact_table(material))
    blocks += school_tables(material)
    if blocks:
        blocks.append(Paragraph(material.speech.choose(DECLARATION, str(DECLARATION_TEXT)), "note"))
        return sheet(material, words.CONDITIONS, "", *blocks)
    _, say = words._, material.say
    return sheet(
        material, words.CONDITIONS, "", Paragraph(say(_("No school has typed its conditions yet.")), "note")
    )


def fact_table(material: Material) -> Table:
    """Make the table of the indicators FI-01 to FI-10."""
    _, say = words._, material.say
    columns = (
        Column(say(_("Indicator")), "name"),
        Column(say(_("Schools of")), "name"),
        Column(say(_("Value")), "name"),
        Column(say(_("Unit")), "name"),
        Column(say(_("Numerator")), "number"),
        Column(say(_("Base")), "number"),
        Column(say(_("Schools that answered")), "number"),
        Column(say(_("Targets of published documents")), "text"),
    )
    rows = tuple(_fact_row(material, value) for value in material.model.facts)
    missing = material.model.facts_missing
    note = (
        "" if missing is None else say(_("Schools that have not answered: %(number)s.")) % {"number": missing}
    )
    return Table(say(_("Indicators of school conditions (exact, not estimated)")), columns, rows, note)


def _fact_row(material: Material, value: FactValue) -> tuple[Cell, ...]:
    return (
        indicator_name(material.speech, value),
        fact_group(material, value) or material.say(words.TOTAL),
        value.shown,
        unit_name(material.speech, value.unit),
        float(value.numerator),
        float(value.base),
        value.answered,
        target_words(material, value),
    )


def fact_group(material: Material, value: FactValue) -> str:
    """Name the schools that an indicator's number is about; empty for all."""
    named = (
        code_label(material.speech, name, code, FACT_DIMENSIONS.get(name))
        for name, code in value.keys.items()
    )
    return material.speech.choose("、", ", ").join(named)


def target_words(material: Material, value: FactValue) -> str:
    """Say which published targets speak of a number, and whether it reaches them."""
    _, say = words._, material.say
    told = []
    for target in value.targets:
        limit = f"1:{target.limit}" if value.unit == "1:x" else f"{target.limit}%"
        met = value.meets(target)
        word = "" if met is None else say(_("reached")) if met else say(_("not reached"))
        told.append(f"{limit} {word} ({target.source})" if word else f"{limit} ({target.source})")
    return "; ".join(told)


def school_tables(material: Material) -> Iterator[Table]:
    """Yield a table per section of the form, a row per school; nothing outside of the class 内部."""
    if material.model.release_class != INTERNAL:
        return
    rows = sorted(material.conditions, key=lambda row: (row.school_name, row.node))
    if not rows:
        return
    for section, (chinese, english) in SECTIONS.items():
        names = [name for name, row in FIELDS.items() if row.section == section and name not in _HIDDEN]
        for first in range(0, len(names), MAX_COLUMNS):
            more = f" ({first // MAX_COLUMNS + 1})" if first else ""
            title = material.speech.choose(chinese, str(english)) + more
            yield _school_table(material, title, names[first : first + MAX_COLUMNS], rows)


def _school_table(material: Material, title: str, names: list[str], rows: list[InstitutionFacts]) -> Table:
    _, say = words._, material.say
    heads = (
        Column(say(_("School")), "name"),
        *(Column(_field_title(material, name), "name") for name in names),
    )
    cells = tuple((row.school_name, *(_value(row, name) for name in names)) for row in rows)
    return Table(title, heads, cells)


def _field_title(material: Material, name: str) -> str:
    field = FIELDS[name]
    return material.speech.choose(field.header.rstrip("*"), field.en)


def _value(row: InstitutionFacts, name: str) -> Cell:
    """Give a number as a number, everything else as it is shown."""
    field = FIELDS[name]
    number = row.number(name) if field.kind in ("count", "decimal") else None
    if number is not None:
        return int(number) if number.denominator == 1 else float(number)
    return show_value(field, row.values.get(name)) or "—"
