"""`fedscreen plan rehearse`: a plan's codebooks on made-up pupils, before the plan is published.

Exit codes: 0 schools may import with these codebooks, 1 a case went wrong or a codebook is not the plan's,
2 wrong usage.
"""

from __future__ import annotations

from collections.abc import Iterator
from gettext import gettext as _
from pathlib import Path

import click

from fedscreen.planning.plan_file import (
    DEFAULT_SCHOOLS,
    EXIT_INVALID,
    FILE,
    JSON,
    parse,
    print_json,
    refuse,
    schools_option,
)
from plan.codebook import parse_codebook_toml
from plan.codes import LEVEL
from plan.errors import PlanError
from plan.publishing import pin_codebook, resolve
from plan.reading import MAX_INPUT_BYTES
from plan.rehearsal import DEFAULT_PUPILS, Rehearsal, rehearse

_CODEBOOK = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command(
    name="rehearse",
    help=_("Try a plan's codebooks on made-up pupils: every label, every limit, every table."),
)
@FILE
@click.option(
    "--codebook", "codebooks", multiple=True, required=True, type=_CODEBOOK, help=_("A codebook of the plan.")
)
@click.option(
    "--pupils",
    type=click.IntRange(100, 100_000),
    default=DEFAULT_PUPILS,
    help=_("How many pupils to make up."),
)
@schools_option()
@JSON
def rehearse_plan(
    file: str, codebooks: tuple[Path, ...], pupils: int, schools: int | None, as_json: bool
) -> None:
    """Rehearse every codebook; exit 1 unless all are good."""
    draft = parse(file, as_json)
    try:
        plan = resolve(draft, schools or max(DEFAULT_SCHOOLS, draft.min_reports or 0))
        books = [parse_codebook_toml(_read(path)) for path in codebooks]
        for book in books:
            plan = pin_codebook(plan, book)
        found = [rehearse(plan, book, pupils) for book in books]
    except PlanError as err:
        refuse(file, err, as_json)
    if as_json:
        print_json({"rehearsals": [_values(row) for row in found], "good": all(row.is_good for row in found)})
    else:
        for row in found:
            for line in _lines(row):
                click.echo(line)
    if not all(row.is_good for row in found):
        raise click.exceptions.Exit(EXIT_INVALID)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_INPUT_BYTES + 1)


def _values(row: Rehearsal) -> dict[str, object]:
    return {
        "codebook": row.codebook,
        "digest": row.digest,
        "good": row.is_good,
        "labels": [list(item) for item in row.labels],
        "unreached": {name: list(levels) for name, levels in row.unreached},
        "cases": len(row.cases),
        "failed": [str(case.what) for case in row.failed],
        "pupils": row.pupils,
        "tables": [{"id": item.id, "cells": item.cells, "reached": item.reached} for item in row.tables],
        "broken": list(row.broken),
    }


def _lines(row: Rehearsal) -> Iterator[str]:
    yield _("codebook %(codebook)s (%(digest)s)") % {"codebook": row.codebook, "digest": row.digest[:16]}
    for level, title in LEVEL.items():
        labels = sorted({label for _set, label, found in row.labels if found == level})
        if labels:
            values = {"level": level, "title": title, "labels": ", ".join(labels)}
            yield _("  level %(level)s %(title)s: %(labels)s") % values
    for name, levels in row.unreached:
        values = {"name": name, "levels": ", ".join(levels)}
        yield _("  note: no label of the set %(name)s gives level %(levels)s; is that meant?") % values
    counted = {"cases": len(row.cases), "failed": len(row.failed), "pupils": row.pupils}
    yield _("  %(cases)s cases tried, %(failed)s went wrong; %(pupils)s pupils made up") % counted
    for case in row.failed:
        yield _("  wrong: %(what)s") % {"what": case.what.text(_)}
    for name in row.broken:
        yield _("  wrong: the tables contradict each other (%(name)s)") % {"name": name}
    for table in row.tables:
        if table.reached == 0:
            yield _("  note: no pupil falls into table %(id)s; another instrument's?") % {"id": table.id}
    good = _("good: schools can import with it; publish the plan with this very file")
    yield f"  {good if row.is_good else _('not good: mend the codebook before the plan is published')}"
