"""`fedscreen coordinator progress`: principals' progress statements, for the clerk who telephones.

They are typed by people, never computed by a node, and never published by school.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from gettext import gettext as _
from pathlib import Path

import click

from coordinator import facts as kept
from coordinator.cli_context import DIR, JSON, ROUND, find_round, open_desk, say
from coordinator.cli_sheets import BY, FILES, OUT_FILE, read_files, say_saved, write_out
from coordinator.facts_sheet import progress_template, read_progress_sheet
from coordinator.plan_view import published_plan
from results.facts import ATTESTATIONS, BAND_LABELS, BANDS, progress_summary


@click.group(name="progress", help=_("Progress statements of principals, while a round collects."))
def progress() -> None:
    """Hold the commands about progress statements."""


@progress.command(name="template", help=_("Write the spreadsheet of a round's progress statements."))
@ROUND
@OUT_FILE
@DIR
@JSON
def progress_sheet(directory: Path, round_id: str | None, out: Path, as_json: bool) -> None:
    """Write one workbook with a row for each school of the round."""
    with open_desk(directory, as_json) as desk:
        found = find_round(desk, round_id)
        with desk.book.reading() as view:
            nodes = view.round(found).roster.nodes
        write_out(out, progress_template(found, nodes, _progress_notes()))
    say(as_json, {"round": found.hex(), "file": str(out)}, str(out))


@progress.command(name="import", help=_("Take a filled spreadsheet of statements, all or nothing."))
@FILES
@BY
@click.option("--round", "round_id", metavar="ROUND", help=_("Round; default: the newest."))
@DIR
@JSON
def import_progress(
    directory: Path, files: tuple[Path, ...], by: str, round_id: str | None, as_json: bool
) -> None:
    """Take every row of every file, or say what is wrong, row by row."""
    with open_desk(directory, as_json) as desk:
        found = find_round(desk, round_id)
        with desk.book.reading() as view:
            round_log = view.round(found)
            nodes, wave = round_log.roster.nodes, published_plan(round_log).document.wave
        rows = read_files(files, as_json, lambda data: read_progress_sheet(data, found, wave, nodes))
        saved = kept.save_progress(desk.book, found, rows, by, "sheet")
        with desk.book.reading() as view:
            answered = set(kept.progress_versions(view, found))
    missing = [node.id for node in nodes if node.id not in answered]
    say_saved(as_json, {"round": found.hex()}, saved, missing)


@progress.command(name="list", help=_("Show what principals have stated: for the clerk who telephones."))
@ROUND
@DIR
@JSON
def list_progress(directory: Path, round_id: str | None, as_json: bool) -> None:
    """List the round's schools by band, those without a statement last."""
    with open_desk(directory, as_json) as desk:
        found = find_round(desk, round_id)
        with desk.book.reading() as view:
            nodes = view.round(found).roster.nodes
            stated = {row.node: row for row in kept.read_progress(view, found)}
    summary = progress_summary(tuple(stated.values()), len(nodes))
    names = {node.id: kept.school_name(node) for node in nodes}
    rows = [{"node": row.node, "school": names.get(row.node, ""), **row.plain()} for row in stated.values()]
    rows.sort(key=lambda row: list(BANDS).index(row["band"]))
    missing = [node.id for node in nodes if node.id not in stated]
    values: dict[str, object] = {"round": found.hex(), "by_band": dict(summary.by_band), "schools": rows}
    values |= {"yes": dict(summary.by_attestation), "missing": missing}
    say(as_json, values, *_progress_lines(rows, missing))


def _progress_lines(rows: Sequence[Mapping[str, str]], missing: Sequence[str]) -> Iterator[str]:
    for row in rows:
        said_no = [ATTESTATIONS[name][1].text(_) for name in ATTESTATIONS if row.get(name) == "0"]
        line = _("%(node)s %(school)s: %(band)s, %(on)s, %(by)s") % {
            **row,
            "band": BAND_LABELS[row["band"]].text(_),
        }
        yield line + (_("; not yet: %(what)s") % {"what": ", ".join(said_no)} if said_no else "")
    if missing:
        yield _("no statement: %(ids)s") % {"ids": ", ".join(missing)}
    yield _("For telephoning only; not to be published by school.")


def _progress_notes() -> tuple[str, ...]:
    return (
        _("The principal chooses the band of pupils tested so far, answers yes or no, and signs."),
        _("No numbers, no results and no pupil's name belong into this form."),
        _("This form is for reminders by telephone only; it is not published by school."),
        _(
            "This system is not for emergencies. Where a pupil may hurt themselves or others, follow the "
            "emergency plan at once, tell the guardian and see a doctor."
        ),
    )
