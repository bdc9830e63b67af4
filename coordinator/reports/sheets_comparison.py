"""表8: what has changed since an earlier round, and from the autumn level to the spring level."""

from __future__ import annotations

from collections.abc import Iterator

from coordinator.reports import words
from coordinator.reports.document import Block, Drawing, Line, Paragraph, Part, Table
from coordinator.reports.material import Asked, Group, Material, drawn
from coordinator.reports.sheets_testing import sheet
from results.report_notes import EXACT_DATA_NOTES

LEVELS = "0123"


def comparison(material: Material) -> Part:
    """Make 表8 与上次测评比较."""
    return sheet(
        material, words.COMPARISON, words.UNIT_PUPILS_PERCENT, *comparison_blocks(material, "transition")
    )


def comparison_blocks(material: Material, name: str) -> list[Block]:
    """Make what stands in 表8: changes, the way from autumn to spring, and what may be compared."""
    _, say = words._, material.say
    blocks: list[Block] = [*change_blocks(material)]
    blocks += [table for table in (transition_table(material), outcome_table(material)) if table]
    drawing = transition_drawing(material, name)
    if drawing:
        blocks.append(drawing)
    if not blocks:
        blocks.append(Paragraph(say(_("No earlier round was named to compare with.")), "note"))
    blocks += [Paragraph(note.text(say), "note") for note in EXACT_DATA_NOTES]
    return blocks


def change_blocks(material: Material) -> Iterator[Block]:
    """Yield what has changed since the earlier round; nothing where none was named."""
    return iter(())


def transition_table(material: Material) -> Table | None:
    """Make the matrix from autumn to spring as a heat table."""
    _, say = words._, material.say
    rows = [Group(material.label("level", code), {"level_before": code}) for code in LEVELS]
    columns = [Asked(material.label("level", code), "FS-04", {"level": code}) for code in LEVELS]
    table = material.grid(
        say(_("From autumn (rows) to spring (columns): pupils")), say(_("Autumn level")), rows, columns
    )
    return table and Table(table.title, table.columns, table.rows, table.note, is_shaded=True)


def outcome_table(material: Material) -> Table | None:
    """Make the table of raised, unchanged, lowered and new levels."""
    _, say = words._, material.say
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
    _, say = words._, material.say
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
