"""A report as one page: charts are inline, nothing outside is loaded, nothing runs; it prints on A4."""

from __future__ import annotations

from html import escape
from typing import Final

from paper.document import (
    Block,
    Cell,
    Column,
    Document,
    Drawing,
    Figure,
    Head,
    Paragraph,
    Part,
    Table,
    cell_text,
)
from paper.drawing_svg import svg_of
from paper.text import clean

_STYLE: Final = """
:root{--ink:#1d2733;--soft:#52616f;--line:#c9d2db;--head:#eef2f6;--accent:#1f5f8b;--red:#a02b2b}
*{box-sizing:border-box}
body{margin:0;background:#f4f6f8;color:var(--ink);
font:16px/1.75 "Source Han Serif SC","Noto Serif CJK SC","SimSun","Source Han Sans SC","Noto Sans CJK SC",
"Microsoft YaHei","PingFang SC","WenQuanYi Micro Hei",serif}
.sheet{max-width:54rem;margin:1.5rem auto;padding:2.4rem 3rem;background:#fff;border:1px solid var(--line)}
.top{display:flex;justify-content:space-between;color:var(--red);font-weight:600;font-size:.92rem;gap:1rem}
h1{font-size:1.6rem;line-height:1.4;text-align:center;text-wrap:balance;margin:1rem 0 .3rem}
.subtitle{text-align:center;color:var(--soft);margin:0 0 1rem}
h2{font-size:1.2rem;margin:1.8rem 0 .4rem;break-after:avoid}
dl.facts{display:grid;grid-template-columns:repeat(3,1fr);gap:.3rem 1.4rem;margin:1rem 0;padding:.8rem 1rem;
background:var(--head)}
dl.facts dt{color:var(--soft);font-size:.82rem}dl.facts dd{margin:0;overflow-wrap:anywhere;line-height:1.4}
p{margin:.35rem 0}p.body{text-indent:2em}html:lang(en) p.body{text-indent:0}
.note{font-size:.85rem;color:var(--soft);line-height:1.5}
.warning{border:2px solid var(--red);color:var(--red);padding:.4rem .8rem;font-weight:600}
ul{margin:.3rem 0;padding-left:2.4em}
figure{margin:1rem 0 1.2rem;overflow-x:auto;break-inside:avoid}figure.table{break-inside:auto}
figure svg{max-width:100%;height:auto;display:block;margin:0 auto}
figcaption{font-weight:600;margin-bottom:.3rem;break-after:avoid;font-size:.95rem}
table.data{border-collapse:collapse;width:100%;font-size:.86rem;line-height:1.4;
font-variant-numeric:tabular-nums}
table.data th,table.data td{border:1px solid var(--line);padding:.28rem .55rem;text-align:right;
vertical-align:middle}
table.data thead th{background:var(--head);font-weight:600;text-align:center}
table.data tbody th,table.data td.text{text-align:left;font-weight:400;overflow-wrap:anywhere}
table.data td.small{color:var(--soft);text-align:center}
.annex h2{font-size:1.05rem}.annex{font-size:.92rem}.annexes{border-top:2px solid var(--line);margin-top:2rem}
.sign{display:grid;grid-template-columns:repeat(3,1fr);gap:1.5rem;margin:2rem 0 .5rem;break-inside:avoid}
.sign div{border-bottom:1px solid var(--ink);padding-bottom:1.4rem;font-size:.9rem}
.footers{margin-top:1.5rem;border-top:1px solid var(--line);padding-top:.6rem}
.running{position:fixed;left:0;right:0;bottom:0;display:none;justify-content:space-between;font-size:8pt;
color:var(--soft);border-top:.5pt solid var(--line);padding-top:1mm;background:#fff}
.frame,.frame>tbody>tr>td,.frame>tfoot>tr>td{width:100%;border:0;border-collapse:collapse;padding:0}
@media screen and (max-width:50rem){.sheet{padding:1.2rem}dl.facts,.sign{grid-template-columns:1fr}}
@media print{html{font-size:12px}@page{size:A4;margin:15mm 17mm 12mm}
body{background:#fff;font-size:1rem}.sheet{border:0;margin:0;padding:0;max-width:none}
.running{display:flex}.frame tfoot .space{height:9mm}
table.data tr{break-inside:avoid}table.data thead{display:table-header-group}figure{overflow:visible}
*{print-color-adjust:exact;-webkit-print-color-adjust:exact}}
""".replace("\n", "")
_CODE_STYLE: Final = (
    'p.code{font:.78rem/1.45 "DejaVu Sans Mono","Noto Sans Mono",Consolas,Menlo,monospace;'
    "overflow-wrap:anywhere;margin:.1rem 0 .1rem 1.6em;background:var(--head);padding:0 .4rem}"
    'p.code:empty::before{content:"\\00a0"}'
)
_WHOLE: Final = ' style="break-inside:avoid"'
_ALARM: Final = ' style="color:var(--red);font-weight:600"'
_POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"


def encode_html(document: Document) -> bytes:
    """Write a report as an html page, UTF-8."""
    head = document.head
    body = "".join(_part(part, head) for part in document.parts if not part.is_annex)
    annexes = "".join(_part(part, head) for part in document.parts if part.is_annex)
    running = f"<span>{_text(head.mark)}</span><span>{_text(head.notice)}</span>"
    page = (
        f'<!doctype html>\n<html lang="{escape(head.language)}"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{_text(head.title)}</title><style>{_style(document)}</style></head>\n<body>"
        f'<div class="running" aria-hidden="true">{running}</div><main class="sheet">'
        f'<table class="frame" role="presentation"><tbody><tr><td>{_top(head)}{body}{_sign(head)}'
        f'<div class="annexes">{annexes}</div>{_footers(head)}</td></tr></tbody>'
        '<tfoot><tr><td><div class="space"></div></td></tr></tfoot></table></main></body></html>\n'
    )
    return page.encode("utf-8")


def _style(document: Document) -> str:
    blocks = (block for part in document.parts for block in part.blocks)
    has_code = any(isinstance(block, Paragraph) and block.kind == "code" for block in blocks)
    return _STYLE + _CODE_STYLE if has_code else _STYLE


def _top(head: Head) -> str:
    facts = "".join(
        f"<div><dt>{_text(name)}</dt><dd{_ALARM if name in head.alarms else ''}>{_text(value)}</dd></div>"
        for name, value in head.facts
    )
    return (
        f'<div class="top"><span>{_text(head.mark)}</span><span>{_text(head.notice)}</span></div>'
        f'<h1>{_text(head.title)}</h1><p class="subtitle">{_text(head.subtitle)}</p>'
        f'<dl class="facts">{facts}</dl>'
    )


def _part(part: Part, head: Head) -> str:
    kind = ' class="annex"' if part.is_annex else ""
    blocks = "".join(_block(block, head) for block in part.blocks)
    return f"<section{kind}><h2>{_text(part.title)}</h2>{blocks}</section>\n"


def _block(block: Block, head: Head) -> str:
    if isinstance(block, Paragraph):
        if block.kind == "item":
            return f"<ul><li>{_text(block.text)}</li></ul>"
        return f'<p class="{block.kind}">{_text(block.text)}</p>'
    if isinstance(block, Drawing):
        return f"<figure>{svg_of(block, head.withheld)}</figure>"
    return _table(block, head)


def _table(table: Table, head: Head) -> str:
    caption = f"<figcaption>{_text(table.title)}</figcaption>" if table.title else ""
    columns = "".join(f'<th scope="col">{_text(column.name)}</th>' for column in table.columns)
    rows = "".join(f"<tr>{_row(table, row, head)}</tr>" for row in table.rows)
    note = f'<p class="note">{_text(table.note)}</p>' if table.note else ""
    whole = _WHOLE if table.is_whole else ""
    return (
        f'<figure class="table"{whole}>{caption}<table class="data">{_widths(table)}'
        f"<thead><tr>{columns}</tr></thead>"
        f"<tbody>{rows}</tbody></table>{note}</figure>"
    )


def _widths(table: Table) -> str:
    """Write the columns' widths where the table has shares of its own."""
    total = sum(column.share for column in table.columns)
    if not all(column.share for column in table.columns):
        return ""
    cols = "".join(f'<col style="width:{100 * column.share / total:.1f}%">' for column in table.columns)
    return f"<colgroup>{cols}</colgroup>"


def _row(table: Table, row: tuple[Cell, ...], head: Head) -> str:
    return "".join(_cell(cell, column, head) for cell, column in zip(row, table.columns, strict=True))


def _cell(cell: Cell, column: Column, head: Head) -> str:
    words = _text(cell_text(cell, head.withheld))
    if column.kind == "name":
        return f'<th scope="row">{words}</th>'
    if cell is None or (isinstance(cell, Figure) and cell.value is None):
        return f'<td class="small">{words}</td>'
    is_text = isinstance(cell, str) or column.kind == "text"
    return f'<td class="text">{words}</td>' if is_text else f"<td>{words}</td>"


def _sign(head: Head) -> str:
    return f'<div class="sign">{"".join(f"<div>{_text(name)}</div>" for name in head.sign)}</div>'


def _footers(head: Head) -> str:
    texts = "".join(f'<p class="note">{_text(text)}</p>' for text in (head.notice, *head.footers))
    return f'<div class="footers">{texts}</div>'


def _text(text: str) -> str:
    return escape(clean(text), quote=True)
