"""Results of released rounds: numbers with their margins, charts, and every report to take away.

Nothing here computes a number: the page shows the same document as the workbook, so both say the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from coordinator.dashboard.results_of import shown_report
from coordinator.dashboard.rounds import every_round, find_log
from coordinator.dashboard.speech import LANGUAGES
from coordinator.dashboard.visit import Download, Page, Reply, Visit
from coordinator.errors import UnknownRoundError
from coordinator.report_of import conditions_of
from coordinator.reports.labels import indicator_name
from coordinator.reports.material import Material, drawn
from coordinator.reports.rendering import KINDS, render
from coordinator.reports.workbook import make_workbook
from paper.charts import ChartText, county_grid
from paper.document import Cell, Drawing, Figure, Part, Table, cell_text
from paper.drawing_svg import svg_of
from paper.speech import speech_of
from plan.errors import phrase
from results.release_class import CLASSES, INTERNAL, classes_of, narrow
from results.report_model import ReportModel
from results.showing import display_value

TILES: Final = ("IND-01", "IND-03", "IND-02", "IND-04", "IND-08/2+")
GRIDS: Final = ("IND-02", "IND-08/2+")
"""Indicators that a prefecture sees by county; counties stand in the order of the plan."""

MEDIA: Final[Mapping[str, str]] = {
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "csv.zip": "application/zip",
    "json": "application/json",
    "html": "text/html; charset=utf-8",
    "pdf": "application/pdf",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
}


@dataclass(frozen=True, slots=True)
class Tile:
    """One number at the top: its name, what is shown, its margin."""

    name: str
    text: str
    margin: str
    unit: str


def results(visit: Visit) -> Reply:
    """List the rounds that have results."""
    return Page("results.html", {"rounds": [row for row in every_round(visit) if row.is_released]})


def result(visit: Visit) -> Reply:
    """Show one round's results."""
    model, class_code = _model(visit)
    speech = speech_of(visit.language)
    material = Material(model, speech)
    document = make_workbook(material)
    withheld = document.head.withheld
    values: dict[str, Any] = {
        "model": model,
        "head": document.head,
        "class_code": class_code,
        "classes": [code for code in CLASSES if code in {row.code for row in _allowed(model)}],
        "tiles": list(_tiles(material, withheld)),
        "charts": [svg_of(row, withheld) for row in _drawings(document.parts)]
        + list(_grids(material, withheld)),
        "parts": [(place, part, _tables(part)) for place, part in enumerate(document.parts) if _tables(part)],
        "cell": lambda cell: cell_text(cell, withheld),
        "is_small": _is_small,
        "kinds": KINDS,
        "round_id": visit.path["round"],
        "other": [code for code in LANGUAGES if code != visit.language],
    }
    return Page("result.html", values)


def download(visit: Visit) -> Reply:
    """Give one report as a file."""
    kind = visit.path["kind"]
    if kind not in KINDS:
        raise UnknownRoundError(phrase("there is no such report"))
    model, class_code = _model(visit)
    asked = visit.query.get("language", "")
    language = asked if asked in LANGUAGES else visit.language
    content = render(model, kind, language, conditions=conditions_of(visit.county.book, model))
    name = f"fedscreen-{model.head.round_id[:16]}-{class_code}-{language}{KINDS[kind]}"
    return Download(name, content, MEDIA[kind])


def _model(visit: Visit) -> tuple[ReportModel, str]:
    with visit.county.reading() as view:
        round_log = find_log(view, visit.path["round"])
    model = shown_report(visit.county.book, round_log, visit.county.config.unit)
    asked = visit.query.get("class", "")
    code = asked if asked in CLASSES else INTERNAL.code
    return (model if code == INTERNAL.code else narrow(model, CLASSES[code])), code


def _allowed(model: ReportModel) -> Any:
    return classes_of(model.head.plan_class)


def _tiles(material: Material, withheld: str) -> Iterator[Tile]:
    for entry in TILES:
        value = material.value(entry, {})
        if value is not None:
            display = display_value(value)
            margin = display.margin_text() if display.value is not None else ""
            unit = "%" if value.indicator.unit == "%" else ""
            yield Tile(indicator_name(material.speech, value), display.text(withheld), margin, unit)


def _drawings(parts: tuple[Part, ...]) -> Iterator[Drawing]:
    for part in parts:
        yield from (block for block in part.blocks if isinstance(block, Drawing))


def _tables(part: Part) -> list[Table]:
    return [block for block in part.blocks if isinstance(block, Table) and block.rows]


def _grids(material: Material, withheld: str) -> Iterator[str]:
    """Draw a tile per county, where the plan tells them apart."""
    counties = material.codes("county")
    for entry in GRIDS if counties else ():
        values = [(code, material.value(entry, {"county": code})) for code in counties]
        named = next((value for _code, value in values if value), None)
        if named is not None:
            name = indicator_name(material.speech, named)
            text = ChartText(f"county-{entry[:6]}", name, "%", withheld)
            tiles = [
                (material.label("county", code), drawn(display_value(value) if value else None))
                for code, value in values
            ]
            yield county_grid(text, tiles)


def _is_small(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, Figure) and cell.value is None)
