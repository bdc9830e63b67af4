"""A report's tables as JSON, for programs: the numbers as people may see them, with their margins."""

from __future__ import annotations

import json
from typing import Any, Final

from paper.document import Cell, Document, Figure, Paragraph, Part, Table
from paper.text import clean

FORMAT: Final = "fedscreen/report/v1"


def encode_json(document: Document) -> bytes:
    """Write a report as JSON; keys are English, titles in the report's language."""
    head = document.head
    values = {
        "format": FORMAT,
        "language": head.language,
        "title": clean(head.title),
        "subtitle": clean(head.subtitle),
        "place": clean(head.place),
        "release_class": head.mark,
        "notice": head.notice,
        "facts": [{"name": name, "value": clean(value)} for name, value in head.facts],
        "parts": [_part(part) for part in document.parts],
        "footers": list(head.footers),
    }
    return (json.dumps(values, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


def _part(part: Part) -> dict[str, Any]:
    tables = [_table(block) for block in part.blocks if isinstance(block, Table)]
    notes = [clean(block.text) for block in part.blocks if isinstance(block, Paragraph)]
    return {"name": part.name, "title": part.title, "unit": part.unit, "tables": tables, "notes": notes}


def _table(table: Table) -> dict[str, Any]:
    return {
        "title": clean(table.title),
        "columns": [clean(column.name) for column in table.columns],
        "rows": [[_cell(cell) for cell in row] for row in table.rows],
        "note": table.note,
    }


def _cell(cell: Cell) -> object:
    """Give an estimate as value and margin, or why there is none; null is what the plan does not count."""
    if not isinstance(cell, Figure):
        return clean(cell) if isinstance(cell, str) else cell
    if cell.value is None:
        return {"kind": cell.display.kind.value}
    return {"value": cell.value, "margin": cell.margin}
