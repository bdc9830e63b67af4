"""表8: what has changed since an earlier round, and from the autumn level to the spring level."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Final

from coordinator.reports import words
from coordinator.reports.labels import indicator_name, wave_name
from coordinator.reports.material import Asked, Group, Material, drawn, figure_of
from coordinator.reports.sheets_testing import sheet
from paper.document import Block, Cell, Column, Drawing, Figure, Line, Paragraph, Part, Table
from results.report_notes import EXACT_DATA_NOTES
from results.report_parts import Change, Comparison, Verdict
from results.showing import Display, Kind

LEVELS = "0123"
COMPARED = (
    *("IND-01", "IND-02", "IND-04", "IND-08/1+", "IND-08/2+", "IND-08/3", "IND-16", "IND-18", "IND-22"),
    *("IND-24", "IND-27", "IND-28", "IND-29/advised", "IND-29/attended", "IND-33"),
)
MAIN = "IND-08/2+"
_ = words._
VERDICTS: Final[Mapping[Verdict, str]] = {
    Verdict.HIGHER: _("higher"),
    Verdict.LOWER: _("lower"),
    Verdict.UNCLEAR: _("within the noise"),
    Verdict.WITHHELD: _("cannot be said"),
}


def comparison(material: Material) -> Part:
    """Make 表8 与上次测评比较."""
    return sheet(
        material, words.COMPARISON, words.UNIT_PUPILS_PERCENT, *comparison_blocks(material, "transition")
    )


def comparison_blocks(material: Material, name: str) -> list[Block]:
    """Make what stands in 表8: changes, the way from autumn to spring, and what may be compared."""
    say = material.say
    blocks: list[Block] = change_blocks(material)
    blocks += [table for table in (transition_table(material), outcome_table(material)) if table]
    drawing = transition_drawing(material, name)
    if drawing:
        blocks.append(drawing)
    if not blocks:
        blocks.append(Paragraph(say(_("No earlier round was named to compare with.")), "note"))
    blocks += [Paragraph(note.text(say), "note") for note in EXACT_DATA_NOTES]
    return blocks


def change_blocks(material: Material, *, is_short: bool = False) -> list[Block]:
    """Make what is said of an earlier round: its name, the changes, why some are not there, what to mind.

    Args:
        is_short: of the stages only the main rate, as a brief has it.
    """
    found = material.model.comparison
    if found is None:
        return []
    say = material.say
    about = {"year": found.before.school_year, "wave": wave_name(material.speech, found.before.wave)}
    blocks: list[Block] = [Paragraph(say(_("Compared with: school year %(year)s, %(wave)s.")) % about)]
    table = change_table(material, found, is_short=is_short)
    blocks += [table] if table else []
    notes = (*found.obstacles, *(found.notes if table else ()))
    return [*blocks, *(Paragraph(text.text(say), "note") for text in notes)] if table or notes else []


def change_table(material: Material, found: Comparison, *, is_short: bool = False) -> Table | None:
    """Make the table of changes of the main rates and counts, for the county and by stage."""
    say, stages = material.say, material.codes("stage")
    rows = tuple(
        row
        for entry in COMPARED
        for keys in ({}, *({"stage": code} for code in stages if not is_short or entry == MAIN))
        if (row := _change_row(material, found.change(entry, **keys))) is not None
    )
    columns = (
        Column(say(_("Indicator")), "name"),
        Column(say(_("Pupils of")), "name"),
        Column(say(_("Now"))),
        Column(say(_("Before"))),
        Column(say(_("Difference"))),
        Column(say(_("Clear?")), "name"),
    )
    return Table(say(_("Changes since the earlier round")), columns, rows) if rows else None


def _change_row(material: Material, change: Change | None) -> tuple[Cell, ...] | None:
    if change is None:
        return None
    keys = change.now.keys
    place = material.label("stage", keys["stage"]) if "stage" in keys else material.say(words.TOTAL)
    return (
        indicator_name(material.speech, change.now),
        place,
        figure_of(change.now),
        figure_of(change.before),
        Figure(_difference(change)),
        material.say(VERDICTS[change.verdict]),
    )


def _difference(change: Change) -> Display:
    """Round a difference as its numbers are, its margin upwards."""
    if change.difference is None:
        return Display(Kind.WITHHELD)
    decimals = 0 if change.now.indicator.base is None else 1
    scale = 10**decimals
    row = change.difference
    half = math.ceil((row.high95 - row.low95) / 2 * scale) / scale
    return Display(Kind.NUMBER, round(row.released * scale) / scale, half, decimals)


def transition_table(material: Material) -> Table | None:
    """Make the matrix from autumn to spring as a heat table."""
    say = material.say
    rows = [Group(material.label("level", code), {"level_before": code}) for code in LEVELS]
    columns = [Asked(material.label("level", code), "FS-04", {"level": code}) for code in LEVELS]
    table = material.grid(
        say(_("From autumn (rows) to spring (columns): pupils")), say(_("Autumn level")), rows, columns
    )
    return table and Table(table.title, table.columns, table.rows, table.note, is_shaded=True)


def outcome_table(material: Material) -> Table | None:
    """Make the table of raised, unchanged, lowered and new levels."""
    say = material.say
    columns = [
        Asked(say(_("Coverage in spring (%)")), "IND-19"),
        Asked(say(_("Raised (%)")), "IND-20/up"),
        Asked(say(_("Unchanged (%)")), "IND-20/same"),
        Asked(say(_("Lowered (%)")), "IND-20/down"),
        Asked(say(_("New alerts (%)")), "IND-21"),
    ]
    return material.grid(
        say(_("From autumn to spring")), say(_("Stage")), material.group("stage", say(words.TOTAL)), columns
    )


def transition_drawing(material: Material, name: str) -> Drawing | None:
    """Draw the matrix from autumn to spring."""
    say = material.say
    if not material.model.transition:
        return None
    lines = tuple(
        Line(
            material.label("level", row),
            tuple(drawn(material.shown("FS-04", level_before=row, level=column)) for column in LEVELS),
        )
        for row in LEVELS
    )
    names = tuple(material.label("level", code) for code in LEVELS)
    title = say(_("From the autumn level to the spring level"))
    axes = (say(_("Autumn level")), say(_("Spring level")))
    return Drawing("matrix", name, title, material.unit("人"), names, lines, axes=axes)
