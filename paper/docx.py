"""A report as a Word document by python-docx (extra ``docx``): A4, the release class on every page.

Charts are pictures where typst (extra ``pdf``) can draw them, with their description as the alternative text;
without it their numbers stand in a table. The same report gives the same bytes: constant times in the archive
and in the document's properties.
"""

from __future__ import annotations

import io
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from paper.archive import constant_archive
from paper.document import (
    Block,
    Column,
    Document,
    Drawing,
    Head,
    Paragraph,
    Part,
    Table,
    cell_text,
)
from paper.drawing_svg import svg_of
from paper.errors import PaperError
from paper.pdf import column_share, encode_png
from paper.text import clean
from plan.errors import phrase

if TYPE_CHECKING:
    from docx.document import Document as Word

BODY_FONT, HEAD_FONT, LATIN = "SimSun", "SimHei", "Times New Roman"
MONO: Final = "Courier New"
BODY_POINTS, SMALL_POINTS, TABLE_POINTS, CODE_POINTS = 11, 9, 9, 8
ROOM_POINTS: Final = 8  # between a table and what follows it
PICTURE_MM: Final = 165
_INK, _RED, _SOFT = "1D2733", "A02B2B", "52616F"


def encode_docx(document: Document) -> bytes:
    """Write a report as a docx document.

    Raises:
        PaperError: python-docx is not installed.
    """
    check_ready()
    writer = _Writer(document.head)
    writer.write(document)
    return constant_archive(writer.bytes())


def check_ready() -> None:
    """Check that python-docx is installed.

    Raises:
        PaperError: it is not.
    """
    try:
        import docx  # noqa: F401 - only whether it is there
    except ModuleNotFoundError:
        raise PaperError(
            phrase(
                "a Word document needs the extra 'docx' (python-docx), which is not installed; install "
                "fedscreen[docx], or write html"
            )
        ) from None


class _Writer:
    """One document in the making."""

    def __init__(self, head: Head) -> None:
        import docx

        self._head = head
        self._word: Word = docx.Document()
        self._num_pictures = 0
        self._follows_table = False
        self._properties()
        self._styles()
        self._page()

    def bytes(self) -> bytes:
        """Give the document as python-docx writes it."""
        target = io.BytesIO()
        self._word.save(target)
        return target.getvalue()

    def write(self, document: Document) -> None:
        """Write the heading, the chapters, the lines to sign, the annexes, the standing sentences."""
        head = self._head
        self._line(f"{head.mark} · {head.notice}", colour=_RED, bold=True, points=10)
        self._line(head.title, centred=True, bold=True, points=18, font=HEAD_FONT)
        self._line(head.subtitle, centred=True, colour=_SOFT)
        self._facts()
        for part in document.parts:
            if not part.is_annex:
                self._part(part)
        self._sign()
        for part in document.parts:
            if part.is_annex:
                self._part(part)
        for text in (head.notice, *head.footers):
            self._line(text, colour=_SOFT, points=SMALL_POINTS)

    def _properties(self) -> None:
        head, core = self._head, self._word.core_properties
        day = datetime(head.day.year, head.day.month, head.day.day)
        core.title, core.author = clean(head.title, 200), clean(head.place, 100)
        core.comments, core.language = clean(f"{head.mark} · {head.notice}", 200), head.language
        core.last_modified_by, core.revision = "", 1
        core.created = core.modified = day

    def _styles(self) -> None:
        from docx.shared import Pt, RGBColor

        style = self._word.styles["Normal"]
        style.font.name, style.font.size = LATIN, Pt(BODY_POINTS)
        _east_asian(style.element, BODY_FONT)
        style.paragraph_format.space_after = Pt(4)
        style.paragraph_format.line_spacing = 1.4
        for name, points in (("Heading 1", 14), ("Heading 2", 12)):
            heading = self._word.styles[name]
            heading.font.name, heading.font.size = LATIN, Pt(points)
            heading.font.color.rgb = RGBColor.from_string(_INK)
            _east_asian(heading.element, HEAD_FONT)

    def _page(self) -> None:
        from docx.shared import Mm

        head, section = self._head, self._word.sections[0]
        section.page_width, section.page_height = Mm(210), Mm(297)
        section.left_margin = section.right_margin = Mm(22)
        section.top_margin, section.bottom_margin = Mm(24), Mm(20)
        above, below = section.header.paragraphs[0], section.footer.paragraphs[0]
        self._run(above, f"{head.mark} · {head.place}", colour=_RED, points=SMALL_POINTS)
        self._run(below, f"{head.mark} · {head.notice} · ", colour=_SOFT, points=SMALL_POINTS)
        _page_number(below)

    def _facts(self) -> None:
        head = self._head
        rows = [head.facts[at : at + 2] for at in range(0, len(head.facts), 2)]
        table = self._word.add_table(rows=0, cols=4, style="Table Grid")
        for row in rows:
            cells = table.add_row().cells
            for at, (name, value) in enumerate(row):
                self._fill(cells[2 * at], name, colour=_SOFT)
                is_alarm = name in head.alarms
                self._fill(cells[2 * at + 1], value, colour=_RED if is_alarm else "", bold=is_alarm)
        self._word.add_paragraph()

    def _part(self, part: Part) -> None:
        self._word.add_heading(clean(part.title), 2 if part.is_annex else 1)
        for block, follower in zip(part.blocks, (*part.blocks[1:], None), strict=True):
            self._block(block)
            if isinstance(block, Paragraph) and isinstance(follower, Paragraph) and follower.kind == "code":
                self._word.paragraphs[-1].paragraph_format.keep_with_next = True

    def _block(self, block: Block) -> None:
        if isinstance(block, Table):
            self._table(block)
        elif isinstance(block, Drawing):
            self._drawing(block)
        elif block.kind == "code":
            self._code(block.text)
        elif block.kind == "item":
            self._paragraph("List Bullet").add_run(clean(block.text))
        elif block.kind == "body":
            from docx.shared import Pt

            indent = Pt(2 * BODY_POINTS) if self._head.language.startswith("zh") else Pt(0)
            paragraph = self._paragraph()
            paragraph.add_run(clean(block.text))
            paragraph.paragraph_format.first_line_indent = indent
        else:
            is_warning = block.kind == "warning"
            colour, points = (_RED, BODY_POINTS) if is_warning else (_SOFT, SMALL_POINTS)
            self._line(block.text, colour=colour, points=points, bold=is_warning)

    def _table(self, table: Table) -> None:
        if table.title:
            self._line(table.title, bold=True, points=10, keeps=True)
        grid = self._word.add_table(rows=1, cols=len(table.columns), style="Table Grid")
        for cell, column in zip(grid.rows[0].cells, table.columns, strict=True):
            self._fill(cell, column.name, bold=True, align="centre")
        _repeat_header(grid.rows[0])
        for row in table.rows:
            cells = grid.add_row().cells
            for at, (value, column) in enumerate(zip(row, table.columns, strict=True)):
                is_left = column.kind == "text" or (column.kind == "name" and isinstance(value, str))
                words = cell_text(value, self._head.withheld)
                self._fill(cells[at], words, align="left" if is_left else "right")
        self._set_widths(grid, table)
        if table.is_whole:
            _keep_together(grid)
        self._follows_table = True
        if table.note:
            self._line(table.note, colour=_SOFT, points=SMALL_POINTS)

    def _set_widths(self, grid: Any, table: Table) -> None:
        """Share the page among the columns by their longest cells."""
        from docx.shared import Mm

        grid.autofit = False
        withheld = self._head.withheld
        cells = [[clean(cell_text(cell, withheld)) for cell in row] for row in table.rows]
        shares = [column_share(column, [row[at] for row in cells]) for at, column in enumerate(table.columns)]
        for column, share in zip(grid.columns, shares, strict=True):
            width = Mm(PICTURE_MM * share / sum(shares))
            column.width = width
            for cell in column.cells:
                cell.width = width

    def _drawing(self, drawing: Drawing) -> None:
        svg = svg_of(drawing, self._head.withheld)
        try:
            picture = encode_png(svg)
        except PaperError:
            self._table(_as_table(drawing, self._head.withheld))
            return
        from docx.shared import Mm

        shape = self._word.add_picture(io.BytesIO(picture), width=Mm(PICTURE_MM))
        self._num_pictures += 1
        properties = shape._inline.docPr
        properties.set("name", f"chart {self._num_pictures}")
        properties.set("title", clean(drawing.title, 200))
        properties.set(
            "descr", clean(svg.partition("<desc")[2].partition(">")[2].partition("</desc>")[0], 1500)
        )

    def _sign(self) -> None:
        from docx.shared import Pt

        table = self._word.add_table(rows=1, cols=len(self._head.sign))
        for cell, name in zip(table.rows[0].cells, self._head.sign, strict=True):
            self._fill(cell, f"{name}:", points=10)
            cell.paragraphs[0].paragraph_format.space_before = Pt(ROOM_POINTS)
            cell.paragraphs[0].paragraph_format.space_after = Pt(3 * ROOM_POINTS)

    def _paragraph(self, style: str | None = None) -> Any:
        """Add a paragraph; one behind a table stands off from it."""
        from docx.shared import Pt

        paragraph = self._word.add_paragraph(style=style)
        if self._follows_table:
            paragraph.paragraph_format.space_before = Pt(ROOM_POINTS)
        self._follows_table = False
        return paragraph

    def _line(
        self,
        text: str,
        *,
        colour: str = "",
        bold: bool = False,
        points: float = BODY_POINTS,
        centred: bool = False,
        font: str = "",
        keeps: bool = False,
    ) -> None:
        from docx.enum.text import WD_ALIGN_PARAGRAPH

        paragraph = self._paragraph()
        if centred:
            paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER
        paragraph.paragraph_format.keep_with_next = keeps
        self._run(paragraph, text, colour=colour, bold=bold, points=points, font=font)

    def _code(self, line: str) -> None:
        from docx.shared import Mm, Pt

        paragraph = self._paragraph()
        paragraph.paragraph_format.left_indent = Mm(6)
        paragraph.paragraph_format.space_after = Pt(1)
        paragraph.paragraph_format.line_spacing = 1.1
        self._run(paragraph, line, points=CODE_POINTS)
        paragraph.runs[0].font.name = MONO

    def _fill(
        self,
        cell: Any,
        text: str,
        *,
        colour: str = "",
        bold: bool = False,
        points: float = TABLE_POINTS,
        align: str = "left",
    ) -> None:
        from docx.enum.text import WD_ALIGN_PARAGRAPH
        from docx.shared import Pt

        paragraph = cell.paragraphs[0]
        sides = {"left": WD_ALIGN_PARAGRAPH.LEFT, "right": WD_ALIGN_PARAGRAPH.RIGHT}
        paragraph.alignment = sides.get(align, WD_ALIGN_PARAGRAPH.CENTER)
        paragraph.paragraph_format.space_after = Pt(1)
        paragraph.paragraph_format.line_spacing = 1.1
        self._run(paragraph, text, colour=colour, bold=bold, points=points)

    def _run(
        self,
        paragraph: Any,
        text: str,
        *,
        colour: str = "",
        bold: bool = False,
        points: float,
        font: str = "",
    ) -> None:
        from docx.shared import Pt, RGBColor

        run = paragraph.add_run(clean(text))
        run.bold, run.font.size = bold, Pt(points)
        if colour:
            run.font.color.rgb = RGBColor.from_string(colour)
        if font:
            _east_asian(run._element, font)


def _east_asian(element: Any, font: str) -> None:
    from docx.oxml.ns import qn

    fonts = element.get_or_add_rPr().get_or_add_rFonts()
    fonts.set(qn("w:eastAsia"), font)


def _repeat_header(row: Any) -> None:
    """Repeat a table's first row on every page."""
    from docx.oxml import OxmlElement

    row._tr.get_or_add_trPr().append(OxmlElement("w:tblHeader"))


def _keep_together(grid: Any) -> None:
    """Keep the rows of a table on one page."""
    for row in grid.rows[:-1]:
        for cell in row.cells:
            cell.paragraphs[0].paragraph_format.keep_with_next = True


def _page_number(paragraph: Any) -> None:
    """Write the number of the page as a field."""
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    field = OxmlElement("w:fldSimple")
    field.set(qn("w:instr"), "PAGE")
    paragraph._p.append(field)


def _as_table(drawing: Drawing, withheld: str) -> Table:
    """Give a drawing's numbers as a table, where no picture can be made."""
    columns = (Column("", "name"), *(Column(line.name, "text") for line in drawing.lines))
    rows = tuple(
        (name, *(line.values[at].words if line.values[at] else withheld for line in drawing.lines))  # type: ignore[union-attr]
        for at, name in enumerate(drawing.categories)
    )
    return Table(f"{drawing.title} ({drawing.unit})", columns, rows, drawing.note)
