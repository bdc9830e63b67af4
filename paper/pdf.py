"""A report as a PDF by typst (extra ``pdf``), A4, with the release class and the page on every page.

What people wrote reaches typst as data, never as markup; charts are the SVG of every other form. The same
report gives the same bytes on one computer; fonts are that computer's.
"""

from __future__ import annotations

import json
from typing import Any, Final

from paper.document import (
    Block,
    Cell,
    Column,
    Document,
    Drawing,
    Figure,
    Paragraph,
    Table,
    cell_text,
)
from paper.drawing_svg import svg_of
from paper.errors import PaperError
from paper.text import clean, display_width
from plan.errors import phrase

CHINESE_FONTS: Final = (
    *("Source Han Sans SC", "Noto Sans CJK SC", "Noto Sans SC", "Microsoft YaHei", "SimHei", "PingFang SC"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "SimSun", "Source Han Serif SC", "Noto Serif CJK SC"),
)
LATIN_FONT: Final = "Libertinus Serif"  # comes with typst
WORD_CHARS: Final = 64
_BREAK: Final = "\u200b"  # a place where a line may end, without a hyphen
MIN_WIDTH, MAX_WIDTH, MAX_TEXT_WIDTH = 7, 40, 90
PNG_DPI: Final = 200

_TEMPLATE: Final = """
#let doc = json(bytes(sys.inputs.document))
#let ink = rgb("#1d2733")
#let soft = rgb("#52616f")
#let red = rgb("#a02b2b")
#let line-colour = rgb("#c9d2db")
#set document(title: doc.title, date: none)
#set text(font: doc.fonts, size: 10.5pt, fill: ink, lang: doc.lang, region: doc.region)
#set par(leading: 0.85em, spacing: 0.95em)
#set page(
  paper: "a4",
  margin: (x: 22mm, top: 22mm, bottom: 20mm),
  header: text(size: 8pt, fill: soft, grid(columns: (1fr, auto), doc.place, text(fill: red, doc.mark))),
  footer: context {
    set text(size: 8pt, fill: soft)
    line(length: 100%, stroke: 0.4pt + line-colour)
    v(-2mm)
    grid(columns: (auto, 1fr, auto), gutter: 4mm, doc.mark, doc.notice,
      str(counter(page).get().first()) + " / " + str(counter(page).final().first()))
  },
)
#let show-table(t) = block(width: 100%, above: 4mm, below: 4mm, breakable: not t.whole, {
  if t.title != "" { block(below: 2mm, sticky: true, text(size: 9.5pt, weight: "bold", t.title)) }
  set text(size: 8.5pt)
  set par(leading: 0.55em, first-line-indent: 0pt)
  table(
    columns: t.widths.map(w => w * 1fr),
    align: (x, y) => if y == 0 { center + horizon } else if t.words.at(x) { left + horizon } else {
      right + horizon },
    stroke: 0.4pt + line-colour,
    inset: (x: 1.6mm, y: 1.3mm),
    fill: (x, y) => if y == 0 { rgb("#eef2f6") },
    table.header(..t.header.map(h => text(weight: "bold", h))),
    ..t.rows.flatten(),
  )
  if t.note != "" { text(size: 8pt, fill: soft, t.note) }
})
#let show-block(b) = if b.kind == "table" { show-table(b) } else if b.kind == "drawing" {
  block(breakable: false, above: 4mm, below: 4mm,
    align(center, image(bytes(b.svg), format: "svg", width: 100%, alt: b.alt)))
} else if b.kind == "note" { par(text(size: 8.5pt, fill: soft, b.text)) } else if b.kind == "warning" {
  block(stroke: 0.8pt + red, inset: 2.5mm, width: 100%, text(fill: red, weight: "bold", b.text))
} else if b.kind == "code" {
  block(fill: rgb("#eef2f6"), inset: (x: 1.5mm, y: 0.8mm), width: 100%, above: 1mm, below: 1mm,
    text(font: "DejaVu Sans Mono", size: 7.6pt, b.text))
} else if b.kind == "item" { list(indent: 4mm, b.text) } else {
  par(first-line-indent: (amount: doc.indent * 1em, all: true), b.text)
}

#grid(columns: (1fr, auto), text(fill: red, weight: "bold", doc.mark), text(fill: red, doc.notice))
#v(4mm)
#align(center, text(size: 17pt, weight: "bold", doc.title))
#v(-2mm)
#align(center, text(fill: soft, doc.subtitle))
#block(width: 100%, fill: rgb("#eef2f6"), inset: 3mm, {
  set par(leading: 0.55em)
  grid(columns: (1fr,) * 3, gutter: 4mm, row-gutter: 3mm,
    ..doc.facts.map(f => {
      let style = if f.last() { (fill: red, weight: "bold") } else { (:) }
      [#text(size: 8pt, fill: soft, f.first()) \\ #text(size: 9.5pt, ..style, f.at(1))]
    }))
})
#let chapter(p) = {
  block(above: 7mm, below: 3.5mm, sticky: true, text(size: 12.5pt, weight: "bold", p.title))
  for (at, b) in p.blocks.enumerate() {
    // lines for a machine stay with one another and with the words before them
    let is-bound = p.blocks.at(at + 1, default: (kind: "")).kind == "code"
    if is-bound and b.kind in ("code", "note", "body") {
      let gap = if b.kind == "code" { 1mm } else { 0.95em }
      block(width: 100%, sticky: true, above: gap, below: gap, show-block(b))
    } else { show-block(b) }
  }
}
#for p in doc.parts.filter(p => not p.annex) { chapter(p) }
#block(breakable: false, above: 12mm, grid(columns: (1fr,) * doc.sign.len(), gutter: 6mm,
  ..doc.sign.map(name => [#name #v(7mm) #line(length: 100%, stroke: 0.6pt)])))
#let annexes = doc.parts.filter(p => p.annex)
#if annexes.len() > 0 {
  v(6mm)
  line(length: 100%, stroke: 0.4pt + line-colour)
  set text(size: 9.5pt)
  for p in annexes { chapter(p) }
}
#v(3mm)
#line(length: 100%, stroke: 0.4pt + line-colour)
#set text(size: 8.5pt, fill: soft)
#for n in doc.footers { par(n) }
"""
_PICTURE: Final = """
#set page(width: auto, height: auto, margin: 2mm, fill: white)
#set text(font: json(bytes(sys.inputs.fonts)))
#image(bytes(sys.inputs.svg), format: "svg", width: 165mm)
"""


def encode_pdf(document: Document) -> bytes:
    """Write a report as a PDF.

    Raises:
        PaperError: typst is not installed, or no Chinese font is.
    """
    fonts = check_ready()
    import typst

    inputs = {"document": json.dumps(_values(document, fonts), ensure_ascii=False)}
    return bytes(typst.compile(_TEMPLATE.encode(), format="pdf", sys_inputs=inputs))


def encode_png(svg: str) -> bytes:
    """Draw an SVG chart as a picture, for forms that take no SVG.

    Raises:
        PaperError: as `encode_pdf`.
    """
    fonts = check_ready()
    import typst

    inputs = {"svg": svg, "fonts": json.dumps([*fonts, LATIN_FONT])}
    return bytes(typst.compile(_PICTURE.encode(), format="png", sys_inputs=inputs, ppi=PNG_DPI))


def check_ready() -> list[str]:
    """Check that typst can write here, and name the fonts for it, the best first.

    Raises:
        PaperError: typst is not installed, or no Chinese font is.
    """
    try:
        import typst
    except ModuleNotFoundError:
        raise PaperError(
            phrase(
                "a PDF needs the extra 'pdf' (typst), which is not installed; install fedscreen[pdf], "
                "or write html and print it"
            )
        ) from None
    found = set(typst.Fonts().families())
    fonts: list[str] = [name for name in CHINESE_FONTS if name in found]
    if not fonts:
        raise PaperError(
            phrase(
                "this computer has no Chinese font for a PDF; install one, such as Noto Sans CJK SC, "
                "or write html and print it"
            )
        )
    return fonts


def _values(document: Document, fonts: list[str]) -> dict[str, Any]:
    head = document.head
    language, _dash, region = head.language.partition("-")
    return {
        "fonts": [*fonts, LATIN_FONT] if language == "zh" else [LATIN_FONT, *fonts],
        "lang": language,
        "region": region or None,
        "indent": 2 if language == "zh" else 0,
        "title": clean(head.title),
        "subtitle": clean(head.subtitle),
        "place": clean(head.place),
        "mark": clean(head.mark),
        "notice": head.notice,
        "facts": [[clean(name), clean(value), name in head.alarms] for name, value in head.facts],
        "parts": [
            {
                "title": clean(part.title),
                "annex": part.is_annex,
                "blocks": [_block(block, head.withheld) for block in part.blocks],
            }
            for part in document.parts
        ],
        "sign": list(head.sign),
        "footers": [head.notice, *head.footers],
    }


def _block(block: Block, withheld: str) -> dict[str, Any]:
    if isinstance(block, Paragraph):
        text = clean(block.text)
        return {"kind": block.kind, "text": _breakable(text) if block.kind == "code" else text}
    if isinstance(block, Drawing):
        return {"kind": "drawing", "svg": svg_of(block, withheld), "alt": clean(block.title)}
    return _table(block, withheld)


def _breakable(line: str) -> str:
    """Let a long word of a line for a machine go on in the next: typst breaks words at blanks only."""
    return " ".join(
        _BREAK.join(word[at : at + WORD_CHARS] for at in range(0, len(word), WORD_CHARS)) if word else ""
        for word in line.split(" ")
    )


def _table(table: Table, withheld: str) -> dict[str, Any]:
    rows = [[clean(cell_text(cell, withheld)) for cell in row] for row in table.rows]
    return {
        "kind": "table",
        "title": clean(table.title),
        "header": [clean(column.name) for column in table.columns],
        "rows": rows,
        "words": [_is_words(column, place, table) for place, column in enumerate(table.columns)],
        "widths": [
            column_share(column, [row[place] for row in rows]) for place, column in enumerate(table.columns)
        ],
        "note": clean(table.note),
        "whole": table.is_whole,
    }


def _is_words(column: Column, place: int, table: Table) -> bool:
    if column.kind == "text":
        return True
    return column.kind == "name" and not any(_is_number(row[place]) for row in table.rows)


def _is_number(cell: Cell) -> bool:
    return isinstance(cell, int | float | Figure)


def column_share(column: Column, cells: list[str]) -> int:
    """Give a column's share of the page: its own, or by its longest printed cell; headers may wrap."""
    if column.share:
        return column.share
    longest = max(map(display_width, cells), default=0)
    most = MAX_TEXT_WIDTH if column.kind == "text" else MAX_WIDTH
    return min(max(longest + 2, display_width(clean(column.name)) // 2 + 2, MIN_WIDTH), most)
