"""A report's tables as csv files in one zip archive, for spreadsheet programs: UTF-8 with a mark.

Texts are quoted and cleaned as in a workbook, so that none is taken for a formula whatever separator a
program guesses; numbers stand bare. The same report gives the same bytes.
"""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from paper.archive import ZIP_TIME
from paper.document import ABSENT, DASH, Cell, Document, Figure, Head, Paragraph, Part, Table
from paper.text import cell_words

_NOT_IN_NAMES: Final = str.maketrans(dict.fromkeys('[]:*?/\\"<>|'))


def encode_csvs(document: Document) -> bytes:
    """Write every table of a report into a zip archive of csv files."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, rows in _files(document):
            entry = zipfile.ZipInfo(name, ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.external_attr = 0o644 << 16
            entry.create_system = 3
            archive.writestr(entry, encode_csv(rows))
    return target.getvalue()


def encode_csv(rows: Iterable[Sequence[str | int | float]]) -> bytes:
    """Write rows as csv, every text quoted."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\r\n")
    for row in rows:
        writer.writerow([cell_words(cell) if isinstance(cell, str) else cell for cell in row])
    return b"\xef\xbb\xbf" + out.getvalue().encode("utf-8")


def _files(document: Document) -> Iterator[tuple[str, Iterable[Sequence[str | int | float]]]]:
    for number, part in enumerate(document.parts):
        tables = [block for block in part.blocks if isinstance(block, Table)]
        stem = (part.name or part.title).translate(_NOT_IN_NAMES)
        for place, table in enumerate(tables, start=1):
            suffix = f" {place}" if len(tables) > 1 else ""
            yield f"{number:02d} {stem}{suffix}.csv", _rows(document.head, part, table)


def _rows(head: Head, part: Part, table: Table) -> Iterator[Sequence[str | int | float]]:
    """Yield the header, the rows, then what a reader must know, behind an empty row."""
    header: list[str] = []
    for column in table.columns:
        header += [column.name, f"{column.name} ±"] if column.kind == "figure" else [column.name]
    yield header
    for row in table.rows:
        cells: list[str | int | float] = []
        for column, cell in zip(table.columns, row, strict=True):
            cells += _cells(cell, head.withheld, is_figure=column.kind == "figure")
        yield cells
    yield ()
    yield (part.title, table.title)
    notes = [block.text for block in part.blocks if isinstance(block, Paragraph) and block.kind == "warning"]
    for text in (table.note, *notes, f"{head.mark} · {head.notice}", *head.footers):
        if text:
            yield (text,)


def _cells(cell: Cell, withheld: str, *, is_figure: bool) -> list[str | int | float]:
    if not is_figure:
        return [DASH if cell is ABSENT or isinstance(cell, Figure) else cell]
    if not isinstance(cell, Figure):
        return [DASH if cell is ABSENT else cell, ""]
    return [cell.display.text(withheld), ""] if cell.value is None else [cell.value, cell.margin]
