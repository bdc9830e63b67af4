"""The report as a PDF by typst (extra ``pdf``), A4, with the watermark, the mark and the page on every page.

What a roster or a person wrote reaches typst as data, never as markup. The same report gives the same bytes.
"""

from __future__ import annotations

import json
from typing import Any, Final

from node.errors import ConfigError
from node.errors import _ as N_  # translated where it is shown
from node.local_report.document import Cell, Document, Share, Table, cell_text, display_width, is_word

CHINESE_FONTS: Final = (
    *("Source Han Sans SC", "Noto Sans CJK SC", "Noto Sans SC", "Microsoft YaHei", "SimHei", "PingFang SC"),
    *("WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "SimSun", "Source Han Serif SC", "Noto Serif CJK SC"),
)
MIN_WIDTH, MAX_WIDTH = 6, 30
LATIN_FONT: Final = "Libertinus Serif"  # comes with typst

_TEMPLATE: Final = """
#let doc = json(bytes(sys.inputs.document))
#let ink = rgb("#1d2733")
#let soft = rgb("#5b6b7c")
#let accent = rgb("#1f5f8b")
#let red = rgb("#a02b2b")
#let line-colour = rgb("#d5dce4")
#set document(title: doc.title, date: none)
#set text(font: doc.fonts, size: 9.5pt, fill: ink, lang: doc.lang, region: doc.region)
#set par(leading: 0.62em)
#set page(
  paper: "a4",
  margin: (x: 15mm, top: 16mm, bottom: 18mm),
  background: place(center + horizon, stack(spacing: 52mm, ..range(4).map(_ => rotate(-24deg,
    text(size: 17pt, weight: "bold", fill: rgb(120, 30, 30, 22), doc.watermark))))),
  footer: context {
    set text(size: 7.5pt, fill: soft)
    line(length: 100%, stroke: 0.4pt + line-colour)
    v(-2mm)
    grid(columns: (auto, 1fr, auto), gutter: 4mm, doc.mark, doc.watermark,
      str(counter(page).get().first()) + " / " + str(counter(page).final().first()))
  },
)
#let heading-box(it) = block(above: 6mm, below: 3mm, sticky: true,
  grid(columns: (1.2mm, 1fr), gutter: 2mm, rect(width: 1.2mm, height: 4.4mm, fill: accent),
    text(size: 12pt, weight: "bold", it)))
#let bar(cell) = block(width: 100%, {
  place(left + horizon, dx: -1.2mm, rect(width: cell.part * 1% + 0.01mm, height: 3.6mm, fill: rgb("#cfe2f0")))
  align(right, cell.text)
})
#let show-cell(cell) = if cell.kind == "share" { bar(cell) } else if cell.kind == "small" {
  text(fill: soft, cell.text) } else { cell.text }
#let show-table(t) = block(width: 100%, above: 3mm, below: 4mm, {
  if t.title != "" { block(below: 1.6mm, sticky: true, text(weight: "bold", t.title)) }
  set text(size: 8.5pt)
  table(
    columns: t.widths.map(w => w * 1fr),
    align: (x, y) => if t.texts.at(x) { left + horizon } else { right + horizon },
    stroke: 0.4pt + line-colour,
    inset: (x: 1.8mm, y: 1.3mm),
    fill: (x, y) => if y == 0 { rgb("#eef2f6") } else if t.total and y == t.rows.len() { rgb("#f7f9fb") },
    table.header(..t.header.map(h => text(weight: "bold", h))),
    ..t.rows.flatten().map(show-cell),
  )
  if t.note != "" { text(size: 8pt, fill: soft, t.note) }
})

#grid(columns: (1fr, auto), gutter: 6mm,
  [#text(size: 18pt, weight: "bold", doc.title) \\ #v(0.5mm) #text(fill: soft, doc.subtitle)],
  box(stroke: 1pt + red, inset: (x: 3mm, y: 1.6mm), text(fill: red, weight: "bold", doc.mark)))
#v(-1mm)
#line(length: 100%, stroke: 1.6pt + accent)
#if doc.warning != "" {
  block(stroke: 1pt + red, inset: 2.5mm, width: 100%, text(fill: red, weight: "bold", doc.warning))
}
#grid(columns: (1fr,) * 4, gutter: 4mm, row-gutter: 2mm,
  ..doc.facts.map(f => [#text(size: 8pt, fill: soft, f.first()) \\ #f.last()]))
#if doc.figures.len() > 0 {
  v(1mm)
  grid(columns: (1fr,) * doc.figures.len(), gutter: 2.5mm,
    ..doc.figures.map(f => block(stroke: (top: 1.6pt + accent, rest: 0.4pt + line-colour), inset: 2mm,
      width: 100%, height: 17mm,
      [#text(size: 7.5pt, fill: soft, f.first()) #v(1fr) #text(size: 12.5pt, weight: "bold", f.last())])))
}
#for s in doc.sections {
  heading-box(s.title)
  if s.note != "" { text(fill: soft, s.note) }
  for t in s.tables { show-table(t) }
}
#if doc.sign.len() > 0 {
  block(breakable: false, above: 10mm, grid(columns: (1fr,) * doc.sign.len(), gutter: 6mm,
    ..doc.sign.map(name => [#name #v(7mm) #line(length: 100%, stroke: 0.6pt)])))
}
#v(3mm)
#line(length: 100%, stroke: 0.4pt + line-colour)
#set text(size: 8pt, fill: soft)
#for n in doc.notes { par(n) }
"""


def encode_pdf(document: Document) -> bytes:
    """Write the report as a PDF.

    Raises:
        ConfigError: typst is not installed, or no Chinese font is.
    """
    fonts = check_ready()
    import typst

    inputs = {"document": json.dumps(_values(document, fonts), ensure_ascii=False)}
    return bytes(typst.compile(_TEMPLATE.encode(), format="pdf", sys_inputs=inputs))


def check_ready() -> list[str]:
    """Check that a PDF can be written here, and name the fonts for it, the best first.

    Raises:
        ConfigError: typst is not installed, or no Chinese font is.
    """
    try:
        import typst
    except ModuleNotFoundError:
        raise ConfigError(
            N_("a PDF needs the package typst, which is not installed"),
            N_('Run: python -m pip install "typst>=0.14,<1" - or write an .html file and print it.'),
            code="no-typst",
        ) from None
    found = set(typst.Fonts().families())
    fonts = [name for name in CHINESE_FONTS if name in found]
    if not fonts:
        raise ConfigError(
            N_("this computer has no Chinese font that a PDF could use"),
            N_("Install one, such as Noto Sans CJK SC, or write an .html file and print it."),
            code="no-font",
        )
    return [*fonts, LATIN_FONT]


def _values(document: Document, fonts: list[str]) -> dict[str, Any]:
    language, _dash, region = document.language.partition("-")
    return {
        "fonts": fonts,
        "lang": language,
        "region": region or None,
        "title": document.title,
        "subtitle": document.subtitle,
        "mark": document.mark,
        "watermark": document.watermark,
        "warning": document.warning,
        "facts": [list(pair) for pair in document.facts],
        "figures": [list(pair) for pair in document.figures],
        "sections": [
            {"title": item.title, "note": item.note, "tables": [_table(table) for table in item.tables]}
            for item in document.sections
        ],
        "sign": list(document.sign),
        "notes": [*document.notes, *document.footers],
    }


def _table(table: Table) -> dict[str, Any]:
    texts = [
        at < table.num_heads or any(is_word(row[at]) for row in table.rows) for at in range(len(table.header))
    ]
    return {
        "title": table.title,
        "header": list(table.header),
        "rows": [[_cell(cell) for cell in row] for row in table.rows],
        "texts": texts,
        "widths": [_width(at, table) for at in range(len(table.header))],
        "total": table.has_total,
        "note": table.note,
    }


def _width(at: int, table: Table) -> int:
    """Give a column's share of the page by its longest cell; headers may wrap."""
    cells = max((display_width(cell_text(row[at])) for row in table.rows), default=0)
    return min(max(cells + 2, display_width(table.header[at]) // 2 + 1, MIN_WIDTH), MAX_WIDTH)


def _cell(cell: Cell) -> dict[str, Any]:
    if isinstance(cell, Share):
        return {"kind": "share", "text": cell.text, "part": round(100 * min(cell.value, 1.0), 2)}
    return {"kind": "small" if cell is None else "text", "text": cell_text(cell)}
