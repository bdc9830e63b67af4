"""The problems of an import as a file that a teacher can work through: html, csv or xlsx, by its ending.

It names rows, columns, reasons and what to do, and no pupil: whoever mends the school's file looks the row
up there. Nothing is written unless the person names a file.
"""

from __future__ import annotations

import csv
import html
import io
import zipfile
from collections.abc import Callable, Mapping, Sequence
from gettext import gettext as _
from pathlib import Path
from typing import Any, Final

from node.cli_text import issue_words
from node.errors import ConfigError
from node.errors import _ as N_  # translated where it is shown

Rows = Sequence[Sequence[str | int]]

_STYLE: Final = (
    "body{font:16px/1.5 sans-serif;margin:2em;max-width:70em}table{border-collapse:collapse}"
    "td,th{border:1px solid #999;padding:.3em .6em;text-align:left;vertical-align:top}"
    ".error{background:#fdecea}.warning{background:#fff8e1}@media print{body{margin:0}}"
)
_SPACE: Final = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_PACKAGE: Final = "http://schemas.openxmlformats.org/package/2006"
_XML: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'


def verify_ending(path: Path) -> None:
    """Refuse a report's name before anything is done for it.

    Raises:
        ConfigError: another ending than .html, .csv or .xlsx.
    """
    if path.suffix.lower() not in _WRITERS:
        raise ConfigError(
            N_("%(file)s: a report is an .html, .csv or .xlsx file"),
            N_("Choose another file with --report."),
            code="file",
            details={"file": str(path)},
        )


def encode_report(answer: Mapping[str, Any], path: Path) -> bytes:
    """Write an import's answer as the file that a person asked for.

    Args:
        answer: of the vault.
        path: only its ending counts.

    Raises:
        ConfigError: another ending than .html, .csv or .xlsx.
    """
    verify_ending(path)
    return _WRITERS[path.suffix.lower()](answer)


def report_rows(answer: Mapping[str, Any]) -> list[list[str | int]]:
    """Give the table of a report: its header, then a row for each problem."""
    header: list[str | int] = [
        *(_("Kind"), _("File"), _("Sheet"), _("Row"), _("Column"), _("Header"), _("Reason"), _("What to do")),
    ]
    rows = [header]
    for issue in answer["issues"]:
        words = issue_words(issue)
        rows.append(
            [
                *(words["kind"], words["file"], issue["sheet"] or "", issue["row"] or "", issue["column"]),
                *(issue["header"], words["text"], words["advice"]),
            ]
        )
    return rows


def _summary(answer: Mapping[str, Any]) -> str:
    if answer["refused"]:
        return _("Nothing was imported; correct the files and import again.")
    return _("Nothing was stored: a dry run.") if answer["dry_run"] else _("The files were imported.")


def _encode_csv(answer: Mapping[str, Any]) -> bytes:
    target = io.StringIO(newline="")
    csv.writer(target).writerows(report_rows(answer))
    return target.getvalue().encode("utf-8-sig")  # with a mark, or a spreadsheet program takes it for GBK


def _encode_html(answer: Mapping[str, Any]) -> bytes:
    rows = report_rows(answer)
    title = _("Import: what is to be mended")
    head = "".join(f"<th>{html.escape(str(cell))}</th>" for cell in rows[0])
    body = "".join(
        f'<tr class="{issue["severity"]}">'
        + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row)
        + "</tr>\n"
        for issue, row in zip(answer["issues"], rows[1:], strict=True)
    )
    wave = html.escape(f"{answer['school_year']} {answer['wave']} {answer['census_date']}")
    page = (
        f'<!doctype html>\n<html><head><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f"<style>{_STYLE}</style></head>\n<body><h1>{html.escape(title)}</h1>\n<p>{wave}</p>"
        f"<p>{html.escape(_summary(answer))}</p>\n<table><tr>{head}</tr>\n{body}</table></body></html>\n"
    )
    return page.encode("utf-8")


def _encode_xlsx(answer: Mapping[str, Any]) -> bytes:
    """Write the smallest workbook that spreadsheet programs open: one sheet of inline texts."""
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{_PACKAGE}/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        '<Override PartName="/xl/workbook.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet.main+xml"/>'
        '<Override PartName="/xl/worksheets/sheet1.xml" ContentType='
        '"application/vnd.openxmlformats-officedocument.spreadsheetml.worksheet+xml"/></Types>',
        "_rels/.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship Id="r1" '
        f'Type="{_RELATIONS}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{_PACKAGE}/relationships"><Relationship '
        f'Id="r1" Type="{_RELATIONS}/worksheet" Target="worksheets/sheet1.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook xmlns="{_SPACE}" xmlns:r="{_RELATIONS}"><sheets>'
        '<sheet name="1" sheetId="1" r:id="r1"/></sheets></workbook>',
        "xl/worksheets/sheet1.xml": f'<worksheet xmlns="{_SPACE}"><sheetData>'
        + "".join(map(_sheet_row, report_rows(answer)))
        + "</sheetData></worksheet>",
    }
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in parts.items():
            archive.writestr(zipfile.ZipInfo(name), _XML + text)
    return target.getvalue()


def _sheet_row(row: Sequence[str | int]) -> str:
    return "<row>" + "".join(map(_sheet_cell, row)) + "</row>"


def _sheet_cell(cell: str | int) -> str:
    if isinstance(cell, int):
        return f"<c><v>{cell}</v></c>"
    return f'<c t="inlineStr"><is><t xml:space="preserve">{html.escape(cell)}</t></is></c>'


_WRITERS: Final[Mapping[str, Callable[[Mapping[str, Any]], bytes]]] = {
    ".html": _encode_html,
    ".htm": _encode_html,
    ".csv": _encode_csv,
    ".xlsx": _encode_xlsx,
}
