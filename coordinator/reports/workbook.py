"""The workbook as a document: cover, 表1 to 表9, three annexes, in the order of the form."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Final

from coordinator.reports import words
from coordinator.reports.labels import wave_name
from coordinator.reports.material import Material
from coordinator.reports.sheets_annex import audit, definitions, quality, reading_rules
from coordinator.reports.sheets_comparison import comparison
from coordinator.reports.sheets_conditions import conditions
from coordinator.reports.sheets_follow_up import files, recheck, referral
from coordinator.reports.sheets_groups import factors, groups
from coordinator.reports.sheets_testing import levels, sheet, testing
from paper.document import Block, Cell, Column, Document, Head, Paragraph, Part, Table
from paper.text import MAX_NAME_CHARS, clean

BEIJING: Final = timedelta(hours=8)
_SHEETS: Final[tuple[Callable[[Material], Part], ...]] = (
    testing,
    levels,
    groups,
    factors,
    recheck,
    files,
    referral,
    comparison,
    conditions,
    definitions,
    quality,
    audit,
)


def make_workbook(material: Material) -> Document:
    """Make the workbook of a release."""
    head = make_head(material, material.say(words._("Mental-health screening of pupils: statistical tables")))
    parts = tuple(make(material) for make in _SHEETS)
    return Document(head, (cover(material, head, parts), *parts))


def make_head(material: Material, title: str) -> Head:
    """Make what stands on every page."""
    say, head = material.say, material.model.head
    place = clean(head.federation_title, MAX_NAME_CHARS)
    return Head(
        title=title,
        subtitle=term(material),
        place=place,
        mark=say(words.CLASSES[material.model.release_class]),
        notice=say(words.NOTICE),
        facts=tuple(facts(material)),
        sign=tuple(say(name) for name in words.SIGN),
        footers=tuple(say(text) for text in words.FOOTERS),
        day=local_day(head.closes),
        language=material.speech.tag,
        withheld=say(words.WITHHELD),
    )


def term(material: Material) -> str:
    """Name school year and term."""
    _, head = words._, material.model.head
    told = {
        "year": head.school_year.replace("-", material.speech.choose("—", "–")),
        "wave": wave_name(material.speech, head.wave),
    }
    return material.say(_("School year %(year)s, %(wave)s")) % told


def local_day(moment: datetime) -> date:
    """Give the day that a moment has in China."""
    return (moment + BEIJING).date()


def facts(material: Material) -> list[tuple[str, str]]:
    """Say what a report is about."""
    _, say, head = words._, material.say, material.model.head
    grades = [material.label("grade", code) for code in head.grades]
    return [
        (say(_("Issued by")), clean(head.federation_title, MAX_NAME_CHARS)),
        (say(_("Plan")), clean(head.plan_title)),
        (say(_("Enrolled on")), head.census_date.isoformat()),
        (say(_("Reports taken")), f"{local_day(head.opens)} – {local_day(head.closes)}"),
        (say(_("Deadline in force")), local_day(head.closes).isoformat()),
        *([(say(_("Numbers released on")), local_day(head.released).isoformat())] if head.released else []),
        (say(_("Grades")), material.speech.choose("、", ", ").join(grades)),
        (say(_("Instruments")), ", ".join(item.id.upper() for item in head.instruments)),
        (say(_("Schools in the numbers")), f"{head.reports_in} / {head.schools}"),
        (say(_("Release class")), say(words.CLASSES[material.model.release_class])),
        (say(_("Round")), head.round_id[:16]),
    ]


def status_words(material: Material) -> str:
    """Say that a release was corrected or withdrawn; empty where it was not."""
    _ = words._
    told = {
        "corrected": _("This release was corrected since; use the correction."),
        "withdrawn": _("This release was withdrawn since; do not use its numbers."),
    }
    text = told.get(material.model.head.status)
    return material.say(text) if text else ""


def cover(material: Material, head: Head, parts: tuple[Part, ...]) -> Part:
    """Make the first sheet: what the workbook is about, how to read it, which sheets there are."""
    _, say, about = words._, material.say, material.model.head
    blocks: list[Block] = []
    status = status_words(material)
    if status:
        blocks.append(Paragraph(status, "warning"))
    rows: list[tuple[Cell, ...]] = [
        *head.facts,
        (say(_("Purpose")), clean(about.purpose)),
        (say(_("Legal basis")), clean(about.legal_basis)),
        (say(_("Recipients")), clean(", ".join(about.recipients))),
    ]
    columns = (Column(say(_("Item")), "name"), Column(say(_("Content")), "text"))
    blocks.append(Table(say(_("About this workbook")), columns, tuple(rows)))
    blocks += [Paragraph(text) for text in reading_rules(material)]
    blocks += [Paragraph(note.text(say)) for note in material.model.notes]
    names = tuple((str(place), part.name) for place, part in enumerate(parts, start=1))
    list_columns = (Column(say(_("No.")), "name"), Column(say(_("Sheet")), "text"))
    blocks.append(Table(say(_("Sheets")), list_columns, names))
    made = sheet(material, words.COVER, "", *blocks)
    return Part(head.title, made.blocks, name=made.name)
