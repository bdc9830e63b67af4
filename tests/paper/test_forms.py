"""Lines for a machine, tables that stand on one page, columns with widths of their own: in every form."""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import zipfile
from datetime import date

import pytest

from paper.document import Block, Column, Document, Head, Paragraph, Part, Table
from paper.docx import encode_docx
from paper.html import encode_html
from paper.pdf import column_share, encode_pdf
from paper.text import clean

LINE = "fedscreen auditor verify BUNDLE --policy " + "a" * 150
HEAD = Head("题目", "", "place", "内部", "notice", (), ("签字",), (), date(2026, 1, 2), "zh-CN", "—")


def document(*blocks: Block) -> Document:
    return Document(HEAD, (Part("一、章", blocks),))


def small_table(*, is_whole: bool) -> Table:
    columns = (Column("要求", "text", 30), Column("证据", "text", 70))
    return Table("", columns, (("甲", "乙"), ("丙", "丁"), ("戊", "己")), is_whole=is_whole)


def word_of(*blocks: Block) -> str:
    pytest.importorskip("docx")
    with zipfile.ZipFile(io.BytesIO(encode_docx(document(*blocks)))) as archive:
        return archive.read("word/document.xml").decode()


def test_a_line_for_a_machine_stays_as_it_is_and_has_a_font_of_its_own() -> None:
    page = encode_html(document(Paragraph(LINE, "code"))).decode()
    assert f'<p class="code">{LINE}</p>' in page
    assert "monospace" in page
    assert "monospace" not in encode_html(document(Paragraph(LINE))).decode()
    xml = word_of(Paragraph(LINE, "code"))
    assert LINE in xml
    assert "Courier New" in xml


def test_a_long_word_of_such_a_line_goes_on_in_the_next_and_not_over_the_edge() -> None:
    pytest.importorskip("typst")
    if shutil.which("pdftotext") is None:
        pytest.skip("pdftotext is not installed")
    data = encode_pdf(document(Paragraph(LINE, "code")))
    done = subprocess.run(["pdftotext", "-bbox", "-", "-"], input=data, capture_output=True, check=True)
    ends = [float(found) for found in re.findall(r'<word [^>]*xMax="([0-9.]+)"', done.stdout.decode())]
    assert len(ends) > 5
    assert max(ends) < 595 - 60  # points: A4 without its margin


def test_a_table_that_is_whole_is_kept_on_one_page() -> None:
    whole, split = small_table(is_whole=True), small_table(is_whole=False)
    assert "break-inside:avoid" in encode_html(document(whole)).decode().split("</style>")[1]
    assert "break-inside:avoid" not in encode_html(document(split)).decode().split("</style>")[1]
    assert word_of(whole).count("<w:keepNext/>") == word_of(split).count("<w:keepNext/>") + 6


def test_a_column_may_have_a_share_of_its_own() -> None:
    assert column_share(Column("a", "text", 30), ["x" * 80]) == 30
    assert column_share(Column("a", "text"), ["x" * 80]) == 82
    page = encode_html(document(small_table(is_whole=True))).decode()
    assert '<col style="width:30.0%"><col style="width:70.0%">' in page


def test_what_people_wrote_is_no_markup_in_a_line_for_a_machine() -> None:
    page = encode_html(document(Paragraph("<b>x</b>\u202e", "code"))).decode()
    assert "<b>x" not in page
    assert clean("a\u202eb") == "ab"


def test_what_follows_a_table_stands_off_from_it_in_a_word_document() -> None:
    one, two = Paragraph("前"), Paragraph("后")
    assert "w:before=" not in word_of(one, two).partition("前")[2].partition("后")[0]
    behind = word_of(one, small_table(is_whole=False), two).partition("</w:tbl>")[2]
    assert 'w:before="160"' in behind.partition("后")[0].rpartition("<w:p>")[2]
