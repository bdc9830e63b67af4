"""What `fedscreen node preview` prints: the exact tables of this school in words, noise, cost, what is next.

One line a row of a table; the last dimension stands in the line. Cells that are 0 are counted, not listed.
"""

from __future__ import annotations

from collections.abc import Iterator
from gettext import gettext as _
from typing import Any

from node.cell_words import cell_word, title_of
from node.cli_text import SHORT, Values, rational
from plan.words import REPORT_STATES, word


def preview_lines(answer: Values, *, with_cells: bool) -> Iterator[str]:
    """Show what would leave: exact tables of this school, noise, cost."""
    if answer["hidden"]:
        yield _("exact counts are shown to the psychology teacher and the principal: --holder NAME")
    yield _("%(title)s, %(wave)s of %(school_year)s, counted on %(census_date)s") % answer
    yield (
        _("  %(num_records)s records of this school; opened only with %(min_reports)s schools or more")
        % answer
    )
    yield _("  auditors: %(auditors)s; %(threshold)s of them open it together") % {
        "auditors": ", ".join(answer["auditors"]),
        "threshold": answer["threshold"],
    }
    cost = {**answer, "rho": rational(answer["rho"]), "epsilon": f"{float(answer['epsilon']):.3g}"}
    yield _("  cost: rho %(rho)s (epsilon %(epsilon)s at delta %(delta)s)") % cost
    account = {name: rational(answer["account"][name]) for name in ("before", "after", "cap")}
    yield _("  account of the school year: %(before)s now, %(after)s after, at most %(cap)s") % account
    for table in answer["tables"]:
        yield from _table_lines(table, with_cells=with_cells and not answer["hidden"])
    yield from _next_lines(answer)


def _table_lines(table: Values, *, with_cells: bool) -> Iterator[str]:
    is_hidden = any("count" not in cell for cell in table["cells"])
    values = {
        "id": table["id"],
        "title": table["title"],
        "cells": len(table["cells"]),
        "total": "–" if is_hidden else sum(cell["count"] for cell in table["cells"]),
        "school": f"{table['sigma_school']:.1f}",
        "county": f"{table['sigma_county']:.1f}",
    }
    yield (
        _("%(id)s  %(title)s: %(cells)s cells, sum %(total)s, noise ±%(school)s here, ±%(county)s in all")
        % values
    )
    if with_cells:
        yield from _cell_lines(table)


def _cell_lines(table: Values) -> Iterator[str]:
    """List the cells that are not 0, a line for each row of the table, under the titles of the dimensions."""
    dims = table["dims"]
    rows: dict[str, list[str]] = {}
    for cell in table["cells"]:
        if cell["count"]:
            said = [_cell(table, name, cell["keys"][name]) for name in dims]
            rows.setdefault(" · ".join(said[:-1]), []).append(f"{said[-1]} {cell['count']}")
    yield "    " + " · ".join(title_of(name) for name in dims)
    for row, numbers in rows.items():
        values = {"row": row, "cells": _(", ").join(numbers)}
        yield "      " + (_("%(row)s: %(cells)s") % values if row else values["cells"])
    if zeros := sum(not cell["count"] for cell in table["cells"]):
        yield _("      %(number)s cells are 0; they leave with noise like all others") % {"number": zeros}


def _cell(table: Values, name: str, code: str) -> str:
    return cell_word(name, code, table["labels"].get(name, {}).get(code, code))


def _next_lines(answer: Values) -> Iterator[str]:
    """Say what stays here, what was released before, and how to release while that is possible."""
    if not answer["hidden"]:
        yield _("the exact counts above stay here")
    released: dict[str, Any] = answer["released"]
    if released:
        state = word(REPORT_STATES, released["state"], _)
        values = {"attempt": released["attempt"], "by": released["by"], "state": state}
        yield _("released already: attempt %(attempt)s by %(by)s, %(state)s") % values
    if answer["is_over"]:
        yield _("the county has closed the collection of this round")
    elif not released:
        yield _release_with(answer)
    elif released["records"] != answer["records"]:
        yield _("the records have changed since; the newer ones count only when they are released too")
        yield _release_with(answer)


def _release_with(answer: Values) -> str:
    return _("release with: fedscreen node release %(round)s --by NAME") % {"round": answer["round"][:SHORT]}
