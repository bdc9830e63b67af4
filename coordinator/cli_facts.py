"""`fedscreen coordinator facts`: conditions of schools that people type, by spreadsheet.

Facts are exact, outside of differential privacy, and never go through a node. Files are taken whole or not at
all, and may be imported again.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from gettext import gettext as _
from pathlib import Path

import click

from coordinator import facts as kept
from coordinator.cli_context import DIR, JSON, open_desk, say
from coordinator.cli_sheets import BY, FILES, OUT_FILE, OUT_FOLDER, read_files, say_saved, write_out
from coordinator.desk import Desk, utc_now
from coordinator.errors import FileError
from coordinator.facts_sheet import facts_template, read_facts_sheet
from coordinator.sheet_forms import NODE, by_county
from coordinator.table_reader import guarded
from plan.codes import school_year_of
from plan.errors import phrase
from protos.bodies import RosterNode
from results.facts import DECLARATION, DECLARATION_TEXT, FIELDS, InstitutionFacts, fact_indicators, is_year

_YEAR = click.option("--year", "year", metavar="YYYY-YYYY", help=_("School year; default: the one today."))


@click.group(name="facts", help=_("Conditions of schools: staff, rooms, lessons, contracts."))
def facts() -> None:
    """Hold the commands about institution facts."""


@facts.command(name="template", help=_("Write a spreadsheet to fill in, one for each county of the roster."))
@_YEAR
@OUT_FOLDER
@DIR
@JSON
def template(directory: Path, year: str | None, out: Path, as_json: bool) -> None:
    """Write one prefilled workbook a county; what is stored already stands in it."""
    paths = []
    with open_desk(directory, as_json) as desk:
        chosen = _year(year)
        with desk.book.reading() as view:
            groups = by_county(kept.schools(view))
            stored = kept.read_facts(view, chosen)
        for county, nodes in groups.items():
            name = f"facts-{chosen}{f'-{county}' if county.isalnum() else ''}.xlsx"
            paths.append(write_out(out / name, facts_template(chosen, nodes, stored, _facts_notes())))
    values: dict[str, object] = {"year": chosen, "files": [str(path) for path in paths]}
    say(as_json, values, *map(str, paths))


@facts.command(name="import", help=_("Take filled spreadsheets, all or nothing; again changes nothing."))
@FILES
@BY
@_YEAR
@DIR
@JSON
def import_facts(directory: Path, files: tuple[Path, ...], by: str, year: str | None, as_json: bool) -> None:
    """Take every row of every file, or say what is wrong, row by row."""
    with open_desk(directory, as_json) as desk:
        with desk.book.reading() as view:
            nodes = kept.schools(view)
        chosen = _year(year) if year else ""
        rows = read_files(files, as_json, lambda data: read_facts_sheet(data, chosen, nodes))
        if len({row.year for row in rows}) > 1:
            raise FileError(phrase("the files are of several school years; import them one by one"))
        saved = kept.save_facts(desk.book, rows, by, "sheet")
        year = rows[0].year if rows else chosen
        missing = _missing(desk, year) if year else [node.id for node in nodes]
    say_saved(as_json, {"year": year}, saved, missing)


@facts.command(name="list", help=_("Show which schools have answered, and which have not."))
@_YEAR
@DIR
@JSON
def list_facts(directory: Path, year: str | None, as_json: bool) -> None:
    """List schools by id."""
    with open_desk(directory, as_json) as desk:
        chosen = _year(year)
        with desk.book.reading() as view:
            versions = kept.facts_versions(view, chosen)
            rows = [_state(node, versions.get(node.id)) for node in kept.schools(view)]
    num_answered = sum(bool(row["version"]) for row in rows)
    values: dict[str, object] = {"year": chosen, "schools": rows, "answered": num_answered}
    values["missing"] = len(rows) - num_answered
    head = _("%(year)s: %(answered)s schools have answered, %(missing)s have not") % values
    say(as_json, values, head, *map(_state_line, rows))


def _state(node: RosterNode, version: kept.Version | None) -> dict[str, object]:
    row: dict[str, object] = {"node": node.id, "school": kept.school_name(node), "version": 0}
    if version is not None:
        row |= {"version": version.version, "by": version.by, "source": version.source}
        row["on"] = version.changed.date().isoformat()
    return row


def _state_line(row: Mapping[str, object]) -> str:
    if not row["version"]:
        return _("  %(node)s %(school)s: not yet") % row
    return _("  %(node)s %(school)s: version %(version)s, %(on)s, by %(by)s") % row


@facts.command(name="show", help=_("Show the form of the school NODE, and who entered it."))
@click.argument("node", metavar="NODE")
@_YEAR
@DIR
@JSON
def show(directory: Path, node: str, year: str | None, as_json: bool) -> None:
    """Show one school's values and versions."""
    with open_desk(directory, as_json) as desk:
        chosen = _year(year)
        with desk.book.reading() as view:
            found = next((row for row in kept.read_facts(view, chosen) if row.node == node), None)
            history = kept.facts_history(view, node, chosen)
        if found is None:
            raise FileError(
                phrase("school %(node)s: no form of %(year)s; see 'facts list'", node=node, year=chosen)
            )
    values: dict[str, object] = {"node": node, "year": chosen, "values": found.plain()}
    values["history"] = [
        {"version": row.version, "by": row.by, "source": row.source, "on": row.changed.date().isoformat()}
        for row in history
    ]
    say(as_json, values, *_show_lines(found, history))


def _show_lines(found: InstitutionFacts, history: Sequence[kept.Version]) -> Iterator[str]:
    for name in found.values:
        yield f"{FIELDS[name].label.text(_)}: {found.shown(name)}{FIELDS[name].unit}"
    for row in history:
        values = {"version": row.version, "by": row.by, "on": row.changed.date().isoformat()}
        yield _("version %(version)s, %(on)s, by %(by)s") % values
    yield DECLARATION_TEXT.text(_)


@facts.command(name="indicators", help=_("Compute the ten indicators of school conditions."))
@_YEAR
@DIR
@JSON
def indicators(directory: Path, year: str | None, as_json: bool) -> None:
    """Show FI-01 to FI-10: exact shares of the schools that have answered."""
    with open_desk(directory, as_json) as desk:
        chosen = _year(year)
        with desk.book.reading() as view:
            found, num_schools = kept.read_facts(view, chosen), len(kept.schools(view))
    rows = fact_indicators(found, num_schools)
    values: dict[str, object] = {"year": chosen, "schools": num_schools, "answered": len(found)}
    values |= {"indicators": [row.as_dict() for row in rows], "declaration": str(DECLARATION_TEXT)}
    lines = [
        _("%(id)s %(name)s: %(shown)s (%(answered)s schools answered, %(missing)s not)")
        % {
            "id": row.id,
            "name": row.name,
            "shown": row.shown,
            "answered": row.answered,
            "missing": row.missing,
        }
        for row in rows
        if not row.keys
    ]
    say(as_json, values, *lines, DECLARATION_TEXT.text(_))


@facts.command(name="export", help=_("Write all forms to OUT (.xlsx, .csv or .json): for internal use only."))
@_YEAR
@OUT_FILE
@DIR
@JSON
def export(directory: Path, year: str | None, out: Path, as_json: bool) -> None:
    """Write every school's form; what is written can be imported again."""
    with open_desk(directory, as_json) as desk:
        chosen = _year(year)
        with desk.book.reading() as view:
            found, nodes = kept.read_facts(view, chosen), kept.schools(view)
        if out.suffix.lower() == ".xlsx":
            data = facts_template(chosen, nodes, found, _facts_notes())
        elif out.suffix.lower() == ".csv":
            data = _csv(chosen, found)
        elif out.suffix.lower() == ".json":
            data = _json(chosen, found)
        else:
            raise FileError(phrase("%(path)s: expected a name that ends in .xlsx, .csv or .json", path=out))
        write_out(out, data)
    line = _("%(file)s: %(schools)s schools, for internal use only")
    values: dict[str, object] = {"year": chosen, "file": str(out), "schools": len(found)}
    say(as_json, values, line % values)


def _csv(year: str, found: Sequence[InstitutionFacts]) -> bytes:
    """Write GB18030-safe UTF-8 with its mark, as Excel opens it; formulas are disarmed."""
    target = io.StringIO()
    writer = csv.writer(target, lineterminator="\r\n")
    writer.writerow([f"学校条件 {year} (内部)"])
    writer.writerow([NODE, *(row.header for row in FIELDS.values())])
    for facts_of in found:
        writer.writerow([facts_of.node, *(guarded(facts_of.shown(name)) for name in FIELDS)])
    return b"\xef\xbb\xbf" + target.getvalue().encode()


def _json(year: str, found: Sequence[InstitutionFacts]) -> bytes:
    schools = [{"node": row.node, **row.plain()} for row in found]
    values = {"year": year, "release_class": "internal", "note": DECLARATION, "schools": schools}
    return (json.dumps(values, ensure_ascii=False, indent=1) + "\n").encode()


def _year(text: str | None) -> str:
    if text is None:
        return school_year_of(utc_now().date())
    if not is_year(text):
        raise FileError(phrase("%(year)s is no school year; write it as 2026-2027", year=text[:20]))
    return text


def _missing(desk: Desk, year: str) -> list[str]:
    with desk.book.reading() as view:
        answered = kept.facts_versions(view, year)
        return [node.id for node in kept.schools(view) if node.id not in answered]


def _facts_notes() -> tuple[str, ...]:
    return (
        _("One row for each school of the roster; do not add rows, delete columns or change the first two."),
        _("Coloured cells and headers with * must be filled in; what is not known stays empty."),
        _("Where a cell has a list, choose from it; several entries are parted by 、."),
        _("No count of pupils in difficulty, no test results and no pupil's name belong into this form."),
        _("Save as .xlsx and send it back the same way; the county imports it whole or not at all."),
    )
