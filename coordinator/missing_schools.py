"""Which schools have not reported, whom to telephone, and what to say: for a clerk's desk, not for the log.

Contacts come from a file that stays with the county (two columns, node and contact), else from the roster
attribute ``contact`` where a school has one; telephone numbers do not belong into a public log. Days are
counted, never times: who reported when is nobody's business.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from gettext import gettext as _

from coordinator.config import Config
from coordinator.errors import FileError
from coordinator.facts import school_name
from coordinator.log_book import View
from coordinator.round import missing_nodes
from coordinator.surroundings import look_around
from plan.errors import phrase
from protos.round_log import RoundLog

CONTACT = "contact"
MAX_CONTACTS = 20_000
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Overdue:
    """A school that has not reported.

    Attributes:
        node, name, operator: its id, what it is called, and who runs it.
        contact: whom to telephone; empty where nobody is known.
        days_left: whole days to the deadline in force; negative after it.
    """

    node: str
    name: str
    operator: str
    contact: str
    days_left: int


def list_overdue(
    view: View, config: Config, round_log: RoundLog, contacts: Mapping[str, str]
) -> tuple[Overdue, ...]:
    """List the schools of a round that have not reported, by id; none once it is closed."""
    if round_log.candidates is not None or round_log.is_dead:
        return ()
    days = days_between(view.now, round_log.closes)
    rows = {node.id: node for node in round_log.roster.nodes}
    return tuple(
        Overdue(
            node,
            school_name(rows[node]),
            rows[node].operator,
            contacts.get(node) or dict(rows[node].attributes).get(CONTACT, ""),
            days,
        )
        for node in missing_nodes(round_log, look_around(view, config, round_log))
    )


def days_between(now: datetime, closes: datetime) -> int:
    """Count whole days until a deadline, rounded down."""
    return (closes - now).days


def parse_contacts(data: bytes) -> dict[str, str]:
    """Read a contact list: csv in UTF-8, a node's id and its contact on each line.

    Raises:
        FileError: it is no such file; the message names the line.
    """
    try:
        rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    except (UnicodeDecodeError, csv.Error) as err:
        raise FileError(phrase("contacts: expected csv in UTF-8 (%(reason)s)", reason=err)) from err
    found: dict[str, str] = {}
    for number, row in enumerate(rows[:MAX_CONTACTS], 1):
        if len(row) < 2 and any(row):
            raise FileError(phrase("contacts, line %(number)s: expected node and contact", number=number))
        if any(row):
            found[row[0].strip()] = row[1].strip()
    return found


def table_of(rows: Sequence[Overdue]) -> list[tuple[str | int, ...]]:
    """Make the list for a spreadsheet: headings, then a school a row, with what to say on the telephone."""
    titles = (_("school id"), _("school name"), _("contact"), _("days left"), _("what to say"))
    return [
        titles,
        *((row.node, row.name, row.contact, row.days_left, script_for(row.days_left)) for row in rows),
    ]


def script_for(days_left: int, translate: Callable[[str], str] = _) -> str:
    """Give what to say on the telephone to one school: no number of pupils is asked for or told."""
    if days_left < 0:
        return phrase(
            "The screening round's deadline has passed and your report is not here. Is the node running, "
            "and has "
            "the principal released it? We may ask for a few more days. Please do not tell me any result."
        ).text(translate)
    return phrase(
        "The screening round ends in %(days)s days and your report is not here. Have you imported the "
        "files and "
        "looked at the preview, and has the principal released it? What stands in the way? Please do not "
        "tell "
        "me any result or name.",
        days=days_left,
    ).text(translate)


def letter_text(title: str, closes: datetime, round_short: str) -> str:
    """Give the text of a letter to the schools that have not reported."""
    values = {"title": title, "closes": f"{closes:%Y-%m-%d}", "round": round_short}
    paragraphs = (
        _("To the principal: report of the round “%(title)s” is missing") % values,
        _(
            "We have not received your school's report of this round (%(round)s). It is taken until "
            "%(closes)s; "
            "afterwards your school takes no part, and nobody can add it."
        )
        % values,
        _(
            "Please have the files imported, look at the preview with the psychology teacher, and "
            "release the "
            "report in the school's node. It takes about half an hour. Only masked numbers leave the school."
        ),
        _(
            "Do not send us lists, names or numbers in any other way: not by mail, not in a chat. If "
            "something "
            "does not work, telephone us. A pupil at risk never waits for a round: act at once."
        ),
    )
    return "\n\n".join(paragraphs) + "\n"


def encode_csv(table: Sequence[Sequence[str | int]]) -> bytes:
    """Write a list as csv that a spreadsheet opens as Chinese, and in which no text becomes a formula."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerows([safe_cell(cell) for cell in row] for row in table)
    return b"\xef\xbb\xbf" + out.getvalue().encode()


def encode_xlsx(table: Sequence[Sequence[str | int]], title: str) -> bytes:
    """Write a list as a workbook of one sheet."""
    import xlsxwriter

    data = io.BytesIO()
    book = xlsxwriter.Workbook(
        data, {"in_memory": True, "strings_to_formulas": False, "strings_to_urls": False}
    )
    sheet = book.add_worksheet(title[:31])
    bold = book.add_format({"bold": True, "text_wrap": True})
    wrapped = book.add_format({"text_wrap": True, "valign": "top"})
    for row_index, row in enumerate(table):
        for column, cell in enumerate(row):
            style = wrapped if row_index else bold
            if isinstance(cell, int):
                sheet.write_number(row_index, column, cell, style)
            else:
                sheet.write_string(row_index, column, cell, style)
    for column, width in enumerate((16, 28, 24, 10, 80)):
        sheet.set_column(column, column, width)
    book.close()
    return data.getvalue()


def safe_cell(cell: str | int) -> str | int:
    """Put an apostrophe before a text that a spreadsheet would take for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA) else cell
