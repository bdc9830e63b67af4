"""`fedscreen coordinator results report`: a released round as workbook, csv, json, and as a brief.

Files are readable by their owner only: a report of the class 内部 stays inside the county. Nothing is asked
of a school for it, and making one again gives the same bytes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from gettext import gettext as _
from pathlib import Path
from typing import Final

import click

from coordinator.cli_context import DIR, JSON, ROUND, find_round, open_desk, say
from coordinator.cli_sheets import write_out
from coordinator.desk import Desk
from coordinator.errors import ReportError
from coordinator.report_of import conditions_of, report_of
from coordinator.reports import KINDS, render
from paper.speech import CHINESE, ENGLISH, LANGUAGES
from plan.code_words import choices_note
from plan.document import RELEASE_CLASSES
from plan.errors import phrase, told
from results.report_model import ReportModel

_FORMATS: Final = {
    "xlsx": "xlsx",
    "csv": "csv.zip",
    "json": "json",
    "html": "html",
    "pdf": "pdf",
    "docx": "docx",
}
_BRIEFS: Final = ("html", "pdf", "docx")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What was asked for."""

    formats: tuple[str, ...]
    language: str
    out: Path | None
    is_all: bool


@click.command(name="report", help=_("Write a released round as a workbook or a brief, with error bars."))
@ROUND
@click.option(
    "--format",
    "file_format",
    type=click.Choice(list(_FORMATS)),
    default="xlsx",
    show_default=True,
    help=_("xlsx, csv, json: the tables; html, pdf, docx: the brief."),
)
@click.option("--all", "is_all", is_flag=True, help=_("Every format, into the folder OUT."))
@click.option(
    "--class",
    "release_class",
    type=click.Choice(RELEASE_CLASSES),
    default=RELEASE_CLASSES[0],
    show_default=True,
    help=_("Who it is for; the open classes show less.") + choices_note(RELEASE_CLASSES, _),
)
@click.option("--compare", metavar="ROUND", help=_("An earlier round to compare with."))
@click.option("--facts/--no-facts", "has_facts", default=True, help=_("With the schools' own conditions."))
@click.option("--unit", default="", metavar="NAME", help=_("Name of the county for cover and title."))
@click.option("--out", type=click.Path(path_type=Path), help=_("File to write; with --all a folder."))
@click.option("--lang", "language", type=click.Choice(LANGUAGES), help=_("Language of the report."))
@DIR
@JSON
def report(
    directory: Path,
    round_id: str | None,
    file_format: str,
    is_all: bool,
    release_class: str,
    compare: str | None,
    has_facts: bool,
    unit: str,
    out: Path | None,
    language: str | None,
    as_json: bool,
) -> None:
    """Make the model once, then write each file."""
    wanted = _Wanted(tuple(_FORMATS) if is_all else (file_format,), language or _spoken(), out, is_all)
    with open_desk(directory, as_json) as desk:
        found = find_round(desk, round_id)
        model = report_of(
            desk.book,
            found,
            compared=find_round(desk, compare) if compare else None,
            release_class=release_class,
            has_facts=has_facts,
            unit=unit or desk.home.config.unit,
        )
        written, missed = _write(desk, model, wanted, out or directory / "reports")
    values: dict[str, object] = {
        "round": found.hex(),
        "class": release_class,
        "language": wanted.language,
        "files": [str(path) for path in written],
        "not_written": [{"format": name, "reason": str(err)} for name, err in missed],
    }
    say(as_json, values, *_lines(written, missed))


def _spoken() -> str:
    """Give the language that the command speaks, which is the report's if none is named."""
    return ENGLISH if os.environ.get("LANGUAGE", "").startswith("en") else CHINESE


def _write(
    desk: Desk, model: ReportModel, wanted: _Wanted, place: Path
) -> tuple[list[Path], list[tuple[str, ReportError]]]:
    """Write every file; with ``--all`` a format whose package is not here is left out, and said."""
    conditions = conditions_of(desk.book, model)
    written: list[Path] = []
    missed: list[tuple[str, ReportError]] = []
    for name in wanted.formats:
        kind = _FORMATS[name]
        try:
            data = render(model, kind, wanted.language, conditions=conditions)
        except ReportError as err:
            if not wanted.is_all:
                raise
            missed.append((name, err))
            continue
        is_file = wanted.out is not None and not wanted.is_all
        written.append(
            write_out(place if is_file else place / _file_name(model, kind, wanted.language), data)
        )
    if not written:
        raise ReportError(phrase("nothing could be written"))
    return written, missed


def _file_name(model: ReportModel, kind: str, language: str) -> str:
    """Name a file by round, class, language: short, and without any word that people wrote."""
    what = "brief" if kind in _BRIEFS else "tables"
    head = model.head
    return f"{head.round_id[:16]}-{what}-{model.release_class}-{language}{KINDS[kind]}"


def _lines(written: list[Path], missed: list[tuple[str, ReportError]]) -> Iterator[str]:
    yield from map(str, written)
    for name, err in missed:
        yield _("%(format)s: not written: %(reason)s") % {"format": name, "reason": told(err, _)}
